//! Dead letters: messages that could not be processed, with the original bytes and the reason.
//! Nothing is ever dropped silently.
//!
//! JetStream accepts at most 64 KiB of headers with a message, and the server limits the size of
//! the whole message. Header values are therefore truncated here, so that no dead letter can be
//! refused for its size, and reduced to plain text, so that none can break its message.

use async_nats::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fact::JobError;
use crate::subject::{DeadOrigin, parse_dead};
use crate::task::TaskKey;

/// Stream the original message came from.
pub const ORIGIN_STREAM: &str = "Fluxhls-Origin-Stream";
/// Sequence of the original message in that stream.
pub const ORIGIN_SEQ: &str = "Fluxhls-Origin-Seq";
/// The stable failure word.
pub const CODE: &str = "Fluxhls-Code";
/// One sentence.
pub const REASON: &str = "Fluxhls-Reason";
/// For a task: the file of its job.
pub const FILE: &str = "Fluxhls-File";
/// For a task: the [`TaskReport`] as JSON, cut to fit a header.
pub const REPORT: &str = "Fluxhls-Report";
/// When the server stored the original message: with the sequence it sets that message apart from
/// one of a stream that was created again.
pub const ORIGIN_TIME: &str = "Fluxhls-Origin-Time";
/// If the dead letter holds only the first bytes of the original message: the size of the original,
/// which is in its stream.
pub const TRUNCATED: &str = "Fluxhls-Truncated";
/// `headers` where those of the original message were left out, being too long. The original is in
/// its stream.
pub const CUT: &str = "Fluxhls-Cut";

/// Longest [`REASON`], in bytes.
pub const MAX_REASON_BYTES: usize = 2 * 1024;
/// Longest [`REPORT`], in bytes.
pub const MAX_REPORT_BYTES: usize = 24 * 1024;
/// Largest part of the original headers that a dead letter carries, in bytes.
pub const MAX_ORIGINAL_BYTES: usize = 24 * 1024;

/// What an operator needs to repeat the failure of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task.
    pub key: TaskKey,
    /// Why it failed.
    pub error: JobError,
    /// The last command, argument by argument.
    #[serde(default)]
    pub argv: Vec<String>,
    /// The end of its standard error.
    #[serde(default)]
    pub stderr: String,
    /// The result of the probe of the source, if there is one.
    #[serde(default)]
    pub probe: Option<Value>,
}

impl TaskReport {
    /// The report as a header holds it: plain ASCII, at most [`MAX_REPORT_BYTES`] bytes. What is too long
    /// is cut in this order: the probe, all but the end of standard error, the end of the command.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut report = self.clone();
        let cuts: [fn(&mut Self); 5] = [
            |_| {},
            |report| {
                let size = report.probe.take().map(|probe| probe.to_string().len());
                report.probe = size.map(|bytes| json!({ "cut_bytes": bytes }));
            },
            |report| report.stderr = end_of(&report.stderr, 1024).to_owned(),
            |report| {
                report.error.message = start_of(&report.error.message, 512).to_owned();
                cut_arguments(&mut report.argv, 2048);
            },
            |report| report.argv.clear(),
        ];

        let mut text = String::new();
        for cut in cuts {
            cut(&mut report);
            text = ascii(&serde_json::to_string(&report).expect("a report can be written as JSON"));
            if text.len() <= MAX_REPORT_BYTES {
                break;
            }
        }

        text
    }
}

/// Keeps the first `limit` bytes of a command, and says that there was more.
fn cut_arguments(argv: &mut Vec<String>, limit: usize) {
    let mut left = limit;
    let mut kept = Vec::new();

    for argument in argv.iter() {
        let part = start_of(argument, left);
        left -= part.len();
        kept.push(part.to_owned());
        if part.len() < argument.len() {
            break;
        }
    }

    if kept != *argv {
        kept.push("…".to_owned());
    }

    *argv = kept;
}

/// JSON without a character beyond ASCII: in JSON those occur in strings alone, where they may be
/// escaped (RFC 8259 section 7).
fn ascii(json: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(json.len());

    for c in json.chars() {
        if c.is_ascii() && c != '\x7f' {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }

    text
}

/// One line of plain text for a header: no control characters, at most `limit` bytes.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    start_of(plain.trim(), limit).to_owned()
}

fn start_of(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

fn end_of(text: &str, limit: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(limit))..]
}

/// Whether a header belongs to the original message, and not to the server or to the dead letter.
#[must_use]
pub fn is_original(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.starts_with("nats-") && !name.starts_with("fluxhls-")
}

