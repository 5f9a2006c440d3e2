//! `fluxhls run`: roles of the service, until SIGTERM.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::config::{DatabaseArgs, HttpArgs, LadderArgs, NatsArgs, StorageArgs, WorkerArgs};
use crate::job::JobSettings;
use crate::service::http;
use crate::service::shutdown::Shutdown;
use crate::service::{Role, Service, ServiceSettings};
use crate::telemetry::install_metrics;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Comma-separated roles of this process.
    #[arg(
        long,
        env = "ROLES",
        value_delimiter = ',',
        default_value = "intake,plan,encode,package,project"
    )]
    roles: Vec<Role>,
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    storage: StorageArgs,
    #[command(flatten)]
    worker: WorkerArgs,
    #[command(flatten)]
    ladder: LadderArgs,
    #[command(flatten)]
    http: HttpArgs,
}

impl RunArgs {
    fn settings(&self) -> anyhow::Result<ServiceSettings> {
        let worker = self.worker.worker_name();
        Ok(ServiceSettings {
            nats: self.nats.settings(&worker),
            sizing: self.nats.sizing(),
            database: self.database.settings(),
            profiles: self.ladder.profiles()?,
            storage: self.storage.settings(),
            bucket: self.storage.s3_bucket.clone(),
            source_buckets: self.storage.source_buckets(),
            job: JobSettings {
                worker,
                public_base_url: self.storage.public_base_url(),
                live_base_url: self.storage.live_base_url(),
                output_root: self.storage.output_root.clone(),
                source_wait: Duration::from_secs(self.worker.source_wait),
                retry_delay: Duration::from_secs(self.worker.retry_delay),
            },
            tool: self.worker.tool.locate()?,
            sandbox: self.worker.sandbox(),
            work_dir: self.worker.work_dir(),
            capacity: self.worker.capacity(),
            encode_slots: self.worker.encode_slots(),
            remux_max: self.worker.remux_max,
            limits: self.worker.limits.limits(),
            metrics_per_job: self.http.metrics_per_job,
            roles: self.roles.clone(),
        })
    }
}

/// Runs the roles until a signal, then lets tasks finish or releases them.
///
/// # Errors
/// When a service cannot be reached or opened, or the process exits before all tasks are released.
pub(super) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let settings = args.settings()?;
    let shutdown = Shutdown::default();
    shutdown.on_signals(args.worker.grace_period())?;

    let roles: Vec<_> = settings.roles.iter().map(|role| role.as_str()).collect();
    let metrics = install_metrics(&roles.join(","))?;
    let listener = http::listen(args.http.http_addr).await?;
    let address = listener.local_addr()?;

    // A signal must end the start as well: NATS or the database may never answer.
    let starting = Service::start(&settings, &shutdown);
    let Some(service) = shutdown
        .stop
        .run_until_cancelled(starting)
        .await
        .transpose()?
    else {
        tracing::info!("stopped before it had started");
        return Ok(ExitCode::SUCCESS);
    };
    tracing::info!(%address, roles = roles.join(","), worker = settings.job.worker, "fluxhls {} runs", env!("CARGO_PKG_VERSION"));
    let router = http::router(metrics, service.health.clone(), service.open_jobs.clone());

    // Longer than the roles: what a process does while it drains is to be seen, too.
    let drained = CancellationToken::new();
    let server = tokio::spawn(http::serve(listener, router, drained.clone()));

    // The one deadline around everything that ends: nothing within it has to have one.
    let ended = shutdown.leave.run_until_cancelled(service.wait()).await;
    anyhow::ensure!(
        ended.is_some(),
        "exited before all tasks were released, because of a second signal or because NATS, the storage or the database did not answer; the tasks \
         are repeated, and their attempts count"
    );

    drained.cancel();
    let rest = async {
        service.flush().await;
        server.await
    };

    if let Some(served) = shutdown.leave.run_until_cancelled(rest).await {
        served??;
    }

    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}
