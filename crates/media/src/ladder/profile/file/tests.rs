use super::*;
use proptest::prelude::*;

const GOOD: &str = "[profiles.mine]\nabout = \"x\"\nsegment = 6\ngop = 2\nencoder = \"libx264\"\npreset = \"fast\"\n\
                    rungs = [\n{ short_side = 720, crf = 21, maxrate = 3_000_000 },\n{ short_side = 360, crf = 20, maxrate = 900_000, preset = \"slow\" },\n]\n";

/// What is written, what instead, and what is said of it.
const WRONG: [(&str, &str, &str); 23] = [
    (
        "segment = 6",
        "segment = 60",
        "mine.toml: profile \"mine\": segment is 60; it must be from 1 to 10",
    ),
    ("gop = 2", "gop = 4", "gop is 4; it must divide segment, 6"),
    (
        "libx264",
        "libx266",
        "encoder is \"libx266\"; it must be one of libx264, libx265",
    ),
    ("libx264", "libsvtav1", "AV1 is not supported until"),
    (
        "libx264",
        "h264_vaapi",
        "preset is \"fast\"; h264_vaapi has no presets, remove it",
    ),
    (
        "preset = \"fast\"\n",
        "",
        "preset is missing; it must be one of ultrafast",
    ),
    (
        "\"fast\"",
        "\"fst\"",
        "preset is \"fst\"; it must be one of ultrafast",
    ),
    ("\"slow\"", "\"slo\"", "rungs[1].preset is \"slo\""),
    (
        "gop = 2",
        "pixel_format = \"yuv420p10le\"",
        "pixel_format is \"yuv420p10le\"; it must be one of yuv420p",
    ),
    (
        "gop = 2",
        "subme = 12",
        "subme is 12; it must be from 1 to 11",
    ),
    (
        "libx264\"",
        "libx265\"\nsubme = 2",
        "subme is 2; libx265 has no such option, remove it",
    ),
    (
        "gop = 2",
        "codec_profile = \"high422\"",
        "codec_profile is \"high422\"; it must be one of high, main, baseline",
    ),
    (
        "short_side = 360",
        "short_side = 361",
        "rungs[1].short_side is 361; it must be even",
    ),
    (
        "short_side = 360",
        "short_side = 720",
        "rungs[1].short_side is 720; it must be less than that of the rung above, 720",
    ),
    (
        "crf = 21",
        "crf = 60",
        "rungs[0].crf is 60; it must be from 0 to 51",
    ),
    (
        "crf = 21",
        "crf = nan",
        "rungs[0].crf is NaN; it must be from 0 to 51",
    ),
    (
        "900_000",
        "9_000_000",
        "rungs[1].maxrate is 9000000; it must be less than",
    ),
    (
        "gop = 2",
        "gopp = 2",
        "mine.toml: profile \"mine\": unknown field `gopp`, expected one of",
    ),
    ("crf = 21, ", "", "missing field `crf`"),
    (
        "segment = 6",
        "segment = \"6\"",
        "invalid type: string \"6\", expected u32",
    ),
    (
        "profiles.mine",
        "profiles.\"My Profile\"",
        "its name must be",
    ),
    (
        "profiles.mine",
        "profile.mine",
        "mine.toml: \"profile\" is unknown",
    ),
    (
        "segment = 6",
        "segment = ",
        "mine.toml: TOML parse error at line 3",
    ),
];

fn problem(text: &str) -> String {
    parse("mine.toml", text).unwrap_err().to_string()
}

#[test]
fn a_profile_is_read_with_its_defaults() {
    let profiles = parse("mine.toml", GOOD).unwrap();
    let mine = &profiles["mine"];

    assert_eq!(
        (mine.codec_profile.as_str(), mine.pixel_format.as_str()),
        ("high", "yuv420p")
    );
    assert_eq!(
        (mine.audio_bitrate, mine.surround_bitrate, mine.per_title),
        (128_000, None, true)
    );

    assert_eq!(mine.rungs[1].preset.as_deref(), Some("slow"));
    assert_eq!(mine.subme, None);

    let coarse = GOOD.replace("gop = 2", "subme = 2");
    assert_eq!(parse("mine.toml", &coarse).unwrap()["mine"].subme, Some(2));
}

#[test]
fn every_error_names_file_profile_field_and_fix() {
    for (from, to, wanted) in WRONG {
        assert!(GOOD.contains(from), "{from}");
        let said = problem(&GOOD.replace(from, to));
        assert!(said.contains(wanted), "{to}: {said}");
    }
    assert!(problem("").contains("no table [profiles.NAME]"));
}

#[test]
fn ten_bits_are_for_x265_alone_and_bring_their_profile() {
    let hevc = GOOD.replace("libx264", "libx265");
    assert_eq!(parse("f", &hevc).unwrap()["mine"].codec_profile, "main");
    let ten = hevc.replace("gop = 2", "pixel_format = \"yuv420p10le\"");
    assert_eq!(parse("f", &ten).unwrap()["mine"].codec_profile, "main10");
    let mixed = ten.replace("segment = 6", "segment = 6\ncodec_profile = \"main\"");
    assert!(problem(&mixed).contains("yuv420p10le needs \"main10\""));
}

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}").to_lowercase()),
        any::<bool>().prop_map(|b| b.to_string()),
        "[a-z0-9_]{0,8}".prop_map(|s| format!("\"{s}\"")),
        Just("[{ short_side = 0, crf = -1, maxrate = 0 }]".to_owned()),
        Just("[]".to_owned()),
        Just("{}".to_owned()),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", lines in prop::collection::vec("[\\[\\]{}=\"a-z_.0-9 \\n,#-]{0,40}", 0..12)) {
        let _ = parse("f", &text);
        let _ = parse("f", &lines.join("\n"));
    }

    #[test]
    fn whatever_a_field_holds_the_profile_is_sound_or_refused(
        field in prop::sample::select(vec!["about", "segment", "gop", "encoder", "preset", "subme", "codec_profile", "pixel_format", "rungs",
            "audio_bitrate", "surround_bitrate", "loudness", "per_title", "storyboard", "field_rate"]),
        value in any_value(),
    ) {
        let kept: Vec<&str> = GOOD.lines().filter(|line| !line.starts_with(field)).collect();

        let text = if field == "rungs" {
            format!("{}\nrungs = {value}\n", kept[..kept.len().min(6)].join("\n"))
        } else {
            kept.join("\n").replace("[profiles.mine]", &format!("[profiles.mine]\n{field} = {value}"))
        };

        if let Ok(profiles) = parse("f", &text) {
            let profile = &profiles["mine"];
            prop_assert!(profile.segment.is_multiple_of(profile.gop));
            prop_assert!(!profile.rungs.is_empty());
            prop_assert!(profile.rungs.is_sorted_by(|a, b| a.short_side > b.short_side && a.maxrate > b.maxrate));
            prop_assert!(Encoder::named(&profile.encoder).is_some());
        }
    }
}
