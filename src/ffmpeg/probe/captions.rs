//! Whether pictures carry closed captions (CEA-608, CEA-708): by what decoders find beside some of them. No header tells.

use super::super::child;
use super::super::sandbox::Allowance;
use super::Prober;
use crate::ladder::probe::Probe;

/// Codecs whose pictures can carry captions.
const CODECS: [&str; 3] = ["h264", "hevc", "mpeg2video"];

/// Where samples are taken, as shares of the video. Television has captions, if empty ones, beside every picture; files made for the
/// web at least beside the first, which clears the screen.
const PLACES: [f64; 3] = [0.0, 0.3, 0.7];

/// Packets of a sample, of which the key frames are decoded.
const PACKETS: u32 = 24;

/// What ffprobe calls the captions beside a picture.
const FOUND: &str = "ATSC A53 Part 4 Closed Captions";

impl Prober<'_> {
    /// Whether some pictures of the main video carry captions; no where they cannot be looked at.
    pub(super) async fn captions(&self, probe: &Probe) -> bool {
        let Some((stream, _)) = probe.main_video() else {
            return false;
        };
        let (Some(start), Some(end)) = (stream.start, stream.end) else {
            return false;
        };
        if !CODECS.contains(&stream.codec.as_str()) {
            return false;
        }

        let start = start.as_f64();
        let places: Vec<String> = PLACES
            .iter()
            .map(|place| match *place {
                // From where the file begins, whatever its times are.
                0.0 => format!("%+#{PACKETS}"),
                place => format!("{:.3}%+#{PACKETS}", start + place * (end - start)),
            })
            .collect();
        let (index, places) = (stream.index.to_string(), places.join(","));
        let mut found = false;
        // Key frames alone, and those without the filter that makes them look better: nobody sees them.
        let args = [
            "-threads",
            "1",
            "-skip_frame",
            "nokey",
            "-skip_loop_filter",
            "all",
            "-select_streams",
            &index,
            "-show_entries",
            "frame_side_data=side_data_type",
            "-of",
            "csv=p=0",
            "-read_intervals",
            &places,
        ];
        let read = child::lines(self.spawn(&args, Allowance::look()), |line| {
            found |= line.contains(FOUND)
        });
        if let Err(error) = self.within(self.limits.look, read).await {
            tracing::debug!(%error, "the pictures could not be looked at for captions");
        }
        found
    }
}
