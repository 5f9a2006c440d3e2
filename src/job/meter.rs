//! The counters of the five steps.

use metrics::counter;
use streams::Code;
use streams::task::Class;
use strum::VariantArray as _;

/// The outcomes of task starts.
const OUTCOMES: [&str; 5] = ["started", "completed", "failed", "released", "overruled"];

/// Makes the counters of a class of tasks exist at zero, so that their first increase is seen.
pub fn register(class: Class) {
    for outcome in OUTCOMES {
        counter!("fluxhls_attempts_total", "class" => class.as_str(), "outcome" => outcome)
            .increment(0);
    }
    for code in Code::VARIANTS {
        counter!("fluxhls_task_failures_total", "class" => class.as_str(), "code" => code.as_str())
            .increment(0);
    }
    counter!("fluxhls_storage_waits_total", "class" => class.as_str()).increment(0);
}

/// Counts what became of a start.
pub(super) fn attempt(class: Class, outcome: &'static str) {
    counter!("fluxhls_attempts_total", "class" => class.as_str(), "outcome" => outcome)
        .increment(1);
}

/// Counts a failed attempt.
pub(super) fn failure(class: Class, code: Code) {
    attempt(class, "failed");
    counter!("fluxhls_task_failures_total", "class" => class.as_str(), "code" => code.as_str())
        .increment(1);
}

/// Counts a task that was not started since the output bucket could not be used.
pub(super) fn storage_wait(class: Class) {
    counter!("fluxhls_storage_waits_total", "class" => class.as_str()).increment(1);
}
