//! What the store answers, as far as it gets.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{MIDDLE, Shared};
use crate::harness::fault::{Fate, Fault, Mishap};

/// The size of the pieces of a trickling answer, in bytes.
const PIECE: usize = 16 * 1024;

/// The way of answers.
pub(super) struct Answers {
    pub(super) from: OwnedReadHalf,
    pub(super) to: OwnedWriteHalf,
    pub(super) fates: watch::Receiver<Fate>,
    pub(super) shared: Shared,
}

impl Answers {
    pub(super) async fn pass(mut self, canned: tokio::sync::oneshot::Receiver<String>) {
        tokio::select! {
            () = self.pass_stored() => {}
            answer = canned => match answer {
                Ok(answer) => drop(self.to.write_all(answer.as_bytes()).await),
                // The side of the requests is done, and ends the connection itself.
                Err(_) => std::future::pending().await,
            },
        }
    }

    async fn pass_stored(&mut self) {
        let mut buffer = vec![0; 64 * 1024];
        let (mut left, mut fate) = (None, Fate::default());
        while let Ok(n @ 1..) = self.from.read(&mut buffer).await {
            let mut bytes = &buffer[..n];
            let fault = self.shared.faults.borrow_and_update().clone();
            match fault {
                Fault::Refuse => return,
                // What is held back goes on as soon as the store is as it should be.
                Fault::Delay(pause) => drop(timeout(pause, self.shared.faults.changed()).await),
                Fault::None
                | Fault::CutReads { .. }
                | Fault::First { .. }
                | Fault::Strike { .. } => {}
            }

            if self.fates.has_changed().unwrap_or(false) {
                // A new answer begins: its head passes, and counts as no part of the body.
                fate = *self.fates.borrow_and_update();
                let head = bytes
                    .windows(4)
                    .position(|end| end == b"\r\n\r\n")
                    .map_or(0, |end| end + 4);
                left = fate
                    .limit(&bytes[..head])
                    .map(|allowed| allowed + head as u64);
            }

            let whole = left.is_none_or(|left| left >= bytes.len() as u64);
            if let (false, Some(left)) = (whole, left) {
                bytes = &bytes[..usize::try_from(left).unwrap()];
            }
            left = left.map(|left| left - bytes.len() as u64);

            if self.write(bytes, fate).await.is_err() {
                return;
            }

            if !whole {
                self.shared.count();
                if fate.mishap == Some(Mishap::StallAnswer) {
                    let _ = self.shared.faults.changed().await;
                }
                return;
            }
        }
    }

    async fn write(&mut self, bytes: &[u8], fate: Fate) -> std::io::Result<()> {
        let Some(Mishap::Trickle(pause)) = fate.mishap else {
            return self.to.write_all(bytes).await;
        };
        for piece in bytes.chunks(PIECE) {
            tokio::time::sleep(pause).await;
            self.to.write_all(piece).await?;
        }
        Ok(())
    }
}

impl Fate {
    /// How many bytes of the body behind this head of an answer pass, where not all of them do.
    fn limit(self, head: &[u8]) -> Option<u64> {
        match self.mishap {
            Some(Mishap::CutAnswer | Mishap::StallAnswer) => {
                let text = String::from_utf8_lossy(head).to_ascii_lowercase();
                let length = text.lines().find_map(|line| {
                    line.strip_prefix("content-length:")?
                        .trim()
                        .parse::<u64>()
                        .ok()
                });
                Some((length.unwrap_or(0) / 2).min(MIDDLE))
            }
            _ => self.allowed,
        }
    }
}
