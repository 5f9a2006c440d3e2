//! The source as a rung: whether the pictures of a source can be a rung of the output without being
//! encoded, and where such a rung is cut.
//!
//! Only skipping the encoder costs less than encoding well. The source must have pictures that
//! every player can play, at no more bits than the rung would have. Its key frames must come often
//! enough, because the whole job is then cut at the key frames of the source. The index of an ISO
//! file (the `moov` box, ISO/IEC 14496-12 section 8.2.1) answers all of this before a byte of media
//! is copied.
//!
//! In reading order: [`FileBox`] (where the index is), [`SampleIndex`] (what it says, with the
//! [`AvcConfiguration`] of the decoder), [`KeySample`] (what a few key frames really are), [`cut`]
//! and [`Boundaries`] (where segments end), [`segment_bytes`], [`copy_ranges`] and [`file_ranges`]
//! (what is copied), and [`decide`] (the decision, with every [`CopyRefusal`]).
//!
//! Planning does not use this module yet.

mod avc;
mod boundaries;
mod boxes;
mod bytes;
mod cuts;
mod fit;
mod index;
mod refusal;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod testing;

pub use avc::{AvcConfiguration, KeySample};
pub use boundaries::{Boundaries, InvalidBoundaries};
pub use boxes::{BOX_HEADER_BYTES, FileBox, read_file_box};
pub use bytes::{ByteRange, MAX_COPY_TASK_BYTES, copy_ranges, file_ranges, segment_bytes};
pub use cuts::{MAX_SEGMENT_SECONDS, cut};
pub use fit::{Candidate, CopiedRung, SourceRung, decide};
pub use index::{IndexError, MAX_MOOV_BYTES, MAX_SAMPLES, MAX_SECONDS, Sample, SampleIndex};
pub use refusal::CopyRefusal;
