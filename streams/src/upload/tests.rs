//! Events of every kind, read.

use super::*;
use proptest::prelude::*;

fn read_json(value: &Value) -> Result<Arrival, Malformed> {
    read(None, value.to_string().as_bytes(), "hls/")
}

#[test]
fn three_fields_are_enough_and_the_rest_has_defaults() {
    let arrival =
        read_json(&json!({"file_id": "f1", "name": "a.mp4", "file_url": "s3://b/k"})).unwrap();
    assert_eq!(arrival.violations, Vec::<String>::new());
    assert_eq!(arrival.upload.file_url, "s3://b/k");
    assert_eq!(arrival.output_prefix.as_str(), "hls/f1/");
    assert_eq!(arrival.upload.settings, Settings::default());
    assert_eq!(arrival.upload.mime_type, UNKNOWN_MIME_TYPE);
}

#[test]
fn a_key_is_kept_as_it_is_and_the_signature_of_an_http_url_is_not() {
    let stored = |url: &str| {
        let arrival = read_json(&json!({"file_id": "f1", "name": "a", "file_url": url})).unwrap();
        assert_eq!(arrival.violations, [""; 0]);
        arrival.upload.file_url
    };

    for key in [
        "50%20off.mp4",
        "Take #2.mp4",
        "what?.mp4",
        "a?X-Amz-Signature=s#t",
    ] {
        let url = format!("s3://b/{key}");
        assert_eq!(stored(&url), url);
        let pair =
            read_json(&json!({"file_id": "f1", "name": "a", "bucket": "b", "key": key})).unwrap();
        assert_eq!(
            (pair.upload.file_url, pair.violations),
            (url.clone(), vec![])
        );
        let by_url = read_json(&json!({"file_id": "f1", "name": "a", "file_url": url})).unwrap();
        assert_eq!(
            pair.identity, by_url.identity,
            "both forms are the same event"
        );
    }

    assert_eq!(
        stored("https://b.example/k%20.mp4?X-Amz-Signature=s#t"),
        "https://b.example/k%20.mp4"
    );
}

#[test]
fn an_event_names_its_object_in_one_of_two_forms() {
    for (fields, word) in [
        (json!({}), "file_url is missing, or bucket and key"),
        (json!({"bucket": "b"}), "key is missing"),
        (json!({"key": "k"}), "bucket is missing"),
        (
            json!({"bucket": "b", "key": "k", "file_url": "s3://b/k"}),
            "only one of the two",
        ),
        (
            json!({"bucket": "b", "file_url": "s3://b/k"}),
            "only one of the two",
        ),
        (
            json!({"bucket": "b/c", "key": "k"}),
            "bucket contains a slash",
        ),
        (json!({"bucket": 7, "key": "k"}), "bucket is not a text"),
        (
            json!({"bucket": "b", "key": "k".repeat(1025)}),
            "key is longer than 1024",
        ),
    ] {
        let mut event = fields.clone();
        event["file_id"] = json!("f1");
        event["name"] = json!("a");
        let violations = read_json(&event).unwrap().violations;
        assert!(
            violations.len() == 1 && violations[0].contains(word),
            "{fields}: {violations:?}"
        );
    }
}

