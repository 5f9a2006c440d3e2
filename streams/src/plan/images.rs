//! The preview pictures of an output.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Small pictures of the video at regular intervals, arranged in sheets, with a WebVTT index, for
/// the seek bars of players.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Storyboard {
    /// Frames of the full-rate grid from one tile to the next; the first tile is frame 0.
    pub interval_frames: u32,
    /// Tiles of the whole video.
    pub tiles: u32,
    /// Pixels of a tile, even.
    pub width: u32,
    /// Pixels of a tile, even.
    pub height: u32,
    /// Columns of tiles in a sheet.
    pub columns: u32,
    /// Rows of tiles in a full sheet.
    pub rows: u32,
}

impl Storyboard {
    /// The tiles whose frames lie in the frames `first..end` of the full-rate grid, such as those
    /// of a chunk.
    #[must_use]
    pub fn tiles_in(&self, first: u64, end: u64) -> Range<u32> {
        let tile = |frame: u64| {
            let tile = frame.div_ceil(u64::from(self.interval_frames.max(1)));
            u32::try_from(tile).unwrap_or(u32::MAX).min(self.tiles)
        };
        tile(first)..tile(end)
    }

    /// Bytes of a tile as chunks ship it: red, green and blue of each pixel, row by row.
    #[must_use]
    pub fn tile_bytes(&self) -> usize {
        self.width as usize * self.height as usize * 3
    }

    /// Tiles of a full sheet.
    #[must_use]
    pub const fn tiles_per_sheet(&self) -> u32 {
        self.columns.saturating_mul(self.rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_share_the_tiles_out_without_gap_or_overlap() {
        let storyboard = Storyboard {
            interval_frames: 50,
            tiles: 7,
            width: 192,
            height: 108,
            columns: 7,
            rows: 1,
        };

        assert_eq!(storyboard.tiles_in(0, 1), 0..1);
        assert_eq!(storyboard.tiles_in(0, 100), 0..2);
        assert_eq!(storyboard.tiles_in(100, 149), 2..3);
        assert_eq!(storyboard.tiles_in(149, 151), 3..4);
        assert_eq!(storyboard.tiles_in(151, 200), 4..4);

        // The plan has no more tiles, however many frames there are.
        assert_eq!(storyboard.tiles_in(300, 900), 6..7);
        assert_eq!(
            (storyboard.tile_bytes(), storyboard.tiles_per_sheet()),
            (62_208, 7)
        );
    }
}
