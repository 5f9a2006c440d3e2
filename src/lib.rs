//! fluxhls.

pub mod cmaf;
pub mod ffmpeg;
pub mod ladder;
pub mod playlist;
