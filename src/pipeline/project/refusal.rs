//! Whose fault a database error is: the fact's, or anything else's.

use sea_orm::sqlx::Error as SqlxError;
use sea_orm::{DbErr, RuntimeErr};

/// SQLSTATE classes of `PostgreSQL` that concern the values in a statement: data exceptions (22),
/// violated constraints (23), a row or index entry over a limit (54), and what someone's trigger
/// raises (P0). The manual of `PostgreSQL` lists them in its appendix A.
const POSTGRES_CLASSES: [&str; 4] = ["22", "23", "54", "P0"];

/// Primary result codes of `SQLite` that do: too big (18), constraint (19), mismatch (20).
/// See <https://www.sqlite.org/rescode.html>.
const SQLITE_CODES: [u32; 3] = [18, 19, 20];

/// Whether the database refused the content of a statement.
///
/// Everything else (no connection, a full disk, a deadlock, a missing table or right) says nothing
/// of the fact, so the fact has to wait: skipping it would lose it.
pub(super) fn is_of_content(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) =
        error
    else {
        return false;
    };

    match error.as_ref() {
        SqlxError::Encode(_) => true,
        SqlxError::Database(error) => {
            let code = error.code().unwrap_or_default();
            match code.parse::<u32>() {
                // SQLSTATE has five characters, an extended result code of SQLite at most four.
                Ok(extended) if code.len() < 5 => SQLITE_CODES.contains(&(extended & 0xff)),
                _ => POSTGRES_CLASSES.iter().any(|class| code.starts_with(class)),
            }
        }
        _ => false,
    }
}

/// The database's words on a refused value, for people: never the statement, which holds other
/// people's content.
pub(super) fn reason(error: &DbErr) -> String {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner)) => {
            match inner.as_ref() {
                SqlxError::Database(error) => {
                    format!("the database refuses it: {}", error.message())
                }
                other => format!("it cannot be sent to the database: {other}"),
            }
        }
        other => format!("the database refuses it: {other}"),
    }
}
