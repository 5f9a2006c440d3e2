//! Whether a program may run with the schema it finds, which a newer program may have made.

use std::collections::BTreeSet;
use std::fmt;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};
use semver::Version;

/// The oldest version of fluxhls that may run with the schema the migrations of this one make.
///
/// Migrations that only add leave it as it is. It is raised in the version whose migrations take
/// away or change what an older program needs, so that such a program stops instead of writing what
/// no one can read.
pub(crate) const OLDEST_PROGRAM: Version = Version::new(0, 1, 0);

/// The schema of a database, as a program sees it that knows some migrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// It has every migration of the program, and no other.
    Current,
    /// It lacks these migrations, which `fluxhls migrate up` applies.
    Behind(Vec<String>),
    /// A newer program made it with these migrations, and allows this one to run.
    Newer(Vec<String>),
    /// A newer program made it, and only versions from this one on may run.
    TooNew(Version),
    /// It has some migrations that the program does not know, and lacks some that it needs.
    Apart {
        /// What the program does not know.
        unknown: Vec<String>,
        /// What it needs.
        missing: Vec<String>,
    },
}

impl Schema {
    /// Whether the program may run with it.
    #[must_use]
    pub const fn may_run(&self) -> bool {
        matches!(self, Self::Current | Self::Newer(_))
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let this = program();
        match self {
            Self::Current => write!(f, "the schema is current"),
            Self::Behind(missing) => write!(
                f,
                "the database lacks migrations ({}); run `fluxhls migrate up`",
                missing.join(", ")
            ),
            Self::Newer(unknown) => write!(
                f,
                "the schema is newer: it has {}, which fluxhls {this} does not know but may run with",
                unknown.join(", ")
            ),
            Self::TooNew(oldest) => write!(
                f,
                "the schema is newer: only fluxhls {oldest} and later may run with it, and this is {this}; run a later version"
            ),
            Self::Apart { unknown, missing } => write!(
                f,
                "the schema belongs to another line of versions: it has {}, which fluxhls {this} does not know, and lacks {}; \
                 run `fluxhls migrate up` of the latest version that the database is used with",
                unknown.join(", "),
                missing.join(", ")
            ),
        }
    }
}

/// The version of this program, which the crates of its workspace share.
fn program() -> Version {
    Version::new(
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
    )
}

fn number(part: &str) -> u64 {
    part.parse().unwrap_or(0)
}

/// Compares the schema with the migrations of `M`. Needs only read access.
pub(crate) async fn read<M: MigratorTrait>(db: &impl ConnectionTrait) -> Result<Schema, DbErr> {
    // Asked first: unknown migrations alone do not say whether this program may run.
    if let Some(oldest) = oldest_program(db).await?
        && program() < oldest
    {
        return Ok(Schema::TooNew(oldest));
    }

    let applied = applied(db).await?;
    let known: BTreeSet<String> = M::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    let missing: Vec<String> = known.difference(&applied).cloned().collect();
    let unknown: Vec<String> = applied.difference(&known).cloned().collect();

    Ok(match (unknown.is_empty(), missing.is_empty()) {
        (true, true) => Schema::Current,
        (true, false) => Schema::Behind(missing),
        (false, true) => Schema::Newer(unknown),
        (false, false) => Schema::Apart { unknown, missing },
    })
}

/// Writes the only row, if it is missing or wrong.
pub(crate) async fn write_oldest_program(
    db: &impl ConnectionTrait,
    oldest: &Version,
) -> Result<(), DbErr> {
    if oldest_program(db).await?.as_ref() == Some(oldest) {
        return Ok(());
    }
    let upsert = format!(
        "INSERT INTO fluxhls_schema (id, oldest_program) VALUES (1, '{oldest}') \
         ON CONFLICT (id) DO UPDATE SET oldest_program = excluded.oldest_program"
    );
    db.execute_unprepared(&upsert).await.map(drop)
}

/// What the last migrator wrote; none if no migrator has written it yet.
async fn oldest_program(db: &impl ConnectionTrait) -> Result<Option<Version>, DbErr> {
    if !exists(db, "fluxhls_schema").await? {
        return Ok(None);
    }

    let sql = "SELECT oldest_program FROM fluxhls_schema WHERE id = 1";
    let row = db
        .query_one_raw(Statement::from_string(db.get_database_backend(), sql))
        .await?;
    let Some(row) = row else { return Ok(None) };

    let text: String = row.try_get("", "oldest_program")?;
    let version = text.parse().map_err(|error| {
        DbErr::Migration(format!(
            "fluxhls_schema.oldest_program is {text:?}, which is not a version ({error}); run `fluxhls migrate up` of the \
             latest version that the database is used with"
        ))
    })?;
    Ok(Some(version))
}

/// The names of the migrations that were applied.
async fn applied(db: &impl ConnectionTrait) -> Result<BTreeSet<String>, DbErr> {
    if !exists(db, "seaql_migrations").await? {
        return Ok(BTreeSet::new());
    }
    let statement = Statement::from_string(
        db.get_database_backend(),
        "SELECT version FROM seaql_migrations",
    );
    let rows = db.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get("", "version")).collect()
}

/// Whether there is such a table, also one that this user may not read: `information_schema` would
/// hide it.
async fn exists(db: &impl ConnectionTrait, table: &str) -> Result<bool, DbErr> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            format!("SELECT 1 AS found WHERE to_regclass('{table}') IS NOT NULL")
        }
        _ => format!(
            "SELECT 1 AS found FROM sqlite_master WHERE type = 'table' AND name = '{table}'"
        ),
    };
    let found = db
        .query_one_raw(Statement::from_string(db.get_database_backend(), sql))
        .await?;
    Ok(found.is_some())
}
