//! The tables, on either database: the same scenario runs on both.

use std::path::Path;

use entity::{files, projection_checkpoint, transcoding_jobs};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, EntityTrait as _, ModelTrait as _, QueryOrder as _,
};

use super::pooler::Pooler;
use super::until;
use migration::testing::Cluster;

/// Which database a scenario runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// A file.
    Sqlite,
    /// A server of its own.
    Postgresql,
}

/// A fresh, empty database.
#[derive(Debug)]
pub(crate) struct Database {
    /// What the program gets as `DATABASE_URL`.
    pub(crate) url: String,
    connection: DatabaseConnection,
    /// The server, where no one else needs it.
    _cluster: Option<Cluster>,
}

/// Makes a database on the server that this URL leads to, and returns its name.
async fn create(url: &str) -> String {
    let name = format!("test_{}", cuid2::create_id());
    let server = sea_orm::Database::connect(url).await.unwrap();
    server
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    server.close().await.unwrap();
    name
}

/// Every row of the two tables, in the order of their keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    /// `files`
    pub(crate) files: Vec<files::Model>,
    /// `transcoding_jobs`
    pub(crate) jobs: Vec<transcoding_jobs::Model>,
}

impl Database {
    /// Makes a database; its name, or its file in `folder`, is its own.
    pub(crate) async fn create(engine: Engine, folder: &Path) -> Self {
        match engine {
            Engine::Sqlite => {
                Self::at(format!(
                    "sqlite://{}?mode=rwc",
                    folder.join("fluxhls.db").display()
                ))
                .await
            }
            Engine::Postgresql => {
                let cluster = Cluster::start().await;
                let database = Self::create_on(&cluster, "").await;
                Self {
                    _cluster: Some(cluster),
                    ..database
                }
            }
        }
    }

    /// Makes a database with a name of its own in `cluster`; `parameters` go to the end of its URL.
    pub(crate) async fn create_on(cluster: &Cluster, parameters: &str) -> Self {
        let name = create(&format!("{}{parameters}", cluster.url("postgres"))).await;
        Self::at(format!("{}{parameters}", cluster.url(&name))).await
    }

    /// Makes a database in `cluster` that the program reaches through `pooler`, and the test
    /// without it.
    pub(crate) async fn create_behind(cluster: &Cluster, pooler: &Pooler) -> Self {
        let name = create(&cluster.url("postgres")).await;
        let direct = Self::at(cluster.url(&name)).await;
        Self {
            url: pooler.url(&name),
            ..direct
        }
    }

    async fn at(url: String) -> Self {
        let connection = migration::connect(&url).await.unwrap();
        Self {
            url,
            connection,
            _cluster: None,
        }
    }

    /// The test's own connection.
    pub(crate) const fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    /// The row of a job.
    pub(crate) async fn job(&self, id: &str) -> Option<transcoding_jobs::Model> {
        transcoding_jobs::Entity::find_by_id(id)
            .one(&self.connection)
            .await
            .unwrap()
    }

    /// The row of a file.
    pub(crate) async fn file(&self, id: &str) -> Option<files::Model> {
        files::Entity::find_by_id(id)
            .one(&self.connection)
            .await
            .unwrap()
    }

    /// Every row of both tables.
    pub(crate) async fn rows(&self) -> Rows {
        let files = files::Entity::find().order_by_asc(files::Column::Id);
        let jobs = transcoding_jobs::Entity::find().order_by_asc(transcoding_jobs::Column::Id);
        Rows {
            files: files.all(&self.connection).await.unwrap(),
            jobs: jobs.all(&self.connection).await.unwrap(),
        }
    }

    /// Removes every row, checkpoint included.
    pub(crate) async fn empty(&self) {
        // Jobs first, since each refers to a file.
        for row in self.rows().await.jobs {
            row.delete(&self.connection).await.unwrap();
        }
        for row in self.rows().await.files {
            row.delete(&self.connection).await.unwrap();
        }

        projection_checkpoint::Entity::delete_many()
            .exec(&self.connection)
            .await
            .unwrap();
    }

    /// Waits until the tables hold the message with stream sequence `seq`.
    pub(crate) async fn has_projected(&self, seq: u64) {
        until(
            &format!("message {seq} of the job log reaches the tables"),
            async || {
                let checkpoint = projection_checkpoint::Entity::find()
                    .one(&self.connection)
                    .await
                    .unwrap();
                checkpoint.is_some_and(|checkpoint| checkpoint.seq.unsigned_abs() >= seq)
            },
        )
        .await;
    }
}
