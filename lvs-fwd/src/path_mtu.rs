//! Path MTUs towards real servers, as routers have told them (RFC 1191).
//!
//! A tunnel packet that is too big for a link on its way is dropped there, and it is us who are told, since we are its
//! sender. What was told is remembered for ten minutes, by all workers together, and later packets that would be too
//! big are answered by ourselves. It is read with every tunnel packet and written hardly ever; so it is an immutable
//! map, replaced whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use lvs_core::{Ip, Time};

/// The least MTU that is believed (Linux's `min_pmtu`): a forged smaller one must not make us send crumbs.
const LEAST: u32 = 552;
/// How long it is remembered (RFC 1191 section 6.3, Linux's `mtu_expires`).
const LIFETIME: Duration = Duration::from_secs(600);
/// The most addresses that are remembered.
const MAX: usize = 4096;

type Known = HashMap<Ip, (u32, Time)>;

/// What is known of paths; clones share it.
#[derive(Clone, Debug, Default)]
pub struct PathMtus(Arc<ArcSwap<Known>>);

impl PathMtus {
    /// Remembers that no IP packet longer than `mtu` arrives at `remote`. Of several the least counts, as long as it
    /// lasts; a larger one does not restart its time.
    pub fn learn(&self, now: Time, remote: Ip, mtu: u32) {
        let mtu = mtu.max(LEAST);
        let is_news = |known: &Known| {
            let old = known.get(&remote).filter(|(_, until)| now < *until);
            old.is_none_or(|(old, _)| mtu < *old)
        };
        self.0.rcu(|known| {
            if !is_news(known) {
                return known.clone();
            }
            let mut next: Known = known.as_ref().clone();
            next.retain(|_, (_, until)| now < *until);
            if next.len() < MAX {
                next.insert(remote, (mtu, now + LIFETIME));
            }
            Arc::new(next)
        });
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader(Cache::new(self.0.clone()))
    }
}

/// One worker's view.
#[derive(Debug)]
pub(crate) struct Reader(Cache<Arc<ArcSwap<Known>>, Arc<Known>>);

impl Reader {
    /// The longest IP packet towards `remote`, if an interface takes `mtu`.
    #[inline]
    pub(crate) fn limit(&mut self, now: Time, remote: &Ip, mtu: u32) -> u32 {
        let known = self.0.load();
        if known.is_empty() {
            return mtu;
        }
        match known.get(remote) {
            Some((told, until)) if now < *until => mtu.min(*told),
            _ => mtu,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R1: Ip = Ip::v4([10, 0, 0, 1]);
    const R2: Ip = Ip::v4([10, 0, 0, 2]);

    #[test]
    fn the_least_counts_for_ten_minutes() {
        let paths = PathMtus::default();
        let mut reader = paths.reader();
        let at = Time::from_secs;
        assert_eq!(reader.limit(at(0), &R1, 1500), 1500);
        paths.learn(at(0), R1, 1400);
        assert_eq!(reader.limit(at(0), &R1, 1500), 1400);
        assert_eq!(reader.limit(at(0), &R1, 1300), 1300);
        assert_eq!(reader.limit(at(0), &R2, 1500), 1500);

        paths.learn(at(100), R1, 1450);
        paths.learn(at(100), R1, 1400);
        assert_eq!(reader.limit(at(599), &R1, 1500), 1400);
        assert_eq!(reader.limit(at(600), &R1, 1500), 1500, "since it was told");

        paths.learn(at(700), R1, 1400);
        paths.learn(at(800), R1, 1300);
        assert_eq!(reader.limit(at(1399), &R1, 1500), 1300);
        paths.learn(at(1400), R1, 1450);
        assert_eq!(reader.limit(at(1400), &R1, 1500), 1450, "a time of its own");
    }

    #[test]
    fn no_crumbs() {
        let paths = PathMtus::default();
        for mtu in [0, 68, 551] {
            paths.learn(Time::from_secs(0), R1, mtu);
            let limit = paths.reader().limit(Time::from_secs(1), &R1, 1500);
            assert_eq!(limit, 552);
        }
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let paths = PathMtus::default();
        let ip = |n: usize| Ip::v4((n as u32).to_be_bytes());
        for n in 0..MAX + 10 {
            paths.learn(Time::from_secs(0), ip(n), 1400);
        }
        assert_eq!(paths.0.load().len(), MAX);
        paths.learn(Time::from_secs(600), R1, 1400);
        assert_eq!(paths.0.load().len(), 1);
    }
}
