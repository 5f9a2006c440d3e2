//! A scratch `PostgreSQL` for tests: a real cluster in a temporary folder, reached by its Unix
//! socket only.
//!
//! Tests that run at the same time share one cluster and get a database each; the last one to
//! finish stops it. Needs `initdb` and `pg_ctl` of `PostgreSQL` 15 or newer, where Debian puts them
//! or in `PATH`; as root it runs them as the user `postgres`, since a server refuses to be root.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseConnection};
use tempfile::TempDir;

use crate::migrator::{Migrator, up_with};
use crate::schema::Schema;

/// Migrates as a program of a later version does, which has one migration more and allows programs
/// from `oldest` on.
///
/// # Panics
/// When the database refuses it.
pub async fn up_as_a_newer_program(db: &DatabaseConnection, oldest: &str) {
    let oldest = oldest
        .parse()
        .unwrap_or_else(|error| panic!("{oldest}: {error}"));
    let migrated = up_with::<NewerMigrator>(db, &oldest).await;
    assert!(matches!(migrated, Ok(Schema::Current)), "{migrated:?}");
}

/// The migrator of a later version.
struct NewerMigrator;

impl MigratorTrait for NewerMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut migrations = Migrator::migrations();
        migrations.push(Box::new(NewerMigration));
        migrations
    }
}

/// Its one migration more.
struct NewerMigration;

impl MigrationName for NewerMigration {
    fn name(&self) -> &'static str {
        "m20991231_000001_of_a_newer_version"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for NewerMigration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let add = "ALTER TABLE files ADD COLUMN of_a_newer_version TEXT";
        manager
            .get_connection()
            .execute_unprepared(add)
            .await
            .map(drop)
    }
}

/// A database of its own on the scratch cluster.
#[derive(Debug)]
pub struct Postgres {
    /// A connection pool to the database.
    pub db: DatabaseConnection,
    url: String,
    // Last, so that the pool is dropped before the server may stop.
    _cluster: Arc<Cluster>,
}

impl Postgres {
    /// An empty database.
    ///
    /// # Panics
    /// When no cluster can be made; the text holds what the tools said.
    pub async fn empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let cluster = Cluster::shared();
        let name = format!("scratch_{}", COUNT.fetch_add(1, Ordering::Relaxed));

        let admin = connect(&cluster.url("postgres")).await;
        admin
            .execute_unprepared(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap_or_else(|error| panic!("cannot create database {name}: {error}"));

        let url = cluster.url(&name);
        Self {
            db: connect(&url).await,
            url,
            _cluster: cluster,
        }
    }

    /// The database's URL, for a second pool or another process.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    crate::transaction::connect(url)
        .await
        .unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"))
}

/// A running server and its folder, which holds data, socket and log.
#[derive(Debug)]
struct Cluster {
    folder: TempDir,
    as_root: bool,
}

impl Cluster {
    /// The running cluster, or a new one.
    fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::start());
            *running = Arc::downgrade(&cluster);
            cluster
        })
    }

    fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("fluxhls-pg-")
            .tempdir()
            .unwrap_or_else(|error| panic!("cannot make a temporary folder: {error}"));

        let as_root = folder
            .path()
            .metadata()
            .is_ok_and(|metadata| metadata.uid() == 0);
        if as_root {
            run(command(Path::new("chown"))
                .arg("postgres")
                .arg(folder.path()));
        }

        let cluster = Self { folder, as_root };
        run(cluster.tool("initdb").args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
        ]));

        // Nothing outlives the tests, so `fsync` would only cost time.
        let socket = cluster.folder.path().display();
        run(cluster
            .tool("pg_ctl")
            .args(["start", "--wait", "--silent", "--options"])
            .arg(format!(
                "-k {socket} -c listen_addresses= -c fsync=off -c timezone=UTC"
            ))
            .arg("--log")
            .arg(cluster.folder.path().join("log")));
        cluster
    }

    /// One of the server's tools, for this cluster's data, as a user who may run it.
    fn tool(&self, name: &str) -> Command {
        let path = locate(name);
        let mut tool = if self.as_root {
            let mut runuser = command(Path::new("runuser"));
            runuser.args(["-u", "postgres", "--"]).arg(path);
            runuser
        } else {
            command(&path)
        };

        // The folder we were started in may be closed to that user.
        tool.current_dir(self.folder.path())
            .arg("--pgdata")
            .arg(self.folder.path().join("data"));
        tool
    }

    fn url(&self, database: &str) -> String {
        let socket = self.folder.path().display();
        format!("postgres://postgres@localhost/{database}?host={socket}&sslmode=disable")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Not worth a second panic while a test unwinds: the folder goes, and the server notices
        // that and ends.
        let _ = self
            .tool("pg_ctl")
            .args(["stop", "--mode=immediate", "--silent"])
            .status();
    }
}

/// The newest of Debian's versions of this tool, or the one in `PATH`.
fn locate(name: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut found: Vec<PathBuf> = debian
        .flatten()
        .map(|version| version.path().join("bin").join(name))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test server is nothing that `ffmpeg` or `dev` could start"
)]
fn command(program: &Path) -> Command {
    Command::new(program)
}

fn run(command: &mut Command) {
    // pg_ctl leaves a server behind that keeps its output open, so no one may wait for the end of
    // that output.
    let status = command.stdout(Stdio::null()).status();
    assert!(
        status.as_ref().is_ok_and(ExitStatus::success),
        "{command:?} failed with {status:?}: is PostgreSQL 15 or newer installed?"
    );
}
