//! The list of migrations and the two things one does with it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseConnection;

use crate::{
    adopt, lock, m20261122_000001_create_files, m20261122_000002_create_transcoding_jobs,
    m20261122_000003_add_sequence_guards, m20261122_000004_keep_explicit_updated_at,
    m20261122_000005_create_projection_checkpoint, m20261126_000001_count_jobs,
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
        ]
    }
}

/// Applies every pending migration in one transaction, so that the database is either migrated or as it was.
///
/// Any number of processes may call this at once: one applies, the others wait for it and find nothing to do.
///
/// # Errors
/// When the database refuses a statement, or when its tables are not ones that can be adopted (the text says what to
/// change).
pub async fn up(db: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = lock::begin_alone(db).await?;
    adopt::check_tables(&SchemaManager::new(&transaction)).await?;
    Migrator::up(&transaction, None).await?;
    transaction.commit().await
}

/// The names of the migrations that `up` would apply, oldest first.
///
/// Reads only, and so works for a database user who may not change the schema: a readiness check.
///
/// # Errors
/// When the database cannot be read, or when it was migrated by a newer version than this one.
pub async fn pending(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let migrations = Migrator::get_pending_migrations_read_only(db).await?;
    Ok(migrations.iter().map(|migration| migration.name().to_owned()).collect())
}
