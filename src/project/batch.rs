//! The facts of one transaction, and those among them that the database refuses.

use sea_orm::{DatabaseTransaction, DbErr, TransactionTrait as _};

use super::change::Changes;
use super::dead::DeadFact;
use super::entry::Entry;
use super::fold::Fold;
use super::references::References;
use super::refusal;
use super::rows;
use crate::jetstream::Recorded;

/// Applies `messages` within `transaction` and returns those that cannot be in the tables.
///
/// # Errors
/// Only for reasons that are not in the messages; then the transaction is to be dropped and all of it tried again.
pub(super) async fn apply(
    transaction: &DatabaseTransaction,
    references: References,
    messages: &[Recorded],
) -> Result<Vec<DeadFact>, DbErr> {
    let mut dead = Vec::new();
    let mut entries = Vec::with_capacity(messages.len());
    for message in messages {
        match Entry::read(message) {
            Ok(entry) => entries.push((message, entry)),
            Err(reason) => dead.push(DeadFact::new(message, reason)),
        }
    }
    let all = Fold::of(entries.iter().map(|(_, entry)| entry));
    if attempt(transaction, references, &all).await?.is_some() {
        for (message, entry) in &entries {
            let one = Fold::of([entry]);
            if let Some(reason) = attempt(transaction, references, &one).await? {
                dead.push(DeadFact::new(message, reason));
            }
        }
    }
    Ok(dead)
}

/// Applies changes under a savepoint; gives the reason when the database refuses their content.
pub(super) async fn attempt(
    transaction: &DatabaseTransaction,
    references: References,
    changes: &Changes,
) -> Result<Option<String>, DbErr> {
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
