//! Where zero of the output lies on the source's clock, and the grid of frames and segments that
//! begins there.

use streams::Rational;
use streams::plan::{Segment, Timeline};

use super::frame_rate::is_fast;

/// Audio may begin this many seconds before the video without moving zero: it is cut there.
const MAX_AUDIO_HEAD_START: (i64, i64) = (1, 10);

/// Seconds of error that floating point leaves of an exact number.
const ROUNDING_SECONDS: f64 = 1e-6;

/// Seconds of audio in an AAC frame at 48 kHz: an audio segment may be longer than a video segment
/// by this much.
pub(crate) const AAC_FRAME_SECONDS: f64 = 1024.0 / 48_000.0;

/// Seconds by which the ends of video and audio may differ without padding: audio then ends where
/// the video ends.
pub(super) const MAX_END_DIFFERENCE_SECONDS: f64 = 0.1;

/// Seconds; no shorter last segment is made: hls.js 1.7.4 never ends behind one of a frame or two.
pub(crate) const MIN_LAST_SEGMENT_SECONDS: f64 = 0.5;

/// Frames by which the end of the video may differ from the plan.
pub(crate) const END_TOLERANCE_FRAMES: f64 = 2.0;

/// The timeline of a source with pictures.
///
/// Zero is the first picture. If audio begins more than 0.1 s earlier, zero is the start of the
/// audio, moved back by less than a frame so that the pictures stay on the grid.
#[must_use]
pub fn with_pictures(
    first_picture: Rational,
    first_sound: Option<Rational>,
    rate: Rational,
    container_start: Rational,
) -> Timeline {
    let head_start = first_sound.and_then(|sound| first_picture.checked_sub(sound));
    let moved = head_start.filter(|head_start| {
        Rational::new(MAX_AUDIO_HEAD_START.0, MAX_AUDIO_HEAD_START.1)
            .is_some_and(|most| *head_start > most)
    });

    let zero = moved.and_then(|head_start| {
        let frames = ceil(head_start.checked_mul(rate)?);
        first_picture.checked_sub(Rational::whole(frames).checked_div(rate)?)
    });

    Timeline {
        zero: zero.unwrap_or(first_picture),
        container_start,
    }
}

/// The timeline of a source without video: zero is the first audio sample.
#[must_use]
pub const fn sound_alone(first_sound: Rational, container_start: Rational) -> Timeline {
    Timeline {
        zero: first_sound,
        container_start,
    }
}

fn ceil(value: Rational) -> i64 {
    let up = i64::from(value.num().rem_euclid(value.den()) != 0);
    value.num().div_euclid(value.den()).saturating_add(up)
}

/// Frames of segments and groups of pictures, at full rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Frames per second.
    pub rate: Rational,
    /// Frames of a segment, a multiple of `gop`.
    pub segment: u32,
    /// Frames of a group of pictures; even where a rung may take every second frame.
    pub gop: u32,
}

impl Grid {
    /// The grid of segments and groups of pictures of about this many seconds.
    #[must_use]
    pub fn new(rate: Rational, segment_seconds: u32, gop_seconds: u32) -> Self {
        let frames = rate.as_f64() * f64::from(gop_seconds.max(1));
        let gop = if is_fast(rate) {
            (frames / 2.0).round().max(1.0) as u32 * 2
        } else {
            frames.round().max(1.0) as u32
        };

        let gops = (segment_seconds / gop_seconds.max(1)).max(1);
        Self {
            rate,
            segment: gop * gops,
            gop,
        }
    }

    /// The frame at or nearest to `seconds` from zero, at least frame 0.
    #[must_use]
    pub fn frame_at(&self, seconds: f64) -> u64 {
        (seconds * self.rate.as_f64()).round().max(0.0) as u64
    }

    /// The frames of a programme whose video and audio end this many seconds from zero: those of
    /// the video, or as many as reach the end of the audio if that is well after it. At least one.
    #[must_use]
    pub fn programme(&self, pictures: f64, sound: f64) -> u64 {
        let frames = self.frame_at(pictures).max(1);
        if sound - self.seconds(frames) <= MAX_END_DIFFERENCE_SECONDS {
            return frames;
        }
        (sound * self.rate.as_f64() - ROUNDING_SECONDS).ceil() as u64
    }

    /// Seconds that this many frames last.
    #[must_use]
    pub fn seconds(&self, frames: u64) -> f64 {
        frames as f64 / self.rate.as_f64()
    }

    /// Seconds of a segment.
    #[must_use]
    pub fn segment_seconds(&self) -> Rational {
        let seconds = Rational::whole(self.segment.into()).checked_div(self.rate);
        seconds.unwrap_or(Rational::whole(4))
    }

    /// The segments of a programme of this many frames.
    #[must_use]
    pub fn segments(&self, frames: u64) -> Segment {
        segments(
            self.segment_seconds(),
            self.seconds(frames),
            self.seconds(1),
        )
    }
}

