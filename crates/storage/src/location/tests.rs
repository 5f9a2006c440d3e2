//! Every spelling of a source that is understood, and every trick that is refused.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use streams::upload::SourceObject;

use super::{ForbiddenSource, Locator};

fn buckets() -> Vec<String> {
    vec!["media".to_owned(), "my.uploads".to_owned()]
}

fn aws() -> Locator {
    Locator::new(None, buckets(), "media", Some("https://cdn.example.com/v")).unwrap()
}

fn spaces() -> Locator {
    Locator::new(
        Some("https://nyc3.digitaloceanspaces.com"),
        buckets(),
        "media",
        None,
    )
    .unwrap()
}

fn local() -> Locator {
    Locator::new(
        Some("http://127.0.0.1:9000"),
        buckets(),
        "media",
        Some("http://127.0.0.1:9000/media"),
    )
    .unwrap()
}

fn found(bucket: &str, key: &str) -> Result<SourceObject, ForbiddenSource> {
    Ok(SourceObject {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    })
}

#[test]
fn every_spelling_of_an_object_of_ours_is_understood() {
    let table = [
        (aws(), "s3://media/a/b.mp4", "media"),
        (aws(), "S3://my.uploads/a/b.mp4", "my.uploads"),
        (
            aws(),
            "https://s3.eu-central-1.amazonaws.com/media/a/b.mp4?X-Amz-Signature=x",
            "media",
        ),
        (aws(), "https://s3.amazonaws.com/media/a/b.mp4", "media"),
        (
            aws(),
            "https://media.s3.eu-central-1.amazonaws.com/a/b.mp4",
            "media",
        ),
        (
            aws(),
            "https://MEDIA.s3.eu-central-1.amazonaws.com:443/a/b.mp4",
            "media",
        ),
        (
            aws(),
            "https://media.s3.dualstack.us-gov-west-1.amazonaws.com/a/b.mp4",
            "media",
        ),
        (
            aws(),
            "https://media.s3-us-west-2.amazonaws.com/a/b.mp4",
            "media",
        ),
        (
            aws(),
            "https://media.s3-accelerate.amazonaws.com/a/b.mp4",
            "media",
        ),
        (
            aws(),
            "https://my.uploads.s3.cn-north-1.amazonaws.com.cn/a/b.mp4",
            "my.uploads",
        ),
        (aws(), "https://cdn.example.com/v/a/b.mp4", "media"),
        (
            spaces(),
            "https://media.nyc3.digitaloceanspaces.com/a/b.mp4",
            "media",
        ),
        (
            spaces(),
            "https://media.nyc3.cdn.digitaloceanspaces.com/a/b.mp4",
            "media",
        ),
        (
            spaces(),
            "https://nyc3.digitaloceanspaces.com/media/a/b.mp4",
            "media",
        ),
        (local(), "http://127.0.0.1:9000/media/a/b.mp4", "media"),
        (
            local(),
            "http://127.0.0.1:9000/my.uploads/a/b.mp4",
            "my.uploads",
        ),
    ];

    for (locator, url, bucket) in table {
        assert_eq!(locator.locate(url), found(bucket, "a/b.mp4"), "{url}");
    }
}

#[test]
fn a_foreign_host_or_port_is_refused() {
    let table = [
        (aws(), "https://example.com/media/a.mp4"),
        (
            aws(),
            "https://media.s3.eu-central-1.amazonaws.com.evil.test/a.mp4",
        ),
        (
            aws(),
            "https://media.s3.eu-central-1.amazonaws.com:8443/a.mp4",
        ),
        (aws(), "https://media.s3.eu-central-1.amazonaws.com./a.mp4"),
        (aws(), "https://media.ec2.eu-central-1.amazonaws.com/a.mp4"),
        (aws(), "https://cdn.example.com/private/a.mp4"),
        (aws(), "https://cdn.example.com/vault/a.mp4"),
        (aws(), "https://media.nyc3.digitaloceanspaces.com/a.mp4"),
        (spaces(), "https://media.fra1.digitaloceanspaces.com/a.mp4"),
        (
            spaces(),
            "https://nyc3.cdn.digitaloceanspaces.com/media/a.mp4",
        ),
        (
            spaces(),
            "https://media.nyc3.cdn.digitaloceanspaces.com:8443/a.mp4",
        ),
        (spaces(), "https://media.s3.us-east-1.amazonaws.com/a.mp4"),
        (local(), "http://127.0.0.1:9001/media/a.mp4"),
        (local(), "http://127.0.0.1/media/a.mp4"),
        (local(), "http://169.254.169.254/latest/meta-data"),
    ];

    for (locator, url) in table {
        assert!(
            matches!(locator.locate(url), Err(ForbiddenSource::Host(_))),
            "{url}: {:?}",
            locator.locate(url)
        );
    }
}

