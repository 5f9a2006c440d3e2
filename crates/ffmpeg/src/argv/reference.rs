//! Samples: the frames and the sound an encoder is given, kept beside what it makes of them, so
//! that the two can be compared.
//!
//! References come out of the run that encodes, never from another pass over the source: every
//! rung's chain is tapped where it enters the encoder. What was made is decoded by a small run of
//! its own from bytes that were read back.

use std::path::Path;

use media::levels::{BLOCKS_PER_SECOND, band};
use streams::plan::{AudioRendition, Planned, Rendition, VideoPlan, VideoRendition};

use super::filter::{Chain, Filter, Graph};
use super::{common_args, raw_frames, split_words};
use crate::input::Input;

/// The file a rendition's reference frames are written to, in the rendition's folder: planes of
/// luma, one after the other.
pub const REFERENCE_FILE: &str = "reference.gray";

/// The file a rendition's reference levels are written to, in the rendition's folder: ffmpeg's
/// frame metadata as text.
pub const LEVELS_FILE: &str = "reference.levels";

/// Frames that are compared over the whole output, at least, where it has so many.
const MIN_SAMPLES_PER_OUTPUT: usize = 8;

/// Frames that are compared in each chunk, at least: one near its beginning and one near its end.
const MIN_SAMPLES_PER_CHUNK: usize = 2;

/// A frame that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The segment it is in.
    pub segment: u32,
    /// Its number in the segment.
    pub in_segment: u64,
    /// Its number in the chunk.
    pub in_chunk: u64,
    /// Its number in the whole rendition.
    pub frame: u64,
}

/// The frames of chunk `chunk` of a rendition that are compared, in order; none where the plan has
/// no such chunk.
///
/// They lie in the first half second of their segments, since everything before them has to be
/// decoded, and in as many segments as there are frames to compare.
#[must_use]
pub fn frames(planned: &Planned, rendition: &VideoRendition, chunk: u32) -> Vec<Sample> {
    let Some(bounds) = planned
        .video
        .as_ref()
        .and_then(|video| Bounds::of(planned, video, rendition, chunk))
    else {
        return Vec::new();
    };

    let wanted = MIN_SAMPLES_PER_CHUNK.max(MIN_SAMPLES_PER_OUTPUT.div_ceil(bounds.chunks));
    let segments = bounds.segments();
    let mut reach = bounds.reach.min(bounds.per_segment);

    loop {
        let candidates: Vec<Sample> = spread_evenly(wanted.min(segments), segments)
            .flat_map(|segment| bounds.first_of(segment as u64, reach))
            .collect();

        if candidates.len() >= wanted || reach == bounds.per_segment {
            return spread_evenly(wanted.min(candidates.len()), candidates.len())
                .map(|index| candidates[index])
                .collect();
        }

        // Where there are too few segments, frames that lie further into them are decoded as well.
        reach = (reach * 2).min(bounds.per_segment);
    }
}

/// Where the frames of a chunk lie, at the rate of a rendition.
struct Bounds {
    /// Chunks of the video.
    chunks: usize,
    /// First segment.
    segment: u32,
    /// The segment behind the last one of the video.
    end: u32,
    /// Number of the first frame in the whole rendition.
    first: u64,
    /// Frames that are sure to be there.
    frames: u64,
    /// Frames of a segment.
    per_segment: u64,
    /// Frames of half a second, at least one.
    reach: u64,
}

impl Bounds {
    fn of(
        planned: &Planned,
        video: &VideoPlan,
        rendition: &VideoRendition,
        chunk: u32,
    ) -> Option<Self> {
        let (first, end) = video.chunk_frames(chunk)?;

        // The last chunk may end two frames early.
        let end = if video.is_last(chunk) {
            end.saturating_sub(2).max(first + 1)
        } else {
            end
        };

        let per_segment = u64::from(rendition.segment_frames).max(1);
        let step = u64::from(video.segment_frames)
            .checked_div(per_segment)?
            .max(1);

        Some(Self {
            chunks: video.chunks.len().max(1),
            segment: *video.chunks.get(usize::try_from(chunk).ok()?)?,
            end: planned.segment.count,
            first: first / step,
            frames: (end - first).div_ceil(step),
            per_segment,
            reach: ((rendition.frame_rate.as_f64() / 2.0).round() as u64).max(1),
        })
    }

    /// Segments of the chunk. Frames behind the last one of the video belong to it, and are not
    /// looked at.
    fn segments(&self) -> usize {
        let there = self.frames.div_ceil(self.per_segment);
        let planned = self.end.saturating_sub(self.segment).max(1);
        usize::try_from(there.min(planned.into())).unwrap_or(usize::MAX)
    }

    /// The first frames of segment `k` of the chunk, at most `most`.
    fn first_of(&self, k: u64, most: u64) -> impl Iterator<Item = Sample> + use<'_> {
        let begin = k * self.per_segment;
        let count = self.frames.saturating_sub(begin).min(most);
        (0..count).map(move |in_segment| Sample {
            segment: self.segment + u32::try_from(k).unwrap_or(u32::MAX),
            in_segment,
            in_chunk: begin + in_segment,
            frame: self.first + begin + in_segment,
        })
    }
}

