//! Plans, by value.

use proptest::prelude::*;
use streams::fact::Head;

use streams::plan::{Matrix, Picture, Primaries, SourceColor, Transfer};

use super::*;
use crate::ladder::probe::{
    Audience, Audio, DolbyVision, Stream, Unreadable, UnreadableCause, Video,
};
use crate::ladder::testing::{self, video};

fn pin() -> Pin {
    Pin {
        bucket: "b".to_owned(),
        key: "k".to_owned(),
        etag: "e".to_owned(),
        size: 1,
    }
}

fn settings() -> Settings {
    Settings {
        profile: Profile::standard(),
        priority: Priority::Normal,
        limits: crate::ladder::Limits::default(),
        fleet: 1,
    }
}

fn stream(index: u32, content: Content) -> Stream {
    Stream {
        start: Some(Rational::ZERO),
        end: Some(60.0),
        ..testing::stream(index, "x", content)
    }
}

fn audio() -> Content {
    Content::Audio(Audio {
        channels: 2,
        sample_rate: 48_000,
        layout: None,
        changes: false,
    })
}

fn probe(streams: Vec<Stream>) -> Probe {
    Probe {
        container: "mov,mp4,m4a,3gp,3g2,mj2".to_owned(),
        brand: Some("isom".to_owned()),
        container_start: Rational::ZERO,
        declared_end: Some(60.0),
        streams,
        seekable: true,
        leads: vec![1.0; 14],
        ..Probe::default()
    }
}

fn head() -> Head {
    Head::new("j".parse().unwrap(), "f".parse().unwrap())
}

fn planned(probe: &Probe) -> Planned {
    plan(head(), probe, pin(), &settings(), "5.1").unwrap()
}

fn refused(probe: &Probe) -> Code {
    plan(head(), probe, pin(), &settings(), "5.1")
        .unwrap_err()
        .code
}

#[test]
fn a_usual_video_gets_the_whole_ladder_its_sound_and_five_chunks() {
    let draft = planned(&probe(vec![
        stream(0, Content::Video(video())),
        stream(1, audio()),
    ]));
    let names: Vec<&str> = draft
        .renditions
        .iter()
        .map(|rendition| rendition.name().as_str())
        .collect();
    assert_eq!(names, ["1080p", "720p", "480p", "360p", "audio-0"]);

    let tasks: Vec<(String, Lane)> = draft
        .tasks
        .iter()
        .map(|task| (task.task.to_string(), task.lane))
        .collect();
    let wanted = [
        ("v0", Lane::Hi),
        ("tracks", Lane::Lo),
        ("v1", Lane::Lo),
        ("v2", Lane::Lo),
        ("v3", Lane::Lo),
        ("v4", Lane::Lo),
    ];
    assert_eq!(tasks, wanted.map(|(task, lane)| (task.to_owned(), lane)));

    let video = draft.video.unwrap();
    assert_eq!(
        (video.frames, video.segment_frames, video.chunks),
        (1500, 100, vec![0, 2, 5, 8, 11])
    );
    assert_eq!(
        (
            draft.segment.target_duration,
            draft.warnings,
            draft.source.mime_type.as_str()
        ),
        (4, vec![], "video/mp4")
    );
}

#[test]
fn sound_that_cannot_be_decoded_is_refused_with_the_reason() {
    let refused = |cause| {
        let sound = Content::Unreadable(Unreadable {
            is_video: false,
            cause,
        });
        plan(
            head(),
            &probe(vec![stream(0, sound)]),
            pin(),
            &settings(),
            "5.1",
        )
        .unwrap_err()
    };

    for (refusal, code, words) in [
        (
            refused(UnreadableCause::NoDecoder),
            Code::UnsupportedCodec,
            "uses the codec x, which",
        ),
        (
            refused(UnreadableCause::NoParameters),
            Code::DecodeErrors,
            "lacks the information that a decoder needs",
        ),
        (
            refused(UnreadableCause::UnknownForm),
            Code::UnsupportedCodec,
            "uses a variant of the codec x that",
        ),
    ] {
        assert_eq!(refusal.code, code);
        assert!(refusal.message.contains(words), "{}", refusal.message);
    }
}

#[test]
fn sound_that_is_not_there_is_a_warning() {
    let draft = planned(&probe(vec![stream(0, Content::Video(video()))]));
    assert_eq!(draft.warnings, ["no_audio"]);
    assert!(draft.tasks.iter().all(|task| task.task != TaskName::TRACKS));
}

