//! Checks the buckets the way workers use them, and the output the way players reach it.

use chrono::TimeDelta;
use storage::{Bucket, DenialCause, Storage, StorageError, Versioning};

use super::finding::{CHECK_TIMEOUT, Finding, with_timeout};
use super::public;
use crate::config::StorageArgs;

/// Clock differences that are worth a warning, and that break certificates and soon signatures.
const NOTABLE_SKEW: TimeDelta = TimeDelta::seconds(5);
const HARMFUL_SKEW: TimeDelta = TimeDelta::seconds(60);

/// Tries every kind of request that workers make, reads from every bucket of sources, then plays.
pub(super) async fn check(args: &StorageArgs, origins: &[String], fix: bool) -> Vec<Finding> {
    let storage = Storage::connect(&args.settings()).await;
    let bucket = storage.bucket(&args.s3_bucket);

    let requests = check_requests(&storage, &bucket, args, origins, fix);
    let mut findings = with_timeout("bucket", CHECK_TIMEOUT, requests).await;
    let is_usable = findings
        .first()
        .is_some_and(|finding| finding.state == super::State::Ok);

    // What cannot be written cannot be played; all else may be wrong and players still be served.
    if is_usable {
        findings.extend(public::check(&bucket, args, origins).await);
    }

    // Whatever was answered was dated, a refusal for the clock above all.
    findings.extend(bucket.clock_difference().map(check_clock));
    findings
}

/// Tries what workers do with the buckets; the first finding is whether the output can be written.
async fn check_requests(
    storage: &Storage,
    bucket: &Bucket,
    args: &StorageArgs,
    origins: &[String],
    fix: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (step, tried) in bucket.check_operations(&args.output_root).await {
        let text = format!("{} in bucket {}", step.sentence(), bucket.name());
        findings.push(Finding::of(step.as_str(), tried.map(|()| text)));
    }

    findings.extend(check_versioning(bucket).await);
    for name in args
        .source_buckets()
        .iter()
        .filter(|name| *name != bucket.name())
    {
        findings.push(check_sources(&storage.bucket(name)).await);
    }
    if !origins.is_empty() {
        findings.push(Finding::of("cors", check_cors(bucket, origins, fix).await));
    }
    findings
}

/// Whether removed objects stay readable. Nothing if the store does not support the request or
/// denies it.
async fn check_versioning(bucket: &Bucket) -> Option<Finding> {
    let name = bucket.name();
    Some(match bucket.versioning().await.ok()? {
        Versioning::Off => Finding::ok(
            "versioning",
            format!("bucket {name} keeps no versions of removed objects"),
        ),
        Versioning::Kept { is_suspended } => {
            let which = if is_suspended {
                "versions from before versioning was suspended"
            } else {
                "old versions"
            };
            let text = format!(
                "bucket {name} keeps {which}: objects that `fluxhls delete` and `fluxhls jobs prune` remove stay readable by version; add a \
                 lifecycle rule that removes them (NoncurrentVersionExpiration, docs/storage.md)"
            );
            Finding::warning("versioning", text)
        }
    })
}

/// Whether uploads can be read from a bucket, as far as that can be checked before there is one,
/// and whether a missing object is reported as missing.
async fn check_sources(bucket: &Bucket) -> Finding {
    let name = bucket.name();
    let listed = match bucket.first_page("").await {
        Ok(listed) => listed,
        Err(StorageError::Denied {
            reason,
            cause: DenialCause::Rights,
            ..
        }) => {
            let text = format!(
                "source bucket {name} cannot be listed ({reason}): a missing object looks like a denied one, and only the first upload shows \
                 whether objects can be read; allow s3:ListBucket in addition to s3:GetObject"
            );
            return Finding::warning("sources", text);
        }
        Err(error) => return Finding::fix("sources", format!("source bucket {name}: {error}")),
    };

    let Some(object) = listed.iter().find(|object| object.size > 0) else {
        return Finding::ok(
            "sources",
            format!("source bucket {name} can be listed; it has no object to read"),
        );
    };

    let etag = object.etag.as_deref().unwrap_or_default();
    match bucket.get_range(&object.key, etag, 0..1).await {
        Ok(_) => Finding::ok(
            "sources",
            format!("objects of source bucket {name} can be listed and read"),
        ),
        Err(error) => Finding::fix(
            "sources",
            format!("source bucket {name}: {error}; allow s3:GetObject"),
        ),
    }
}

/// The difference between the clocks of this machine and of the storage.
fn check_clock(by: TimeDelta) -> Finding {
    let apart = by.abs();
    let text = format!(
        "{} s difference from the clock of the storage",
        apart.num_seconds()
    );

    if apart > HARMFUL_SKEW {
        Finding::fix(
            "clock",
            format!(
                "{text}: signatures are refused; synchronize this machine, or the storage, with a time server"
            ),
        )
    } else if apart > NOTABLE_SKEW {
        Finding::warning(
            "clock",
            format!("{text}; synchronize this machine with a time server"),
        )
    } else {
        Finding::ok("clock", text)
    }
}

async fn check_cors(bucket: &Bucket, origins: &[String], fix: bool) -> Result<String, String> {
    if fix {
        bucket
            .put_cors(origins)
            .await
            .map_err(|error| error.to_string())?;
    }

    let rules = bucket.cors().await.map_err(|error| error.to_string())?;
    let refused: Vec<&str> = origins
        .iter()
        .filter(|origin| !rules.iter().any(|rule| rule.allows_playback(origin)))
        .map(String::as_str)
        .collect();

    if refused.is_empty() {
        return Ok("the bucket allows every origin to play".to_owned());
    }
    Err(format!(
        "the bucket refuses {}; run `fluxhls doctor --fix --origin {}`",
        refused.join(", "),
        origins.join(",")
    ))
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn clocks_apart_are_told_and_far_apart_are_to_be_set() {
        let at = |seconds| check_clock(TimeDelta::seconds(seconds)).state;
        assert_eq!(at(2), State::Ok);
        assert_eq!(at(-30), State::Warning);
        assert_eq!(at(90), State::Fix);
        assert_eq!(at(-3600), State::Fix);
    }
}
