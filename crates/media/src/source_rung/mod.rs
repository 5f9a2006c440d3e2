//! The source as a rung: whether the pictures of a source can be a rung of the output as they are,
//! without being encoded, and where such a rung is cut.
//!
//! Not encoding is the only thing that costs less than encoding well. It needs a source whose
//! pictures every player takes, at no more bits than the rung would have, and whose key frames come
//! often enough, since the whole job is then cut where the source is. All of it follows from the
//! index of an ISO file (the `moov` box, ISO/IEC 14496-12 section 8.2.1) before a byte of media is
//! copied.
//!
//! In reading order: [`FileBox`] (where the index is), [`SampleIndex`] (what it says, with
//! [`AvcConfiguration`] of the decoder), [`KeySample`] (what a few key frames really are),
//! [`cut`] and [`Boundaries`] (where segments end), [`segment_bytes`], [`copy_ranges`] and
//! [`file_ranges`] (what is copied), and [`decide`] (the decision, with every [`CopyRefusal`]).
//!
//! Planning does not use it yet.

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
