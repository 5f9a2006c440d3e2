//! What is known of video without touching any: everything here is a function of its arguments.
//!
//! - [`ladder`]: a probe in, a plan with reasons out.
//! - [`playlist`]: the text of every kind of playlist, and measured bandwidth.
//! - [`cmaf`]: what an init or media segment says, and the gates it has to pass.
//! - [`levels`]: the level of audio, compared with its input.
//! - [`image`]: how much a picture shows, and JPEG of it.
//! - [`source_rung`]: whether the pictures of a source can be a rung without being encoded.
//! - [`webvtt`]: cues on the timeline of the programme.

pub mod cmaf;
pub mod image;
pub mod ladder;
pub mod levels;
pub mod playlist;
pub mod source_rung;
pub mod webvtt;
