//! Real players in real browsers and outside them, driven by the scripts of `tests/browser`.

use std::time::Duration;

use super::process::{command, tool};

/// How long a browser may take for one output.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a script of `tests/browser` and returns what it printed; a failure shows it.
pub(crate) async fn browse(script: &str, arguments: &[&str]) -> String {
    let path = format!("{}/tests/browser/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut node = command(tool("node"));
    let output = tokio::time::timeout(PATIENCE, node.arg(&path).args(arguments).output()).await;
    let output = output
        .unwrap_or_else(|_| panic!("{script} did not end within {PATIENCE:?}"))
        .unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{script} {arguments:?} ended with {}:\n{said}{complained}",
        output.status
    );
    said.into_owned()
}

/// Plays a manifest in a real browser, through every joint and with seeks across them, in one buffered range.
pub(crate) async fn plays_seamlessly(manifest: &str) {
    browse("play.mjs", &[manifest, "--json"]).await;
}

/// Watches a manifest with every player as a viewer does: it has to begin, to seek, to switch to every rung and track, and to end. With
/// `PLAYERS` set, as `make players` does, also in Firefox and in players that need no browser.
pub(crate) async fn watches(manifest: &str, expected: &[&str]) {
    browse("watch.mjs", &[&[manifest, "--json"], expected].concat()).await;
    if is_thorough() {
        // hls.js 1.4 and Shaka Player 4.16 are watched in one browser.
        let firefox = ["--browser", "firefox", "--player", "hls.js,shaka,video.js"];
        browse("watch.mjs", &[&[manifest, "--json"], &firefox[..], expected].concat()).await;
        browse("native.mjs", &[manifest]).await;
    }
}

/// Whether players are asked for that are not installed everywhere.
#[expect(clippy::disallowed_methods, reason = "a setting of the tests, which have no other")]
fn is_thorough() -> bool {
    std::env::var_os("PLAYERS").is_some()
}

/// Follows a growing output with every player, joined at once and late: each has to begin at the beginning, not to jump, and to end.
pub(crate) async fn follow(manifest: &str) {
    let seen = browse("grow.mjs", &[manifest, "--late", "20"]).await;
    eprintln!("{seen}");
}

/// Reads a manifest and everything below it with two strict parsers.
pub(crate) async fn parses_strictly(manifest: &str) {
    browse("strict.mjs", &[manifest]).await;
}
