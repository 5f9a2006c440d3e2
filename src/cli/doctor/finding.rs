//! What a check found, and how it is printed.

use std::fmt::{self, Display};
use std::time::Duration;

use serde_json::json;

/// How long a check may take.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// How what was looked at is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// The service works; someone should know.
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
    /// What was looked at.
    pub(super) check: &'static str,
    /// How it is.
    pub(super) state: State,
    /// What was found and, where it is not as it should be, what to do.
    pub(super) text: String,
}

impl Finding {
    /// Found to be as it should be.
    pub(super) fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Ok, text)
    }

    /// Found to work, with something to know.
    pub(super) fn warning(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Warning, text)
    }

    /// Found not to work.
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

/// What checks find; that they do not end within `limit`, where they do not.
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
