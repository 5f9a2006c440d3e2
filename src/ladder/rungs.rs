//! The rungs a source gets, and the video renditions made of them.

use streams::RenditionName;
use streams::plan::VideoRendition;

use super::profile::{Profile, Rung};
use super::rate;
use super::size::Size;
use super::timeline::Grid;

/// A source this much larger than the rung below it gets a rung of its own size.
const CLEARLY_LARGER: f64 = 1.2;

/// Most pictures are this shape; the caps of a profile are for it.
const USUAL_SHAPE: f64 = 16.0 / 9.0;

/// The rate a picture needs grows with its area, to this power.
const RATE_BY_AREA: f64 = 0.75;

/// Twice the frames need so much more.
const FAST: f64 = 1.5;

/// The video renditions of a source of `size`, from the top down; at least one, none larger than the source.
#[must_use]
pub fn renditions(profile: &Profile, size: Size, grid: &Grid) -> Vec<VideoRendition> {
    let source = size.short_side();
    let mut chosen: Vec<(Rung, String)> = profile
        .rungs
        .iter()
        .filter(|rung| rung.short_side <= source)
        .map(|rung| {
            (
                rung.clone(),
                format!("the source's short side of {source} px reaches {} px", rung.short_side),
            )
        })
        .collect();
    if let Some(own) = own_rung(profile, source, chosen.first().map(|(rung, _)| rung.short_side)) {
        let reason = format!("the source's own size: its short side of {source} px is no rung of the ladder");
        chosen.insert(0, (own, reason));
    }
    chosen
        .into_iter()
        .filter_map(|(rung, reason)| rendition(profile, size, grid, rung, reason))
        .collect()
}

/// A rung of the source's own size, for sources below the ladder or clearly between two rungs.
fn own_rung(profile: &Profile, source: u32, below: Option<u32>) -> Option<Rung> {
    let above = profile.rungs.iter().rev().find(|rung| rung.short_side > source)?;
    if below.is_some_and(|below| f64::from(source) < CLEARLY_LARGER * f64::from(below)) {
        return None;
    }
    let scale = f64::from(source) / f64::from(above.short_side);
    Some(Rung {
        short_side: source,
        crf: above.crf,
        preset: above.preset.clone(),
        maxrate: (above.maxrate as f64 * scale.powf(2.0 * RATE_BY_AREA)) as u64,
    })
}

fn rendition(profile: &Profile, source: Size, grid: &Grid, rung: Rung, reason: String) -> Option<VideoRendition> {
    let size = source.scaled_to(rung.short_side);
    let frame_rate = rate::of_rung(grid.rate, rung.short_side);
    let step = if frame_rate == grid.rate { 1 } else { 2 };
    let maxrate = maxrate(&rung, size, frame_rate.as_f64());
    Some(VideoRendition {
        name: format!("{}p", rung.short_side).parse::<RenditionName>().ok()?,
        width: size.width,
        height: size.height,
        frame_rate,
        segment_frames: grid.segment / step,
        gop_frames: grid.gop / step,
        encoder: profile.encoder.clone(),
        preset: rung.preset.unwrap_or_else(|| profile.preset.clone()),
        profile: profile.codec_profile.clone(),
        pixel_format: profile.pixel_format.clone(),
        crf: rung.crf,
        maxrate,
        // A buffer of one second keeps the measured peak at joints within a tenth of the cap.
        bufsize: maxrate,
        reason: if step == 1 {
            reason
        } else {
            format!("{reason}; every second frame is enough at this size")
        },
    })
}

/// The cap of a rung for pictures wider than usual, and for fast ones; in whole kilobits.
fn maxrate(rung: &Rung, size: Size, frame_rate: f64) -> u64 {
    let usual = f64::from(rung.short_side).powi(2) * USUAL_SHAPE;
    let wider = size.area() as f64 / usual;
    // Rounding to even sides is no other shape.
    let shape = if wider > 1.02 { wider.powf(RATE_BY_AREA) } else { 1.0 };
    let fast = if frame_rate > 30.0 { FAST } else { 1.0 };
    let kilobits = (rung.maxrate as f64 * shape * fast / 1000.0).round() as u64;
    kilobits.max(32) * 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use streams::Rational;

    fn ladder(width: u32, height: u32, rate: i64) -> Vec<VideoRendition> {
        let grid = Grid::new(Rational::whole(rate), 4, 4);
        renditions(&Profile::standard(), Size { width, height }, &grid)
    }

    fn names(width: u32, height: u32) -> Vec<String> {
        ladder(width, height, 25)
            .iter()
            .map(|rendition| rendition.name.to_string())
            .collect()
    }

    #[test]
    fn sources_get_the_rungs_they_reach_and_their_own_size_where_it_is_clearly_between() {
        assert_eq!(names(1920, 1080), ["1080p", "720p", "480p", "360p"]);
        assert_eq!(names(3840, 2160), ["1080p", "720p", "480p", "360p"]);
        assert_eq!(names(1600, 900), ["900p", "720p", "480p", "360p"]);
        assert_eq!(names(1440, 800), ["720p", "480p", "360p"]);
        assert_eq!(names(1080, 1920), ["1080p", "720p", "480p", "360p"]);
        assert_eq!(names(640, 480), ["480p", "360p"]);
        assert_eq!(names(320, 240), ["240p"]);
        assert_eq!(names(16, 16), ["16p"]);
    }

    #[test]
    fn fast_sources_are_capped_higher_on_top_and_halved_below() {
        let fast = ladder(1920, 1080, 60);
        assert_eq!(
            (fast[0].frame_rate, fast[0].segment_frames, fast[0].maxrate),
            (Rational::whole(60), 240, 9_000_000)
        );
        assert_eq!(
            (fast[2].frame_rate, fast[2].segment_frames, fast[2].maxrate),
            (Rational::whole(30), 120, 1_700_000)
        );
        assert!(fast[2].reason.contains("every second frame"));
    }

    proptest! {
        #[test]
        fn every_source_has_a_ladder_that_falls_and_never_exceeds_it(width in 16u32..8000, height in 16u32..8000, rate in 1i64..=60) {
            let ladder = ladder(width, height, rate);
            prop_assert!(!ladder.is_empty());
            prop_assert!(ladder.is_sorted_by(|a, b| a.width > b.width || a.height > b.height));
            for rendition in &ladder {
                prop_assert!(rendition.width.is_multiple_of(2) && rendition.height.is_multiple_of(2) && rendition.width > 0 && rendition.height > 0);
                prop_assert!(rendition.width <= width && rendition.height <= height);
                prop_assert_eq!(rendition.segment_frames % rendition.gop_frames, 0);
                prop_assert!(rendition.maxrate >= 32_000);
            }
        }
    }
}
