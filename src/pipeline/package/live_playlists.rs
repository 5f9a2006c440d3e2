//! The handler of `playlist`: live playlists list the finished segments, so that the output can be
//! played while it is encoded.
//!
//! A writer reads the existing playlist and keeps every line. A write replaces only the version
//! that was read, so a writer that was frozen in between neither shrinks nor unseals a playlist; if
//! a service does not support such writes, the next write repairs it, and the message that requests
//! the update stays on the queue until nothing is left to write.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use jetstream::{CreateOutcome, Delivery, Disposition, Refused};
use media::playlist::LivePlaylist;
use metrics::histogram;
use storage::{JobKeys, ObjectKind, StorageError};
use streams::fact::{Decision, Fact, Head, Playable};
use streams::plan::{Planned, Rendition};
use streams::{JobId, Unread};

use super::assembly::AssembledRendition;
use super::live_content::{
    extend_playlist, is_playable, latest_end_seconds, planned_bandwidth, to_live_rendition,
};
use super::playlists;
use super::published_output::{PublishedOutput, PublishedOutputError};
use crate::crash;
use crate::job::classify::classify_output_error;
use crate::job::commit::SMALL_OBJECT;
use crate::job::deletion::find_deletion_after;
use crate::job::failure::Failure;
use crate::job::queue::enqueue_playlist_update;
use crate::job::verdict::SettleError;
use crate::job::{JobState, Jobs};

/// No playlist is written more often than this: half of the time in which players read it again, so
/// that a segment is listed within a target duration.
const UPDATE_INTERVAL: Duration = Duration::from_secs(2);

/// Why live playlists were not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum LivePlaylistError {
    /// The storage failed, or another worker wrote first: the current object is read again.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The server will never take the fact.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// What was said of the job needs a newer release, or is broken.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// What a task published cannot be read.
    #[error(transparent)]
    PublishedOutputError(PublishedOutputError),
}

impl From<PublishedOutputError> for LivePlaylistError {
    fn from(unreadable: PublishedOutputError) -> Self {
        match unreadable {
            PublishedOutputError::Unread(unread) => Self::Unread(unread),
            missing @ PublishedOutputError::Missing(_) => Self::PublishedOutputError(missing),
        }
    }
}

impl From<LivePlaylistError> for Failure {
    fn from(error: LivePlaylistError) -> Self {
        match error {
            LivePlaylistError::Refused(refused) => refused.into(),
            LivePlaylistError::Unread(unread) => unread.into(),
            LivePlaylistError::Storage(_) | LivePlaylistError::PublishedOutputError(_) => {
                Self::new(streams::Code::StorageUnavailable, error.to_string())
            }
        }
    }
}

/// Takes one delivery of a `playlist` task.
///
/// # Errors
/// What prevents the job from continuing.
pub(super) async fn update_live_playlists(
    jobs: &Jobs,
    job: &JobId,
    delivery: &Delivery,
) -> Result<Disposition, SettleError> {
    let Some(state) = jobs.state(job).await? else {
        return Ok(Disposition::Ack);
    };
    let Some(plan) = state.plan() else {
        return Ok(Disposition::Ack);
    };

    let end = if state.is_open() {
        PlaylistEnd::Open
    } else {
        PlaylistEnd::Sealed
    };
    match LivePlaylistWriter::new(jobs, &state, plan).write(end).await {
        Ok(WriteOutcome::Unchanged) => {}
        // Later, when there may be more; by then a verdict may require the end.
        Ok(WriteOutcome::Written) => return Ok(Disposition::Retry(UPDATE_INTERVAL)),
        Err(LivePlaylistError::Refused(refused)) => return Err(refused.into()),
        Err(LivePlaylistError::Unread(unread)) => return Err(unread.into()),
        Err(error) => {
            // If other requests are affected, too, no other task should be started in vain.
            if let LivePlaylistError::Storage(error) = &error
                && !matches!(error, StorageError::Changed { .. })
            {
                classify_output_error(jobs, error).await;
            }
            tracing::warn!(job.id = %job, file.id = %state.file_id(), error = %error, "the live playlists cannot be written yet");
            return Ok(Disposition::Retry(UPDATE_INTERVAL));
        }
    }

    // Segments that were made since the job was read found this message on the queue, and added no
    // other.
    delivery.settle(Disposition::Ack).await;
    let now = jobs.work(job).await?;
    if now.done != state.work.done || now.parts != state.work.parts {
        enqueue_playlist_update(jobs, &state).await?;
    }

    // It is acknowledged already.
    Ok(Disposition::LeaveUnacked)
}

/// Records how long a job took to play for the first time.
fn record_time_to_playable(state: &JobState) {
    let waited = (Utc::now() - state.accepted.time)
        .to_std()
        .unwrap_or_default();
    histogram!("fluxhls_time_to_first_playable_seconds").record(waited);
}

