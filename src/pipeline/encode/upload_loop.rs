//! Closed segments leave for the bucket while ffmpeg encodes the next ones, so that the disk holds
//! few of them.

use ffmpeg::ProgressUpdate;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use storage::SourceServer;
use tokio::sync::watch;

use super::failures::RunError;
use super::ranges::RangePublisher;
use super::segments::{FfmpegState, RenditionDir, UploadedSegment};
use super::uploader::SegmentUploader;

/// Uploads of one task at a time.
const MAX_PARALLEL_UPLOADS: usize = 4;

/// Closed segments of one rendition that may wait for their upload before the source is held back.
const MAX_WAITING_SEGMENTS: u32 = 4;

/// Uploads the segments of all renditions as they are closed, until ffmpeg has ended and none is
/// left. Returns one list for each of `dirs`, in the order of its numbers.
///
/// A file under its final name is closed: ffmpeg writes under another name first. `ticks` closes
/// when ffmpeg has ended. If segments are uploaded more slowly than they are made, `source` is
/// throttled until they are uploaded. `ranges` is notified of every uploaded segment.
///
/// # Errors
/// [`RunError::EnteredLate`] where a rendition has an expected start and not even one segment.
pub(super) async fn upload_segments(
    uploader: &SegmentUploader<'_>,
    dirs: &[RenditionDir],
    source: &SourceServer,
    mut ticks: watch::Receiver<ProgressUpdate>,
    mut ranges: Option<&mut RangePublisher<'_>>,
) -> Result<Vec<Vec<UploadedSegment>>, RunError> {
    let mut uploaded: Vec<Vec<UploadedSegment>> = dirs.iter().map(|_| Vec::new()).collect();
    let mut next: Vec<u32> = dirs.iter().map(|dir| dir.first_segment).collect();
    let mut uploads = FuturesUnordered::new();
    let mut ffmpeg = FfmpegState::Running;

    loop {
        for (index, dir) in dirs.iter().enumerate() {
            while uploads.len() < MAX_PARALLEL_UPLOADS && dir.is_final(next[index], ffmpeg) {
                let n = next[index];
                if !dir.segment_file(uploader.task_dir, n).exists() {
                    break;
                }
                uploads.push(async move {
                    uploader
                        .upload_segment(dir, n)
                        .await
                        .map(|segment| (index, segment))
                });
                next[index] += 1;
            }
        }

        // Where the last segment waits for the end of ffmpeg, nothing would leave by holding the
        // source.
        let is_congested = |(dir, next): (&RenditionDir, &u32)| {
            let newest_allowed = next + MAX_WAITING_SEGMENTS - 1;
            dir.is_final(*next, ffmpeg)
                && dir.segment_file(uploader.task_dir, newest_allowed).exists()
        };
        source.hold(dirs.iter().zip(&next).any(is_congested));

        if uploads.is_empty() && ffmpeg == FfmpegState::Ended {
            break;
        }
        tokio::select! {
            Some(done) = uploads.next() => {
                let (index, segment): (usize, UploadedSegment) = done?;
                uploaded[index].push(segment);
                if let Some(ranges) = &mut ranges {
                    // On the heap: most segments complete no range, and this future is large.
                    Box::pin(ranges.publish_complete(uploader, dirs, &uploaded)).await?;
                }
            }
            changed = ticks.changed(), if ffmpeg == FfmpegState::Running => {
                if changed.is_err() {
                    ffmpeg = FfmpegState::Ended;
                }
            }
        }
    }

    for segments in &mut uploaded {
        segments.sort_by_key(|segment| segment.output.n);
    }
    let made_nothing = |(dir, segments): (&RenditionDir, &Vec<UploadedSegment>)| {
        dir.expected_start.is_some() && segments.is_empty()
    };
    if dirs.iter().zip(&uploaded).any(made_nothing) {
        return Err(RunError::EnteredLate);
    }
    Ok(uploaded)
}
