//! Reads lines from a child without trusting it: neither a line nor the total may grow without
//! bound.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes at which longer lines are cut; no expected output has lines of this length.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// Calls `each` with every line of `reader`, without its line end, until the end of the stream.
/// Bytes that are no UTF-8 are replaced.
pub(super) async fn for_each_line(
    mut reader: impl AsyncRead + Unpin,
    mut each: impl FnMut(&str),
) -> io::Result<()> {
    let mut block = vec![0; 16 * 1024];
    let mut line = Vec::new();

    loop {
        let read = reader.read(&mut block).await?;
        if read == 0 {
            break;
        }

        let mut rest = &block[..read];
        // ffmpeg ends the lines of its statistics with a carriage return alone.
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            extend(&mut line, &rest[..end]);
            each(&String::from_utf8_lossy(&line));
            line.clear();
            rest = &rest[end + 1..];
        }
        extend(&mut line, rest);
    }

    if !line.is_empty() {
        each(&String::from_utf8_lossy(&line));
    }
    Ok(())
}

fn extend(line: &mut Vec<u8>, more: &[u8]) {
    let room = MAX_LINE_BYTES.saturating_sub(line.len());
    line.extend_from_slice(&more[..more.len().min(room)]);
}

/// The last lines of a log, a few KiB of them.
#[derive(Debug, Default)]
pub(super) struct LogTail(std::collections::VecDeque<String>, usize);

impl LogTail {
    /// Kept bytes.
    const ROOM: usize = 8 * 1024;

    /// Adds a line and drops the oldest ones beyond the limit. Control characters from titles and
    /// names in a source must not act on the terminal of a reader.
    pub(super) fn push(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }

        let shown = |c: char| match c {
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        };
        let line: String = line.chars().map(shown).take(1000).collect();

        self.1 += line.len();
        self.0.push_back(line);
        while self.1 > Self::ROOM {
            self.1 -= self.0.pop_front().map_or(self.1, |gone| gone.len());
        }
    }

    /// The kept lines as one text.
    pub(super) fn into_text(self) -> String {
        Vec::from(self.0).join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn collect(bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for_each_line(bytes, |line| lines.push(line.to_owned()))
            .await
            .unwrap();
        lines
    }

    #[tokio::test]
    async fn lines_end_at_either_line_end_and_at_the_end_of_the_stream() {
        assert_eq!(collect(b"a\nb\rc").await, ["a", "b", "c"]);
        assert_eq!(collect(b"").await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn an_endless_line_is_cut_but_what_follows_is_still_read() {
        let mut bytes = vec![b'x'; 3 * MAX_LINE_BYTES];
        bytes.extend_from_slice(b"\nnext\n");
        let lines = collect(&bytes).await;
        assert_eq!(
            (lines[0].len(), lines[1].as_str()),
            (MAX_LINE_BYTES, "next")
        );
    }

    #[test]
    fn a_tail_holds_nothing_a_terminal_acts_on() {
        let mut tail = LogTail::default();
        tail.push("title\t\u{1b}]0;owned\u{7}\u{9b}2J");
        assert_eq!(tail.into_text(), "title \u{fffd}]0;owned\u{fffd}\u{fffd}2J");
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_and_no_line_is_longer_than_it_may_be(bytes: Vec<u8>, tails in prop::collection::vec("\\PC{0,9}|.{0,9}", 0..9)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let lines = runtime.block_on(collect(&bytes));
            prop_assert!(lines.iter().all(|line| line.chars().count() <= MAX_LINE_BYTES));

            let mut tail = LogTail::default();
            for line in lines.iter().chain(&tails) {
                tail.push(line);
            }
            prop_assert!(!tail.into_text().contains(|c: char| c.is_control() && c != '\n'));
        }

        #[test]
        fn a_tail_keeps_the_end_and_never_more_than_its_room(
            lines in prop::collection::vec(("[a-z]{1,8}", 1..=250_usize), 0..40),
        ) {
            let lines: Vec<String> = lines.iter().map(|(text, times)| text.repeat(*times)).collect();
            let mut tail = LogTail::default();
            for line in &lines {
                tail.push(line);
            }

            let text = tail.into_text();
            prop_assert!(text.len() <= LogTail::ROOM + 40);
            if let Some(last) = lines.last() {
                prop_assert!(text.ends_with(&last[..last.len().min(1000)]));
            }
        }
    }
}
