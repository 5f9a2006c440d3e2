//! How much of the machine a run may use (`setrlimit(2)`): derived from the plan, generous, and
//! finite.
//!
//! Measured with ffmpeg 5.1 on two cores, rungs from the top down to 360 lines: `RLIMIT_DATA`
//! counts what `VmData` shows.
//!
//! | source | rungs from | encoder | threads | memory | processor time for a second of media |
//! |---|---|---|---|---|---|
//! | 1080, 8 bits | 1080 | x264 faster | 2 | 1.0 GiB | 3 s |
//! | 1080, 8 bits | 1080 | x264 faster | 16 | 2.5 GiB | 3 s |
//! | 2160, 10 bits | 1080 | x264 faster | 2 | 1.2 GiB | 4 s |
//! | 2160, 10 bits | 2160 | x264 faster | 2 | 2.5 GiB | 10 s |
//! | 2160, 10 bits | 2160 | x264 slow | 2 | 4.0 GiB | 22 s |
//! | 2160, 10 bits | 2160 | x264 slow | 16 | 7.4 GiB | 23 s |
//! | 2160, 10 bits | 2160, 10 bits | x265 slow | 2 | 4.8 GiB | more than 45 s |
//!
//! The bounds below are two to four times as much memory, and at least ten times as much processor
//! time: a machine may be slower, and a picture harder, than those measured. What is over them is
//! no video but a trap for decoders.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use streams::plan::{Planned, Source, VideoPlan, VideoRendition};

use crate::argv;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Files, pipes and connections a run may have open: the longest plan needs a hundred.
const MAX_OPEN_FILES: u64 = 512;

/// How much more than other processes a run is to be killed where memory runs out (proc(5),
/// `oom_score_adj`, up to 1000): before its worker, which would take the other tasks with it.
const OOM_SCORE_ADJ: &str = "800";

/// Bytes of a pixel in the widest format frames are kept in: 10 bits, colours at half the
/// resolution.
const BYTES_PER_PIXEL: u64 = 3;

/// How much of the machine a run may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Bytes of memory it may write to, stacks included.
    pub memory: u64,
    /// Bytes of the largest file it may write.
    pub file: u64,
    /// Processor time of all its threads.
    pub processor: Duration,
}

impl ResourceLimits {
    /// For what a build says of itself, and a few pictures through an encoder.
    #[must_use]
    pub const fn answer() -> Self {
        Self {
            memory: 4 * GIB,
            file: MIB,
            processor: Duration::from_secs(300),
        }
    }

    /// For a look at a part of a source. It writes no file.
    #[must_use]
    pub const fn extract_samples() -> Self {
        Self {
            memory: 8 * GIB,
            file: 0,
            processor: Duration::from_secs(300),
        }
    }

    /// For reading through the packets of a source that has no index. It writes no file.
    #[must_use]
    pub const fn scan() -> Self {
        Self {
            processor: Duration::from_secs(1800),
            ..Self::extract_samples()
        }
    }

    /// For a copy, packet for packet, of a source of `size` bytes.
    #[must_use]
    pub fn copy(size: u64) -> Self {
        Self {
            memory: 2 * GIB,
            file: (size + size / 2).saturating_add(256 * MIB),
            processor: Duration::from_secs(600 + size / (8 * MIB)),
        }
    }

    /// For a chunk of `seconds` of the video, on `threads` cores.
    #[must_use]
    pub fn chunk(plan: &Planned, seconds: f64, threads: usize) -> Self {
        let Some(video) = &plan.video else {
            return Self::answer();
        };

        let work = Work::of(&plan.source, video, plan.videos());
        let segment = plan.segment.duration.as_f64();
        let largest = plan
            .videos()
            .map(|rung| rung.maxrate)
            .max()
            .unwrap_or_default();

        Self {
            memory: GIB + work.memory(1, threads),
            // Caps apply to a buffer of a second, not to every segment; in addition a few pictures
            // are raw.
            file: 256 * MIB
                + seconds_of(segment).as_secs().saturating_mul(largest)
                + 32 * BYTES_PER_PIXEL * work.top,
            processor: Duration::from_secs(600) + seconds_of(seconds * work.speed),
        }
    }

