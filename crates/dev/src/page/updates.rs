//! The stream of updates that an open page follows.

use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use futures::stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::job_list::JobList;
use super::page_handle::PageHandle;

/// How long a page waits before it comes back after the stream broke.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);
/// How often a quiet stream shows that it lives.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Answers with a `snapshot` of all jobs, then with `updates` as they happen, until the server
/// stops or the recording side is gone.
pub(super) async fn updates(
    State(page_handle): State<PageHandle>,
) -> Sse<impl Stream<Item = Result<Event, axum::Error>>> {
    let reader = Reader {
        job_list: page_handle.job_list,
        closing: page_handle.closing,
        seen: None,
    };
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE_INTERVAL);
    Sse::new(stream::unfold(reader, Reader::next)).keep_alive(keep_alive)
}

/// One page's place on the job list.
struct Reader {
    job_list: watch::Receiver<JobList>,
    closing: CancellationToken,
    /// The last revision this page has; none before its snapshot.
    seen: Option<u64>,
}

impl Reader {
    async fn next(mut self) -> Option<(Result<Event, axum::Error>, Self)> {
        // The snapshot goes out at once; only later events wait for a change.
        if self.seen.is_some() {
            tokio::select! {
                change = self.job_list.changed() => change.ok()?,
                () = self.closing.cancelled() => return None,
            }
        }

        let event = match self.seen {
            None => Event::default().event("snapshot").retry(RECONNECT_DELAY),
            Some(_) => Event::default().event("updates"),
        };

        let job_list = self.job_list.borrow_and_update();
        let event = event.json_data(job_list.changed_since(self.seen.unwrap_or_default()));
        self.seen = Some(job_list.revision());
        // The job list is locked until then, and a writer would have to wait.
        drop(job_list);
        Some((event, self))
    }
}
