//! What a server has, merged with what the contract wants: the one rule by which `provision`
//! changes streams and consumers, and by which `provision --check`, readiness and `doctor` compare
//! them.
//!
//! Values that the contract fixes are set. For minimum values (copies, limits, ages) the larger
//! value stays, and no limit is the largest. Everything else (placement, compression, limits that
//! are not in the contract) belongs to the operator, and is not compared.

use std::fmt;
use std::time::Duration;

use async_nats::jetstream::consumer::{self, IntoConsumerConfig as _};
use async_nats::jetstream::stream;

use crate::topology::Durable;

/// What happens to a value that is larger than the contract requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LargerValue {
    /// It stays.
    Keep,
    /// It is lowered to what is asked for.
    Lower,
}

/// How much a difference matters, and how it can be repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// There is no such stream or consumer, or it breaks the contract: messages may be lost, or not
    /// be delivered as they should be.
    Contract,
    /// As [`Severity::Contract`], and the server changes it only by creating the stream or consumer
    /// again, which is never done for an operator.
    Unchangeable,
    /// It works, if not as asked for: with less room or fewer copies, or with subjects that another
    /// version of the program knows.
    Minor,
}

/// One difference between a server and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The stream or consumer.
    pub name: String,
    /// What differs.
    pub what: String,
    /// How much it matters.
    pub severity: Severity,
}

impl Drift {
    /// For a missing stream or consumer.
    pub(crate) fn missing(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            what: "missing".to_owned(),
            severity: Severity::Contract,
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.what)
    }
}

/// A value that stays since it is larger than what is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The stream or consumer.
    pub name: String,
    /// What stays, and what is asked for.
    pub what: String,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.what)
    }
}

/// A configuration as it should become.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged<C> {
    /// The server's own, with what has to change changed.
    pub config: C,
    /// What has to change.
    pub drifts: Vec<Drift>,
    /// What stays larger than asked for.
    pub kept: Vec<Kept>,
}

/// Merges what is wanted of a stream into the configuration the server has.
#[must_use]
pub fn merge_stream(
    wanted: &stream::Config,
    found: &stream::Config,
    larger: LargerValue,
) -> Merged<stream::Config> {
    let mut config = found.clone();
    let mut rule = Rule::new(&wanted.name, larger);

    // Additions of a newer program must not stop an older one, as between an upgrade and its
    // rollback.
    let lacks = wanted
        .subjects
        .iter()
        .any(|subject| !found.subjects.contains(subject));
    let severity = if lacks {
        Severity::Contract
    } else {
        Severity::Minor
    };
    rule.set("subjects", &wanted.subjects, &mut config.subjects, severity);

    rule.fix("retention", &wanted.retention, &mut config.retention);
    rule.fix("discard", &wanted.discard, &mut config.discard);
    rule.fix("republish", &wanted.republish, &mut config.republish);
    rule.fix("no_ack", &wanted.no_ack, &mut config.no_ack);
    rule.cannot_change("storage", &wanted.storage, &config.storage);
    // The server never resets deny_delete, and if the contract does not require these, they do no
    // harm.
    rule.switch_on("deny_delete", wanted.deny_delete, &mut config.deny_delete);
    rule.switch_on(
        "allow_direct",
        wanted.allow_direct,
        &mut config.allow_direct,
    );

    rule.raise(
        "num_replicas",
        wanted.num_replicas,
        &mut config.num_replicas,
        Copies,
    );
    rule.raise("max_age", wanted.max_age, &mut config.max_age, Age);
    let per_subject = &mut config.max_messages_per_subject;
    rule.raise(
        "max_msgs_per_subject",
        wanted.max_messages_per_subject,
        per_subject,
        Limit,
    );

    // No value in the contract does not mean "no limit": such a limit belongs to the operator.
    if wanted.max_bytes > 0 {
        rule.raise("max_bytes", wanted.max_bytes, &mut config.max_bytes, Limit);
    }
    if wanted.max_messages > 0 {
        rule.raise(
            "max_msgs",
            wanted.max_messages,
            &mut config.max_messages,
            Limit,
        );
    }
    if !wanted.duplicate_window.is_zero() {
        let window = &mut config.duplicate_window;
        rule.raise("duplicate_window", wanted.duplicate_window, window, Window);
    }

    rule.merged(config)
}

/// Merges what is wanted of a durable consumer into the configuration the server has.
#[must_use]
pub fn merge_consumer(
    durable: &Durable,
    found: &consumer::Config,
    larger: LargerValue,
) -> Merged<consumer::Config> {
    let wanted = durable.config.clone().into_consumer_config();
    let mut config = found.clone();
    let mut rule = Rule::new(durable.name(), larger);

    // The server keeps one filter in one field and several in another, so they are compared as one
    // list.
    let mut filters = filters(&config);
    rule.set(
        "filter_subjects",
        &self::filters(&wanted),
        &mut filters,
        Severity::Minor,
    );
    config.filter_subject.clone_from(&wanted.filter_subject);
    config.filter_subjects.clone_from(&wanted.filter_subjects);

    rule.fix("ack_wait", &wanted.ack_wait, &mut config.ack_wait);
    rule.fix("max_deliver", &wanted.max_deliver, &mut config.max_deliver);
    rule.fix("backoff", &wanted.backoff, &mut config.backoff);
    rule.cannot_change("ack_policy", &wanted.ack_policy, &config.ack_policy);
    rule.cannot_change(
        "deliver_policy",
        &wanted.deliver_policy,
        &config.deliver_policy,
    );

    if config.max_waiting < wanted.max_waiting {
        rule.cannot_change("max_waiting", &wanted.max_waiting, &config.max_waiting);
    }

    let pending = &mut config.max_ack_pending;
    rule.raise("max_ack_pending", wanted.max_ack_pending, pending, Limit);

    rule.merged(config)
}

