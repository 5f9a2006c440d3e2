//! Events that no one would send by mistake. Each ends once: as a dead letter with its own bytes,
//! or as a job that failed with a code and whose rows are in either database. None of them affects
//! a log or a terminal.

mod table;

use std::collections::BTreeSet;

use async_nats::jetstream::message::PublishMessage;
use futures::future::join_all;
use streams::fact::Outcome;
use streams::{Code, FactKind, JobId, dead, subject, topology};
use table::{ExpectedEnd, Odd};

use crate::harness::on_each_database;
use crate::harness::world::World;

on_each_database! {
    odd_events_end_once_and_leave_their_rows,
}

async fn odd_events_end_once_and_leave_their_rows(world: World) {
    let worker = world
        .worker("one")
        .roles("intake,plan,project")
        .setting("SOURCE_WAIT", 0)
        .start();
    let odds: Vec<Odd> = table::odds();
    let faults = join_all(odds.iter().map(|odd| judge(&world, odd)))
        .await
        .concat();
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );

    let jobs: BTreeSet<JobId> = world.jobs().await.into_iter().collect();
    let wanted = odds
        .iter()
        .filter(|odd| matches!(odd.expected_end, ExpectedEnd::Ended(_)));
    assert_eq!(
        jobs,
        wanted.map(Odd::job).collect(),
        "no event became another job"
    );
    let letters = world
        .streams
        .counts(topology::DEAD, "hls.v1.dead.upload.>")
        .await;
    let buried = odds
        .iter()
        .filter(|odd| matches!(odd.expected_end, ExpectedEnd::Letter))
        .count();
    assert_eq!(letters.len(), buried, "no event became another dead letter");
    let unfit = world
        .streams
        .counts(topology::DEAD, "hls.v1.dead.project.>")
        .await;
    assert!(unfit.is_empty(), "the tables refuse facts: {unfit:?}");
    nothing_acts(&world, &worker.said(), &odds).await;
}

/// Everything that is wrong with what becomes of an event.
async fn judge(world: &World, odd: &Odd) -> Vec<String> {
    let message = PublishMessage::build().payload(odd.body.clone().into());
    let message = odd.headers.iter().fold(message, |message, (name, value)| {
        message.header(*name, *value)
    });
    let sent = world
        .streams
        .js
        .send_publish(subject::UPLOAD.to_owned(), message)
        .await
        .unwrap()
        .await;
    let faults = match (&odd.expected_end, sent) {
        (_, Err(error)) => vec![format!("the stream refused it: {error}")],
        (ExpectedEnd::Letter, Ok(ack)) => letter(world, odd, ack.sequence).await,
        (ExpectedEnd::Ended(code), Ok(_)) => ended(world, odd, *code).await,
    };
    faults
        .into_iter()
        .map(|fault| format!("{}: {fault}", odd.name))
        .collect()
}

async fn letter(world: &World, odd: &Odd, seq: u64) -> Vec<String> {
    let filter = subject::dead_message("upload", seq);
    let letter = world.streams.first(topology::DEAD, &filter, |_| true).await;
    let mut faults = Vec::new();
    if letter.payload != odd.body {
        faults.push("its dead letter has other bytes".to_owned());
    }
    let reason = letter.header(dead::REASON);
    if reason.is_empty() || reason.len() > 1000 || reason.contains(char::is_control) {
        faults.push(format!("its reason is {reason:?}"));
    }
    faults
}

async fn ended(world: &World, odd: &Odd, code: Code) -> Vec<String> {
    let job = odd.job();
    let ended = world.ended(&job).await;
    let mut faults = Vec::new();
    let error = ended
        .error
        .as_ref()
        .map(|error| (error.code, error.message.clone()));
    let (found, message) = error.unwrap_or((Code::VerificationFailed, "no error".to_owned()));
    if (ended.outcome, found) != (Outcome::Failed, code) {
        faults.push(format!(
            "it ended as {:?}, {found}: {message}",
            ended.outcome
        ));
    }
    if message.len() > 2000 || message.contains(char::is_control) || message.contains("secret") {
        faults.push(format!("its message is {message:?}"));
    }
    let facts = world.facts(&job).await;
    if facts.values().any(|count| *count != 1) || !facts.contains_key(&FactKind::Accepted) {
        faults.push(format!("its facts are {facts:?}"));
    }
    let row = world.database.job(job.as_str()).await;
    let told = row.and_then(|row| row.error_message);
    if told != Some(format!("{found}: {message}")) {
        faults.push(format!("the row of its job says {told:?}"));
    }
    let file = world.database.file(ended.head.file_id.as_str()).await;
    match file {
        Some(file) if file.transcoding_status.as_deref() == Some("failed") => {}
        other => faults.push(format!("the row of its file is {other:?}")),
    }
    faults
}

/// Panics where a log line or an answer of the program holds what a terminal acts on, or is without
/// end.
async fn nothing_acts(world: &World, log: &str, odds: &[Odd]) {
    let acts = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}');
    assert!(
        !log.contains(acts),
        "the log holds {:?}",
        log.chars().find(|c| acts(*c))
    );
    assert!(!log.contains("panicked"), "{log}");
    assert!(!log.contains("secret"), "the log repeats a secret of a URL");
    let longest = log.lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 8000, "a line of the log has {longest} bytes");
    let escapes = odds
        .iter()
        .find(|odd| odd.name == table::ESCAPES)
        .unwrap()
        .job();
    for arguments in [
        &["jobs", "list", "--limit", "200"][..],
        &["jobs", "list", "--limit", "200", "--json"],
        &["jobs", "show", escapes.as_str()],
        &["jobs", "show", escapes.as_str(), "--json"],
        &["jobs", "watch", escapes.as_str(), "--json"],
    ] {
        let said = world.say(arguments).await;
        assert!(
            said.out.contains(escapes.as_str()),
            "{arguments:?}: {}",
            said.err
        );
        assert!(
            !said.out.contains(acts) && !said.err.contains(acts),
            "{arguments:?}: {}",
            said.out
        );
    }
}
