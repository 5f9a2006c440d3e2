use proptest::prelude::*;

use super::super::testing::{Clip, Sps, entry};
use super::*;
use crate::ladder::picture;
use crate::ladder::probe::Content;
use crate::ladder::testing::{stream, video};

/// A source that is copied unless a test changes it: 20 s of 1080p25 in groups of 4 s.
struct Source {
    stream: Stream,
    video: Video,
    profile: Profile,
    sps: Sps,
    clip: Clip,
    rate: Rational,
    first_frame: u64,
    /// The length of the programme in frames; `None` for as many as there are samples.
    programme: Option<u64>,
    has_captions: bool,
    key_samples: Vec<KeySample>,
    index: Option<IndexError>,
}

impl Source {
    fn new() -> Self {
        let usual = video();
        Self {
            stream: Stream {
                start: Some(Rational::ZERO),
                end: Some(20.0),
                ..stream(0, "h264", Content::Video(usual.clone()))
            },
            video: usual,
            profile: Profile::standard(),
            sps: Sps::default(),
            clip: Clip {
                sizes: vec![10_000; 500],
                ..Clip::new(500)
            },
            rate: Rational::whole(25),
            first_frame: 0,
            programme: None,
            has_captions: false,
            key_samples: vec![KEY],
            index: None,
        }
    }

    fn decide(&self) -> SourceRung {
        let grid = Grid::new(self.rate, self.profile.segment, self.profile.gop);
        let size = self.video.upright_size();
        let ladder = rungs::renditions(&self.profile, size, &grid, None).renditions;
        let picture = Picture {
            captions: self.has_captions,
            ..picture::of(&self.video, &self.profile)
        };

        let clip = Clip {
            entries: match &self.clip.entries[..] {
                [_] => vec![entry(&self.sps)],
                several => several.to_vec(),
            },
            ..self.clip.clone()
        };
        let index = self.index.clone().map_or_else(|| clip.index(), Err);

        decide(&Candidate {
            stream: &self.stream,
            video: &self.video,
            profile: &self.profile,
            ladder: &ladder,
            picture: &picture,
            grid,
            first_frame: self.first_frame,
            programme: self.programme.unwrap_or(self.clip.sizes.len() as u64),
            index: index.as_ref(),
            key_samples: &self.key_samples,
        })
    }

    /// The words of the refusal; empty if the source is copied.
    fn words(&self) -> String {
        match self.decide() {
            SourceRung::Copied(_) => String::new(),
            SourceRung::Refused { reasons } => {
                let words = reasons.iter().map(|reason| reason.as_str());
                words.collect::<Vec<_>>().join(" ")
            }
        }
    }

    fn set_size(&mut self, width: u32, height: u32) {
        (self.video.width, self.video.height) = (width, height);
        (self.sps.width, self.sps.height) = (width, height);
        // Small pictures without this tag count as standard definition.
        self.video.matrix = Some("bt709".to_owned());
    }
}

const KEY: KeySample = KeySample {
    is_idr: true,
    has_other_parameter_sets: false,
    has_captions: false,
};

/// The words of the refusal of the usual source after a change.
fn words(change: impl Fn(&mut Source)) -> String {
    let mut source = Source::new();
    change(&mut source);
    source.words()
}

fn copied(change: impl Fn(&mut Source)) -> CopiedRung {
    let mut source = Source::new();
    change(&mut source);
    match source.decide() {
        SourceRung::Copied(rung) => rung,
        SourceRung::Refused { reasons } => panic!("{reasons:?}"),
    }
}

