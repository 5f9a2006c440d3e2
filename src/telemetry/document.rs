//! `docs/metrics.md`, generated from the catalogue.

use std::fmt::Write as _;

use super::catalogue::{CATALOGUE, Emitter, Kind, Label, Metric};

/// The part after the tables, written by hand.
const VIEWS: &str = include_str!("views.md");

/// The page on every metric, as Markdown.
#[must_use]
pub fn render_page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Every process answers `GET /metrics` on `HTTP_ADDR`. This page is generated from `src/telemetry/catalogue.rs`; a test compares the two,\n\
         and another compares the catalogue with the metrics of a live process. In addition there are the usual `process_*` metrics.\n",
    );

    for (emitter, title) in [
        (Emitter::All, "Emitted by every process"),
        (Emitter::Intake, "Emitted by the role `intake`"),
        (
            Emitter::Worker,
            "Emitted by the roles `plan`, `encode` and `package`: sum them",
        ),
        (
            Emitter::Projector,
            "Emitted by the role `project` about its own work: sum them",
        ),
        (
            Emitter::Installation,
            "Emitted by the role `project` about the whole installation: take the `max`",
        ),
    ] {
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "\n## {title}\n\n| metric | type | labels | what |\n|---|---|---|---|\n"
        );
        for metric in CATALOGUE
            .iter()
            .filter(|metric| metric.emitted_by == emitter)
        {
            let _ = writeln!(page, "{}", row(metric));
        }
    }

    page + "\n" + VIEWS
}

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        Kind::Counter => "counter".to_owned(),
        Kind::Gauge => "gauge".to_owned(),
        Kind::Seconds(buckets) => {
            let buckets: Vec<String> = buckets.iter().map(ToString::to_string).collect();
            format!("histogram: {}", buckets.join(", "))
        }
    };

    let label = |label: &Label| format!("`{}` ({})", label.name, label.values);
    let labels: Vec<String> = metric.labels.iter().map(label).collect();
    format!(
        "| `{}` | {kind} | {} | {} |",
        metric.name,
        labels.join("; "),
        metric.help
    )
}
