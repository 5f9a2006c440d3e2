//! Everything one test needs: a NATS server, an object store behind a proxy, a database, and words
//! to tell a scenario.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use dev::object_store::{ACCESS_KEY_ID, ObjectStore, REGION, SECRET_ACCESS_KEY};
use fluxhls::job::{CircuitBreaker, JobSettings, Jobs};
use jetstream::{Log, Nats as Connection, NatsSettings};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use storage::{Bucket, ObjectKind, StaticCredentials, Storage, StorageSettings};
use streams::fact::{Accepted, Ended, Planned};
use streams::task::TaskName;
use streams::work::{Attempt, Done, WorkKind};
use streams::{FactKind, JobId, subject, topology};
use tempfile::TempDir;
use tokio_util::io::ReaderStream;

use super::clip::Clip;
use super::database::{Database, Engine};
use super::machine_lock::MachineLock;
use super::nats::Nats;
use super::proxy::Proxy;
use super::streams::Streams;
use super::worker::{Said, Worker, say};
use migration::testing::Cluster;

/// The bucket of sources and outputs.
pub(crate) const BUCKET: &str = "media";

/// What one test has to itself. Everything in it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct World {
    /// The server.
    pub(crate) nats: Nats,
    /// The streams of the server.
    pub(crate) streams: Streams,
    /// The tables.
    pub(crate) database: Database,
    /// What stands between the program and its objects.
    pub(crate) proxy: Proxy,
    /// The objects, by a way that no fault of the proxy bars.
    pub(crate) bucket: Bucket,
    store: ObjectStore,
    folder: TempDir,
    lock: MachineLock,
}

impl World {
    /// Starts everything, provisions the streams and migrates the database.
    pub(crate) async fn new(engine: Engine) -> Self {
        Self::bare(engine).await.ready().await
    }

    /// As [`World::new`], with its tables in a PostgreSQL cluster of the test's own.
    pub(crate) async fn on(cluster: &Cluster) -> Self {
        let folder = folder();
        let nats = Nats::start(folder.path()).await;
        let database = Database::create_on(cluster, "").await;
        Self::with(folder, nats, database).await
    }

    async fn ready(self) -> Self {
        for arguments in [&["provision"][..], &["migrate", "up"]] {
            let said = self.say(arguments).await;
            assert_eq!(
                said.code,
                Some(0),
                "fluxhls {arguments:?}: {}{}",
                said.out,
                said.err
            );
        }
        self
    }

    /// Starts everything; no streams, no tables.
    pub(crate) async fn bare(engine: Engine) -> Self {
        let lock = MachineLock::shared().await;
        let folder = folder();
        let nats = Nats::start(folder.path()).await;
        let database = Database::create(engine, folder.path()).await;
        Self::of(lock, folder, nats, database).await
    }

    /// A world of parts made before, with streams and tables.
    pub(crate) async fn with(folder: TempDir, nats: Nats, database: Database) -> Self {
        Self::of(MachineLock::shared().await, folder, nats, database)
            .await
            .ready()
            .await
    }

    /// A world of a program that connects to a leaf node, with its streams in the domain of a hub.
    pub(crate) async fn beyond(
        folder: TempDir,
        mut leaf: Nats,
        hub: &Nats,
        database: Database,
        domain: (&'static str, String),
    ) -> Self {
        leaf.tell(domain.0, domain.1);
        let mut world = Self::of(MachineLock::shared().await, folder, leaf, database).await;
        world.streams.js = hub.connect().await;
        world.ready().await
    }

    async fn of(lock: MachineLock, folder: TempDir, nats: Nats, database: Database) -> Self {
        let store = ObjectStore::start(&folder.path().join("objects"), BUCKET, 0)
            .await
            .unwrap();
        let proxy = Proxy::start(store.address()).await;
        let streams = Streams {
            js: nats.connect().await,
        };
        let bucket = connect(store.endpoint()).await.bucket(BUCKET);

        Self {
            nats,
            streams,
            database,
            proxy,
            bucket,
            store,
            folder,
            lock,
        }
    }

    /// Waits until no other test has a world, and keeps it so: a player that has to share the
    /// machine drops pictures.
    pub(crate) async fn alone(&mut self) {
        // Given back first, or this test would wait for itself.
        self.lock = MachineLock::Released;
        self.lock = MachineLock::alone().await;
    }

    /// A folder that goes with the test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What every process of the program gets to know.
    pub(crate) fn environment(&self) -> BTreeMap<&'static str, String> {
        let mut environment = BTreeMap::from([
            ("DATABASE_URL", self.database.url.clone()),
            ("S3_ENDPOINT", self.proxy.url()),
            ("S3_BUCKET", BUCKET.to_owned()),
            ("S3_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
            // Players come by the straight way, which no fault of the proxy bars.
            ("PUBLIC_BASE_URL", self.store.public_base_url()),
            ("HTTP_ADDR", "127.0.0.1:0".to_owned()),
            ("ENCODE_SLOTS", "1".to_owned()),
            ("SOURCE_WAIT", "2".to_owned()),
            ("RETRY_DELAY", "1".to_owned()),
            ("LOG_FORMAT", "text".to_owned()),
        ]);

        environment.extend(self.nats.environment());
        environment
    }

    /// A worker named `name`, with all roles unless told otherwise.
    pub(crate) fn worker(&self, name: &str) -> Worker<'_> {
        Worker::new(self, name)
    }

