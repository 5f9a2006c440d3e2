//! What a run of facts changes in the tables, as values.

use chrono::NaiveDateTime;
use entity::{files, transcoding_jobs};

/// All changes of a run of facts, in the order in which they are carried out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Changes {
    /// Rows for files that have none yet.
    pub(super) new_files: Vec<files::Model>,
    /// Whole rows of jobs that were accepted within the run.
    pub(super) jobs: Vec<transcoding_jobs::Model>,
    /// Changes of files, in log order for each file.
    pub(super) file_patches: Vec<FilePatch>,
    /// Changes of jobs that were accepted before the run.
    pub(super) job_patches: Vec<JobPatch>,
    /// Jobs whose row is deleted.
    pub(super) pruned: Vec<Pruned>,
}

/// What later facts of a job set in its row. `None` leaves a column alone.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct JobPatch {
    pub(super) id: String,
    /// Sequence of the last fact in here.
    pub(super) seq: i64,
    pub(super) status: Option<&'static str>,
    pub(super) started_at: Option<NaiveDateTime>,
    /// Set exactly when the job ended.
    pub(super) completed_at: Option<NaiveDateTime>,
    pub(super) progress: Option<i32>,
    pub(super) manifest_url: Option<Option<String>>,
    pub(super) error_message: Option<Option<String>>,
}

impl JobPatch {
    /// The row as it is after this patch.
    pub(super) fn applied_to(self, row: transcoding_jobs::Model) -> transcoding_jobs::Model {
        transcoding_jobs::Model {
            status: self.status.map(str::to_owned).or(row.status),
            started_at: self.started_at.or(row.started_at),
            completed_at: self.completed_at.or(row.completed_at),
            progress: self.progress.or(row.progress),
            manifest_url: self.manifest_url.unwrap_or(row.manifest_url),
            error_message: self.error_message.unwrap_or(row.error_message),
            fact_seq: row.fact_seq.max(Some(self.seq)),
            ..row
        }
    }
}

/// What consecutive facts of one job set in its file's row, if the file follows that job.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FilePatch {
    pub(super) file_id: String,
    pub(super) job_id: String,
    /// Sequence of the `accepted` of the job, if that fact is in the same run. Otherwise its row
    /// has it.
    pub(super) accepted_seq: Option<i64>,
    /// Sequence of the last fact in here.
    pub(super) seq: i64,
    /// Server time of the last fact in here.
    pub(super) at: NaiveDateTime,
    /// `None` where only the guards move.
    pub(super) status: Option<&'static str>,
    /// Whether one of the facts is `ended`.
    pub(super) ended: bool,
    /// Size and media type as probed, for columns that held no answer.
    pub(super) probed: Option<(i64, String)>,
    pub(super) hls_manifest_url: Option<String>,
    pub(super) thumbnail_url: Option<String>,
}

impl FilePatch {
    /// The same patch of a job that was deleted: the guards of an existing row move as they did,
    /// and nothing else.
    pub(super) fn guards_only(self) -> Self {
        Self {
            status: None,
            probed: None,
            hls_manifest_url: None,
            thumbnail_url: None,
            ..self
        }
    }
}

/// A job whose row is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pruned {
    pub(super) id: String,
    /// Sequence of the `pruned` fact.
    pub(super) seq: i64,
}
