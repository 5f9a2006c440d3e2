//! Text from others that is printed on a terminal: names, titles and messages may contain escape
//! sequences that move the cursor or change the title of the window, and marks that reverse the
//! direction of text. They are printed as visible text and have no effect.

use std::fmt::Write as _;

use serde::Serialize;

/// Most characters of one text in a line for people.
const MAX_SHOWN_CHARS: usize = 400;

/// A text for a line or a cell: escapes, line breaks and direction marks are spelled out, and a
/// very long text is cut.
pub(super) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(MAX_SHOWN_CHARS));
    let mut rest = text.chars();
    for c in rest.by_ref().take(MAX_SHOWN_CHARS) {
        if acts(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }

    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A text of any length and of many lines, in which only line breaks have an effect.
pub(super) fn whole(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut shown, c| {
            if acts(c) && c != '\n' {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
            shown
        })
}

/// One line of JSON with the same content and without characters on which a terminal acts. JSON
/// itself requires escapes for only some of them (RFC 8259, section 7).
///
/// # Errors
/// When the value cannot be JSON.
pub(super) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    if !text.contains(acts) {
        return Ok(text);
    }

    // Outside of texts there are none of these characters, so that each may be escaped where it is.
    Ok(text
        .chars()
        .fold(String::with_capacity(text.len()), |mut safe, c| {
            if acts(c) {
                // All of them lie below U+10000. Writing to a String cannot fail.
                let _ = write!(safe, "\\u{:04x}", u32::from(c));
            } else {
                safe.push(c);
            }
            safe
        }))
}

/// Whether a terminal acts on this character instead of showing it.
fn acts(c: char) -> bool {
    // These are the marks of Unicode's bidirectional algorithm (UAX #9) that change the order of
    // what follows.
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_of_many_lines_keeps_them_and_nothing_else_that_acts() {
        assert_eq!(whole("a\n\u{1b}[2Jb\r"), "a\n\\u{1b}[2Jb\\u{d}");
        assert_eq!(whole(&"x".repeat(5000)).len(), 5000);
    }

    #[test]
    fn escapes_are_spelled_out_and_letters_of_any_script_stay() {
        for (text, shown) in [
            ("holiday.mp4", "holiday.mp4"),
            ("Größe 🎬 שלום 👩‍👩‍👧", "Größe 🎬 שלום 👩‍👩‍👧"),
            ("\u{1b}]0;owned\u{7}x", "\\u{1b}]0;owned\\u{7}x"),
            ("\u{9b}2Jgpj.\u{202e}4pm", "\\u{9b}2Jgpj.\\u{202e}4pm"),
            ("two\nlines", "two\\u{a}lines"),
        ] {
            assert_eq!(plain(text), shown);
        }

        assert_eq!(
            plain(&"x".repeat(10_000)).chars().count(),
            MAX_SHOWN_CHARS + 1
        );
    }

    proptest! {
        #[test]
        fn json_says_the_same_without_a_character_that_acts(text in "[\\PC\u{0}-\u{1f}\u{7f}-\u{9f}\u{202a}-\u{202e}\u{feff}\"\\\\]{0,40}") {
            let value = serde_json::json!({ text.as_str(): [text.as_str()] });
            let line = json(&value).unwrap();
            prop_assert!(!line.contains(acts));
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
            prop_assert!(!plain(&text).contains(acts));
        }
    }
}
