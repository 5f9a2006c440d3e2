use proptest::prelude::*;

use super::super::testing::{Clip, SIZE, Sps, boxed, entry};
use super::*;

fn damaged(clip: &Clip) -> bool {
    matches!(clip.index(), Err(IndexError::Damaged(_)))
}

#[test]
fn every_sample_has_its_place_and_its_times() {
    let clip = Clip {
        sizes: vec![500, 100, 200, 300, 400],
        deltas: vec![512, 512, 512, 600, 0],
        composition: Some((0, vec![1024, 2560, 1024, 0, 512])),
        key_frames: Some(vec![0, 4]),
        chunk_samples: 2,
        chunk_gap: 1000,
        first_offset: 40,
        ..Clip::new(5)
    };

    let index = clip.index().unwrap();
    let samples: Vec<_> = index
        .samples_in(0..9)
        .map(|s| {
            (
                s.offset,
                s.bytes,
                s.decode_time,
                s.composition_time,
                s.is_sync,
            )
        })
        .collect();
    let wanted = [
        (40, 500, 0, 1024, true),
        (540, 100, 512, 3072, false),
        (1640, 200, 1024, 2048, false),
        (1840, 300, 1536, 1536, false),
        (3140, 400, 2136, 2648, true),
    ];
    assert_eq!(samples, wanted);
    assert_eq!((index.samples(), index.timescale()), (5, 12_800));
    assert_eq!((index.key_frames(), index.bytes()), (&[0, 4][..], 1500));
    assert_eq!(index.sample(5), None);
}

#[test]
fn offsets_of_64_bits_reach_behind_four_gibibytes() {
    let clip = Clip {
        first_offset: 5 << 32,
        has_long_offsets: true,
        ..Clip::new(20)
    };
    let last = clip.index().unwrap().sample(19).unwrap();
    assert_eq!(last.offset, (5 << 32) + 19_000);
}

#[test]
fn without_a_table_every_sample_is_a_key_frame() {
    let clip = Clip {
        key_frames: None,
        ..Clip::new(3)
    };
    assert_eq!(clip.index().unwrap().key_frames(), [0, 1, 2]);
    let clip = Clip {
        key_frames: Some(vec![]),
        ..Clip::new(3)
    };
    let index = clip.index().unwrap();
    assert!(index.key_frames().is_empty() && !index.has_closed_groups());
}

#[test]
fn negative_offsets_are_read_in_both_versions() {
    for version in [0, 1] {
        let clip = Clip {
            composition: Some((version, vec![0, 1024, -512, -512])),
            ..Clip::new(4)
        };
        let index = clip.index().unwrap();
        let times: Vec<i64> = index.samples_in(0..4).map(|s| s.composition_time).collect();
        assert_eq!(times, [0, 1536, 512, 1024]);
        assert!(index.has_closed_groups() && index.keeps_rate(Rational::whole(25)));
    }
}

#[test]
fn equal_sizes_are_one_number() {
    let clip = Clip::new(30);
    let moov = clip.moov();
    let at = moov.windows(4).position(|kind| kind == b"stsz").unwrap();
    // A size, and no list after the count: the box shrinks to 20 bytes, and its former rest becomes
    // another box.
    let rest = moov[at + 16..at + 16 + 120].len();
    let mut short = moov.clone();
    short[at + 8..at + 12].copy_from_slice(&1000_u32.to_be_bytes());
    short[at - 4..at].copy_from_slice(&20_u32.to_be_bytes());
    short[at + 16..at + 20].copy_from_slice(&(rest as u32).to_be_bytes());
    short[at + 20..at + 24].copy_from_slice(b"free");

    let index = SampleIndex::read(&short, SIZE, clip.file_bytes()).unwrap();
    assert_eq!(Ok(index), clip.index());
}

