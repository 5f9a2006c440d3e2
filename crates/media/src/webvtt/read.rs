//! Cues from a WebVTT file that ffmpeg wrote.

/// A cue as it is in the file: milliseconds and raw lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawCue {
    /// Milliseconds.
    pub start: i64,
    /// Milliseconds.
    pub end: i64,
    /// Its lines, without empty ones.
    pub lines: Vec<String>,
}

/// Reads all cues. ffmpeg escapes nothing: a cue may hold empty lines, which end cues everywhere
/// else. So what follows an empty line belongs to the cue before unless it begins with times.
#[must_use]
pub fn read(text: &str) -> Vec<RawCue> {
    let mut cues: Vec<RawCue> = Vec::new();
    let mut after_blank = true;

    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            after_blank = true;
            continue;
        }

        // A line that looks like times in the middle of a cue is text of that cue.
        if let Some((start, end)) = times(line).filter(|_| after_blank) {
            cues.push(RawCue {
                start,
                end,
                lines: Vec::new(),
            });
        } else if let Some(cue) = cues.last_mut() {
            cue.lines.push(line.to_owned());
        }
        after_blank = false;
    }

    cues
}

/// The times of a line of times; settings behind them are dropped.
fn times(line: &str) -> Option<(i64, i64)> {
    let (start, rest) = line.split_once(" --> ")?;
    Some((time(start)?, time(rest.split_whitespace().next()?)?))
}

/// Milliseconds of `[<hours>:]<minutes>:<seconds>.<milliseconds>` (a WebVTT timestamp, W3C WebVTT
/// section 4.1).
fn time(text: &str) -> Option<i64> {
    // At most nine digits, so that no product below can overflow.
    let digits = |text: &str| {
        !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let number = |text: &str| digits(text).then(|| text.parse::<i64>().ok()).flatten();

    let (whole, millis) = text.split_once('.')?;
    let mut parts = whole.rsplit(':');
    let (seconds, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
    let hours = parts.next().map_or(Some(0), number)?;
    let millis = number(millis).filter(|_| millis.len() == 3)?;

    parts
        .next()
        .is_none()
        .then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cue(start: i64, end: i64, lines: &[&str]) -> RawCue {
        RawCue {
            start,
            end,
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    #[test]
    fn cues_keep_their_lines_whatever_stands_in_them() {
        let text = "WEBVTT\n\n00:00.500 --> 00:02.000\none --> two\n\nafter an empty line\n\n123:00:02.000 --> 123:00:03.123 line:0\r\nlast\r\n";

        let hours = 123 * 3_600_000;
        let wanted = [
            cue(500, 2000, &["one --> two", "after an empty line"]),
            cue(hours + 2000, hours + 3123, &["last"]),
        ];

        assert_eq!(read(text), wanted);
        assert_eq!(read("WEBVTT\n"), []);
    }

    #[test]
    fn only_whole_times_are_times() {
        for text in [
            "",
            "1",
            "1.000",
            "a:00.000",
            "00:00.00",
            "1:2:3:4.000",
            "00:+1.000",
            "9999999999:00:00.000",
        ] {
            assert_eq!(time(text), None, "{text}");
        }

        assert_eq!(time("00:01.001"), Some(1001));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "((WEBVTT|[0-9:.]{0,14} --> [0-9:.]{0,14}|\\PC{0,9})\n{0,2}){0,9}") {
            let _ = read(&text);
        }
    }
}
