//! Evidence: the uploaded output, read back from the bucket, compared with the input of the
//! encoder.
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
