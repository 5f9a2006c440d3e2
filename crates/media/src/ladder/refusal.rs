//! Why a source gets no plan.

use streams::Code;

/// Why a source gets no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The stable word.
    pub code: Code,
    /// One sentence for a person.
    pub message: String,
}

impl Refusal {
    /// A refusal with the code an API sees and `message`, one sentence for a person.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}
