//! What the tasks of a job have published of its renditions so far: results, and ranges of
//! unfinished tasks.

use std::collections::BTreeMap;

use streams::plan::{Planned, Rendition};
use streams::task::TaskName;
use streams::work::{Part, RenditionOutput};
use streams::{RenditionName, Unread, subject, topology, wire};

use super::live_content::PublishedSegments;
use super::outputs::{OutputFault, read_task_result};
use crate::job::failure::{Failure, Remedy};
use crate::job::{JobState, Jobs};

/// Why it is not known what a task made.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishedOutputError {
    /// It does not exist, or has changed since it was published.
    #[error("what {0} made cannot be read")]
    Missing(TaskName),
    /// What was published needs a newer release, or is broken.
    #[error(transparent)]
    Unread(#[from] Unread),
}

/// What was published of one job. Each message is read once, whichever rendition needs it.
pub(super) struct PublishedOutput<'a> {
    jobs: &'a Jobs,
    state: &'a JobState,
    plan: &'a Planned,
    /// By subject or task.
    known: BTreeMap<String, AttemptOutput>,
}

/// What one attempt published.
struct AttemptOutput {
    attempt: u64,
    renditions: Vec<RenditionOutput>,
}

impl AttemptOutput {
    fn segments_of(&self, name: &RenditionName) -> Option<PublishedSegments> {
        let output = self.renditions.iter().find(|output| output.name == *name)?;
        Some(PublishedSegments {
            attempt: self.attempt,
            output: output.clone(),
        })
    }
}

impl<'a> PublishedOutput<'a> {
    /// Nothing is read yet.
    pub(super) const fn new(jobs: &'a Jobs, state: &'a JobState, plan: &'a Planned) -> Self {
        Self {
            jobs,
            state,
            plan,
            known: BTreeMap::new(),
        }
    }

    /// What a rendition begins with: what all others must fit. A task that is done again does not
    /// change it: what was listed of the first one stays, and is what the rest must fit.
    pub(super) async fn head(
        &mut self,
        rendition: &Rendition,
    ) -> Result<Option<PublishedSegments>, PublishedOutputError> {
        let task = find_tasks_from(self.plan, rendition, 0)[0].0;
        let work = &self.state.work;
        for k in work.parts.get(&task).into_iter().flatten() {
            if let Some(piece) = self.part(task, *k).await?.segments_of(rendition.name()) {
                return Ok(Some(piece));
            }
        }

        if !work.done.contains(&work.effective(task)) {
            return Ok(None);
        }
        Ok(self.done(task).await?.segments_of(rendition.name()))
    }

    /// The published parts of a rendition from segment `listed` on, in order: for each task its
    /// result, else its ranges; up to the first unfinished task.
    pub(super) async fn segments_from(
        &mut self,
        rendition: &Rendition,
        listed: usize,
    ) -> Result<Vec<PublishedSegments>, PublishedOutputError> {
        let listed = u32::try_from(listed).unwrap_or(u32::MAX);
        let work = &self.state.work;
        let mut pieces = Vec::new();

        for (task, first) in find_tasks_from(self.plan, rendition, listed) {
            let name = work.effective(task);
            let ranges = work.parts.get(&name).into_iter().flatten();
            for k in ranges.filter(|k| first.saturating_add(Part::range(name.duty, **k).1) > listed)
            {
                pieces.extend(self.part(name, *k).await?.segments_of(rendition.name()));
            }

            // What follows a task that is not done would leave a gap.
            if !work.done.contains(&name) {
                break;
            }
            pieces.extend(self.done(task).await?.segments_of(rendition.name()));
        }

        Ok(pieces)
    }

    /// A range of the output of a task.
    async fn part(
        &mut self,
        task: TaskName,
        k: u32,
    ) -> Result<&AttemptOutput, PublishedOutputError> {
        let subject = subject::part(&self.state.job_id, task, k);
        if !self.known.contains_key(&subject) {
            let recorded = self.jobs.log.last(topology::WORK, &subject).await;
            let recorded = recorded.ok_or(PublishedOutputError::Missing(task))?;
            let Part {
                attempt,
                renditions,
                ..
            } = wire::read(&subject, &recorded.payload)?;
            self.known.insert(
                subject.clone(),
                AttemptOutput {
                    attempt,
                    renditions,
                },
            );
        }

        self.known
            .get(&subject)
            .ok_or(PublishedOutputError::Missing(task))
    }

    /// The result of a task.
    async fn done(&mut self, task: TaskName) -> Result<&AttemptOutput, PublishedOutputError> {
        let name = task.to_string();
        if !self.known.contains_key(&name) {
            let made = read_task_result(self.jobs, self.state, task).await;
            let made = made.map_err(|fault| to_published_output_error(task, fault))?;
            let (attempt, renditions) = (made.attempt, made.output.renditions);
            self.known.insert(
                name.clone(),
                AttemptOutput {
                    attempt,
                    renditions,
                },
            );
        }
        self.known
            .get(&name)
            .ok_or(PublishedOutputError::Missing(task))
    }
}

fn to_published_output_error(task: TaskName, fault: OutputFault) -> PublishedOutputError {
    match fault {
        OutputFault::Other(Failure {
            remedy: Remedy::AwaitNewer(unread),
            ..
        }) => unread.into(),
        OutputFault::Other(_) | OutputFault::Tasks(_) => PublishedOutputError::Missing(task),
    }
}

/// The tasks that make a rendition from segment `listed` on, with the first segment of each.
fn find_tasks_from(plan: &Planned, rendition: &Rendition, listed: u32) -> Vec<(TaskName, u32)> {
    match (rendition, &plan.video) {
        (Rendition::Video(_), Some(video)) => {
            let at = video
                .chunks
                .iter()
                .rposition(|first| *first <= listed)
                .unwrap_or(0);
            let chunks = (0..).zip(&video.chunks).skip(at);
            chunks
                .map(|(k, first)| (TaskName::video(k), *first))
                .collect()
        }
        _ => vec![(TaskName::TRACKS, 0)],
    }
}
