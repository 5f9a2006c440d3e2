//! Files of the repository that are made by the program: they must be what it would make now.

use std::path::Path;

/// Compares a file of the repository with what it should hold; `UPDATE=1` writes it again instead.
#[expect(
    clippy::disallowed_methods,
    reason = "the setting of the tests themselves"
)]
pub(crate) fn is_made(file: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, wanted).unwrap();
    }

    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{file} is out of date: run this test once more with UPDATE=1"
    );
}
