//! Logs for the tests of the invariants, in few words.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use streams::JobId;

use super::super::log::{JobLog, read};
use crate::harness::streams::Message;

/// The job of every test.
pub(super) fn job() -> JobId {
    "j1".parse().unwrap()
}

/// This many seconds after the beginning.
pub(super) fn second(n: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(n)
}

/// Messages at subjects of that job, each a second and a sequence after the other.
pub(super) fn log(told: &[(&str, Value)]) -> BTreeMap<JobId, JobLog> {
    let messages: Vec<Message> = told
        .iter()
        .zip(1..)
        .map(|((tail, extra), seq)| message(tail, extra, seq))
        .collect();
    let (work, facts): (Vec<_>, Vec<_>) = messages
        .into_iter()
        .partition(|message| message.subject.contains(".work."));
    read(&facts, &work)
}

fn message(tail: &str, extra: &Value, seq: u64) -> Message {
    let stream = if tail.contains('.') { "work" } else { "job" };
    let mut body = json!({
        "v": 1, "job_id": "j1", "file_id": "f1", "at": "2026-11-22T10:00:00Z", "id": "x", "task": "v0", "worker": "worker-0",
        "attempt": 0, "output": { "inline": { "renditions": [] } }, "reason": "",
        "outcome": if tail == "verdict" { "commit" } else { "completed" },
        "manifest_url": "http://cdn/hls/f1/master.m3u8", "thumbnail_url": null, "storyboard_url": null, "duration_seconds": 1.0,
        "elapsed_seconds": 1.5, "progress": 100, "superseded": false, "warnings": [], "error": null, "renditions": [],
        "output_prefix": "hls/f1/", "identity": "job:j1", "upload_seq": 1, "upload_time": "2026-11-22T10:00:00Z",
        "upload": {
            "file_id": "f1", "name": "a.mp4", "mime_type": "video/mp4", "size": 1, "file_url": "s3://media/a", "folder_path": "/",
            "metadata": {}, "settings": { "profile": "chaos", "priority": "normal", "max_attempts": 5 },
        },
    });
    for (name, value) in extra.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    Message {
        subject: format!("hls.v1.{stream}.j1.{tail}"),
        seq,
        time: second(i64::try_from(seq).unwrap()),
        headers: async_nats::HeaderMap::new(),
        payload: body.to_string().into(),
    }
}

/// A job that was accepted, decided and ended.
pub(super) fn ended() -> Vec<(&'static str, Value)> {
    ["accepted", "verdict", "ended"]
        .map(|fact| (fact, json!({})))
        .to_vec()
}
