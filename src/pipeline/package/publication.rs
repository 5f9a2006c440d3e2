//! An output that is about to become public, as it is checked and published.

use std::collections::BTreeSet;

use storage::JobKeys;
use streams::OutputPrefix;
use streams::plan::Planned;
use streams::work::ObjectRef;

use super::placement::Placement;
use crate::job::receipt::TaskResult;
use crate::job::{Jobs, WorkCounter};

/// An output that is about to become public.
#[derive(Debug)]
pub struct Publication<'a> {
    /// The jobs.
    pub jobs: &'a Jobs,
    /// What was decided.
    pub plan: &'a Planned,
    /// Where the output is.
    pub prefix: &'a OutputPrefix,
    /// Stream sequence of the job's `accepted`.
    pub accepted_seq: u64,
    /// What all tasks made, in the order of the plan, and repairs after them.
    pub made: &'a [TaskResult],
    /// The repair that publishes; 0 for the job itself.
    pub revision: u64,
    /// The objects that a repair found intact; none for the job itself.
    pub intact: &'a [ObjectRef],
    /// Objects that are known to be damaged and cannot be made again now; none for the job itself.
    pub given_up: &'a BTreeSet<String>,
    /// Counts the work.
    pub work_counter: &'a WorkCounter,
}

impl Publication<'_> {
    /// The keys of the job.
    pub(super) fn keys(&self) -> JobKeys {
        self.jobs.keys(self.prefix, &self.plan.head.job_id)
    }

    /// The location of the derived objects.
    pub(super) const fn placement(&self) -> Placement<'_> {
        Placement {
            revision: self.revision,
            intact: self.intact,
        }
    }
}
