//! A running process, from its connections to its last message.

use std::sync::Arc;

use ffmpeg::sandbox::Support;
use jetstream::{Delivery, Disposition, Lanes, Log, Nats, pull};
use metrics::gauge;
use storage::{BlockCache, Locator, SourceSettings, Storage};
use streams::task::{Class, Lane};
use streams::topology;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::readiness::ReadinessProbe;
use super::{Role, ServiceSettings};
use crate::job::{self, CircuitBreaker, Jobs, Stage, WorkerContext};
use crate::operations::api::Api;
use crate::operations::collector::{DatabaseHealth, MetricsCollector};
use crate::pipeline::encode::{self, Encoder};
use crate::pipeline::intake::Intake;
use crate::pipeline::package;
use crate::pipeline::plan::{Planner, Shares};
use crate::pipeline::project;
use crate::service::http::Health;
use crate::service::shutdown::Shutdown;
use crate::worker::admission::ResourceBudget;
use crate::worker::work_dir::WorkDir;

/// Tracks tasks encoded at a time, in addition to chunks: the audio of a long film takes minutes,
/// and must not delay that of a short clip.
const TRACKS_SLOTS: usize = 4;

/// A running process.
#[derive(Debug)]
pub struct Service {
    /// Access to the jobs.
    pub jobs: Jobs,
    /// The S3 client.
    pub storage: Storage,
    /// What prevents the service from working.
    pub health: watch::Receiver<Health>,
    /// The series of each open job as the text of a scrape; empty where this process does not
    /// project.
    pub open_jobs: watch::Receiver<String>,
    /// How far the tables are, where this process projects.
    pub projected: Option<watch::Receiver<project::Position>>,
    tracker: TaskTracker,
}

impl Service {
    /// Connects to everything and starts the roles. They end when `shutdown` says so.
    ///
    /// # Errors
    /// When a service cannot be reached, with the setting of its address.
    pub async fn start(settings: &ServiceSettings, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let nats = Nats::connect(&settings.nats).await?;
        let storage = Storage::connect(&settings.storage).await;
        storage::register_metrics();
        let jobs = Jobs {
            log: Log::new(nats.clone()),
            output: storage.bucket(&settings.bucket),
            settings: settings.job.clone(),
            breaker: CircuitBreaker::default(),
        };

        let (open_jobs_sender, open_jobs) = watch::channel(String::new());
        let mut start = Start {
            settings,
            open_jobs_sender,
            projected: None,
            database: None,
            locator: settings.locator()?,
            cache: BlockCache::new(source_settings(settings)),
            jobs: jobs.clone(),
            storage: storage.clone(),
            worker: None,
            shutdown: shutdown.clone(),
            tracker: TaskTracker::new(),
        };

        // Only these roles run ffmpeg, so only they need the sandbox that is asked for.
        if settings
            .roles
            .iter()
            .any(|role| matches!(role, Role::Plan | Role::Encode))
        {
            Support::here().meets(settings.sandbox)?;
        }

        for role in &settings.roles {
            start.start_role(*role).await?;
        }

        let (sender, health) = watch::channel(Health::starting());
        let probe = ReadinessProbe {
            jobs: jobs.clone(),
            sizing: settings.sizing.clone(),
            projected: start.projected.clone(),
            database: start.database.clone(),
            budget: start.worker.as_ref().map(|context| context.budget.clone()),
            sender,
        };
        tokio::spawn(probe.run(shutdown.stop.clone()));
        // A tracker that is not closed never ends its `wait`, even when no task is left.
        start.tracker.close();

        Ok(Self {
            jobs,
            storage,
            health,
            open_jobs,
            projected: start.projected,
            tracker: start.tracker,
        })
    }

    /// Waits until every role has ended.
    pub async fn wait(&self) {
        self.tracker.wait().await;
    }

    /// Waits until the last messages have left.
    pub async fn flush(&self) {
        self.jobs.log.nats().flush().await;
    }
}

/// How sources are read: the cache takes at most an eighth of the memory there is.
fn source_settings(settings: &ServiceSettings) -> SourceSettings {
    let defaults = SourceSettings::for_stalls_of(settings.storage.stall_timeout);
    SourceSettings {
        cache_bytes: defaults.cache_bytes.min(settings.capacity.memory() / 8),
        ..defaults
    }
}

/// What roles are started with.
struct Start<'a> {
    settings: &'a ServiceSettings,
    jobs: Jobs,
    storage: Storage,
    /// Opened by the first role that runs ffmpeg.
    worker: Option<WorkerContext>,
    locator: Locator,
    cache: BlockCache,
    shutdown: Shutdown,
    projected: Option<watch::Receiver<project::Position>>,
    database: Option<watch::Receiver<DatabaseHealth>>,
    open_jobs_sender: watch::Sender<String>,
    tracker: TaskTracker,
}

