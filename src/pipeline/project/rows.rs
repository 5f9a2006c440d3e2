//! Applies changes to the tables, each guarded by the sequence of its fact.

use entity::prelude::{Files, TranscodingJobs};
use entity::{files, transcoding_jobs};
use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, OnConflict, Query, SelectStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, IntoActiveModel as _,
    Iterable as _, QueryFilter as _, UpdateMany,
};
use streams::upload::UNKNOWN_MIME_TYPE;

use super::change::{Changes, FilePatch, JobPatch, Pruned};
use super::references::References;

/// Rows of one statement: 17 columns each, and `SQLite` binds at most 32 766 values.
const CHUNK: usize = 500;

/// Applies all changes. Applying them twice, or after later ones, has no effect, with one
/// exception: the row of a pruned job, whose guard was deleted with it, exists again until its
/// `pruned` is applied again, too.
pub(super) async fn apply(
    db: &impl ConnectionTrait,
    references: References,
    changes: &Changes,
) -> Result<(), DbErr> {
    for rows in changes.new_files.chunks(CHUNK) {
        let mut rows = rows.to_vec();
        references.clear_unknown(db, &mut rows).await?;
        insert_files(db, rows).await?;
    }

    for rows in changes.jobs.chunks(CHUNK) {
        put_jobs(db, rows).await?;
    }

    // Files before job patches: a file asks the row of its job whether the job was over before this
    // run.
    for patch in &changes.file_patches {
        patch_file(db, patch).await?;
    }
    for patch in &changes.job_patches {
        patch_job(db, patch).await?;
    }

    for pruned in &changes.pruned {
        delete_job(db, pruned).await?;
    }

    Ok(())
}

/// Resets the guards of all rows, so that a fold of the whole log applies to all of them. Does not
/// change `updated_at`: the trigger recognizes a change of the guard as a change by fluxhls.
pub(super) async fn clear_guards(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let nothing = Expr::value(Option::<i64>::None);
    Files::update_many()
        .col_expr(files::Column::AcceptedSeq, nothing.clone())
        .col_expr(files::Column::FactSeq, nothing.clone())
        .filter(files::Column::FactSeq.is_not_null())
        .exec(db)
        .await?;

    TranscodingJobs::update_many()
        .col_expr(transcoding_jobs::Column::AcceptedSeq, nothing.clone())
        .col_expr(transcoding_jobs::Column::FactSeq, nothing)
        .filter(transcoding_jobs::Column::FactSeq.is_not_null())
        .exec(db)
        .await?;

    Ok(())
}

