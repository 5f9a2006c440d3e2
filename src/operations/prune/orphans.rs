//! Which objects of a job go. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use storage::{JobKeys, ObjectMeta, revision_of};

use super::log_index::OutputStatus;
use crate::job::receipt::Receipt;

/// How long objects that may belong to a repair are kept: a repair does not announce itself, and
/// publishes no names before its end.
pub(super) const REPAIR_GRACE: TimeDelta = TimeDelta::hours(24);

/// What a decision rests on.
#[derive(Debug, Clone)]
pub(super) struct OrphanCriteria<'a> {
    pub(super) status: OutputStatus,
    /// What can be reached from the master playlist.
    pub(super) public: &'a BTreeSet<String>,
    /// What the newest receipt of the job needs; none if it cannot be read.
    pub(super) needed: Option<ReceiptReferences>,
    pub(super) now: DateTime<Utc>,
    pub(super) grace: TimeDelta,
}

/// What a receipt asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct ReceiptReferences {
    /// Every key it mentions: the objects of the output, and what a repair reads again (lists of
    /// what tasks made, tiles of the storyboard, posters that were not chosen).
    keys: BTreeSet<String>,
    /// The newest attempt or revision it knows of.
    newest: u64,
}

impl ReceiptReferences {
    /// What this receipt asks for.
    pub(super) fn by(receipt: &Receipt) -> Self {
        let made = receipt.made.iter().flat_map(|made| {
            let beside = [&made.list, &made.output.poster, &made.output.tiles];
            let subtitles = made
                .output
                .subtitles
                .iter()
                .map(|subtitles| &subtitles.object);
            beside.into_iter().flatten().chain(subtitles)
        });
        let objects = receipt
            .objects
            .iter()
            .chain(made)
            .map(|object| object.key.clone());

        Self {
            keys: objects
                .chain(receipt.poster.clone())
                .chain(receipt.storyboard.clone())
                .collect(),
            newest: receipt
                .made
                .iter()
                .map(|made| made.attempt)
                .fold(receipt.revision, u64::max),
        }
    }
}

impl OrphanCriteria<'_> {
    /// Whether an object of the job is removed.
    pub(super) fn is_orphan(&self, keys: &JobKeys, object: &ObjectMeta) -> bool {
        // Objects that players can reach stay, whatever the log and the receipt say.
        if self.public.contains(&object.key) {
            return false;
        }

        match (self.status, &self.needed) {
            (OutputStatus::Open, _) => false,
            (OutputStatus::NotPublic(since), _) => self.now - since >= self.grace,
            // Without a receipt no one knows what a repair needs.
            (OutputStatus::Public, None) => false,
            (OutputStatus::Public, Some(needed)) => {
                // A number higher than all known ones may be that of a repair that is about to
                // become public.
                let may_be_at_work =
                    number_of(&object.key).is_some_and(|number| number > needed.newest);
                let grace = if may_be_at_work {
                    self.grace.max(REPAIR_GRACE)
                } else {
                    self.grace
                };

                !needed.keys.contains(&object.key)
                    && !is_kept(keys, &object.key)
                    && object.modified.is_some_and(|at| self.now - at >= grace)
            }
        }
    }
}

/// Objects that no receipt names but that are needed: older receipts, which are used to repair an
/// output whose newest one is lost, and live playlists, which players that started with them still
/// read.
fn is_kept(keys: &JobKeys, key: &str) -> bool {
    revision_of(&keys.receipt(), key).is_some() || key.ends_with("/live.m3u8")
}

