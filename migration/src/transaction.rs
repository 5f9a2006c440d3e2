//! The only way to begin a transaction. Every statement of fluxhls runs within one.
//!
//! A pooler in transaction mode (PgBouncer) may give each transaction another server connection,
//! whose session contains state of other clients. So fluxhls keeps no state in a session: no `SET`
//! without `LOCAL`, no advisory lock of a session, no `LISTEN`; and a prepared statement is used
//! only within its transaction.

use sea_orm_migration::sea_orm::sqlx::Connection as _;
use sea_orm_migration::sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

/// What every transaction on `PostgreSQL` begins with.
///
/// The client numbers the statements that it prepares, each connection from 1 on, so a statement
/// that another client left in the session of this server connection may have the name that is
/// assigned next. A client that freezes or is disconnected within a transaction must not hold its
/// locks until its connection times out, which can take hours: `PostgreSQL` ends a transaction that
/// is idle for a minute.
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

/// Connects. Only connections made here discard their prepared statements between uses: these are
/// in the session of a server connection that may now belong to another client, and [`begin`] drops
/// them.
///
/// # Errors
/// When the database cannot be reached, or the URL is none.
pub async fn connect(options: impl Into<ConnectOptions>) -> Result<DatabaseConnection, DbErr> {
    let mut options = options.into();
    options
        // Poolers refuse unknown parameters. The supported servers write floats exactly without it.
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
