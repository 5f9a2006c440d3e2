//! Delete event → the jobs of the file end, their outputs are removed, a tombstone stays.

use std::convert::Infallible;

use jetstream::{Delivery, Disposition};
use metrics::counter;
use streams::{EventOrder, delete, topology};

use super::Intake;
use crate::job::deletion::delete_file;
use crate::job::verdict::SettleError;

impl Intake {
    /// Carries a delete event out.
    pub(super) async fn handle_delete(
        &self,
        delivery: &Delivery,
    ) -> Result<Disposition, SettleError> {
        let read = delete::read(
            delivery.headers(),
            delivery.payload(),
            &self.jobs.settings.output_root,
        );
        let event = match read {
            Ok(event) => event,
            Err(malformed) => {
                return Ok(self
                    .settle_malformed(delivery, "delete", &malformed)
                    .await?);
            }
        };

        let order = EventOrder::new(delivery.seq, delivery.time);
        self.await_removal(delivery, delete_file(&self.jobs, &event, order))
            .await?;

        // The acknowledgement comes last: after a crash before it the event is delivered again, and
        // what is left to remove is removed then.
        counter!("fluxhls_deleted_files_total").increment(1);
        tracing::info!(file.id = %event.file_id, seq = delivery.seq, "file {} is deleted", event.file_id);
        Ok(Disposition::Ack)
    }

    /// Waits for a removal, which may take longer than the server waits for an acknowledgement
    /// ([`topology::ACK_WAIT`]).
    pub(super) async fn await_removal(
        &self,
        delivery: &Delivery,
        removal: impl Future<Output = Result<(), SettleError>>,
    ) -> Result<(), SettleError> {
        tokio::select! {
            removed = removal => removed,
            never = send_heartbeats(delivery) => match never {},
        }
    }
}

/// Sends a heartbeat every [`topology::HEARTBEAT`], so that the server does not deliver the event
/// again.
async fn send_heartbeats(delivery: &Delivery) -> Infallible {
    loop {
        tokio::time::sleep(topology::HEARTBEAT).await;
        delivery.heartbeat().await;
    }
}
