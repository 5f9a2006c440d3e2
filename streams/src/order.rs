//! The order of upload and delete events, which outlives their stream.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// By how much the times of two events must differ to be believed more than their sequences: clocks
/// of servers differ by less.
const MAX_CLOCK_DIFFERENCE: TimeDelta = TimeDelta::seconds(10);

/// The position of an event among all events that were ever in `HLS_UPLOADS`.
///
/// The sequence is exact, but belongs to one life of the stream: a stream that is created again, or
/// restored from an older copy, assigns the same numbers again. The timestamp of the server
/// continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventOrder {
    /// Sequence of the event in `HLS_UPLOADS`.
    pub upload_seq: u64,
    /// When the server stored the event. It takes precedence if it contradicts the sequence by more
    /// than ten seconds.
    pub upload_time: DateTime<Utc>,
}

impl EventOrder {
    /// The place of the event that was stored under `upload_seq` at `upload_time`.
    #[must_use]
    pub const fn new(upload_seq: u64, upload_time: DateTime<Utc>) -> Self {
        Self {
            upload_seq,
            upload_time,
        }
    }

    /// Whether the event came after the other one. No event comes after itself.
    #[must_use]
    pub fn is_after(&self, other: &Self) -> bool {
        let later_by = self.upload_time - other.upload_time;
        if later_by.abs() > MAX_CLOCK_DIFFERENCE {
            later_by > TimeDelta::zero()
        } else {
            self.upload_seq > other.upload_seq
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(upload_seq: u64, second: i64) -> EventOrder {
        EventOrder::new(upload_seq, DateTime::from_timestamp(second, 0).unwrap())
    }

    #[test]
    fn sequences_decide_while_times_agree_to_ten_seconds() {
        assert!(event(8, 100).is_after(&event(7, 100)) && event(8, 95).is_after(&event(7, 100)));
        assert!(!event(7, 100).is_after(&event(7, 100)) && !event(7, 105).is_after(&event(8, 100)));
    }

    #[test]
    fn an_event_of_a_stream_made_anew_is_later_though_its_number_is_smaller() {
        assert!(
            event(1, 500).is_after(&event(90_000, 100))
                && !event(90_000, 100).is_after(&event(1, 500))
        );
    }
}
