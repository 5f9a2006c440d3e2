//! The bucket's CORS rules: what a browser on another host needs to play from it (the CORS protocol
//! of the Fetch Standard, and `PutBucketCors` of S3).

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{CorsConfiguration, CorsRule as SdkRule};

use super::bucket::Bucket;
use super::classify::from_sdk;
use super::error::StorageError;
use super::operation::Op;
use super::request::observe;

const REQUIRED_METHODS: [&str; 2] = ["GET", "HEAD"];
const EXPOSED_HEADERS: [&str; 3] = ["Content-Length", "Content-Range", "ETag"];
/// How long a browser may remember the answer to a preflight, in seconds.
const PREFLIGHT_MAX_AGE_SECONDS: i32 = 3600;

/// One CORS rule of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsRule {
    /// The origins it is for; each may hold one `*`.
    pub origins: Vec<String>,
    /// The methods it allows.
    pub methods: Vec<String>,
    /// The request headers it allows; each may hold one `*`.
    pub allowed_headers: Vec<String>,
    /// The answer headers that scripts may read.
    pub exposed_headers: Vec<String>,
    /// How long browsers may remember it, in seconds.
    pub max_age: Option<i32>,
}

impl CorsRule {
    /// The rule a player on one of `origins` needs: GET and HEAD with any header (`Range` among
    /// them).
    #[must_use]
    pub fn playback(origins: &[String]) -> Self {
        Self {
            origins: origins.to_vec(),
            methods: REQUIRED_METHODS.map(str::to_owned).to_vec(),
            allowed_headers: vec!["*".to_owned()],
            exposed_headers: EXPOSED_HEADERS.map(str::to_owned).to_vec(),
            max_age: Some(PREFLIGHT_MAX_AGE_SECONDS),
        }
    }

    /// Whether a player on `origin` can play by this rule alone, as S3 matches rules (first match
    /// of origin, method and every header).
    #[must_use]
    pub fn allows_playback(&self, origin: &str) -> bool {
        let any =
            |patterns: &[String], text: &str| patterns.iter().any(|pattern| matches(pattern, text));
        any(&self.origins, origin)
            && REQUIRED_METHODS
                .iter()
                .all(|method| self.methods.iter().any(|allowed| allowed == method))
            && any(&lower(&self.allowed_headers), "range")
            && EXPOSED_HEADERS
                .iter()
                .all(|header| any(&lower(&self.exposed_headers), &header.to_ascii_lowercase()))
    }
}

impl Bucket {
    /// The bucket's CORS rules; none is an empty list.
    ///
    /// # Errors
    /// Whatever kept the service from answering; [`StorageError::Refused`] where it does not
    /// implement CORS rules.
    pub async fn cors(&self) -> Result<Vec<CorsRule>, StorageError> {
        let answer = observe(Op::GetCors, async {
            match self
                .client()
                .get_bucket_cors()
                .bucket(self.name())
                .send()
                .await
            {
                Ok(answer) => Ok(answer.cors_rules.unwrap_or_default()),
                Err(error) if error.code() == Some("NoSuchCORSConfiguration") => Ok(Vec::new()),
                Err(error) => Err(from_sdk(self.at(Op::GetCors, ""), &error)),
            }
        });
        Ok(answer.await?.into_iter().map(CorsRule::from).collect())
    }

    /// Lets players on `origins` play from this bucket. Rules that are there stay; nothing is
    /// written where they suffice.
    ///
    /// # Errors
    /// Whatever kept the service from answering or from storing the rules.
    pub async fn put_cors(&self, origins: &[String]) -> Result<(), StorageError> {
        let mut rules = self.cors().await?;
        let missing = |origin: &&String| !rules.iter().any(|rule| rule.allows_playback(origin));
        let missing: Vec<String> = origins.iter().filter(missing).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }

        // S3 takes the first rule that matches: another rule for the same origin must not come
        // before that of fluxhls.
        rules.insert(0, CorsRule::playback(&missing));
        observe(Op::PutCors, self.replace_cors(rules)).await
    }

    async fn replace_cors(&self, rules: Vec<CorsRule>) -> Result<(), StorageError> {
        let refused = |reason: String| StorageError::Refused {
            at: self.at(Op::PutCors, ""),
            reason,
        };

        let rules: Result<Vec<_>, _> = rules.into_iter().map(SdkRule::try_from).collect();
        let rules = rules.map_err(|error| refused(error.to_string()))?;
        let rules = CorsConfiguration::builder()
            .set_cors_rules(Some(rules))
            .build();
        let rules = rules.map_err(|error| refused(error.to_string()))?;

        let answer = self
            .client()
            .put_bucket_cors()
            .bucket(self.name())
            .cors_configuration(rules)
            .send()
            .await;
        answer
            .map(drop)
            .map_err(|error| from_sdk(self.at(Op::PutCors, ""), &error))
    }
}

