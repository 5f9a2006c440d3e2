//! The storyboard of a video: how far apart its preview pictures lie, how large they are, and how
//! they fill sheets. Pure.

use streams::Rational;
use streams::plan::Storyboard;

use super::size::Size;

/// Seconds from one tile to the next, in videos of up to twenty minutes.
const MIN_INTERVAL_SECONDS: f64 = 2.0;

/// Tiles of a storyboard at most: with this many, a tile is about two pixels of a seek bar.
const MAX_TILES: u64 = 600;

/// Longest side of a tile, in pixels.
const MAX_TILE_SIDE: u32 = 192;

/// Columns and rows of tiles in a full sheet: at most 1920 pixels in each direction, which any
/// device can decode.
const SHEET_SIDE_TILES: u32 = 10;

/// The end of a video may be two frames earlier than planned. No tile is planned there, so that
/// every planned tile is found.
const UNCERTAIN_END_FRAMES: u64 = 2;

/// The storyboard of `frames` frames at `rate`, given the upright size of the largest rendition.
/// There is at least one tile.
#[must_use]
pub fn plan(frames: u64, rate: Rational, size: Size) -> Storyboard {
    let usual = (rate.as_f64() * MIN_INTERVAL_SECONDS).round().max(1.0) as u64;
    let interval = usual.max(frames.div_ceil(MAX_TILES));
    let tiles = frames
        .saturating_sub(UNCERTAIN_END_FRAMES)
        .div_ceil(interval)
        .clamp(1, MAX_TILES) as u32;
    let tile = fitted(size, MAX_TILE_SIDE);
    let columns = tiles.min(SHEET_SIDE_TILES);

    Storyboard {
        interval_frames: u32::try_from(interval).unwrap_or(u32::MAX),
        tiles,
        width: tile.width,
        height: tile.height,
        columns,
        rows: tiles.div_ceil(columns).min(SHEET_SIDE_TILES),
    }
}

/// `size` scaled down so that no side is longer than `longest` pixels; both sides even.
#[must_use]
pub fn fitted(size: Size, longest: u32) -> Size {
    let long = size.long_side().max(1);
    let scale = f64::from(longest.min(long)) / f64::from(long);
    let even = |side: u32| {
        ((f64::from(side) * scale / 2.0).round() as u32 * 2)
            .min(side / 2 * 2)
            .max(2)
    };

    Size {
        width: even(size.width),
        height: even(size.height),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn storyboard(seconds: u64, rate: i64, width: u32, height: u32) -> Storyboard {
        plan(
            seconds * rate as u64,
            Rational::whole(rate),
            Size { width, height },
        )
    }

    #[test]
    fn a_short_video_has_a_tile_every_two_seconds_and_a_picture_has_one() {
        let short = storyboard(63, 25, 1920, 1080);
        let wanted = Storyboard {
            interval_frames: 50,
            tiles: 32,
            width: 192,
            height: 108,
            columns: 10,
            rows: 4,
        };
        assert_eq!(short, wanted);

        let still = plan(
            1,
            Rational::whole(25),
            Size {
                width: 16,
                height: 16,
            },
        );
        assert_eq!((still.tiles, still.columns, still.rows), (1, 1, 1));
        assert_eq!((still.width, still.height), (16, 16));
    }

    #[test]
    fn long_videos_fill_several_sheets_and_the_longest_six() {
        let film = storyboard(600, 2, 64, 36);
        assert_eq!(
            (film.interval_frames, film.tiles, film.columns, film.rows),
            (4, 300, 10, 10)
        );
        let night = storyboard(36_000, 30, 1280, 720);
        assert_eq!((night.interval_frames / 30, night.tiles), (60, 600));
        assert_eq!(night.tiles.div_ceil(night.tiles_per_sheet()), 6);
    }

    #[test]
    fn tiles_stand_upright() {
        let portrait = storyboard(10, 25, 1080, 1920);
        assert_eq!((portrait.width, portrait.height), (108, 192));
        let wide = storyboard(10, 25, 1920, 16);
        assert_eq!((wide.width, wide.height), (192, 2));
    }

    proptest! {
        #[test]
        fn any_video_has_a_bounded_storyboard_of_small_even_tiles_that_all_lie_in_it(
            frames in 1u64..20_000_000, rate in (1i64..120_000, 1i64..2000), width in 1u32..9000, height in 1u32..9000,
        ) {
            let size = Size { width: width + 1, height: height + 1 };
            let storyboard = plan(frames, Rational::new(rate.0, rate.1).unwrap(), size);

            prop_assert!((1..=600).contains(&storyboard.tiles));
            prop_assert!(storyboard.columns <= 10 && storyboard.rows <= 10);
            prop_assert!(storyboard.columns * storyboard.rows >= storyboard.tiles.min(100));
            prop_assert!(storyboard.width.is_multiple_of(2) && storyboard.height.is_multiple_of(2));
            prop_assert!(storyboard.width <= size.width && storyboard.height <= size.height);
            prop_assert!(storyboard.width.max(storyboard.height) <= 192 && storyboard.width.min(storyboard.height) >= 2);

            let last = u64::from(storyboard.tiles - 1) * u64::from(storyboard.interval_frames);
            prop_assert!(last == 0 || last + 2 < frames);
            prop_assert_eq!(storyboard.tiles_in(0, frames), 0..storyboard.tiles);
        }
    }
}
