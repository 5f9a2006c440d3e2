//! Whether the output bucket can be used. While it cannot, tasks wait for it instead of using up
//! their attempts.

use std::sync::Arc;
use std::time::Duration;

use storage::StorageError;
use streams::{Class, Code};
use tokio::sync::watch;

use super::{Jobs, meter};

/// How long the question may take. A storage that needs longer is as good as away.
const ANSWER: Duration = Duration::from_secs(15);

/// The least time a task waits before the gate is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// What our own bucket lets us do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Access {
    /// Everything we need.
    #[default]
    Granted,
    /// It refuses us: an operator must act.
    Refused {
        /// `storage_denied` or `clock_skew`.
        code: Code,
        /// What was refused, the storage's own words, and the fix.
        reason: String,
    },
    /// It does not answer, or not as it should.
    Unreachable {
        /// What was asked, and what came instead of an answer.
        reason: String,
    },
}

impl Access {
    /// What a request to our own bucket that failed says of all others.
    pub(super) fn from_error(error: &StorageError) -> Self {
        let reason = error.to_string();
        match error {
            StorageError::ClockSkew { .. } => Self::Refused {
                code: Code::ClockSkew,
                reason,
            },
            _ if error.is_transient() => Self::Unreachable { reason },
            _ => Self::Refused {
                code: Code::StorageDenied,
                reason,
            },
        }
    }

    /// Why no task is started, for people; nothing where tasks are.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let (what, reason) = match self {
            Self::Granted => return None,
            Self::Refused {
                code: Code::ClockSkew,
                reason,
            } => (
                "the clocks of this service and of the storage differ",
                reason,
            ),
            Self::Refused { reason, .. } => ("the storage refuses this service", reason),
            Self::Unreachable { reason } => ("the storage does not answer", reason),
        };
        Some(format!(
            "{what}, and no task is started until that is mended: {reason}"
        ))
    }

    /// Whether two answers are of one kind, though their words may differ.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused { code, .. }, Self::Refused { code: other, .. }) => code == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// The last answer to that question. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<watch::Sender<Access>>);

impl Gate {
    /// What was last found.
    #[must_use]
    pub fn access(&self) -> Access {
        self.0.borrow().clone()
    }

    /// How long a task that would start now has to wait; nothing when it may start.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        (*self.0.borrow() != Access::Granted).then(Self::retry_delay)
    }

    /// How long a task waits before the storage is asked again. Up to twice the least time, so that
    /// tasks that waited together do not come back together.
    pub(super) fn retry_delay() -> Duration {
        PAUSE.mul_f64(1.0 + rand::random::<f64>())
    }

    pub(super) fn set(&self, access: Access) {
        let before = self.0.send_replace(access.clone());

        // The bucket is asked again every few seconds, so only a change is worth a line.
        if before.is_like(&access) {
            return;
        }

        match (access.obstacle(), &access) {
            (
                Some(obstacle),
                Access::Refused {
                    code: Code::StorageDenied,
                    ..
                },
            ) => tracing::error!("{obstacle}"),
            (Some(obstacle), _) => tracing::warn!("{obstacle}"),
            (None, _) => tracing::info!("the storage can be used again"),
        }
    }
}

/// How long a task of a class waits for the storage; nothing where it need not.
pub(super) fn storage_pause(jobs: &Jobs, class: Class) -> Option<Duration> {
    let pause = jobs.gate.pause()?;
    meter::storage_wait(class);
    Some(pause)
}

/// Finds out what our own bucket lets us do, by a canary that writes, and tells the gate.
pub async fn probe_storage(jobs: &Jobs) -> Access {
    let canary = tokio::time::timeout(ANSWER, jobs.output.canary(&jobs.settings.output_root)).await;
    let access = match canary {
        Ok(Ok(())) => Access::Granted,
        Ok(Err(error)) => Access::from_error(&error),
        Err(_) => Access::Unreachable {
            reason: format!(
                "no answer from bucket {} within {ANSWER:?}",
                jobs.output.name()
            ),
        },
    };

    jobs.gate.set(access.clone());
    access
}

/// Looks after the gate. While it is open a look at any key tells whether something is wrong,
/// and only then the canary is sent; while it is closed nothing but the canary opens it.
pub async fn check_storage(jobs: &Jobs) -> Access {
    let key = format!("{}canary", jobs.settings.output_root);
    if jobs.gate.access() == Access::Granted
        && jobs.output.head(&key).await.is_ok()
        && jobs.output.agrees_on_time().is_ok()
    {
        return Access::Granted;
    }
    probe_storage(jobs).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code, reason: &str) -> Access {
        let reason = reason.to_owned();
        Access::Refused { code, reason }
    }

    #[test]
    fn a_closed_gate_makes_tasks_wait_and_an_open_one_does_not() {
        let gate = Gate::default();
        let shared = gate.clone();
        assert_eq!(shared.pause(), None);

        let away = Access::Unreachable {
            reason: "no answer".to_owned(),
        };

        for closed in [
            refused(Code::StorageDenied, "403"),
            refused(Code::ClockSkew, "403"),
            away,
        ] {
            gate.set(closed);
            assert!(
                shared
                    .pause()
                    .is_some_and(|pause| (PAUSE..=PAUSE * 2).contains(&pause))
            );
        }

        gate.set(Access::Granted);
        assert_eq!(shared.pause(), None);
    }

    #[test]
    fn an_obstacle_says_what_it_is_and_keeps_the_storages_own_words() {
        let clock = refused(Code::ClockSkew, "they differ by 60 min")
            .obstacle()
            .unwrap();
        assert!(
            clock.contains("the clocks of") && clock.contains("60 min"),
            "{clock}"
        );

        let denied = refused(Code::StorageDenied, "403 ExpiredToken")
            .obstacle()
            .unwrap();
        assert!(
            denied.contains("refuses") && denied.contains("ExpiredToken"),
            "{denied}"
        );

        assert_eq!(Access::Granted.obstacle(), None);
    }
}
