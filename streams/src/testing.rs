//! What tests of the crates above share (feature `testing`).

use crate::plan::Planned;

/// A plan of two video renditions, the lower one at half the rate, and two audio renditions; 59.94
/// frames a second from 2.5 s on, four segments in three chunks, a preview every other second.
#[must_use]
pub fn planned() -> Planned {
    serde_json::from_value(serde_json::json!({
        "v": 1, "job_id": "j", "file_id": "f", "at": "2026-01-01T00:00:00Z",
        "source": {"bucket": "b", "key": "k", "etag": "e", "size": 1, "mime_type": "video/mp4", "container": "mov", "duration": 15.0, "tracks": []},
        "timeline": {"zero": "5/2", "container_start": "1/4"},
        "programme": 15.015, "segment": {"duration": "1001/250", "count": 4, "target_duration": 4},
        "video": {"track": 1, "frame_rate": "60000/1001", "segment_frames": 240, "frames": 900, "source_end": 15.015, "chunks": [0, 1, 3], "seekable": true,
                  "picture": {"color": {"matrix": "bt601"}}},
        "renditions": [
            {"type": "video", "name": "1080p", "width": 1920, "height": 1080, "frame_rate": "60000/1001", "segment_frames": 240,
             "gop_frames": 240, "encoder": "libx264", "preset": "faster", "profile": "high", "crf": 22.0, "maxrate": 9_000_000,
             "bufsize": 9_000_000, "reason": ""},
            {"type": "video", "name": "480p", "width": 854, "height": 480, "frame_rate": "30000/1001", "segment_frames": 120,
             "gop_frames": 120, "encoder": "libx264", "preset": "faster", "profile": "high", "crf": 20.5, "maxrate": 1_600_000,
             "bufsize": 1_600_000, "reason": ""},
            {"type": "audio", "name": "audio-0", "track": 0, "language": "en", "label": "English", "default": true, "channels": 2,
             "sample_rate": 48000, "bitrate": 128_000, "duration": 15.015, "source_end": 15.0, "reason": ""},
            {"type": "audio", "name": "audio-1", "track": 2, "language": "de", "label": "Deutsch", "default": false, "channels": 2,
             "sample_rate": 48000, "bitrate": 128_000, "duration": 15.015, "source_end": 15.0, "reason": ""}
        ],
        "storyboard": {"interval_frames": 120, "tiles": 8, "width": 192, "height": 108, "columns": 8, "rows": 1},
        "tasks": [], "warnings": [], "encoder": {"ffmpeg": "5.1"}
    }))
    .expect("a valid plan")
}
