//! Picture sizes: upright, square pixels, even, and never larger than the source.

use streams::Rational;

/// Width and height in square pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// A pixel more stretched than this is a damaged header, not a format.
const MAX_PIXEL_ASPECT_RATIO: f64 = 8.0;

impl Size {
    /// Whether a pixel of this aspect is a format, not a damaged header.
    #[must_use]
    pub fn believes(pixel_aspect: Rational) -> bool {
        (1.0 / MAX_PIXEL_ASPECT_RATIO..=MAX_PIXEL_ASPECT_RATIO).contains(&pixel_aspect.as_f64())
    }

    /// Pixels of the short side.
    #[must_use]
    pub fn short_side(self) -> u32 {
        self.width.min(self.height)
    }

    /// Pixels of the long side.
    #[must_use]
    pub fn long_side(self) -> u32 {
        self.width.max(self.height)
    }

    /// Pixels.
    #[must_use]
    pub fn area(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// This size scaled down to a short side of `short_side` pixels, both sides even and none
    /// larger than here.
    #[must_use]
    pub fn scaled_to(self, short_side: u32) -> Self {
        // In 4:2:0 two pixels each way share a sample of chroma, so both sides have to be even.
        let short = short_side.min(self.short_side()) / 2 * 2;
        let scale = f64::from(short) / f64::from(self.short_side().max(1));
        let long = ((f64::from(self.long_side()) * scale / 2.0).round() as u32)
            .saturating_mul(2)
            .min(self.long_side() / 2 * 2);

        if self.width < self.height {
            Self {
                width: short,
                height: long,
            }
        } else {
            Self {
                width: long,
                height: short,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn odd_captures_come_out_even_and_no_larger() {
        assert_eq!(
            Size {
                width: 1163,
                height: 767
            }
            .scaled_to(767),
            Size {
                width: 1162,
                height: 766
            }
        );

        assert_eq!(
            Size {
                width: 608,
                height: 1080
            }
            .scaled_to(360),
            Size {
                width: 360,
                height: 640
            }
        );
    }

    proptest! {
        #[test]
        fn scaled_sizes_are_even_no_larger_and_keep_their_shape(width in 120u32..8000, height in 120u32..8000, short in 120u32..2200) {
            let source = Size { width, height };
            let size = source.scaled_to(short);
            prop_assert!(size.width.is_multiple_of(2) && size.height.is_multiple_of(2));
            prop_assert!(size.width <= width && size.height <= height);
            prop_assert!(size.short_side() <= short);
            // A side of n pixels is exact to one pixel, that is 1/n.
            let error = (f64::from(size.width) * f64::from(height)) / (f64::from(size.height) * f64::from(width)) - 1.0;
            prop_assert!(error.abs() < 2.0 / f64::from(size.short_side()), "{error}");

            if short >= 360 && source.short_side() >= 360 {
                prop_assert!(error.abs() < 0.005, "{error}");
            }
        }

        #[test]
        fn no_size_makes_it_panic(width: u32, height: u32, short: u32) {
            let _ = Size { width, height }.scaled_to(short);
        }
    }
}
