//! The object storage, and which URLs events may name.

use std::time::Duration;

use clap::{Args, ValueEnum};
use storage::{Checksums, Locator, LocatorError, STALL_TIMEOUT, StorageSettings};
use url::Url;

/// The object storage.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storage")]
pub struct StorageArgs {
    /// Root URL of the S3 service, with its scheme; default: AWS.
    #[arg(long, env = "S3_ENDPOINT", value_parser = root_url)]
    pub s3_endpoint: Option<String>,
    /// Bucket of the output.
    #[arg(long, env = "S3_BUCKET", default_value = "fluxhls")]
    pub s3_bucket: String,
    /// Region for which requests are signed.
    #[arg(long, env = "S3_REGION", default_value = "us-east-1")]
    pub s3_region: String,
    /// Whether the bucket is part of the path; default: yes if an endpoint is set.
    #[arg(long, env = "S3_PATH_STYLE")]
    pub s3_path_style: Option<bool>,
    /// When requests carry checksums; default: when required, if an endpoint is set.
    #[arg(long, env = "S3_CHECKSUMS", value_enum)]
    pub s3_checksums: Option<ChecksumsArg>,
    /// Send the ACL `public-read` with everything players need.
    #[arg(long, env = "S3_PUBLIC_READ", default_value_t = false, action = clap::ArgAction::Set)]
    pub s3_public_read: bool,
    /// Seconds without any progress after which a transfer is aborted and tried again.
    #[arg(long, env = "S3_STALL_TIMEOUT", default_value_t = STALL_TIMEOUT.as_secs())]
    pub s3_stall_timeout: u64,
    /// Comma-separated buckets that events may name; default: the output bucket.
    #[arg(long, env = "SOURCE_BUCKETS", value_delimiter = ',')]
    pub source_buckets: Vec<String>,
    /// The prefix that every output prefix begins with.
    #[arg(long, env = "OUTPUT_ROOT", default_value = "hls/")]
    pub output_root: String,
    /// Root of public URLs (the CDN); default: the bucket at its endpoint.
    #[arg(long, env = "PUBLIC_BASE_URL", value_parser = root_url)]
    pub public_base_url: Option<String>,
    /// Root of the URLs of live playlists, which change every few seconds; default: the bucket
    /// at its endpoint, not the CDN.
    #[arg(long, env = "LIVE_BASE_URL", value_parser = root_url)]
    pub live_base_url: Option<String>,
}

/// When requests carry checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum ChecksumsArg {
    /// Only where S3 requires one.
    WhenRequired,
    /// Wherever the operation supports one.
    WhenSupported,
}

impl StorageArgs {
    /// The settings of the S3 client.
    #[must_use]
    pub fn settings(&self) -> StorageSettings {
        StorageSettings {
            endpoint: self.s3_endpoint.clone(),
            path_style: self.s3_path_style,
            checksums: self.s3_checksums.map(|checksums| match checksums {
                ChecksumsArg::WhenRequired => Checksums::WhenRequired,
                ChecksumsArg::WhenSupported => Checksums::WhenSupported,
            }),
            public_read: self.s3_public_read,
            // With 0 every transfer would be given up at once.
            stall_timeout: Duration::from_secs(self.s3_stall_timeout.max(1)),
            ..StorageSettings::new(self.s3_region.clone())
        }
    }

    /// The locator that interprets the URLs of events.
    ///
    /// # Errors
    /// When the endpoint or the public root is not a URL.
    pub fn locator(&self) -> Result<Locator, LocatorError> {
        let public = self.public_base_url();
        let endpoint = self.s3_endpoint.as_deref();
        Locator::new(
            endpoint,
            self.source_buckets(),
            &self.s3_bucket,
            Some(&public),
        )
    }

    /// The buckets that events may name.
    #[must_use]
    pub fn source_buckets(&self) -> Vec<String> {
        if self.source_buckets.is_empty() {
            vec![self.s3_bucket.clone()]
        } else {
            self.source_buckets.clone()
        }
    }

    /// Root of public URLs, ending in `/`.
    #[must_use]
    pub fn public_base_url(&self) -> String {
        self.public_base_url
            .clone()
            .map_or_else(|| self.bucket_url(), folder)
    }