#[test]
fn a_usual_export_takes_the_place_of_the_rung_of_its_size() {
    let rung = copied(|_| ());
    let standard = &Profile::standard().rungs[0];

    assert_eq!(rung.name.as_str(), "1080p-src");
    assert_eq!(rung.instead_of.as_str(), "1080p");
    assert_eq!(
        (rung.codec.as_str(), rung.maxrate),
        ("avc1.640028", standard.maxrate)
    );
    assert_eq!(
        (rung.frame_rate, rung.target_duration),
        (Rational::whole(25), 4)
    );
    assert_eq!(rung.segment_bytes, [1_000_000; 5]);
    assert_eq!(
        rung.bandwidth,
        Bandwidth {
            peak: 2_000_000,
            average: 2_000_000
        }
    );
    assert_eq!(
        serde_json::to_string(&rung.boundaries).unwrap(),
        "[[100,5]]"
    );
}

#[test]
fn each_fact_of_the_pictures_has_its_word() {
    assert_eq!(words(|s| s.stream.codec = "hevc".to_owned()), "codec");
    assert_eq!(
        words(|s| s.profile = Profile::named("hevc").unwrap()),
        "codec"
    );
    assert_eq!(words(|s| s.sps.is_progressive = false), "codec");
    assert_eq!(words(|s| s.video.interlaced = true), "codec");
    assert_eq!(words(|s| s.sps.bits = 10), "codec");
    assert_eq!(words(|s| s.sps.level = 51), "level");
    assert_eq!(words(|s| s.sps.level = 31), "level");
    assert_eq!(words(|s| s.video.rotation = 180), "rotation");
    assert_eq!(words(|s| s.video.mirrored = true), "rotation");
    assert_eq!(words(|s| s.sps.aspect = Some((4, 3))), "pixel_aspect");
    assert_eq!(words(|s| s.video.captions = true), "captions");
    assert_eq!(
        words(|s| (s.video.captions, s.has_captions) = (true, true)),
        ""
    );
    assert_eq!(words(|s| s.video.size_changes = true), "size_changes");
    assert_eq!(words(|s| s.sps.width = 1918), "size_changes");
    assert_eq!(
        words(|s| (s.first_frame, s.programme) = (3, Some(503))),
        "late_picture"
    );

    let colour = |tag: &str| words(|s| s.video.transfer = Some(tag.to_owned()));
    assert_eq!(
        (colour("bt709"), colour("smpte2084")),
        (String::new(), "colour".to_owned())
    );
    assert_eq!(
        words(|s| s.video.matrix = Some("smpte170m".to_owned())),
        "colour"
    );
    assert_eq!(
        words(|s| s.video.primaries = Some("smpte432".to_owned())),
        "colour"
    );
    assert_eq!(
        words(|s| s.video.pixel_format = "yuvj420p".to_owned()),
        "colour"
    );
    assert_eq!(words(|s| s.sps.full_range = Some(true)), "colour");
    assert_eq!(words(|s| s.video.alpha = true), "colour");
    let small = |s: &mut Source| {
        s.set_size(854, 480);
        s.clip.sizes = vec![500; 500];
        s.video.matrix = None;
    };
    assert_eq!(words(small), "colour");
}

