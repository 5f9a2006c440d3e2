//! What the log, or a receipt, remembers of a job.

use std::collections::BTreeSet;

use chrono::Utc;
use streams::fact::{Accepted, Head};
use streams::plan::Planned;
use streams::upload::{Settings, SourceObject, Upload};
use streams::{EventOrder, JobId};

use super::find::PublicOutput;
use crate::job::receipt::Receipt;
use crate::job::state::WorkState;
use crate::job::{Entry, JobState, Jobs, WorkCounter};
use crate::pipeline::package::{Publication, read_task_results};

/// The receipt of a job from the log; none if the log no longer has enough.
pub async fn receipt(jobs: &Jobs, job: &JobId) -> Option<Receipt> {
    let state = jobs.state(job).await.ok()??;
    let made = read_task_results(jobs, &state).await.ok()?;

    let publication = Publication {
        jobs,
        plan: state.plan()?,
        prefix: &state.accepted.fact.output_prefix,
        accepted_seq: state.accepted.seq,
        made: &made,
        revision: 0,
        intact: &[],
        given_up: &BTreeSet::new(),
        work_counter: &WorkCounter::default(),
    };

    publication.receipt().await.ok()
}

/// The job as a stage sees it, from its receipt alone: the log may have forgotten it long ago.
pub(super) fn state(found: &PublicOutput, planned: &Planned, manifest_url: String) -> JobState {
    let source = &planned.source;
    let object = SourceObject {
        bucket: source.bucket.clone(),
        key: source.key.clone(),
    };

    let upload = Upload {
        file_id: planned.head.file_id.clone(),
        // A receipt does not contain the name of the upload.
        name: planned.head.file_id.to_string(),
        mime_type: source.mime_type.clone(),
        size: source.size,
        file_url: object.url(),
        etag: Some(source.etag.clone()),
        uploaded_by: None,
        project_id: None,
        folder_path: "/".to_owned(),
        metadata: serde_json::Value::Null,
        settings: Settings {
            profile: planned.profile.clone(),
            ..Settings::default()
        },
    };

    let accepted = Accepted {
        head: Head::new(planned.head.job_id.clone(), planned.head.file_id.clone()),
        upload,
        source: Some(object),
        output_prefix: found.prefix.clone(),
        manifest_url,
        retry_of: None,
        identity: format!("job:{}", planned.head.job_id),
        event: EventOrder::new(0, Utc::now()),
        deleted: false,
    };

    JobState {
        job_id: planned.head.job_id.clone(),
        accepted: Entry {
            fact: accepted,
            seq: found.receipt.accepted_seq,
            time: Utc::now(),
        },
        planned: Some(Entry {
            fact: planned.clone(),
            seq: 0,
            time: Utc::now(),
        }),
        cancel: None,
        verdict: None,
        playable: false,
        ended: false,
        traceparent: None,
        work: WorkState::default(),
    }
}
