//! What ffprobe reads in the head of a video stream.

use serde::Deserialize;
use serde_json::Value;

use crate::harness::process::{command, output_of};

/// One video stream, as players see it before they decode.
#[derive(Debug, Deserialize)]
pub(crate) struct VideoStream {
    /// Coded pixels.
    pub(crate) width: u32,
    /// Coded pixels.
    pub(crate) height: u32,
    /// e.g. `High`
    #[serde(default)]
    pub(crate) profile: String,
    /// e.g. `yuv420p`
    pub(crate) pix_fmt: String,
    /// e.g. `1:1`
    #[serde(default)]
    pub(crate) sample_aspect_ratio: String,
    /// e.g. `tv`
    #[serde(default)]
    pub(crate) color_range: String,
    /// The matrix, e.g. `bt709`.
    #[serde(default)]
    pub(crate) color_space: String,
    /// e.g. `bt709`
    #[serde(default)]
    pub(crate) color_transfer: String,
    /// e.g. `bt709`
    #[serde(default)]
    pub(crate) color_primaries: String,
    /// `progressive`, or nothing where no one says; else the order of fields.
    #[serde(default)]
    pub(crate) field_order: String,
    /// The lowest rate all time stamps fit, e.g. `24000/1001`.
    pub(crate) r_frame_rate: String,
    /// Rotation and the like; empty in a finished output.
    #[serde(default)]
    pub(crate) side_data_list: Vec<Value>,
}

/// Reads the first real video stream at a path or URL.
pub(crate) async fn video_stream(input: &str) -> VideoStream {
    chosen_stream(input, "V:0").await
}

/// Reads the stream that ffmpeg's specifier names at a path or URL.
pub(crate) async fn chosen_stream(input: &str, specifier: &str) -> VideoStream {
    let arguments = [
        "-v",
        "error",
        // Some inputs begin without pictures.
        "-analyzeduration",
        "60M",
        "-probesize",
        "100M",
        "-select_streams",
        specifier,
        "-show_streams",
        "-of",
        "json",
        input,
    ];
    let mut probed: Value =
        serde_json::from_slice(&output_of(command("ffprobe").args(arguments)).await).unwrap();
    let stream = probed["streams"][0].take();
    serde_json::from_value(stream).unwrap_or_else(|error| panic!("{input}: {error} in {probed}"))
}

impl VideoStream {
    /// Frames per second.
    pub(crate) fn rate(&self) -> f64 {
        let (num, den) = self.r_frame_rate.split_once('/').unwrap();
        num.parse::<f64>().unwrap() / den.parse::<f64>().unwrap()
    }

    /// The size in square pixels, before any rotation.
    pub(crate) fn square_size(&self) -> (u32, u32) {
        let aspect = self.sample_aspect_ratio.split_once(':');
        let aspect =
            aspect.and_then(|(num, den)| Some(num.parse::<f64>().ok()? / den.parse::<f64>().ok()?));
        let aspect = aspect
            .filter(|aspect| aspect.is_finite() && *aspect > 0.0)
            .unwrap_or(1.0);
        ((f64::from(self.width) * aspect).round() as u32, self.height)
    }

    /// Everything that is not as it has to be in any finished output.
    pub(crate) fn oddities(&self) -> Vec<String> {
        let standard = [
            ("pixel format", &self.pix_fmt, "yuv420p"),
            ("profile", &self.profile, "High"),
            ("pixel aspect", &self.sample_aspect_ratio, "1:1"),
            ("range", &self.color_range, "tv"),
            ("matrix", &self.color_space, "bt709"),
            ("transfer", &self.color_transfer, "bt709"),
            ("primaries", &self.color_primaries, "bt709"),
        ];
        let wrong = standard
            .into_iter()
            .filter(|(_, found, wanted)| found != wanted);
        let mut oddities: Vec<String> = wrong
            .map(|(what, found, wanted)| format!("its {what} is {found:?} and not {wanted:?}"))
            .collect();
        if !self.width.is_multiple_of(2) || !self.height.is_multiple_of(2) {
            oddities.push(format!("its size {}x{} is odd", self.width, self.height));
        }
        if !matches!(self.field_order.as_str(), "" | "unknown" | "progressive") {
            oddities.push(format!("its fields are in the order {}", self.field_order));
        }
        if !self.side_data_list.is_empty() {
            oddities.push(format!("it carries {:?}", self.side_data_list));
        }
        oddities
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::input::made;
    use crate::edges::mp4::orient;
    use crate::harness::clip::make_from;

    const TAGS: &str = "-vf setsar=1,setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709 -c:v libx264 -preset veryfast";

    #[tokio::test]
    async fn every_oddity_is_told_and_nothing_else() {
        let picture = "-f lavfi -i testsrc2=s=64x48:d=1";
        let plain = make_from(
            &format!("{picture} {TAGS} -profile:v high -pix_fmt yuv420p"),
            "mp4",
        )
        .await;
        assert_eq!(
            video_stream(plain.text()).await.oddities(),
            Vec::<String>::new()
        );
        let odd = "-vf setsar=4/3 -c:v libx264 -preset veryfast -pix_fmt yuv422p10le -flags +ildct -x264opts tff=1";
        let odd =
            made(format!("{picture} {odd}"), "mp4").changed(|bytes| orient(bytes, [0, 1, -1, 0]));
        let folder = tempfile::tempdir().unwrap();
        let oddities = video_stream(odd.make(folder.path()).await.text())
            .await
            .oddities()
            .join("; ");
        for word in [
            "pixel format",
            "profile",
            "pixel aspect",
            "range",
            "matrix",
            "transfer",
            "primaries",
            "fields",
            "Display Matrix",
        ] {
            assert!(oddities.contains(word), "{word} is not in: {oddities}");
        }
    }
}
