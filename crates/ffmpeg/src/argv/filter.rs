//! Filters of ffmpeg as values: a filter with its arguments, a chain of filters between labels, a
//! graph of chains. Each is rendered once, to the text of `-filter_complex` or of one stream's
//! `-filter`.
//!
//! Escaping happens here and nowhere else, in the two levels of "Notes on filtergraph escaping" in
//! ffmpeg's manual: an argument within its filter, and a filter within its graph. Arguments are
//! given as they are meant. Bitstream filters are written the same way.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

/// One filter with its arguments, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    name: &'static str,
    args: Vec<(Option<&'static str>, String)>,
}

impl Filter {
    /// The filter of a name, without arguments.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            args: Vec::new(),
        }
    }

    /// Adds an argument that ffmpeg knows by its position. The value must not begin with a word and
    /// `=`, which ffmpeg would take for the name of the argument.
    pub(crate) fn value(mut self, value: impl Display) -> Self {
        let value = value.to_string();
        let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        debug_assert!(
            !value.split_once('=').is_some_and(|(word, _)| is_word(word)),
            "{value:?} names an argument"
        );
        self.args.push((None, value));
        self
    }

    /// Adds an argument that ffmpeg knows by its name.
    pub(crate) fn arg(mut self, key: &'static str, value: impl Display) -> Self {
        self.args.push((Some(key), value.to_string()));
        self
    }

    /// Adds a named argument where there is a value for it.
    pub(crate) fn maybe(self, key: &'static str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.arg(key, value),
            None => self,
        }
    }
}

impl Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        for (position, (key, value)) in self.args.iter().enumerate() {
            f.write_str(if position == 0 { "=" } else { ":" })?;
            if let Some(key) = key {
                write!(f, "{key}=")?;
            }
            f.write_str(&escape(value))?;
        }
        Ok(())
    }
}

/// What ends or changes an argument within its filter; blanks at its ends would be dropped.
const WITHIN_FILTER: &[char] = &['\\', '\'', ':', ' ', '\t', '\n', '\r'];

/// What ends or changes a filter within its graph.
const WITHIN_GRAPH: &[char] = &['\\', '\'', '[', ']', ',', ';'];

/// An argument's value, so that ffmpeg reads it back as it is: escaped by backslashes for the
/// filter, and quoted for the graph where there is need to.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        if WITHIN_FILTER.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }

    if escaped.is_empty() || escaped.contains(WITHIN_GRAPH) {
        // Nothing is escaped between quotes, so a quote itself is written outside of them.
        escaped = format!("'{}'", escaped.replace('\'', r"'\''"));
    }
    escaped
}

/// Where a chain takes its frames from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// A stream of an input file, both counted from zero.
    Stream { input: usize, stream: u32 },
    /// Another chain's output.
    Label(String),
}

/// Filters one behind the other, from some inputs to some outputs. Without inputs and outputs it is
/// the chain of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    inputs: Vec<Source>,
    filters: Vec<Filter>,
    outputs: Vec<String>,
}

impl Chain {
    /// A chain from a stream of an input file, both counted from zero.
    pub(crate) fn of_stream(input: usize, stream: u32) -> Self {
        Self {
            inputs: vec![Source::Stream { input, stream }],
            ..Self::default()
        }
    }

    /// A chain from the outputs of other chains, in this order.
    pub(crate) fn of_labels(labels: impl IntoIterator<Item = impl Display>) -> Self {
        Self {
            inputs: labels
                .into_iter()
                .map(|label| Source::Label(label_text(label)))
                .collect(),
            ..Self::default()
        }
    }

    /// A chain from another chain's output.
    pub(crate) fn of_label(label: impl Display) -> Self {
        Self::of_labels([label])
    }

