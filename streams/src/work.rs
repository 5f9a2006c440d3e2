//! Messages between workers about a task: that it was started, released or done, or must be done
//! again.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::VERSION;
use crate::id::{JobId, RenditionName};
use crate::order::EventOrder;
use crate::task::{Duty, TaskName};

/// Which work message; the token between job and task in its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum WorkKind {
    /// A start. Its stream sequence is the attempt's number, in every key of what it made.
    Attempt,
    /// A start that does not count: released on shutdown, after a lost lease, or because of an
    /// error that an operator must fix.
    Released,
    /// A start whose output did not pass its check, and what was measured.
    Failed,
    /// The one result of a task.
    Done,
    /// The one order to do a task again.
    Redo,
    /// A range of a task that is in the bucket before the task is done; see
    /// [`crate::subject::part`].
    Part,
}

impl WorkKind {
    /// The subject token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A worker starts a task. One for every start, each only as the next after the one that the worker
/// had read; `Nats-Msg-Id` is `id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Version of the payload.
    pub v: u32,
    /// A fresh cuid2.
    pub id: String,
    /// The job.
    pub job_id: JobId,
    /// The task.
    pub task: TaskName,
    /// Who started it.
    pub worker: String,
    /// The worker's clock, for people.
    pub at: DateTime<Utc>,
}

impl Attempt {
    /// A start of `task` by `worker`, now.
    #[must_use]
    pub fn new(job_id: JobId, task: TaskName, worker: &str) -> Self {
        Self {
            v: VERSION,
            id: cuid2::create_id(),
            job_id,
            task,
            worker: worker.to_owned(),
            at: Utc::now(),
        }
    }
}

/// A start that must not be counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Version of the payload.
    pub v: u32,
    /// The stream sequence of the attempt.
    pub attempt: u64,
    /// `shutdown`, `lost_lease`, `operator` or `awaits_source`.
    pub reason: String,
    /// If an earlier start was released for the same reason: since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
}

impl Released {
    /// The reason of a start whose source was not available, because the storage denied it while it
    /// served the output bucket, or because it did not exist yet.
    pub const AWAITS_SOURCE: &str = "awaits_source";
}

/// A start whose output did not pass its check. If the next one measures the same, another attempt
/// is useless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCheck {
    /// Version of the payload.
    pub v: u32,
    /// The stream sequence of the attempt.
    pub attempt: u64,
    /// What was measured, one sentence.
    pub reason: String,
}

/// The result of a task. The first one counts; what later attempts made is swept away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Version of the payload.
    pub v: u32,
    /// The job.
    pub job_id: JobId,
    /// The task.
    pub task: TaskName,
    /// The stream sequence of the attempt that made it: the base36 text of it is in every key.
    pub attempt: u64,
    /// Who made it.
    pub worker: String,
    /// The output, or the location of its list if it is too long for a message.
    pub output: DoneOutput,
}

/// What a task made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DoneOutput {
    /// The list itself.
    Inline(Box<TaskOutput>),
    /// An object that holds the list as JSON.
    Object(ObjectRef),
}

/// A range of the output of a task, in the bucket before the rest: live playlists are made from
/// these. The first writer of each range counts. The storage has confirmed every object; only
/// `done` says that they were read back and fit the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Version of the payload.
    pub v: u32,
    /// The job.
    pub job_id: JobId,
    /// The task.
    pub task: TaskName,
    /// The range, counted from zero within the task: see [`Part::range`]. If a task makes several
    /// passes over its segments, each for other renditions, the ranges of the next pass follow
    /// those of the previous one.
    pub k: u32,
    /// The stream sequence of the attempt that made it.
    pub attempt: u64,
    /// The segments of the range, by rendition.
    pub renditions: Vec<RenditionOutput>,
}

impl Part {
    /// Ranges of one segment in which audio is announced, before longer ones.
    const SINGLE: u32 = 16;

    /// Segments of the longer ranges.
    const LONGER: u32 = 4;

    /// Segments of range `k` of a task as `(first, end)`, counted from its first one. Each segment
    /// of video is its own range, because a viewer may wait for it. Audio is encoded so much faster
    /// than it is played that later segments can be announced in fewer messages.
    #[must_use]
    pub const fn range(duty: Duty, k: u32) -> (u32, u32) {
        match duty {
            Duty::Tracks if k >= Self::SINGLE => {
                let first =
                    Self::SINGLE.saturating_add((k - Self::SINGLE).saturating_mul(Self::LONGER));
                (first, first.saturating_add(Self::LONGER))
            }
            _ => (k, k.saturating_add(1)),
        }
    }
}

/// Everything a task made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskOutput {
    /// One entry for each rendition the task works on.
    pub renditions: Vec<RenditionOutput>,
    /// A picture that may become the poster, made by some of the chunks, or out of the cover by the
    /// tracks task.
    #[serde(default)]
    pub poster: Option<ObjectRef>,
    /// How much there is to see in that picture, 0 being black; none if no one looked, as at
    /// covers.
    #[serde(default)]
    pub poster_score: Option<f64>,
    /// The tiles of the storyboard that lie in this chunk, in order, as raw RGB pictures one after
    /// the other in one private object.
    #[serde(default)]
    pub tiles: Option<ObjectRef>,
    /// The subtitles, made by the tracks task.
    #[serde(default)]
    pub subtitles: Vec<SubtitleOutput>,
    /// What was measured of the content, compared with the source.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// What went wrong without being a failure, as stable words.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The build that made it.
    #[serde(default)]
    pub ffmpeg: String,
}

