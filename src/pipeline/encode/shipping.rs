//! Shipping: every closed segment leaves for the bucket while the next one is encoded, so the disk holds few of them. Where they leave
//! slower than they are made, the source is held back until they have left.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use ffmpeg::{Tick, argv, rest};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use media::cmaf::{FragmentInfo, InitInfo, rewrite};
use metrics::counter;
use storage::{JobKeys, ObjectKind};
use streams::work::{ObjectRef, SegmentOutput};
use streams::{Code, Rational, RenditionName};
use tokio::sync::watch;

use super::parts::Parts;
use crate::crash;
use crate::job::failure::Failure;
use crate::job::{Jobs, Pulse};
use crate::worker::admission::is_full;

/// Uploads of one task at a time.
const PARALLEL: usize = 4;

/// Closed segments of one rendition that may wait for their upload before the source is held back.
const WAITING: u32 = 4;

/// Where one rendition's files come from and where they go.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    /// The rendition.
    pub(super) name: RenditionName,
    /// What its segments are.
    pub(super) kind: ObjectKind,
    /// Number of its first segment in this task.
    pub(super) first: u32,
    /// Seconds from zero at which that segment has to begin, where a source that was entered too late would have it begin later.
    pub(super) due: Option<Rational>,
    /// Number of the last segment of the rendition, where this task makes it: what ffmpeg makes behind it belongs to it.
    pub(super) last: Option<u32>,
    /// Whether an I-frame playlist names its key frames.
    pub(super) has_key_frames: bool,
}

impl Shelf {
    /// Whether nothing more can come to segment `n` of the rendition, once its file is closed: the last one ends with ffmpeg.
    fn is_closed(&self, n: u32, ended: bool) -> bool {
        self.last.is_none_or(|last| n < last || (n == last && ended))
    }
}

/// Why nothing, or not all, was made.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It cannot be.
    Failed(Failure),
    /// The source was entered too late: its first pictures are behind the beginning of the chunk.
    EnteredLate,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Failed(failure) => failure,
            Stopped::EnteredLate => Self::new(
                Code::VerificationFailed,
                "The first picture that could be decoded lies behind the beginning of the chunk.",
            ),
        }
    }
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
    /// A file under its final name is closed: ffmpeg writes under another name first. `ticks` closes when ffmpeg has ended. `hold` is told
    /// whether too many segments wait, `parts` what is there.
    pub(super) async fn follow(
        &self,
        shelves: &[Shelf],
        mut ticks: watch::Receiver<Tick>,
        hold: impl Fn(bool),
        mut parts: Option<&mut Parts<'_>>,
    ) -> Result<Vec<Vec<Shipped>>, Stopped> {
        let mut shipped: Vec<Vec<Shipped>> = shelves.iter().map(|_| Vec::new()).collect();
        let mut next: Vec<u32> = shelves.iter().map(|shelf| shelf.first).collect();
        let mut under_way = FuturesUnordered::new();
        let mut ended = false;
        loop {
            for (index, shelf) in shelves.iter().enumerate() {
                while under_way.len() < PARALLEL && shelf.is_closed(next[index], ended) {
                    let file = self.file(shelf, next[index]);
                    if !file.exists() {
                        break;
                    }
                    under_way.push(self.ship(index, shelf, next[index]));
                    next[index] += 1;
                }
            }
            // Nothing leaves by holding the source where the last segment waits for the end.
            let waits = |(shelf, next): (&Shelf, &u32)| {
                shelf.is_closed(*next, ended) && self.file(shelf, next + WAITING - 1).exists()
            };
            hold(shelves.iter().zip(&next).any(waits));
            if under_way.is_empty() && ended {
                for list in &mut shipped {
                    list.sort_by_key(|segment| segment.output.n);
                }
                if shelves
                    .iter()
                    .zip(&shipped)
                    .any(|(shelf, shipped)| shelf.due.is_some() && shipped.is_empty())
                {
                    return Err(Stopped::EnteredLate);
                }
                return Ok(shipped);
            }
            tokio::select! {
                Some(done) = under_way.next() => {
                    let (index, segment): (usize, Shipped) = done?;
                    shipped[index].push(segment);
                    if let Some(parts) = &mut parts {
                        Box::pin(parts.tell(self, shelves, &shipped)).await?;
                    }
                }
                changed = ticks.changed(), if !ended => ended = changed.is_err(),
            }
        }
    }

    fn file(&self, shelf: &Shelf, n: u32) -> PathBuf {
        self.folder.join(shelf.name.as_str()).join(argv::segment_file(n))
    }

    async fn ship(&self, index: usize, shelf: &Shelf, n: u32) -> Result<(usize, Shipped), Stopped> {
        let file = self.file(shelf, n);
        if shelf.last == Some(n) {
            let joined = rest::join(&self.folder.join(shelf.name.as_str()), n).await;
            joined.map_err(|error| disk(&file, &error))?;
        }
        let bytes = tokio::fs::read(&file).await.map_err(|error| disk(&file, &error))?;
        // The init segment is complete as soon as a segment is.
        let (init, _) = self.init(&shelf.name).await?;
        let unsound = |error| {
            Failure::new(
                Code::VerificationFailed,
                format!("Segment {n} of {} is not sound: {error}.", shelf.name),
            )
        };
        let bytes: Bytes = rewrite::segment(&bytes, shelf.has_key_frames).map_err(unsound)?.into();
        let fragment = FragmentInfo::parse(&bytes, init.defaults).map_err(unsound)?;
        if n == shelf.first && shelf.due.is_some_and(|due| is_late(&fragment, init.timescale, due)) {
            return Err(Stopped::EnteredLate);
        }
        crash::point("encode.closed");
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

    /// The init segment of a rendition, as it is published.
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
        let read = InitInfo::parse(&bytes).and_then(|init| Ok((init, rewrite::init(&bytes)?.into())));
        read.map_err(|error| unsound(format!("The init segment of {name} is not sound: {error}.")))
    }

    /// Puts one small object under a key that carries the attempt, and says what is there now. A number that was given out before, by a stream
    /// that was restored from an older copy, overwrites nothing: the attempt fails, and the next one has another number.
    pub(super) async fn put(&self, key: &str, bytes: Bytes, kind: ObjectKind) -> Result<ObjectRef, Failure> {
        match self.jobs.output.put_new(key, bytes, kind).await {
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

/// Whether a segment begins after it is due.
fn is_late(segment: &FragmentInfo, timescale: u32, due: Rational) -> bool {
    let (start, scale) = (i128::from(segment.start), i128::from(timescale));
    start * i128::from(due.den()) > i128::from(due.num()) * scale
}

/// The same failure, or that of a full disk: what ffmpeg could not write whole is found unsound before ffmpeg says why.
pub(super) fn or_full(folder: &Path, failure: Failure) -> Failure {
    match failure.code {
        Code::VerificationFailed | Code::FfmpegCrashed if is_full(folder) => {
            Failure::plain(Code::DiskFull).with_evidence(*failure.evidence)
        }
        _ => failure,
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_troubles_with_files() {
        // A device that is always full.
        let full = std::fs::File::create("/dev/full").unwrap().write_all(b"x").unwrap_err();
        let failure = disk(Path::new("task/0.m4s"), &full);
        assert_eq!(failure.code, Code::DiskFull);
        assert!(failure.message.contains("0.m4s"), "{failure}");
        let missing = std::fs::File::open("/nowhere").unwrap_err();
        assert_eq!(disk(Path::new("task"), &missing).code, Code::FfmpegCrashed);
    }
}
