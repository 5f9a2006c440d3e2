//! Planes of luma and how alike they are. Pure.

use std::borrow::Cow;

/// Pixels of a block's side.
const BLOCK: usize = 8;

/// The constants that keep the index defined in flat blocks: (0.01 · 255)² and (0.03 · 255)² (Wang
/// et al., 2004, section III.B).
const C1: f64 = 6.502_5;
const C2: f64 = 58.522_5;

/// The luma of one picture, 8 bits a sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plane<'a> {
    width: usize,
    samples: Cow<'a, [u8]>,
}

impl<'a> Plane<'a> {
    /// A plane of 8-bit samples, line after line.
    pub(super) fn of_bytes(width: usize, bytes: &'a [u8]) -> Self {
        Self {
            width: width.max(1),
            samples: Cow::Borrowed(bytes),
        }
    }

    /// A plane of 10-bit samples in two bytes each, the lower one first; the two lowest bits are
    /// dropped.
    pub(super) fn of_ten_bits(width: usize, bytes: &[u8]) -> Self {
        let samples = bytes
            .chunks_exact(2)
            .map(|pair| (u16::from_le_bytes([pair[0], pair[1]]) >> 2).min(255) as u8);
        Self {
            width: width.max(1),
            samples: Cow::Owned(samples.collect()),
        }
    }

    /// The mean sample; 0 of nothing.
    #[expect(
        clippy::cast_precision_loss,
        reason = "pixel counts stay far below 2^52"
    )]
    pub(super) fn mean(&self) -> f64 {
        let sum: u64 = self.samples.iter().map(|sample| u64::from(*sample)).sum();
        sum as f64 / self.samples.len().max(1) as f64
    }

    /// The structural similarity of two planes of equal size: the mean index over blocks of 8 by 8
    /// pixels side by side, those at the right and lower edge being smaller where the picture is. 1
    /// for equal planes, lower the less alike they are.
    #[expect(
        clippy::cast_precision_loss,
        reason = "pixel counts stay far below 2^52"
    )]
    pub(super) fn similarity(&self, other: &Self) -> f64 {
        if self.width != other.width
            || self.samples.len() != other.samples.len()
            || self.samples.is_empty()
        {
            return 0.0;
        }

        let columns = self.width.div_ceil(BLOCK);
        let mut sum = 0.0;
        let mut blocks = 0_u64;
        let band = self.width * BLOCK;

        for (one, two) in self.samples.chunks(band).zip(other.samples.chunks(band)) {
            let mut sums = vec![Sums::default(); columns];
            for (one, two) in one.chunks(self.width).zip(two.chunks(self.width)) {
                let pairs = one.chunks(BLOCK).zip(two.chunks(BLOCK));
                for (sums, (one, two)) in sums.iter_mut().zip(pairs) {
                    sums.add(one, two);
                }
            }
            sum += sums.iter().map(Sums::index).sum::<f64>();
            blocks += columns as u64;
        }

        sum / blocks as f64
    }
}

/// What the index of one block is computed from.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: u32,
    one: u32,
    two: u32,
    squares: u32,
    product: u32,
}

impl Sums {
    fn add(&mut self, one: &[u8], two: &[u8]) {
        for (a, b) in one.iter().zip(two) {
            let (a, b) = (u32::from(*a), u32::from(*b));
            self.count += 1;
            self.one += a;
            self.two += b;
            self.squares += a * a + b * b;
            self.product += a * b;
        }
    }

    fn index(&self) -> f64 {
        let count = f64::from(self.count.max(1));
        let (one, two) = (f64::from(self.one) / count, f64::from(self.two) / count);
        let (means, product) = (one * one + two * two, one * two);
        let variances = f64::from(self.squares) / count - means;
        let covariance = f64::from(self.product) / count - product;
        // Equation 13 of Wang et al. (2004).
        ((2.0 * product + C1) * (2.0 * covariance + C2)) / ((means + C1) * (variances + C2))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn similarity(width: usize, one: &[u8], two: &[u8]) -> f64 {
        Plane::of_bytes(width, one).similarity(&Plane::of_bytes(width, two))
    }

    #[test]
    fn a_black_picture_is_nothing_like_a_moving_one() {
        let picture: Vec<u8> = (0..64 * 64).map(|i| (i * 37 % 200 + 20) as u8).collect();
        assert!(similarity(64, &picture, &[16; 64 * 64]) < 0.1);
        assert!((Plane::of_bytes(64, &[16; 64 * 64]).mean() - 16.0).abs() < 1e-9);
    }

    #[test]
    fn ten_bits_are_read_as_their_upper_eight() {
        let plane = Plane::of_ten_bits(2, &[0, 0, 0xff, 0x03, 0x40, 0x00, 0xac, 0x03]);
        assert_eq!(plane, Plane::of_bytes(2, &[0, 255, 16, 235]));
    }

    #[test]
    fn planes_of_different_size_are_not_alike() {
        assert_eq!(similarity(4, &[9; 16], &[9; 12]), 0.0);
        assert_eq!(similarity(4, &[], &[]), 0.0);
    }

    proptest! {
        #[test]
        fn a_picture_is_wholly_like_itself(width in 1usize..40, samples in proptest::collection::vec(any::<u8>(), 1..1600)) {
            let samples = &samples[..samples.len() - samples.len() % width.min(samples.len())];
            prop_assert!((similarity(width, samples, samples) - 1.0).abs() < 1e-9);
        }

        #[test]
        fn similarity_is_mutual_at_most_one_and_falls_with_noise(
            samples in proptest::collection::vec((16u8..235, -8i16..8), 64..1024), width in 8usize..40,
        ) {
            let noisy = |factor: i16| -> Vec<u8> { samples.iter().map(|(s, n)| (i16::from(*s) + n * factor).clamp(0, 255) as u8).collect() };
            let clean = noisy(0);
            let (near, far) = (similarity(width, &clean, &noisy(1)), similarity(width, &clean, &noisy(8)));
            prop_assert!(near <= 1.0 + 1e-9 && far <= near + 0.05, "{} {}", near, far);
            prop_assert!((near - similarity(width, &noisy(1), &clean)).abs() < 1e-9);
        }
    }
}
