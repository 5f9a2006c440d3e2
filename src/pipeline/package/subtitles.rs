//! The subtitles of an output: their playlists, and their lines in the multivariant playlist. Pure.

use media::playlist::{SubtitleMedia, SubtitlePlaylist};
use storage::JobKeys;
use streams::plan::{Planned, SubtitleRendition};
use streams::work::SubtitleOutput;

use super::assembly::AssembledRendition;

/// The playlist of each track that was made, with its key.
pub(super) fn playlists(
    plan: &Planned,
    keys: &JobKeys,
    made: &[&SubtitleOutput],
    renditions: &[AssembledRendition],
) -> Vec<(String, String)> {
    let seconds = renditions
        .iter()
        .map(AssembledRendition::seconds)
        .fold(0.0, f64::max);
    let playlists = tracks(plan, made).map(|(rendition, output)| {
        let playlist = SubtitlePlaylist {
            uri: file(&output.object.key).to_owned(),
            seconds,
        };
        (
            keys.subtitles_playlist(rendition.name.as_str()),
            playlist.to_string(),
        )
    });
    playlists.collect()
}

/// The line of each track that was made; `files` are where their playlists lie in the folder of the
/// job, in the same order.
pub(super) fn media(
    plan: &Planned,
    job: &str,
    made: &[&SubtitleOutput],
    files: &[String],
) -> Vec<SubtitleMedia> {
    let media = tracks(plan, made)
        .zip(files)
        .map(|((rendition, _), file)| SubtitleMedia {
            uri: format!("{job}/{file}"),
            name: rendition.label.clone(),
            language: rendition.language.clone(),
            default: rendition.default,
            forced: rendition.forced,
            hearing_impaired: rendition.hearing_impaired,
        });
    media.collect()
}

/// The tracks that were made, in the order of the plan.
fn tracks<'a>(
    plan: &'a Planned,
    made: &'a [&SubtitleOutput],
) -> impl Iterator<Item = (&'a SubtitleRendition, &'a SubtitleOutput)> {
    plan.subtitles.iter().filter_map(|rendition| {
        let output = made.iter().find(|output| output.name == rendition.name)?;
        Some((rendition, *output))
    })
}

/// The part of a key behind its last slash.
fn file(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use streams::work::ObjectRef;

    use super::*;
    use streams::testing::planned;

    #[test]
    fn only_what_was_made_is_listed_and_lies_where_the_playlists_say() {
        let mut planned = planned();
        planned.subtitles = ["0", "1"]
            .map(|name| {
                let rendition =
                    serde_json::json!({"name": name, "track": 3, "label": name, "default": false, "reason": ""});
                serde_json::from_value(rendition).unwrap()
            })
            .into();

        let keys = JobKeys::new("hls/f/", "j");
        let output = SubtitleOutput {
            name: "1".parse().unwrap(),
            object: ObjectRef {
                key: keys.subtitles("1", 36),
                size: 1,
                sha256: String::new(),
                etag: None,
            },
            cues: 1,
            end: 1.0,
        };

        let lists = playlists(&planned, &keys, &[&output], &[]);
        assert_eq!(lists.len(), 1);
        assert_eq!(lists[0].0, "hls/f/j/subs-1.m3u8");
        assert!(lists[0].1.contains("\nsubs-1-10.vtt\n"), "{}", lists[0].1);

        let media = media(&planned, "j", &[&output], &["subs-1.m3u8".to_owned()]);
        assert_eq!((media.len(), media[0].uri.as_str()), (1, "j/subs-1.m3u8"));
    }
}
