//! When the streams of a source begin and end, from its packets. The container's word on it is
//! often wrong, its packets are not.

use std::collections::BTreeMap;

use media::ladder::cadence::Cadence;
use streams::Rational;

use super::packet::Packet;

/// Seconds; what lasts longer is a gap, or one picture.
const MAX_PACKET_SECONDS: f64 = 2.0;

/// First and last times of streams, in seconds, from any set of their packets, and the times of
/// pictures.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Spans {
    streams: BTreeMap<u32, Span>,
    pictures: BTreeMap<u32, FrameTimes>,
    /// How many times of pictures are kept.
    kept: usize,
}

/// Largest number of picture times that are kept: five hours of 60 a second, in 16 MB. Later ones
/// do not count for the rate.
const MAX_FRAME_TIMES: usize = 1 << 20;

/// The times of pictures of one stream, as their packets came.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct FrameTimes {
    /// How many pictures came.
    count: usize,
    /// Presentation times, in seconds, of those that have any.
    shown: Vec<f64>,
    /// Decoding times, in seconds, of those that have any.
    decoded: Vec<f64>,
}

impl FrameTimes {
    /// Adds a packet whose picture is shown.
    pub(super) fn add(&mut self, packet: &Packet) {
        self.count += 1;
        self.shown.extend(packet.pts);
        self.decoded.extend(packet.dts);
    }

    /// Times at which one picture follows another. Program streams have presentation times for some
    /// packets only; the clock they are decoded by beats the same.
    fn times(&self) -> Vec<f64> {
        let has_all = |times: &Vec<f64>| times.len() == self.count;
        let clocks = [&self.shown, &self.decoded];
        clocks
            .into_iter()
            .find(|times| has_all(times))
            .unwrap_or(&self.shown)
            .clone()
    }

    /// Times of a piece that was cut off: of the last pictures that were read, some are still
    /// missing between others.
    pub(super) fn cut(&self) -> Vec<f64> {
        let decoded = self.decoded.last().copied().unwrap_or(f64::INFINITY);
        let mut times = self.times();
        times.retain(|time| *time <= decoded);
        times
    }
}

/// From the first shown sample to the end of the last one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    /// Time of the first sample.
    pub(super) first: f64,
    /// Time of the last sample.
    pub(super) last: f64,
    /// End of the last sample; equal to `last` where the container gives no durations.
    pub(super) end: f64,
    /// Samples before the end that are never played.
    pub(super) padding: u32,
    /// Seconds of the longest packet; the time from one to the next where the container gives no
    /// durations.
    pub(super) packet: f64,
    /// Packets without a time since the last one that had one.
    untimed: u32,
}

impl Spans {
    /// Takes a packet in. What an edit list drops is never shown and does not count.
    pub(super) fn add(&mut self, packet: &Packet) {
        if packet.discarded {
            return;
        }
        let Some(time) = packet.time() else {
            if let Some(span) = self.streams.get_mut(&packet.stream) {
                span.untimed += 1;
            }
            return;
        };

        if packet.video && self.kept < MAX_FRAME_TIMES {
            self.pictures.entry(packet.stream).or_default().add(packet);
            self.kept += 1;
        }

        let span = self.streams.entry(packet.stream).or_insert(Span {
            first: time,
            last: time,
            end: time,
            padding: 0,
            packet: 0.0,
            untimed: 0,
        });

        // Of packets in one block of Matroska only the first one has a time.
        let length = if packet.duration > 0.0 {
            packet.duration
        } else {
            (time - span.last).max(0.0) / f64::from(span.untimed + 1)
        };
        span.packet = span.packet.max(length.min(MAX_PACKET_SECONDS));
        span.untimed = 0;
        // The padding at the end may take more than one packet; in the middle of a stream it says
        // nothing about the end.
        span.padding = match packet.padding {
            0 => 0,
            samples => span.padding.saturating_add(samples),
        };

        span.first = span.first.min(time);
        span.last = span.last.max(time);
        span.end = span.end.max(time + packet.duration);
    }

    /// Whether there was no packet at all.
    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The span of a stream, where it had a packet.
    pub(super) fn get(&self, stream: u32) -> Option<Span> {
        self.streams.get(&stream).copied()
    }

    /// Takes over when streams end later by other packets than these.
    pub(super) fn extend_ends(&mut self, other: &Self) {
        for (stream, found) in &other.streams {
            let span = self.streams.entry(*stream).or_insert(*found);
            span.last = span.last.max(found.last);
            span.end = span.end.max(found.end);
        }
    }

    /// The pictures of a stream that were seen here.
    pub(super) fn pictures(&self, stream: u32) -> Option<&FrameTimes> {
        self.pictures.get(&stream)
    }

    /// The times of pictures that were read up to the end of the stream, or up to where they were
    /// no longer kept.
    fn to_the_end(&self, stream: u32) -> Vec<f64> {
        let pictures = self.pictures(stream);
        let times = pictures.map(|pictures| match self.kept < MAX_FRAME_TIMES {
            true => pictures.times(),
            false => pictures.cut(),
        });
        times.unwrap_or_default()
    }
}

