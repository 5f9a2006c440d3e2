//! What all connections of one server share: the object, its blocks, and what was read of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::cache::{BlockCache, BlockKey, Version};
use super::fault::SourceFault;
use super::object::Source;
use super::settings::SourceSettings;
use crate::{At, Op, StorageError};

/// What was read of a source.
#[derive(Debug, Clone)]
pub struct SourceReport {
    /// Bytes fetched from S3 for this server.
    pub bytes_read: u64,
    /// Bytes given to the client, from S3 or from the cache.
    pub bytes_served: u64,
    /// Requests of the client.
    pub requests: u64,
    /// The first read that failed.
    pub fault: Option<SourceFault>,
}

/// What all connections of one server share.
#[derive(Debug)]
pub(super) struct SharedSource {
    source: Source,
    version: Arc<Version>,
    cache: BlockCache,
    bytes_read: AtomicU64,
    bytes_served: AtomicU64,
    requests: AtomicU64,
    fault: OnceLock<SourceFault>,
    held: watch::Sender<bool>,
    asked_while_held: AtomicU64,
    stopped: CancellationToken,
}

impl SharedSource {
    pub(super) fn new(source: Source, cache: BlockCache, stopped: CancellationToken) -> Self {
        let version = Version {
            bucket: source.bucket.name().to_owned(),
            key: source.key.clone(),
            etag: source.etag.clone(),
        };

        Self {
            source,
            version: Arc::new(version),
            cache,
            bytes_read: AtomicU64::new(0),
            bytes_served: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            fault: OnceLock::new(),
            held: watch::Sender::new(false),
            asked_while_held: AtomicU64::new(0),
            stopped,
        }
    }

    pub(super) const fn settings(&self) -> &SourceSettings {
        self.cache.settings()
    }

    pub(super) const fn block_size(&self) -> u64 {
        self.settings().block_size
    }

    /// The size of the object, in bytes.
    pub(super) const fn size(&self) -> u64 {
        self.source.size
    }

    /// Signals when open answers must end.
    pub(super) const fn stopped(&self) -> &CancellationToken {
        &self.stopped
    }

    /// Bytes fetched from S3 so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Bytes given to the client so far.
    pub(super) fn bytes_served(&self) -> u64 {
        self.bytes_served.load(Ordering::Relaxed)
    }

    /// The first read that failed.
    pub(super) fn fault(&self) -> Option<&SourceFault> {
        self.fault.get()
    }

    /// What was read so far.
    pub(super) fn report(&self) -> SourceReport {
        SourceReport {
            bytes_read: self.bytes_read(),
            bytes_served: self.bytes_served(),
            requests: self.requests.load(Ordering::Relaxed),
            fault: self.fault().cloned(),
        }
    }

    /// Pauses answers, or lets them continue.
    pub(super) fn hold(&self, held: bool) {
        self.held
            .send_if_modified(|now| std::mem::replace(now, held) != held);
    }

    /// A count that moves as long as the client is served, or held back and asked after.
    pub(super) fn work(&self) -> u64 {
        if *self.held.borrow() {
            self.asked_while_held.fetch_add(1, Ordering::Relaxed);
        }
        self.bytes_read() + self.bytes_served() + self.asked_while_held.load(Ordering::Relaxed)
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_served(&self, bytes: u64) {
        self.bytes_served.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Waits while answers are held back.
    pub(super) async fn wait_until_released(&self) {
        // The sender is in the same value, so it exists as long as this value.
        let _ = self.held.subscribe().wait_for(|held| !held).await;
    }

    /// Keeps the first fault; later ones are its consequences.
    pub(super) fn record(&self, fault: SourceFault) {
        tracing::warn!(%fault, "source fault");
        let _ = self.fault.set(fault);
    }

    /// One block of the source, from the cache or from S3.
    pub(super) async fn block(&self, index: u64) -> Result<Bytes, StorageError> {
        let key = BlockKey {
            version: Arc::clone(&self.version),
            index,
        };
        let block = self.cache.block(&key, self.fetch(index));

        // The limit is for all repetitions of the read together.
        match tokio::time::timeout(self.settings().block_timeout, block).await {
            Ok(block) => block,
            Err(_) => Err(StorageError::Unavailable {
                at: At {
                    op: Op::GetRange,
                    bucket: self.source.bucket.name().into(),
                    key: self.source.key.clone(),
                },
                reason: format!("no block after {:?}", self.settings().block_timeout),
            }),
        }
    }

    async fn fetch(&self, index: u64) -> Result<Bytes, StorageError> {
        let start = index * self.block_size();
        let range = start..self.source.size.min(start + self.block_size());
        let block = self
            .source
            .bucket
            .get_range(&self.source.key, &self.source.etag, range)
            .await?;
        self.bytes_read
            .fetch_add(block.len() as u64, Ordering::Relaxed);
        Ok(block)
    }
}
