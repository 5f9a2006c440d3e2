//! Events as this program publishes them itself: under a message id, so that one that has to be
//! sent twice is stored once.

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishError;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;

use super::Log;

/// How often an event is sent whose acknowledgement does not come.
const MAX_TRIES: u32 = 3;

/// Why an event was not stored.
#[derive(Debug, thiserror::Error)]
#[error(
    "no stream took the event on {subject}: {error}; run `fluxhls provision`, or see whether HLS_UPLOADS is full"
)]
pub struct SendError {
    /// Where it was sent.
    subject: &'static str,
    /// What the server said, or that it said nothing.
    error: PublishError,
}

/// Publishes an event and waits for the server to have stored it; returns its sequence.
///
/// # Errors
/// When the stream is missing or full, or the server does not answer.
pub async fn send(
    log: &Log,
    subject: &'static str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<u64, SendError> {
    // One id for all tries, so that the server drops a second copy.
    let id = cuid2::create_id();
    let mut tries = 0;
    loop {
        tries += 1;
        let message = PublishMessage::build()
            .payload(body.clone())
            .headers(headers.clone())
            .message_id(id.as_str());
        let sent = match log.nats().js.send_publish(subject, message).await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };

        match sent {
            Ok(ack) => return Ok(ack.sequence),
            Err(_) if tries < MAX_TRIES => {}
            Err(error) => return Err(SendError { subject, error }),
        }
    }
}