/// How many pictures of a stream were seen in its beginning and its ending, which may overlap.
pub(super) fn count_pictures(stream: u32, beginning: &Spans, ending: &Spans) -> usize {
    let shown = |spans: &Spans| {
        spans
            .pictures(stream)
            .map(FrameTimes::times)
            .unwrap_or_default()
    };
    let (first, last) = (shown(beginning), shown(ending));
    let end = first.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    first.len() + last.iter().filter(|time| **time > end).count()
}

/// How the pictures of a stream follow each other in its beginning, its ending, and pieces between.
pub(super) fn cadence(
    stream: u32,
    beginning: &Spans,
    ending: &Spans,
    between: &[FrameTimes],
) -> Option<Box<Cadence>> {
    let first = beginning
        .pictures(stream)
        .map(FrameTimes::cut)
        .unwrap_or_default();
    let last = ending.to_the_end(stream);
    // If the ending starts within the beginning, it contains all of it, or continues from there.
    let seen_from = last.iter().copied().fold(f64::INFINITY, f64::min);
    let first: Vec<f64> = first
        .into_iter()
        .filter(|time| *time <= seen_from)
        .collect();
    let between = between.iter().map(FrameTimes::cut);
    Cadence::of([first, last].into_iter().chain(between)).map(Box::new)
}

/// Splits the packets of several places, each begun at a key frame and `most` packets long unless
/// the source ends before.
pub(super) fn places(packets: &[Packet], most: usize) -> Vec<FrameTimes> {
    let mut places: Vec<FrameTimes> = Vec::new();
    let (mut count, mut decoded) = (0, None);
    for packet in packets {
        // Decoding times only increase within a place, so a smaller one belongs to the next place.
        let back = packet
            .dts
            .zip(decoded)
            .is_some_and(|(now, before)| now <= before);
        if places.is_empty() || back || count == most {
            places.push(FrameTimes::default());
            count = 0;
        }

        (count, decoded) = (count + 1, packet.dts);
        if let Some(place) = places.last_mut().filter(|_| !packet.discarded) {
            place.add(packet);
        }
    }

    places
}

/// `seconds` as a whole number of ticks of `base`: ffprobe prints microseconds, which are no exact
/// times for most bases.
pub(super) fn exact_interval(seconds: f64, base: Rational) -> Option<Rational> {
    let ticks = (seconds / base.as_f64()).round();
    let ticks = (ticks.abs() < 1e15).then_some(ticks as i64)?;
    Rational::whole(ticks).checked_mul(base)
}

/// Times spread evenly over `from..to`, at most `most`, about one for every `apart` seconds, at
/// least one.
pub(super) fn evenly_spaced(from: f64, to: f64, apart: f64, most: u32) -> Vec<f64> {
    let length = (to - from).max(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "casts of floats saturate"
    )]
    let count = ((length / apart) as u32).clamp(1, most);
    (1..=count)
        .map(|i| from + length * f64::from(i) / f64::from(count + 1))
        .collect()
}

/// The argument of ffprobe that reads `packets` packets from the one at or before each of `times`
/// on.
pub(super) fn intervals(times: &[f64], packets: usize) -> String {
    times
        .iter()
        .map(|time| format!("{time:.6}%+#{packets}"))
        .collect::<Vec<_>>()
        .join(",")
}

