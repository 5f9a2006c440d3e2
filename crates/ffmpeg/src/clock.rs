//! The clock of a source by its packets, in the order of the file. Recordings that were put
//! together, and recorders that changed their programme, begin their clock again in the middle, or
//! let it jump. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use media::ladder::probe::{ClockRepair, ClockShift};

use super::packet::Packet;

/// Seconds by which a packet must lie before the one decoded before it for the clock to have begun
/// again.
const MIN_BACKWARD_JUMP_SECONDS: f64 = 0.25;

/// Seconds by which a packet must be after all earlier ones to count as a jump of the clock. With
/// less, something is missing. Players cut out gaps of the same length.
const MIN_FORWARD_JUMP_SECONDS: f64 = 10.0;

/// Seconds that a track may lose where timestamps restart. Encoders start audio before its first
/// sample, and end it after the last.
const MAX_OVERLAP_SECONDS: f64 = 0.25;

/// Longest time between two packets that counts as their usual distance, in seconds.
const MAX_PACKET_SPACING_SECONDS: f64 = 60.0;

/// Clocks of a source at most. The shifts of more do not fit a command line.
const MAX_CLOCKS: usize = 1000;

/// What the packets of a source say of its clock.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Clock {
    tracks: BTreeMap<u32, Track>,
    /// One after the other; the first one is that of the first packet.
    epochs: Vec<Epoch>,
}

/// Where a stream is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Track {
    /// Number of its next packet.
    next: u64,
    /// When its last packet was decoded.
    last: f64,
    /// Seconds from one packet to the next.
    step: f64,
    /// Seconds from when a packet is decoded to when it is shown, taken from the last one that has
    /// both times: program streams have presentation times for some packets only, and durations for
    /// none.
    delay: f64,
    /// The clock it is on.
    epoch: usize,
}

/// A stretch of the source on one clock.
#[derive(Debug, Default, Clone, PartialEq)]
struct Epoch {
    /// By stream.
    spans: BTreeMap<u32, Span>,
    /// The latest time of any packet on it.
    latest: f64,
}

/// What of one stream lies in an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    first_packet: u64,
    start: f64,
    end: f64,
    is_video: bool,
}

impl Clock {
    /// Takes the next packet of the file in.
    ///
    /// A stream counts from its first key packet, as a copy of it does. A stream that jumps back,
    /// or ahead of all others, changes to the clock to which another one has changed, if its time
    /// fits there, else to a new one.
    pub(super) fn add(&mut self, packet: &Packet) {
        let known = self.tracks.get(&packet.stream).copied();
        // If it cannot be repaired, nothing more is stored, or a source could fill the memory with
        // clocks.
        if self.is_beyond_repair() || (known.is_none() && !packet.key) {
            return;
        }

        // Shifts name packets by their number, so a packet without any time counts as well.
        let Some(time) = packet.dts.or(packet.pts) else {
            if let Some(track) = self.tracks.get_mut(&packet.stream) {
                track.next += 1;
            }
            return;
        };

        let newest = self.epochs.len().saturating_sub(1);
        let epoch = match known {
            None => newest,
            Some(track) if !self.breaks(&track, time) => track.epoch,
            Some(track)
                if track.epoch < newest
                    && (time - self.epochs[newest].latest).abs() < MIN_FORWARD_JUMP_SECONDS =>
            {
                newest
            }
            Some(_) => self.epochs.len(),
        };

        if epoch == self.epochs.len() {
            self.epochs.push(Epoch {
                spans: BTreeMap::new(),
                latest: time,
            });
        }

        let next = known.map_or(0, |track| track.next);
        let step = match known {
            Some(track)
                if track.epoch == epoch
                    && (0.0..MAX_PACKET_SPACING_SECONDS).contains(&(time - track.last)) =>
            {
                time - track.last
            }
            Some(track) => track.step,
            None => packet.duration,
        };

        let delay = packet
            .pts
            .zip(packet.dts)
            .map(|(pts, dts)| (pts - dts).max(0.0));
        let delay = delay.or(known.map(|track| track.delay)).unwrap_or(0.0);

        let track = Track {
            next: next + 1,
            last: time,
            step,
            delay,
            epoch,
        };
        self.tracks.insert(packet.stream, track);

        let shown = packet.pts.unwrap_or(time + delay);
        let duration = if packet.duration > 0.0 {
            packet.duration
        } else {
            step
        };
        self.epochs[epoch].extend(packet, next, shown..shown + duration, time);
    }

