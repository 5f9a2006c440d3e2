//! An HTTP URL cut into what matters (RFC 3986 section 3, and section 2.1 for percent-encoding).

use url::Url;

use super::forbidden::ForbiddenSource;

/// How much of a foreign name an error repeats, in characters.
const MAX_QUOTED_CHARS: usize = 80;

/// A URL cut into what matters, its path still encoded.
pub(super) struct Address<'a> {
    /// In lower case.
    pub(super) host: String,
    /// `None` is the default port of the scheme.
    pub(super) port: Option<u16>,
    /// Starts with a slash, unless it is empty.
    pub(super) path: &'a str,
}

impl<'a> Address<'a> {
    /// Cuts `http://…` or `https://…` without query and fragment.
    pub(super) fn parse(text: &'a str) -> Result<Self, ForbiddenSource> {
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

        // Only the authority goes through the parser, which would resolve `..` in the path and hide
        // it from the check of the key.
        let scheme = &text[..text.len() - rest.len()];
        let url =
            Url::parse(&format!("{scheme}{authority}/")).map_err(|_| ForbiddenSource::NotAUrl)?;
        let host = url.host_str().ok_or(ForbiddenSource::NotAUrl)?.to_owned();

        Ok(Self {
            host,
            port: url.port(),
            path,
        })
    }

    /// The host, with a port that is not the default, short enough for an error.
    pub(super) fn quoted_host(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", quote(&self.host))
    }
}

/// What follows `scheme://`.
pub(super) fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = text.split_once("://")?;
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The beginning of a foreign name, with everything spelled out that a log or a terminal would not
/// show as it is.
pub(super) fn quote(text: &str) -> String {
    text.chars()
        .take(MAX_QUOTED_CHARS)
        .flat_map(char::escape_debug)
        .collect()
}
