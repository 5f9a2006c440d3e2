//! Everything that is decided about a job, from a probe: what is encoded, how, in which pieces, and
//! why.

mod source;
mod tracks;
mod video;

use std::collections::BTreeSet;

use streams::fact::Head;
use streams::plan::{
    AudioRendition, EncoderBuild, LeftOut, Planned, PlannedTask, Rendition, Segment, Storyboard,
    Timeline, VideoPlan, VideoRendition,
};
use streams::upload::Priority;
use streams::{Code, Lane, Rational, TaskName};

use super::limits::Limits;
use super::probe::{Content, Probe, UnreadableCause, Video};
use super::profile::Profile;
use super::refusal::Refusal;
use super::timeline::Grid;
use super::{audio, cost, picture, rungs, skipped_streams, storyboard, timeline};
use tracks::Tracks;
use video::{Load, Pictures};

/// The object a plan is for, pinned to one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Bucket.
    pub bucket: String,
    /// Key.
    pub key: String,
    /// Version.
    pub etag: String,
    /// Size in bytes.
    pub size: u64,
}

/// How a job shall be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The policy.
    pub profile: Profile,
    /// Which lane its tasks wait in.
    pub priority: Priority,
    /// What is accepted at all.
    pub limits: Limits,
    /// Tasks that can be worked on at a time; 1 where that is unknown.
    pub fleet: u32,
}

/// Plans a source. Equal arguments give equal plans.
///
/// # Errors
/// [`Refusal`] with a permanent code when this source can never be done.
pub fn plan(
    head: Head,
    probe: &Probe,
    pin: Pin,
    settings: &Settings,
    ffmpeg: &str,
) -> Result<Planned, Refusal> {
    let profile = &settings.profile;

    // Refusals come first: nothing below holds for a source that cannot be done.
    settings.limits.judge(probe)?;
    refuse_unreadable(probe)?;
    let is_truncated = judge_end(probe)?;

    let pictures = Pictures::of(probe, profile)?;
    let clock = Clock::of(probe, profile, pictures.as_ref())?;
    let zero = clock.timeline.zero.as_f64();

    // Video and audio together decide the length of the programme, and then each track gets that
    // length.
    let mut tracks = Tracks::of(probe, profile, zero, pictures.is_some());
    let shown = pictures.as_ref().zip(clock.grid);
    let end = shown.map(|(pictures, grid)| (pictures.end - zero, grid));
    let programme = Programme::of(end, &tracks.sound, profile);
    tracks.last_for(programme.seconds);

    let mut video = shown
        .map(|(pictures, grid)| pictures.plan(probe, &clock.timeline, &grid, programme.frames));
    let ladder = shown.map(|(pictures, grid)| {
        rungs::renditions(profile, pictures.size, &grid, pictures.budget())
    });
    let ladder = ladder.unwrap_or_default();
    if let (Some(video), Some((pictures, _))) = (&mut video, shown) {
        video.picture.captions =
            video.held_frames() == 0 && pictures.keep_captions(&ladder.renditions);
    }

    let source = source::source(probe, pin, &clock.timeline);
    let has_tracks = tracks.has_task();
    let renditions = renditions(ladder.renditions, tracks.sound);

    if let (Some(video), Some((pictures, grid))) = (&mut video, shown) {
        // The chunks depend on the cost, and the cost on the renditions, so the plan has one chunk
        // until here.
        let load = Load {
            cpu_seconds: cost::estimate(&source, Some(video), &renditions, None).cpu_seconds,
            fleet: settings.fleet,
        };
        video.chunks = pictures.chunks(probe, &clock.timeline, &grid, video, load);
    }

    let mut warnings = warnings(probe, pictures.as_ref(), video.as_ref());
    warnings.extend(is_truncated.then(|| "truncated".to_owned()));
    warnings.extend(is_padded(video.as_ref(), &renditions).then(|| "length_padded".to_owned()));
    warnings.extend(tracks.warnings.iter().cloned());

    let captions =
        shown.and_then(|(pictures, _)| captions_left_out(pictures.video, video.as_ref()));
    let left_out = ladder
        .left_out
        .into_iter()
        .chain(captions)
        .chain(tracks.left_out);

    let mut plan = Planned {
        head,
        profile: profile.name.clone(),
        source,
        tasks: tasks(video.as_ref(), has_tracks, settings.priority),
        timeline: clock.timeline,
        programme: programme.seconds,
        segment: programme.segment,
        storyboard: storyboard(profile, pictures.as_ref(), video.as_ref()),
        video,
        renditions,
        subtitles: tracks.subtitles,
        cover: tracks.cover,
        left_out: left_out.collect(),
        complexity: None,
        cost: None,
        warnings,
        encoder: EncoderBuild {
            ffmpeg: ffmpeg.to_owned(),
        },
        needs: Vec::new(),
    };

    list_unused_streams(&mut plan, probe);
    estimate_cost(&mut plan);
    Ok(plan)
}

