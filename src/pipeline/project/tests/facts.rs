//! Facts as producers write them: messages with a JSON body.

use async_nats::HeaderMap;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use jetstream::StoredMessage;
use serde_json::{Value, json};
use streams::{FactKind, subject};

/// When the server of these tests stored sequence `seq`: one message a second, with digits below a
/// microsecond.
pub(super) fn time(seq: u64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2026-11-22T10:00:00.123456789Z".parse().unwrap();
    start + TimeDelta::seconds(i64::try_from(seq).unwrap())
}

/// The same as the tables keep it.
pub(super) fn row_time(seq: u64) -> Option<NaiveDateTime> {
    let cut = time(seq).format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
    Some(cut.parse().unwrap())
}

/// A fact of `job` about `file`, with these fields in addition to the common ones.
pub(super) fn fact(
    seq: u64,
    job: &str,
    file: &str,
    kind: FactKind,
    fields: &Value,
) -> StoredMessage {
    let mut body = json!({"v": 1, "job_id": job, "file_id": file, "at": "2020-01-01T00:00:00Z"});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }

    StoredMessage {
        subject: subject::fact(&job.parse().unwrap(), kind),
        seq,
        time: time(seq),
        headers: HeaderMap::new(),
        payload: body.to_string().into(),
    }
}

pub(super) fn accepted(seq: u64, job: &str, file: &str) -> StoredMessage {
    accepted_with(seq, job, file, &json!({}))
}

/// An `accepted` whose event has these fields in addition to or instead of the usual ones.
pub(super) fn accepted_with(seq: u64, job: &str, file: &str, event: &Value) -> StoredMessage {
    let mut upload = json!({
        "file_id": file, "name": "holiday.mp4", "mime_type": "video/mp4", "size": 1000, "file_url": "s3://b/holiday.mp4",
        "uploaded_by": "ana", "project_id": "summer", "folder_path": "/a", "metadata": {"k": [1]},
        "settings": {"profile": "standard", "priority": "normal", "max_attempts": 5}
    });
    for (name, value) in event.as_object().unwrap() {
        upload[name] = value.clone();
    }

    let fields = json!({
        "upload": upload, "output_prefix": format!("hls/{file}/"), "identity": format!("job:{job}"), "upload_seq": 0, "upload_time": "2026-11-22T10:00:00Z",
        "manifest_url": format!("https://cdn/hls/{file}/master.m3u8")
    });
    fact(seq, job, file, FactKind::Accepted, &fields)
}

pub(super) fn planned(seq: u64, job: &str, file: &str) -> StoredMessage {
    let fields = json!({
        "source": {"bucket": "b", "key": "holiday.mp4", "etag": "e", "size": 2000, "mime_type": "video/quicktime",
                   "container": "mov", "duration": 10.0, "tracks": []},
        "timeline": {"zero": "0/1", "container_start": "0/1"},
        "programme": 8.0, "segment": {"duration": "4/1", "count": 2, "target_duration": 4},
        "renditions": [], "tasks": [], "warnings": [], "encoder": {"ffmpeg": "5.1"}
    });
    fact(seq, job, file, FactKind::Planned, &fields)
}

pub(super) fn playable(seq: u64, job: &str, file: &str) -> StoredMessage {
    let fields = json!({"manifest_url": format!("https://cdn/hls/{file}/{job}/live.m3u8")});
    fact(seq, job, file, FactKind::Playable, &fields)
}

pub(super) fn completed(seq: u64, job: &str, file: &str, superseded: bool) -> StoredMessage {
    ended(
        seq,
        job,
        file,
        &json!({
            "outcome": "completed", "manifest_url": format!("https://cdn/hls/{file}/master.m3u8"),
            "thumbnail_url": format!("https://cdn/hls/{file}/{job}/poster.jpg"), "duration_seconds": 10.0, "progress": 100,
            "superseded": superseded
        }),
    )
}

pub(super) fn failed(seq: u64, job: &str, file: &str) -> StoredMessage {
    let error = json!({"code": "truncated_upload", "class": "permanent", "message": "It ends early.", "task": "plan"});
    ended(
        seq,
        job,
        file,
        &json!({"outcome": "failed", "progress": 37, "error": error}),
    )
}

pub(super) fn canceled(seq: u64, job: &str, file: &str) -> StoredMessage {
    ended(
        seq,
        job,
        file,
        &json!({"outcome": "canceled", "progress": 12}),
    )
}

fn ended(seq: u64, job: &str, file: &str, given: &Value) -> StoredMessage {
    let mut fields = json!({
        "manifest_url": null, "thumbnail_url": null, "storyboard_url": null, "duration_seconds": null,
        "elapsed_seconds": 21.0, "superseded": false, "warnings": [], "error": null, "renditions": []
    });
    for (name, value) in given.as_object().unwrap() {
        fields[name] = value.clone();
    }
    fact(seq, job, file, FactKind::Ended, &fields)
}

pub(super) fn cancel(seq: u64, job: &str, file: &str) -> StoredMessage {
    fact(
        seq,
        job,
        file,
        FactKind::Cancel,
        &json!({"by": "ana", "reason": "no"}),
    )
}

pub(super) fn verdict(seq: u64, job: &str, file: &str) -> StoredMessage {
    fact(
        seq,
        job,
        file,
        FactKind::Verdict,
        &json!({"outcome": "cancel", "error": null}),
    )
}

/// An `accepted` of the upload event with this sequence.
pub(super) fn accepted_of(seq: u64, job: &str, file: &str, upload_seq: u64) -> StoredMessage {
    with(accepted(seq, job, file), "upload_seq", upload_seq)
}

/// An `accepted` of a file that was deleted before its event was taken in.
pub(super) fn accepted_too_late(seq: u64, job: &str, file: &str) -> StoredMessage {
    with(accepted(seq, job, file), "deleted", true)
}

/// The `pruned` of a job whose file was deleted.
pub(super) fn deleted(seq: u64, job: &str, file: &str) -> StoredMessage {
    with(pruned(seq, job, file), "deleted", true)
}

/// The same fact with one field more, or changed.
pub(super) fn with(fact: StoredMessage, name: &str, value: impl Into<Value>) -> StoredMessage {
    let mut body: Value = serde_json::from_slice(&fact.payload).unwrap();
    body[name] = value.into();
    StoredMessage {
        payload: body.to_string().into(),
        ..fact
    }
}

pub(super) fn pruned(seq: u64, job: &str, file: &str) -> StoredMessage {
    fact(seq, job, file, FactKind::Pruned, &json!({}))
}
