//! A scheduler's index over the destinations of one service, which follows their counts.
//!
//! Problem: a new connection must not cost a look at every destination; but counts change elsewhere, several
//! snapshots of the list are in use for a moment after a change, and all workers share the scheduler.
//!
//! Rule: a service has one index ([`Changes::index`]), behind a lock, and it is of the newest list that somebody has
//! scheduled from. Whoever comes with a newer list rebuilds it, and whoever comes with an older one walks. Everybody
//! else first looks again at the destinations whose counts have changed. Short lists are always walked, and so are
//! destinations that do not belong to one service.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lvs_core::changes::Changes;
use lvs_core::dest::Dest;

use crate::tree::{Heaviest, Summary, Tree};

/// Lists shorter than this are walked: it takes less time.
pub(crate) const WORTHWHILE: usize = 32;

/// A scheduler's claim to the index of its service; every list of destinations needs a claim of its own.
pub(crate) struct Indexed<S> {
    /// Later claims have greater numbers, over all services.
    number: u64,
    summary: PhantomData<fn() -> S>,
}

impl<S: Summary> Indexed<S> {
    /// Asks the tree of this list. `None` if there is none to ask, and the list is to be walked.
    pub(crate) fn ask<R>(&self, dests: &[Dest], ask: impl FnOnce(&Tree<S>) -> R) -> Option<R> {
        if dests.len() < WORTHWHILE {
            return None;
        }
        let changes = dests.first()?.live().service().changes();
        let mut index = changes.index();
        if index.owner > self.number {
            return None;
        }
        let is_own = index.owner == self.number;
        let kept = { &mut index.kept }.as_mut();
        let kept = kept.and_then(|kept| kept.downcast_mut::<Kept<S>>());
        if let Some(kept) = kept.filter(|kept| is_own && kept.list == identity(dests)) {
            kept.refresh(dests, changes);
            return kept.tree.as_ref().map(ask);
        }
        changes.watch();
        let kept = Kept::<S>::new(dests);
        let answer = kept.tree.as_ref().map(ask);
        index.owner = self.number;
        index.kept = Some(Box::new(kept));
        answer
    }
}

/// A copy is for another list.
impl<S> Clone for Indexed<S> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<S> Default for Indexed<S> {
    fn default() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self {
            number: LAST.fetch_add(1, Relaxed) + 1,
            summary: PhantomData,
        }
    }
}

impl<S> std::fmt::Debug for Indexed<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Indexed({})", self.number)
    }
}

/// The index as it lies in the service.
struct Kept<S> {
    /// [`identity`] of the list it is of, to be safe from a caller who shows a scheduler another list than it has heard
    /// of.
    list: (usize, usize),
    /// `None` where the destinations are not of one service.
    tree: Option<Tree<S>>,
    places: Places,
}

impl<S: Summary> Kept<S> {
    fn new(dests: &[Dest]) -> Self {
        let service = |dest: &Dest| Arc::as_ptr(dest.live().service());
        let is_one_service = dests.windows(2).all(|d| service(&d[0]) == service(&d[1]));
        Self {
            list: identity(dests),
            tree: is_one_service.then(|| Tree::new(dests)),
            places: Places::new(dests),
        }
    }

    fn refresh(&mut self, dests: &[Dest], changes: &Changes) {
        if let Some(tree) = &mut self.tree {
            changes.take(|bit| {
                for position in self.places.of(bit) {
                    tree.update(&dests[position as usize], position);
                }
            });
        }
    }
}

/// Where a list lies in memory.
fn identity(dests: &[Dest]) -> (usize, usize) {
    (dests.as_ptr().addr(), dests.len())
}

/// The positions of the destinations that have a bit of [`Changes`]: chains, one for several bits.
struct Places {
    first: Vec<u32>,
    next: Vec<u32>,
}

const END: u32 = u32::MAX;

impl Places {
    fn new(dests: &[Dest]) -> Self {
        let chains = dests.len().next_power_of_two().min(Changes::BITS as usize);
        let mut places = Self {
            first: vec![END; chains],
            next: vec![END; dests.len()],
        };
        for (dest, position) in dests.iter().zip(0..) {
            let chain = places.chain(dest.live().slot());
            places.next[position as usize] = places.first[chain];
            places.first[chain] = position;
        }
        places
    }

    /// The chain of a destination's slot, or of its bit: the number of bits is a multiple of that of chains.
    fn chain(&self, slot: u32) -> usize {
        slot as usize & (self.first.len() - 1)
    }

