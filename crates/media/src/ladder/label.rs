//! What a player's menu calls a track. No two of a menu may share a name.

use streams::plan::LeftOut;

use super::probe::Stream;

/// The names of one menu.
#[derive(Debug, Default)]
pub(super) struct Labels(Vec<String>);

impl Labels {
    /// The wanted name, with a number behind it where it is taken.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let numbered = (2..).map(|n| format!("{wanted} {n}"));
        let label = std::iter::once(wanted.to_owned())
            .chain(numbered)
            .find(|label| !self.0.contains(label))
            .unwrap_or_default();

        self.0.push(label.clone());
        label
    }
}

/// The record of a stream that gets no rendition.
pub(super) fn left_out(stream: &Stream, reason: &str) -> LeftOut {
    LeftOut {
        name: format!("track {}", stream.index),
        reason: reason.to_owned(),
    }
}
