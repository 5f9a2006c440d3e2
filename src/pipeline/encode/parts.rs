//! Ranges of a long task that are told before it is done, so that growing playlists can list them.

use jetstream::Outgoing;
use streams::VERSION;
use streams::plan::Planned;
use streams::task::{Duty, TaskName};
use streams::work::{ObjectRef, Part, RenditionOutput};
use streams::{subject, topology};

use super::production::Order;
use super::shift::output;
use super::shipping::{Shelf, Shipped, Shipper};
use crate::crash;
use crate::job::failure::Failure;
use crate::job::{Assignment, Jobs};

/// Bytes of the longest message. A range that needs more is told by `done` alone.
const LONGEST: usize = 60 * 1024;

/// What one task tells of its ranges.
pub(super) struct Parts<'a> {
    jobs: &'a Jobs,
    assignment: &'a Assignment,
    /// The number of its first range: passes before it told as many each as it will.
    base: u32,
    /// The range that is told next, counted from the first one.
    next: u32,
    /// Segments each shelf will hold.
    due: Vec<u32>,
    /// The init segments that are in the bucket, once the first range is.
    pub(super) inits: Vec<ObjectRef>,
}

impl<'a> Parts<'a> {
    /// What is told while an order is carried out, if anything is.
    pub(super) fn of(jobs: &'a Jobs, order: &Order<'a>) -> Option<Self> {
        let (plan, assignment) = (order.plan, order.assignment);
        let due: Vec<u32> = order
            .shelves
            .iter()
            .map(|shelf| due(plan, assignment.task, shelf))
            .collect();
        let most = due.iter().copied().max()?;
        Some(Self {
            jobs,
            assignment,
            base: order.view.pass.saturating_mul(most),
            next: 0,
            due,
            inits: Vec::new(),
        })
    }

    /// Tells every range that is complete by now.
    pub(super) async fn tell(
        &mut self,
        shipper: &Shipper<'_>,
        shelves: &[Shelf],
        shipped: &[Vec<Shipped>],
    ) -> Result<(), Failure> {
        while let Some(range) = self.complete(shelves, shipped) {
            if self.inits.is_empty() {
                for shelf in shelves {
                    let (_, bytes) = shipper.init(&shelf.name).await?;
                    let key = shipper.keys.init(shelf.name.as_str(), shipper.attempt);
                    self.inits.push(shipper.put(&key, bytes, shelf.kind.clone()).await?);
                }
            }
            let mut renditions = Vec::new();
            for ((shelf, segments), object) in shelves.iter().zip(range).zip(&self.inits) {
                let (init, _) = shipper.init(&shelf.name).await?;
                if !segments.is_empty() {
                    renditions.push(output(&shelf.name, init, object.clone(), 0, &segments));
                }
            }
            tell(self.jobs, self.assignment, self.base + self.next, renditions).await;
            self.next += 1;
        }
        Ok(())
    }

    /// The segments of the next range, by shelf, once all are there that will be.
    fn complete(&self, shelves: &[Shelf], shipped: &[Vec<Shipped>]) -> Option<Vec<Vec<Shipped>>> {
        let (first, end) = Part::range(self.assignment.task.duty, self.next);
        if self.due.iter().all(|due| *due <= first) {
            return None;
        }
        let mut range = Vec::new();
        for ((shelf, shipped), due) in shelves.iter().zip(shipped).zip(&self.due) {
            let wanted = (first.min(*due)..end.min(*due)).map(|n| shelf.first + n);
            let found = wanted.map(|n| shipped.iter().find(|segment| segment.output.n == n).cloned());
            range.push(found.collect::<Option<Vec<Shipped>>>()?);
        }
        Some(range)
    }
}

/// Publishes one range, as the first one to tell it, and asks for the playlists to follow. What cannot be told now is told by `done`.
async fn tell(jobs: &Jobs, assignment: &Assignment, k: u32, renditions: Vec<RenditionOutput>) {
    let (state, task) = (&assignment.state, assignment.task);
    let part = Part {
        v: VERSION,
        job_id: state.job_id.clone(),
        task,
        k,
        attempt: assignment.attempt,
        renditions,
    };
    let body = serde_json::to_vec(&part).unwrap_or_default();
    if body.len() > LONGEST {
        return;
    }
    let message = Outgoing::json(subject::part(&state.job_id, task, k), body).traced(state.traceparent.as_deref());
    let told = match jobs.log.create(topology::WORK, message).await {
        Ok(_) => jobs.nudge(state).await,
        Err(refused) => Err(refused),
    };
    crash::point("encode.part");
    if let Err(refused) = told {
        tracing::warn!(job.id = %state.job_id, %task, %refused, "a range of a task cannot be told");
    }
}

/// Segments a shelf will hold.
pub(super) fn due(plan: &Planned, task: TaskName, shelf: &Shelf) -> u32 {
    let next = match (task.duty, &plan.video) {
        (Duty::Video(chunk), Some(video)) => chunk.checked_add(1).and_then(|next| video.chunks.get(next as usize)),
        _ => None,
    };
    next.copied().unwrap_or(plan.segment.count).saturating_sub(shelf.first)
}

#[cfg(test)]
mod tests {
    use storage::ObjectKind;
    use streams::RenditionName;
    use streams::testing::planned;

    use super::*;

    #[test]
    fn a_shelf_is_due_the_segments_of_its_task() {
        let plan = planned();
        let shelf = |name: &RenditionName, first| Shelf {
            name: name.clone(),
            kind: ObjectKind::Video,
            first,
            due: None,
            last: None,
            has_key_frames: false,
        };
        let (rung, sound) = (&plan.videos().next().unwrap().name, &plan.audios().next().unwrap().name);
        let chunks =
            [(0, 0), (1, 1), (2, 3)].map(|(chunk, first)| due(&plan, TaskName::video(chunk), &shelf(rung, first)));
        assert_eq!(chunks, [1, 2, 1]);
        assert_eq!(due(&plan, TaskName::TRACKS, &shelf(sound, 0)), 4);
    }
}