/// The subjects a consumer is given, whichever of its two fields names them.
fn filters(config: &consumer::Config) -> Vec<String> {
    let one = Some(&config.filter_subject).filter(|filter| !filter.is_empty());
    one.into_iter()
        .chain(&config.filter_subjects)
        .cloned()
        .collect()
}

/// How values of a kind are compared and written for people.
trait Scale<T> {
    /// How large a value is; no limit is the largest.
    fn magnitude(&self, value: T) -> u128;
    /// The value in words.
    fn describe(&self, value: T) -> String;
}

/// Numbers where nothing, zero and below are no limit, as the server writes them.
struct Limit;

impl Scale<i64> for Limit {
    fn magnitude(&self, value: i64) -> u128 {
        u128::try_from(value)
            .ok()
            .filter(|value| *value > 0)
            .unwrap_or(u128::MAX)
    }

    fn describe(&self, value: i64) -> String {
        if value > 0 {
            value.to_string()
        } else {
            "without limit".to_owned()
        }
    }
}

/// Ages, where zero is without limit.
struct Age;

impl Scale<Duration> for Age {
    fn magnitude(&self, value: Duration) -> u128 {
        Some(value.as_nanos())
            .filter(|age| *age > 0)
            .unwrap_or(u128::MAX)
    }

    fn describe(&self, value: Duration) -> String {
        if value.is_zero() {
            "without limit".to_owned()
        } else {
            format!("{value:?}")
        }
    }
}

/// Spans, where zero is none.
struct Window;

impl Scale<Duration> for Window {
    fn magnitude(&self, value: Duration) -> u128 {
        value.as_nanos()
    }

    fn describe(&self, value: Duration) -> String {
        format!("{value:?}")
    }
}

/// Copies of a stream.
struct Copies;

impl Scale<usize> for Copies {
    fn magnitude(&self, value: usize) -> u128 {
        u128::try_from(value).unwrap_or(u128::MAX)
    }

    fn describe(&self, value: usize) -> String {
        value.to_string()
    }
}

/// Compares field by field, and notes what it did.
struct Rule<'a> {
    name: &'a str,
    larger: LargerValue,
    drifts: Vec<Drift>,
    kept: Vec<Kept>,
}

