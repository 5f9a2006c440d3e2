//! Facts: what happened to a job, in the past tense. Each is published at most once per job; the
//! first writer wins.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::code::{Class, Code};
pub use crate::head::Head;
use crate::id::{JobId, OutputPrefix};
use crate::order::EventOrder;
pub use crate::plan::Planned;
use crate::task::TaskName;
use crate::upload::{SourceObject, Upload};
use crate::wire::{self, Unread};

/// The job exists: its event was accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// What every fact begins with.
    #[serde(flatten)]
    pub head: Head,
    /// The event with defaults filled and values cut to the limits of the tables.
    pub upload: Upload,
    /// The object named by the event; absent if the service may not read it, and then the job only
    /// ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceObject>,
    /// The prefix of the output.
    pub output_prefix: OutputPrefix,
    /// The URL of the finished output.
    pub manifest_url: String,
    /// The job this one repeats, if any.
    #[serde(default)]
    pub retry_of: Option<JobId>,
    /// The identity of the event, e.g. `job:<job_id>`.
    pub identity: String,
    /// The position of the event in `HLS_UPLOADS`: a later request to delete the file ends this
    /// job.
    #[serde(flatten)]
    pub event: EventOrder,
    /// Whether the file was deleted before the event was accepted: the job only ends, and no row is
    /// created for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// The live output is playable: the first part of the lowest rung, and of the audio, is in the
/// bucket. Not published if the complete output was finished first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Playable {
    /// What every fact begins with.
    #[serde(flatten)]
    pub head: Head,
    /// The live multivariant playlist.
    pub manifest_url: String,
}

/// Someone asked for the job to stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cancel {
    /// What every fact begins with.
    #[serde(flatten)]
    pub head: Head,
    /// Who asked.
    #[serde(default)]
    pub by: Option<String>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The one decision that ends a job; the first one published counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// What every fact begins with.
    #[serde(flatten)]
    pub head: Head,
    /// The decision.
    pub outcome: Decision,
    /// Why it failed, if it did.
    #[serde(default)]
    pub error: Option<JobError>,
}

/// What a verdict decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The checked output becomes public.
    Commit,
    /// The job failed.
    Fail,
    /// The job was canceled.
    Cancel,
}

/// Why a job failed: `code`, `class` and `task` are for programs, `message` is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobError {
    /// The stable code.
    pub code: Code,
    /// How the failure is handled.
    pub class: Class,
    /// One sentence for a person, without secrets.
    pub message: String,
    /// The task that failed, if one did.
    #[serde(default)]
    pub task: Option<TaskName>,
}

impl JobError {
    /// The error of `code` with its own sentence.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>, task: Option<TaskName>) -> Self {
        Self {
            code,
            class: code.class(),
            message: message.into(),
            task,
        }
    }
}

/// How a job ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Outcome {
    /// The output was checked and is public.
    Completed,
    /// See `error`.
    Failed,
    /// Someone canceled it.
    Canceled,
}

impl Outcome {
    /// The word used in payloads, tables and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The job is over: its verdict has been carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ended {
    /// What every fact begins with.
    #[serde(flatten)]
    pub head: Head,
    /// How it ended.
    pub outcome: Outcome,
    /// The multivariant playlist; null unless completed.
    pub manifest_url: Option<String>,
    /// The poster; null unless completed and made.
    pub thumbnail_url: Option<String>,
    /// The storyboard; null until storyboards are made.
    pub storyboard_url: Option<String>,
    /// Length of the output in seconds; null unless completed.
    pub duration_seconds: Option<f64>,
    /// Seconds from `accepted` to the verdict, both on the server's clock.
    pub elapsed_seconds: f64,
    /// Percent: 100 if completed, else the progress the job had reached.
    pub progress: u8,
    /// Whether a newer job of the same file owns the output prefix.
    pub superseded: bool,
    /// What was left out or changed, as stable words.
    pub warnings: Vec<String>,
    /// Why it failed; null unless failed.
    pub error: Option<JobError>,
    /// What was made; empty unless completed.
    pub renditions: Vec<EndedRendition>,
}

/// One encoded track of a finished output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EndedRendition {
    /// Name and folder, e.g. `1080p`.
    pub name: String,
    /// `video` or `audio`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Pixels; null for audio.
    pub width: Option<u32>,
    /// Pixels; null for audio.
    pub height: Option<u32>,
    /// Frames per second; null for audio.
    pub frame_rate: Option<f64>,
    /// RFC 6381 codec string.
    pub codecs: String,
    /// Measured peak, bits per second.
    pub bandwidth: u64,
    /// Measured mean, bits per second.
    pub average_bandwidth: u64,
    /// Bytes of all its objects.
    pub bytes: u64,
}

