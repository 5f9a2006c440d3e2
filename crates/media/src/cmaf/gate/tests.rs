//! The gate on synthetic values; `ffmpeg::whole` holds it against real files.

use super::*;
use crate::cmaf::codec::TrackCodec;
use proptest::prelude::*;
use streams::testing::planned;

fn init(rendition: &VideoRendition) -> InitInfo {
    InitInfo {
        timescale: 60_000,
        codec: TrackCodec {
            text: "avc1.640028".to_owned(),
            configuration: Vec::new(),
        },
        size: Some((rendition.width, rendition.height)),
        sound: None,
        edits: Vec::new(),
        defaults: crate::cmaf::init::SampleDefaults::default(),
    }
}

fn segment(start: u64, samples: u64, ticks: u64) -> FragmentInfo {
    FragmentInfo {
        start: start * ticks,
        duration: samples * ticks,
        samples,
        starts_with_sync: true,
        syncs: 1,
        sequence: 1,
        media_bytes: 100,
        key_frame: None,
    }
}

/// Chunk 1 of the sample plan at full rate: segments 1 and 2.
fn good() -> Vec<(u32, FragmentInfo)> {
    vec![(1, segment(240, 240, 1001)), (2, segment(480, 240, 1001))]
}

fn check(segments: &[(u32, FragmentInfo)]) -> Result<u64, GateFailure> {
    let planned = planned();
    let top = planned.videos().next().unwrap();
    video_chunk(&planned, top, 1, &init(top), segments)
}

#[test]
fn a_chunk_as_planned_passes_at_full_and_at_half_rate() {
    assert_eq!(check(&good()), Ok(480));
    let planned = planned();
    let half = planned.videos().nth(1).unwrap();
    let segments = [(1, segment(120, 120, 2002)), (2, segment(240, 120, 2002))];
    assert_eq!(
        video_chunk(&planned, half, 1, &init(half), &segments),
        Ok(240)
    );
}

#[test]
fn every_single_deviation_is_caught() {
    type Damage = fn(&mut Vec<(u32, FragmentInfo)>);
    let damages: [(Damage, &str); 9] = [
        (|s| s[1].1 = segment(480, 239, 1001), "has 479 frames"),
        (|s| s[0].1 = segment(240, 239, 1001), "has 239 frames"),
        (|s| s[1].1.start += 1, "begins at"),
        (|s| s[1].1.samples = 0, "is empty"),
        (|s| s[1].1.media_bytes = 0, "is empty"),
        (|s| s[1].1.starts_with_sync = false, "key frame"),
        (|s| s[0].1.syncs = 2, "has 2 key frames"),
        (|s| s[0].1.duration += 1, "should last"),
        (|s| s[1].0 = 3, "segment 3 is at the place"),
    ];

    for (damage, wanted) in damages {
        let mut segments = good();
        damage(&mut segments);
        let failure = check(&segments).unwrap_err().to_string();
        assert!(failure.contains(wanted), "{failure} / {wanted}");
    }

    assert_eq!(check(&[]), Err(GateFailure::Nothing));
    assert!(matches!(
        check(&good()[..1]),
        Err(GateFailure::Frames {
            found: 240,
            wanted: 480
        })
    ));
}

#[test]
fn an_init_segment_of_another_size_or_timescale_is_caught() {
    let planned = planned();
    let top = planned.videos().next().unwrap();

    let other_size = InitInfo {
        size: Some((1280, 720)),
        ..init(top)
    };
    let other_scale = InitInfo {
        timescale: 1000,
        ..init(top)
    };

    for init in [other_size, other_scale] {
        assert!(matches!(
            video_chunk(&planned, top, 1, &init, &good()),
            Err(GateFailure::Init { .. })
        ));
    }
}

