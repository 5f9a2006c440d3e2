//! The tiles of the storyboard that lie in a chunk: small raw pictures, one after the other,
//! without another pass over the source.

use media::ladder::size::Size;
use streams::plan::{Storyboard, VideoPlan};

use super::filter::{Chain, Filter};
use super::picture::matrix;
use super::raw_frames;

/// The file the tiles are written to, one after the other, in the folder ffmpeg runs in: red, green
/// and blue of each pixel.
pub const TILES_FILE: &str = "tiles.rgb";

/// The label of the grid's frames for the tiles.
pub(super) const TILE_FRAMES_LABEL: &str = "st";

/// What a chunk makes of a storyboard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles {
    storyboard: Storyboard,
    first: u64,
    count: u32,
}

impl Tiles {
    /// The tiles in the frames `first..end` of the whole video; nothing where none lies there, as
    /// in a chunk shorter than the interval.
    pub(super) fn of(storyboard: Option<Storyboard>, first: u64, end: u64) -> Option<Self> {
        let storyboard = storyboard?;
        let count = u32::try_from(storyboard.tiles_in(first, end).len()).ok()?;
        (count > 0).then_some(Self {
            storyboard,
            first,
            count,
        })
    }

    /// The chain from the label [`TILE_FRAMES_LABEL`]. Frames are chosen by their number in the whole video,
    /// and only the chosen ones are scaled.
    pub(super) fn chain(self, video: &VideoPlan) -> Chain {
        let every = u64::from(self.storyboard.interval_frames.max(1));
        let size = Size {
            width: self.storyboard.width,
            height: self.storyboard.height,
        };

        Chain::of_label(TILE_FRAMES_LABEL)
            .then(
                Filter::new("select").value(format!("not(mod(n+{},{every}))", self.first % every)),
            )
            .then_all(raw_frames::scaled(size, matrix(video.picture)))
            .output("tiles")
    }

    /// The output options of the tiles.
    pub(super) fn args(self) -> Vec<String> {
        let mut args = raw_frames::output("tiles", TILES_FILE);
        // The option has to come before the file, which is the last argument.
        let file = args.len() - 1;
        args.splice(file..file, ["-frames:v".to_owned(), self.count.to_string()]);
        args
    }
}
