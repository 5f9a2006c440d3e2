//! The entities say of each table what the migrations made of it.

use entity::prelude::{Files, ProjectionCheckpoint, TranscodingJobs};
use migration::testing::Postgres;
use migration::up;
use sea_orm::sea_query::{ColumnType, StringLen};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, DatabaseConnection, EntityTrait, IdenStatic, IntoActiveModel,
    Iterable,
};

use crate::catalog::lines;
use crate::sqlite::Sqlite;

#[tokio::test]
async fn every_entity_column_is_in_postgres_with_its_type() {
    let scratch = Postgres::empty().await;
    up(&scratch.db).await.unwrap();
    same_columns(&scratch.db, Files).await;
    same_columns(&scratch.db, TranscodingJobs).await;
    same_columns(&scratch.db, ProjectionCheckpoint).await;
    rows_round_trip(&scratch.db).await;
}

#[tokio::test]
async fn every_entity_column_is_in_sqlite() {
    let scratch = Sqlite::empty().await;
    up(&scratch.db).await.unwrap();
    rows_round_trip(&scratch.db).await;
}

async fn same_columns<E: EntityTrait>(db: &DatabaseConnection, entity: E) {
    let migrated = lines(
        db,
        &format!(
            "SELECT concat_ws(' ', column_name, data_type, character_maximum_length, is_nullable) AS line \
             FROM information_schema.columns WHERE table_name = '{}' ORDER BY ordinal_position",
            entity.table_name()
        ),
    )
    .await;

    let declared: Vec<String> = E::Column::iter()
        .map(|column| {
            let def = column.def();
            let nullable = if def.is_null() { "YES" } else { "NO" };
            format!(
                "{} {} {nullable}",
                column.as_str(),
                postgres_type(def.get_column_type())
            )
        })
        .collect();

    assert_eq!(migrated, declared, "{}", entity.table_name());
}

fn postgres_type(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Text => "text".to_owned(),
        ColumnType::String(StringLen::N(n)) => format!("character varying {n}"),
        ColumnType::BigInteger => "bigint".to_owned(),
        ColumnType::Integer => "integer".to_owned(),
        ColumnType::JsonBinary => "jsonb".to_owned(),
        ColumnType::Timestamp => "timestamp without time zone".to_owned(),
        other => panic!("no entity has a column of type {other:?}"),
    }
}

async fn rows_round_trip(db: &DatabaseConnection) {
    let (file, job, checkpoint) = (file(), job(), checkpoint());
    file.clone().into_active_model().insert(db).await.unwrap();
    job.clone().into_active_model().insert(db).await.unwrap();
    checkpoint
        .clone()
        .into_active_model()
        .insert(db)
        .await
        .unwrap();
    assert_eq!(Files::find().all(db).await.unwrap(), [file]);
    assert_eq!(TranscodingJobs::find().all(db).await.unwrap(), [job]);
    assert_eq!(
        ProjectionCheckpoint::find().all(db).await.unwrap(),
        [checkpoint]
    );
}

fn file() -> entity::files::Model {
    let time = "2026-11-22T01:02:03.456789".parse().ok();
    entity::files::Model {
        id: "f".to_owned(),
        name: "Łódź".to_owned(),
        mime_type: "video/mp4".to_owned(),
        size: i64::MAX,
        file_url: "s3://b/k".to_owned(),
        thumbnail_url: Some("t".to_owned()),
        uploaded_by: Some("u".to_owned()),
        project_id: Some("p".to_owned()),
        folder_path: Some("/".to_owned()),
        hls_manifest_url: Some("m".to_owned()),
        transcoding_status: Some("completed".to_owned()),
        metadata: Some(serde_json::json!({"a": [1, null, "b"]})),
        created_at: time,
        updated_at: time,
        deleted_at: time,
        accepted_seq: Some(1),
        fact_seq: Some(i64::MAX),
    }
}

fn job() -> entity::transcoding_jobs::Model {
    let time = "2026-11-22T01:02:03.456789".parse().ok();
    entity::transcoding_jobs::Model {
        id: "j".to_owned(),
        file_id: "f".to_owned(),
        status: Some("failed".to_owned()),
        input_url: "s3://b/k".to_owned(),
        output_prefix: Some("hls/f/".to_owned()),
        manifest_url: Some("m".to_owned()),
        progress: Some(99),
        error_message: Some("e".to_owned()),
        created_at: time,
        started_at: time,
        completed_at: time,
        settings: Some(serde_json::json!({})),
        accepted_seq: Some(1),
        fact_seq: Some(2),
    }
}

fn checkpoint() -> entity::projection_checkpoint::Model {
    entity::projection_checkpoint::Model {
        name: "tables".to_owned(),
        stream: "HLS_JOBS".to_owned(),
        stream_created: "2026-11-22T01:02:03.456789012Z".to_owned(),
        seq: 3,
        subject: Some("s".to_owned()),
        message_time: Some("t".to_owned()),
        message_hash: Some("h".to_owned()),
        jobs_accepted: 4,
        jobs_completed: 1,
        jobs_failed: 2,
        jobs_canceled: 0,
    }
}