#[test]
fn sound_and_subtitles_of_another_programme_are_left_out_with_a_word() {
    let text = || Stream {
        codec: "subrip".to_owned(),
        ..stream(5, Content::Subtitle { bitmap: false })
    };
    let streams = || {
        let early = Stream {
            start: Rational::new(-5, 1),
            ..stream(3, audio())
        };
        vec![
            stream(0, Content::Video(video())),
            stream(1, audio()),
            stream(2, Content::Video(video())),
            early,
            stream(4, audio()),
            text(),
        ]
    };

    let draft = planned(&Probe {
        programmes: vec![vec![0, 1], vec![2, 3, 5]],
        ..probe(streams())
    });

    let sounds = |draft: &Planned| -> Vec<u32> {
        let audios = draft
            .renditions
            .iter()
            .filter_map(|rendition| match rendition {
                Rendition::Audio(audio) => Some(audio.track),
                Rendition::Video(_) => None,
            });
        audios.collect()
    };
    // A track that no programme mentions may belong to any of them.
    assert_eq!((sounds(&draft), draft.subtitles.len()), (vec![1, 4], 0));
    assert!(
        draft
            .warnings
            .contains(&"other_programmes_left_out".to_owned()),
        "{:?}",
        draft.warnings
    );

    let others = draft
        .left_out
        .iter()
        .filter(|entry| entry.reason.contains("programme"));
    assert_eq!(
        others.map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
        ["track 3", "track 5"]
    );
    assert_eq!(draft.timeline.zero, Rational::ZERO);

    let radio = Probe {
        programmes: vec![vec![4], vec![1, 3]],
        ..probe(vec![
            stream(1, audio()),
            stream(3, audio()),
            stream(4, audio()),
        ])
    };
    assert_eq!(sounds(&planned(&radio)), [1, 3]);

    let one = planned(&Probe {
        programmes: Vec::new(),
        ..probe(streams())
    });
    assert_eq!((sounds(&one), one.subtitles.len()), (vec![1, 3, 4], 1));
}

#[test]
fn sound_alone_is_planned_and_a_cover_is_no_video() {
    let mut probe = probe(vec![
        stream(0, Content::Cover),
        Stream {
            start: Rational::new(1, 40),
            ..stream(1, audio())
        },
    ]);
    probe.container = "mp3".to_owned();

    let draft = planned(&probe);
    assert_eq!(
        (draft.video, draft.tasks.len(), draft.renditions.len()),
        (None, 1, 1)
    );
    assert_eq!(
        (draft.timeline.zero, draft.segment.target_duration),
        (Rational::new(1, 40).unwrap(), 4)
    );
    assert_eq!(draft.source.mime_type, "audio/mpeg");
}

#[test]
fn a_source_that_cannot_be_entered_is_one_chunk() {
    let draft = planned(&Probe {
        seekable: false,
        leads: vec![],
        ..probe(vec![stream(0, Content::Video(video()))])
    });
    assert_eq!(draft.video.unwrap().chunks, [0]);
    assert!(draft.warnings.contains(&"not_seekable".to_owned()));
}

#[test]
fn fields_and_high_dynamic_range_are_noticed() {
    let hdr = Video {
        interlaced: true,
        transfer: Some("arib-std-b67".to_owned()),
        ..video()
    };

    let draft = planned(&probe(vec![
        stream(0, Content::Video(hdr)),
        stream(1, audio()),
    ]));
    assert_eq!(
        draft.video.unwrap().picture,
        Picture {
            deinterlace: true,
            color: SourceColor {
                matrix: Matrix::Bt2020nc,
                transfer: Transfer::Hlg,
                primaries: Primaries::Bt2020,
                approximated: false,
            },
            width: 1920,
            height: 1080,
            pixel_aspect: Some(Rational::whole(1)),
            ..Picture::default()
        }
    );
    assert_eq!(draft.warnings, ["deinterlaced", "tone_mapped"]);
}

#[test]
fn captions_are_kept_where_every_rung_has_every_picture_and_else_left_out_with_a_word() {
    let captioned = |change: &dyn Fn(&mut Video), settings: &Settings| {
        let mut video = Video {
            captions: true,
            ..video()
        };
        change(&mut video);

        let draft = plan(
            head(),
            &probe(vec![stream(0, Content::Video(video)), stream(1, audio())]),
            pin(),
            settings,
            "5.1",
        )
        .unwrap();

        let kept = draft.video.unwrap().picture.captions;
        assert_eq!(
            draft.warnings.contains(&"captions_left_out".to_owned()),
            !kept,
            "{:?}",
            draft.warnings
        );
        assert_eq!(
            draft
                .left_out
                .iter()
                .any(|entry| entry.name == "closed captions"),
            !kept
        );
        kept
    };

    let rates = |average: i64, base: i64| {
        move |video: &mut Video| {
            (video.average_rate, video.base_rate) =
                (Some(Rational::whole(average)), Some(Rational::whole(base)))
        }
    };

    assert!(captioned(&|_| (), &settings()));
    // Low rungs of fast sources take every second picture, and variable rates are laid onto a grid.
    assert!(!captioned(&rates(60, 60), &settings()));
    assert!(!captioned(&rates(23, 30), &settings()));
    assert!(!captioned(&rates(120, 120), &settings()));

    let fields = Settings {
        profile: Profile {
            field_rate: true,
            ..Profile::standard()
        },
        ..settings()
    };
    assert!(captioned(
        &|video: &mut Video| video.interlaced = true,
        &settings()
    ));
    assert!(!captioned(
        &|video: &mut Video| video.interlaced = true,
        &fields
    ));

    let mut hevc = settings();
    hevc.profile.encoder = "libx265".to_owned();
    assert!(!captioned(&|_| (), &hevc));

    // Nothing is said where there is nothing to lose.
    let none = planned(&probe(vec![
        stream(0, Content::Video(video())),
        stream(1, audio()),
    ]));
    assert!(none.warnings.is_empty() && !none.video.unwrap().picture.captions);
}

