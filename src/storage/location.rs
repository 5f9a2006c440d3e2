//! What an upload event may name as its source: `file_url` to bucket and key. Pure.
//!
//! A URL only names an object here; it is never fetched. So the question is not whether it answers but whether it means
//! a bucket of ours, and everything that does not is refused.

use percent_encoding::percent_decode_str;
use url::Url;

/// The longest key S3 knows, in bytes.
const MAX_KEY: usize = 1024;
/// How much of a foreign name an error repeats, in characters.
const MAX_QUOTE: usize = 80;

/// An object that an event may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bucket, one of the allowed ones.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
}

/// Why a `file_url` is not accepted. The text never repeats its query, which may hold a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenSource {
    /// It is neither `s3://bucket/key` nor a plain HTTP URL.
    #[error("file_url must be s3://bucket/key or the http(s) URL of an object")]
    NotAUrl,
    /// It carries a user name or a password.
    #[error("file_url must not carry a user name or password")]
    Credentials,
    /// Its host, with its port, is none of ours.
    #[error("file_url names the host {0}, which does not serve the source buckets")]
    Host(String),
    /// Its bucket is none of ours.
    #[error("file_url names the bucket {0}, which is not one of SOURCE_BUCKETS")]
    Bucket(String),
    /// Its key cannot be one of an upload.
    #[error("the key in file_url {0}")]
    Key(&'static str),
}

/// Tells which objects the URLs of events mean.
#[derive(Debug, Clone)]
pub struct Locator {
    buckets: Vec<String>,
    service: Service,
    /// The CDN's root, and the bucket it serves.
    cdn: Option<(Site, String)>,
}

/// The S3 service whose URLs are understood.
#[derive(Debug, Clone)]
enum Service {
    Aws,
    Endpoint(Site),
}

/// A host, a port and a path below which objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Site {
    host: String,
    /// `None` is the default port of the scheme.
    port: Option<u16>,
    /// Without a slash at its end.
    base: String,
}

/// A URL cut into what matters, its path still encoded.
struct Address<'a> {
    host: String,
    port: Option<u16>,
    path: &'a str,
}

impl Locator {
    /// Understands the URLs of `buckets` on the S3 service at `endpoint` (`None` is AWS), and those of the CDN that
    /// serves `output_bucket` below `public_base_url`.
    ///
    /// # Errors
    /// [`url::ParseError`] where one of the two is not a URL with a host.
    pub fn new(
        endpoint: Option<&str>,
        buckets: Vec<String>,
        output_bucket: &str,
        public_base_url: Option<&str>,
    ) -> Result<Self, url::ParseError> {
        let service = match endpoint.map(Site::parse).transpose()? {
            Some(site) if !is_aws(&site.host) => Service::Endpoint(site),
            _ => Service::Aws,
        };
        let cdn = public_base_url.map(Site::parse).transpose()?.map(|site| (site, output_bucket.to_owned()));
        Ok(Self { buckets, service, cdn })
    }

    /// The object a `file_url` means. Its key is percent-decoded once; query and fragment are dropped.
    ///
    /// # Errors
    /// [`ForbiddenSource`], whose text is made for the sender of the event.
    pub fn locate(&self, file_url: &str) -> Result<Location, ForbiddenSource> {
        if file_url.chars().any(char::is_control) || file_url.trim() != file_url {
            return Err(ForbiddenSource::NotAUrl);
        }
        let named = file_url.split(['?', '#']).next().unwrap_or_default();
        let (bucket, key) = match strip_scheme(named, "s3") {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => self.on_host(&Address::parse(named)?)?,
        };
        if !self.buckets.iter().any(|allowed| allowed == bucket) {
            return Err(ForbiddenSource::Bucket(quote(bucket)));
        }
        Ok(Location { bucket: bucket.to_owned(), key: decode_key(key)? })
    }