#[test]
fn each_fact_of_the_index_has_its_word() {
    assert_eq!(
        words(|s| s.index = Some(IndexError::Fragmented)),
        "no_index"
    );
    assert_eq!(
        words(|s| s.index = Some(IndexError::Damaged(String::new()))),
        "damaged"
    );

    let seen = |key: KeySample| words(|s| s.key_samples.push(key));
    let with_sets = KeySample {
        has_other_parameter_sets: true,
        ..KEY
    };
    let with_captions = KeySample {
        has_captions: true,
        ..KEY
    };
    let recovery = KeySample {
        is_idr: false,
        ..KEY
    };
    assert_eq!(seen(with_sets), "parameter_sets_change");
    assert_eq!(
        (seen(with_captions), seen(recovery)),
        ("captions".to_owned(), "open_gop".to_owned())
    );
    let twice = |s: &mut Source| s.clip.entries = vec![entry(&s.sps), entry(&s.sps)];
    assert_eq!(words(twice), "parameter_sets_change");

    assert_eq!(
        words(|s| s.clip.key_frames = Some(vec![0, 100, 363])),
        "key_frame_gap"
    );
    assert_eq!(words(|s| s.clip.key_frames = Some(vec![0, 100, 362])), "");
    assert_eq!(
        words(|s| s.clip.key_frames = Some(vec![0, 236])),
        "key_frame_gap"
    );
    assert_eq!(
        words(|s| s.clip.edits = vec![(20_000, 512, 1)]),
        "edit_list"
    );

    // Two pictures that follow a key frame are shown before it.
    let open = |s: &mut Source| {
        let mut offsets = vec![1024; 500];
        offsets[100..103].copy_from_slice(&[2048, 512, 512]);
        s.clip.composition = Some((0, offsets));
    };
    assert_eq!(words(open), "open_gop");

    assert_eq!(words(|s| s.clip.deltas[250] = 900), "frame_rate_varies");
    let fast = |s: &mut Source| {
        s.clip = Clip {
            deltas: vec![128; 2000],
            key_frames: Some((0..2000).step_by(400).collect()),
            ..Clip::new(2000)
        };
        (s.rate, s.sps.level) = (Rational::whole(50), 42);
        s.programme = Some(1000);
    };
    assert_eq!(words(fast), "frame_rate_high");
    // Bursts of pictures do not have a constant rate.
    let bursts = |s: &mut Source| {
        s.clip.deltas = [256, 256, 256, 256, 1024].repeat(100);
        (s.rate, s.programme) = (Rational::whole(20), Some(320));
    };
    assert_eq!(words(bursts), "frame_rate_varies");
}

#[test]
fn the_programme_may_go_on_for_a_segment() {
    let length = |frames| words(|s| s.programme = Some(frames));
    assert_eq!([498, 500, 600].map(length), [""; 3]);
    assert_eq!(
        (length(601), length(497)),
        ("length".to_owned(), "damaged".to_owned())
    );

    // The last picture is held, and its bytes count once.
    let rung = copied(|s| s.programme = Some(600));
    assert_eq!(
        (rung.boundaries.total(), rung.segment_bytes.len()),
        (600, 5)
    );
    assert_eq!(rung.segment_bytes.iter().sum::<u64>(), 5_000_000);
    assert_eq!(rung.target_duration, 8);
    assert_eq!(copied(|s| s.programme = Some(498)).boundaries.total(), 500);
}

#[test]
fn the_rates_are_judged_by_the_cap_of_the_profile() {
    let cap = Profile::standard().rungs[0].maxrate;
    // The bytes of one frame at a fraction of the cap.
    let bytes = |share: f64| (cap as f64 * share / 8.0 / 25.0) as u32;
    let even = |share| words(|s| s.clip.sizes = vec![bytes(share); 500]);
    assert_eq!(
        (even(1.09), even(1.11)),
        (String::new(), "bitrate".to_owned())
    );

    let burst = |share| {
        words(|s| {
            s.clip.sizes = vec![bytes(0.5); 500];
            s.clip.sizes[100..200].fill(bytes(share));
        })
    };
    assert_eq!(
        (burst(1.49), burst(1.52)),
        (String::new(), "bitrate".to_owned())
    );

    // Twice the frame rate raises the cap by half.
    let rung = copied(|s| {
        (s.rate, s.sps.level) = (Rational::whole(50), 42);
        s.clip.deltas = vec![256; 500];
    });
    assert_eq!(rung.maxrate, cap * 3 / 2);
}