fn renditions(video: Vec<VideoRendition>, sound: Vec<AudioRendition>) -> Vec<Rendition> {
    let video = video.into_iter().map(Rendition::Video);
    video
        .chain(sound.into_iter().map(Rendition::Audio))
        .collect()
}

/// Says why each stream of the source that is not used is not.
fn list_unused_streams(plan: &mut Planned, probe: &Probe) {
    let mut used: BTreeSet<u32> = plan.video.iter().map(|video| video.track).collect();

    // A pair of mono tracks uses two streams for one rendition.
    used.extend(
        plan.renditions
            .iter()
            .filter_map(|rendition| match rendition {
                Rendition::Audio(audio) => Some([Some(audio.track), audio.right_track]),
                Rendition::Video(_) => None,
            })
            .flatten()
            .flatten(),
    );

    used.extend(plan.subtitles.iter().map(|subtitle| subtitle.track));
    used.extend(plan.cover);

    let left_out = skipped_streams::streams(probe, &used, &plan.left_out);
    plan.left_out.extend(left_out);
}

/// Estimates the cost of a plan; must be called again after its renditions change.
pub fn estimate_cost(plan: &mut Planned) {
    plan.cost = Some(cost::estimate(
        &plan.source,
        plan.video.as_ref(),
        &plan.renditions,
        plan.complexity.as_ref(),
    ));
}

/// Where zero lies, and what is counted from there.
struct Clock {
    timeline: Timeline,
    /// Absent without pictures.
    grid: Option<Grid>,
}

/// How long the output is.
struct Programme {
    /// Frames at full rate; none without pictures.
    frames: u64,
    seconds: f64,
    segment: Segment,
}

impl Programme {
    /// That of video which ends this many seconds from zero, and of audio.
    fn of(pictures: Option<(f64, Grid)>, sound: &[AudioRendition], profile: &Profile) -> Self {
        let sound = sound
            .iter()
            .map(|rendition| rendition.source_end)
            .fold(0.0, f64::max);
        let Some((pictures, grid)) = pictures else {
            return Self {
                frames: 0,
                seconds: sound,
                segment: timeline::segments(Rational::whole(profile.segment.into()), sound, 0.0),
            };
        };

        let frames = grid.programme(pictures, sound);
        Self {
            frames,
            seconds: grid.seconds(frames),
            segment: grid.segments(frames),
        }
    }
}

impl Clock {
    fn of(
        probe: &Probe,
        profile: &Profile,
        pictures: Option<&Pictures<'_>>,
    ) -> Result<Self, Refusal> {
        let usable = probe
            .audios()
            .filter(|(stream, _)| audio::is_usable(stream));
        let first_sound = usable.filter_map(|(stream, _)| stream.start).min();

        match (pictures, first_sound) {
            (Some(pictures), _) => {
                let grid = Grid::new(pictures.rate.frames, profile.segment, profile.gop);
                Ok(Self {
                    timeline: timeline::with_pictures(
                        pictures.start,
                        first_sound,
                        grid.rate,
                        probe.container_start,
                    ),
                    grid: Some(grid),
                })
            }
            (None, Some(first)) => Ok(Self {
                timeline: timeline::sound_alone(first, probe.container_start),
                grid: None,
            }),
            (None, None) => Err(Refusal::new(
                Code::NoTracks,
                "The file has neither video nor audio that can be decoded.",
            )),
        }
    }
}

/// The preview pictures, where the profile wants any.
fn storyboard(
    profile: &Profile,
    pictures: Option<&Pictures<'_>>,
    video: Option<&VideoPlan>,
) -> Option<Storyboard> {
    let (pictures, video) = pictures.zip(video).filter(|_| profile.storyboard)?;
    Some(storyboard::plan(
        video.frames,
        video.frame_rate,
        pictures.size,
    ))
}

/// Video that exists but cannot be decoded is never left out silently, and neither is all of the
/// audio.
fn refuse_unreadable(probe: &Probe) -> Result<(), Refusal> {
    let has_pictures = probe
        .main_video()
        .is_some_and(|(stream, _)| stream.end.is_some());
    let has_sound = probe.audios().any(|(stream, _)| audio::is_usable(stream));
    let pictures = probe.unreadable().find(|(_, why)| why.is_video);
    let sound = probe.unreadable().find(|(_, why)| !why.is_video);
    let refused = pictures
        .filter(|_| !has_pictures)
        .or(sound.filter(|_| !has_pictures && !has_sound));
    let Some((stream, why)) = refused else {
        return Ok(());
    };

    let what = if why.is_video { "video" } else { "audio" };
    let codec = if stream.codec.is_empty() {
        "unknown"
    } else {
        &stream.codec
    };
    let index = stream.index;

    let (code, message) = match why.cause {
        UnreadableCause::NoDecoder => (
            Code::UnsupportedCodec,
            format!(
                "The {what} of the file (track {index}) uses the codec {codec}, which this server cannot decode; please upload the file with a common codec."
            ),
        ),
        UnreadableCause::NoParameters => (
            Code::DecodeErrors,
            format!(
                "The {what} of the file (track {index}, codec {codec}) lacks the information that a decoder needs in the first 60 s or 100 MB."
            ),
        ),
        UnreadableCause::UnknownForm => (
            Code::UnsupportedCodec,
            format!(
                "The {what} of the file (track {index}) uses a variant of the codec {codec} that this server cannot decode; please upload the file with a common codec."
            ),
        ),
    };
    Err(Refusal::new(code, message))
}

