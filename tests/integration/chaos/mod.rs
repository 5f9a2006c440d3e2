//! Chaos: jobs arrive while everything they need is killed, frozen and disconnected; then every
//! invariant is checked.
//!
//! `make chaos` runs it with the table printed, `make chaos LONG=1` the long way, which writes
//! `docs/chaos.md`. What happens is drawn from a seed ([`schedule`]); [`publisher`] uploads,
//! [`fault_injector`] breaks and restores the [`fleet`], [`watch`] records what happens, [`reading`]
//! reads everything at the end, and [`invariants`] check it.

mod dice;
mod fault_injector;
mod fleet;
mod invariants;
mod log;
mod order;
mod publisher;
mod reading;
mod report;
mod schedule;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dev::object_store::SECRET_ACCESS_KEY;
use fault_injector::{FaultInjector, InjectedFault};
use fleet::{Fleet, PASSWORD};
use invariants::{ends, output, repeats, rows, traces};
use order::Source;
use publisher::{Published, Publisher};
use reading::Reading;
use report::Report;
use schedule::{Schedule, Size};
use sea_orm::ConnectionTrait as _;
use storage::ObjectKind;
use tokio::sync::watch as channel;
use tokio_util::sync::CancellationToken;

use crate::harness::process::{command, output_of, tool};

/// After how long a worker that does not respond loses its task: the shortest time within which
/// workers on a busy machine always send their heartbeats.
const ACK_WAIT: Duration = Duration::from_secs(20);
/// How long no job may end before the remaining ones count as lost.
const PATIENCE: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_broken_every_job_ends_once_and_every_promise_holds() {
    let size = Size {
        seed: setting("SEED").unwrap_or(1),
        orders: usize::try_from(setting("JOBS").unwrap_or(15)).unwrap(),
        kills: usize::try_from(setting("KILLS").unwrap_or(8)).unwrap(),
    };
    let (fleet, report) = run(size).await;
    println!("{}", report.table());
    if setting("PAGE") == Some(1) {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/chaos.md");
        std::fs::write(page, report.page(&versions(&fleet).await)).unwrap();
    }
    assert_eq!(
        report.violations().count(),
        0,
        "see above, and the logs in {}",
        kept(&fleet, size).display()
    );
}

/// One of the settings of `make chaos`.
#[expect(
    clippy::disallowed_methods,
    reason = "the settings of the tests themselves"
)]
fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(format!("FLUXHLS_CHAOS_{name}")).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("FLUXHLS_CHAOS_{name} is a number, not {value:?}")))
}

async fn run(size: Size) -> (Fleet, Report) {
    let begun = Instant::now();
    let schedule = Schedule::new(size, ACK_WAIT);
    let fleet = Fleet::start(ACK_WAIT).await;
    let stop = CancellationToken::new();
    let history = tokio::spawn(watch::rows(fleet.world.database.url.clone(), stop.clone()));
    let (mut fleet, published, injected) = play(fleet, &schedule).await;
    reading::settled(&fleet).await;
    let read = reading::read(&mut fleet).await;
    stop.cancel();
    let history = history.await.unwrap();
    let invariants = judge(&read, &published, &injected, &history);
    for (what, violations) in &invariants {
        for violation in violations {
            eprintln!("VIOLATION ({what}): {}", violation.what);
            if let Some((job, log)) = violation
                .job
                .as_ref()
                .and_then(|job| Some((job, read.logs.get(job)?)))
            {
                eprintln!("everything the log has about job {job}:\n{log}");
            }
        }
    }
    let figures = repeats::figures(&read.logs, &injected);
    let report = Report {
        size,
        took: begun.elapsed(),
        ack_wait: ACK_WAIT,
        done: report::done(&published, read.logs.len(), &injected, figures),
        invariants,
    };
    (fleet, report)
}

/// Uploads and injects faults at the same time, until every job has ended or no more jobs end.
async fn play(fleet: Fleet, schedule: &Schedule) -> (Fleet, Published, Vec<InjectedFault>) {
    let ended = watch::ended(&fleet.world.streams);
    let publisher = Publisher {
        streams: fleet.world.streams.clone(),
        sources: sources(&fleet).await,
        ended: ended.clone(),
        environment: fleet.environment(),
    };
    let jobs = schedule.orders.iter().map(|order| order.jobs()).sum();
    let (tell, published) = channel::channel(false);
    let publish = async {
        let published = publisher.run(&schedule.orders).await;
        tell.send_replace(true);
        published
    };
    let quiet = all_over(published, ended.clone(), jobs);
    let injector = FaultInjector::new(fleet, ended)
        .await
        .run(&schedule.strikes, quiet);
    let (published, (fleet, injected)) = tokio::join!(publish, injector);
    (fleet, published, injected)
}

