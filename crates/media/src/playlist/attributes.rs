//! Attribute lists (RFC 8216bis section 4.2).

use std::fmt::{self, Display};

/// Attributes in the order they were added.
#[derive(Debug, Default)]
pub(super) struct Attributes(Vec<String>);

impl Attributes {
    /// Adds a number, enumerated string or resolution.
    pub(super) fn plain(mut self, name: &str, value: impl Display) -> Self {
        self.0.push(format!("{name}={value}"));
        self
    }

    /// Adds a quoted string. What no quoted string can hold is replaced: `"` by `'`, control
    /// characters by blanks.
    pub(super) fn quoted(mut self, name: &str, value: &str) -> Self {
        // The grammar has no escapes (RFC 8216 section 4.2), so what could end the string or the
        // line is replaced.
        let value: String = value
            .chars()
            .map(|c| match c {
                '"' => '\'',
                c if c.is_control() => ' ',
                c => c,
            })
            .collect();

        self.0.push(format!("{name}=\"{value}\""));
        self
    }

    /// Adds `YES` or `NO`.
    pub(super) fn yes_or_no(self, name: &str, value: bool) -> Self {
        self.plain(name, if value { "YES" } else { "NO" })
    }

    /// Adds a quoted string where there is one.
    pub(super) fn maybe_quoted(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.quoted(name, value),
            None => self,
        }
    }
}

impl Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_string_cannot_end_early_or_span_lines() {
        let attributes = Attributes::default()
            .plain("A", 1)
            .quoted("B", "x\",C=2\n\r");
        assert_eq!(attributes.to_string(), "A=1,B=\"x',C=2  \"");
    }
}
