//! Reading a stream from a sequence on to the end it has at that moment.

use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy, pull::OrderedConfig};
use futures::StreamExt as _;

use super::{Log, StoredMessage};

impl Log {
    /// Gives every message under `filters` beyond sequence `after` to `each`, in their order, up to
    /// the one that is the last when the reading begins.
    ///
    /// # Errors
    /// When the stream cannot be read to that end. What was read before was given.
    pub async fn replay(
        &self,
        stream: &str,
        filters: Vec<String>,
        after: u64,
        mut each: impl FnMut(StoredMessage) + Send,
    ) -> Result<(), async_nats::Error> {
        let stream = self.nats().js.get_stream_no_info(stream).await?;

        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: after + 1,
            },
            replay_policy: ReplayPolicy::Instant,
            filter_subjects: filters,
            ..OrderedConfig::default()
        };

        let consumer = stream.create_consumer(config).await?;
        let mut left = consumer.cached_info().num_pending;
        let mut messages = consumer.messages().await?;

        while left > 0 {
            let message = messages.next().await;
            let message =
                message.ok_or("the consumer ended before the stream was read to its end")??;
            let info = message.info()?;
            left = info.pending;

            each(StoredMessage {
                subject: message.subject.to_string(),
                seq: info.stream_sequence,
                time: info.published,
                headers: message.headers.clone().unwrap_or_default(),
                payload: message.payload.clone(),
            });
        }
        Ok(())
    }
}
