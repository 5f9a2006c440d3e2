//! The rungs a source gets, and the video renditions made of them.

use streams::plan::{LeftOut, VideoRendition};
use streams::{Rational, RenditionName};

use super::bitrate::{AREA_EXPONENT, Budget};
use super::frame_rate;
use super::profile::{Codec, Encoder, Profile, Rung};
use super::size::Size;
use super::timeline::Grid;

/// A source this much larger than the rung below it gets a rung of the source size: 540 lines shown
/// as 480 are visibly softer, 500 are not.
const OWN_RUNG_FACTOR: f64 = 1.05;

/// A source this much larger than the rung below it keeps that one, too. Nearer ones would be two
/// rungs of one quality.
const KEEP_LOWER_RUNG_FACTOR: f64 = 1.2;

/// Most pictures are this shape; the caps of a profile are for it.
const REFERENCE_ASPECT_RATIO: f64 = 16.0 / 9.0;

/// Twice the frames need so much more.
const HIGH_RATE_CAP_FACTOR: f64 = 1.5;

/// However few bits a source has, a rung keeps this share of its cap: key frames need it, and some
/// low rates are wrong values of a container.
const MIN_CAP_SHARE: f64 = 0.25;

/// The video of a job: the rungs for a source, and the ones that are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ladder {
    /// The renditions, from the top down; at least one, none larger than the source.
    pub renditions: Vec<VideoRendition>,
    /// The rungs of the profile that the source does not get, and its own size where that is above
    /// all of them.
    pub left_out: Vec<LeftOut>,
}

/// The video renditions of a source of `size`.
#[must_use]
pub fn renditions(profile: &Profile, size: Size, grid: &Grid, budget: Option<Budget>) -> Ladder {
    let source = size.short_side();
    let mut ladder = Ladder::default();
    let mut chosen: Vec<(Rung, String)> = Vec::new();

    for rung in &profile.rungs {
        if rung.short_side <= source {
            let reason = format!(
                "the source's short side of {source} px reaches {} px",
                rung.short_side
            );
            chosen.push((rung.clone(), reason));
        } else {
            let reason = format!("the source's short side has {source} px; nothing is scaled up");
            ladder.leave_out(rung.short_side, reason);
        }
    }

    if let Some(own) = own_rung(
        profile,
        source,
        chosen.first().map(|(rung, _)| rung.short_side),
    ) {
        if let Some((below, _)) = chosen.first()
            && f64::from(source) < KEEP_LOWER_RUNG_FACTOR * f64::from(below.short_side)
        {
            let reason = format!(
                "the rung of the source's own {} px is hardly larger",
                own.short_side
            );
            ladder.leave_out(below.short_side, reason);
            chosen.remove(0);
        }
        let reason = format!(
            "the source's own size: its short side of {source} px is not a rung of the ladder"
        );
        chosen.insert(0, (own, reason));
    } else if let Some((top, _)) = chosen.first()
        && Some(top.short_side) == profile.rungs.first().map(|rung| rung.short_side)
        && f64::from(source) >= OWN_RUNG_FACTOR * f64::from(top.short_side)
    {
        let reason = format!(
            "the ladder {:?} ends at {} px",
            profile.name, top.short_side
        );
        ladder.leave_out(source, reason);
    }

    ladder.renditions = chosen
        .into_iter()
        .filter_map(|(rung, reason)| rendition(profile, size, grid, budget, rung, reason))
        .collect();

    ladder
}

impl Ladder {
    fn leave_out(&mut self, short_side: u32, reason: String) {
        self.left_out.push(LeftOut {
            name: format!("{short_side}p"),
            reason,
        });
    }
}

/// A rung of the source's own size, for sources below the ladder or between two rungs.
fn own_rung(profile: &Profile, source: u32, below: Option<u32>) -> Option<Rung> {
    let above = profile
        .rungs
        .iter()
        .rev()
        .find(|rung| rung.short_side > source)?;
    if below.is_some_and(|below| f64::from(source) < OWN_RUNG_FACTOR * f64::from(below)) {
        return None;
    }

    let scale = f64::from(source) / f64::from(above.short_side);
    Some(Rung {
        short_side: source / 2 * 2,
        crf: above.crf,
        preset: above.preset.clone(),
        maxrate: (above.maxrate as f64 * scale.powf(2.0 * AREA_EXPONENT)) as u64,
    })
}

