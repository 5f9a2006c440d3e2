//! A Prometheus of the test's own.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use url::Url;

use crate::harness::output::http;
use crate::harness::process::{Process, command, tool};
use crate::harness::until;

/// A server that scrapes one process every second.
pub(super) struct Prometheus {
    url: String,
    _process: Process,
}

impl Prometheus {
    /// Starts it in `folder`, and waits until it has scraped.
    pub(super) async fn start(folder: &Path, target: &str, rules: &Path) -> Self {
        let config = folder.join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\n\
             rule_files: ['{}']\n\
             scrape_configs: [{{ job_name: fluxhls, static_configs: [{{ targets: ['{target}'] }}] }}]\n",
            rules.display()
        );
        std::fs::write(&config, text).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut program = command(tool("prometheus"));
        program
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("prometheus").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        program.stdout(Stdio::null());
        let server = Self {
            url: format!("http://127.0.0.1:{port}"),
            _process: Process::start(program, "prometheus", folder),
        };
        until("Prometheus has scraped", async || {
            // While it starts it listens already, and answers 503.
            let answer = http::try_get(&server.query("up == 1"), "bytes=0-").await;
            answer.is_ok_and(|answer| answer.status < 300)
                && !server.ask("up == 1").await.is_empty()
        })
        .await;
        server
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    fn query(&self, expression: &str) -> Url {
        Url::parse_with_params(
            &format!("{}/api/v1/query", self.url),
            [("query", expression)],
        )
        .unwrap()
    }

    /// What it answers to an expression now.
    pub(super) async fn ask(&self, expression: &str) -> Vec<Value> {
        let answer = http::get(&self.query(expression)).await;
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["status"], "success", "{expression}: {body}");
        let result = body["data"]["result"].as_array().unwrap().clone();
        // A number that is none is no data.
        result
            .into_iter()
            .filter(|series| series["value"][1] != "NaN")
            .collect()
    }

    /// Whether an alert fires now.
    pub(super) async fn fires(&self, name: &str) -> bool {
        let firing = format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}");
        !self.ask(&firing).await.is_empty()
    }

    /// Whether it has loaded an alert, and evaluates it without an error.
    pub(super) async fn knows_alert(&self, name: &str) -> bool {
        let url = format!("{}/api/v1/rules", self.url).parse().unwrap();
        let body: Value = serde_json::from_slice(&http::get(&url).await.body).unwrap();
        let groups = body["data"]["groups"].as_array().unwrap().iter();
        groups
            .flat_map(|group| group["rules"].as_array().unwrap())
            .any(|rule| rule["name"] == name && rule["health"] == "ok")
    }
}

/// Holds a scrape against the linter of Prometheus.
pub(super) async fn check_metrics(scrape: &[u8]) {
    let mut promtool = command(tool("promtool"));
    promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut child = promtool
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(scrape).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{said}{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
