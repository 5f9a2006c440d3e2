//! The events: their bytes, and what has to become of each.

use streams::{Code, JobId};

/// What has to become of an event.
pub(super) enum ExpectedEnd {
    /// A dead letter, and no fact.
    Letter,
    /// A job that failed with this code, and no dead letter.
    Ended(Code),
}

/// An event.
pub(super) struct Odd {
    pub(super) name: &'static str,
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Vec<u8>,
    pub(super) expected_end: ExpectedEnd,
    number: usize,
}

impl Odd {
    /// The job its event names, or would.
    pub(super) fn job(&self) -> JobId {
        format!("job-{}", self.number).parse().unwrap()
    }
}

/// The event whose name holds what terminals act on.
pub(super) const ESCAPES: &str = "a name of escapes";

/// A source that is not there.
const NOWHERE: &str = r#""file_url":"s3://media/uploads/nowhere""#;

/// An event before it has its number: in its text, `@` stands for the ids, `%` for a name and a
/// source that does not exist.
type Draft = (&'static str, String, ExpectedEnd);

/// All of them.
pub(super) fn odds() -> Vec<Odd> {
    let drafts = [
        no_events(),
        no_ids(),
        broken_values(),
        broken_urls(),
        harmless(),
    ];
    let odds =
        drafts
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(number, (name, text, expected_end))| Odd {
                name,
                headers: headers(name),
                body: text
                    .replace(
                        '@',
                        &format!(r#""file_id":"odd-{number}","job_id":"job-{number}""#),
                    )
                    .replace('%', &format!(r#""name":"a.mp4",{NOWHERE}"#))
                    .into_bytes(),
                expected_end,
                number,
            });
    let mut odds: Vec<Odd> = odds.collect();
    let latin = odds.iter_mut().find(|odd| odd.name == "Latin-1").unwrap();
    latin.body.extend([b'"', 0xe9, b'"']);
    odds
}

fn headers(name: &str) -> Vec<(&'static str, &'static str)> {
    match name {
        "a trace that would end its header" => {
            vec![("traceparent", "00-1-2-01%0d%0aNats-Rollup: all%0d%0a")]
        }
        "a structured event without data" => vec![("Content-Type", "application/cloudevents+json")],
        _ => Vec::new(),
    }
}

fn letter(name: &'static str, text: impl Into<String>) -> Draft {
    (name, text.into(), ExpectedEnd::Letter)
}

/// An event with this fault in one of its fields, which precede its ids.
fn invalid(name: &'static str, fields: impl AsRef<str>) -> Draft {
    (
        name,
        format!("{{%,{},@}}", fields.as_ref()),
        ExpectedEnd::Ended(Code::InvalidEvent),
    )
}

/// An event with this text, already escaped for JSON, as its `file_url`.
fn forbidden(name: &'static str, url: impl AsRef<str>) -> Draft {
    let text = format!(
        r#"{{@,"name":"a.mp4","file_url":"{}"}}"#,
        url.as_ref().replace('%', "\\u0025").replace('@', "\\u0040")
    );
    // The ids are the one sign that stands for itself.
    (name, text, ExpectedEnd::Ended(Code::ForbiddenSource))
}

/// An event whose only fault is that its source is not there.
fn missing(name: &'static str, fields: impl AsRef<str>) -> Draft {
    (
        name,
        format!("{{%,{},@}}", fields.as_ref()),
        ExpectedEnd::Ended(Code::SourceNotFound),
    )
}

fn no_events() -> Vec<Draft> {
    let nested = |levels: usize| format!("{}0{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    vec![
        letter("nothing", ""),
        letter("blanks", "   \n"),
        letter("a word", "upload"),
        letter("null", "null"),
        letter("a number", "1e308"),
        letter("a list", "[]"),
        letter("a text", r#""{}""#),
        letter("a byte order mark", "\u{feff}{@,%}"),
        letter("two events", "{@,%}{@,%}"),
        letter("an open event", "{@,%"),
        letter("a comment", "{@,% /* x */}"),
        letter("Latin-1", "{@,%,\"x\":"),
        letter("half a surrogate pair", r#"{@,%,"etag":"\ud800"}"#),
        letter("a number beyond all", "{@,%,\"size\":1e999}"),
        letter("brackets without end", "[".repeat(200_000)),
        letter("braces without end", r#"{"a":"#.repeat(40_000)),
        letter(
            "metadata deeper than JSON is read",
            format!("{{@,%,\"metadata\":{}}}", nested(200)),
        ),
        letter("a structured event without data", "{@,%}"),
        letter(
            "a name of 300 KB",
            format!("{{@,{NOWHERE},\"name\":\"{}\"}}", "n".repeat(300_000)),
        ),
        letter(
            "an event of 700 KB",
            format!("{{@,%,\"x\":\"{}\"}}", "x".repeat(700_000)),
        ),
        (
            "an event of 900 KB",
            format!("{{@,%,\"x\":\"{}\"}}", "x".repeat(900_000)),
            ExpectedEnd::Letter,
        ),
    ]
}

fn no_ids() -> Vec<Draft> {
    let ids = [
        ("no file_id", ""),
        ("file_id null", r#""file_id":null,"#),
        ("file_id of digits", r#""file_id":7,"#),
        ("file_id list", r#""file_id":["a"],"#),
        ("file_id object", r#""file_id":{"a":"b"},"#),
        ("file_id empty", r#""file_id":"","#),
        ("file_id up", r#""file_id":"../../etc/passwd","#),
        ("file_id up, encoded", r#""file_id":"\u00252e\u00252e","#),
        ("file_id of subject signs", r#""file_id":"a.*.>","#),
        ("file_id with NUL", r#""file_id":"a\u0000b","#),
        (
            "file_id with a joiner of no width",
            r#""file_id":"f\u200d1","#,
        ),
        ("file_id that turns", r#""file_id":"\u202e1f","#),
        (
            "file_id with letters of another script",
            r#""file_id":"\u0430bc","#,
        ),
        ("file_id with an escape", r#""file_id":"\u001b]0;x\u0007","#),
        ("job_id up", r#""file_id":"f1","job_id":"../x","#),
        ("job_id list", r#""file_id":"f1","job_id":[],"#),
        ("job_id object", r#""file_id":"f1","job_id":{},"#),
        (
            "job_id with line breaks",
            r#""file_id":"f1","job_id":"a\r\nb","#,
        ),
    ];
    let mut drafts: Vec<Draft> = ids
        .into_iter()
        .map(|(name, ids)| letter(name, format!("{{{ids}%}}")))
        .collect();
    drafts.push(letter(
        "file_id of 129",
        format!("{{\"file_id\":\"{}\",%}}", "f".repeat(129)),
    ));
    drafts.push(letter(
        "file_id of 200 KB",
        format!("{{\"file_id\":\"{}\",%}}", "f".repeat(200_000)),
    ));
    drafts
}

#[expect(clippy::too_many_lines, reason = "a table, one row after the other")]
fn broken_values() -> Vec<Draft> {
    let nested = |levels: usize| format!("{}0{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let simple = [
        ("name null", r#""name":null"#),
        ("name list", r#""name":["a"]"#),
        ("name object", r#""name":{}"#),
        ("name of NUL", r#""name":"\u0000""#),
        ("name with NUL", r#""name":"a\u0000b.mp4""#),
        ("file_url null", r#""file_url":null"#),
        ("file_url list", r#""file_url":["s3://media/x"]"#),
        ("file_url with NUL", r#""file_url":"s3://media/a\u0000b""#),
        ("mime_type with NUL", r#""mime_type":"video/\u0000""#),
        ("etag with NUL", r#""etag":"\u0000""#),
        ("uploaded_by with NUL", r#""uploaded_by":"u\u0000""#),
        ("project_id with NUL", r#""project_id":"p\u0000""#),
        ("folder_path with NUL", r#""folder_path":"/\u0000/""#),
        ("size below zero", r#""size":-1"#),
        ("size with a point", r#""size":1.5"#),
        ("size in tens", r#""size":1e3"#),
        ("size beyond 63 bits", r#""size":9223372036854775808"#),
        ("size beyond 64 bits", r#""size":99999999999999999999"#),
        ("size in words", r#""size":"7""#),
        ("size list", r#""size":[7]"#),
        ("metadata list", r#""metadata":[1]"#),
        ("metadata text", r#""metadata":"{}""#),
        ("metadata with NUL", r#""metadata":{"a":["\u0000"]}"#),
        ("metadata with NUL in a name", r#""metadata":{"a\u0000":1}"#),
        ("settings list", r#""settings":[]"#),
        ("settings text", r#""settings":"fast""#),
        ("profile list", r#""settings":{"profile":[]}"#),
        (
            "profile with NUL",
            r#""settings":{"profile":"\u0000standard"}"#,
        ),
        (
            "priority no one knows",
            r#""settings":{"priority":"\u001b[2J"}"#,
        ),
        ("attempts below zero", r#""settings":{"max_attempts":-5}"#),
        (
            "attempts without end",
            r#""settings":{"max_attempts":4294967296}"#,
        ),
        ("attempts none", r#""settings":{"max_attempts":0}"#),
        ("output_prefix up", r#""output_prefix":"hls/../../etc/""#),
        (
            "output_prefix up, encoded",
            r#""output_prefix":"hls/\u00252e\u00252e/""#,
        ),
        ("output_prefix at the root", r#""output_prefix":"/etc/""#),
        (
            "output_prefix with two slashes",
            r#""output_prefix":"hls//x/""#,
        ),
        (
            "output_prefix with backslashes",
            r#""output_prefix":"hls\\..\\x/""#,
        ),
        ("output_prefix without an end", r#""output_prefix":"hls/x""#),
        ("output_prefix elsewhere", r#""output_prefix":"tmp/x/""#),
        (
            "output_prefix that turns",
            r#""output_prefix":"hls/\u202e/""#,
        ),
        ("output_prefix list", r#""output_prefix":["hls/x/"]"#),
        ("retry_of up", r#""retry_of":"../x""#),
        ("retry_of list", r#""retry_of":[]"#),
    ];
    let mut drafts: Vec<Draft> = simple
        .into_iter()
        .map(|(name, fields)| invalid(name, fields))
        .collect();
    let text =
        |field: &str, text: &str, count: usize| format!("\"{field}\":\"{}\"", text.repeat(count));
    drafts.extend([
        invalid("name of 256 pictures", text("name", "🎬", 256)),
        invalid("name of 200 KB", text("name", "n", 200_000)),
        invalid("mime_type of 101 pictures", text("mime_type", "🎬", 101)),
        invalid(
            "uploaded_by of 256 pictures",
            text("uploaded_by", "🎬", 256),
        ),
        invalid("project_id of 60 KB", text("project_id", "🎬", 15_000)),
        invalid("folder_path of 100 KB", text("folder_path", "/..", 30_000)),
        invalid("etag of 100 KB", text("etag", "e", 100_000)),
        invalid(
            "file_url of 100 KB",
            text("file_url", "s3://media/", 10_000),
        ),
        invalid(
            "output_prefix of 201",
            format!("\"output_prefix\":\"hls/{}/\"", "x".repeat(196)),
        ),
        invalid(
            "output_prefix of 100 KB",
            text("output_prefix", "hls/", 25_000),
        ),
        invalid(
            "metadata of 65 levels",
            format!("\"metadata\":{}", nested(65)),
        ),
        invalid(
            "metadata of 120 levels",
            format!("\"metadata\":{}", nested(120)),
        ),
        invalid(
            "metadata that grows",
            format!("\"metadata\":{{\"a\":[{}0]}}", "1e15,".repeat(50_000)),
        ),
    ]);
    drafts
}

fn broken_urls() -> Vec<Draft> {
    let urls = [
        ("a local file", "file:///etc/passwd"),
        ("a path", "/etc/passwd"),
        ("a path up", "../../etc/passwd"),
        ("no scheme", "//media/x"),
        (
            "the metadata service",
            "http://169.254.169.254/latest/meta-data/",
        ),
        (
            "the metadata service in one number",
            "http://2852039166/latest/meta-data/",
        ),
        (
            "the metadata service in version 6",
            "http://[fd00:ec2::254]/media/x",
        ),
        ("this machine", "http://127.0.0.1:1/media/x"),
        ("this machine by name", "http://localhost/media/x"),
        ("this machine in version 6", "http://[::1]/media/x"),
        ("an address cut short", "http://[::1/media/x"),
        (
            "a host with our host before it",
            "https://s3.amazonaws.com.evil.example/media/x",
        ),
        (
            "our host as a user",
            "https://s3.amazonaws.com@evil.example/media/x",
        ),
        (
            "a user and a secret",
            "https://user:secret@s3.amazonaws.com/media/x",
        ),
        ("no host", "http:///media/x"),
        ("a port beyond all", "http://s3.amazonaws.com:99999/media/x"),
        (
            "a query with a secret",
            "https://evil.example/x?X-Amz-Signature=secret",
        ),
        ("another bucket", "s3://other/x"),
        ("our bucket in capitals", "s3://MEDIA/x"),
        ("our bucket as a user", "s3://media@other/x"),
        ("our bucket with a port", "s3://media:80/x"),
        ("our bucket with a full stop", "s3://media./x"),
        ("no bucket", "s3:///x"),
        ("one slash", "s3:/media/x"),
        ("no key", "s3://media"),
        ("an empty key", "s3://media/"),
        ("a key up", "s3://media/../x"),
        ("a key up in its middle", "s3://media/a/../../x"),
        ("a key up by backslashes", r"s3://media/..\\x"),
        ("a key that stays", "s3://media/./x"),
        ("a key with a line break", r"s3://media/a\nb"),
        ("blanks around it", " s3://media/x "),
        ("a concatenation", "concat:s3://media/a|s3://media/b"),
        ("data itself", "data:video/mp4;base64,AAAA"),
        ("a pipe", "pipe:0"),
        ("a script", "javascript:alert(1)"),
        ("an escape as a bucket", r"s3://\u001b[2J/x"),
        ("a bucket that turns", r"s3://\u202e\u2066x/x"),
    ];
    let mut drafts: Vec<Draft> = urls
        .into_iter()
        .map(|(name, url)| forbidden(name, url))
        .collect();
    drafts.push(forbidden(
        "a key of 1025 bytes",
        format!("s3://media/{}", "k".repeat(1025)),
    ));
    drafts.push(forbidden(
        "a bucket of 1900 letters",
        format!("s3://{}/x", "b".repeat(1900)),
    ));
    drafts
}

#[expect(clippy::too_many_lines, reason = "a table, one row after the other")]
fn harmless() -> Vec<Draft> {
    let nested = |levels: usize| format!("{}0{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let text =
        |field: &str, text: &str, count: usize| format!("\"{field}\":\"{}\"", text.repeat(count));
    vec![
        missing(
            ESCAPES,
            r#""name":"\u001b]0;owned\u0007\u001b[2J\u009b31m\u202egpj.exe\u0008\r\n","mime_type":"text/html\r\nX: y\u001b[0m""#,
        ),
        missing("a name of 255 pictures", text("name", "🎬", 255)),
        missing(
            "a name of joined pictures, cut between",
            text("name", "👩\u{200d}", 127),
        ),
        missing("a name of marks that join", text("name", "e\u{301}", 127)),
        missing(
            "a name that turns",
            r#""name":"\u202e\u2066\u200f\u05d0\u05d1""#,
        ),
        missing(
            "a name of a non-character",
            r#""name":"\uffff\ufffe\udbff\udfff""#,
        ),
        missing(
            "a name that is a path up",
            r#""name":"../../../../etc/passwd""#,
        ),
        missing(
            "a name that is a script",
            r#""name":"<script>alert(1)</script>'; DROP TABLE files; --""#,
        ),
        missing("a folder up", r#""folder_path":"../../../../etc/""#),
        missing("a folder of 2048 pictures", text("folder_path", "🎬", 2048)),
        missing(
            "references of 255 pictures",
            [text("uploaded_by", "🎬", 255), text("project_id", "🎞", 255)].join(","),
        ),
        missing("a type of 100 pictures", text("mime_type", "🎬", 100)),
        missing("a trace that would end its header", r#""folder_path":"/""#),
        missing("ids twice", r#""file_id":"another","job_id":"another""#),
        missing(
            "everything unknown",
            r#""\u0000":"\u0000","__proto__":{},"v":[[[]]]"#,
        ),
        missing(
            "metadata of 64 levels",
            format!("\"metadata\":{}", nested(64)),
        ),
        missing(
            "metadata of 200 KB",
            format!("\"metadata\":{{\"a\":\"{}\"}}", "🎬".repeat(50_000)),
        ),
        missing(
            "metadata of odd names",
            r#""metadata":{"":"","\u202e":"\u001b","a\"b":1e-300,"$where":1e308}"#,
        ),
        missing("a size beyond reason", r#""size":9223372036854775807"#),
        missing(
            "a key with two slashes",
            r#""file_url":"s3://media/double//slash""#,
        ),
        missing("a key of pictures", r#""file_url":"s3://media/🎬/\u00f0""#),
        // In `s3://` nothing is decoded: these are letters of the key.
        missing(
            "a key with a slash encoded",
            r#""file_url":"s3://media/a\u00252Fb?c#d""#,
        ),
        missing(
            "a key up, encoded",
            r#""file_url":"s3://media/\u00252e\u00252e/x""#,
        ),
        missing(
            "a key up by encoded backslashes",
            r#""file_url":"s3://media/..\u00255cx""#,
        ),
        missing(
            "a key with an encoded NUL",
            r#""file_url":"s3://media/a\u002500b""#,
        ),
        missing(
            "a key with an encoded line break",
            r#""file_url":"s3://media/a\u00250d\u00250ab""#,
        ),
        missing(
            "a key encoded as no text",
            r#""file_url":"s3://media/\u0025ff\u0025fe""#,
        ),
        missing(
            "a key by its bucket",
            r#""file_url":null,"bucket":"media","key":"no/such key?#""#,
        ),
        missing(
            "a key with markup",
            r#""file_url":"s3://media/<b>&amp;'\"""#,
        ),
    ]
}
