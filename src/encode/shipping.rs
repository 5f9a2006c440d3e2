//! Shipping: every closed segment leaves for the bucket while the next one is encoded, so the disk holds few of them.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use metrics::counter;
use streams::work::{ObjectRef, SegmentOutput};
use streams::{Code, RenditionName};
use tokio::sync::watch;

use crate::cmaf::{FragmentInfo, InitInfo};
use crate::failure::Failure;
use crate::ffmpeg::{Tick, argv};
use crate::job::{Jobs, Pulse};
use crate::storage::{JobKeys, ObjectKind};

/// Uploads of one task at a time.
const PARALLEL: usize = 4;

/// Where one rendition's files come from and where they go.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    /// The rendition.
    pub(super) name: RenditionName,
    /// What its segments are.
    pub(super) kind: ObjectKind,
    /// Number of its first segment in this task.
    pub(super) first: u32,
}

/// A segment that is in the bucket.
#[derive(Debug, Clone)]
pub(super) struct Shipped {
    /// What `done` says of it.
    pub(super) output: SegmentOutput,
    /// What is in it.
    pub(super) fragment: FragmentInfo,
}

/// Ships what one task makes.
pub(super) struct Shipper<'a> {
    pub(super) jobs: &'a Jobs,
    pub(super) keys: &'a JobKeys,
    pub(super) attempt: u64,
    pub(super) folder: &'a Path,
    pub(super) pulse: &'a Pulse,
}

impl Shipper<'_> {
    /// Ships the segments of all `shelves` as they are closed, until ffmpeg has ended and none is left. One list per shelf.
    ///
    /// A file under its final name is closed: ffmpeg writes under another name first. `ticks` closes when ffmpeg has ended.
    pub(super) async fn follow(
        &self,
        shelves: &[Shelf],
        mut ticks: watch::Receiver<Tick>,
    ) -> Result<Vec<Vec<Shipped>>, Failure> {
        let mut shipped: Vec<Vec<Shipped>> = shelves.iter().map(|_| Vec::new()).collect();
        let mut next: Vec<u32> = shelves.iter().map(|shelf| shelf.first).collect();
        let mut under_way = FuturesUnordered::new();
        let mut ended = false;
        loop {
            for (index, shelf) in shelves.iter().enumerate() {
                while under_way.len() < PARALLEL {
                    let file = self
                        .folder
                        .join(shelf.name.as_str())
                        .join(argv::segment_file(next[index]));
                    if !file.exists() {
                        break;
                    }
                    under_way.push(self.ship(index, shelf, next[index], file));
                    next[index] += 1;
                }
            }
            if under_way.is_empty() && ended {
                for list in &mut shipped {
                    list.sort_by_key(|segment| segment.output.n);
                }
                return Ok(shipped);
            }
            tokio::select! {
                Some(done) = under_way.next() => {
                    let (index, segment): (usize, Shipped) = done?;
                    shipped[index].push(segment);
                }
                changed = ticks.changed(), if !ended => ended = changed.is_err(),
            }
        }
    }

    async fn ship(&self, index: usize, shelf: &Shelf, n: u32, file: PathBuf) -> Result<(usize, Shipped), Failure> {
        let bytes: Bytes = tokio::fs::read(&file)
            .await
            .map_err(|error| disk(&file, &error))?
            .into();
        // The init segment is complete as soon as a segment is.
        let (init, _) = self.init(&shelf.name).await?;
        let fragment = FragmentInfo::parse(&bytes, init.defaults).map_err(|error| {
            Failure::new(
                Code::VerificationFailed,
                format!("Segment {n} of {} is not sound: {error}.", shelf.name),
            )
        })?;
        let key = self.keys.segment(shelf.name.as_str(), u64::from(n), self.attempt);
        let stored = self.put(&key, bytes, shelf.kind.clone()).await?;
        tokio::fs::remove_file(&file)
            .await
            .map_err(|error| disk(&file, &error))?;
        counter!("fluxhls_output_bytes_total").increment(stored.size);
        let output = SegmentOutput {
            n,
            start: fragment.start,
            duration: fragment.duration,
            key_frame: fragment.key_frame.filter(|_| shelf.kind == ObjectKind::Video),
            size: stored.size,
            sha256: stored.sha256,
            etag: stored.etag,
        };
        Ok((index, Shipped { output, fragment }))
    }

    /// The init segment of a rendition, as ffmpeg wrote it.
    pub(super) async fn init(&self, name: &RenditionName) -> Result<(InitInfo, Bytes), Failure> {
        let file = self.folder.join(name.as_str()).join(argv::INIT);
        let unsound = |what: String| Failure::new(Code::VerificationFailed, what);
        let bytes: Bytes = match tokio::fs::read(&file).await {
            Ok(bytes) => bytes.into(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(unsound(format!("ffmpeg ended well but made nothing of {name}.")));
            }
            Err(error) => return Err(disk(&file, &error)),
        };
        match InitInfo::parse(&bytes) {
            Ok(init) => Ok((init, bytes)),
            Err(error) => Err(unsound(format!("The init segment of {name} is not sound: {error}."))),
        }
    }

    /// Puts one small object and says what is there now.
    pub(super) async fn put(&self, key: &str, bytes: Bytes, kind: ObjectKind) -> Result<ObjectRef, Failure> {
        match self.jobs.output.put(key, bytes, kind).await {
            Ok(stored) => {
                self.pulse.add(stored.size);
                Ok(ObjectRef {
                    key: key.to_owned(),
                    size: stored.size,
                    sha256: stored.sha256,
                    etag: Some(stored.etag).filter(|etag| !etag.is_empty()),
                })
            }
            Err(error) => Err(self.jobs.blame_output(&error).await),
        }
    }
}

/// The failure of a file operation in the work folder.
pub(super) fn disk(path: &Path, error: &std::io::Error) -> Failure {
    let code = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Code::DiskFull,
        _ => Code::FfmpegCrashed,
    };
    Failure::new(
        code,
        format!(
            "The work folder's {} cannot be used: {error}.",
            path.file_name().unwrap_or_default().display()
        ),
    )
}
