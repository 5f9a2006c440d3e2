//! Events that become dead letters, and the reasons.

use std::time::Duration;

use jetstream::{DeadLetterReason, Delivery, Disposition, NEWER_PAUSE, Refused, dead_letter};
use metrics::counter;
use streams::upload::Malformed;
use streams::{Code, Unread, subject, topology};

use super::Intake;
use crate::crash;
use crate::job::verdict::SettleError;

impl Intake {
    /// Handles an event that cannot be accepted. Each reason is named here, so that no permanent
    /// one is retried forever: a temporary problem is retried, an event that needs a newer release
    /// is left to one, and everything else is a dead letter.
    pub(super) async fn settle_error(
        &self,
        delivery: &Delivery,
        stage: &str,
        error: SettleError,
    ) -> Disposition {
        let reason = match error {
            SettleError::Storage(_) | SettleError::Missing { .. } => {
                tracing::warn!(seq = delivery.seq, %error, "an event cannot be carried out yet; trying again");
                return Disposition::Retry(self.jobs.settings.retry_delay);
            }
            SettleError::Unread(unread @ Unread::Newer { .. }) => {
                self.jobs.log.newer().note(&unread);
                return Disposition::Retry(NEWER_PAUSE);
            }
            SettleError::Unread(unread @ Unread::Broken { .. }) => unread.to_string(),
            SettleError::Refused(refused) => refused.to_string(),
        };
        self.settle_internal_error(delivery, stage, &reason).await
    }

    /// Publishes an event that cannot be carried out as a dead letter, for a reason that the
    /// publisher did not cause.
    pub(super) async fn settle_internal_error(
        &self,
        delivery: &Delivery,
        stage: &str,
        reason: &str,
    ) -> Disposition {
        // The event may be acknowledged only after the dead letter is in its stream, or a crash in
        // between would lose it.
        match self
            .publish_dead_letter(delivery, stage, Code::Internal, reason)
            .await
        {
            Ok(()) => {
                tracing::error!(
                    seq = delivery.seq,
                    reason,
                    "the {stage} event cannot be carried out; kept as a dead letter"
                );
                Disposition::Ack
            }
            // The event can only be kept in its own stream, so it stays there and is delivered
            // again.
            Err(refused) => {
                tracing::error!(%refused, seq = delivery.seq, "not even a dead letter can be published");
                Disposition::Retry(Duration::from_secs(60))
            }
        }
    }

    /// Publishes an event that names no file, or contradicts the log, as a dead letter with its
    /// original bytes and headers.
    pub(super) async fn settle_malformed(
        &self,
        delivery: &Delivery,
        stage: &str,
        reason: &Malformed,
    ) -> Result<Disposition, Refused> {
        self.publish_dead_letter(delivery, stage, Code::InvalidEvent, &reason.0)
            .await?;
        crash::point("intake.buried");
        if stage == "upload" {
            counter!("fluxhls_uploads_total", "result" => "malformed").increment(1);
        }
        tracing::warn!(seq = delivery.seq, reason = %reason, "the {stage} event is malformed; kept as a dead letter");
        Ok(Disposition::Ack)
    }

    /// Publishes an event as a dead letter.
    pub(super) async fn publish_dead_letter(
        &self,
        delivery: &Delivery,
        stage: &str,
        code: Code,
        reason: &str,
    ) -> Result<(), Refused> {
        // The id of the dead letter names the event, so a second delivery of the event publishes no
        // second one.
        let grief = DeadLetterReason {
            stream: topology::UPLOADS,
            seq: delivery.seq,
            time: delivery.time,
            code,
            reason,
            more: &[],
        };
        let letter = dead_letter(
            subject::dead_message(stage, delivery.seq),
            &grief,
            delivery.payload().clone(),
            delivery.headers(),
            self.jobs.log.max_payload(),
        );
        self.jobs.log.publish_dead_letter(letter).await
    }
}
