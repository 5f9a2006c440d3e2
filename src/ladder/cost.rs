//! What a job is expected to cost, from the pixels it decodes and encodes.
//!
//! The figures are means of runs on one core of a server of 2020 (AMD EPYC), with one 24 s clip at 1080p30: decoding H.264 5.2 s of
//! processor time; x264 `veryfast` 20.3 s at 1080p, 8.0 s at 720p and 4.1 s at 480p from raw pictures; the three rungs in one process
//! 36 s `veryfast`, 57 s `faster`, 78 s `medium`, 104 s `slow`, with 496, 614, 859 and 962 MB of memory. What was not measured is
//! a guess between its neighbours, and x265 one by its published speed. Content moves all of it by half either way.

use streams::plan::{Complexity, Cost, Rendition, Source, TrackKind, VideoPlan, VideoRendition};

/// Seconds to decode a pixel.
const DECODE: f64 = 3.5e-9;

/// Seconds to scale, for each pixel that comes out.
const SCALE: f64 = 1.3e-9;

/// Seconds to make frames of fields, for each pixel.
const DEINTERLACE: f64 = 4.0e-9;

/// Seconds to map high dynamic range or other primaries, for each pixel of the top rung.
const CONVERT: f64 = 6.0e-8;

/// Seconds to encode a pixel, and how many pictures the encoder holds back, by preset.
const X264: [(&str, f64, f64); 9] = [
    ("ultrafast", 0.5e-8, 5.0),
    ("superfast", 0.9e-8, 5.0),
    ("veryfast", 1.3e-8, 10.0),
    ("faster", 2.2e-8, 20.0),
    ("fast", 2.6e-8, 30.0),
    ("medium", 3.1e-8, 40.0),
    ("slow", 4.2e-8, 50.0),
    ("slower", 8.0e-8, 60.0),
    ("veryslow", 14.0e-8, 60.0),
];

/// x265 takes so many times as long as x264 at the same preset.
const X265: f64 = 2.5;

/// A hardware encoder leaves this much to the processor, in seconds per pixel: copying pictures to it.
const HARDWARE: (f64, f64) = (0.1e-8, 16.0);

/// Seconds to decode and encode a second of stereo sound.
const SOUND: f64 = 1.0 / 140.0;

/// Chunks decode from the key frame before them.
const OVER_DECODE: f64 = 1.05;

/// Bytes of a process without a picture.
const PROCESS: f64 = 60.0e6;

/// Pictures in flight beside those an encoder holds back, and what each of those takes in copies.
const PICTURES: (f64, f64) = (62.0, 2.3);

/// Pictures a decoder holds.
const DECODED: f64 = 20.0;

/// Bytes of a pixel in 4:2:0 of eight bits.
const BYTES: f64 = 1.5;

/// Boxes and playlists, as a share of the media.
const OVERHEAD: f64 = 1.02;

/// The estimate for a plan's parts.
#[must_use]
pub fn estimate(
    source: &Source,
    video: Option<&VideoPlan>,
    renditions: &[Rendition],
    complexity: Option<&Complexity>,
) -> Cost {
    let mut cpu = complexity.map_or(0.0, |complexity| complexity.cpu_seconds);
    let (mut bits, mut memory) = (0.0, PROCESS);
    if let Some(video) = video {
        let seconds = video.frames as f64 / video.frame_rate.as_f64();
        let stored = stored_pixels(source, video);
        cpu += video.frames as f64 * (stored * source_seconds(video) * OVER_DECODE);
        memory += stored * BYTES * DECODED;
        let rungs = || renditions.iter().filter_map(as_video);
        let converts = !crate::ladder::picture::is_usual(video.picture);
        for (k, rung) in rungs().enumerate() {
            let pixels = f64::from(rung.width) * f64::from(rung.height);
            let (encode, held) = encoder(rung);
            let each = encode + SCALE + if converts && k == 0 { CONVERT } else { 0.0 };
            cpu += pixels * each * seconds * rung.frame_rate.as_f64();
            memory += pixels * BYTES * (PICTURES.0 + PICTURES.1 * held);
            bits += rung.maxrate as f64 * seconds;
        }
    }
    for rendition in renditions {
        if let Rendition::Audio(audio) = rendition {
            cpu += audio.duration * SOUND * f64::from(audio.channels) / 2.0;
            bits += audio.bitrate as f64 * audio.duration;
        }
    }
    Cost {
        cpu_seconds: (cpu * 10.0).round() / 10.0,
        output_bytes: (bits / 8.0 * OVERHEAD) as u64,
        memory_bytes: memory as u64,
    }
}

