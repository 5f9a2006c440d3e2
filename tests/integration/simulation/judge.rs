//! What must be true when everything has come to an end, whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fluxhls::job::state::WorkState;
use jetstream::StoredMessage;
use serde::de::DeserializeOwned;
use storage::{Bucket, JobKeys};
use streams::delete::Tombstone;
use streams::fact::{Accepted, Decision, Ended, FactKind, Outcome, Planned, Pruned, Verdict};
use streams::work::{Current, WorkKind};
use streams::{EventOrder, JobId, subject, topology};

use super::world::World;

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
    violations.extend(deletions_without_end(world, &facts));
    violations.extend(ends_against_their_verdict(&facts));
    violations.extend(work_that_does_not_add_up(world, &facts));
    violations.extend(failures_without_a_letter(world, &facts));
    violations.extend(masters(world, &facts, bucket).await);
    violations
}

/// The job log.
struct Facts(Vec<StoredMessage>);

impl Facts {
    fn of(world: &World) -> Self {
        Self(world.model.messages(topology::JOBS))
    }

    /// One kind of fact of every job that has it.
    fn all<T: DeserializeOwned>(&self, kind: FactKind) -> BTreeMap<JobId, T> {
        let read = |message: &StoredMessage| match subject::parse_fact(&message.subject) {
            Some((job, found)) if found == kind => {
                Some((job, serde_json::from_slice(&message.payload).unwrap()))
            }
            _ => None,
        };
        self.0.iter().filter_map(read).collect()
    }

    /// The last tombstone of each file.
    fn tombstones(&self) -> BTreeMap<String, Tombstone> {
        let tombs = self
            .0
            .iter()
            .filter(|message| message.subject.starts_with("hls.v1.source.deleted."));
        let tombs =
            tombs.map(|message| serde_json::from_slice::<Tombstone>(&message.payload).unwrap());
        tombs.map(|tomb| (tomb.file_id.to_string(), tomb)).collect()
    }

