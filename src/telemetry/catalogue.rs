//! Every metric, in one place: its type, unit, help, labels, buckets, and which process emits it.
//!
//! `docs/metrics.md` is generated from this table. Names follow the [conventions of
//! Prometheus](https://prometheus.io/docs/practices/naming/): base units, `_total` on counters
//! only, and no label that grows without bound, except the ids of jobs that are open now.

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Which processes emit it.
    pub emitted_by: Emitter,
    /// Its labels.
    pub labels: &'static [Label],
    /// One line of help.
    pub help: &'static str,
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets, in seconds.
    Seconds(&'static [f64]),
}

/// The processes that emit a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emitter {
    /// Every process.
    All,
    /// Those with the role `intake`, about their own work.
    Intake,
    /// Those with the roles `plan`, `encode` and `package`, about their own work.
    Worker,
    /// Those with the role `project`, about their own work.
    Projector,
    /// Those with the role `project`, about the whole installation: several projectors emit the
    /// same values, so a sum would count them twice.
    Installation,
}

/// A label and its values.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values, or where they come from.
    pub values: &'static str,
}

macro_rules! labels {
    ($($constant:ident $name:literal: $values:literal;)*) => {
        $(const $constant: Label = Label { name: $name, values: $values };)*
    };
}

labels! {
    CLASS "class": "plan, encode, tracks, package";
    CODE "code": "a failure code";
    DEAD "class": "upload, delete, project, task, advisory, other";
    EXIT "result": "finished, failed, stopped, exceeded, stalled, timed_out";
    FACT "result": "applied, dead";
    FILE "file_id": "the file";
    JOB "job_id": "the job";
    MIME "mime_type": "a common media type, or other";
    OPERATION "operation": "an S3 operation";
    OUTCOME "outcome": "completed, failed, canceled";
    PROFILE "profile": "the profile its event names";
    QUEUE "queue": "the name of the consumer";
    QUEUED "state": "waiting, in_flight";
    RESOURCE "resource": "disk, memory";
    ROLES "roles": "the roles, separated by commas";
    S3_RESULT "result": "ok, or a kind of error";
    STAGE_LABEL "stage": "plan, encode, tracks, package";
    STARTED "outcome": "started, completed, failed, released, overruled";
    STATUS "status": "pending, processing, completed, failed, canceled";
    STREAM "stream": "the name of the stream";
    UPLOAD "result": "accepted, duplicate, malformed";
    VERSION "version": "the version of the program";
    WINDOW "window": "7d";
}

/// A request on loopback takes a millisecond, a multipart upload over a slow link a minute.
const REQUEST: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// A stage takes from a tenth of a second (a probe) to hours (a sequential encode).
const STAGE: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0,
];

macro_rules! catalogue {
    ($($name:literal $kind:expr, $emitter:ident, [$($label:ident),*], $help:literal;)*) => {
        /// Every metric the program emits, except the usual `process_*` ones.
        pub const CATALOGUE: &[Metric] = &[$(Metric {
            name: $name, kind: $kind, emitted_by: Emitter::$emitter, labels: &[$($label),*], help: $help,
        }),*];
    };
}

