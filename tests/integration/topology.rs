//! Streams and consumers for the chart's NACK manifests, made of the program's own.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy};
use serde_json::{Map, Value, json};
use streams::topology::{self, Durable, Sizing};

use crate::harness::made::is_made;

/// As Kubernetes writes durations.
fn duration(span: Duration) -> Value {
    match span.as_secs() {
        seconds if seconds.is_multiple_of(3600) => json!(format!("{}h", seconds / 3600)),
        seconds => json!(format!("{seconds}s")),
    }
}

/// The `spec` of NACK's Stream (v1beta2), without replicas. What is the server's default is left
/// out.
fn stream(config: &Config) -> Value {
    let mut spec = json!({
        "name": config.name,
        "subjects": config.subjects,
        "description": config.description,
        "retention": match config.retention {
            RetentionPolicy::WorkQueue => "workqueue",
            RetentionPolicy::Limits => "limits",
            RetentionPolicy::Interest => "interest",
        },
        "storage": "file",
        "discard": match config.discard {
            DiscardPolicy::New => "new",
            DiscardPolicy::Old => "old",
        },
    });
    let optional = [
        (
            "maxAge",
            (!config.max_age.is_zero()).then(|| duration(config.max_age)),
        ),
        (
            "maxBytes",
            (config.max_bytes > 0).then(|| json!(config.max_bytes)),
        ),
        (
            "maxMsgs",
            (config.max_messages > 0).then(|| json!(config.max_messages)),
        ),
        (
            "maxMsgsPerSubject",
            (config.max_messages_per_subject > 0).then(|| json!(config.max_messages_per_subject)),
        ),
        (
            "duplicateWindow",
            (!config.duplicate_window.is_zero()).then(|| duration(config.duplicate_window)),
        ),
        (
            "allowDirect",
            config.allow_direct.then_some(Value::Bool(true)),
        ),
        (
            "denyDelete",
            config.deny_delete.then_some(Value::Bool(true)),
        ),
        (
            "republish",
            config
                .republish
                .as_ref()
                .map(|copy| json!({ "source": copy.source, "destination": copy.destination })),
        ),
    ];
    let fields: Map<String, Value> = optional
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    spec.as_object_mut().unwrap().extend(fields);
    spec
}

/// The `spec` of NACK's Consumer (v1beta2).
fn consumer(durable: &Durable) -> Value {
    let config = &durable.config;
    let mut spec = json!({
        "streamName": durable.stream,
        "durableName": config.durable_name,
        "deliverPolicy": "all",
        "ackPolicy": "explicit",
        "ackWait": duration(config.ack_wait),
        "maxDeliver": config.max_deliver,
        "maxAckPending": config.max_ack_pending,
        "maxWaiting": config.max_waiting,
    });
    if !config.filter_subject.is_empty() {
        spec["filterSubject"] = json!(config.filter_subject);
    }
    if !config.filter_subjects.is_empty() {
        spec["filterSubjects"] = json!(config.filter_subjects);
    }
    spec
}

#[test]
fn the_chart_makes_the_streams_and_consumers_that_the_program_makes() {
    let streams: Vec<Value> = topology::streams(&Sizing::default())
        .iter()
        .map(stream)
        .collect();
    let consumers: Vec<Value> = topology::durables(&Sizing::default())
        .iter()
        .map(consumer)
        .collect();
    let topology = json!({ "streams": streams, "consumers": consumers });
    let text = serde_json::to_string_pretty(&topology).unwrap() + "\n";
    is_made("helm/fluxhls/files/topology.json", &text);
}
