//! What is measured of sound: how loud it is, second by second, beside the encoder's input.

use std::collections::BTreeMap;

use streams::RenditionName;
use streams::plan::{AudioRendition, Planned};
use streams::work::{Evidence, RenditionOutput};

use super::level;
use super::readback::Readback;
use crate::failure::Failure;
use crate::ffmpeg::argv::reference::{self, Excerpt, Look};

/// Segments that are decoded in one piece.
const RUN: usize = 15;

/// Pieces of a rendition that are decoded: all of a quarter of an hour, and of what is longer pieces from everywhere.
const RUNS: usize = 16;

/// Pieces that are decoded at a time: an input takes memory for as long as it is open.
const AT_ONCE: usize = 4;

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
    /// The segments that must be kept when they are read back.
    pub(in crate::encode) fn wanted(&self) -> BTreeMap<RenditionName, Vec<u32>> {
        let wanted = |(rendition, runs): &(&AudioRendition, Vec<Vec<u32>>)| (rendition.name.clone(), runs.concat());
        self.tracks.iter().map(wanted).collect()
    }

    /// Decodes the sound and compares its levels with those the encoder was given.
    pub(in crate::encode) async fn compare(&self, readback: &Readback<'_>) -> Result<Vec<Evidence>, Failure> {
        let mut evidence = Vec::new();
        for (rendition, runs) in &self.tracks {
            let reference = readback
                .file(&format!("{}/{}", rendition.name, reference::LEVELS))
                .await?;
            let mut made = Vec::new();
            for runs in runs.chunks(AT_ONCE) {
                let mut excerpts = Vec::new();
                for run in runs {
                    excerpts.push(Excerpt {
                        file: readback.join(&rendition.name, run).await?,
                        output: made_file(rendition, run),
                        look: Look::Levels(rendition.sample_rate),
                    });
                }
                readback.look(&excerpts).await?;
                for Excerpt { file, output, .. } in excerpts {
                    readback.remove(&file).await?;
                    made.extend(level::read(&String::from_utf8_lossy(&readback.file(&output).await?)));
                }
            }
            evidence.push(Evidence {
                name: rendition.name.clone(),
                pictures: Vec::new(),
                sound: level::compare(&made, &level::read(&String::from_utf8_lossy(&reference))),
            });
        }
        Ok(evidence)
    }
}

fn made_file(rendition: &AudioRendition, run: &[u32]) -> String {
    let first = run.first().copied().unwrap_or_default();
    format!("{}/made-{first}.levels", rendition.name)
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
