//! The one way to begin a transaction, within which every statement of ours runs.
//!
//! A pooler in transaction mode (PgBouncer) may give each transaction another server connection,
//! whose session holds what others left there. So nothing of ours is kept in a session: no `SET`
//! without `LOCAL`, no session's advisory lock, no `LISTEN`; and a statement that was prepared is
//! one of its transaction alone.

use sea_orm_migration::sea_orm::sqlx::Connection as _;
use sea_orm_migration::sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

/// What every transaction on `PostgreSQL` begins with.
///
/// The client numbers the statements that it prepares, each connection from 1 on, so one that
/// another client left in the session of this server connection may have the name that ours is
/// about to get. A client that is frozen or cut off within a transaction must not hold its locks
/// for as long as its connection seems to live, which can be hours: `PostgreSQL` ends a transaction
/// that says nothing for a minute.
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

/// Connects. Only connections that are made here forget, from one use to the next, what they have
/// prepared: that is in the session of a server connection which may not be ours any more, and
/// [`begin`] drops it.
///
/// # Errors
/// When the database cannot be reached, or the URL is none.
pub async fn connect(options: impl Into<ConnectOptions>) -> Result<DatabaseConnection, DbErr> {
    let mut options = options.into();
    options
        // Poolers refuse a parameter they do not know. Servers we support write floats exactly
        // without it.
        .map_sqlx_postgres_opts(|options| options.extra_float_digits(None))
        .map_sqlx_postgres_before_acquire(|connection, _| {
            Box::pin(async move {
                connection.clear_cached_statements().await?;
                Ok(true)
            })
        });

    Database::connect(options).await
}

/// Begins a transaction of a database that [`connect`] connected to.
///
/// # Errors
/// When the database cannot be reached, or (`SQLite`) another process keeps it locked.
pub async fn begin(
    db: &DatabaseConnection,
    purpose: Purpose,
) -> Result<DatabaseTransaction, DbErr> {
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
