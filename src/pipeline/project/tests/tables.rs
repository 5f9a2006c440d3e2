//! A migrated database to project into, of either kind.

use std::collections::BTreeSet;

use entity::prelude::{Files, TranscodingJobs};
use entity::{files, transcoding_jobs};
use jetstream::StoredMessage;
use migration::Purpose;
use migration::testing::Postgres;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, EntityTrait as _, QueryOrder as _};
use tempfile::TempDir;

use super::super::batch;
use super::super::dead::DeadFact;
use super::super::references::References;

/// The tables, and what has to live as long as they do.
pub(super) struct Tables {
    pub(super) db: DatabaseConnection,
    /// For a second pool.
    pub(super) url: String,
    _home: Home,
}

#[expect(dead_code, reason = "held for the sake of its end")]
enum Home {
    Sqlite(TempDir),
    Postgres(Box<Postgres>),
}

impl Tables {
    pub(super) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/tables.db?mode=rwc", folder.path().display());
        let db = migration::connect(&url).await.unwrap();
        migration::up(&db).await.unwrap();

        Self {
            db,
            url,
            _home: Home::Sqlite(folder),
        }
    }

    pub(super) async fn postgres() -> Self {
        Self::postgres_with("").await
    }

    /// A `PostgreSQL` database where this SQL ran before the migrations.
    pub(super) async fn postgres_with(sql: &str) -> Self {
        let scratch = Postgres::empty().await;
        scratch.db.execute_unprepared(sql).await.unwrap();
        migration::up(&scratch.db).await.unwrap();
        Self {
            db: scratch.db.clone(),
            url: scratch.url().to_owned(),
            _home: Home::Postgres(Box::new(scratch)),
        }
    }

    /// One of each kind.
    pub(super) async fn both() -> [Self; 2] {
        [Self::sqlite().await, Self::postgres().await]
    }

    /// Applies messages as one batch, without a checkpoint, and returns what was set aside.
    pub(super) async fn apply(&self, messages: &[StoredMessage]) -> Vec<DeadFact> {
        let transaction = migration::begin(&self.db, Purpose::Write).await.unwrap();
        let references = References::read(&transaction).await.unwrap();
        let applied = batch::apply(&transaction, references, messages, &BTreeSet::new())
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        applied.dead
    }

    pub(super) async fn run(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
    }

    pub(super) async fn rows(&self) -> Rows {
        Rows {
            files: Files::find()
                .order_by_asc(files::Column::Id)
                .all(&self.db)
                .await
                .unwrap(),
            jobs: TranscodingJobs::find()
                .order_by_asc(transcoding_jobs::Column::Id)
                .all(&self.db)
                .await
                .unwrap(),
        }
    }
}

/// Everything that is in the tables.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rows {
    pub(super) files: Vec<files::Model>,
    pub(super) jobs: Vec<transcoding_jobs::Model>,
}
