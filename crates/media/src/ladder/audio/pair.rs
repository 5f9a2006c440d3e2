//! Left and right as two tracks of one channel, as cameras and editing programs keep them.

use crate::ladder::probe::{Audio, Stream};

/// Seconds by which the beginnings and ends of two tracks of equal length may differ.
const MAX_DIFFERENCE_SECONDS: f64 = 0.05;

/// The loudspeaker a track of one channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The left one.
    Left,
    /// The right one.
    Right,
}

/// An audio track, and its right channel if it is the left channel of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair<'a> {
    pub(super) stream: &'a Stream,
    pub(super) audio: &'a Audio,
    pub(super) right: Option<&'a Stream>,
}

impl<'a> Pair<'a> {
    /// Its one or two streams.
    pub(super) fn streams(&self) -> impl Iterator<Item = &'a Stream> + use<'a> {
        std::iter::once(self.stream).chain(self.right)
    }

    /// Source time in seconds until which all of it has audio.
    pub(super) fn end(&self) -> Option<f64> {
        self.streams()
            .filter_map(|stream| stream.end)
            .min_by(f64::total_cmp)
    }

    /// Its title without the side.
    pub(super) fn title(&self) -> Option<&'a str> {
        let title = self.stream.title.as_deref().map(str::trim);
        let title = match self.right {
            Some(_) => title.map(|title| side(title).map_or(title, |(_, rest)| rest)),
            None => title,
        };
        title.filter(|title| !title.is_empty())
    }
}

/// The side the last word of a name says, in any case, and what comes before it: `Dialogue L` is
/// the left of `Dialogue`.
#[must_use]
pub fn side(name: &str) -> Option<(Side, &str)> {
    let name = name.trim().trim_end_matches(')');
    let (rest, word) = name.split_at(name.rfind([' ', '_', '-', '.', '(']).map_or(0, |at| at + 1));
    let side = match word.to_lowercase().as_str() {
        "l" | "left" => Side::Left,
        "r" | "right" => Side::Right,
        _ => return None,
    };
    Some((side, rest.trim_end_matches([' ', '_', '-', '.', '('])))
}

/// The side of a track of one channel, by its layout or its title, and the title without it.
fn side_of<'a>((stream, audio): &(&'a Stream, &Audio)) -> Option<(Side, &'a str)> {
    if audio.channels != 1 || audio.changes {
        return None;
    }

    let title = stream.title.as_deref().unwrap_or_default();
    // ffmpeg calls the layout of one channel that is not the centre `1 channels (FL)`.
    let layout = audio
        .layout
        .as_deref()
        .map(|layout| layout.trim_end_matches(')'));

    let by_layout = match layout {
        Some(layout) if layout.ends_with("FL") => Some(Side::Left),
        Some(layout) if layout.ends_with("FR") => Some(Side::Right),
        _ => None,
    };

    let by_title = side(title);
    by_layout
        .map(|side| (side, by_title.map_or(title, |(_, rest)| rest)))
        .or(by_title)
}

/// Joins each left track with the right one of the same name, language and length; every other
/// track stays alone.
pub(super) fn join<'a>(tracks: &[(&'a Stream, &'a Audio)]) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    let mut joined: Vec<u32> = Vec::new();

    for track in tracks {
        if joined.contains(&track.0.index) {
            continue;
        }

        let other = side_of(track).and_then(|(side, name)| {
            let mut others = tracks
                .iter()
                .filter(|other| !joined.contains(&other.0.index));
            others.find(|other| {
                side_of(other)
                    .is_some_and(|(other, rest)| other != side && rest.eq_ignore_ascii_case(name))
                    && are_equal(track.0, other.0)
            })
        });

        // The right one may come first in the file; the pair is always led by the left one.
        let (left, right) = match (other, side_of(track)) {
            (Some(other), Some((Side::Right, _))) => (other, Some(track.0)),
            (other, _) => (track, other.map(|(stream, _)| *stream)),
        };

        let pair = Pair {
            stream: left.0,
            audio: left.1,
            right,
        };
        joined.extend(pair.streams().map(|stream| stream.index));
        pairs.push(pair);
    }

    pairs
}

/// Whether two tracks of one channel may be left and right, though nothing says so.
pub(super) fn are_separate(pairs: &[Pair<'_>]) -> bool {
    let unnamed = |pair: &&Pair<'_>| {
        pair.audio.channels == 1 && pair.right.is_none() && pair.title().is_none()
    };
    let unnamed: Vec<&Pair<'_>> = pairs.iter().filter(unnamed).collect();
    unnamed.iter().enumerate().any(|(i, one)| {
        unnamed[..i]
            .iter()
            .any(|other| are_equal(one.stream, other.stream))
    })
}

/// Whether two tracks are of equal length, and for the same people.
fn are_equal(one: &Stream, other: &Stream) -> bool {
    let start = |stream: &Stream| stream.start.map(streams::Rational::as_f64);
    let near = |one: Option<f64>, other: Option<f64>| matches!((one, other), (Some(a), Some(b)) if (a - b).abs() <= MAX_DIFFERENCE_SECONDS);
    near(start(one), start(other))
        && near(one.end, other.end)
        && one.language == other.language
        && one.audience == other.audience
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_of_a_name_tells_the_side() {
        for (name, wanted) in [
            ("Left", Some((Side::Left, ""))),
            (" R ", Some((Side::Right, ""))),
            ("Dialogue L", Some((Side::Left, "Dialogue"))),
            ("boom-RIGHT", Some((Side::Right, "boom"))),
            ("Music (right)", Some((Side::Right, "Music"))),
            ("", None),
            ("Original", None),
            ("Left Behind", None),
            ("Sound L channel", None),
        ] {
            assert_eq!(side(name), wanted, "{name}");
        }
    }
}
