//! What a job is expected to cost, from the pixels it decodes and encodes.
//!
//! The figures are means of runs on one core of a server of 2020 (AMD EPYC), with one 24 s clip at
//! 1080p30: decoding H.264 5.2 s of processor time; x264 `veryfast` 20.3 s at 1080p, 8.0 s at 720p
//! and 4.1 s at 480p from raw pictures; the three rungs in one process 36 s `veryfast`, 57 s
//! `faster`, 78 s `medium`, 104 s `slow`, with 496, 614, 859 and 962 MB of memory. Single short
//! runs gave the filters' figures and that x265 `fast` takes 1.7 times as long as x264 `fast`.
//! Presets that were not measured are guesses between their neighbours, and so are hardware
//! encoders. Content moves all of it by half either way.

use streams::plan::{Complexity, Cost, Rendition, Source, TrackKind, VideoPlan, VideoRendition};

/// Seconds to decode a pixel.
const DECODE_SECONDS_PER_PIXEL: f64 = 3.5e-9;

/// Seconds to scale, for each pixel that comes out.
const SCALE_SECONDS_PER_PIXEL: f64 = 1.3e-9;

/// Seconds to make frames of fields, for each pixel.
const DEINTERLACE_SECONDS_PER_PIXEL: f64 = 1.5e-9;

/// Seconds to map high dynamic range, for each pixel of the top rung.
const TONE_MAP_SECONDS_PER_PIXEL: f64 = 13.0e-9;

/// Seconds to convert colours that a change of the matrix alone does not, for each pixel of the top
/// rung.
const GAMUT_SECONDS_PER_PIXEL: f64 = 4.0e-9;

/// Seconds to encode a pixel, how many pictures the encoder holds back, and how finely it searches
/// for motion, by preset.
const X264_COSTS: [(&str, f64, f64, u8); 9] = [
    ("ultrafast", 0.5e-8, 5.0, 0),
    ("superfast", 0.9e-8, 5.0, 1),
    ("veryfast", 1.3e-8, 10.0, 2),
    ("faster", 2.2e-8, 20.0, 4),
    ("fast", 2.6e-8, 30.0, 6),
    ("medium", 3.1e-8, 40.0, 7),
    ("slow", 4.2e-8, 50.0, 8),
    ("slower", 8.0e-8, 60.0, 9),
    ("veryslow", 14.0e-8, 60.0, 10),
];

/// Time of x264 by how finely it searches for motion, to that of 2. On two cores of another server
/// three rungs of a 15 s clip took 34.0 s with `faster`, 22.4 s of it with 2 and 18.7 s with 1;
/// `fast` 42.4 and 24.0 s, `medium` 45.4 and 24.5 s, `slow` 64.1 and 28.6 s. 0, 3, 5 and those
/// above 8 are guesses.
const SUBME_TIME_FACTORS: [f64; 12] = [
    0.6, 0.8, 1.0, 1.25, 1.5, 1.7, 1.86, 1.92, 2.37, 2.8, 3.2, 3.5,
];

/// x265 takes this many times as long as x264 at the same preset.
const X265_TIME_FACTOR: f64 = 1.8;

/// A hardware encoder leaves this much to the processor, in seconds per pixel: copying pictures to
/// it.
const HARDWARE_COST: (f64, f64) = (0.1e-8, 16.0);

/// Processor seconds to decode and encode a second of stereo audio.
const AUDIO_CPU_SHARE: f64 = 1.0 / 140.0;

/// Chunks decode from the key frame before them.
const OVER_DECODE_FACTOR: f64 = 1.05;

/// Bytes of a process without a picture.
const PROCESS_BYTES: f64 = 60.0e6;

/// Pictures in flight in addition to those an encoder buffers, and the number of copies of each of
/// those.
const FRAMES_IN_FLIGHT: (f64, f64) = (62.0, 2.3);

/// Pictures a decoder holds.
const DECODER_FRAMES: f64 = 20.0;

/// Bytes of a pixel in 4:2:0 of eight bits.
const BYTES_PER_PIXEL: f64 = 1.5;

/// Boxes and playlists, as a share of the media.
const CONTAINER_OVERHEAD: f64 = 1.02;