impl From<SdkRule> for CorsRule {
    fn from(rule: SdkRule) -> Self {
        Self {
            origins: rule.allowed_origins,
            methods: rule.allowed_methods,
            allowed_headers: rule.allowed_headers.unwrap_or_default(),
            exposed_headers: rule.expose_headers.unwrap_or_default(),
            max_age: rule.max_age_seconds,
        }
    }
}

impl TryFrom<CorsRule> for SdkRule {
    type Error = aws_sdk_s3::error::BuildError;

    fn try_from(rule: CorsRule) -> Result<Self, Self::Error> {
        Self::builder()
            .set_allowed_origins(Some(rule.origins))
            .set_allowed_methods(Some(rule.methods))
            .set_allowed_headers(Some(rule.allowed_headers))
            .set_expose_headers(Some(rule.exposed_headers))
            .set_max_age_seconds(rule.max_age)
            .build()
    }
}

fn lower(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| text.to_ascii_lowercase()).collect()
}

/// Whether `text` fits a pattern with at most one `*`.
fn matches(pattern: &str, text: &str) -> bool {
    pattern
        .split_once('*')
        .map_or(pattern == text, |(start, end)| {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "https://www.example.com";

    #[test]
    fn our_own_rule_lets_its_origins_play_and_no_other() {
        let rule = CorsRule::playback(&[SITE.to_owned()]);
        assert!(rule.allows_playback(SITE));
        assert!(!rule.allows_playback("https://www.example.com.evil.test"));
    }

    #[test]
    fn a_rule_that_lacks_one_thing_does_not_suffice() {
        let whole = CorsRule::playback(&[SITE.to_owned()]);
        let no_head = CorsRule {
            methods: vec!["GET".to_owned()],
            ..whole.clone()
        };
        let no_range = CorsRule {
            allowed_headers: vec!["Authorization".to_owned()],
            ..whole.clone()
        };
        let no_etag = CorsRule {
            exposed_headers: vec!["Content-Length".to_owned()],
            ..whole
        };

        for rule in [no_head, no_range, no_etag] {
            assert!(!rule.allows_playback(SITE), "{rule:?}");
        }
    }

    #[test]
    fn a_star_stands_for_any_text_once() {
        assert!(matches("*", SITE) && matches("https://*.example.com", SITE));
        assert!(
            !matches("https://*.example.com", "https://example.com") && !matches("aa*aa", "aaa")
        );
    }

    #[test]
    fn headers_match_whatever_their_case() {
        let mut rule = CorsRule::playback(&["*".to_owned()]);
        rule.allowed_headers = vec!["RANGE".to_owned()];
        rule.exposed_headers = ["content-length", "content-range", "etag"]
            .map(str::to_owned)
            .to_vec();
        assert!(rule.allows_playback(SITE));
    }
}

#[cfg(test)]
mod server_tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;
    use crate::Storage;
    use crate::testing::{BUCKET, serve, settings_for};

    const NONE: &str = "<Error><Code>NoSuchCORSConfiguration</Code><Message>none</Message></Error>";

    /// s3s-fs has no CORS rules, so this keeps the bytes of the PUT and gives them back.
    fn cors_server(kept: &Arc<Mutex<Option<String>>>) -> Router {
        let (read, written) = (Arc::clone(kept), Arc::clone(kept));
        let get_rules = async move || match read.lock().unwrap().clone() {
            Some(rules) => (StatusCode::OK, rules),
            None => (StatusCode::NOT_FOUND, NONE.to_owned()),
        };
        let put_rules = async move |rules: String| {
            *written.lock().unwrap() = Some(rules);
        };

        Router::new()
            .route("/media", get(get_rules.clone()).put(put_rules.clone()))
            .route("/media/", get(get_rules).put(put_rules))
    }

    #[tokio::test]
    async fn our_rule_is_added_once_and_others_stay() {
        let kept = Arc::default();
        let (address, _server) = serve(cors_server(&kept)).await;
        let bucket = Storage::connect(&settings_for(address))
            .await
            .bucket(BUCKET);
        assert_eq!(bucket.cors().await.unwrap(), []);

        let (first, second) = (
            vec!["https://a.test".to_owned()],
            vec!["https://b.test".to_owned()],
        );
        bucket.put_cors(&first).await.unwrap();
        bucket
            .put_cors(&[first.clone(), second.clone()].concat())
            .await
            .unwrap();

        let rules = bucket.cors().await.unwrap();
        assert_eq!(
            rules,
            [CorsRule::playback(&second), CorsRule::playback(&first)]
        );

        let before = kept.lock().unwrap().clone();
        bucket.put_cors(&second).await.unwrap();
        assert_eq!(*kept.lock().unwrap(), before);
    }
}
