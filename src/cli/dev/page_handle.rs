//! From the page to the service: turns files into objects and upload events, and forwards
//! cancellations.

use dev::page::{Accepted, CancelOutcome, CancelRequest, Refusal, UploadRequest};
use jetstream::Log;
use serde_json::{Value, json};
use storage::Bucket;
use streams::{FileId, JobId};
use tokio::sync::mpsc;

use crate::cli::submit::{event_of, publish, upload_key};
use crate::job::Jobs;
use crate::job::cancel::{CancelAnswer, cancel_job};

/// Accepts files from the page until it closes, several at a time.
pub(super) async fn take_files(log: Log, bucket: Bucket, mut files: mpsc::Receiver<UploadRequest>) {
    while let Some(request) = files.recv().await {
        let (log, bucket) = (log.clone(), bucket.clone());
        tokio::spawn(async move {
            let UploadRequest {
                name,
                content_type,
                body,
                reply,
                ..
            } = request;
            let taken = upload_file(&log, &bucket, &name, content_type.as_deref(), body).await;

            // No one waits for the result if the page was closed; the job continues.
            drop(reply.send(taken.map_err(|error| Refusal {
                code: "storage_unavailable".to_owned(),
                message: format!("{error:#}"),
            })));
        });
    }
}

async fn upload_file(
    log: &Log,
    bucket: &Bucket,
    name: &str,
    content_type: Option<&str>,
    body: futures::stream::BoxStream<'static, std::io::Result<bytes::Bytes>>,
) -> anyhow::Result<Accepted> {
    let file_id: FileId = JobId::fresh().as_str().parse()?;
    let job_id = JobId::fresh();
    let key = upload_key(&file_id, name);
    let content_type = content_type.unwrap_or("application/octet-stream");

    let stored = bucket.put_stream(&key, content_type, body).await?;
    let mut event = event_of(bucket, &key, name, stored.size);
    if let Value::Object(fields) = &mut event {
        fields.insert("file_id".to_owned(), json!(file_id));
        fields.insert("job_id".to_owned(), json!(job_id));
        fields.insert("mime_type".to_owned(), json!(content_type));
    }

    publish(log, &event).await?;
    Ok(Accepted {
        file_id: file_id.to_string(),
        job_id: job_id.to_string(),
    })
}

/// Accepts cancellations from the page until it closes.
pub(super) async fn take_cancels(jobs: Jobs, mut wishes: mpsc::Receiver<CancelRequest>) {
    while let Some(request) = wishes.recv().await {
        let outcome = match request.job_id.parse::<JobId>() {
            Ok(job) => match cancel_job(&jobs, &job, "dev page", None).await {
                Ok(CancelAnswer::TooLate) => CancelOutcome::TooLate,
                Ok(CancelAnswer::Unknown) => CancelOutcome::Unknown,
                // A stored request is carried out by the next process that sees it.
                Ok(CancelAnswer::Canceled) | Err(_) => CancelOutcome::Requested,
            },
            Err(_) => CancelOutcome::Unknown,
        };

        // No one waits any more when the page was closed.
        let _ = request.reply.send(outcome);
    }
}
