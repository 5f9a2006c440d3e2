//! The command lines against golden files, one argument to a line.

use streams::plan::{Matrix, Picture, Primaries, SourceColor, Transfer};

use super::*;
use crate::input::Input;
use streams::testing::planned;

fn check(args: Option<Vec<String>>, golden: &str) {
    let args = args.unwrap();
    labels_meet(&args);
    let text = args.join("\n") + "\n";
    assert_eq!(text, golden, "the command line is now\n{text}");
}

/// Each label of a graph is produced once, and taken once: by a chain, or by `-map`.
fn labels_meet(args: &[String]) {
    let graph = args
        .iter()
        .skip_while(|arg| *arg != "-filter_complex")
        .nth(1)
        .unwrap();
    let mapped = args
        .windows(2)
        .filter(|pair| pair[0] == "-map")
        .map(|pair| &pair[1]);
    let all: String = std::iter::once(graph)
        .chain(mapped.filter(|label| label.starts_with('[')))
        .cloned()
        .collect();

    let labels = all
        .split('[')
        .skip(1)
        .map(|rest| rest.split_once(']').unwrap().0);
    let labels: Vec<&str> = labels.filter(|label| !label.contains(':')).collect();
    for label in &labels {
        let times = labels.iter().filter(|other| *other == label).count();
        assert_eq!(times, 2, "{label} in {all}");
    }
}

fn input() -> Input {
    Input::http("http://127.0.0.1:4000/token/source")
}

#[test]
fn the_first_chunk_is_read_from_the_start_and_offers_a_poster() {
    let args = video_chunk(&planned(), 0, &input(), Options::default());
    check(
        args,
        include_str!("../../tests/golden/video_chunk_first.argv"),
    );
}

#[test]
fn a_later_chunk_seeks_and_keeps_the_numbers_of_the_whole_video() {
    let args = video_chunk(
        &planned(),
        1,
        &input(),
        Options {
            threads: Some(2),
            ..Options::default()
        },
    );
    check(
        args,
        include_str!("../../tests/golden/video_chunk_middle.argv"),
    );
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
        color: SourceColor {
            matrix: Matrix::Bt2020nc,
            transfer: Transfer::Pq,
            primaries: Primaries::Bt2020,
            approximated: false,
        },
        ..Picture::default()
    };

    let args = video_chunk(&planned, 1, &input(), Options::default()).unwrap();
    let graph = args.iter().find(|arg| arg.contains("split")).unwrap();
    assert_eq!(
        (
            graph.matches("bwdif").count(),
            graph.matches("tonemap=tonemap").count()
        ),
        (1, 1)
    );
}

#[test]
fn another_matrix_alone_is_left_to_the_scaler_and_what_it_does_not_know_is_never_shown_to_it() {
    let mut planned = planned();
    let mut graph = |color: SourceColor| {
        planned.video.as_mut().unwrap().picture.color = color;
        let args = video_chunk(&planned, 1, &input(), Options::default()).unwrap();
        args.into_iter().find(|arg| arg.contains("split")).unwrap()
    };

    let scaled = |matrix, name: &str, graph: &mut dyn FnMut(SourceColor) -> String| {
        let text = graph(SourceColor {
            matrix,
            ..SourceColor::default()
        });
        assert!(!text.contains("zscale"), "{text}");
        // Two rungs, the poster and the tiles.
        assert_eq!(
            text.matches(&format!("in_color_matrix={name}")).count(),
            4,
            "{text}"
        );
        assert!(!text.contains("setparams=colorspace=bt709,"), "{text}");
    };

    scaled(Matrix::Bt709, "bt709", &mut graph);
    scaled(Matrix::Bt601, "bt601", &mut graph);
    scaled(Matrix::Fcc, "fcc", &mut graph);
    scaled(Matrix::Smpte240m, "smpte240m", &mut graph);
    scaled(Matrix::Bt2020nc, "bt2020", &mut graph);

    let converted = graph(SourceColor {
        matrix: Matrix::Ycgco,
        ..SourceColor::default()
    });
    assert!(
        converted.starts_with("[0:1]setparams=colorspace=bt709,"),
        "{converted}"
    );
    assert!(
        converted.contains("color_trc=bt709:colorspace=ycgco,zscale="),
        "{converted}"
    );

    let unknown = graph(SourceColor {
        approximated: true,
        ..SourceColor::default()
    });
    assert!(
        unknown.starts_with("[0:1]setparams=colorspace=bt709,") && !unknown.contains("zscale"),
        "{unknown}"
    );
}