#[test]
fn a_size_between_two_rungs_is_a_rung_with_a_cap_between_theirs() {
    let sized = |width, height| copied(|s| s.set_size(width, height));
    let cap = |side: u32| {
        let standard = Profile::standard();
        let rung = standard.rungs.iter().find(|rung| rung.short_side == side);
        rung.unwrap().maxrate
    };

    let rung = sized(1600, 900);
    assert_eq!(
        (rung.name.as_str(), rung.instead_of.as_str()),
        ("900p-src", "900p")
    );
    assert!(
        cap(720) < rung.maxrate && rung.maxrate < cap(1080),
        "{}",
        rung.maxrate
    );

    // Slightly larger than the rung below, which it makes unnecessary.
    let rung = sized(1312, 738);
    assert_eq!(
        (rung.name.as_str(), rung.instead_of.as_str()),
        ("738p-src", "720p")
    );
    let rung = sized(1280, 720);
    assert_eq!((rung.name.as_str(), rung.maxrate), ("720p-src", cap(720)));
    let rung = sized(720, 1280);
    assert_eq!((rung.name.as_str(), rung.maxrate), ("720p-src", cap(720)));
}

#[test]
fn the_lowest_rung_is_encoded_and_nothing_is_above_the_top() {
    let sized = |width, height| {
        words(|s| {
            s.set_size(width, height);
            s.clip.sizes = vec![500; 500];
        })
    };
    assert_eq!(sized(640, 360), "only_rung");
    assert_eq!(sized(320, 240), "only_rung");
    assert_eq!(sized(854, 480), "");
    assert_eq!(sized(1920, 1088), "no_rung");

    let wide = words(|s| {
        s.set_size(2560, 1080);
        s.sps.level = 50;
    });
    assert_eq!(wide, "");
    let large = words(|s| {
        s.set_size(3840, 2160);
        s.sps.level = 51;
    });
    assert_eq!(large, "no_rung");
}

#[test]
fn all_reasons_are_listed_in_a_stable_order() {
    let found = words(|s| {
        s.clip = Clip {
            sizes: vec![100_000; 500],
            key_frames: Some(vec![0, 400]),
            edits: vec![(9, 0, 1), (9, 0, 1)],
            ..Clip::new(500)
        };
        s.clip.deltas[9] = 700;
        s.video.rotation = 90;
        s.video.captions = true;
        s.sps.level = 52;
        s.first_frame = 1;
    });
    assert_eq!(
        found,
        "level rotation captions key_frame_gap frame_rate_varies edit_list late_picture bitrate"
    );

    let found = words(|s| {
        s.index = Some(IndexError::Missing("moov box"));
        s.stream.codec = "vp9".to_owned();
        s.set_size(4096, 2160);
    });
    assert_eq!(found, "codec no_index no_rung");
}

proptest! {
    #[test]
    fn what_is_copied_keeps_every_rule(
        groups in prop::collection::vec((10_u32..270, 100_u32..60_000), 1..12), held in 0_u64..120,
    ) {
        let keys: Vec<u32> = groups.iter().scan(0, |next, (group, _)| { let key = *next; *next += group; Some(key) }).collect();
        let sizes: Vec<u32> = groups.iter().flat_map(|(group, bytes)| vec![*bytes; *group as usize]).collect();
        let samples = sizes.len() as u32;
        let mut source = Source::new();
        source.clip = Clip { sizes, key_frames: Some(keys.clone()), ..Clip::new(samples) };
        source.programme = Some(u64::from(samples) + held);

        let decision = source.decide();
        if let SourceRung::Refused { reasons } = &decision {
            prop_assert!(!reasons.is_empty() && reasons.is_sorted_by(|a, b| a < b));
        }
        if let SourceRung::Copied(rung) = decision {
            prop_assert_eq!(rung.boundaries.total(), u64::from(samples) + held);
            prop_assert!(!rung.boundaries.has_key_frame_gap(source.rate));
            for frames in rung.boundaries.iter() {
                prop_assert!(keys.contains(&(frames.start as u32)));
            }
            prop_assert!(rung.bandwidth.average * 10 <= rung.maxrate * 11);
            prop_assert!(rung.bandwidth.peak * 10 <= rung.maxrate * 15);
            prop_assert_eq!(rung.segment_bytes.len(), rung.boundaries.segments() as usize);
            prop_assert!(held <= 100);
        }
    }
}