    /// Whether a packet at `time` cannot follow what came before it on the clock of its track.
    fn breaks(&self, track: &Track, time: f64) -> bool {
        let ahead_of_all = || time > self.epochs[track.epoch].latest + MIN_FORWARD_JUMP_SECONDS;
        time < track.last - MIN_BACKWARD_JUMP_SECONDS
            || (time > track.last + track.step + MIN_FORWARD_JUMP_SECONDS && ahead_of_all())
    }

    /// Whether there are more clocks than can be repaired.
    pub(super) const fn is_beyond_repair(&self) -> bool {
        self.epochs.len() > MAX_CLOCKS
    }

    /// The correction that brings all streams onto one increasing clock; none if they are on one.
    /// The pictures of every stretch follow those of the previous one, or its audio if there are
    /// none; all streams of a stretch are shifted by the same amount, so that they stay in sync.
    pub(super) fn repair(&self) -> Option<ClockRepair> {
        let (first, later) = self.epochs.split_first()?;
        if later.is_empty() {
            return None;
        }

        let start = first.start();
        let mut ends: BTreeMap<u32, f64> = first
            .spans
            .iter()
            .map(|(stream, span)| (*stream, span.end))
            .collect();
        let mut moved: BTreeMap<u32, i64> = BTreeMap::new();
        let mut shifts: BTreeMap<u32, Vec<ClockShift>> = BTreeMap::new();

        for epoch in later {
            let offset = epoch.offset(&ends);
            #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
            let micros = (offset * 1e6).round() as i64;
            for (stream, span) in &epoch.spans {
                ends.insert(*stream, span.end + offset);
                // A shift moves all later packets of its stream, so each one adds only what it
                // differs by from the one before.
                let before = moved.insert(*stream, micros).unwrap_or(0);
                shifts.entry(*stream).or_default().push(ClockShift {
                    packet: span.first_packet,
                    micros: micros.saturating_sub(before),
                });
            }
        }

        Some(ClockRepair {
            shifts,
            duration: ends.into_values().fold(start, f64::max) - start,
        })
    }
}

impl Epoch {
    fn extend(&mut self, packet: &Packet, number: u64, shown: Range<f64>, time: f64) {
        let span = self.spans.entry(packet.stream).or_insert(Span {
            first_packet: number,
            start: shown.start,
            end: shown.end,
            is_video: packet.video,
        });

        span.start = span.start.min(shown.start);
        span.end = span.end.max(shown.end);
        self.latest = self.latest.max(time);
    }

    fn start(&self) -> f64 {
        self.spans
            .values()
            .map(|span| span.start)
            .fold(f64::INFINITY, f64::min)
    }

