//! When connections expire.
//!
//! A hierarchical timer wheel: five levels of 64 slots, the finest of 64 ms, so that it reaches further than
//! the longest timeout. A slot is a doubly linked list through the slab. A packet that prolongs a connection
//! only writes the new deadline into the record it holds anyway; the wheel notices when the old slot comes
//! up, and moves the entry on. Only a deadline that comes *earlier* is moved at once. So an entry never
//! stands later than its deadline, and expires within one tick of it.

use super::slab::{Id, Node, Slab};
use crate::time::Time;

const LEVELS: u32 = 5;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const TICK_BITS: u32 = 6;

/// In `next`: the end of a list. In `prev`: [`HEAD`] and the slot's number for the first of a list.
const NIL: u32 = u32::MAX;
const HEAD: u32 = 1 << 31;

#[derive(Debug)]
pub(super) struct Wheel {
    /// The tick whose slots are being swept; all earlier ones are done.
    tick: u64,
    heads: Box<[u32]>,
}

impl Default for Wheel {
    fn default() -> Self {
        let heads = vec![NIL; SLOTS * LEVELS as usize].into_boxed_slice();
        Self { tick: 0, heads }
    }
}

const fn tick_of(t: Time) -> u64 {
    t.as_millis() >> TICK_BITS
}

/// The tick at which a deadline has certainly passed.
const fn due(deadline: Time) -> u64 {
    tick_of(deadline) + 1
}

impl Wheel {
    /// The slot that comes up at the deadline's tick, or as late before it as the wheel reaches.
    fn slot(&self, deadline: Time) -> usize {
        const REACH: u64 = (1 << (SLOT_BITS * LEVELS)) - 1;
        let ahead = due(deadline).saturating_sub(self.tick).min(REACH);
        let level = ahead.checked_ilog2().unwrap_or(0) / SLOT_BITS;
        let position = (self.tick + ahead) >> (level * SLOT_BITS);
        level as usize * SLOTS + (position as usize & (SLOTS - 1))
    }

    /// Starts the timer of a record just put into the slab.
    pub(super) fn link(&mut self, id: Id, now: Time, slab: &mut Slab) {
        if slab.len() == 1 {
            self.tick = self.tick.max(tick_of(now)); // nothing else is linked: no need to sweep up to now
        }
        self.put(id, slab);
    }

    fn put(&mut self, id: Id, slab: &mut Slab) {
        let Some(deadline) = slab.get(id).map(|c| c.deadline) else {
            return;
        };
        let slot = self.slot(deadline);
        let next = std::mem::replace(&mut self.heads[slot], id.0);
        if let Some(n) = slab.node_mut(id) {
            (n.prev, n.next) = (HEAD | slot as u32, next);
        }
        if let Some(n) = slab.node_mut(Id(next)) {
            n.prev = id.0;
        }
    }

    /// Stops a record's timer; to be done while it is still in the slab.
    pub(super) fn unlink(&mut self, id: Id, slab: &mut Slab) {
        let Some(&Node { prev, next, .. }) = slab.node(id) else {
            return;
        };
        if prev & HEAD != 0 {
            self.heads[(prev & !HEAD) as usize] = next;
        } else if let Some(n) = slab.node_mut(Id(prev)) {
            n.next = next;
        }
        if let Some(n) = slab.node_mut(Id(next)) {
            n.prev = prev;
        }
    }

    /// Moves a record whose deadline has come nearer.
    pub(super) fn hasten(&mut self, id: Id, slab: &mut Slab) {
        self.unlink(id, slab);
        self.put(id, slab);
    }

