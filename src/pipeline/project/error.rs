//! Why a projection stops.

use std::time::Duration;

use jetstream::Refused;
use migration::Schema;
use sea_orm::DbErr;
use streams::Unread;

use super::error_text::describe_error;
use super::feed::FeedError;

/// How long the transaction of one batch may take. Otherwise a database that disappeared from the
/// network would be waited for until the kernel gives up, up to a quarter of an hour after it is
/// back.
pub(super) const BATCH_LIMIT: Duration = Duration::from_secs(120);

/// Why the tables could not be updated. Nothing is lost: the checkpoint is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The database did not do as asked, for a reason that is not in a fact.
    #[error("the database prevents the projection: {}", describe_error(.0))]
    Database(DbErr),
    /// The schema is not one this program may write to.
    #[error("{0}")]
    Schema(Schema),
    /// The database is silent.
    #[error("the database did not answer within {} seconds; check DATABASE_URL and the network", BATCH_LIMIT.as_secs())]
    Silent,
    /// The job log could not be read.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// A fact needs a newer release. What is behind it in the log waits with it, since the order of
    /// facts is their meaning.
    #[error("{0}; the tables stop before it: upgrade the processes with the role project first")]
    Newer(#[from] Unread),
    /// A dead letter was not accepted.
    #[error("a fact that the tables cannot store cannot become a dead letter: {0}")]
    DeadLetter(String),
}

impl From<DbErr> for ProjectError {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl From<Refused> for ProjectError {
    fn from(refused: Refused) -> Self {
        Self::DeadLetter(refused.to_string())
    }
}
