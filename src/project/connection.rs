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
        anyhow::anyhow!("cannot connect to the database: {reason}; {}", advice(&reason))
    })
}

/// What to do, by the words of the client: it keeps no kind of error for most of these.
fn advice(reason: &str) -> &'static str {
    if reason.contains("invalid peer certificate") {
        "sslrootcert in DATABASE_URL must name the authority that signed the server's certificate, and the host must be one \
         of the certificate's names"
    } else if reason.contains("password authentication failed") {
        "check the user and password in DATABASE_URL"
    } else if reason.contains("no encryption") {
        "the server wants TLS: set sslmode=verify-full and sslrootcert in DATABASE_URL"
    } else if reason.contains("No such file") {
        "a file that DATABASE_URL names (sslrootcert, sslcert, sslkey) is not there"
    } else {
        "check DATABASE_URL and that the database runs"
    }
}
