//! Questions about jobs, answered from the tables. Nothing here writes.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDateTime, Utc};
use entity::files;
use entity::prelude::{Files, TranscodingJobs};
use entity::transcoding_jobs::{Column, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
};
use serde::Serialize;
use serde_json::Value;
use streams::{FileId, JobId};

use super::references;

/// How many days back [`stats`] looks.
pub const STATS_DAYS: u64 = 7;

/// A job with the name of its file. Times are those of the job's facts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Job {
    /// The job.
    pub job_id: String,
    /// The file it transcodes.
    pub file_id: String,
    /// The file's name, as people see it.
    pub file_name: Option<String>,
    /// The file's media type.
    pub mime_type: Option<String>,
    /// The address of who uploaded it, where the database has a table `users`.
    pub user_email: Option<String>,
    /// pending, processing, completed, failed or canceled.
    pub status: String,
    /// Percent.
    pub progress: i32,
    /// Where the source is.
    pub input_url: String,
    /// Where the output goes.
    pub output_prefix: Option<String>,
    /// The playlist, once there is one.
    pub manifest_url: Option<String>,
    /// `<code>: <message>` of a failed job.
    pub error_message: Option<String>,
    /// When it was accepted.
    pub created_at: Option<DateTime<Utc>>,
    /// When it was planned.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, whatever its outcome.
    pub completed_at: Option<DateTime<Utc>>,
    /// Seconds from created to ended, as the view `transcoding_history` gave them.
    pub duration_seconds: Option<f64>,
    /// The playlist of the file's newest completed job.
    pub hls_manifest_url: Option<String>,
    /// The settings of its event.
    pub settings: Option<Value>,
}

impl Job {
    fn new(job: Model, file: Option<files::Model>) -> Self {
        let utc = |time: Option<NaiveDateTime>| time.map(|time| time.and_utc());

        let (file_name, mime_type, hls_manifest_url) = match file {
            Some(file) => (Some(file.name), Some(file.mime_type), file.hls_manifest_url),
            None => (None, None, None),
        };
        let span = job.created_at.zip(job.completed_at);

        Self {
            job_id: job.id,
            file_id: job.file_id,
            file_name,
            mime_type,
            user_email: None,
            duration_seconds: span.map(|(from, to)| (to - from).as_seconds_f64()),
            hls_manifest_url,
            status: job.status.unwrap_or_else(|| "pending".to_owned()),
            progress: job.progress.unwrap_or(0),
            input_url: job.input_url,
            output_prefix: job.output_prefix,
            manifest_url: job.manifest_url,
            error_message: job.error_message,
            created_at: utc(job.created_at),
            started_at: utc(job.started_at),
            completed_at: utc(job.completed_at),
            settings: job.settings,
        }
    }
}

/// A file as the tables have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct File {
    /// The file.
    pub file_id: String,
    /// Its name, as people see it.
    pub name: String,
    /// Its type.
    pub mime_type: String,
    /// Bytes.
    pub size: i64,
    /// Status of its newest job.
    pub transcoding_status: Option<String>,
    /// The playlist of its newest completed job.
    pub hls_manifest_url: Option<String>,
    /// The poster of its newest completed job.
    pub thumbnail_url: Option<String>,
}

/// The newest files.
///
/// # Errors
/// When the database cannot be read.
pub async fn files(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<File>, DbErr> {
    let newest = Files::find()
        .order_by_desc(files::Column::CreatedAt)
        .order_by_desc(files::Column::Id)
        .limit(limit);
    let rows = newest.all(db).await?;

    let file = |row: files::Model| File {
        file_id: row.id,
        name: row.name,
        mime_type: row.mime_type,
        size: row.size,
        transcoding_status: row.transcoding_status,
        hls_manifest_url: row.hls_manifest_url,
        thumbnail_url: row.thumbnail_url,
    };
    Ok(rows.into_iter().map(file).collect())
}

/// Which jobs [`list`] gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only jobs with this status.
    pub status: Option<String>,
    /// Only jobs of this file.
    pub file_id: Option<FileId>,
    /// Largest number of rows; all if none is given.
    pub limit: Option<u64>,
}

/// Jobs, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(db: &impl ConnectionTrait, filter: &Filter) -> Result<Vec<Job>, DbErr> {
    let mut select = TranscodingJobs::find()
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id);

    if let Some(status) = &filter.status {
        select = select.filter(Column::Status.eq(status));
    }
    if let Some(file_id) = &filter.file_id {
        select = select.filter(Column::FileId.eq(file_id.as_str()));
    }

    jobs(db, select.limit(filter.limit)).await
}

/// One job; none when the tables do not know it.
///
/// # Errors
/// When the database cannot be read.
pub async fn show(db: &impl ConnectionTrait, job: &JobId) -> Result<Option<Job>, DbErr> {
    let found = jobs(db, TranscodingJobs::find_by_id(job.as_str())).await?;
    Ok(found.into_iter().next())
}