fn rendition(
    profile: &Profile,
    source: Size,
    grid: &Grid,
    budget: Option<Budget>,
    rung: Rung,
    reason: String,
) -> Option<VideoRendition> {
    let size = source.scaled_to(rung.short_side);
    let frame_rate = frame_rate::of_rung(grid.rate, rung.short_side);
    // At half the rate a segment has half as many frames, so that segments of all rungs begin at
    // the same times.
    let step = if frame_rate == grid.rate { 1 } else { 2 };

    let wanted = maxrate(&rung, size, frame_rate);
    let codec = Encoder::named(&profile.encoder).map_or(Codec::H264, |encoder| encoder.codec);
    let allowed = budget.map_or(wanted, |budget| budget.cap(size.area(), codec));
    let least = (wanted as f64 * MIN_CAP_SHARE) as u64;
    let maxrate = round_to_kilobits(allowed.clamp(least, wanted));

    // The reasons are published in the plan, so each change of the profile's values adds its
    // sentence.
    let mut reason = reason;
    if step > 1 {
        reason += "; every second frame is enough at this size";
    }
    if maxrate < wanted {
        reason += "; its cap is lower than the ladder's, since the source has no more bits to keep";
    }

    Some(VideoRendition {
        name: format!("{}p", rung.short_side)
            .parse::<RenditionName>()
            .ok()?,
        width: size.width,
        height: size.height,
        frame_rate,
        segment_frames: grid.segment / step,
        gop_frames: grid.gop / step,
        encoder: profile.encoder.clone(),
        preset: rung.preset.unwrap_or_else(|| profile.preset.clone()),
        subme: profile.subme,
        profile: profile.codec_profile.clone(),
        pixel_format: profile.pixel_format.clone(),
        crf: rung.crf,
        maxrate,
        // A buffer of one second keeps the measured peak at joints within a tenth of the cap.
        bufsize: maxrate,
        reason,
    })
}

/// The cap of a rung for pictures wider than usual, and for fast ones.
pub(crate) fn maxrate(rung: &Rung, size: Size, frame_rate: Rational) -> u64 {
    let usual = f64::from(rung.short_side).powi(2) * REFERENCE_ASPECT_RATIO;
    let wider = size.area() as f64 / usual;
    // Rounding to even sides is no other shape.
    let shape = if wider > 1.02 {
        wider.powf(AREA_EXPONENT)
    } else {
        1.0
    };
    let fast = if frame_rate::is_fast(frame_rate) {
        HIGH_RATE_CAP_FACTOR
    } else {
        1.0
    };
    round_to_kilobits((rung.maxrate as f64 * shape * fast) as u64)
}

