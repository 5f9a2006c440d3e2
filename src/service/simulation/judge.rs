//! What must be true when everything has come to an end, whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::DeserializeOwned;
use streams::fact::{Accepted, Decision, Ended, FactKind, Outcome, Planned, Verdict};
use streams::work::{Current, WorkKind};
use streams::{JobId, subject, topology};

use super::world::World;
use crate::jetstream::Recorded;
use crate::job::state::WorkState;
use crate::storage::{Bucket, JobKeys};

/// What was simulated.
#[derive(Debug, Default)]
pub(super) struct Tally {
    worlds: u64,
    starts: u64,
    deaths: u64,
    lost_answers: u64,
    outcomes: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, world: &World) {
        self.worlds += 1;
        self.starts += world.starts;
        self.deaths += world.deaths;
        self.lost_answers += world.lost_answers;
        for ended in Facts::of(world).all::<Ended>(FactKind::Ended).values() {
            *self.outcomes.entry(ended.outcome.as_str()).or_default() += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} worlds, {} processes, {} deaths, {} lost answers; jobs by outcome: {:?}",
            self.worlds, self.starts, self.deaths, self.lost_answers, self.outcomes
        )
    }
}

/// Every violation that is found.
pub(super) async fn judge(world: &World, bucket: &Bucket) -> Vec<String> {
    let facts = Facts::of(world);
    let mut violations = facts.repeated();
    violations.extend(events_without_end(world, &facts));
    violations.extend(ends_against_their_verdict(&facts));
    violations.extend(work_that_does_not_add_up(world, &facts));
    violations.extend(failures_without_a_letter(world, &facts));
    violations.extend(masters(world, &facts, bucket).await);
    violations
}

/// The job log.
struct Facts(Vec<Recorded>);

impl Facts {
    fn of(world: &World) -> Self {
        Self(world.model.messages(topology::JOBS))
    }

    /// One kind of fact of every job that has it.
    fn all<T: DeserializeOwned>(&self, kind: FactKind) -> BTreeMap<JobId, T> {
        let read = |message: &Recorded| match subject::parse_fact(&message.subject) {
            Some((job, found)) if found == kind => Some((job, serde_json::from_slice(&message.payload).unwrap())),
            _ => None,
        };
        self.0.iter().filter_map(read).collect()
    }

    fn seq(&self, job: &JobId, kind: FactKind) -> u64 {
        let subject = subject::fact(job, kind);
        let found = self.0.iter().find(|message| message.subject == subject);
        found.map_or(0, |message| message.seq)
    }

    fn repeated(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let facts = self
            .0
            .iter()
            .filter(|message| subject::parse_fact(&message.subject).is_some());
        let again = facts.filter(|message| !seen.insert(message.subject.clone()));
        again
            .map(|message| format!("{} was published twice", message.subject))
            .collect()
    }
}

/// Every event has a job that ended, or a dead letter.
fn events_without_end(world: &World, facts: &Facts) -> Vec<String> {
    let ended = facts.all::<Ended>(FactKind::Ended);
    let accepted = facts.all::<Accepted>(FactKind::Accepted);
    let letters = world.model.messages(topology::DEAD);
    let mut violations = Vec::new();
    for event in world.model.messages(topology::UPLOADS) {
        let body: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let letter = letters
            .iter()
            .any(|letter| letter.subject == subject::dead_message("upload", event.seq));
        let mut jobs = accepted.iter().filter(|(job, accepted)| {
            accepted.head.file_id.as_str() == body["file_id"]
                && body["job_id"].as_str().is_none_or(|id| job.as_str() == id)
        });
        if !letter && !jobs.any(|(job, _)| ended.contains_key(job)) {
            violations.push(format!("event {} has neither an end nor a dead letter", event.seq));
        }
    }
    for job in accepted.keys().filter(|job| !ended.contains_key(job)) {
        violations.push(format!("job {job} never ended"));
    }
    violations
}

/// Every end announces its verdict; only a commit may be overruled, by another file that has the prefix.
fn ends_against_their_verdict(facts: &Facts) -> Vec<String> {
    let verdicts = facts.all::<Verdict>(FactKind::Verdict);
    let mut violations = Vec::new();
    for (job, ended) in facts.all::<Ended>(FactKind::Ended) {
        let fits = match (verdicts.get(&job).map(|verdict| verdict.outcome), ended.outcome) {
            (Some(Decision::Commit), Outcome::Completed)
            | (Some(Decision::Fail), Outcome::Failed)
            | (Some(Decision::Cancel), Outcome::Canceled) => true,
            (Some(Decision::Commit), Outcome::Failed) => ended
                .error
                .is_some_and(|error| error.code == streams::Code::PrefixInUse),
            _ => false,
        };
        if !fits || facts.seq(&job, FactKind::Verdict) > facts.seq(&job, FactKind::Ended) {
            violations.push(format!("the end of job {job} is not its verdict"));
        }
    }
    violations
}

