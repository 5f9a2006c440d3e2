//! What a cue may hold: plain text with bold, italic and underlined spans (W3C WebVTT section
//! 4.2.2). Everything else is escaped, so that no text of a subtitle can be taken for markup, times
//! or another cue.

/// The spans that are kept.
const KEPT_SPANS: [&str; 3] = ["b", "i", "u"];

/// The text of a cue from its raw lines, as one or more lines; none if it has no visible text.
/// `drawings` says whether it may contain vector drawings of ASS, which ffmpeg treats as text.
#[must_use]
pub fn clean_cue(lines: &[String], drawings: bool) -> Option<String> {
    let mut markup = Markup::default();

    for line in lines {
        let line = strip_ass(line);
        let line = if drawings {
            without_drawing(&line)
        } else {
            &line
        };
        markup.line(line.trim());
    }

    markup.finish()
}

/// A line without what ASS leaves in it: override blocks, escapes of braces and backslashes, hard
/// blanks.
fn strip_ass(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;

    while let Some(c) = rest.chars().next() {
        let (put, used) = match rest.as_bytes() {
            [b'\\', brace @ (b'{' | b'}'), ..] => (Some(char::from(*brace)), 2),
            [b'\\', b'h', ..] => (Some('\u{a0}'), 2),
            [b'{', b'\\', ..] => (None, rest.find('}').map_or(rest.len(), |end| end + 1)),
            // ffmpeg sets a word joiner behind every backslash that is one.
            _ if rest.starts_with("\\\u{2060}") => (Some('\\'), 4),
            _ => (Some(c), c.len_utf8()),
        };

        text.extend(put.filter(|c| !c.is_control()));
        rest = &rest[used..];
    }

    text
}

/// A line without the drawing it begins with: `m`, two numbers, and more of both.
fn without_drawing(line: &str) -> &str {
    let is_number =
        |word: &str| word.ends_with(|c: char| c.is_ascii_digit()) && word.parse::<f64>().is_ok();
    let mut words = line.split(' ');
    let begins = words.next() == Some("m")
        && words.next().is_some_and(is_number)
        && words.next().is_some_and(is_number);

    if !begins {
        return line;
    }

    let mut rest = line;
    while let Some(word) = rest.split(' ').next().filter(|word| !word.is_empty()) {
        let command = matches!(word, "m" | "n" | "l" | "b" | "s" | "p" | "c");
        if !command && !is_number(word) {
            // What follows the drawing may touch its last number.
            return rest.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
        }

        rest = rest[word.len()..].trim_start_matches(' ');
    }

    rest
}

/// Text with spans that are closed in the order they were opened.
#[derive(Debug, Default)]
struct Markup {
    text: String,
    open: Vec<&'static str>,
    visible: bool,
}

impl Markup {
    fn line(&mut self, line: &str) {
        if line.is_empty() {
            return;
        }

        if !self.text.is_empty() {
            self.text.push('\n');
        }

        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            if let Some((name, closes, used)) = parse_span(rest) {
                self.parse_span(name, closes);
                rest = &rest[used..];
            } else {
                self.character(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }

    fn character(&mut self, c: char) {
        self.visible |= !c.is_whitespace();
        match c {
            '&' => self.text.push_str("&amp;"),
            '<' => self.text.push_str("&lt;"),
            '>' => self.text.push_str("&gt;"),
            c => self.text.push(c),
        }
    }

    fn parse_span(&mut self, name: &'static str, closes: bool) {
        if !closes {
            self.text.push_str(&format!("<{name}>"));
            self.open.push(name);
        } else if let Some(at) = self.open.iter().rposition(|open| *open == name) {
            // What was opened inside it is closed with it.
            for inner in self.open.drain(at..).rev() {
                self.text.push_str(&format!("</{inner}>"));
            }
        }
    }

    fn finish(mut self) -> Option<String> {
        for name in self.open.drain(..).rev() {
            self.text.push_str(&format!("</{name}>"));
        }
        self.visible.then(|| self.text.trim().to_owned())
    }
}

/// The span a text begins with: its name, whether it ends, and the bytes of its tag.
fn parse_span(text: &str) -> Option<(&'static str, bool, usize)> {
    let inner = text.strip_prefix('<')?;
    let (inner, closes) = inner
        .strip_prefix('/')
        .map_or((inner, false), |inner| (inner, true));
    let name = KEPT_SPANS.into_iter().find(|name| {
        inner
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('>'))
    })?;
    Some((name, closes, 2 + name.len() + usize::from(closes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleaned(text: &str) -> Option<String> {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        clean_cue(&lines, true)
    }

    #[test]
    fn bold_italic_and_underlined_stay_and_everything_else_is_text() {
        for (raw, wanted) in [
            (
                "Hello <i>world</i> & --> friends\nsecond",
                "Hello <i>world</i> &amp; --&gt; friends\nsecond",
            ),
            ("1 < 2 <tag> <B>", "1 &lt; 2 &lt;tag&gt; &lt;B&gt;"),
            ("<b><i>both</b> not</i>", "<b><i>both</i></b> not"),
            ("</i>ends <u>open", "ends <u>open</u>"),
            ("a\\hb \\{c\\} d\\\u{2060}n", "a\u{a0}b {c} d\\n"),
            ("{\\an8\\pos(1,2)}up{\\r} {kept}", "up {kept}"),
            ("\u{1}bell\u{7f}", "bell"),
        ] {
            assert_eq!(cleaned(raw).as_deref(), Some(wanted), "{raw}");
        }

        for nothing in ["", "  ", "<i></i>", "{\\an8}", "\\h"] {
            assert_eq!(cleaned(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn drawings_are_no_text() {
        assert_eq!(cleaned("m 0 0 l 100 0 100 100 0 100"), None);
        assert_eq!(
            cleaned("m 0 0 b 1 2 3 -4.5 5 6after it"),
            Some("after it".to_owned())
        );
        assert_eq!(cleaned("m 12 or so"), Some("m 12 or so".to_owned()));
        assert_eq!(cleaned("m"), Some("m".to_owned()));
        assert_eq!(
            clean_cue(&["m 0 0 l 1 1".to_owned()], false),
            Some("m 0 0 l 1 1".to_owned())
        );
    }

    proptest! {
        #[test]
        fn no_text_can_be_taken_for_times_markup_or_an_end(raw in "([<>&bi/u{}\\\\h ]|-->|m 0 0 |\\PC|\n){0,40}") {
            if let Some(text) = cleaned(&raw) {
                prop_assert!(!text.contains("-->") && !text.contains("\n\n") && !text.is_empty());

                let bare = KEPT_SPANS.iter().fold(text, |text, name| {
                    text.replace(&format!("<{name}>"), "").replace(&format!("</{name}>"), "")
                });
                prop_assert!(!bare.contains('<') && !bare.contains('>'), "{}", bare);
            }
        }
    }
}