async fn insert_files(db: &impl ConnectionTrait, rows: Vec<files::Model>) -> Result<(), DbErr> {
    Files::insert_many(rows.into_iter().map(files::Model::into_active_model))
        .on_conflict(
            OnConflict::column(files::Column::Id)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(db)
        .await
        .map(drop)
}

async fn put_jobs(
    db: &impl ConnectionTrait,
    rows: &[transcoding_jobs::Model],
) -> Result<(), DbErr> {
    use transcoding_jobs::Column;

    let stored = || Expr::col((TranscodingJobs, Column::FactSeq));
    // Both databases call the row that the insert proposes `excluded`.
    let is_newer = stored()
        .is_null()
        .or(stored().lt(Expr::col((Alias::new("excluded"), Column::FactSeq))));
    let upsert = OnConflict::column(Column::Id)
        .update_columns(Column::iter().filter(|column| !matches!(column, Column::Id)))
        .action_and_where(is_newer)
        .to_owned();
    TranscodingJobs::insert_many(
        rows.iter()
            .cloned()
            .map(transcoding_jobs::Model::into_active_model),
    )
    .on_conflict(upsert)
    .exec_without_returning(db)
    .await
    .map(drop)
}

async fn patch_file(db: &impl ConnectionTrait, patch: &FilePatch) -> Result<(), DbErr> {
    use files::Column;

    let mut update = Files::update_many()
        .col_expr(Column::FactSeq, Expr::value(patch.seq))
        .filter(Column::Id.eq(&patch.file_id))
        .filter(is_before(Column::FactSeq, patch.seq));

    if let Some(status) = patch.status {
        update = update
            .col_expr(Column::TranscodingStatus, Expr::value(status))
            .col_expr(Column::UpdatedAt, later_of(Column::UpdatedAt, patch.at));
    }
    if let Some((size, mime_type)) = &patch.probed {
        update = update
            .col_expr(Column::Size, replaced(Column::Size, 0_i64, *size))
            .col_expr(
                Column::MimeType,
                replaced(Column::MimeType, UNKNOWN_MIME_TYPE, mime_type.as_str()),
            );
    }

    update = set_some(
        update,
        Column::HlsManifestUrl,
        patch.hls_manifest_url.as_ref(),
    );
    update = set_some(update, Column::ThumbnailUrl, patch.thumbnail_url.as_ref());

    // A file follows the job accepted last. Where its `accepted` is not in this run, the rows know
    // it.
    update = match patch.accepted_seq {
        Some(accepted) => update
            .col_expr(Column::AcceptedSeq, Expr::value(accepted))
            .filter(
                Column::AcceptedSeq
                    .is_null()
                    .or(Column::AcceptedSeq.lte(accepted)),
            ),
        None => update.filter(Expr::exists(followed_job(patch))),
    };

    update.exec(db).await.map(drop)
}

/// The job of a patch, if the file in the outer statement follows it and it was not over before.
fn followed_job(patch: &FilePatch) -> SelectStatement {
    use transcoding_jobs::Column;

    let mut job = Query::select();
    job.expr(Expr::val(1))
        .from(TranscodingJobs)
        .and_where(Expr::col((TranscodingJobs, Column::Id)).eq(patch.job_id.as_str()))
        .and_where(
            Expr::col((TranscodingJobs, Column::AcceptedSeq))
                .eq(Expr::col((Files, files::Column::AcceptedSeq))),
        );

    if !patch.ended {
        job.and_where(Expr::col((TranscodingJobs, Column::CompletedAt)).is_null());
    }
    job
}

async fn patch_job(db: &impl ConnectionTrait, patch: &JobPatch) -> Result<(), DbErr> {
    use transcoding_jobs::Column;

    let mut update = TranscodingJobs::update_many()
        .col_expr(Column::FactSeq, Expr::value(patch.seq))
        .filter(Column::Id.eq(&patch.id))
        .filter(is_before(Column::FactSeq, patch.seq));

    update = set_some(update, Column::Status, patch.status.as_ref());
    update = set_some(update, Column::StartedAt, patch.started_at.as_ref());
    update = set_some(update, Column::CompletedAt, patch.completed_at.as_ref());
    update = set_some(update, Column::Progress, patch.progress.as_ref());
    update = set_some(update, Column::ManifestUrl, patch.manifest_url.as_ref());
    update = set_some(update, Column::ErrorMessage, patch.error_message.as_ref());

    // A job that is over stays as it ended: what comes later is from a worker that had not read it.
    if patch.completed_at.is_none() {
        update = update.filter(Column::CompletedAt.is_null());
    }
    update.exec(db).await.map(drop)
}

async fn delete_job(db: &impl ConnectionTrait, pruned: &Pruned) -> Result<(), DbErr> {
    use transcoding_jobs::Column;
    TranscodingJobs::delete_many()
        .filter(Column::Id.eq(&pruned.id))
        .filter(is_before(Column::FactSeq, pruned.seq))
        .exec(db)
        .await
        .map(drop)
}

/// The guard: the fact of `seq` is not yet in the row.
fn is_before(guard: impl sea_orm::ColumnTrait, seq: i64) -> Expr {
    guard.is_null().or(guard.lt(seq))
}

fn set_some<E, C, V>(update: UpdateMany<E>, column: C, value: Option<&V>) -> UpdateMany<E>
where
    E: sea_orm::EntityTrait,
    C: sea_orm::sea_query::IntoIden,
    V: Clone + Into<sea_orm::Value>,
{
    match value {
        Some(value) => update.col_expr(column, Expr::value(value.clone())),
        None => update,
    }
}

/// `value` if the column has its value for "not known yet", else the value of the column.
fn replaced<V>(column: files::Column, unknown: V, value: V) -> Expr
where
    V: Into<sea_orm::Value>,
{
    Expr::case(
        Expr::col(column).eq(Expr::value(unknown)),
        Expr::value(value),
    )
    .finally(Expr::col(column))
    .into()
}

/// The later of the column and `at`: the row may have been changed by the API after the fact.
fn later_of(column: files::Column, at: chrono::NaiveDateTime) -> Expr {
    Expr::case(Expr::col(column).gt(at), Expr::col(column))
        .finally(at)
        .into()
}
