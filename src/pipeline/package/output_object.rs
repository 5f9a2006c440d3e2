//! Which part of an output an object is, and which task makes it. Pure.

use std::collections::BTreeMap;

use storage::JobKeys;
use streams::RenditionName;
use streams::plan::Planned;
use streams::task::TaskName;
use streams::work::{ObjectRef, SubtitleOutput};

use super::assembly::{Assembled, assemble, maker};
use super::extras::{subtitles, tiles};
use super::poster::poster;
use crate::job::receipt::Made;

/// A part of an output that a task makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The init segment of a rendition.
    Init(RenditionName),
    /// A media segment of a rendition.
    Segment(RenditionName, u32),
    /// The poster.
    Poster,
    /// The tiles of a chunk.
    Tiles,
    /// The subtitles of a track.
    Subtitles(RenditionName),
    /// The list of what a task made. What it says is in the receipt, too.
    List,
}

/// A rendition as all its tasks and repairs made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The init segment all its segments are played with.
    pub init: ObjectRef,
    /// Hash of what every init segment of the rendition must have in common.
    pub init_match: String,
    /// Number, start, duration and hash of every segment.
    pub segments: BTreeMap<u32, (u64, u64, String)>,
}

/// Every object that tasks made, by its key: what it is, and which task makes it. Nothing for what
/// does not fit together.
#[must_use]
pub fn parts(plan: &Planned, keys: &JobKeys, made: &[Made]) -> BTreeMap<String, (TaskName, Part)> {
    let mut parts = BTreeMap::new();
    for rendition in assemble(plan, made).unwrap_or_default() {
        let name = rendition.name().clone();
        // The init segment comes first, as in `Assembled::objects`.
        let own = rendition.segments.iter().map(|(_, segment)| segment.n);
        let own = own.map(|n| (n, Part::Segment(name.clone(), n)));
        let all = std::iter::once((0, Part::Init(name.clone()))).chain(own);
        for ((n, part), object) in all.zip(rendition.objects(keys)) {
            parts.insert(object.key, (maker(plan, &rendition.rendition, n), part));
        }
    }

    if let Some((task, object)) = poster(made) {
        parts.insert(object.key.clone(), (task, Part::Poster));
    }
    for (task, object) in tiles(made) {
        parts.insert(object.key.clone(), (task, Part::Tiles));
    }
    for (task, SubtitleOutput { name, object, .. }) in subtitles(made) {
        parts.insert(object.key.clone(), (task, Part::Subtitles(name.clone())));
    }

    for made in made {
        if let Some(list) = &made.list {
            parts.insert(list.key.clone(), (made.task, Part::List));
        }
    }
    parts
}

/// The renditions as they are now, by name.
#[must_use]
pub fn standing(plan: &Planned, made: &[Made]) -> BTreeMap<RenditionName, Standing> {
    let all = assemble(plan, made).unwrap_or_default();
    all.into_iter()
        .map(|rendition| (rendition.name().clone(), of(rendition)))
        .collect()
}

fn of(rendition: Assembled) -> Standing {
    let segments = rendition.segments.into_iter();
    Standing {
        init: rendition.init,
        init_match: rendition.init_match,
        segments: segments
            .map(|(_, segment)| (segment.n, (segment.start, segment.duration, segment.sha256)))
            .collect(),
    }
}
