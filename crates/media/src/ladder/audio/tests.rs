use super::*;
use crate::ladder::probe::Content;
use crate::ladder::testing;
use streams::Rational;

fn track(
    index: u32,
    language: Option<&str>,
    title: Option<&str>,
    default: bool,
    end: f64,
) -> Stream {
    Stream {
        language: language.map(str::to_owned),
        title: title.map(str::to_owned),
        default,
        start: Some(Rational::ZERO),
        end: Some(end),
        ..testing::stream(index, "aac", Content::Data)
    }
}

const STEREO: Audio = Audio {
    channels: 2,
    sample_rate: 44_100,
    layout: None,
    changes: false,
};

fn names(sound: &Sound) -> Vec<&str> {
    sound
        .renditions
        .iter()
        .map(|rendition| rendition.name.as_str())
        .collect()
}

fn labels(streams: &[Stream]) -> (Vec<String>, Vec<&'static str>) {
    let tracks: Vec<(&Stream, &Audio)> = streams.iter().map(|stream| (stream, &STEREO)).collect();
    let sound = renditions(&Profile::standard(), &tracks, 0.0);
    (
        sound
            .renditions
            .iter()
            .map(|rendition| rendition.label.clone())
            .collect(),
        sound.warnings,
    )
}

#[test]
fn the_default_track_leads_and_no_two_share_a_name() {
    let streams = [
        track(1, Some("eng"), None, false, 9.0),
        track(2, Some("ger"), None, true, 9.0),
        track(3, Some("eng"), None, true, 9.0),
        track(4, None, Some("Director"), false, 9.0),
        track(5, None, None, false, 9.0),
    ];

    let (labels, warnings) = labels(&streams);
    assert_eq!(
        labels,
        ["German", "English", "English 2", "Director", "Audio 5"]
    );
    assert!(warnings.is_empty());
}

#[test]
fn empty_and_surplus_tracks_are_left_out_with_a_word() {
    let mut streams: Vec<Stream> = (0..10).map(|i| track(i, None, None, false, 9.0)).collect();
    streams.push(track(10, None, None, false, 0.05));
    let (labels, warnings) = labels(&streams);
    assert_eq!(
        (labels.len(), warnings),
        (
            8,
            vec!["empty_audio_track_left_out", "audio_tracks_left_out"]
        )
    );
}

#[test]
fn a_commentary_never_leads_and_is_called_one() {
    let mut commentary = track(1, Some("eng"), None, true, 9.0);
    commentary.audience.commentary = true;
    let mut described = track(3, Some("eng"), None, false, 9.0);
    described.audience.visual_impaired = true;
    let (labels, _) = labels(&[
        commentary,
        track(2, Some("eng"), None, false, 9.0),
        described,
    ]);
    assert_eq!(
        labels,
        [
            "English",
            "English (commentary)",
            "English (audio description)"
        ]
    );
}

#[test]
fn six_channels_stand_beside_stereo_under_the_same_name() {
    let streams = [
        track(1, Some("eng"), None, false, 9.0),
        track(2, Some("ger"), None, false, 9.0),
    ];
    let film = Audio {
        channels: 6,
        layout: Some("5.1(side)".to_owned()),
        ..STEREO
    };

    let sound = renditions(
        &Profile::standard(),
        &[(&streams[0], &film), (&streams[1], &STEREO)],
        0.0,
    );
    assert_eq!(names(&sound), ["audio-0", "audio-1", "surround-0"]);

    let labels: Vec<&str> = sound
        .renditions
        .iter()
        .map(|rendition| rendition.label.as_str())
        .collect();
    assert_eq!(labels, ["English", "German", "English"]);

    let channels: Vec<u32> = sound
        .renditions
        .iter()
        .map(|rendition| rendition.channels)
        .collect();
    assert_eq!(channels, [2, 2, 6]);
    assert!(sound.warnings.is_empty());
}

