//! The one way to begin a transaction, within which every statement of ours runs.
//!
//! A pooler in transaction mode (PgBouncer) may give each transaction another server connection, whose session holds
//! what others left there. So nothing of ours is kept in a session: no `SET` without `LOCAL`, no session's advisory lock,
//! no `LISTEN`; and a statement that was prepared is one of its transaction alone.

use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
};

/// What every transaction on `PostgreSQL` begins with.
///
/// The client numbers the statements that it prepares, each connection from 1 on, so one that another client left in the
/// session of this server connection may have the name that ours is about to get. A client that is frozen or cut off
/// within a transaction must not hold its locks for as long as its connection seems to live, which can be hours:
/// `PostgreSQL` ends a transaction that says nothing for a minute.
const PREAMBLE: &str = r"
SET LOCAL idle_in_transaction_session_timeout = '1min';
DO $$
DECLARE statement text;
BEGIN
    FOR statement IN SELECT name FROM pg_prepared_statements WHERE name LIKE 'sqlx\_s\_%' LOOP
        EXECUTE format('DEALLOCATE %I', statement);
    END LOOP;
END $$";

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It only asks.
    Read,
    /// It writes. `SQLite` would else find out only at its first write that another one does.
    Write,
}

/// Begins a transaction.
///
/// # Errors
/// When the database cannot be reached, or (`SQLite`) another process keeps it locked.
pub async fn begin(db: &DatabaseConnection, purpose: Purpose) -> Result<DatabaseTransaction, DbErr> {
    let mode = match purpose {
        Purpose::Read => SqliteTransactionMode::Deferred,
        Purpose::Write => SqliteTransactionMode::Immediate,
    };
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(mode),
        ..TransactionOptions::default()
    };
    let transaction = db.begin_with_options(options).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(PREAMBLE).await?;
    }
    Ok(transaction)
}
