//! Reading what another release of fluxhls may have written.
//!
//! Three cases are kept apart wherever facts, tasks and events are read. *Absent* is for the caller
//! to handle. *Newer*: a word, kind, name or subject that this release does not know; it is left to
//! a newer process, and not acknowledged, dropped or skipped. *Broken*: what no release writes.
//!
//! Every enum of the wire has one unknown variant in common, [`Unread::Newer`]: it is handled where
//! messages are read, so that all other code deals only with known words. Unknown *fields* are
//! ignored, because additive changes never increase `v`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::VERSION;

/// Why a message is not read as what its subject says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// A newer release wrote it, or wrote about something that only a newer one knows.
    #[error("{what} needs a newer fluxhls: {why}")]
    Newer {
        /// The message, by its subject.
        what: String,
        /// What is not known, one sentence without a full stop.
        why: String,
    },
    /// It is not what any release writes.
    #[error("{what} is broken: {why}")]
    Broken {
        /// The message, by its subject.
        what: String,
        /// What is wrong with it, one sentence without a full stop.
        why: String,
    },
}

impl Unread {
    /// A message that only a newer release knows.
    #[must_use]
    pub fn newer(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Newer {
            what: what.into(),
            why: why.into(),
        }
    }

    /// A message that is not what any release writes.
    #[must_use]
    pub fn broken(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Broken {
            what: what.into(),
            why: why.into(),
        }
    }
}

/// The version of a payload, whatever else is in it.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    v: Option<u32>,
}

/// The text of the error of serde about a variant that an enum does not have
/// ([`serde::de::Error::unknown_variant`]).
const UNKNOWN_WORD: &str = "unknown variant";

/// The body of a message or object of the contract.
///
/// # Panics
/// Never for the types of this crate, which hold nothing that JSON cannot say. A type that does is
/// a bug, and an empty body in its place would be taken for a message that no release writes.
#[must_use]
pub fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("types of the contract can be written as JSON")
}

/// Reads the body of the message on `subject`.
///
/// # Errors
/// [`Unread::Newer`] where its version or a word in it is not known, else [`Unread::Broken`].
pub fn read<T: DeserializeOwned>(subject: &str, body: &[u8]) -> Result<T, Unread> {
    // The version is looked at first: a later one may lack fields that this release requires.
    let version = serde_json::from_slice(body)
        .ok()
        .and_then(|Versioned { v }| v);
    if let Some(version) = version.filter(|version| *version > VERSION) {
        return Err(Unread::newer(subject, format!("its version is {version}")));
    }

    serde_json::from_slice(body).map_err(|error| {
        let why = error.to_string();
        if why.starts_with(UNKNOWN_WORD) {
            Unread::newer(subject, why)
        } else {
            Unread::broken(subject, why)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fact::{Decision, JobError, Outcome};
    use crate::plan::{
        FieldOrder, Matrix, PlannedTask, Primaries, Rendition, SourceChannels, TrackKind, Transfer,
    };
    use crate::task::{Class, Lane, TaskKey, TaskName};
    use crate::upload::Settings;
    use crate::work::{Done, DoneOutput};
    use crate::{Code, FailureClass};

    fn is_newer<T: DeserializeOwned>(body: &Value) -> bool {
        matches!(
            read::<T>("hls.v1.x", body.to_string().as_bytes()),
            Err(Unread::Newer { .. })
        )
    }

    #[test]
    fn a_word_that_no_enum_of_the_wire_knows_is_newer_and_not_broken() {
        let word = json!("later");
        assert!(is_newer::<Outcome>(&word) && is_newer::<Decision>(&word));
        assert!(is_newer::<Code>(&word) && is_newer::<FailureClass>(&word));
        assert!(is_newer::<Class>(&word) && is_newer::<Lane>(&word) && is_newer::<TaskName>(&word));
        assert!(is_newer::<TrackKind>(&word) && is_newer::<FieldOrder>(&word));
        assert!(
            is_newer::<Matrix>(&word)
                && is_newer::<Transfer>(&word)
                && is_newer::<Primaries>(&word)
        );
        assert!(
            is_newer::<SourceChannels>(&json!({"later": 1}))
                && is_newer::<DoneOutput>(&json!({"later": {}}))
        );
        assert!(is_newer::<Rendition>(&json!({"type": "later"})));
    }

    #[test]
    fn a_word_is_newer_however_deep_it_stands() {
        let settings = json!({"profile": "standard", "priority": "low", "max_attempts": 5});
        assert!(is_newer::<Settings>(&settings));
        assert!(is_newer::<JobError>(
            &json!({"code": "later", "class": "permanent", "message": "m"})
        ));
        assert!(is_newer::<PlannedTask>(
            &json!({"task": "s3", "class": "tracks", "lane": "lo"})
        ));
        assert!(is_newer::<TaskKey>(
            &json!({"job_id": "j", "task": "plan", "class": "plan", "lane": "low"})
        ));

        let done = json!({"v": 1, "job_id": "j", "task": "s0", "attempt": 1, "worker": "w", "output": {"inline": {"renditions": []}}});
        assert!(is_newer::<Done>(&done));
    }

    #[test]
    fn a_later_version_is_newer_and_everything_else_that_cannot_be_read_is_broken() {
        assert!(is_newer::<Settings>(
            &json!({"v": 2, "profile": "standard", "priority": "normal", "max_attempts": 5})
        ));

        for broken in [
            "",
            "{",
            "[]",
            r#"{"v":1}"#,
            r#"{"profile":7,"priority":"normal","max_attempts":5}"#,
        ] {
            let read = read::<Settings>("hls.v1.x", broken.as_bytes());
            assert!(
                matches!(read, Err(Unread::Broken { .. })),
                "{broken}: {read:?}"
            );
        }

        let message = read::<Outcome>("hls.v1.job.j.ended", b"\"later\"")
            .unwrap_err()
            .to_string();
        assert!(
            message
                .starts_with("hls.v1.job.j.ended needs a newer fluxhls: unknown variant `later`"),
            "{message}"
        );
    }
}
