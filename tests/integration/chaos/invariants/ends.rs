//! Every event ends, once, as it has to.

use std::collections::{BTreeMap, BTreeSet};

use streams::fact::{Decision, Ended, Outcome, Verdict};
use streams::{Fact, FactKind, JobId};
use strum::VariantArray as _;

use super::super::log::JobLog;
use super::super::order::ExpectedEnd;
use super::super::publisher::{Published, Sent};
use super::{Violation, all, of};

/// The jobs of an event: the one it names, else those of its file.
fn jobs_of<'a>(sent: &'a Sent, logs: &'a BTreeMap<JobId, JobLog>) -> Vec<&'a JobId> {
    let is_of_file = |log: &JobLog| {
        let accepted = log.first(FactKind::Accepted);
        accepted.is_some_and(|told| told.fact.head().file_id.as_str() == sent.file)
    };
    match &sent.job {
        Some(job) => logs.keys().filter(|known| *known == job).collect(),
        None => logs
            .iter()
            .filter(|(_, log)| is_of_file(log))
            .map(|(job, _)| job)
            .collect(),
    }
}

/// Every event without exactly one ended job or, if that is its expected end, a dead letter with
/// its bytes; and jobs and dead letters without an event. `letters` are the origin sequence and
/// body of each dead letter of an event.
pub(in super::super) fn lost(
    published: &Published,
    logs: &BTreeMap<JobId, JobLog>,
    letters: &[(u64, Vec<u8>)],
) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut known = BTreeSet::new();
    let mut buried = 0;
    for sent in &published.sent {
        if sent.expected_end == ExpectedEnd::Buried {
            for seq in &sent.seqs {
                let letters: Vec<_> = letters.iter().filter(|(origin, _)| origin == seq).collect();
                let whole = letters
                    .iter()
                    .all(|(_, body)| *body == sent.body.to_string().as_bytes());
                if letters.len() != 1 || !whole {
                    violations.push(all(format!(
                        "event {seq} has {} dead letters, and they are {whole} to its bytes",
                        letters.len()
                    )));
                }
                buried += letters.len();
            }
            continue;
        }
        let jobs = jobs_of(sent, logs);
        if jobs.len() != 1 {
            violations.push(all(format!(
                "event {:?} became {} jobs: {jobs:?}",
                sent.seqs,
                jobs.len()
            )));
        }
        for job in jobs {
            known.insert(job);
            if logs[job].ended().is_none() {
                violations.push(of(job, "it never ended"));
            }
        }
    }
    let unknown = logs.keys().filter(|job| !known.contains(job));
    violations.extend(unknown.map(|job| of(job, "no one sent it")));
    if letters.len() > buried {
        violations.push(all(format!(
            "{} events became dead letters, {buried} had to",
            letters.len()
        )));
    }
    violations
}

/// Every job with a fact that was published twice, and every end that differs from its verdict.
pub(in super::super) fn ended_twice(logs: &BTreeMap<JobId, JobLog>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (job, log) in logs {
        for kind in FactKind::VARIANTS {
            let times = log.all(*kind).count();
            if times > 1 {
                violations.push(of(
                    job,
                    format!("{} was published {times} times", kind.as_str()),
                ));
            }
        }
        let verdict = log.first(FactKind::Verdict).map(|told| &told.fact);
        if let Some(ended) = log.ended() {
            match verdict {
                Some(Fact::Verdict(verdict)) if agree(verdict, ended) => {}
                _ => violations.push(of(
                    job,
                    format!("it ended as {ended:?}, and its verdict is {verdict:?}"),
                )),
            }
        }
        for (task, told) in &log.tasks {
            if told.done.len() > 1 {
                violations.push(of(job, format!("{task} has {} results", told.done.len())));
            }
        }
    }
    violations
}

fn agree(verdict: &Verdict, ended: &Ended) -> bool {
    match verdict.outcome {
        Decision::Commit => ended.outcome == Outcome::Completed,
        Decision::Fail => ended.outcome == Outcome::Failed && ended.error == verdict.error,
        Decision::Cancel => ended.outcome == Outcome::Canceled && ended.error.is_none(),
    }
}

/// Every job with another result than its source should have, or than the answer to its
/// cancellation said.
pub(in super::super) fn wrong_ends(
    published: &Published,
    logs: &BTreeMap<JobId, JobLog>,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for sent in &published.sent {
        for job in jobs_of(sent, logs) {
            let Some(ended) = logs[job].ended() else {
                continue;
            };
            let code = ended.error.as_ref().map(|error| error.code);
            let was_told = published.canceled.contains(job);
            let right = match sent.expected_end {
                ExpectedEnd::Completed => ended.outcome == Outcome::Completed,
                ExpectedEnd::Failed(expected) => {
                    ended.outcome == Outcome::Failed && code == Some(expected)
                }
                ExpectedEnd::CompletedOrCanceled if was_told => ended.outcome == Outcome::Canceled,
                ExpectedEnd::CompletedOrCanceled => ended.outcome != Outcome::Failed,
                ExpectedEnd::Buried => false,
            };
            if !right {
                let what = format!(
                    "its expected end was {:?} (answered as canceled: {was_told}), it ended {:?}: {:?}",
                    sent.expected_end, ended.outcome, ended.error
                );
                violations.push(of(job, what));
            }
        }
    }
    violations
}

