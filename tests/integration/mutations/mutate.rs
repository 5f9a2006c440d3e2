//! Damage by a seed: the same seed does the same to the same bytes.

/// A source of numbers that only look random (`SplitMix64`).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice for one mutation of a run.
    pub(super) fn new(seed: u64, number: u64) -> Self {
        Self(
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(number.wrapping_mul(0xd1b5_4a32_d192_ed03)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 where there is none.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap()
    }

    /// A place in `bytes`: every other time near their start, where headers are.
    fn place(&mut self, bytes: &[u8]) -> usize {
        let near = if self.below(2) == 0 {
            bytes.len().min(2048)
        } else {
            bytes.len()
        };
        self.below(near)
    }
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// Some bits are turned.
    Flips,
    /// Its end is missing.
    Cut,
    /// Two blocks change places.
    Swap,
    /// A block is there twice.
    Double,
    /// A block is missing.
    Hole,
    /// A number of four bytes becomes one at the edge of what numbers can be.
    Number,
    /// A box, or whatever follows a length and four letters, is duplicated, missing, or of another
    /// length.
    Box,
    /// A block of another place lies over this one.
    Overlay,
}

const ALL: [Damage; 8] = [
    Damage::Flips,
    Damage::Cut,
    Damage::Swap,
    Damage::Double,
    Damage::Hole,
    Damage::Number,
    Damage::Box,
    Damage::Overlay,
];

/// Numbers at which lengths and counts go wrong.
const EDGES: [u32; 12] = [
    0,
    1,
    2,
    7,
    8,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fff0,
    0xffff_ffff,
    0x1000_0000,
];

/// Damages a file once to three times, and says how.
pub(super) fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) -> Vec<Damage> {
    let times = 1 + dice.below(3);
    let mut done = Vec::new();
    for _ in 0..times {
        let damage = ALL[dice.below(ALL.len())];
        apply(damage, bytes, dice);
        done.push(damage);
    }
    done
}

fn apply(damage: Damage, bytes: &mut Vec<u8>, dice: &mut Dice) {
    if bytes.len() < 64 {
        return;
    }
    let at = dice.place(bytes);
    let length = (1 + dice.below(4096)).min(bytes.len() - at);
    match damage {
        Damage::Flips => {
            for _ in 0..=dice.below(48) {
                let place = dice.place(bytes);
                bytes[place] ^= 1 << dice.below(8);
            }
        }
        Damage::Cut => bytes.truncate(1 + dice.below(bytes.len())),
        Damage::Swap => {
            let other = dice.below(bytes.len() - length + 1);
            for i in 0..length {
                bytes.swap(at + i, other + i);
            }
        }
        Damage::Double => {
            let block = bytes[at..at + length].to_vec();
            bytes.splice(at..at, block);
        }
        Damage::Hole => drop(bytes.drain(at..at + length)),
        Damage::Number => number(bytes, at, dice),
        Damage::Box => boxed(bytes, dice),
        Damage::Overlay => {
            let from = dice.below(bytes.len() - length + 1);
            bytes.copy_within(from..from + length, at);
        }
    }
}

/// Writes a number at the edge, in either order of bytes.
fn number(bytes: &mut [u8], at: usize, dice: &mut Dice) {
    let at = at.min(bytes.len() - 4);
    let edge = EDGES[dice.below(EDGES.len())];
    let written = if dice.below(2) == 0 {
        edge.to_be_bytes()
    } else {
        edge.to_le_bytes()
    };
    bytes[at..at + 4].copy_from_slice(&written);
}

/// Damages something that begins with a length and four letters, or anything where there is none.
fn boxed(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let is_box = |at: &usize| {
        let length = u32::from_be_bytes(bytes[*at..at + 4].try_into().unwrap()) as usize;
        let letters = bytes[at + 4..at + 8]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric());
        letters && length >= 8 && at + length <= bytes.len()
    };
    let boxes: Vec<usize> = (0..bytes.len() - 8).filter(is_box).collect();
    let Some(at) = boxes.get(dice.below(boxes.len())).copied() else {
        let at = dice.place(bytes);
        return number(bytes, at, dice);
    };
    let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    match dice.below(3) {
        0 => {
            let copy = bytes[at..at + length].to_vec();
            bytes.splice(at..at, copy);
        }
        1 => drop(bytes.drain(at..at + length)),
        _ => number(bytes, at, dice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_does_the_same_again_and_another_one_something_else() {
        let whole: Vec<u8> = (0..20_000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let mutant = |number| {
            let mut bytes = whole.clone();
            let done = mutate(&mut bytes, &mut Dice::new(1, number));
            (done, bytes)
        };
        let mutants: Vec<_> = (0..200).map(mutant).collect();
        assert_eq!(mutants, (0..200).map(mutant).collect::<Vec<_>>());
        for damage in ALL {
            assert!(
                mutants.iter().any(|(done, _)| done.contains(&damage)),
                "{damage:?} never happens"
            );
        }
        let changed = mutants.iter().filter(|(_, bytes)| *bytes != whole).count();
        assert!(changed > 190, "{changed} of 200 are changed");
    }

    #[test]
    fn nothing_is_too_short_to_be_damaged() {
        for length in 0..80 {
            for number in 0..50 {
                mutate(&mut vec![0; length], &mut Dice::new(2, number));
            }
        }
    }
}
