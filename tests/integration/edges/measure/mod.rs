//! Measures of video and audio, taken by ffmpeg and ffprobe at a path or URL.
//!
//! Nothing here knows what is right. Each measure has tests which show that it detects an error.

mod captions;
mod image;
mod stream;
mod sync;
mod tone;

pub(super) use captions::captions_of;
pub(super) use image::{Colour, Place, changes, combed_share, image_at, picture_file};
pub(super) use stream::{VideoStream, chosen_stream, video_stream};
pub(super) use sync::moments;
pub(super) use tone::{hearing, loudest_tone};
