//! Samples of audio: its level, block by block, compared with the input of the encoder.

use std::collections::BTreeMap;
use std::ops::Range;

use ffmpeg::argv::reference::{self, Excerpt, Extraction, LevelMeter};
use media::levels::{self, Level};
use streams::RenditionName;
use streams::plan::{AudioRendition, Planned};
use streams::work::{Evidence, RenditionOutput, SegmentOutput};

use super::readback::{ObjectContent, Readback, UploadedObject};
use crate::job::failure::Failure;

/// Segments that are decoded in one piece.
const SEGMENTS_PER_PIECE: usize = 15;

/// Pieces of a rendition that are decoded: all of it up to a quarter of an hour, and pieces spread
/// over longer ones.
const MAX_PIECES: usize = 16;

/// The audio that is compared.
#[derive(Debug, Clone)]
pub(in crate::pipeline::encode) struct AudioSamples<'a> {
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

/// At most [`MAX_PIECES`] pieces of at most [`SEGMENTS_PER_PIECE`] neighbours, evenly.
fn select_pieces(segments: &[SegmentOutput], sample_rate: u32) -> Vec<Piece> {
    let all: Vec<&[SegmentOutput]> = segments.chunks(SEGMENTS_PER_PIECE).collect();
    let places = reference::spread_evenly(all.len().min(MAX_PIECES), all.len());

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

impl<'a> AudioSamples<'a> {
    /// Selects what is compared of the segments of each rendition.
    pub(in crate::pipeline::encode) fn select(plan: &'a Planned, made: &[RenditionOutput]) -> Self {
        let pieces_of = |rendition: &AudioRendition| {
            let output = made.iter().find(|output| output.name == rendition.name);
            output.map_or_else(Vec::new, |output| {
                select_pieces(&output.segments, output.timescale)
            })
        };
        let tracks = plan
            .audios()
            .map(|rendition| (rendition, pieces_of(rendition)));
        Self {
            tracks: tracks.collect(),
        }
    }

    /// Reads back everything that was uploaded, and compares the levels of the audio with those of
    /// the input of the encoder. The pieces are read one after the other, so that long audio needs
    /// no more memory than short audio.
    pub(in crate::pipeline::encode) async fn verify_and_compare(
        &self,
        readback: &Readback<'_>,
        uploaded: Vec<UploadedObject>,
    ) -> Result<Vec<Evidence>, Failure> {
        let (mut sampled, others) = self.split_sampled(uploaded);
        readback
            .verify_objects(others, &self.segments_by_track(|_| Vec::new()))
            .await?;

        let kept = self.segments_by_track(segments);
        let mut evidence = Vec::new();
        for (rendition, pieces) in &self.tracks {
            let mut made = Vec::new();
            for piece in pieces {
                let place = |n: &u32| (rendition.name.clone(), *n);
                let objects = piece
                    .segments
                    .iter()
                    .filter_map(|n| sampled.remove(&place(n)));
                readback.verify_objects(objects.collect(), &kept).await?;
                made.extend(measure_levels(readback, rendition, piece).await?);
            }

            let source = format!("{}/{}", rendition.name, reference::LEVELS_FILE);
            let source = readback.read_file(&source).await?;
            let source = levels::read(
                &String::from_utf8_lossy(&source),
                LevelMeter::of(rendition, 0).block(),
            );
            evidence.push(Evidence {
                name: rendition.name.clone(),
                pictures: Vec::new(),
                sound: levels::compare(&made, &source),
            });
        }
        Ok(evidence)
    }

    /// The segments that are sampled, by rendition and number, and everything else that was
    /// uploaded.
    fn split_sampled(
        &self,
        uploaded: Vec<UploadedObject>,
    ) -> (
        BTreeMap<(RenditionName, u32), UploadedObject>,
        Vec<UploadedObject>,
    ) {
        let numbers = self.segments_by_track(segments);
        let (mut sampled, mut others) = (BTreeMap::new(), Vec::new());

        for object in uploaded {
            match object.content.clone() {
                ObjectContent::Segment(name, n)
                    if numbers
                        .get(&name)
                        .is_some_and(|numbers| numbers.contains(&n)) =>
                {
                    sampled.insert((name, n), object);
                }
                _ => others.push(object),
            }
        }
        (sampled, others)
    }

    /// Numbers of segments, chosen of the pieces of each rendition.
    fn segments_by_track(
        &self,
        choose: impl Fn(&[Piece]) -> Vec<u32>,
    ) -> BTreeMap<RenditionName, Vec<u32>> {
        let tracks = self.tracks.iter();
        tracks
            .map(|(rendition, pieces)| (rendition.name.clone(), choose(pieces)))
            .collect()
    }
}

/// The numbers of all segments of these pieces.
fn segments(pieces: &[Piece]) -> Vec<u32> {
    pieces
        .iter()
        .flat_map(|piece| piece.segments.iter().copied())
        .collect()
}

/// Decodes one piece that was read back, and returns the levels of its blocks.
async fn measure_levels(
    readback: &Readback<'_>,
    rendition: &AudioRendition,
    piece: &Piece,
) -> Result<Vec<Level>, Failure> {
    let hearing = LevelMeter::of(rendition, piece.blocks.start);
    let excerpt = Excerpt {
        file: readback
            .join_segments(&rendition.name, &piece.segments)
            .await?,
        output: format!("{}/made.levels", rendition.name),
        look: Extraction::Levels(hearing),
    };
    readback
        .decode_excerpts(std::slice::from_ref(&excerpt))
        .await?;

    let text = readback.read_file(&excerpt.output).await?;
    readback.remove_file(&excerpt.file).await?;
    readback.remove_file(&excerpt.output).await?;
    let levels = levels::read(&String::from_utf8_lossy(&text), hearing.block());
    Ok(levels::within(levels, &piece.blocks))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This many segments of 188 AAC frames.
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
        let short = select_pieces(&track(240), 48_000);
        assert_eq!(segments(&short), (0..240).collect::<Vec<_>>());
        assert_eq!(short[0].blocks.start, 0);
        // The last block is there too, though it is not full: 240 segments last 962.56 s.
        assert_eq!(short[15].blocks.end, 1926);

        let long = select_pieces(&track(2700), 48_000);
        assert_eq!(long.len(), MAX_PIECES);
        assert!(long[0].segments[0] < 135 && long[15].segments[0] > 2500);
        assert!(select_pieces(&[], 48_000).is_empty());
    }
}