    /// Bucket and encoded key of an HTTP URL.
    fn on_host<'a>(&'a self, address: &Address<'a>) -> Result<(&'a str, &'a str), ForbiddenSource> {
        let of_service = self.virtual_host(address).or_else(|| self.path_style(address));
        match (of_service, self.of_cdn(address)) {
            (Some(found), _) if self.buckets.iter().any(|bucket| bucket == found.0) => Ok(found),
            (_, Some(found)) | (Some(found), None) => Ok(found),
            (None, None) => Err(ForbiddenSource::Host(address.quoted())),
        }
    }

    fn path_style<'a>(&self, address: &Address<'a>) -> Option<(&'a str, &'a str)> {
        let path = match &self.service {
            Service::Aws => (address.port.is_none() && is_aws(&address.host)).then(|| address.path.strip_prefix('/')),
            Service::Endpoint(site) => site.serves(address, &address.host).then(|| site.below(address)),
        };
        path.flatten().map(|path| path.split_once('/').unwrap_or((path, "")))
    }

    fn virtual_host<'a>(&'a self, address: &Address<'a>) -> Option<(&'a str, &'a str)> {
        self.buckets.iter().find_map(|bucket| {
            let host = address.host.strip_prefix(bucket.as_str())?.strip_prefix('.')?;
            let key = match &self.service {
                Service::Aws => (address.port.is_none() && is_aws(host)).then(|| address.path.strip_prefix('/')),
                Service::Endpoint(site) => {
                    let ours = site.serves(address, host) || site.cdn_of_spaces().as_deref() == Some(host);
                    ours.then(|| site.below(address))
                }
            };
            key.flatten().map(|key| (bucket.as_str(), key))
        })
    }

    fn of_cdn<'a>(&'a self, address: &Address<'a>) -> Option<(&'a str, &'a str)> {
        let (site, bucket) = self.cdn.as_ref()?;
        let key = site.serves(address, &address.host).then(|| site.below(address)).flatten()?;
        Some((bucket, key))
    }
}

impl Site {
    fn parse(url: &str) -> Result<Self, url::ParseError> {
        // SPACES_ENDPOINT and its like are often given without a scheme.
        let url = if url.contains("://") { Url::parse(url)? } else { Url::parse(&format!("https://{url}"))? };
        let host = url.host_str().ok_or(url::ParseError::EmptyHost)?.to_owned();
        Ok(Self { host, port: url.port(), base: url.path().trim_end_matches('/').to_owned() })
    }

    fn serves(&self, address: &Address<'_>, host: &str) -> bool {
        self.host == host && self.port == address.port
    }

    fn below<'a>(&self, address: &Address<'a>) -> Option<&'a str> {
        address.path.strip_prefix(self.base.as_str())?.strip_prefix('/')
    }

    /// `nyc3.digitaloceanspaces.com` has a CDN at `<bucket>.nyc3.cdn.digitaloceanspaces.com`.
    fn cdn_of_spaces(&self) -> Option<String> {
        let region = self.host.strip_suffix(".digitaloceanspaces.com")?;
        (self.port.is_none() && !region.contains('.')).then(|| format!("{region}.cdn.digitaloceanspaces.com"))
    }
}

impl<'a> Address<'a> {
    fn parse(text: &'a str) -> Result<Self, ForbiddenSource> {
        let rest = strip_scheme(text, "https").or_else(|| strip_scheme(text, "http"));
        let rest = rest.ok_or(ForbiddenSource::NotAUrl)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(ForbiddenSource::Credentials);
        }
        // A browser reads a backslash as a slash, so that what looks like a path may be a host.
        if authority.is_empty() || text.contains('\\') {
            return Err(ForbiddenSource::NotAUrl);
        }
        let scheme = &text[..text.len() - rest.len()];
        let url = Url::parse(&format!("{scheme}{authority}/")).map_err(|_| ForbiddenSource::NotAUrl)?;
        let host = url.host_str().ok_or(ForbiddenSource::NotAUrl)?.to_owned();
        Ok(Self { host, port: url.port(), path })
    }

    fn quoted(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", quote(&self.host))
    }
}

fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = text.split_once("://")?;
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Whether a host is S3 of AWS itself, in any of its spellings. Bucket names are unique over all of its regions, so the
/// region does not matter.
fn is_aws(host: &str) -> bool {
    let Some(name) = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn")) else {
        return false;
    };
    match name.strip_prefix("s3.dualstack.").or_else(|| name.strip_prefix("s3.")).or_else(|| name.strip_prefix("s3-")) {
        Some("accelerate" | "accelerate.dualstack") => true,
        Some(region) => is_region(region),
        None => name == "s3",
    }
}

fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.split_last() {
        Some((number, words)) => {
            words.len() >= 2 && words.iter().all(word) && number.parse::<u8>().is_ok()
        }
        None => false,
    }
}

