//! The difference between the clocks of this machine and of the storage, from the dates of its
//! answers.
//!
//! The SDK signs by the storage's clock once it has seen an answer, so that most requests succeed
//! in spite of a wrong clock. The service compares its clock with times of the log, though, and
//! would end jobs too early or never: so it is asked by its date.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use chrono::{DateTime, TimeDelta, Utc};

/// The largest difference that S3 accepts in a signature (its documentation,
/// "`RequestTimeTooSkewed`").
pub(super) const MAX_SIGNATURE_SKEW: TimeDelta = TimeDelta::minutes(15);

/// The value for "no answer was dated yet".
const UNKNOWN_MS: i64 = i64::MIN;

/// The clock of this machine minus the one that dated an answer; none if it has no readable date.
pub(super) fn difference(date: Option<&str>, now: DateTime<Utc>) -> Option<TimeDelta> {
    // The dates of HTTP (RFC 9110, section 5.6.7) are dates of RFC 2822, too.
    let theirs = DateTime::parse_from_rfc2822(date?).ok()?;
    Some(now - theirs.to_utc())
}

/// A difference of clocks for people.
pub(super) fn describe_difference(by: Option<TimeDelta>) -> String {
    match by.map(|by| by.abs()) {
        None => "more than it allows".to_owned(),
        Some(by) if by < TimeDelta::minutes(2) => format!("{} s", by.num_seconds()),
        Some(by) => format!("{} min", (by + TimeDelta::seconds(30)).num_minutes()),
    }
}

/// Stores the difference between the clock of the newest answer and that of this machine. Clones
/// share it.
#[derive(Debug, Clone)]
pub(super) struct ClockWatch(Arc<AtomicI64>);

impl Default for ClockWatch {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN_MS)))
    }
}

impl ClockWatch {
    /// The clock of this machine minus that of the storage, as of its newest dated answer.
    pub(super) fn difference(&self) -> Option<TimeDelta> {
        let seconds = Some(self.0.load(Ordering::Relaxed)).filter(|seconds| *seconds != UNKNOWN_MS);
        seconds.and_then(TimeDelta::try_seconds)
    }
}

impl Intercept for ClockWatch {
    fn name(&self) -> &'static str {
        "ClockWatch"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        // A copy that a cache keeps has the date of when it was made.
        if headers.get("age").is_none()
            && let Some(by) = difference(headers.get("date"), Utc::now())
        {
            self.0.store(by.num_seconds(), Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_compared_with_our_clock_and_told_in_words() {
        let now = "2026-11-26T16:40:30Z".parse().unwrap();
        let by = |date| describe_difference(difference(date, now));
        assert_eq!(by(Some("Thu, 26 Nov 2026 16:40:00 GMT")), "30 s");
        assert_eq!(by(Some("Thu, 26 Nov 2026 17:40:30 GMT")), "60 min");
        assert_eq!(by(Some("yesterday")), "more than it allows");
        assert_eq!(by(None), "more than it allows");
        assert_eq!(ClockWatch::default().difference(), None);
    }
}
