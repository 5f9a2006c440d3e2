//! What a database said, in one sentence with what to do. A statement, which holds other people's
//! content, is never shown.

use sea_orm::sqlx::Error as SqlxError;
use sea_orm::{DbErr, RuntimeErr};

/// The database's message, once, and the fix.
#[must_use]
pub fn describe_error(error: &DbErr) -> String {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => {
            let message = database_message(inner);
            let fix = suggest_fix(inner, &message);
            format!("{message}; {fix}")
        }
        // The ten seconds are the `CONNECT_LIMIT` of the module `database`.
        DbErr::ConnectionAcquire(_) => {
            "no connection became free within 10 seconds; check that the database runs and \
                                        answers, and DATABASE_MAX_CONNECTIONS"
                .to_owned()
        }
        DbErr::Migration(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The message alone. PostgreSQL's own client adds the line of the server's source, which helps
/// no one here.
pub(super) fn database_message(error: &SqlxError) -> String {
    match error {
        SqlxError::Database(error) => error.message().to_owned(),
        SqlxError::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// What to do, by SQLSTATE if the server gave one, else by the message of the client, which has no
/// error kinds. The manual of `PostgreSQL` lists the codes in its appendix A.
fn suggest_fix(error: &SqlxError, message: &str) -> &'static str {
    let code = match error {
        SqlxError::Database(error) => error.code().unwrap_or_default().into_owned(),
        _ => String::new(),
    };

    match code.as_str() {
        "25006" => {
            "the database accepts no writes: DATABASE_URL must lead to the primary server, and neither database nor user \
             may have default_transaction_read_only set"
        }
        "42501" if message.contains("schema") => {
            "grant its user USAGE and CREATE on that schema, or let another user run `fluxhls migrate up`"
        }
        "42501" if message.contains("must be owner") => {
            "let the owner of the tables run `fluxhls migrate up`"
        }
        "42501" => {
            "grant the user of DATABASE_URL SELECT, INSERT, UPDATE and DELETE on files, transcoding_jobs and \
             projection_checkpoint, and SELECT on fluxhls_schema, seaql_migrations and, where they exist, users and projects"
        }
        "42P01" | "42703" => "run `fluxhls migrate up`",
        "53300" => "allow the server more connections, or set DATABASE_MAX_CONNECTIONS lower",
        "53100" => "free some of the database's disk",
        "55P03" => "another transaction holds the table; run it again when that has ended",
        "3D000" => "create the database, or name another one in DATABASE_URL",
        _ => suggest_fix_by_message(message),
    }
}

fn suggest_fix_by_message(message: &str) -> &'static str {
    if message.contains("invalid peer certificate") {
        "sslrootcert in DATABASE_URL must name the authority that signed the server's certificate, and the host must be one \
         of the certificate's names"
    } else if message.contains("password authentication failed") {
        "check the user and password in DATABASE_URL"
    } else if message.contains("no encryption") {
        "the server wants TLS: set sslmode=verify-full and sslrootcert in DATABASE_URL"
    } else if message.contains("No such file") {
        "a file that DATABASE_URL names (sslrootcert, sslcert, sslkey) does not exist"
    } else if message.contains("unsupported startup parameter") {
        "the pooler takes no options in DATABASE_URL: set the search_path by ALTER ROLE, or name the parameter in \
         PgBouncer's ignore_startup_parameters"
    } else if message.contains("no such table") || message.contains("no such column") {
        "run `fluxhls migrate up`"
    } else if message.contains("readonly database") {
        "the user of this process must be able to write the file and its folder"
    } else if message.contains("database is locked") {
        "another process keeps the file locked; end what holds it"
    } else {
        "check DATABASE_URL and that the database runs"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_says_of_itself_ends_with_what_to_do() {
        for (said, fix) in [
            (
                "unsupported startup parameter: options",
                "ignore_startup_parameters",
            ),
            ("no such table: files", "fluxhls migrate up"),
            ("attempt to write a readonly database", "write the file"),
            ("Connection refused (os error 111)", "check DATABASE_URL"),
        ] {
            let error = std::io::Error::other(said);
            let error = DbErr::Conn(RuntimeErr::SqlxError(SqlxError::Io(error).into()));
            let text = describe_error(&error);
            assert!(text.starts_with(said) && text.contains(fix), "{text}");
            assert_eq!(text.matches(said).count(), 1, "{text}");
        }
    }
}
