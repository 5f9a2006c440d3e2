//! The composition root: connects to everything, starts the chosen roles, and waits for them to end.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, pull::Config};
use metrics::gauge;
use secrecy::{ExposeSecret as _, SecretString};
use streams::task::{Class, Lane};
use streams::topology;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::encode::{Encoder, Workshop};
use crate::ffmpeg::Tool;
use crate::intake::Intake;
use crate::jetstream::{Lanes, Log, Nats, NatsSettings, pull};
use crate::job::{self, JobSettings, Jobs, Stage};
use crate::package::Packager;
use crate::plan::Planner;
use crate::project;
use crate::shutdown::Shutdown;
use crate::storage::{BlockCache, Locator, SourceSettings, Storage, StorageSettings};

/// What one process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Takes upload events in.
    Intake,
    /// Probes sources and plans jobs.
    Plan,
    /// Encodes chunks and tracks.
    Encode,
    /// Checks outputs and makes them public.
    Package,
    /// Writes facts into the tables, and looks after open jobs.
    Project,
}

impl Role {
    /// Every role, in the order of the flow.
    pub const ALL: [Self; 5] = [Self::Intake, Self::Plan, Self::Encode, Self::Package, Self::Project];

    /// The word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Plan => "plan",
            Self::Encode => "encode",
            Self::Package => "package",
            Self::Project => "project",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            format!(
                "{text:?} is no role; choose from {}",
                Self::ALL.map(Self::as_str).join(",")
            )
        })
    }
}

/// Everything a process needs to know, as plain data.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// Where NATS is.
    pub nats: NatsSettings,
    /// Where the tables are; needed by the role `project` alone.
    pub database_url: Option<SecretString>,
    /// Where objects are.
    pub storage: StorageSettings,
    /// Bucket of the output.
    pub bucket: String,
    /// Buckets that events may name.
    pub source_buckets: Vec<String>,
    /// What is decided about jobs.
    pub job: JobSettings,
    /// ffmpeg and ffprobe.
    pub tool: Tool,
    /// Folder for work in progress.
    pub work_dir: PathBuf,
    /// Chunks encoded at a time.
    pub encode_slots: usize,
    /// How long an event's object is waited for.
    pub source_wait: Duration,
    /// What this process does.
    pub roles: Vec<Role>,
}

/// A running process.
#[derive(Debug)]
pub struct Service {
    /// Access to the jobs.
    pub jobs: Jobs,
    /// The S3 client.
    pub storage: Storage,
    /// What keeps the service from its work.
    pub obstacles: watch::Receiver<Vec<String>>,
    /// How far the tables are, where this process projects.
    pub projected: Option<watch::Receiver<project::Position>>,
    tracker: TaskTracker,
}

impl Service {
    /// Connects to everything and starts the roles. They end when `shutdown` says so.
    ///
    /// # Errors
    /// What could not be reached, and the setting that says where it is.
    pub async fn start(settings: &ServiceSettings, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let nats = Nats::connect(&settings.nats).await?;
        let storage = Storage::connect(&settings.storage).await;
        let jobs = Jobs {
            log: Log::new(nats.clone()),
            output: storage.bucket(&settings.bucket),
            settings: settings.job.clone(),
        };
        let mut start = Start {
            settings,
            projected: None,
            locator: locator(settings)?,
            cache: BlockCache::new(SourceSettings::default()),
            jobs: jobs.clone(),
            storage: storage.clone(),
            shutdown: shutdown.clone(),
            tracker: TaskTracker::new(),
        };
        for role in &settings.roles {
            start.role(*role).await?;
        }
        let (tell, obstacles) = watch::channel(vec!["starting".to_owned()]);
        let watch = Watch {
            jobs: jobs.clone(),
            projected: start.projected.clone(),
            tell,
        };
        tokio::spawn(watch.run(shutdown.stop.clone()));
        start.tracker.close();
        Ok(Self {
            jobs,
            storage,
            obstacles,
            projected: start.projected,
            tracker: start.tracker,
        })
    }

    /// Waits until every role has ended and the last messages have left.
    pub async fn wait(self) {
        self.tracker.wait().await;
        self.jobs.log.nats().flush().await;
    }
}

/// What the URLs of events may mean.
///
/// # Errors
/// When the endpoint or the public root is no URL.
pub fn locator(settings: &ServiceSettings) -> anyhow::Result<Locator> {
    let public = Some(settings.job.public_base_url.as_str());
    let buckets = settings.source_buckets.clone();
    Locator::new(settings.storage.endpoint.as_deref(), buckets, &settings.bucket, public)
        .map_err(|error| anyhow::anyhow!("S3_ENDPOINT or PUBLIC_BASE_URL is not a URL: {error}"))
}

/// What roles are started with.
struct Start<'a> {
    settings: &'a ServiceSettings,
    jobs: Jobs,
    storage: Storage,
    locator: Locator,
    cache: BlockCache,
    shutdown: Shutdown,
    projected: Option<watch::Receiver<project::Position>>,
    tracker: TaskTracker,
}