    /// For `windows` short windows of the video at every rung, within `wall`, on `threads` cores.
    #[must_use]
    pub fn sample<'a>(
        (source, video): (&Source, &VideoPlan),
        rungs: impl Iterator<Item = &'a VideoRendition>,
        (windows, wall): (usize, Duration),
        threads: usize,
    ) -> Self {
        let work = Work::of(source, video, rungs);
        Self {
            memory: GIB + work.memory(windows, threads),
            file: 64 * MIB,
            processor: wall.saturating_mul(u32::try_from(threads).unwrap_or(u32::MAX)),
        }
    }

    /// For all audio, subtitles and the cover of a source.
    #[must_use]
    pub fn tracks(plan: &Planned) -> Self {
        let tracks = (plan.audios().count() + plan.subtitles.len()).max(1) as f64;
        Self {
            memory: 4 * GIB,
            file: GIB + 2 * argv::uniform_bytes(plan),
            // Audio is encoded at about 140 times real time.
            processor: Duration::from_secs(600) + seconds_of(plan.source.duration * tracks / 4.0),
        }
    }

    /// For reading the output of fluxhls itself.
    #[must_use]
    pub const fn readback() -> Self {
        Self {
            memory: 8 * GIB,
            file: 2 * GIB,
            processor: Duration::from_secs(1800),
        }
    }

    /// Imposes the limits on a process that has just begun. Until then it runs without: that is no
    /// way out, since each limit is judged when something is used, and what was used before counts.
    ///
    /// # Errors
    /// When the kernel refuses a limit.
    pub(super) fn impose(self, pid: u32) -> io::Result<()> {
        let seconds = self.processor.as_secs().max(1);
        let limits = [
            (Resource::Data, self.memory, self.memory),
            (Resource::Fsize, self.file, self.file),
            // ffmpeg takes the signal of the lower limit for a wish to end well; the upper one
            // kills.
            (Resource::Cpu, seconds, seconds.saturating_add(10)),
            (Resource::Nofile, MAX_OPEN_FILES, MAX_OPEN_FILES),
            (Resource::Core, 0, 0),
        ];

        let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
        for (resource, current, maximum) in limits {
            // A limit of this process itself cannot be raised.
            let bound = getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let limit = Rlimit {
                current: Some(current.min(bound)),
                maximum: Some(maximum.min(bound)),
            };
            match prlimit(process, resource, limit) {
                // It has ended already.
                Err(rustix::io::Errno::SRCH) => return Ok(()),
                other => other.map_err(io::Error::from)?,
            };
        }

        if let Err(error) = std::fs::write(format!("/proc/{pid}/oom_score_adj"), OOM_SCORE_ADJ) {
            tracing::debug!(%error, "ffmpeg is not the first process to be killed when memory runs out");
        }
        Ok(())
    }
}

/// What pictures cost.
struct Work {
    /// Pixels of a picture of the source.
    source: u64,
    /// Pixels of a picture of the top rung.
    top: u64,
    /// Pixels of a picture of every rung, all together.
    all: u64,
    /// Rungs.
    rungs: u64,
    /// Most seconds of processor time for a second of media.
    speed: f64,
}

impl Work {
    /// Seconds for a million pixels of a source: decoding, fields into frames, tone mapping. The
    /// last costs most, about 0.04.
    const DECODE: f64 = 0.4;

    /// Seconds for a million pixels of a rung by x264 with a fast preset, which takes about 0.03.
    const ENCODE: f64 = 0.5;

    fn of<'a>(
        source: &Source,
        video: &VideoPlan,
        rungs: impl Iterator<Item = &'a VideoRendition>,
    ) -> Self {
        let pixels = |width: u32, height: u32| u64::from(width) * u64::from(height);
        let rungs: Vec<&VideoRendition> = rungs.collect();
        let sizes = || rungs.iter().map(|rung| pixels(rung.width, rung.height));
        let top = sizes().max().unwrap_or_default();

        let track = source
            .tracks
            .iter()
            .find(|track| track.index == video.track);
        let read = track
            .and_then(|track| Some(pixels(track.width?, track.height?)))
            .unwrap_or(top);
        let rate = track
            .and_then(|track| track.frame_rate)
            .unwrap_or(video.frame_rate);

        let encode = rungs.iter().map(|rung| {
            millions(pixels(rung.width, rung.height))
                * rung.frame_rate.as_f64()
                * Self::ENCODE
                * weight(rung)
        });

        Self {
            source: read,
            top,
            all: sizes().sum(),
            rungs: rungs.len() as u64,
            speed: millions(read) * rate.as_f64().clamp(60.0, 240.0) * Self::DECODE
                + encode.sum::<f64>(),
        }
    }

    /// Bytes for the pictures decoders and encoders hold, and the stacks of their threads, with
    /// `decoders` of the source at a time.
    fn memory(&self, decoders: usize, threads: usize) -> u64 {
        let (decoders, threads) = (decoders.max(1) as u64, threads.max(1) as u64);
        let held = |pixels: u64, pictures: u64| {
            pixels
                .saturating_mul(BYTES_PER_PIXEL)
                .saturating_mul(pictures)
        };
        let stacks = (self.rungs + decoders) * threads * 32 * MIB;
        stacks
            .saturating_add(held(self.all, 160 + 16 * threads))
            .saturating_add(held(self.source, 64 + 8 * threads).saturating_mul(decoders))
    }
}

/// How much longer an encoder takes than x264 with a fast preset.
fn weight(rung: &VideoRendition) -> f64 {
    let encoder = if rung.encoder == "libx264" { 1.0 } else { 2.0 };
    let preset = if rung.preset.contains("fast") || rung.preset == "medium" {
        1.0
    } else {
        4.0
    };
    encoder * preset
}

#[expect(
    clippy::cast_precision_loss,
    reason = "pictures have fewer than 2^52 pixels"
)]
fn millions(pixels: u64) -> f64 {
    pixels as f64 / 1e6
}

