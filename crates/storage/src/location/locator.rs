//! From a `file_url` to an object in a source bucket.

use percent_encoding::percent_decode_str;
use streams::upload::SourceObject;

use super::address::{Address, quote, strip_scheme};
use super::forbidden::ForbiddenSource;
use super::service::{Service, Site};

/// The longest key S3 knows, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// Resolves the URLs of events to objects.
#[derive(Debug, Clone)]
pub struct Locator {
    buckets: Vec<String>,
    service: Service,
    /// The CDN's root, and the bucket it serves.
    cdn: Option<(Site, String)>,
}

/// What says where objects are is not a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("S3_ENDPOINT or PUBLIC_BASE_URL is not a URL: {0}")]
pub struct LocatorError(#[from] url::ParseError);

impl Locator {
    /// Understands the URLs of `buckets` on the S3 service at `endpoint` (`None` is AWS), and those
    /// of the CDN that serves `output_bucket` below `public_base_url`.
    ///
    /// # Errors
    /// [`LocatorError`] where one of the two is not a URL with a host.
    pub fn new(
        endpoint: Option<&str>,
        buckets: Vec<String>,
        output_bucket: &str,
        public_base_url: Option<&str>,
    ) -> Result<Self, LocatorError> {
        let cdn = public_base_url.map(Site::parse).transpose()?;
        let cdn = cdn.map(|site| (site, output_bucket.to_owned()));
        Ok(Self {
            buckets,
            service: Service::new(endpoint)?,
            cdn,
        })
    }

    /// The object a `file_url` means. In `s3://` the key is taken as it is; in HTTP URLs it is
    /// percent-decoded once, without query and fragment.
    ///
    /// # Errors
    /// [`ForbiddenSource`], whose text is made for the sender of the event.
    pub fn locate(&self, file_url: &str) -> Result<SourceObject, ForbiddenSource> {
        if file_url.chars().any(char::is_control) {
            return Err(ForbiddenSource::NotAUrl);
        }

        if let Some(named) = strip_scheme(file_url, "s3") {
            let (bucket, key) = named.split_once('/').unwrap_or((named, ""));
            return self.object(bucket, key.to_owned());
        }

        // Only the key of an `s3://` URL may end in a space.
        if file_url.trim() != file_url {
            return Err(ForbiddenSource::NotAUrl);
        }

        let named = file_url.split(['?', '#']).next().unwrap_or_default();
        let address = Address::parse(named)?;
        let (bucket, encoded) = self.object_on_host(&address)?;
        let key = percent_decode_str(encoded).decode_utf8();
        let key = key.map_err(|_| ForbiddenSource::Key("is not UTF-8 when percent-decoded"))?;
        self.object(bucket, key.into_owned())
    }

    /// An object, if its bucket is a source bucket and its key can be that of an upload.
    fn object(&self, bucket: &str, key: String) -> Result<SourceObject, ForbiddenSource> {
        if !self.allows(bucket) {
            return Err(ForbiddenSource::Bucket(quote(bucket)));
        }
        check_key(&key)?;
        Ok(SourceObject {
            bucket: bucket.to_owned(),
            key,
        })
    }

    /// Bucket and encoded key of an HTTP URL; the bucket may still be a foreign one.
    fn object_on_host<'a>(
        &'a self,
        address: &Address<'a>,
    ) -> Result<(&'a str, &'a str), ForbiddenSource> {
        let of_bucket = self.buckets.iter().find_map(|bucket| {
            let key = self.service.virtual_host(bucket, address)?;
            Some((bucket.as_str(), key))
        });

        let path = self.service.path_style(address);
        let of_path = path.map(|path| path.split_once('/').unwrap_or((path, "")));

        let of_cdn = self.cdn.as_ref().and_then(|(site, bucket)| {
            let key = site.path_below(&address.host, address)?;
            Some((bucket.as_str(), key))
        });

        // A CDN may share its host with the service, as in development: there a first part that is
        // no bucket is a key's.
        of_bucket
            .or(of_path.filter(|(bucket, _)| self.allows(bucket)))
            .or(of_cdn)
            .or(of_path)
            .ok_or_else(|| ForbiddenSource::Host(address.quoted_host()))
    }

    fn allows(&self, bucket: &str) -> bool {
        self.buckets.iter().any(|allowed| allowed == bucket)
    }
}

fn check_key(key: &str) -> Result<(), ForbiddenSource> {
    if key.is_empty() {
        return Err(ForbiddenSource::Key("is empty"));
    }
    if key.len() > MAX_KEY_BYTES {
        return Err(ForbiddenSource::Key("is longer than 1024 bytes"));
    }
    if key.chars().any(char::is_control) {
        return Err(ForbiddenSource::Key("has a control character"));
    }

    // Legal in S3, but proxies and file systems on the way resolve it, and no upload needs it.
    if key
        .split(['/', '\\'])
        .any(|part| part == "." || part == "..")
    {
        return Err(ForbiddenSource::Key("has a part that is . or .."));
    }

    Ok(())
}
