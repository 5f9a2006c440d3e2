//! When the streams of a source begin and end, from its packets. The container's word on it is often wrong, its packets are not.

use std::collections::BTreeMap;

use streams::Rational;

use super::packet::Packet;

/// Seconds; what lasts longer is a gap, or one picture.
const LONGEST_PACKET: f64 = 2.0;

/// First and last times of streams, in seconds, from any set of their packets.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Spans(BTreeMap<u32, Span>);

/// From the first shown sample to the end of the last one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    /// Time of the first sample.
    pub(super) first: f64,
    /// Time of the last sample.
    pub(super) last: f64,
    /// End of the last sample; equal to `last` where the container gives no durations.
    pub(super) end: f64,
    /// Samples before the end that are never heard.
    pub(super) padding: u32,
    /// Seconds of the longest packet; the time from one to the next where the container gives no durations.
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
            if let Some(span) = self.0.get_mut(&packet.stream) {
                span.untimed += 1;
            }
            return;
        };
        let span = self.0.entry(packet.stream).or_insert(Span {
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
        span.packet = span.packet.max(length.min(LONGEST_PACKET));
        span.untimed = 0;
        // What fills up the end may take more than one packet; in the midst of a stream it says nothing of its end.
        span.padding = match packet.padding {
            0 => 0,
            samples => span.padding.saturating_add(samples),
        };

        span.first = span.first.min(time);
        span.last = span.last.max(time);
        span.end = span.end.max(time + packet.duration);
    }

    /// The span of a stream, where it had a packet.
    pub(super) fn get(&self, stream: u32) -> Option<Span> {
        self.0.get(&stream).copied()
    }
}

/// `seconds` as a whole number of ticks of `base`: ffprobe prints microseconds, which are no exact times for most bases.
pub(super) fn exact(seconds: f64, base: Rational) -> Option<Rational> {
    let ticks = (seconds / base.as_f64()).round();
    let ticks = (ticks.abs() < 1e15).then_some(ticks as i64)?;
    Rational::whole(ticks).checked_mul(base)
}

/// Times spread evenly over `from..to`, at most `most`, about one for every `apart` seconds, at least one.
pub(super) fn spread(from: f64, to: f64, apart: f64, most: u32) -> Vec<f64> {
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

/// The argument of ffprobe that reads the first packet at or before each of `times`.
pub(super) fn intervals(times: &[f64]) -> String {
    times
        .iter()
        .map(|time| format!("{time:.6}%+#1"))
        .collect::<Vec<_>>()
        .join(",")
}

/// Seconds from each key frame to the time that was sought; nothing when a seek did not land on a key frame at or before its time.
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
        let of = |stream| spans.get(stream).map(|span| (span.packet, span.padding)).unwrap();
        assert_eq!([of(0), of(1), of(2)], [(0.072, 607), (0.3, 0), (LONGEST_PACKET, 0)]);
    }

    #[test]
    fn printed_times_become_exact_ticks() {
        assert_eq!(
            exact(0.066_733, Rational::new(1, 30_000).unwrap()),
            Rational::new(2002, 30_000)
        );
        assert_eq!(exact(1e300, Rational::new(1, 90_000).unwrap()), None);
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
            let times = spread(from, from + length, 4.0, most);
            prop_assert!(!times.is_empty() && times.len() <= most as usize);
            prop_assert!(times.iter().all(|time| *time > from && *time < from + length));
            prop_assert!(times.is_sorted());
        }
    }
}
