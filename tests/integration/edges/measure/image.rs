//! What one decoded picture looks like.

use std::process::Stdio;

use crate::harness::process::{command, output_of};

/// Red, green and blue of 0 to 255.
pub(crate) type Colour = [u8; 3];

/// A part of a picture: left, top, width and height as shares of the whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place(
    pub(crate) f64,
    pub(crate) f64,
    pub(crate) f64,
    pub(crate) f64,
);

impl Place {
    /// The middle of the `k`th of `n` bars from left to right.
    pub(crate) fn bar(k: usize, n: usize) -> Self {
        let width = 1.0 / n as f64;
        Self(width * (k as f64 + 0.3), 0.3, width * 0.4, 0.4)
    }
}

/// A decoded picture, as a screen would show it.
#[derive(Debug)]
pub(crate) struct Image {
    /// Pixels.
    pub(crate) width: usize,
    /// Pixels.
    pub(crate) height: usize,
    pixels: Vec<u8>,
}

/// The colours of video with these filters before them become those of a screen.
const TO_SCREEN: &str = "scale=in_color_matrix=bt709:in_range=tv:out_range=pc:flags=accurate_rnd+full_chroma_int,format=rgb24";

/// The first picture at or after `seconds` of a finished rendition, which has to be BT.709 in
/// limited range.
pub(crate) async fn image_at(input: &str, seconds: f64) -> Image {
    decode(input, &format!("select=gte(t\\,{seconds}),{TO_SCREEN}")).await
}

/// A picture file, such as a poster: JPEG is full-range BT.601.
pub(crate) async fn picture_file(input: &str) -> Image {
    decode(
        input,
        "scale=in_color_matrix=bt601:in_range=pc:out_range=pc:flags=accurate_rnd+full_chroma_int,format=rgb24",
    )
    .await
}

async fn decode(input: &str, filters: &str) -> Image {
    let arguments = [
        "-nostdin", "-v", "error", "-i", input, "-map", "0:V:0", "-vf", filters,
    ];
    let mut ffmpeg = command("ffmpeg");
    ffmpeg.args(arguments).args([
        "-frames:v",
        "1",
        "-fps_mode",
        "passthrough",
        "-f",
        "image2pipe",
        "-c:v",
        "ppm",
        "-",
    ]);
    let bytes = output_of(&mut ffmpeg).await;
    Image::of_ppm(&bytes).unwrap_or_else(|| panic!("{input} shows no picture through {filters}"))
}

impl Image {
    /// A portable pixmap of 8 bits, as ffmpeg writes it: four words, one blank, the pixels.
    fn of_ppm(bytes: &[u8]) -> Option<Self> {
        let mut words = bytes.splitn(5, u8::is_ascii_whitespace);
        if words.next()? != b"P6" {
            return None;
        }
        let mut number = || {
            std::str::from_utf8(words.next()?)
                .ok()?
                .parse::<usize>()
                .ok()
        };
        let (width, height, _most) = (number()?, number()?, number()?);
        let pixels = words.next()?.to_vec();
        (pixels.len() == width * height * 3).then_some(Self {
            width,
            height,
            pixels,
        })
    }

    /// The mean colour of a place.
    pub(crate) fn mean(&self, place: Place) -> Colour {
        let span = |from: f64, share: f64, all: usize| {
            let first = ((from * all as f64) as usize).min(all - 1);
            first..((((from + share) * all as f64) as usize).max(first + 1)).min(all)
        };
        let (columns, lines) = (
            span(place.0, place.2, self.width),
            span(place.1, place.3, self.height),
        );
        let count = (columns.len() * lines.len()) as u64;
        let mut sums = [0_u64; 3];
        for line in lines {
            for column in columns.clone() {
                let pixel = &self.pixels[(line * self.width + column) * 3..][..3];
                sums.iter_mut()
                    .zip(pixel)
                    .for_each(|(sum, value)| *sum += u64::from(*value));
            }
        }
        sums.map(|sum| ((sum + count / 2) / count) as u8)
    }

    /// Width and height of what is nearly white.
    pub(crate) fn extent_of_white(&self) -> (usize, usize) {
        let white = (0..self.width * self.height)
            .filter(|at| self.pixels[at * 3..][..3].iter().all(|value| *value > 180));
        let (mut columns, mut lines) = ((usize::MAX, 0), (usize::MAX, 0));
        for at in white {
            let (column, line) = (at % self.width, at / self.width);
            columns = (columns.0.min(column), columns.1.max(column + 1));
            lines = (lines.0.min(line), lines.1.max(line + 1));
        }
        (
            columns.1.saturating_sub(columns.0),
            lines.1.saturating_sub(lines.0),
        )
    }