    /// Access to the jobs as the program itself has it, its objects behind the proxy.
    pub(crate) async fn access(&self) -> Jobs {
        let settings = NatsSettings::new(self.nats.url(), "integration test");
        let output = connect(self.proxy.url()).await.bucket(BUCKET);

        Jobs {
            log: Log::new(Connection::connect(&settings).await.unwrap()),
            output,
            settings: JobSettings {
                worker: "test".to_owned(),
                public_base_url: self.store.public_base_url(),
                live_base_url: self.store.public_base_url(),
                output_root: "hls/".to_owned(),
                source_wait: Duration::from_secs(2),
                retry_delay: Duration::from_secs(1),
            },
            breaker: CircuitBreaker::default(),
        }
    }

    /// Makes another bucket.
    pub(crate) fn make_bucket(&self, name: &str) {
        std::fs::create_dir(self.folder().join("objects").join(name)).unwrap();
    }

    /// The keys of all objects below `prefix`.
    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let listed = self.bucket.list(prefix).await.unwrap();
        listed.into_iter().map(|object| object.key).collect()
    }

    /// How many bytes all objects below `prefix` are.
    pub(crate) async fn bytes(&self, prefix: &str) -> u64 {
        let listed = self.bucket.list(prefix).await.unwrap();
        listed.iter().map(|object| object.size).sum()
    }

    /// Puts a few bytes under a key, as something a worker left behind.
    pub(crate) async fn leave(&self, key: &str) {
        let kind = ObjectKind::private("application/octet-stream");
        self.bucket
            .put(key, "left behind".into(), kind)
            .await
            .unwrap();
    }

    /// Runs a command of the program to its end, which must be a good one, and returns what it said
    /// as JSON.
    pub(crate) async fn told(&self, arguments: &[&str]) -> Value {
        let said = self.say(arguments).await;
        assert_eq!(said.code, Some(0), "fluxhls {arguments:?}: {said:?}");
        serde_json::from_str(&said.out)
            .unwrap_or_else(|error| panic!("fluxhls {arguments:?}: {error}: {said:?}"))
    }

    /// Runs a command of the program to its end.
    pub(crate) async fn say(&self, arguments: &[&str]) -> Said {
        say(self, arguments).await
    }

    /// Puts a file into the bucket and returns its key.
    pub(crate) async fn upload(&self, clip: &Clip) -> String {
        // The key says nothing of the file, as the contract promises nothing about keys.
        let key = format!("uploads/{}", cuid2::create_id());
        self.upload_as(&key, clip).await;
        key
    }

    /// Puts a file into the bucket under this key.
    pub(crate) async fn upload_as(&self, key: &str, clip: &Clip) {
        let file = tokio::fs::File::open(&clip.path).await.unwrap();
        self.bucket
            .put_stream(key, "video/mp4", ReaderStream::new(file))
            .await
            .unwrap();
    }

    /// What an event calls the object under a key.
    pub(crate) fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket.name())
    }

    /// Puts a file into the bucket and returns the event that tells of it, with a job id of its
    /// own.
    pub(crate) async fn event(&self, clip: &Clip) -> Value {
        let key = self.upload(clip).await;
        json!({
            "file_id": cuid2::create_id(), "job_id": cuid2::create_id(), "name": clip.name,
            "file_url": self.url(&key), "size": clip.size(), "mime_type": "video/mp4",
        })
    }

    /// Uploads a file, publishes its event and returns the job's id.
    pub(crate) async fn submit(&self, clip: &Clip) -> JobId {
        let event = self.event(clip).await;
        self.streams.upload(&event).await;
        job_of(&event)
    }

    /// Publishes an event and has its job planned, by a planner that has left when this returns:
    /// its tasks are on the queue, and no one works on them.
    pub(crate) async fn plan_alone(&self, event: &Value) -> JobId {
        let mut planner = self.worker("planner").roles("intake,plan").start();
        self.streams.upload(event).await;
        let job = job_of(event);
        self.streams.fact(&job, FactKind::Planned).await;
        // It finishes what it has begun: killed now, it would leave the plan task to its
        // redelivery.
        planner.signal(Signal::SIGTERM);
        planner.ended_within(super::DEADLINE).await;
        job
    }

    /// Waits until the upload event with this sequence, and all before it, were taken in.
    pub(crate) async fn taken_in(&self, seq: u64) {
        self.streams
            .acknowledged(topology::UPLOADS, topology::INTAKE, seq)
            .await;
    }

    /// Waits until no task of any job is on the queue.
    pub(crate) async fn queue_is_empty(&self) {
        self.streams.emptied(topology::TASKS).await;
    }

    /// Has tasks of a dead worker given to another one after `pause` instead of the contract's
    /// thirty seconds. It must be longer than the time between two heartbeats.
    pub(crate) async fn redeliver_after(&self, pause: Duration) {
        assert!(pause > topology::HEARTBEAT);

        for durable in topology::durables(&topology::Sizing::default()) {
            let stream = self.streams.js.get_stream(durable.stream).await.unwrap();
            // To create a consumer that exists is to change its configuration.
            stream
                .create_consumer(pull::Config {
                    ack_wait: pause,
                    ..durable.config
                })
                .await
                .unwrap();
        }
    }

    /// Waits until the job ended and the tables have it too.
    pub(crate) async fn ended(&self, job: &JobId) -> Ended {
        let message = self.streams.fact(job, FactKind::Ended).await;
        self.database.has_projected(message.seq).await;
        serde_json::from_slice(&message.payload).unwrap()
    }

    /// Waits until the job ended as completed.
    pub(crate) async fn completed(&self, job: &JobId) -> Ended {
        let ended = self.ended(job).await;
        assert_eq!(
            ended.outcome,
            streams::fact::Outcome::Completed,
            "{:?}",
            ended.error
        );
        ended
    }

    /// The plan of a job.
    pub(crate) async fn planned(&self, job: &JobId) -> Planned {
        serde_json::from_slice(&self.streams.fact(job, FactKind::Planned).await.payload).unwrap()
    }

    /// How a job began.
    pub(crate) async fn accepted(&self, job: &JobId) -> Accepted {
        serde_json::from_slice(&self.streams.fact(job, FactKind::Accepted).await.payload).unwrap()
    }

    /// How often each fact of a job was published, `playable` apart: whether that comes depends on
    /// who is faster.
    pub(crate) async fn facts(&self, job: &JobId) -> BTreeMap<FactKind, u64> {
        let counts = self
            .streams
            .counts(topology::JOBS, &subject::facts_of(job))
            .await;
        counts
            .into_iter()
            .map(|(subject, count)| (subject::parse_fact(&subject).unwrap().1, count))
            .filter(|(kind, _)| *kind != FactKind::Playable)
            .collect()
    }

    /// Every job there is.
    pub(crate) async fn jobs(&self) -> Vec<JobId> {
        let accepted = self
            .streams
            .counts(topology::JOBS, &subject::facts_of_kind(FactKind::Accepted))
            .await;
        accepted
            .keys()
            .map(|subject| subject::parse_fact(subject).unwrap().0)
            .collect()
    }

    /// How many times each task of a job was started, hand-backs included.
    pub(crate) async fn starts(&self, job: &JobId) -> BTreeMap<TaskName, u64> {
        let counts = self
            .streams
            .counts(topology::WORK, &subject::work_of(job))
            .await;
        counts
            .into_iter()
            .filter_map(|(subject, count)| match subject::parse_work(&subject)? {
                (_, WorkKind::Attempt, task) => Some((task, count)),
                _ => None,
            })
            .collect()
    }

    /// Every result of the job's tasks.
    pub(crate) async fn results(&self, job: &JobId) -> Vec<Done> {
        let messages = self
            .streams
            .all(topology::WORK, &format!("hls.v1.work.{job}.done.>"))
            .await;
        messages
            .iter()
            .map(|message| serde_json::from_slice(&message.payload).unwrap())
            .collect()
    }

    /// Waits for the first start of a task that `wanted` takes.
    pub(crate) async fn started<F: FnMut(&Attempt) -> bool>(
        &self,
        job: &JobId,
        mut wanted: F,
    ) -> Attempt {
        let filter = format!("hls.v1.work.{job}.attempt.>");
        let read = |payload: &[u8]| serde_json::from_slice::<Attempt>(payload).unwrap();
        let message = self
            .streams
            .first(topology::WORK, &filter, |message| {
                wanted(&read(&message.payload))
            })
            .await;
        read(&message.payload)
    }
}

/// A folder for everything of one test.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("fluxhls-test-")
        .tempdir()
        .unwrap()
}

async fn connect(endpoint: String) -> Storage {
    let credentials = StaticCredentials {
        access_key_id: ACCESS_KEY_ID.to_owned(),
        secret_access_key: SECRET_ACCESS_KEY.to_owned().into(),
    };
    let settings = StorageSettings {
        endpoint: Some(endpoint),
        credentials: Some(credentials),
        ..StorageSettings::new(REGION)
    };
    Storage::connect(&settings).await
}

/// The job id that an event names.
pub(crate) fn job_of(event: &Value) -> JobId {
    event["job_id"].as_str().unwrap().parse().unwrap()
}

/// The file id that an event names.
pub(crate) fn file_of(event: &Value) -> &str {
    event["file_id"].as_str().unwrap()
}
