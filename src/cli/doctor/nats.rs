//! NATS: the server, JetStream, streams and consumers.

use streams::provision;

use super::finding::Finding;
use crate::config::NatsArgs;
use crate::jetstream::Nats;

/// The first version whose single server loses no acknowledged message when its machine does, given `sync_interval: always`.
const ALONE: (u64, u64) = (2, 15);

/// Looks at the server, and makes the streams first where `fix` says so.
pub(super) async fn check(args: &NatsArgs, fix: bool) -> Vec<Finding> {
    let nats = match Nats::connect(&args.settings("fluxhls doctor")).await {
        Ok(nats) => nats,
        Err(error) => return vec![Finding::fix("nats", error.to_string())],
    };
    let mut findings = vec![server(&nats, args), payload(&nats)];
    match nats.js.query_account().await {
        Ok(_) => findings.push(Finding::of("streams", streams(&nats, args, fix).await)),
        Err(error) => findings.push(Finding::fix(
            "streams",
            format!("JetStream does not answer this account ({error}); enable it in the server's configuration"),
        )),
    }
    findings
}

fn server(nats: &Nats, args: &NatsArgs) -> Finding {
    let info = nats.client.server_info();
    let version = &info.version;
    if info.cluster.is_some() {
        return match args.sizing().replicas {
            1 => Finding::warning(
                "nats",
                format!(
                    "nats-server {version} in a cluster, but STREAM_REPLICAS is 1: each stream lives on one server; set 3"
                ),
            ),
            replicas => Finding::ok(
                "nats",
                format!("nats-server {version} in a cluster, {replicas} copies of each stream"),
            ),
        };
    }
    if numbers(version) < ALONE {
        let text = format!(
            "nats-server {version} alone may lose what it acknowledged when its machine fails; take {}.{} or newer with \
             `sync_interval: always`, or a cluster of three",
            ALONE.0, ALONE.1
        );
        return Finding::fix("nats", text);
    }
    let text = format!(
        "nats-server {version}, alone: it must have `sync_interval: always` in its `jetstream` section, which cannot be seen from here"
    );
    Finding::warning("nats", text)
}

/// Major and minor.
fn numbers(version: &str) -> (u64, u64) {
    let mut numbers = version.split('.').map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn payload(nats: &Nats) -> Finding {
    let limit = nats.client.server_info().max_payload;
    match provision::check_payload(limit) {
        Ok(()) => Finding::ok("payload", format!("messages may have {limit} bytes")),
        Err(error) => Finding::fix("payload", error.to_string()),
    }
}

async fn streams(nats: &Nats, args: &NatsArgs, fix: bool) -> Result<String, String> {
    if fix {
        let applied = provision::apply(&nats.js, args.sizing()).await;
        applied.map_err(|error| error.to_string())?;
    }
    let drifts = provision::check(&nats.js, args.sizing()).await;
    let drifts = drifts.map_err(|error| error.to_string())?;
    if drifts.is_empty() {
        return Ok("every stream and consumer is as it should be".to_owned());
    }
    let told: Vec<String> = drifts.iter().map(ToString::to_string).collect();
    Err(format!("{}; run `fluxhls provision`", told.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(numbers("2.9.25") < ALONE && numbers("2.15.1") >= ALONE && numbers("2.16.0-RC.1") >= ALONE);
        assert_eq!(numbers("odd"), (0, 0));
    }
}
