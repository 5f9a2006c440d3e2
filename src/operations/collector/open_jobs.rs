//! The series of each open job, as the text of a scrape.
//!
//! Each collection has its own recorder, so that series disappear with their job: the recorder of
//! the process keeps every series it has ever seen.

use chrono::{DateTime, Utc};
use metrics::{gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::pipeline::project::jobs::Job;
use crate::telemetry::describe_metrics;

/// Media types that are reported as they are: publishers may send any text.
const USUAL_TYPES: [&str; 12] = [
    "application/octet-stream",
    "audio/mp4",
    "audio/mpeg",
    "audio/wav",
    "video/mp2t",
    "video/mp4",
    "video/mpeg",
    "video/ogg",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
    "video/x-msvideo",
];

/// Renders the series of `jobs`.
pub(super) fn render(jobs: &[Job]) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        describe_metrics();
        jobs.iter().for_each(record);
    });
    recorder.handle().render()
}

fn record(job: &Job) {
    let settings = job.settings.as_ref();
    let profile = settings.and_then(|settings| settings["profile"].as_str());
    let mime_type = job
        .mime_type
        .as_deref()
        .and_then(|found| USUAL_TYPES.into_iter().find(|usual| *usual == found));

    // Names of files and people are no labels.
    gauge!(
        "fluxhls_job_info",
        "job_id" => job.job_id.clone(),
        "file_id" => job.file_id.clone(),
        "mime_type" => mime_type.unwrap_or("other"),
        "profile" => profile.unwrap_or_default().to_owned(),
        "status" => job.status.clone(),
    )
    .set(1.0);

    let id = [("job_id", job.job_id.clone())];
    gauge!("fluxhls_job_progress_ratio", &id).set(f64::from(job.progress) / 100.0);
    if let Some(created_at) = job.created_at {
        gauge!("fluxhls_job_created_timestamp_seconds", &id).set(unix_seconds(created_at));
    }
    if let Some(started_at) = job.started_at {
        gauge!("fluxhls_job_started_timestamp_seconds", &id).set(unix_seconds(started_at));
    }
}

fn unix_seconds(time: DateTime<Utc>) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of this century are exact in a float"
    )]
    let milliseconds = time.timestamp_millis() as f64;
    milliseconds / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_job_is_told_without_names_and_odd_values_cannot_break_a_line() {
        let job = Job {
            job_id: "j".to_owned(),
            file_id: "f".to_owned(),
            file_name: Some("private.mov".to_owned()),
            mime_type: Some("text/x-odd\"".to_owned()),
            user_email: Some("someone@example.com".to_owned()),
            status: "processing".to_owned(),
            progress: 41,
            created_at: DateTime::from_timestamp_millis(1_500),
            settings: Some(serde_json::json!({"profile": "a\"b\n"})),
            ..Job::default()
        };

        let text = render(&[job]);
        let mut lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .collect();
        // The recorder is unordered.
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                r#"fluxhls_job_created_timestamp_seconds{job_id="j"} 1.5"#,
                r#"fluxhls_job_info{job_id="j",file_id="f",mime_type="other",profile="a\"b\n",status="processing"} 1"#,
                r#"fluxhls_job_progress_ratio{job_id="j"} 0.41"#,
            ]
        );

        let help = "# HELP fluxhls_job_info Always 1 for each job that is open now; the labels describe it.\n\
                    # TYPE fluxhls_job_info gauge\n";
        assert_eq!(text.matches(help).count(), 1, "{text}");
    }

    #[test]
    fn a_job_that_ended_leaves_no_series() {
        let job = Job {
            job_id: "ended".to_owned(),
            ..Job::default()
        };
        assert!(render(&[job]).contains("ended"));
        assert_eq!(render(&[]), "");
    }
}