#[test]
fn captions_are_removed_unless_the_plan_keeps_them() {
    let mut planned = planned();
    let removes = |planned: &streams::plan::Planned| {
        let args = video_chunk(planned, 1, &input(), Options::default()).unwrap();
        args.iter()
            .any(|arg| arg.contains("sidedata=mode=delete:type=A53_CC"))
    };

    assert!(removes(&planned));
    planned.video.as_mut().unwrap().picture.captions = true;
    assert!(!removes(&planned));
}

#[test]
fn a_chunk_without_a_tile_writes_none_and_far_chunks_offer_no_poster() {
    let mut planned = planned();
    planned.storyboard.as_mut().unwrap().interval_frames = 800;
    let args = video_chunk(&planned, 1, &input(), Options::default()).unwrap();
    assert!(
        !args
            .iter()
            .any(|arg| arg.contains("[st]") || arg == TILES_FILE),
        "{args:?}"
    );

    planned.video.as_mut().unwrap().chunks = vec![0, 1, 2, 3];
    let args = video_chunk(&planned, 3, &input(), Options::default()).unwrap();
    assert!(
        !args
            .iter()
            .any(|arg| arg.contains("[sp]") || arg == POSTER_FILE),
        "{args:?}"
    );

    let last = args
        .iter()
        .position(|arg| arg == TILES_FILE)
        .map(|at| args[at - 1].as_str());
    assert_eq!(
        last,
        Some("1"),
        "frame 800 of 900 is the one tile: {args:?}"
    );
}

#[test]
fn there_is_no_chunk_behind_the_last_one_and_no_sound_where_none_is_planned() {
    let mut planned = planned();
    assert_eq!(video_chunk(&planned, 3, &input(), Options::default()), None);

    planned
        .renditions
        .retain(|rendition| matches!(rendition, streams::plan::Rendition::Video(_)));
    assert_eq!(
        tracks(
            &planned,
            &input(),
            Options::default(),
            &TrackSelection::default()
        ),
        None
    );
}

#[test]
fn all_sound_is_one_command() {
    check(
        tracks(
            &planned(),
            &input(),
            Options::default(),
            &TrackSelection::default(),
        ),
        include_str!("../../tests/golden/tracks.argv"),
    );
}

/// The plan with six channels in its first track, which are kept beside stereo, a mono second
/// track, subtitles and a cover.
fn rich() -> streams::plan::Planned {
    use streams::plan::{Rendition, SourceChannels};
    let mut planned = planned();
    let track = |index: u32, channels: u32| {
        serde_json::from_value(
            serde_json::json!({"index": index, "kind": "audio", "codec": "aac", "channels": channels}),
        )
        .unwrap()
    };
    planned.source.tracks = vec![track(0, 6), track(2, 1)];

    let mut first = planned.audios().next().unwrap().clone();
    first.source_channels = SourceChannels::Guessed("5.1".to_owned());
    let mut surround = first.clone();
    (surround.name, surround.channels, surround.bitrate) =
        ("surround-0".parse().unwrap(), 6, 384_000);
    planned.renditions[2] = Rendition::Audio(first);
    planned.renditions.push(Rendition::Audio(surround));

    planned.subtitles = vec![
        serde_json::from_value(
            serde_json::json!({"name": "0", "track": 3, "label": "English", "default": false, "reason": ""}),
        )
        .unwrap(),
    ];
    planned.cover = Some(4);

    planned
}

#[test]
fn everything_that_is_no_video_is_one_command() {
    let choice = TrackSelection {
        gains: [("audio-1".parse().unwrap(), 3.456)].into(),
        sound_alone: false,
    };
    check(
        tracks(&rich(), &input(), Options::default(), &choice),
        include_str!("../../tests/golden/tracks_rich.argv"),
    );
}

