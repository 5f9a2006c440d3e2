//! Public outputs are complete, and there are no other objects.

use std::collections::{BTreeMap, BTreeSet};

use fluxhls::job::receipt::Receipt;
use hls_m3u8::{MasterPlaylist, MediaPlaylist};
use media::playlist::uris;
use storage::{JobKeys, revised};
use streams::fact::Outcome;
use streams::work::Current;
use streams::{Fact, FactKind, JobId};

use super::super::log::JobLog;
use super::{Violation, all, of};

/// The bucket and the owners of prefixes.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Output {
    /// Bytes of every object under the output root and in `tmp/`, by key.
    pub(in super::super) objects: BTreeMap<String, u64>,
    /// The text of every playlist, by key.
    pub(in super::super) texts: BTreeMap<String, String>,
    /// What each receipt says, by its own key.
    pub(in super::super) receipts: BTreeMap<String, Named>,
    /// Who owns a prefix.
    pub(in super::super) owners: Vec<Current>,
}

/// What a receipt says.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Named {
    /// Keys and bytes of the objects of the output.
    pub(in super::super) objects: BTreeMap<String, u64>,
    /// Keys of what a repair reads again.
    pub(in super::super) material: BTreeSet<String>,
    /// The newest attempt it knows of.
    pub(in super::super) newest: u64,
}

impl Named {
    /// What this receipt says.
    pub(in super::super) fn by(receipt: &Receipt) -> Self {
        let made = receipt.made.iter().flat_map(|made| {
            let beside = [&made.list, &made.output.poster, &made.output.tiles];
            let subtitles = made
                .output
                .subtitles
                .iter()
                .map(|subtitles| &subtitles.object);
            beside.into_iter().flatten().chain(subtitles)
        });
        Self {
            material: made.map(|object| object.key.clone()).collect(),
            objects: receipt
                .objects
                .iter()
                .map(|object| (object.key.clone(), object.size))
                .collect(),
            newest: receipt
                .made
                .iter()
                .map(|made| made.attempt)
                .max()
                .unwrap_or(0),
        }
    }
}

/// An owner with what is known of its output.
struct Owned<'a> {
    owner: &'a Current,
    keys: JobKeys,
    named: Named,
}

impl Output {
    fn owned<'a>(&'a self, logs: &BTreeMap<JobId, JobLog>) -> Vec<Owned<'a>> {
        let owners = self.owners.iter();
        let owned = owners.filter_map(|owner| {
            let keys = keys(&owner.job_id, logs.get(&owner.job_id)?)?;
            let receipt = self.receipts.get(&revised(&keys.receipt(), owner.revision));
            let named = receipt.cloned().unwrap_or_default();
            Some(Owned { owner, keys, named })
        });
        owned.collect()
    }

    /// Follows a playlist to everything it leads to; `folder` is where it is read.
    fn follow(&self, key: &str, named: &mut BTreeSet<String>) -> Result<(), String> {
        let text = self
            .texts
            .get(key)
            .ok_or_else(|| format!("{key} is not there"))?;
        let folder = &key[..=key.rfind('/').unwrap_or(0)];
        let is_master = text.contains("#EXT-X-STREAM-INF");
        let parsed = if is_master {
            MasterPlaylist::try_from(text.as_str()).map(drop)
        } else {
            MediaPlaylist::try_from(text.as_str()).map(drop)
        };
        parsed.map_err(|error| format!("{key} is no playlist: {error}"))?;
        for uri in uris(text) {
            let target = format!("{folder}{uri}");
            if !self.objects.contains_key(&target) {
                return Err(format!("{key} leads to {uri}, which is not there"));
            }
            if named.insert(target.clone()) && target.ends_with(".m3u8") {
                self.follow(&target, named)?;
            }
        }
        Ok(())
    }
}

fn keys(job: &JobId, log: &JobLog) -> Option<JobKeys> {
    match &log.first(FactKind::Accepted)?.fact {
        Fact::Accepted(accepted) => {
            Some(JobKeys::new(accepted.output_prefix.as_str(), job.as_str()))
        }
        _ => None,
    }
}

