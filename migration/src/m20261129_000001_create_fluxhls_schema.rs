//! `fluxhls_schema`: one row that says which versions of the program may run with this schema.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{integer, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[derive(DeriveIden)]
enum FluxhlsSchema {
    Table,
    Id,
    OldestProgram,
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table(FluxhlsSchema::Table)
            .if_not_exists()
            .col(integer(FluxhlsSchema::Id).primary_key())
            .col(text(FluxhlsSchema::OldestProgram))
            .take();
        manager.create_table(table).await
    }
}
