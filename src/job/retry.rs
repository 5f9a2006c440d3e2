//! Sending a job's event again: a new job, from what the log knows of the old one.

use async_nats::HeaderMap;
use jetstream::{Log, SendError, send};
use serde_json::{Value, json};
use streams::fact::Accepted;
use streams::{FactKind, JobId, Unread, subject, topology, wire};

/// What the log knows of a job that is to be repeated.
#[derive(Debug)]
pub enum JobToRetry {
    /// It has ended, and began like this.
    Ended(Box<Accepted>),
    /// It has not ended.
    Open,
    /// The log does not know it.
    Unknown,
    /// How it began needs a newer release, or is broken.
    Unread(Unread),
}

/// Looks a job up that is to be repeated.
pub async fn find_job_to_retry(log: &Log, job: &JobId) -> JobToRetry {
    let fact = async |kind| log.last(topology::JOBS, &subject::fact(job, kind)).await;
    let Some(began) = fact(FactKind::Accepted).await else {
        return JobToRetry::Unknown;
    };

    if fact(FactKind::Ended).await.is_none() {
        return JobToRetry::Open;
    }
    wire::read(&began.subject, &began.payload).map_or_else(JobToRetry::Unread, JobToRetry::Ended)
}

/// Publishes the event of `job`, which repeats `old`; returns its stream sequence.
///
/// # Errors
/// When no stream takes it.
pub async fn publish_retry(log: &Log, old: &Accepted, job: &JobId) -> Result<u64, SendError> {
    let event = make_retry_event(old, job).to_string();
    send(log, subject::UPLOAD, HeaderMap::new(), event.into()).await
}

/// The event that starts a new job on the source, the settings and the output place of an old one.
#[must_use]
pub fn make_retry_event(old: &Accepted, job: &JobId) -> Value {
    let mut event = serde_json::to_value(&old.upload).unwrap_or_default();

    // Bucket and key are taken as they are. A URL would be decoded again, and both at once are
    // refused.
    if let (Some(source), Value::Object(fields)) = (&old.source, &mut event) {
        fields.remove("file_url");
        fields.insert("bucket".to_owned(), json!(source.bucket));
        fields.insert("key".to_owned(), json!(source.key));
    }

    event["job_id"] = json!(job);
    event["retry_of"] = json!(old.head.job_id);
    event["output_prefix"] = json!(old.output_prefix);
    event
}

#[cfg(test)]
mod tests {
    use serde_json::from_value;
    use streams::upload::{self, Upload};

    use super::*;

    #[test]
    fn a_retry_is_the_same_upload_under_a_new_job() {
        let old: Accepted = from_value(json!({
            "v": 1, "job_id": "old", "file_id": "f", "at": "2026-11-22T10:00:00Z", "output_prefix": "hls/elsewhere/",
            "manifest_url": "https://cdn/master.m3u8", "identity": "job:old", "upload_seq": 1, "upload_time": "2026-11-22T10:00:00Z",
            "upload": {
                "file_id": "f", "name": "ü.mp4", "mime_type": "video/mp4", "size": 7, "file_url": "https://b.example/50%2520off.mp4", "etag": "e",
                "uploaded_by": "ana", "project_id": "p", "folder_path": "/a", "metadata": {"k": [1]},
                "settings": {"profile": "hq", "priority": "high", "max_attempts": 2}
            },
            "source": {"bucket": "b", "key": "50%20off.mp4"}
        }))
        .unwrap();

        let body = make_retry_event(&old, &"new".parse().unwrap()).to_string();
        let arrival = upload::read(None, body.as_bytes(), "hls/").unwrap();

        let meant = old.source.as_ref().unwrap().url();
        assert_eq!(arrival.upload.file_url, meant);
        assert_eq!(
            Upload {
                file_url: old.upload.file_url.clone(),
                ..arrival.upload
            },
            old.upload
        );

        assert_eq!(arrival.output_prefix, old.output_prefix);
        assert_eq!(arrival.violations, [""; 0]);
        assert_eq!(arrival.job_id.map(String::from).as_deref(), Some("new"));
        assert_eq!(arrival.retry_of.map(String::from).as_deref(), Some("old"));
    }
}
