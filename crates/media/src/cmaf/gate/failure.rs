//! What can be wrong with an encoded chunk or track.

/// What is wrong with an encoded chunk or track.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GateFailure {
    /// The plan has no such chunk or its numbers do not fit together.
    #[error("the plan cannot be followed: {0}")]
    Plan(&'static str),
    /// The init segment is not that of the rendition.
    #[error("the init segment has {what} {found} instead of the planned {wanted}")]
    Init {
        /// Which value.
        what: &'static str,
        /// As found.
        found: String,
        /// As planned.
        wanted: String,
    },
    /// There is no segment at all.
    #[error("there are no segments")]
    Nothing,
    /// Segments are missing or numbered wrongly.
    #[error("segment {found} is at the place of segment {wanted}")]
    Number {
        /// As found.
        found: u32,
        /// As planned.
        wanted: u32,
    },
    /// A segment without samples or media data.
    #[error("segment {0} is empty")]
    Empty(u32),
    /// A segment a player cannot start with.
    #[error("segment {0} does not begin with a key frame")]
    NoSync(u32),
    /// A segment with too few or too many key frames.
    #[error("segment {n} has {found} key frames instead of the planned {wanted}")]
    Syncs {
        /// The segment.
        n: u32,
        /// As found.
        found: u64,
        /// As planned.
        wanted: u64,
    },
    /// A segment at the wrong time.
    #[error("segment {n} begins at {found} ticks instead of the planned {wanted}")]
    Start {
        /// The segment.
        n: u32,
        /// As found.
        found: u64,
        /// As planned.
        wanted: u64,
    },
    /// A segment with lost or added frames.
    #[error("segment {n} has {found} frames instead of the planned {wanted}")]
    SegmentFrames {
        /// The segment.
        n: u32,
        /// As found.
        found: u64,
        /// As planned.
        wanted: u64,
    },
    /// Frames whose durations are not those of the grid.
    #[error("segment {n} lasts {found} ticks, but its frames should last {wanted}")]
    Duration {
        /// The segment.
        n: u32,
        /// As found.
        found: u64,
        /// By the grid.
        wanted: u64,
    },
    /// Lost or added frames in all.
    #[error("the chunk has {found} frames instead of the planned {wanted}")]
    Frames {
        /// As found.
        found: u64,
        /// As planned.
        wanted: u64,
    },
    /// Lost or added audio.
    #[error("the track lasts {found:.3} s, its source lasts {wanted:.3} s")]
    Length {
        /// As found, in seconds.
        found: f64,
        /// As planned, in seconds.
        wanted: f64,
    },
}
