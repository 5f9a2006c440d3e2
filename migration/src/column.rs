//! The one kind of column the two databases spell differently.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::timestamp_null;
use sea_orm_migration::sea_orm::DbBackend;

/// A nullable timestamp that defaults to the time of the insert, in the spelling an adopted
/// `PostgreSQL` table has.
pub(crate) fn timestamp_now(name: impl IntoIden, backend: DbBackend) -> ColumnDef {
    let now = match backend {
        DbBackend::Postgres => Expr::cust("now()"),
        _ => Expr::current_timestamp(),
    };
    timestamp_null(name).default(now).take()
}