/// The attempt or revision in a key, which is in base 36 at the end of the file's name; none if
/// there is none.
fn number_of(key: &str) -> Option<u64> {
    let file = key.rsplit('/').next()?;
    let (_, number) = file.split('.').next()?.rsplit_once('-')?;
    u64::from_str_radix(number, 36).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 8] = [
        "720p/0-1.m4s",
        "720p/index.m3u8",
        "720p/live.m3u8",
        "commit.m3u8",
        "parts/v0-1.rgb",
        "poster-1.jpg",
        "receipt.json",
        "receipt-a.json",
    ];

    fn keys() -> JobKeys {
        JobKeys::new("hls/f/", "j")
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn some_keys() -> impl Strategy<Value = BTreeSet<String>> {
        let names = proptest::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len());
        names.prop_map(|names| {
            names
                .into_iter()
                .map(|name| format!("hls/f/j/{name}"))
                .collect()
        })
    }

    fn needed() -> impl Strategy<Value = ReceiptReferences> {
        (some_keys(), 0_u64..50).prop_map(|(keys, newest)| ReceiptReferences { keys, newest })
    }

    fn object() -> impl Strategy<Value = ObjectMeta> {
        (
            proptest::sample::select(&NAMES[..]),
            proptest::option::of(0_i64..200),
        )
            .prop_map(|(name, modified)| ObjectMeta {
                key: format!("hls/f/j/{name}"),
                size: 1,
                etag: None,
                content_type: None,
                cache_control: None,
                modified: modified.map(at),
            })
    }

    fn status() -> impl Strategy<Value = OutputStatus> {
        prop_oneof![
            Just(OutputStatus::Open),
            (0_i64..200).prop_map(|second| OutputStatus::NotPublic(at(second))),
            Just(OutputStatus::Public)
        ]
    }

    proptest! {
        #[test]
        fn nothing_goes_that_is_public_or_at_work_or_fresh_or_needed(
            object in object(), status in status(), public in some_keys(), needed in proptest::option::of(needed()),
            now in 0_i64..200, grace in 0_i64..100,
        ) {
            let criteria = OrphanCriteria {
                status, public: &public, needed: needed.clone(), now: at(now), grace: TimeDelta::seconds(grace),
            };

            if criteria.is_orphan(&keys(), &object) {
                prop_assert!(!public.contains(&object.key));
                match status {
                    OutputStatus::Open => prop_assert!(false),
                    OutputStatus::NotPublic(since) => prop_assert!(at(now) >= since + TimeDelta::seconds(grace)),
                    OutputStatus::Public => {
                        prop_assert!(!needed.unwrap().keys.contains(&object.key));
                        prop_assert!(!object.key.contains("receipt") && !object.key.contains("live"));
                        prop_assert!(at(now) >= object.modified.unwrap() + TimeDelta::seconds(grace));
                    }
                }
            }
        }

        #[test]
        fn what_is_over_and_named_by_nothing_goes_as_a_whole(object in object(), since in 0_i64..100, grace in 0_i64..100) {
            let nothing = BTreeSet::new();
            let criteria = OrphanCriteria {
                status: OutputStatus::NotPublic(at(since)), public: &nothing, needed: None, now: at(since + grace),
                grace: TimeDelta::seconds(grace),
            };
            prop_assert!(criteria.is_orphan(&keys(), &object));
        }

        #[test]
        fn what_an_attempt_left_behind_goes_once_it_is_old_and_that_of_a_later_repair_a_day_later(
            age in 0_i64..200_000, grace in 1_i64..100_000, number in 1_u64..9,
        ) {
            let object = ObjectMeta {
                key: format!("hls/f/j/720p/0-{number}.m4s"), size: 1, etag: None, content_type: None, cache_control: None,
                modified: Some(at(0)),
            };
            let named = BTreeSet::from(["hls/f/j/720p/0-0.m4s".to_owned()]);
            let criteria = OrphanCriteria {
                status: OutputStatus::Public, public: &named, needed: Some(ReceiptReferences { keys: named.clone(), newest: 4 }), now: at(age),
                grace: TimeDelta::seconds(grace),
            };

            let grace = if number > 4 { grace.max(REPAIR_GRACE.num_seconds()) } else { grace };
            prop_assert_eq!(criteria.is_orphan(&keys(), &object), age >= grace);
        }
    }
}
