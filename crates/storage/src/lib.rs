//! Object storage: the only access to S3.
//!
//! - [`Storage`] is a connected client, [`Bucket`] one bucket of it; every failure is a
//!   [`StorageError`].
//! - [`JobKeys`] builds every object key, [`Locator`] understands what an upload event may name
//!   (both pure).
//! - [`SourceServer`] lets ffmpeg read one pinned version of one object over loopback HTTP, through
//!   a shared [`BlockCache`].
//!
//! Two rules hold for all of it. Nothing rests on conditional writes, because some servers accept
//! and ignore them; and a conditional read is checked again on the answer, for the same reason.

mod body;
mod bucket;
mod bucket_config;
mod classify;
mod client;
mod clock;
mod cors;
mod error;
mod health_check;
mod key;
mod location;
mod multipart;
mod object;
mod operation;
mod operations_check;
mod parts;
mod read;
mod request;
mod settings;
mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod versioning;
mod write;

pub use bucket::Bucket;
pub use client::Storage;
pub use cors::CorsRule;
pub use error::{At, DenialCause, StorageError};
pub use key::{
    JobKeys, SCRATCH_PREFIX, base36, init_name, revised, revision_of, scratch, segment_name,
    source_copy,
};
pub use location::{ForbiddenSource, Locator, LocatorError};
pub use object::{Digest, ObjectKind, ObjectMeta, Stored};
pub use operation::Op;
pub use operations_check::Step;
pub use request::register_metrics;
pub use settings::{Checksums, STALL_TIMEOUT, StaticCredentials, StorageSettings};
pub use source::{BlockCache, Source, SourceFault, SourceReport, SourceServer, SourceSettings};
pub use versioning::Versioning;
