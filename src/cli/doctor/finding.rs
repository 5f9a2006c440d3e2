//! What a check found, and how it is printed.

use std::fmt::{self, Display};
use std::time::Duration;

use serde_json::json;

/// How long a check may take.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// The state of what was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No problem.
    Ok,
    /// The service works, but an operator should know.
    Warning,
    /// The service does not work like this.
    Fix,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fix => "fix",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was checked.
    pub(super) check: &'static str,
    /// Its state.
    pub(super) state: State,
    /// What was found and, if there is a problem, what to do.
    pub(super) text: String,
}

impl Finding {
    /// Without a problem.
    pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Ok, text)
    }

    /// Working, with a warning.
    pub(super) fn warning(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Warning, text)
    }

    /// Not working.
    pub(super) fn fix(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Fix, text)
    }

    fn new(check: &'static str, state: State, text: impl Into<String>) -> Self {
        Self {
            check,
            state,
            text: text.into(),
        }
    }

    /// Of a check that either succeeds or names what to do.
    pub(super) fn of<E: Display>(check: &'static str, found: Result<String, E>) -> Self {
        match found {
            Ok(text) => Self::ok(check, text),
            Err(error) => Self::fix(check, error.to_string()),
        }
    }

    /// The line of the report as JSON.
    pub(super) fn json(&self) -> String {
        let (state, check, text) = (self.state.word(), self.check, &self.text);
        json!({ "check": check, "state": state, "text": text }).to_string()
    }
}

/// The line of the report for people.
impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, check, text) = (self.state.word(), self.check, &self.text);
        write!(f, "{state:<7} {check:<12} {text}")
    }
}

/// The findings of the checks, or one that they did not end within `limit`.
pub(super) async fn with_timeout(
    check: &'static str,
    limit: Duration,
    checks: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    tokio::time::timeout(limit, checks)
        .await
        .unwrap_or_else(|_| {
            let text = format!(
                "no answer within {} seconds; check address and network",
                limit.as_secs()
            );
            vec![Finding::fix(check, text)]
        })
}