/// The rows and objects of the job were removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pruned {
    /// What every fact begins with.
    #[serde(flatten)]
    pub head: Head,
    /// Whether they were removed because the file was deleted, not because of their age.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

macro_rules! facts {
    ($($variant:ident $token:literal,)*) => {
        /// Which fact a message holds; the last token of its subject.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, EnumString, IntoStaticStr, VariantArray)]
        pub enum FactKind {
            $(#[doc = concat!("`", $token, "`")] #[strum(serialize = $token)] $variant,)*
        }

        impl FactKind {
            /// The subject token.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }

        /// Any fact.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(clippy::large_enum_variant, reason = "facts are few, and read one at a time")]
        pub enum Fact { $(#[doc = concat!("`", $token, "`")] $variant($variant),)* }

        impl Fact {
            /// Which fact this is.
            #[must_use]
            pub const fn kind(&self) -> FactKind {
                match self { $(Self::$variant(_) => FactKind::$variant,)* }
            }

            /// The job, file and time of the fact.
            #[must_use]
            pub const fn head(&self) -> &Head {
                match self { $(Self::$variant(fact) => &fact.head,)* }
            }

            /// Reads the body of the message on `subject`, which says `kind`.
            ///
            /// # Errors
            /// When the body is not such a payload, or one of a newer release.
            pub fn decode(subject: &str, kind: FactKind, body: &[u8]) -> Result<Self, Unread> {
                Ok(match kind { $(FactKind::$variant => Self::$variant(wire::read(subject, body)?),)* })
            }

            /// The body of the message.
            #[must_use]
            pub fn encode(&self) -> Vec<u8> {
                match self { $(Self::$variant(fact) => wire::encode(fact),)* }
            }
        }

        $(impl From<$variant> for Fact {
            fn from(fact: $variant) -> Self { Self::$variant(fact) }
        })*
    };
}

facts! {
    Accepted "accepted",
    Planned "planned",
    Playable "playable",
    Cancel "cancel",
    Verdict "verdict",
    Ended "ended",
    Pruned "pruned",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_fact_reads_as_the_contract_writes_it() {
        let body = br#"{"v":1,"job_id":"j1","file_id":"f1","at":"2026-11-22T10:00:00Z","outcome":"failed","manifest_url":null,
            "thumbnail_url":null,"storyboard_url":null,"duration_seconds":null,"elapsed_seconds":1.5,"progress":0,"superseded":false,
            "warnings":[],"error":{"code":"truncated_upload","class":"permanent","message":"m","task":"plan"},"renditions":[],"later":1}"#;
        let Fact::Ended(ended) = Fact::decode("s", FactKind::Ended, body).unwrap() else {
            panic!("not an ended fact")
        };

        assert_eq!(
            ended.error,
            Some(JobError::new(
                Code::TruncatedUpload,
                "m",
                Some(TaskName::PLAN)
            ))
        );

        let again =
            Fact::decode("s", FactKind::Ended, &Fact::from(ended.clone()).encode()).unwrap();
        assert_eq!(again, Fact::Ended(ended));
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_the_reader_panic_and_what_is_read_reads_back(
            place: proptest::sample::Index, byte: u8, cut: proptest::sample::Index, noise: Vec<u8>,
        ) {
            let whole = br#"{"v":1,"job_id":"j1","file_id":"f1","at":"2026-11-22T10:00:00Z","outcome":"failed","by":"x","reason":null,
                "manifest_url":null,"thumbnail_url":null,"storyboard_url":null,"duration_seconds":null,"elapsed_seconds":1.5,"progress":0,
                "superseded":false,"warnings":[],"error":null,"renditions":[]}"#;

            let mut bitten = whole.to_vec();
            bitten[place.index(whole.len())] = byte;

            for body in [&bitten[..], &whole[..cut.index(whole.len())], &noise] {
                for kind in FactKind::VARIANTS {
                    if let Ok(fact) = Fact::decode("s", *kind, body) {
                        let again = Fact::decode("s", *kind, &fact.encode()).unwrap();
                        proptest::prop_assert_eq!(again, fact);
                    }
                }
            }
        }
    }

    #[test]
    fn every_kind_has_one_token() {
        for kind in FactKind::VARIANTS {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
    }
}
