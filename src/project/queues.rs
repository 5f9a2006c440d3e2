//! The metrics of the streams: what they hold, what waits for each consumer, and the dead letters.

use std::collections::BTreeMap;

use async_nats::jetstream::stream::State;
use futures::TryStreamExt as _;
use metrics::gauge;
use streams::subject::{DeadOrigin, parse_dead};
use streams::topology::{self, Sizing};
use tokio::time::timeout;

use super::census::{LIMIT, float};
use crate::jetstream::{Backlog, Nats};

/// What dead letters are of, as their metric says.
const LETTERS: [&str; 6] = ["upload", "delete", "project", "task", "advisory", "other"];

/// Asks the server about the streams of the contract.
#[derive(Debug, Default)]
pub(super) struct Queues {
    /// Where the dead letters that were counted last ended, and the counts: they are read again only where more came or some went.
    letters: Option<(u64, u64, BTreeMap<&'static str, u64>)>,
}

impl Queues {
    /// Asks, and tells; what is not answered in time is told as unknown.
    pub(super) async fn tell(&mut self, nats: &Nats) {
        for config in topology::streams(Sizing::default()) {
            let state = timeout(LIMIT, state(nats, &config.name)).await.ok().flatten();
            tell_stream(&config.name, state.as_ref(), config.max_messages, config.max_bytes);
            if config.name == topology::DEAD {
                let letters = timeout(LIMIT, self.letters(nats, state)).await.ok().flatten();
                for kind in LETTERS {
                    let held = letters
                        .as_ref()
                        .map_or(f64::NAN, |held| float(held.get(kind).copied().unwrap_or(0)));
                    gauge!("fluxhls_dead_letters", "class" => kind).set(held);
                }
            }
        }
        for durable in topology::durables() {
            let name = durable.config.durable_name.unwrap_or_default();
            let backlog = timeout(LIMIT, Backlog::of(nats, durable.stream, &name)).await;
            let (waiting, in_flight) = match backlog {
                Ok(Ok(backlog)) => (float(backlog.waiting), float(backlog.in_flight)),
                _ => (f64::NAN, f64::NAN),
            };
            gauge!("fluxhls_queue_messages", "queue" => name.clone(), "state" => "waiting").set(waiting);
            gauge!("fluxhls_queue_messages", "queue" => name, "state" => "in_flight").set(in_flight);
        }
    }

    async fn letters(&mut self, nats: &Nats, state: Option<State>) -> Option<BTreeMap<&'static str, u64>> {
        let state = state?;
        let bounds = (state.first_sequence, state.last_sequence);
        if let Some((first, last, held)) = &self.letters
            && bounds == (*first, *last)
        {
            return Some(held.clone());
        }
        let stream = nats.js.get_stream_no_info(topology::DEAD).await.ok()?;
        let mut subjects = stream.info_with_subjects(">").await.ok()?;
        let mut held = BTreeMap::new();
        while let Some((subject, letters)) = subjects.try_next().await.ok()? {
            *held.entry(kind(&subject)).or_default() += u64::try_from(letters).unwrap_or(0);
        }
        self.letters = Some((bounds.0, bounds.1, held.clone()));
        Some(held)
    }
}

fn kind(subject: &str) -> &'static str {
    match parse_dead(subject) {
        Some(DeadOrigin::Upload(_)) => "upload",
        Some(DeadOrigin::Delete(_)) => "delete",
        Some(DeadOrigin::Project(_)) => "project",
        Some(DeadOrigin::Task(..)) => "task",
        Some(DeadOrigin::Advisory(..)) => "advisory",
        None => "other",
    }
}

async fn state(nats: &Nats, stream: &str) -> Option<State> {
    let stream = nats.js.get_stream_no_info(stream).await.ok()?;
    Some(stream.get_info().await.ok()?.state)
}

fn tell_stream(name: &str, state: Option<&State>, max_messages: i64, max_bytes: i64) {
    let messages = state.map_or(f64::NAN, |state| float(state.messages));
    let bytes = state.map_or(f64::NAN, |state| float(state.bytes));
    gauge!("fluxhls_stream_messages", "stream" => name.to_owned()).set(messages);
    gauge!("fluxhls_stream_bytes", "stream" => name.to_owned()).set(bytes);
    let limits = [(messages, max_messages), (bytes, max_bytes)];
    let fills = limits.into_iter().filter_map(|(held, limit)| {
        let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0)?;
        Some(held / float(limit))
    });
    if let Some(fill) = fills.reduce(f64::max) {
        gauge!("fluxhls_stream_fill_ratio", "stream" => name.to_owned()).set(fill);
    }
}
