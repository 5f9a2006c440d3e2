//! A file is deleted: its jobs end, what they made goes, nothing brings it back, and it may live
//! again.

use fluxhls::job::Jobs;
use fluxhls::job::commit::write_master;
use fluxhls::job::deletion::delete_file;
use fluxhls::job::verdict::publish_verdict;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use streams::delete::{Delete, Tombstone};
use streams::fact::{Decision, Outcome};
use streams::{FactKind, FileId, JobId, OutputPrefix, dead, subject, topology};

use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::output::verify;
use crate::harness::world::{World, file_of, job_of};

async fn small() -> Clip {
    moving("320x180", 2.0).make().await
}

fn prefix_of(file: &str) -> OutputPrefix {
    format!("hls/{file}/").parse().unwrap()
}

/// Whether the last fact of the job says that it went with its file.
async fn went_with_its_file(world: &World, job: &JobId) -> bool {
    world.streams.fact(job, FactKind::Pruned).await.json()["deleted"] == json!(true)
}

/// The one job there is besides `known`.
async fn next_job(world: &World, seq: u64, known: &[JobId]) -> JobId {
    world.taken_in(seq).await;
    let jobs = world.jobs().await;
    jobs.into_iter()
        .find(|job| !known.contains(job))
        .expect("a new job")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_file_is_deleted_with_all_it_had_and_can_live_again() {
    let world = World::new(Engine::Postgresql).await;
    let mut worker = world.worker("one").start();
    let clip = small().await;
    let mut event = world.event(&clip).await;
    event.as_object_mut().unwrap().remove("job_id");
    let file = file_of(&event).to_owned();
    let folder = format!("hls/{file}/");
    let first = next_job(&world, world.streams.upload(&event).await, &[]).await;
    world.completed(&first).await;
    let row = world.database.file(&file).await;
    let access = world.access().await;
    let (stale, _) = access.owner(&prefix_of(&file)).await.unwrap().unwrap();
    world.leave(&format!("tmp/{first}/source.mkv")).await;

    let told = world.told(&["delete", &file, "--json"]).await;
    assert_eq!(told["jobs"], json!(1));
    assert_eq!(world.keys(&folder).await, [""; 0]);
    assert_eq!(world.keys("tmp/").await, [""; 0]);
    assert_eq!(
        world.keys("uploads/").await.len(),
        1,
        "the source is not ours"
    );
    assert!(went_with_its_file(&world, &first).await);
    let pruned = world.streams.fact(&first, FactKind::Pruned).await;
    world.database.has_projected(pruned.seq).await;
    assert_eq!(world.database.job(first.as_str()).await, None);
    assert_eq!(
        world.database.file(&file).await,
        row,
        "the row of the file stays as it was"
    );
    let said = world.say(&["verify", &file]).await;
    assert!(said.err.contains("no finished output"), "{said:?}");

    // A worker that was paused in the middle of its commit wakes up.
    let commit = access.keys(&prefix_of(&file), &first).commit();
    world.leave(&commit).await;
    write_master(&access, &prefix_of(&file), stale)
        .await
        .unwrap();
    assert_eq!(world.keys(&folder).await, [commit], "no master");

    // The same content, uploaded again, is another event now. The delete event, delivered again,
    // does it no harm.
    let second = next_job(
        &world,
        world.streams.upload(&event).await,
        std::slice::from_ref(&first),
    )
    .await;
    let ended = world.completed(&second).await;
    assert!(!ended.superseded);
    delete_again(&access, &file, told["seq"].as_u64().unwrap()).await;
    verify(&ended, &world.planned(&second).await, &clip.path).await;
    assert_eq!(world.facts(&second).await.get(&FactKind::Pruned), None);

    // Years later everything is gone from the log, but the receipt is still in the bucket.
    worker.kill().await;
    world
        .streams
        .js
        .delete_stream(topology::JOBS)
        .await
        .unwrap();
    assert_eq!(world.say(&["provision"]).await.code, Some(0));
    let _intake = world.worker("intake").roles("intake").start();
    assert_eq!(
        world.told(&["delete", &file, "--json"]).await["jobs"],
        json!(1)
    );
    assert!(
        !world
            .keys(&folder)
            .await
            .iter()
            .any(|key| key.contains(second.as_str()))
    );
    assert!(
        !world
            .keys(&folder)
            .await
            .contains(&format!("{folder}master.m3u8"))
    );
    assert!(went_with_its_file(&world, &second).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_playlists_that_are_written_after_the_deletion_of_their_file_are_removed() {
    let world = World::new(Engine::Sqlite).await;
    let packager = world
        .worker("packager")
        .roles("package")
        .pauses_at("playlist.read")
        .start();
    let _others = world
        .worker("others")
        .roles("intake,plan,encode,project")
        .start();
    let event = world.event(&small().await).await;
    world.streams.upload(&event).await;
    packager.has_stopped().await;

    world.told(&["delete", file_of(&event), "--json"]).await;
    let folder = format!("hls/{}/", file_of(&event));
    packager.signal(Signal::SIGCONT);
    world.queue_is_empty().await;
    assert_eq!(world.keys(&folder).await, [""; 0]);
}

/// The delete event as the server delivers it a second time, to a process that has forgotten that
/// it was carried out.
async fn delete_again(jobs: &Jobs, file: &str, seq: u64) {
    let file: FileId = file.parse().unwrap();
    let (tombstone, at) = jobs.tombstone(&file).await.unwrap().unwrap();
    assert_eq!((tombstone.event.upload_seq, tombstone.done), (seq, Some(1)));
    let undone = serde_json::to_vec(&Tombstone::new(file.clone(), tombstone.event)).unwrap();
    let message = jetstream::OutboundMessage::json(subject::deleted(&file), undone);
    jobs.log.replace(topology::JOBS, message, at).await.unwrap();
    let event = Delete {
        file_id: file,
        output_prefix: None,
    };
    delete_file(jobs, &event, tombstone.event).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_uploaded_before_a_deletion_ends_and_what_was_uploaded_after_it_lives() {
    let world = World::new(Engine::Sqlite).await;
    let early = world.event(&small().await).await;
    let file = file_of(&early).to_owned();
    let late = Value::Object({
        let mut fields = early.as_object().unwrap().clone();
        fields.insert("job_id".to_owned(), json!(cuid2::create_id()));
        fields
    });
    // All three wait, and are accepted concurrently.
    world.streams.upload(&early).await;
    let deletion = world
        .streams
        .publish(subject::DELETE, json!({"file_id": file}).to_string())
        .await;
    let last = world.streams.upload(&late).await;
    let _worker = world.worker("one").roles("intake,project").start();
    world.taken_in(last).await;

    let (gone, lives) = (job_of(&early), job_of(&late));
    assert_eq!(world.ended(&gone).await.outcome, Outcome::Canceled);
    assert!(went_with_its_file(&world, &gone).await);
    for (fact, count) in world.facts(&gone).await {
        assert_eq!(count, 1, "{fact:?}");
    }
    let accepted = world.accepted(&lives).await;
    assert!(accepted.event.upload_seq > deletion && !accepted.deleted);
    assert_eq!(world.facts(&lives).await.get(&FactKind::Cancel), None);
    let pruned = world.streams.fact(&gone, FactKind::Pruned).await;
    world.database.has_projected(pruned.seq).await;
    let rows = world.database.rows().await;
    assert_eq!((rows.files.len(), rows.jobs.len()), (1, 1));
    assert_eq!(rows.jobs[0].id, lives.as_str());

    // The first event again: its job is deleted, and stays deleted.
    let again = world.streams.upload(&early).await;
    world.taken_in(again).await;
    assert_eq!(world.jobs().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_waits_for_the_storage_and_a_request_that_names_no_file_is_a_dead_letter() {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").roles("intake").start();
    let event = world.event(&small().await).await;
    let job = job_of(&event);
    world.streams.upload(&event).await;
    world.streams.fact(&job, FactKind::Accepted).await;
    let left = format!("hls/{}/{job}/720p/0-1.m4s", file_of(&event));
    world.leave(&left).await;

    world.proxy.set(crate::harness::proxy::Fault::Refuse);
    world
        .streams
        .publish(
            subject::DELETE,
            json!({"file_id": file_of(&event)}).to_string(),
        )
        .await;
    let ended = world.streams.fact(&job, FactKind::Ended).await.json();
    assert_eq!(ended["outcome"], json!("canceled"), "that needs no storage");
    assert_eq!(world.facts(&job).await.get(&FactKind::Pruned), None);
    world.proxy.set(crate::harness::proxy::Fault::None);
    assert!(went_with_its_file(&world, &job).await);
    assert_eq!(world.keys("hls/").await, [""; 0]);

    for body in ["no JSON", r#"{"file_id":"a/b"}"#, "{}"] {
        let seq = world.streams.publish(subject::DELETE, body).await;
        let subject = subject::dead_message("delete", seq);
        let letter = world
            .streams
            .first(topology::DEAD, &subject, |_| true)
            .await;
        assert_eq!(letter.payload, body);
        assert_eq!(letter.header(dead::ORIGIN_SEQ), seq.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decided_job_whose_output_is_gone_ends_with_its_file_and_never_becomes_public() {
    let world = World::new(Engine::Sqlite).await;
    let event = world.event(&small().await).await;
    let (job, prefix) = (job_of(&event), prefix_of(file_of(&event)));
    let mut intake = world.worker("intake").roles("intake").start();
    let seq = world.streams.upload(&event).await;
    world.taken_in(seq).await;
    intake.kill().await;
    let access = world.access().await;
    let state = access.state(&job).await.unwrap().unwrap();
    publish_verdict(&access, &state, Decision::Commit, None)
        .await
        .unwrap();

    let _intake = world.worker("again").roles("intake").start();
    world.told(&["delete", file_of(&event), "--json"]).await;
    let ended = world.streams.fact(&job, FactKind::Ended).await.json();
    assert_eq!(
        (&ended["outcome"], &ended["error"]["code"]),
        (&json!("failed"), &json!("verification_failed"))
    );
    assert!(went_with_its_file(&world, &job).await);
    let (owner, _) = access.owner(&prefix).await.unwrap().unwrap();
    assert!(
        owner.deleted.is_some() && owner.job_id == job,
        "a late commit finds that it is over: {owner:?}"
    );
}
