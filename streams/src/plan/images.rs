//! The preview pictures of an output.

use serde::{Deserialize, Serialize};

/// Small pictures of the video at even times, in sheets, with a WebVTT index, for the seek bars of players.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storyboard {
    /// Frames of the full-rate grid from one tile to the next; the first tile is frame 0.
    pub interval_frames: u32,
    /// Tiles of the whole video.
    pub tiles: u32,
    /// Pixels of a tile, even.
    pub width: u32,
    /// Pixels of a tile, even.
    pub height: u32,
    /// Tiles beside each other in a sheet.
    pub columns: u32,
    /// Tiles above each other in a full sheet.
    pub rows: u32,
}
