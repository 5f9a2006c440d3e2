//! Evidence: what was made, read back from the bucket, beside what it was made of.
//!
//! In reading order: `readback` (the bytes that are looked into), `pictures` and `sound` (what is measured of them), `plane` (pure: the
//! measure of pictures; that of sound is [`media::levels`]).

mod pictures;
mod plane;
mod readback;
mod sound;

pub(super) use pictures::pictures;
pub(super) use readback::{Readback, Sent};
pub(super) use sound::sound;