/// What a task made of one rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RenditionOutput {
    /// The rendition.
    pub name: RenditionName,
    /// The init segment of this attempt.
    pub init: ObjectRef,
    /// Hash of what must be equal in every init of a rendition: codec configuration, coded size,
    /// timescale, edit list.
    pub init_match: String,
    /// RFC 6381 codec string.
    pub codecs: String,
    /// Ticks per second of every duration here.
    pub timescale: u32,
    /// Frames (video) or samples (audio) in all segments.
    pub units: u64,
    /// The media segments, in order.
    pub segments: Vec<SegmentOutput>,
}

/// One media segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentOutput {
    /// Its number, counted from zero over the whole rendition.
    pub n: u32,
    /// Decode time of its first sample, in ticks.
    pub start: u64,
    /// Sum of its sample durations, in ticks.
    pub duration: u64,
    /// Bytes from the start of the segment to the end of its first sample, where that is a key
    /// frame of video: what an I-frame playlist names.
    #[serde(default)]
    pub key_frame: Option<u64>,
    /// Bytes.
    pub size: u64,
    /// Hex digest of its bytes.
    pub sha256: String,
    /// The entity tag the storage gave it, where it gave one.
    #[serde(default)]
    pub etag: Option<String>,
}

/// The output of one subtitle track.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtitleOutput {
    /// The rendition.
    pub name: RenditionName,
    /// The WebVTT file.
    pub object: ObjectRef,
    /// Cues in it.
    pub cues: u32,
    /// Seconds from zero to the end of the last cue.
    pub end: f64,
}

/// What was measured of the content of one rendition in one task. Taken from bytes read back from
/// the bucket, against the plan's own filter output on the same frames or samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The rendition.
    pub name: RenditionName,
    /// Pictures that were compared; empty for audio.
    #[serde(default)]
    pub pictures: Vec<PictureSample>,
    /// The level of the audio; absent for video.
    #[serde(default)]
    pub sound: Option<SoundSample>,
}

/// One picture of the output, compared with its input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PictureSample {
    /// Number of the frame in the whole rendition.
    pub frame: u64,
    /// Structural similarity of luma, 0 to 1.
    pub ssim: f64,
    /// Mean luma of the output, 16 to 235.
    pub luma: f64,
    /// Mean luma of its input, 16 to 235.
    pub source_luma: f64,
}

/// The level of a track of the output, compared with its input, in dB relative to full scale;
/// silence is -120. Measured below the frequencies that an encoder may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SoundSample {
    /// Loudest sample of the output.
    pub peak: f64,
    /// Loudest sample of its input.
    pub source_peak: f64,
    /// Mean level of the output.
    pub rms: f64,
    /// Mean level of its input.
    pub source_rms: f64,
    /// Seconds in which the output is silent and its input is not, including the short pauses
    /// around and between them.
    #[serde(default)]
    pub silent_seconds: f64,
}

/// An object in the output bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Hex digest of its bytes.
    pub sha256: String,
    /// The entity tag the storage gave it, where it gave one.
    #[serde(default)]
    pub etag: Option<String>,
}

/// A task whose output failed its check must be done again, under the name `<task>~1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redo {
    /// Version of the payload.
    pub v: u32,
    /// The task.
    pub task: TaskName,
    /// What failed, one sentence.
    pub reason: String,
}

/// Which job owns an output prefix; the body of `hls.v1.current.<hash>`. It only ever advances to a
/// higher `accepted_seq`, or starts again after its file was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// The file to which the prefix belongs permanently.
    pub file_id: crate::id::FileId,
    /// The job whose output is public.
    pub job_id: JobId,
    /// Stream sequence of that job's `accepted`.
    pub accepted_seq: u64,
    /// The repair whose `commit-<revision>.m3u8` is public, by the stream sequence of its
    /// `attempt`; 0 for the job's own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u64,
    /// Set once the file was deleted: nothing is public then. The position of the delete event in
    /// `HLS_UPLOADS`; only a job of a later upload event may own the prefix again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<EventOrder>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The job of an identity; the body of `hls.v1.source.<hash>`, and of the index
/// `hls.v1.source.file.<file_id>.<job_id>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceOwner {
    /// The job.
    pub job_id: JobId,
    /// The file.
    pub file_id: crate::id::FileId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_each_other_without_gap() {
        for duty in [Duty::Video(3), Duty::Tracks] {
            let ranges: Vec<_> = (0..40).map(|k| Part::range(duty, k)).collect();
            assert_eq!(ranges[0], (0, 1));
            assert!(
                ranges.windows(2).all(|pair| pair[0].1 == pair[1].0),
                "{ranges:?}"
            );
        }
        assert_eq!(Part::range(Duty::Video(3), 20), (20, 21));
        assert_eq!(Part::range(Duty::Tracks, 17), (20, 24));
    }
}
