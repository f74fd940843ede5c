//! Weighted round robin: each in turn, the heavier ones in more rounds.
//!
//! A round has a *level*; it walks the list and stops at every destination whose weight reaches the level.
//! Each further round is one step lower, where the step is the greatest common divisor of the
//! weights, and after the lowest round the highest follows. So in a whole cycle a destination is chosen
//! weight / step times, spread out rather than in a row: weights 4, 3, 2 give A A B A B C A B C.
//!
//! An edit sends the cursor back to the head of the list but keeps the level (if it still exists), as IPVS
//! does: frequent edits do not always favour the same server.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Edit, Scheduler};

use crate::index::Indexed;
use crate::tree::Heaviest;

/// The scheduler `wrr`.
#[derive(Debug)]
pub struct Wrr {
    /// A packed [`Cursor`].
    cursor: AtomicU64,
    /// How far a round lies below the one before: the greatest common divisor of all weights but 0.
    step: u32,
    /// The level of the highest round, 0 if nobody has a weight. Like all levels it is a multiple of
    /// `step`, plus 1.
    top: u32,
    index: Indexed<Heaviest>,
}

/// Where a cycle stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    /// Where to look first: behind the destination chosen last, 0 at the head of the list.
    next: u32,
    /// The level of this round; 0 before there was any weight.
    level: u32,
}

impl Scheduler for Wrr {
    fn name(&self) -> &'static str {
        "wrr"
    }

    fn pick(&self, dests: &[Dest], _arrival: &Arrival<'_>) -> Option<usize> {
        let mut packed = self.cursor.load(Relaxed);
        loop {
            let (cursor, chosen) = self.advance(Cursor::unpack(packed), dests);
            match self
                .cursor
                .compare_exchange_weak(packed, cursor.pack(), Relaxed, Relaxed)
            {
                Ok(_) => return chosen,
                Err(moved) => packed = moved,
            }
        }
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        let cursor = AtomicU64::new(self.cursor.load(Relaxed));
        Box::new(Self {
            cursor,
            step: self.step,
            top: self.top,
            index: Indexed::default(),
        })
    }

    fn edited(&mut self, dests: &[Dest], _edit: Edit) {
        self.measure(dests);
        let level = match self.cursor().level {
            level if level == 0 || level > self.top => self.top,
            level if self.step > 1 => level / self.step * self.step + 1,
            level => level,
        };
        self.set_cursor(Cursor { next: 0, level });
    }

    /// Nothing is left to do after edits; but a scheduler that took over a list starts at its top.
    fn settle(&mut self, dests: &[Dest]) {
        self.measure(dests);
        let cursor = self.cursor();
        if cursor.level == 0 {
            let level = self.top;
            self.set_cursor(Cursor { level, ..cursor });
        }
    }
}

impl Wrr {
    /// Where a cycle stands after `at`, and who is chosen there.
    ///
    /// Walking down level by level would take as long as the weights are large. But a round in which nobody
    /// is chosen leaves no trace, so it is enough to look at the rest of this round and then at the next
    /// round that reaches anybody.
    fn advance(&self, at: Cursor, dests: &[Dest]) -> (Cursor, Option<usize>) {
        if self.top == 0 {
            return (at, None);
        }
        let first_from = |next, level| self.index.first_from(dests, next as usize, level);
        if let Some(chosen) = first_from(at.next, at.level) {
            return (Cursor::behind(chosen, at.level), Some(chosen));
        }
        let Some(heaviest) = self.index.heaviest(dests) else {
            return (self.give_up(at), None);
        };
        let below = if at.level > self.step {
            at.level - self.step
        } else {
            self.top
        };
        let level = below.min(heaviest.saturating_sub(self.step - 1));
        match first_from(0, level) {
            Some(chosen) => (Cursor::behind(chosen, level), Some(chosen)),
            None => (at, None),
        }
    }

    /// Where IPVS's search ends when nobody is eligible: it starts over at the top, unless it began within
    /// the lowest round; then it walks one whole cycle, back to where it began.
    fn give_up(&self, at: Cursor) -> Cursor {
        if at.next > 0 && at.level <= self.step {
            return at;
        }
        Cursor {
            next: 0,
            level: self.top,
        }
    }

    fn measure(&mut self, dests: &[Dest]) {
        self.index = Indexed::default();
        let divisor = dests.iter().map(Dest::weight).fold(0, gcd);
        let heaviest = dests.iter().map(Dest::weight).max().unwrap_or(0);
        self.step = divisor.max(1);
        self.top = heaviest.saturating_sub(self.step - 1);
    }

    fn cursor(&mut self) -> Cursor {
        Cursor::unpack(*self.cursor.get_mut())
    }

    fn set_cursor(&mut self, cursor: Cursor) {
        *self.cursor.get_mut() = cursor.pack();
    }
}