/// Seconds from each key frame to the time that was sought; none if a seek did not land on a key
/// frame at or before its time.
pub(super) fn leads(times: &[f64], landed: &[Packet]) -> Option<Vec<f64>> {
    /// Printed times are rounded to microseconds.
    const ROUNDING: f64 = 2e-6;
    if times.len() != landed.len() {
        return None;
    }

    times
        .iter()
        .zip(landed)
        .map(|(time, packet)| {
            let lead = time - packet.pts.filter(|_| packet.key)?;
            (lead >= -ROUNDING).then_some(lead.max(0.0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(line: &str) -> Packet {
        Packet::parse(line).unwrap()
    }

    #[test]
    fn spans_ignore_order_and_what_an_edit_list_drops() {
        let mut spans = Spans::default();
        for line in [
            "stream_index=0|pts_time=-0.08|duration_time=0.04|flags=KD",
            "stream_index=0|pts_time=0.08|duration_time=0.04|flags=_",
            "stream_index=0|pts_time=0.00|duration_time=0.04|flags=K",
            "stream_index=1|pts_time=N/A|dts_time=7.5|flags=K",
        ] {
            spans.add(&packet(line));
        }

        let span = spans.get(0).unwrap();
        assert_eq!((span.first, span.last), (0.0, 0.08));
        assert!((span.end - 0.12).abs() < 1e-9);
        assert_eq!(spans.get(1).map(|span| span.end), Some(7.5));
        assert_eq!(spans.get(2), None);
    }

    fn picture(pts: f64, dts: f64) -> Packet {
        packet(&format!(
            "codec_type=video|stream_index=0|pts_time={pts}|dts_time={dts}|flags=_"
        ))
    }

    #[test]
    fn pictures_that_are_not_all_read_make_no_holes() {
        // Three pictures, in the order they are decoded; the last of the group was not read.
        let beginning = [(0.0, -0.08), (0.16, -0.04), (0.08, 0.0), (0.04, 0.04)];
        let mut spans = Spans::default();
        for (pts, dts) in beginning {
            spans.add(&picture(pts, dts));
        }

        assert_eq!(spans.pictures(0).unwrap().cut(), [0.0, 0.04]);
        assert_eq!(count_pictures(0, &spans, &Spans::default()), 4);

        let cadence = cadence(0, &spans, &Spans::default(), &[]).unwrap();
        assert_eq!((cadence.intervals, cadence.usual), (1, 0.04));
    }

    #[test]
    fn where_presentation_times_are_missing_the_decoding_clock_tells_the_beat() {
        let mut spans = Spans::default();
        for n in 0..20 {
            let (pts, dts) = (f64::from(n) * 0.04 + 0.04, f64::from(n) * 0.04);
            let known = if n == 7 {
                "N/A".to_owned()
            } else {
                pts.to_string()
            };
            spans.add(&packet(&format!(
                "codec_type=video|stream_index=0|pts_time={known}|dts_time={dts}|flags=_"
            )));
        }
        assert_eq!(
            cadence(0, &Spans::default(), &spans, &[]).unwrap().regular,
            1.0
        );
    }

    #[test]
    fn a_still_that_is_found_again_at_the_end_is_one_picture() {
        let mut spans = Spans::default();
        spans.add(&picture(0.0, 0.0));
        assert_eq!(count_pictures(0, &spans, &spans), 1);
        assert_eq!(count_pictures(0, &Spans::default(), &spans), 1);
        assert_eq!(count_pictures(1, &spans, &spans), 0);
        assert_eq!(cadence(0, &spans, &spans, &[]), None);
    }

    #[test]
    fn places_are_told_apart_by_their_length_and_by_time_that_goes_back() {
        let times = [0.0, 0.1, 0.2, 5.0, 5.1, 4.0, 4.1, 4.2];
        let packets: Vec<Packet> = times.iter().map(|time| picture(*time, *time)).collect();
        let found: Vec<Vec<f64>> = places(&packets, 3).iter().map(FrameTimes::cut).collect();
        assert_eq!(
            found,
            [vec![0.0, 0.1, 0.2], vec![5.0, 5.1], vec![4.0, 4.1, 4.2]]
        );
    }

    #[test]
    fn the_longest_packet_and_what_fills_the_last_ones_up_are_told() {
        let mut spans = Spans::default();
        for line in [
            "stream_index=0|pts_time=0.0|duration_time=0.072|flags=K|discard_padding=9",
            "stream_index=0|pts_time=0.072|duration_time=0.072|flags=K",
            "stream_index=0|pts_time=0.144|duration_time=0.072|flags=K|discard_padding=31",
            "stream_index=0|pts_time=0.216|duration_time=0.072|flags=K|discard_padding=576",
            "stream_index=1|pts_time=0.0|flags=K",
            "stream_index=1|pts_time=0.3|flags=K",
            "stream_index=1|pts_time=0.5|flags=K",
            "stream_index=1|pts_time=N/A|flags=K",
            "stream_index=1|pts_time=1.0|flags=K",
            "stream_index=2|pts_time=0.0|flags=K",
            "stream_index=2|pts_time=60.0|flags=K",
        ] {
            spans.add(&packet(line));
        }

        let of = |stream| {
            spans
                .get(stream)
                .map(|span| (span.packet, span.padding))
                .unwrap()
        };
        assert_eq!(
            [of(0), of(1), of(2)],
            [(0.072, 607), (0.3, 0), (MAX_PACKET_SECONDS, 0)]
        );
    }

    #[test]
    fn printed_times_become_exact_ticks() {
        assert_eq!(
            exact_interval(0.066_733, Rational::new(1, 30_000).unwrap()),
            Rational::new(2002, 30_000)
        );
        assert_eq!(
            exact_interval(1e300, Rational::new(1, 90_000).unwrap()),
            None
        );
    }

    #[test]
    fn a_seek_that_lands_late_or_on_no_key_frame_is_no_lead() {
        let key = packet("stream_index=0|pts_time=4.0|flags=K");
        let plain = packet("stream_index=0|pts_time=4.0|flags=_");
        assert_eq!(leads(&[5.0], &[key]), Some(vec![1.0]));
        assert_eq!(leads(&[3.9], &[key]), None);
        assert_eq!(leads(&[5.0], &[plain]), None);
        assert_eq!(leads(&[5.0, 6.0], &[key]), None);
    }

    proptest! {
        #[test]
        fn spread_times_lie_inside_and_rise(from in -100.0..1e6f64, length in 0.001..1e6f64, most in 1u32..64) {
            let times = evenly_spaced(from, from + length, 4.0, most);
            prop_assert!(!times.is_empty() && times.len() <= most as usize);
            prop_assert!(times.iter().all(|time| *time > from && *time < from + length));
            prop_assert!(times.is_sorted());
        }
    }
}
