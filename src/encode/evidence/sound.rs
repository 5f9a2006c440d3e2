//! What is measured of sound: how loud it is, second by second, beside the encoder's input.

use std::collections::BTreeMap;

use streams::RenditionName;
use streams::plan::{AudioRendition, Planned};
use streams::work::{Evidence, RenditionOutput};

use super::level::{self, Level};
use super::readback::{Readback, Sent};
use crate::failure::Failure;
use crate::ffmpeg::argv::reference::{self, Excerpt, Look};

/// Segments that are decoded in one piece.
const RUN: usize = 15;

/// Pieces of a rendition that are decoded: all of a quarter of an hour, and of what is longer pieces from everywhere.
const RUNS: usize = 16;

/// The sound that is compared.
#[derive(Debug, Clone)]
pub(in crate::encode) struct Sound<'a> {
    tracks: Vec<(&'a AudioRendition, Vec<Vec<u32>>)>,
}

/// The sound that is compared of what was made of each rendition.
pub(in crate::encode) fn sound<'a>(plan: &'a Planned, made: &[RenditionOutput]) -> Sound<'a> {
    let runs_of = |rendition: &AudioRendition| {
        let output = made.iter().find(|output| output.name == rendition.name);
        let segments = output.map_or_else(Vec::new, |output| {
            output.segments.iter().map(|segment| segment.n).collect()
        });
        runs(&segments)
    };
    Sound {
        tracks: plan.audios().map(|rendition| (rendition, runs_of(rendition))).collect(),
    }
}

/// At most [`RUNS`] runs of at most [`RUN`] neighbours, evenly.
fn runs(segments: &[u32]) -> Vec<Vec<u32>> {
    let all: Vec<&[u32]> = segments.chunks(RUN).collect();
    let count = all.len().min(RUNS);
    let places = (0..count).map(|i| (2 * i + 1) * all.len() / (2 * count));
    places.map(|place| all[place].to_vec()).collect()
}

impl Sound<'_> {
    /// Reads back what was sent, and compares the levels of the sound with those the encoder was given. One piece after the other: what is
    /// read and open at a time is no more for long sound than for short.
    pub(in crate::encode) async fn read(
        &self,
        readback: &Readback<'_>,
        sent: Vec<Sent>,
    ) -> Result<Vec<Evidence>, Failure> {
        let (mut heard, others) = self.heard(sent);
        readback.read(others, &self.keeping(|_| Vec::new())).await?;
        let keep = self.keeping(|runs| runs.concat());
        let mut evidence = Vec::new();
        for (rendition, runs) in &self.tracks {
            let mut made = Vec::new();
            for run in runs {
                let place = |n: &u32| (rendition.name.clone(), *n);
                let piece = run.iter().filter_map(|n| heard.remove(&place(n)));
                readback.read(piece.collect(), &keep).await?;
                made.extend(levels(readback, rendition, run).await?);
            }
            let source = format!("{}/{}", rendition.name, reference::LEVELS);
            let source = level::read(&String::from_utf8_lossy(&readback.file(&source).await?));
            evidence.push(Evidence {
                name: rendition.name.clone(),
                pictures: Vec::new(),
                sound: level::compare(&made, &source),
            });
        }
        Ok(evidence)
    }

    /// The segments that are heard, by rendition and number, and everything else that was sent.
    fn heard(&self, sent: Vec<Sent>) -> (BTreeMap<(RenditionName, u32), Sent>, Vec<Sent>) {
        let numbers = self.keeping(|runs| runs.concat());
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
    fn keeping(&self, of: impl Fn(&[Vec<u32>]) -> Vec<u32>) -> BTreeMap<RenditionName, Vec<u32>> {
        let tracks = self.tracks.iter();
        tracks
            .map(|(rendition, runs)| (rendition.name.clone(), of(runs)))
            .collect()
    }
}

/// Decodes one piece that was read back, and tells its levels.
async fn levels(readback: &Readback<'_>, rendition: &AudioRendition, run: &[u32]) -> Result<Vec<Level>, Failure> {
    let excerpt = Excerpt {
        file: readback.join(&rendition.name, run).await?,
        output: format!("{}/made.levels", rendition.name),
        look: Look::Levels(rendition.sample_rate),
    };
    readback.look(std::slice::from_ref(&excerpt)).await?;
    let levels = readback.file(&excerpt.output).await?;
    readback.remove(&excerpt.file).await?;
    readback.remove(&excerpt.output).await?;
    Ok(level::read(&String::from_utf8_lossy(&levels)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_sound_is_heard_whole_and_long_sound_in_pieces_from_everywhere() {
        let short: Vec<u32> = (0..240).collect();
        assert_eq!(runs(&short).concat(), short);
        let long: Vec<u32> = (0..2700).collect();
        let heard = runs(&long);
        assert_eq!(heard.len(), RUNS);
        assert!(heard[0][0] < 135 && heard[15][0] > 2500);
        assert!(runs(&[]).is_empty());
    }
}
