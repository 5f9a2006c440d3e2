//! A `SQLite` database in its own file.

use sea_orm::DatabaseConnection;
use tempfile::TempDir;

/// The database, its address and the folder that goes with it.
pub(crate) struct Sqlite {
    pub(crate) db: DatabaseConnection,
    pub(crate) url: String,
    _folder: TempDir,
}

impl Sqlite {
    pub(crate) async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/tables.db?mode=rwc", folder.path().display());
        let db = migration::connect(&url).await.unwrap();
        Self {
            db,
            url,
            _folder: folder,
        }
    }
}
