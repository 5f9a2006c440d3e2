//! Playing: what a player gets through `PUBLIC_BASE_URL`, with and without `Origin`, and after the
//! object was replaced.

use std::time::Duration;

use bytes::Bytes;
use storage::{Bucket, ObjectKind};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::finding::{CHECK_TIMEOUT, Finding, with_timeout};
use crate::config::StorageArgs;

/// How long the old master may be served after it was replaced: `max-age=10`, and some time for the
/// transfer.
const MAX_MASTER_AGE: Duration = Duration::from_secs(15);
/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The origin of [`Page::Example`].
const EXAMPLE_ORIGIN: &str = "https://player.example";

/// A page that plays.
#[derive(Debug, Clone, Copy)]
enum Page<'a> {
    /// One of this origin, which must be able to play.
    Named(&'a str),
    /// Any page, if the operator named no origin.
    Example,
}

/// Writes a playlist where masters are, reads it as players do, replaces it, and removes it.
pub(super) async fn check(bucket: &Bucket, args: &StorageArgs, origins: &[String]) -> Vec<Finding> {
    let key = format!("{}doctor-{}.m3u8", args.output_root, cuid2::create_id());
    let root = args.public_base_url();
    let url = match Url::parse(&format!("{root}{key}")) {
        Ok(url) => url,
        Err(error) => {
            return vec![Finding::fix(
                "public",
                format!("PUBLIC_BASE_URL ({root}) is not a URL: {error}"),
            )];
        }
    };

    check_within(CHECK_TIMEOUT, bucket, key, &url, origins).await
}

/// Checks playback of the object it writes under `key`, and removes the object even if the check
/// takes longer than `limit`.
async fn check_within(
    limit: Duration,
    bucket: &Bucket,
    key: String,
    url: &Url,
    origins: &[String],
) -> Vec<Finding> {
    let playback = check_playback(bucket, &key, url, origins);
    let findings = with_timeout("public", limit, playback).await;

    match timeout(ANSWER_TIMEOUT, bucket.delete(&[key])).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "the object that doctor wrote could not be removed")
        }
        Err(_) => tracing::warn!("the object that doctor wrote could not be removed in time"),
    }
    findings
}

async fn check_playback(bucket: &Bucket, key: &str, url: &Url, origins: &[String]) -> Vec<Finding> {
    let first = Bytes::from_static(b"#EXTM3U\n# first\n");
    if let Err(error) = bucket.put(key, first.clone(), ObjectKind::Master).await {
        return vec![Finding::fix("public", error.to_string())];
    }

    let answer = match get(url, None).await {
        Ok(answer) => answer,
        Err(reason) => {
            let text = format!(
                "{} cannot be reached: {reason}; check PUBLIC_BASE_URL",
                url_host(url)
            );
            return vec![Finding::fix("public", text)];
        }
    };

    let mut findings = vec![check_public(url, &answer, &first)];
    // The copies that caches have by now were made without `Origin`; pages must not get those.
    if answer.status == 200 {
        for origin in origins {
            findings.push(check_origin(url, Page::Named(origin)).await);
        }
        if origins.is_empty() {
            findings.push(check_origin(url, Page::Example).await);
        }
        findings.push(check_freshness(bucket, key, url).await);
    }

    findings
}

fn check_public(url: &Url, answer: &Answer, wanted: &Bytes) -> Finding {
    let host = url_host(url);
    let text = match answer.status {
        200 if answer.body != wanted => {
            format!("{host} does not serve the content of the bucket; check PUBLIC_BASE_URL")
        }
        200 if answer.content_type != ObjectKind::Master.content_type() => format!(
            "{host} serves playlists as {:?}, which players reject; configure the CDN to pass Content-Type on",
            answer.content_type
        ),
        200 if url.scheme() == "http" && url.host_str() != Some("127.0.0.1") => {
            return Finding::warning(
                "public",
                format!(
                    "{host} serves the output, but over http://, which pages on https:// cannot load"
                ),
            );
        }
        200 => return Finding::ok("public", format!("{host} serves the content of the bucket")),
        401 | 403 => format!(
            "{host} answers {}: objects are not public; set S3_PUBLIC_READ=true, or make OUTPUT_ROOT public with a bucket policy (for private \
             playback with cookies or tokens this is expected)",
            answer.status
        ),
        status => format!(
            "{host} answers {status}; check PUBLIC_BASE_URL and that the CDN's origin is the bucket"
        ),
    };

    Finding::fix("public", text)
}

