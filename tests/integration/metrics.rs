//! The metrics: the catalogue compared with live processes, over the whole life of a job.

use std::collections::{BTreeMap, BTreeSet};

use fluxhls::telemetry::catalogue::{CATALOGUE, Kind, Metric};
use fluxhls::telemetry::document;
use streams::task::Duty;

use crate::harness::clip::{long, moving};
use crate::harness::database::Engine;
use crate::harness::made::is_made;
use crate::harness::process::Process;
use crate::harness::until;
use crate::harness::worker::{page, readiness};
use crate::harness::world::{World, job_of};

#[test]
fn the_page_on_metrics_is_made_of_the_catalogue() {
    is_made("docs/metrics.md", &document::render_page());
}

/// One line of a scrape.
#[derive(Debug)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// What a process says.
async fn scrape(worker: &Process) -> Vec<Series> {
    let text = String::from_utf8(page(worker, "/metrics").await.body).unwrap();
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(read)
        .collect()
}

fn read(line: &str) -> Series {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.strip_suffix('}').unwrap();
    let pairs = labels.split("\",").filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.trim_end_matches('"').split_once("=\"").unwrap();
        (name.to_owned(), value.to_owned())
    };
    Series {
        name: name.to_owned(),
        labels: pairs.map(pair).collect(),
        value: value.parse().unwrap(),
    }
}

/// The value of a series; none where there is no such series.
fn value(found: &[Series], name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let wanted: BTreeMap<String, String> = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let series = found
        .iter()
        .find(|series| series.name == name && series.labels == wanted)?;
    Some(series.value)
}

/// The metric a series belongs to, by its name less what histograms append.
fn metric_of(series: &Series) -> Option<&'static Metric> {
    CATALOGUE.iter().find(|metric| match metric.kind {
        Kind::Seconds(_) => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|part| series.name.strip_suffix(part) == Some(metric.name)),
        _ => series.name == metric.name,
    })
}

