//! What must hold of tables that are already there.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

/// The columns the old system has always had.
const REQUIRED: [(&str, &[&str]); 2] = [
    (
        "files",
        &[
            "id",
            "name",
            "mime_type",
            "size",
            "file_url",
            "thumbnail_url",
            "uploaded_by",
            "project_id",
            "folder_path",
            "hls_manifest_url",
            "transcoding_status",
            "metadata",
            "created_at",
            "updated_at",
            "deleted_at",
        ],
    ),
    (
        "transcoding_jobs",
        &[
            "id",
            "file_id",
            "status",
            "input_url",
            "output_prefix",
            "manifest_url",
            "progress",
            "error_message",
            "created_at",
            "started_at",
            "completed_at",
            "settings",
        ],
    ),
];

/// Refuses, before anything is touched, tables that only look like the ones to adopt.
pub(crate) async fn check_tables(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for (table, columns) in REQUIRED {
        // The migrations create what is absent; there is nothing to adopt.
        if !manager.has_table(table).await? {
            continue;
        }

        refuse_uuid(manager, table).await?;
        for column in columns {
            if !manager.has_column(table, column).await? {
                return Err(DbErr::Migration(format!(
                    "cannot adopt table {table}: it has no column {column}; add that column as the FluxStudio schema has \
                     it, or point DATABASE_URL at another database, then migrate again"
                )));
            }
        }
    }
    Ok(())
}

/// The schema's first version keyed its tables by UUID; ids are text now, and a producer's id need
/// not be a UUID.
async fn refuse_uuid(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    if column_type(manager, table, "id").await?.as_deref() != Some("uuid") {
        return Ok(());
    }
    Err(DbErr::Migration(format!(
        "cannot adopt table {table}: its id column is of type uuid, but ids are text; drop the foreign keys between files \
         and transcoding_jobs, run ALTER TABLE … ALTER COLUMN … TYPE text on files.id, transcoding_jobs.id and \
         transcoding_jobs.file_id, add the foreign keys again, then migrate again"
    )))
}

/// Whether text ids can refer to this table: it exists and its `id` is text. Always false on
/// `SQLite`, where the old system never ran.
pub(crate) async fn has_text_id(manager: &SchemaManager<'_>, table: &str) -> Result<bool, DbErr> {
    let data_type = column_type(manager, table, "id").await?;
    Ok(matches!(
        data_type.as_deref(),
        Some("text" | "character varying")
    ))
}

/// The type of a column, as `PostgreSQL` names it; `None` if there is no such column, and on
/// `SQLite`, where types are not checked.
async fn column_type(
    manager: &SchemaManager<'_>,
    table: &str,
    column: &str,
) -> Result<Option<String>, DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(None);
    }

    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT data_type::text AS data_type FROM information_schema.columns \
         WHERE table_schema = current_schema() AND table_name = $1 AND column_name = $2",
        [table.into(), column.into()],
    );

    let row = manager.get_connection().query_one_raw(statement).await?;
    row.map(|row| row.try_get("", "data_type")).transpose()
}
