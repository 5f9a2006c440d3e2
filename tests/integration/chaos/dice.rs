//! Chance that repeats itself: the same seed gives the same numbers on every machine and in every
//! year.

use std::time::Duration;

/// A generator of numbers (`SplitMix64`, which fits in four lines and does not change with a
/// dependency).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// The numbers of `seed`.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not zero.
    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    /// A length of time between two.
    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from((most - least).as_millis()).unwrap();
        least + Duration::from_millis(self.next() % (span + 1))
    }

    /// The same things in another order.
    pub(super) fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..things.len()).rev() {
            things.swap(end, self.below(end + 1));
        }
    }

    /// `n` things of a deck: each of them once where `n` is enough for that, the rest by their
    /// weights; in any order.
    pub(super) fn deal<T: Copy>(&mut self, deck: &[(T, usize)], n: usize) -> Vec<T> {
        let cards: Vec<T> = deck
            .iter()
            .flat_map(|(thing, weight)| vec![*thing; *weight])
            .collect();
        let mut dealt: Vec<T> = deck.iter().map(|(thing, _)| *thing).collect();
        self.shuffle(&mut dealt);
        dealt.truncate(n);
        while dealt.len() < n {
            dealt.push(cards[self.below(cards.len())]);
        }
        self.shuffle(&mut dealt);
        dealt
    }
}

#[test]
fn a_deal_holds_every_card_once_before_any_comes_again_and_is_the_same_for_the_same_seed() {
    let deck = [('a', 1), ('b', 5), ('c', 1)];
    let mut dealt = Dice::new(7).deal(&deck, 3);
    dealt.sort_unstable();
    assert_eq!(dealt, ['a', 'b', 'c']);
    assert_eq!(Dice::new(7).deal(&deck, 2).len(), 2);
    assert_eq!(Dice::new(7).deal(&deck, 50), Dice::new(7).deal(&deck, 50));
    assert_ne!(Dice::new(7).deal(&deck, 50), Dice::new(8).deal(&deck, 50));
}
