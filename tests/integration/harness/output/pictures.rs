//! What ffprobe counts in a track of pictures.

use serde_json::Value;

use crate::harness::process::{command, output_of};

/// The packets of one video track.
#[derive(Debug)]
pub(crate) struct Pictures {
    /// Coded width and height.
    pub(crate) size: (u64, u64),
    /// Presentation times in seconds, ascending.
    pub(crate) times: Vec<f64>,
    /// Presentation times in seconds of the key frames.
    pub(crate) keys: Vec<f64>,
    /// The distances between neighbours that occur, in ticks, in decoding and in presentation
    /// order.
    pub(crate) steps: (Vec<i64>, Vec<i64>),
    /// Whether the file says how long the last one stays.
    pub(crate) has_end: bool,
}

/// Reads all packets of the first real video stream at a path or URL.
pub(crate) async fn pictures(input: &str) -> Pictures {
    let entries = "packet=pts,dts,duration,flags:stream=width,height,time_base";
    // `V` leaves out attached pictures such as cover art (ffmpeg documentation, "Stream
    // specifiers").
    let arguments = [
        "-v",
        "error",
        "-select_streams",
        "V:0",
        "-show_entries",
        entries,
        "-of",
        "json",
    ];
    let probed: Value =
        serde_json::from_slice(&output_of(command("ffprobe").args(arguments).arg(input)).await)
            .unwrap();

    let stream = &probed["streams"][0];
    let (numerator, denominator) = stream["time_base"]
        .as_str()
        .unwrap()
        .split_once('/')
        .unwrap();
    let tick = numerator.parse::<f64>().unwrap() / denominator.parse::<f64>().unwrap();
    let packets = probed["packets"].as_array().unwrap();

    let ticks = |field: &str| {
        packets
            .iter()
            .map(|packet| {
                packet[field]
                    .as_i64()
                    .unwrap_or_else(|| panic!("{input}: {packet}"))
            })
            .collect::<Vec<_>>()
    };
    let (decoding, mut presentation) = (ticks("dts"), ticks("pts"));
    // The packets come in decoding order, which differs from that of presentation where there are
    // B-frames.
    presentation.sort_unstable();
    let seconds = |ticks: i64| ticks as f64 * tick;
    let is_key = |packet: &&Value| packet["flags"].as_str().unwrap().starts_with('K');

    Pictures {
        size: (
            stream["width"].as_u64().unwrap(),
            stream["height"].as_u64().unwrap(),
        ),
        keys: packets
            .iter()
            .filter(is_key)
            .map(|packet| seconds(packet["pts"].as_i64().unwrap()))
            .collect(),
        steps: (steps(&decoding), steps(&presentation)),
        has_end: packets
            .last()
            .is_some_and(|last| last["duration"].is_number()),
        times: presentation.into_iter().map(seconds).collect(),
    }
}

fn steps(ticks: &[i64]) -> Vec<i64> {
    let mut steps: Vec<_> = ticks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}