/// Completes and seals the playlists of a job whose output passed its checks.
pub(super) async fn seal_live_playlists(
    jobs: &Jobs,
    state: &JobState,
    plan: &Planned,
) -> Result<(), LivePlaylistError> {
    loop {
        let writer = LivePlaylistWriter::new(jobs, state, plan);
        match writer.write(PlaylistEnd::Sealed).await {
            // Another one wrote meanwhile. It does so once in four seconds at most.
            Err(LivePlaylistError::Storage(StorageError::Changed { .. })) => {}
            Err(error) => return Err(error),
            Ok(WriteOutcome::Unchanged) if !state.playable => {
                record_time_to_playable(state);
                return Ok(());
            }
            Ok(WriteOutcome::Unchanged | WriteOutcome::Written) => return Ok(()),
        }
    }
}

/// Whether playlists continue after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlaylistEnd {
    /// More may be listed later.
    Open,
    /// They have an end (`EXT-X-ENDLIST`), and nothing is listed after it.
    Sealed,
}

/// What a write of live playlists came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteOutcome {
    /// Every playlist was as it should be, or none was begun.
    Unchanged,
    /// One or more were written.
    Written,
}

/// Writes the live playlists of one job.
struct LivePlaylistWriter<'a> {
    jobs: &'a Jobs,
    state: &'a JobState,
    plan: &'a Planned,
    keys: JobKeys,
}

/// One object as it was read.
struct StoredPlaylist {
    text: String,
    etag: Option<String>,
}

/// One playlist, as it is and as it should be.
struct PlaylistDraft {
    key: String,
    before: Option<StoredPlaylist>,
    text: String,
}

impl PlaylistDraft {
    fn is_changed(&self) -> bool {
        let before = self.before.as_ref().map(|before| &before.text);
        before != Some(&self.text)
    }
}

impl<'a> LivePlaylistWriter<'a> {
    fn new(jobs: &'a Jobs, state: &'a JobState, plan: &'a Planned) -> Self {
        let keys = jobs.keys(&state.accepted.fact.output_prefix, &state.job_id);
        Self {
            jobs,
            state,
            plan,
            keys,
        }
    }

    /// Writes the playlists that changed. A job that never played is not begun at its end.
    async fn write(&self, end: PlaylistEnd) -> Result<WriteOutcome, LivePlaylistError> {
        let master = self.read(&self.keys.live_master()).await?;
        let begins = master.is_none();
        if begins && end == PlaylistEnd::Sealed {
            return Ok(WriteOutcome::Unchanged);
        }

        let (mut drafts, renditions) = self.drafts(end).await?;
        if begins
            && !is_playable(self.plan, |wanted| {
                renditions.iter().any(|made| made.name() == wanted.name())
            })
        {
            return Ok(WriteOutcome::Unchanged);
        }

        if self.lists_more() {
            let rate = |made: &AssembledRendition| planned_bandwidth(self.plan, &made.rendition);
            drafts.push(PlaylistDraft {
                key: self.keys.live_master(),
                before: master,
                text: playlists::multivariant(self.plan, "", &renditions, &rate, Vec::new(), None),
            });
        }

        // The multivariant playlist comes last, so that it never names a playlist that is not in
        // the bucket yet.
        let written = self.put_changed(&drafts).await;
        crash::point("playlist.written");

        // A deletion writes its tombstone before it lists what there is: what came after that list
        // is removed here.
        if !matches!(written, Ok(WriteOutcome::Unchanged))
            && find_deletion_after(self.jobs, self.state).await?.is_some()
        {
            let keys: Vec<String> = drafts.into_iter().map(|draft| draft.key).collect();
            self.jobs.output.delete(&keys).await?;
            return Ok(WriteOutcome::Unchanged);
        }
        let outcome = written?;

        // The fact comes after the objects: it never names a missing one.
        if self.state.is_open() && !self.state.playable && end == PlaylistEnd::Open {
            let head = Head::new(self.state.job_id.clone(), self.state.file_id().clone());
            let manifest_url = self.jobs.live_url(&self.keys.live_master());
            let playable = Fact::Playable(Playable { head, manifest_url });
            if let CreateOutcome::Created(_) = self
                .jobs
                .announce(&playable, self.state.traceparent.as_deref())
                .await?
            {
                record_time_to_playable(self.state);
            }
        }

        Ok(outcome)
    }

    /// Writes those that changed, in their order.
    async fn put_changed(
        &self,
        drafts: &[PlaylistDraft],
    ) -> Result<WriteOutcome, LivePlaylistError> {
        let mut outcome = WriteOutcome::Unchanged;
        for draft in drafts.iter().filter(|draft| draft.is_changed()) {
            self.put(draft).await?;
            outcome = WriteOutcome::Written;
        }
        Ok(outcome)
    }

