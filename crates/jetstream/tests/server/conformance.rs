//! The model of the streams answers as a real nats-server does: the same random requests go to
//! both.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, pull};
use futures::StreamExt as _;
use jetstream::testing::Server;
use jetstream::testing::model::{Model, RequestOutcome};
use jetstream::{CreateOutcome, Delivery, Disposition, Log, OutboundMessage, StoredMessage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use streams::task::{Class, Lane, TaskName};
use streams::topology::Sizing;
use streams::work::WorkKind;
use streams::{FactKind, JobId, TaskKey, subject, topology};

/// Requests of one comparison.
const REQUESTS: usize = 1500;

/// How long a message that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same streams twice.
struct Both {
    real: Log,
    modelled: Log,
    model: Model,
    random: StdRng,
    /// The number of the first message of each stream.
    first: BTreeMap<String, u64>,
}

/// What distinguishes messages.
type Told = (String, u64, Option<String>, bytes::Bytes);

fn told(message: &StoredMessage) -> Told {
    let id = message.header("Nats-Msg-Id").map(str::to_owned);
    (
        message.subject.clone(),
        message.seq,
        id,
        message.payload.clone(),
    )
}

fn created(created: &CreateOutcome) -> Result<u64, Told> {
    match created {
        CreateOutcome::Created(seq) => Ok(*seq),
        CreateOutcome::AlreadyExists(message) => Err(told(message)),
    }
}

impl Both {
    fn job(&mut self) -> JobId {
        format!("j{}", self.random.random_range(0..4))
            .parse()
            .unwrap()
    }

    fn task(&mut self) -> TaskName {
        TaskName::video(self.random.random_range(0..3))
    }

    /// A message whose id was perhaps used before, on this subject or on another one.
    fn message(&mut self) -> OutboundMessage {
        let (job, task) = (self.job(), self.task());
        let subject = match self.random.random_range(0..3) {
            0 => subject::fact(&job, FactKind::Ended),
            1 => subject::work(&job, WorkKind::Attempt, task),
            _ => subject::work(&job, WorkKind::Done, task),
        };
        let id = format!("id{}", self.random.random_range(0..400));
        OutboundMessage::json(subject, self.random.random::<u32>().to_string()).with_id(id)
    }

    async fn compare(&mut self) {
        match self.random.random_range(0..6) {
            0 => {
                let message = self.message();
                let stream = stream_of(&message);
                let last = self
                    .real
                    .last(stream, message.subject())
                    .await
                    .map_or(0, |last| last.seq);

                let expected = if self.random.random_bool(0.5) {
                    last
                } else {
                    self.first[stream] + self.random.random_range(0..300)
                };

                let real = self
                    .real
                    .replace(stream, message.clone(), expected)
                    .await
                    .unwrap();
                let modelled = self
                    .modelled
                    .replace(stream, message, expected)
                    .await
                    .unwrap();
                assert_eq!(created(&real), created(&modelled));
            }
            1 => {
                let message = self.message();
                let stream = stream_of(&message);
                let real = self.real.create(stream, message.clone()).await.unwrap();
                let modelled = self.modelled.create(stream, message).await.unwrap();
                assert_eq!(created(&real), created(&modelled));
            }
            2 => {
                let message = self.message();
                let stream = stream_of(&message);
                let real = self.real.append(stream, message.clone()).await.unwrap();
                assert_eq!(real, self.modelled.append(stream, message).await.unwrap());
            }
            3 => {
                let message = self.message();
                let stream = stream_of(&message);
                let real = self.real.last(stream, message.subject()).await;
                let modelled = self.modelled.last(stream, message.subject()).await;
                assert_eq!(real.as_ref().map(told), modelled.as_ref().map(told));
            }
            4 => {
                let job = self.job();
                for (stream, filter) in [
                    (topology::JOBS, subject::facts_of_kind(FactKind::Ended)),
                    (topology::WORK, subject::work_of(&job)),
                    (topology::TASKS, subject::tasks_of(&job)),
                ] {
                    let real = self.real.subjects(stream, &filter).await;
                    assert_eq!(real, self.modelled.subjects(stream, &filter).await);
                }
            }
            _ => self.queue().await,
        }
    }

    /// Puts a task on the queue, or takes the oldest one from it.
    async fn queue(&mut self) {
        if self.random.random_bool(0.6) {
            let key = TaskKey::new(self.job(), self.task(), Lane::Lo);
            let real = self.real.enqueue(&key, None).await.unwrap();
            assert_eq!(real, self.modelled.enqueue(&key, None).await.unwrap());
            return;
        }

        let durable = topology::durable(Class::Encode, Lane::Lo);
        let js = &self.real.nats().js;
        let consumer: Consumer<pull::Config> = js
            .get_consumer_from_stream(durable, topology::TASKS)
            .await
            .unwrap();
        let oldest = self.model.messages(topology::TASKS).into_iter().next();

        // The server confirms a message before its consumer knows of it, so one that must come is
        // waited for.
        let mut messages = if oldest.is_some() {
            let batch = consumer.batch().max_messages(1).expires(PATIENCE);
            batch.messages().await.unwrap()
        } else {
            consumer.fetch().max_messages(1).messages().await.unwrap()
        };
        let next = messages.next().await;
        let delivery =
            next.map(|message| Delivery::new(message.unwrap(), self.real.nats()).unwrap());

        let of_model = oldest
            .as_ref()
            .map(|message| (message.subject.clone(), message.seq));
        let of_server = delivery
            .as_ref()
            .map(|delivery| (delivery.subject().to_owned(), delivery.seq));
        assert_eq!(of_server, of_model);

        if let (Some(delivery), Some(oldest)) = (delivery, oldest) {
            delivery.settle(Disposition::Ack).await;
            let process = always_going(&self.model);
            Delivery::over(oldest, process)
                .settle(Disposition::Ack)
                .await;
        }
    }
}

fn stream_of(message: &OutboundMessage) -> &'static str {
    if subject::parse_fact(message.subject()).is_some() {
        topology::JOBS
    } else {
        topology::WORK
    }
}

/// A process to which nothing happens.
fn always_going(model: &Model) -> jetstream::testing::model::Process {
    let (process, mut turns) = model.process();
    tokio::spawn(async move {
        while let Some(turn) = turns.recv().await {
            // Who asked may be gone.
            let _ = turn.send(RequestOutcome::Goes);
        }
    });
    process
}

#[tokio::test]
async fn the_model_of_the_streams_answers_as_a_real_server_does() {
    let (server, real) = Server::start().await;
    let model = Model::default();

    let mut first = BTreeMap::new();
    for stream in topology::streams(&Sizing::default()) {
        let info = real
            .nats()
            .js
            .get_stream(&stream.name)
            .await
            .unwrap()
            .cached_info()
            .clone();
        let begins = info
            .config
            .first_sequence
            .expect("a stream made again has a first sequence");

        // A new stream begins at the time it was created, in milliseconds; the model has to count
        // from the same number.
        model.begin_at(&stream.name, begins);
        first.insert(stream.name, begins);
    }

    let mut both = Both {
        real,
        first,
        modelled: Log::new(always_going(&model)),
        model,
        random: StdRng::seed_from_u64(1),
    };

    for _ in 0..REQUESTS {
        both.compare().await;
    }
    drop(server);
}