    /// What is added to its times to have it follow streams that end at `ends`.
    fn offset(&self, ends: &BTreeMap<u32, f64>) -> f64 {
        let last = ends.values().copied().fold(f64::NEG_INFINITY, f64::max);
        let both = || {
            self.spans
                .iter()
                .filter_map(|(stream, span)| Some((span, *ends.get(stream)?)))
        };

        // Pictures come first where there are any, for `false` is less than `true`.
        let Some((span, end)) = both().min_by_key(|(span, _)| !span.is_video) else {
            return last - self.start();
        };

        let offset = end - span.start;
        let overlaps = both().map(|(span, end)| end - (span.start + offset));
        let overlap = overlaps.fold(0.0, f64::max);

        if overlap > MAX_OVERLAP_SECONDS {
            offset + overlap
        } else {
            offset
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(stream: u32, time: f64, duration: f64) -> Packet {
        let line = format!(
            "stream_index={stream}|pts_time={time}|dts_time={time}|duration_time={duration}|flags=K"
        );
        Packet::parse(&line).unwrap()
    }

    /// Pictures and audio of `seconds` from `start` on, as a multiplexer interleaves them.
    fn programme(start: f64, seconds: u32) -> Vec<Packet> {
        let mut packets: Vec<Packet> = (0..seconds * 25)
            .map(|n| packet(0, start + f64::from(n) / 25.0, 0.04))
            .collect();
        packets
            .extend((0..seconds * 50).map(|n| packet(1, start + 0.01 + f64::from(n) / 50.0, 0.02)));
        packets.sort_by(|a, b| a.dts.unwrap().total_cmp(&b.dts.unwrap()));
        packets
    }

    fn repaired(packets: &[Packet]) -> Option<ClockRepair> {
        let mut clock = Clock::default();
        packets.iter().for_each(|packet| clock.add(packet));
        clock.repair()
    }

    /// The times of a stream once repaired.
    fn times(packets: &[Packet], repair: &ClockRepair, stream: u32) -> Vec<f64> {
        let of_stream = packets
            .iter()
            .filter(|packet| packet.stream == stream)
            .enumerate();
        let shifts = repair.shifts.get(&stream).cloned().unwrap_or_default();

        let moved = |number: usize| -> i64 {
            let due = shifts.iter().filter(|shift| shift.packet <= number as u64);
            due.map(|shift| shift.micros).sum()
        };

        of_stream
            .map(|(n, packet)| packet.dts.unwrap() + moved(n) as f64 / 1e6)
            .collect()
    }

    #[test]
    fn a_clock_that_only_goes_forward_is_left_alone() {
        assert_eq!(repaired(&programme(1.4, 30)), None);
        assert_eq!(repaired(&[]), None);

        // Pictures continue while there is no audio for a minute.
        let mut muted = programme(0.0, 100);
        muted.retain(|packet| packet.stream == 0 || !(20.0..80.0).contains(&packet.dts.unwrap()));
        assert_eq!(repaired(&muted), None);

        // Slides that change every twelve seconds.
        let slides: Vec<Packet> = (0..9)
            .map(|n| packet(0, f64::from(n) * 12.0, 12.0))
            .collect();
        assert_eq!(repaired(&slides), None);
    }

    #[test]
    fn a_clock_that_begins_anew_or_jumps_goes_on_and_both_tracks_move_alike() {
        for second in [1.4, 0.0, 60.0, 3600.0, 95_443.0] {
            let joined = [programme(20.0, 5), programme(second, 5), programme(1.0, 3)].concat();
            let repair = repaired(&joined).unwrap();
            assert!(
                (repair.duration - 13.03).abs() < 0.021,
                "{second}: {repair:?}"
            );

            for stream in [0, 1] {
                let times = times(&joined, &repair, stream);
                assert!(
                    times
                        .windows(2)
                        .all(|pair| pair[0] < pair[1] && pair[1] - pair[0] < 0.1),
                    "{second}"
                );
            }

            let firsts = |stream: usize| {
                repair.shifts[&(stream as u32)]
                    .iter()
                    .map(|shift| shift.micros)
            };
            assert!(firsts(0).eq(firsts(1)), "{repair:?}");
        }
    }

    #[test]
    fn a_track_that_crosses_later_in_the_file_goes_over_to_the_same_clock() {
        let mut joined = [programme(20.0, 5), programme(1.0, 5)].concat();

        // The last audio of the first part is after the first pictures of the second one.
        let is_late = |packet: &Packet| packet.stream == 1 && packet.dts.unwrap() > 20.0;
        let at = joined.iter().rposition(is_late).unwrap();
        let late = joined.remove(at);
        let next = |packet: &Packet| packet.stream == 1 && packet.dts.unwrap() < 20.0;
        let at = joined.iter().position(next).unwrap();
        joined.insert(at, late);

        let repair = repaired(&joined).unwrap();
        assert_eq!(repair.shifts[&0].len(), 1);
        assert_eq!(repair.shifts[&1].len(), 1, "{repair:?}");
    }

    #[test]
    fn what_lies_before_the_first_key_packet_is_not_counted() {
        let mut joined = [programme(20.0, 5), programme(1.0, 5)].concat();
        for early in joined
            .iter_mut()
            .filter(|packet| packet.stream == 0)
            .take(10)
        {
            early.key = false;
        }
        assert_eq!(repaired(&joined).unwrap().shifts[&0][0].packet, 125 - 10);
    }

    proptest! {
        #[test]
        fn no_packets_make_it_panic_and_every_shift_is_at_a_later_packet(
            packets in prop::collection::vec((0u32..3, prop::option::of(-1e6..1e6f64), prop::option::of(-1e6..1e6f64), 0.0..9.0f64, any::<bool>()), 0..200),
        ) {
            let mut clock = Clock::default();
            for (stream, pts, dts, duration, key) in packets {
                clock.add(&Packet { stream, pts, dts, duration, key, ..packet(0, 0.0, 0.0) });
            }

            if let Some(repair) = clock.repair() {
                for shifts in repair.shifts.values() {
                    prop_assert!(shifts.windows(2).all(|pair| pair[0].packet < pair[1].packet));
                }
            }
        }
    }
}