/// `count` of the numbers below `all`: the one in the middle of each of `count` equal parts.
pub fn spread_evenly(count: usize, all: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |i| (2 * i + 1) * all / (2 * count))
}

/// Ends the chain of rung `i`: its frames go on to the encoder as `v<i>`, the luma of the samples
/// goes to `r<i>`. `upload` comes between them and the encoder, where that runs on a device of its
/// own.
pub(super) fn tap_video(
    graph: &mut Graph,
    rung: Chain,
    i: usize,
    samples: &[Sample],
    upload: Vec<Filter>,
) {
    let (encoded, tapped) = (format!("v{i}"), format!("t{i}"));
    if upload.is_empty() {
        graph.push(rung.split("split", &[encoded, tapped.clone()]));
    } else {
        let plain = format!("e{i}");
        graph.push(rung.split("split", &[plain.clone(), tapped.clone()]));
        graph.push(Chain::of_label(plain).then_all(upload).output(encoded));
    }

    let numbers = samples.iter().map(|sample| sample.in_chunk);
    graph.push(
        Chain::of_label(tapped)
            .then_all(sample_filters(numbers))
            .output(format!("r{i}")),
    );
}

/// The output options of the samples of rung `i`.
pub(super) fn args(i: usize, rendition: &VideoRendition) -> Vec<String> {
    split_words(&format!(
        "-map [r{i}] -fps_mode passthrough -c:v rawvideo -f rawvideo {}/{REFERENCE_FILE}",
        rendition.name
    ))
}

/// Only the frames with these numbers, only their luma.
fn sample_filters(numbers: impl Iterator<Item = u64>) -> [Filter; 2] {
    [
        raw_frames::select(numbers),
        Filter::new("extractplanes").value("y"),
    ]
}

/// Ends the chain of an audio rendition: its samples go on to the encoder under the rendition's
/// name, their levels into a file.
pub(super) fn tap_audio(graph: &mut Graph, chain: Chain, rendition: &AudioRendition) {
    let name = &rendition.name;
    let (encoded, heard) = (format!("on_{name}"), format!("heard_{name}"));
    graph.push(chain.split("asplit", &[encoded.clone(), heard.clone()]));
    graph.push(
        Chain::of_label(heard)
            .then_all(levels(
                &format!("{name}/{LEVELS_FILE}"),
                LevelMeter::of(rendition, 0),
            ))
            .output(levels_label(rendition)),
    );
    graph.push(
        Chain::of_label(encoded)
            .then(Filter::new("anull"))
            .output(name),
    );
}

/// The output options of the levels of an audio rendition, which are in their file by then. A chain
/// that ends in `anullsink` would need none, but ffmpeg 7.1 aborts at the end of such a graph
/// (`Assertion best_input >= 0 failed`).
pub(super) fn levels_args(rendition: &AudioRendition) -> Vec<String> {
    split_words(&format!("-map [{}] -f null -", levels_label(rendition)))
}

fn levels_label(rendition: &AudioRendition) -> String {
    format!("levels_{}", rendition.name)
}

/// How sound is measured: the same on both sides, or they cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelMeter {
    /// Samples per second of the sound.
    sample_rate: u32,
    /// Samples of a block, once there are so few samples a second as hold the measured band: as
    /// many as the band has Hz.
    block: u32,
    /// Number of the block the measurement begins with.
    first: u32,
}

impl LevelMeter {
    /// How a rendition is measured from block `first` on.
    #[must_use]
    pub fn of(rendition: &AudioRendition, first: u32) -> Self {
        Self {
            sample_rate: rendition.sample_rate,
            block: band(rendition.bitrate, rendition.channels),
            first,
        }
    }

    /// Samples of a block.
    #[must_use]
    pub const fn block(self) -> u32 {
        self.block
    }
}

/// Peak and mean level of every block, printed as metadata into `file`. Blocks lie where the
/// timeline has them, wherever the sound begins: the resampler cuts what lies before the first one,
/// and fills it up where sound begins later, counting in samples of its input.
fn levels(file: &str, hearing: LevelMeter) -> [Filter; 4] {
    let LevelMeter {
        sample_rate,
        block,
        first,
    } = hearing;

    let first = u64::from(first) * u64::from(sample_rate / BLOCKS_PER_SECOND);
    [
        Filter::new("aresample")
            .value(block * BLOCKS_PER_SECOND)
            .arg("first_pts", first),
        Filter::new("asetnsamples").arg("n", block).arg("p", 1),
        Filter::new("astats")
            .arg("metadata", 1)
            .arg("reset", 1)
            .arg("measure_perchannel", "none")
            .arg("measure_overall", "Peak_level+RMS_level"),
        Filter::new("ametadata")
            .arg("mode", "print")
            .arg("file", file),
    ]
}

/// A file to look into: an init segment with media segments behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Its path in the folder ffmpeg runs in.
    pub file: String,
    /// What is written, in the same folder.
    pub output: String,
    /// What is looked for.
    pub look: Extraction,
}