impl Start<'_> {
    async fn role(&mut self, role: Role) -> anyhow::Result<()> {
        match role {
            Role::Intake => {
                let intake = Intake {
                    jobs: self.jobs.clone(),
                    locator: self.locator.clone(),
                };
                self.tracker.spawn(intake.run(self.shutdown.stop.clone()));
            }
            Role::Plan => {
                let planner = Planner {
                    jobs: self.jobs.clone(),
                    storage: self.storage.clone(),
                    locator: self.locator.clone(),
                    cache: self.cache.clone(),
                    tool: self.settings.tool.clone(),
                    ffmpeg: self.settings.tool.version().await?,
                    source_wait: self.settings.source_wait,
                };
                self.stage(planner, Class::Plan, &[Lane::Hi], 2);
            }
            Role::Encode => {
                let encoder = Encoder {
                    jobs: self.jobs.clone(),
                    storage: self.storage.clone(),
                    cache: self.cache.clone(),
                    tool: self.settings.tool.clone(),
                    ffmpeg: self.settings.tool.version().await?,
                    workshop: Arc::new(Workshop::open(&self.settings.work_dir)?),
                };
                self.stage(
                    encoder.clone(),
                    Class::Encode,
                    &[Lane::Hi, Lane::Lo],
                    self.settings.encode_slots,
                );
                self.stage(encoder, Class::Tracks, &[Lane::Hi], 1);
            }
            Role::Package => {
                self.stage(
                    Packager {
                        jobs: self.jobs.clone(),
                    },
                    Class::Package,
                    &[Lane::Hi],
                    2,
                );
            }
            Role::Project => self.project().await?,
        }
        Ok(())
    }

    fn stage<S: Stage>(&self, stage: S, class: Class, lanes: &[Lane], slots: usize) {
        gauge!("fluxhls_slots", "class" => class.as_str()).set(f64::from(u32::try_from(slots).unwrap_or(u32::MAX)));
        let durables = lanes.iter().map(|lane| topology::durable(class, *lane)).collect();
        let lanes = Lanes {
            stream: topology::TASKS,
            durables,
            slots,
        };
        let (jobs, hand_back) = (self.jobs.clone(), self.shutdown.hand_back.clone());
        let handle = move |delivery| {
            let (jobs, stage, hand_back) = (jobs.clone(), stage.clone(), hand_back.clone());
            async move {
                let busy = gauge!("fluxhls_busy_slots", "class" => class.as_str());
                busy.increment(1.0);
                let settlement = job::run(jobs, stage, delivery, hand_back).await;
                busy.decrement(1.0);
                settlement
            }
        };
        let nats = self.jobs.log.nats().clone();
        let stop = self.shutdown.stop.clone();
        self.tracker
            .spawn(async move { pull(&nats, lanes, || async { true }, handle, stop).await });
    }

    async fn project(&mut self) -> anyhow::Result<()> {
        let url = self.settings.database_url.as_ref();
        let url =
            url.ok_or_else(|| anyhow::anyhow!("the role project needs DATABASE_URL (postgres:// or sqlite://)"))?;
        let database = connect_database(url).await?;
        let pending = migration::pending(&database).await?;
        anyhow::ensure!(
            pending.is_empty(),
            "the database lacks migrations ({}); run `fluxhls migrate up`",
            pending.join(", ")
        );
        let stop = self.shutdown.stop.clone();
        let projector = project::Projector::new(database.clone(), self.jobs.log.clone());
        self.projected = Some(projector.position());
        self.tracker.spawn(projector.run(stop.clone()));
        let (nats, ending) = (self.jobs.log.nats().clone(), stop.clone());
        self.tracker
            .spawn(async move { project::progress::follow(&database, &nats, ending).await });
        self.tracker.spawn(project::sweep::sweep(self.jobs.clone(), stop));
        Ok(())
    }
}

/// Connects to the database.
///
/// # Errors
/// Without the URL, which may hold a password.
pub async fn connect_database(url: &SecretString) -> anyhow::Result<sea_orm::DatabaseConnection> {
    let mut options = sea_orm::ConnectOptions::new(url.expose_secret());
    options
        .sqlx_logging(false)
        .max_connections(5)
        .connect_timeout(Duration::from_secs(10));
    sea_orm::Database::connect(options).await.map_err(|error| {
        let reason = error.to_string().replace(url.expose_secret(), "DATABASE_URL");
        anyhow::anyhow!("cannot connect to the database: {reason}; check DATABASE_URL")
    })
}

/// What may keep the service from its work.
struct Watch {
    jobs: Jobs,
    projected: Option<watch::Receiver<project::Position>>,
    tell: watch::Sender<Vec<String>>,
}

impl Watch {
    /// Looks for obstacles every few seconds until `stop`.
    async fn run(self, stop: CancellationToken) {
        let mut round = 0_u32;
        let mut denied = false;
        loop {
            let mut obstacles = self.consumers().await;
            if round.is_multiple_of(6) {
                denied = self.is_denied().await;
            }
            if denied {
                obstacles.push(
                    "the storage refuses our credentials; check them and what they may do in S3_BUCKET".to_owned(),
                );
            }
            if self
                .projected
                .as_ref()
                .is_some_and(|position| !position.borrow().following)
            {
                obstacles.push("the tables do not follow the job log; check DATABASE_URL and the log".to_owned());
            }
            self.tell.send_replace(obstacles);
            round = round.wrapping_add(1);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Every class and lane needs its consumer.
    async fn consumers(&self) -> Vec<String> {
        let nats = self.jobs.log.nats();
        if !nats.is_connected() {
            return vec!["NATS is not connected".to_owned()];
        }
        let mut obstacles = Vec::new();
        for durable in topology::durables() {
            let name = durable.config.durable_name.unwrap_or_default();
            let found: Result<Consumer<Config>, _> = nats.js.get_consumer_from_stream(&name, durable.stream).await;
            if let Err(error) = found {
                obstacles.push(format!(
                    "consumer {name} of {}: {error}; run `fluxhls provision`",
                    durable.stream
                ));
            }
        }
        obstacles
    }

    /// A look at any key tells whether credentials may be the trouble; only then the canary, which writes, is sent.
    async fn is_denied(&self) -> bool {
        let looked = self
            .jobs
            .output
            .head(&format!("{}canary", self.jobs.settings.output_root))
            .await;
        matches!(looked, Err(error) if error.is_denied()) && self.jobs.is_denied_everywhere().await
    }
}
