//! What a task takes, from its plan. Pure.
//!
//! The figures of memory were measured with ffmpeg 5.1 on one 1080p30 clip in three rungs (1080p,
//! 720p, 480p, x264 `faster`): 564 MB with three threads an encoder, 877 MB with twelve, 1304 MB
//! with 24, so seven pictures for each further thread; and 105 MB for fourteen more threads of the
//! decoder, 2.4 pictures each. The model of [`cost`] gives 670 MB for the first, and is on the safe
//! side.

use ffmpeg::argv::{self, reference};
use media::ladder::cost;
use streams::plan::{AudioRendition, Planned, Rendition, VideoRendition};
use streams::task::{Duty, TaskName};

use super::Resource;

/// Closed segments of a rendition that may be in the work folder: those being uploaded, those that
/// wait until the source is throttled, the one being written, and those that ffmpeg still makes
/// from what it has already read.
const HELD: u64 = 12;
/// Segments of an audio rendition that are kept and joined at a time to be listened to.
const HEARD: u64 = 15;
/// Segments of a task that are in the memory of this process while they are sent.
const SENDING: u64 = 4;
/// Boxes around the media, and rates that overshoot their cap: a tenth.
const OVERHEAD: u64 = 10;
/// Bytes for what has no rate: playlists, levels and measurements as text, subtitles, a cover.
const SMALL_FILES: u64 = 16 << 20;

/// Bytes of an ffmpeg that only encodes audio, and of each rendition in it.
const SOUND_MEMORY: (u64, u64) = (120 << 20, 24 << 20);
/// Threads of an encoder that the model of memory holds already.
const MODEL_THREADS: u64 = 3;
/// Tenths of a picture that each further thread of an encoder takes, and of a decoder.
const THREAD_PICTURES: (u64, u64) = (70, 24);

/// Pictures of a rung that the memory model counts for threads and for other rungs, and that do not
/// exist if one thread encodes a single rung: 1080p then takes 308 MB with x264 `faster`, while the
/// model says 458.
const TOGETHER: u64 = 40;

/// What a task takes while it is in work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResourceRequirements {
    /// Bytes in the work folder, at most.
    pub disk: u64,
    /// Bytes of memory, of ffmpeg and of this process on its behalf.
    pub memory: u64,
}

impl ResourceRequirements {
    /// About what a chunk of a 1080p video takes by the profile `standard` on two cores.
    pub const USUAL: Self = Self {
        disk: 100_000_000,
        memory: 700_000_000,
    };

    /// What a task of a plan needs on a machine with this many cores.
    #[must_use]
    pub fn of_task(plan: &Planned, task: TaskName, cores: usize) -> Self {
        match task.duty {
            Duty::Video(chunk) => Self {
                disk: chunk_disk(plan, chunk),
                memory: video_memory(plan, cores),
            },
            Duty::Tracks => {
                let renditions = plan.audios().count() as u64;
                Self {
                    disk: SMALL_FILES
                        + argv::uniform_bytes(plan) * (100 + OVERHEAD) / 100
                        + plan
                            .audios()
                            .map(|rendition| audio_disk(plan, rendition))
                            .sum::<u64>(),
                    memory: SOUND_MEMORY.0 + SOUND_MEMORY.1 * renditions,
                }
            }
            Duty::Plan | Duty::Playlist | Duty::Finish => Self::default(),
        }
    }

    /// What a chunk takes whose rungs are made one after the other, by one thread each.
    #[must_use]
    pub fn of_one_rung(plan: &Planned, task: TaskName) -> Self {
        let rungs = plan.videos().map(|rung| {
            let alone = [Rendition::Video(rung.clone())];
            let model =
                cost::estimate(&plan.source, plan.video.as_ref(), &alone, None).memory_bytes;
            model.saturating_sub(TOGETHER * pixels(rung) * 3 / 2)
                + SENDING * segment_bytes(plan, rung)
        });
        Self {
            memory: rungs.max().unwrap_or(0),
            ..Self::of_task(plan, task, 1)
        }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            disk: self.disk.saturating_add(other.disk),
            memory: self.memory.saturating_add(other.memory),
        }
    }

    /// What is left when the other one is released.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self {
            disk: self.disk.saturating_sub(other.disk),
            memory: self.memory.saturating_sub(other.memory),
        }
    }

    /// How much of a resource it is, in bytes.
    #[must_use]
    pub const fn of(self, resource: Resource) -> u64 {
        match resource {
            Resource::Disk => self.disk,
            Resource::Memory => self.memory,
        }
    }

    /// What the copy of a source of this many bytes needs: headers of small packets may make it a
    /// tenth larger.
    #[must_use]
    pub const fn of_copy(size: u64) -> Self {
        Self {
            disk: size + size / 10,
            memory: 0,
        }
    }

    /// What the sample encodes of a plan take: every rung at once, as in a chunk.
    #[must_use]
    pub fn of_sample(plan: &Planned, cores: usize) -> Self {
        let cost = cost::estimate(&plan.source, plan.video.as_ref(), &plan.renditions, None);
        let rungs = plan.renditions.iter().filter_map(Rendition::video);
        Self {
            disk: SMALL_FILES,
            memory: cost.memory_bytes + threads(rungs, cores),
        }
    }
}