fn decode_key(encoded: &str) -> Result<String, ForbiddenSource> {
    let key = percent_decode_str(encoded).decode_utf8();
    let key = key.map_err(|_| ForbiddenSource::Key("is not UTF-8 when percent-decoded"))?;
    if key.is_empty() {
        return Err(ForbiddenSource::Key("is empty"));
    }
    if key.len() > MAX_KEY {
        return Err(ForbiddenSource::Key("is longer than 1024 bytes"));
    }
    if key.chars().any(char::is_control) {
        return Err(ForbiddenSource::Key("has a control character"));
    }
    // Legal in S3, but proxies and file systems on the way resolve it, and no upload needs it.
    if key.split(['/', '\\']).any(|part| part == "." || part == "..") {
        return Err(ForbiddenSource::Key("has a part that is . or .."));
    }
    Ok(key.into_owned())
}

fn quote(text: &str) -> String {
    text.chars().take(MAX_QUOTE).collect()
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn buckets() -> Vec<String> {
        vec!["media".to_owned(), "my.uploads".to_owned()]
    }

    fn aws() -> Locator {
        Locator::new(None, buckets(), "media", Some("https://cdn.example.com/v")).unwrap()
    }

    fn spaces() -> Locator {
        Locator::new(Some("https://nyc3.digitaloceanspaces.com"), buckets(), "media", None).unwrap()
    }

    fn local() -> Locator {
        Locator::new(Some("http://127.0.0.1:9000"), buckets(), "media", Some("http://127.0.0.1:9000/media")).unwrap()
    }

    fn found(bucket: &str, key: &str) -> Result<Location, ForbiddenSource> {
        Ok(Location { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    #[test]
    fn every_spelling_of_an_object_of_ours_is_understood() {
        let table = [
            (aws(), "s3://media/a/b.mp4", "media"),
            (aws(), "S3://my.uploads/a/b.mp4?versionId=1#t=3", "my.uploads"),
            (aws(), "https://s3.eu-central-1.amazonaws.com/media/a/b.mp4?X-Amz-Signature=x", "media"),
            (aws(), "https://s3.amazonaws.com/media/a/b.mp4", "media"),
            (aws(), "https://media.s3.eu-central-1.amazonaws.com/a/b.mp4", "media"),
            (aws(), "https://MEDIA.s3.eu-central-1.amazonaws.com:443/a/b.mp4", "media"),
            (aws(), "https://media.s3.dualstack.us-gov-west-1.amazonaws.com/a/b.mp4", "media"),
            (aws(), "https://media.s3-us-west-2.amazonaws.com/a/b.mp4", "media"),
            (aws(), "https://media.s3-accelerate.amazonaws.com/a/b.mp4", "media"),
            (aws(), "https://my.uploads.s3.cn-north-1.amazonaws.com.cn/a/b.mp4", "my.uploads"),
            (aws(), "https://cdn.example.com/v/a/b.mp4", "media"),
            (spaces(), "https://media.nyc3.digitaloceanspaces.com/a/b.mp4", "media"),
            (spaces(), "https://media.nyc3.cdn.digitaloceanspaces.com/a/b.mp4", "media"),
            (spaces(), "https://nyc3.digitaloceanspaces.com/media/a/b.mp4", "media"),
            (local(), "http://127.0.0.1:9000/media/a/b.mp4", "media"),
            (local(), "http://127.0.0.1:9000/my.uploads/a/b.mp4", "my.uploads"),
        ];
        for (locator, url, bucket) in table {
            assert_eq!(locator.locate(url), found(bucket, "a/b.mp4"), "{url}");
        }
    }

    #[test]
    fn a_foreign_host_or_port_is_refused() {
        let table = [
            (aws(), "https://example.com/media/a.mp4"),
            (aws(), "https://media.s3.eu-central-1.amazonaws.com.evil.test/a.mp4"),
            (aws(), "https://media.s3.eu-central-1.amazonaws.com:8443/a.mp4"),
            (aws(), "https://media.s3.eu-central-1.amazonaws.com./a.mp4"),
            (aws(), "https://media.ec2.eu-central-1.amazonaws.com/a.mp4"),
            (aws(), "https://cdn.example.com/private/a.mp4"),
            (aws(), "https://cdn.example.com/vault/a.mp4"),
            (aws(), "https://media.nyc3.digitaloceanspaces.com/a.mp4"),
            (spaces(), "https://media.fra1.digitaloceanspaces.com/a.mp4"),
            (spaces(), "https://nyc3.cdn.digitaloceanspaces.com/media/a.mp4"),
            (spaces(), "https://media.s3.us-east-1.amazonaws.com/a.mp4"),
            (local(), "http://127.0.0.1:9001/media/a.mp4"),
            (local(), "http://127.0.0.1/media/a.mp4"),
            (local(), "http://169.254.169.254/latest/meta-data"),
        ];
        for (locator, url) in table {
            assert!(matches!(locator.locate(url), Err(ForbiddenSource::Host(_))), "{url}: {:?}", locator.locate(url));
        }
    }

    #[test]
    fn a_foreign_bucket_is_refused() {
        for url in ["s3://other/a.mp4", "s3:///a.mp4", "https://s3.amazonaws.com/other/a.mp4", "s3://media@other/a.mp4"] {
            assert!(matches!(aws().locate(url), Err(ForbiddenSource::Bucket(_))), "{url}");
        }
        // The host of another bucket does not serve ours.
        let url = "https://other.s3.us-east-1.amazonaws.com/media/a.mp4";
        assert!(matches!(aws().locate(url), Err(ForbiddenSource::Host(_))));
    }

    #[test]
    fn what_is_no_plain_url_is_refused() {
        let table = [
            "", "media/a.mp4", "/etc/passwd", "file:///etc/passwd", "ftp://media/a.mp4", "https:media/a.mp4",
            "https:///s3.amazonaws.com/media/a.mp4", "https://s3.amazonaws.com\\media/a.mp4", " s3://media/a.mp4",
            "s3://media/a.mp4\n", "s3://media/a\0.mp4", "concat:s3://media/a.mp4", "https://[::1/media/a.mp4",
        ];
        for url in table {
            assert_eq!(aws().locate(url), Err(ForbiddenSource::NotAUrl), "{url:?}");
        }
    }

    #[test]
    fn user_information_is_refused_and_not_repeated() {
        for url in ["https://user:secret@s3.amazonaws.com/media/a.mp4", "https://@s3.amazonaws.com/media/a.mp4"] {
            assert_eq!(aws().locate(url), Err(ForbiddenSource::Credentials), "{url}");
        }
        let error = aws().locate("https://example.com/a?X-Amz-Signature=secret").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_key_is_decoded_once_and_then_judged() {
        assert_eq!(aws().locate("s3://media/a%20b%2Fc%252e.mp4"), found("media", "a b/c%2e.mp4"));
        assert_eq!(aws().locate("s3://media/100%.mp4"), found("media", "100%.mp4"));
        for url in [
            "s3://media", "s3://media/", "s3://media/a/../b.mp4", "s3://media/%2e%2E/b.mp4", "s3://media/./b.mp4",
            "s3://media/a%00.mp4", "s3://media/a%0a.mp4", "s3://media/%ff.mp4", "s3://media/..%5Cb.mp4",
            "https://s3.amazonaws.com/media/../other/b.mp4", "https://cdn.example.com/v/../b.mp4",
        ] {
            assert!(matches!(aws().locate(url), Err(ForbiddenSource::Key(_))), "{url}: {:?}", aws().locate(url));
        }
        assert!(aws().locate(&format!("s3://media/{}", "a".repeat(1024))).is_ok());
        assert!(aws().locate(&format!("s3://media/{}", "a".repeat(1025))).is_err());
    }

    #[test]
    fn a_site_may_be_given_without_a_scheme() {
        let locator = Locator::new(Some("nyc3.digitaloceanspaces.com"), buckets(), "media", None).unwrap();
        assert_eq!(locator.locate("https://media.nyc3.digitaloceanspaces.com/a.mp4"), found("media", "a.mp4"));
        assert!(Locator::new(Some("http://"), buckets(), "media", None).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_in_an_allowed_bucket_under_a_harmless_key(url in "\\PC{0,60}", head in 0_usize..6) {
            let heads = [
                "", "s3://", "s3://media/", "https://media.s3.us-east-1.amazonaws.com/", "https://s3.amazonaws.com/media",
                "https://cdn.example.com/v",
            ];
            if let Ok(location) = aws().locate(&format!("{}{url}", heads[head])) {
                prop_assert!(buckets().contains(&location.bucket));
                prop_assert!(!location.key.is_empty() && location.key.len() <= MAX_KEY);
                prop_assert!(!location.key.chars().any(char::is_control));
                prop_assert!(location.key.split('/').all(|part| part != ".." && part != "."));
            }
        }

        #[test]
        fn an_encoded_key_comes_back_from_every_spelling(key in "[^\\pC./\\\\][^\\pC\\\\/]{0,30}(/[^\\pC./\\\\][^\\pC\\\\/]{0,30}){0,3}") {
            let encoded = utf8_percent_encode(&key, NON_ALPHANUMERIC).to_string();
            for head in ["s3://media", "https://s3.amazonaws.com/media", "https://media.s3.us-east-1.amazonaws.com"] {
                prop_assert_eq!(aws().locate(&format!("{head}/{encoded}")), found("media", &key));
            }
        }
    }
}
