//! The routes of the page.

use axum::Json;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use serde::Serialize;
use tokio::sync::oneshot;

use super::assets::{asset, page};
use super::guard::{SecurityHeaders, add_security_headers, refuse_foreign_pages};
use super::page_handle::{CancelOutcome, CancelRequest, PageHandle};
use super::updates::updates;
use super::upload::upload;
use crate::loopback::refuse_foreign_hosts;

/// The page and its interface over `page_handle`; serve it on a loopback listener
/// ([`bind`](crate::loopback::bind)), for it refuses every other host name.
pub fn router(page_handle: PageHandle) -> Router {
    let security = SecurityHeaders::new(&page_handle.media_origin);
    let interface = Router::new()
        .route("/files", post(upload))
        .route("/updates", get(updates))
        .route("/jobs/{job_id}/cancel", post(cancel))
        .layer(from_fn(refuse_foreign_pages))
        .with_state(page_handle);

    Router::new()
        .route("/", get(page))
        .route("/assets/{name}", get(asset))
        .nest("/api", interface)
        .layer(from_fn(refuse_foreign_hosts))
        // The last layer is the outermost one, so refusals carry these headers as well.
        .layer(from_fn_with_state(security, add_security_headers))
}

/// The answer to a cancellation.
#[derive(Debug, Serialize)]
struct Canceled {
    outcome: CancelOutcome,
}

async fn cancel(
    State(page_handle): State<PageHandle>,
    Path(job_id): Path<String>,
) -> Result<(StatusCode, Json<Canceled>), StatusCode> {
    let (reply, answer) = oneshot::channel();
    // Sending and waiting fail only when the other end of the page handle is gone, as when the server
    // stops.
    page_handle
        .cancels
        .send(CancelRequest { job_id, reply })
        .await
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;

    let outcome = answer.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let status = match outcome {
        CancelOutcome::Requested => StatusCode::ACCEPTED,
        CancelOutcome::TooLate => StatusCode::CONFLICT,
        CancelOutcome::Unknown => StatusCode::NOT_FOUND,
    };
    Ok((status, Json(Canceled { outcome })))
}
