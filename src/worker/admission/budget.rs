//! The budget of one process: who has reserved what, who waits, and who was too large.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use strum::VariantArray as _;
use tokio::sync::watch;

use super::{AvailableCapacity, Capacity, Resource, ResourceRequirements};
use crate::telemetry::gauge_value;

/// How long a place in the waiting line is kept for a task that does not return: another worker has
/// it by then.
const WAITING_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a task in work checks for the space it waits for: other processes free space, too.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
/// How long a task that is too large for this worker is reported.
const TOO_LARGE_REPORT_DURATION: Duration = Duration::from_secs(600);

/// What this process has given out. Clones share it.
#[derive(Debug, Clone)]
pub struct ResourceBudget {
    capacity: Capacity,
    folder: Arc<PathBuf>,
    cache: u64,
    state: Arc<watch::Sender<BudgetState>>,
}

/// Room that is kept for a task until this is dropped.
#[derive(Debug, Default)]
pub struct Reservation(Option<(ResourceBudget, ResourceRequirements)>);

/// Whether a task may start.
#[derive(Debug)]
pub enum Admission {
    /// It may, and its room is kept.
    Granted(Reservation),
    /// Not now: others have the room.
    Later,
    /// Never here, not even alone: a larger worker must take it.
    TooLargeForWorker,
}

/// What is reserved, who waits, and what was too large.
#[derive(Debug, Default)]
struct BudgetState {
    reserved: ResourceRequirements,
    /// Tasks that did not fit when they came, the longest waiting one first.
    waiting: Vec<Waiting>,
    /// The last task that was too large, in words.
    too_large: Option<(String, Instant)>,
}

#[derive(Debug, Clone)]
struct Waiting {
    who: String,
    need: ResourceRequirements,
    seen: Instant,
}

/// How a task is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Fits,
    Later {
        /// What there is too little of.
        resource: Resource,
        /// Whether the task did not wait before: then the reason is logged.
        is_new: bool,
    },
    TooLargeForWorker(Resource),
}

impl ResourceBudget {
    /// An empty budget of tasks that work in `folder`, with a block cache of at most `cache` bytes.
    #[must_use]
    pub fn new(capacity: Capacity, folder: &Path, cache: u64) -> Self {
        for &resource in Resource::VARIANTS {
            counter!("fluxhls_admission_waits_total", "resource" => resource.as_str()).increment(0);
        }
        Self {
            capacity,
            folder: Arc::new(folder.to_owned()),
            cache,
            state: Arc::default(),
        }
    }

    /// The room there is.
    ///
    /// # Errors
    /// Names the work folder if it is missing or cannot be written, and what to do.
    pub fn available_capacity(&self) -> io::Result<AvailableCapacity> {
        AvailableCapacity::extract_samples(&self.capacity, &self.folder, self.cache).map_err(|error| {
            let text = format!(
                "the work folder {} cannot be used: {error}; make WORK_DIR writable again and restart this worker",
                self.folder.display()
            );
            io::Error::new(error.kind(), text)
        })
    }

    /// Whether `who` may start and take what it needs. The room is looked at now.
    pub fn admit(&self, who: &str, need: ResourceRequirements) -> Admission {
        let room = match self.available_capacity() {
            Ok(room) => room,
            Err(error) => {
                tracing::error!(task = who, "{error}");
                return Admission::Later;
            }
        };

        // Judged and reserved in one step, so that two tasks never get the same room.
        let mut judgement = Judgement::Fits;
        self.state
            .send_modify(|state| judgement = state.judge(who, need, &room, Instant::now()));

        match judgement {
            Judgement::Fits => {
                self.set_gauges();
                Admission::Granted(Reservation(Some((self.clone(), need))))
            }
            Judgement::Later { resource, is_new } => {
                count_wait(resource);
                if is_new {
                    tracing::info!(task = who, need = need.of(resource), %resource, "waits for room that other tasks have");
                }
                Admission::Later
            }
            Judgement::TooLargeForWorker(resource) => {
                count_wait(resource);
                let text = format!(
                    "task {who} needs {} bytes of {resource}, and this worker has {} at most: raise {} or run a larger worker",
                    need.of(resource),
                    room.most.of(resource),
                    resource.setting()
                );

                let reported = self.too_large();
                self.state
                    .send_modify(|state| state.too_large = Some((text.clone(), Instant::now())));
                // The task is delivered repeatedly; the same text in a row is logged once.
                if reported.as_ref() != Some(&text) {
                    tracing::warn!("{text}");
                }
                Admission::TooLargeForWorker
            }
        }
    }

