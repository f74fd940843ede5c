//! Defences against floods: IPVS's `drop_entry`, `drop_packet` and `secure_tcp`.
//!
//! Each is off (mode 0), on while memory is short (modes 1 and 2, which IPVS turns into each other to show whether it is
//! on), or always on (mode 3). They are judged once a second.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::{Director, lock};
use crate::conn::Candidate;
use crate::segment::Protocol;
use crate::state::State;
use crate::sysctl::Sysctls;
use crate::time::Time;

/// Connections idle for less are not rated.
const RESTED: Duration = Duration::from_secs(60);
/// Connections with more packets are not dropped for idleness.
const MANY_PACKETS: u32 = 8;
/// One round of `drop_entry` looks at one in so many connections.
const CLASSES: usize = 32;

#[derive(Debug)]
pub(super) struct Defence {
    /// One in this many new connections is dropped; 0 is none.
    drop_rate: AtomicU32,
    drop_counter: AtomicU32,
    drop_entries: AtomicBool,
    secure: AtomicBool,
    /// Free memory as last told.
    available_pages: AtomicU64,
}

impl Default for Defence {
    fn default() -> Self {
        Self {
            drop_rate: AtomicU32::new(0),
            drop_counter: AtomicU32::new(0),
            drop_entries: AtomicBool::new(false),
            secure: AtomicBool::new(false),
            available_pages: AtomicU64::new(u64::MAX),
        }
    }
}

impl Defence {
    /// Judges anew, after memory or settings have changed.
    pub(super) fn judge(&self, sysctls: &Sysctls, available_pages: Option<u64>) {
        let available = match available_pages {
            Some(pages) => {
                self.available_pages.store(pages, Relaxed);
                pages
            }
            None => self.available_pages.load(Relaxed),
        };
        let threshold = u64::from(sysctls.amemthresh);
        let is_short = available < threshold;
        let is_on = |mode: u8| mode >= 3 || mode > 0 && is_short;
        self.drop_entries.store(is_on(sysctls.drop_entry), Relaxed);
        self.secure.store(is_on(sysctls.secure_tcp), Relaxed);
        let rate = match sysctls.drop_packet {
            mode if !is_on(mode) => 0,
            // The count goes on from second to second.
            mode if mode >= 3 => sysctls.am_droprate,
            _ => {
                let rate = u32::try_from(threshold / (threshold - available)).unwrap_or(u32::MAX);
                self.drop_counter.store(rate, Relaxed);
                rate
            }
        };
        self.drop_rate.store(rate, Relaxed);
    }

    /// Whether TCP follows the tables of `secure_tcp`.
    pub(super) fn is_secure(&self) -> bool {
        self.secure.load(Relaxed)
    }

    /// One in this many new connections is dropped; 0 is none.
    pub(super) fn drop_rate(&self) -> u32 {
        self.drop_rate.load(Relaxed)
    }

    /// What [`Self::drops_one`] would say.
    pub(super) fn would_drop_one(&self) -> bool {
        self.drop_rate() != 0 && self.drop_counter.load(Relaxed) <= 1
    }

    /// Whether the next new connection is the one of many that is dropped. The very first is (IPVS counts down from 0).
    pub(super) fn drops_one(&self) -> bool {
        let rate = self.drop_rate.load(Relaxed);
        if rate == 0 {
            return false;
        }
        let next = |n: u32| Some(if n <= 1 { rate } else { n - 1 });
        let before = self.drop_counter.fetch_update(Relaxed, Relaxed, next);
        before.is_ok_and(|n| n <= 1)
    }
}

/// IPVS's rate test: among the connections with n packets from the client, 1 to 8, that have rested for a minute,
/// every n-th is dropped.
#[derive(Debug, Default)]
pub(super) struct RateTest([u32; MANY_PACKETS as usize + 1]);

impl RateTest {
    fn drops(&mut self, idle: Duration, in_packets: u32) -> bool {
        if idle < RESTED || in_packets > MANY_PACKETS {
            return false;
        }
        let Some(counter) = self.0.get_mut(in_packets as usize) else {
            return false;
        };
        if in_packets == 0 {
            return false;
        }
        *counter = counter.saturating_sub(1);
        if *counter > 0 {
            return false;
        }
        *counter = in_packets;
        true
    }
}

impl Director {
    /// One round of `drop_entry`: drops what looks unwanted among a 32nd of the connections.
    pub(super) fn drop_entries(&self, now: Time, random: u64) {
        if !self.defence.drop_entries.load(Relaxed) {
            return;
        }
        let config = self.config.load();
        let mut rates = lock(&self.rates);
        for shard in &self.shards {
            lock(shard).sift(random as usize % CLASSES, CLASSES, now, |c| {
                let idle = config.timeout(c.state, c.dest).saturating_sub(c.expires_in);
                is_unwanted(c, || rates.drops(idle, c.in_packets))
            });
        }
        // A template counts no packets: each is like a connection with one.
        self.templates
            .defend(random, |idle| rates.drops(idle, 1), now);
        self.templates.drop_forsaken();
    }
}

fn is_unwanted(c: &Candidate<'_>, rate_test: impl FnOnce() -> bool) -> bool {
    match c.protocol {
        Protocol::TCP | Protocol::SCTP => match c.state {
            State::Established | State::SctpEstablished => rate_test(),
            state => state.is_opening(),
        },
        _ => rate_test(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sysctls(drop_packet: u8) -> Sysctls {
        Sysctls {
            drop_packet,
            secure_tcp: drop_packet,
            ..Sysctls::default()
        }
    }

    fn dropped(d: &Defence, n: usize) -> usize {
        (0..n).filter(|_| d.drops_one()).count()
    }

    #[test]
    fn one_in_so_many_is_dropped() {
        let d = Defence::default();
        assert_eq!(dropped(&d, 100), 0);
        d.judge(&sysctls(3), None);
        assert!(d.is_secure());
        assert_eq!(dropped(&d, 1), 1, "the first");
        assert_eq!(dropped(&d, 9), 0);
        assert_eq!(dropped(&d, 1), 1, "the tenth after it");
        assert_eq!(dropped(&d, 5), 0);
        d.judge(&sysctls(3), None);
        assert_eq!((dropped(&d, 4), dropped(&d, 1)), (0, 1));
        d.judge(&sysctls(0), None);
        assert_eq!(dropped(&d, 100), 0);
        assert!(!d.is_secure());
    }

    #[test]
    fn automatic_modes_follow_memory() {
        let d = Defence::default();
        for mode in [1, 2] {
            d.judge(&sysctls(mode), Some(1024));
            assert_eq!((dropped(&d, 100), d.is_secure()), (0, false));
            d.judge(&sysctls(mode), Some(768));
            assert_eq!(
                (dropped(&d, 100), d.is_secure()),
                (25, true),
                "1024 / 256 is 4"
            );
            d.judge(&sysctls(mode), Some(0));
            assert_eq!(dropped(&d, 10), 10);
        }
    }

    #[test]
    fn the_rate_test_spares_the_busy_and_the_fresh() {
        let mut t = RateTest::default();
        let drops = |t: &mut RateTest, idle, n| {
            (0..24)
                .filter(|_| t.drops(Duration::from_secs(idle), n))
                .count()
        };
        for n in 1..=8 {
            assert_eq!(drops(&mut t, 59, n), 0);
            assert_eq!(
                drops(&mut t, 60, n),
                24usize.div_ceil(n as usize),
                "one in {n}"
            );
        }
        assert_eq!(drops(&mut t, 600, 9), 0);
        assert_eq!(drops(&mut t, 600, 0), 0);
    }
}