#[test]
fn colours_that_cannot_be_converted_are_told() {
    let tagged = |matrix: &str| {
        let video = Video {
            matrix: Some(matrix.to_owned()),
            ..video()
        };
        planned(&probe(vec![
            stream(0, Content::Video(video)),
            stream(1, audio()),
        ]))
        .warnings
    };
    assert_eq!(tagged("ycgco"), ["colour_approximated"]);
    assert!(tagged("fcc").is_empty());
}

#[test]
fn base_layers_of_dolby_vision_are_used_where_they_are_pictures_of_their_own() {
    for (profile, compatibility, fine) in [
        (5, Some(0), false),
        (7, Some(6), true),
        (8, Some(1), true),
        (8, Some(4), true),
        (8, None, true),
        (10, Some(0), false),
    ] {
        let vision = Video {
            dolby_vision: Some(DolbyVision {
                profile,
                compatibility,
            }),
            ..video()
        };
        let made = plan(
            head(),
            &probe(vec![stream(0, Content::Video(vision))]),
            pin(),
            &settings(),
            "5.1",
        );
        assert_eq!(
            made.is_ok(),
            fine,
            "profile {profile}, compatibility {compatibility:?}"
        );
    }
}

#[test]
fn a_frame_for_each_field_doubles_the_rate_and_low_rungs_halve_it() {
    let fields = Video {
        interlaced: true,
        ..video()
    };
    let settings = Settings {
        profile: Profile {
            field_rate: true,
            ..Profile::standard()
        },
        ..settings()
    };

    let draft = plan(
        head(),
        &probe(vec![stream(0, Content::Video(fields))]),
        pin(),
        &settings,
        "5.1",
    )
    .unwrap();
    let video = draft.video.unwrap();
    assert_eq!(
        (video.frame_rate, video.frames),
        (Rational::whole(50), 3000)
    );
    assert!(video.picture.field_rate);
}

#[test]
fn what_can_never_be_done_is_refused_with_its_code() {
    let tiny = Video {
        width: 8,
        height: 8,
        ..video()
    };
    assert_eq!(
        refused(&probe(vec![stream(0, Content::Video(tiny))])),
        Code::DimensionsTooSmall
    );

    let huge = Video {
        width: 20_000,
        ..video()
    };
    assert_eq!(
        refused(&probe(vec![stream(0, Content::Video(huge))])),
        Code::ExceedsPolicy
    );

    let vision = Video {
        dolby_vision: Some(DolbyVision {
            profile: 5,
            compatibility: None,
        }),
        ..video()
    };
    assert_eq!(
        refused(&probe(vec![stream(0, Content::Video(vision))])),
        Code::UnsupportedDolbyVision
    );
    assert_eq!(
        refused(&probe(vec![stream(0, Content::Data)])),
        Code::NoTracks
    );

    let cut = Stream {
        end: Some(29.0),
        ..stream(0, Content::Video(video()))
    };
    assert_eq!(refused(&probe(vec![cut])), Code::TruncatedUpload);

    let endless = Stream {
        end: Some(1e9),
        ..stream(0, audio())
    };
    assert_eq!(refused(&probe(vec![endless])), Code::ExceedsPolicy);
}

#[test]
fn the_largest_plan_fits_a_fact() {
    let title = Some("\u{1d11e}".repeat(60));
    let streams = (0..32).map(|index| Stream {
        title: title.clone(),
        language: Some("x".repeat(35)),
        start: Rational::new(1_234_567, 90_000),
        end: Some(172_000.123_456_7),
        ..stream(
            index,
            if index == 0 {
                Content::Video(video())
            } else {
                audio()
            },
        )
    });

    let probe = Probe {
        declared_end: None,
        leads: vec![0.1; 64],
        ..probe(streams.collect())
    };

    let head = Head::new(
        "j".repeat(128).parse().unwrap(),
        "f".repeat(128).parse().unwrap(),
    );
    let pin = Pin {
        key: "k".repeat(1024),
        ..pin()
    };

    let draft = plan(head, &probe, pin, &settings(), "5.1").unwrap();
    let tasks = draft.tasks.len();
    let text = serde_json::to_string(&draft).unwrap();
    assert!(
        text.len() <= 64 * 1024,
        "{} bytes for {tasks} tasks",
        text.len()
    );
}