    /// Goes on with a filter.
    pub(crate) fn then(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Goes on with filters.
    pub(crate) fn then_all(mut self, filters: impl IntoIterator<Item = Filter>) -> Self {
        self.filters.extend(filters);
        self
    }

    /// Ends in an output of this label.
    pub(crate) fn output(self, label: impl Display) -> Self {
        self.outputs([label])
    }

    /// Ends in outputs of these labels, in the order of the last filter's.
    pub(crate) fn outputs(mut self, labels: impl IntoIterator<Item = impl Display>) -> Self {
        self.outputs.extend(labels.into_iter().map(label_text));
        self
    }

    /// Ends in a copy of its frames for each label, by `split` (pictures) or `asplit` (sound).
    pub(crate) fn split(self, filter: &'static str, labels: &[String]) -> Self {
        self.then(Filter::new(filter).value(labels.len()))
            .outputs(labels)
    }
}

/// The text of a label, which has no escaping of its own.
fn label_text(label: impl Display) -> String {
    let label = label.to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    debug_assert!(
        !label.is_empty() && label.chars().all(is_plain),
        "{label:?} cannot be a label"
    );
    label
}

impl Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for input in &self.inputs {
            match input {
                Source::Stream { input, stream } => write!(f, "[{input}:{stream}]")?,
                Source::Label(label) => write!(f, "[{label}]")?,
            }
        }
        write_list(f, &self.filters, ",")?;
        self.outputs
            .iter()
            .try_for_each(|label| write!(f, "[{label}]"))
    }
}

/// Chains that ffmpeg runs as one, `-filter_complex`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Graph(Vec<Chain>);

impl Graph {
    /// Adds a chain.
    pub(crate) fn push(&mut self, chain: Chain) {
        self.0.push(chain);
    }

    /// The option and its text. Labels that no chain takes are for `-map`; that all others meet is
    /// asserted in debug builds.
    pub(crate) fn args(&self) -> [String; 2] {
        debug_assert!(
            self.is_linked(),
            "a label is produced or taken twice, or never produced: {self}"
        );
        ["-filter_complex".to_owned(), self.to_string()]
    }

    /// Whether no chain is empty, each label is produced once, and taken at most once and only
    /// where it was produced.
    fn is_linked(&self) -> bool {
        let (mut produced, mut taken) = (BTreeSet::new(), BTreeSet::new());
        let inputs = self.0.iter().flat_map(|chain| &chain.inputs);
        let mut labels = inputs.filter_map(|input| match input {
            Source::Label(label) => Some(label),
            Source::Stream { .. } => None,
        });
        let mut outputs = self.0.iter().flat_map(|chain| &chain.outputs);

        // The order counts: labels that are taken are looked up among those that were produced.
        self.0.iter().all(|chain| !chain.filters.is_empty())
            && outputs.all(|label| produced.insert(label))
            && labels.all(|label| produced.contains(label) && taken.insert(label))
    }
}

impl FromIterator<Chain> for Graph {
    fn from_iter<I: IntoIterator<Item = Chain>>(chains: I) -> Self {
        Self(chains.into_iter().collect())
    }
}