#[test]
fn channels_nobody_named_are_guessed_up_to_eight_and_then_dealt() {
    let stream = track(1, None, None, false, 9.0);
    for (channels, layout, wanted, surround, warnings) in [
        (
            1,
            None,
            SourceChannels::Guessed("mono".to_owned()),
            false,
            vec![],
        ),
        (
            3,
            None,
            SourceChannels::Guessed("3.0".to_owned()),
            false,
            vec!["channel_layout_guessed"],
        ),
        (
            6,
            None,
            SourceChannels::Guessed("5.1".to_owned()),
            true,
            vec!["channel_layout_guessed"],
        ),
        (
            2,
            Some("FL+FC"),
            SourceChannels::Guessed("stereo".to_owned()),
            false,
            vec![],
        ),
        (7, Some("6.1(back)"), SourceChannels::Named, true, vec![]),
        (
            12,
            None,
            SourceChannels::Dealt(12),
            false,
            vec!["channel_layout_unknown"],
        ),
    ] {
        let audio = Audio {
            channels,
            layout: layout.map(str::to_owned),
            ..STEREO
        };

        let sound = renditions(&Profile::standard(), &[(&stream, &audio)], 0.0);
        let first = &sound.renditions[0];
        let found = (
            first.source_channels.clone(),
            sound.renditions.len() == 2,
            sound.warnings,
        );
        assert_eq!(found, (wanted, surround, warnings), "{channels} {layout:?}");
    }
}

/// Mono tracks with these titles, and with one layout each.
fn mono(tracks: &[(Option<&str>, Option<&str>)]) -> Sound {
    let streams: Vec<Stream> = (1..)
        .zip(tracks)
        .map(|(index, (title, _))| track(index, None, *title, false, 9.0))
        .collect();

    let audios: Vec<Audio> = tracks
        .iter()
        .map(|(_, layout)| Audio {
            channels: 1,
            layout: layout.map(str::to_owned),
            ..STEREO
        })
        .collect();

    let tracks: Vec<(&Stream, &Audio)> = streams.iter().zip(&audios).collect();
    renditions(&Profile::standard(), &tracks, 0.0)
}

#[test]
fn mono_tracks_named_left_and_right_are_one_and_others_stay_apart_with_a_word() {
    for (tracks, pairs, labels, warnings) in [
        (
            &[(Some("Left"), None), (Some("Right"), None)][..],
            &[(1, Some(2))][..],
            &["Audio 1"][..],
            &[][..],
        ),
        (
            &[
                (Some("Boom R"), None),
                (Some("Host L"), None),
                (Some("boom l"), None),
            ],
            &[(3, Some(1)), (2, None)],
            &["boom", "Host L"],
            &[],
        ),
        (
            &[
                (None, Some("1 channels (FL)")),
                (None, Some("1 channels (FR)")),
            ],
            &[(1, Some(2))],
            &["Audio 1"],
            &[],
        ),
        (
            &[(Some("Left"), None), (Some("Left"), None)],
            &[(1, None), (2, None)],
            &["Left", "Left 2"],
            &[],
        ),
        (
            &[(None, None), (None, Some("mono"))],
            &[(1, None), (2, None)],
            &["Audio 1", "Audio 2"],
            &["mono_tracks_separate"],
        ),
    ] {
        let sound = mono(tracks);
        let found: Vec<_> = sound
            .renditions
            .iter()
            .map(|r| (r.track, r.right_track))
            .collect();
        let names: Vec<_> = sound.renditions.iter().map(|r| r.label.as_str()).collect();

        assert_eq!(
            (
                found.as_slice(),
                names.as_slice(),
                sound.warnings.as_slice()
            ),
            (pairs, labels, warnings),
            "{tracks:?}"
        );
    }
}

#[test]
fn a_later_attempt_expects_changes_but_where_channels_have_no_places() {
    let mut plan = streams::testing::planned();
    let mut audios: Vec<_> = plan.audios().cloned().collect();
    audios[0].source_channels = SourceChannels::Dealt(12);
    plan.renditions = audios.into_iter().map(Rendition::Audio).collect();
    expect_changes(&mut plan);
    let changes: Vec<bool> = plan.audios().map(|rendition| rendition.changes).collect();
    assert_eq!(changes, [false, true]);
}

#[test]
fn no_tracks_are_no_renditions() {
    assert_eq!(renditions(&Profile::standard(), &[], 0.0), Sound::default());
}
