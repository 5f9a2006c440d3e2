//! The metrics of the streams: their size, the messages that wait for each consumer, and the dead
//! letters.

use std::collections::BTreeMap;

use async_nats::jetstream::account::Account;
use async_nats::jetstream::stream::Info;
use futures::TryStreamExt as _;
use jetstream::{Backlog, Nats};
use metrics::gauge;
use streams::capacity;
use streams::subject::{DeadOrigin, parse_dead};
use streams::topology::{self, Sizing};
use tokio::time::timeout;

use super::LIMIT;
use crate::telemetry::gauge_value;

/// The classes of dead letters, as their metric names them.
const DEAD_LETTER_CLASSES: [&str; 6] = ["upload", "delete", "project", "task", "advisory", "other"];

/// Asks the server about the streams of the contract.
#[derive(Debug, Default)]
pub(super) struct StreamMetrics {
    /// The position of the last count of dead letters, and the counts: they are read again only if
    /// some were added or removed.
    letters: Option<(u64, u64, BTreeMap<&'static str, u64>)>,
}

impl StreamMetrics {
    /// Asks, and publishes; what is not answered in time is published as unknown.
    pub(super) async fn collect(&mut self, nats: &Nats) {
        let account = timeout(LIMIT, nats.js.query_account()).await;
        publish_account(account.ok().and_then(Result::ok).as_ref());

        // Each request has its own timeout, so that one stream without an answer does not hide the
        // others.
        for name in topology::STREAMS {
            let info = timeout(LIMIT, read_info(nats, name)).await.ok().flatten();
            publish_stream(name, info.as_ref());
            if name == topology::DEAD {
                let letters = timeout(LIMIT, self.count_letters(nats, info))
                    .await
                    .ok()
                    .flatten();
                for class in DEAD_LETTER_CLASSES {
                    let held = letters.as_ref().map_or(f64::NAN, |held| {
                        gauge_value(held.get(class).copied().unwrap_or(0))
                    });
                    gauge!("fluxhls_dead_letters", "class" => class).set(held);
                }
            }
        }

        // Only the names of the consumers matter here, so any sizing will do.
        for durable in topology::durables(&Sizing::default()) {
            let name = durable.config.durable_name.unwrap_or_default();
            let backlog = timeout(LIMIT, Backlog::of(nats, durable.stream, &name)).await;
            let (waiting, in_flight) = match backlog {
                Ok(Ok(backlog)) => (gauge_value(backlog.waiting), gauge_value(backlog.in_flight)),
                _ => (f64::NAN, f64::NAN),
            };
            gauge!("fluxhls_queue_messages", "queue" => name.clone(), "state" => "waiting")
                .set(waiting);
            gauge!("fluxhls_queue_messages", "queue" => name, "state" => "in_flight")
                .set(in_flight);
        }
    }

    /// The number of dead letters of each class; none if the server does not report it.
    async fn count_letters(
        &mut self,
        nats: &Nats,
        info: Option<Info>,
    ) -> Option<BTreeMap<&'static str, u64>> {
        let state = info?.state;
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
            *held.entry(class_of(&subject)).or_default() += u64::try_from(letters).unwrap_or(0);
        }

        self.letters = Some((bounds.0, bounds.1, held.clone()));
        Some(held)
    }
}

fn class_of(subject: &str) -> &'static str {
    match parse_dead(subject) {
        Some(DeadOrigin::Upload(_)) => "upload",
        Some(DeadOrigin::Delete(_)) => "delete",
        Some(DeadOrigin::Project(_)) => "project",
        Some(DeadOrigin::Task(..)) => "task",
        Some(DeadOrigin::Advisory(..)) => "advisory",
        None => "other",
    }
}

async fn read_info(nats: &Nats, stream: &str) -> Option<Info> {
    let stream = nats.js.get_stream_no_info(stream).await.ok()?;
    stream.get_info().await.ok()
}

fn publish_stream(name: &'static str, info: Option<&Info>) {
    let figure = |of: fn(&Info) -> u64| info.map_or(f64::NAN, |info| gauge_value(of(info)));
    gauge!("fluxhls_stream_messages", "stream" => name).set(figure(|info| info.state.messages));
    gauge!("fluxhls_stream_bytes", "stream" => name).set(figure(|info| info.state.bytes));
    // A stream without a limit is never full; only what is not known is no number.
    let fill = info.map_or(f64::NAN, |info| {
        capacity::stream_fill(&info.config, &info.state).map_or(0.0, |fill| fill.share)
    });
    gauge!("fluxhls_stream_fill_ratio", "stream" => name).set(fill);
}

fn publish_account(account: Option<&Account>) {
    let (used, limit) = match account.map(|account| (account, capacity::account_fill(account))) {
        None => (f64::NAN, f64::NAN),
        Some((account, None)) => (gauge_value(account.storage), f64::INFINITY),
        Some((_, Some(fill))) => (gauge_value(fill.used), gauge_value(fill.limit)),
    };
    gauge!("fluxhls_jetstream_storage_bytes").set(used);
    gauge!("fluxhls_jetstream_storage_limit_bytes").set(limit);
}
