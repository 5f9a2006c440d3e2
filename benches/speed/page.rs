//! The page of results, one section for each question. Sections of questions that were not asked
//! this time stay as they were.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The answer to one question.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    /// Its name, as `ONLY` takes it.
    pub(crate) name: &'static str,
    /// The question.
    pub(crate) title: &'static str,
    /// The answer, in Markdown.
    pub(crate) text: String,
}

/// The page, in the order of its questions.
#[derive(Debug, Default)]
pub(crate) struct Page {
    sections: Vec<Section>,
}

/// The questions, in order.
const ORDER: [&str; 9] = [
    "whole", "rivals", "playable", "fleet", "queue", "control", "growth", "soak", "traffic",
];

impl Page {
    /// Adds a section, and shows it.
    pub(crate) fn add(&mut self, section: Section) {
        println!("## {}\n\n{}", section.title, section.text);
        self.sections.push(section);
    }

    /// Writes the sections that were made into the page, between their marks.
    pub(crate) fn write(&self) {
        let path = path();
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let mut text = before
            .split("<!-- section ")
            .next()
            .unwrap_or_default()
            .to_owned();
        for name in ORDER {
            let mark = format!("<!-- section {name} -->\n");
            let old = before
                .split(&mark)
                .nth(1)
                .and_then(|rest| rest.split("<!-- section ").next());
            let new = self
                .sections
                .iter()
                .find(|section| section.name == name)
                .map(|section| {
                    format!(
                        "## {}\n\n`ONLY={name} make bench`\n\n{}\n\n",
                        section.title,
                        section.text.trim()
                    )
                });
            if let Some(body) = new.or_else(|| old.map(str::to_owned)) {
                let _ = write!(text, "{mark}{}\n\n", body.trim());
            }
        }
        std::fs::write(path, format!("{}\n", text.trim_end())).unwrap();
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md")
}
