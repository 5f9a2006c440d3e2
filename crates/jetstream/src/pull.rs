//! The one pull loop: takes messages from one or two lanes into free slots, hi before lo without
//! starving lo.
//!
//! Busy, it asks without waiting. Idle, it keeps one long pull open on each lane. A message that
//! arrives when the last slot was just taken is returned before any attempt is counted. The open
//! pulls exist only in this loop, because a pull that is dropped with a message in flight parks
//! that message until `ack_wait`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{Consumer, pull};
use futures::{Stream, StreamExt as _};
use metrics::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Delivery, Disposition, Nats};

/// How long an idle pull waits at the server.
const PULL_EXPIRY: Duration = Duration::from_secs(20);
/// How long a server may take to answer a pull without waiting.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long after an error the loop tries again.
const ERROR_BACKOFF: Duration = Duration::from_secs(1);

/// The durable consumers a loop serves, most urgent first, and how many messages it works on at a
/// time.
#[derive(Debug, Clone)]
pub struct Lanes {
    /// The stream of the consumers.
    pub stream: &'static str,
    /// Names of durable consumers.
    pub durables: Vec<&'static str>,
    /// Messages in work at a time.
    pub slots: usize,
    /// How many of the slots are taken.
    pub busy: Gauge,
}

/// What an open pull brings: messages, and at its end, at most, why it ended early.
type Batch = Pin<Box<dyn Stream<Item = Result<Message, String>> + Send>>;

