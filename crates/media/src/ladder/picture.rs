//! What is done to the pictures of a source before they are scaled.

use streams::plan::{FieldOrder, Matrix, Picture, Primaries, SourceColor, Transfer};

use super::frame_rate;
use super::probe::{Fields, Stream, Video};
use super::profile::Profile;
use super::size::Size;

/// What is done to the pictures of `video` by a profile.
#[must_use]
pub fn of(video: &Video, profile: &Profile) -> Picture {
    let turn = video.turn();
    let (block_width, block_height) = chroma_block(video);

    Picture {
        deinterlace: is_interlaced(video),
        field_rate: is_interlaced(video) && profile.field_rate && may_double(video),
        field_order: match video.fields {
            Some(Fields::TopFirst) => FieldOrder::Top,
            Some(Fields::BottomFirst) => FieldOrder::Bottom,
            Some(Fields::Progressive) | None => FieldOrder::Flagged,
        },
        flatten: video.alpha,
        color: color(video),
        // Whether they can be kept shows with the ladder.
        captions: false,
        turn: turn.clockwise,
        mirror: turn.mirror,
        width: video.width - video.width % block_width,
        height: video.height - video.height % block_height,
        pixel_aspect: Size::believes(video.pixel_aspect).then_some(video.pixel_aspect),
    }
}

/// Pixels, across and down, that share a sample of chroma: pictures are only fitted into whole
/// ones. Two of each are enough for all but two old formats, and every rung is even.
fn chroma_block(video: &Video) -> (u32, u32) {
    let is = |family: &str| video.pixel_format.starts_with(family);
    match () {
        () if is("yuv410") => (4, 4),
        () if is("yuv411") || is("yuvj411") || is("uyyvyy411") => (4, 2),
        () => (2, 2),
    }
}

/// Whether frames are pairs of fields: by the content of the pictures if it was checked, else by
/// the flags of the stream.
#[must_use]
pub fn is_interlaced(video: &Video) -> bool {
    video
        .fields
        .map_or(video.interlaced, |fields| fields != Fields::Progressive)
}

/// Whether a frame for each field is still within what any output has.
fn may_double(video: &Video) -> bool {
    !frame_rate::is_fast(frame_rate::decide(video).frames)
}