impl<'a> Rule<'a> {
    const fn new(name: &'a str, larger: LargerValue) -> Self {
        Self {
            name,
            larger,
            drifts: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// A value that the contract fixes, and nothing works right without it.
    fn fix<T: PartialEq + Clone + fmt::Debug>(&mut self, field: &str, wanted: &T, found: &mut T) {
        self.set(field, wanted, found, Severity::Contract);
    }

    /// A value that the contract fixes.
    fn set<T: PartialEq + Clone + fmt::Debug>(
        &mut self,
        field: &str,
        wanted: &T,
        found: &mut T,
        severity: Severity,
    ) {
        if wanted != found {
            self.drift(
                format!("{field} is {found:?}, should be {wanted:?}"),
                severity,
            );
            found.clone_from(wanted);
        }
    }

    /// A value that the contract fixes, and the server as well.
    fn cannot_change<T: PartialEq + fmt::Debug>(&mut self, field: &str, wanted: &T, found: &T) {
        if wanted != found {
            let what = format!("{field} is {found:?}, should be {wanted:?}, and cannot be changed");
            self.drift(what, Severity::Unchangeable);
        }
    }

    /// A switch that must be on if the contract requires it.
    fn switch_on(&mut self, field: &str, wanted: bool, found: &mut bool) {
        if wanted {
            self.fix(field, &true, found);
        }
    }

    /// A value that must be at least `wanted`.
    fn raise<T: Copy>(&mut self, field: &str, wanted: T, found: &mut T, scale: impl Scale<T>) {
        let (found_words, wanted_words) = (scale.describe(*found), scale.describe(wanted));
        match (
            scale.magnitude(*found).cmp(&scale.magnitude(wanted)),
            self.larger,
        ) {
            (std::cmp::Ordering::Equal, _) => {}
            (std::cmp::Ordering::Greater, LargerValue::Keep) => self.kept.push(Kept {
                name: self.name.to_owned(),
                what: format!(
                    "{field} stays {found_words}, more than the {wanted_words} asked for"
                ),
            }),
            (std::cmp::Ordering::Less | std::cmp::Ordering::Greater, _) => {
                let what = format!("{field} is {found_words}, should be {wanted_words}");
                self.drift(what, Severity::Minor);
                *found = wanted;
            }
        }
    }

    fn drift(&mut self, what: String, severity: Severity) {
        self.drifts.push(Drift {
            name: self.name.to_owned(),
            what,
            severity,
        });
    }

    fn merged<C>(self, config: C) -> Merged<C> {
        Merged {
            config,
            drifts: self.drifts,
            kept: self.kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream::stream::{Compression, Placement};
    use proptest::prelude::*;

    use super::*;
    use crate::topology::{self, Sizing};

    const DAY: Duration = Duration::from_secs(86_400);

    fn wanted(name: &str) -> stream::Config {
        let streams = topology::streams(&Sizing::default());
        streams
            .into_iter()
            .find(|config| config.name == name)
            .unwrap()
    }

    #[test]
    fn what_an_operator_set_stays_and_what_the_contract_fixes_is_set() {
        let uploads = wanted(topology::UPLOADS);
        let placement = Some(Placement {
            cluster: Some("eu".to_owned()),
            tags: vec!["ssd".to_owned()],
        });
        let found = stream::Config {
            num_replicas: 3,
            max_bytes: 4 << 30,
            max_age: Duration::ZERO,
            max_messages: 10_000_000,
            placement: placement.clone(),
            compression: Some(Compression::S2),
            subjects: vec!["hls.v1.upload".to_owned()],
            ..uploads.clone()
        };

        let merged = merge_stream(&uploads, &found, LargerValue::Keep);
        let expected = stream::Config {
            subjects: uploads.subjects.clone(),
            ..found.clone()
        };

        assert_eq!(merged.config, expected);
        assert_eq!(merged.drifts.len(), 1, "{:?}", merged.drifts);
        assert_eq!(merged.kept.len(), 3, "{:?}", merged.kept);

        let lowered = merge_stream(&uploads, &found, LargerValue::Lower).config;
        let expected = stream::Config {
            max_messages: 10_000_000,
            placement,
            compression: Some(Compression::S2),
            ..uploads
        };
        assert_eq!(
            lowered, expected,
            "what the contract has no word on stays even then"
        );
    }

    #[test]
    fn a_limit_on_a_stream_without_one_in_the_contract_is_the_operators() {
        let jobs = wanted(topology::JOBS);
        let found = stream::Config {
            max_bytes: 1 << 30,
            ..jobs.clone()
        };
        let merged = merge_stream(&jobs, &found, LargerValue::Lower);
        assert_eq!((merged.config, merged.drifts), (found, Vec::new()));
    }

    #[test]
    fn a_consumer_keeps_the_larger_limit_and_gets_the_filters_of_the_contract() {
        let durables = topology::durables(&Sizing::default());
        let intake = durables
            .iter()
            .find(|durable| durable.name() == topology::INTAKE)
            .unwrap();

        let found = consumer::Config {
            filter_subjects: Vec::new(),
            max_ack_pending: 50_000,
            num_replicas: 1,
            description: Some("ours".to_owned()),
            ..intake.config.clone().into_consumer_config()
        };

        let merged = merge_consumer(intake, &found, LargerValue::Keep);
        let expected = consumer::Config {
            filter_subjects: intake.config.filter_subjects.clone(),
            ..found.clone()
        };
        assert_eq!(merged.config, expected);
        assert_eq!((merged.drifts.len(), merged.kept.len()), (1, 1));

        let few = consumer::Config {
            max_waiting: 512,
            ..expected
        };
        let merged = merge_consumer(intake, &few, LargerValue::Keep);
        assert_eq!(
            merged.drifts.first().unwrap().severity,
            Severity::Unchangeable
        );
        assert_eq!(
            merged.config, few,
            "an update of it would be refused as a whole"
        );
    }

    proptest! {
        #[test]
        fn nothing_is_ever_lowered_and_a_second_merge_changes_nothing(
            replicas in 1usize..6, bytes in -1i64..3 << 30, messages in -1i64..3_000_000, days in 0u32..200, per_subject in -1i64..4,
            which in 0usize..6,
        ) {
            let wanted = topology::streams(&Sizing::default()).swap_remove(which);
            let found = stream::Config {
                num_replicas: replicas, max_bytes: bytes, max_messages: messages, max_age: DAY * days,
                max_messages_per_subject: per_subject, ..wanted.clone()
            };

            let merged = merge_stream(&wanted, &found, LargerValue::Keep);
            let config = &merged.config;
            prop_assert!(config.num_replicas >= replicas);
            prop_assert!(Limit.magnitude(config.max_bytes) >= Limit.magnitude(bytes));
            prop_assert!(Limit.magnitude(config.max_messages) >= Limit.magnitude(messages));
            prop_assert!(Limit.magnitude(config.max_messages_per_subject) >= Limit.magnitude(per_subject));
            prop_assert!(Age.magnitude(config.max_age) >= Age.magnitude(found.max_age));

            let again = merge_stream(&wanted, config, LargerValue::Keep);
            prop_assert_eq!((&again.config, again.drifts.len()), (config, 0));
        }
    }
}
