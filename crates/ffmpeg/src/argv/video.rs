//! One chunk of the video: all rungs from one decode, each frame on the grid of the whole video.

use std::ops::Range;

use streams::Rational;
use streams::plan::{Planned, VideoPlan, VideoRendition};

use super::filter::{Chain, Filter, Graph};
use super::hls::Hls;
use super::tiles::Tiles;
use super::time_format::not_after;
use super::{Entry, Options, common_args, encoder, picture, poster, reference, split_words, tiles};
use crate::input::Input;

/// Share of a chunk's packets that may fail to decode: the picture stands still there, or shows
/// what the decoder guesses. Beyond it ffmpeg ends with an exit code of its own.
const MAX_ERROR_RATE: f64 = 0.1;

/// The arguments that encode chunk `chunk` of the plan's video from `input`; nothing when the plan
/// has no such chunk, or its numbers leave the range of exact fractions.
///
/// Beside the segments it writes the tiles of the storyboard that lie in the chunk, and in some
/// chunks pictures for the poster: raw, so that no codec for images can fail the chunk; and a few
/// of the frames its encoders get. Every frame number and time is that of the whole video, so
/// chunks join without a gap on any machine.
#[must_use]
pub fn video_chunk(
    planned: &Planned,
    chunk: u32,
    input: &Input,
    options: Options,
) -> Option<Vec<String>> {
    let [whole] = &Pass::whole(planned.videos().count())[..] else {
        return None;
    };
    video_pass(planned, chunk, whole, input, options)
}

/// What of a chunk one run makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The rungs, counted from the top.
    pub rungs: Range<usize>,
    /// Whether it also makes the pictures for poster and storyboard.
    pub images: bool,
}

impl Pass {
    /// Everything in one run: one decode for all of it.
    #[must_use]
    pub fn whole(rungs: usize) -> Vec<Self> {
        vec![Self {
            rungs: 0..rungs,
            images: true,
        }]
    }

    /// The lowest rung alone, since it is there so much sooner, then everything else.
    #[must_use]
    pub fn preview(rungs: usize) -> Vec<Self> {
        let lowest = rungs.saturating_sub(1);
        [(lowest..rungs, false), (0..lowest, true)]
            .map(|(rungs, images)| Self { rungs, images })
            .into()
    }

    /// One rung after the other from the lowest up, for those who have no memory for more.
    #[must_use]
    pub fn one_by_one(rungs: usize) -> Vec<Self> {
        let passes = (0..rungs).rev().map(|rung| Self {
            rungs: rung..rung + 1,
            images: rung == 0,
        });
        passes.collect()
    }
}

/// As [`video_chunk`], of one pass over the chunk. Every rung is made of the same pictures in any
/// pass.
#[must_use]
pub fn video_pass(
    planned: &Planned,
    chunk: u32,
    pass: &Pass,
    input: &Input,
    options: Options,
) -> Option<Vec<String>> {
    let video = planned.video.as_ref()?;
    let part = ChunkRange::of(planned, video, chunk, pass)?;

    let mut args = common_args();
    args.extend(
        planned
            .videos()
            .next()
            .map(encoder::device_args)
            .unwrap_or_default(),
    );
    // With `-noaccurate_seek` ffmpeg hands out what it decodes from the key frame on; the graph
    // cuts exactly instead.
    args.extend(split_words(&format!(
        "-max_error_rate {MAX_ERROR_RATE} -copyts -noaccurate_seek"
    )));
    args.extend(part.seek(planned, video, options.entry)?);
    args.extend(options.args());
    args.extend(picture::input_options(&planned.source, video));
    args.extend(input.args());
    args.extend(part.graph(planned, video)?.args());

    // The rungs come before the images: ffmpeg's progress counts the frames of the first video
    // output.
    for (i, rendition) in part.made(planned) {
        // The graph has put every frame on the grid: none may be dropped or repeated after it.
        args.extend(split_words(&format!("-map [v{i}] -fps_mode passthrough")));
        args.extend(encoder::args(rendition));
        args.extend(options.args());
        args.extend(part.hls(planned, rendition)?.args());
    }

    if part.has_poster {
        args.extend(poster::args());
    }
    args.extend(part.tiles.map(Tiles::args).into_iter().flatten());

    for (i, rendition) in part.made(planned) {
        args.extend(reference::args(i, rendition));
    }
    Some(args)
}

/// Where a chunk lies.
struct ChunkRange {
    /// Its number.
    chunk: u32,
    /// First frame at full rate.
    first: u64,
    /// The frame after the last one at full rate, as planned.
    planned_end: u64,
    /// The same; nothing for the last chunk, which takes what there is.
    end: Option<u64>,
    /// First segment.
    segment: u32,
    /// Time of the first frame on the output's timeline, in seconds.
    time: Rational,
    /// Time of the first frame on the source's clock, in seconds.
    source_time: Rational,
    /// The rungs that are made, counted from the top.
    rungs: Range<usize>,
    /// Whether it offers pictures for the poster.
    has_poster: bool,
    /// Its tiles of the storyboard.
    tiles: Option<Tiles>,
}

impl ChunkRange {
    fn of(planned: &Planned, video: &VideoPlan, chunk: u32, pass: &Pass) -> Option<Self> {
        let (first, end) = video.chunk_frames(chunk)?;
        let time = Rational::whole(i64::try_from(first).ok()?).checked_div(video.frame_rate)?;

        Some(Self {
            chunk,
            first,
            planned_end: end,
            end: (!video.is_last(chunk)).then_some(end),
            segment: *video.chunks.get(usize::try_from(chunk).ok()?)?,
            time,
            source_time: planned.timeline.zero.checked_add(time)?,
            has_poster: pass.images && poster::has_poster(chunk),
            rungs: pass.rungs.clone(),
            tiles: Tiles::of(planned.storyboard.filter(|_| pass.images), first, end),
        })
    }