fn all_in_the_catalogue(found: &[Series]) {
    for series in found
        .iter()
        .filter(|series| !series.name.starts_with("process_"))
    {
        let metric =
            metric_of(series).unwrap_or_else(|| panic!("{} is not in the catalogue", series.name));
        let told: BTreeSet<&str> = series
            .labels
            .keys()
            .map(String::as_str)
            .filter(|name| *name != "le")
            .collect();
        let known: BTreeSet<&str> = metric.labels.iter().map(|label| label.name).collect();
        assert_eq!(told, known, "{}", series.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_told_is_in_the_catalogue_and_all_of_the_catalogue_is_told() {
    let world = World::new(Engine::Postgresql).await;
    let worker = world.worker("one").start();
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&job).await;
    let finished = [("outcome", "completed")];
    until("the finished job is counted", async || {
        value(
            &scrape(&worker).await,
            "fluxhls_jobs_finished_total",
            &finished,
        ) == Some(1.0)
    })
    .await;
    // The first sweep, which reports open jobs, runs within seventy-five seconds.
    until("the sweep has reported", async || {
        value(&scrape(&worker).await, "fluxhls_open_jobs", &[]).is_some()
    })
    .await;
    let found = scrape(&worker).await;
    all_in_the_catalogue(&found);
    let told: BTreeSet<&str> = found
        .iter()
        .filter_map(metric_of)
        .map(|metric| metric.name)
        .collect();
    // Only jobs that are open have those four.
    let missing: Vec<&str> = CATALOGUE
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !told.contains(name) && !name.starts_with("fluxhls_job_"))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert_eq!(
        value(&found, "fluxhls_jobs", &[("status", "completed")]),
        Some(1.0)
    );
    assert_eq!(
        value(&found, "fluxhls_dead_letters", &[("class", "task")]),
        Some(0.0)
    );
    assert_eq!(value(&found, "fluxhls_database_up", &[]), Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_job_has_series_of_its_own_until_it_ends() {
    let world = World::new(Engine::Sqlite).await;
    let projector = world.worker("projector").roles("intake,project").start();
    let event = world.event(&moving("320x180", 2.0).make().await).await;
    let job = job_of(&event);
    world.streams.upload(&event).await;
    until("the waiting job is reported", async || {
        value(
            &scrape(&projector).await,
            "fluxhls_job_progress_ratio",
            &[("job_id", job.as_str())],
        ) == Some(0.0)
    })
    .await;
    let found = scrape(&projector).await;
    all_in_the_catalogue(&found);
    let info = found
        .iter()
        .find(|series| series.name == "fluxhls_job_info")
        .unwrap();
    assert_eq!(
        (
            info.labels["status"].as_str(),
            info.labels["profile"].as_str()
        ),
        ("pending", "standard")
    );
    let plan = [("queue", "plan"), ("state", "waiting")];
    assert_eq!(value(&found, "fluxhls_queue_messages", &plan), Some(1.0));
    assert!(value(&found, "fluxhls_oldest_pending_job_age_seconds", &[]).unwrap() > 0.0);

    let _worker = world.worker("worker").roles("plan,encode,package").start();
    world.completed(&job).await;
    until("the ended job is no longer reported", async || {
        !scrape(&projector)
            .await
            .iter()
            .any(|series| series.labels.contains_key("job_id"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_of_jobs_survive_the_death_of_their_projector() {
    let world = World::new(Engine::Sqlite).await;
    let mut worker = world.worker("one").start();
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&job).await;
    worker.kill().await;
    let worker = world.worker("two").roles("project").start();
    until("the new process reports the old count", async || {
        let found = scrape(&worker).await;
        value(
            &found,
            "fluxhls_jobs_finished_total",
            &[("outcome", "completed")],
        ) == Some(1.0)
            && value(&found, "fluxhls_jobs_accepted_total", &[]) == Some(1.0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nats_does_not_answer_is_told_as_unknown() {
    let mut world = World::new(Engine::Sqlite).await;
    let projector = world.worker("one").roles("project").start();
    let waiting = [("queue", "plan"), ("state", "waiting")];
    until("the queue is reported", async || {
        value(
            &scrape(&projector).await,
            "fluxhls_queue_messages",
            &waiting,
        ) == Some(0.0)
    })
    .await;
    world.nats.kill().await;
    until("no old value is reported", async || {
        value(
            &scrape(&projector).await,
            "fluxhls_queue_messages",
            &waiting,
        )
        .is_some_and(f64::is_nan)
    })
    .await;
    world.nats.restart().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_drains_is_unready_and_still_tells_what_it_does() {
    let world = World::new(Engine::Sqlite).await;
    let worker = world.worker("one").setting("GRACE_PERIOD", 120).start();
    let event = world.event(&long().make().await).await;
    let job = job_of(&event);
    world.streams.upload(&event).await;
    world
        .started(&job, |attempt| matches!(attempt.task.duty, Duty::Video(_)))
        .await;
    worker.signal(nix::sys::signal::Signal::SIGTERM);
    until("it says that it drains", async || {
        value(&scrape(&worker).await, "fluxhls_draining", &[]) == Some(1.0)
    })
    .await;
    assert_eq!(readiness(&worker).await.status, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_have_not_ended_are_listed_oldest_first() {
    let world = World::new(Engine::Sqlite).await;
    let _projector = world.worker("one").roles("intake,project").start();
    let clip = moving("320x180", 2.0).make().await;
    let (first, second) = (world.event(&clip).await, world.event(&clip).await);
    // One after the other: events that wait together are accepted in any order.
    for event in [&first, &second] {
        world.streams.upload(event).await;
        until("it is in the tables", async || {
            world.database.job(job_of(event).as_str()).await.is_some()
        })
        .await;
    }
    let listed = world.told(&["jobs", "list", "--active", "--json"]).await;
    let ids: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["job_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [job_of(&first).as_str(), job_of(&second).as_str()]);
    assert_eq!(listed[0]["mime_type"], first["mime_type"]);
}
