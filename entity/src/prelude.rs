//! The entities under the names of their tables.

pub use super::files::Entity as Files;
pub use super::projection_checkpoint::Entity as ProjectionCheckpoint;
pub use super::transcoding_jobs::Entity as TranscodingJobs;
