//! Local ports of FullNAT.
//!
//! Two clients may share a local address as long as the real server can tell them apart: a local port must
//! be unique towards one real server only. So there is a pool for each (protocol, local address, real
//! server), a bitmap of the ports that belong to its shard. Ports are handed out in turn, so that one is
//! used again as late as possible (the server may still remember it in TIME_WAIT).

use crate::addr::{Endpoint, Ip};
use crate::segment::Protocol;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct PoolKey {
    pub(super) protocol: Protocol,
    pub(super) local: Ip,
    pub(super) dest: Endpoint,
}

/// The ports `n * shards + shard` of 0..=65535.
#[derive(Debug)]
pub(super) struct PortPool {
    shard: u32,
    shards: u32,
    /// Where the next search begins, as an index of this pool.
    cursor: u32,
    used: u32,
    words: Box<[u64]>,
}

impl PortPool {
    pub(super) fn new(shard: u32, shards: u32) -> Self {
        let ports = (1u32 << 16).div_ceil(shards);
        let words = vec![0; ports.div_ceil(64) as usize].into_boxed_slice();
        Self {
            shard,
            shards,
            cursor: 0,
            used: 0,
            words,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// This pool's indices whose ports lie in `first..=last`, as a half-open range.
    fn range(&self, first: u16, last: u16) -> (u32, u32) {
        let begin = u32::from(first)
            .saturating_sub(self.shard)
            .div_ceil(self.shards);
        let end = match u32::from(last).checked_sub(self.shard) {
            Some(n) => n / self.shards + 1,
            None => 0,
        };
        (begin, end.max(begin))
    }

    fn port(&self, i: u32) -> u16 {
        (i * self.shards + self.shard) as u16
    }

    /// The first free index in `from..to`.
    fn free_in(&self, from: u32, to: u32) -> Option<u32> {
        let mut i = from;
        while i < to {
            let free = !self.words.get(i as usize / 64)? >> (i % 64);
            if free != 0 {
                let found = i + free.trailing_zeros();
                return (found < to).then_some(found);
            }
            i = (i / 64 + 1) * 64;
        }
        None
    }

    /// Whether a port between `first` and `last` is free.
    pub(super) fn has_free(&self, first: u16, last: u16) -> bool {
        let (begin, end) = self.range(first, last);
        self.free_in(begin, end).is_some()
    }

    /// Takes a free port between `first` and `last`.
    pub(super) fn take(&mut self, first: u16, last: u16) -> Option<u16> {
        let (begin, end) = self.range(first, last);
        let from = self.cursor.clamp(begin, end);
        let i = self
            .free_in(from, end)
            .or_else(|| self.free_in(begin, from))?;
        self.words[i as usize / 64] |= 1 << (i % 64);
        self.used += 1;
        self.cursor = i + 1;
        Some(self.port(i))
    }

    /// Gives a port back.
    pub(super) fn give(&mut self, port: u16) {
        let i = u32::from(port) / self.shards;
        let bit = 1 << (i % 64);
        if let Some(w) = self
            .words
            .get_mut(i as usize / 64)
            .filter(|w| **w & bit != 0)
        {
            *w &= !bit;
            self.used -= 1;
        }
    }

    /// Up to `n` ports between `first` and `last` in the order they would be taken next, were they free:
    /// those handed out longest ago come first.
    pub(super) fn oldest(
        &self,
        first: u16,
        last: u16,
        n: u32,
    ) -> impl Iterator<Item = u16> + use<> {
        let (begin, end) = self.range(first, last);
        let (len, from) = (end - begin, self.cursor.clamp(begin, end) - begin);
        let (shard, shards) = (self.shard, self.shards);
        (0..n.min(len)).map(move |k| ((begin + (from + k) % len) * shards + shard) as u16)
    }

    /// Puts `n` ports between `first` and `last` to the end of that order.
    pub(super) fn skip(&mut self, first: u16, last: u16, n: u32) {
        let (begin, end) = self.range(first, last);
        if let Some(len) = std::num::NonZero::new(end - begin) {
            self.cursor = begin + (self.cursor.clamp(begin, end) - begin + n) % len;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ports_are_unique_in_range_and_of_the_shard(
            bits in 0u32..7, shard in any::<u32>(), first in any::<u16>(), span in 0u16..5000,
            gives in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
        ) {
            let shards = 1 << bits;
            let shard = shard % shards;
            let last = first.saturating_add(span);
            let mut pool = PortPool::new(shard, shards);
            let belongs = |p: u16| u32::from(p) % shards == shard;
            let all = (first..=last).filter(|p| belongs(*p)).count();
            let mut taken = HashSet::new();
            while let Some(p) = pool.take(first, last) {
                prop_assert!((first..=last).contains(&p) && belongs(p));
                prop_assert!(taken.insert(p), "{p} twice");
            }
            prop_assert_eq!(taken.len(), all, "every port is handed out");
            let mut free = HashSet::new();
            for g in gives {
                let Some(p) = taken.iter().copied().collect::<Vec<_>>().get(g.index(taken.len().max(1))).copied() else { break };
                taken.remove(&p);
                free.insert(p);
                pool.give(p);
                pool.give(p);
            }
            while let Some(p) = pool.take(first, last) {
                prop_assert!(free.remove(&p), "{p} was not free");
            }
            prop_assert!(free.is_empty());
        }
    }

    #[test]
    fn a_port_comes_back_last() {
        let mut pool = PortPool::new(0, 1);
        assert_eq!(pool.take(10, 12), Some(10));
        pool.give(10);
        let next: Vec<_> = (0..4).map(|_| pool.take(10, 12)).collect();
        assert_eq!(next, [Some(11), Some(12), Some(10), None]);
        assert_eq!(pool.oldest(10, 12, 9).collect::<Vec<_>>(), [11, 12, 10]);
        pool.skip(10, 12, 1);
        assert_eq!(pool.oldest(10, 12, 9).collect::<Vec<_>>(), [12, 10, 11]);
    }

    #[test]
    fn an_empty_range_has_no_port() {
        let mut pool = PortPool::new(3, 4);
        assert_eq!(pool.take(4, 6), None);
        assert_eq!(pool.oldest(4, 6, 9).count(), 0);
        pool.skip(4, 6, 9);
        assert_eq!(pool.take(7, 7), Some(7));
    }
}
