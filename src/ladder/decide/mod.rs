//! Everything that is decided about a job, from a probe: what is encoded, how, in which pieces, and why.

use streams::plan::{
    EncoderBuild, Picture, Planned, PlannedTask, Rendition, Segment, Source, SourceColor, Timeline, Track, TrackKind,
    VideoPlan,
};
use streams::upload::Priority;
use streams::{Code, Lane, Rational, TaskName};

use super::probe::{Audio, Content, Probe, Stream, Video};
use super::profile::Profile;
use super::size::Size;
use super::timeline::Grid;
use super::{chunks, mime, rate, rungs, sound, timeline};

/// Pixels; a picture with a shorter side is no video.
const SMALLEST: u32 = 16;

/// Pixels; no encoder takes a longer side.
const LARGEST: u32 = 16_384;

/// Seconds; longer sources are refused.
const LONGEST: f64 = 48.0 * 3600.0;

/// The object a plan is for, pinned to one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// Version.
    pub etag: String,
    /// Bytes.
    pub size: u64,
}

/// How a job shall be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The policy.
    pub profile: Profile,
    /// Which lane its tasks wait in.
    pub priority: Priority,
}

/// Why a source gets no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable word.
    pub code: Code,
    /// One sentence for a person.
    pub message: String,
}

impl Refusal {
    fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Everything of a [`Planned`] but its head.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What is transcoded.
    pub source: Source,
    /// Where zero lies.
    pub timeline: Timeline,
    /// The grid.
    pub segment: Segment,
    /// The video and its chunks.
    pub video: Option<VideoPlan>,
    /// The renditions, video first.
    pub renditions: Vec<Rendition>,
    /// The tasks, in the order they are put on the queue.
    pub tasks: Vec<PlannedTask>,
    /// What was left out or changed, as stable words.
    pub warnings: Vec<String>,
    /// The build whose output all chunks must match.
    pub encoder: EncoderBuild,
}

impl Draft {
    /// The fact that publishes this plan.
    #[must_use]
    pub fn into_planned(self, head: streams::fact::Head) -> Planned {
        Planned {
            head,
            source: self.source,
            timeline: self.timeline,
            segment: self.segment,
            video: self.video,
            renditions: self.renditions,
            tasks: self.tasks,
            warnings: self.warnings,
            encoder: self.encoder,
        }
    }
}

/// Plans a source. Equal arguments give equal plans.
///
/// # Errors
/// [`Refusal`] with a permanent code when this source can never be done.
pub fn plan(probe: &Probe, pin: Pin, settings: &Settings, ffmpeg: &str) -> Result<Draft, Refusal> {
    let pictures = Pictures::of(probe)?;
    let tracks: Vec<(&Stream, &Audio)> = probe.audios().collect();
    let first_sound = tracks
        .iter()
        .filter(|(stream, _)| sound::is_usable(stream))
        .filter_map(|(stream, _)| stream.start)
        .min();
    refuse_damage(probe)?;
    let (timeline, grid, segment) = match (&pictures, first_sound) {
        (Some(pictures), _) => {
            let grid = Grid::new(pictures.rate.frames, settings.profile.segment, settings.profile.gop);
            let timeline = timeline::with_pictures(pictures.start, first_sound, grid.rate, probe.container_start);
            (timeline, Some(grid), grid.segments())
        }
        (None, Some(first)) => {
            let segment = timeline::segments(Rational::whole(settings.profile.segment.into()));
            (timeline::sound_alone(first, probe.container_start), None, segment)
        }
        (None, None) => {
            return Err(Refusal::new(
                Code::NoTracks,
                "The file has neither video nor audio that can be decoded.",
            ));
        }
    };
    let sound = sound::renditions(&settings.profile, &tracks, timeline.zero.as_f64());
    let video = pictures
        .as_ref()
        .zip(grid)
        .map(|(pictures, grid)| pictures.plan(probe, &timeline, &grid, segment));
    let ladder = pictures
        .as_ref()
        .zip(grid)
        .map(|(pictures, grid)| rungs::renditions(&settings.profile, pictures.size, &grid));
    let mut warnings = warnings(probe, pictures.as_ref(), video.as_ref());
    warnings.extend(sound.warnings.iter().map(|word| (*word).to_owned()));
    if sound.renditions.is_empty() {
        warnings.push("no_audio".to_owned());
    }
    let has_sound = !sound.renditions.is_empty();
    let renditions = ladder
        .into_iter()
        .flatten()
        .map(Rendition::Video)
        .chain(sound.renditions.into_iter().map(Rendition::Audio))
        .collect();
    Ok(Draft {
        source: source(probe, pin, &timeline)?,
        tasks: tasks(video.as_ref(), has_sound, settings.priority),
        timeline,
        segment,
        video,
        renditions,
        warnings,
        encoder: EncoderBuild {
            ffmpeg: ffmpeg.to_owned(),
        },
    })
}

