//! The subjects of a stream, as its leader counts them. Uses its own request: that of the client
//! requests the first page twice, and these lists are the most frequent requests of the service to
//! NATS.

use std::collections::BTreeMap;

use async_nats::jetstream::response::Response;
use serde::{Deserialize, Serialize};

use super::Nats;

/// What the server is asked, by its API `STREAM.INFO` (`subjects_filter` and `offset` of
/// `io.nats.jetstream.api.v1.stream_info_request`).
#[derive(Debug, Serialize)]
struct Request<'a> {
    subjects_filter: &'a str,
    offset: usize,
}

/// One page of its answer.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    total: usize,
    state: State,
}

#[derive(Debug, Deserialize)]
struct State {
    #[serde(default)]
    subjects: Option<BTreeMap<String, u64>>,
}

/// How many messages each subject under `filter` holds.
pub(super) async fn subjects(
    nats: &Nats,
    stream: &str,
    filter: &str,
) -> Result<BTreeMap<String, u64>, String> {
    let mut found = BTreeMap::new();
    loop {
        let request = Request {
            subjects_filter: filter,
            offset: found.len(),
        };

        let answer = nats
            .js
            .request(format!("STREAM.INFO.{stream}"), &request)
            .await;
        let page: Page = match answer.map_err(|error| error.to_string())? {
            Response::Ok(page) => page,
            Response::Err { error } => return Err(error.to_string()),
        };
        let subjects = page.state.subjects.unwrap_or_default();

        // An empty page ends the listing, too: subjects may go between two requests, and then the
        // total is never reached.
        let is_last = subjects.is_empty() || found.len() + subjects.len() >= page.total;
        found.extend(subjects);

        if is_last {
            return Ok(found);
        }
    }
}
