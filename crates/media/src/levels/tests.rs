use proptest::prelude::*;

use super::*;

fn levels(rms: &[f64], first: u32) -> Vec<Level> {
    let level = |(number, rms): (u32, &f64)| Level {
        number,
        peak: *rms as f32 + 6.0,
        rms: *rms as f32,
    };
    (first..).zip(rms).map(level).collect()
}

fn silent_seconds(made: &[f64], source: &[f64]) -> f64 {
    compare(&levels(made, 0), &levels(source, 0))
        .unwrap()
        .silent_seconds
}

#[test]
fn printed_metadata_is_read_and_minus_infinity_is_silence() {
    let text = "frame:0    pts:12000   pts_time:0.5\nlavfi.astats.Overall.Peak_level=-6.5\n\
                lavfi.astats.Overall.RMS_level=-20.25\nframe:1    pts:23999   pts_time:0.999958\n\
                lavfi.astats.Overall.Peak_level=-inf\nlavfi.astats.Overall.RMS_level=-inf\n";
    let read = read(text, 12_000);
    assert_eq!(
        (read[0].number, read[0].peak, read[0].rms),
        (1, -6.5, -20.25)
    );
    assert_eq!(
        (read[1].number, read[1].peak, read[1].rms),
        (2, -120.0, -120.0)
    );
}

#[test]
fn the_measured_band_ends_below_what_the_encoder_cuts_off() {
    // Found with ffmpeg 5.1.9: the highest frequency tried that a tone survives.
    let kept = [
        (32_000, 2, 3_600),
        (48_000, 2, 7_000),
        (64_000, 2, 12_000),
        (96_000, 2, 15_000),
        (128_000, 6, 6_000),
        (384_000, 6, 17_000),
    ];
    for (bitrate, channels, kept) in kept {
        // Resampling leaves out the last thirtieth of the band.
        assert!(band(bitrate, channels) * 29 / 30 <= kept, "{bitrate}");
    }

    assert_eq!((band(128_000, 2), band(u64::MAX, 0)), (12_000, 12_000));
}

#[test]
fn blocks_at_the_edges_of_a_piece_count_only_where_they_are_whole() {
    let blocks = |piece| whole_blocks(piece, false, 48_000);
    assert_eq!(blocks(0..48_000), 0..2);
    assert_eq!(blocks(0..47_999), 0..1);
    assert_eq!(blocks(24_000..96_000), 2..4);
    assert_eq!(blocks(22_976..96_000), 1..4);
    assert_eq!(whole_blocks(48_128..60_416, true, 48_000), 3..3);
    assert_eq!(whole_blocks(48_128..96_256, true, 48_000), 3..5);
}

#[test]
fn two_seconds_that_went_silent_are_found_wherever_they_begin() {
    let source = [-20.0; 12];
    let mut made = [-20.5; 12];
    // From the middle of block 3 to the middle of block 7.
    (made[3], made[7]) = (-23.5, -23.5);
    made[4..7].fill(SILENCE_DB);
    let found = compare(&levels(&made, 40), &levels(&source, 38)).unwrap();
    assert_eq!(found.silent_seconds, 1.5);
    assert!((found.source_rms + 20.0).abs() < 1e-3 && found.rms < -21.0 && is_lost(&found));
}

#[test]
fn a_pause_of_the_source_is_no_loss_and_a_pause_that_goes_on_is() {
    let source = [-20.0, SILENCE_DB, SILENCE_DB, -20.0, -20.0];
    assert_eq!(
        silent_seconds(&[-20.0, -90.0, -100.0, -20.0, -20.0], &source),
        0.0
    );
    assert_eq!(
        silent_seconds(&[-20.0, SILENCE_DB, SILENCE_DB, SILENCE_DB, -20.0], &source),
        1.5
    );
    assert_eq!(compare(&[], &levels(&source, 0)), None);
    assert_eq!(compare(&levels(&source, 0), &levels(&source, 5)), None);
}

#[test]
fn a_single_block_counts_for_itself_in_steady_sound_and_with_its_pauses_among_clicks() {
    let mut made = [-20.0; 9];
    made[4] = SILENCE_DB;
    assert_eq!(silent_seconds(&made, &[-20.0; 9]), 0.5);
    let mut clicks = [SILENCE_DB; 21];
    (clicks[0], clicks[10], clicks[20]) = (-40.0, -40.0, -40.0);
    let mut made = clicks;
    made[10] = SILENCE_DB;
    assert_eq!(silent_seconds(&made, &clicks), 2.5);
}

#[test]
fn what_is_lost_over_the_joint_of_two_pieces_counts_as_one() {
    let mut made = levels(
        &[
            -20.0, -20.0, SILENCE_DB, SILENCE_DB, SILENCE_DB, -20.0, -20.0,
        ],
        10,
    );
    drop(made.drain(3..5));
    let source = levels(&[-20.0; 7], 10);
    assert_eq!(compare(&made, &source).unwrap().silent_seconds, 0.5 + 1.0);

    let mut made = levels(
        &[
            -20.0, -20.0, SILENCE_DB, SILENCE_DB, SILENCE_DB, -20.0, -20.0,
        ],
        10,
    );
    drop(made.drain(2..4));
    assert_eq!(compare(&made, &source).unwrap().silent_seconds, 1.0 + 0.5);

    // Pieces far from each other say nothing about what is between them.
    let mut made = levels(
        &[-20.0, SILENCE_DB, SILENCE_DB, SILENCE_DB, SILENCE_DB, -20.0],
        10,
    );
    drop(made.drain(2..4));
    made.iter_mut()
        .skip(2)
        .for_each(|level| level.number += 100);

    let source = levels(&[-20.0; 200], 0);
    assert_eq!(compare(&made, &source).unwrap().silent_seconds, 1.0);
}

#[test]
fn sound_is_lost_as_a_whole_or_for_seconds_and_faint_sound_never() {
    let heard = |rms: f64, source_rms: f64, silent_seconds: f64| SoundSample {
        peak: rms,
        source_peak: source_rms,
        rms,
        source_rms,
        silent_seconds,
    };
    assert!(is_lost(&heard(SILENCE_DB, -30.0, 1.0)) && is_lost(&heard(-21.0, -20.0, 5.0)));
    assert!(!is_lost(&heard(-20.5, -20.0, 1.0)) && !is_lost(&heard(SILENCE_DB, -61.0, 0.0)));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "((frame:0 pts:[0-9.na-]{0,25}|lavfi[.]astats[.]Overall[.]RMS_level=[-0-9.inf]{0,7}|\\PC{0,8})\n){0,9}") {
        prop_assert!(read(&text, 0).iter().all(|level| level.rms >= -120.0 && level.rms.is_finite()));
    }

    #[test]
    fn sound_is_never_silent_beside_itself(rms in proptest::collection::vec(-120.0..0.0f64, 1..30), first in 0u32..90) {
        let own = levels(&rms, first);
        prop_assert_eq!(compare(&own, &own).unwrap().silent_seconds, 0.0);
    }

    #[test]
    fn pieces_share_no_block_and_leave_out_at_most_two_at_a_joint(frames in 1u64..3000, more in 300u64..3000) {
        let (middle, end) = (frames * 1024, (frames + more) * 1024);
        let (one, two) = (whole_blocks(0..middle, false, 48_000), whole_blocks(middle..end, true, 48_000));
        prop_assert!(two.start >= one.end && two.start - one.end <= MAX_JOINT_BLOCKS, "{one:?} {two:?}");
    }
}
