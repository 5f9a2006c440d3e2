//! Which part of an output an object is, and which task makes it. Pure.

use std::collections::BTreeMap;

use storage::JobKeys;
use streams::RenditionName;
use streams::plan::Planned;
use streams::task::TaskName;
use streams::work::{ObjectRef, SubtitleOutput};

use super::assembly::{AssembledRendition, assemble, find_task_of_segment};
use super::extras::{latest_subtitles, latest_tiles};
use super::poster::choose_poster;
use crate::job::receipt::TaskResult;

/// A part of an output that a task makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputObject {
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
    /// The list of the output of a task. Its content is in the receipt, too.
    List,
}

/// A rendition as all its tasks and repairs made it.
#[derive(Debug, Clone, PartialEq)]
pub struct CurrentRendition {
    /// The init segment all its segments are played with.
    pub init: ObjectRef,
    /// Hash of what every init segment of the rendition must have in common.
    pub init_match: String,
    /// Number, start, duration and hash of every segment.
    pub segments: BTreeMap<u32, (u64, u64, String)>,
}

/// Every object that tasks made, by its key: its kind and its task. Objects that do not match the
/// plan are left out.
#[must_use]
pub fn list_output_objects(
    plan: &Planned,
    keys: &JobKeys,
    made: &[TaskResult],
) -> BTreeMap<String, (TaskName, OutputObject)> {
    let mut parts = BTreeMap::new();
    for rendition in assemble(plan, made).unwrap_or_default() {
        let name = rendition.name().clone();
        // The init segment comes first, as in `AssembledRendition::objects`.
        let own = rendition.segments.iter().map(|(_, segment)| segment.n);
        let own = own.map(|n| (n, OutputObject::Segment(name.clone(), n)));
        let all = std::iter::once((0, OutputObject::Init(name.clone()))).chain(own);
        for ((n, part), object) in all.zip(rendition.objects(keys)) {
            parts.insert(
                object.key,
                (find_task_of_segment(plan, &rendition.rendition, n), part),
            );
        }
    }

    if let Some((task, object)) = choose_poster(made) {
        parts.insert(object.key.clone(), (task, OutputObject::Poster));
    }
    for (task, object) in latest_tiles(made) {
        parts.insert(object.key.clone(), (task, OutputObject::Tiles));
    }
    for (task, SubtitleOutput { name, object, .. }) in latest_subtitles(made) {
        parts.insert(
            object.key.clone(),
            (task, OutputObject::Subtitles(name.clone())),
        );
    }

    for made in made {
        if let Some(list) = &made.list {
            parts.insert(list.key.clone(), (made.task, OutputObject::List));
        }
    }
    parts
}

/// The renditions as they are now, by name.
#[must_use]
pub fn current_renditions(
    plan: &Planned,
    made: &[TaskResult],
) -> BTreeMap<RenditionName, CurrentRendition> {
    let all = assemble(plan, made).unwrap_or_default();
    all.into_iter()
        .map(|rendition| (rendition.name().clone(), of(rendition)))
        .collect()
}

fn of(rendition: AssembledRendition) -> CurrentRendition {
    let segments = rendition.segments.into_iter();
    CurrentRendition {
        init: rendition.init,
        init_match: rendition.init_match,
        segments: segments
            .map(|(_, segment)| (segment.n, (segment.start, segment.duration, segment.sha256)))
            .collect(),
    }
}
