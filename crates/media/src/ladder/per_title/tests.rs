//! Decisions, by value.

use proptest::prelude::*;
use streams::plan::Planned;

use super::*;
use streams::testing;

/// A draft with rungs of these names and caps in kb/s.
fn draft(rungs: &[(&str, u64)]) -> Planned {
    let plan = testing::planned();
    let model = plan
        .renditions
        .iter()
        .find_map(Rendition::video)
        .unwrap()
        .clone();
    let sound = plan.renditions.iter().cloned();
    let sound = sound.filter(|rendition| rendition.video().is_none());
    let videos = rungs.iter().map(|(name, cap)| {
        Rendition::Video(VideoRendition {
            name: name.parse().unwrap(),
            maxrate: cap * 1000,
            bufsize: cap * 1000,
            ..model.clone()
        })
    });

    Planned {
        renditions: videos.chain(sound).collect(),
        storyboard: None,
        ..plan
    }
}

fn standard() -> Planned {
    draft(&[
        ("1080p", 6000),
        ("720p", 3400),
        ("480p", 1700),
        ("360p", 1000),
    ])
}

/// Rungs of these rates in kb/s and this likeness to the next lower one.
fn samples(rungs: &[(f64, f64)]) -> Samples {
    let last = rungs.len() - 1;
    let rungs = rungs
        .iter()
        .enumerate()
        .map(|(i, (rate, likeness))| Measured {
            windows: vec![rate * 1000.0; 4],
            likeness: if i < last {
                vec![*likeness; 8]
            } else {
                Vec::new()
            },
        });
    Samples {
        rungs: rungs.collect(),
        seconds: 2.0,
        cpu_seconds: 1.0,
    }
}

fn ladder(draft: &Planned) -> Vec<(&str, u64)> {
    let videos = draft.renditions.iter().filter_map(Rendition::video);
    videos
        .map(|video| (video.name.as_str(), video.maxrate / 1000))
        .collect()
}

#[test]
fn sport_keeps_its_whole_ladder() {
    let hard = samples(&[(9000.0, 0.95), (4500.0, 0.93), (2200.0, 0.9), (1200.0, 0.9)]);
    let refined = refine(standard(), &hard);
    assert_eq!(refined.renditions, standard().renditions);
    assert!(refined.left_out.is_empty());
    assert!(
        refined.complexity.unwrap().rungs[0]
            .decision
            .contains("Kept")
    );
}

#[test]
fn slides_are_one_rung_that_every_network_carries() {
    let easy = samples(&[(300.0, 0.97), (200.0, 0.96), (120.0, 0.95), (90.0, 0.9)]);
    let refined = refine(standard(), &easy);
    assert_eq!(ladder(&refined), [("1080p", 3000)]);
    let out: Vec<&str> = refined
        .left_out
        .iter()
        .map(|out| out.name.as_str())
        .collect();
    assert_eq!(out, ["720p", "480p", "360p"]);
    assert_eq!(refined.complexity.unwrap().rungs.len(), 4);
}

#[test]
fn a_rung_that_saves_little_is_left_out_but_the_lowest_stays() {
    let flat = samples(&[(2000.0, 0.97), (1700.0, 0.96), (1500.0, 0.95), (900.0, 0.9)]);
    assert_eq!(
        ladder(&refine(standard(), &flat)),
        [("1080p", 6000), ("480p", 1700), ("360p", 1000)]
    );
    let flat = samples(&[(950.0, 0.97), (940.0, 0.96), (930.0, 0.95), (920.0, 0.9)]);
    assert_eq!(
        ladder(&refine(standard(), &flat)),
        [("1080p", 3800), ("360p", 1000)]
    );
}

#[test]
fn a_blown_up_picture_loses_its_top_rung_and_a_plain_one_does_not() {
    let blown_up = samples(&[
        (3000.0, 0.999),
        (2000.0, 0.96),
        (1000.0, 0.95),
        (600.0, 0.9),
    ]);
    assert_eq!(ladder(&refine(standard(), &blown_up))[0].0, "720p");
    let plain = samples(&[
        (3000.0, 0.999),
        (2000.0, 0.999),
        (1000.0, 0.999),
        (600.0, 0.9),
    ]);
    assert_eq!(ladder(&refine(standard(), &plain))[0].0, "1080p");
    let mut once_sharp = blown_up;
    once_sharp.rungs[0].likeness[5] = 0.97;
    assert_eq!(ladder(&refine(standard(), &once_sharp))[0].0, "1080p");
}

#[test]
fn short_sources_are_not_sampled() {
    let mut draft = standard();
    let video = draft.video.as_mut().unwrap();
    (video.frames, video.source_end) = (81 * 60, 39.0);
    assert!(windows(&draft).unwrap_err().contains("lasts 39 s"));

    draft.video.as_mut().unwrap().source_end = 80.0;
    let times = windows(&draft).unwrap();
    assert!(
        times.len() == 4 && times.is_sorted() && times[0] > 2.25 && times[3] < 82.25,
        "{times:?}"
    );
}

prop_compose! {
    fn any_samples()(rungs in prop::collection::vec(
        (prop::collection::vec(1_000.0..20e6f64, 0..6), prop::collection::vec(0.0..=1.0f64, 0..9)), 0..6,
    )) -> Samples {
        let rungs = rungs.into_iter().map(|(windows, likeness)| Measured { windows, likeness }).collect();
        Samples { rungs, seconds: 1.0, cpu_seconds: 1.0 }
    }
}

proptest! {
    #[test]
    fn a_sample_only_takes_away_and_never_everything(samples in any_samples()) {
        let (before, after) = (standard(), refine(standard(), &samples));
        let (had, has) = (ladder(&before), ladder(&after));
        prop_assert!(!has.is_empty());
        prop_assert_eq!(has.len() + after.left_out.len(), had.len());

        for (name, cap) in &has {
            let was = had.iter().find(|(had, _)| had == name).map(|(_, cap)| *cap);
            prop_assert!(was.is_some_and(|was| *cap <= was && 2 * cap >= was));
        }

        prop_assert!(after.renditions.iter().any(|rendition| rendition.video().is_none()));
        prop_assert_eq!(&refine(standard(), &samples), &after);

        // A rung for bad networks stays, unless the lowest that does is one.
        if samples.rungs.len() == 4 && has.last().map(|(name, _)| *name) != Some("360p") {
            prop_assert!(after.left_out.last().is_some_and(|out| out.reason.contains("every network")));
        }
    }
}