/// Codecs that can carry interlaced pictures and are used for them. H.265 can as well, but where it
/// is, its stream says so.
const INTERLACED_CODECS: [&str; 16] = [
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
const MAX_INTERLACED_LINES: u32 = 1088;

/// Whether it is worthwhile to check the pictures for fields: always if the stream declares them;
/// otherwise if a camera or a careless export may have left some, that is, in upright pictures of
/// old sizes and rates. Phones rotate their pictures, and never interlace.
#[must_use]
pub fn may_have_fields(stream: &Stream, video: &Video) -> bool {
    let slow = !frame_rate::is_fast(frame_rate::decide(video).frames);
    video.interlaced
        || (INTERLACED_CODECS.contains(&stream.codec.as_str())
            && video.height <= MAX_INTERLACED_LINES
            && slow
            && video.rotation == 0)
}

/// What the source's samples mean: each of the three facts by its own tag, where it has one that
/// can be converted.
fn color(video: &Video) -> SourceColor {
    // ffmpeg calls reserved what no edition of the standard has given a meaning yet: it says
    // nothing.
    let said = |tag: &'_ Option<String>| tag.clone().filter(|name| name != "reserved");
    let transfer = said(&video.transfer).map(|name| named_transfer(&name));
    let known_transfer = transfer.flatten().unwrap_or_default();

    let wide = known_transfer.is_high_dynamic_range()
        || matches!(video.matrix.as_deref(), Some("bt2020nc" | "bt2020c"));
    let primaries = said(&video.primaries).map(|name| named_primaries(&name));
    // Without a word the primaries of the output are taken: a guess would change colours that were
    // right.
    let unnamed = if wide {
        Primaries::Bt2020
    } else {
        Primaries::Bt709
    };
    let known_primaries = primaries.flatten().unwrap_or(unnamed);

    // Pictures in red, green and blue have no matrix, whatever they are tagged with.
    let matrix = said(&video.matrix).filter(|_| !is_rgb(video));
    let matrix = matrix.map(|name| named_matrix(&name, video, known_transfer, known_primaries));

    SourceColor {
        matrix: matrix
            .flatten()
            .unwrap_or_else(|| usual_matrix(video, known_transfer)),
        transfer: known_transfer,
        primaries: known_primaries,
        approximated: matrix == Some(None) || transfer == Some(None) || primaries == Some(None),
    }
}

/// The matrix of sources that name none: by transfer and size, as in players.
fn usual_matrix(video: &Video, transfer: Transfer) -> Matrix {
    if transfer.is_high_dynamic_range()
        || matches!(video.matrix.as_deref(), Some("bt2020c" | "ictcp"))
    {
        Matrix::Bt2020nc
    } else if video.width <= 1024 && video.height <= 576 {
        Matrix::Bt601
    } else {
        Matrix::Bt709
    }
}

/// The matrix ffmpeg calls `name`; none if it is not converted.
fn named_matrix(
    name: &str,
    video: &Video,
    transfer: Transfer,
    primaries: Primaries,
) -> Option<Matrix> {
    match name {
        "bt709" => Some(Matrix::Bt709),
        "bt470bg" | "smpte170m" => Some(Matrix::Bt601),
        "fcc" => Some(Matrix::Fcc),
        "smpte240m" => Some(Matrix::Smpte240m),
        "bt2020nc" => Some(Matrix::Bt2020nc),
        // These two are defined together with the transfer, and the second with the primaries.
        "bt2020c" => (transfer == Transfer::Bt709).then_some(Matrix::Bt2020c),
        "ictcp" => (transfer.is_high_dynamic_range() && primaries == Primaries::Bt2020)
            .then_some(Matrix::Ictcp),
        // Screen recordings use it, at full resolution of chroma. In all other sources the tag is a
        // mistake of the encoder: every file of the public reports (mpv 4340 and 13521, OBS Studio
        // 7518) looks right without it.
        "ycgco" => video.pixel_format.contains("444").then_some(Matrix::Ycgco),
        _ => None,
    }
}

/// The transfer ffmpeg calls `name`; none if it is not converted.
fn named_transfer(name: &str) -> Option<Transfer> {
    match name {
        // The same curve by other names; and the ones of computers (IEC 61966-2-1) and of old
        // television (gamma 2.2 and 2.8), whose samples every player sends to the screen as they
        // are.
        "bt709" | "smpte170m" | "smpte240m" | "bt2020-10" | "bt2020-12" | "iec61966-2-1"
        | "iec61966-2-4" | "bt470m" | "bt470bg" => Some(Transfer::Bt709),
        "linear" => Some(Transfer::Linear),
        "log100" => Some(Transfer::Log100),
        "log316" => Some(Transfer::Log316),
        "smpte2084" => Some(Transfer::Pq),
        "arib-std-b67" => Some(Transfer::Hlg),
        _ => None,
    }
}

/// The primaries ffmpeg calls `name`; none if they are not converted.
fn named_primaries(name: &str) -> Option<Primaries> {
    match name {
        "bt709" => Some(Primaries::Bt709),
        "bt470m" => Some(Primaries::Bt470m),
        "bt470bg" => Some(Primaries::Bt470bg),
        "smpte170m" | "smpte240m" => Some(Primaries::Smpte170m),
        "film" => Some(Primaries::Film),
        "bt2020" => Some(Primaries::Bt2020),
        "smpte428" => Some(Primaries::Smpte428),
        "smpte431" => Some(Primaries::Smpte431),
        "smpte432" => Some(Primaries::Smpte432),
        "ebu3213" | "jedec-p22" => Some(Primaries::Ebu3213),
        _ => None,
    }
}

/// Whether samples are red, green and blue themselves, or numbers of such.
fn is_rgb(video: &Video) -> bool {
    [
        "gbr", "rgb", "bgr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "x2bgr", "pal8",
    ]
    .iter()
    .any(|start| video.pixel_format.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::probe::Content;
    use crate::ladder::testing::{stream, video};
    use streams::Rational;

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
        assert_eq!(
            of(true, Some(Fields::Progressive)),
            (false, false, FieldOrder::Flagged)
        );
        assert_eq!(
            of(false, Some(Fields::BottomFirst)),
            (true, true, FieldOrder::Bottom)
        );
        assert_eq!(of(false, None), (false, false, FieldOrder::Flagged));
    }

    #[test]
    fn pictures_are_fitted_into_whole_blocks_of_chroma() {
        let size = |pixel_format: &str| {
            let source = Video {
                width: 191,
                height: 123,
                pixel_format: pixel_format.to_owned(),
                ..video()
            };

            let picture = of(&source, &profile(true));
            (picture.width, picture.height)
        };

        assert_eq!(
            ["yuv420p", "gbrp", "yuv411p", "yuv410p"].map(size),
            [(190, 122), (190, 122), (188, 122), (188, 120)]
        );
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
        use Primaries as P;
        use Transfer as T;
        for (tags, lines, matrix, transfer, primaries) in [
            ("- - -", 1080, Matrix::Bt709, T::Bt709, P::Bt709),
            ("- - -", 480, Matrix::Bt601, T::Bt709, P::Bt709),
            (
                "reserved reserved reserved",
                1080,
                Matrix::Bt709,
                T::Bt709,
                P::Bt709,
            ),
            (
                "bt470bg bt470bg bt470bg",
                576,
                Matrix::Bt601,
                T::Bt709,
                P::Bt470bg,
            ),
            (
                "smpte240m smpte240m smpte240m",
                1080,
                Matrix::Smpte240m,
                T::Bt709,
                P::Smpte170m,
            ),
            ("fcc bt470m bt470m", 480, Matrix::Fcc, T::Bt709, P::Bt470m),
            (
                "bt709 iec61966-2-1 smpte432",
                1080,
                Matrix::Bt709,
                T::Bt709,
                P::Smpte432,
            ),
            (
                "bt2020nc bt709 -",
                2160,
                Matrix::Bt2020nc,
                T::Bt709,
                P::Bt2020,
            ),
            (
                "bt2020nc bt709 bt709",
                2160,
                Matrix::Bt2020nc,
                T::Bt709,
                P::Bt709,
            ),
            (
                "bt2020nc smpte2084 -",
                2160,
                Matrix::Bt2020nc,
                T::Pq,
                P::Bt2020,
            ),
            ("- arib-std-b67 -", 480, Matrix::Bt2020nc, T::Hlg, P::Bt2020),
            (
                "bt709 smpte2084 smpte432",
                2160,
                Matrix::Bt709,
                T::Pq,
                P::Smpte432,
            ),
            (
                "ictcp smpte2084 bt2020",
                2160,
                Matrix::Ictcp,
                T::Pq,
                P::Bt2020,
            ),
        ] {
            let wanted = SourceColor {
                matrix,
                transfer,
                primaries,
                approximated: false,
            };
            assert_eq!(color_of(tags, lines, "yuv420p"), wanted, "{tags}");
        }
    }

    #[test]
    fn what_cannot_be_converted_is_told_and_the_rest_is_taken_for_what_it_says() {
        for (tags, format) in [
            ("ycgco bt709 bt709", "yuv420p"),
            ("gbr bt709 bt709", "yuv420p"),
            ("smpte2085 bt709 bt709", "yuv420p"),
            ("bt709 smpte428 bt709", "yuv420p"),
            ("bt709 bt1361e bt709", "yuv420p"),
            ("bt709 bt709 vgamut", "yuv420p"),
        ] {
            let color = color_of(tags, 1080, format);
            assert_eq!(
                color,
                SourceColor {
                    approximated: true,
                    ..SourceColor::default()
                },
                "{tags}"
            );
        }

        let mixed = color_of("ictcp bt709 smpte431", 1080, "yuv420p");
        assert!(
            mixed.approximated
                && mixed.matrix == Matrix::Bt2020nc
                && mixed.primaries == Primaries::Smpte431
        );
    }

    #[test]
    fn pictures_in_red_green_and_blue_have_no_matrix_and_full_chroma_may_be_ycgco() {
        for (tags, format, matrix) in [
            ("gbr bt709 bt709", "gbrp", Matrix::Bt709),
            ("ycgco bt709 bt709", "bgra", Matrix::Bt709),
            ("ycgco bt709 bt709", "yuvj444p", Matrix::Ycgco),
        ] {
            assert_eq!(
                color_of(tags, 1080, format),
                SourceColor {
                    matrix,
                    ..SourceColor::default()
                },
                "{tags} {format}"
            );
        }
    }

    /// The colours of a source with this many lines and columns that is tagged with matrix,
    /// transfer and primaries; `-` is none.
    fn color_of(tags: &str, lines: u32, pixel_format: &str) -> SourceColor {
        let mut tags = tags
            .split(' ')
            .map(|tag| (tag != "-").then(|| tag.to_owned()));
        let mut tag = || tags.next().flatten();

        let video = Video {
            matrix: tag(),
            transfer: tag(),
            primaries: tag(),
            width: lines,
            height: lines,
            pixel_format: pixel_format.to_owned(),
            ..video()
        };
        of(&video, &profile(false)).color
    }

    #[test]
    fn only_what_can_be_interlaced_is_looked_at() {
        let asked = |codec: &str, change: fn(&mut Video)| {
            let mut video = video();
            change(&mut video);

            let stream = stream(0, codec, Content::Data);
            may_have_fields(&stream, &video)
        };

        assert!(asked("h264", |_| ()) && asked("mpeg2video", |video| video.height = 576));
        assert!(!asked("vp9", |_| ()) && !asked("hevc", |_| ()));
        assert!(
            !asked("h264", |video| video.height = 2160)
                && !asked("h264", |video| video.rotation = -90)
        );
        assert!(!asked("h264", |video| video.average_rate =
            Some(Rational::whole(50))));
        assert!(asked("hevc", |video| video.interlaced = true));
    }
}