/// Whether a page can play. A page must not get a cached copy that was made for a request without
/// `Origin` (`Vary`, RFC 9110, section 12.5.5).
async fn check_origin(url: &Url, page: Page<'_>) -> Finding {
    let origin = match page {
        Page::Named(origin) => origin,
        Page::Example => EXAMPLE_ORIGIN,
    };
    let allowed = match get(url, Some(origin)).await {
        Ok(answer) => answer.allow_origin,
        Err(reason) => {
            return Finding::fix(
                "playback",
                format!("{} cannot be reached: {reason}", url_host(url)),
            );
        }
    };
    match allowed.as_deref() {
        Some("*") => Finding::ok("playback", "pages of every origin can play"),
        Some(found) if found == origin => {
            Finding::ok("playback", format!("pages of {origin} can play"))
        }
        _ => match page {
            Page::Named(_) => Finding::fix(
                "playback",
                format!(
                    "{} does not allow pages of {origin} to play after a request without an origin: give the bucket CORS rules (--fix), and \
                     configure the CDN to pass Origin on and to cache by it (Vary: Origin)",
                    url_host(url)
                ),
            ),
            Page::Example => Finding::warning(
                "playback",
                "only players outside of browsers, and pages of the same host, can play; name your origins with --origin (and --fix)",
            ),
        },
    }
}

/// Whether a replaced master becomes visible in time.
async fn check_freshness(bucket: &Bucket, key: &str, url: &Url) -> Finding {
    let second = Bytes::from_static(b"#EXTM3U\n# second\n");
    if let Err(error) = bucket.put(key, second.clone(), ObjectKind::Master).await {
        return Finding::fix("freshness", error.to_string());
    }

    let begun = Instant::now();
    loop {
        if get(url, None)
            .await
            .is_ok_and(|answer| answer.body == second)
        {
            let seconds = begun.elapsed().as_secs();
            return Finding::ok(
                "freshness",
                format!("a replaced playlist became visible after {seconds} s"),
            );
        }

        if begun.elapsed() > MAX_MASTER_AGE {
            let text = format!(
                "{} still serves the old playlist {} s after it was replaced; configure the CDN to obey Cache-Control (max-age=10 for master.m3u8)",
                url_host(url),
                MAX_MASTER_AGE.as_secs()
            );
            return Finding::fix("freshness", text);
        }

        sleep(Duration::from_secs(1)).await;
    }
}

fn url_host(url: &Url) -> &str {
    url.host_str().unwrap_or("PUBLIC_BASE_URL")
}

/// What a player gets.
struct Answer {
    status: u16,
    content_type: String,
    allow_origin: Option<String>,
    body: Bytes,
}

async fn get(url: &Url, origin: Option<&str>) -> Result<Answer, String> {
    let (url, origin) = (url.to_string(), origin.map(str::to_owned));
    let fetched = tokio::task::spawn_blocking(move || fetch(&url, origin.as_deref())).await;
    fetched
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())
}

fn fetch(url: &str, origin: Option<&str>) -> Result<Answer, ureq::Error> {
    let config = ureq::Agent::config_builder()
        // A status such as 403 is a finding, not an error.
        .http_status_as_error(false)
        .timeout_global(Some(ANSWER_TIMEOUT))
        .build();

    let mut request = ureq::Agent::new_with_config(config).get(url);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }

    let mut response = request.call()?;
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    Ok(Answer {
        status: response.status().as_u16(),
        content_type: header("content-type").unwrap_or_default(),
        allow_origin: header("access-control-allow-origin"),
        body: response
            .body_mut()
            .with_config()
            .limit(1 << 16)
            .read_to_vec()?
            .into(),
    })
}

#[cfg(test)]
mod tests {
    use storage::testing::TestS3;

    use super::super::finding::State;
    use super::*;

    #[tokio::test]
    async fn what_was_put_is_removed_also_where_playback_does_not_answer_in_time() {
        let s3 = TestS3::start().await;
        let bucket = s3.bucket().await;
        // Connections are taken by the kernel, and no one answers.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let key = "hls/doctor-x.m3u8".to_owned();
        let url = Url::parse(&format!("http://{address}/{key}")).unwrap();

        let limit = Duration::from_secs(1);
        let findings = check_within(limit, &bucket, key, &url, &[]).await;
        let states: Vec<_> = findings
            .iter()
            .map(|finding| (finding.check, finding.state))
            .collect();
        assert_eq!(states, [("public", State::Fix)]);
        assert!(findings[0].text.starts_with("no answer within 1 seconds"));
        assert!(bucket.list("").await.unwrap().is_empty());
    }
}
