//! The media type of a source, from the container that was found.

use super::probe::Probe;

/// The media type of a probed source (IANA names where there is one).
#[must_use]
pub fn of(probe: &Probe) -> &'static str {
    let moving = probe.main_video().is_some();
    let named = |name: &str| probe.container.split(',').any(|demuxer| demuxer == name);
    let codecs_of_webm = || {
        let mut media = probe.streams.iter().filter(|stream| stream.is_media());
        media.all(|stream| {
            matches!(
                stream.codec.as_str(),
                "vp8" | "vp9" | "av1" | "opus" | "vorbis"
            )
        })
    };

    let kinds: [(&str, &str, &str); 18] = [
        ("mpegts", "video/mp2t", "video/mp2t"),
        ("mpeg", "video/mpeg", "audio/mpeg"),
        ("avi", "video/x-msvideo", "video/x-msvideo"),
        ("flv", "video/x-flv", "video/x-flv"),
        ("asf", "video/x-ms-wmv", "audio/x-ms-wma"),
        ("mxf", "application/mxf", "application/mxf"),
        ("gif", "image/gif", "image/gif"),
        ("apng", "image/apng", "image/apng"),
        ("webp_anim", "image/webp", "image/webp"),
        ("dv", "video/dv", "video/dv"),
        ("amr", "audio/amr", "audio/amr"),
        ("mp3", "audio/mpeg", "audio/mpeg"),
        ("wav", "audio/wav", "audio/wav"),
        ("aiff", "audio/aiff", "audio/aiff"),
        ("flac", "audio/flac", "audio/flac"),
        ("ogg", "video/ogg", "audio/ogg"),
        ("aac", "audio/aac", "audio/aac"),
        ("matroska", "video/x-matroska", "audio/x-matroska"),
    ];

    // ffmpeg names one demuxer for MP4 and QuickTime, and one for Matroska and WebM: the brand or
    // the codecs distinguish them.
    match probe.brand.as_deref() {
        Some("qt  ") if named("mov") => return "video/quicktime",
        _ if named("mov") => return if moving { "video/mp4" } else { "audio/mp4" },
        _ if named("webm") && codecs_of_webm() => {
            return if moving { "video/webm" } else { "audio/webm" };
        }
        _ => {}
    }

    let kind = kinds.into_iter().find(|(name, ..)| named(name));
    kind.map_or("application/octet-stream", |(_, pictures, sound)| {
        if moving { pictures } else { sound }
    })
}
