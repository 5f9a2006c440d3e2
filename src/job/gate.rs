//! Whether the output bucket can be used. While it cannot, tasks wait for it instead of using up their attempts.

use std::sync::Arc;
use std::time::Duration;

use streams::Class;
use tokio::sync::watch;

use super::{Jobs, meter};

/// How long the question may take. A storage that needs longer is as good as away.
const ANSWER: Duration = Duration::from_secs(15);

/// The least time a task waits before the gate is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// What our own bucket lets us do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// Everything we need.
    #[default]
    Granted,
    /// It refuses our credentials: an operator must act.
    Denied,
    /// It does not answer, or not as it should.
    Unreachable,
}

/// The last answer to that question. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<watch::Sender<Access>>);

impl Gate {
    /// What was last found.
    #[must_use]
    pub fn access(&self) -> Access {
        *self.0.borrow()
    }

    /// How long a task that would start now has to wait; nothing when it may start. Up to twice the least time, so that tasks that
    /// waited together do not come back together.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        (self.access() != Access::Granted).then(|| PAUSE.mul_f64(1.0 + rand::random::<f64>()))
    }

    fn found(&self, access: Access) {
        let before = self.0.send_replace(access);
        match access {
            _ if before == access => {}
            Access::Granted => tracing::info!("the storage can be used again"),
            Access::Denied => {
                tracing::error!("the storage refuses our credentials; no task is started until it takes them")
            }
            Access::Unreachable => tracing::warn!("the storage does not answer; no task is started until it does"),
        }
    }
}

impl Jobs {
    /// How long a task of a class waits for the storage; nothing where it need not.
    pub(super) fn storage_pause(&self, class: Class) -> Option<Duration> {
        let pause = self.gate.pause()?;
        meter::storage_wait(class);
        Some(pause)
    }

    /// Finds out what our own bucket lets us do, by a canary that writes, and tells the gate.
    pub async fn try_access(&self) -> Access {
        let canary = tokio::time::timeout(ANSWER, self.output.canary(&self.settings.output_root)).await;
        let access = match canary {
            Ok(Ok(())) => Access::Granted,
            Ok(Err(error)) if error.is_denied() => Access::Denied,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the canary did not sing");
                Access::Unreachable
            }
            Err(_) => Access::Unreachable,
        };
        self.gate.found(access);
        access
    }

    /// Looks after the gate. While it is open a look at any key tells whether credentials may be the trouble, and only then the canary
    /// is sent; while it is closed nothing but the canary opens it.
    pub async fn keep_gate(&self) -> Access {
        let key = format!("{}canary", self.settings.output_root);
        if self.gate.access() == Access::Granted
            && !matches!(self.output.head(&key).await, Err(error) if error.is_denied())
        {
            return Access::Granted;
        }
        self.try_access().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_gate_makes_tasks_wait_and_an_open_one_does_not() {
        let gate = Gate::default();
        let shared = gate.clone();
        assert_eq!(shared.pause(), None);
        for closed in [Access::Denied, Access::Unreachable] {
            gate.found(closed);
            assert!(shared.pause().is_some_and(|pause| (PAUSE..=PAUSE * 2).contains(&pause)));
        }
        gate.found(Access::Granted);
        assert_eq!(shared.pause(), None);
    }
}
