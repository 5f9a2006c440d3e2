//! Samples of video: how like the encoder's input they are, and how bright.

use std::collections::BTreeMap;

use ffmpeg::argv::reference::{self, Excerpt, Extraction, Sample};
use streams::plan::{Planned, VideoRendition};
use streams::work::{Evidence, PictureSample};
use streams::{Code, RenditionName};

use super::plane::Plane;
use super::readback::Readback;
use crate::job::failure::Failure;

/// The pictures of one chunk that are compared.
#[derive(Debug, Clone)]
pub(in crate::pipeline::encode) struct VideoSamples<'a> {
    rungs: Vec<(&'a VideoRendition, Vec<Sample>)>,
}

impl<'a> VideoSamples<'a> {
    /// Selects the pictures of `chunk` that are compared, of each rung.
    pub(in crate::pipeline::encode) fn select(plan: &'a Planned, chunk: u32) -> Self {
        let rungs = plan
            .videos()
            .map(|rung| (rung, reference::frames(plan, rung, chunk)));
        Self {
            rungs: rungs.collect(),
        }
    }

    /// The segments they lie in, which must be kept when they are read back.
    pub(in crate::pipeline::encode) fn segments(&self) -> BTreeMap<RenditionName, Vec<u32>> {
        let segments_of = |(rung, samples): &(&VideoRendition, Vec<Sample>)| {
            let mut segments: Vec<u32> = samples.iter().map(|sample| sample.segment).collect();
            segments.dedup();
            (rung.name.clone(), segments)
        };
        self.rungs.iter().map(segments_of).collect()
    }

    /// Decodes the pictures and compares each with the frame its encoder was given.
    pub(in crate::pipeline::encode) async fn compare(
        &self,
        readback: &Readback<'_>,
    ) -> Result<Vec<Evidence>, Failure> {
        let mut excerpts = Vec::new();
        for (rung, samples) in &self.rungs {
            for of_segment in samples.chunk_by(|a, b| a.segment == b.segment) {
                let segment = of_segment[0].segment;
                excerpts.push(Excerpt {
                    file: readback.join_segments(&rung.name, &[segment]).await?,
                    output: decoded_file(rung, segment),
                    look: Extraction::Frames(
                        of_segment.iter().map(|sample| sample.in_segment).collect(),
                    ),
                });
            }
        }
        readback.decode_excerpts(&excerpts).await?;

        let mut evidence = Vec::new();
        for (rung, samples) in &self.rungs {
            evidence.push(compare_rung(readback, rung, samples).await?);
        }
        Ok(evidence)
    }
}

/// The file into which the pictures of a segment are decoded.
fn decoded_file(rung: &VideoRendition, segment: u32) -> String {
    format!("{}/made-{segment}.gray", rung.name)
}

async fn compare_rung(
    readback: &Readback<'_>,
    rung: &VideoRendition,
    samples: &[Sample],
) -> Result<Evidence, Failure> {
    let reference = readback
        .read_file(&format!("{}/{}", rung.name, reference::REFERENCE_FILE))
        .await?;

    let mut made = Vec::new();
    for of_segment in samples.chunk_by(|a, b| a.segment == b.segment) {
        made.extend(
            readback
                .read_file(&decoded_file(rung, of_segment[0].segment))
                .await?,
        );
    }

    // Millions of pixels: not a matter for the threads that keep the connections alive.
    let (rung, samples) = (rung.clone(), samples.to_vec());
    let compared =
        tokio::task::spawn_blocking(move || compare_frames(&rung, &samples, &made, &reference))
            .await;
    compared.unwrap_or_else(|error| Err(Failure::new(Code::VerificationFailed, error.to_string())))
}

/// Compares the frames that were decoded with those the encoder was given. All are raw luma, one
/// after the other.
fn compare_frames(
    rung: &VideoRendition,
    samples: &[Sample],
    made: &[u8],
    reference: &[u8],
) -> Result<Evidence, Failure> {
    let deep = rung.pixel_format.contains("10");
    let (width, height) = (rung.width as usize, rung.height as usize);
    let picture = width * height * if deep { 2 } else { 1 };
    let whole = picture * samples.len();
    if made.len() != whole || reference.len() != whole {
        let text = format!(
            "{}: of {} frames to compare, {} bytes could be decoded from the output and {} from its input, instead of {whole}.",
            rung.name,
            samples.len(),
            made.len(),
            reference.len()
        );
        return Err(Failure::new(Code::VerificationFailed, text));
    }

    let plane = |bytes| {
        if deep {
            Plane::of_ten_bits(width, bytes)
        } else {
            Plane::of_bytes(width, bytes)
        }
    };
    let pairs = made
        .chunks(picture.max(1))
        .zip(reference.chunks(picture.max(1)));
    let pictures = samples
        .iter()
        .zip(pairs)
        .map(|(sample, (made, reference))| {
            let (made, reference) = (plane(made), plane(reference));
            PictureSample {
                frame: sample.frame,
                ssim: rounded(made.similarity(&reference), 5),
                luma: rounded(made.mean(), 2),
                source_luma: rounded(reference.mean(), 2),
            }
        });
    Ok(Evidence {
        name: rung.name.clone(),
        pictures: pictures.collect(),
        sound: None,
    })
}

/// As many digits as mean something, since the figures travel in messages.
fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
