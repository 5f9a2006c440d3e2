//! Receives every `ended` fact, and after a restart continues where it stopped.
//!
//! `NATS_URL=nats://127.0.0.1:4222 cargo run --example completions -- [how many, then leave]`

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, AckKind};
use futures::StreamExt as _;
use streams::fact::Ended;
use streams::{FactKind, subject, topology, wire};

#[tokio::main]
async fn main() -> Result<(), async_nats::Error> {
    let wanted = std::env::args().nth(1).and_then(|count| count.parse().ok());
    #[expect(
        clippy::disallowed_methods,
        reason = "an example has no configuration of its own"
    )]
    let server = std::env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let js = jetstream::new(async_nats::connect(server).await?);

    // A durable consumer for this program: the server keeps its position.
    let durable = pull::Config {
        durable_name: Some("api-rust".to_owned()),
        filter_subject: subject::facts_of_kind(FactKind::Ended),
        ack_policy: AckPolicy::Explicit,
        deliver_policy: DeliverPolicy::New,
        ..pull::Config::default()
    };
    let stream = js.get_stream(topology::JOBS).await?;
    let consumer = stream.get_or_create_consumer("api-rust", durable).await?;
    eprintln!("listening");
    let mut messages = consumer
        .messages()
        .await?
        .take(wanted.unwrap_or(usize::MAX));
    while let Some(message) = messages.next().await {
        let message = message?;
        // A word of a newer release is an error: update this program, and the message is delivered
        // again.
        let ended: Ended = wire::read(&message.subject, &message.payload)?;
        println!("{} {}", ended.head.job_id, ended.outcome.as_str());
        // Acknowledged last, with confirmation: a message that is not acknowledged because of a
        // crash is delivered again.
        message.double_ack_with(AckKind::Ack).await?;
    }
    Ok(())
}
