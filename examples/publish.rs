//! Publishes the event of an uploaded file, and waits until the server has stored it.
//!
//! `NATS_URL=nats://127.0.0.1:4222 cargo run --example publish -- s3://bucket/key holiday.mp4`

use async_nats::jetstream;
use async_nats::jetstream::message::PublishMessage;
use serde_json::json;
use streams::upload::UploadEvent;
use streams::{JobId, subject};

#[tokio::main]
async fn main() -> Result<(), async_nats::Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: publish URL NAME".into());
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "an example has no configuration of its own"
    )]
    let server = std::env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let client = async_nats::connect(server).await?;

    // The id is chosen here: the job is known before it is accepted, and an event that has to be
    // sent twice has one effect.
    let job = JobId::fresh();
    let event = UploadEvent {
        job_id: Some(job.clone()),
        ..UploadEvent::new(job.as_str().parse()?, name, url)
    };
    let message = PublishMessage::build()
        .payload(serde_json::to_vec(&event)?.into())
        .message_id(job.as_str());
    let stored = jetstream::new(client)
        .send_publish(subject::UPLOAD, message)
        .await?
        .await?;
    println!(
        "{}",
        json!({ "job_id": job, "stream": stored.stream, "seq": stored.sequence })
    );
    Ok(())
}
