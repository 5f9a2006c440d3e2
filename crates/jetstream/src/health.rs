//! What of NATS did not work when it was last tried: what readiness reports, with the server's
//! words and the fix.
//!
//! Every request to a server is a message on a subject, and permissions, streams and consumers are
//! identified by subjects. So a failure is kept under the subject, widened to the permission that
//! covers it, and removed as soon as something works there.

use std::collections::BTreeMap;
use std::time::Duration;

use streams::topology;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long something must have failed until it is reported: an election of a leader, or the start
/// of a server, is not a problem.
const REPORTED_AFTER: Duration = Duration::from_secs(10);
/// How long after the last attempt a failure is still reported. Active code tries at least twice in
/// that time; a failure that is no longer retried says nothing about the current state.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// Most subjects that are kept.
const MAX_SUBJECTS: usize = 100;

/// What did not work when it was tried last. Clones share it.
#[derive(Debug, Clone)]
pub struct ConnectionHealth {
    /// The prefix of JetStream's API.
    api: String,
    seen: watch::Sender<Observed>,
}

#[derive(Debug, Default)]
struct Observed {
    failures: BTreeMap<Operation, Failure>,
    /// Why the connection is not up, where the server or a file said so.
    connection: Option<String>,
}

/// What was tried: a verb and the permission it needs.
type Operation = (Verb, String);

/// What a client does with a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Publish,
    Subscribe,
}

#[derive(Debug, Clone)]
struct Failure {
    since: Instant,
    last: Instant,
    words: String,
    cause: Cause,
}

/// Why something did not work. What the server denies times out as well, and its words say more:
/// the larger cause stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// No answer, or not the one there should be.
    Failed,
    /// The server reported a missing permission.
    Denied,
}

impl Failure {
    /// Whether readiness reports it. A subscription is tried once, and what it would bring is
    /// missed until it is tried again.
    fn is_reported(&self, verb: Verb) -> bool {
        let is_fresh = verb == Verb::Subscribe || self.last.elapsed() < FORGOTTEN_AFTER;
        is_fresh && (self.cause == Cause::Denied || self.since.elapsed() >= REPORTED_AFTER)
    }
}

impl ConnectionHealth {
    /// None yet, over a JetStream whose API begins with `api`, such as `$JS.API`.
    #[must_use]
    pub(super) fn new(api: String) -> Self {
        Self {
            api,
            seen: watch::Sender::default(),
        }
    }

    /// Something published on `subject` was answered as it should be.
    pub(super) fn worked(&self, subject: &str) {
        // Nearly always there is nothing to forget.
        if !self.seen.borrow().failures.is_empty() {
            let operation = (Verb::Publish, permission(&self.api, subject));
            self.seen
                .send_if_modified(|seen| seen.failures.remove(&operation).is_some());
        }
    }

    /// Something published on `subject` was not answered as it should be.
    pub(super) fn failed(&self, subject: &str, words: &str) {
        self.note(
            (Verb::Publish, permission(&self.api, subject)),
            words,
            Cause::Failed,
        );
    }

    /// Notes what became of something published on `subject`.
    pub(super) fn note_result<T, E: std::fmt::Display>(
        &self,
        subject: &str,
        result: &Result<T, E>,
    ) {
        match result {
            Ok(_) => self.worked(subject),
            Err(error) => self.failed(subject, &error.to_string()),
        }
    }

    /// Notes what became of a request to JetStream's API, such as `STREAM.INFO.HLS_JOBS`.
    pub(super) fn note_request<T, E: std::fmt::Display>(
        &self,
        request: &str,
        result: &Result<T, E>,
    ) {
        self.note_result(&format!("{}.{request}", self.api), result);
    }

    /// The server said why it does not do something. Whether it is news.
    pub(super) fn denied(&self, words: &str) -> bool {
        let Some((verb, subject)) = violation(words) else {
            return false;
        };
        self.note((verb, permission(&self.api, subject)), words, Cause::Denied)
    }

    /// A subject is about to be subscribed to. The server does not answer if that is allowed, so an
    /// earlier denial is dropped.
    pub(super) fn subscribing(&self, subject: &str) {
        let operation = (Verb::Subscribe, permission(&self.api, subject));
        self.seen
            .send_if_modified(|seen| seen.failures.remove(&operation).is_some());
    }

    /// The connection is not up, and this is why.
    pub(super) fn refused(&self, words: String) {
        self.seen.send_modify(|seen| seen.connection = Some(words));
    }

    /// The connection is up again, so that everything is tried again.
    pub(super) fn reconnected(&self) {
        self.seen.send_replace(Observed::default());
    }

