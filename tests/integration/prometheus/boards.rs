//! The dashboards: read, and held against the rules of good ones.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

/// A dashboard.
pub(super) struct Board {
    pub(super) title: String,
    pub(super) panels: Vec<Panel>,
    json: Value,
}

/// A panel that asks something.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) expressions: Vec<String>,
    json: Value,
}

impl Board {
    /// Both.
    pub(super) fn all() -> Vec<Self> {
        ["overview", "operations"].map(Self::read).into()
    }

    fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/fluxhls/dashboards");
        let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let panels = json["panels"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|panel| panel["type"] != "row");
        Self {
            title: json["title"].as_str().unwrap().to_owned(),
            panels: panels.map(Panel::read).collect(),
            json: json.clone(),
        }
    }
}

impl Panel {
    fn read(json: &Value) -> Self {
        let targets = json["targets"].as_array().unwrap();
        Self {
            title: json["title"].as_str().unwrap_or_default().to_owned(),
            expressions: targets
                .iter()
                .map(|target| target["expr"].as_str().unwrap().to_owned())
                .collect(),
            json: json.clone(),
        }
    }
}

/// An expression as Grafana sends it, with every job and a window of five minutes.
pub(super) fn substituted(expression: &str) -> String {
    expression
        .replace("$job", ".+")
        .replace("$__rate_interval", "5m")
}

#[test]
fn dashboards_can_be_read_by_any_grafana_and_point_at_its_own_data() {
    let boards = Board::all();
    let uids: BTreeSet<&str> = boards
        .iter()
        .map(|board| board.json["uid"].as_str().unwrap())
        .collect();
    assert_eq!(
        uids,
        BTreeSet::from(["fluxhls-overview", "fluxhls-operations"])
    );
    for board in &boards {
        assert_eq!(board.json["schemaVersion"], 39);
        assert!(board.json.get("id").is_none() && board.json.get("__inputs").is_none());
        let variables = board.json["templating"]["list"].as_array().unwrap();
        let names: Vec<&str> = variables
            .iter()
            .filter_map(|variable| variable["name"].as_str())
            .collect();
        assert_eq!(names, ["datasource", "job"]);
        assert_eq!(
            (&variables[1]["allValue"], &variables[1]["multi"]),
            (&json!(".+"), &json!(true))
        );
    }
}

#[test]
fn every_panel_says_what_it_shows_and_asks_for_the_chosen_jobs_alone() {
    for board in Board::all() {
        let mut titles = BTreeSet::new();
        for panel in &board.panels {
            let title = &panel.title;
            assert!(
                !title.is_empty() && titles.insert(title.clone()),
                "{}: {title:?}",
                board.title
            );
            assert!(
                panel.json["description"]
                    .as_str()
                    .is_some_and(|text| text.ends_with('.')),
                "{title}"
            );
            assert!(
                panel.json["fieldConfig"]["defaults"]["unit"].is_string(),
                "{title}"
            );
            assert_eq!(panel.json["datasource"]["uid"], "${datasource}", "{title}");
            for expression in &panel.expressions {
                let selectors = expression.matches("job=~\"$job\"").count();
                let metrics = expression.matches('{').count();
                assert!(selectors == metrics && metrics > 0, "{title}: {expression}");
                let is_rate = expression.contains("rate(") || expression.contains("increase(");
                assert!(
                    !is_rate
                        || expression.contains("$__rate_interval")
                        || expression.contains("[1h]"),
                    "{title}"
                );
            }
        }
    }
}

#[test]
fn what_every_projector_tells_of_the_whole_is_never_added_up() {
    use fluxhls::telemetry::catalogue::{CATALOGUE, Emitter};
    let shared: Vec<&str> = CATALOGUE
        .iter()
        .filter(|metric| metric.emitted_by == Emitter::Installation)
        .map(|metric| metric.name)
        .collect();
    for board in Board::all() {
        for (panel, expression) in board.panels.iter().flat_map(|panel| {
            panel
                .expressions
                .iter()
                .map(move |expression| (panel, expression))
        }) {
            let asks = shared
                .iter()
                .any(|name| expression.contains(&format!("{name}{{")));
            assert!(
                !asks || expression.contains("max"),
                "{}: {expression}",
                panel.title
            );
        }
    }
}