/// First the segments lie there and the frames the encoders got, then what was read back and the
/// frames that were decoded of it.
fn chunk_disk(plan: &Planned, chunk: u32) -> u64 {
    let Some((video, (first, end))) = plan
        .video
        .as_ref()
        .and_then(|video| Some((video, video.chunk_frames(chunk)?)))
    else {
        return SMALL_FILES;
    };

    let segments = (end - first).div_ceil(u64::from(video.segment_frames.max(1)));
    let (mut making, mut reading) = (0, 0);
    for rung in plan.videos() {
        let samples = reference::frames(plan, rung, chunk);
        let frames = samples.len() as u64 * picture_bytes(rung);
        let kept = samples.chunk_by(|a, b| a.segment == b.segment).count() as u64;
        making += segments.min(HELD) * segment_bytes(plan, rung) + frames;
        reading += 2 * kept * segment_bytes(plan, rung) + 2 * frames;
    }

    let tiles = plan.storyboard.map_or(0, |board| {
        (board.tiles_in(first, end).len() * board.tile_bytes()) as u64
    });

    // Making and reading back follow each other, so the larger of the two counts.
    SMALL_FILES + tiles + poster_bytes(plan, chunk, segments) + u64::max(making, reading)
}

/// Bytes of the largest segment of a rung: its cap, and a whole buffer on top.
fn segment_bytes(plan: &Planned, rung: &VideoRendition) -> u64 {
    let bits = rung.maxrate * seconds(plan) + rung.bufsize;
    bits / 8 * (100 + OVERHEAD) / 100
}

fn audio_disk(plan: &Planned, rendition: &AudioRendition) -> u64 {
    let segment = rendition.bitrate * seconds(plan) / 8 * (100 + OVERHEAD) / 100;
    let segments = (rendition.duration.max(0.0) as u64).div_ceil(seconds(plan)) + 1;
    let listening = segments.min(HEARD) * 2;
    // Levels are text: some hundred bytes a second, for the output and for the piece that is
    // measured.
    let levels = 512 * (segments + HEARD) * seconds(plan);
    u64::max(segments.min(HELD), listening) * segment + levels
}

/// Whole seconds of a segment, rounded up.
fn seconds(plan: &Planned) -> u64 {
    (plan.segment.duration.as_f64().ceil() as u64).max(1)
}

/// Bytes of the luma of a picture, as evidence is kept.
fn picture_bytes(rung: &VideoRendition) -> u64 {
    let depth = if rung.pixel_format.contains("10") {
        2
    } else {
        1
    };
    pixels(rung) * depth
}

/// Pixels of a picture.
fn pixels(rung: &VideoRendition) -> u64 {
    u64::from(rung.width) * u64::from(rung.height)
}

/// Bytes of the pictures among which the poster is chosen: eight, and one more each time the chunk
/// is twice as long.
fn poster_bytes(plan: &Planned, chunk: u32, segments: u64) -> u64 {
    match argv::poster_size(plan) {
        Some(size) if argv::has_poster(chunk) => {
            let pictures = argv::POSTER_CHOICE + 1 + u64::from(segments.max(1).ilog2());
            pictures * u64::from(size.width) * u64::from(size.height) * 3
        }
        _ => 0,
    }
}

fn video_memory(plan: &Planned, cores: usize) -> u64 {
    let model =
        cost::estimate(&plan.source, plan.video.as_ref(), &plan.renditions, None).memory_bytes;
    let largest = plan
        .videos()
        .map(|rung| segment_bytes(plan, rung))
        .max()
        .unwrap_or(0);
    model + threads(plan.videos(), cores) + SENDING * largest
}

