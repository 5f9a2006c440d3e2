//! References to users and projects, which this service knows nothing else of.

use std::collections::{BTreeSet, HashMap, HashSet};

use entity::files;
use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Query};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

/// Which columns of `files` a foreign key holds to another table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct References {
    users: bool,
    projects: bool,
}

impl References {
    /// Looks at the foreign keys of `files`. On `SQLite` there are none: no other application
    /// shares its tables.
    pub(super) async fn read(db: &impl ConnectionTrait) -> Result<Self, DbErr> {
        if db.get_database_backend() != DbBackend::Postgres {
            return Ok(Self {
                users: false,
                projects: false,
            });
        }

        let statement = Statement::from_string(
            DbBackend::Postgres,
            "SELECT confrelid::regclass::text AS target FROM pg_constraint \
             WHERE contype = 'f' AND conrelid = 'files'::regclass",
        );
        let rows = db.query_all_raw(statement).await?;
        let targets: Vec<String> = rows
            .iter()
            .map(|row| row.try_get("", "target"))
            .collect::<Result<_, _>>()?;

        Ok(Self {
            users: targets.iter().any(|target| target == "users"),
            projects: targets.iter().any(|target| target == "projects"),
        })
    }

    /// Reads as much as [`Self::clear_unknown`] does, of no one.
    pub(super) async fn check_read(self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        for (is_there, table) in [(self.users, "users"), (self.projects, "projects")] {
            if is_there {
                let sql = format!("SELECT id FROM {table} WHERE 1 = 0");
                db.execute_unprepared(&sql).await?;
            }
        }
        Ok(())
    }

    /// Clears values that a foreign key would refuse: a file of an unknown user or project is still
    /// a file.
    pub(super) async fn clear_unknown(
        self,
        db: &impl ConnectionTrait,
        rows: &mut [files::Model],
    ) -> Result<(), DbErr> {
        if self.users {
            let known = known(
                db,
                "users",
                rows.iter().filter_map(|row| row.uploaded_by.clone()),
            )
            .await?;
            for row in &mut *rows {
                row.uploaded_by.take_if(|id| !known.contains(id));
            }
        }

        if self.projects {
            let known = known(
                db,
                "projects",
                rows.iter().filter_map(|row| row.project_id.clone()),
            )
            .await?;
            for row in &mut *rows {
                row.project_id.take_if(|id| !known.contains(id));
            }
        }
        Ok(())
    }
}

/// The addresses of these users, where there is a table of them.
pub(super) async fn emails(
    db: &impl ConnectionTrait,
    ids: BTreeSet<String>,
) -> Result<HashMap<String, String>, DbErr> {
    if ids.is_empty() || db.get_database_backend() != DbBackend::Postgres {
        return Ok(HashMap::new());
    }

    // The table is another application's: it may be missing, or have no such column.
    let statement = Statement::from_string(
        DbBackend::Postgres,
        "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('users') AND attname = 'email' AND NOT attisdropped",
    );
    if db.query_one_raw(statement).await?.is_none() {
        return Ok(HashMap::new());
    }

    let select = Query::select()
        .columns(["id", "email"])
        .from(Alias::new("users"))
        .and_where(Expr::col("id").is_in(ids))
        .take();
    let rows = db.query_all(&select).await?;
    let pairs = rows.iter().map(|row| {
        Ok((
            row.try_get("", "id")?,
            row.try_get::<Option<String>>("", "email")?,
        ))
    });
    let pairs: Vec<(String, Option<String>)> = pairs.collect::<Result<_, DbErr>>()?;
    Ok(pairs
        .into_iter()
        .filter_map(|(id, email)| Some((id, email?)))
        .collect())
}

/// Those of `ids` that are in `table`.
async fn known(
    db: &impl ConnectionTrait,
    table: &'static str,
    ids: impl Iterator<Item = String>,
) -> Result<HashSet<String>, DbErr> {
    let ids: HashSet<String> = ids.collect();
    if ids.is_empty() {
        return Ok(ids);
    }

    let select = Query::select()
        .column("id")
        .from(Alias::new(table))
        .and_where(Expr::col("id").is_in(ids))
        .take();
    let rows = db.query_all(&select).await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}