    /// The colours in the middle of the four corners' marks: top left, top right, bottom left,
    /// bottom right.
    pub(crate) fn corners(&self) -> [Colour; 4] {
        [(0.06, 0.06), (0.84, 0.06), (0.06, 0.84), (0.84, 0.84)]
            .map(|(x, y)| self.mean(Place(x, y, 0.1, 0.1)))
    }

    /// The mean of all there is to see, 0 for black and 255 for white.
    pub(crate) fn brightness(&self) -> f64 {
        self.pixels
            .iter()
            .map(|value| f64::from(*value))
            .sum::<f64>()
            / self.pixels.len() as f64
    }
}

/// The share of a rendition's frames in which ffmpeg's `idet` sees two fields of different times,
/// of those it judges.
pub(crate) async fn combed_share(input: &str) -> f64 {
    let mut ffmpeg = command("ffmpeg");
    ffmpeg.args([
        "-nostdin",
        "-hide_banner",
        "-v",
        "info",
        "-i",
        input,
        "-map",
        "0:V:0",
        "-vf",
        "setfield=prog,idet",
        "-f",
        "null",
        "-",
    ]);
    let output = ffmpeg.stderr(Stdio::piped()).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let counts = said
        .lines()
        .rev()
        .find_map(|line| line.split_once("Multi frame detection:"));
    let counts = counts
        .unwrap_or_else(|| panic!("idet says nothing of {input}: {said}"))
        .1;
    let words: Vec<&str> = counts.split_whitespace().collect();
    let count = |name: &str| {
        let at = words.iter().position(|word| *word == name).unwrap();
        words[at + 1].parse::<f64>().unwrap()
    };
    let (combed, clean) = (count("TFF:") + count("BFF:"), count("Progressive:"));
    assert!(combed + clean > 0.0, "idet cannot judge {input}: {counts}");
    combed / (combed + clean)
}

/// How many of a rendition's pictures differ from the one before them, by more than an encoder
/// makes of one picture twice.
pub(crate) async fn changes(input: &str) -> usize {
    const SIZE: usize = 64 * 36;
    const CODING: u8 = 16;
    let filters = "scale=64:36:flags=area,format=gray";
    let arguments = [
        "-nostdin", "-v", "error", "-i", input, "-map", "0:V:0", "-vf", filters,
    ];
    let mut ffmpeg = command("ffmpeg");
    ffmpeg
        .args(arguments)
        .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-"]);
    let bytes = output_of(&mut ffmpeg).await;
    let pictures: Vec<&[u8]> = bytes.chunks(SIZE).collect();
    let differ = |pair: &&[&[u8]]| {
        pair[0]
            .iter()
            .zip(pair[1])
            .any(|(one, other)| one.abs_diff(*other) > CODING)
    };
    pictures.windows(2).filter(differ).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::clip::make_from;

    #[tokio::test]
    async fn a_picture_is_read_with_its_colours_in_their_places() {
        let marks = "-f lavfi -i color=c=gray:s=64x48:r=5:d=1,format=rgb24,drawbox=w=16:h=12:c=red:t=fill,scale=out_color_matrix=bt709:out_range=tv,format=yuv444p";
        let clip = make_from(&format!("{marks} -c:v ffv1"), "mkv").await;
        let image = image_at(clip.text(), 0.5).await;
        assert_eq!((image.width, image.height), (64, 48));
        let [mark, other, ..] = image.corners();
        let near = |one: Colour, other: Colour| {
            one.iter()
                .zip(other)
                .all(|(one, other)| one.abs_diff(other) <= 3)
        };
        assert!(
            near(mark, [255, 0, 0]) && near(other, [128, 128, 128]),
            "{mark:?} {other:?}"
        );
        assert!((100.0..140.0).contains(&image.brightness()));
    }

    #[tokio::test]
    async fn pictures_that_are_shown_twice_count_once() {
        let moving = "-f lavfi -i testsrc2=s=320x180:r=30:d=2";
        let encode = "-c:v libx264 -preset veryfast -pix_fmt yuv420p";
        let all = make_from(&format!("{moving} {encode}"), "mp4").await;
        let half = make_from(&format!("{moving} -vf fps=15,fps=30 {encode}"), "mp4").await;
        assert_eq!(changes(all.text()).await, 59);
        assert_eq!(changes(half.text()).await, 29);
    }

    #[tokio::test]
    async fn fields_of_different_times_are_told_from_whole_pictures() {
        let moving = "-f lavfi -i testsrc2=s=192x144:r=50:d=2,gblur=2,scroll=h=0.02";
        let whole = make_from(
            &format!("{moving} -c:v libx264 -preset ultrafast -pix_fmt yuv420p"),
            "mp4",
        )
        .await;
        let woven = format!(
            "{moving} -vf tinterlace=interleave_top,setfield=prog -c:v libx264 -preset ultrafast -pix_fmt yuv420p"
        );
        assert!(combed_share(whole.text()).await < 0.1);
        assert!(combed_share(make_from(&woven, "mp4").await.text()).await > 0.9);
    }
}