/// Runs `handle` for every message until `stop`; returns when the last handler has settled.
///
/// `may_pull` is asked before every pull; intake uses it to wait while the queue is nearly full.
pub async fn pull<H, F, M, G>(
    nats: &Nats,
    lanes: Lanes,
    may_pull: M,
    handle: H,
    stop: CancellationToken,
) where
    H: Fn(Arc<Delivery>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Disposition> + Send + 'static,
    M: Fn() -> G + Send,
    G: Future<Output = bool> + Send,
{
    let slots = Arc::new(Semaphore::new(lanes.slots));
    let tails = Arc::new(Semaphore::new(lanes.slots));
    let tracker = TaskTracker::new();

    let consumers = tokio::select! {
        consumers = consumers(nats, &lanes) => consumers,
        () = stop.cancelled() => return,
    };

    let start = |message| {
        if let Some(delivery) = Delivery::new(message, nats) {
            // A message that a pull still delivers after `stop` is returned unread.
            let permit = Arc::clone(&slots)
                .try_acquire_owned()
                .ok()
                .filter(|_| !stop.is_cancelled());
            let taken = permit.map(|permit| BusySlot::new(permit, lanes.busy.clone()));
            tracker.spawn(run(
                Arc::new(delivery),
                taken,
                Arc::clone(&tails),
                handle.clone(),
            ));
        }
    };

    let mut open: Vec<Option<Batch>> = consumers.iter().map(|_| None).collect();
    let mut reported = vec![false; open.len()];
    let mut turns = LaneRotation::default();

    while !stop.is_cancelled() {
        // The one wait in here that may have no end.
        if slots.available_permits() > 0 && stop.run_until_cancelled(may_pull()).await == Some(true)
        {
            request_messages(nats, &consumers, &mut open, &slots, &mut turns, &start).await;
        }

        // If a pull is open on each lane, a freed slot changes nothing: messages are delivered
        // without another request.
        let all_open = open.iter().all(Option::is_some);
        tokio::select! {
            (lane, next) = next_message(&mut open) => match next {
                Some(Ok(message)) => {
                    reported[lane] = false;
                    nats.health.note_request(&pull_request(&consumers[lane]), &Ok::<_, String>(()));
                    turns.record_taken(lane, 1);
                    start(message);
                }
                None => (open[lane], reported[lane]) = (None, false),
                Some(Err(reason)) => {
                    nats.health.note_request(&pull_request(&consumers[lane]), &Err::<(), _>(&reason));
                    // Once, not each second: a consumer that was deleted may be away for long.
                    if !std::mem::replace(&mut reported[lane], true) {
                        let durable = lanes.durables[lane];
                        tracing::warn!(stream = lanes.stream, durable, reason, "nothing can be pulled; trying again, see /readyz");
                    }
                    open[lane] = None;
                    tokio::time::sleep(ERROR_BACKOFF).await;
                }
            },
            () = wait_for_free_slot(&slots), if !all_open => {}
            () = stop.cancelled() => {}
        }
    }

    // Handlers that still run have to settle their messages, or these wait for `ack_wait`.
    tracker.close();
    tracker.wait().await;
}

/// Which lane is next: the first lane has precedence, but after three of its messages in a row one
/// of the last lane follows, so that it makes progress however full the first one is.
#[derive(Debug, Default)]
struct LaneRotation {
    urgent: usize,
}

impl LaneRotation {
    /// Messages of the first lane in a row.
    const MAX_IN_A_ROW: usize = 3;

    fn order(&self, lanes: usize) -> Vec<usize> {
        let lanes = 0..lanes;
        if self.urgent < Self::MAX_IN_A_ROW {
            lanes.collect()
        } else {
            lanes.rev().collect()
        }
    }

    fn record_taken(&mut self, lane: usize, messages: usize) {
        match (lane, messages) {
            (_, 0) => {}
            (0, _) => self.urgent += messages,
            _ => self.urgent = 0,
        }
    }
}

/// A slot that is taken.
struct BusySlot {
    _permit: OwnedSemaphorePermit,
    busy: Gauge,
}

impl BusySlot {
    fn new(permit: OwnedSemaphorePermit, busy: Gauge) -> Self {
        busy.increment(1.0);
        Self {
            _permit: permit,
            busy,
        }
    }
}

impl Drop for BusySlot {
    fn drop(&mut self) {
        self.busy.decrement(1.0);
    }
}

/// Handles one message in its slot, or returns it if the last slot was just taken. A slot that is
/// freed early goes to the next message while the work continues in one of as many `tails`; if
/// those are taken, the slot stays occupied, so that unfinished work cannot pile up.
async fn run<H, F>(
    delivery: Arc<Delivery>,
    taken: Option<BusySlot>,
    tails: Arc<Semaphore>,
    handle: H,
) where
    H: Fn(Arc<Delivery>) -> F,
    F: Future<Output = Disposition>,
{
    let Some(taken) = taken else {
        delivery.settle(Disposition::Retry(Duration::ZERO)).await;
        return;
    };

    let work = handle(Arc::clone(&delivery));
    tokio::pin!(work);
    let tail = async {
        delivery.slot.freed().await;
        tails.acquire_owned().await
    };

    // `_place` holds the slot, or the tail, until the message is settled.
    let (settlement, _place) = tokio::select! {
        settlement = &mut work => (settlement, (Some(taken), None)),
        tail = tail => {
            drop(taken);
            (work.await, (None, Some(tail)))
        }
    };

    delivery.settle(settlement).await;
}

/// Pulls the waiting messages of every lane, then leaves a long pull open on each while slots are
/// free.
async fn request_messages(
    nats: &Nats,
    consumers: &[Consumer<pull::Config>],
    open: &mut [Option<Batch>],
    slots: &Semaphore,
    turns: &mut LaneRotation,
    start: &impl Fn(Message),
) {
    for lane in turns.order(consumers.len()) {
        let taken = request_available(nats, &consumers[lane], &mut open[lane], slots, start).await;
        turns.record_taken(lane, taken);
    }

    for (consumer, open) in consumers.iter().zip(open) {
        // Both lanes may ask for the same slot; the surplus message is returned.
        let free = slots.available_permits();
        if free > 0 && open.is_none() {
            *open = open_long_pull(consumer, free).await;
        }
    }
}

/// Pulls the waiting messages of one lane, without waiting, while there are free slots and no long
/// pull already waits. Returns their number.
async fn request_available(
    nats: &Nats,
    consumer: &Consumer<pull::Config>,
    open: &mut Option<Batch>,
    slots: &Semaphore,
    start: &impl Fn(Message),
) -> usize {
    let (free, mut taken) = (slots.available_permits(), 0);
    if free == 0 || open.is_some() {
        return 0;
    }

    // Without an expiry: with one, the server keeps even such a pull open where there is nothing,
    // and no other lane would be served.
    let mut batch = match consumer.fetch().max_messages(free).messages().await {
        Ok(batch) => batch,
        Err(error) => {
            tracing::warn!(%error, "a pull failed");
            return 0;
        }
    };

    let mut answered = Ok(());
    loop {
        match tokio::time::timeout(ANSWER_TIMEOUT, batch.next()).await {
            Ok(Some(Ok(message))) => {
                taken += 1;
                start(message);
            }
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a pull ended early");
                answered = Err(error.to_string());
            }
            Ok(None) => break,
            // Even where there is nothing, a server says so.
            Err(_) => {
                answered = Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs()));
                break;
            }
        }
    }

    nats.health.note_request(&pull_request(consumer), &answered);
    taken
}

/// The request by which a consumer is pulled from (NATS ADR-13).
fn pull_request(consumer: &Consumer<pull::Config>) -> String {
    let info = consumer.cached_info();
    format!("CONSUMER.MSG.NEXT.{}.{}", info.stream_name, info.name)
}

/// Opens a long pull; it ends after `n` messages or [`PULL_EXPIRY`].
async fn open_long_pull(consumer: &Consumer<pull::Config>, n: usize) -> Option<Batch> {
    // Without `.heartbeat()`: with it, a batch of async-nats 0.51 may return nothing and leave its
    // message parked until `ack_wait`.
    match consumer
        .batch()
        .max_messages(n)
        .expires(PULL_EXPIRY)
        .messages()
        .await
    {
        Ok(batch) => Some(Box::pin(
            batch.map(|message| message.map_err(|error| error.to_string())),
        )),
        Err(error) => {
            tracing::warn!(%error, "a pull failed");
            tokio::time::sleep(ERROR_BACKOFF).await;
            None
        }
    }
}