    /// Root of the URLs of live playlists, ending in `/`.
    #[must_use]
    pub fn live_base_url(&self) -> String {
        self.live_base_url
            .clone()
            .map_or_else(|| self.bucket_url(), folder)
    }

    /// The output bucket at its endpoint.
    fn bucket_url(&self) -> String {
        folder(match &self.s3_endpoint {
            Some(endpoint) if self.s3_path_style == Some(false) => {
                virtual_host(endpoint, &self.s3_bucket)
            }
            Some(endpoint) => format!("{}/{}", endpoint.trim_end_matches('/'), self.s3_bucket),
            None => format!(
                "https://{}.s3.{}.amazonaws.com",
                self.s3_bucket, self.s3_region
            ),
        })
    }
}

/// A root URL as configured. Without a scheme it is unknown whether to use TLS, and no request can
/// be sent.
fn root_url(text: &str) -> Result<String, String> {
    // `localhost:9000` is a valid URL, too, of the scheme `localhost`: hence the look at scheme and
    // host.
    let is_root = Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match text {
        _ if is_root => Ok(text.to_owned()),
        _ if text.contains("://") || text.is_empty() => {
            Err("it must be an http:// or https:// URL with a host".to_owned())
        }
        _ => Err(format!(
            "it needs a scheme; set it to https://{text}, or to http://{text} where there is no TLS"
        )),
    }
}

/// A URL that ends in `/`.
fn folder(url: String) -> String {
    if url.ends_with('/') {
        url
    } else {
        format!("{url}/")
    }
}

fn virtual_host(endpoint: &str, bucket: &str) -> String {
    let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    format!("{scheme}://{bucket}.{}", host.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        storage: StorageArgs,
    }

    fn base_url(args: &[&str]) -> String {
        Only::parse_from([&["x"], args].concat())
            .storage
            .public_base_url()
    }

    #[test]
    fn a_root_url_without_a_scheme_or_a_host_is_refused_by_name_and_with_the_fix() {
        let refused = |flag: &str, url: &str| {
            let parsed = Only::try_parse_from(["x", flag, url]);
            parsed
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };

        for flag in ["--s3-endpoint", "--public-base-url", "--live-base-url"] {
            let said = refused(flag, "nyc3.digitaloceanspaces.com");
            assert!(
                said.contains(flag) && said.contains("https://nyc3.digitaloceanspaces.com"),
                "{said}"
            );
            for url in ["localhost:9000", "ftp://host", "https://", ""] {
                assert_ne!(refused(flag, url), "", "{flag} {url}");
            }
            assert_eq!(refused(flag, "http://127.0.0.1:9000/"), "");
        }
        assert!(refused("--s3-endpoint", "host").contains("S3_ENDPOINT"));
    }

    #[test]
    fn growing_playlists_are_read_from_the_bucket_unless_another_root_is_named() {
        let live = |args: &[&str]| {
            Only::parse_from([&["x"], args].concat())
                .storage
                .live_base_url()
        };
        let cdn = [
            "--public-base-url",
            "https://cdn.example",
            "--s3-endpoint",
            "http://127.0.0.1:9000",
        ];

        assert_eq!(live(&cdn), "http://127.0.0.1:9000/fluxhls/");
        let named = ["--live-base-url", "https://live.example"];
        assert_eq!(live(&[&cdn[..], &named].concat()), "https://live.example/");
    }

    #[test]
    fn public_urls_start_at_the_cdn_else_at_the_bucket() {
        assert_eq!(
            base_url(&["--public-base-url", "https://cdn.example"]),
            "https://cdn.example/"
        );
        assert_eq!(
            base_url(&["--s3-endpoint", "http://127.0.0.1:9000", "--s3-bucket", "b"]),
            "http://127.0.0.1:9000/b/"
        );

        assert_eq!(
            base_url(&[
                "--s3-endpoint",
                "https://nyc3.digitaloceanspaces.com",
                "--s3-bucket",
                "b",
                "--s3-path-style",
                "false"
            ]),
            "https://b.nyc3.digitaloceanspaces.com/"
        );
        assert_eq!(
            base_url(&["--s3-bucket", "b", "--s3-region", "eu-west-1"]),
            "https://b.s3.eu-west-1.amazonaws.com/"
        );
    }
}
