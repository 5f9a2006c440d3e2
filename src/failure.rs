//! A failure of a task: its stable code, one sentence, and what an operator needs to repeat it.

use streams::Unread;
use streams::code::{Class, Code};
use streams::fact::JobError;
use streams::task::TaskName;

use crate::jetstream::Refused;

/// Why a task could not be done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// The stable word, which fixes the class.
    pub code: Code,
    /// One sentence for a person, without secrets.
    pub message: String,
    /// What was run and what it said.
    pub evidence: Box<Evidence>,
    /// What follows, whatever else the class of the code says.
    pub next: Next,
}

/// What follows a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// What the class of its code says.
    ByClass,
    /// No further attempt is made.
    End,
    /// The task is left to a newer release, and this attempt does not count.
    Newer(Unread),
}

/// What an operator needs to repeat a failure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// The last command, argument by argument.
    pub argv: Vec<String>,
    /// The end of its standard error.
    pub stderr: String,
    /// What the probe said of the source.
    pub probe: Option<serde_json::Value>,
}

impl Failure {
    /// A failure with a sentence of its own.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            evidence: Box::default(),
            next: Next::ByClass,
        }
    }

    /// A failure told by its code's sentence.
    #[must_use]
    pub fn plain(code: Code) -> Self {
        Self::new(code, code.sentence())
    }

    /// A failure told by an error, made a sentence: a capital at its start, a full stop at its end.
    #[must_use]
    pub fn told_by(code: Code, error: &dyn std::fmt::Display) -> Self {
        let text = error.to_string();
        let mut rest = text.trim_end_matches('.').chars();
        let first: String = rest.next().map(char::to_uppercase).into_iter().flatten().collect();
        Self::new(code, format!("{first}{}.", rest.as_str()))
    }

    /// The same failure with what was run.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = Box::new(evidence);
        self
    }

    /// The same failure as the last word: a second try was made already.
    #[must_use]
    pub fn for_good(mut self) -> Self {
        self.next = Next::End;
        self
    }

    /// The failure of a check that measured the same once before, on another output: nothing but a bug of ours is left to explain it.
    #[must_use]
    pub fn measured_again(self) -> Self {
        let message = format!(
            "{} It measured the same twice. {}",
            self.message,
            Code::Internal.sentence()
        );
        Self::new(Code::Internal, message)
            .with_evidence(*self.evidence)
            .for_good()
    }

    /// What the failure asks for.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.code.class()
    }

    /// The failure as it stands in facts.
    #[must_use]
    pub fn to_error(&self, task: Option<TaskName>) -> JobError {
        JobError::new(self.code, self.message.clone(), task)
    }
}

impl From<Refused> for Failure {
    /// What the server will never take is no use trying again.
    fn from(refused: Refused) -> Self {
        Self::told_by(Code::Internal, &refused).for_good()
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        let failure = Self::told_by(Code::Internal, &unread);
        match unread {
            Unread::Newer { .. } => Self {
                next: Next::Newer(unread),
                ..failure
            },
            Unread::Broken { .. } => failure.for_good(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_sentence() {
        let told = |text: &str| Failure::told_by(Code::NotMedia, &text).message;
        assert_eq!(told("file_url names nothing"), "File_url names nothing.");
        assert_eq!(told("Done."), "Done.");
        assert_eq!(told("élan"), "Élan.");
        assert_eq!(told(""), ".");
    }
}
