//! Sources without an index that leads to their key frames are copied once, so that their chunks
//! are encoded in parallel.

use storage::ObjectKind;

use crate::harness::clip::{Clip, long, make, moving};
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::world::{World, job_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transport_stream_is_encoded_in_chunks_from_a_copy_that_is_gone_at_the_end() {
    let world = World::new(Engine::Sqlite).await;
    let clip = transport_stream().await;
    let _worker = world.worker("one").start();
    let job = world.submit(&clip).await;
    let ended = world.completed(&job).await;
    let planned = world.planned(&job).await;
    let copy = planned.source.copy.as_ref().unwrap();
    assert_eq!(copy.key, format!("tmp/{job}/source.mkv"));
    assert_eq!(
        (
            planned.source.container.as_str(),
            planned.source.mime_type.as_str()
        ),
        ("mpegts", "video/mp2t")
    );
    assert_eq!(planned.source.size, clip.size());
    let video = planned.video.as_ref().unwrap();
    assert!(video.seekable && video.chunks.len() > 1, "{video:?}");
    assert!(!planned.warnings.contains(&"not_seekable".to_owned()));
    assert!(
        world.bucket.head(&copy.key).await.unwrap().is_none(),
        "the copy is still there"
    );
    verify(&ended, &planned, &clip.path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_above_the_limit_is_one_sequential_task() {
    let world = World::new(Engine::Sqlite).await;
    let clip = transport_stream().await;
    let _worker = world
        .worker("one")
        .setting("REMUX_MAX", clip.size() - 1)
        .start();
    let job = world.submit(&clip).await;
    let ended = world.completed(&job).await;
    let planned = world.planned(&job).await;
    assert_eq!(planned.source.copy, None);
    assert_eq!(planned.video.as_ref().unwrap().chunks, [0]);
    assert!(ended.warnings.contains(&"not_seekable".to_owned()));
    verify(&ended, &planned, &clip.path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_the_plan_does_not_name_is_gone_at_the_end_too() {
    let world = World::new(Engine::Sqlite).await;
    let clip = moving("320x180", 2.0).make().await;
    let event = world.event(&clip).await;
    let job = job_of(&event);
    // An attempt to plan that died, or whose copy was of no use, left it.
    let left = format!("tmp/{job}/source.mkv");
    let kind = ObjectKind::private("video/x-matroska");
    world
        .bucket
        .put(&left, "a copy".into(), kind)
        .await
        .unwrap();
    let _worker = world.worker("one").start();
    world.streams.upload(&event).await;
    world.completed(&job).await;
    assert_eq!(world.planned(&job).await.source.copy, None);
    assert!(
        world.bucket.head(&left).await.unwrap().is_none(),
        "{left} is still there"
    );
}

/// What a broadcaster's encoder sends: no index, a clock that does not begin at zero, two seconds
/// from key frame to key frame.
async fn transport_stream() -> Clip {
    let source = long().make().await;
    let arguments = ["-i", source.text(), "-c", "copy", "-muxdelay", "1.3"].map(str::to_owned);
    make(&arguments, "ts").await
}