catalogue! {
    "fluxhls_build_info" Kind::Gauge, All, [VERSION, ROLES], "Always 1; the labels hold version and roles.";
    "fluxhls_draining" Kind::Gauge, All, [], "1 from the stop signal until the last task has ended, else 0.";
    "fluxhls_nats_connected" Kind::Gauge, All, [], "1 while there is a connection to NATS, else 0.";
    "fluxhls_nats_reconnects_total" Kind::Counter, All, [], "Connections made to NATS after the first one.";
    "fluxhls_s3_requests_total" Kind::Counter, All, [OPERATION, S3_RESULT], "Requests to object storage, by operation and result.";
    "fluxhls_s3_request_duration_seconds" Kind::Seconds(REQUEST), All, [OPERATION], "Time of requests to object storage, by operation.";

    "fluxhls_uploads_total" Kind::Counter, Intake, [UPLOAD], "Upload events processed, by result.";
    "fluxhls_deleted_files_total" Kind::Counter, Intake, [], "Delete events carried out.";

    "fluxhls_slots" Kind::Gauge, Worker, [CLASS], "Tasks this process can run at a time, by class.";
    "fluxhls_busy_slots" Kind::Gauge, Worker, [CLASS], "Tasks this process is running, by class.";
    "fluxhls_queue_wait_seconds" Kind::Seconds(STAGE), Worker, [CLASS], "Time a task waited on the queue before its first start, by class.";
    "fluxhls_attempts_total" Kind::Counter, Worker, [CLASS, STARTED], "Task starts and their outcomes, by class and outcome.";
    "fluxhls_task_failures_total" Kind::Counter, Worker, [CLASS, CODE], "Failed attempts, by class and code.";
    "fluxhls_stage_duration_seconds" Kind::Seconds(STAGE), Worker, [STAGE_LABEL], "Duration of a task's work, by stage.";
    "fluxhls_ffmpeg_exits_total" Kind::Counter, Worker, [EXIT], "ffmpeg processes that have ended, by result.";
    "fluxhls_media_seconds_total" Kind::Counter, Worker, [], "Whole seconds of source encoded.";
    "fluxhls_source_bytes_total" Kind::Counter, Worker, [], "Bytes of sources read from storage.";
    "fluxhls_source_cache_bytes" Kind::Gauge, Worker, [], "Memory used by cached blocks of sources: at most 256 MiB or an eighth of MEMORY_MAX, whichever is less.";
    "fluxhls_output_bytes_total" Kind::Counter, Worker, [], "Bytes of segments uploaded.";
    "fluxhls_storage_waits_total" Kind::Counter, Worker, [CLASS], "Times a task was not started because the output bucket could not be used, by class.";
    "fluxhls_admission_waits_total" Kind::Counter, Worker, [RESOURCE], "Times a task was not started because this process had too little free, by resource.";
    "fluxhls_reserved_bytes" Kind::Gauge, Worker, [RESOURCE], "Bytes reserved by running tasks, by resource.";

    "fluxhls_projection_lag_messages" Kind::Gauge, Projector, [], "Facts not yet in the tables.";
    "fluxhls_projection_standby" Kind::Gauge, Projector, [], "1 while another projector writes the tables, else 0.";
    "fluxhls_projection_facts_total" Kind::Counter, Projector, [FACT], "Facts this process projected into the tables, by result.";
    "fluxhls_job_duration_seconds" Kind::Seconds(STAGE), Projector, [OUTCOME], "Time from accepted to ended, by outcome; observed by the projector that wrote the row.";
    "fluxhls_time_to_first_playable_seconds" Kind::Seconds(STAGE), Worker, [], "Time from accepted to the first playable playlist: the live playlist, or the final one where that was written first. Observed by the worker that wrote it.";
    "fluxhls_jobs_failed_total" Kind::Counter, Projector, [CODE], "Failed jobs, by code; counted by the projector that wrote the row.";
    "fluxhls_swept_jobs_total" Kind::Counter, Projector, [], "Open jobs that had no task on the queue and whose plan task was queued again.";
    "fluxhls_database_up" Kind::Gauge, Projector, [], "1 if the database answered the last query in time and is writable, else 0.";

    "fluxhls_jobs_accepted_total" Kind::Counter, Installation, [], "Jobs accepted; counted in the database, so a restart does not reset it.";
    "fluxhls_jobs_finished_total" Kind::Counter, Installation, [OUTCOME], "Jobs ended, by outcome; counted in the database, so a restart does not reset it.";
    "fluxhls_jobs" Kind::Gauge, Installation, [STATUS], "Rows of transcoding_jobs, by status.";
    "fluxhls_recent_jobs" Kind::Gauge, Installation, [WINDOW, STATUS], "Jobs created in the last seven days, by status.";
    "fluxhls_recent_job_duration_average_seconds" Kind::Gauge, Installation, [WINDOW], "Mean time from created to completed of the jobs that completed; NaN if there are none.";
    "fluxhls_oldest_open_job_age_seconds" Kind::Gauge, Installation, [], "Age of the oldest job that is pending or processing; 0 if there is none.";
    "fluxhls_oldest_pending_job_age_seconds" Kind::Gauge, Installation, [], "Age of the oldest job that is pending; 0 if there is none.";
    "fluxhls_open_jobs" Kind::Gauge, Installation, [], "Jobs that, according to the log, were accepted and have not ended, as of the last sweep.";
    "fluxhls_queue_messages" Kind::Gauge, Installation, [QUEUE, QUEUED], "Messages for each durable consumer, by state.";
    "fluxhls_stream_messages" Kind::Gauge, Installation, [STREAM], "Messages a stream holds.";
    "fluxhls_stream_bytes" Kind::Gauge, Installation, [STREAM], "Bytes a stream takes on disk.";
    "fluxhls_stream_fill_ratio" Kind::Gauge, Installation, [STREAM], "Fill level of a stream relative to its limits, in messages or bytes, 0 to 1; 0 for a stream without a limit.";
    "fluxhls_jetstream_storage_bytes" Kind::Gauge, Installation, [], "Bytes that the streams of the account, or of its fullest tier, take on disk.";
    "fluxhls_jetstream_storage_limit_bytes" Kind::Gauge, Installation, [], "Bytes that the account, or its fullest tier, may store; infinite without a limit.";
    "fluxhls_dead_letters" Kind::Gauge, Installation, [DEAD], "Dead letters in the stream, by the class of the message.";

    "fluxhls_job_info" Kind::Gauge, Installation, [JOB, FILE, MIME, PROFILE, STATUS], "Always 1 for each job that is open now; the labels describe it.";
    "fluxhls_job_progress_ratio" Kind::Gauge, Installation, [JOB], "Progress of each job that is open now, 0 to 1.";
    "fluxhls_job_created_timestamp_seconds" Kind::Gauge, Installation, [JOB], "When each job that is open now was accepted, in Unix time.";
    "fluxhls_job_started_timestamp_seconds" Kind::Gauge, Installation, [JOB], "When each job that is open now was planned, in Unix time.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for metric in CATALOGUE {
            let name = metric.name;
            assert!(name.starts_with("fluxhls_"), "{name}");
            assert_eq!(
                name.ends_with("_total"),
                metric.kind == Kind::Counter,
                "{name}"
            );
            assert!(
                !matches!(metric.kind, Kind::Seconds(_)) || name.ends_with("_seconds"),
                "{name}"
            );
            assert!(metric.help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn no_label_says_who_uploaded_what() {
        let labels = CATALOGUE.iter().flat_map(|metric| metric.labels);
        let mut names: Vec<&str> = labels.map(|label| label.name).collect();
        names
            .retain(|name| name.contains("user") || name.contains("mail") || name.contains("name"));
        assert_eq!(names, Vec::<&str>::new());
    }
}
