//! What the metrics of tables and those of streams have in common.

use std::time::Duration;

/// How long tables and streams may take to answer.
pub(super) const LIMIT: Duration = Duration::from_secs(3);

/// A count as a gauge has it.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float, and exact up to 2^53"
)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
