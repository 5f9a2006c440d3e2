//! The only access to the tables.

use std::time::Duration;

use migration::{Purpose, Schema};
use sea_orm::{ConnectOptions, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr};
use secrecy::{ExposeSecret as _, SecretString};

use super::error_text::describe_error;
use super::write_check::check_write;

/// How long a connection may be waited for.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The settings of the database.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// A postgres:// or sqlite:// URL, which may hold a password.
    pub url: SecretString,
    /// Most connections of this process.
    pub max_connections: u32,
}

/// The database of the tables, behind a few connections. Clones share them.
///
/// It can be asked within a transaction alone: behind a pooler in transaction mode (PgBouncer) each
/// statement outside of one may meet another server connection, and preparing and running one are
/// two. See [`migration::begin`].
#[derive(Debug, Clone)]
pub struct Database(DatabaseConnection);

/// Of a pool that [`migration::connect`] opened.
impl From<DatabaseConnection> for Database {
    fn from(pool: DatabaseConnection) -> Self {
        Self(pool)
    }
}

impl Database {
    /// Connects.
    ///
    /// # Errors
    /// What is wrong and what to do, without the URL.
    pub async fn connect(settings: &DatabaseSettings) -> anyhow::Result<Self> {
        let url = settings.url.expose_secret();
        let mut options = ConnectOptions::new(url);
        options
            .sqlx_logging(false)
            .max_connections(settings.max_connections)
            .connect_timeout(CONNECT_LIMIT);

        let pool = migration::connect(options).await.map_err(|error| {
            // The client may quote the URL, which may hold a password.
            let text = describe_error(&error).replace(url, "DATABASE_URL");
            anyhow::anyhow!("cannot connect to the database: {text}")
        })?;
        Ok(Self(pool))
    }

    /// Begins a transaction that only asks; it ends when it is dropped.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn read(&self) -> Result<DatabaseTransaction, DbErr> {
        migration::begin(&self.0, Purpose::Read).await
    }

    /// Begins a transaction that writes; it is rolled back if it is dropped without a commit.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn write(&self) -> Result<DatabaseTransaction, DbErr> {
        migration::begin(&self.0, Purpose::Write).await
    }

    /// Whether transactions that write run concurrently; in `SQLite` each waits for the previous
    /// one.
    #[must_use]
    pub fn has_many_writers(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Postgres
    }

    /// How the schema relates to this program.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn schema(&self) -> Result<Schema, DbErr> {
        migration::schema(&self.read().await?).await
    }

    /// Applies every pending migration; a schema that a newer program made stays as it is.
    ///
    /// # Errors
    /// What the database refused.
    pub async fn migrate(&self) -> Result<Schema, DbErr> {
        migration::up(&self.0).await
    }

    /// Drops the views and the function that FluxStudio watched itself with.
    ///
    /// # Errors
    /// What the database refused.
    pub async fn drop_views(&self) -> Result<(), DbErr> {
        migration::drop_views(&self.0).await
    }

    /// Tries everything that is done to the tables, and takes it back.
    ///
    /// # Errors
    /// What the database refused.
    pub async fn check_write(&self) -> Result<(), DbErr> {
        check_write(self).await
    }
}
