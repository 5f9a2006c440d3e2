//! What processes leave: nothing in their folders, no process, no secret in a log, no word of a
//! panic.

use std::path::PathBuf;

use super::{Violation, all};

/// What is left of the workers once they were asked to stop.
pub(in super::super) fn left(left_behind: &[String]) -> Vec<Violation> {
    let left = left_behind.iter();
    left.map(|left| all(format!("{left} is left behind")))
        .collect()
}

/// Every secret in a log.
pub(in super::super) fn secrets(logs: &[(PathBuf, String)], secrets: &[&str]) -> Vec<Violation> {
    lines(logs, secrets)
}

/// Every panic in a log.
pub(in super::super) fn panics(logs: &[(PathBuf, String)]) -> Vec<Violation> {
    lines(logs, &["panicked at"])
}

fn lines(logs: &[(PathBuf, String)], words: &[&str]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in logs {
        let lines = text.lines().zip(1..);
        let lines = lines.filter(|(line, _)| words.iter().any(|word| line.contains(word)));
        violations.extend(lines.map(|(line, n)| all(format!("{}:{n}: {line}", path.display()))));
    }
    violations
}

#[test]
fn a_secret_a_panic_and_a_file_that_is_left_are_named() {
    let log = |text: &str| vec![(PathBuf::from("worker.log"), text.to_owned())];
    assert_eq!(secrets(&log("all is well"), &["hunter2"]), []);
    assert_eq!(secrets(&log("all is\nhunter2"), &["hunter2"]).len(), 1);
    assert_eq!(panics(&log("thread 'main' panicked at src")).len(), 1);
    assert_eq!(panics(&log("nothing")), []);
    assert_eq!(left(&["a".to_owned()]).len(), 1);
}
