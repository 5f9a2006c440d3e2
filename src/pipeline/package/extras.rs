//! What tasks make in addition to renditions: the final selection of each. Pure.

use std::collections::BTreeMap;

use streams::task::TaskName;
use streams::work::{ObjectRef, SubtitleOutput};

use super::poster::choose_poster;
use crate::job::receipt::TaskResult;

/// The subtitles, in the order they were made in, with the task that makes them.
pub(super) fn latest_subtitles(made: &[TaskResult]) -> Vec<(TaskName, &SubtitleOutput)> {
    // Repairs are last in `made`, so their objects replace the ones that they repair.
    let mut last: Vec<(TaskName, &SubtitleOutput)> = Vec::new();
    for made in made {
        for subtitle in &made.output.subtitles {
            match last
                .iter_mut()
                .find(|(_, before)| before.name == subtitle.name)
            {
                Some(before) => *before = (made.task, subtitle),
                None => last.push((made.task, subtitle)),
            }
        }
    }

    last
}

/// The tiles of every chunk that has some: working material, which no receipt names.
pub(super) fn latest_tiles(made: &[TaskResult]) -> BTreeMap<TaskName, &ObjectRef> {
    made.iter()
        .filter_map(|made| Some((made.task, made.output.tiles.as_ref()?)))
        .collect()
}

/// The poster and the subtitles, with the task that makes each.
pub(super) fn list_extras(made: &[TaskResult]) -> Vec<(TaskName, ObjectRef)> {
    let subtitles = latest_subtitles(made).into_iter();
    let subtitles = subtitles.map(|(task, subtitle)| (task, subtitle.object.clone()));
    choose_poster(made).into_iter().chain(subtitles).collect()
}

#[cfg(test)]
mod tests {
    use streams::work::TaskOutput;

    use super::*;

    fn made(task: TaskName, attempt: u64, repair: bool, output: TaskOutput) -> TaskResult {
        TaskResult {
            task,
            attempt,
            output,
            list: None,
            repair,
        }
    }

    fn object(key: &str) -> ObjectRef {
        ObjectRef {
            key: key.to_owned(),
            size: 1,
            sha256: String::new(),
            etag: None,
        }
    }

    fn pictures(key: &str) -> TaskOutput {
        TaskOutput {
            poster: Some(object(key)),
            tiles: Some(object(&format!("{key}.tiles"))),
            ..TaskOutput::default()
        }
    }

    #[test]
    fn what_a_repair_made_takes_the_place_of_what_was_made_before() {
        let v0 = TaskName::video(0);
        let all = [
            made(v0, 1, false, pictures("old")),
            made(TaskName::video(1), 2, false, TaskOutput::default()),
            made(v0, 9, true, pictures("new")),
        ];

        let keys: Vec<String> = list_extras(&all)
            .into_iter()
            .map(|(_, object)| object.key)
            .collect();
        assert_eq!(keys, ["new"]);
        assert_eq!(latest_tiles(&all)[&v0].key, "new.tiles");
        assert_eq!(choose_poster(&all[..2]).unwrap().1.key, "old");
    }
}
