//! How far the tables are, and the proof that the log is still the one they came from.
//!
//! Sequences alone prove nothing: a server restored from an older store gives the lost ones out
//! again, to other messages. So the checkpoint holds the stream's birth and enough of the last
//! message to know it again.

use chrono::{DateTime, SecondsFormat, Utc};
use entity::prelude::ProjectionCheckpoint;
use entity::projection_checkpoint::{Column, Model};
use jetstream::StoredMessage;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _,
};
use sha2::{Digest as _, Sha256};
use streams::topology;

use super::job_counters::JobCounters;

/// The name of the one projection there is.
const NAME: &str = "tables";

/// The last message that is in the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint(Model);

impl Checkpoint {
    /// The checkpoint before the first message of a stream.
    pub(super) fn start(stream_created: DateTime<Utc>) -> Self {
        Self(Model {
            name: NAME.to_owned(),
            stream: topology::JOBS.to_owned(),
            stream_created: exactly(stream_created),
            seq: 0,
            subject: None,
            message_time: None,
            message_hash: None,
            jobs_accepted: 0,
            jobs_completed: 0,
            jobs_failed: 0,
            jobs_canceled: 0,
        })
    }

    /// The checkpoint after `message` of the same stream.
    pub(super) fn after(&self, message: &StoredMessage) -> Self {
        Self(Model {
            seq: i64::try_from(message.seq).unwrap_or(i64::MAX),
            subject: Some(message.subject.clone()),
            message_time: Some(exactly(message.time)),
            message_hash: Some(hash(&message.payload)),
            ..self.0.clone()
        })
    }

    /// Stream sequence of the last message in the tables; 0 before the first.
    pub(super) fn seq(&self) -> u64 {
        u64::try_from(self.0.seq).unwrap_or(0)
    }

    /// How many jobs were accepted up to here, and how they ended.
    pub(super) const fn job_counters(&self) -> JobCounters {
        JobCounters {
            accepted: self.0.jobs_accepted,
            completed: self.0.jobs_completed,
            failed: self.0.jobs_failed,
            canceled: self.0.jobs_canceled,
        }
    }

    /// The same checkpoint with these counts.
    pub(super) fn with_job_counters(self, counters: JobCounters) -> Self {
        Self(Model {
            jobs_accepted: counters.accepted,
            jobs_completed: counters.completed,
            jobs_failed: counters.failed,
            jobs_canceled: counters.canceled,
            ..self.0
        })
    }

    /// Whether it belongs to the stream that was created at that time.
    pub(super) fn is_of(&self, stream_created: DateTime<Utc>) -> bool {
        self.0.stream_created == exactly(stream_created)
    }

    /// Whether both belong to the same stream.
    pub(super) fn is_same_stream(&self, other: &Self) -> bool {
        self.0.stream_created == other.0.stream_created
    }

    /// Whether this is the message it points to.
    pub(super) fn is_at(&self, message: &StoredMessage) -> bool {
        *self == self.after(message)
    }
}

/// Reads the checkpoint; none when nothing was ever projected.
pub(super) async fn read(db: &impl ConnectionTrait) -> Result<Option<Checkpoint>, DbErr> {
    Ok(ProjectionCheckpoint::find_by_id(NAME)
        .one(db)
        .await?
        .map(Checkpoint))
}

/// Reads how many jobs were accepted, and how they ended; zeros when nothing was ever projected.
///
/// # Errors
/// When the database cannot be read.
pub async fn read_job_counters(db: &impl ConnectionTrait) -> Result<JobCounters, DbErr> {
    let at = read(db).await?;
    Ok(at.map(|at| at.job_counters()).unwrap_or_default())
}

/// Moves the checkpoint if it is still at `from`; otherwise returns false. As the first statement
/// of a transaction, this also makes a second projector wait here, and then detect that it lost.
pub(super) async fn advance(
    db: &impl ConnectionTrait,
    from: &Checkpoint,
    to: &Checkpoint,
) -> Result<bool, DbErr> {
    // Another stream may have reached the same sequence, so its birth is compared, too.
    let moved = ProjectionCheckpoint::update_many()
        .col_expr(Column::Seq, Expr::value(to.0.seq))
        .col_expr(Column::Subject, Expr::value(to.0.subject.clone()))
        .col_expr(Column::MessageTime, Expr::value(to.0.message_time.clone()))
        .col_expr(Column::MessageHash, Expr::value(to.0.message_hash.clone()))
        .filter(Column::Name.eq(NAME))
        .filter(Column::Stream.eq(&from.0.stream))
        .filter(Column::StreamCreated.eq(&from.0.stream_created))
        .filter(Column::Seq.eq(from.0.seq))
        .exec(db)
        .await?;
    Ok(moved.rows_affected == 1)
}

/// Adds to the counts, in the transaction that moves the checkpoint: so each job counts once,
/// whatever dies.
pub(super) async fn add_job_counters(
    db: &impl ConnectionTrait,
    more: JobCounters,
) -> Result<(), DbErr> {
    if more == JobCounters::default() {
        return Ok(());
    }

    ProjectionCheckpoint::update_many()
        .col_expr(
            Column::JobsAccepted,
            Expr::col(Column::JobsAccepted).add(more.accepted),
        )
        .col_expr(
            Column::JobsCompleted,
            Expr::col(Column::JobsCompleted).add(more.completed),
        )
        .col_expr(
            Column::JobsFailed,
            Expr::col(Column::JobsFailed).add(more.failed),
        )
        .col_expr(
            Column::JobsCanceled,
            Expr::col(Column::JobsCanceled).add(more.canceled),
        )
        .filter(Column::Name.eq(NAME))
        .exec(db)
        .await
        .map(drop)
}

/// Puts the checkpoint wherever the tables were rebuilt to.
pub(super) async fn put(db: &impl ConnectionTrait, to: &Checkpoint) -> Result<(), DbErr> {
    // A rebuild may move the checkpoint back, so nothing guards it here.
    let replace = OnConflict::column(Column::Name)
        .update_columns([
            Column::Stream,
            Column::StreamCreated,
            Column::Seq,
            Column::Subject,
            Column::MessageTime,
            Column::MessageHash,
            Column::JobsAccepted,
            Column::JobsCompleted,
            Column::JobsFailed,
            Column::JobsCanceled,
        ])
        .to_owned();
    ProjectionCheckpoint::insert(to.0.clone().into_active_model())
        .on_conflict(replace)
        .exec_without_returning(db)
        .await
        .map(drop)
}

/// To the nanosecond, as the server gives it.
fn exactly(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}
