//! How full streams and accounts are, which limits are in the way of streams and consumers, and
//! what to do about each.

use std::fmt;

use async_nats::jetstream::account::{Account, Limits};
use async_nats::jetstream::stream::{self, DiscardPolicy};
use async_nats::jetstream::{self, ErrorCode};

use crate::topology::{self, Durable};

/// What must be left for the largest message, in bytes.
const MAX_MESSAGE_BYTES: u64 = topology::MIN_PAYLOAD as u64;

/// How much of a limit is used.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamFill {
    /// The stream; none for the account.
    pub stream: Option<String>,
    /// Share of the limit that is used, from 0 to 1.
    pub share: f64,
    /// Whether messages are refused now.
    pub is_full: bool,
    /// What is used.
    pub used: u64,
    /// Of how much.
    pub limit: u64,
    unit: &'static str,
}

impl fmt::Display for StreamFill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stream {
            Some(name) => write!(f, "{name} holds")?,
            None => f.write_str("JetStream's account stores")?,
        }
        write!(f, " {} of {} {}", self.used, self.limit, self.unit)
    }
}

impl StreamFill {
    /// What to do if it is full.
    #[must_use]
    pub fn fix(&self) -> String {
        match &self.stream {
            Some(name) => format!(
                "raise its limit with `nats stream edit {name}`, or STREAM_MAX_BYTES={name}=BYTES and `fluxhls provision`"
            ),
            None => "raise the account's limit of storage, or remove streams it no longer needs"
                .to_owned(),
        }
    }
}

/// How full a stream is by its own limits; nothing for one without any.
#[must_use]
pub fn stream_fill(config: &stream::Config, state: &stream::State) -> Option<StreamFill> {
    let limits = [
        (
            state.bytes,
            positive(Some(config.max_bytes)),
            MAX_MESSAGE_BYTES,
            "bytes",
        ),
        (
            state.messages,
            positive(Some(config.max_messages)),
            1,
            "messages",
        ),
    ];

    let fills = limits.into_iter().filter_map(|(used, limit, need, unit)| {
        let limit = limit?;
        // A stream that discards its oldest messages makes room on its own.
        let refuses = config.discard == DiscardPolicy::New;
        Some(StreamFill {
            stream: Some(config.name.clone()),
            share: share(used, limit),
            is_full: refuses && used.saturating_add(need) > limit,
            used,
            limit,
            unit,
        })
    });

    fills.max_by(|one, other| one.share.total_cmp(&other.share))
}

/// How full the account is, or the fullest of its tiers; none if it has no limit.
#[must_use]
pub fn account_fill(account: &Account) -> Option<StreamFill> {
    let whole = (account.storage, &account.limits);
    let tiers = account
        .tiers
        .values()
        .map(|tier| (tier.storage, &tier.limits));

    let fills = tiers.chain([whole]).filter_map(|(used, limits)| {
        let limit = positive(limits.max_storage)?;
        Some(StreamFill {
            stream: None,
            share: share(used, limit),
            is_full: used.saturating_add(MAX_MESSAGE_BYTES) > limit,
            used,
            limit,
            unit: "bytes",
        })
    });

    fills.max_by(|one, other| one.share.total_cmp(&other.share))
}

#[expect(clippy::cast_precision_loss, reason = "a share needs few digits")]
fn share(used: u64, limit: u64) -> f64 {
    used as f64 / limit as f64
}

/// What an account allows, and what of it is in use, for streams of a number of copies.
struct JetStreamLimits<'a> {
    limits: &'a Limits,
    streams: usize,
    reserved: u64,
    /// How often the bytes of a stream count: an account without tiers counts every copy.
    weight: u64,
}

impl<'a> JetStreamLimits<'a> {
    fn of(account: &'a Account, replicas: usize) -> Self {
        match account.tiers.get(&format!("R{replicas}")) {
            Some(tier) => Self {
                limits: &tier.limits,
                streams: tier.streams,
                reserved: tier.reserved_storage,
                weight: 1,
            },
            None => Self {
                limits: &account.limits,
                streams: account.streams,
                reserved: account.reserved_storage,
                weight: u64::try_from(replicas).unwrap_or(1),
            },
        }
    }
}

/// Why an account will refuse these missing streams or consumers, with the fix; none if its limits
/// allow them.
#[must_use]
pub fn exceeded_limit(
    account: &Account,
    streams: &[&stream::Config],
    durables: &[&Durable],
) -> Option<String> {
    let replicas = streams.first().map_or(1, |config| config.num_replicas);
    let allowance = JetStreamLimits::of(account, replicas);

    let refusals = [
        unlimited(&allowance, streams),
        too_many(&allowance, streams),
        too_large(&allowance, streams),
        too_many_consumers(&allowance, durables),
        too_many_pending(&allowance, durables),
    ];

    refusals.into_iter().flatten().next()
}

