//! `files` and its indexes, as the old system has them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, json_binary_null, string_len, string_len_null, text, text_null, timestamp_null,
};
use sea_orm_migration::sea_orm::DbBackend;

use crate::adopt::has_text_id;
use crate::column::timestamp_now;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum Files {
    Table,
    Id,
    Name,
    MimeType,
    Size,
    FileUrl,
    ThumbnailUrl,
    UploadedBy,
    ProjectId,
    FolderPath,
    HlsManifestUrl,
    TranscodingStatus,
    Metadata,
    CreatedAt,
    UpdatedAt,
    DeletedAt,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = table(manager.get_database_backend());
        // The tables of users and projects are the old system's own: an empty database has neither.
        if has_text_id(manager, "users").await? {
            table.foreign_key(
                foreign_key("files_uploaded_by_fkey", Files::UploadedBy, "users")
                    .on_delete(ForeignKeyAction::SetNull),
            );
        }
        if has_text_id(manager, "projects").await? {
            table.foreign_key(
                foreign_key("files_project_id_fkey", Files::ProjectId, "projects")
                    .on_delete(ForeignKeyAction::Cascade),
            );
        }

        manager.create_table(table).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        create_name_search(manager).await
    }
}

fn table(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table(Files::Table)
        .if_not_exists()
        .col(text(Files::Id).primary_key())
        .col(string_len(Files::Name, 255))
        .col(string_len(Files::MimeType, 100))
        .col(big_integer(Files::Size))
        .col(text(Files::FileUrl))
        .col(text_null(Files::ThumbnailUrl))
        .col(text_null(Files::UploadedBy))
        .col(text_null(Files::ProjectId))
        .col(text_null(Files::FolderPath).default("/"))
        .col(text_null(Files::HlsManifestUrl))
        .col(string_len_null(Files::TranscodingStatus, 50).default("pending"))
        .col(json_binary_null(Files::Metadata).default("{}"))
        .col(timestamp_now(Files::CreatedAt, backend))
        .col(timestamp_now(Files::UpdatedAt, backend))
        .col(timestamp_null(Files::DeletedAt))
        .take()
}

fn foreign_key(name: &str, column: Files, target: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(Files::Table, column)
        .to(target, "id")
        .take()
}

fn indexes() -> [IndexCreateStatement; 6] {
    let index = |name: &str| {
        Index::create()
            .name(name)
            .table(Files::Table)
            .if_not_exists()
            .take()
    };
    [
        index("idx_files_uploaded_by").col(Files::UploadedBy).take(),
        index("idx_files_project_id").col(Files::ProjectId).take(),
        index("idx_files_mime_type").col(Files::MimeType).take(),
        index("idx_files_created_at")
            .col((Files::CreatedAt, IndexOrder::Desc))
            .take(),
        index("idx_files_deleted_at")
            .col(Files::DeletedAt)
            .and_where(Expr::col(Files::DeletedAt).is_not_null())
            .take(),
        index("idx_files_transcoding_status")
            .col(Files::TranscodingStatus)
            .and_where(Expr::col(Files::TranscodingStatus).is_in(["pending", "processing"]))
            .take(),
    ]
}

/// Full-text search over names is `PostgreSQL`'s own; `SQLite` does without.
async fn create_name_search(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }

    manager
        .get_connection()
        .execute_unprepared(
            "CREATE INDEX IF NOT EXISTS idx_files_name_search ON files USING gin (to_tsvector('english', name))",
        )
        .await
        .map(drop)
}