#[test]
fn sound_that_changes_is_decoded_to_one_form_and_read_from_there() {
    let mut planned = rich();
    assert_eq!(uniform(&planned, &input(), Options::default()), None);

    for rendition in &mut planned.renditions {
        if let streams::plan::Rendition::Audio(audio) = rendition {
            audio.changes = true;
        }
    }

    let args = uniform(&planned, &input(), Options::default())
        .unwrap()
        .join(" ");
    assert!(
        args.ends_with(
            "-filter_complex [0:0]aresample=48000:async=1000:flags=+res,aformat=sample_fmts=flt:channel_layouts=5.1[u0];\
             [0:2]volume='if(eq(nb_channels,1),sqrt(2),1)',aresample=48000:async=1000:flags=+res,\
             aformat=sample_fmts=flt:channel_layouts=stereo[u2] -map [u0] -map [u2] -c:a pcm_f32le -map_metadata -1 \
             -map_chapters -1 -fflags +bitexact -output_ts_offset 3600 -avoid_negative_ts disabled -f nut uniform.nut"
        ),
        "{args}"
    );

    // 15 s of six and of two channels.
    assert_eq!(uniform_bytes(&planned), 15 * 48_000 * 8 * 4);

    let args = tracks(
        &planned,
        &input(),
        Options::default(),
        &TrackSelection::default(),
    )
    .unwrap()
    .join(" ");
    assert!(
        args.contains("-format_whitelist nut -i file:uniform.nut"),
        "{args}"
    );
    assert!(
        args.contains("[1:0]asetpts=round(PTS-((5/2)+3600)/TB),asplit=2[t0_0][t0_1]"),
        "{args}"
    );
    assert!(
        args.contains("[1:1]asetpts=round(PTS-((5/2)+3600)/TB),aresample="),
        "{args}"
    );
}

#[test]
fn a_second_run_makes_sound_alone() {
    let choice = TrackSelection {
        sound_alone: true,
        ..TrackSelection::default()
    };
    let args = tracks(&rich(), &input(), Options::default(), &choice).unwrap();
    assert!(
        !args
            .iter()
            .any(|arg| arg.contains("webvtt") || arg.contains("0:4") || arg.contains("charenc")),
        "{args:?}"
    );

    let mut planned = rich();
    planned.renditions.clear();
    assert!(
        tracks(
            &planned,
            &input(),
            Options::default(),
            &TrackSelection::default()
        )
        .is_some()
    );
    assert_eq!(
        tracks(&planned, &input(), Options::default(), &choice),
        None
    );
}

#[test]
fn only_what_shall_have_a_loudness_is_measured() {
    let mut planned = rich();
    assert_eq!(loudness(&planned, &input(), Options::default()), None);

    for rendition in &mut planned.renditions {
        if let streams::plan::Rendition::Audio(audio) = rendition {
            audio.loudness = (audio.track == 0).then_some(-16.0);
        }
    }

    let args = loudness(&planned, &input(), Options::default()).unwrap();
    let graph = args.iter().find(|arg| arg.contains("ebur128")).unwrap();
    assert_eq!(
        graph,
        "[0:0]asetpts=round(PTS-(5/2)/TB),channelmap=channel_layout=5.1,asplit=2[t0_0][t0_1];\
         [t0_0]aresample=48000:async=1000:first_pts=0:flags=+res,aformat=sample_fmts=fltp:channel_layouts=stereo,\
         ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file=loudness-audio-0.txt[audio-0];\
         [t0_1]aresample=48000:async=1000:first_pts=0:flags=+res,aformat=sample_fmts=fltp:channel_layouts=5.1,\
         ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file=loudness-surround-0.txt[surround-0]"
    );
}

#[test]
fn each_encoder_is_asked_for_capped_quality_in_its_own_words() {
    let planned = planned();
    let rendition = planned.videos().next().unwrap();
    let mut text = String::new();
    for known in media::ladder::profile::encoder::ENCODERS {
        let rendition = streams::plan::VideoRendition {
            encoder: known.name.to_owned(),
            preset: known.presets.get(3).copied().unwrap_or_default().to_owned(),
            subme: (known.name == "libx264").then_some(2),
            profile: known.codec.profiles()[0].to_owned(),
            ..rendition.clone()
        };

        let device = encoder::device_args(&rendition).join(" ");
        let upload = encoder::upload_filters(&rendition)
            .into_iter()
            .map(|filter| format!(",{filter}"));
        let upload: String = upload.collect();
        text += &format!(
            "{device}|{upload}|{}\n",
            encoder::args(&rendition).join(" ")
        );
    }

    let golden = include_str!("../../tests/golden/encoders.argv");
    assert_eq!(text, golden, "the options are now\n{text}");
}

#[test]
fn a_turned_transparent_source_in_wide_colours_is_turned_laid_on_black_and_converted() {
    let mut planned = planned();
    planned.source.tracks =
        serde_json::from_str(r#"[{"index": 1, "kind": "video", "codec": "vp9"}]"#).unwrap();
    planned.video.as_mut().unwrap().picture = Picture {
        flatten: true,
        color: SourceColor {
            matrix: Matrix::Bt2020nc,
            primaries: Primaries::Bt2020,
            ..SourceColor::default()
        },
        turn: 90,
        width: 1080,
        height: 1920,
        ..Picture::default()
    };

    check(
        video_chunk(&planned, 1, &input(), Options::default()),
        include_str!("../../tests/golden/video_chunk_converted.argv"),
    );
}