    fn of(&self, bit: u32) -> impl Iterator<Item = u32> + '_ {
        let position = |p: u32| (p != END).then_some(p);
        std::iter::successors(position(self.first[self.chain(bit)]), move |&p| {
            position(self.next[p as usize])
        })
    }
}

impl Indexed<Heaviest> {
    /// The first position at or after `from` that is eligible and has at least this weight, which is not 0. Mostly it is
    /// near.
    pub(crate) fn first_from(&self, dests: &[Dest], from: usize, weight: u32) -> Option<usize> {
        let fits = |dest: &Dest| dest.is_eligible() && dest.weight() >= weight;
        let rest = dests.get(from..)?;
        let (near, far) = rest.split_at(rest.len().min(WORTHWHILE));
        if let Some(offset) = near.iter().position(fits) {
            return Some(from + offset);
        }
        if far.is_empty() {
            return None;
        }
        let from = from + near.len();
        let found = self.ask(dests, |tree| tree.first_from(from, |s| s.0 >= weight));
        found.unwrap_or_else(|| Some(from + far.iter().position(fits)?))
    }

    /// The greatest weight of an eligible destination.
    pub(crate) fn heaviest(&self, dests: &[Dest]) -> Option<u32> {
        let found = self.ask(dests, |tree| tree.whole().0);
        let walk = || {
            let eligible = dests.iter().filter(|d| d.is_eligible());
            eligible.map(Dest::weight).max().unwrap_or(0)
        };
        Some(found.unwrap_or_else(walk)).filter(|&weight| weight > 0)
    }
}

#[cfg(test)]
mod tests {
    use lvs_core::{Endpoint, Ip};

    use super::*;
    use crate::testing::dest;

    const SERVICE: Endpoint = Endpoint::new(Ip::v4([192, 0, 2, 10]), 80);

    fn list(weights: impl Iterator<Item = u32>) -> Vec<Dest> {
        Dest::group(SERVICE, &weights.map(|w| (SERVICE, w)).collect::<Vec<_>>())
    }

    fn owner(dests: &[Dest]) -> u64 {
        dests[0].live().service().changes().index().owner
    }

    #[test]
    fn an_older_claim_leaves_the_index_to_the_newer() {
        let dests = list(1..50);
        let (old, new) = (Indexed::<Heaviest>::default(), Indexed::default());
        assert_eq!(old.ask(&dests, |tree| tree.whole().0), Some(49));
        assert_eq!(
            new.ask(&dests[..40], |tree: &Tree<Heaviest>| tree.whole().0),
            Some(40)
        );
        assert_eq!(old.ask(&dests, |_| ()), None);
        assert_eq!(owner(&dests), new.number);
        let other = Indexed::<crate::tree::Total>::default();
        assert_eq!(other.ask(&dests, |tree| tree.whole().0), Some(49 * 25));
        assert_eq!(new.ask(&dests, |_| ()), None, "whatever is kept there");
    }

    #[test]
    fn a_list_it_has_not_heard_of_is_looked_at_anew() {
        let dests = list(1..50);
        let index = Indexed::<Heaviest>::default();
        for len in [49, 40, 49, 33] {
            let heaviest = index.ask(&dests[..len], |tree| tree.whole().0);
            assert_eq!(heaviest, Some(len as u32));
        }
    }

    #[test]
    fn short_and_mixed_lists_are_walked() {
        let index = Indexed::<Heaviest>::default();
        let short = list(1..WORTHWHILE as u32);
        assert_eq!(index.ask(&short, |_| ()), None);
        let mixed: Vec<_> = (1..50).map(|w| dest(w, 0, 0)).collect();
        assert_eq!(index.ask(&mixed, |_| ()), None);
        assert_eq!(index.ask(&mixed, |_| ()), None);
        assert_eq!(index.heaviest(&mixed), Some(49));
        assert_eq!(index.first_from(&mixed, 0, 45), Some(44));
        assert_eq!(index.first_from(&mixed, 3, 50), None);
    }

    /// 20,000 destinations have come and gone, so that two of these share a bit.
    #[test]
    fn destinations_that_share_a_bit_are_both_looked_at() {
        let mut dests = list((0..20_000).map(|n| u32::from(n == 3)));
        dests.drain(100..16_384);
        let index = Indexed::<Heaviest>::default();
        let ask = || index.ask(&dests, |tree| tree.whole().0);
        assert_eq!(ask(), Some(1));
        let twin = &dests[103];
        assert_eq!(twin.live().slot() % Changes::BITS, dests[3].live().slot());
        dests[3].live().set_overloaded(true);
        assert_eq!(ask(), Some(0));
        dests[3].live().set_overloaded(false);
        twin.live().bind(true, 1);
        assert_eq!(ask(), Some(1));
    }
}
