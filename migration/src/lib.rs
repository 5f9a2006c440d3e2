//! Creates the tables: `SeaORM` migrations for `PostgreSQL` and `SQLite`.
//!
//! The same migrations build an empty database and adopt a live `FluxStudio` database: each step
//! checks before it creates, no step removes a row, a column or a view, and what an existing table
//! already has stays as it is. Migrations are expand-only, so the old API keeps working on the new
//! schema, and they never import `entity`: a migration is history, an entity is today.

mod adopt;
mod column;
mod lock;
mod m20261122_000001_create_files;
mod m20261122_000002_create_transcoding_jobs;
mod m20261122_000003_add_sequence_guards;
mod m20261122_000004_keep_explicit_updated_at;
mod m20261122_000005_create_projection_checkpoint;
mod m20261126_000001_count_jobs;
mod m20261129_000001_create_fluxhls_schema;
mod migrator;
mod schema;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;
mod views;

pub use migrator::{Migrator, schema, up};
pub use schema::Schema;
pub use transaction::{Purpose, begin, connect};
pub use views::drop_views;
