//! The one place where requests to S3 are counted and timed.

use std::time::Instant;

use metrics::{counter, histogram};
use strum::{VariantArray as _, VariantNames as _};

use super::error::StorageError;
use super::operation::Op;

const REQUESTS_METRIC: &str = "fluxhls_s3_requests_total";
const DURATION_METRIC: &str = "fluxhls_s3_request_duration_seconds";
const OK_RESULT: &str = "ok";

/// Makes every series of the request counter exist at zero, so that its first increase is seen.
pub fn register_metrics() {
    for op in Op::VARIANTS {
        for result in std::iter::once(&OK_RESULT).chain(StorageError::VARIANTS) {
            counter!(REQUESTS_METRIC, "operation" => op.as_str(), "result" => *result).increment(0);
        }
    }
}

/// Sends a request and reads the answer with its body, and counts it. Repetitions by the SDK count
/// once.
pub(super) async fn observe<T>(
    op: Op,
    request: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    let start = Instant::now();
    let outcome = request.await;
    let result = outcome
        .as_ref()
        .map_or_else(StorageError::kind, |_| OK_RESULT);
    counter!(REQUESTS_METRIC, "operation" => op.as_str(), "result" => result).increment(1);
    histogram!(DURATION_METRIC, "operation" => op.as_str()).record(start.elapsed().as_secs_f64());
    outcome
}
