//! Everything that is read once all is over: streams, tables, objects, logs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use fluxhls::job::receipt::Receipt;
use streams::fact::Outcome;
use streams::{JobId, dead, subject, topology};

use super::fleet::Fleet;
use super::invariants::output::{Named, Output};
use super::log::{self, JobLog};
use crate::harness::database::{Database, Rows};
use crate::harness::until;
use crate::harness::worker::{Said, fluxhls};

/// Outputs of a run that `fluxhls verify` reads whole.
const VERIFIED: usize = 12;

/// The command that removes what nothing needs any more, however young it is.
const PRUNE: &[&str] = &["jobs", "prune", "--grace-hours", "0"];

/// What was read.
pub(super) struct Reading {
    /// Every job.
    pub(super) logs: BTreeMap<JobId, JobLog>,
    /// Origin sequence and body of the dead letter of each event.
    pub(super) letters: Vec<(u64, Vec<u8>)>,
    /// Subjects of all other dead letters.
    pub(super) dead: Vec<String>,
    /// What is still on the queue.
    pub(super) queue: Vec<String>,
    /// The tables.
    pub(super) rows: Rows,
    /// The tables of an empty database after a rebuild.
    pub(super) rebuilt: Rows,
    /// The bucket and the owners of prefixes.
    pub(super) output: Output,
    /// What `fluxhls verify` said of the outputs it found fault with.
    pub(super) unsound: Vec<String>,
    /// What is left in the folders of the workers, and processes there.
    pub(super) left: Vec<String>,
    /// Processes that did not end well: by themselves, or when they were asked to.
    pub(super) deaths: Vec<String>,
    /// The log of every process.
    pub(super) said: Vec<(PathBuf, String)>,
}

/// Waits until the tables are where the log is, stops every process, and reads everything.
pub(super) async fn read(fleet: &mut Fleet) -> Reading {
    let (logs, last) = read_log(fleet).await;
    fleet.world.database.has_projected(last).await;
    let mut deaths = fleet.deaths();
    for (name, status) in fleet.stop().await {
        if !status.success() {
            deaths.push(format!("{name} was asked to stop and ended with {status}"));
        }
    }
    let streams = &fleet.world.streams;
    let dead = streams.all(topology::DEAD, subject::ALL_DEAD).await;
    let (letters, dead): (Vec<_>, Vec<_>) = dead
        .into_iter()
        .partition(|letter| letter.subject.starts_with("hls.v1.dead.upload."));
    let letters = letters.iter().map(|letter| {
        let origin = letter.header(dead::ORIGIN_SEQ).parse().unwrap();
        (origin, letter.payload.to_vec())
    });
    let letters = letters.collect();
    let queue = streams.counts(topology::TASKS, subject::ALL_TASKS).await;
    prune(fleet).await;
    let output = read_output(fleet).await;
    Reading {
        letters,
        dead: dead.into_iter().map(|letter| letter.subject).collect(),
        queue: queue.into_keys().collect(),
        rows: fleet.world.database.rows().await,
        rebuilt: rebuild(fleet).await,
        unsound: verify(fleet, &logs).await,
        left: fleet.left_behind(),
        said: fleet.logs(),
        output,
        deaths,
        logs,
    }
}

/// Removes what nothing needs.
async fn prune(fleet: &Fleet) {
    let said = say(&fleet.environment(), PRUNE).await;
    assert_eq!(
        said.code,
        Some(0),
        "fluxhls {PRUNE:?}: {}{}",
        said.out,
        said.err
    );
}

/// Every job, and the sequence of the last fact.
async fn read_log(fleet: &Fleet) -> (BTreeMap<JobId, JobLog>, u64) {
    let streams = &fleet.world.streams;
    let facts = streams.all(topology::JOBS, subject::ALL_FACTS).await;
    let work = streams.all(topology::WORK, subject::ALL_WORK).await;
    let last = facts.iter().map(|message| message.seq).max().unwrap_or(0);
    (log::read(&facts, &work), last)
}

async fn read_output(fleet: &Fleet) -> Output {
    let bucket = &fleet.world.bucket;
    let mut output = Output::default();
    for prefix in ["hls/", "tmp/"] {
        for object in bucket.list(prefix).await.unwrap() {
            output.objects.insert(object.key, object.size);
        }
    }
    for key in output.objects.keys() {
        let get = async || bucket.get(key, 1 << 30).await.unwrap().unwrap();
        if key.ends_with(".m3u8") {
            let text = String::from_utf8(get().await.to_vec()).unwrap();
            output.texts.insert(key.clone(), text);
        } else if key
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with("receipt"))
        {
            // One that cannot be read names nothing, and then everything is too much.
            let named = Receipt::decode(&get().await).map(|receipt| Named::by(&receipt));
            output
                .receipts
                .insert(key.clone(), named.unwrap_or_default());
        }
    }
    let owners = fleet
        .world
        .streams
        .all(topology::JOBS, subject::ALL_CURRENT)
        .await;
    let mut newest = BTreeMap::new();
    for message in owners {
        newest.insert(
            message.subject.clone(),
            serde_json::from_slice(&message.payload).unwrap(),
        );
    }
    output.owners = newest.into_values().collect();
    output
}

/// The tables as a rebuild makes them in an empty database.
async fn rebuild(fleet: &Fleet) -> Rows {
    let database = Database::create_on(&fleet.cluster, "").await;
    let mut environment = fleet.environment();
    environment.insert("DATABASE_URL", database.url.clone());
    for arguments in [&["migrate", "up"][..], &["rebuild"]] {
        let said = say(&environment, arguments).await;
        assert_eq!(
            said.code,
            Some(0),
            "fluxhls {arguments:?}: {}{}",
            said.out,
            said.err
        );
    }
    database.rows().await
}

/// Has some outputs read whole.
async fn verify(fleet: &Fleet, logs: &BTreeMap<JobId, JobLog>) -> Vec<String> {
    let environment = fleet.environment();
    let completed = logs.values().filter_map(JobLog::ended);
    let completed: Vec<_> = completed
        .filter(|ended| ended.outcome == Outcome::Completed)
        .collect();
    let mut unsound = Vec::new();
    for ended in completed
        .iter()
        .step_by(completed.len().div_ceil(VERIFIED).max(1))
    {
        let file = ended.head.file_id.as_str();
        let said = say(&environment, &["verify", file]).await;
        if said.code != Some(0) {
            unsound.push(format!(
                "verify {file}: {:?}: {}{}",
                said.code, said.out, said.err
            ));
        }
    }
    unsound
}

/// Runs a command of the program to its end.
async fn say(environment: &BTreeMap<&'static str, String>, arguments: &[&str]) -> Said {
    let mut program = fluxhls();
    program.args(arguments).envs(environment);
    let output = program.output().await.unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits until the queue is empty, as long as anything still leaves it.
pub(super) async fn settled(fleet: &Fleet) {
    let stream = fleet
        .world
        .streams
        .js
        .get_stream(topology::TASKS)
        .await
        .unwrap();
    let patience = tokio::time::timeout(Duration::from_secs(90), async {
        until("the queue is empty", async || {
            stream.get_info().await.unwrap().state.messages == 0
        })
        .await;
    });
    // What is left is named by the judge.
    let _ = patience.await;
}