#[test]
fn a_file_without_a_complete_index_has_none() {
    let fragmented = Clip {
        is_fragmented: true,
        ..Clip::new(4)
    };
    assert_eq!(fragmented.index(), Err(IndexError::Fragmented));
    assert_eq!(Clip::new(0).index(), Err(IndexError::Missing("sample")));
    let read = |bytes: &[u8]| SampleIndex::read(bytes, SIZE, 1000);
    assert_eq!(read(b""), Err(IndexError::Missing("moov box")));
    assert_eq!(read(&boxed(b"moov", &[])), Err(IndexError::Missing("mvhd")));

    // Every table is required, except the ones that have no effect here.
    let clip = Clip::new(4);
    for kind in [
        b"stsd", b"stts", b"stsz", b"stsc", b"stco", b"mdhd", b"stbl", b"minf", b"mdia",
    ] {
        let mut moov = clip.moov();
        let at = moov.windows(4).position(|found| found == kind).unwrap();
        moov[at..at + 4].copy_from_slice(b"free");
        let error = SampleIndex::read(&moov, SIZE, clip.file_bytes()).unwrap_err();
        assert_eq!(error.refusal(), CopyRefusal::NoIndex, "{error}");
    }
}

#[test]
fn what_contradicts_itself_is_damaged() {
    let clip = || Clip::new(20);
    assert!(clip().index().is_ok());

    let times = |count| vec![512; count];
    assert!(damaged(&Clip {
        deltas: times(19),
        ..clip()
    }));
    assert!(damaged(&Clip {
        deltas: times(21),
        ..clip()
    }));
    let negative = [times(19), vec![u32::MAX]].concat();
    assert!(damaged(&Clip {
        deltas: negative,
        ..clip()
    }));
    assert!(damaged(&Clip {
        timescale: 0,
        ..clip()
    }));

    for count in [19, 21] {
        let composition = Some((0, vec![0; count]));
        assert!(damaged(&Clip {
            composition,
            ..clip()
        }));
    }
    for keys in [vec![0, 20], vec![5, 4], vec![4, 4]] {
        assert!(damaged(&Clip {
            key_frames: Some(keys),
            ..clip()
        }));
    }

    let empty = [vec![1000; 19], vec![0]].concat();
    assert!(damaged(&Clip {
        sizes: empty,
        ..clip()
    }));

    // A truncated file.
    let whole = clip();
    let read = |bytes| SampleIndex::read(&whole.moov(), SIZE, bytes);
    assert!(read(whole.file_bytes()).is_ok());
    assert!(matches!(
        read(whole.file_bytes() - 1),
        Err(IndexError::Damaged(_))
    ));
    assert!(matches!(read(10), Err(IndexError::Damaged(_))));
}

/// The index of a clip after changing bytes of its `moov` box, at an offset after the kind of a
/// box.
fn patched(
    clip: &Clip,
    kind: &[u8; 4],
    at: usize,
    bytes: &[u8],
) -> Result<SampleIndex, IndexError> {
    let mut moov = clip.moov();
    let found = moov.windows(4).position(|found| found == kind).unwrap();
    let from = found + 4 + at;
    moov[from..from + bytes.len()].copy_from_slice(bytes);
    SampleIndex::read(&moov, SIZE, u64::MAX)
}

#[test]
fn chunks_must_hold_all_samples_and_no_more() {
    let clip = Clip::new(24);
    let runs = |words: [u32; 3]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        patched(&clip, b"stsc", 8, &bytes)
    };

    assert!(runs([1, 12, 1]).is_ok());
    for words in [
        [2, 12, 1],
        [1, 0, 1],
        [1, 11, 1],
        [1, 13, 1],
        [1, u32::MAX, 1],
    ] {
        assert!(
            matches!(runs(words), Err(IndexError::Damaged(_))),
            "{words:?}"
        );
    }
    // There are two chunks, but the count claims one or many.
    for count in [1_u32, 3, u32::MAX] {
        let error = patched(&clip, b"stco", 4, &count.to_be_bytes()).unwrap_err();
        assert_eq!(error.refusal(), CopyRefusal::Damaged);
    }
}