fn unlimited(allowance: &JetStreamLimits<'_>, streams: &[&stream::Config]) -> Option<String> {
    let unlimited = streams.iter().filter(|config| config.max_bytes <= 0);
    let names: Vec<String> = unlimited
        .map(|config| format!("{}=BYTES", config.name))
        .collect();
    (allowance.limits.max_bytes_required && !names.is_empty()).then(|| {
        format!(
            "the account requires that every stream has max_bytes; set STREAM_MAX_BYTES={}",
            names.join(",")
        )
    })
}

fn too_many(allowance: &JetStreamLimits<'_>, streams: &[&stream::Config]) -> Option<String> {
    let limit = positive(allowance.limits.max_streams)?;
    let wanted = allowance.streams.saturating_add(streams.len());
    (!streams.is_empty() && u64::try_from(wanted).unwrap_or(u64::MAX) > limit).then(|| {
        format!(
            "the account may have {limit} streams and has {}, but {} more are needed; raise its limit of streams to {wanted} or more",
            allowance.streams,
            streams.len()
        )
    })
}

fn too_large(allowance: &JetStreamLimits<'_>, streams: &[&stream::Config]) -> Option<String> {
    let bytes = |config: &&stream::Config| u64::try_from(config.max_bytes).unwrap_or(0);
    let per_stream = positive(allowance.limits.storage_max_stream_bytes);
    if let Some(limit) = per_stream
        && let Some(config) = streams.iter().find(|config| bytes(config) > limit)
    {
        return Some(format!(
            "the account allows {limit} bytes for a stream, and {name} would have {}; set STREAM_MAX_BYTES={name}=BYTES to that or less, or \
             raise the account's limit",
            config.max_bytes,
            name = config.name
        ));
    }

    let limit = positive(allowance.limits.max_storage)?;
    let wanted: u64 = streams
        .iter()
        .map(bytes)
        .sum::<u64>()
        .saturating_mul(allowance.weight);
    let names: Vec<&str> = streams
        .iter()
        .filter(|config| config.max_bytes > 0)
        .map(|config| config.name.as_str())
        .collect();

    (wanted > 0 && allowance.reserved.saturating_add(wanted) > limit).then(|| {
        format!(
            "the account may store {limit} bytes, {} of them are reserved, and {} would reserve {wanted} more; set STREAM_MAX_BYTES={}=BYTES to \
             less, or raise the account's storage",
            allowance.reserved,
            names.join(", "),
            names.join("=BYTES,")
        )
    })
}

/// The server counts consumers for each stream, whatever the limit is called.
fn too_many_consumers(allowance: &JetStreamLimits<'_>, durables: &[&Durable]) -> Option<String> {
    let limit = positive(allowance.limits.max_consumers)?;
    let of = |stream| {
        durables
            .iter()
            .filter(|durable| durable.stream == stream)
            .count()
    };
    let most = durables
        .iter()
        .map(|durable| of(durable.stream))
        .max()
        .unwrap_or(0);
    (u64::try_from(most).unwrap_or(u64::MAX) > limit).then(|| {
        format!(
            "the account allows {limit} consumers for a stream, and one needs {most}; raise its limit of consumers to {most} or more"
        )
    })
}

fn too_many_pending(allowance: &JetStreamLimits<'_>, durables: &[&Durable]) -> Option<String> {
    let limit = positive(Some(allowance.limits.max_ack_pending))?;
    let over = |durable: &&&Durable| {
        u64::try_from(durable.config.max_ack_pending).map_or(true, |wanted| wanted > limit)
    };
    let durable = durables.iter().find(over)?;

    Some(format!(
        "the account allows {limit} unacknowledged messages for a consumer, and {} would have {}; set CONSUMER_MAX_ACK_PENDING to {limit} or \
         less, or raise the account's limit",
        durable.name(),
        durable.config.max_ack_pending
    ))
}

/// A limit, where there is one.
fn positive(limit: Option<i64>) -> Option<u64> {
    limit
        .and_then(|limit| u64::try_from(limit).ok())
        .filter(|limit| *limit > 0)
}

