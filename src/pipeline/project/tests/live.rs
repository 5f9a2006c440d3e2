//! The projector on a real job log.

use std::time::Duration;

use jetstream::testing::{Server, publish};
use jetstream::{Log, StoredMessage};
use serde_json::json;
use streams::subject;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::facts::{accepted, accepted_with, completed, failed, planned, playable, pruned, with};
use super::tables::Tables;
use crate::pipeline::project::{Position, Projector, progress, rebuild};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A projector that runs until it is asked to stop.
struct Running {
    position: watch::Receiver<Position>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(url: &str, log: &Log) -> Self {
        let projector = Projector::new(migration::connect(url).await.unwrap().into(), log.clone());
        let stop = CancellationToken::new();
        Self {
            position: projector.position(),
            task: tokio::spawn(projector.run(stop.clone())),
            stop,
        }
    }

    async fn reaches(&mut self, what: impl FnMut(&Position) -> bool) {
        let reached = timeout(PATIENCE, self.position.wait_for(what)).await;
        reached.expect("the projector did not get there").unwrap();
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// `n` jobs, interleaved: three facts each, then an end for all and pruning for some.
fn many(n: usize) -> Vec<StoredMessage> {
    let names: Vec<(String, String)> = (0..n)
        .map(|i| (format!("j{i}"), format!("f{}", i / 2)))
        .collect();
    let each = |fact: fn(u64, &str, &str) -> StoredMessage| {
        names.iter().map(move |(job, file)| fact(0, job, file))
    };
    let mut facts: Vec<StoredMessage> = each(accepted)
        .chain(each(planned))
        .chain(each(playable))
        .collect();

    for (i, (job, file)) in names.iter().enumerate() {
        facts.push(if i % 3 == 0 {
            failed(0, job, file)
        } else {
            completed(0, job, file, false)
        });
        if i % 5 == 0 {
            facts.push(pruned(0, job, file));
        }
    }
    facts
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_fact_a_second_projector_follows_as_the_first_does() {
    let (_server, log) = Server::start().await;
    for tables in Tables::both().await {
        let mut first = Running::start(&tables.url, &log).await;
        first.reaches(|at| at.following).await;
        let mut second = Running::start(&tables.url, &log).await;
        second.reaches(|at| at.following).await;
        first.stop().await;
        second.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_reach_the_tables_and_a_restart_goes_on_from_the_checkpoint() {
    let (_server, log) = Server::start().await;
    for tables in Tables::both().await {
        let mut projector = Running::start(&tables.url, &log).await;
        projector.reaches(|at| at.following).await;
        let seq = publish(&log, &[accepted(0, "j", "f"), planned(0, "j", "f")]).await;
        projector.reaches(|at| at.seq == seq && at.lag == 0).await;
        assert_eq!(
            tables.rows().await.jobs[0].status.as_deref(),
            Some("processing")
        );
        projector.stop().await;

        // What only a replay of the first facts would undo.
        tables
            .run("UPDATE transcoding_jobs SET progress = 50, fact_seq = NULL")
            .await;

        let seq = publish(&log, &[playable(0, "j", "f")]).await;
        let mut projector = Running::start(&tables.url, &log).await;
        projector.reaches(|at| at.seq == seq).await;
        let job = tables.rows().await.jobs.remove(0);
        assert_eq!((job.progress, job.manifest_url.is_some()), (Some(50), true));
        projector.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_projectors_and_a_rebuild_come_to_the_same_rows() {
    let (_server, log) = Server::start().await;
    let tables = Tables::postgres().await;
    let mut projectors = [
        Running::start(&tables.url, &log).await,
        Running::start(&tables.url, &log).await,
    ];
    for projector in &mut projectors {
        projector.reaches(|at| at.following).await;
    }

    let seq = publish(&log, &many(400)).await;
    for projector in &mut projectors {
        projector.reaches(|at| at.seq == seq).await;
    }
    let rows = tables.rows().await;
    assert_eq!((rows.files.len(), rows.jobs.len()), (200, 320));

    let rebuilt = rebuild(&tables.db.clone().into(), &log).await.unwrap();
    assert_eq!((rebuilt.facts, rebuilt.dead, rebuilt.seq), (1680, 0, seq));
    assert!(tables.rows().await == rows, "rebuilt over what is there");
    let other = Tables::sqlite().await;
    rebuild(&other.db.clone().into(), &log).await.unwrap();
    assert!(
        other.rows().await == rows,
        "rebuilt on empty tables of another kind"
    );

    // A concurrent rebuild does not disturb live projectors.
    let seq = publish(&log, &[accepted(0, "later", "f0")]).await;
    for projector in &mut projectors {
        projector.reaches(|at| at.seq == seq).await;
    }
    assert_eq!(tables.rows().await.jobs.len(), 321);

    for projector in projectors {
        projector.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_tail_is_noticed_and_the_tables_are_rebuilt() {
    let (mut server, log) = Server::start().await;
    let tables = Tables::sqlite().await;
    publish(&log, &[accepted(0, "kept", "f"), planned(0, "kept", "f")]).await;

    // This copy of the store is what the server comes back with.
    server.stop();
    server.back_up();
    server.resume();
    let log = server.connect().await;
    let lost = publish(
        &log,
        &[completed(0, "kept", "f", false), accepted(0, "lost", "g")],
    )
    .await;

    let mut projector = Running::start(&tables.url, &log).await;
    projector.reaches(|at| at.seq == lost).await;
    assert_eq!(
        tables.rows().await.jobs[0].status.as_deref(),
        Some("completed")
    );

    // The server comes back with an older store, and gives the same sequences to other facts.
    server.stop();
    server.restore();
    server.resume();
    let writer = server.connect().await;
    let again = publish(
        &writer,
        &[
            failed(0, "kept", "f"),
            accepted(0, "lost", "g"),
            planned(0, "lost", "g"),
        ],
    )
    .await;
    assert_eq!(again, lost + 1);
    projector.reaches(|at| at.seq == again).await;

    let rows = tables.rows().await;
    assert_eq!(rows.jobs[0].status.as_deref(), Some("failed"));
    assert_eq!(rows.jobs[0].manifest_url, None);
    assert_eq!(
        rows.jobs[1].status.as_deref(),
        Some("processing"),
        "not held back by guards of the lost log"
    );
    assert_eq!(
        rows.files[1].transcoding_status.as_deref(),
        Some("processing")
    );
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_fact_becomes_a_dead_letter_and_the_rest_goes_on() {
    let (_server, log) = Server::start().await;
    let tables = Tables::postgres().await;
    let mut projector = Running::start(&tables.url, &log).await;
    projector.reaches(|at| at.following).await;

    let long = json!({"name": "x".repeat(300)});
    let bad = publish(
        &log,
        &[accepted(0, "a", "f"), accepted_with(0, "b", "g", &long)],
    )
    .await;
    let seq = publish(&log, &[accepted(0, "c", "h")]).await;
    projector.reaches(|at| at.seq == seq).await;
    assert_eq!(tables.rows().await.jobs.len(), 2);

    let letter = log
        .last("HLS_DEAD", &subject::dead_message("project", bad))
        .await
        .unwrap();
    assert_eq!(
        letter.header("Fluxhls-Origin-Seq"),
        Some(bad.to_string().as_str())
    );
    assert!(
        letter
            .header("Fluxhls-Reason")
            .unwrap()
            .contains("value too long")
    );
    assert_eq!(letter.payload, accepted_with(0, "b", "g", &long).payload);

    let rebuilt = rebuild(&tables.db.clone().into(), &log).await.unwrap();
    assert_eq!(
        (rebuilt.facts, rebuilt.dead),
        (3, 1),
        "a rebuild finds the same one"
    );
    assert_eq!(tables.rows().await.jobs.len(), 2);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_of_a_newer_release_is_waited_for_and_neither_skipped_nor_buried() {
    let of_newer = [
        StoredMessage {
            subject: "hls.v1.job.j.later".to_owned(),
            ..planned(0, "j", "f")
        },
        with(completed(0, "j", "f", false), "outcome", "partial"),
        with(planned(0, "j", "f"), "v", 2),
    ];
    for newer in of_newer {
        let (_server, log) = Server::start().await;
        let tables = Tables::sqlite().await;
        let mut projector = Running::start(&tables.url, &log).await;
        projector.reaches(|at| at.following).await;
        let known = publish(&log, &[accepted(0, "j", "f"), planned(0, "j", "f")]).await;
        publish(&log, &[newer.clone(), accepted(0, "behind", "g")]).await;
        projector
            .reaches(|at| !at.following && at.seq == known)
            .await;

        let named = log.newer().recent();
        assert!(
            named[0].starts_with(&format!("{} needs a newer fluxhls", newer.subject)),
            "{named:?}"
        );
        let rows = tables.rows().await;
        assert_eq!(rows.jobs.len(), 1, "what is behind it waits");
        assert_eq!(log.subjects("HLS_DEAD", "hls.v1.dead.>").await.len(), 0);

        let rebuilt = rebuild(&tables.db.clone().into(), &log)
            .await
            .unwrap_err()
            .to_string();
        assert!(rebuilt.contains("needs a newer fluxhls"), "{rebuilt}");
        assert!(
            tables.rows().await == rows,
            "a rebuild leaves the tables as they were"
        );
        projector.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_trouble_is_waited_for_and_no_fact_is_skipped() {
    let (_server, log) = Server::start().await;
    let tables = Tables::postgres().await;
    let mut projector = Running::start(&tables.url, &log).await;
    projector.reaches(|at| at.following).await;

    tables
        .run("ALTER TABLE transcoding_jobs RENAME TO away")
        .await;
    let seq = publish(&log, &[accepted(0, "j", "f")]).await;
    projector.reaches(|at| !at.following).await;
    tables
        .run("ALTER TABLE away RENAME TO transcoding_jobs")
        .await;
    projector.reaches(|at| at.seq == seq && at.following).await;

    assert_eq!(tables.rows().await.jobs.len(), 1);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_is_waited_for() {
    let (mut server, log) = Server::start().await;
    let tables = Tables::sqlite().await;
    let mut projector = Running::start(&tables.url, &log).await;
    let seq = publish(&log, &[accepted(0, "j", "f")]).await;
    projector.reaches(|at| at.seq == seq).await;

    server.stop();
    server.resume();
    let writer = server.connect().await;
    let seq = publish(&writer, &[completed(0, "j", "f", false)]).await;
    projector.reaches(|at| at.seq == seq).await;
    assert_eq!(
        tables.rows().await.jobs[0].status.as_deref(),
        Some("completed")
    );
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_messages_raise_the_percentage() {
    let (_server, log) = Server::start().await;
    let tables = Tables::sqlite().await;
    tables
        .apply(&[accepted(1, "j", "f"), planned(2, "j", "f")])
        .await;
    let following = tokio::spawn(progress::follow(
        tables.db.clone().into(),
        log.nats().clone(),
    ));

    let body = json!({"job_id": "j", "file_id": "f", "task": "v0", "task_progress": 0.5, "job_progress": 0.42,
                      "speed": 1.0, "eta_seconds": 3.0});
    let subject = subject::progress(&"j".parse().unwrap(), "v0".parse().unwrap());

    // A message is lost where the subscription does not exist yet, so it is sent again and again.
    let seen = async {
        let mut rounds = interval(Duration::from_millis(50));
        while tables.rows().await.jobs[0].progress != Some(42) {
            log.nats()
                .client
                .publish(subject.clone(), body.to_string().into())
                .await
                .unwrap();
            rounds.tick().await;
        }
    };
    timeout(PATIENCE, seen)
        .await
        .expect("the percentage did not rise");
    following.abort();
}
