//! Tasks: units of work on the queue. A task carries ids, never state; its subject makes it unique
//! while it is queued.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::id::{InvalidId, JobId};

/// What kind of worker a task needs; one durable consumer (two for `encode`) reads each class.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Class {
    /// Probe the source and make the plan.
    Plan,
    /// Encode one chunk of video.
    Encode,
    /// Encode all audio of the whole file.
    Tracks,
    /// Check the output and commit it.
    Package,
}

impl Class {
    /// The subject token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Which queue of a class a task waits in: `hi` for priority jobs and first chunks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Lane {
    /// Served first, in three of four pulls.
    Hi,
    /// Everything else.
    Lo,
}

impl Lane {
    /// The subject token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What a task does, without the job it does it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Duty {
    /// `plan`
    Plan,
    /// `v<n>`: chunk `n` of the video.
    Video(u32),
    /// `tracks`
    Tracks,
    /// `playlist`: updates the live playlists. It counts no attempts and has no result.
    Playlist,
    /// `finish`
    Finish,
}

/// The name of a task within its job: its duty, and whether it is the only redo (`~1`) of a task
/// whose output failed its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct TaskName {
    /// What is done.
    pub duty: Duty,
    /// Whether this is the redo of the plain task.
    pub redo: bool,
}

impl TaskName {
    /// The plan task.
    pub const PLAN: Self = Self::of(Duty::Plan);
    /// The tracks task.
    pub const TRACKS: Self = Self::of(Duty::Tracks);
    /// The playlist task.
    pub const PLAYLIST: Self = Self::of(Duty::Playlist);
    /// The finish task.
    pub const FINISH: Self = Self::of(Duty::Finish);

    /// What tasks are called, `n` being a number.
    const WORDS: &'static [&'static str] = &["plan", "vn", "tracks", "playlist", "finish"];

    const fn of(duty: Duty) -> Self {
        Self { duty, redo: false }
    }

    /// The task of video chunk `n`, counted from zero.
    #[must_use]
    pub const fn video(n: u32) -> Self {
        Self::of(Duty::Video(n))
    }

    /// The redo of this task; the redo of a redo is itself, since a task is redone once.
    #[must_use]
    pub const fn redone(self) -> Self {
        Self {
            duty: self.duty,
            redo: true,
        }
    }

    /// The plain task, whether this is it or its redo.
    #[must_use]
    pub const fn plain(self) -> Self {
        Self {
            duty: self.duty,
            redo: false,
        }
    }

    /// The class of worker this task needs.
    #[must_use]
    pub const fn class(self) -> Class {
        match self.duty {
            Duty::Plan => Class::Plan,
            Duty::Video(_) => Class::Encode,
            Duty::Tracks => Class::Tracks,
            Duty::Playlist | Duty::Finish => Class::Package,
        }
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.duty {
            Duty::Plan => f.write_str("plan"),
            Duty::Video(n) => write!(f, "v{n}"),
            Duty::Tracks => f.write_str("tracks"),
            Duty::Playlist => f.write_str("playlist"),
            Duty::Finish => f.write_str("finish"),
        }?;
        if self.redo { f.write_str("~1") } else { Ok(()) }
    }
}

impl FromStr for TaskName {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid =
            || InvalidId::new("task", "^(plan|v[0-9]+|tracks|playlist|finish)(~1)?$", text);
        let (plain, redo) = text
            .strip_suffix("~1")
            .map_or((text, false), |plain| (plain, true));

        let duty = match plain {
            "plan" => Duty::Plan,
            "tracks" => Duty::Tracks,
            "playlist" => Duty::Playlist,
            "finish" => Duty::Finish,
            _ => Duty::Video(
                plain
                    .strip_prefix('v')
                    .and_then(|n| n.parse().ok())
                    .ok_or_else(invalid)?,
            ),
        };

        let name = Self { duty, redo };
        // One task has one spelling: `v07` and `v+7` are refused.
        if name.to_string() == text {
            Ok(name)
        } else {
            Err(invalid())
        }
    }
}

impl<'de> Deserialize<'de> for TaskName {
    /// A task that is not known is an unknown word like that of an enum: a newer release may have
    /// it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| D::Error::unknown_variant(&text, Self::WORDS))
    }
}

impl From<TaskName> for String {
    fn from(name: TaskName) -> Self {
        name.to_string()
    }
}

/// Everything the subject of a queued task says: which work of which job, and where it waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct TaskKey {
    /// The job.
    pub job_id: JobId,
    /// The task within the job.
    pub task: TaskName,
    /// The class, derived from the task but spelled out for readers.
    pub class: Class,
    /// The lane, fixed in `planned`.
    pub lane: Lane,
}

impl TaskKey {
    /// The key of `task` of `job_id` in `lane`.
    #[must_use]
    pub fn new(job_id: JobId, task: TaskName, lane: Lane) -> Self {
        Self {
            job_id,
            task,
            class: task.class(),
            lane,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_task_has_one_spelling() {
        for text in [
            "plan", "v0", "v999", "tracks", "playlist", "finish", "v3~1", "tracks~1",
        ] {
            assert_eq!(text.parse::<TaskName>().unwrap().to_string(), text);
        }
        for text in [
            "", "v", "v07", "v+7", "v-1", "plan~2", "plan~1~1", "V1", "audio",
        ] {
            assert!(text.parse::<TaskName>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,20}") {
            if let Ok(name) = text.parse::<TaskName>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