/// Every dead letter that is not of an event or of a task of a failed job. `dead` are their
/// subjects.
pub(in super::super) fn buried(dead: &[String], logs: &BTreeMap<JobId, JobLog>) -> Vec<Violation> {
    let failed = |subject: &str| {
        let job = subject.strip_prefix("hls.v1.dead.")?.split('.').nth(1)?;
        logs.get(&job.parse().ok()?)?
            .ended()
            .map(|ended| ended.outcome)
    };
    let strange = dead
        .iter()
        .filter(|subject| failed(subject) != Some(Outcome::Failed));
    strange
        .map(|subject| all(format!("{subject} is a dead letter")))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use streams::Code;

    use super::super::told::{ended, job, log};
    use super::*;

    fn published(expected_end: ExpectedEnd) -> Published {
        let sent = Sent {
            expected_end,
            file: "f1".to_owned(),
            job: (expected_end != ExpectedEnd::Buried).then(job),
            seqs: vec![7],
            body: json!({ "file_id": "f1" }),
        };
        Published {
            sent: vec![sent],
            canceled: Vec::new(),
        }
    }

    #[test]
    fn an_event_without_an_end_and_a_job_without_an_event_are_lost() {
        let asked = published(ExpectedEnd::Completed);
        assert_eq!(lost(&asked, &log(&ended()), &[]), []);
        assert_eq!(lost(&asked, &log(&ended()[..2]), &[]).len(), 1);
        assert_eq!(lost(&asked, &BTreeMap::new(), &[]).len(), 1);
        let nothing = Published {
            sent: Vec::new(),
            canceled: Vec::new(),
        };
        assert_eq!(lost(&nothing, &log(&ended()), &[]).len(), 1);
    }

    #[test]
    fn a_malformed_event_has_one_letter_with_its_bytes() {
        let asked = published(ExpectedEnd::Buried);
        let letter = (7, asked.sent[0].body.to_string().into_bytes());
        let none = BTreeMap::new();
        assert_eq!(lost(&asked, &none, std::slice::from_ref(&letter)), []);
        assert_eq!(lost(&asked, &none, &[]).len(), 1);
        assert_eq!(lost(&asked, &none, &[(7, b"other".to_vec())]).len(), 1);
        assert_eq!(lost(&asked, &none, &[letter, (8, Vec::new())]).len(), 1);
    }

    #[test]
    fn a_fact_told_twice_and_an_end_against_the_verdict_are_violations() {
        assert_eq!(ended_twice(&log(&ended())), []);
        let twice = [ended(), vec![("ended", json!({}))]].concat();
        assert_eq!(ended_twice(&log(&twice)).len(), 1);
        let mut against = ended();
        against[2].1 = json!({ "outcome": "canceled" });
        assert_eq!(ended_twice(&log(&against)).len(), 1);
        let results = [
            ended(),
            vec![("done.v0", json!({})), ("done.v0", json!({}))],
        ]
        .concat();
        assert_eq!(ended_twice(&log(&results)).len(), 1);
    }

    #[test]
    fn an_end_has_to_be_the_one_the_source_deserves() {
        let failed = published(ExpectedEnd::Failed(Code::NotMedia));
        assert_eq!(wrong_ends(&failed, &log(&ended())).len(), 1);
        let mut other = ended();
        let error = json!({ "code": "too_many_attempts", "class": "permanent", "message": "", "task": null });
        other[2].1 = json!({ "outcome": "failed", "error": error });
        assert_eq!(wrong_ends(&failed, &log(&other)).len(), 1);
        assert_eq!(
            wrong_ends(&published(ExpectedEnd::Completed), &log(&ended())),
            []
        );
        let mut told = published(ExpectedEnd::CompletedOrCanceled);
        assert_eq!(wrong_ends(&told, &log(&ended())), []);
        told.canceled.push(job());
        assert_eq!(wrong_ends(&told, &log(&ended())).len(), 1);
    }

    #[test]
    fn only_tasks_of_failed_jobs_are_buried() {
        let letter = ["hls.v1.dead.plan.j1.plan".to_owned()];
        assert_eq!(buried(&letter, &log(&ended())).len(), 1);
        let mut failed = ended();
        failed[2].1 = json!({ "outcome": "failed" });
        assert_eq!(buried(&letter, &log(&failed)), []);
        let others = [
            "hls.v1.dead.project.7".to_owned(),
            "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.HLS_TASKS.plan".to_owned(),
        ];
        assert_eq!(buried(&others, &log(&failed)).len(), 2);
    }
}
