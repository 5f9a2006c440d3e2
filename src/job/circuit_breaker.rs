//! The circuit breaker of the output bucket. It is open while the bucket cannot be used: then tasks
//! wait instead of using up their attempts.

use std::sync::Arc;
use std::time::Duration;

use storage::StorageError;
use streams::{Class, Code};
use tokio::sync::watch;

use super::{Jobs, meter};

/// How long the health probe may take. A storage that needs longer is as good as away.
const PROBE_TIMEOUT: Duration = Duration::from_secs(15);

/// The least time a task waits while the circuit is open.
const MIN_RETRY_DELAY: Duration = Duration::from_secs(5);

/// What the output bucket allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StorageAccess {
    /// Everything that is needed.
    #[default]
    Granted,
    /// It denies access: an operator must act.
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

impl StorageAccess {
    /// What a failed request to the output bucket means for all other requests.
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

    /// Why no task is started, for people; none if tasks are started.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
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
            "{what}, and no task is started until this is fixed: {reason}"
        ))
    }

    /// Whether two answers are of one kind, though their words may differ.
    fn is_same_kind(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused { code, .. }, Self::Refused { code: other, .. }) => code == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// The state of the output bucket after the last request to it. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct CircuitBreaker(Arc<watch::Sender<StorageAccess>>);

impl CircuitBreaker {
    /// What was last found.
    #[must_use]
    pub fn access(&self) -> StorageAccess {
        self.0.borrow().clone()
    }

    /// How long a task that would start now has to wait; none if it may start.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        (*self.0.borrow() != StorageAccess::Granted).then(Self::retry_delay)
    }

    /// How long a task waits before the storage is asked again. Up to twice the least time, so that
    /// tasks that waited together do not all return at the same time.
    pub(super) fn retry_delay() -> Duration {
        MIN_RETRY_DELAY.mul_f64(1.0 + rand::random::<f64>())
    }

    pub(super) fn set(&self, access: StorageAccess) {
        let before = self.0.send_replace(access.clone());

        // The bucket is asked again every few seconds, so only a change is worth a line.
        if before.is_same_kind(&access) {
            return;
        }

        match (access.problem(), &access) {
            (
                Some(obstacle),
                StorageAccess::Refused {
                    code: Code::StorageDenied,
                    ..
                },
            ) => tracing::error!("{obstacle}"),
            (Some(obstacle), _) => tracing::warn!("{obstacle}"),
            (None, _) => tracing::info!("the storage can be used again"),
        }
    }
}

/// How long a task of a class waits for the storage; none if it need not.
pub(super) fn storage_pause(jobs: &Jobs, class: Class) -> Option<Duration> {
    let pause = jobs.breaker.pause()?;
    meter::storage_wait(class);
    Some(pause)
}

/// Checks what the output bucket allows, by a health probe that writes, and sets the circuit
/// breaker.
pub async fn probe_storage(jobs: &Jobs) -> StorageAccess {
    let probe = tokio::time::timeout(
        PROBE_TIMEOUT,
        jobs.output.check_health(&jobs.settings.output_root),
    )
    .await;
    let access = match probe {
        Ok(Ok(())) => StorageAccess::Granted,
        Ok(Err(error)) => StorageAccess::from_error(&error),
        Err(_) => StorageAccess::Unreachable {
            reason: format!(
                "no answer from bucket {} within {PROBE_TIMEOUT:?}",
                jobs.output.name()
            ),
        },
    };

    jobs.breaker.set(access.clone());
    access
}

/// Sets the circuit breaker by the state of the storage. While the circuit is closed, a request for
/// any key shows whether something is wrong, and only then the health probe is sent; while it is
/// open, only the health probe closes it.
pub async fn check_storage(jobs: &Jobs) -> StorageAccess {
    let key = format!("{}canary", jobs.settings.output_root);
    if jobs.breaker.access() == StorageAccess::Granted
        && jobs.output.head(&key).await.is_ok()
        && jobs.output.check_clock().is_ok()
    {
        return StorageAccess::Granted;
    }
    probe_storage(jobs).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code, reason: &str) -> StorageAccess {
        let reason = reason.to_owned();
        StorageAccess::Refused { code, reason }
    }

    #[test]
    fn an_open_circuit_makes_tasks_wait_and_a_closed_one_does_not() {
        let breaker = CircuitBreaker::default();
        let shared = breaker.clone();
        assert_eq!(shared.pause(), None);

        let away = StorageAccess::Unreachable {
            reason: "no answer".to_owned(),
        };

        for failing in [
            refused(Code::StorageDenied, "403"),
            refused(Code::ClockSkew, "403"),
            away,
        ] {
            breaker.set(failing);
            assert!(
                shared
                    .pause()
                    .is_some_and(|pause| (MIN_RETRY_DELAY..=MIN_RETRY_DELAY * 2).contains(&pause))
            );
        }

        breaker.set(StorageAccess::Granted);
        assert_eq!(shared.pause(), None);
    }

    #[test]
    fn an_obstacle_says_what_it_is_and_keeps_the_storages_own_words() {
        let clock = refused(Code::ClockSkew, "they differ by 60 min")
            .problem()
            .unwrap();
        assert!(
            clock.contains("the clocks of") && clock.contains("60 min"),
            "{clock}"
        );

        let denied = refused(Code::StorageDenied, "403 ExpiredToken")
            .problem()
            .unwrap();
        assert!(
            denied.contains("refuses") && denied.contains("ExpiredToken"),
            "{denied}"
        );

        assert_eq!(StorageAccess::Granted.problem(), None);
    }
}