/// This many seconds; the largest duration for a value that is not a length.
fn seconds_of(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(u64::from(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use streams::plan::Rendition;
    use streams::testing::planned;

    /// A plan whose video has this source and these rungs, at 25 frames a second.
    fn plan(
        (width, height): (u32, u32),
        rungs: &[(u32, u32)],
        encoder: &str,
        preset: &str,
    ) -> Planned {
        let mut plan = planned();
        let track = serde_json::json!({
            "index": 1, "kind": "video", "codec": "h264", "width": width, "height": height, "frame_rate": "25",
        });
        plan.source.tracks = vec![serde_json::from_value(track).unwrap()];

        let Some(Rendition::Video(first)) = plan.renditions.first().cloned() else {
            panic!("the plan has a video");
        };
        let rung = |(width, height): &(u32, u32)| VideoRendition {
            width: *width,
            height: *height,
            frame_rate: streams::Rational::whole(25),
            encoder: encoder.to_owned(),
            preset: preset.to_owned(),
            subme: None,
            ..first.clone()
        };

        plan.renditions = rungs
            .iter()
            .map(|size| Rendition::Video(rung(size)))
            .collect();
        plan
    }

    /// What the table above says: lines of the source, rungs, encoder and preset, threads; then
    /// MiB, seconds of media, seconds of time.
    type Measured = (
        u32,
        usize,
        (&'static str, &'static str),
        usize,
        (u64, f64, u64),
    );

    const MEASURED: [Measured; 7] = [
        (1080, 4, ("libx264", "faster"), 2, (1030, 12.0, 35)),
        (1080, 4, ("libx264", "faster"), 16, (2548, 12.0, 35)),
        (2160, 4, ("libx264", "faster"), 2, (1277, 4.0, 16)),
        (2160, 5, ("libx264", "faster"), 2, (2594, 4.0, 41)),
        (2160, 5, ("libx264", "slow"), 2, (4058, 4.0, 87)),
        (2160, 5, ("libx264", "slow"), 16, (7599, 4.0, 91)),
        (2160, 5, ("libx265", "slow"), 2, (4776, 4.0, 178)),
    ];

    const LADDER: [(u32, u32); 5] = [
        (3840, 2160),
        (1920, 1080),
        (1280, 720),
        (854, 480),
        (640, 360),
    ];

    #[test]
    fn what_was_measured_fits_at_least_twice_and_is_no_blank_cheque() {
        let (uhd, hd) = ((3840, 2160), (1920, 1080));
        for (source, rungs, (encoder, preset), threads, (mib, seconds, cpu)) in MEASURED {
            let source = if source == 2160 { uhd } else { hd };
            let resource_limits = ResourceLimits::chunk(
                &plan(source, &LADDER[5 - rungs..], encoder, preset),
                seconds,
                threads,
            );

            let (room, time) = (
                resource_limits.memory / MIB,
                resource_limits.processor.as_secs(),
            );
            assert!(
                (2 * mib..6 * mib).contains(&room),
                "{room} MiB where {mib} are used"
            );
            assert!(time >= 10 * cpu, "{time} s where {cpu} are used");

            // A second of it may take minutes, not hours.
            assert!(
                Duration::from_secs_f64(seconds * 3600.0) > resource_limits.processor,
                "{time} s"
            );
        }
    }

    #[test]
    fn a_file_may_be_as_long_as_its_kind_can_be() {
        let plan = plan((1920, 1080), &LADDER[1..], "libx264", "faster");
        let chunk = ResourceLimits::chunk(&plan, 12.0, 2);
        let frames = 8 * 1920 * 1080;
        assert!(chunk.file > frames && chunk.file < GIB, "{}", chunk.file);
        assert!(ResourceLimits::copy(GIB).file > GIB && ResourceLimits::copy(GIB).file < 2 * GIB);
        assert_eq!(
            (
                ResourceLimits::extract_samples().file,
                ResourceLimits::scan().file
            ),
            (0, 0)
        );
    }

    proptest! {
        #[test]
        fn more_pictures_get_more_and_nothing_gets_everything(
            width in 16u32..20_000, height in 16u32..20_000, threads in 1usize..256, seconds in 0f64..100_000.0,
        ) {
            let of = |(width, height), seconds| ResourceLimits::chunk(&plan((width, height), &[(width, height)], "libx265", "slow"), seconds, threads);
            let (less, more) = (of((width, height), seconds), of((width + 2, height + 2), seconds + 1.0));
            prop_assert!(less.memory < more.memory && less.file <= more.file && less.processor < more.processor);
            prop_assert!(more.memory < 1 << 43 && more.file < 1 << 40);
        }
    }

    #[test]
    fn a_length_that_is_none_is_bounded_all_the_same() {
        let plan = plan((640, 360), &LADDER[4..], "libx264", "faster");
        for seconds in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(
                ResourceLimits::chunk(&plan, seconds, 1).processor
                    <= Duration::from_secs(u64::from(u32::MAX) + 600)
            );
        }
    }
}