const fn as_video(rendition: &Rendition) -> Option<&VideoRendition> {
    match rendition {
        Rendition::Video(video) => Some(video),
        Rendition::Audio(_) => None,
    }
}

/// Pixels of a picture of the source.
fn stored_pixels(source: &Source, video: &VideoPlan) -> f64 {
    let picture = video.picture;
    if picture.width > 0 {
        return f64::from(picture.width) * f64::from(picture.height);
    }
    let mut tracks = source.tracks.iter().filter(|track| track.kind == TrackKind::Video);
    let track = tracks.find(|track| track.index == video.track);
    track.map_or(0.0, |track| {
        f64::from(track.width.unwrap_or(0)) * f64::from(track.height.unwrap_or(0))
    })
}

/// Seconds for a pixel of the source, before it is scaled.
fn source_seconds(video: &VideoPlan) -> f64 {
    DECODE + if video.picture.deinterlace { DEINTERLACE } else { 0.0 }
}

/// Seconds for a pixel, and pictures held back.
fn encoder(rung: &VideoRendition) -> (f64, f64) {
    let known = X264.iter().find(|(preset, ..)| *preset == rung.preset);
    let (_, seconds, held) = known.copied().unwrap_or(X264[5]);
    match rung.encoder.as_str() {
        "libx264" => (seconds, held),
        "libx265" => (seconds * X265, held),
        _ => HARDWARE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rung(height: u32, preset: &str) -> Rendition {
        serde_json::from_value(json!({
            "type": "video", "name": format!("{height}p"), "width": (height * 16 / 9).next_multiple_of(2), "height": height, "frame_rate": "30",
            "segment_frames": 120, "gop_frames": 120, "encoder": "libx264", "preset": preset, "profile": "high", "crf": 22.0,
            "maxrate": 4_000_000, "bufsize": 4_000_000, "reason": ""
        }))
        .unwrap()
    }

    /// The clip of the measurements.
    fn measured(preset: &str) -> Cost {
        let source = json!({"bucket": "b", "key": "k", "etag": "e", "size": 1, "mime_type": "video/mp4", "container": "mov", "duration": 24.0, "tracks": []});
        let video = json!({"track": 0, "frame_rate": "30", "segment_frames": 120, "frames": 720, "chunks": [0], "seekable": true,
                           "picture": {"width": 1920, "height": 1080}});
        let rungs = [1080, 720, 480].map(|height| rung(height, preset));
        estimate(
            &serde_json::from_value(source).unwrap(),
            Some(&serde_json::from_value(video).unwrap()),
            &rungs,
            None,
        )
    }

    #[test]
    fn the_model_gives_back_what_was_measured() {
        for (preset, cpu, megabytes) in [
            ("veryfast", 36.4, 496.0),
            ("faster", 57.3, 614.0),
            ("medium", 78.4, 859.0),
            ("slow", 104.4, 962.0),
        ] {
            let cost = measured(preset);
            let (time, memory) = (cost.cpu_seconds / cpu, cost.memory_bytes as f64 / 1e6 / megabytes);
            assert!((0.85..1.15).contains(&time), "{preset}: {cost:?}");
            assert!((0.85..1.25).contains(&memory), "{preset}: {cost:?}");
        }
        assert_eq!(measured("slow").output_bytes, 36_720_000);
    }
}