/// The estimate for a plan's parts.
#[must_use]
pub fn estimate(
    source: &Source,
    video: Option<&VideoPlan>,
    renditions: &[Rendition],
    complexity: Option<&Complexity>,
) -> Cost {
    let mut cpu = complexity.map_or(0.0, |complexity| complexity.cpu_seconds);
    let (mut bits, mut memory) = (0.0, PROCESS_BYTES);

    if let Some(video) = video {
        let seconds = video.frames as f64 / video.frame_rate.as_f64();
        let stored = stored_pixels(source, video);
        cpu += video.frames as f64 * (stored * source_seconds(video) * OVER_DECODE_FACTOR);
        memory += stored * BYTES_PER_PIXEL * DECODER_FRAMES;

        let rungs = || renditions.iter().filter_map(as_video);
        let convert = conversion_seconds_per_pixel(video);
        // The conversion is done once, at the size of the top rung.
        for (k, rung) in rungs().enumerate() {
            let pixels = f64::from(rung.width) * f64::from(rung.height);
            let (encode, held) = encoder_cost(rung);
            let each = encode + SCALE_SECONDS_PER_PIXEL + if k == 0 { convert } else { 0.0 };
            cpu += pixels * each * seconds * rung.frame_rate.as_f64();
            // This is the memory of one pass that makes all rungs, so what they hold adds up.
            memory += pixels * BYTES_PER_PIXEL * (FRAMES_IN_FLIGHT.0 + FRAMES_IN_FLIGHT.1 * held);
            bits += rung.maxrate as f64 * seconds;
        }
    }

    for rendition in renditions {
        if let Rendition::Audio(audio) = rendition {
            cpu += audio.duration * AUDIO_CPU_SHARE * f64::from(audio.channels) / 2.0;
            bits += audio.bitrate as f64 * audio.duration;
        }
    }

    Cost {
        cpu_seconds: (cpu * 10.0).round() / 10.0,
        output_bytes: (bits / 8.0 * CONTAINER_OVERHEAD) as u64,
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
    let mut tracks = source
        .tracks
        .iter()
        .filter(|track| track.kind == TrackKind::Video);
    let track = tracks.find(|track| track.index == video.track);
    track.map_or(0.0, |track| {
        f64::from(track.width.unwrap_or(0)) * f64::from(track.height.unwrap_or(0))
    })
}

/// Seconds for a pixel of the source, before it is scaled.
fn source_seconds(video: &VideoPlan) -> f64 {
    DECODE_SECONDS_PER_PIXEL
        + if video.picture.deinterlace {
            DEINTERLACE_SECONDS_PER_PIXEL
        } else {
            0.0
        }
}

/// Seconds for a pixel of the top rung.
fn conversion_seconds_per_pixel(video: &VideoPlan) -> f64 {
    let color = video.picture.color;
    if color.transfer.is_high_dynamic_range() {
        TONE_MAP_SECONDS_PER_PIXEL
    } else if color.is_scaled() {
        0.0
    } else {
        GAMUT_SECONDS_PER_PIXEL
    }
}

/// Seconds for a pixel, and pictures held back.
fn encoder_cost(rung: &VideoRendition) -> (f64, f64) {
    let known = X264_COSTS
        .iter()
        .find(|(preset, ..)| *preset == rung.preset);
    let (_, seconds, held, usual) = known.copied().unwrap_or(X264_COSTS[5]);
    match rung.encoder.as_str() {
        "libx264" => (
            seconds * motion_search_factor(rung.subme.unwrap_or(usual))
                / motion_search_factor(usual),
            held,
        ),
        "libx265" => (seconds * X265_TIME_FACTOR, held),
        _ => HARDWARE_COST,
    }
}

/// Time by how finely x264 searches for motion.
fn motion_search_factor(subme: u8) -> f64 {
    SUBME_TIME_FACTORS[usize::from(subme).min(SUBME_TIME_FACTORS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rung(height: u32, preset: &str, subme: Option<u8>) -> Rendition {
        serde_json::from_value(json!({
            "type": "video", "name": format!("{height}p"), "width": (height * 16 / 9).next_multiple_of(2), "height": height, "frame_rate": "30",
            "segment_frames": 120, "gop_frames": 120, "encoder": "libx264", "preset": preset, "subme": subme, "profile": "high", "crf": 22.0,
            "maxrate": 4_000_000, "bufsize": 4_000_000, "reason": ""
        }))
        .unwrap()
    }

    /// The clip of the measurements.
    fn measured(preset: &str, subme: Option<u8>) -> Cost {
        coloured(preset, subme, &json!({}))
    }

    /// The clip of the measurements, in these colours.
    fn coloured(preset: &str, subme: Option<u8>, color: &serde_json::Value) -> Cost {
        let source = json!({"bucket": "b", "key": "k", "etag": "e", "size": 1, "mime_type": "video/mp4", "container": "mov", "duration": 24.0, "tracks": []});
        let video = json!({"track": 0, "frame_rate": "30", "segment_frames": 120, "frames": 720, "source_end": 24.0, "chunks": [0], "seekable": true,
                           "picture": {"width": 1920, "height": 1080, "color": color}});

        let rungs = [1080, 720, 480].map(|height| rung(height, preset, subme));
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
            let cost = measured(preset, None);
            let (time, memory) = (
                cost.cpu_seconds / cpu,
                cost.memory_bytes as f64 / 1e6 / megabytes,
            );
            assert!((0.85..1.15).contains(&time), "{preset}: {cost:?}");
            assert!((0.85..1.25).contains(&memory), "{preset}: {cost:?}");
        }

        assert_eq!(measured("slow", None).output_bytes, 36_720_000);
    }

    #[test]
    fn colours_cost_something_where_the_scaler_alone_does_not_convert_them() {
        let cost = |color: serde_json::Value| coloured("veryfast", None, &color).cpu_seconds;
        let usual = cost(json!({}));
        assert!((cost(json!({"matrix": "bt2020nc"})) - usual).abs() < f64::EPSILON);
        let (wide, mapped) = (
            cost(json!({"primaries": "smpte432"})),
            cost(json!({"transfer": "pq"})),
        );
        assert!(usual < wide && wide < mapped, "{usual} {wide} {mapped}");
        assert!(usual < cost(json!({"matrix": "ycgco"})));
    }

    #[test]
    fn a_coarser_search_for_motion_takes_the_share_of_the_time_that_was_measured() {
        for (preset, subme, share) in [
            ("faster", 2, 0.66),
            ("faster", 1, 0.55),
            ("fast", 2, 0.56),
            ("slow", 2, 0.45),
        ] {
            let time =
                measured(preset, Some(subme)).cpu_seconds / measured(preset, None).cpu_seconds;
            assert!(
                (0.9..1.1).contains(&(time / share)),
                "{preset} {subme}: {time}"
            );
        }

        assert_eq!(
            measured("faster", Some(4)),
            measured("faster", None),
            "4 is what `faster` has"
        );
    }
}
