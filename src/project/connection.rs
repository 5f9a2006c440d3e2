//! The connection to the database.

use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use secrecy::{ExposeSecret as _, SecretString};

/// Connects to the database.
///
/// # Errors
/// Without the URL, which may hold a password.
pub async fn connect(url: &SecretString) -> anyhow::Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url.expose_secret());
    options
        .sqlx_logging(false)
        .max_connections(5)
        .connect_timeout(Duration::from_secs(10));
    Database::connect(options).await.map_err(|error| {
        let reason = error.to_string().replace(url.expose_secret(), "DATABASE_URL");
        anyhow::anyhow!("cannot connect to the database: {reason}; check DATABASE_URL")
    })
}
