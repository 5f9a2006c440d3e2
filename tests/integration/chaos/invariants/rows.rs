//! The tables are what the log says, and never were what they had been before.

use std::collections::BTreeMap;
use std::fmt::Debug;

use chrono::{NaiveDateTime, SubsecRound as _};
use entity::{files, transcoding_jobs};
use streams::fact::{Accepted, Ended, Outcome};
use streams::{Fact, FactKind, JobId};

use super::super::log::{JobLog, Told};
use super::super::watch::Seen;
use super::{Violation, all, of};
use crate::harness::database::Rows;

/// Every row that is not the same, in all columns, after a rebuild into an empty database.
pub(in super::super) fn differ(rows: &Rows, rebuilt: &Rows) -> Vec<Violation> {
    let jobs = pairs(&rows.jobs, &rebuilt.jobs, |row| &row.id);
    let files = pairs(&rows.files, &rebuilt.files, |row| &row.id);
    jobs.chain(files).collect()
}

fn pairs<'a, R: Debug + PartialEq>(
    ours: &'a [R],
    theirs: &'a [R],
    id: fn(&R) -> &String,
) -> impl Iterator<Item = Violation> {
    let theirs: BTreeMap<&String, &R> = theirs.iter().map(|row| (id(row), row)).collect();
    let ours: BTreeMap<&String, &R> = ours.iter().map(|row| (id(row), row)).collect();
    let mut violations = Vec::new();
    for (id, row) in &ours {
        if theirs.get(id) != Some(row) {
            violations.push(all(format!(
                "{row:?} is {:?} after a rebuild",
                theirs.get(id)
            )));
        }
    }
    let missing = theirs.keys().filter(|id| !ours.contains_key(**id));
    violations.extend(missing.map(|id| all(format!("{id} has no row, and one after a rebuild"))));
    violations.into_iter()
}

/// Every row that is not what the facts of its job say, and every job without exactly one row in a
/// final state.
pub(in super::super) fn untold(rows: &Rows, logs: &BTreeMap<JobId, JobLog>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (job, log) in logs {
        let found: Vec<_> = rows
            .jobs
            .iter()
            .filter(|row| row.id == job.as_str())
            .collect();
        let expected = job_row(log);
        match (&found[..], &expected) {
            ([found], Some(expected)) if *found == expected => {}
            _ => violations.push(of(
                job,
                format!("its rows are {found:?}, and its facts say {expected:?}"),
            )),
        }
    }
    let strange = |id: &String| !logs.keys().any(|job| job.as_str() == id);
    let strange = rows.jobs.iter().filter(|row| strange(&row.id));
    violations.extend(strange.map(|row| all(format!("{row:?} is the row of no job"))));
    violations.extend(rows.files.iter().filter_map(|row| file_differs(row, logs)));
    violations
}

/// The server's time as both databases keep it.
fn time(told: &Told) -> NaiveDateTime {
    told.time.naive_utc().trunc_subsecs(6)
}

fn accepted(log: &JobLog) -> Option<(&Told, &Accepted)> {
    let told = log.first(FactKind::Accepted)?;
    match &told.fact {
        Fact::Accepted(accepted) => Some((told, accepted)),
        _ => None,
    }
}

/// The row of a job that ended.
fn job_row(log: &JobLog) -> Option<transcoding_jobs::Model> {
    let (begin, accepted) = accepted(log)?;
    let (end, ended) = (log.first(FactKind::Ended)?, log.ended()?);
    let error = ended.error.as_ref();
    // What comes after the end changes nothing any more.
    let planned = log
        .first(FactKind::Planned)
        .filter(|planned| planned.seq < end.seq);
    Some(transcoding_jobs::Model {
        id: accepted.head.job_id.to_string(),
        file_id: accepted.head.file_id.to_string(),
        status: Some(ended.outcome.as_str().to_owned()),
        input_url: accepted.upload.file_url.clone(),
        output_prefix: Some(accepted.output_prefix.to_string()),
        manifest_url: ended.manifest_url.clone(),
        progress: Some(i32::from(ended.progress)),
        error_message: error.map(|error| format!("{}: {}", error.code, error.message)),
        created_at: Some(time(begin)),
        started_at: planned.map(time),
        completed_at: Some(time(end)),
        settings: serde_json::to_value(&accepted.upload.settings).ok(),
        accepted_seq: i64::try_from(begin.seq).ok(),
        fact_seq: i64::try_from(end.seq).ok(),
    })
}