/// The next item of whichever open pull has one first; never, when none is open.
async fn next_message(open: &mut [Option<Batch>]) -> (usize, Option<Result<Message, String>>) {
    let waiting = open.iter_mut().enumerate().filter_map(|(lane, batch)| {
        let batch = batch.as_mut()?;
        Some(Box::pin(async move { (lane, batch.next().await) }))
    });
    let waiting: Vec<_> = waiting.collect();
    if waiting.is_empty() {
        return std::future::pending().await;
    }
    // To drop the other futures loses nothing: the batches themselves stay in `open`.
    futures::future::select_all(waiting).await.0
}

/// Ends when a slot is free that no open pull asks for yet.
async fn wait_for_free_slot(slots: &Semaphore) {
    if slots.available_permits() > 0 {
        // A free slot and yet a lane without a pull: pulling was not allowed or failed. Look again
        // shortly.
        tokio::time::sleep(ERROR_BACKOFF).await;
        return;
    }
    drop(slots.acquire().await);
}

/// The consumers, waiting for them to be provisioned.
async fn consumers(nats: &Nats, lanes: &Lanes) -> Vec<Consumer<pull::Config>> {
    let mut found = Vec::new();
    for durable in &lanes.durables {
        let mut reported = false;
        loop {
            let answer = nats
                .js
                .get_consumer_from_stream(durable, lanes.stream)
                .await;
            let request = format!("CONSUMER.INFO.{}.{durable}", lanes.stream);
            nats.health.note_request(&request, &answer);

            match answer {
                Ok(consumer) => break found.push(consumer),
                Err(error) => {
                    if !std::mem::replace(&mut reported, true) {
                        tracing::warn!(stream = lanes.stream, durable, %error, "no consumer yet; run `fluxhls provision`");
                    }
                    tokio::time::sleep(ERROR_BACKOFF).await;
                }
            }
        }
    }

    found
}

#[cfg(test)]
mod tests {
    use async_nats::HeaderMap;
    use chrono::Utc;
    use tokio::sync::mpsc;

    use super::*;
    use crate::StoredMessage;
    use crate::testing::model::{Model, RequestOutcome};

    #[test]
    fn the_last_lane_has_its_turn_after_three_of_the_first() {
        let mut turns = LaneRotation::default();
        assert_eq!(turns.order(2), [0, 1]);
        turns.record_taken(0, 2);
        turns.record_taken(1, 0);
        assert_eq!(turns.order(2), [0, 1]);
        turns.record_taken(0, 1);
        assert_eq!(turns.order(2), [1, 0]);
        turns.record_taken(1, 1);
        assert_eq!(turns.order(2), [0, 1]);
    }

    #[tokio::test]
    async fn a_slot_that_is_freed_goes_to_the_next_message_while_no_other_work_is_in_its_tail() {
        let (process, mut turns) = Model::default().process();
        tokio::spawn(async move {
            while let Some(turn) = turns.recv().await {
                let _ = turn.send(RequestOutcome::Goes);
            }
        });

        let (slots, tails) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
        let end = CancellationToken::new();
        let (sender, mut received) = mpsc::unbounded_channel();
        let handle = {
            let end = end.clone();
            move |delivery: Arc<Delivery>| {
                let (sender, end) = (sender.clone(), end.clone());
                async move {
                    delivery.slot.free();
                    sender.send(delivery.seq).unwrap();
                    end.cancelled().await;
                    Disposition::Ack
                }
            }
        };

        let mut works = Vec::new();
        for seq in 1..=2 {
            // The second one gets its slot only since the first one was freed.
            let permit = Arc::clone(&slots).acquire_owned().await.unwrap();
            let message = StoredMessage {
                subject: "hls.v1.task.encode.lo.j.v1".to_owned(),
                seq,
                time: Utc::now(),
                headers: HeaderMap::new(),
                payload: "{}".into(),
            };

            let delivery = Arc::new(Delivery::over(message, process.clone()));
            let taken = BusySlot::new(permit, Gauge::noop());
            works.push(tokio::spawn(run(
                delivery,
                Some(taken),
                Arc::clone(&tails),
                handle.clone(),
            )));

            assert_eq!(received.recv().await, Some(seq));
        }

        // The tail is taken, so the second one keeps its slot however often it frees it.
        tokio::task::yield_now().await;
        assert_eq!(
            (slots.available_permits(), tails.available_permits()),
            (0, 0)
        );

        end.cancel();
        for work in works {
            work.await.unwrap();
        }
        assert_eq!(
            (slots.available_permits(), tails.available_permits()),
            (1, 1)
        );
    }
}