/// The pictures that are encoded.
struct Pictures<'a> {
    stream: &'a Stream,
    video: &'a Video,
    size: Size,
    rate: rate::Rate,
    start: Rational,
    end: f64,
}

impl<'a> Pictures<'a> {
    /// The main video, where it has any pictures.
    fn of(probe: &'a Probe) -> Result<Option<Self>, Refusal> {
        let Some((stream, video)) = probe.main_video() else {
            return Ok(None);
        };
        let size = Size::upright(video);
        if size.short_side() < SMALLEST {
            let message = format!(
                "The picture of {}x{} px is too small; the shorter side must have {SMALLEST} px.",
                size.width, size.height
            );
            return Err(Refusal::new(Code::DimensionsTooSmall, message));
        }
        if size.long_side() > LARGEST {
            let message = format!(
                "The picture of {}x{} px is too large; no side may have more than {LARGEST} px.",
                size.width, size.height
            );
            return Err(Refusal::new(Code::ExceedsPolicy, message));
        }
        if video.dolby_vision == Some(5) {
            return Err(Refusal::new(
                Code::UnsupportedDolbyVision,
                "Dolby Vision profile 5 has no standard picture to convert.",
            ));
        }
        Ok(stream.end.map(|end| Self {
            stream,
            video,
            size,
            rate: rate::decide(video.average_rate, video.base_rate),
            start: stream.start.unwrap_or(probe.container_start),
            end,
        }))
    }

    fn plan(&self, probe: &Probe, timeline: &Timeline, grid: &Grid, segment: Segment) -> VideoPlan {
        let zero = timeline.zero.as_f64();
        let frames = grid.frame_at(self.end - zero).max(1);
        let span = chunks::Span {
            frames,
            segment_frames: grid.segment,
            segment_seconds: segment.duration.as_f64(),
            first_picture: grid.frame_at(self.start.as_f64() - zero),
            leads: &probe.leads,
        };
        VideoPlan {
            track: self.stream.index,
            frame_rate: grid.rate,
            segment_frames: grid.segment,
            frames,
            chunks: if probe.seekable { chunks::map(span) } else { vec![0] },
            seekable: probe.seekable,
            seek_margin: 0.0,
            picture: Picture {
                deinterlace: self.video.interlaced,
                color: color(self.video),
            },
        }
    }
}

/// What the source's samples mean. Where it does not say, size decides, as in players.
fn color(video: &Video) -> SourceColor {
    match (video.transfer.as_deref(), video.matrix.as_deref()) {
        (Some("smpte2084"), _) => SourceColor::Pq,
        (Some("arib-std-b67"), _) => SourceColor::Hlg,
        (_, Some("bt2020nc" | "bt2020c")) => SourceColor::Bt2020,
        (_, Some("bt470bg" | "smpte170m" | "bt470m" | "fcc")) => SourceColor::Bt601,
        (_, Some("bt709" | "smpte240m")) => SourceColor::Bt709,
        _ if video.width <= 1024 && video.height <= 576 => SourceColor::Bt601,
        _ => SourceColor::Bt709,
    }
}

/// A source whose packets end well before its own index says has lost its rest.
fn refuse_damage(probe: &Probe) -> Result<(), Refusal> {
    let (Some(declared), Some(end)) = (probe.declared_end, probe.end()) else {
        return Ok(());
    };
    let (start, missing) = (probe.container_start.as_f64(), declared - end);
    if missing > 1.0_f64.max((declared - start) * 0.02) {
        let message = format!(
            "The file ends after {:.1} s of {:.1} s; please upload it again.",
            end - start,
            declared - start
        );
        return Err(Refusal::new(Code::PartialInput, message));
    }
    Ok(())
}

