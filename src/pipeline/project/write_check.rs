//! Whether the tables can be written, without writing anything.

use sea_orm::{ConnectionTrait as _, DbErr};

use super::Database;
use super::references::References;

/// One statement for each right that is needed. None finds a row, so none waits for a row that
/// someone writes; a database that accepts no writes still refuses them.
const STATEMENTS: [&str; 7] = [
    "UPDATE projection_checkpoint SET seq = seq WHERE 1 = 0",
    "INSERT INTO projection_checkpoint SELECT * FROM projection_checkpoint WHERE 1 = 0",
    "UPDATE files SET id = id WHERE 1 = 0",
    "INSERT INTO files SELECT * FROM files WHERE 1 = 0",
    "UPDATE transcoding_jobs SET id = id WHERE 1 = 0",
    "INSERT INTO transcoding_jobs SELECT * FROM transcoding_jobs WHERE 1 = 0",
    "DELETE FROM transcoding_jobs WHERE 1 = 0",
];

/// Tries everything that is done to the tables, and takes it back.
///
/// # Errors
/// What the database refused.
pub(super) async fn check_write(database: &Database) -> Result<(), DbErr> {
    let transaction = database.write().await?;
    for statement in STATEMENTS {
        transaction.execute_unprepared(statement).await?;
    }
    References::read(&transaction)
        .await?
        .check_read(&transaction)
        .await?;
    transaction.rollback().await
}
