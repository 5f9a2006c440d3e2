//! What the proxy in front of the object store does to those who come through it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the proxy does from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Closes every connection at once.
    Refuse,
    /// Holds back every answer for this long.
    Delay(Duration),
    /// Breaks off every answer to `GET <…path>` at that byte of the object, whichever range was
    /// asked for.
    CutReads {
        /// The end of the path, without its query.
        path: String,
        /// How many bytes of the object can be had.
        at: u64,
    },
    /// Does this to the first requests of a kind, and nothing to those after them.
    First {
        /// Which requests it hits.
        which: Which,
        /// How many of those.
        times: u64,
        /// What it does.
        mishap: Mishap,
    },
    /// Does one of these to some of the requests.
    Strike {
        /// Which requests it may hit.
        which: Which,
        /// How many of a hundred of those it hits.
        percent: u64,
        /// What it does, chosen again for each.
        mishaps: &'static [Mishap],
    },
}

/// Some of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// Those that send an object.
    Uploads,
    /// Those for objects that the tests uploaded.
    Uploaded,
    /// Those for the object whose path ends so, without its query.
    Path(String),
    /// Those with this in their query.
    Query(&'static str),
    /// Those of this method for the object whose path ends so.
    Method(&'static str, String),
}

/// What may happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It is answered with this status and this error code of S3, and never reaches the store.
    Answer(u16, &'static str),
    /// It is answered with this document and 200, and never reaches the store.
    Document(&'static str),
    /// The same as [`Mishap::Answer`], from a store whose clock is so many minutes ahead of ours.
    Dated(u16, &'static str, i64),
    /// The connection is closed in the middle of what is sent.
    CutRequest,
    /// The connection is closed in the middle of the answer.
    CutAnswer,
    /// What is sent is taken to its middle and no further, while the connection stays.
    StallRequest,
    /// The answer stands still in its middle, while the connection stays.
    StallAnswer,
    /// The answer comes in small pieces, with this pause between them.
    Trickle(Duration),
}

impl Which {
    fn includes(&self, method: &str, target: &str) -> bool {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match self {
            Self::All => true,
            Self::Uploads => method == "PUT",
            Self::Uploaded => path.contains("/uploads/"),
            Self::Path(end) => path.trim_end_matches('/').ends_with(end.as_str()),
            Self::Query(part) => query.contains(part),
            Self::Method(wanted, end) => method == *wanted && path.ends_with(end.as_str()),
        }
    }
}

/// What becomes of one request and its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// What happens to it.
    pub(super) mishap: Option<Mishap>,
    /// How many bytes of the answer's body pass before the connection is closed.
    pub(super) allowed: Option<u64>,
}

impl Fault {
    /// The fate of the `n`-th request, given its method, its target and the first byte it asks for.
    /// The same request of the same number always meets the same fate. `struck` counts those that
    /// [`Fault::First`] has hit.
    pub(super) fn fate(
        &self,
        n: u64,
        struck: &AtomicU64,
        method: &str,
        target: &str,
        first_byte: u64,
    ) -> Fate {
        match self {
            Self::First {
                which,
                times,
                mishap,
            } if which.includes(method, target)
                && struck.fetch_add(1, Ordering::Relaxed) < *times =>
            {
                Fate {
                    mishap: Some(*mishap),
                    ..Fate::default()
                }
            }
            Self::CutReads { path: end, at }
                if Which::Method("GET", end.clone()).includes(method, target) =>
            {
                Fate {
                    allowed: Some(at.saturating_sub(first_byte)),
                    ..Fate::default()
                }
            }
            Self::Strike {
                which,
                percent,
                mishaps,
            } if which.includes(method, target) && scattered(n) % 100 < *percent => Fate {
                mishap: mishaps
                    .get(usize::try_from(scattered(n) / 100).unwrap_or(0) % mishaps.len())
                    .copied(),
                ..Fate::default()
            },
            _ => Fate::default(),
        }
    }
}

/// A number below ten thousand that looks like a throw of dice (`SplitMix64`).
fn scattered(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % 10_000
}