fn warnings(probe: &Probe, pictures: Option<&Pictures<'_>>, video: Option<&VideoPlan>) -> Vec<String> {
    let any = |wanted: fn(&Content) -> bool| probe.streams.iter().any(|stream| wanted(&stream.content));
    let picture = video.map(|video| video.picture).unwrap_or_default();
    let several = probe
        .streams
        .iter()
        .filter(|stream| matches!(stream.content, Content::Video(_)))
        .count()
        > 1;
    let words = [
        ("not_seekable", video.is_some_and(|video| !video.seekable)),
        (
            "variable_frame_rate",
            pictures.is_some_and(|pictures| !pictures.rate.constant),
        ),
        ("deinterlaced", picture.deinterlace),
        (
            "tone_mapped",
            matches!(picture.color, SourceColor::Pq | SourceColor::Hlg),
        ),
        (
            "empty_video_track_left_out",
            pictures.is_none() && probe.main_video().is_some(),
        ),
        ("video_tracks_left_out", several),
        (
            "bitmap_subtitles_ignored",
            any(|content| matches!(content, Content::Subtitle { bitmap: true })),
        ),
        (
            "text_subtitles_ignored",
            any(|content| matches!(content, Content::Subtitle { bitmap: false })),
        ),
    ];
    words
        .into_iter()
        .filter(|(_, holds)| *holds)
        .map(|(word, _)| word.to_owned())
        .collect()
}

fn source(probe: &Probe, pin: Pin, timeline: &Timeline) -> Result<Source, Refusal> {
    let zero = timeline.zero.as_f64();
    let duration = probe.end().unwrap_or(zero) - zero;
    if duration > LONGEST {
        let message = format!(
            "The file lasts {:.0} h; at most {:.0} h are accepted.",
            duration / 3600.0,
            LONGEST / 3600.0
        );
        return Err(Refusal::new(Code::ExceedsPolicy, message));
    }
    Ok(Source {
        bucket: pin.bucket,
        key: pin.key,
        etag: pin.etag,
        size: pin.size,
        mime_type: mime::of(probe).to_owned(),
        container: probe.container.clone(),
        duration: duration.max(0.0),
        tracks: probe.streams.iter().map(|stream| track(stream, zero)).collect(),
    })
}

fn track(stream: &Stream, zero: f64) -> Track {
    let (video, audio) = match &stream.content {
        Content::Video(video) => (Some(video), None),
        Content::Audio(audio) => (None, Some(audio)),
        _ => (None, None),
    };
    let size = video.map(Size::upright);
    Track {
        index: stream.index,
        kind: match &stream.content {
            Content::Video(_) => TrackKind::Video,
            Content::Audio(_) => TrackKind::Audio,
            Content::Subtitle { .. } => TrackKind::Subtitle,
            Content::Cover => TrackKind::Cover,
            Content::Data => TrackKind::Data,
        },
        codec: stream.codec.clone(),
        language: stream.language.clone(),
        title: stream.title.clone(),
        default: stream.default,
        width: size.map(|size| size.width),
        height: size.map(|size| size.height),
        frame_rate: video.and_then(|video| video.average_rate),
        channels: audio.map(|audio| audio.channels),
        sample_rate: audio.map(|audio| audio.sample_rate),
        start: stream.start.map(|start| start.as_f64() - zero),
        end: stream.end.map(|end| end - zero),
    }
}

/// The first chunk, then the sound, then the other chunks: that is what a viewer needs first.
fn tasks(video: Option<&VideoPlan>, has_sound: bool, priority: Priority) -> Vec<PlannedTask> {
    let chunks = video.map_or(0, |video| video.chunks.len());
    let chunks = (0..u32::try_from(chunks).unwrap_or(u32::MAX)).map(TaskName::video);
    let mut tasks: Vec<TaskName> = chunks.collect();
    if has_sound {
        tasks.insert(tasks.len().min(1), TaskName::TRACKS);
    }
    let lane = |task: TaskName| match priority {
        Priority::High => Lane::Hi,
        Priority::Normal if task == TaskName::video(0) => Lane::Hi,
        Priority::Normal => Lane::Lo,
    };
    tasks
        .into_iter()
        .map(|task| PlannedTask {
            task,
            class: task.class(),
            lane: lane(task),
        })
        .collect()
}

#[cfg(test)]
mod tests;