/// Whether a source ends well before its own index says: then it was cut. What is left is published
/// where it is at least half.
fn judge_end(probe: &Probe) -> Result<bool, Refusal> {
    let (Some(declared), Some(end)) = (probe.declared_end, probe.end()) else {
        return Ok(false);
    };

    let start = probe.container_start.as_f64();
    let (length, found) = (declared - start, end - start);
    if length - found <= 1.0_f64.max(length * 0.02) {
        return Ok(false);
    }

    if found < length / 2.0 {
        let message =
            format!("The file ends after {found:.1} s of {length:.1} s; please upload it again.");
        return Err(Refusal::new(Code::TruncatedUpload, message));
    }
    Ok(true)
}

/// Whether something ends well before the programme does, and is made as long.
fn is_padded(video: Option<&VideoPlan>, renditions: &[Rendition]) -> bool {
    let is_short = |rendition: &Rendition| match rendition {
        Rendition::Audio(audio) => audio.padding() > timeline::MAX_END_DIFFERENCE_SECONDS,
        Rendition::Video(_) => video.is_some_and(|video| video.held_frames() > 0),
    };
    renditions.iter().any(is_short)
}

/// The entry for closed captions that the output lacks.
fn captions_left_out(source: &Video, video: Option<&VideoPlan>) -> Option<LeftOut> {
    let lost = source.captions && !video?.picture.captions;
    lost.then(|| LeftOut {
        name: "closed captions".to_owned(),
        reason:
            "they belong to single pictures, and are kept only if libx264 makes each of these one picture of every rung"
                .to_owned(),
    })
}

fn warnings(
    probe: &Probe,
    pictures: Option<&Pictures<'_>>,
    video: Option<&VideoPlan>,
) -> Vec<String> {
    let picture = video.map(|video| video.picture).unwrap_or_default();
    let shown = pictures.map(|pictures| pictures.video);
    let videos = probe
        .streams
        .iter()
        .filter(|stream| matches!(stream.content, Content::Video(_)));
    let unreadable_videos = probe.unreadable().filter(|(_, why)| why.is_video);
    let several = videos.count() + unreadable_videos.count() > 1;

    let words = [
        ("timestamps_repaired", probe.clock_repair.is_some()),
        (
            "size_changes",
            shown.is_some_and(|video| video.size_changes),
        ),
        (
            "audio_left_out",
            probe.unreadable().any(|(_, why)| !why.is_video),
        ),
        ("not_seekable", video.is_some_and(|video| !video.seekable)),
        (
            "variable_frame_rate",
            pictures.is_some_and(|pictures| !pictures.rate.constant),
        ),
        ("deinterlaced", picture.deinterlace),
        (
            "interlace_flags_wrong",
            shown.is_some_and(|video| video.interlaced != picture::is_interlaced(video)),
        ),
        ("alpha_flattened", picture.flatten),
        (
            "rotation_rounded",
            shown.is_some_and(|video| video.turn().rounded),
        ),
        (
            "tone_mapped",
            picture.color.transfer.is_high_dynamic_range(),
        ),
        ("colour_approximated", picture.color.approximated),
        (
            "captions_left_out",
            shown.is_some_and(|video| video.captions && !picture.captions),
        ),
        (
            "empty_video_track_left_out",
            pictures.is_none() && probe.main_video().is_some(),
        ),
        ("video_tracks_left_out", several),
    ];

    words
        .into_iter()
        .filter(|(_, holds)| *holds)
        .map(|(word, _)| word.to_owned())
        .collect()
}

/// The first chunk, then audio and subtitles, then the other chunks: in the order in which a viewer
/// needs them.
fn tasks(video: Option<&VideoPlan>, has_tracks: bool, priority: Priority) -> Vec<PlannedTask> {
    let chunks = video.map_or(0, |video| video.chunks.len());
    let chunks = (0..u32::try_from(chunks).unwrap_or(u32::MAX)).map(TaskName::video);
    let mut tasks: Vec<TaskName> = chunks.collect();
    if has_tracks {
        tasks.insert(tasks.len().min(1), TaskName::TRACKS);
    }

    // At normal priority the first chunk alone waits in the high lane, since a viewer waits for it.
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
