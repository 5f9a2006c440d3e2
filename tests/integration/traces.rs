//! The trace of an upload: carried by every fact, sent to a collector, and named in the log.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use streams::fact::FactKind;
use streams::{JobId, subject, topology};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use crate::harness::clip::moving;
use crate::harness::database::Engine;
use crate::harness::world::{World, job_of};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that hands on what it is sent, service and span.
struct Collector(mpsc::UnboundedSender<(String, Span)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let service = attributes
                .iter()
                .find(|attribute| attribute.key == "service.name");
            let service = service.and_then(|attribute| attribute.value.clone()?.value);
            let Some(Any::StringValue(service)) = service else {
                return Err(Status::invalid_argument("a resource without service.name"));
            };
            for span in resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans)
            {
                self.0.send((service.clone(), span)).unwrap();
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Starts a collector on loopback: its URL and what it is sent.
async fn collector() -> (String, mpsc::UnboundedReceiver<(String, Span)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, spans) = mpsc::unbounded_channel();
    let service = TraceServiceServer::new(Collector(sender));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    (url, spans)
}

fn attribute(span: &Span, name: &str) -> String {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.clone()?.value) {
        Some(Any::StringValue(text)) => text,
        other => panic!("{name} of span {} is {other:?}", span.name),
    }
}

async fn traceparents(world: &World, job: &JobId) -> Vec<String> {
    let facts = world
        .streams
        .all(topology::JOBS, &subject::facts_of(job))
        .await;
    facts
        .iter()
        .map(|fact| fact.header("traceparent").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publishers_trace_goes_on_through_every_task_to_ended_and_into_the_log() {
    let world = World::new(Engine::Sqlite).await;
    let (url, mut sent) = collector().await;
    let event = world.event(&moving("320x180", 6.0).make().await).await;
    let job = job_of(&event);
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", traceparent.as_str());
    let message = PublishMessage::build()
        .payload(event.to_string().into())
        .headers(headers);
    world.streams.send(subject::UPLOAD, message).await;
    let mut worker = world
        .worker("one")
        .setting("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        .setting("LOG_FORMAT", "json")
        .start();
    world.completed(&job).await;
    worker.signal(Signal::SIGTERM);
    assert!(worker.ended_within(Duration::from_secs(60)).await.success());

    assert!(
        traceparents(&world, &job)
            .await
            .iter()
            .all(|carried| *carried == traceparent)
    );
    let mut spans = Vec::new();
    while let Ok(span) = sent.try_recv() {
        spans.push(span);
    }
    for (service, span) in &spans {
        assert_eq!(service, "fluxhls");
        assert_eq!(
            (
                hex::encode(&span.trace_id),
                hex::encode(&span.parent_span_id)
            ),
            (TRACE.to_owned(), PARENT.to_owned()),
            "{}",
            span.name
        );
        assert_eq!(attribute(span, "job.id"), job.as_str(), "{}", span.name);
    }
    let mut names: Vec<_> = spans.iter().map(|(_, span)| span.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["encode", "intake", "package", "plan", "tracks"]);
    told_with_ids(&worker.said(), &job, &event);
}

/// Every change of the job's state is one line of JSON with the ids an operator looks for.
fn told_with_ids(said: &str, job: &JobId, event: &Value) {
    let lines: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let changes: Vec<_> = lines
        .iter()
        .filter(|line| line["job.id"] == job.as_str())
        .collect();
    assert!(
        changes
            .iter()
            .all(|line| line["file.id"] == event["file_id"]),
        "{changes:#?}"
    );
    for fact in ["accepted", "planned", "verdict", "ended"] {
        assert_eq!(
            changes.iter().filter(|line| line["fact"] == fact).count(),
            1,
            "{fact}"
        );
    }
    for verb in ["started", "finished"] {
        let tasks = changes.iter().filter(|line| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.starts_with(verb))
        });
        let mut tasks: Vec<_> = tasks.filter_map(|line| line["task"].as_str()).collect();
        tasks.sort_unstable();
        assert_eq!(tasks, ["finish", "plan", "tracks", "v0"], "{verb}");
    }
    let ended = changes.iter().find(|line| line["fact"] == "ended").unwrap();
    assert_eq!(
        (&ended["span"]["task"], &ended["span"]["trace.id"]),
        (&"finish".into(), &TRACE.into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_without_a_publishers_trace_gets_one_when_traces_are_exported() {
    let world = World::new(Engine::Sqlite).await;
    let (url, mut sent) = collector().await;
    let _worker = world
        .worker("one")
        .setting("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        .start();
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&job).await;
    let carried = traceparents(&world, &job).await;
    let trace = carried[0].split('-').nth(1).unwrap().to_owned();
    assert_eq!(trace.len(), 32, "{carried:?}");
    assert!(
        carried.iter().all(|other| *other == carried[0]),
        "{carried:?}"
    );
    // Spans leave within five seconds (OTEL_BSP_SCHEDULE_DELAY) of their end.
    let (_, span) = tokio::time::timeout(Duration::from_secs(30), sent.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(hex::encode(&span.trace_id), trace);
    assert!(world.facts(&job).await.contains_key(&FactKind::Ended));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_keeps_no_job_waiting() {
    let world = World::new(Engine::Sqlite).await;
    let away = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut worker = world
        .worker("one")
        .setting("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{away}"))
        .start();
    let job = world.submit(&moving("320x180", 2.0).make().await).await;
    world.completed(&job).await;
    worker.signal(Signal::SIGTERM);
    assert!(worker.ended_within(Duration::from_secs(60)).await.success());
}
