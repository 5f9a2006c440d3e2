//! Ranges of a long task that are told before it is done, so that growing playlists can list them.

use streams::VERSION;
use streams::plan::Planned;
use streams::task::{Duty, TaskName};
use streams::work::{ObjectRef, Part, RenditionOutput};
use streams::{subject, topology};

use super::production::Order;
use super::shift::output;
use super::shipping::{Shelf, Shipped, Shipper};
use crate::crash;
use crate::failure::Failure;
use crate::jetstream::Outgoing;
use crate::job::{Assignment, Jobs};

/// A task of so few segments is done soon: it tells no ranges.
const FEW: usize = 4;

/// Bytes of the longest message. A range that needs more is told by `done` alone.
const LONGEST: usize = 60 * 1024;

/// What one task tells of its ranges.
pub(super) struct Parts<'a> {
    jobs: &'a Jobs,
    assignment: &'a Assignment,
    /// The range that is told next.
    next: u32,
    /// Whole segments each shelf will surely hold.
    due: Vec<u32>,
    /// The init segments that are in the bucket, once the first range is.
    pub(super) inits: Vec<ObjectRef>,
}

impl<'a> Parts<'a> {
    /// What is told while an order is carried out; nothing where that is done soon.
    pub(super) fn of(jobs: &'a Jobs, order: &Order<'a>) -> Option<Self> {
        let (plan, assignment, shelves) = (order.plan, order.assignment, &order.shelves);
        let due: Vec<u32> = shelves.iter().map(|shelf| due(plan, assignment.task, shelf)).collect();
        let is_long = match assignment.task.duty {
            Duty::Tracks => !shelves.is_empty(),
            _ => order.view.is_preview || due.iter().any(|due| *due as usize > FEW),
        };
        is_long.then_some(Self {
            jobs,
            assignment,
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
            tell(self.jobs, self.assignment, self.next, renditions).await;
            self.next += 1;
        }
        Ok(())
    }

    /// The segments of the next range, by shelf, once all are there that will be.
    fn complete(&self, shelves: &[Shelf], shipped: &[Vec<Shipped>]) -> Option<Vec<Vec<Shipped>>> {
        let (first, end) = Part::range(self.next);
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

/// Whole segments a shelf will surely hold.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts of floats saturate, and lengths are positive"
)]
fn due(plan: &Planned, task: TaskName, shelf: &Shelf) -> u32 {
    if let (Duty::Video(chunk), Some(video)) = (task.duty, &plan.video) {
        let (first, end) = video.chunk_frames(chunk).unwrap_or_default();
        let segments = (end - first) / u64::from(video.segment_frames.max(1));
        return u32::try_from(segments).unwrap_or(u32::MAX);
    }
    let rendition = plan.audios().find(|rendition| rendition.name == shelf.name);
    let seconds = rendition.map_or(0.0, |rendition| rendition.duration);
    // The last one may be short, and joints lie up to one packet of sound beside the grid.
    ((seconds - 0.1) / plan.segment.duration.as_f64()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffmpeg::testing::planned;
    use crate::storage::ObjectKind;

    #[test]
    fn a_shelf_is_due_the_whole_segments_of_its_plan() {
        let plan = planned();
        let video = plan.video.as_ref().unwrap();
        let (first, end) = video.chunk_frames(0).unwrap();
        let shelf = Shelf {
            name: plan.videos().next().unwrap().name.clone(),
            kind: ObjectKind::Video,
            first: 0,
            due: None,
        };
        let whole = (end - first) / u64::from(video.segment_frames);
        assert_eq!(u64::from(due(&plan, TaskName::video(0), &shelf)), whole);
        let audio = plan.audios().next().unwrap();
        let sound = Shelf {
            name: audio.name.clone(),
            kind: ObjectKind::Audio,
            first: 0,
            due: None,
        };
        let segments = due(&plan, TaskName::TRACKS, &sound);
        let seconds = f64::from(segments) * plan.segment.duration.as_f64();
        assert!(seconds < audio.duration && audio.duration - seconds <= plan.segment.duration.as_f64() + 0.1);
    }
}