#[test]
fn a_foreign_bucket_is_refused() {
    for url in [
        "s3://other/a.mp4",
        "s3:///a.mp4",
        "https://s3.amazonaws.com/other/a.mp4",
        "s3://media@other/a.mp4",
    ] {
        assert!(
            matches!(aws().locate(url), Err(ForbiddenSource::Bucket(_))),
            "{url}"
        );
    }

    // The host of another bucket does not serve this one.
    let url = "https://other.s3.us-east-1.amazonaws.com/media/a.mp4";
    assert!(matches!(aws().locate(url), Err(ForbiddenSource::Host(_))));
}

#[test]
fn what_is_no_plain_url_is_refused() {
    let table = [
        "",
        "media/a.mp4",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://media/a.mp4",
        "https:media/a.mp4",
        "https:///s3.amazonaws.com/media/a.mp4",
        "https://s3.amazonaws.com\\media/a.mp4",
        " s3://media/a.mp4",
        "s3://media/a.mp4\n",
        "s3://media/a\0.mp4",
        "concat:s3://media/a.mp4",
        "https://[::1/media/a.mp4",
    ];

    for url in table {
        assert_eq!(aws().locate(url), Err(ForbiddenSource::NotAUrl), "{url:?}");
    }
}

#[test]
fn user_information_is_refused_and_not_repeated() {
    for url in [
        "https://user:secret@s3.amazonaws.com/media/a.mp4",
        "https://@s3.amazonaws.com/media/a.mp4",
    ] {
        assert_eq!(
            aws().locate(url),
            Err(ForbiddenSource::Credentials),
            "{url}"
        );
    }

    let error = aws()
        .locate("https://example.com/a?X-Amz-Signature=secret")
        .unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn an_s3_url_names_its_key_as_it_is_and_an_http_url_percent_encoded_once() {
    for key in [
        "50%20off.mp4",
        "Take #2.mp4",
        "what?.mp4",
        "a%2Fb%252e.mp4",
        "100%.mp4",
        "%2e%2E/b.mp4",
        "a+b /c.mp4 ",
        "/a//b.mp4",
    ] {
        assert_eq!(
            aws().locate(&format!("s3://media/{key}")),
            found("media", key)
        );

        let encoded = utf8_percent_encode(key, NON_ALPHANUMERIC);
        let url = format!("https://s3.amazonaws.com/media/{encoded}?X-Amz-Signature=s#t");
        let meant = aws().locate(&url);
        assert_eq!(meant, found("media", key), "{url}");
    }

    let url = "https://s3.amazonaws.com/media/a%20b%2Fc%252e.mp4?versionId=1#t=3";
    assert_eq!(aws().locate(url), found("media", "a b/c%2e.mp4"));
    assert_eq!(
        aws().locate("https://s3.amazonaws.com/media/100%.mp4"),
        found("media", "100%.mp4")
    );
}

#[test]
fn a_key_that_no_upload_has_is_refused() {
    for url in [
        "s3://media",
        "s3://media/",
        "s3://media/a/../b.mp4",
        "https://s3.amazonaws.com/media/%2e%2E/b.mp4",
        "s3://media/./b.mp4",
        "https://s3.amazonaws.com/media/a%00.mp4",
        "https://s3.amazonaws.com/media/a%0a.mp4",
        "https://s3.amazonaws.com/media/%ff.mp4",
        "https://s3.amazonaws.com/media/..%5Cb.mp4",
        "s3://media/..\\b.mp4",
        "https://s3.amazonaws.com/media/../other/b.mp4",
        "https://cdn.example.com/v/../b.mp4",
    ] {
        assert!(
            matches!(aws().locate(url), Err(ForbiddenSource::Key(_))),
            "{url}: {:?}",
            aws().locate(url)
        );
    }

    assert!(
        aws()
            .locate(&format!("s3://media/{}", "a".repeat(1024)))
            .is_ok()
    );
    assert!(
        aws()
            .locate(&format!("s3://media/{}", "a".repeat(1025)))
            .is_err()
    );
}

#[test]
fn a_site_without_a_scheme_or_a_host_is_none() {
    for endpoint in ["nyc3.digitaloceanspaces.com", "localhost:9000", "http://"] {
        assert!(
            Locator::new(Some(endpoint), buckets(), "media", None).is_err(),
            "{endpoint}"
        );
    }
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
            prop_assert!(!location.key.is_empty() && location.key.len() <= 1024);
            prop_assert!(!location.key.chars().any(char::is_control));
            prop_assert!(location.key.split('/').all(|part| part != ".." && part != "."));
        }
    }

    #[test]
    fn an_encoded_key_comes_back_from_every_spelling(key in "[^\\pC./\\\\][^\\pC\\\\/]{0,30}(/[^\\pC./\\\\][^\\pC\\\\/]{0,30}){0,3}") {
        let encoded = utf8_percent_encode(&key, NON_ALPHANUMERIC).to_string();
        prop_assert_eq!(aws().locate(&format!("s3://media/{key}")), found("media", &key));
        for head in ["https://s3.amazonaws.com/media", "https://media.s3.us-east-1.amazonaws.com"] {
            prop_assert_eq!(aws().locate(&format!("{head}/{encoded}")), found("media", &key));
        }
    }
}
