//! A failure of a task: its stable code, one sentence, and what an operator needs to repeat it.

use std::any::Any;
use std::io;

use jetstream::Refused;
use streams::Unread;
use streams::code::{Class, Code};
use streams::fact::JobError;
use streams::task::TaskName;

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
    /// What is done about it.
    pub remedy: Remedy,
}

/// What is done about a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Remedy {
    /// What the class of its code asks for.
    #[default]
    ByClass,
    /// The job ends: what could be waited for or tried again was.
    EndJob,
    /// The attempt does not count, and the task waits for its source: the storage denies it while
    /// it serves the output bucket, or it does not exist yet.
    AwaitSource,
    /// The attempt does not count, and the task is left to a newer release.
    AwaitNewer(Unread),
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
    /// A failure with its own sentence.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            evidence: Box::default(),
            remedy: Remedy::default(),
        }
    }

    /// A failure with the sentence of its code.
    #[must_use]
    pub fn from_code(code: Code) -> Self {
        Self::new(code, code.sentence())
    }

    /// A failure with the text of an error, made a sentence: a capital at its start, a full stop at
    /// its end.
    #[must_use]
    pub fn from_error(code: Code, error: &dyn std::fmt::Display) -> Self {
        let text = error.to_string();
        let mut rest = text.trim_end_matches('.').chars();
        let first: String = rest
            .next()
            .map(char::to_uppercase)
            .into_iter()
            .flatten()
            .collect();
        Self::new(code, format!("{first}{}.", rest.as_str()))
    }

    /// A failure of the worker's machine: a process that cannot be started, a port that cannot be
    /// opened, a file that cannot be used. `what` says which, and that it failed. A full disk has
    /// its own code.
    #[must_use]
    pub fn of_host(what: &str, error: &io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::DiskFull,
            _ => Code::WorkerFault,
        };
        Self::new(code, format!("{what}: {error}."))
    }

    /// A failure that only a bug in fluxhls explains; `what` says what is wrong, without a full
    /// stop.
    #[must_use]
    pub fn internal(what: &str) -> Self {
        Self::new(
            Code::Internal,
            format!("{what}. {}", Code::Internal.sentence()),
        )
    }

    /// The failure of work that panicked.
    #[must_use]
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        // `panic!` carries a `String` if it has arguments, else a `&str`.
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Self::internal(&format!(
            "The work panicked: {}",
            text.unwrap_or("it gave no message")
        ))
    }

    /// The same failure with what was run.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = Box::new(evidence);
        self
    }

    /// The same failure as the end of the job: there already was a second attempt.
    #[must_use]
    pub fn ending_job(mut self) -> Self {
        self.remedy = Remedy::EndJob;
        self
    }

    /// The failure of a check that measured the same once before, on another output: only a bug in
    /// fluxhls can explain it.
    #[must_use]
    pub fn measured_again(self) -> Self {
        let message = format!(
            "{} Both attempts measured the same. {}",
            self.message,
            Code::Internal.sentence()
        );
        Self::new(Code::Internal, message)
            .with_evidence(*self.evidence)
            .ending_job()
    }

    /// What the failure asks for. What an operator should act on is permanent where it ends the
    /// job: nothing waits for them any more.
    #[must_use]
    pub const fn class(&self) -> Class {
        match (self.code.class(), &self.remedy) {
            (Class::Operator, Remedy::EndJob) => Class::Permanent,
            (class, _) => class,
        }
    }

    /// The failure as it is written in facts.
    #[must_use]
    pub fn to_error(&self, task: Option<TaskName>) -> JobError {
        JobError {
            class: self.class(),
            ..JobError::new(self.code, self.message.clone(), task)
        }
    }
}

impl From<Refused> for Failure {
    /// What the server will never take is no use trying again.
    fn from(refused: Refused) -> Self {
        Self::from_error(Code::Internal, &refused).ending_job()
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        let failure = Self::from_error(Code::Internal, &unread);
        match unread {
            Unread::Newer { .. } => Self {
                remedy: Remedy::AwaitNewer(unread),
                ..failure
            },
            Unread::Broken { .. } => failure.ending_job(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_sentence() {
        let message_of = |text: &str| Failure::from_error(Code::NotMedia, &text).message;
        assert_eq!(
            message_of("file_url names nothing"),
            "File_url names nothing."
        );
        assert_eq!(message_of("Done."), "Done.");
        assert_eq!(message_of("élan"), "Élan.");
        assert_eq!(message_of(""), ".");
    }

    #[test]
    fn a_full_disk_is_not_the_same_fault_as_a_program_that_is_not_there() {
        let of = |kind: io::ErrorKind| Failure::of_host("ffmpeg could not be run", &kind.into());
        assert_eq!(of(io::ErrorKind::StorageFull).code, Code::DiskFull);
        let missing = of(io::ErrorKind::NotFound);
        assert_eq!(missing.code, Code::WorkerFault);
        assert_eq!(
            missing.message,
            "ffmpeg could not be run: entity not found."
        );
    }

    #[test]
    fn what_a_panic_says_stands_in_its_failure() {
        for panic in [
            Box::new("out of bounds") as Box<dyn Any + Send>,
            Box::new("out of bounds".to_owned()),
        ] {
            let failure = Failure::of_panic(&*panic);
            assert_eq!(failure.code, Code::Internal);
            assert!(
                failure
                    .message
                    .starts_with("The work panicked: out of bounds. "),
                "{failure}"
            );
        }

        assert!(
            Failure::of_panic(&())
                .message
                .contains("it gave no message")
        );
    }

    #[test]
    fn an_operators_failure_that_ends_its_job_is_told_as_permanent_and_no_other_class_changes() {
        let waiting = Failure::from_code(Code::StorageDenied);
        assert_eq!(waiting.to_error(None).class, Class::Operator);
        assert_eq!(waiting.ending_job().to_error(None).class, Class::Permanent);
        let last = Failure::from_code(Code::VerificationFailed).ending_job();
        assert_eq!(last.to_error(None).class, Class::Transient);
    }
}