impl Default for Wrr {
    fn default() -> Self {
        Self {
            cursor: AtomicU64::new(0),
            step: 1,
            top: 0,
            index: Indexed::default(),
        }
    }
}

impl Cursor {
    fn behind(position: usize, level: u32) -> Self {
        let next = u32::try_from(position + 1).unwrap_or(0);
        Self { next, level }
    }

    fn pack(self) -> u64 {
        u64::from(self.next) << 32 | u64::from(self.level)
    }

    fn unpack(packed: u64) -> Self {
        Self {
            next: (packed >> 32) as u32,
            level: packed as u32,
        }
    }
}

/// The greatest common divisor, where 0 counts for nothing.
pub(crate) fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{arrival, choices, dest, packet};

    /// A service whose scheduler hears of edits as the director's does.
    #[derive(Default)]
    struct Service {
        wrr: Wrr,
        dests: Vec<Dest>,
    }

    impl Service {
        /// The weights in list order, added one by one: so the last comes first.
        fn with(weights: &[u32]) -> Self {
            let mut service = Self::default();
            weights.iter().rev().for_each(|&w| service.add(w));
            service
        }

        fn add(&mut self, weight: u32) {
            self.dests.insert(0, dest(weight, 0, 0));
            self.wrr.edited(&self.dests, Edit::Added(0));
        }

        fn reweigh(&mut self, position: usize, weight: u32) {
            self.dests[position] = self.dests[position].with_weight(weight);
            self.wrr.edited(&self.dests, Edit::Changed(position));
        }

        fn choices(&self, count: usize) -> String {
            choices(&self.wrr, &self.dests, count)
        }
    }

    fn taken_over(weights: &[u32]) -> Service {
        let dests: Vec<_> = weights.iter().map(|&w| dest(w, 0, 0)).collect();
        let mut wrr = Wrr::default();
        wrr.settle(&dests);
        Service { wrr, dests }
    }

    #[test]
    fn a_list_taken_over_starts_at_its_top() {
        assert_eq!(taken_over(&[4, 3, 2]).choices(18), "AABABCABCAABABCABC");
    }

    #[test]
    fn a_list_built_up_starts_at_the_level_that_was_left() {
        assert_eq!(
            Service::with(&[4, 3, 2]).choices(21),
            "ABCAABABCABCAABABCABC"
        );
    }

    #[test]
    fn levels_go_down_by_the_common_divisor() {
        let mut service = Service::with(&[15, 5]);
        assert_eq!(service.choices(10), "ABAAABAAAB");
        assert_eq!(service.choices(2), "AA", "now within level 6");
        service.reweigh(1, 10);
        assert_eq!(service.choices(11), "ABABAABABAA");
    }

    #[test]
    fn without_weights_there_is_no_choice_and_later_weights_start_at_the_top() {
        let mut service = Service::with(&[0, 0]);
        assert_eq!(service.choices(2), "--");
        service.reweigh(1, 2);
        service.reweigh(0, 1);
        assert_eq!(service.choices(4), "ABBA");
        service.reweigh(0, 0);
        service.reweigh(1, 0);
        assert_eq!(service.choices(2), "--");
    }

    #[test]
    fn huge_weights_take_no_longer() {
        let heavy = i32::MAX as u32;
        let service = taken_over(&[heavy, 1]);
        let closed = [service.dests[0].with_weight(0), service.dests[1].clone()];
        assert_eq!(choices(&service.wrr, &closed, 3), "BBB");
        assert_eq!(service.choices(2), "AA");
    }

    #[test]
    fn settling_again_changes_nothing() {
        let mut service = Service::with(&[4, 3, 2]);
        service.choices(5);
        let before = service.wrr.cursor();
        service.wrr.settle(&service.dests);
        assert_eq!(service.wrr.cursor(), before);
    }

    #[test]
    fn a_fork_goes_on_where_the_original_stands() {
        let service = Service::with(&[4, 3, 2]);
        service.choices(5);
        let fork = service.wrr.fork();
        assert_eq!(choices(&*fork, &service.dests, 9), service.choices(9));
    }

    proptest! {
        #[test]
        fn a_whole_cycle_gives_everybody_its_weight(
            weights in proptest::collection::vec(0..12u32, 1..7),
            skipped in 0..50usize,
        ) {
            let service = Service::with(&weights);
            let divisor = weights.iter().copied().fold(0, gcd).max(1);
            service.choices(skipped);
            let mut counts = vec![0; weights.len()];
            for _ in 0..weights.iter().sum::<u32>() / divisor {
                counts[service.wrr.pick(&service.dests, &arrival(&packet())).unwrap()] += 1;
            }
            let expected: Vec<u32> = weights.iter().map(|w| w / divisor).collect();
            prop_assert_eq!(counts, expected);
        }
    }
}
