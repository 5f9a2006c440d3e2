//! One migrator at a time.

use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
};

use crate::transaction::{self, Purpose};

/// The advisory lock's key: "fluxhls" in ASCII, so that it can be recognised in `pg_locks`.
const ADVISORY_KEY: i64 = 0x66_6c75_7868_6c73;

/// How long a migration may wait for a lock on a table before it gives up. While it waits, every
/// later query on that table queues behind it, so a long report must not turn a migration into an
/// outage.
const LOCK_TIMEOUT: &str = "10s";

/// Begins a transaction that excludes other migrators; waits until an earlier one ends.
pub(crate) async fn begin_alone(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    // SQLite: taking the write lock at once is the lock.
    let transaction = transaction::begin(db, Purpose::Write).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        // Of the transaction, not of the session: that may be another client's next.
        transaction
            .execute_unprepared(&format!("SELECT pg_advisory_xact_lock({ADVISORY_KEY})"))
            .await?;

        // Set after the wait for the other migrator, which may rightly take long.
        transaction
            .execute_unprepared(&format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            .await?;
    }
    Ok(transaction)
}
