//! Questions of API services, answered over NATS: status, cancel, retry and statistics, by the
//! micro-service `fluxhls`.
//!
//! Any process with the role `project` that receives a request answers it. [`streams::api`] has the
//! bodies.

mod cancel;
mod refusal;
mod retry;
mod statistics;
mod status;

use std::time::Duration;

use async_nats::service::{Request, ServiceExt as _};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::SelectAll;
use serde::Serialize;
use serde::de::DeserializeOwned;
use streams::api::{GROUP, SERVICE};
use strum::{Display, VariantArray};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::refusal::Refusal;
use crate::job::Jobs;
use crate::pipeline::project::Database;

/// How long an answer may take. The NATS command line waits five seconds by default.
const ANSWER_LIMIT: Duration = Duration::from_secs(4);
/// Questions, of all kinds together, that are answered at a time.
const MAX_CONCURRENT: usize = 16;

/// Answers questions.
#[derive(Debug, Clone)]
pub struct Api {
    /// The tables.
    pub database: Database,
    /// The jobs.
    pub jobs: Jobs,
}

impl Api {
    /// Answers until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        if let Err(error) = self.serve(&stop).await {
            tracing::error!(%error, "requests on {GROUP}.> are not answered by this process");
        }
    }

    async fn serve(&self, stop: &CancellationToken) -> Result<(), async_nats::Error> {
        let client = self.jobs.log.nats().client.clone();
        let service = client
            .service_builder()
            .description("Status, cancel, retry and statistics of transcoding jobs")
            .start(SERVICE, env!("CARGO_PKG_VERSION"))
            .await?;

        let group = service.group(GROUP);
        let mut questions = SelectAll::new();
        for &question in Question::VARIANTS {
            let endpoint = group.endpoint(question).await?;
            questions.push(endpoint.map(move |request| (question, request)));
        }

        let answered = questions.for_each_concurrent(MAX_CONCURRENT, |(question, request)| {
            let api = self.clone();
            async move { api.respond(question, &request).await }
        });

        let mut answered = std::pin::pin!(answered);
        tokio::select! {
            () = &mut answered => {}
            () = stop.cancelled() => {
                service.stop().await?;
                // The endpoints now end on their own, once the requests received so far are
                // answered. If NATS is down, none of them ends, and no one can be answered.
                let _ = timeout(ANSWER_LIMIT, answered).await;
            }
        }
        Ok(())
    }

    async fn respond(&self, question: Question, request: &Request) {
        let answer = self.answer(question, request.message.payload.clone());
        let answered = timeout(ANSWER_LIMIT, answer)
            .await
            .unwrap_or_else(|_| Err(Refusal::timeout(ANSWER_LIMIT)));
        if let Err(error) = request.respond(answered.map_err(Into::into)).await {
            tracing::debug!(%error, "a reply could not be sent");
        }
    }

    async fn answer(&self, question: Question, body: Bytes) -> Result<Bytes, Refusal> {
        match question {
            Question::Status => encode(&self.status(body).await?),
            Question::Cancel => encode(&self.cancel(body).await?),
            Question::Retry => encode(&self.retry(body).await?),
            Question::Stats => encode(&self.statistics().await?),
        }
    }
}

/// What can be asked; the last token of its subject.
#[derive(Debug, Clone, Copy, Display, VariantArray)]
#[strum(serialize_all = "lowercase")]
enum Question {
    Status,
    Cancel,
    Retry,
    Stats,
}

fn encode(answer: &impl Serialize) -> Result<Bytes, Refusal> {
    let written = serde_json::to_vec(answer).map_err(|error| Refusal::internal(&error))?;
    Ok(written.into())
}

/// Reads the body of a request; an empty one is an empty object.
fn parse<R: DeserializeOwned>(body: &[u8]) -> Result<R, Refusal> {
    // `nats request` without a body sends an empty one.
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(&error))
}
