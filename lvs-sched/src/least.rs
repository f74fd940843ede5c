//! Choosing the destination with the least cost for its weight, among few or among ten thousand.
//!
//! Problem: six of the schedulers differ only in what they count as cost. Each walks the whole list in the kernel.
//!
//! Rule: a [`Rule`] gives each destination a [`Rank`], and [`Least`] chooses the first of the best rank: by a walk through
//! short lists, by a tournament among all in long ones. Both compare in the same way, so both find the same.

use std::fmt;
use std::marker::PhantomData;

use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Edit, Scheduler};

use crate::index::Indexed;
use crate::tree::Summary;

/// How good a choice a destination is: the less cost for its weight, the better. Fractions are compared by
/// cross-multiplication, so nothing is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    cost: u64,
    weight: u32,
}

impl Rank {
    /// That of a destination never to be chosen.
    pub const NEVER: Self = Self { cost: 1, weight: 0 };

    /// A cost to be divided by a weight. Of weight 0 it is [`NEVER`](Self::NEVER).
    pub const fn new(cost: u64, weight: u32) -> Self {
        match weight {
            0 => Self::NEVER,
            _ => Self { cost, weight },
        }
    }

    /// A cost to be divided by the destination's weight, or [`NEVER`](Self::NEVER) if it is not
    /// [eligible](Dest::is_eligible).
    pub fn if_eligible(dest: &Dest, cost: u64) -> Self {
        match dest.is_eligible() {
            true => Self::new(cost, dest.weight()),
            false => Self::NEVER,
        }
    }

    /// Whether it is better, and not only as good.
    pub const fn beats(self, other: Self) -> bool {
        product(self.cost, other.weight) < product(other.cost, self.weight)
    }
}

const fn product(cost: u64, weight: u32) -> u128 {
    cost as u128 * weight as u128
}

/// What a scheduler that chooses the best prefers.
pub trait Rule: Copy + fmt::Debug + Default + PartialEq + Send + Sync + 'static {
    /// The scheduler's name.
    const NAME: &'static str;

    /// How good a choice this destination is. It may depend on the weight, on counts and on eligibility, and on
    /// nothing else.
    fn rank(dest: &Dest) -> Rank;
}

/// A scheduler that chooses the best by a rule, the first of the list among equals.
#[derive(Debug)]
pub struct Least<R: Rule> {
    index: Indexed<Best<R>>,
}

impl<R: Rule> Scheduler for Least<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn pick(&self, dests: &[Dest], _arrival: &Arrival<'_>) -> Option<usize> {
        let best = self.index.ask(dests, |tree| tree.whole().position());
        best.unwrap_or_else(|| walk::<R>(dests))
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        Box::new(Self::default())
    }

    fn edited(&mut self, _dests: &[Dest], _edit: Edit) {
        *self = Self::default();
    }

    fn settle(&mut self, _dests: &[Dest]) {
        *self = Self::default();
    }
}

impl<R: Rule> Default for Least<R> {
    fn default() -> Self {
        Self {
            index: Indexed::default(),
        }
    }
}

/// The first of the best rank, looked for one after the other.
pub(crate) fn walk<R: Rule>(dests: &[Dest]) -> Option<usize> {
    let (mut best, mut position) = (Rank::NEVER, None);
    for (i, dest) in dests.iter().enumerate() {
        let rank = R::rank(dest);
        if rank.beats(best) {
            (best, position) = (rank, Some(i));
            if best.cost == 0 {
                break;
            }
        }
    }
    position
}

/// The best of some destinations, and where it stands. In one piece of 16 bytes, of which trees are full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Best<R> {
    cost: u64,
    weight: u32,
    position: u32,
    rule: PhantomData<R>,
}

impl<R: Rule> Best<R> {
    pub(crate) fn position(self) -> Option<usize> {
        (self.weight > 0).then_some(self.position as usize)
    }

    const fn new(rank: Rank, position: u32) -> Self {
        Self {
            cost: rank.cost,
            weight: rank.weight,
            position,
            rule: PhantomData,
        }
    }

    const fn rank(self) -> Rank {
        Rank {
            cost: self.cost,
            weight: self.weight,
        }
    }
}

impl<R: Rule> Summary for Best<R> {
    const NONE: Self = Self::new(Rank::NEVER, 0);

    fn of(dest: &Dest, position: u32) -> Self {
        Self::new(R::rank(dest), position)
    }

    fn join(before: Self, after: Self) -> Self {
        match after.rank().beats(before.rank()) {
            true => after,
            false => before,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn never_is_beaten_by_all_and_beats_none() {
        let endless = Rank::new(u64::MAX, 1);
        assert!(endless.beats(Rank::NEVER) && !Rank::NEVER.beats(endless));
        assert!(!Rank::NEVER.beats(Rank::NEVER));
        assert_eq!(Rank::new(0, 0), Rank::NEVER);
    }

    #[test]
    fn extremes_compare_exactly() {
        let heavy = i32::MAX as u32;
        assert!(Rank::new(1 << 48, heavy).beats(Rank::new(1 << 48, heavy - 1)));
        assert!(Rank::new(u64::MAX - 1, heavy).beats(Rank::new(u64::MAX, heavy)));
    }

    proptest! {
        /// What lets a tournament in any order find what a walk finds.
        #[test]
        fn ranks_are_ordered(ranks in proptest::collection::vec((0..9u64, 0..5u32), 3)) {
            let [a, b, c] = [0, 1, 2].map(|i| Rank::new(ranks[i].0, ranks[i].1));
            prop_assert!(!(a.beats(b) && b.beats(a)));
            prop_assert!(!(a.beats(b) && b.beats(c)) || a.beats(c));
            // Being equally good carries over too.
            let tie = |x: Rank, y: Rank| !x.beats(y) && !y.beats(x);
            prop_assert!(!(tie(a, b) && tie(b, c)) || tie(a, c));
        }
    }
}
