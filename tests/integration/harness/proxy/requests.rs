//! What clients ask, each request by its own fate.

use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use super::{MIDDLE, Shared};
use crate::harness::fault::{Fate, Mishap};

/// The way of what is sent.
pub(super) struct Requests {
    pub(super) from: OwnedReadHalf,
    pub(super) to: OwnedWriteHalf,
    pub(super) fate: watch::Sender<Fate>,
    pub(super) shared: Shared,
}

/// The head of a request, as far as the proxy cares.
struct Head {
    method: String,
    target: String,
    path: String,
    first_byte: u64,
    body: u64,
}

impl Requests {
    /// Passes requests on, one after the other, each by its own fate. One that is answered in the
    /// store's place is the connection's last.
    pub(super) async fn pass(mut self, canned: tokio::sync::oneshot::Sender<String>) {
        while let Some((bytes, head)) = self.head().await {
            let n = self.shared.requests.fetch_add(1, Ordering::Relaxed);
            let fault = self.shared.faults.borrow_and_update().clone();
            let fate = fault.fate(
                n,
                &self.shared.struck,
                &head.method,
                &head.target,
                head.first_byte,
            );

            if head.method == "PUT" {
                self.shared
                    .writes
                    .send_modify(|writes| writes.push(head.path.clone()));
            }
            // Set before the request leaves, so that its answer meets the same fate.
            self.fate.send_replace(fate);
            match fate.mishap {
                Some(Mishap::Answer(status, code) | Mishap::Dated(status, code, _)) => {
                    self.shared.count();
                    // Read to its end first: a connection that is closed with unread bytes is
                    // reset, and the client may lose the answer (RFC 9112, section 9.6).
                    if self.body(head.body, false).await {
                        let ahead = match fate.mishap {
                            Some(Mishap::Dated(_, _, minutes)) => TimeDelta::minutes(minutes),
                            _ => TimeDelta::zero(),
                        };
                        let date = Utc::now() + ahead;
                        let _ =
                            canned.send(canned_answer(status, code, date, head.method == "HEAD"));
                    }
                    // The side of the answers sends it and ends the connection; to return here
                    // would end it before.
                    return std::future::pending().await;
                }
                Some(Mishap::Document(document)) => {
                    self.shared.count();
                    if self.body(head.body, false).await {
                        let _ = canned.send(written(
                            200,
                            "OK",
                            Utc::now(),
                            document,
                            head.method == "HEAD",
                        ));
                    }
                    return std::future::pending().await;
                }
                Some(mishap @ (Mishap::CutRequest | Mishap::StallRequest)) if head.body > 0 => {
                    self.shared.count();
                    let middle = (head.body / 2).min(MIDDLE);
                    let passed =
                        self.to.write_all(&bytes).await.is_ok() && self.body(middle, true).await;
                    if passed && mishap == Mishap::StallRequest {
                        let _ = self.shared.faults.changed().await;
                    }
                    return;
                }
                _ => {}
            }

            if self.to.write_all(&bytes).await.is_err() || !self.body(head.body, true).await {
                return;
            }
        }
    }

    /// Reads up to the end of the next head; nothing at the end of the connection.
    async fn head(&mut self) -> Option<(Vec<u8>, Head)> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            bytes.push(self.from.read_u8().await.ok()?);
        }
        let head = Head::read(&String::from_utf8_lossy(&bytes))?;
        Some((bytes, head))
    }

    /// Passes so many bytes of a body on, or swallows them; false where they do not come.
    async fn body(&mut self, length: u64, passes: bool) -> bool {
        let mut body = (&mut self.from).take(length);
        let copied = if passes {
            tokio::io::copy(&mut body, &mut self.to).await
        } else {
            tokio::io::copy(&mut body, &mut tokio::io::sink()).await
        };
        copied.is_ok_and(|copied| copied == length)
    }
}

impl Head {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.lines().next()?.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let field = |name: &str| {
            text.lines().find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found
                    .eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            })
        };
        let first_byte = field("range").and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .split('-')
                .next()?
                .parse()
                .ok()
        });

        Some(Self {
            method,
            target: target.to_owned(),
            path: target.split('?').next()?.to_owned(),
            first_byte: first_byte.unwrap_or(0),
            body: field("content-length")
                .and_then(|length| length.parse().ok())
                .unwrap_or(0),
        })
    }
}

/// What the proxy answers in the store's place: an error of S3.
fn canned_answer(status: u16, code: &str, date: DateTime<Utc>, is_head: bool) -> String {
    let body = format!("<Error><Code>{code}</Code><Message>struck by the test</Message></Error>");
    written(status, code, date, &body, is_head)
}

/// An answer as it is on the wire.
fn written(
    status: u16,
    reason: &str,
    date: DateTime<Utc>,
    document: &str,
    is_head: bool,
) -> String {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{document}");
    let length = body.len();
    let date = date.format("%a, %d %b %Y %H:%M:%S GMT");
    // An answer to HEAD has the length of the body that it leaves out (RFC 9110, section 9.3.2).
    let body = if is_head { String::new() } else { body };
    format!(
        "HTTP/1.1 {status} {reason}\r\nDate: {date}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}
