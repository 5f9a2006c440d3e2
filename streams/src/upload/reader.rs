//! The fields of an upload event, read one by one.

use serde_json::{Map, Value, json};

use super::{
    MAX_BUCKET, MAX_BYTES, MAX_DEPTH, MAX_KEY, MAX_MIME_TYPE, MAX_NAME, MAX_REFERENCE, MAX_TEXT,
    Malformed, Priority, Settings, SourceObject, UNKNOWN_MIME_TYPE, Upload,
};
use crate::id::{FileId, JobId, OutputPrefix};

/// Reads fields one by one and notes what is wrong with them instead of giving up.
pub(super) struct Reader {
    pub(super) fields: Map<String, Value>,
    pub(super) violations: Vec<String>,
}

impl Reader {
    pub(super) fn upload(&mut self, file_id: FileId) -> Upload {
        let name = self
            .required_text("name", MAX_NAME)
            .unwrap_or_else(|| file_id.to_string());
        let file_url = self.file_url();

        Upload {
            name,
            file_url,
            mime_type: self
                .text("mime_type", MAX_MIME_TYPE)
                .unwrap_or_else(|| UNKNOWN_MIME_TYPE.to_owned()),
            size: self.whole("size", i64::MAX.unsigned_abs()).unwrap_or(0),
            etag: self.text("etag", MAX_TEXT),
            uploaded_by: self.text("uploaded_by", MAX_REFERENCE),
            project_id: self.text("project_id", MAX_REFERENCE),
            folder_path: self
                .text("folder_path", MAX_TEXT)
                .unwrap_or_else(|| "/".to_owned()),
            metadata: self.metadata(),
            settings: self.settings(),
            file_id,
        }
    }

    /// Where the object is, from whichever of its two forms the event has.
    fn file_url(&mut self) -> String {
        let before = self.violations.len();
        let url = self.text("file_url", MAX_TEXT);
        let bucket = self.text("bucket", MAX_BUCKET);
        let key = self.text("key", MAX_KEY);

        if bucket.as_ref().is_some_and(|bucket| bucket.contains('/')) {
            self.add_violation("bucket contains a slash".to_owned());
        }

        // A field that was refused is not missing, too: one fault is reported once.
        let is_read = self.violations.len() == before;
        match (url, bucket, key) {
            (Some(url), None, None) => without_signature(url),
            (None, Some(bucket), Some(key)) => SourceObject { bucket, key }.url(),
            (Some(url), ..) => {
                self.add_violation(
                    "file_url is given together with bucket or key; send only one of the two"
                        .to_owned(),
                );
                without_signature(url)
            }
            (None, bucket, key) => {
                if is_read {
                    let missing = match (bucket, key) {
                        (Some(_), None) => "key is missing",
                        (None, Some(_)) => "bucket is missing",
                        _ => "file_url is missing, or bucket and key",
                    };
                    self.add_violation(missing.to_owned());
                }
                String::new()
            }
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    fn add_violation(&mut self, what: String) {
        self.violations.push(what);
    }

    /// A text without NUL, cut to `limit` characters.
    fn text(&mut self, name: &str, limit: usize) -> Option<String> {
        let value = self.take(name)?;
        let Value::String(text) = value else {
            self.add_violation(format!("{name} is not a text"));
            return None;
        };

        // The text goes into SQL columns, which have limits, and PostgreSQL accepts no NUL
        // character.
        if text.contains('\0') {
            self.add_violation(format!("{name} contains a NUL character"));
        }
        if text.chars().count() > limit {
            self.add_violation(format!("{name} is longer than {limit} characters"));
        }

        Some(text.chars().filter(|c| *c != '\0').take(limit).collect())
            .filter(|text: &String| !text.is_empty())
    }

    fn required_text(&mut self, name: &str, limit: usize) -> Option<String> {
        let before = self.violations.len();
        let text = self.text(name, limit);
        if text.is_none() && self.violations.len() == before {
            self.add_violation(format!("{name} is missing"));
        }
        text
    }

    fn whole(&mut self, name: &str, limit: u64) -> Option<u64> {
        let value = self.take(name)?;
        let whole = value.as_u64().filter(|number| *number <= limit);
        if whole.is_none() {
            self.add_violation(format!("{name} is not a whole number from 0 to {limit}"));
        }
        whole
    }

    fn metadata(&mut self) -> Value {
        let Some(value) = self.take("metadata") else {
            return json!({});
        };

        let fault = if !value.is_object() {
            "metadata is not an object".to_owned()
        } else if has_nul(&value) {
            "metadata contains a NUL character".to_owned()
        } else if depth(&value) > MAX_DEPTH {
            format!("metadata is nested deeper than {MAX_DEPTH} levels")
        } else if value.to_string().len() > MAX_BYTES {
            // Numbers may be longer when they are written than when they were received.
            format!("metadata has more than {MAX_BYTES} bytes when it is written out")
        } else {
            return value;
        };

        self.add_violation(fault);
        json!({})
    }

    fn settings(&mut self) -> Settings {
        let mut settings = Settings::default();
        let fields = match self.take("settings") {
            None => return settings,
            Some(Value::Object(fields)) => fields,
            Some(_) => {
                self.add_violation("settings is not an object".to_owned());
                return settings;
            }
        };

        let mut reader = Self {
            fields,
            violations: Vec::new(),
        };

        if let Some(profile) = reader.text("profile", 64) {
            settings.profile = profile;
        }
        match reader.text("priority", 64).as_deref() {
            None | Some("normal") => {}
            Some("high") => settings.priority = Priority::High,
            Some(_) => reader.add_violation("priority is neither normal nor high".to_owned()),
        }
        match reader.whole("max_attempts", 100) {
            None => {}
            Some(0) => reader.add_violation("max_attempts is 0".to_owned()),
            Some(limit) => {
                settings.max_attempts = u32::try_from(limit).unwrap_or(settings.max_attempts)
            }
        }

        self.violations.extend(
            reader
                .violations
                .into_iter()
                .map(|violation| format!("settings.{violation}")),
        );

        settings
    }

    pub(super) fn output_prefix(
        &mut self,
        root: &str,
        file: &FileId,
    ) -> Result<OutputPrefix, Malformed> {
        if let Some(text) = self.text("output_prefix", MAX_TEXT) {
            match text.parse::<OutputPrefix>() {
                Ok(prefix) if text.starts_with(root) => return Ok(prefix),
                Ok(_) => self.add_violation(format!("output_prefix does not start with {root}")),
                Err(error) => self.add_violation(error.to_string()),
            }
        }
        OutputPrefix::of_file(root, file).map_err(|error| Malformed(error.to_string()))
    }

    pub(super) fn optional_id(&mut self, name: &str) -> Option<JobId> {
        let text = self.text(name, MAX_TEXT)?;
        let parsed = text.parse::<JobId>();
        if let Err(error) = &parsed {
            self.add_violation(format!("{name}: {error}"));
        }
        parsed.ok()
    }
}

/// An HTTP URL without query and fragment, which may hold a signature. In `s3://` both are part of
/// the key.
fn without_signature(url: String) -> String {
    if url
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3://"))
    {
        return url;
    }
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Levels of nesting; 0 for what holds nothing else.
fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(fields) => fields.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}