    /// Whether segments are listed: not after the job failed or was canceled.
    fn lists_more(&self) -> bool {
        match &self.state.verdict {
            Some(verdict) => verdict.fact.outcome == Decision::Commit,
            None => self.state.is_open(),
        }
    }

    /// The media playlists that list something, that of the lowest rung first, and their renditions
    /// in the order of the plan.
    async fn drafts(
        &self,
        end: PlaylistEnd,
    ) -> Result<(Vec<PlaylistDraft>, Vec<AssembledRendition>), LivePlaylistError> {
        let mut published = PublishedOutput::new(self.jobs, self.state, self.plan);
        let lowest = self.plan.videos().last().map(|lowest| &lowest.name);
        let (first, others): (Vec<_>, Vec<_>) = self
            .plan
            .renditions
            .iter()
            .partition(|rendition| Some(rendition.name()) == lowest);

        let (mut drafts, mut renditions) = (Vec::new(), Vec::new());
        // The lowest rung comes first, because no other rendition may be listed beyond its end.
        let mut until = f64::INFINITY;
        for rendition in first.into_iter().chain(others) {
            let made = self.draft(&mut published, rendition, until, end).await?;
            if Some(rendition.name()) == lowest {
                until = latest_end_seconds(made.as_ref().map(|(_, playlist, _)| playlist));
            }
            if let Some((draft, _, listed)) = made {
                drafts.push(draft);
                renditions.push(listed);
            }
        }

        let place = |made: &AssembledRendition| {
            self.plan
                .renditions
                .iter()
                .position(|planned| planned.name() == made.name())
        };
        renditions.sort_by_key(place);
        Ok((drafts, renditions))
    }

    /// The media playlist of a rendition that ends by `until`, in seconds; none if there is nothing
    /// to list.
    async fn draft(
        &self,
        published: &mut PublishedOutput<'_>,
        rendition: &Rendition,
        until: f64,
        end: PlaylistEnd,
    ) -> Result<Option<(PlaylistDraft, LivePlaylist, AssembledRendition)>, LivePlaylistError> {
        let key = self.keys.live_playlist(rendition.name().as_str());
        let before = self.read(&key).await?;
        let current = before
            .as_ref()
            .and_then(|read| LivePlaylist::parse(&read.text));
        let Some(head) = published.head(rendition).await? else {
            return Ok(None);
        };

        let is_sealed = current.as_ref().is_some_and(|playlist| playlist.sealed);
        // No segment may be added after EXT-X-ENDLIST (RFC 8216, section 4.3.3.4).
        let pieces = if self.lists_more() && !is_sealed {
            let listed = current.as_ref().map_or(0, |playlist| playlist.lines.len());
            published.segments_from(rendition, listed).await?
        } else {
            Vec::new()
        };

        let Some(mut playlist) = extend_playlist(self.plan, current, &head, &pieces, until) else {
            return Ok(None);
        };

        playlist.sealed |= end == PlaylistEnd::Sealed;
        let text = playlist.to_string();
        Ok(Some((
            PlaylistDraft { key, before, text },
            playlist,
            to_live_rendition(rendition, &head),
        )))
    }

    /// An object with its version. The version is requested first: a write in between only makes
    /// this write fail.
    async fn read(&self, key: &str) -> Result<Option<StoredPlaylist>, LivePlaylistError> {
        let Some(meta) = self.jobs.output.head(key).await? else {
            return Ok(None);
        };
        let bytes = self.jobs.output.get(key, SMALL_OBJECT).await?;
        Ok(bytes.map(|bytes| StoredPlaylist {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            etag: meta.etag,
        }))
    }

    /// Writes a playlist, unless someone else wrote it since it was read.
    async fn put(&self, draft: &PlaylistDraft) -> Result<(), LivePlaylistError> {
        let body = Bytes::from(draft.text.clone());
        crash::point("playlist.read");

        let (output, kind) = (&self.jobs.output, ObjectKind::LivePlaylist);
        let conditional = match &draft.before {
            None => {
                output
                    .put_over(&draft.key, body.clone(), kind.clone(), None)
                    .await
            }
            Some(StoredPlaylist {
                etag: Some(etag), ..
            }) => {
                let over = Some(etag.as_str());
                output
                    .put_over(&draft.key, body.clone(), kind.clone(), over)
                    .await
            }
            // Without an entity tag there is nothing that the write could be compared with.
            Some(StoredPlaylist { etag: None, .. }) => {
                output.put(&draft.key, body.clone(), kind.clone()).await
            }
        };

        match conditional {
            // Some services answer that they know no conditional writes.
            Err(StorageError::Refused { .. }) => output.put(&draft.key, body, kind).await?,
            written => written?,
        };
        Ok(())
    }
}