    /// The rungs that are made, with their numbers.
    fn made<'p>(
        &self,
        planned: &'p Planned,
    ) -> impl Iterator<Item = (usize, &'p VideoRendition)> + use<'p> {
        let rungs = self.rungs.clone();
        planned
            .videos()
            .enumerate()
            .filter(move |(i, _)| rungs.contains(i))
    }

    /// Enters the source at the key frame at or before the first frame; not at all where that is
    /// the source's start.
    fn seek(&self, planned: &Planned, video: &VideoPlan, entry: Entry) -> Option<Vec<String>> {
        let earlier = match entry {
            Entry::Planned => 0.0,
            Entry::Earlier(seconds) => f64::from(seconds),
            Entry::Start => return Some(Vec::new()),
        };

        if self.first == 0 || !video.seekable {
            return Some(Vec::new());
        }

        let margin = Rational::new(
            ((video.seek_margin + earlier) * 1e6).round() as i64,
            1_000_000,
        )?;
        // `-ss` counts from the start of the container, not from zero of the source's clock.
        let at = self
            .source_time
            .checked_sub(planned.timeline.container_start)?
            .checked_sub(margin)?;

        Some(if at > Rational::ZERO {
            vec!["-ss".to_owned(), not_after(at)]
        } else {
            Vec::new()
        })
    }

    fn graph(&self, planned: &Planned, video: &VideoPlan) -> Option<Graph> {
        // Every rung is scaled from the frames of the source: to scale one from the next larger
        // saves nothing.
        let mut labels: Vec<String> = self.rungs.clone().map(|i| format!("s{i}")).collect();
        labels.extend(
            self.has_poster
                .then(|| poster::POSTER_FRAMES_LABEL.to_owned()),
        );
        labels.extend(self.tiles.map(|_| tiles::TILE_FRAMES_LABEL.to_owned()));

        let mut graph = Graph::default();
        graph.push(
            Chain::of_stream(0, video.track)
                .then_all(picture::input_filters(video.picture))
                .then_all(self.frame_grid_filters(video))
                .then_all(picture::frame_grid_filters(
                    video.picture,
                    planned.videos().next()?,
                ))
                .then_all(self.hold(video))
                .split("split", &labels),
        );

        let samples = reference::of_rungs(planned, self.chunk);
        for ((i, rendition), samples) in planned.videos().enumerate().zip(samples) {
            if self.rungs.contains(&i) {
                let rung = Chain::of_label(format!("s{i}"))
                    .then_all(frame_step(video, rendition))
                    .then_all(picture::rung_filters(video.picture, rendition));
                reference::tap_video(
                    &mut graph,
                    rung,
                    i,
                    &samples,
                    encoder::upload_filters(rendition),
                );
            }
        }

        if self.has_poster {
            let frames = self.planned_end.saturating_sub(self.first);
            graph.push(poster::chain(planned, video, frames)?);
        }
        if let Some(tiles) = self.tiles {
            graph.push(tiles.chain(video));
        }
        Some(graph)
    }

    /// Frame times are moved so that the chunk's first frame is at zero, laid onto the grid, and
    /// cut to the chunk. `setpts` comes directly before `fps`: behind it some versions of ffmpeg
    /// forget the rate. The first chunk fills a gap before the first picture with that picture;
    /// later ones must not, or a seek that landed late would freeze instead of failing its gate.
    fn frame_grid_filters(&self, video: &VideoPlan) -> [Filter; 3] {
        let start = (self.first == 0).then_some(0);
        let end = self.end.map(|end| end - self.first);

        [
            Filter::new("setpts").value(format!("round(PTS-({})/TB)", self.source_time)),
            Filter::new("fps")
                .value(video.frame_rate)
                .maybe("start_time", start),
            Filter::new("trim")
                .arg("start_pts", 0)
                .maybe("end_pts", end),
        ]
    }

    /// Holds the last picture to the end of the programme, where sound goes on behind it. Only by
    /// as many frames as are planned: those that were lost before must be missed in the end.
    fn hold(&self, video: &VideoPlan) -> Option<Filter> {
        let frames = video.held_frames();
        let hold = || {
            Filter::new("tpad")
                .arg("stop", frames)
                .arg("stop_mode", "clone")
        };
        (frames > 0 && self.end.is_none()).then(hold)
    }

    fn hls<'a>(&self, planned: &Planned, rendition: &'a VideoRendition) -> Option<Hls<'a>> {
        let gops = u64::from(rendition.segment_frames.checked_div(rendition.gop_frames)?);
        Some(Hls {
            name: &rendition.name,
            segment: planned.segment.duration,
            first_segment: self.segment,
            offset: Some(self.time),
            first_fragment: 1 + u64::from(self.segment) * gops,
        })
    }
}

/// A rung of a lower rate takes every n-th frame of the same grid, beginning with the chunk's
/// first.
fn frame_step(video: &VideoPlan, rendition: &VideoRendition) -> Option<Filter> {
    let step = (video.frame_rate.as_f64() / rendition.frame_rate.as_f64()).round();
    (step > 1.0).then(|| Filter::new("framestep").value(step))
}
