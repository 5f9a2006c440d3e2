//! One answer's way through the blocks of a source.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, stream};
use tokio_util::task::AbortOnDropHandle;

use super::fault::SourceFault;
use super::served::SharedSource;
use crate::StorageError;

/// How many blocks in a row make a reader sequential. ffmpeg opens open-ended ranges to read a few
/// bytes of a header or of an index; fetching ahead of those would be wasted.
const SEQUENTIAL_BLOCKS: usize = 2;

/// A reader: the blocks it waits for, first to last, and its position.
struct RangeReader {
    served: Arc<SharedSource>,
    position: u64,
    end: u64,
    /// The index of the first block that is not under way yet.
    next: u64,
    /// Blocks that are being read. Each is a task, so it continues while the client is slow and
    /// another reader waits for the same block; it is aborted when the client leaves.
    under_way: VecDeque<Fetch>,
    taken: usize,
}

type Fetch = AbortOnDropHandle<Result<Bytes, StorageError>>;

/// The bytes of `range`, block by block, fetched when the client takes them. After a failed read it
/// ends with an error, which cuts the connection: the client sees that the answer is short.
pub(super) fn read(
    served: Arc<SharedSource>,
    range: Range<u64>,
) -> impl Stream<Item = io::Result<Bytes>> {
    let next = range.start / served.block_size();
    let reading = RangeReader {
        served,
        position: range.start,
        end: range.end,
        next,
        under_way: VecDeque::new(),
        taken: 0,
    };

    stream::try_unfold(reading, |mut reading| async move {
        Ok(reading.next().await?.map(|piece| (piece, reading)))
    })
}

impl RangeReader {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.position >= self.end {
            return Ok(None);
        }

        // A caller may hold ffmpeg back, for example while its uploads do not keep up.
        self.served.wait_until_released().await;
        self.start_fetches();
        let Some(fetch) = self.under_way.pop_front() else {
            return Ok(None);
        };
        // A fetch can only fail to return because of a panic or the end of the runtime.
        let block = fetch.await.map_err(io::Error::other)?;
        let block = block.map_err(|error| self.fault(error))?;

        let size = self.served.block_size();
        let start = self.position % size;
        let end = size.min(self.end - (self.position - start));
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(end)) else {
            return Err(io::Error::other("a block larger than the address space"));
        };

        self.position += (end - start) as u64;
        self.taken += 1;
        self.served.count_served((end - start) as u64);
        Ok(Some(block.slice(start..end)))
    }

    fn start_fetches(&mut self) {
        let window = if self.taken < SEQUENTIAL_BLOCKS {
            1
        } else {
            1 + self.served.settings().read_ahead
        };

        while self.under_way.len() < window && self.next * self.served.block_size() < self.end {
            let (served, index) = (Arc::clone(&self.served), self.next);
            self.under_way
                .push_back(AbortOnDropHandle::new(tokio::spawn(async move {
                    served.block(index).await
                })));
            self.next += 1;
        }
    }

    fn fault(&self, error: StorageError) -> io::Error {
        let offset = self.position - self.position % self.served.block_size();
        let fault = SourceFault {
            offset,
            error: Arc::new(error),
        };
        let cut = io::Error::other(fault.to_string());
        self.served.record(fault);
        cut
    }
}
