//! When cues are shown: on the output's timeline, within the programme, one after the other.

use super::read::RawCue;
use super::text;

/// Milliseconds a cue without a believable end is shown at most.
const MAX_GUESSED_MS: i64 = 10_000;

/// Milliseconds; a cue that lasts as long or longer has no end in its container.
const ENDLESS_MS: i64 = 3_600_000;

/// A cue of the output. It ends after it starts, and its text is never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cue {
    /// Milliseconds from zero.
    pub start: i64,
    /// Milliseconds from zero.
    pub end: i64,
    /// Its lines, escaped.
    pub text: String,
}

/// From the times in a file to the output's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeOffset {
    /// Milliseconds in the file that are zero of the output.
    pub zero: f64,
    /// Milliseconds of the programme.
    pub programme: i64,
    /// Whether the cues come from ASS.
    pub drawings: bool,
}

/// Lays cues on the output's timeline, in the order they are shown. What lies before zero or behind
/// the end is cut or dropped.
#[must_use]
pub fn align_to_timeline(raw: &[RawCue], shift: TimeOffset) -> Vec<Cue> {
    let mut raw: Vec<&RawCue> = raw.iter().collect();
    raw.sort_by_key(|cue| cue.start);

    // Ends are found on the clock of the file, since a guessed one depends on where the next cue
    // begins there.
    let ends = (0..raw.len()).map(|k| end(&raw[k..]));

    let moved = |time: i64| {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "times stay far below 2^52 ms"
        )]
        let moved = (time as f64 - shift.zero).round() as i64;
        moved.clamp(0, shift.programme.max(0))
    };

    let cues = raw.iter().zip(ends).filter_map(|(cue, end)| {
        Some(Cue {
            start: moved(cue.start),
            end: moved(end),
            text: text::clean_cue(&cue.lines, shift.drawings)?,
        })
    });

    cues.filter(|cue| cue.end > cue.start).collect()
}

/// When the first of some cues ends, in milliseconds. If it has no plausible end, when the next one
/// begins.
fn end(cues: &[&RawCue]) -> i64 {
    let first = cues[0];
    if first.end > first.start && first.end - first.start < ENDLESS_MS {
        return first.end;
    }

    let next = cues
        .iter()
        .map(|cue| cue.start)
        .find(|start| *start > first.start);
    let latest = first.start + MAX_GUESSED_MS;
    next.map_or(latest, |next| next.min(latest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(start: i64, end: i64) -> RawCue {
        RawCue {
            start,
            end,
            lines: vec!["x".to_owned()],
        }
    }

    fn times(cues: &[RawCue], zero: f64) -> Vec<(i64, i64)> {
        let shift = TimeOffset {
            zero,
            programme: 20_000,
            drawings: false,
        };
        align_to_timeline(cues, shift)
            .iter()
            .map(|cue| (cue.start, cue.end))
            .collect()
    }

    #[test]
    fn cues_are_moved_cut_to_the_programme_and_put_in_order() {
        let cues = [
            raw(9000, 9500),
            raw(1000, 1500),
            raw(4900, 5600),
            raw(24_000, 26_000),
            raw(26_000, 27_000),
        ];
        assert_eq!(
            times(&cues, 5000.4),
            [(0, 600), (4000, 4500), (19_000, 20_000)]
        );
    }

    #[test]
    fn cues_without_an_end_last_until_the_next_one_or_a_while() {
        let cues = [
            raw(1000, 1000),
            raw(1000, i64::from(u32::MAX)),
            raw(3000, 2000),
        ];
        assert_eq!(
            times(&cues, 0.0),
            [(1000, 3000), (1000, 3000), (3000, 13_000)]
        );
    }

    proptest! {
        #[test]
        fn every_cue_lies_in_the_programme_and_none_begins_before_the_one_before(
            cues in prop::collection::vec((-5000i64..50_000, -5000i64..10_000_000), 0..20), zero in -4000.0..9000.0f64,
        ) {
            let cues: Vec<RawCue> = cues.into_iter().map(|(start, end)| raw(start, end)).collect();

            let times = times(&cues, zero);
            prop_assert!(times.iter().all(|(start, end)| 0 <= *start && start < end && *end <= 20_000));
            prop_assert!(times.is_sorted_by_key(|(start, _)| *start));
        }
    }
}
