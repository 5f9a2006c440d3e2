//! What was read of late that only a newer release knows, for readiness to name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use streams::Unread;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a message that needs a newer release is left before it is checked again.
pub const NEWER_PAUSE: Duration = Duration::from_secs(30);
/// How long such a message is reported after it was last seen: until two checks were missed.
const REPORTED_FOR: Duration = Duration::from_secs(3 * NEWER_PAUSE.as_secs());
/// Most messages that are named.
const MAX_REPORTED: usize = 20;

/// What was read that needs a newer release. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct NewerMessages(Arc<watch::Sender<BTreeMap<String, Instant>>>);

impl NewerMessages {
    /// Notes a message that needs a newer release, and logs it when it was not noted before.
    pub fn note(&self, unread: &Unread) {
        let now = Instant::now();
        let is_new = self.0.send_if_modified(|seen| {
            seen.retain(|_, at| now.duration_since(*at) < REPORTED_FOR);
            seen.len() < MAX_REPORTED && seen.insert(unread.to_string(), now).is_none()
        });
        if is_new {
            tracing::error!(%unread, "left to a newer fluxhls; upgrade this process");
        }
    }

    /// What was noted of late, one sentence each.
    #[must_use]
    pub fn recent(&self) -> Vec<String> {
        let now = Instant::now();
        let seen = self.0.borrow();
        let recent = seen
            .iter()
            .filter(|(_, at)| now.duration_since(**at) < REPORTED_FOR);
        recent.map(|(what, _)| what.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_message_of_a_newer_release_is_named_while_it_is_met_and_forgotten_after() {
        let newer = NewerMessages::default();
        let shared = newer.clone();
        newer.note(&Unread::newer(
            "hls.v1.job.j.later",
            "this release knows no such fact",
        ));
        tokio::time::advance(NEWER_PAUSE * 2).await;
        newer.note(&Unread::newer(
            "hls.v1.job.j.later",
            "this release knows no such fact",
        ));
        tokio::time::advance(NEWER_PAUSE * 2).await;

        let named = shared.recent();
        assert!(
            named.len() == 1 && named[0].contains("needs a newer fluxhls"),
            "{named:?}"
        );

        tokio::time::advance(NEWER_PAUSE).await;
        assert_eq!(shared.recent(), [""; 0]);
    }
}