/// What to do about a refusal of JetStream.
#[must_use]
pub fn advice(error: &jetstream::Error) -> &'static str {
    match error.error_code() {
        ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::INSUFFICIENT_RESOURCES => {
            "the server's max_file_store has less room than the stream reserves: set STREAM_MAX_BYTES to less (HLS_UPLOADS has 1073741824 \
             without it), or raise max_file_store"
        }
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => {
            "raise the account's storage for JetStream, or set STREAM_MAX_BYTES to less"
        }
        ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED => {
            "set STREAM_MAX_BYTES to less for this stream, or raise what the account allows for one"
        }
        ErrorCode::STREAM_MAX_BYTES_REQUIRED => {
            "the account requires max_bytes for every stream: set STREAM_MAX_BYTES=NAME=BYTES,… for all six"
        }
        ErrorCode::MAXIMUM_STREAMS_LIMIT => {
            "raise the account's limit of streams by the six of fluxhls"
        }
        ErrorCode::MAXIMUM_CONSUMERS_LIMIT => {
            "raise the account's limit of consumers to five or more for a stream"
        }
        ErrorCode::CONSUMER_MAX_PENDING_ACK_EXCESS => {
            "set CONSUMER_MAX_ACK_PENDING to the server's limit, or raise max_ack_pending there"
        }
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => {
            "set STREAM_REPLICAS=1, or run nats-server as a cluster of three"
        }
        ErrorCode::CLUSTER_NO_PEERS => {
            "STREAM_REPLICAS requests more copies than there are servers that may hold one: set fewer, start the others, or check the placement of \
             the stream"
        }
        ErrorCode::STREAM_SUBJECT_OVERLAP => {
            "another stream of this account stores the same subjects: `nats stream find --subject 'hls.v1.>'` shows it"
        }
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            "enable JetStream in the server's configuration and for this account, or set NATS_JETSTREAM_DOMAIN where it is on another server"
        }
        ErrorCode::STREAM_NOT_FOUND | ErrorCode::CONSUMER_NOT_FOUND => "run `fluxhls provision`",
        ErrorCode::CLUSTER_NOT_AVAILABLE => {
            "the cluster has no leader: check that more than half of its servers run"
        }
        _ => "check the stream or consumer with `nats stream info` or `nats consumer info`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Sizing;

    fn account(change: impl FnOnce(&mut Account)) -> Account {
        let mut account = Account::default();
        account.limits.max_ack_pending = -1;
        change(&mut account);
        account
    }

    fn refusal(change: impl FnOnce(&mut Account), sizing: &Sizing) -> Option<String> {
        let (streams, durables) = (topology::streams(sizing), topology::durables(sizing));
        let (streams, durables): (Vec<_>, Vec<_>) =
            (streams.iter().collect(), durables.iter().collect());
        exceeded_limit(&account(change), &streams, &durables)
    }

    #[test]
    fn each_limit_of_an_account_that_is_in_the_way_is_named_with_its_setting() {
        let sizing = Sizing::default();
        assert_eq!(refusal(|_| {}, &sizing), None);
        type Change = fn(&mut Account);
        let cases: [(Change, &str); 6] = [
            (
                |account| account.limits.max_storage = Some(200_000_000),
                "STREAM_MAX_BYTES=HLS_UPLOADS=BYTES",
            ),
            (
                |account| account.limits.max_streams = Some(4),
                "raise its limit of streams to 6",
            ),
            (
                |account| account.limits.max_consumers = Some(4),
                "raise its limit of consumers to 5",
            ),
            (
                |account| account.limits.max_ack_pending = 1000,
                "CONSUMER_MAX_ACK_PENDING to 1000",
            ),
            (
                |account| account.limits.max_bytes_required = true,
                "HLS_JOBS=BYTES,HLS_WORK=BYTES",
            ),
            (
                |account| account.limits.storage_max_stream_bytes = Some(1000),
                "allows 1000 bytes for a stream",
            ),
        ];

        for (change, words) in cases {
            let refusal = refusal(change, &sizing).unwrap_or_default();
            assert!(refusal.contains(words), "{words}: {refusal}");
        }
    }

    #[test]
    fn a_stream_is_full_by_its_own_limit_when_the_largest_fact_does_not_fit() {
        let config = stream::Config {
            max_bytes: 4 << 30,
            ..topology::streams(&Sizing::default()).swap_remove(0)
        };
        let state = |bytes| -> stream::State {
            serde_json::from_value(serde_json::json!({
                "messages": 1, "bytes": bytes, "first_seq": 1, "first_ts": "2026-11-26T16:40:00Z", "last_seq": 1,
                "last_ts": "2026-11-26T16:40:00Z", "consumer_count": 0
            }))
            .unwrap()
        };

        let fill = stream_fill(&config, &state(1_u64 << 30)).unwrap();
        assert!((fill.share - 0.25).abs() < 1e-9 && !fill.is_full, "{fill}");
        assert!(stream_fill(&config, &state((4 << 30) - 1)).unwrap().is_full);

        let old = stream::Config {
            discard: DiscardPolicy::Old,
            ..config
        };
        assert!(
            !stream_fill(&old, &state(4 << 30)).unwrap().is_full,
            "it makes room on its own"
        );
    }

    #[test]
    fn an_account_is_as_full_as_the_fullest_of_its_tiers() {
        let account = account(|account| {
            account.limits.max_storage = None;
            let mut tier = async_nats::jetstream::account::Tier::default();
            (tier.storage, tier.limits.max_storage) = (900_000, Some(1_000_000));
            account.tiers.insert("R3".to_owned(), tier);
        });

        let fill = account_fill(&account).unwrap();
        assert!(
            fill.is_full && fill.to_string().contains("900000 of 1000000 bytes"),
            "{fill}"
        );
        assert_eq!(account_fill(&Account::default()), None);
    }

    #[test]
    fn copies_count_where_the_account_has_no_tier_of_their_own() {
        let sizing = Sizing {
            replicas: 3,
            ..Sizing::default()
        };
        let two = |account: &mut Account| account.limits.max_storage = Some(2 << 30);
        assert!(refusal(two, &sizing).is_some());
        assert_eq!(refusal(two, &Sizing::default()), None);
    }
}
