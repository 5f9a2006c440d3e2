//! The receipt: the proof of a finished output. A pure function of facts and objects, so two
//! writers write equal bytes.
//!
//! It is sufficient to check an output again, and to repair it, when the job is no longer in the
//! log: it contains the plan, the output of every task, every object with size and hash, and every
//! check with its figures. It is sealed, so that a change of the receipt itself is found as well.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::Digest;
use streams::fact::{EndedRendition, Planned};
use streams::task::TaskName;
use streams::work::{ObjectRef, TaskOutput};
use streams::{FileId, JobId, OutputPrefix, Unread, wire};

/// What is in the place of the seal while it is computed: as long as it, and no hash of anything.
const UNSEALED: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Everything that was checked before a job was called completed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of the format.
    pub v: u32,
    /// The job.
    pub job_id: JobId,
    /// The file.
    pub file_id: FileId,
    /// Where the output is.
    pub output_prefix: OutputPrefix,
    /// Stream sequence of the job's `accepted`.
    pub accepted_seq: u64,
    /// The repair that wrote it, by the stream sequence of its `attempt`; 0 for the job itself.
    #[serde(default)]
    pub revision: u64,
    /// Length of the output in seconds.
    pub duration_seconds: f64,
    /// The renditions, as in `ended`.
    pub renditions: Vec<EndedRendition>,
    /// Key of the poster, where one was made.
    pub poster: Option<String>,
    /// Key of the storyboard's index, where one was made.
    #[serde(default)]
    pub storyboard: Option<String>,
    /// What was left out or changed, as stable words.
    pub warnings: Vec<String>,
    /// Every object of the output, but master and the receipt itself.
    pub objects: Vec<ObjectRef>,
    /// Every check and what it found.
    pub checks: Vec<Check>,
    /// What was decided about the job.
    pub planned: Planned,
    /// What every task made, then what repairs made again.
    pub made: Vec<TaskResult>,
    /// SHA-256 of the receipt with zeros in this place, in hex.
    pub seal: String,
}

/// One check of the output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked, as a stable word.
    pub name: String,
    /// What was found, one sentence.
    pub found: String,
    /// The figures, by stable words; units are in the words, else they are counts or shares.
    #[serde(default)]
    pub figures: BTreeMap<String, f64>,
}

/// What one task made, and by which attempt; or what a repair made of it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The planned task.
    pub task: TaskName,
    /// The attempt in the keys of its objects.
    pub attempt: u64,
    /// What it made. Of a repair: only what takes the place of damaged objects; its init segments
    /// are those that are in use.
    pub output: TaskOutput,
    /// Where its list lies, if it is an object.
    #[serde(default)]
    pub list: Option<ObjectRef>,
    /// Whether this is a repair: its objects replace those of the earlier output.
    #[serde(default)]
    pub repair: bool,
}

/// Why bytes are no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// They are of a newer release, or of no release.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// They were changed after they were written.
    #[error("it was changed after it was written")]
    Changed,
}

impl Check {
    /// A check without figures.
    #[must_use]
    pub fn new(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            found: found.into(),
            figures: BTreeMap::new(),
        }
    }

    /// The same check with a figure, rounded to six decimals.
    #[must_use]
    pub fn figure(mut self, word: &str, value: f64) -> Self {
        self.figures
            .insert(word.to_owned(), (value * 1e6).round() / 1e6);
        self
    }
}

impl Receipt {
    /// The receipt as it is stored, sealed.
    ///
    /// # Panics
    /// Never: it holds nothing that JSON cannot say.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let open = Self {
            seal: UNSEALED.to_owned(),
            ..self.clone()
        };
        let text = serde_json::to_string_pretty(&open).expect("a receipt can be written as JSON");
        let seal = Digest::of(text.as_bytes()).sha256;
        // The seal is the last field, so the last zeros are its place.
        let (before, after) = text.rsplit_once(UNSEALED).unwrap_or((&text, ""));
        format!("{before}{seal}{after}").into()
    }

    /// Reads a stored receipt.
    ///
    /// # Errors
    /// [`ReceiptError`] when it is not what was stored.
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        const WHAT: &str = "the receipt";

        let receipt: Self = wire::read(WHAT, bytes)?;
        // The stored text is hashed, not the value encoded again, so that a change of any byte is
        // found.
        let text =
            std::str::from_utf8(bytes).map_err(|error| Unread::broken(WHAT, error.to_string()))?;
        let (before, after) = text
            .rsplit_once(&receipt.seal)
            .ok_or(ReceiptError::Changed)?;
        let open = format!("{before}{UNSEALED}{after}");
        if Digest::of(open.as_bytes()).sha256 == receipt.seal {
            Ok(receipt)
        } else {
            Err(ReceiptError::Changed)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use streams::testing::planned;

    fn receipt() -> Receipt {
        let planned = planned();
        Receipt {
            v: 1,
            job_id: planned.head.job_id.clone(),
            file_id: planned.head.file_id.clone(),
            output_prefix: "hls/f/".parse().unwrap(),
            accepted_seq: 7,
            revision: 0,
            duration_seconds: 1.0 / 3.0,
            renditions: Vec::new(),
            poster: None,
            storyboard: None,
            warnings: vec!["no_audio".to_owned()],
            objects: Vec::new(),
            checks: vec![Check::new("grid", "Well.").figure("seconds", 0.1 + 0.2)],
            planned,
            made: Vec::new(),
            seal: String::new(),
        }
    }

    #[test]
    fn what_was_sealed_reads_back_and_is_always_the_same() {
        let bytes = receipt().encode();
        let read = Receipt::decode(&bytes).unwrap();
        assert_eq!(read.checks[0].figures["seconds"], 0.3);
        assert_eq!(read.planned, receipt().planned);
        assert_eq!(receipt().encode(), bytes);

        let broken = Receipt::decode(b"{}");
        assert!(
            matches!(broken, Err(ReceiptError::Unread(Unread::Broken { .. }))),
            "{broken:?}"
        );
    }

    proptest! {
        #[test]
        fn no_change_of_a_byte_stays_unseen(place: prop::sample::Index, flip in 1u8..=255) {
            let mut bytes = receipt().encode().to_vec();
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
            prop_assert!(Receipt::decode(&bytes).is_err());
        }
    }
}