/// One result per task, every task of a completed job with one, and no more starts than are allowed.
fn work_that_does_not_add_up(world: &World, facts: &Facts) -> Vec<String> {
    let plans = facts.all::<Planned>(FactKind::Planned);
    let accepted = facts.all::<Accepted>(FactKind::Accepted);
    let ended = facts.all::<Ended>(FactKind::Ended);
    let mut violations = Vec::new();
    let mut counts: BTreeMap<JobId, BTreeMap<String, u64>> = BTreeMap::new();
    for message in world.model.messages(topology::WORK) {
        let (job, _, _) = subject::parse_work(&message.subject).unwrap();
        *counts.entry(job).or_default().entry(message.subject).or_default() += 1;
    }
    for (job, counts) in &counts {
        let once = [WorkKind::Done, WorkKind::Redo];
        let many = counts.iter().filter(|(subject, count)| {
            **count > 1 && subject::parse_work(subject).is_some_and(|(_, kind, _)| once.contains(&kind))
        });
        violations.extend(many.map(|(subject, count)| format!("{subject} was published {count} times")));
        let work = WorkState::from_subjects(counts);
        let Some(plan) = plans.get(job) else { continue };
        if ended[job].outcome == Outcome::Completed {
            let missing = plan
                .tasks
                .iter()
                .filter(|planned| !work.done.contains(&work.effective(planned.task)));
            violations.extend(missing.map(|task| format!("job {job} completed without {}", task.task)));
        }
        let limit = u64::from(accepted[job].upload.settings.max_attempts);
        for planned in &plan.tasks {
            // Several may look at the count before each of them starts; it cannot run away, though.
            if work.attempts(planned.task) > limit + 8 {
                violations.push(format!("task {} of job {job} was started too often", planned.task));
            }
        }
    }
    violations
}

/// A job that failed by one of its tasks left a dead letter that says so.
fn failures_without_a_letter(world: &World, facts: &Facts) -> Vec<String> {
    let letters = world.model.messages(topology::DEAD);
    let verdicts = facts.all::<Verdict>(FactKind::Verdict).into_iter();
    let failed = verdicts.filter_map(|(job, verdict)| Some((job, verdict.error?.task?)));
    let silent = failed.filter(|(job, task)| {
        let end = format!(".{job}.{task}");
        !letters.iter().any(|letter| letter.subject.ends_with(&end))
    });
    silent
        .map(|(job, task)| format!("task {task} of job {job} failed without a dead letter"))
        .collect()
}

/// Under every prefix, master is what the owner committed, and the owner is the newest job that committed there.
async fn masters(world: &World, facts: &Facts, bucket: &Bucket) -> Vec<String> {
    let accepted = facts.all::<Accepted>(FactKind::Accepted);
    let ended = facts.all::<Ended>(FactKind::Ended);
    let mut owners: BTreeMap<String, Current> = BTreeMap::new();
    let mut violations = Vec::new();
    for message in world.model.messages(topology::JOBS) {
        if message.subject.starts_with("hls.v1.current.") {
            let now: Current = serde_json::from_slice(&message.payload).unwrap();
            if let Some(before) = owners.insert(message.subject.clone(), now.clone())
                && (before.accepted_seq >= now.accepted_seq || before.file_id != now.file_id)
            {
                violations.push(format!("{} went from {before:?} to {now:?}", message.subject));
            }
        }
    }
    for (job, accepted) in &accepted {
        if ended.get(job).is_none_or(|ended| ended.outcome != Outcome::Completed) {
            continue;
        }
        let owner = &owners[&subject::current(bucket.name(), &accepted.output_prefix)];
        if owner.accepted_seq < facts.seq(job, FactKind::Accepted) {
            violations.push(format!("job {job} completed, and an older one owns its prefix"));
        }
        if owner.job_id == *job && ended[job].superseded {
            violations.push(format!("job {job} owns its prefix and says that it is superseded"));
        }
        let keys = JobKeys::new(accepted.output_prefix.as_str(), owner.job_id.as_str());
        let master = bucket.get(&keys.master(), 1 << 20).await.unwrap();
        if master != bucket.get(&keys.commit(), 1 << 20).await.unwrap() || master.is_none() {
            violations.push(format!(
                "{} is not what its owner {} committed",
                keys.master(),
                owner.job_id
            ));
        }
    }
    violations
}