impl Start<'_> {
    async fn start_role(&mut self, role: Role) -> anyhow::Result<()> {
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
                    context: self.worker_context().await?,
                    profiles: self.settings.profiles.clone(),
                    remux_max: self.settings.remux_max,
                    shares: Shares::default(),
                };
                self.start_stage(planner, Class::Plan, &[Lane::Hi], 2);
            }
            Role::Encode => {
                // An encoder of the ladder that this ffmpeg lacks is reported at the start, and not
                // by the first job that needs it.
                ffmpeg::encoder_check::profiles(&self.settings.tool, &self.settings.profiles)
                    .await?;

                let encoder = Encoder {
                    context: self.worker_context().await?,
                };
                let slots = self.settings.encode_slots;
                encode::register_metrics();
                self.start_stage(encoder.clone(), Class::Encode, &[Lane::Hi, Lane::Lo], slots);
                self.start_stage(encoder, Class::Tracks, &[Lane::Hi], TRACKS_SLOTS);
            }
            Role::Package => {
                self.consume(Class::Package, &[Lane::Hi], 2, package::handle);
            }
            Role::Project => self.start_project().await?,
        }
        Ok(())
    }

    /// What the roles of this process that run ffmpeg work with: they share one work folder and one
    /// budget.
    async fn worker_context(&mut self) -> anyhow::Result<WorkerContext> {
        if let Some(context) = &self.worker {
            return Ok(context.clone());
        }

        let work_dir = Arc::new(WorkDir::open(&self.settings.work_dir)?);
        let cache_bytes = self.cache.settings().cache_bytes;
        let budget = ResourceBudget::new(self.settings.capacity, work_dir.path(), cache_bytes);
        let cleanup = Arc::clone(&work_dir).run_cleanup(self.shutdown.stop.clone());
        self.tracker.spawn(cleanup);

        let context = WorkerContext {
            jobs: self.jobs.clone(),
            storage: self.storage.clone(),
            cache: self.cache.clone(),
            tool: self.settings.tool.clone(),
            ffmpeg_version: self.settings.tool.version().await?,
            work_dir,
            budget,
            limits: self.settings.limits,
        };
        Ok(self.worker.insert(context).clone())
    }

    fn start_stage<S: Stage>(&self, stage: S, class: Class, lanes: &[Lane], slots: usize) {
        self.consume(class, lanes, slots, move |jobs, delivery, hand_back| {
            job::run(jobs, stage.clone(), delivery, hand_back)
        });
    }

    /// Runs `handle` for the tasks of a class, this many at a time.
    fn consume<F>(
        &self,
        class: Class,
        lanes: &[Lane],
        slots: usize,
        handle: impl Fn(Jobs, Arc<Delivery>, CancellationToken) -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = Disposition> + Send + 'static,
    {
        gauge!("fluxhls_slots", "class" => class.as_str())
            .set(f64::from(u32::try_from(slots).unwrap_or(u32::MAX)));
        job::register_metrics(class);

        let durables = lanes
            .iter()
            .map(|lane| topology::durable(class, *lane))
            .collect();
        let lanes = Lanes {
            stream: topology::TASKS,
            durables,
            slots,
            busy: gauge!("fluxhls_busy_slots", "class" => class.as_str()),
        };

        let (jobs, hand_back) = (self.jobs.clone(), self.shutdown.hand_back.clone());
        let handle = move |delivery| handle(jobs.clone(), delivery, hand_back.clone());

        let nats = self.jobs.log.nats().clone();
        let stop = self.shutdown.stop.clone();
        self.tracker
            .spawn(async move { pull(&nats, lanes, || async { true }, handle, stop).await });
    }

    /// Runs a future that does not end on its own, and may be dropped at any moment.
    fn spawn_until_stop(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.shutdown.stop.clone();
        self.tracker.spawn(stop.run_until_cancelled_owned(work));
    }

    async fn start_project(&mut self) -> anyhow::Result<()> {
        let database = self.settings.database.as_ref().ok_or_else(|| {
            anyhow::anyhow!(
                "the role project needs the tables: set DATABASE_URL (postgres:// or sqlite://)"
            )
        })?;

        let database = project::Database::connect(database).await?;
        let schema = database.schema().await?;
        anyhow::ensure!(schema.may_run(), "{schema}");
        if schema != migration::Schema::Current {
            tracing::warn!("{schema}");
        }

        let stop = self.shutdown.stop.clone();
        project::register_metrics();
        let projector = project::Projector::new(database.clone(), self.jobs.log.clone());
        self.projected = Some(projector.position());
        self.tracker.spawn(projector.run(stop.clone()));

        let (health, database_health) = watch::channel(DatabaseHealth::default());
        self.database = Some(database_health);
        let collector = MetricsCollector {
            database: database.clone(),
            health,
            nats: self.jobs.log.nats().clone(),
            per_job: self.settings.metrics_per_job,
            open: self.open_jobs_sender.clone(),
        };
        self.spawn_until_stop(collector.run());

        let api = Api {
            database: database.clone(),
            jobs: self.jobs.clone(),
        };
        // It ends on its own, once the requests that arrived before `stop` are answered.
        self.tracker.spawn(api.run(stop));

        self.spawn_until_stop(project::progress::follow(
            database,
            self.jobs.log.nats().clone(),
        ));
        self.spawn_until_stop(project::sweep::run(self.jobs.clone()));
        Ok(())
    }
}
