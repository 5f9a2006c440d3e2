//! Jobs of one chunk without work: events, attempts, results, verdicts and ends through the real
//! queue, log and storage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use streams::{FactKind, subject, topology};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fleet::plan;
use crate::harness::database::Engine;
use crate::harness::stand_in::StandIn;
use crate::harness::world::World;
use crate::source;
use crate::timing::{ready, stop};

/// Simulated workers, and the slots of each.
const WORKERS: (usize, usize) = (4, 8);

/// The figures, and the world whose log holds the facts of the jobs.
pub(super) async fn run(jobs: usize) -> (String, World) {
    let world = World::new(Engine::Sqlite).await;
    let clip = source::tiny(60).await;
    let plan = Arc::new(plan(&clip.path, 1).await);
    let intake = ready(world.worker("intake").roles("intake")).await;
    let mut fleet = Vec::new();
    for n in 0..WORKERS.0 {
        let mut stand_in = StandIn::new(&world, Duration::ZERO).await;
        stand_in.plan = Some(Arc::clone(&plan));
        fleet.push(stand_in.start(&format!("stand-in-{n}"), WORKERS.1));
    }
    let asked = Asked::count(&world).await;
    let event = world.event(&clip).await;
    let events = (0..jobs).map(|_| {
        let mut event = event.clone();
        for id in ["file_id", "job_id", "uploaded_by"] {
            event[id] = cuid2::create_id().into();
        }
        event
    });
    for event in events {
        world.streams.upload(&event).await;
    }
    let ended = subject::facts_of_kind(FactKind::Ended);
    loop {
        let counts = world.streams.counts(topology::JOBS, &ended).await;
        if counts.len() >= jobs {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let asked = asked.so_far(jobs);
    drop(fleet);
    stop(intake).await;
    let uploads = world.streams.all(topology::UPLOADS, ">").await;
    let ends = world.streams.all(topology::JOBS, &ended).await;
    let taken = crate::timing::seconds(uploads[0].time, ends.last().unwrap().time);
    let rate = jobs as f64 / taken;
    eprintln!("control: {jobs} jobs without work in {taken:.1} s, {rate:.0} a second");
    let text = format!(
        "| jobs without work | s | per second |\n|---|---:|---:|\n| {jobs} | {taken:.1} | **{rate:.0}** |\n\n\
         | request to NATS | per job |\n|---|---:|\n{asked}"
    );
    (text, world)
}

/// Counts what NATS is asked, by kind.
struct Asked {
    counts: watch::Receiver<BTreeMap<String, usize>>,
    counting: JoinHandle<()>,
}

impl Asked {
    async fn count(world: &World) -> Self {
        let client = world.nats.connect().await.client().clone();
        let api = client.subscribe("$JS.API.>").await.unwrap();
        let acks = client.subscribe("$JS.ACK.>").await.unwrap();
        let published = client.subscribe("hls.>").await.unwrap();
        let (tell, counts) = watch::channel(BTreeMap::new());
        let mut messages = futures::stream::select_all([api, acks, published]);
        let counting = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                tell.send_modify(|counts: &mut BTreeMap<String, usize>| {
                    *counts.entry(kind(&message.subject)).or_default() += 1;
                });
            }
        });
        Self { counts, counting }
    }

    /// A table of it for each job.
    fn so_far(self, jobs: usize) -> String {
        self.counting.abort();
        let counts = self.counts.borrow();
        let mut rows: Vec<(&String, f64)> = counts
            .iter()
            .map(|(kind, count)| (kind, *count as f64 / jobs as f64))
            .collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1));
        rows.into_iter()
            .map(|(kind, count)| format!("| {kind} | {count:.1} |\n"))
            .collect()
    }
}

/// The first words of a request, without names.
fn kind(subject: &str) -> String {
    let tokens: Vec<&str> = subject.split('.').collect();
    match tokens[..] {
        ["$JS", "API", "CONSUMER", "MSG", "NEXT", ..] => "pull".to_owned(),
        ["$JS", "API", "STREAM", "MSG", "GET", stream, ..] => format!("read of {stream}"),
        ["$JS", "API", "STREAM", "INFO", stream, ..] => format!("list of {stream}"),
        ["$JS", "API", "CONSUMER", "INFO", ..] => "backlog of a consumer".to_owned(),
        ["$JS", "ACK", ..] => "settlement".to_owned(),
        ["hls", _, kind, ..] => format!("message of {kind}"),
        _ => "other".to_owned(),
    }
}
