//! Statistics of services and destinations.
//!
//! A packet must not pay an atomic read-modify-write for each counter. So every worker has a *stripe* of
//! its own, on its own cache line, that only it writes; readers add the stripes up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Counters added up at one moment (IPVS: conns, inpkts, outpkts, inbytes, outbytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Totals {
    /// Connections made by scheduling.
    pub conns: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets from real servers.
    pub out_packets: u64,
    /// IP bytes from clients, before rewriting.
    pub in_bytes: u64,
    /// IP bytes from real servers, after rewriting.
    pub out_bytes: u64,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, o: Self) {
        self.conns += o.conns;
        self.in_packets += o.in_packets;
        self.out_packets += o.out_packets;
        self.in_bytes += o.in_bytes;
        self.out_bytes += o.out_bytes;
    }
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe {
    conns: AtomicU64,
    in_packets: AtomicU64,
    out_packets: AtomicU64,
    in_bytes: AtomicU64,
    out_bytes: AtomicU64,
}

/// Adds without a locked instruction: sound because each stripe has one writer (a [`crate::Worker`] is
/// the only holder of its stripe's number, and is used through `&mut`).
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

/// One object's counters, striped by worker.
#[derive(Debug)]
pub struct Stats {
    stripes: Box<[Stripe]>,
    baseline: Mutex<Totals>,
}

impl Stats {
    pub(crate) fn new(stripes: usize) -> Self {
        Self {
            stripes: (0..stripes).map(|_| Stripe::default()).collect(),
            baseline: Mutex::default(),
        }
    }

    pub(crate) fn count_conn(&self, stripe: usize) {
        add(&self.stripes[stripe].conns, 1);
    }

    pub(crate) fn count_in(&self, stripe: usize, bytes: u32) {
        let s = &self.stripes[stripe];
        add(&s.in_packets, 1);
        add(&s.in_bytes, u64::from(bytes));
    }

    pub(crate) fn count_out(&self, stripe: usize, bytes: u32) {
        let s = &self.stripes[stripe];
        add(&s.out_packets, 1);
        add(&s.out_bytes, u64::from(bytes));
    }

    /// Begins to count from zero (ipvsadm: `-Z`).
    pub fn zero(&self) {
        *self.baseline.lock().unwrap_or_else(PoisonError::into_inner) = self.counted();
    }

    /// The sum over all workers since [`Self::zero`].
    pub fn totals(&self) -> Totals {
        let zero = *self.baseline.lock().unwrap_or_else(PoisonError::into_inner);
        let mut t = self.counted();
        t.conns -= zero.conns;
        t.in_packets -= zero.in_packets;
        t.out_packets -= zero.out_packets;
        t.in_bytes -= zero.in_bytes;
        t.out_bytes -= zero.out_bytes;
        t
    }

    fn counted(&self) -> Totals {
        let mut t = Totals::default();
        for s in &self.stripes {
            t += Totals {
                conns: s.conns.load(Relaxed),
                in_packets: s.in_packets.load(Relaxed),
                out_packets: s.out_packets.load(Relaxed),
                in_bytes: s.in_bytes.load(Relaxed),
                out_bytes: s.out_bytes.load(Relaxed),
            };
        }
        t
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_add_up() {
        let s = Stats::new(2);
        s.count_conn(0);
        s.count_in(0, 60);
        s.count_in(1, 40);
        s.count_out(1, 1500);
        let want = Totals {
            conns: 1,
            in_packets: 2,
            out_packets: 1,
            in_bytes: 100,
            out_bytes: 1500,
        };
        assert_eq!(s.totals(), want);
    }
}
