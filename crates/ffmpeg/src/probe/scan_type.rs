//! Whether frames are pairs of fields, by their content (the filter `idet` of ffmpeg): flags can be
//! wrong in both directions.

use media::ladder::picture::may_have_fields;
use media::ladder::probe::{Fields, Probe, Video};

use super::super::argv::filter::{Chain, Filter};
use super::super::child::{self, Spawn};
use super::super::sandbox::{ResourceLimits, SandboxPolicy};
use super::Prober;

/// Where samples are taken, as shares of the video: not at its edges, which are often black. Two
/// are enough for a stream that is declared progressive.
const SAMPLE_POSITIONS: [f64; 3] = [0.3, 0.7, 0.15];

/// Frames of a sample. The filter judges by a few frames around each one.
const SAMPLE_FRAMES: u32 = 24;

/// Seconds of a video below which one sample, from its start, is enough.
const SHORT_VIDEO_SECONDS: f64 = 6.0;

/// Fewer frames than this with visible content prove nothing.
const MIN_JUDGED_FRAMES: u32 = 6;

/// Share of combed frames from which a stream that is declared interlaced is. A few combs are fine
/// stripes, or fast text.
const MIN_COMBED_SHARE_IF_INTERLACED: f64 = 0.1;

/// The same for a stream that is declared progressive. Films in 30 frames a second are combed in
/// two of five.
const MIN_COMBED_SHARE_IF_PROGRESSIVE: f64 = 0.3;

/// How much more alike than its own field's its neighbours' lines must be for the filter to call a
/// frame combed. Its own choice, 1.04, takes fine moving patterns for combs.
const INTERLACED_THRESHOLD: f64 = 1.4;

/// The same the other way round, for the filter to call a frame whole.
const PROGRESSIVE_THRESHOLD: f64 = 1.5;

/// The metadata that holds the filter's verdict on a frame.
const IDET_RESULT_KEY: &str = "lavfi.idet.multiple.current_frame";

/// The filters that judge every frame and print the verdicts, one to a line.
fn detection() -> Chain {
    Chain::default()
        .then(
            Filter::new("idet")
                .arg("intl_thres", INTERLACED_THRESHOLD)
                .arg("prog_thres", PROGRESSIVE_THRESHOLD),
        )
        .then(
            Filter::new("metadata")
                .arg("mode", "print")
                .arg("key", IDET_RESULT_KEY)
                .arg("file", "-"),
        )
}

/// What the headers of a stream declare its frames to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeclaredScan {
    Progressive,
    Interlaced,
}

impl DeclaredScan {
    const fn of(video: &Video) -> Self {
        if video.interlaced {
            Self::Interlaced
        } else {
            Self::Progressive
        }
    }

    const fn min_combed_share(self) -> f64 {
        match self {
            Self::Progressive => MIN_COMBED_SHARE_IF_PROGRESSIVE,
            Self::Interlaced => MIN_COMBED_SHARE_IF_INTERLACED,
        }
    }
}

/// The number of frames of each kind. Still frames have no kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct FrameCounts {
    top: u32,
    bottom: u32,
    progressive: u32,
}

impl FrameCounts {
    fn add(&mut self, line: &str) {
        let verdict = line
            .strip_prefix(IDET_RESULT_KEY)
            .and_then(|rest| rest.strip_prefix('='));
        match verdict {
            Some("tff") => self.top += 1,
            Some("bff") => self.bottom += 1,
            Some("progressive") => self.progressive += 1,
            _ => {}
        }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            top: self.top + other.top,
            bottom: self.bottom + other.bottom,
            progressive: self.progressive + other.progressive,
        }
    }

    /// What the frames are; none if too few show anything.
    fn verdict(self, declared: DeclaredScan) -> Option<Fields> {
        let combed = self.top + self.bottom;
        let all = combed + self.progressive;
        if all < MIN_JUDGED_FRAMES {
            return None;
        }

        Some(match f64::from(combed) / f64::from(all) {
            share if share < declared.min_combed_share() => Fields::Progressive,
            _ if self.top >= self.bottom => Fields::TopFirst,
            _ => Fields::BottomFirst,
        })
    }
}

