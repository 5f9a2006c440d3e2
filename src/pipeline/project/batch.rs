//! The facts of one transaction, and those among them that the database refuses.

use std::collections::BTreeSet;

use jetstream::StoredMessage;
use sea_orm::{DatabaseTransaction, DbErr, TransactionTrait as _};
use streams::JobId;

use super::change::Changes;
use super::dead::DeadFact;
use super::entry::Entry;
use super::fold::Fold;
use super::references::References;
use super::refusal;
use super::rows;

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Facts that are in the tables now, or were before.
    pub(super) entries: Vec<Entry>,
    /// Facts that cannot be.
    pub(super) dead: Vec<DeadFact>,
}

/// Applies `messages`, none of which needs a newer release, within `transaction`, and sets aside
/// those that the tables cannot store. Jobs in `deleted` are known to have been deleted later; a
/// live projector has none.
///
/// # Errors
/// Only for reasons that are not in the messages; then the transaction is to be dropped and all of
/// it tried again.
pub(super) async fn apply(
    transaction: &DatabaseTransaction,
    references: References,
    messages: &[StoredMessage],
    deleted: &BTreeSet<JobId>,
) -> Result<Applied, DbErr> {
    let mut dead = Vec::new();
    let mut entries = Vec::with_capacity(messages.len());
    for message in messages {
        match Entry::read(message) {
            Ok(entry) => entries.push((message, entry)),
            Err(unread) => dead.push(DeadFact::new(message, unread.to_string())),
        }
    }

    // Usually all are applied at once. If the content of one is refused, each is applied
    // separately, so that no other is lost with it.
    let all = Fold::of(entries.iter().map(|(_, entry)| entry), deleted);
    if try_apply(transaction, references, &all).await?.is_none() {
        let entries = entries.into_iter().map(|(_, entry)| entry).collect();
        return Ok(Applied { entries, dead });
    }

    let mut applied = Applied {
        entries: Vec::new(),
        dead,
    };
    for (message, entry) in entries {
        match try_apply(transaction, references, &Fold::of([&entry], deleted)).await? {
            None => applied.entries.push(entry),
            Some(reason) => applied.dead.push(DeadFact::new(message, reason)),
        }
    }

    Ok(applied)
}

/// Applies changes under a savepoint; gives the reason when the database refuses their content.
pub(super) async fn try_apply(
    transaction: &DatabaseTransaction,
    references: References,
    changes: &Changes,
) -> Result<Option<String>, DbErr> {
    // `PostgreSQL` refuses every statement after one that failed, unless a savepoint takes that one
    // back.
    let savepoint = transaction.begin().await?;
    match rows::apply(&savepoint, references, changes).await {
        Ok(()) => {
            savepoint.commit().await?;
            Ok(None)
        }
        Err(error) if refusal::is_of_content(&error) => {
            savepoint.rollback().await?;
            Ok(Some(refusal::reason(&error)))
        }
        Err(error) => Err(error),
    }
}
