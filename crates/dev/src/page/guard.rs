//! The guard: keeps other sites' pages from using this one behind the user's back.
//!
//! Browsers declare the origin of a request: `Origin` on every request that changes something, and
//! `Sec-Fetch-Site` on all (<https://www.w3.org/TR/fetch-metadata/>). Another port of this machine
//! is another origin, hence foreign too.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Answers 403 to requests that a page of another origin made, and passes on every other.
pub(super) async fn refuse_foreign_pages(request: Request, next: Next) -> Response {
    if is_own_page(request.method(), request.headers()) {
        return next.run(request).await;
    }
    (
        StatusCode::FORBIDDEN,
        "Only this server's own page may do that.\n",
    )
        .into_response()
}

/// Whether the page of this server made the request; for reading, also if no page made it.
fn is_own_page(method: &Method, headers: &HeaderMap) -> bool {
    // A value that is no text counts as a foreign one, never as absent.
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    let origin = text(header::ORIGIN);
    let own_origin = text(header::HOST).map(|host| format!("http://{host}"));

    let same_origin = origin.is_none_or(|origin| own_origin.as_deref() == Some(origin));
    let same_site = match site {
        None | Some("same-origin") => true,
        // Typed into the address bar.
        Some("none") => method.is_safe(),
        Some(_) => false,
    };

    // A request without these headers does not come from a page, and may only read.
    let says_something = site.is_some() || origin.is_some();
    same_origin && same_site && (method.is_safe() || says_something)
}

/// The security headers of every answer, for a page that plays from `media_origin`.
#[derive(Debug, Clone)]
pub(super) struct SecurityHeaders {
    policy: HeaderValue,
}

impl SecurityHeaders {
    /// Everything is forbidden but what the page needs: itself, the store, and the `blob:` address
    /// under which a browser plays what a script feeds it.
    ///
    /// A `media_origin` that is no header text is left out, and the browser then refuses to play.
    pub(super) fn new(media_origin: &str) -> Self {
        let policy = |store: &str| {
            HeaderValue::try_from(format!(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' {store}; \
                 media-src 'self' blob: {store}; connect-src 'self' {store}; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'none'"
            ))
        };

        // These characters would end the list of sources and begin another rule of the policy.
        let plain = !media_origin.contains([';', ',', ' ', '\'']);
        let policy = policy(if plain { media_origin } else { "" })
            .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
        Self { policy }
    }
}

/// Adds [`SecurityHeaders`] to an answer.
pub(super) async fn add_security_headers(
    State(security): State<SecurityHeaders>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, security.policy);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );

    let names = ["cross-origin-opener-policy", "cross-origin-resource-policy"];
    for name in names.map(HeaderName::from_static) {
        headers.insert(name, HeaderValue::from_static("same-origin"));
    }

    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let host = (header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
        let fields = fields.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        fields.chain([host]).collect()
    }

    #[test]
    fn our_own_page_may_read_and_change() {
        let own = headers(&[
            ("origin", "http://127.0.0.1:8080"),
            ("sec-fetch-site", "same-origin"),
        ]);
        assert!(is_own_page(&Method::POST, &own) && is_own_page(&Method::GET, &own));
        assert!(is_own_page(
            &Method::POST,
            &headers(&[("origin", "http://127.0.0.1:8080")])
        ));
        assert!(is_own_page(
            &Method::POST,
            &headers(&[("sec-fetch-site", "same-origin")])
        ));
    }

    #[test]
    fn a_reader_that_is_no_page_may_read_and_not_change() {
        for fields in [&[][..], &[("sec-fetch-site", "none")]] {
            assert!(is_own_page(&Method::GET, &headers(fields)));
            assert!(!is_own_page(&Method::POST, &headers(fields)));
        }
    }

    #[test]
    fn a_foreign_page_may_neither_read_nor_change() {
        for fields in [
            &[("origin", "http://evil.test")][..],
            &[("origin", "null")],
            &[("origin", "http://127.0.0.1:9000")],
            &[("origin", "https://127.0.0.1:8080")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[
                ("origin", "http://127.0.0.1:8080"),
                ("sec-fetch-site", "cross-site"),
            ],
            &[
                ("origin", "http://evil.test"),
                ("sec-fetch-site", "same-origin"),
            ],
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                assert!(
                    !is_own_page(&method, &headers(fields)),
                    "{method} {fields:?}"
                );
            }
        }
    }

    #[test]
    fn an_origin_cannot_add_rules_to_the_policy() {
        let SecurityHeaders { policy } = SecurityHeaders::new("http://a; script-src *");
        let policy = policy.to_str().unwrap();
        assert!(
            !policy.contains("script-src *") && policy.contains("script-src 'self'"),
            "{policy}"
        );
    }
}
