//! Delete event → the file's jobs end, what they made goes, a tombstone stays.

use std::convert::Infallible;

use metrics::counter;
use streams::{delete, topology};

use super::Intake;
use crate::jetstream::{Delivery, Refused, Settlement};
use crate::job::verdict::SettleError;

impl Intake {
    /// Carries a delete event out.
    pub(super) async fn delete(&self, delivery: &Delivery) -> Result<Settlement, Refused> {
        let read = delete::read(delivery.headers(), delivery.payload(), &self.jobs.settings.output_root);
        let event = match read {
            Ok(event) => event,
            Err(malformed) => return self.bury(delivery, "delete", &malformed).await,
        };
        let settlement = self.remove(delivery, self.jobs.delete_file(&event, delivery.seq)).await;
        if settlement == Settlement::Ack {
            counter!("fluxhls_deleted_files_total").increment(1);
            tracing::info!(file.id = %event.file_id, seq = delivery.seq, "file {} is deleted", event.file_id);
        }
        Ok(settlement)
    }

    /// Waits for a removal, which may take longer than the server waits for a word of us.
    pub(super) async fn remove(
        &self,
        delivery: &Delivery,
        removal: impl Future<Output = Result<(), SettleError>>,
    ) -> Settlement {
        let removed = tokio::select! {
            removed = removal => removed,
            never = beat(delivery) => match never {},
        };
        match removed {
            Ok(()) => Settlement::Ack,
            Err(error) => {
                tracing::warn!(seq = delivery.seq, %error, "what is to be deleted is not gone yet; trying again");
                Settlement::Retry(self.jobs.settings.retry_delay)
            }
        }
    }
}

/// Tells the server now and then that the work goes on.
async fn beat(delivery: &Delivery) -> Infallible {
    loop {
        tokio::time::sleep(topology::HEARTBEAT).await;
        delivery.heartbeat().await;
    }
}
