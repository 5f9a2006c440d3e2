//! A scratch `PostgreSQL` for tests: real clusters in temporary folders, and migrations of a later
//! version.

mod cluster;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DatabaseConnection};

pub use cluster::{Cluster, Demands};

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

/// An empty database, and the cluster that it is in.
#[derive(Debug)]
pub struct Postgres {
    /// A connection pool to the database.
    pub db: DatabaseConnection,
    url: String,
    // Last, so that the pool is dropped before the server stops.
    _cluster: Cluster,
}

impl Postgres {
    /// The database `postgres` of a new cluster.
    ///
    /// # Panics
    /// When no cluster can be made; the text holds what the tools said.
    pub async fn empty() -> Self {
        let cluster = Cluster::start().await;
        let url = cluster.url("postgres");
        let db = crate::transaction::connect(&url)
            .await
            .unwrap_or_else(|error| panic!("cannot connect to {url}: {error}"));
        Self {
            db,
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
