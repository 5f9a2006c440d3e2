//! The series of each open job, as the text of a scrape. They vanish with their job, which the
//! recorder's gauges would not.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use crate::pipeline::project::jobs::Job;
use crate::telemetry::catalogue::CATALOGUE;

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
    let mut text = String::new();
    series(&mut text, "fluxhls_job_info", jobs, |job| {
        Some((labels(job), 1.0))
    });
    series(&mut text, "fluxhls_job_progress_ratio", jobs, |job| {
        Some((id(job), f64::from(job.progress) / 100.0))
    });
    series(
        &mut text,
        "fluxhls_job_created_timestamp_seconds",
        jobs,
        |job| Some((id(job), seconds(job.created_at?))),
    );
    series(
        &mut text,
        "fluxhls_job_started_timestamp_seconds",
        jobs,
        |job| Some((id(job), seconds(job.started_at?))),
    );

    text
}

fn series(
    text: &mut String,
    name: &str,
    jobs: &[Job],
    value: impl Fn(&Job) -> Option<(String, f64)>,
) {
    let help = CATALOGUE
        .iter()
        .find(|metric| metric.name == name)
        .map_or("", |metric| metric.help);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (labels, value) in jobs.iter().filter_map(value) {
        let _ = writeln!(text, "{name}{{{labels}}} {value}");
    }
}

fn id(job: &Job) -> String {
    format!("job_id=\"{}\"", escaped(&job.job_id))
}

fn labels(job: &Job) -> String {
    let settings = job.settings.as_ref();
    let profile = settings.and_then(|settings| settings["profile"].as_str());
    let mime_type = job
        .mime_type
        .as_deref()
        .filter(|found| USUAL_TYPES.contains(found));

    // Names of files and people are no labels.
    format!(
        "{},file_id=\"{}\",mime_type=\"{}\",profile=\"{}\",status=\"{}\"",
        id(job),
        escaped(&job.file_id),
        mime_type.unwrap_or("other"),
        escaped(profile.unwrap_or_default()),
        escaped(&job.status)
    )
}

fn seconds(time: DateTime<Utc>) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of this century are exact in a float"
    )]
    let milliseconds = time.timestamp_millis() as f64;
    milliseconds / 1000.0
}

/// A label's value, as the [text
/// format](https://prometheus.io/docs/instrumenting/exposition_formats/) wants it.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
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
        let told: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            told,
            [
                r#"fluxhls_job_info{job_id="j",file_id="f",mime_type="other",profile="a\"b\n",status="processing"} 1"#,
                r#"fluxhls_job_progress_ratio{job_id="j"} 0.41"#,
                r#"fluxhls_job_created_timestamp_seconds{job_id="j"} 1.5"#,
            ]
        );
    }
}
