//! The parts of `dev`, started in the order of their dependencies and stopped in reverse.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use dev::loopback;
use dev::nats_server::{NatsServer, Settings};
use dev::object_store::{ACCESS_KEY_ID, ObjectStore, REGION, SECRET_ACCESS_KEY};
use dev::page::{JobList, PageHandle, router};
use ffmpeg::Tool;
use ffmpeg::sandbox::SandboxRequirement;
use jetstream::{Nats, NatsSettings};
use media::ladder::{Limits, Profiles};
use secrecy::SecretString;
use storage::{StaticCredentials, StorageSettings};
use streams::merge::LargerValue;
use streams::provision;
use streams::topology::Sizing;
use strum::VariantArray as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{job_list, page_handle};
use crate::config::{DATABASE_MAX_CONNECTIONS, METRICS_PER_JOB, REMUX_MAX};
use crate::job::JobSettings;
use crate::pipeline::project::{Database, DatabaseSettings};
use crate::service::http;
use crate::service::shutdown::Shutdown;
use crate::service::{Role, Service, ServiceSettings};
use crate::telemetry::install_metrics;
use crate::worker::admission::Capacity;

/// Bucket of everything.
const BUCKET: &str = "media";
/// How long running tasks may continue after Ctrl+C. Their work is not lost: the next start
/// continues it.
pub(super) const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// The preferred ports of the parts. If a port is in use, the next free one is taken.
#[derive(Debug, Clone)]
pub(super) struct StackOptions {
    pub(super) state: PathBuf,
    pub(super) http_port: u16,
    pub(super) nats_port: u16,
    pub(super) s3_port: u16,
    pub(super) nats_server: Option<PathBuf>,
    pub(super) profiles: Profiles,
    pub(super) tool: Tool,
}

/// The running parts.
pub(super) struct Stack {
    pub(super) nats: NatsServer,
    pub(super) store: ObjectStore,
    pub(super) service: Service,
    pub(super) database: Database,
    pub(super) ffmpeg: String,
    pub(super) page: SocketAddr,
    server: JoinHandle<std::io::Result<()>>,
}

impl Stack {
    /// Starts every part and waits until each one answers.
    ///
    /// # Errors
    /// When a part cannot be started or reached.
    pub(super) async fn start(wanted: &StackOptions, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let ffmpeg = wanted.tool.version().await?;

        let nats = Settings {
            binary: wanted.nats_server.clone(),
            state: wanted.state.join("nats"),
            port: wanted.nats_port,
        };
        let nats = NatsServer::start(&nats).await?;
        let store = ObjectStore::start(&wanted.state.join("s3"), BUCKET, wanted.s3_port).await?;

        let settings = settings(wanted, &nats, &store);
        let database =
            Database::connect(settings.database.as_ref().context("dev has a database")?).await?;
        let schema = database.migrate().await?;
        anyhow::ensure!(schema.may_run(), "{schema}");

        // The roles start only once the streams and the tables exist.
        let client = Nats::connect(&settings.nats).await?;
        provision::apply(&client.js, &Sizing::default(), LargerValue::Keep).await?;
        let metrics = install_metrics("dev")?;
        let service = Service::start(&settings, shutdown).await?;

        let listener = loopback::bind(wanted.http_port).await?;
        let page = listener.local_addr()?;
        let page_handle = open_page_handle(&service, &store, shutdown);
        let router = http::router(metrics, service.health.clone(), service.open_jobs.clone())
            .merge(router(page_handle));
        let server = tokio::spawn(http::serve(listener, router, shutdown.stop.clone()));

        Ok(Self {
            nats,
            store,
            service,
            database,
            ffmpeg,
            page,
            server,
        })
    }

    /// Stops every part, after `shutdown` was asked to stop.
    pub(super) async fn stop(self) {
        self.service.wait().await;
        self.service.flush().await;
        self.server.abort();
        drop(self.database);
        self.store.stop().await;
        self.nats.stop().await;
    }
}

fn open_page_handle(service: &Service, store: &ObjectStore, shutdown: &Shutdown) -> PageHandle {
    let (uploads, files) = mpsc::channel(4);
    let (cancels, wishes) = mpsc::channel(4);
    let (show, shown) = watch::channel(JobList::default());

    let bucket = service.jobs.output.clone();
    tokio::spawn(page_handle::take_files(
        service.jobs.log.clone(),
        bucket,
        files,
    ));
    tokio::spawn(page_handle::take_cancels(service.jobs.clone(), wishes));
    tokio::spawn(job_list::keep_current(
        service.jobs.log.clone(),
        show,
        shutdown.stop.clone(),
    ));

    PageHandle {
        uploads,
        cancels,
        job_list: shown,
        media_origin: store.endpoint(),
        closing: shutdown.stop.clone(),
    }
}

fn settings(wanted: &StackOptions, nats: &NatsServer, store: &ObjectStore) -> ServiceSettings {
    let credentials = StaticCredentials {
        access_key_id: ACCESS_KEY_ID.to_owned(),
        secret_access_key: SecretString::from(SECRET_ACCESS_KEY),
    };

    let base = store.public_base_url();
    let base = if base.ends_with('/') {
        base
    } else {
        format!("{base}/")
    };

    ServiceSettings {
        nats: NatsSettings::new(nats.url(), "fluxhls dev"),
        sizing: Sizing::default(),
        database: Some(database(&wanted.state)),
        profiles: wanted.profiles.clone(),
        storage: StorageSettings {
            endpoint: Some(store.endpoint()),
            credentials: Some(credentials),
            ..StorageSettings::new(REGION)
        },
        bucket: BUCKET.to_owned(),
        source_buckets: vec![BUCKET.to_owned()],
        job: JobSettings {
            worker: format!("dev-{}", std::process::id()),
            live_base_url: base.clone(),
            public_base_url: base,
            output_root: "hls/".to_owned(),
            source_wait: Duration::from_secs(10),
            retry_delay: Duration::from_secs(2),
        },
        tool: wanted.tool.clone(),
        sandbox: SandboxRequirement::Auto,
        work_dir: wanted.state.join("work"),
        capacity: Capacity::default(),
        encode_slots: ffmpeg::cores().div_ceil(2).max(1),
        remux_max: REMUX_MAX,
        limits: Limits::default(),
        metrics_per_job: METRICS_PER_JOB,
        roles: Role::VARIANTS.to_vec(),
    }
}

/// The database file, created if missing.
fn database(state: &Path) -> DatabaseSettings {
    DatabaseSettings {
        url: SecretString::from(format!(
            "sqlite://{}?mode=rwc",
            state.join("dev.db").display()
        )),
        max_connections: DATABASE_MAX_CONNECTIONS,
    }
}