impl Prober<'_> {
    /// The analysis of some frames of the main video, if it could be interlaced; none if they
    /// cannot be read.
    pub(super) async fn fields(&self, probe: &Probe) -> Option<Fields> {
        let (stream, video) = probe.main_video()?;
        let (start, end) = (stream.start?, stream.end?);

        if !may_have_fields(stream, video) {
            return None;
        }

        let from = start.as_f64() - probe.container_start.as_f64();
        let length = end - start.as_f64();
        let declared = DeclaredScan::of(video);
        let places = match declared {
            _ if length < SHORT_VIDEO_SECONDS => &[0.0][..],
            DeclaredScan::Interlaced => &SAMPLE_POSITIONS,
            DeclaredScan::Progressive => &SAMPLE_POSITIONS[..2],
        };

        // All at once, since each look mostly waits for the storage.
        let looks = places
            .iter()
            .map(|place| self.count_fields(stream.index, from + place * length));
        let tallies = futures::future::join_all(looks).await;

        tallies
            .into_iter()
            .fold(FrameCounts::default(), FrameCounts::and)
            .verdict(declared)
    }

    /// Frames from the key frame at or before `at`, seconds from the start of the container.
    async fn count_fields(&self, index: u32, at: f64) -> FrameCounts {
        let mut tally = FrameCounts::default();
        // The pictures are not turned upright: the lines of a field would become columns.
        let mut args = vec![
            "-hide_banner",
            "-nostdin",
            "-v",
            "error",
            "-noautorotate",
            "-noaccurate_seek",
        ];

        let at = format!("{at:.3}");
        if !at.starts_with('-') && at != "0.000" {
            args.extend(["-ss", &at]);
        }

        let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        args.extend(self.input.args());
        let output = format!(
            "-map 0:{index} -frames:v {SAMPLE_FRAMES} -vf {} -f null -",
            detection()
        );
        args.extend(output.split(' ').map(str::to_owned));

        let policy = SandboxPolicy::new(ResourceLimits::extract_samples()).allow_input(self.input);
        let read = child::lines(Spawn::new(&self.tool.ffmpeg, args, policy), |line| {
            tally.add(line)
        });
        // A failed check says nothing about the fields, and is not an error of the probe.
        if let Err(error) = self.within(self.limits.look, read).await {
            tracing::debug!(%error, "the video could not be checked for interlacing");
        }

        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_lines_make_the_count_panic(lines in prop::collection::vec("(lavfi.idet.multiple.current_frame=)?(tff|bff|progressive|\\PC{0,9})", 0..40)) {
            let mut tally = FrameCounts::default();
            for line in &lines {
                tally.add(line);
            }
            prop_assert!(tally.top + tally.bottom + tally.progressive <= 40);
            let _ = (tally.verdict(DeclaredScan::Progressive), tally.verdict(DeclaredScan::Interlaced));
        }
    }

    fn verdict(top: u32, bottom: u32, progressive: u32, declared: DeclaredScan) -> Option<Fields> {
        FrameCounts {
            top,
            bottom,
            progressive,
        }
        .verdict(declared)
    }

    #[test]
    fn combs_outweigh_flags_and_still_frames_tell_nothing() {
        use DeclaredScan::{Interlaced, Progressive};

        assert_eq!(verdict(0, 0, 0, Interlaced), None);
        assert_eq!(verdict(2, 0, 3, Progressive), None);
        assert_eq!(verdict(0, 0, 40, Interlaced), Some(Fields::Progressive));
        assert_eq!(verdict(3, 0, 70, Interlaced), Some(Fields::Progressive));
        assert_eq!(verdict(20, 2, 50, Interlaced), Some(Fields::TopFirst));
        assert_eq!(verdict(8, 0, 60, Progressive), Some(Fields::Progressive));
        assert_eq!(verdict(0, 29, 43, Progressive), Some(Fields::BottomFirst));
    }

    #[test]
    fn only_verdicts_are_counted() {
        let mut tally = FrameCounts::default();
        for line in [
            "frame:3 pts:3 pts_time:0.12",
            "lavfi.idet.multiple.current_frame=tff",
            "lavfi.idet.multiple.current_frame=undetermined",
        ] {
            tally.add(line);
        }

        assert_eq!(
            tally,
            FrameCounts {
                top: 1,
                ..FrameCounts::default()
            }
        );
    }
}
