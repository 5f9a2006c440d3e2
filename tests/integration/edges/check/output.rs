//! A finished output, and what has to hold of every one.

use std::path::Path;

use streams::fact::Ended;
use streams::plan::Planned;

use super::{Check, fault_unless};
use crate::edges::measure::{VideoStream, chosen_stream, video_stream};
use crate::harness::output::{Listing, Published, Variant, conforms};

/// A finished output and all that was said of it.
pub(crate) struct Output {
    /// How the job ended.
    pub(crate) ended: Ended,
    /// What was planned.
    pub(crate) planned: Planned,
    /// What the playlists lead to.
    pub(crate) published: Published,
    /// The progress of each task in the order it was published: task and share of the job.
    pub(crate) progress: Vec<(String, f64)>,
    /// What is in the head of each rung, from the top down.
    pub(crate) heads: Vec<Head>,
    /// The head of the source's pictures.
    source: Option<VideoStream>,
}

/// A rung with what ffprobe reads in it.
pub(crate) struct Head {
    /// Its media playlist.
    pub(crate) url: String,
    /// Its name in the folder of the job.
    pub(crate) name: String,
    /// What players read first.
    pub(crate) stream: VideoStream,
    /// What the multivariant playlist says of it.
    declared: (Option<(usize, usize)>, Option<f64>),
}

impl Output {
    /// Gets all of an output; it has to conform.
    pub(crate) async fn load(
        ended: Ended,
        planned: Planned,
        progress: Vec<(String, f64)>,
        source: &Path,
    ) -> Self {
        let master = ended
            .manifest_url
            .as_deref()
            .expect("a completed job has a manifest");
        let published = conforms(master, &planned).await;
        let mut heads = Vec::new();
        for rung in published
            .rungs()
            .into_iter()
            .filter(|rung| rung.resolution.is_some())
        {
            heads.push(head(rung).await);
        }
        heads.sort_by_key(|head| std::cmp::Reverse(head.stream.width * head.stream.height));
        // A copy of a source has its tracks in another order, but never several films here.
        let track = planned
            .video
            .as_ref()
            .filter(|_| planned.source.copy.is_none());
        let track = track.map_or("V:0".to_owned(), |video| video.track.to_string());
        let source = match heads.is_empty() {
            true => None,
            false => Some(chosen_stream(source.to_str().unwrap(), &track).await),
        };
        Self {
            ended,
            planned,
            published,
            progress,
            heads,
            source,
        }
    }

    /// Everything that is wrong: with what has to hold of every output, and with these.
    pub(crate) async fn faults(&self, checks: &[Check]) -> Vec<String> {
        let mut faults: Vec<String> = self
            .heads
            .iter()
            .flat_map(|head| self.oddities(head))
            .collect();
        let defaults = self
            .published
            .audio
            .iter()
            .filter(|audio| audio.listing.default);
        let groups = self.groups();
        faults.extend(fault_unless(defaults.count() == groups.len(), || {
            format!(
                "not one default in each group of sound: {}",
                self.published.text
            )
        }));
        for check in checks {
            faults.extend(check.faults(self).await);
        }
        faults
    }

    /// Sides no output may exceed: those of the source by its header, or of what its pictures
    /// turned out to be.
    fn largest(&self, told: (u32, u32)) -> (u32, u32) {
        let main = self.planned.video.as_ref().map(|video| video.track);
        let track = self
            .planned
            .source
            .tracks
            .iter()
            .find(|track| Some(track.index) == main);
        let found = track.and_then(|track| track.width.zip(track.height));
        let (told, found) = (sides(told), sides(found.unwrap_or(told)));
        (told.0.max(found.0), told.1.max(found.1))
    }

    fn oddities(&self, head: &Head) -> Vec<String> {
        let (stream, source) = (
            &head.stream,
            self.source.as_ref().expect("pictures come of pictures"),
        );
        let mut oddities = stream.oddities();
        let (size, most) = (
            sides((stream.width, stream.height)),
            self.largest(source.square_size()),
        );
        if size.0 > most.0 || size.1 > most.1 {
            oddities.push(format!("it is scaled up from {most:?} to {size:?}"));
        }
        let coded = (stream.width as usize, stream.height as usize);
        let rate = stream.rate();
        let declares = head.declared.0 == Some(coded)
            && head
                .declared
                .1
                .is_some_and(|declared| (declared - rate).abs() < 0.001);
        if !declares {
            oddities.push(format!(
                "it is {coded:?} at {rate} and declared as {:?}",
                head.declared
            ));
        }
        oddities
            .into_iter()
            .map(|oddity| format!("{}: {oddity}", head.name))
            .collect()
    }

    /// The audio groups in order.
    pub(crate) fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = self
            .published
            .audio
            .iter()
            .map(|audio| audio.listing.group.as_str())
            .collect();
        groups.dedup();
        groups
    }

    /// The stereo tracks: how each is listed, and its playlists. Audio without video is not listed.
    pub(crate) fn sounds(&self) -> Vec<(Option<&Listing>, String)> {
        let listed = self
            .published
            .audio
            .iter()
            .filter(|audio| audio.listing.channels == Some(2));
        let listed: Vec<_> = listed
            .map(|audio| (Some(&audio.listing), audio.track.url.to_string()))
            .collect();
        if !listed.is_empty() {
            return listed;
        }
        let alone = self
            .published
            .variants
            .iter()
            .filter(|variant| variant.resolution.is_none());
        alone
            .map(|variant| (None, variant.track.url.to_string()))
            .collect()
    }
}

async fn head(rung: &Variant) -> Head {
    let url = rung.track.url.to_string();
    Head {
        name: url.rsplit('/').nth(1).unwrap().to_owned(),
        stream: video_stream(&url).await,
        declared: (rung.resolution, rung.frame_rate),
        url,
    }
}

/// The longer and the shorter side.
fn sides((width, height): (u32, u32)) -> (u32, u32) {
    (width.max(height), width.min(height))
}
