//! Reads a source at times spread over it: where seeks land, whether they result in a picture, and
//! its properties.

use std::cmp::Ordering;

use media::ladder::probe::{Probe, Stream, Video};
use streams::Rational;

use super::super::child;
use super::super::packet::Packet;
use super::super::sandbox::ResourceLimits;
use super::super::timing::{evenly_spaced, intervals, leads};
use super::{ProbeError, Prober, check_exit};

/// Largest number of places that are checked in addition to the beginning: each waits for the
/// storage, one after the other.
const MAX_POSITIONS: u32 = 12;

/// Seconds between places, in short sources.
const MIN_POSITION_SPACING_SECONDS: f64 = 2.0;

/// Seconds from the start of a source that cannot be sought, whose key frames are looked at.
const UNSEEKABLE_INTERVAL: &str = "%+60";

/// Share of the checked places that must have a size for it to count as stable.
const MIN_LASTING_SHARE: f64 = 0.1;

/// Two sizes closer than this are one, and so are two shapes.
const SIZE_TOLERANCE: f64 = 0.02;

/// Seconds before a key frame that is none from which decoding begins. Streams that are refreshed
/// piece by piece, without key frames, have gone round by then.
const DECODE_MARGIN_SECONDS: f64 = 12.0;

/// The name of ffprobe for closed captions (CEA-608, CEA-708) of a picture.
const CAPTIONS_SIDE_DATA: &str = "ATSC A53 Part 4 Closed Captions";

/// What a frame is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    width: u32,
    height: u32,
    pixel_aspect: Rational,
}

/// What was seen.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct FrameShapes {
    /// Where the seeks landed.
    landed: Vec<Packet>,
    /// How many of them gave a picture.
    decoded: usize,
    /// Whether the last one did.
    is_decoded: bool,
    /// Whether some picture carries closed captions. No header shows this; television has them,
    /// perhaps empty ones, with every picture.
    has_captions: bool,
    shapes: Vec<Shape>,
}

impl FrameShapes {
    /// Reads one line of ffprobe: a packet, or a frame that came of it.
    fn add(&mut self, line: &str) {
        self.has_captions |= line.contains(CAPTIONS_SIDE_DATA);

        if let Some(frame) = line.strip_prefix("frame|") {
            self.decoded += usize::from(!self.is_decoded);
            self.is_decoded = true;
            self.shapes.extend(Shape::parse(frame));
        } else if let Some(packet) = line.strip_prefix("packet|").and_then(Packet::parse) {
            self.is_decoded = false;
            // One packet is asked for at each place; a container that gives more has no place for a
            // seek to land.
            if self.landed.len() <= MAX_POSITIONS as usize + 1 {
                self.landed.push(packet);
            }
        }
    }
}

impl Shape {
    fn parse(line: &str) -> Option<Self> {
        let mut shape = Self {
            width: 0,
            height: 0,
            pixel_aspect: Rational::whole(1),
        };

        for (key, value) in line.split('|').filter_map(|pair| pair.split_once('=')) {
            match key {
                "width" => shape.width = value.parse().ok()?,
                "height" => shape.height = value.parse().ok()?,
                "sample_aspect_ratio" => {
                    let aspect = value.replace(':', "/").parse().ok();
                    shape.pixel_aspect = aspect
                        .filter(|aspect| *aspect > Rational::ZERO)
                        .unwrap_or(shape.pixel_aspect);
                }
                _ => {}
            }
        }

        (shape.width > 0 && shape.height > 0).then_some(shape)
    }

    /// Pixels, once they are square.
    fn area(self) -> f64 {
        f64::from(self.width) * f64::from(self.height) * self.pixel_aspect.as_f64()
    }

    /// Width over height, as shown.
    fn aspect(self) -> f64 {
        f64::from(self.width) / f64::from(self.height) * self.pixel_aspect.as_f64()
    }

    fn is_like(self, other: Self) -> bool {
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < SIZE_TOLERANCE;
        near(self.aspect(), other.aspect()) && near(self.area(), other.area())
    }
}

/// The largest of the shapes that lasts, and whether there are others. Of two equally large ones it
/// is the one that was seen more often.
pub(super) fn largest_lasting(shapes: &[Shape]) -> Option<(Shape, bool)> {
    let first = *shapes.first()?;

    let seen = |shape: Shape| shapes.iter().filter(|other| shape.is_like(**other)).count();
    #[expect(clippy::cast_precision_loss, reason = "a few looks")]
    let lasts = |shape: &Shape| seen(*shape) as f64 >= MIN_LASTING_SHARE * shapes.len() as f64;
    let larger = |a: &Shape, b: &Shape| {
        if (a.area() / b.area() - 1.0).abs() < SIZE_TOLERANCE {
            seen(*a).cmp(&seen(*b))
        } else {
            a.area().partial_cmp(&b.area()).unwrap_or(Ordering::Equal)
        }
    };

    // The first of equals: `max_by` would take the last.
    let chosen = shapes
        .iter()
        .copied()
        .filter(lasts)
        .rev()
        .max_by(larger)
        .unwrap_or(first);

    Some((chosen, shapes.iter().any(|shape| !shape.is_like(chosen))))
}

