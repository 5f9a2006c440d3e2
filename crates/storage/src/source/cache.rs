//! Blocks of sources, shared by all who read them.

use std::sync::Arc;

use bytes::Bytes;
use metrics::gauge;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::settings::SourceSettings;
use crate::StorageError;

/// How much of the cache blocks that were read twice may hold on to. The rest is for blocks read
/// just now, which the other chunks of the same source want next.
const HOT_CACHE_SHARE: f64 = 0.5;

/// A bounded cache of blocks. Clones share it: hold one per process and give it to every
/// [`SourceServer`](super::SourceServer). A block that several readers miss at once is fetched
/// once.
#[derive(Clone)]
pub struct BlockCache {
    settings: SourceSettings,
    blocks: Arc<Cache<BlockKey, Bytes, BlockWeight>>,
}

/// A block of one version of an object; another version shares nothing with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct BlockKey {
    pub(super) version: Arc<Version>,
    pub(super) index: u64,
}

/// One version of one object.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Version {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) etag: String,
}

#[derive(Debug, Clone)]
struct BlockWeight;

impl Weighter<BlockKey, Bytes> for BlockWeight {
    fn weight(&self, _: &BlockKey, block: &Bytes) -> u64 {
        block.len() as u64
    }
}

impl std::fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockCache")
            .field("settings", &self.settings)
            .field("bytes", &self.bytes())
            .finish()
    }
}

impl BlockCache {
    /// An empty cache. Its block size is that of every source read through it.
    #[must_use]
    pub fn new(settings: SourceSettings) -> Self {
        let settings = SourceSettings {
            block_size: settings.block_size.max(1),
            ..settings
        };

        let blocks = settings.cache_bytes / settings.block_size;
        let options = OptionsBuilder::new()
            // More shards would each be too small to hold a few blocks.
            .shards(1)
            .estimated_items_capacity(usize::try_from(blocks).unwrap_or(usize::MAX))
            .weight_capacity(settings.cache_bytes)
            .hot_allocation(HOT_CACHE_SHARE)
            .build();

        let cache = match options {
            Ok(options) => Cache::with_options(
                options,
                BlockWeight,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            // Only for a capacity that is not set; both are.
            Err(_) => Cache::with_weighter(0, 0, BlockWeight),
        };

        Self {
            settings,
            blocks: Arc::new(cache),
        }
    }

    /// How sources are read through this cache.
    #[must_use]
    pub const fn settings(&self) -> &SourceSettings {
        &self.settings
    }

    /// How much memory its blocks take now, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blocks.weight()
    }

    /// A block: from the cache, or from the fetch that another reader has under way, or from
    /// `fetch`. A failed fetch is not remembered; the next reader tries again.
    pub(super) async fn block(
        &self,
        key: &BlockKey,
        fetch: impl Future<Output = Result<Bytes, StorageError>>,
    ) -> Result<Bytes, StorageError> {
        let block = self.blocks.get_or_insert_async(key, fetch).await;
        #[expect(
            clippy::cast_precision_loss,
            reason = "bytes of memory stay far below 2^52"
        )]
        gauge!("fluxhls_source_cache_bytes").set(self.bytes() as f64);
        block
    }
}
