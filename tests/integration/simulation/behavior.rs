//! What kind of file a simulated job has: it is written in the file's name, where any process can
//! read it.

use rand::Rng;
use rand::rngs::StdRng;

/// What becomes of a job if nothing else happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobBehavior {
    /// It completes.
    Plain,
    /// Its plan finds that it can never be done.
    Rejected,
    /// Its second chunk can never be done.
    Doomed,
    /// Its tasks fail now and then.
    Shaky,
    /// Its first chunk fails its check once.
    Damaged,
    /// Its first chunk fails its check, and fails it again when it was done again.
    Rotten,
    /// Its first chunk fails its gate, measuring the same each time.
    Wrong,
    /// The work on its tracks panics.
    Panicking,
    /// Its first chunk never ends: the worker on it dies.
    Killer,
}

impl JobBehavior {
    const ALL: [Self; 9] = [
        Self::Plain,
        Self::Rejected,
        Self::Doomed,
        Self::Shaky,
        Self::Damaged,
        Self::Rotten,
        Self::Wrong,
        Self::Panicking,
        Self::Killer,
    ];

    /// Half of all are plain.
    pub(super) fn any(random: &mut StdRng) -> Self {
        if random.random_bool(0.5) {
            Self::Plain
        } else {
            Self::ALL[random.random_range(0..Self::ALL.len())]
        }
    }

    /// The behavior in a file's name.
    pub(super) fn of(name: &str) -> Self {
        let found = Self::ALL
            .into_iter()
            .find(|behavior| name == format!("{behavior:?}"));
        found.expect("every simulated file is named for its behavior")
    }
}