    /// Waits until `who` may start; none if it never may. `beat` is called while it waits.
    pub async fn wait(
        &self,
        who: &str,
        need: ResourceRequirements,
        beat: impl Fn(),
    ) -> Option<Reservation> {
        loop {
            match self.admit(who, need) {
                Admission::Granted(reservation) => return Some(reservation),
                Admission::TooLargeForWorker => return None,
                Admission::Later => {}
            }

            beat();
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// The task that was too large for this worker of late, with what to do.
    #[must_use]
    pub fn too_large(&self) -> Option<String> {
        let state = self.state.borrow();
        let (text, when) = state.too_large.as_ref()?;
        (when.elapsed() < TOO_LARGE_REPORT_DURATION).then(|| text.clone())
    }

    fn set_gauges(&self) {
        let reserved = self.state.borrow().reserved;
        for &resource in Resource::VARIANTS {
            gauge!("fluxhls_reserved_bytes", "resource" => resource.as_str())
                .set(gauge_value(reserved.of(resource)));
        }
    }
}

fn count_wait(resource: Resource) {
    counter!("fluxhls_admission_waits_total", "resource" => resource.as_str()).increment(1);
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some((budget, need)) = &self.0 {
            budget
                .state
                .send_modify(|state| state.reserved = state.reserved.without(*need));
            budget.set_gauges();
        }
    }
}

impl Reservation {
    /// What is reserved.
    #[must_use]
    pub fn need(&self) -> ResourceRequirements {
        self.0.as_ref().map(|(_, need)| *need).unwrap_or_default()
    }
}

impl BudgetState {
    /// Decides about a task, and records the decision. No task overtakes the one that waits
    /// longest, if that one would fit after all tasks in work are done: otherwise small tasks could
    /// delay a large one forever.
    fn judge(
        &mut self,
        who: &str,
        need: ResourceRequirements,
        room: &AvailableCapacity,
        now: Instant,
    ) -> Judgement {
        self.waiting
            .retain(|waiting| now.duration_since(waiting.seen) < WAITING_TIMEOUT);

        if let Some(resource) = room.too_small_for(need) {
            self.waiting.retain(|waiting| waiting.who != who);
            return Judgement::TooLargeForWorker(resource);
        }

        // A first one that would not even fit alone waits for space that other processes hold, and
        // delays no one.
        let first = self.waiting.first().filter(|first| first.who != who);
        let kept = first
            .filter(|first| {
                room.taken_for(first.need, ResourceRequirements::default())
                    .is_none()
            })
            .map_or_else(ResourceRequirements::default, |first| first.need);

        let Some(resource) = room.taken_for(need, self.reserved.and(kept)) else {
            self.waiting.retain(|waiting| waiting.who != who);
            self.reserved = self.reserved.and(need);
            return Judgement::Fits;
        };

        match self.waiting.iter_mut().find(|waiting| waiting.who == who) {
            Some(waiting) => {
                waiting.seen = now;
                Judgement::Later {
                    resource,
                    is_new: false,
                }
            }
            None => {
                self.waiting.push(Waiting {
                    who: who.to_owned(),
                    need,
                    seen: now,
                });
                Judgement::Later {
                    resource,
                    is_new: true,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WAITS_NEWLY: Judgement = Judgement::Later {
        resource: Resource::Disk,
        is_new: true,
    };
    const WAITS_STILL: Judgement = Judgement::Later {
        resource: Resource::Disk,
        is_new: false,
    };

    fn disk(disk: u64) -> ResourceRequirements {
        ResourceRequirements { disk, memory: 0 }
    }

    fn room(most: u64, now: u64) -> AvailableCapacity {
        AvailableCapacity {
            most: disk(most),
            now: disk(now),
            spare_memory: u64::MAX,
        }
    }

    #[test]
    fn a_task_that_does_not_fit_now_waits_and_is_not_overtaken() {
        let (mut state, room, now) = (BudgetState::default(), room(100, 100), Instant::now());
        assert_eq!(state.judge("small", disk(40), &room, now), Judgement::Fits);
        assert_eq!(state.judge("large", disk(90), &room, now), WAITS_NEWLY);
        assert_eq!(state.judge("large", disk(90), &room, now), WAITS_STILL);

        // It would fit next to the small one, but not next to the large one that was here before.
        assert_eq!(state.judge("late", disk(20), &room, now), WAITS_NEWLY);

        state.reserved = state.reserved.without(disk(40));
        assert_eq!(state.judge("large", disk(90), &room, now), Judgement::Fits);
        assert_eq!(state.judge("late", disk(20), &room, now), WAITS_STILL);

        state.reserved = ResourceRequirements::default();
        assert_eq!(state.judge("late", disk(20), &room, now), Judgement::Fits);
    }

    #[test]
    fn a_place_in_the_line_is_not_kept_for_whoever_went_elsewhere_or_waits_for_others_than_us() {
        let (mut state, now) = (BudgetState::default(), Instant::now());
        assert_eq!(
            state.judge("large", disk(90), &room(100, 50), now),
            WAITS_NEWLY
        );

        // The disk is full of data of other processes.
        assert_eq!(
            state.judge("small", disk(40), &room(100, 50), now),
            Judgement::Fits
        );

        let later = now + WAITING_TIMEOUT;
        assert_eq!(
            state.judge("other", disk(60), &room(100, 100), later),
            Judgement::Fits
        );
    }

    #[test]
    fn a_task_larger_than_the_worker_is_for_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let capacity = Capacity {
            work_dir_max: Some(1000),
            memory_max: Some(1 << 40),
        };

        let budget = ResourceBudget::new(capacity, folder.path(), 0);
        assert!(matches!(
            budget.admit("j/v0", disk(1001)),
            Admission::TooLargeForWorker
        ));
        let reported = budget.too_large().unwrap();
        assert!(
            reported.contains("j/v0")
                && reported.contains("1001")
                && reported.contains("WORK_DIR_MAX"),
            "{reported}"
        );

        let Admission::Granted(held) = budget.admit("j/v1", disk(600)) else {
            panic!("it fits")
        };
        assert_eq!(held.need(), disk(600));
        assert!(matches!(budget.admit("j/v2", disk(600)), Admission::Later));
        drop(held);
        assert!(matches!(
            budget.admit("j/v2", disk(600)),
            Admission::Granted(_)
        ));
    }

    #[test]
    fn without_a_work_folder_nothing_starts_and_it_is_told_which() {
        let folder = tempfile::tempdir().unwrap();
        let budget = ResourceBudget::new(Capacity::default(), folder.path(), 0);
        let path = folder.path().display().to_string();
        drop(folder);

        assert!(matches!(
            budget.admit("j/v0", ResourceRequirements::default()),
            Admission::Later
        ));

        let reported = budget.available_capacity().unwrap_err().to_string();
        assert!(
            reported.contains(&path) && reported.contains("WORK_DIR"),
            "{reported}"
        );
    }

    proptest! {
        #[test]
        fn what_is_reserved_never_exceeds_the_room(needs in prop::collection::vec((0usize..6, 0u64..120, any::<bool>()), 1..60)) {
            let (mut state, room, now) = (BudgetState::default(), room(100, 100), Instant::now());
            let mut held: Vec<(usize, ResourceRequirements)> = Vec::new();
            for (who, need, leaves) in needs {
                if leaves && !held.is_empty() {
                    let (_, need) = held.remove(0);
                    state.reserved = state.reserved.without(need);
                } else if state.judge(&who.to_string(), disk(need), &room, now) == Judgement::Fits {
                    held.push((who, disk(need)));
                }

                let sum: u64 = held.iter().map(|(_, need)| need.disk).sum();
                prop_assert_eq!(state.reserved.disk, sum);
                prop_assert!(sum <= 100);
            }
        }
    }
}
