//! Imports run downward only: what no crate boundary keeps is kept here.

use std::path::{Path, PathBuf};

/// The modules of the service, lowest first: each may name those before it. The crates below them
/// cannot name any.
const LAYERS: [&str; 9] = [
    "crash",
    "telemetry",
    "worker",
    "job",
    "pipeline",
    "operations",
    "service",
    "config",
    "cli",
];

/// Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Paths that follow `crate::` in code, as lists of names.
fn named(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|path| {
            let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let end = path.find(|c| !is_name(c)).unwrap_or(path.len());
            path[..end].split("::").collect()
        })
}

/// What is wrong with the imports of a file, which is given by its path below `src`.
fn wrong_arrows(file: &Path, text: &str) -> Vec<String> {
    let parts: Vec<&str> = file.iter().map(|part| part.to_str().unwrap()).collect();
    let module = parts[0].trim_end_matches(".rs");
    let Some(layer) = LAYERS.iter().position(|layer| *layer == module) else {
        return vec![format!("src/{} is in no layer", file.display())];
    };
    let wrong =
        named(text).filter(
            |path| match LAYERS.iter().position(|layer| *layer == path[0]) {
                Some(other) if other == layer => {
                    module == "pipeline" && path.get(1) != parts.get(1)
                }
                other => other.is_none_or(|other| other > layer),
            },
        );
    wrong
        .map(|path| {
            format!(
                "src/{} must not name crate::{}",
                file.display(),
                path.join("::")
            )
        })
        .collect()
}

#[test]
fn imports_run_downward_and_no_stage_names_another() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for path in sources(&src) {
        let file = path.strip_prefix(&src).unwrap();
        if !["lib.rs", "main.rs"]
            .iter()
            .any(|root| file == Path::new(root))
        {
            wrong.extend(wrong_arrows(file, &std::fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_arrow_upward_or_across_is_named() {
    let arrows = |file: &str, text: &str| wrong_arrows(Path::new(file), text);
    assert_eq!(
        arrows("job/lease.rs", "use crate::pipeline::encode::Encoder;"),
        ["src/job/lease.rs must not name crate::pipeline::encode::Encoder"]
    );
    assert_eq!(
        arrows(
            "pipeline/plan/mod.rs",
            "fn f(x: crate::pipeline::encode::X) {}"
        )
        .len(),
        1
    );
    assert_eq!(
        arrows("pipeline/plan/mod.rs", "use crate::pipeline::plan::X;").len(),
        0
    );
    assert_eq!(
        arrows(
            "service/mod.rs",
            "/// See [`crate::cli`].\nuse crate::job::X;"
        )
        .len(),
        0
    );
    assert_eq!(
        arrows("extra/mod.rs", ""),
        ["src/extra/mod.rs is in no layer"]
    );
}
