//! Which hosts serve the objects of an S3 service.

use url::Url;

use super::address::Address;

/// The S3 service whose URLs are understood.
#[derive(Debug, Clone)]
pub(super) enum Service {
    /// AWS, by any of its host names.
    Aws,
    /// Another one, by the host name of its endpoint.
    Endpoint(Site),
}

/// A host, a port and a path below which objects are.
#[derive(Debug, Clone)]
pub(super) struct Site {
    host: String,
    /// `None` is the default port of the scheme.
    port: Option<u16>,
    /// Without a slash at its end.
    base: String,
}

impl Service {
    /// The service at an endpoint; `None` is AWS.
    pub(super) fn new(endpoint: Option<&str>) -> Result<Self, url::ParseError> {
        match endpoint.map(Site::parse).transpose()? {
            Some(site) if !is_aws(&site.host) => Ok(Self::Endpoint(site)),
            _ => Ok(Self::Aws),
        }
    }

    /// The part of an address's path that names bucket and key, where its host is the service
    /// itself.
    pub(super) fn path_style<'a>(&self, address: &Address<'a>) -> Option<&'a str> {
        self.path_below(&address.host, address)
    }

    /// The part of an address's path that names the key, where its host is `bucket` at the service.
    pub(super) fn virtual_host<'a>(&self, bucket: &str, address: &Address<'a>) -> Option<&'a str> {
        let host = address.host.strip_prefix(bucket)?.strip_prefix('.')?;
        self.path_below(host, address)
            .or_else(|| self.spaces_cdn()?.path_below(host, address))
    }

    fn path_below<'a>(&self, host: &str, address: &Address<'a>) -> Option<&'a str> {
        match self {
            Self::Endpoint(site) => site.path_below(host, address),
            Self::Aws if is_aws(host) && address.port.is_none() => address.path.strip_prefix('/'),
            Self::Aws => None,
        }
    }

    /// DigitalOcean's `nyc3.digitaloceanspaces.com` has a CDN at
    /// `<bucket>.nyc3.cdn.digitaloceanspaces.com`.
    fn spaces_cdn(&self) -> Option<Site> {
        let Self::Endpoint(site) = self else {
            return None;
        };
        let region = site.host.strip_suffix(".digitaloceanspaces.com")?;
        Some(Site {
            host: format!("{region}.cdn.digitaloceanspaces.com"),
            ..site.clone()
        })
    }
}

impl Site {
    /// Takes a root URL apart.
    pub(super) fn parse(url: &str) -> Result<Self, url::ParseError> {
        let url = Url::parse(url)?;
        let host = url.host_str().ok_or(url::ParseError::EmptyHost)?.to_owned();
        Ok(Self {
            host,
            port: url.port(),
            base: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The part of an address's path below this site, where `host` (of that address, or the rest of
    /// it) is this site's.
    pub(super) fn path_below<'a>(&self, host: &str, address: &Address<'a>) -> Option<&'a str> {
        let here = self.host == host && self.port == address.port;
        let path = here.then_some(address.path)?;
        path.strip_prefix(self.base.as_str())?.strip_prefix('/')
    }
}

/// Whether a host is S3 of AWS itself, in any of its spellings. Bucket names are unique over all of
/// its regions, so the region does not matter.
fn is_aws(host: &str) -> bool {
    let Some(name) = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"))
    else {
        return false;
    };

    // Old endpoints join the region by a dash, as in `s3-us-west-2`.
    match name
        .strip_prefix("s3.dualstack.")
        .or_else(|| name.strip_prefix("s3."))
        .or_else(|| name.strip_prefix("s3-"))
    {
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
