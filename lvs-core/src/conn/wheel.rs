//! When connections expire.
//!
//! A hierarchical timer wheel: five levels of 64 slots, the finest of 64 ms, so that it reaches further than
//! the longest timeout. A packet that prolongs a connection only writes the new deadline into the record it
//! holds anyway; the wheel notices when the old slot comes up, and moves the entry on. Only a deadline that comes
//! *earlier* is moved at once. So an entry never stands later than its deadline, and expires within one tick of it.
//!
//! A slot is a list of record numbers, so that the records of many can be fetched from memory at the same time. A
//! record knows its slot; a number found in another slot is left over from a move or from a record long gone, and is
//! skipped.

use super::slab::{Id, Slab};
use crate::time::Time;

const LEVELS: u32 = 5;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const TICK_BITS: u32 = 6;

/// The slot of a record that is in none.
pub(super) const NO_SLOT: u16 = u16::MAX;
/// How many records are fetched at the same time.
pub(super) const BATCH: usize = 32;

#[derive(Debug)]
pub(super) struct Wheel {
    /// The tick whose slots are being swept; all earlier ones are done.
    tick: u64,
    slots: Box<[Vec<u32>]>,
}

impl Default for Wheel {
    fn default() -> Self {
        let slots = vec![Vec::new(); SLOTS * LEVELS as usize].into_boxed_slice();
        Self { tick: 0, slots }
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
    pub(super) fn start(&mut self, id: Id, now: Time, slab: &mut Slab) {
        if slab.len() == 1 {
            self.tick = self.tick.max(tick_of(now)); // nothing else is timed: no need to sweep up to now
        }
        self.place(id, slab);
    }

    /// Puts a record where its deadline belongs; for one whose deadline has come nearer.
    pub(super) fn place(&mut self, id: Id, slab: &mut Slab) {
        let Some(deadline) = slab.get(id).map(|c| c.deadline) else {
            return;
        };
        let slot = self.slot(deadline);
        self.slots[slot].push(id.0);
        if let Some(node) = slab.node_mut(id) {
            node.slot = slot as u16;
        }
    }

    /// Adds to `batch`, which is empty, up to [`BATCH`] records that have expired by `now`. They are in no slot
    /// any more: the caller removes them, or places them again. Every number looked at costs one of `budget`. Without a
    /// result, nothing more has expired or the budget is used up.
    pub(super) fn expired(
        &mut self,
        now: Time,
        slab: &mut Slab,
        budget: &mut usize,
        batch: &mut Vec<Id>,
    ) {
        let end = tick_of(now);
        if slab.len() == 0 {
            self.tick = self.tick.max(end);
            return;
        }
        while self.tick <= end {
            // Coarser levels first: what stands there for this tick now belongs to finer ones.
            for level in (0..LEVELS).rev() {
                let shift = level * SLOT_BITS;
                if self.tick & ((1 << shift) - 1) != 0 {
                    continue;
                }
                let slot = level as usize * SLOTS + ((self.tick >> shift) as usize & (SLOTS - 1));
                while !self.slots[slot].is_empty() {
                    if *budget == 0 {
                        return;
                    }
                    let room = (BATCH - batch.len()).min(*budget);
                    *budget -= self.sweep(slot, room, slab, batch);
                    if batch.len() == BATCH {
                        return;
                    }
                }
            }
            if self.tick == end {
                break;
            }
            self.tick += 1;
        }
    }

    /// Takes up to `most` numbers out of a slot: what is due goes to `batch`, what is not to where it belongs. Returns
    /// how many numbers it took.
    fn sweep(&mut self, slot: usize, most: usize, slab: &mut Slab, batch: &mut Vec<Id>) -> usize {
        let from = self.slots[slot].len().saturating_sub(most);
        let mut ids = [0; BATCH];
        let mut timers = [(NO_SLOT, 0); BATCH];
        let taken = self.slots[slot].drain(from..);
        let count = ids.iter_mut().zip(taken).map(|(id, n)| *id = n).count();
        // First only read, so that the records come from memory side by side.
        for (id, timer) in ids[..count].iter().zip(&mut timers) {
            if let Some(node) = slab.node(Id(*id))
                && let Some(conn) = &node.conn
            {
                *timer = (node.slot, due(conn.deadline));
            }
        }
        for (id, (stands_in, due)) in ids[..count].iter().map(|n| Id(*n)).zip(timers) {
            // Asked once more, since a number may have been in the slot twice.
            let node = slab.node_mut(id).filter(|n| n.slot == stands_in);
            let Some(node) = node.filter(|_| usize::from(stands_in) == slot) else {
                continue;
            };
            if due > self.tick {
                self.place(id, slab);
            } else {
                node.slot = NO_SLOT;
                batch.push(id);
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::conn::tests::conn;

    /// All that has expired, as far as the budget goes.
    fn all(wheel: &mut Wheel, now: Time, slab: &mut Slab, budget: &mut usize) -> Vec<Id> {
        let (mut found, mut batch) = (Vec::new(), Vec::new());
        loop {
            wheel.expired(now, slab, budget, &mut batch);
            if batch.is_empty() {
                return found;
            }
            found.append(&mut batch);
        }
    }

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
                        wheel.start(id, now, &mut slab);
                        model.insert(id.0, deadline);
                    }
                    Op::Touch(i, t) if !model.is_empty() => {
                        let (&id, old) = model.iter_mut().nth(i % slab.len()).unwrap();
                        let deadline = now + Duration::from_millis(t);
                        slab.get_mut(Id(id)).unwrap().deadline = deadline;
                        if deadline < *old {
                            wheel.place(Id(id), &mut slab);
                        }
                        *old = deadline;
                    }
                    Op::Remove(i) if !model.is_empty() => {
                        let id = *model.keys().nth(i % slab.len()).unwrap();
                        slab.remove(Id(id));
                        model.remove(&id);
                    }
                    Op::Advance(t) => {
                        // Sweeping is one step a tick, so jumps are kept to what a test can wait for.
                        now = now + Duration::from_millis(t % 40_000_000);
                        let mut budget = usize::MAX;
                        for id in all(&mut wheel, now, &mut slab, &mut budget) {
                            prop_assert!(model.remove(&id.0).is_some_and(|d| d <= now));
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
            wheel.start(id, Time::default(), &mut slab);
        }
        let mut rounds = 0;
        while slab.len() > 0 {
            let mut budget = 3;
            for id in all(&mut wheel, Time::from_secs(6), &mut slab, &mut budget) {
                slab.remove(id);
            }
            rounds += 1;
            assert!(rounds < 20);
        }
        assert!(rounds >= 4);
    }
}
