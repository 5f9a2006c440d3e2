//! The bucket, as workers use it, and as players reach it.

use super::finding::Finding;
use super::public;
use crate::config::StorageArgs;
use crate::storage::{Bucket, Storage};

/// Tries every kind of request that workers make, then plays.
pub(super) async fn check(args: &StorageArgs, origins: &[String], fix: bool) -> Vec<Finding> {
    let bucket = Storage::connect(&args.settings()).await.bucket(&args.s3_bucket);
    let mut findings = Vec::new();
    for (step, tried) in bucket.trial(&args.output_root).await {
        let text = format!("{} in bucket {}", step.sentence(), bucket.name());
        findings.push(Finding::of(step.as_str(), tried.map(|()| text)));
    }
    if !origins.is_empty() {
        findings.push(Finding::of("cors", cors(&bucket, origins, fix).await));
    }
    // What cannot be written cannot be played; all else may be wrong and players still be served.
    if findings
        .first()
        .is_some_and(|finding| finding.state == super::State::Ok)
    {
        findings.extend(public::check(&bucket, args, origins).await);
    }
    findings
}

async fn cors(bucket: &Bucket, origins: &[String], fix: bool) -> Result<String, String> {
    if fix {
        bucket.put_cors(origins).await.map_err(|error| error.to_string())?;
    }
    let rules = bucket.cors().await.map_err(|error| error.to_string())?;
    let refused: Vec<&str> = origins
        .iter()
        .filter(|origin| !rules.iter().any(|rule| rule.lets_play(origin)))
        .map(String::as_str)
        .collect();
    if refused.is_empty() {
        return Ok("the bucket lets every origin play".to_owned());
    }
    Err(format!(
        "the bucket refuses {}; run `fluxhls doctor --fix --origin {}`",
        refused.join(", "),
        origins.join(",")
    ))
}