/// Every public output that is not whole: master is not what its owner wants, a playlist leads to
/// nothing, an object has another size than its receipt says. And every prefix whose owner is not
/// the newest completed job, or that has a master without one.
pub(in super::super) fn broken(output: &Output, logs: &BTreeMap<JobId, JobLog>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut masters = BTreeSet::new();
    for Owned {
        owner,
        keys,
        named: said,
    } in output.owned(logs)
    {
        let (job, master) = (&owner.job_id, keys.master());
        let commit = revised(&keys.commit(), owner.revision);
        if output
            .texts
            .get(&master)
            .is_none_or(|text| output.texts.get(&commit) != Some(text))
        {
            violations.push(of(job, format!("{master} is not what {commit} says")));
        }
        let mut named = BTreeSet::new();
        if let Err(what) = output.follow(&master, &mut named) {
            violations.push(of(job, what));
        }
        for key in named.iter().chain(said.objects.keys()) {
            let (there, expected) = (output.objects.get(key), said.objects.get(key));
            if there != expected {
                violations.push(of(
                    job,
                    format!("{key} has {there:?} bytes, and its receipt says {expected:?}"),
                ));
            }
        }
        masters.insert(master);
    }
    let public = output
        .texts
        .keys()
        .filter(|key| key.ends_with("/master.m3u8"));
    let strange = public.filter(|key| !masters.contains(*key));
    violations
        .extend(strange.map(|key| all(format!("{key} is public, and no one owns its place"))));
    violations.extend(wrong_owners(output, logs));
    violations
}

fn wrong_owners(output: &Output, logs: &BTreeMap<JobId, JobLog>) -> Vec<Violation> {
    let mut newest: BTreeMap<String, (u64, &JobId)> = BTreeMap::new();
    let completed = |log: &JobLog| {
        log.ended()
            .is_some_and(|ended| ended.outcome == Outcome::Completed)
    };
    for (job, log) in logs.iter().filter(|(_, log)| completed(log)) {
        let (Some(keys), Some(accepted)) = (keys(job, log), log.first(FactKind::Accepted)) else {
            continue;
        };
        let best = newest.entry(keys.master()).or_insert((accepted.seq, job));
        *best = (*best).max((accepted.seq, job));
    }
    let owned: BTreeMap<String, &JobId> = output
        .owned(logs)
        .into_iter()
        .map(|owned| (owned.keys.master(), &owned.owner.job_id))
        .collect();
    let mut violations = Vec::new();
    for (master, (_, job)) in &newest {
        if owned.get(master) != Some(job) {
            let what = format!(
                "{master} should be its own, and is that of {:?}",
                owned.get(master)
            );
            violations.push(of(job, what));
        }
    }
    let strange = owned
        .iter()
        .filter(|(master, _)| !newest.contains_key(*master));
    violations.extend(
        strange.map(|(master, job)| of(job, format!("it did not complete, and owns {master}"))),
    );
    violations
}

/// Every object that no public output needs. Objects of a later attempt than those in the receipt
/// may belong to a running repair, and are kept for a day.
pub(in super::super) fn orphans(output: &Output, logs: &BTreeMap<JobId, JobLog>) -> Vec<Violation> {
    let mut needed = BTreeSet::new();
    let mut public = Vec::new();
    for Owned { owner, keys, named } in output.owned(logs) {
        needed.insert(keys.master());
        needed.insert(revised(&keys.commit(), owner.revision));
        needed.insert(revised(&keys.receipt(), owner.revision));
        needed.extend(named.objects.into_keys());
        needed.extend(named.material);
        public.push((keys.folder().to_owned(), named.newest));
    }
    let may_be_of_repair = |key: &String| {
        let newest = public.iter().find(|(folder, _)| key.starts_with(folder));
        newest.is_some_and(|(_, newest)| attempt_of(key).is_some_and(|attempt| attempt > *newest))
    };
    let objects = output.objects.keys();
    // Players that began with a live playlist still read it.
    let is_growing = |key: &String| {
        key.ends_with("/live.m3u8") && public.iter().any(|(folder, _)| key.starts_with(folder))
    };
    let lost =
        objects.filter(|key| !needed.contains(*key) && !is_growing(key) && !may_be_of_repair(key));
    lost.map(|key| all(format!("nothing needs {key}")))
        .collect()
}

/// The attempt in a key.
fn attempt_of(key: &str) -> Option<u64> {
    let name = key.rsplit('/').next()?.split('.').next()?;
    u64::from_str_radix(name.rsplit_once('-')?.1, 36).ok()
}