/// Ends when everything is published and this many jobs have ended, or when none has ended for
/// [`PATIENCE`].
async fn all_over(
    mut published: channel::Receiver<bool>,
    mut ended: channel::Receiver<usize>,
    jobs: usize,
) {
    drop(published.wait_for(|all| *all).await);
    while *ended.borrow_and_update() < jobs {
        if tokio::time::timeout(PATIENCE, ended.changed())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Puts every source into the bucket, once; many events name the same one.
async fn sources(fleet: &Fleet) -> BTreeMap<Source, (String, u64)> {
    let mut sources = BTreeMap::new();
    for source in Source::ALL {
        let key = format!("uploads/{source:?}");
        let clip = source.clip(fleet.world.folder()).await;
        let bytes = std::fs::read(&clip.path).unwrap();
        let there = match source {
            Source::Nothing => 0,
            Source::Half => bytes.len() / 2,
            _ => bytes.len(),
        };
        if there > 0 {
            let kind = ObjectKind::private("video/mp4");
            let put = fleet
                .world
                .bucket
                .put(&key, bytes[..there].to_vec().into(), kind);
            put.await.unwrap();
        }
        sources.insert(source, (fleet.world.url(&key), bytes.len() as u64));
    }
    sources
}

/// Everything that must not happen, with every case of it.
fn judge(
    read: &Reading,
    published: &Published,
    injected: &[InjectedFault],
    history: &BTreeMap<String, Vec<watch::Seen>>,
) -> Vec<(&'static str, Vec<invariants::Violation>)> {
    let strange: Vec<String> = read
        .queue
        .iter()
        .chain(&read.deaths)
        .chain(&read.left)
        .cloned()
        .collect();
    vec![
        (
            "lost jobs",
            ends::lost(published, &read.logs, &read.letters),
        ),
        (
            "facts published twice (including `ended`), or against the verdict",
            ends::ended_twice(&read.logs),
        ),
        (
            "jobs with another result than their source should have",
            ends::wrong_ends(published, &read.logs),
        ),
        (
            "dead letters of messages that did not fail",
            ends::buried(&read.dead, &read.logs),
        ),
        (
            "rows that differ after a rebuild into an empty database",
            rows::differ(&read.rows, &read.rebuilt),
        ),
        (
            "rows that differ from the facts",
            rows::untold(&read.rows, &read.logs),
        ),
        (
            "rows that returned to an earlier state",
            rows::regressed(history),
        ),
        (
            "playlists that name a missing object, or another one than was checked",
            output::broken(&read.output, &read.logs),
        ),
        (
            "outputs in which `fluxhls verify` finds damage",
            traces::left(&read.unsound),
        ),
        (
            "tasks that were repeated though no fault had hit them",
            repeats::repeated(&read.logs, injected),
        ),
        (
            "tasks, files and processes left behind, and processes that ended unexpectedly",
            traces::left(&strange),
        ),
        (
            "orphans after `fluxhls jobs prune`",
            output::orphans(&read.output, &read.logs),
        ),
        ("panics", traces::panics(&read.said)),
        (
            "secrets in a log",
            traces::secrets(
                &read.said,
                &[PASSWORD, SECRET_ACCESS_KEY, "X-Amz-Signature"],
            ),
        ),
    ]
}

/// The programs that took part.
async fn versions(fleet: &Fleet) -> String {
    let nats = output_of(command(tool("nats-server")).arg("--version")).await;
    let ffmpeg = output_of(command("ffmpeg").arg("-version")).await;
    let database = sea_orm::Database::connect(fleet.cluster.url("postgres"))
        .await
        .unwrap();
    let statement =
        sea_orm::Statement::from_string(sea_orm::DatabaseBackend::Postgres, "SHOW server_version");
    let row = database.query_one_raw(statement).await.unwrap().unwrap();
    let postgresql: String = row.try_get_by_index(0).unwrap();
    let words = |bytes: &[u8], n: usize| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.split_whitespace().nth(n).unwrap_or("?").to_owned()
    };
    format!(
        "nats-server {}, ffmpeg {}, PostgreSQL {postgresql}",
        words(&nats, 1),
        words(&ffmpeg, 2)
    )
}

/// Copies the logs to a directory that outlives the run.
fn kept(fleet: &Fleet, size: Size) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{}", size.seed));
    std::fs::create_dir_all(&folder).unwrap();
    for (path, text) in fleet.logs() {
        std::fs::write(folder.join(path.file_name().unwrap()), text).unwrap();
    }
    folder
}
