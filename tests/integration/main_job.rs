//! The main job: an upload event results in playable HLS, and the tables are correct.

use std::collections::BTreeMap;

use serde_json::json;
use streams::FactKind;
use streams::task::TaskName;

use crate::harness::clip::{long, moving};
use crate::harness::on_each_database;
use crate::harness::output::http::get;
use crate::harness::output::verify;
use crate::harness::world::{World, file_of, job_of};

on_each_database! {
    an_upload_becomes_hls_that_is_what_was_planned,
    a_newer_job_of_a_file_takes_its_place,
}

async fn an_upload_becomes_hls_that_is_what_was_planned(world: World) {
    let clip = long().make().await;
    let event = world.event(&clip).await;
    let job = job_of(&event);
    let _worker = world.worker("one").start();
    world.streams.upload(&event).await;

    let ended = world.completed(&job).await;
    let planned = world.planned(&job).await;
    verify(&ended, &planned, &clip.path).await;

    let once = [
        FactKind::Accepted,
        FactKind::Planned,
        FactKind::Verdict,
        FactKind::Ended,
    ]
    .map(|kind| (kind, 1));
    assert_eq!(world.facts(&job).await, BTreeMap::from(once));
    let starts = world.starts(&job).await;
    assert!(starts.values().all(|count| *count == 1), "{starts:?}");
    assert!(
        starts.contains_key(&TaskName::video(1)),
        "the clip is long enough for several chunks: {starts:?}"
    );

    let row = world.database.job(job.as_str()).await.unwrap();
    assert_eq!(row.status.as_deref(), Some("completed"));
    assert_eq!((row.progress, row.error_message), (Some(100), None));
    assert_eq!(row.manifest_url, ended.manifest_url);
    assert!(
        row.created_at <= row.started_at
            && row.started_at <= row.completed_at
            && row.completed_at.is_some()
    );
    let file = world.database.file(file_of(&event)).await.unwrap();
    assert_eq!(file.transcoding_status.as_deref(), Some("completed"));
    assert_eq!(
        (file.hls_manifest_url, file.thumbnail_url),
        (ended.manifest_url, ended.thumbnail_url)
    );
    assert_eq!(file.size.unsigned_abs(), clip.size());
}

async fn a_newer_job_of_a_file_takes_its_place(world: World) {
    let clip = moving("320x180", 2.0).make().await;
    let older = world.event(&clip).await;
    let mut newer = older.clone();
    newer["job_id"] = json!("the-newer-job");
    newer["retry_of"] = older["job_id"].clone();
    let intake = world.worker("intake").roles("intake").start();
    for event in [&older, &newer] {
        // The order in which they are accepted decides, not the order in which they end.
        world.streams.upload(event).await;
        world.accepted(&job_of(event)).await;
    }
    drop(intake);
    let _worker = world.worker("one").start();
    let ended = [
        world.completed(&job_of(&older)).await,
        world.completed(&job_of(&newer)).await,
    ];
    assert!(!ended[1].superseded);
    let master = ended[1].manifest_url.clone().unwrap().parse().unwrap();
    let master = String::from_utf8(get(&master).await.body).unwrap();
    assert!(
        master.contains("the-newer-job/") && !master.contains(job_of(&older).as_str()),
        "{master}"
    );
    let file = world.database.file(file_of(&newer)).await.unwrap();
    assert_eq!(
        (file.hls_manifest_url, file.thumbnail_url),
        (
            ended[1].manifest_url.clone(),
            ended[1].thumbnail_url.clone()
        )
    );
}