/// A file follows the job that was accepted last, and keeps the output it once had.
fn file_differs(row: &files::Model, logs: &BTreeMap<JobId, JobLog>) -> Option<Violation> {
    let mut jobs: Vec<(&Told, &JobLog)> = logs
        .values()
        .filter_map(|log| Some((accepted(log)?, log)))
        .filter(|((_, accepted), _)| accepted.head.file_id.as_str() == row.id)
        .map(|((told, _), log)| (told, log))
        .collect();
    jobs.sort_by_key(|(accepted, _)| accepted.seq);
    let Some((_, newest)) = jobs.last() else {
        return Some(all(format!("{row:?} is the row of a file no one sent")));
    };
    let status = newest.ended().map(|ended| ended.outcome.as_str());
    let mut public = jobs.iter().enumerate().filter_map(|(n, (_, log))| {
        let (end, ended): (&Told, &Ended) = (log.first(FactKind::Ended)?, log.ended()?);
        let is_newest = jobs.get(n + 1).is_none_or(|(next, _)| next.seq > end.seq);
        let counts = is_newest && ended.outcome == Outcome::Completed && !ended.superseded;
        counts.then(|| ended.manifest_url.clone()).flatten()
    });
    let manifest = public.next_back();
    let right = row.transcoding_status.as_deref() == status && row.hls_manifest_url == manifest;
    (!right).then(|| all(format!("{row:?} should be {status:?} with {manifest:?}")))
}

/// Every row that was seen to go back: from an end to anything else, to an earlier fact, or to less
/// progress.
pub(in super::super) fn regressed(history: &BTreeMap<String, Vec<Seen>>) -> Vec<Violation> {
    let rank = |seen: &Seen| match seen.status.as_str() {
        "pending" => 0,
        "processing" => 1,
        _ => 2,
    };
    let mut violations = Vec::new();
    for (job, seen) in history {
        for pair in seen.windows(2) {
            let [before, after] = pair else { continue };
            let ends = rank(before) == 2;
            let back = after.seq < before.seq || rank(after) < rank(before);
            // How far a job had come is judged again at its end.
            let slower = rank(after) < 2 && after.progress < before.progress;
            if back || slower || ends {
                violations.push(all(format!(
                    "the row of {job} went from {before:?} to {after:?}"
                )));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::told::{ended, job, log};
    use super::*;

    fn rows() -> Rows {
        let logs = log(&ended());
        let row = job_row(&logs[&job()]).unwrap();
        let file = files::Model {
            id: "f1".to_owned(),
            name: "a.mp4".to_owned(),
            mime_type: "video/mp4".to_owned(),
            size: 1,
            file_url: "s3://media/a".to_owned(),
            thumbnail_url: None,
            uploaded_by: None,
            project_id: None,
            folder_path: None,
            hls_manifest_url: row.manifest_url.clone(),
            transcoding_status: Some("completed".to_owned()),
            metadata: None,
            created_at: None,
            updated_at: None,
            deleted_at: None,
            accepted_seq: None,
            fact_seq: None,
        };
        Rows {
            files: vec![file],
            jobs: vec![row],
        }
    }

    #[test]
    fn a_row_that_a_rebuild_makes_otherwise_is_named() {
        assert_eq!(differ(&rows(), &rows()), []);
        let mut other = rows();
        other.files[0].created_at = Some(NaiveDateTime::default());
        assert_eq!(differ(&rows(), &other).len(), 1);
        other.jobs.clear();
        assert_eq!(differ(&rows(), &other).len(), 2);
        assert_eq!(differ(&other, &rows()).len(), 2);
    }

    #[test]
    fn a_row_that_is_not_what_the_facts_say_is_named() {
        let logs = log(&ended());
        assert_eq!(untold(&rows(), &logs), []);
        let mut other = rows();
        other.jobs[0].status = Some("processing".to_owned());
        assert_eq!(untold(&other, &logs).len(), 1);
        other = rows();
        other.files[0].hls_manifest_url = None;
        assert_eq!(untold(&other, &logs).len(), 1);
        other = rows();
        other.jobs.clear();
        assert_eq!(untold(&other, &logs).len(), 1);
        assert_eq!(untold(&rows(), &BTreeMap::new()).len(), 2);
    }

    #[test]
    fn a_row_may_only_go_on() {
        let seen = |status: &str, progress, seq| Seen {
            status: status.to_owned(),
            progress,
            seq,
        };
        let went =
            |history: Vec<Seen>| regressed(&BTreeMap::from([("j1".to_owned(), history)])).len();
        let on = vec![
            seen("pending", 0, 1),
            seen("processing", 40, 2),
            seen("failed", 0, 3),
        ];
        assert_eq!(went(on), 0);
        assert_eq!(
            went(vec![seen("completed", 100, 3), seen("processing", 99, 3)]),
            1
        );
        assert_eq!(
            went(vec![seen("completed", 100, 3), seen("failed", 0, 4)]),
            1
        );
        assert_eq!(
            went(vec![seen("processing", 40, 2), seen("processing", 30, 2)]),
            1
        );
        assert_eq!(
            went(vec![seen("processing", 40, 2), seen("processing", 40, 1)]),
            1
        );
    }
}