impl Prober<'_> {
    /// Checks the main video, and writes the results into the probe: whether and how it can be read
    /// from an arbitrary time, if `indexed` says that seeks may lead to key frames, and the size of
    /// its pictures.
    pub(super) async fn scan_frame_shapes(
        &self,
        probe: &mut Probe,
        indexed: bool,
    ) -> Result<(), ProbeError> {
        let Some((stream, _)) = probe.main_video() else {
            return Ok(());
        };
        let (Some(start), Some(end)) = (stream.start.map(Rational::as_f64), stream.end) else {
            return Ok(());
        };

        let index = stream.index;
        let times = evenly_spaced(start, end, MIN_POSITION_SPACING_SECONDS, MAX_POSITIONS);
        let looks = if indexed {
            let at_start = format!("{start:.6}%+#1,");
            let looks = self
                .extract_samples(
                    index,
                    &["-read_intervals", &(at_start + &intervals(&times, 1))],
                )
                .await?;

            // A packet that is marked as a key frame but gives no picture is none: decoding has to
            // begin earlier.
            let (landed, honest) = (
                looks.landed.get(1..).unwrap_or_default(),
                looks.decoded >= looks.landed.len(),
            );
            if let Some(leads) = leads(&times, landed) {
                probe.seekable = true;
                probe.seek_margin = if honest { 0.0 } else { DECODE_MARGIN_SECONDS };
                probe.leads = leads
                    .into_iter()
                    .map(|lead| lead + probe.seek_margin)
                    .collect();
            }
            looks
        } else {
            self.extract_samples(
                index,
                &[
                    "-skip_frame",
                    "nokey",
                    "-read_intervals",
                    UNSEEKABLE_INTERVAL,
                ],
            )
            .await?
        };

        let streams = probe.streams.iter_mut();
        if let Some(video) = streams
            .filter(|stream| stream.index == index)
            .find_map(video_of)
        {
            looks.write_into(video);
        }
        Ok(())
    }

    /// Decodes what ffprobe reads of stream `index`, and returns its packets and frames.
    async fn extract_samples(
        &self,
        index: u32,
        options: &[&str],
    ) -> Result<FrameShapes, ProbeError> {
        let index = index.to_string();

        // Without the filter that makes them look better: no one sees them.
        let mut args = vec![
            "-threads",
            "1",
            "-skip_loop_filter",
            "all",
            "-select_streams",
            &index,
            "-show_entries",
            "packet=stream_index,pts_time,flags:frame=width,height,sample_aspect_ratio:frame_side_data=side_data_type",
            "-of",
            "compact",
        ];
        args.extend(options);

        let mut looks = FrameShapes::default();
        let read = child::lines(
            self.spawn(&args, ResourceLimits::extract_samples()),
            |line| looks.add(line),
        );
        check_exit(self.within(self.limits.look, read).await?.0)?;
        Ok(looks)
    }
}

fn video_of(stream: &mut Stream) -> Option<&mut Video> {
    match &mut stream.content {
        media::ladder::probe::Content::Video(video) => Some(video),
        _ => None,
    }
}

impl FrameShapes {
    /// The size of each picture counts, whatever the header or the first one says.
    fn write_into(&self, video: &mut Video) {
        video.captions |= self.has_captions;
        let Some((shape, changes)) = largest_lasting(&self.shapes) else {
            return;
        };
        (video.width, video.height, video.pixel_aspect) =
            (shape.width, shape.height, shape.pixel_aspect);
        video.size_changes = changes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shape(width: u32, height: u32) -> Shape {
        Shape {
            width,
            height,
            pixel_aspect: Rational::whole(1),
        }
    }

    #[test]
    fn the_largest_size_that_lasts_is_the_size_of_the_video() {
        let of = |shapes: &[(u32, u32)]| {
            let shapes: Vec<Shape> = shapes
                .iter()
                .map(|(width, height)| shape(*width, *height))
                .collect();
            largest_lasting(&shapes).map(|(shape, changes)| (shape.width, shape.height, changes))
        };

        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(640, 360), (640, 360)]), Some((640, 360, false)));
        assert_eq!(
            of(&[(320, 180), (1280, 720), (1280, 720)]),
            Some((1280, 720, true))
        );

        // A glitch does not last, and no one is shown a film of its size.
        let glitch: Vec<(u32, u32)> = (0..13)
            .map(|n| if n == 5 { (3840, 2160) } else { (640, 360) })
            .collect();
        assert_eq!(of(&glitch), Some((640, 360, true)));

        // A phone that is turned: as it was held longer.
        assert_eq!(
            of(&[(360, 640), (640, 360), (640, 360)]),
            Some((640, 360, true))
        );
    }

    #[test]
    fn a_key_frame_without_a_picture_is_none() {
        let mut looks = FrameShapes::default();
        for line in [
            "packet|stream_index=0|pts_time=0.0|flags=K_",
            "frame|width=720|height=576|sample_aspect_ratio=16:15|side_data|",
            "side_data|side_data_type=ATSC A53 Part 4 Closed Captions",
            "packet|stream_index=0|pts_time=8.0|flags=K_",
        ] {
            looks.add(line);
        }

        assert_eq!(
            (looks.landed.len(), looks.decoded, looks.has_captions),
            (2, 1, true)
        );
        assert_eq!(looks.shapes[0].pixel_aspect, Rational::new(16, 15).unwrap());
    }

    proptest! {
        #[test]
        fn no_lines_make_it_panic(lines in prop::collection::vec("(frame|packet)?[|](width=|height=|stream_index=|sample_aspect_ratio=|\\PC{0,5}|[0-9:|]{0,8}){0,9}", 0..30)) {
            let mut looks = FrameShapes::default();
            for line in &lines {
                looks.add(line);
            }
            let _ = largest_lasting(&looks.shapes);
        }
    }
}
