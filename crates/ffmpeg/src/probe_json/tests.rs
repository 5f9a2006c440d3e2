use super::*;
use proptest::prelude::*;
use serde_json::json;

fn stream(value: Value) -> Stream {
    serde_json::from_value::<RawStream>(value)
        .unwrap()
        .stream()
        .unwrap()
}

#[test]
fn a_phone_video_is_read_with_its_rotation_and_exact_start() {
    let stream = stream(json!({
        "index": 1, "codec_name": "hevc", "codec_type": "video", "width": 1920, "height": 1080,
        "sample_aspect_ratio": "1:1", "pix_fmt": "yuv420p10le", "field_order": "progressive", "color_space": "bt2020nc",
        "color_transfer": "arib-std-b67", "r_frame_rate": "30/1", "avg_frame_rate": "27021/902", "time_base": "1/90000",
        "start_pts": 3003, "duration": "12.5", "disposition": {"default": 1, "attached_pic": 0},
        "tags": {"LANGUAGE": "und", "handler_name": "Core Media Video"},
        "side_data_list": [{"side_data_type": "Display Matrix", "rotation": -90}, {"dv_profile": 8}]
    }));

    assert_eq!(stream.start, Rational::new(3003, 90_000));
    assert_eq!((stream.language, stream.default), (None, true));

    let Content::Video(video) = stream.content else {
        panic!("a video")
    };
    assert_eq!(
        (
            video.rotation,
            video.dolby_vision.map(|vision| vision.profile),
            video.interlaced
        ),
        (-90, Some(8), false)
    );
    assert_eq!(video.average_rate, Rational::new(27_021, 902));
}

#[test]
fn a_mirror_is_read_from_the_matrix_and_opacity_from_format_or_tag() {
    let read = |extra: Value| {
        let mut value = json!({"index": 0, "codec_type": "video", "width": 2, "height": 2, "pix_fmt": "yuv420p"});
        value
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        match stream(value).content {
            Content::Video(video) => (video.mirrored, video.alpha, video.bitrate),
            _ => panic!("a video"),
        }
    };

    let matrix = |a: i32, b: i32, c: i32, d: i32| {
        let text = format!(
            "\n00000000: {a:12} {b:12} {:12}\n00000001: {c:12} {d:12} 0\n00000002: 0 0 1073741824\n",
            0
        );
        json!({"side_data_list": [{"displaymatrix": text, "rotation": 90}]})
    };

    assert_eq!(read(matrix(0, 65536, -65536, 0)), (false, false, None));
    assert_eq!(read(matrix(-65536, 0, 0, 65536)), (true, false, None));
    assert_eq!(
        read(json!({"pix_fmt": "yuva444p10le", "bit_rate": "900"})),
        (false, true, Some(900))
    );
    assert_eq!(
        read(json!({"tags": {"alpha_mode": "1", "BPS-eng": "77"}})),
        (false, true, Some(77))
    );
}

#[test]
fn numbers_may_be_texts_and_fields_may_be_missing() {
    let stream = stream(
        json!({"index": "3", "codec_type": "audio", "channels": "2", "sample_rate": "48000", "sample_fmt": "fltp", "start_pts": "N/A"}),
    );

    assert_eq!(
        stream.content,
        Content::Audio(Audio {
            channels: 2,
            sample_rate: 48_000,
            layout: None,
            changes: false,
        })
    );
    assert_eq!(stream.start, None);
}

#[test]
fn a_cover_is_no_video_and_what_cannot_be_decoded_is_told_apart_from_what_says_too_little() {
    let cover = json!({"index": 0, "codec_type": "video", "width": 9, "height": 9, "pix_fmt": "rgb24", "disposition": {"attached_pic": 1}});
    assert_eq!(stream(cover).content, Content::Cover);

    let unreadable = |is_video, cause| Content::Unreadable(Unreadable { is_video, cause });
    let pictures = stream(
        json!({"index": 0, "codec_type": "video", "codec_tag_string": "vvc1", "width": 9, "height": 9}),
    );
    assert_eq!(
        (pictures.content, pictures.codec.as_str()),
        (unreadable(true, UnreadableCause::NoDecoder), "vvc1")
    );

    let sound =
        stream(json!({"index": 0, "codec_type": "audio", "codec_name": "aac", "channels": 0}));
    assert_eq!(
        (sound.content, sound.codec.as_str()),
        (unreadable(false, UnreadableCause::NoParameters), "aac")
    );
    let nameless =
        stream(json!({"index": 0, "codec_type": "audio", "codec_tag_string": "[0][0][0][0]"}));
    assert_eq!(
        (nameless.content, nameless.codec.as_str()),
        (unreadable(false, UnreadableCause::NoDecoder), "")
    );
}

#[test]
fn a_length_of_all_ones_is_none() {
    let length = |ticks: u64| {
        let stream =
            json!({"index": 0, "codec_type": "video", "duration": "9.5", "duration_ts": ticks});
        serde_json::from_value::<RawStream>(stream)
            .unwrap()
            .duration()
    };
    assert_eq!(length(9500), Some(9.5));
    assert_eq!((length(0xffff_ffff), length(u64::MAX)), (None, None));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(-?[0-9]{0,20}[:/.]?[0-9]{0,20}|N/A|\\PC{0,8})".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const FIELDS: &[&str] = &[
    "index",
    "codec_type",
    "codec_name",
    "width",
    "height",
    "sample_aspect_ratio",
    "avg_frame_rate",
    "r_frame_rate",
    "time_base",
    "start_pts",
    "duration",
    "field_order",
    "pix_fmt",
    "channels",
    "channel_layout",
    "sample_rate",
    "disposition",
    "tags",
    "side_data_list",
];

proptest! {
    #[test]
    fn no_json_makes_it_panic(
        fields in prop::collection::btree_map(prop::sample::select(FIELDS), any_json(), 0..18),
        kind in prop::sample::select(vec!["video", "audio", "subtitle", "data"]),
        format in any_json(),
    ) {
        let mut raw: serde_json::Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        raw.insert("codec_type".to_owned(), kind.into());

        if let Ok(document) = serde_json::from_value::<Document>(json!({"streams": [raw], "format": format})) {
            let _ = (document.format.start(), document.format.duration(), document.format.brand(), document.streams[0].stream());
        }
    }
}