/// What is looked for in an excerpt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extraction {
    /// The luma of the frames with these numbers, in the form of [`REFERENCE_FILE`].
    Frames(Vec<u64>),
    /// The levels of sound, in the form of [`LEVELS_FILE`].
    Levels(LevelMeter),
}

/// The arguments that look into excerpts: one decoder after the other, each as far as it has to go.
#[must_use]
pub fn extract_samples(excerpts: &[Excerpt]) -> Vec<String> {
    let mut args = common_args();
    args.push("-copyts".to_owned());

    for excerpt in excerpts {
        args.extend(split_words("-threads 1 -ignore_editlist 1"));
        args.extend(Input::file(Path::new(&excerpt.file)).args());
    }

    for (i, Excerpt { output, look, .. }) in excerpts.iter().enumerate() {
        match look {
            Extraction::Frames(numbers) => {
                args.extend(split_words(&format!("-map {i}:v:0 -filter:v")));
                let picked = Chain::default().then_all(sample_filters(numbers.iter().copied()));
                args.push(picked.to_string());
                args.extend(split_words(&format!(
                    "-fps_mode passthrough -frames:v {} -c:v rawvideo -f rawvideo {output}",
                    numbers.len()
                )));
            }
            Extraction::Levels(hearing) => {
                args.extend(split_words(&format!("-map {i}:a:0 -filter:a")));
                args.push(
                    Chain::default()
                        .then_all(levels(output, *hearing))
                        .to_string(),
                );
                args.extend(split_words("-f null -"));
            }
        }
    }

    args
}

/// The frames that are compared of every rung.
pub(super) fn of_rungs(planned: &Planned, chunk: u32) -> Vec<Vec<Sample>> {
    let rungs = planned
        .renditions
        .iter()
        .filter_map(|rendition| match rendition {
            Rendition::Video(video) => Some(frames(planned, video, chunk)),
            Rendition::Audio(_) => None,
        });
    rungs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use streams::testing::planned;

    /// The test plan with `frames` frames in `chunks` chunks of `per_chunk` segments each,
    /// `per_segment` frames to a segment.
    fn video(frames: u64, per_segment: u32, per_chunk: u32) -> Planned {
        let mut planned = planned();
        let video = planned.video.as_mut().unwrap();
        video.frames = frames;
        video.segment_frames = per_segment;

        let segments = u32::try_from(frames.div_ceil(u64::from(per_segment))).unwrap();
        planned.segment.count = segments;
        video.chunks = (0..segments).step_by(per_chunk as usize).collect();

        for rendition in &mut planned.renditions {
            if let Rendition::Video(rung) = rendition {
                let step = if rung.name.as_str() == "480p" { 2 } else { 1 };
                rung.segment_frames = per_segment / step;
            }
        }

        planned
    }

    #[test]
    fn a_clip_of_one_chunk_has_eight_samples_and_a_long_video_two_in_each_chunk() {
        let count = |planned: &Planned, chunk| {
            of_rungs(planned, chunk)
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>()
        };
        assert_eq!(count(&video(300, 100, 3), 0), [8, 8]);
        assert_eq!(count(&video(30_000, 100, 3), 7), [2, 2]);
        assert_eq!(count(&video(1, 100, 3), 0), [1, 1]);
        assert_eq!(of_rungs(&video(300, 100, 3), 9), [vec![], vec![]]);
    }

    #[test]
    fn a_rung_of_half_the_rate_counts_its_own_frames() {
        let planned = video(1200, 240, 2);
        let samples = of_rungs(&planned, 1);
        assert_eq!(samples[1][0].frame - samples[1][0].in_chunk, 240);
        assert_eq!(samples[0][0].frame - samples[0][0].in_chunk, 480);
    }

    proptest! {
        #[test]
        fn samples_are_frames_of_their_chunk_and_rise(
            frames in 1u64..5000, half_segment in 1u32..70, per_chunk in 1u32..6, pick in 0usize..1000,
        ) {
            let planned = video(frames, half_segment * 2, per_chunk);
            let video = planned.video.as_ref().unwrap();
            let chunk = u32::try_from(pick % video.chunks.len()).unwrap();
            let (first, end) = video.chunk_frames(chunk).unwrap();

            for (samples, step) in of_rungs(&planned, chunk).iter().zip([1, 2]) {
                let there = end.saturating_sub(2).max(first + 1) - first;
                let (there, per_segment) = (there.div_ceil(step), u64::from(half_segment) * 2 / step);
                let wanted = MIN_SAMPLES_PER_CHUNK.max(MIN_SAMPLES_PER_OUTPUT.div_ceil(video.chunks.len())) as u64;
                prop_assert!(samples.is_sorted_by(|a, b| a.frame < b.frame));
                prop_assert_eq!(samples.len() as u64, if video.is_last(chunk) { wanted.min(there) } else { wanted.min((end - first).div_ceil(step)) });

                for sample in samples {
                    prop_assert!(sample.frame * step < end && sample.frame * step >= first);
                    prop_assert_eq!(sample.frame, u64::from(sample.segment) * per_segment + sample.in_segment);
                    prop_assert_eq!(sample.frame, first / step + sample.in_chunk);
                }
            }
        }
    }
}
