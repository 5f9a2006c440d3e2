//! What can be said of a finished output, as values that tables are made of.

mod output;
mod picture;
mod sound;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use output::Output;

use super::measure::Colour;

/// A cue of subtitles: when it appears, when it goes, and what it says.
pub(crate) type Cue = (f64, f64, &'static str);

/// One thing that has to hold. Moments and lengths are seconds of the player's clock.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// The sizes of the rungs, from the top down.
    Sizes(&'static [(u32, u32)]),
    /// The frame rates of the rungs, from the top down.
    Rates(&'static [&'static str]),
    /// The colours of the corners' marks, in every rung and in the poster: top left, top right,
    /// bottom left, bottom right.
    Corners([Colour; 4]),
    /// The colours of bars from left to right in every rung, give or take so much.
    Bars(Vec<Colour>, u8),
    /// This many bars of grey from left to right, each brighter than the previous one; the one at
    /// `grey` within `range` of 255.
    Ramp {
        bars: usize,
        grey: usize,
        range: (u8, u8),
    },
    /// Flashes and beeps come at these moments, together.
    InSync(&'static [f64]),
    /// No frame of any rung is combed.
    NotCombed,
    /// The audio tracks in order: language, and the tone of each.
    Tones(&'static [(Option<&'static str>, u32)]),
    /// The tone on the left of the rendition with this many channels, by time.
    TonesAt(u32, &'static [(f64, u32)]),
    /// The tones on the left and on the right of the first rendition, which is the only one.
    Sides(u32, u32),
    /// The tone each channel of the 5.1 rendition hums.
    Surround([u32; 6]),
    /// These tones are audible in the first stereo rendition.
    Mixed(&'static [u32]),
    /// How long the pictures last; nothing where there must be none.
    Pictures(Option<f64>),
    /// How long the pictures last, at least and at most.
    PicturesWithin(f64, f64),
    /// The white disc on grey that is to be seen at this moment is round.
    Disc(f64),
    /// In the top rung at least this many pictures differ from the previous one.
    Moves(usize),
    /// The length of the default audio track, from zero; none if there must be none.
    Sound(Option<f64>),
    /// The length of every rendition, video or audio, according to its playlist and to its content.
    Together(f64),
    /// This word is among the warnings.
    Warns(&'static str),
    /// This word is not among the warnings.
    NoWarning(&'static str),
    /// Every rung carries this text as closed captions, and every variant says so; nothing where
    /// none may carry any.
    Captions(Option<&'static str>),
    /// This many video segments.
    Segments(usize),
    /// At least this many chunks, and progress of each task that never decreases.
    Chunks(usize),
    /// A poster of this brightness at least, of 255.
    Poster(f64),
    /// A storyboard of at least this many sheets, whose pictures are in order from the first moment
    /// to the last.
    Sheets(usize),
    /// Subtitles in their order: language, and the cues.
    Subtitles(&'static [(Option<&'static str>, &'static [Cue])]),
}

impl Check {
    /// What is wrong; nothing where it holds.
    pub(crate) async fn faults(&self, output: &Output) -> Vec<String> {
        match self {
            Self::Sizes(wanted) => picture::sizes(output, wanted),
            Self::Rates(wanted) => picture::rates(output, wanted),
            Self::Corners(wanted) => picture::corners(output, wanted).await,
            Self::Bars(wanted, tolerance) => picture::bars(output, wanted, *tolerance).await,
            Self::Ramp { bars, grey, range } => picture::ramp(output, *bars, *grey, *range).await,
            Self::NotCombed => picture::not_combed(output).await,
            Self::Pictures(wanted) => picture::length(output, *wanted).await,
            Self::PicturesWithin(least, most) => {
                picture::length_within(output, *least, *most).await
            }
            Self::Disc(at) => picture::disc(output, *at).await,
            Self::Moves(least) => picture::moves(output, *least).await,
            Self::Poster(least) => picture::poster(output, *least).await,
            Self::InSync(wanted) => sound::in_sync(output, wanted).await,
            Self::Tones(wanted) => sound::tones(output, wanted).await,
            Self::TonesAt(channels, wanted) => sound::tones_at(output, *channels, wanted).await,
            Self::Sides(left, right) => sound::sides(output, [*left, *right]).await,
            Self::Surround(wanted) => sound::surround(output, *wanted).await,
            Self::Mixed(wanted) => sound::mixed(output, wanted).await,
            Self::Sound(wanted) => sound::length(output, *wanted).await,
            Self::Together(wanted) => sound::together(output, *wanted).await,
            Self::Warns(word) => text::warns(output, word),
            Self::NoWarning(word) => text::warns_not(output, word),
            Self::Captions(wanted) => text::captions(output, *wanted).await,
            Self::Segments(count) => text::segments(output, *count),
            Self::Chunks(least) => text::chunks(output, *least),
            Self::Sheets(least) => text::sheets(output, *least).await,
            Self::Subtitles(wanted) => text::subtitles(output, wanted),
        }
    }
}

/// A list of one fault, unless the two are equal.
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, found: T, wanted: T) -> Vec<String> {
    fault_unless(found == wanted, || {
        format!("{what}: {found:?} and not {wanted:?}")
    })
}

/// A list of one fault, unless it holds.
fn fault_unless(holds: bool, fault: impl FnOnce() -> String) -> Vec<String> {
    if holds { Vec::new() } else { vec![fault()] }
}
