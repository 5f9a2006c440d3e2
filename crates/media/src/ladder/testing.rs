//! A usual video and a bare track, for tests that change one thing about them.

use streams::Rational;

use super::probe::{Audience, Content, Stream, Video};

/// 1080p25 as most cameras write it.
#[must_use]
pub fn video() -> Video {
    Video {
        width: 1920,
        height: 1080,
        pixel_aspect: Rational::whole(1),
        rotation: 0,
        mirrored: false,
        average_rate: Some(Rational::whole(25)),
        base_rate: Some(Rational::whole(25)),
        cadence: None,
        interlaced: false,
        fields: None,
        pixel_format: "yuv420p".to_owned(),
        matrix: None,
        transfer: None,
        primaries: None,
        alpha: false,
        size_changes: false,
        captions: false,
        bitrate: None,
        dolby_vision: None,
    }
}

/// A track without language, title or times.
#[must_use]
pub fn stream(index: u32, codec: &str, content: Content) -> Stream {
    Stream {
        index,
        codec: codec.to_owned(),
        language: None,
        title: None,
        default: false,
        audience: Audience::default(),
        start: None,
        end: None,
        packet: 0.0,
        content,
    }
}

/// Times of `count` pictures at `rate` a second, rounded to whole `unit` seconds.
#[must_use]
pub fn times(rate: f64, count: u32, unit: f64) -> Vec<f64> {
    (0..count)
        .map(|n| (f64::from(n) / rate / unit).round() * unit)
        .collect()
}
