//! The loopback range server: how ffmpeg reads a source.
//!
//! [`SourceServer`] serves one pinned version of one object on 127.0.0.1, under one unguessable
//! path. It fetches blocks from S3 through a [`BlockCache`] that all servers of a host may share,
//! and keeps the first failed read as a [`SourceFault`], because ffmpeg takes a source that breaks
//! off for one that ends.

mod cache;
mod fault;
mod object;
mod range;
mod reading;
mod served;
mod server;
mod settings;
#[cfg(test)]
mod tests;

pub use cache::BlockCache;
pub use fault::SourceFault;
pub use object::Source;
pub use served::SourceReport;
pub use server::SourceServer;
pub use settings::SourceSettings;