impl Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_list(f, &self.0, ";")
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, items: &[impl Display], separator: &str) -> fmt::Result {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{ask, tool};

    /// Reads a token up to one of `ends` as ffmpeg's `av_get_token` does; returns it and what is
    /// left.
    fn token<'a>(text: &'a str, ends: &[char]) -> (String, &'a str) {
        let (mut read, mut kept) = (String::new(), 0);
        let mut rest = text.trim_start_matches([' ', '\t', '\n', '\r']);
        while let Some(c) = rest.chars().next().filter(|c| !ends.contains(c)) {
            rest = &rest[c.len_utf8()..];
            match c {
                '\\' => {
                    let escaped = rest.chars().next().unwrap();
                    read.push(escaped);
                    (rest, kept) = (&rest[escaped.len_utf8()..], read.len());
                }
                '\'' => {
                    let (quoted, behind) = rest.split_once('\'').unwrap();
                    read.push_str(quoted);
                    (rest, kept) = (behind, read.len());
                }
                _ => read.push(c),
            }
        }

        let end = read
            .trim_end_matches([' ', '\t', '\n', '\r'])
            .len()
            .max(kept);
        read.truncate(end);
        (read, rest)
    }

    /// The filters of a chain without labels, each with its arguments' texts, as ffmpeg would read
    /// them.
    fn read_chain(mut text: &str) -> Vec<(String, Vec<String>)> {
        let mut filters = Vec::new();
        loop {
            let (filter, rest) = token(text, &['[', ']', ',', ';']);
            let (name, mut args) = filter.split_once('=').unwrap_or((&filter, ""));
            let mut read = Vec::new();

            while !args.is_empty() {
                let key = args
                    .split_once('=')
                    .filter(|(key, _)| key.chars().all(char::is_alphanumeric));
                let (value, rest) = token(key.map_or(args, |(_, value)| value), &[':']);
                read.push(key.map_or_else(|| value.clone(), |(key, _)| format!("{key}={value}")));
                args = rest.strip_prefix(':').unwrap_or(rest);
            }

            filters.push((name.to_owned(), read));
            match rest.strip_prefix(',') {
                Some(next) => text = next,
                None => return (rest.is_empty()).then_some(filters).unwrap(),
            }
        }
    }

    const NASTY: &str = "[a-c0-9 =:,;'\\\\\\[\\]\\(\\)|+\t\n]{0,12}";

    proptest! {
        #[test]
        fn a_chain_reads_back_as_it_was_meant(
            chain in prop::collection::vec(prop::collection::vec(NASTY, 0..4), 1..4),
        ) {
            let filters = chain.iter().map(|values| values.iter().fold(Filter::new("f"), |filter, value| filter.arg("k", value)));
            let meant = chain.iter().map(|values| ("f".to_owned(), values.iter().map(|value| format!("k={value}")).collect()));

            let text = Chain::default().then_all(filters).to_string();
            prop_assert_eq!(read_chain(&text), meant.collect::<Vec<(String, Vec<String>)>>(), "{}", text);
        }

        #[test]
        fn no_value_leaves_a_quote_or_a_bracket_open(value in NASTY) {
            let graph: Graph = [
                Chain::of_stream(0, 1).then(Filter::new("f").value(format!("({value}"))).output("a"),
                Chain::of_label("a").then(Filter::new("g").arg("k", &value)).output("b"),
            ].into_iter().collect();

            let text = graph.to_string();
            let (first, rest) = token(text.strip_prefix("[0:1]").unwrap(), &['[', ']', ',', ';']);
            prop_assert!(first.starts_with("f=("), "{text}");

            let rest = rest.strip_prefix("[a];[a]").unwrap();
            let (second, rest) = token(rest, &['[', ']', ',', ';']);
            prop_assert!(second.starts_with("g=k="), "{text}");
            prop_assert_eq!(rest, "[b]");
        }

        #[test]
        fn only_graphs_whose_labels_meet_are_linked(links in prop::collection::vec((0usize..4, 0usize..4), 1..5)) {
            let chain = |(from, to): &(usize, usize)| Chain::of_label(from).then(Filter::new("null")).output(to);
            let sources = Chain::of_stream(0, 0).split("split", &["0".to_owned()]);
            let graph: Graph = std::iter::once(sources).chain(links.iter().map(chain)).collect();

            let count = |n: usize, ends: &[usize]| ends.iter().filter(|end| **end == n).count();
            let from: Vec<usize> = links.iter().map(|link| link.0).collect();
            let to: Vec<usize> = links.iter().map(|link| link.1).chain([0]).collect();
            let meet = (0..4).all(|n| count(n, &to) <= 1 && count(n, &from) <= count(n, &to));
            prop_assert_eq!(graph.is_linked(), meet);
        }
    }

    #[test]
    fn an_empty_chain_is_not_linked() {
        let graph: Graph = [Chain::of_stream(0, 0).output("a")].into_iter().collect();
        assert!(!graph.is_linked());
    }

    #[tokio::test]
    async fn ffmpeg_reads_a_value_as_it_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        let value = r"it's:[a],b;c\d='e'";
        let chain = Chain::default()
            .then(
                Filter::new("metadata")
                    .arg("mode", "add")
                    .arg("key", "k")
                    .arg("value", value),
            )
            .then(
                Filter::new("metadata")
                    .arg("mode", "print")
                    .arg("file", "-"),
            );

        let args = format!("-v error -f lavfi -i color=s=16x16 -frames:v 1 -vf {chain} -f null -");
        let printed = ask(&tool().ffmpeg, folder.path(), &args).await;
        assert!(printed.contains(&format!("k={value}")), "{printed}");
    }
}
