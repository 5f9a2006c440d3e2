//! `/metrics`, `/livez` and `/readyz`.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How the service is, in sentences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// What prevents the service from working; none means ready.
    pub problems: Vec<String>,
    /// What an operator should know although the work continues.
    pub notices: Vec<String>,
}

impl Health {
    /// For a service that has not checked yet.
    #[must_use]
    pub fn starting() -> Self {
        Self {
            problems: vec!["starting".to_owned()],
            notices: Vec::new(),
        }
    }

    /// Of a service that takes nothing new and waits for its last tasks.
    #[must_use]
    pub fn draining() -> Self {
        Self {
            problems: vec!["stopping; tasks in work may finish".to_owned()],
            notices: Vec::new(),
        }
    }
}

#[derive(Clone)]
struct AppState {
    metrics: PrometheusHandle,
    health: watch::Receiver<Health>,
    open_jobs: watch::Receiver<String>,
}

/// The routes. `open_jobs` is the text of the series that the recorder does not hold.
pub fn router(
    metrics: PrometheusHandle,
    health: watch::Receiver<Health>,
    open_jobs: watch::Receiver<String>,
) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .with_state(AppState {
            metrics,
            health,
            open_jobs,
        })
}

/// Serves the routes on `listener` until `stop`.
///
/// # Errors
/// When accepting connections fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// Opens the port.
///
/// # Errors
/// Names the address and the setting when it is taken.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        std::io::Error::new(
            error.kind(),
            format!("cannot listen on {address}: {error}; set HTTP_ADDR to a free address"),
        )
    })
}

async fn scrape(State(state): State<AppState>) -> Response {
    // The figures of the process itself are read when they are asked for.
    metrics_process::Collector::default().collect();
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        state.metrics.render() + &state.open_jobs.borrow(),
    )
        .into_response()
}

async fn readiness(State(state): State<AppState>) -> Response {
    let Health { problems, notices } = state.health.borrow().clone();
    // Notices do not make the service unready: its work continues.
    if problems.is_empty() {
        (["ready".to_owned()]
            .into_iter()
            .chain(notices)
            .collect::<Vec<_>>()
            .join("\n")
            + "\n")
            .into_response()
    } else {
        let lines = problems.into_iter().chain(notices).collect::<Vec<_>>();
        (StatusCode::SERVICE_UNAVAILABLE, lines.join("\n") + "\n").into_response()
    }
}