    /// The next record that has expired by `now`; it stays linked, for the caller to remove. Every entry
    /// looked at costs one of `budget`. `None` when nothing more has expired or the budget is used up.
    pub(super) fn expired(&mut self, now: Time, slab: &mut Slab, budget: &mut usize) -> Option<Id> {
        let end = tick_of(now);
        if slab.len() == 0 {
            self.tick = self.tick.max(end);
            return None;
        }
        while self.tick <= end {
            // Coarser levels first: what stands there for this tick now belongs to finer ones.
            for level in (0..LEVELS).rev() {
                let shift = level * SLOT_BITS;
                if self.tick & ((1 << shift) - 1) != 0 {
                    continue;
                }
                let slot = level as usize * SLOTS + ((self.tick >> shift) as usize & (SLOTS - 1));
                while self.heads[slot] != NIL {
                    *budget = budget.checked_sub(1)?;
                    let id = Id(self.heads[slot]);
                    if slab.get(id).is_none_or(|c| due(c.deadline) <= self.tick) {
                        return Some(id);
                    }
                    self.hasten(id, slab);
                }
            }
            if self.tick == end {
                break;
            }
            self.tick += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::conn::tests::conn;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u64),
        Touch(usize, u64),
        Remove(usize),
        Advance(u64),
    }

    fn timeout() -> impl Strategy<Value = u64> {
        prop_oneof![0..5_000u64, 0..400_000u64, 0..3_000_000_000u64]
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => timeout().prop_map(Op::Insert),
            3 => (any::<usize>(), timeout()).prop_map(|(i, t)| Op::Touch(i, t)),
            1 => any::<usize>().prop_map(Op::Remove),
            3 => timeout().prop_map(Op::Advance),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))] // long walks: each takes a while

        /// Against a sorted map: what the wheel hands out has expired, and nothing is left that expired more
        /// than a tick ago.
        #[test]
        fn expires_what_a_sorted_map_would(ops in prop::collection::vec(op(), 1..80), start in 0..1u64 << 40) {
            let mut now = Time::from_millis(start);
            let (mut wheel, mut slab) = (Wheel::default(), Slab::default());
            let mut model: BTreeMap<u32, Time> = BTreeMap::new();
            for op in ops {
                match op {
                    Op::Insert(t) => {
                        let deadline = now + Duration::from_millis(t);
                        let id = slab.insert(conn(deadline)).unwrap();
                        wheel.link(id, now, &mut slab);
                        model.insert(id.0, deadline);
                    }
                    Op::Touch(i, t) if !model.is_empty() => {
                        let (&id, old) = model.iter_mut().nth(i % slab.len()).unwrap();
                        let deadline = now + Duration::from_millis(t);
                        slab.get_mut(Id(id)).unwrap().deadline = deadline;
                        if deadline < *old {
                            wheel.hasten(Id(id), &mut slab);
                        }
                        *old = deadline;
                    }
                    Op::Remove(i) if !model.is_empty() => {
                        let id = *model.keys().nth(i % slab.len()).unwrap();
                        wheel.unlink(Id(id), &mut slab);
                        slab.remove(Id(id));
                        model.remove(&id);
                    }
                    Op::Advance(t) => {
                        // Sweeping is one step a tick, so jumps are kept to what a test can wait for.
                        now = now + Duration::from_millis(t % 40_000_000);
                        let mut budget = usize::MAX;
                        while let Some(id) = wheel.expired(now, &mut slab, &mut budget) {
                            prop_assert!(model.remove(&id.0).is_some_and(|d| d <= now));
                            wheel.unlink(id, &mut slab);
                            slab.remove(id);
                        }
                        let tick = 1u64 << TICK_BITS;
                        prop_assert!(model.values().all(|d| d.as_millis() + tick > now.as_millis()));
                    }
                    _ => {}
                }
                prop_assert_eq!(slab.len(), model.len());
            }
        }
    }

    #[test]
    fn a_budget_bounds_the_work_and_loses_nothing() {
        let (mut wheel, mut slab) = (Wheel::default(), Slab::default());
        for _ in 0..10 {
            let id = slab.insert(conn(Time::from_secs(5))).unwrap();
            wheel.link(id, Time::default(), &mut slab);
        }
        let mut rounds = 0;
        while slab.len() > 0 {
            let mut budget = 3;
            while let Some(id) = wheel.expired(Time::from_secs(6), &mut slab, &mut budget) {
                wheel.unlink(id, &mut slab);
                slab.remove(id);
            }
            rounds += 1;
            assert!(rounds < 20);
        }
        assert!(rounds >= 4);
    }
}