#[test]
fn only_the_end_of_the_video_may_differ_and_only_by_two_frames() {
    let planned = planned();
    let top = planned.videos().next().unwrap();
    for (frames, passes) in [
        (177, false),
        (178, true),
        (180, true),
        (182, true),
        (183, false),
    ] {
        let segments = [(3, segment(720, frames, 1001))];
        assert_eq!(
            video_chunk(&planned, top, 2, &init(top), &segments).is_ok(),
            passes,
            "{frames}"
        );
    }
}

#[test]
fn what_is_left_behind_the_last_planned_segment_belongs_to_it() {
    let mut planned = planned();
    planned.segment.count = 3;
    planned.video.as_mut().unwrap().frames = 740;
    planned.video.as_mut().unwrap().chunks = vec![0, 1, 2];
    let top = planned.videos().next().unwrap();

    let joined = FragmentInfo {
        syncs: 2,
        ..segment(480, 260, 1001)
    };
    assert_eq!(
        video_chunk(&planned, top, 2, &init(top), &[(2, joined)]),
        Ok(260)
    );

    // A last segment that the plan does not have would be missing in the playlists.
    let apart = [(2, segment(480, 240, 1001)), (3, segment(720, 20, 1001))];
    assert!(video_chunk(&planned, top, 2, &init(top), &apart).is_err());
}

#[test]
fn a_track_must_begin_at_zero_join_and_have_its_length() {
    let planned = planned();
    let rendition = planned.audios().next().unwrap();
    let init = InitInfo {
        timescale: 48_000,
        size: None,
        sound: Some((2, 48_000)),
        ..init(planned.videos().next().unwrap())
    };

    let good = [
        (0, segment(0, 188, 1024)),
        (1, segment(188, 188, 1024)),
        (2, segment(376, 327, 1024)),
    ];
    assert_eq!(track(&planned, rendition, &init, &good), Ok(703 * 1024));

    let late = [(0, segment(1, 703, 1024))];
    assert!(matches!(
        track(&planned, rendition, &init, &late),
        Err(GateFailure::Start { .. })
    ));

    assert!(matches!(
        track(&planned, rendition, &init, &good[..2]),
        Err(GateFailure::Length { .. })
    ));

    // Audio may differ by 50 ms, and no segment may come after the last one planned.
    let (over, beyond) = (segment(376, 329, 1024), segment(376, 332, 1024));
    for (last, passes) in [(over, true), (beyond, false)] {
        let segments = [good[0].clone(), good[1].clone(), (2, last)];
        assert_eq!(track(&planned, rendition, &init, &segments).is_ok(), passes);
    }

    let (third, fourth) = (segment(376, 188, 1024), segment(564, 100, 1024));
    let more = [
        good[0].clone(),
        good[1].clone(),
        (2, third),
        (3, fourth),
        (4, segment(664, 39, 1024)),
    ];

    assert_eq!(
        track(&planned, rendition, &init, &more),
        Err(GateFailure::Number {
            found: 4,
            wanted: 3
        })
    );

    let mut gap = good.clone();
    gap[2].1.start += 1024;
    assert!(matches!(
        track(&planned, rendition, &init, &gap),
        Err(GateFailure::Start { .. })
    ));
}

proptest! {
    #[test]
    fn no_values_make_it_panic_and_what_passes_tiles_the_chunk(
        values in prop::collection::vec((0u32..5, 0u64..4, 230u64..250, any::<bool>()), 0..5),
        timescale in 0u32..100_000,
    ) {
        let segments: Vec<_> = values
            .iter()
            .map(|(n, i, samples, sync)| (*n, FragmentInfo { starts_with_sync: *sync, ..segment(240 * i, *samples, 1001) }))
            .collect();

        let planned = planned();
        let top = planned.videos().next().unwrap();
        let init = InitInfo { timescale, ..init(top) };

        for chunk in 0..4 {
            if let Ok(frames) = video_chunk(&planned, top, chunk, &init, &segments) {
                prop_assert_eq!(frames, segments.iter().map(|(_, s)| s.samples).sum::<u64>());
                prop_assert!(segments.windows(2).all(|w| w[0].1.start + w[0].1.duration == w[1].1.start));
            }
        }
    }
}
