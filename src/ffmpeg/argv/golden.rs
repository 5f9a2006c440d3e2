//! The command lines against golden files, one argument to a line.

use streams::plan::{Picture, SourceColor};

use super::*;
use crate::ffmpeg::input::Input;
use crate::ffmpeg::testing::planned;

fn check(args: Option<Vec<String>>, golden: &str) {
    let text = args.unwrap().join("\n") + "\n";
    assert_eq!(text, golden, "the command line is now\n{text}");
}

fn input() -> Input {
    Input::http("http://127.0.0.1:4000/token/source")
}

#[test]
fn the_first_chunk_is_read_from_the_start_and_makes_the_poster() {
    let args = video_chunk(&planned(), 0, &input(), Options::default());
    check(args, include_str!("../../../tests/golden/video_chunk_first.argv"));
}

#[test]
fn a_later_chunk_seeks_and_keeps_the_numbers_of_the_whole_video() {
    let args = video_chunk(&planned(), 1, &input(), Options { threads: Some(2) });
    check(args, include_str!("../../../tests/golden/video_chunk_middle.argv"));
}

#[test]
fn the_last_chunk_takes_what_there_is() {
    let args = video_chunk(&planned(), 2, &input(), Options::default()).unwrap();
    assert!(!args.iter().any(|arg| arg.contains("end_pts")), "{args:?}");
}

#[test]
fn a_source_that_cannot_be_entered_is_never_sought() {
    let mut planned = planned();
    planned.video.as_mut().unwrap().seekable = false;
    let args = video_chunk(&planned, 1, &input(), Options::default()).unwrap();
    assert!(!args.contains(&"-ss".to_owned()), "{args:?}");
}

#[test]
fn fields_and_high_dynamic_range_are_converted_once_for_all_rungs() {
    let mut planned = planned();
    planned.video.as_mut().unwrap().picture = Picture {
        deinterlace: true,
        color: SourceColor::Pq,
        ..Picture::default()
    };
    let args = video_chunk(&planned, 1, &input(), Options::default()).unwrap();
    let graph = args.iter().find(|arg| arg.contains("split")).unwrap();
    assert_eq!(
        (graph.matches("bwdif").count(), graph.matches("tonemap=tonemap").count()),
        (1, 1)
    );
}

#[test]
fn there_is_no_chunk_behind_the_last_one_and_no_sound_where_none_is_planned() {
    let mut planned = planned();
    assert_eq!(video_chunk(&planned, 3, &input(), Options::default()), None);
    planned
        .renditions
        .retain(|rendition| matches!(rendition, streams::plan::Rendition::Video(_)));
    assert_eq!(tracks(&planned, &input(), Options::default()), None);
}

#[test]
fn all_sound_is_one_command() {
    check(
        tracks(&planned(), &input(), Options::default()),
        include_str!("../../../tests/golden/tracks.argv"),
    );
}

#[test]
fn each_encoder_is_asked_for_capped_quality_in_its_own_words() {
    let planned = planned();
    let rendition = planned.videos().next().unwrap();
    let mut text = String::new();
    for known in crate::ladder::profile::encoder::ENCODERS {
        let rendition = streams::plan::VideoRendition {
            encoder: known.name.to_owned(),
            preset: known.presets.get(3).copied().unwrap_or_default().to_owned(),
            profile: known.codec.profiles()[0].to_owned(),
            ..rendition.clone()
        };
        let device = encoder::device(&rendition).join(" ");
        let upload = encoder::upload(&rendition);
        text += &format!("{device}|{upload}|{}\n", encoder::args(&rendition).join(" "));
    }
    let golden = include_str!("../../../tests/golden/encoders.argv");
    assert_eq!(text, golden, "the options are now\n{text}");
}

#[test]
fn a_turned_transparent_source_in_wide_colours_is_turned_laid_on_black_and_converted() {
    let mut planned = planned();
    planned.source.tracks = serde_json::from_str(r#"[{"index": 1, "kind": "video", "codec": "vp9"}]"#).unwrap();
    planned.video.as_mut().unwrap().picture = Picture {
        flatten: true,
        color: SourceColor::Bt2020,
        primaries: streams::plan::Primaries::Bt2020,
        turn: 90,
        width: 1080,
        height: 1920,
        ..Picture::default()
    };
    check(
        video_chunk(&planned, 1, &input(), Options::default()),
        include_str!("../../../tests/golden/video_chunk_converted.argv"),
    );
}