/// The segments of `duration` seconds each that a programme has, and the one target duration of its
/// playlists; `frame` seconds of a frame, where it has pictures. What is left behind the last whole
/// segment joins it where it is little.
#[must_use]
pub fn segments(duration: Rational, programme: f64, frame: f64) -> Segment {
    let each = duration.as_f64();
    let whole = (programme / each + ROUNDING_SECONDS).floor();
    let rest = (programme - whole * each).max(0.0);

    let joins = whole >= 1.0 && rest < MIN_LAST_SEGMENT_SECONDS;
    // The end may come out later than planned, and the target must hold then, too (RFC 8216 section
    // 4.3.3.1).
    let longest = if joins {
        each + rest + END_TOLERANCE_FRAMES * frame
    } else {
        each
    };

    Segment {
        duration,
        count: whole as u32 + u32::from(!joins),
        target_duration: (longest + AAC_FRAME_SECONDS).round().max(1.0) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rational(text: &str) -> Rational {
        text.parse().unwrap()
    }

    #[test]
    fn zero_is_the_first_picture_unless_sound_begins_well_before_it() {
        let zero = |sound: Option<&str>| {
            with_pictures(
                rational("5/2"),
                sound.map(rational),
                rational("25"),
                Rational::ZERO,
            )
            .zero
        };
        assert_eq!(zero(None), rational("5/2"));
        assert_eq!(zero(Some("3")), rational("5/2"));
        assert_eq!(zero(Some("12/5")), rational("5/2"));
        // 0.51 s earlier: thirteen frames before the first picture.
        assert_eq!(zero(Some("199/100")), rational("99/50"));
    }

    #[test]
    fn segments_are_whole_frames_and_their_target_is_a_constant() {
        let grid = |rate: &str| Grid::new(rational(rate), 4, 4);
        assert_eq!(
            (
                grid("25").segment,
                grid("30000/1001").segment,
                grid("60").segment
            ),
            (100, 120, 240)
        );

        assert_eq!(grid("50").gop % 2, 0);
        assert_eq!(grid("30000/1001").segments(240).target_duration, 4);
        assert_eq!(
            grid("30000/1001").segments(240).duration,
            rational("1001/250")
        );

        assert_eq!(
            Grid::new(rational("25"), 6, 2),
            Grid {
                rate: rational("25"),
                segment: 150,
                gop: 50
            }
        );
    }

    #[test]
    fn a_sliver_joins_the_segment_before_it_and_the_target_is_higher_where_it_has_to_be() {
        let grid = Grid::new(rational("25"), 4, 4);
        let of = |frames| {
            let segments = grid.segments(frames);
            (segments.count, segments.target_duration)
        };

        // 8.00, 8.04 and 8.36 s; 8.40 and 8.48 s, whose last segment rounds to five; 8.52 s; and
        // less than a segment.
        assert_eq!([200, 201, 209].map(of), [(2, 4); 3]);
        assert_eq!([210, 212].map(of), [(2, 5); 2]);
        assert_eq!(
            [213, 1, 12, 99, 100, 101].map(of),
            [(3, 4), (1, 4), (1, 4), (1, 4), (1, 4), (1, 4)]
        );

        let sound = |seconds| segments(Rational::whole(4), seconds, 0.0);
        assert_eq!((sound(8.45).count, sound(8.45).target_duration), (2, 4));
        assert_eq!((sound(8.49).count, sound(8.49).target_duration), (2, 5));
    }

    #[test]
    fn a_programme_is_as_long_as_the_pictures_unless_sound_ends_well_behind_them() {
        let grid = Grid::new(rational("25"), 4, 4);
        assert_eq!(grid.programme(8.0, 3.0), 200);
        assert_eq!(grid.programme(8.0, 8.1), 200);
        assert_eq!(grid.programme(8.0, 8.121), 204);
        assert_eq!(grid.programme(8.0, 15.0), 375);
        assert_eq!(grid.programme(0.0, 0.0), 1);
    }

    proptest! {
        #[test]
        fn no_segment_is_longer_than_its_target_when_rounded_and_none_is_a_sliver(
            num in 1i64..60_000, den in 1i64..1001, seconds in 1u32..10, frames in 1u64..100_000,
        ) {
            let rate = Rational::new(num, den).unwrap().max(Rational::whole(1)).min(Rational::whole(60));
            let grid = Grid::new(rate, seconds, seconds);
            let segments = grid.segments(frames);
            let each = segments.duration.as_f64();
            prop_assert!((each - f64::from(seconds)).abs() <= 1.0);

            let last = grid.seconds(frames) - f64::from(segments.count - 1) * each;
            prop_assert!(segments.count == 1 || last > MIN_LAST_SEGMENT_SECONDS - 1e-6);

            let longest = if segments.count == 1 { last } else { last.max(each) };
            prop_assert!((longest + AAC_FRAME_SECONDS - 1e-6).round() <= f64::from(segments.target_duration), "{segments:?} {longest}");
        }

        #[test]
        fn zero_is_never_after_the_first_sample_by_more_than_the_head_start(
            picture in -1000i64..1000, sound in -1000i64..1000, rate in prop::sample::select(vec!["25", "30000/1001", "17", "60"]),
        ) {
            let (picture, sound) = (Rational::new(picture, 90).unwrap(), Rational::new(sound, 480).unwrap());
            let zero = with_pictures(picture, Some(sound), rational(rate), Rational::ZERO).zero;
            prop_assert!(zero <= picture);
            prop_assert!(zero.as_f64() - sound.as_f64() <= 0.1 + 1e-9);
            let frames = (picture.as_f64() - zero.as_f64()) * rational(rate).as_f64();
            prop_assert!((frames - frames.round()).abs() < 1e-6, "{frames}");
        }
    }
}