    /// Whether a job was uploaded before a deletion of its file.
    fn is_doomed(&self, accepted: &Accepted) -> bool {
        let tombs = self.tombstones();
        let tomb = tombs.get(accepted.head.file_id.as_str());
        tomb.is_some_and(|tomb| !accepted.event.is_after(&tomb.event))
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
    let events = world.model.messages(topology::UPLOADS).into_iter();
    for event in events.filter(|event| event.subject == subject::UPLOAD) {
        let body: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let letter = letters
            .iter()
            .any(|letter| letter.subject == subject::dead_message("upload", event.seq));
        let mut jobs = accepted.iter().filter(|(job, accepted)| {
            accepted.head.file_id.as_str() == body["file_id"]
                && body["job_id"].as_str().is_none_or(|id| job.as_str() == id)
        });
        if !letter && !jobs.any(|(job, _)| ended.contains_key(job)) {
            violations.push(format!(
                "event {} has neither an end nor a dead letter",
                event.seq
            ));
        }
    }
    for job in accepted.keys().filter(|job| !ended.contains_key(job)) {
        violations.push(format!("job {job} never ended"));
    }
    violations
}

/// Every deletion was carried out, and every job that was uploaded before one is published as
/// pruned; no other is.
fn deletions_without_end(world: &World, facts: &Facts) -> Vec<String> {
    let mut violations = Vec::new();
    let tombs = facts.tombstones();
    let deletions = world.model.messages(topology::UPLOADS).into_iter();
    for event in deletions.filter(|event| event.subject == subject::DELETE) {
        let body: serde_json::Value = serde_json::from_slice(&event.payload).unwrap();
        let tomb = tombs.get(body["file_id"].as_str().unwrap());
        let place = EventOrder::new(event.seq, event.time);
        if tomb.is_none_or(|tomb| place.is_after(&tomb.event) || tomb.done.is_none()) {
            violations.push(format!(
                "deletion {} was not carried out: {tomb:?}",
                event.seq
            ));
        }
    }
    let pruned = facts.all::<Pruned>(FactKind::Pruned);
    for (job, accepted) in facts.all::<Accepted>(FactKind::Accepted) {
        let doomed = facts.is_doomed(&accepted);
        if pruned.get(&job).is_some_and(|pruned| pruned.deleted) != doomed {
            violations.push(format!(
                "job {job} is gone or not, against the deletion of its file"
            ));
        }
    }
    violations
}

/// Every end announces its verdict; only a commit may be overruled, by another file that has the
/// prefix.
fn ends_against_their_verdict(facts: &Facts) -> Vec<String> {
    let verdicts = facts.all::<Verdict>(FactKind::Verdict);
    let mut violations = Vec::new();
    for (job, ended) in facts.all::<Ended>(FactKind::Ended) {
        let fits = match (
            verdicts.get(&job).map(|verdict| verdict.outcome),
            ended.outcome,
        ) {
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

/// One result per task, every task of a completed job with one, and no more starts than are
/// allowed.
fn work_that_does_not_add_up(world: &World, facts: &Facts) -> Vec<String> {
    let plans = facts.all::<Planned>(FactKind::Planned);
    let accepted = facts.all::<Accepted>(FactKind::Accepted);
    let ended = facts.all::<Ended>(FactKind::Ended);
    let mut violations = Vec::new();
    let mut counts: BTreeMap<JobId, BTreeMap<String, u64>> = BTreeMap::new();
    for message in world.model.messages(topology::WORK) {
        let (job, _, _) = subject::parse_work(&message.subject).unwrap();
        *counts
            .entry(job)
            .or_default()
            .entry(message.subject)
            .or_default() += 1;
    }
    for (job, counts) in &counts {
        let once = [WorkKind::Done, WorkKind::Redo];
        let many = counts.iter().filter(|(subject, count)| {
            **count > 1
                && subject::parse_work(subject).is_some_and(|(_, kind, _)| once.contains(&kind))
        });
        violations
            .extend(many.map(|(subject, count)| format!("{subject} was published {count} times")));
        let work = WorkState::from_subjects(counts).unwrap();
        let Some(plan) = plans.get(job) else { continue };
        if ended[job].outcome == Outcome::Completed {
            let missing = plan
                .tasks
                .iter()
                .filter(|planned| !work.done.contains(&work.effective(planned.task)));
            violations
                .extend(missing.map(|task| format!("job {job} completed without {}", task.task)));
        }
        let limit = u64::from(accepted[job].upload.settings.max_attempts);
        for planned in &plan.tasks {
            // Several may look at the count before each of them starts; it cannot run away, though.
            if work.attempts(planned.task) > limit + 8 {
                violations.push(format!(
                    "task {} of job {job} was started too often",
                    planned.task
                ));
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

/// Under every prefix, master is what the owner committed, and the owner is the newest job that
/// committed there; nothing is there where the owner was deleted.
async fn masters(world: &World, facts: &Facts, bucket: &Bucket) -> Vec<String> {
    let accepted = facts.all::<Accepted>(FactKind::Accepted);
    let mut owners: BTreeMap<String, Current> = BTreeMap::new();
    let mut violations = Vec::new();
    let messages = world.model.messages(topology::JOBS).into_iter();
    for message in messages.filter(|message| message.subject.starts_with("hls.v1.current.")) {
        let now: Current = serde_json::from_slice(&message.payload).unwrap();
        let before = owners.insert(message.subject.clone(), now.clone());
        if before.is_some_and(|before| !may_follow(&before, &now, &accepted)) {
            violations.push(format!("{} went to {now:?}", message.subject));
        }
    }
    for (job, ended) in facts.all::<Ended>(FactKind::Ended) {
        let accepted = &accepted[&job];
        if ended.outcome != Outcome::Completed || facts.is_doomed(accepted) {
            continue;
        }
        let owner = &owners[&subject::current(bucket.name(), &accepted.output_prefix)];
        let is_older = owner.accepted_seq < facts.seq(&job, FactKind::Accepted);
        if owner.deleted.is_some() || is_older && facts.tombstones().is_empty() {
            violations.push(format!(
                "job {job} completed, and {owner:?} owns its prefix"
            ));
        }
        if owner.job_id == job && ended.superseded {
            violations.push(format!(
                "job {job} owns its prefix and says that it is superseded"
            ));
        }
    }
    let prefixes: BTreeSet<_> = accepted
        .values()
        .map(|accepted| &accepted.output_prefix)
        .collect();
    for prefix in prefixes {
        let Some(owner) = owners.get(&subject::current(bucket.name(), prefix)) else {
            continue;
        };
        let keys = JobKeys::new(prefix.as_str(), owner.job_id.as_str());
        let master = bucket.get(&keys.master(), 1 << 20).await.unwrap();
        let committed = match owner.deleted {
            Some(_) => None,
            None => bucket.get(&keys.commit(), 1 << 20).await.unwrap(),
        };
        if master != committed || master.is_none() != owner.deleted.is_some() {
            violations.push(format!(
                "{} is not what its owner has: {owner:?}",
                keys.master()
            ));
        }
    }
    violations
}

/// Whether one owner of a prefix may follow another: a job accepted later, the same one deleted, or
/// one that was uploaded after the deletion.
fn may_follow(before: &Current, now: &Current, accepted: &BTreeMap<JobId, Accepted>) -> bool {
    let is_deleted = now.job_id == before.job_id
        && now
            .deleted
            .is_some_and(|now| before.deleted.is_none_or(|before| now.is_after(&before)));
    let is_newer = match before.deleted {
        None => now.accepted_seq > before.accepted_seq,
        Some(deletion) => accepted[&now.job_id].event.is_after(&deletion),
    };
    before.file_id == now.file_id && (is_deleted || is_newer)
}
