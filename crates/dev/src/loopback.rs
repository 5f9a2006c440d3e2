//! The loopback interface: listening on it, and distinguishing its names from foreign ones.
//!
//! A server on 127.0.0.1 is still reachable by every page in the user's browser. A page of another
//! site may send requests here, and if its host name resolves to 127.0.0.1 (DNS rebinding), it has
//! the same origin as this server. So a server of `dev` answers only requests whose `Host` is a
//! loopback name.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use url::{Host, Url};

/// How many ports above the wanted one are tried before giving up.
const PORTS_TRIED: u16 = 100;

/// Listens on 127.0.0.1 at `wanted`, or at the next free port above it; 0 takes any free port.
///
/// The caller reads the port that was found from the listener's `local_addr`.
///
/// # Errors
/// Whatever refused the last port tried; any error but a busy port ends the search at once.
pub async fn bind(wanted: u16) -> io::Result<TcpListener> {
    let mut port = wanted;
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && port < wanted.saturating_add(PORTS_TRIED) =>
            {
                port += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Whether an authority (`Host` header, RFC 9110 section 7.2: name and optional port) names the
/// loopback interface.
pub fn is_loopback_authority(authority: &str) -> bool {
    // A user part or a path would make the authority mean something else than it shows.
    if authority.contains(['@', '/', '\\', '?', '#']) {
        return false;
    }
    is_loopback_origin(&format!("http://{authority}"))
}

/// Whether an origin (`Origin` header) is an http or https page on the loopback interface.
pub fn is_loopback_origin(origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else {
        return false;
    };

    if !matches!(url.scheme(), "http" | "https") {
        return false;
    }

    match url.host() {
        // Every name below `localhost` is a loopback name, too (RFC 6761 section 6.3).
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
        None => false,
    }
}

/// Answers 403 to a request whose `Host` is not a loopback name, and passes on every other.
pub(crate) async fn refuse_foreign_hosts(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    if host
        .and_then(|host| host.to_str().ok())
        .is_some_and(is_loopback_authority)
    {
        return next.run(request).await;
    }
    let explanation = "This server answers only to 127.0.0.1 and localhost.\n";
    (StatusCode::FORBIDDEN, explanation).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_port_gives_way_to_the_next_free_one() {
        let first = bind(0).await.unwrap();
        let taken = first.local_addr().unwrap().port();
        let second = bind(taken).await.unwrap();
        let found = second.local_addr().unwrap().port();
        assert!(
            found > taken && found <= taken.saturating_add(PORTS_TRIED),
            "{taken} -> {found}"
        );
    }

    #[test]
    fn only_loopback_names_pass_as_hosts() {
        for good in [
            "127.0.0.1",
            "127.0.0.1:8080",
            "localhost:1",
            "LOCALHOST",
            "[::1]:9000",
            "a.localhost",
        ] {
            assert!(is_loopback_authority(good), "{good}");
        }

        for bad in [
            "",
            "evil.test",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "evil.test:127",
            "10.0.0.1",
            "localhost@evil.test",
            "evil.test/localhost",
            "127.0.0.1:99999",
            "[::2]",
            "evil.test#localhost",
        ] {
            assert!(!is_loopback_authority(bad), "{bad}");
        }
    }

    #[test]
    fn only_web_pages_of_this_machine_pass_as_origins() {
        assert!(is_loopback_origin("http://127.0.0.1:8080"));
        assert!(is_loopback_origin("https://localhost"));
        for bad in [
            "null",
            "file://localhost/x",
            "http://evil.test",
            "localhost",
            "",
        ] {
            assert!(!is_loopback_origin(bad), "{bad}");
        }
    }
}
