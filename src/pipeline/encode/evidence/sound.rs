//! What is measured of sound: how loud it is, block by block, beside the encoder's input.

use std::collections::BTreeMap;
use std::ops::Range;

use ffmpeg::argv::reference::{self, Excerpt, Hearing, Look};
use media::levels::{self, Level};
use streams::RenditionName;
use streams::plan::{AudioRendition, Planned};
use streams::work::{Evidence, RenditionOutput, SegmentOutput};

use super::readback::{Readback, Sent};
use crate::job::failure::Failure;

/// Segments that are decoded in one piece.
const PIECE: usize = 15;

/// Pieces of a rendition that are decoded: all of a quarter of an hour, and of what is longer pieces from everywhere.
const PIECES: usize = 16;

/// The sound that is compared.
#[derive(Debug, Clone)]
pub(in crate::pipeline::encode) struct Sound<'a> {
    tracks: Vec<(&'a AudioRendition, Vec<Piece>)>,
}

/// Neighbouring segments of a rendition that are decoded together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// Their numbers.
    segments: Vec<u32>,
    /// The blocks that lie wholly in them.
    blocks: Range<u32>,
}

/// The sound that is compared of what was made of each rendition.
pub(in crate::pipeline::encode) fn sound<'a>(plan: &'a Planned, made: &[RenditionOutput]) -> Sound<'a> {
    let pieces_of = |rendition: &AudioRendition| {
        let output = made.iter().find(|output| output.name == rendition.name);
        output.map_or_else(Vec::new, |output| pieces(&output.segments, output.timescale))
    };
    let tracks = plan.audios().map(|rendition| (rendition, pieces_of(rendition)));
    Sound {
        tracks: tracks.collect(),
    }
}

/// At most [`PIECES`] pieces of at most [`PIECE`] neighbours, evenly.
fn pieces(segments: &[SegmentOutput], sample_rate: u32) -> Vec<Piece> {
    let all: Vec<&[SegmentOutput]> = segments.chunks(PIECE).collect();
    let count = all.len().min(PIECES);
    let places = (0..count).map(|i| (2 * i + 1) * all.len() / (2 * count));
    let piece = |place: usize| {
        let samples = match all[place] {
            [first, .., last] => first.start..last.start + last.duration,
            [only] => only.start..only.start + only.duration,
            [] => 0..0,
        };
        Piece {
            segments: all[place].iter().map(|segment| segment.n).collect(),
            blocks: levels::whole_blocks(samples, place + 1 == all.len(), sample_rate),
        }
    };
    places.map(piece).collect()
}

impl Sound<'_> {
    /// Reads back what was sent, and compares the levels of the sound with those the encoder was given. One piece after the other: what is
    /// read and open at a time is no more for long sound than for short.
    pub(in crate::pipeline::encode) async fn read(
        &self,
        readback: &Readback<'_>,
        sent: Vec<Sent>,
    ) -> Result<Vec<Evidence>, Failure> {
        let (mut heard, others) = self.heard(sent);
        readback.read(others, &self.keeping(|_| Vec::new())).await?;
        let keep = self.keeping(segments);
        let mut evidence = Vec::new();
        for (rendition, pieces) in &self.tracks {
            let mut made = Vec::new();
            for piece in pieces {
                let place = |n: &u32| (rendition.name.clone(), *n);
                let objects = piece.segments.iter().filter_map(|n| heard.remove(&place(n)));
                readback.read(objects.collect(), &keep).await?;
                made.extend(levels_of(readback, rendition, piece).await?);
            }
            let source = format!("{}/{}", rendition.name, reference::LEVELS);
            let source = readback.file(&source).await?;
            let source = levels::read(&String::from_utf8_lossy(&source), Hearing::of(rendition, 0).block());
            evidence.push(Evidence {
                name: rendition.name.clone(),
                pictures: Vec::new(),
                sound: levels::compare(&made, &source),
            });
        }
        Ok(evidence)
    }

    /// The segments that are heard, by rendition and number, and everything else that was sent.
    fn heard(&self, sent: Vec<Sent>) -> (BTreeMap<(RenditionName, u32), Sent>, Vec<Sent>) {
        let numbers = self.keeping(segments);
        let (mut heard, mut others) = (BTreeMap::new(), Vec::new());
        for object in sent {
            match object.part.clone() {
                Some((name, Some(n))) if numbers.get(&name).is_some_and(|numbers| numbers.contains(&n)) => {
                    heard.insert((name, n), object);
                }
                _ => others.push(object),
            }
        }
        (heard, others)
    }

    /// The numbers of segments to keep, for each rendition.
    fn keeping(&self, of: impl Fn(&[Piece]) -> Vec<u32>) -> BTreeMap<RenditionName, Vec<u32>> {
        let tracks = self.tracks.iter();
        tracks
            .map(|(rendition, pieces)| (rendition.name.clone(), of(pieces)))
            .collect()
    }
}

/// The numbers of all segments of these pieces.
fn segments(pieces: &[Piece]) -> Vec<u32> {
    pieces.iter().flat_map(|piece| piece.segments.iter().copied()).collect()
}

/// Decodes one piece that was read back, and tells the levels of its blocks.
async fn levels_of(readback: &Readback<'_>, rendition: &AudioRendition, piece: &Piece) -> Result<Vec<Level>, Failure> {
    let hearing = Hearing::of(rendition, piece.blocks.start);
    let excerpt = Excerpt {
        file: readback.join(&rendition.name, &piece.segments).await?,
        output: format!("{}/made.levels", rendition.name),
        look: Look::Levels(hearing),
    };
    readback.look(std::slice::from_ref(&excerpt)).await?;

    let text = readback.file(&excerpt.output).await?;
    readback.remove(&excerpt.file).await?;
    readback.remove(&excerpt.output).await?;
    let levels = levels::read(&String::from_utf8_lossy(&text), hearing.block());
    Ok(levels::within(levels, &piece.blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many segments of 188 AAC frames.
    fn track(count: u32) -> Vec<SegmentOutput> {
        let segment = |n: u32| SegmentOutput {
            n,
            start: u64::from(n) * 188 * 1024,
            duration: 188 * 1024,
            key_frame: None,
            size: 1,
            sha256: String::new(),
            etag: None,
        };
        (0..count).map(segment).collect()
    }

    #[test]
    fn short_sound_is_heard_whole_and_long_sound_in_pieces_from_everywhere() {
        let short = pieces(&track(240), 48_000);
        assert_eq!(segments(&short), (0..240).collect::<Vec<_>>());
        assert_eq!(short[0].blocks.start, 0);
        // The last block is there too, though it is not full: 240 segments last 962.56 s.
        assert_eq!(short[15].blocks.end, 1926);
        let long = pieces(&track(2700), 48_000);
        assert_eq!(long.len(), PIECES);
        assert!(long[0].segments[0] < 135 && long[15].segments[0] > 2500);
        assert!(pieces(&[], 48_000).is_empty());
    }
}
