//! The list of migrations and the two things one does with it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseConnection;
use semver::Version;

use crate::schema::{self, Schema};
use crate::{
    adopt, lock, m20261122_000001_create_files, m20261122_000002_create_transcoding_jobs,
    m20261122_000003_add_sequence_guards, m20261122_000004_keep_explicit_updated_at,
    m20261122_000005_create_projection_checkpoint, m20261126_000001_count_jobs,
    m20261129_000001_create_fluxhls_schema,
};

/// All migrations, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_create_files::Migration),
            Box::new(m20261122_000002_create_transcoding_jobs::Migration),
            Box::new(m20261122_000003_add_sequence_guards::Migration),
            Box::new(m20261122_000004_keep_explicit_updated_at::Migration),
            Box::new(m20261122_000005_create_projection_checkpoint::Migration),
            Box::new(m20261126_000001_count_jobs::Migration),
            Box::new(m20261129_000001_create_fluxhls_schema::Migration),
        ]
    }
}

/// Applies every pending migration in one transaction, so that the database is either migrated or
/// as it was, and writes down which versions of the program may run with the result. A schema that
/// a newer program made stays as it is.
///
/// Any number of processes may call this at once: one applies, the others wait for it and find
/// nothing to do.
///
/// # Errors
/// When the database refuses a statement, or when its tables are not ones that can be adopted (the
/// text says what to change).
pub async fn up(db: &DatabaseConnection) -> Result<Schema, DbErr> {
    up_with::<Migrator>(db, &schema::OLDEST_PROGRAM).await
}

/// [`up`] of a program with the migrations of `M`, whose schema needs at least the version
/// `oldest`.
pub(crate) async fn up_with<M: MigratorTrait>(
    db: &DatabaseConnection,
    oldest: &Version,
) -> Result<Schema, DbErr> {
    let transaction = lock::begin_alone(db).await?;
    match schema::read::<M>(&transaction).await? {
        Schema::Current => {}
        Schema::Behind(_) => {
            adopt::check_tables(&SchemaManager::new(&transaction)).await?;
            M::up(&transaction, None).await?;
        }
        newer @ (Schema::Newer(_) | Schema::TooNew(_) | Schema::Apart { .. }) => {
            transaction.rollback().await?;
            return Ok(newer);
        }
    }

    schema::write_oldest_program(&transaction, oldest).await?;
    transaction.commit().await?;
    Ok(Schema::Current)
}

/// How the schema relates to this program.
///
/// Reads only, and so works for a database user who may not change the schema: a readiness check.
///
/// # Errors
/// When the database cannot be read.
pub async fn schema(db: &impl ConnectionTrait) -> Result<Schema, DbErr> {
    schema::read::<Migrator>(db).await
}
