//! The trigger on `files`: `updated_at` becomes now, unless the writer set it.
//!
//! The old function overwrote the column always, so a projection could never give the same row
//! twice. A writer that moves `fact_seq` is the projector, which sets `updated_at` itself, possibly
//! to the value it already has.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements: &[&str] = match manager.get_database_backend() {
            DbBackend::Postgres => &[POSTGRES_FUNCTION, POSTGRES_TRIGGER],
            _ => &[SQLITE_TRIGGER],
        };
        for statement in statements {
            manager
                .get_connection()
                .execute_unprepared(statement)
                .await?;
        }
        Ok(())
    }
}

const POSTGRES_FUNCTION: &str = "
CREATE OR REPLACE FUNCTION update_files_updated_at() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at AND NEW.fact_seq IS NOT DISTINCT FROM OLD.fact_seq THEN
        NEW.updated_at = now();
    END IF;
    RETURN NEW;
END
$body$";

/// An adopted database already has this trigger; it calls the function by name, so it stays as it
/// is.
const POSTGRES_TRIGGER: &str = "
DO $block$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'files'::regclass AND tgname = 'trigger_files_updated_at') THEN
        CREATE TRIGGER trigger_files_updated_at BEFORE UPDATE ON files
            FOR EACH ROW EXECUTE FUNCTION update_files_updated_at();
    END IF;
END
$block$";

/// A `SQLite` trigger cannot change `NEW`; the second update does not fire it again (recursive
/// triggers are off).
const SQLITE_TRIGGER: &str = "
CREATE TRIGGER IF NOT EXISTS trigger_files_updated_at AFTER UPDATE ON files FOR EACH ROW
WHEN NEW.updated_at IS OLD.updated_at AND NEW.fact_seq IS OLD.fact_seq
BEGIN
    UPDATE files SET updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = NEW.id;
END";
