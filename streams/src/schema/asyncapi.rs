//! The AsyncAPI document ([3.0.0](https://www.asyncapi.com/docs/reference/specification/v3.0.0)):
//! channels, messages, and what fluxhls does with them.

use serde_json::{Map, Value, json};

use super::event::{EVENTS, Event, Writer};

/// The questions, by the last token of their subject.
const SERVICE_ENDPOINTS: [(&str, &str); 4] = [
    (
        "status",
        "The status of a job, or of the newest job of a file.",
    ),
    ("cancel", "End a job, queued or running."),
    ("retry", "Start a new job like one that has ended."),
    ("stats", "Counts and mean duration of the last seven days."),
];

/// The document. Payloads refer to the schemas in `events/`.
#[must_use]
pub fn asyncapi() -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    // Questions are described apart, since they have answers.
    for event in EVENTS
        .iter()
        .filter(|event| !event.subject.starts_with("hls.v1.api."))
    {
        let verb = match event.writer {
            Writer::Others => "receive",
            Writer::Fluxhls => "send",
        };
        channels.insert(
            event.name.to_owned(),
            channel(event.subject, event.summary, &[event.name]),
        );
        operations.insert(
            format!("{verb}-{}", event.name),
            operation(verb, event.name, event.summary),
        );
        if event.subject.starts_with("hls.v1.job.") {
            // `HLS_JOBS` republishes its facts on core NATS, so each has a second channel.
            let name = format!("live-{}", event.name);
            let subject = format!("live.{}", event.subject);
            let summary = format!(
                "{} Republished on core NATS, at most once, to current subscribers.",
                event.summary
            );
            channels.insert(name.clone(), channel(&subject, &summary, &[event.name]));
            operations.insert(format!("send-{name}"), operation("send", &name, &summary));
        }
    }

    for (question, summary) in SERVICE_ENDPOINTS {
        ask(question, summary, &mut channels, &mut operations);
    }

    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "fluxhls",
            "version": "1.0.0",
            "description": "Upload events in, adaptive HLS out. Bodies are JSON; fields may be added within v1, and readers ignore unknown fields.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages() },
    })
}

fn reference(place: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/{place}/{name}") })
}

fn channel(subject: &str, summary: &str, names: &[&str]) -> Value {
    let messages: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), reference("components/messages", name)))
        .collect();
    let mut channel = json!({ "address": subject, "summary": summary, "messages": messages });

    let parameters: Map<String, Value> =
        [("job_id", "The job."), ("task", "The task that reports.")]
            .into_iter()
            .filter(|(name, _)| subject.contains(&format!("{{{name}}}")))
            .map(|(name, what)| (name.to_owned(), json!({ "description": what })))
            .collect();

    if !parameters.is_empty() {
        channel["parameters"] = Value::Object(parameters);
    }
    channel
}

fn operation(action: &str, channel: &str, summary: &str) -> Value {
    json!({ "action": action, "channel": reference("channels", channel), "summary": summary })
}

/// A question and its answer, which comes on the inbox that the question names.
fn ask(
    question: &str,
    summary: &str,
    channels: &mut Map<String, Value>,
    operations: &mut Map<String, Value>,
) {
    let (name, reply) = (format!("ask-{question}"), format!("answer-{question}"));
    let message = |suffix: &str| format!("{question}-{suffix}");
    let subject = format!("hls.v1.api.{question}");
    channels.insert(
        name.clone(),
        channel(&subject, summary, &[&message("request")]),
    );

    let mut answers = channel(
        "",
        "The answer, on the inbox of the client.",
        &[&message("reply"), "refusal"],
    );
    // The inbox is only known when the question is asked; AsyncAPI writes `null` for an unknown
    // address.
    answers["address"] = Value::Null;
    channels.insert(reply.clone(), answers);

    let mut receive = operation("receive", &name, summary);
    receive["reply"] = json!({ "channel": reference("channels", &reply) });
    operations.insert(name, receive);
}

fn messages() -> Map<String, Value> {
    let mut messages: Map<String, Value> = EVENTS
        .iter()
        .map(|event| (event.name.to_owned(), message(event)))
        .collect();

    let plain = |summary: &str, payload: Value| json!({ "summary": summary, "payload": payload });
    messages.insert(
        "stats-request".to_owned(),
        plain("May be empty.", json!({ "type": ["object", "null"] })),
    );
    for (name, summary) in [
        (
            "status-reply",
            "A job, as `fluxhls jobs list --json` writes it.",
        ),
        ("stats-reply", "As `fluxhls jobs stats --json` writes it."),
    ] {
        messages.insert(name.to_owned(), plain(summary, json!({ "type": "object" })));
    }

    let refusal = json!({
        "summary": "Why there is no answer; the body is empty.",
        "headers": {
            "type": "object",
            "required": ["Nats-Service-Error-Code", "Nats-Service-Error"],
            "properties": {
                "Nats-Service-Error-Code": { "type": "string", "enum": ["400", "404", "409", "500", "503"] },
                "Nats-Service-Error": { "type": "string", "description": "One sentence." },
            },
        },
    });
    messages.insert("refusal".to_owned(), refusal);
    messages
}

fn message(event: &Event) -> Value {
    json!({
        "summary": event.summary,
        "contentType": "application/json",
        "headers": headers(event),
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-07",
            "schema": { "$ref": format!("./events/{}.schema.json", event.name) },
        },
    })
}

fn headers(event: &Event) -> Value {
    let mut known = json!({
        "traceparent": { "type": "string", "description": "W3C Trace Context, carried from the upload event to `ended`." },
    });

    if !event.subject.starts_with("hls.v1.api.") {
        known["Nats-Msg-Id"] = json!({ "type": "string", "description": "Messages with the same id are stored once within the duplicate window of the stream." });
    }
    if event.name == "upload" {
        for name in ["ce-specversion", "ce-type", "ce-source", "ce-id"] {
            known[name] = json!({ "type": "string", "description": "CloudEvents 1.0, binary mode; optional." });
        }
    }

    json!({ "type": "object", "properties": known })
}