#[cfg(test)]
mod tests {
    use super::super::told::{ended, job, log};
    use super::*;

    const MASTER: &str = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1.42c00a\"\nj1/90p/index.m3u8\n";
    const MEDIA: &str = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI=\"init-1.mp4\"\n#EXTINF:1.0,\n0-1.m4s\n#EXT-X-ENDLIST\n";

    fn whole() -> Output {
        let texts = [
            ("hls/f1/master.m3u8", MASTER),
            ("hls/f1/j1/commit.m3u8", MASTER),
            ("hls/f1/j1/90p/index.m3u8", MEDIA),
        ];
        let texts: BTreeMap<String, String> = texts
            .map(|(key, text)| (key.to_owned(), text.to_owned()))
            .into();
        let mut objects: BTreeMap<String, u64> = texts
            .iter()
            .map(|(key, text)| (key.clone(), text.len() as u64))
            .collect();
        objects.extend(
            [("init-1.mp4", 7), ("0-1.m4s", 8)]
                .map(|(name, size)| (format!("hls/f1/j1/90p/{name}"), size)),
        );
        let mut named = objects.clone();
        named.remove("hls/f1/master.m3u8");
        let named = Named {
            objects: named,
            material: BTreeSet::from(["hls/f1/j1/parts/v0-7.rgb".to_owned()]),
            newest: 7,
        };
        objects.insert("hls/f1/j1/receipt.json".to_owned(), 99);
        Output {
            objects,
            texts,
            receipts: BTreeMap::from([("hls/f1/j1/receipt.json".to_owned(), named)]),
            owners: vec![Current {
                file_id: "f1".parse().unwrap(),
                job_id: job(),
                accepted_seq: 1,
                revision: 0,
                deleted: None,
            }],
        }
    }

    #[test]
    fn a_whole_output_has_no_fault_and_each_loss_is_one() {
        let logs = log(&ended());
        assert_eq!(broken(&whole(), &logs), []);
        for lost in ["hls/f1/j1/90p/0-1.m4s", "hls/f1/j1/90p/init-1.mp4"] {
            let mut output = whole();
            output.objects.remove(lost);
            assert!(!broken(&output, &logs).is_empty(), "{lost} is lost");
        }
        let mut output = whole();
        output.objects.insert("hls/f1/j1/90p/0-1.m4s".to_owned(), 9);
        assert!(
            !broken(&output, &logs).is_empty(),
            "a segment has another size"
        );
        output = whole();
        output
            .texts
            .insert("hls/f1/master.m3u8".to_owned(), MEDIA.to_owned());
        assert!(
            !broken(&output, &logs).is_empty(),
            "master is not the commit"
        );
        output = whole();
        output.receipts.clear();
        assert!(!broken(&output, &logs).is_empty(), "there is no receipt");
    }

    #[test]
    fn a_place_belongs_to_the_job_that_completed_and_a_master_to_an_owner() {
        let mut output = whole();
        output.owners.clear();
        assert_eq!(
            broken(&output, &log(&ended())).len(),
            2,
            "a master no one owns, and a job without its place"
        );
        let mut canceled = ended();
        canceled[2].1 = serde_json::json!({ "outcome": "canceled" });
        assert_eq!(broken(&whole(), &log(&canceled)).len(), 1);
    }

    #[test]
    fn what_no_public_output_needs_is_an_orphan() {
        let logs = log(&ended());
        assert_eq!(orphans(&whole(), &logs), []);
        for orphan in [
            "hls/f1/j1/90p/0-2.m4s",
            "tmp/j1/source.mkv",
            "hls/f1/j2/commit.m3u8",
            "hls/f1/j2/live.m3u8",
        ] {
            let mut output = whole();
            output.objects.insert(orphan.to_owned(), 1);
            assert_eq!(orphans(&output, &logs).len(), 1, "{orphan}");
        }
        for needed in [
            "hls/f1/j1/parts/v0-7.rgb",
            "hls/f1/j1/90p/0-8.m4s",
            "hls/f1/j1/live.m3u8",
        ] {
            let mut output = whole();
            output.objects.insert(needed.to_owned(), 1);
            assert_eq!(orphans(&output, &logs), [], "{needed}");
        }
    }
}
