//! Dashboards and alert rules, on a real Prometheus that scrapes a real run.

mod boards;
mod firing;
mod server;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fluxhls::telemetry::catalogue::CATALOGUE;
use serde_json::{Value, json};
use streams::fact::Outcome;

use self::boards::{Board, Panel};
use self::server::Prometheus;
use crate::harness::clip::{Clip, moving};
use crate::harness::database::Engine;
use crate::harness::process::{command, output_of, tool};
use crate::harness::until;
use crate::harness::worker::{address, page};
use crate::harness::world::{World, job_of};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rules() -> PathBuf {
    root().join("helm/fluxhls/rules/fluxhls.yaml")
}

/// The alerts, each with its name and expression.
fn alerts() -> Vec<(String, String, Value)> {
    let file: Value = serde_yaml_ng::from_str(&std::fs::read_to_string(rules()).unwrap()).unwrap();
    let rules = file["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap());
    let text = |rule: &Value, name: &str| rule[name].as_str().unwrap().to_owned();
    rules
        .map(|rule| {
            (
                text(rule, "alert"),
                text(rule, "expr"),
                rule["annotations"].clone(),
            )
        })
        .collect()
}

/// The metrics an expression names.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("fluxhls_"))
        .map(|word| {
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| word.strip_suffix(part));
            base.unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn every_metric_of_dashboards_and_alerts_is_in_the_catalogue() {
    let known: BTreeSet<String> = CATALOGUE
        .iter()
        .map(|metric| metric.name.to_owned())
        .collect();
    let panels = Board::all().into_iter().flat_map(|board| board.panels);
    let expressions = panels.flat_map(|panel| panel.expressions);
    let mut named_at_all = BTreeSet::new();
    for expression in expressions.chain(alerts().into_iter().map(|(_, expression, _)| expression)) {
        let names = named(&expression);
        assert!(names.is_subset(&known), "{expression}");
        named_at_all.extend(names);
    }
    // What is counted and shown nowhere is counted for nothing.
    let unseen: Vec<_> = known.difference(&named_at_all).collect();
    assert_eq!(
        unseen,
        [
            "fluxhls_job_created_timestamp_seconds",
            "fluxhls_oldest_pending_job_age_seconds"
        ]
    );
}

#[test]
fn every_alert_has_an_entry_in_the_runbook_and_every_entry_an_alert() {
    let book = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let entries: Vec<&str> = book
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let names: Vec<String> = alerts().iter().map(|(name, ..)| name.clone()).collect();
    assert_eq!(entries, names);
    for (name, _, annotations) in alerts() {
        let anchor = format!("docs/runbook.md#{}", name.to_lowercase());
        assert!(
            annotations["runbook_url"]
                .as_str()
                .unwrap()
                .ends_with(&anchor),
            "{name}"
        );
    }
    for entry in book.split("\n## ").skip(1) {
        for part in ["**Means:**", "**First look:**", "**Fix:**"] {
            assert!(entry.contains(part), "{entry}");
        }
    }
}

#[tokio::test]
async fn promtool_takes_the_rules_and_their_tests() {
    let said = output_of(
        command(tool("promtool"))
            .args(["check", "rules"])
            .arg(rules()),
    )
    .await;
    assert!(String::from_utf8(said).unwrap().contains("17 rules found"));
    let tests = root().join("tests/prometheus/alerts.yaml");
    output_of(
        command(tool("promtool"))
            .args(["test", "rules"])
            .arg(&tests),
    )
    .await;
    let text = std::fs::read_to_string(tests).unwrap();
    for (name, ..) in alerts() {
        assert!(
            text.contains(&format!("{name} fires")) && text.contains(&format!("{name} is quiet")),
            "{name}"
        );
    }
}

/// A run with a job of every outcome, a retry, and one job that is still open.
async fn lively(world: &World) {
    let clip = moving("320x180", 6.0).make().await;
    let completed = world.submit(&clip).await;
    world.completed(&completed).await;
    let noise = Clip::of_bytes(world.folder(), "noise.mp4", &[7; 4096]);
    let failed = world.submit(&noise).await;
    assert_eq!(world.ended(&failed).await.outcome, Outcome::Failed);
    let missing = |name: &str| json!({ "file_id": name, "job_id": name, "name": "late.mp4", "file_url": world.url("uploads/late.mp4") });
    let canceled = missing("canceled");
    world.streams.upload(&canceled).await;
    world.accepted(&job_of(&canceled)).await;
    assert_eq!(
        world.say(&["jobs", "cancel", "canceled"]).await.code,
        Some(0)
    );
    assert_eq!(
        world
            .say(&["jobs", "retry", completed.as_str(), "--wait"])
            .await
            .code,
        Some(0)
    );
    // Its object is looked for, longer than this test takes: those are the requests that find
    // nothing.
    world.streams.upload(&missing("open")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_and_every_alert_is_answered_after_a_real_run() {
    let world = World::new(Engine::Postgresql).await;
    let worker = world.worker("one").setting("SOURCE_WAIT", 600).start();
    let prometheus = Prometheus::start(world.folder(), &address(&worker).await, &rules()).await;
    lively(&world).await;
    for (what, expression) in [
        (
            "the open job is reported",
            "fluxhls_job_info{job_id=\"open\"}",
        ),
        (
            "the retry is counted",
            "fluxhls_jobs_finished_total{outcome=\"completed\"} == 2",
        ),
        ("the sweep has reported", "fluxhls_open_jobs"),
        // What rates are taken of has been there for a while.
        (
            "the completed jobs are counted",
            "increase(fluxhls_jobs_finished_total{outcome=\"completed\"}[5m]) > 0",
        ),
        (
            "the failure is counted",
            "increase(fluxhls_jobs_failed_total{code=\"not_media\"}[5m]) > 0",
        ),
    ] {
        until(what, async || !prometheus.ask(expression).await.is_empty()).await;
    }
    for board in Board::all() {
        for Panel {
            title, expressions, ..
        } in &board.panels
        {
            for expression in expressions {
                let found = prometheus.ask(&boards::substituted(expression)).await;
                assert!(!found.is_empty(), "{} / {title}: {expression}", board.title);
            }
        }
    }
    for (name, expression, _) in alerts() {
        prometheus.ask(&expression).await;
        assert!(prometheus.knows_alert(&name).await, "{name}");
    }
    let scrape = page(&worker, "/metrics").await.body;
    server::check_metrics(&scrape).await;
    draw(&prometheus).await;
}

/// Draws the panels, where `make pictures` asks for it.
#[expect(
    clippy::disallowed_methods,
    reason = "the setting of the tests themselves"
)]
async fn draw(prometheus: &Prometheus) {
    if std::env::var_os("PICTURES").is_none() {
        return;
    }
    for name in ["overview", "operations"] {
        let mut python = command(tool("python"));
        python
            .arg(root().join("tests/prometheus/picture.py"))
            .arg(prometheus.url());
        python.arg(Path::new("helm/fluxhls/dashboards").join(format!("{name}.json")));
        python.arg(Path::new("docs/images").join(format!("{name}.png")));
        output_of(python.current_dir(root())).await;
    }
}