/// Jobs that are pending or processing, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn active(db: &impl ConnectionTrait, limit: Option<u64>) -> Result<Vec<Job>, DbErr> {
    let select = TranscodingJobs::find()
        .filter(Column::Status.is_in(["pending", "processing"]))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .limit(limit);
    jobs(db, select).await
}

/// When the oldest job with one of these statuses was created; none without any.
///
/// # Errors
/// When the database cannot be read.
pub async fn oldest(
    db: &impl ConnectionTrait,
    statuses: &[&str],
) -> Result<Option<DateTime<Utc>>, DbErr> {
    // `MIN` over no rows is one row that holds NULL.
    let oldest: Option<Option<NaiveDateTime>> = TranscodingJobs::find()
        .select_only()
        .column_as(Column::CreatedAt.min(), "oldest")
        .filter(Column::Status.is_in(statuses.iter().copied()))
        .into_tuple()
        .one(db)
        .await?;
    Ok(oldest.flatten().map(|time| time.and_utc()))
}

/// The last `limit` jobs that ended, whatever their outcome, newest end first.
///
/// # Errors
/// When the database cannot be read.
pub async fn history(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<Job>, DbErr> {
    let select = TranscodingJobs::find()
        .filter(Column::CompletedAt.is_not_null())
        .order_by_desc(Column::CompletedAt)
        .order_by_desc(Column::Id)
        .limit(limit);
    jobs(db, select).await
}

async fn jobs(
    db: &impl ConnectionTrait,
    select: Select<TranscodingJobs>,
) -> Result<Vec<Job>, DbErr> {
    let rows = select.find_also_related(Files).all(db).await?;
    let uploaders: BTreeSet<String> = rows
        .iter()
        .filter_map(|(_, file)| file.as_ref()?.uploaded_by.clone())
        .collect();
    let emails = references::emails(db, uploaders).await?;

    let with_email = |(job, file): (Model, Option<files::Model>)| {
        let uploader = file.as_ref().and_then(|file| file.uploaded_by.as_ref());
        let user_email = uploader.and_then(|id| emails.get(id).cloned());
        Job {
            user_email,
            ..Job::new(job, file)
        }
    };
    Ok(rows.into_iter().map(with_email).collect())
}

/// How many jobs of each status the tables hold; a status without jobs is absent.
///
/// # Errors
/// When the database cannot be read.
pub async fn counts(db: &impl ConnectionTrait) -> Result<BTreeMap<String, u64>, DbErr> {
    let rows: Vec<(Option<String>, i64)> = TranscodingJobs::find()
        .select_only()
        .column(Column::Status)
        .column_as(Column::Id.count(), "jobs")
        .group_by(Column::Status)
        .into_tuple()
        .all(db)
        .await?;
    Ok(by_status(rows))
}

fn by_status(rows: impl IntoIterator<Item = (Option<String>, i64)>) -> BTreeMap<String, u64> {
    rows.into_iter()
        .filter_map(|(status, jobs)| Some((status?, u64::try_from(jobs).ok()?)))
        .collect()
}

/// Counts over the jobs created in the last [`STATS_DAYS`] days.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stats {
    /// The start of the window.
    pub since: DateTime<Utc>,
    /// Jobs by status; a status without jobs is absent.
    pub jobs: BTreeMap<String, u64>,
    /// Mean seconds from created to completed, over the completed ones; none without any.
    pub mean_seconds: Option<f64>,
}

/// Statistics of the days before `now`.
///
/// # Errors
/// When the database cannot be read.
pub async fn stats(db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Stats, DbErr> {
    let since = now.checked_sub_days(Days::new(STATS_DAYS)).unwrap_or(now);

    // `PostgreSQL` and `SQLite` have no function for a span of time in common.
    let seconds = match db.get_database_backend() {
        DbBackend::Postgres => {
            "CAST(AVG(EXTRACT(EPOCH FROM completed_at - created_at)) AS DOUBLE PRECISION)"
        }
        _ => "AVG((JULIANDAY(completed_at) - JULIANDAY(created_at)) * 86400.0)",
    };

    let rows: Vec<(Option<String>, i64, Option<f64>)> = TranscodingJobs::find()
        .select_only()
        .column(Column::Status)
        .column_as(Column::Id.count(), "jobs")
        .column_as(Expr::cust(seconds), "seconds")
        .filter(Column::CreatedAt.gte(since.naive_utc()))
        .group_by(Column::Status)
        .into_tuple()
        .all(db)
        .await?;

    let completed = rows
        .iter()
        .find(|(status, ..)| status.as_deref() == Some("completed"));
    Ok(Stats {
        since,
        mean_seconds: completed.and_then(|(.., seconds)| *seconds),
        jobs: by_status(rows.into_iter().map(|(status, jobs, _)| (status, jobs))),
    })
}