    /// What prevents this process from working, each with its fix.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let seen = self.seen.borrow();
        let problems = seen.failures.iter();
        let problems = problems.filter(|((verb, _), failure)| failure.is_reported(*verb));
        problems
            .map(|(operation, failure)| sentence(&self.api, operation, failure))
            .collect()
    }

    /// Why the connection is not up.
    #[must_use]
    pub fn connection(&self) -> String {
        match &self.seen.borrow().connection {
            Some(words) => format!("NATS is not connected: {words}"),
            None => {
                "NATS is not connected; check that nats-server runs and can be reached".to_owned()
            }
        }
    }

    /// Waits until the server denies an operation; for commands, which would otherwise wait for an
    /// answer that never comes.
    pub async fn denial(&self) -> String {
        let mut seen = self.seen.subscribe();
        let first = |seen: &Observed| {
            let denied = seen
                .failures
                .iter()
                .find(|(_, failure)| failure.cause == Cause::Denied);
            denied.map(|(operation, failure)| sentence(&self.api, operation, failure))
        };

        match seen.wait_for(|seen| first(seen).is_some()).await {
            Ok(seen) => first(&seen).unwrap_or_default(),
            // Not while this code holds the sender.
            Err(_) => std::future::pending().await,
        }
    }

    /// Keeps a failure. Whether it is news.
    fn note(&self, operation: Operation, words: &str, cause: Cause) -> bool {
        let mut is_news = false;
        self.seen.send_modify(|seen| {
            // A denied subscription is not retried automatically, so its failure does not expire.
            seen.failures.retain(|(verb, _), failure| {
                *verb == Verb::Subscribe || failure.last.elapsed() < FORGOTTEN_AFTER
            });

            if let Some(failure) = seen.failures.get_mut(&operation) {
                is_news = cause > failure.cause;
                failure.last = Instant::now();
                if cause >= failure.cause {
                    words.clone_into(&mut failure.words);
                    failure.cause = cause;
                }
            } else if seen.failures.len() < MAX_SUBJECTS {
                is_news = true;
                let failure = Failure {
                    since: Instant::now(),
                    last: Instant::now(),
                    words: words.to_owned(),
                    cause,
                };
                seen.failures.insert(operation, failure);
            }
        });

        is_news
    }
}

/// The verb and the subject of `Permissions Violation for Publish to "hls.v1.job.j.ended"`.
fn violation(words: &str) -> Option<(Verb, &str)> {
    let (_, rest) = words.split_once("ermissions Violation for ")?;
    let verb = if rest.starts_with("Publish") {
        Verb::Publish
    } else {
        Verb::Subscribe
    };
    Some((verb, rest.split('"').nth(1)?))
}

/// The narrowest permission worth giving that covers a subject: without the ids of jobs, messages
/// and passing consumers.
fn permission(api: &str, subject: &str) -> String {
    let all_under = |tokens: &[&str]| format!("{}.>", tokens.join("."));
    if let Some(request) = subject
        .strip_prefix(api)
        .and_then(|rest| rest.strip_prefix('.'))
    {
        let tokens: Vec<&str> = request.split('.').collect();
        let kept = match tokens[..] {
            // What covers all under a subject does not cover the subject itself, which is that of
            // consumers without a name.
            ["CONSUMER", "CREATE", _, _, ..] => 3,
            ["CONSUMER", "MSG", "NEXT", stream, ..] if is_read_by_passing_consumers(stream) => 4,
            ["CONSUMER", "INFO" | "DELETE", stream, ..] if is_read_by_passing_consumers(stream) => {
                3
            }
            _ => return subject.to_owned(),
        };
        return format!("{api}.{}", all_under(&tokens[..kept.min(tokens.len())]));
    }

    let tokens: Vec<&str> = subject.split('.').collect();
    match tokens[..] {
        // Nine tokens, or more with the domain and the account in front of the stream.
        ["$JS", "ACK", ..] => {
            let stream = tokens
                .iter()
                .find(|token| topology::STREAMS.contains(token));
            stream.map_or_else(
                || "$JS.ACK.>".to_owned(),
                |stream| format!("$JS.ACK.{stream}.>"),
            )
        }
        ["_INBOX", ..] => "_INBOX.>".to_owned(),
        ["live", "hls", "v1", kind, _, ..] => all_under(&["live", "hls", "v1", kind]),
        ["hls", "v1", kind, _, ..] if kind != "api" => all_under(&["hls", "v1", kind]),
        _ => subject.to_owned(),
    }
}

/// Whether a stream's consumers come and go, under names no one can give permissions for.
fn is_read_by_passing_consumers(stream: &str) -> bool {
    ![topology::TASKS, topology::UPLOADS].contains(&stream)
}

fn sentence(api: &str, (verb, permission): &Operation, failure: &Failure) -> String {
    let words = failure.words.trim_start_matches("nats: ");
    if failure.cause == Cause::Denied {
        let verb = match verb {
            Verb::Publish => "publish to",
            Verb::Subscribe => "subscribe to",
        };
        return format!(
            "NATS says: {words}; let the user of fluxhls {verb} `{permission}` (docs/nats.md lists what it needs)"
        );
    }

    let seconds = failure.since.elapsed().as_secs();
    let what = what(api, permission);
    format!("cannot {what} for {seconds} s: {words}; {}", fix(words))
}

