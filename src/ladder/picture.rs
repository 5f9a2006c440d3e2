//! What is done to the pictures of a source before they are scaled.

use streams::Rational;
use streams::plan::{FieldOrder, Picture, Primaries, SourceColor};

use super::probe::{Fields, Stream, Video};
use super::profile::Profile;
use super::turn;

/// What is done to the pictures of `video` by a profile.
#[must_use]
pub fn of(video: &Video, profile: &Profile) -> Picture {
    let turn = turn::of(video);
    let color = color(video);
    Picture {
        deinterlace: is_interlaced(video),
        field_rate: is_interlaced(video) && profile.field_rate && may_double(video),
        field_order: match video.fields {
            Some(Fields::TopFirst) => FieldOrder::Top,
            Some(Fields::BottomFirst) => FieldOrder::Bottom,
            Some(Fields::Progressive) | None => FieldOrder::Flagged,
        },
        flatten: video.alpha,
        color,
        primaries: primaries(video, color),
        turn: turn.clockwise,
        mirror: turn.mirror,
        width: video.width,
        height: video.height,
    }
}

/// Whether frames are pairs of fields: by the pictures where they told, else by the word of the stream.
#[must_use]
pub fn is_interlaced(video: &Video) -> bool {
    video
        .fields
        .map_or(video.interlaced, |fields| fields != Fields::Progressive)
}

/// Whether a frame for each field is still within what any output has.
fn may_double(video: &Video) -> bool {
    video.average_rate.is_none_or(|rate| rate.as_f64() < 30.5)
}

/// Codecs that can carry interlaced pictures and are used for them. H.265 can as well, but only ever says so.
const FIELD_CODECS: [&str; 16] = [
    "h264",
    "mpeg2video",
    "mpeg4",
    "vc1",
    "wmv3",
    "dvvideo",
    "prores",
    "dnxhd",
    "mjpeg",
    "ffv1",
    "huffyuv",
    "ffvhuff",
    "utvideo",
    "rawvideo",
    "v210",
    "vvc",
];

/// More lines than this were never interlaced.
const MOST_LINES: u32 = 1088;

/// Whether it is worth while to look at the pictures for fields: always where the stream speaks of them; else where a camera or a
/// careless export may have left some, that is in upright pictures of old sizes and rates. Phones turn theirs, and never interlace.
#[must_use]
pub fn may_have_fields(stream: &Stream, video: &Video) -> bool {
    let slow = video.average_rate.is_none_or(|rate| rate <= Rational::whole(30));
    video.interlaced
        || (FIELD_CODECS.contains(&stream.codec.as_str()) && video.height <= MOST_LINES && slow && video.rotation == 0)
}

/// What the source's samples mean. Where it does not say, size decides, as in players.
fn color(video: &Video) -> SourceColor {
    match (video.transfer.as_deref(), video.matrix.as_deref()) {
        (Some("smpte2084"), _) => SourceColor::Pq,
        (Some("arib-std-b67"), _) => SourceColor::Hlg,
        (_, Some("bt2020nc" | "bt2020c")) => SourceColor::Bt2020,
        (_, Some("bt470bg" | "smpte170m" | "bt470m" | "fcc")) => SourceColor::Bt601,
        (_, Some("bt709" | "smpte240m")) => SourceColor::Bt709,
        _ if video.width <= 1024 && video.height <= 576 => SourceColor::Bt601,
        _ => SourceColor::Bt709,
    }
}

/// The primaries, where the source names some that are not those of the output. A guess would change colours that were right.
fn primaries(video: &Video, color: SourceColor) -> Primaries {
    match (color, video.primaries.as_deref()) {
        (SourceColor::Pq | SourceColor::Hlg, _) => Primaries::Bt709,
        (SourceColor::Bt2020, _) | (_, Some("bt2020")) => Primaries::Bt2020,
        (_, Some("bt470bg")) => Primaries::Bt470bg,
        (_, Some("smpte170m" | "smpte240m")) => Primaries::Smpte170m,
        _ => Primaries::Bt709,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::testing::video;

    fn profile(field_rate: bool) -> Profile {
        Profile {
            field_rate,
            ..Profile::standard()
        }
    }

    #[test]
    fn the_pictures_are_believed_before_the_flags() {
        let of = |interlaced, fields| {
            let picture = of(
                &Video {
                    interlaced,
                    fields,
                    ..video()
                },
                &profile(true),
            );
            (picture.deinterlace, picture.field_rate, picture.field_order)
        };
        assert_eq!(of(true, None), (true, true, FieldOrder::Flagged));
        assert_eq!(of(true, Some(Fields::Progressive)), (false, false, FieldOrder::Flagged));
        assert_eq!(of(false, Some(Fields::BottomFirst)), (true, true, FieldOrder::Bottom));
        assert_eq!(of(false, None), (false, false, FieldOrder::Flagged));
    }

    #[test]
    fn fields_become_frames_of_their_own_where_the_profile_asks_and_the_rate_allows() {
        let fast = Video {
            interlaced: true,
            average_rate: Some(Rational::whole(50)),
            ..video()
        };
        assert!(!of(&fast, &profile(true)).field_rate);
        let usual = Video {
            interlaced: true,
            ..video()
        };
        assert!(!of(&usual, &profile(false)).field_rate && of(&usual, &profile(true)).field_rate);
    }

    #[test]
    fn colours_are_what_the_source_says_and_else_what_its_size_suggests() {
        let of = |matrix: Option<&str>, transfer: Option<&str>, primaries: Option<&str>, height| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let video = Video {
                matrix: text(matrix),
                transfer: text(transfer),
                primaries: text(primaries),
                width: height,
                height,
                ..video()
            };
            let picture = of(&video, &profile(false));
            (picture.color, picture.primaries)
        };
        assert_eq!(of(None, None, None, 480), (SourceColor::Bt601, Primaries::Bt709));
        assert_eq!(of(None, None, None, 1080), (SourceColor::Bt709, Primaries::Bt709));
        assert_eq!(
            of(Some("bt470bg"), None, Some("bt470bg"), 576),
            (SourceColor::Bt601, Primaries::Bt470bg)
        );
        assert_eq!(
            of(Some("bt2020nc"), Some("bt709"), None, 2160),
            (SourceColor::Bt2020, Primaries::Bt2020)
        );
        assert_eq!(
            of(Some("bt2020nc"), Some("smpte2084"), Some("bt2020"), 2160),
            (SourceColor::Pq, Primaries::Bt709)
        );
    }

    #[test]
    fn only_what_can_be_interlaced_is_looked_at() {
        let asked = |codec: &str, change: fn(&mut Video)| {
            let mut video = video();
            change(&mut video);
            let stream = Stream {
                index: 0,
                audience: crate::ladder::probe::Audience::default(),
                codec: codec.to_owned(),
                language: None,
                title: None,
                default: true,
                start: None,
                end: None,
                packet: 0.0,
                content: super::super::probe::Content::Data,
            };
            may_have_fields(&stream, &video)
        };
        assert!(asked("h264", |_| ()) && asked("mpeg2video", |video| video.height = 576));
        assert!(!asked("vp9", |_| ()) && !asked("hevc", |_| ()));
        assert!(!asked("h264", |video| video.height = 2160) && !asked("h264", |video| video.rotation = -90));
        assert!(!asked("h264", |video| video.average_rate = Some(Rational::whole(50))));
        assert!(asked("hevc", |video| video.interlaced = true));
    }
}
