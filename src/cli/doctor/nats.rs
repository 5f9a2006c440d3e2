//! NATS: the server, JetStream, streams and consumers.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::response::Response;
use async_nats::{HeaderMap, header};
use bytes::Bytes;
use futures::StreamExt as _;
use jetstream::Nats;
use streams::merge::LargerValue;
use streams::provision::{self, Report};
use streams::{subject, topology};
use tokio::time::timeout;

use super::finding::Finding;
use crate::cli::provision::allowed;
use crate::config::NatsArgs;

/// The first version whose single server loses no acknowledged message when its machine does, given
/// `sync_interval: always`.
const MIN_SINGLE_SERVER: (u64, u64) = (2, 15);
/// The share of a limit from which on it is worth a warning.
const NEARLY_FULL_SHARE: f64 = 0.8;
/// How long a stream at the other end of a leaf node may take to answer.
const CAPTURE_TIMEOUT: Duration = Duration::from_secs(1);

/// Checks the server, and creates the streams first if `fix` is set.
pub(super) async fn check(args: &NatsArgs, fix: bool) -> Vec<Finding> {
    let nats = match Nats::connect(&args.settings("fluxhls doctor")).await {
        Ok(nats) => nats,
        Err(error) => return vec![Finding::fix("nats", error.to_string())],
    };
    let mut findings = vec![check_payload(&nats)];

    let report = async {
        if fix {
            allowed(
                &nats,
                provision::apply(&nats.js, &args.sizing(), LargerValue::Keep),
            )
            .await?;
        }
        allowed(
            &nats,
            provision::check(&nats.js, &args.sizing(), LargerValue::Keep),
        )
        .await
    };

    match report.await {
        Ok(report) => {
            findings.push(check_server(&nats, args).await);
            findings.push(Finding::of("streams", check_streams(&report)));
            findings.push(check_storage(&report));
            findings.extend(check_capture(&nats).await);
        }
        Err(error) => findings.push(Finding::fix("streams", error.to_string())),
    }
    findings
}

async fn check_server(nats: &Nats, args: &NatsArgs) -> Finding {
    let version = &nats.client.server_info().version;
    let replicas = args.stream_replicas;

    match is_clustered(nats).await {
        Err(reason) => Finding::warning(
            "nats",
            format!(
                "nats-server {version}; whether it is in a cluster cannot be determined ({reason})"
            ),
        ),
        Ok(true) if replicas == 1 => Finding::warning(
            "nats",
            format!(
                "nats-server {version} in a cluster, but STREAM_REPLICAS is 1: each stream is on one server; set 3"
            ),
        ),
        Ok(true) => Finding::ok(
            "nats",
            format!("nats-server {version} in a cluster, {replicas} copies of each stream"),
        ),
        Ok(false) if parse_version(version) < MIN_SINGLE_SERVER => Finding::fix(
            "nats",
            format!(
                "a single nats-server {version} may lose acknowledged messages when its machine fails; use {}.{} or newer with \
                 `sync_interval: always`, or a cluster of three",
                MIN_SINGLE_SERVER.0, MIN_SINGLE_SERVER.1
            ),
        ),
        Ok(false) => Finding::warning(
            "nats",
            format!(
                "a single nats-server {version}: it needs `sync_interval: always` in its `jetstream` section, which cannot be checked from here"
            ),
        ),
    }
}

/// Whether JetStream reports that it is clustered: the server of a leaf node also names a cluster,
/// but has none. The request has no effect, because there is no such consumer; only a cluster looks
/// for it.
async fn is_clustered(nats: &Nats) -> Result<bool, String> {
    let request = format!("CONSUMER.LEADER.STEPDOWN.{}.doctor", topology::TASKS);
    let asked = tokio::select! {
        asked = nats.js.request(request, &()) => asked.map_err(|error| error.to_string()),
        denial = nats.health.denial() => Err(denial),
    };
    match asked? {
        Response::Ok(serde_json::Value::Null | _) => Ok(true),
        Response::Err { error } => Ok(error.error_code() != ErrorCode::CLUSTER_REQUIRED),
    }
}

/// Whether a second stream also stores upload events, in a JetStream domain at the other end of a
/// leaf node with the same account. Each event would then be transcoded twice, or one stream would
/// acknowledge what the other refused. Every stream that receives a message expected by another
/// stream refuses it with its own answer, so the answers can be counted, and nothing is stored.
async fn check_capture(nats: &Nats) -> Option<Finding> {
    let inbox = nats.client.new_inbox();
    let mut answers = nats.client.subscribe(inbox.clone()).await.ok()?;

    let mut headers = HeaderMap::new();
    // No stream has this name, so each one that takes the subject refuses the message, and says so.
    headers.insert(header::NATS_EXPECTED_STREAM, "fluxhls-doctor");
    let sent =
        nats.client
            .publish_with_reply_and_headers(subject::UPLOAD, inbox, headers, Bytes::new());
    sent.await.ok()?;

    let mut streams = 0;
    while let Ok(Some(answer)) = timeout(CAPTURE_TIMEOUT, answers.next()).await {
        // Without any stream it is the server that answers, with a status (503, no responders).
        streams += usize::from(answer.status.is_none());
    }

    (streams > 1).then(|| {
        Finding::warning(
            "capture",
            format!(
                "{streams} streams store {}: the streams of a hub and of a leaf node receive the same subjects; remove the one that fluxhls does \
                 not read, or block hls.v1.> at the leaf node (deny_imports and deny_exports of its remote)",
                subject::UPLOAD
            ),
        )
    })
}

/// Major and minor.
fn parse_version(version: &str) -> (u64, u64) {
    let mut numbers = version.split('.').map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn check_payload(nats: &Nats) -> Finding {
    let limit = nats.client.server_info().max_payload;
    match provision::check_payload(limit) {
        Ok(()) => Finding::ok(
            "payload",
            format!("messages of up to {limit} bytes are accepted"),
        ),
        Err(error) => Finding::fix("payload", error.to_string()),
    }
}

fn check_streams(report: &Report) -> Result<String, String> {
    if report.drifts.is_empty() {
        return Ok("every stream and consumer has the expected configuration".to_owned());
    }
    let drifts: Vec<String> = report.drifts.iter().map(ToString::to_string).collect();
    Err(format!("{}; run `fluxhls provision`", drifts.join("; ")))
}

/// How much of its storage JetStream uses.
fn check_storage(report: &Report) -> Finding {
    let fullest = report
        .fills
        .iter()
        .max_by(|one, other| one.share.total_cmp(&other.share));
    let refusing = report.fills.iter().find(|fill| fill.is_full);

    match refusing.or(fullest) {
        Some(fill) if fill.is_full => Finding::fix(
            "storage",
            format!("{fill} and refuses more; {}", fill.fix()),
        ),
        Some(fill) if fill.share > NEARLY_FULL_SHARE => {
            Finding::warning("storage", format!("{fill}; {}", fill.fix()))
        }
        Some(fill) => Finding::ok("storage", format!("{fill}; nothing else is fuller")),
        None => Finding::ok("storage", "neither streams nor the account have a limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(
            parse_version("2.9.25") < MIN_SINGLE_SERVER
                && parse_version("2.15.1") >= MIN_SINGLE_SERVER
                && parse_version("2.16.0-RC.1") >= MIN_SINGLE_SERVER
        );
        assert_eq!(parse_version("odd"), (0, 0));
    }
}
