//! Round robin: each in turn.
//!
//! The cursor stands on the destination chosen last. It must stay with that destination when others are
//! added before it or removed, or some would be skipped or served twice. On removal of the very
//! destination it moves to the one before, whose successor is now the next in turn.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Edit, Scheduler};

use crate::index::Indexed;
use crate::tree::Heaviest;

/// The scheduler `rr`.
#[derive(Debug, Default)]
pub struct Rr {
    /// Where to look first: behind the destination chosen last, 0 (the head of the list) at the start.
    next: AtomicUsize,
    index: Indexed<Heaviest>,
}

impl Scheduler for Rr {
    fn name(&self) -> &'static str {
        "rr"
    }

    fn pick(&self, dests: &[Dest], _arrival: &Arrival<'_>) -> Option<usize> {
        let mut next = self.next.load(Relaxed);
        loop {
            let from = |next| self.index.first_from(dests, next, 1);
            let chosen = from(next).or_else(|| from(0))?;
            match self
                .next
                .compare_exchange_weak(next, chosen + 1, Relaxed, Relaxed)
            {
                Ok(_) => return Some(chosen),
                Err(moved) => next = moved,
            }
        }
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        let next = AtomicUsize::new(self.next.load(Relaxed));
        let index = Indexed::default();
        Box::new(Self { next, index })
    }

    fn edited(&mut self, _dests: &[Dest], edit: Edit) {
        self.index = Indexed::default();
        let next = self.next.get_mut();
        match edit {
            Edit::Added(position) if position < *next => *next += 1,
            Edit::Removed(position) if position < *next => *next -= 1,
            Edit::Added(_) | Edit::Removed(_) | Edit::Changed(_) => {}
        }
    }

    fn settle(&mut self, _dests: &[Dest]) {
        self.index = Indexed::default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{arrival, choices, dest, packet};

    #[test]
    fn goes_round_and_round_in_list_order() {
        let dests = [dest(1, 0, 0), dest(5, 0, 0), dest(2, 0, 0)];
        assert_eq!(choices(&Rr::default(), &dests, 7), "ABCABCA");
    }

    #[test]
    fn passes_over_weight_0_without_losing_its_turn() {
        let rr = Rr::default();
        let dests = [dest(0, 0, 0), dest(1, 0, 0), dest(0, 0, 0), dest(1, 0, 0)];
        assert_eq!(choices(&rr, &dests, 5), "BDBDB");
        assert_eq!(choices(&rr, &[dest(0, 0, 0), dest(0, 0, 0)], 2), "--");
        assert_eq!(choices(&rr, &dests, 1), "D", "a failure moves nothing");
    }

    /// A, B, C are added (so the list is C B A); B goes when it was just chosen, and A is next.
    #[test]
    fn removing_the_destination_just_chosen_keeps_the_order() {
        let mut rr = Rr::default();
        let [a, b, c] = [dest(1, 0, 0), dest(1, 0, 0), dest(1, 0, 0)];
        assert_eq!(choices(&rr, &[c.clone(), b, a.clone()], 5), "ABCAB");
        rr.edited(&[c.clone(), a.clone()], Edit::Removed(1));
        assert_eq!(choices(&rr, &[c, a], 3), "BAB");
    }

    #[test]
    fn workers_that_schedule_at_once_never_take_the_same_turn() {
        let rr = Rr::default();
        let dests: Vec<_> = (0..7).map(|_| dest(1, 0, 0)).collect();
        let count = || {
            let mut counts = [0; 7];
            for _ in 0..7000 {
                counts[rr.pick(&dests, &arrival(&packet())).unwrap()] += 1;
            }
            counts
        };
        let totals = std::thread::scope(|scope| {
            let workers = [scope.spawn(count), scope.spawn(count), scope.spawn(count)];
            workers
                .map(|w| w.join().unwrap())
                .into_iter()
                .fold([0; 7], |sum, part| {
                    std::array::from_fn(|i| sum[i] + part[i])
                })
        });
        assert_eq!(totals, [3000; 7]);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Add,
        Remove(usize),
        Pick,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            1 => Just(Op::Add),
            1 => any::<usize>().prop_map(Op::Remove),
            4 => Just(Op::Pick),
        ]
    }

    proptest! {
        /// The model rotates a ring of names with a marker for the list's head: the turn is whoever
        /// follows the name at the front.
        #[test]
        fn the_order_survives_edits(ops in proptest::collection::vec(op(), 1..80)) {
            const HEAD: u32 = 0;
            let mut rr: Box<dyn Scheduler> = Box::new(Rr::default());
            let mut list: Vec<(u32, Dest)> = Vec::new();
            let mut ring = std::collections::VecDeque::from([HEAD]);
            for (step, op) in (1u32..).zip(ops) {
                let dests = |list: &[(u32, Dest)]| list.iter().map(|l| l.1.clone()).collect::<Vec<_>>();
                match op {
                    Op::Add => {
                        list.insert(0, (step, dest(1, 0, 0)));
                        let head = ring.iter().position(|&n| n == HEAD).unwrap();
                        ring.insert(head + 1, step);
                        rr = rr.fork();
                        rr.edited(&dests(&list), Edit::Added(0));
                    }
                    Op::Remove(any) if !list.is_empty() => {
                        let position = any % list.len();
                        let (name, _) = list.remove(position);
                        if ring[0] == name {
                            ring.rotate_right(1);
                        }
                        ring.retain(|&n| n != name);
                        rr = rr.fork();
                        rr.edited(&dests(&list), Edit::Removed(position));
                    }
                    Op::Remove(_) => {}
                    Op::Pick => {
                        let chosen = rr.pick(&dests(&list), &arrival(&packet())).map(|i| list[i].0);
                        if !list.is_empty() {
                            ring.rotate_left(1);
                            if ring[0] == HEAD {
                                ring.rotate_left(1);
                            }
                        }
                        prop_assert_eq!(chosen, (!list.is_empty()).then_some(ring[0]));
                    }
                }
            }
        }
    }
}