prop_compose! {
    fn any_video()(
        width in 1u32..9000, height in 1u32..9000, aspect in (1i64..100, 1i64..100), rotation in prop::sample::select(vec![0, 90, -90, 180, 13]),
        average in (1i64..100_000, 1i64..2000), base in prop::option::of((1i64..100_000, 1i64..2000)), interlaced: bool,
        transfer in prop::option::of("(smpte2084|bt709)"), vision in prop::option::of((4u32..11, prop::option::of(0u32..7))),
        bitrate in prop::option::of(any::<u64>()), mirrored: bool, alpha: bool,
    ) -> Content {
        Content::Video(Video {
            width, height, rotation, interlaced, transfer, bitrate, mirrored, alpha,
            dolby_vision: vision.map(|(profile, compatibility)| DolbyVision { profile, compatibility }),
            pixel_aspect: Rational::new(aspect.0, aspect.1).unwrap(),
            average_rate: Rational::new(average.0, average.1),
            base_rate: base.and_then(|(num, den)| Rational::new(num, den)),
            ..video()
        })
    }
}

fn any_content() -> impl Strategy<Value = Content> {
    prop_oneof![
        3 => any_video(),
        2 => (1u32..64, 1u32..200_000).prop_map(|(channels, sample_rate)| Content::Audio(Audio { channels, sample_rate, layout: None, changes: false })),
        1 => any::<bool>().prop_map(|bitmap| Content::Subtitle { bitmap }),
        1 => Just(Content::Cover),
        1 => Just(Content::Data),
    ]
}

prop_compose! {
    fn any_stream()(
        content in any_content(), start in prop::option::of((any::<i64>(), 1i64..100_000)), near in (-100i64..100, 1i64..90_000),
        far in prop::bool::weighted(0.1), end in prop::option::weighted(0.9, -10.0..200_000.0f64), language in prop::option::of("[a-z]{0,4}"),
        title in prop::option::of("\\PC{0,60}"), default: bool,
    ) -> Stream {
        let start = if far { start } else { Some(near) };
        Stream { index: 0, codec: "subrip".to_owned(), language, title, default, audience: Audience { forced: default, ..Audience::default() }, start: start.and_then(|(num, den)| Rational::new(num, den)), end, packet: 0.0, content }
    }
}

proptest! {
    #[test]
    fn no_probe_makes_it_panic_and_every_plan_holds_together(
        streams in prop::collection::vec(any_stream(), 0..32), leads in prop::collection::vec(0.0..900.0f64, 0..64),
        seekable: bool, container_start in -100i64..100, declared_end in prop::option::of(0.0..100.0f64),
    ) {
        let streams = (0..).zip(streams).map(|(index, stream)| Stream { index, ..stream }).collect();
        let probe = Probe {
            container_start: Rational::new(container_start, 7).unwrap(), declared_end, seekable, leads, ..probe(streams)
        };

        if let Ok(draft) = plan(head(), &probe, pin(), &settings(), "5.1") {
            prop_assert!(!draft.renditions.is_empty() && !draft.tasks.is_empty());
            prop_assert!(draft.cost.is_some());

            let told = draft.left_out.iter().filter(|entry| entry.name.starts_with("track ")).count();
            // A track of 5.1 has two renditions.
            let mut used: BTreeSet<u32> = draft.renditions.iter().filter_map(|rendition| match rendition {
                Rendition::Audio(audio) => Some(audio.track),
                Rendition::Video(_) => None,
            }).collect();
            used.extend(draft.video.iter().map(|video| video.track).chain(draft.cover));
            used.extend(draft.subtitles.iter().map(|subtitles| subtitles.track));
            prop_assert_eq!(told + used.len(), probe.streams.len());

            if let Some(video) = &draft.video {
                prop_assert_eq!(video.chunk_frames(0).map(|(first, _)| first), Some(0));
                let ends: Vec<_> = (0..video.chunks.len() as u32).filter_map(|k| video.chunk_frames(k)).collect();
                prop_assert!(ends.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].0 < pair[0].1));
                prop_assert_eq!(ends.last().map(|(_, end)| *end), Some(video.frames));
            }

            let text = serde_json::to_string(&draft).unwrap();
            prop_assert!(text.len() <= 64 * 1024, "{}", text.len());
            // One reading loses the last bit of some floats; from then on the text is stable.
            let read: Planned = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read.tasks, draft.tasks);
        }
    }
}