/// In whole kilobits, and enough for an encoder to work with.
fn round_to_kilobits(rate: u64) -> u64 {
    rate.div_ceil(1000).max(32) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(width: u32, height: u32, rate: i64, budget: Option<Budget>) -> Ladder {
        let grid = Grid::new(Rational::whole(rate), 4, 4);
        renditions(&Profile::standard(), Size { width, height }, &grid, budget)
    }

    fn names(width: u32, height: u32) -> Vec<String> {
        let ladder = made(width, height, 25, None);
        let names = ladder
            .renditions
            .iter()
            .map(|rendition| rendition.name.to_string());
        names.collect()
    }

    fn left_out(width: u32, height: u32) -> Vec<String> {
        let ladder = made(width, height, 25, None);
        let names = ladder
            .left_out
            .iter()
            .map(|entry| format!("{}: {}", entry.name, entry.reason));
        names.collect()
    }

    #[test]
    fn sources_get_the_rungs_they_reach_and_their_own_size_where_it_shows() {
        assert_eq!(names(1920, 1080), ["1080p", "720p", "480p", "360p"]);
        assert_eq!(names(3840, 2160), ["1080p", "720p", "480p", "360p"]);
        assert_eq!(names(7680, 4320), ["1080p", "720p", "480p", "360p"]);
        assert_eq!(names(1600, 900), ["900p", "720p", "480p", "360p"]);
        assert_eq!(names(1440, 800), ["800p", "480p", "360p"]);
        assert_eq!(names(960, 540), ["540p", "360p"]);
        assert_eq!(names(890, 500), ["480p", "360p"]);
        assert_eq!(names(1080, 1920), ["1080p", "720p", "480p", "360p"]);
        assert_eq!(names(640, 480), ["480p", "360p"]);
        assert_eq!(names(1163, 767), ["766p", "480p", "360p"]);
        assert_eq!(names(320, 240), ["240p"]);
        assert_eq!(names(143, 143), ["142p"]);
        assert_eq!(names(16, 16), ["16p"]);
    }

    #[test]
    fn every_rung_searches_for_motion_as_its_profile_says() {
        for subme in [None, Some(3)] {
            let profile = Profile {
                subme,
                ..Profile::standard()
            };
            let grid = Grid::new(Rational::whole(25), 4, 4);
            let size = Size {
                width: 1600,
                height: 900,
            };
            let ladder = renditions(&profile, size, &grid, None);

            assert_eq!(ladder.renditions.len(), 4);
            assert!(ladder.renditions.iter().all(|rung| rung.subme == subme));
        }
    }

    #[test]
    fn every_rung_that_is_not_made_has_its_reason() {
        assert_eq!(left_out(1920, 1080), Vec::<String>::new());
        assert_eq!(
            left_out(3840, 2160),
            ["2160p: the ladder \"standard\" ends at 1080 px"]
        );
        assert_eq!(
            left_out(960, 540),
            [
                "1080p: the source's short side has 540 px; nothing is scaled up",
                "720p: the source's short side has 540 px; nothing is scaled up",
                "480p: the rung of the source's own 540 px is hardly larger"
            ]
        );
    }

    #[test]
    fn fast_sources_are_capped_higher_on_top_and_halved_below() {
        let fast = made(1920, 1080, 60, None).renditions;
        let usual = &Profile::standard().rungs;

        assert_eq!(
            (fast[0].frame_rate, fast[0].segment_frames, fast[0].maxrate),
            (Rational::whole(60), 240, usual[0].maxrate * 3 / 2)
        );
        assert_eq!(
            (fast[2].frame_rate, fast[2].segment_frames, fast[2].maxrate),
            (Rational::whole(30), 120, usual[2].maxrate)
        );
        assert!(fast[2].reason.contains("every second frame"));
    }

    #[test]
    fn a_source_of_few_bits_caps_its_rungs_but_not_to_nothing() {
        let caps = |bitrate| -> Vec<u64> {
            let ladder = made(
                1920,
                1080,
                25,
                Budget::of("h264", Some(bitrate), 1920 * 1080),
            );
            ladder
                .renditions
                .iter()
                .map(|rendition| rendition.maxrate)
                .collect()
        };
        let usual: Vec<u64> = Profile::standard()
            .rungs
            .iter()
            .map(|rung| rung.maxrate)
            .collect();
        assert_eq!(caps(50_000_000), usual);

        // Caps are whole kilobits.
        let share = |part: u64| (usual[0] / part + 500) / 1000 * 1000;
        let few = caps(usual[0] / 3);
        assert_eq!(few[0], share(2));
        assert!(
            few.is_sorted_by(|a, b| a > b) && few[3] < usual[3],
            "{few:?}"
        );
        assert_eq!(caps(1000)[0], share(4));
    }

    proptest! {
        #[test]
        fn every_source_has_a_ladder_that_falls_and_never_exceeds_it(
            width in 16u32..8000, height in 16u32..8000, rate in 1i64..=60, bitrate in prop::option::of(1u64..200_000_000),
        ) {
            let ladder = made(width, height, rate, Budget::of("hevc", bitrate, u64::from(width) * u64::from(height)));
            let left_out = ladder.left_out.len();
            let ladder = ladder.renditions;

            prop_assert!(!ladder.is_empty());
            prop_assert!(ladder.is_sorted_by(|a, b| a.width > b.width || a.height > b.height));

            let own = usize::from(!Profile::standard().rungs.iter().any(|rung| ladder[0].name.as_str() == format!("{}p", rung.short_side)));
            let above = usize::from(width.min(height) >= 1134);
            // Each rung of the profile is made or left out.
            prop_assert_eq!(ladder.len() - own + left_out - above, 4);

            for rendition in &ladder {
                prop_assert!(rendition.width.is_multiple_of(2) && rendition.height.is_multiple_of(2) && rendition.width > 0 && rendition.height > 0);
                prop_assert!(rendition.width <= width && rendition.height <= height);
                prop_assert_eq!(rendition.segment_frames % rendition.gop_frames, 0);
                prop_assert!(rendition.maxrate >= 32_000);
            }
        }
    }
}
