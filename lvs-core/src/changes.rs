//! Which destinations' counts have changed: what lets a scheduler keep an index.
//!
//! Problem: a scheduler that wants the least loaded of ten thousand servers cannot look at each. It could keep
//! them sorted, but it is not the one that changes their counts: connections come and go in the table.
//!
//! Rule: whoever changes a count afterwards sets the destination's bit here, and the scheduler, before it
//! chooses, takes all bits that are set and looks again at those destinations. The bits are there only once a
//! scheduler has asked for them.
//!
//! Bits that one has taken another does not see. So there is one index a service, kept here behind a lock, and
//! whoever takes bits holds that lock. It outlives snapshots: a scheduler can tell by a number whether the index is
//! its own, that of a snapshot gone by, or already that of the next.

use std::any::Any;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst, fence};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

const WORDS: usize = 256;
const SUMMARY: usize = WORDS / 64;

/// One service's changed destinations. There are [`Changes::BITS`] bits; destinations whose numbers are equal
/// modulo that share one.
#[derive(Debug, Default)]
pub struct Changes {
    slots: AtomicU32,
    bits: OnceLock<Box<Bits>>,
    index: Mutex<Index>,
}

/// The index of one service's destinations, as its scheduler keeps it.
#[derive(Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Index {
    /// What the scheduler knows its own index by. Later schedulers have greater numbers; 0 is nobody's.
    pub owner: u64,
    /// The index itself.
    pub kept: Option<Box<dyn Any + Send>>,
}

#[derive(Debug)]
struct Bits {
    /// One bit for each word that is not zero.
    summary: [AtomicU64; SUMMARY],
    words: [AtomicU64; WORDS],
}

impl Changes {
    /// How many bits there are.
    pub const BITS: u32 = (WORDS * 64) as u32;

    /// A number for a new destination.
    pub(crate) fn next_slot(&self) -> u32 {
        self.slots.fetch_add(1, SeqCst)
    }

    /// The index, for this scheduler alone until the guard goes. After a panic it is as it was left.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to record changes, if that has not been done before. Counts read afterwards miss none that is not
    /// recorded.
    pub fn watch(&self) {
        self.bits.get_or_init(|| {
            Box::new(Bits {
                summary: [const { AtomicU64::new(0) }; SUMMARY],
                words: [const { AtomicU64::new(0) }; WORDS],
            })
        });
        fence(SeqCst);
    }

    /// Says that the counts of the destination with this number have changed. To be called after the change.
    #[inline]
    pub fn mark(&self, slot: u32) {
        if let Some(bits) = self.bits.get() {
            bits.mark(slot);
        }
    }

    /// Calls `changed` with the bit ([`DestLive::slot`](crate::dest::DestLive::slot) modulo [`Self::BITS`]) of
    /// every destination whose counts have changed since the last call. To be called under the lock of [`Self::index`].
    pub fn take(&self, mut changed: impl FnMut(u32)) {
        let Some(bits) = self.bits.get() else { return };
        for (i, summary) in bits.summary.iter().enumerate() {
            if summary.load(SeqCst) == 0 {
                continue;
            }
            let mut marked = summary.swap(0, SeqCst);
            while marked != 0 {
                let w = i * 64 + marked.trailing_zeros() as usize;
                marked &= marked - 1;
                let mut word = bits.words[w].swap(0, SeqCst);
                fence(SeqCst); // What is read from now on is what was there when the bits were set, or newer.
                while word != 0 {
                    changed(w as u32 * 64 + word.trailing_zeros());
                    word &= word - 1;
                }
            }
        }
    }
}

impl Bits {
    /// Sets the bit first and its summary afterwards. A bit found set needs no second setting: whoever takes it does so
    /// after this moment, and so sees the count that was changed before it. The same holds for the summary.
    #[inline]
    fn mark(&self, slot: u32) {
        let bit = slot as usize % (WORDS * 64);
        let (w, mask) = (bit / 64, 1 << (bit % 64));
        if self.words[w].load(SeqCst) & mask == 0 {
            self.words[w].fetch_or(mask, SeqCst);
        }
        let (s, mask) = (w / 64, 1 << (w % 64));
        if self.summary[s].load(SeqCst) & mask == 0 {
            self.summary[s].fetch_or(mask, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(changes: &Changes) -> Vec<u32> {
        let mut all = Vec::new();
        changes.take(|bit| all.push(bit));
        all
    }

    #[test]
    fn what_is_marked_is_taken_once() {
        let changes = Changes::default();
        changes.mark(3);
        assert!(taken(&changes).is_empty(), "nobody watched");
        changes.watch();
        for slot in [3, 64, 3, 16_383, 16_384 + 5, 4096] {
            changes.mark(slot);
        }
        assert_eq!(taken(&changes), [3, 5, 64, 4096, 16_383]);
        assert!(taken(&changes).is_empty());
    }

    #[test]
    fn no_change_is_lost_among_threads() {
        const ROUNDS: u64 = 20_000;
        let changes = Changes::default();
        changes.watch();
        let counts = [const { AtomicU64::new(0) }; 4];
        let mut seen = [0; 4];
        std::thread::scope(|s| {
            let writers: Vec<_> = (0..4)
                .map(|i| {
                    let (changes, counts) = (&changes, &counts);
                    s.spawn(move || {
                        for _ in 0..ROUNDS {
                            counts[i].fetch_add(1, SeqCst);
                            changes.mark(i as u32 * 1000);
                        }
                    })
                })
                .collect();
            let mut look = || {
                changes.take(|bit| {
                    let i = bit as usize / 1000;
                    seen[i] = counts[i].load(SeqCst);
                });
            };
            while writers.iter().any(|w| !w.is_finished()) {
                look();
            }
            look();
        });
        assert_eq!(seen, [ROUNDS; 4]);
    }
}