/// What a message in `HLS_DEAD` says, for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The failure word; of an advisory, its kind.
    pub code: String,
    /// One sentence.
    pub reason: String,
    /// The job, where there is one.
    pub job_id: Option<String>,
    /// The file, if the dead letter names one.
    pub file_id: Option<String>,
}

impl Summary {
    /// Sums a message up, whatever it holds.
    #[must_use]
    pub fn of(subject: &str, headers: &HeaderMap, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
        let field = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let origin = parse_dead(subject);

        if let Some(DeadOrigin::Advisory(kind, consumer)) = &origin {
            // An advisory is a message of the server, so it has none of the fluxhls headers.
            let number = |name: &str| body.get(name).and_then(Value::as_u64).unwrap_or(0);
            let (seq, deliveries) = (number("stream_seq"), number("deliveries"));
            let why = field("reason")
                .map(|why| format!(": {why}"))
                .unwrap_or_default();
            return Self {
                code: kind.to_ascii_lowercase(),
                reason: format!(
                    "consumer {consumer} lost message {seq} of the queue after {deliveries} deliveries{why}"
                ),
                job_id: None,
                file_id: None,
            };
        }

        let job = match origin {
            Some(DeadOrigin::Task(job, _)) => Some(job.to_string()),
            _ => field("job_id"),
        };

        Self {
            code: header(CODE).unwrap_or_default(),
            reason: header(REASON).unwrap_or_default(),
            job_id: job,
            file_id: header(FILE).or_else(|| field("file_id")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::code::Code;
    use crate::task::{Lane, TaskName};

    fn report(
        argv: Vec<String>,
        stderr: String,
        message: &str,
        probe: Option<Value>,
    ) -> TaskReport {
        TaskReport {
            key: TaskKey::new("j1".parse().unwrap(), TaskName::video(3), Lane::Lo),
            error: JobError::new(Code::FfmpegCrashed, message, Some(TaskName::video(3))),
            argv,
            stderr,
            probe,
        }
    }

    #[test]
    fn a_report_of_usual_size_is_whole() {
        let whole = report(
            vec!["-i".into(), "ünïcödé\u{1}".into()],
            "line\nline\n".into(),
            "It crashed.",
            Some(json!({"streams": [1]})),
        );
        let read: TaskReport = serde_json::from_str(&whole.to_header()).unwrap();
        assert_eq!(read, whole);
    }

    #[test]
    fn a_long_report_keeps_its_command_and_the_end_of_what_was_said() {
        let argv: Vec<String> = (0..200).map(|n| format!("argument-{n}")).collect();
        let stderr = format!("{}the last word", "noise\n".repeat(10_000));
        let long = report(argv.clone(), stderr, "m", Some(json!("p".repeat(100_000))));
        let read: TaskReport = serde_json::from_str(&long.to_header()).unwrap();
        assert_eq!(read.argv, argv);
        assert!(read.stderr.ends_with("the last word"));
        assert_eq!(read.probe, Some(json!({"cut_bytes": 100_002})));
    }

    #[test]
    fn an_advisory_is_summed_up() {
        let body = br#"{"stream":"HLS_TASKS","consumer":"plan","stream_seq":7,"deliveries":2,"reason":"why"}"#;
        let subject = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.HLS_TASKS.plan";
        let summary = Summary::of(subject, &HeaderMap::new(), body);
        assert_eq!(summary.code, "msg_terminated");
        assert!(summary.reason.contains("message 7") && summary.reason.ends_with(": why"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_report_is_too_long_or_breaks_a_header(
            argv in proptest::collection::vec("(\\PC|[\\x00-\\x7f]){0,40}|é{0,20}", 0..6),
            stderr in "(\\PC|[\\x00-\\x7f]){0,40}", times in 0usize..2000, message in "(\\PC|[\\x00-\\x1f]){0,40}",
        ) {
            let argv = argv.iter().map(|argument| argument.repeat(times)).collect();
            let message = message.repeat(times);
            let report = report(argv, stderr.repeat(times), &message, Some(json!(message)));

            let header = report.to_header();
            prop_assert!(header.len() <= MAX_REPORT_BYTES, "{}", header.len());
            prop_assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)));

            let read: TaskReport = serde_json::from_str(&header).unwrap();
            prop_assert_eq!(read.key, report.key);
        }

        #[test]
        fn a_line_is_one_line_within_its_limit(text in "(\\PC|[\\x00-\\x1f]){0,300}", limit in 0usize..200) {
            let line = one_line(&text, limit);
            prop_assert!(line.len() <= limit && !line.chars().any(char::is_control));
        }

        #[test]
        fn any_message_can_be_summed_up(subject: String, body: Vec<u8>) {
            let _ = Summary::of(&subject, &HeaderMap::new(), &body);
        }
    }
}
