//! Pictures as pixels, and as JPEG. Pure: a picture in, a number or bytes out.

use jpeg_encoder::{ColorType, Encoder, EncodingError};

/// A picture with so much to see in it makes a poster: below are black and blank ones, and the dark
/// side of a fade.
pub const MIN_POSTER_SCORE: f64 = 10.0;

/// One pixel in this many is checked: enough to judge, and little work.
const PIXEL_STEP: usize = 7;

/// Mean luma from which on a picture is no longer dark, 0 to 255.
const MIN_LIT_LUMA: f64 = 64.0;

/// A picture of 8-bit RGB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    /// Red, green and blue of each pixel, row by row.
    pixels: Vec<u8>,
}

impl Picture {
    /// A black picture.
    #[must_use]
    pub fn black(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![0; width * height * 3],
        }
    }

    /// A picture of these pixels; none if they are too few or too many.
    #[must_use]
    pub fn of(width: usize, height: usize, pixels: Vec<u8>) -> Option<Self> {
        (pixels.len() == width * height * 3).then_some(Self {
            width,
            height,
            pixels,
        })
    }

    /// Draws `pixels`, rows of `width` pixels, with their upper left corner at `(x, y)`. What does
    /// not fit is left out.
    pub fn draw(&mut self, (x, y): (usize, usize), width: usize, pixels: &[u8]) {
        let fitting = width.min(self.width.saturating_sub(x)) * 3;
        if fitting == 0 {
            return;
        }

        let rows = self
            .pixels
            .chunks_exact_mut((self.width * 3).max(1))
            .skip(y);
        for (row, drawn) in rows.zip(pixels.chunks_exact((width * 3).max(1))) {
            row[x * 3..][..fitting].copy_from_slice(&drawn[..fitting]);
        }
    }

    /// How much there is to see: the spread of its luma, less where it is dark. Black is 0, a picture of one
    /// colour at most 1, and what cameras and studios make is mostly between 20 and 80.
    #[must_use]
    pub fn score(&self) -> f64 {
        let luma: Vec<f64> = self
            .pixels
            .chunks_exact(3)
            .step_by(PIXEL_STEP)
            .map(luma)
            .collect();
        let count = luma.len().max(1) as f64;
        let mean = luma.iter().sum::<f64>() / count;
        let variance = luma.iter().map(|luma| (luma - mean).powi(2)).sum::<f64>() / count;
        (mean / MIN_LIT_LUMA).min(1.0) * (1.0 + variance.sqrt())
    }

    /// The picture as a baseline JPEG, `quality` being 1 to 100. Equal pictures give equal bytes.
    /// With the standard's own Huffman tables (ITU-T T.81 annex K.3): tables of the picture's own
    /// would save a tenth of the bytes, but take twice its memory on top.
    ///
    /// # Errors
    /// When a side is zero or longer than 65 535 pixels.
    pub fn jpeg(&self, quality: u8) -> Result<Vec<u8>, EncodingError> {
        // A side that is too long becomes zero, which the encoder refuses.
        let side = |side: usize| u16::try_from(side).unwrap_or(0);
        let mut bytes = Vec::new();
        let encoder = Encoder::new(&mut bytes, quality);
        encoder.encode(
            &self.pixels,
            side(self.width),
            side(self.height),
            ColorType::Rgb,
        )?;
        Ok(bytes)
    }
}

/// Luma of a pixel, 0 to 255 (ITU-R BT.601).
fn luma(pixel: &[u8]) -> f64 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    f64::from(299 * red + 587 * green + 114 * blue) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn painted(paint: impl Fn(usize) -> [u8; 3]) -> Picture {
        Picture::of(64, 36, (0..64 * 36).flat_map(paint).collect()).unwrap()
    }

    #[test]
    fn the_more_there_is_to_see_the_higher_a_picture_scores() {
        let gradient = |most: usize| painted(|i| [(i % 64 * most / 63) as u8; 3]).score();
        let black = Picture::black(64, 36).score();
        let dim = gradient(40);
        let red = painted(|_| [255, 0, 0]).score();
        let white = painted(|_| [255; 3]).score();
        let real = gradient(255);
        assert!(
            black < red && red < 1.1 && white < 1.1,
            "{black} {red} {white}"
        );
        assert!(
            black < dim && dim < MIN_POSTER_SCORE && real > MIN_POSTER_SCORE,
            "{dim} {real}"
        );
        assert!(black.abs() < 1e-9);
    }

    #[test]
    fn what_is_drawn_lies_where_it_should() {
        let mut sheet = Picture::black(4, 3);
        sheet.draw((2, 1), 2, &[9; 12]);
        let lit: Vec<usize> = (0..12).filter(|i| sheet.pixels[i * 3] == 9).collect();
        assert_eq!(lit, [6, 7, 10, 11]);
        // Beyond the edges there is nothing.
        sheet.draw((3, 2), 2, &[7; 12]);
        sheet.draw((9, 9), 2, &[7; 12]);
        assert_eq!(sheet.pixels.iter().filter(|value| **value == 7).count(), 3);
        assert_eq!(Picture::of(4, 3, vec![0; 35]), None);
    }

    #[test]
    fn a_jpeg_is_one_and_a_picture_without_pixels_is_none() {
        let jpeg = Picture::black(16, 16).jpeg(80).unwrap();
        assert!(jpeg.starts_with(&[0xff, 0xd8]) && jpeg.ends_with(&[0xff, 0xd9]));
        assert!(Picture::black(0, 16).jpeg(80).is_err());
        assert!(Picture::black(70_000, 1).jpeg(80).is_err());
    }

    proptest! {
        #[test]
        fn nothing_drawn_anywhere_makes_it_panic(
            x in 0usize..20, y in 0usize..20, width in 0usize..9, pixels in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut picture = Picture::black(8, 6);
            picture.draw((x, y), width, &pixels);
            prop_assert!((0.0..=256.0).contains(&picture.score()));
        }
    }
}
