//! A source behind loopback HTTP with ranges, as ffmpeg meets it in production.

use std::path::Path;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, extract::State};

use crate::Input;

/// Serves one file until it is dropped.
pub struct Server {
    task: tokio::task::JoinHandle<()>,
    /// What ffmpeg opens.
    pub input: Input,
}

impl Server {
    /// Serves `file`.
    pub async fn of(file: &Path) -> Self {
        let bytes: Arc<[u8]> = std::fs::read(file).expect("the source is there").into();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let input = Input::http(&format!(
            "http://{}/source",
            listener.local_addr().expect("bound")
        ));
        let router = Router::new().route("/source", get(range)).with_state(bytes);
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { task, input }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn range(State(bytes): State<Arc<[u8]>>, headers: HeaderMap) -> Response {
    let wanted = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = wanted else {
        return ([(header::ACCEPT_RANGES, "bytes")], bytes.to_vec()).into_response();
    };

    let first: usize = first.parse().unwrap_or(usize::MAX);
    // The last byte of a range is part of it (RFC 9110 section 14.1.2).
    let end = last
        .parse()
        .map_or(bytes.len(), |last: usize| (last + 1).min(bytes.len()));
    if first >= end {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    }

    let content_range = format!("bytes {first}-{}/{}", end - 1, bytes.len());
    let headers = [
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_RANGE, content_range),
    ];
    (
        StatusCode::PARTIAL_CONTENT,
        headers,
        bytes[first..end].to_vec(),
    )
        .into_response()
}