/// What more cores take: x264 runs one and a half threads for each, and the decoder one.
fn threads<'a>(rungs: impl Iterator<Item = &'a VideoRendition>, cores: usize) -> u64 {
    let cores = cores as u64;
    let encoder = (cores * 3 / 2).saturating_sub(MODEL_THREADS) * THREAD_PICTURES.0;
    let decoder = cores.saturating_sub(2) * THREAD_PICTURES.1;
    let sizes: Vec<u64> = rungs.map(|rung| pixels(rung) * 3 / 2).collect();
    (sizes.iter().sum::<u64>() * encoder + sizes.iter().max().unwrap_or(&0) * decoder) / 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use streams::testing::planned;

    const MB: u64 = 1_000_000;

    #[test]
    fn a_chunk_needs_its_segments_at_their_caps_its_evidence_its_tiles_and_its_poster() {
        let plan = planned();
        // 900 frames in four segments: the second chunk holds two, and three frames of each rung
        // are compared. All of it once while it is made, and twice when it is read back.
        let need = ResourceRequirements::of_task(&plan, TaskName::video(1), 2);

        let caps = 2 * (9 * MB * 6 + 16 * MB / 10 * 6) / 8 * 110 / 100;
        let evidence = 3 * (1920 * 1080 + 854 * 480);
        let tiles = 4 * 192 * 108 * 3;
        let poster = 10 * 1280 * 720 * 3;
        let all = SMALL_FILES + 2 * (caps + evidence) + tiles + poster;
        assert!(
            need.disk.abs_diff(all) < all / 50,
            "{} is far from {all}",
            need.disk
        );

        // A longer chunk needs more, but only up to what may wait to be sent.
        let mut long = plan.clone();
        let video = long.video.as_mut().unwrap();
        (video.frames, video.chunks) = (240 * 1000, vec![0]);
        let most = ResourceRequirements::of_task(&long, TaskName::video(0), 2).disk;
        assert!(most > need.disk);

        long.video.as_mut().unwrap().frames *= 10;
        long.storyboard = None;
        assert!(ResourceRequirements::of_task(&long, TaskName::video(0), 2).disk < most + 12 * MB);
    }

    #[test]
    fn more_cores_need_more_memory_as_was_measured() {
        let mut plan = planned();
        plan.source.tracks = Vec::new();
        let memory = |cores| ResourceRequirements::of_task(&plan, TaskName::video(0), cores).memory;
        // Two rungs of 2.5 million pixels: seven pictures of 3.7 MB for each thread.
        let more = memory(16) - memory(2);
        assert!((500 * MB..800 * MB).contains(&more), "{more}");
        assert_eq!(memory(1), memory(2));
    }

    #[test]
    fn sound_needs_little_however_long_it_is() {
        let mut plan = planned();
        let short = ResourceRequirements::of_task(&plan, TaskName::TRACKS, 2);
        for rendition in &mut plan.renditions {
            if let streams::plan::Rendition::Audio(audio) = rendition {
                audio.duration = 36_000.0;
            }
        }

        let long = ResourceRequirements::of_task(&plan, TaskName::TRACKS, 2);
        assert!(
            short.disk < 20 * MB && long.disk < 60 * MB,
            "{short:?} {long:?}"
        );
        assert_eq!(short.memory, long.memory);
    }

    #[test]
    fn sound_that_changes_needs_room_for_all_of_it() {
        let mut plan = planned();
        let usual = ResourceRequirements::of_task(&plan, TaskName::TRACKS, 2).disk;
        media::ladder::audio::expect_changes(&mut plan);
        let more = ResourceRequirements::of_task(&plan, TaskName::TRACKS, 2).disk - usual;
        let samples = 2 * 15 * 48_000 * 2 * 4;
        assert!((samples..samples * 5 / 4).contains(&more), "{more}");
    }

    #[test]
    fn one_rung_after_the_other_fits_a_worker_of_half_a_gigabyte() {
        let mut plan = planned();
        plan.source.tracks = Vec::new();
        let (task, mb) = (TaskName::video(0), 1 << 20);
        let alone = ResourceRequirements::of_one_rung(&plan, task);
        assert!(
            alone.memory < ResourceRequirements::of_task(&plan, task, 1).memory - 100 * MB,
            "{alone:?}"
        );

        // What is left of 512 MiB by ourselves and the block cache.
        assert!(alone.memory < (512 - 96 - 64) * mb, "{alone:?}");
    }

    #[test]
    fn a_copy_needs_its_source_and_a_tenth() {
        assert_eq!(
            ResourceRequirements::of_copy(1000),
            ResourceRequirements {
                disk: 1100,
                memory: 0
            }
        );
    }
}