#[test]
fn identity_is_the_job_id_else_the_event_else_the_content() {
    let plain = json!({"file_id": "f1", "name": "a", "file_url": "s3://b/k"});
    let content = read_json(&plain).unwrap().identity;
    let spelled_out = json!({"file_id": "f1", "name": "other name", "file_url": "s3://b/k", "settings": {"profile": "standard"}});
    assert_eq!(
        content,
        read_json(&spelled_out).unwrap().identity,
        "defaults spelled out are the same event"
    );

    let mut headers = HeaderMap::new();
    headers.insert("ce-id", "7");
    headers.insert("ce-source", "/api");
    let event = read(Some(&headers), plain.to_string().as_bytes(), "hls/")
        .unwrap()
        .identity;
    assert_eq!(event, r#"event:["/api","7"]"#);

    let job = json!({"file_id": "f1", "name": "a", "file_url": "s3://b/k", "job_id": "j1"});
    assert_eq!(
        read(Some(&headers), job.to_string().as_bytes(), "hls/")
            .unwrap()
            .identity,
        "job:j1"
    );
}

#[test]
fn without_a_valid_file_id_or_job_id_an_event_is_malformed() {
    for (value, word) in [
        (json!({"name": "a"}), "file_id is missing"),
        (json!({"file_id": "a.b"}), "file_id"),
        (json!({"file_id": 7}), "file_id is not a text"),
        (json!({"file_id": "f", "job_id": "../x"}), "job_id"),
        (json!([]), "not a JSON object"),
    ] {
        let Malformed(reason) = read_json(&value).unwrap_err();
        assert!(reason.contains(word), "{reason}");
    }

    let Malformed(reason) = read(None, &vec![b' '; MAX_BYTES + 1], "hls/").unwrap_err();
    assert!(reason.contains("bytes"), "{reason}");
}

#[test]
fn everything_else_that_is_wrong_is_named_and_the_event_still_becomes_a_job() {
    let arrival = read_json(&json!({
        "file_id": "f1", "name": "x".repeat(300), "size": -1, "mime_type": "a\u{0}b", "output_prefix": "../../etc/",
        "settings": {"priority": "now", "max_attempts": 0}, "metadata": ["\u{0}"], "retry_of": "a b"
    }))
    .unwrap();

    assert_eq!(arrival.upload.name.len(), 255);
    assert_eq!(arrival.upload.mime_type, "ab");
    assert_eq!(arrival.output_prefix.as_str(), "hls/f1/");

    for word in [
        "name",
        "file_url",
        "size",
        "mime_type",
        "output_prefix",
        "priority",
        "max_attempts",
        "metadata",
        "retry_of",
    ] {
        assert!(
            arrival
                .violations
                .iter()
                .any(|violation| violation.contains(word)),
            "{word}: {:?}",
            arrival.violations
        );
    }
}

/// `metadata` that is an object nested to `levels`.
fn nested(levels: usize) -> String {
    format!("{}0{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

fn with_metadata(metadata: &str) -> Arrival {
    let body =
        format!(r#"{{"file_id":"f1","name":"a","file_url":"s3://b/k","metadata":{metadata}}}"#);
    read(None, body.as_bytes(), "hls/").unwrap()
}

#[test]
fn metadata_may_be_as_deep_and_as_long_as_a_fact_can_hold_it() {
    assert_eq!(
        with_metadata(&nested(MAX_DEPTH)).violations,
        Vec::<String>::new()
    );
    let deep = with_metadata(&nested(MAX_DEPTH + 1));
    assert_eq!(
        (deep.violations.len(), deep.upload.metadata),
        (1, json!({}))
    );

    // Five bytes that are written out as nineteen.
    let grows = with_metadata(&format!(r#"{{"a":[{}0]}}"#, "1e15,".repeat(50_000)));
    assert!(
        grows.violations[0].contains("when it is written out"),
        "{:?}",
        grows.violations
    );
    assert_eq!(grows.upload.metadata, json!({}));
}

#[test]
fn a_long_identity_is_kept_as_its_hash_and_stays_its_own() {
    let identity = |id: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("ce-id", id);
        headers.insert("ce-source", "/api");
        let body = br#"{"file_id":"f1","name":"a","file_url":"s3://b/k"}"#;
        read(Some(&headers), body, "hls/").unwrap().identity
    };

    let (long, longer) = ("x".repeat(100_000), "x".repeat(100_001));
    assert!(identity(&long).starts_with("event:sha256:") && identity(&long).len() < 100);
    assert_ne!(identity(&long), identity(&longer));
    assert_eq!(identity("7"), r#"event:["/api","7"]"#);
}

#[test]
fn a_trace_that_could_end_a_header_is_dropped() {
    for (trace, kept) in [
        ("00-1-2-01", true),
        ("00-1%0d%0aNats-Rollup: all", false),
        ("a b", false),
        ("\u{9b}2J", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", trace);
        let body = br#"{"file_id":"f1","name":"a","file_url":"s3://b/k"}"#;
        let arrival = read(Some(&headers), body, "hls/").unwrap();
        assert_eq!(arrival.traceparent.is_some(), kept, "{trace}");
    }
}

#[test]
fn a_prefix_outside_the_root_is_a_violation() {
    let arrival =
        read_json(&json!({"file_id": "f1", "name": "a", "file_url": "s3://b/k", "output_prefix": "other/f1/"}))
            .unwrap();
    assert_eq!(
        arrival.violations,
        ["output_prefix does not start with hls/"]
    );
}

const FIELDS: &[&str] = &[
    "file_id",
    "job_id",
    "name",
    "file_url",
    "mime_type",
    "size",
    "etag",
    "uploaded_by",
    "project_id",
    "folder_path",
    "metadata",
    "settings",
    "output_prefix",
    "retry_of",
    "data",
    "data_base64",
    "id",
    "source",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        "(f1|s3://b/k|hls/x/|[\\x00-\\x1f\\u{7f}-\\u{9f}\\u{202e}\\u{1f3ac}]{0,9}|.{0,300})"
            .prop_map(Value::from),
    ];

    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(FIELDS), inner, 0..9).prop_map(
                |map| map
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<Map<_, _>>()
                    .into()
            ),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(body: Vec<u8>) {
        let _ = read(None, &body, "hls/");
    }

    #[test]
    fn whatever_an_event_holds_it_becomes_a_fact_that_reads_back_or_says_what_is_wrong(
        mut fields in prop::collection::btree_map(prop::sample::select(FIELDS), any_json(), 0..18),
        id in prop::option::of("[a-zA-Z0-9_-]{1,128}"), headers in prop::collection::vec(("(ce-id|ce-source|content-type|traceparent|[!-9;-~]{1,9})", "[^\r\n]{0,60}"), 0..5),
    ) {
        if let Some(id) = id {
            fields.insert("file_id", id.into());
            fields.remove("job_id");
        }

        let map: HeaderMap = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        });

        let body = serde_json::to_vec(&fields).unwrap();
        match read(Some(&map), &body, "hls/") {
            Ok(arrival) => {
                let written = serde_json::to_vec(&arrival.upload).unwrap();
                prop_assert!(written.len() + arrival.identity.len() < 300 * 1024);
                prop_assert_eq!(serde_json::from_slice::<Upload>(&written).unwrap(), arrival.upload);
                prop_assert!(arrival.traceparent.iter().all(|trace| trace.bytes().all(|byte| byte.is_ascii_graphic())));
                prop_assert!(arrival.violations.iter().all(|violation| violation.len() < 1000));
            }
            Err(Malformed(reason)) => prop_assert!(!reason.is_empty() && reason.len() < 2000),
        }
    }

    #[test]
    fn whatever_is_accepted_fits_the_tables(name in "\\PC{0,600}|.{0,300}", url in "\\PC{0,60}") {
        let arrival = read_json(&json!({"file_id": "f1", "name": name, "file_url": url})).unwrap();
        prop_assert!(arrival.upload.name.chars().count() <= MAX_NAME && !arrival.upload.name.contains('\0'));
        prop_assert!(!arrival.upload.name.is_empty());
    }
}
