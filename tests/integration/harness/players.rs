//! Real players in real browsers and outside them, driven by the scripts of `tests/browser`.

use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use super::process::{command, tool};

/// How long a browser may take for one output.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a script of `tests/browser` and returns what it printed; a failure shows it.
pub(crate) async fn browse(script: &str, arguments: &[&str]) -> String {
    let output = run(script, arguments).await;
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{script} {arguments:?} ended with {}:\n{said}{complained}",
        output.status
    );
    said
}

async fn run(script: &str, arguments: &[&str]) -> Output {
    let path = format!("{}/tests/browser/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut node = command(tool("node"));
    let output = tokio::time::timeout(PATIENCE, node.arg(&path).args(arguments).output()).await;
    output
        .unwrap_or_else(|_| panic!("{script} did not end within {PATIENCE:?}"))
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Plays a manifest in a real browser, through every joint and with seeks across them, in one
/// buffered range.
pub(crate) async fn plays_seamlessly(manifest: &str) {
    browse("play.mjs", &[manifest, "--json"]).await;
}

/// Watches a manifest with every player as a viewer does: it has to begin, to seek, to switch to
/// every rung and track, and to end. With `PLAYERS` set, as `make players` does, also in Firefox
/// and in players that need no browser.
pub(crate) async fn watches(manifest: &str, expected: &[&str]) {
    browse("watch.mjs", &[&[manifest, "--json"], expected].concat()).await;
    if is_thorough() {
        // hls.js 1.4 and Shaka Player 4.16 are watched in one browser.
        let firefox = ["--browser", "firefox", "--player", "hls.js,shaka,video.js"];
        browse(
            "watch.mjs",
            &[&[manifest, "--json"], &firefox[..], expected].concat(),
        )
        .await;
        browse("native.mjs", &[manifest]).await;
    }
}

/// Whether players are asked for that are not installed everywhere.
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the tests, which have no other"
)]
fn is_thorough() -> bool {
    std::env::var_os("PLAYERS").is_some()
}

/// Follows a live output with these players, or all, joined at once and late: each has to begin
/// at the beginning, not to jump, and to end. Returns which did not, with what was seen.
pub(crate) async fn follow(manifest: &str, players: Option<&str>) -> BTreeMap<String, Vec<Value>> {
    let chosen = players.map_or_else(Vec::new, |players| vec!["--player", players]);
    let output = run(
        "grow.mjs",
        &[&[manifest, "--late", "20"], &chosen[..]].concat(),
    )
    .await;
    assert_ne!(
        output.status.code(),
        Some(2),
        "grow.mjs: {}",
        text(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();

    let mut wrong = BTreeMap::<_, Vec<_>>::new();
    for viewing in report["viewings"].as_array().unwrap() {
        eprintln!("{viewing}");
        if !viewing["reasons"].as_array().unwrap().is_empty() {
            let player = viewing["player"].as_str().unwrap().to_owned();
            wrong.entry(player).or_default().push(viewing.clone());
        }
    }
    wrong
}

/// Reads a manifest and everything below it with two strict parsers.
pub(crate) async fn parses_strictly(manifest: &str) {
    browse("strict.mjs", &[manifest]).await;
}