/// What was tried on a subject, in words.
fn what(api: &str, permission: &str) -> String {
    let request = permission
        .strip_prefix(api)
        .map_or("", |rest| rest.trim_start_matches('.'));

    match request.split('.').collect::<Vec<_>>()[..] {
        ["CONSUMER", "MSG", "NEXT", stream, consumer] | ["CONSUMER", "INFO", stream, consumer] => {
            format!("pull from consumer {consumer} of {stream}")
        }
        ["STREAM", "MSG", "GET", stream] | ["STREAM", "INFO", stream] => format!("read {stream}"),
        ["CONSUMER", _, stream, ..] => format!("read {stream}"),
        _ => match permission.strip_prefix("$JS.ACK.") {
            Some(stream) => format!("acknowledge messages of {}", stream.trim_end_matches(".>")),
            None => format!("publish to {permission}"),
        },
    }
}

/// What to do about words of the server or the client.
fn fix(words: &str) -> &'static str {
    let words = words.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if has(&[
        "not found",
        "no stream",
        "no responders",
        "consumer deleted",
    ]) {
        "run `fluxhls provision`"
    } else if has(&["maximum messages", "maximum bytes"]) {
        "the stream is full: raise its limit with `nats stream edit`, or STREAM_MAX_BYTES and `fluxhls provision`"
    } else if has(&["resource", "storage"]) {
        "JetStream has no room left: raise the account's or the server's limit of storage"
    } else {
        "see that the servers of NATS are well (`nats server report jetstream`)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> ConnectionHealth {
        ConnectionHealth::new("$JS.API".to_owned())
    }

    #[test]
    fn a_subject_is_widened_to_the_permission_that_covers_it() {
        for (subject, wanted) in [
            ("hls.v1.job.j1.accepted", "hls.v1.job.>"),
            ("hls.v1.task.encode.lo.j1.v0", "hls.v1.task.>"),
            ("hls.v1.upload", "hls.v1.upload"),
            ("hls.v1.api.status", "hls.v1.api.status"),
            ("live.hls.v1.job.*.cancel", "live.hls.v1.job.>"),
            (
                "$JS.API.STREAM.MSG.GET.HLS_JOBS",
                "$JS.API.STREAM.MSG.GET.HLS_JOBS",
            ),
            (
                "$JS.API.CONSUMER.MSG.NEXT.HLS_TASKS.plan",
                "$JS.API.CONSUMER.MSG.NEXT.HLS_TASKS.plan",
            ),
            (
                "$JS.API.CONSUMER.MSG.NEXT.HLS_JOBS.x7f",
                "$JS.API.CONSUMER.MSG.NEXT.HLS_JOBS.>",
            ),
            (
                "$JS.API.CONSUMER.CREATE.HLS_JOBS.x7f.hls.v1.job.>",
                "$JS.API.CONSUMER.CREATE.HLS_JOBS.>",
            ),
            (
                "$JS.API.CONSUMER.CREATE.HLS_JOBS",
                "$JS.API.CONSUMER.CREATE.HLS_JOBS",
            ),
            ("$JS.ACK.HLS_TASKS.plan.1.1.1.17.0", "$JS.ACK.HLS_TASKS.>"),
            (
                "$JS.ACK.hub.ABC.HLS_TASKS.plan.1.1.1.17.0.x",
                "$JS.ACK.HLS_TASKS.>",
            ),
            ("_INBOX.abc.def", "_INBOX.>"),
        ] {
            assert_eq!(permission("$JS.API", subject), wanted, "{subject}");
        }

        assert_eq!(
            permission("$JS.edge.API", "$JS.edge.API.CONSUMER.CREATE.HLS_JOBS.a"),
            "$JS.edge.API.CONSUMER.CREATE.HLS_JOBS.>"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_for_long_is_told_until_it_works_again() {
        let health = health();
        health.failed("hls.v1.job.a.planned", "no stream found for given subject");
        assert!(health.problems().is_empty(), "a moment is no trouble");

        tokio::time::advance(REPORTED_AFTER).await;
        let problems = health.problems();
        assert!(
            problems[0].contains("run `fluxhls provision`"),
            "{problems:?}"
        );

        health.worked("hls.v1.dead.upload.1");
        assert_eq!(health.problems().len(), 1, "something else worked");
        health.worked("hls.v1.job.b.planned");
        assert!(health.problems().is_empty());

        health.failed("hls.v1.job.a.planned", "timed out");
        tokio::time::advance(FORGOTTEN_AFTER).await;
        assert!(health.problems().is_empty(), "no one tries it any more");
    }

    #[test]
    fn what_the_server_denies_is_told_at_once_in_its_words_until_it_works_or_we_connect_again() {
        let health = health();
        let words = r#"nats: Permissions Violation for Publish to "hls.v1.work.j.attempt.v0""#;
        assert!(health.denied(words));
        assert!(!health.denied(words), "once is enough for a log");

        health.failed("hls.v1.work.k.done.v0", "timed out");
        let problems = health.problems();
        assert!(
            problems[0].contains("Permissions Violation")
                && problems[0].contains("publish to `hls.v1.work.>`"),
            "{problems:?}"
        );

        health.reconnected();
        assert!(health.problems().is_empty());
        assert!(
            health
                .denied(r#"Permissions Violation for Subscription to "live.hls.v1.job.*.cancel""#)
        );
        assert!(health.problems()[0].contains("subscribe to `live.hls.v1.job.>`"));
    }
}
