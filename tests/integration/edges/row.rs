//! One row of a table: what is uploaded, and what has to come of it.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;
use streams::fact::{Ended, Outcome};
use streams::{Code, FailureClass};

use super::check::{Check, Output};
use super::input::Input;
use crate::harness::database::Engine;
use crate::harness::world::{World, job_of};

/// Rows in work at a time: enough for the worker always to have something to do, and few enough for
/// none to wait for a whole table.
const AT_A_TIME: usize = 4;

/// An input and its outcome.
pub(crate) struct Row {
    /// What the input is, in words.
    pub(crate) name: &'static str,
    /// How it is made.
    pub(crate) input: Input,
    /// What has to come of it.
    pub(crate) expected: Expected,
}

/// How a job has to end.
pub(crate) enum Expected {
    /// As completed, and all of these hold.
    Completed(Vec<Check>),
    /// As failed at the first attempt, with one of these codes.
    Failed(&'static [Code]),
    /// As completed with all of these, or as failed with this code: but never as completed without
    /// them.
    Either(Vec<Check>, Code),
}

/// A row whose input has to come out well.
pub(crate) fn completes(name: &'static str, input: Input, checks: impl Into<Vec<Check>>) -> Row {
    let expected = Expected::Completed(checks.into());
    Row {
        name,
        input,
        expected,
    }
}

/// A row whose input has to be refused.
pub(crate) fn fails(name: &'static str, input: Input, codes: &'static [Code]) -> Row {
    let expected = Expected::Failed(codes);
    Row {
        name,
        input,
        expected,
    }
}

/// Uploads every input, waits for its end, judges it, and panics with everything that is wrong with
/// any.
pub(crate) async fn run(rows: Vec<Row>) {
    let world = World::new(Engine::Sqlite).await;
    let _worker = world.worker("one").setting("ENCODE_SLOTS", 2).start();
    run_in(&world, rows).await;
}

/// The same with services and a worker that are there already.
pub(crate) async fn run_in(world: &World, rows: Vec<Row>) {
    let judged = stream::iter(&rows).map(|row| async {
        let judging = AssertUnwindSafe(row.judge(world)).catch_unwind().await;
        let wrong = judging.unwrap_or_else(|panic| vec![what_was_said(&*panic)]);
        wrong
            .into_iter()
            .map(|fault| format!("{}: {fault}", row.name))
            .collect::<Vec<_>>()
    });
    let faults = judged.buffer_unordered(AT_A_TIME).concat().await;
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

fn what_was_said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

impl Row {
    /// Everything that is wrong with what comes of the input.
    async fn judge(&self, world: &World) -> Vec<String> {
        let clip = self.input.make(world.folder()).await;
        let event = world.event(&clip).await;
        let job = job_of(&event);
        let progress = world.streams.progress_of(&job).await;
        world.streams.upload(&event).await;
        let ended = world.ended(&job).await;
        let progress = progress.so_far();
        match (&self.expected, ended.outcome) {
            (Expected::Completed(checks) | Expected::Either(checks, _), Outcome::Completed) => {
                let planned = world.planned(&job).await;
                Output::load(ended, planned, progress, &clip.path)
                    .await
                    .faults(checks)
                    .await
            }
            (Expected::Failed(codes), Outcome::Failed) => {
                failure(world, &event, &ended, codes).await
            }
            (Expected::Either(_, code), Outcome::Failed) => {
                failure(world, &event, &ended, &[*code]).await
            }
            _ => vec![format!(
                "it ended as {:?}: {:?}",
                ended.outcome, ended.error
            )],
        }
    }
}

/// What is wrong with how a job failed.
async fn failure(world: &World, event: &Value, ended: &Ended, codes: &[Code]) -> Vec<String> {
    let mut faults = Vec::new();
    let error = ended.error.as_ref().expect("a failed job has an error");
    if !codes.contains(&error.code) {
        faults.push(format!("its code is none of {codes:?}: {error:?}"));
    }
    if error.class != FailureClass::Permanent {
        faults.push(format!("it is not permanent: {error:?}"));
    }
    let starts = world.starts(&job_of(event)).await;
    if starts.values().any(|starts| *starts != 1) {
        faults.push(format!("it was tried more than once: {starts:?}"));
    }
    faults
}
