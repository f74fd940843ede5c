//! Summaries of a long list, kept up to date entry by entry.
//!
//! Problem: to find the best of ten thousand destinations, or the first that is still open, without looking at
//! each.
//!
//! Rule: a segment tree. Each destination has a leaf that sums up what matters about it, and each inner node joins
//! the two below it. A changed leaf is carried upwards only as far as it changes anything.

use std::fmt::Debug;

use lvs_core::dest::Dest;

/// What matters about some neighbours in the list.
pub(crate) trait Summary: Copy + Debug + PartialEq + Send + 'static {
    /// Of no destination at all.
    const NONE: Self;

    /// Of one destination.
    fn of(dest: &Dest, position: u32) -> Self;

    /// Of some destinations and those that follow them.
    fn join(before: Self, after: Self) -> Self;
}

/// Two summaries in one tree.
impl<A: Summary, B: Summary> Summary for (A, B) {
    const NONE: Self = (A::NONE, B::NONE);

    fn of(dest: &Dest, position: u32) -> Self {
        (A::of(dest, position), B::of(dest, position))
    }

    fn join(before: Self, after: Self) -> Self {
        (A::join(before.0, after.0), B::join(before.1, after.1))
    }
}

/// The summaries of a list: node 1 is the root, nodes 2n and 2n + 1 are below node n.
#[derive(Debug)]
pub(crate) struct Tree<S> {
    nodes: Vec<S>,
    /// The node of position 0: a power of two.
    first_leaf: usize,
}

impl<S: Summary> Tree<S> {
    pub(crate) fn new(dests: &[Dest]) -> Self {
        let first_leaf = dests.len().next_power_of_two();
        let mut nodes = vec![S::NONE; 2 * first_leaf];
        for ((leaf, dest), position) in nodes[first_leaf..].iter_mut().zip(dests).zip(0..) {
            *leaf = S::of(dest, position);
        }
        for node in (1..first_leaf).rev() {
            nodes[node] = S::join(nodes[2 * node], nodes[2 * node + 1]);
        }
        Self { nodes, first_leaf }
    }

    /// Looks at one destination again.
    pub(crate) fn update(&mut self, dest: &Dest, position: u32) {
        let mut node = self.first_leaf + position as usize;
        let mut summary = S::of(dest, position);
        while self.nodes[node] != summary {
            self.nodes[node] = summary;
            node /= 2;
            if node == 0 {
                return;
            }
            summary = S::join(self.nodes[2 * node], self.nodes[2 * node + 1]);
        }
    }

    /// The summary of the whole list.
    pub(crate) fn whole(&self) -> S {
        self.nodes[1]
    }

    /// The first position whose leaf `go_left` leads to. It is asked at each inner node, with the summary of the left
    /// half, whether to go there.
    pub(crate) fn descend(&self, mut go_left: impl FnMut(S) -> bool) -> usize {
        let mut node = 1;
        while node < self.first_leaf {
            node *= 2;
            node += usize::from(!go_left(self.nodes[node]));
        }
        node - self.first_leaf
    }

    /// The first position at or after `from` that has what is `wanted`: a property that the summary of several
    /// destinations has if and only if one of them has it.
    pub(crate) fn first_from(&self, from: usize, wanted: impl Fn(S) -> bool) -> Option<usize> {
        if from >= self.first_leaf {
            return None;
        }
        let mut node = self.first_leaf + from;
        while !wanted(self.nodes[node]) {
            // The next subtree to the right: up while this is a right child (all ones: there is none), then across.
            node >>= node.trailing_ones();
            if node == 0 {
                return None;
            }
            node += 1;
        }
        while node < self.first_leaf {
            node *= 2;
            if !wanted(self.nodes[node]) {
                node += 1;
            }
        }
        Some(node - self.first_leaf)
    }
}

/// The greatest weight among the eligible, 0 if there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Heaviest(pub(crate) u32);

impl Summary for Heaviest {
    const NONE: Self = Self(0);

    fn of(dest: &Dest, _position: u32) -> Self {
        Self(if dest.is_eligible() { dest.weight() } else { 0 })
    }

    fn join(before: Self, after: Self) -> Self {
        Self(before.0.max(after.0))
    }
}

/// The sum of the eligible ones' weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Total(pub(crate) u64);

impl Summary for Total {
    const NONE: Self = Self(0);

    fn of(dest: &Dest, position: u32) -> Self {
        Self(u64::from(Heaviest::of(dest, position).0))
    }

    fn join(before: Self, after: Self) -> Self {
        Self(before.0 + after.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::dest;

    proptest! {
        #[test]
        fn it_finds_what_a_walk_finds(
            weights in proptest::collection::vec(0..9u32, 1..40),
            changes in proptest::collection::vec((any::<usize>(), 0..9u32), 0..40),
        ) {
            let mut dests: Vec<_> = weights.iter().map(|&w| dest(w, 0, 0)).collect();
            let mut tree = Tree::<(Heaviest, Total)>::new(&dests);
            for (any, weight) in changes {
                let i = any % dests.len();
                dests[i] = dests[i].with_weight(weight);
                tree.update(&dests[i], i as u32);
                let weights: Vec<_> = dests.iter().map(Dest::weight).collect();
                let sum: u32 = weights.iter().sum();
                let (heaviest, total) = tree.whole();
                prop_assert_eq!(Some(heaviest.0), weights.iter().copied().max());
                prop_assert_eq!(total.0, u64::from(sum));
                for from in 0..=dests.len() + 1 {
                    let walked = (from..dests.len()).find(|&i| weights[i] >= 5);
                    prop_assert_eq!(tree.first_from(from, |s| s.0.0 >= 5), walked, "from {}", from);
                }
                for ticket in 1..=sum {
                    let mut left = ticket;
                    let walked = weights.iter().position(|&w| match left > w {
                        true => { left -= w; false }
                        false => true,
                    });
                    let mut left = u64::from(ticket);
                    let descended = tree.descend(|(_, half)| match left > half.0 {
                        true => { left -= half.0; false }
                        false => true,
                    });
                    prop_assert_eq!(Some(descended), walked);
                }
            }
        }
    }
}