#[test]
fn what_is_only_claimed_is_counted_up_to_a_limit() {
    let clip = Clip::new(20);
    // Samples of one size, as many as 32 bits can express.
    let sizes = patched(&clip, b"stsz", 4, &[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
    assert!(matches!(
        sizes,
        Err(IndexError::TooLarge {
            what: "samples",
            ..
        })
    ));

    // One sample that lasts too long.
    let day = Clip {
        timescale: 1,
        deltas: vec![MAX_SECONDS, 1],
        ..Clip::new(2)
    };
    assert!(matches!(
        day.index(),
        Err(IndexError::TooLarge {
            what: "seconds",
            ..
        })
    ));

    let times = patched(&clip, b"stts", 8, &[0xff; 4]);
    assert!(matches!(times, Err(IndexError::Damaged(_))));
    let long = vec![0; MAX_MOOV_BYTES as usize + 1];
    assert!(matches!(
        SampleIndex::read(&long, SIZE, u64::MAX),
        Err(IndexError::TooLarge { .. })
    ));
}

#[test]
fn of_several_tracks_the_one_of_the_right_size_is_read() {
    let small = Sps {
        width: 640,
        height: 360,
        ..Sps::default()
    };
    let main = Clip::new(10);
    let other = Clip {
        entries: vec![entry(&small)],
        ..Clip::new(3)
    };

    let read = |traks: &[Vec<u8>]| {
        let moov = main.movie(traks);
        SampleIndex::read(&moov, SIZE, main.file_bytes()).map(|index| index.samples())
    };
    assert_eq!(read(&[other.trak(), main.trak()]), Ok(10));
    assert_eq!(read(&[main.trak(), other.trak()]), Ok(10));
    assert_eq!(
        read(&[main.trak(), main.trak()]),
        Err(IndexError::Ambiguous(2))
    );
    assert!(matches!(
        read(&[other.trak(), other.trak()]),
        Err(IndexError::Missing(_))
    ));
    // The only track, whatever its entry says.
    assert_eq!(read(&[other.trak()]), Ok(3));
    assert!(matches!(read(&[]), Err(IndexError::Missing(_))));

    // Audio tracks are ignored.
    let mut sound = main.trak();
    let at = sound.windows(4).position(|kind| kind == b"vide").unwrap();
    sound[at..at + 4].copy_from_slice(b"soun");
    assert_eq!(read(&[sound, main.trak()]), Ok(10));
}

#[test]
fn only_sample_entries_of_h264_with_all_parameters_are_decoded() {
    let of = |entries: Vec<Vec<u8>>| {
        let index = Clip {
            entries,
            ..Clip::new(4)
        }
        .index()
        .unwrap();
        (index.avc().is_some(), index.descriptions())
    };
    let avc1 = entry(&Sps::default());
    let mut avc3 = avc1.clone();
    avc3[4..8].copy_from_slice(b"avc3");

    assert_eq!(of(vec![avc1.clone()]), (true, 1));
    assert_eq!(of(vec![avc1.clone(), avc1]), (true, 2));
    assert_eq!(of(vec![avc3]), (false, 1));
    assert_eq!(of(vec![boxed(b"apcn", &[0; 90])]), (false, 1));
}

#[test]
fn an_edit_list_is_plain_where_it_only_says_when_the_first_picture_is_shown() {
    // Ten pictures, the first one shown after two frames: 1024 ticks at 12,800 per second.
    let is_plain = |edits: &[(u32, i32, i16)]| {
        let clip = Clip {
            composition: Some((0, vec![1024; 10])),
            edits: edits.to_vec(),
            ..Clip::new(10)
        };
        clip.index().unwrap().has_plain_edits()
    };

    assert!(is_plain(&[]));
    assert!(is_plain(&[(400, 1024, 1)]) && is_plain(&[(0, 1024, 1)]));
    assert!(is_plain(&[(2500, -1, 1), (400, 1024, 1)]));
    // The edit may cut the end of the last picture, but not the whole picture.
    assert!(is_plain(&[(361, 1024, 1)]) && !is_plain(&[(360, 1024, 1)]));

    assert!(!is_plain(&[(400, 0, 1)]) && !is_plain(&[(400, 1536, 1)]));
    assert!(!is_plain(&[(400, 1024, 2)]) && !is_plain(&[(400, 1024, 0)]));
    assert!(!is_plain(&[(200, 1024, 1), (200, 3584, 1)]));
    assert!(!is_plain(&[(400, 1024, 1), (400, -1, 1)]));
    assert!(!is_plain(&[(9, -1, 1), (9, -1, 1), (400, 1024, 1)]));
    assert!(!is_plain(&[(400, -1, 1)]));
}

#[test]
fn groups_are_closed_where_key_frames_part_the_pictures() {
    let is_closed = |frames: &[i32], keys: &[u32]| {
        // Each sample is shown at this frame.
        let offsets = frames.iter().zip(0..).map(|(frame, n)| (frame - n) * 512);
        let clip = Clip {
            composition: Some((1, offsets.collect())),
            key_frames: Some(keys.to_vec()),
            ..Clip::new(frames.len() as u32)
        };
        clip.index().unwrap().has_closed_groups()
    };

    assert!(is_closed(&[0, 3, 1, 2, 4, 7, 5, 6], &[0, 4]));
    // Pictures after the key frame are shown before it.
    assert!(!is_closed(&[0, 1, 4, 2, 3, 5], &[0, 2]));
    // Pictures before the key frame are shown after it.
    assert!(!is_closed(&[0, 3, 1, 2, 4, 5], &[0, 2]));
    assert!(!is_closed(&[0, 1, 2, 3], &[1]));
    assert!(!is_closed(&[2, 0, 1, 3], &[0]));
    // Two pictures at the same time are not separated.
    assert!(!is_closed(&[0, 1, 1, 2], &[0, 2]));
}

#[test]
fn a_rate_is_kept_within_a_quarter_of_a_frame_to_the_end() {
    let keeps = |clip: &Clip, rate: &str| clip.index().unwrap().keeps_rate(rate.parse().unwrap());
    let even = |timescale, delta, samples| Clip {
        timescale,
        deltas: vec![delta; samples as usize],
        ..Clip::new(samples)
    };

    assert!(keeps(&even(12_800, 512, 100), "25") && !keeps(&even(12_800, 512, 100), "24"));
    assert!(keeps(&even(24_000, 1001, 5000), "24000/1001"));
    // Two rates that differ by a thousandth diverge after ten seconds.
    assert!(keeps(&even(24_000, 1001, 200), "24"));
    assert!(!keeps(&even(24_000, 1001, 300), "24"));

    // Clocks of 600 and of 1000 ticks per second, with every timestamp rounded.
    for (clock, rate) in [(600_u32, 24_000.0 / 1001.0), (1000, 60_000.0 / 1001.0)] {
        let time = |n: u32| (f64::from(n) * f64::from(clock) / rate).round() as u32;
        let clip = Clip {
            timescale: clock,
            deltas: (0..2000).map(|n| time(n + 1) - time(n)).collect(),
            ..Clip::new(2000)
        };
        let rate = if clock == 600 {
            "24000/1001"
        } else {
            "60000/1001"
        };
        assert!(keeps(&clip, rate), "{clock}");
    }

    // First one picture is missing; then one is late by a third of a frame.
    let mut clip = even(12_800, 512, 100);
    clip.deltas[50] = 1024;
    assert!(!keeps(&clip, "25"));
    clip.deltas[50] = 512 + 170;
    clip.deltas[51] = 512 - 170;
    assert!(!keeps(&clip, "25"));
    clip.deltas[50] = 512 + 120;
    clip.deltas[51] = 512 - 120;
    assert!(keeps(&clip, "25"));
    assert!(keeps(&even(12_800, 512, 1), "25"));
}

#[test]
fn a_few_key_frames_are_spread_over_the_track() {
    let index = Clip {
        key_frames: Some((0..100).map(|n| n * 10).collect()),
        ..Clip::new(1000)
    };
    let index = index.index().unwrap();
    assert_eq!(index.spread_key_frames(4), [0, 330, 660, 990]);
    assert_eq!(index.spread_key_frames(16).len(), 16);
    assert_eq!(index.spread_key_frames(500).len(), 100);
    assert_eq!(index.spread_key_frames(1), [0]);
    assert!(index.spread_key_frames(0).is_empty());
}

#[test]
fn an_hour_of_fast_pictures_takes_sixteen_bytes_each() {
    let samples = 60 * 3600;
    let clip = Clip {
        composition: Some((0, [1024, 2560, 1024, 0].repeat(samples as usize / 4))),
        key_frames: Some((0..samples).step_by(120).collect()),
        deltas: vec![512; samples as usize],
        ..Clip::new(samples)
    };
    let index = clip.index().unwrap();
    assert_eq!(
        index.offsets.len() * 8 + index.sizes.len() * 4,
        samples as usize * 12
    );
    assert_eq!(index.composition_offsets.len(), samples as usize);
    // The times of the usual track are a single run.
    assert_eq!(index.decode_runs.len(), 1);
}

proptest! {
    #[test]
    fn a_damaged_index_is_an_error_or_an_index_within_the_file(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut: Option<prop::sample::Index>,
    ) {
        let clip = Clip {
            composition: Some((0, [1024, 2560, 1024, 0].repeat(10))),
            edits: vec![(1600, 1024, 1)],
            chunk_samples: 7,
            ..Clip::new(40)
        };
        let mut moov = clip.moov();
        for (at, value) in changes {
            let at = at.index(moov.len());
            moov[at] = value;
        }
        if let Some(cut) = cut {
            moov.truncate(cut.index(moov.len()));
        }

        if let Ok(index) = SampleIndex::read(&moov, SIZE, clip.file_bytes()) {
            prop_assert!(index.samples() > 0);
            for sample in index.samples_in(0..index.samples()) {
                prop_assert!(sample.offset + u64::from(sample.bytes) <= clip.file_bytes());
            }
            let _ = (index.has_closed_groups(), index.keeps_rate(Rational::whole(25)), index.mean_rate());
            let _ = (index.key_frames_at(Rational::whole(25)), index.spread_key_frames(16));
        }
    }

    #[test]
    fn no_boxes_make_it_panic(
        kinds in prop::collection::vec(prop::sample::select(vec![b"moov", b"trak", b"mdia", b"hdlr", b"minf", b"stbl", b"stsd", b"avc1", b"avcC",
            b"stts", b"ctts", b"stss", b"stsz", b"stsc", b"stco", b"co64", b"mvhd", b"mdhd", b"edts", b"elst"]), 0..12),
        bytes in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut body = bytes;
        for kind in kinds.iter().rev() {
            body = boxed(kind, &body);
        }
        let _ = SampleIndex::read(&boxed(b"moov", &body), SIZE, 1 << 30);
        let _ = SampleIndex::read(&body, SIZE, 1 << 30);
    }

    #[test]
    fn key_frames_of_closed_groups_are_frames_of_their_number(
        groups in prop::collection::vec(1_u32..40, 1..20), rate in prop::sample::select(vec![24_u32, 25, 30, 50, 60]),
    ) {
        let keys: Vec<u32> = groups.iter().scan(0, |next, group| { let key = *next; *next += group; Some(key) }).collect();
        let samples = groups.iter().sum();
        let clip = Clip {
            timescale: 600 * rate,
            deltas: vec![600; samples as usize],
            key_frames: Some(keys.clone()),
            ..Clip::new(samples)
        };
        let index = clip.index().unwrap();
        prop_assert!(index.has_closed_groups());
        prop_assert_eq!(index.key_frames_at(Rational::whole(rate.into())), keys);
    }
}
