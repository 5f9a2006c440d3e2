//! Evidence: what was uploaded, read back from the bucket, beside what it was encoded from.
//!
//! In reading order: `video` and `audio` choose samples and measure them; `readback` reads the
//! objects they look into; `plane` (pure) is the measure of pictures. That of audio is
//! [`media::levels`].

mod audio;
mod plane;
mod readback;
mod video;

pub(super) use audio::AudioSamples;
pub(super) use readback::{ObjectContent, Readback, UploadedObject};
pub(super) use video::VideoSamples;
