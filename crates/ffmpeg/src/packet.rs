//! The packet lines ffprobe prints for `-of compact=print_section=0`: `key=value` pairs between
//! bars.

/// The fields that are read of every packet.
pub(super) const SHOW_ENTRIES: &str = "packet=codec_type,stream_index,pts_time,dts_time,duration_time,flags:packet_side_data=discard_padding";

/// One packet of a source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Packet {
    /// Absolute stream index.
    pub(super) stream: u32,
    /// Whether it is of pictures.
    pub(super) video: bool,
    /// Presentation time in seconds, where the container has one.
    pub(super) pts: Option<f64>,
    /// Decoding time in seconds, where the container has one.
    pub(super) dts: Option<f64>,
    /// Seconds, 0 where unknown.
    pub(super) duration: f64,
    /// Samples at its end that are decoded but never played: the padding of the last packets.
    pub(super) padding: u32,
    /// Whether decoding can begin here.
    pub(super) key: bool,
    /// Whether an edit list drops it: it is decoded but never shown.
    pub(super) discarded: bool,
}

impl Packet {
    /// Reads one line; none if it is not a packet.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut packet = Self {
            stream: u32::MAX,
            video: false,
            pts: None,
            dts: None,
            duration: 0.0,
            padding: 0,
            key: false,
            discarded: false,
        };

        for (key, value) in line.split('|').filter_map(|pair| pair.split_once('=')) {
            // Newer versions write the kind of a side datum in front of its keys.
            match key.rsplit(':').next().unwrap_or(key) {
                "codec_type" => packet.video = value == "video",
                "stream_index" => packet.stream = value.parse().ok()?,
                "pts_time" => packet.pts = seconds(value),
                "dts_time" => packet.dts = seconds(value),
                "duration_time" => packet.duration = seconds(value).unwrap_or(0.0).max(0.0),
                "discard_padding" => packet.padding = value.parse().unwrap_or(0),
                "flags" => {
                    (packet.key, packet.discarded) = (value.contains('K'), value.contains('D'))
                }
                _ => {}
            }
        }

        (packet.stream != u32::MAX).then_some(packet)
    }

    /// When it is shown, as precisely as the container says.
    pub(super) fn time(&self) -> Option<f64> {
        self.pts.or(self.dts)
    }
}

fn seconds(value: &str) -> Option<f64> {
    value
        .parse()
        .ok()
        .filter(|seconds: &f64| seconds.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_of_ffprobe_is_a_packet() {
        let packet = Packet::parse(
            "codec_type=video|stream_index=1|pts_time=-0.023220|dts_time=N/A|duration_time=0.023220|flags=KD",
        )
        .unwrap();
        assert!(packet.stream == 1 && packet.video);

        assert_eq!(
            (packet.pts, packet.dts, packet.time()),
            (Some(-0.023_22), None, Some(-0.023_22))
        );
        assert!(packet.key && packet.discarded && packet.padding == 0);

        for line in [
            "stream_index=0|flags=K_|discard_padding=431",
            "stream_index=0|side_datum/skip_samples:discard_padding=431|",
        ] {
            assert_eq!(Packet::parse(line).unwrap().padding, 431);
        }

        assert_eq!(Packet::parse(""), None);
        assert_eq!(Packet::parse("side_data|"), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(line in "(stream_index=|pts_time=|duration_time=|flags=|discard_padding=|\\PC{0,5}|[0-9|.e+-]{0,8}){0,9}") {
            if let Some(packet) = Packet::parse(&line) {
                prop_assert!(packet.duration >= 0.0 && packet.time().is_none_or(f64::is_finite));
            }
        }
    }
}
