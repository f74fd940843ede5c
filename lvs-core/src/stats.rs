//! Statistics of services, destinations and the director: counters, and rates estimated from them.
//!
//! A packet must not pay an atomic read-modify-write for each counter. So every worker has a *stripe* of
//! its own, on its own cache line, that only it writes; readers add the stripes up.
//!
//! Rates are IPVS's: an exponentially weighted average of what was counted in each step of 2 s, the newest step
//! weighing a quarter. They cost nothing but the step itself ([`Stats::estimate`]).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// What was counted in a second, on average over the last steps (IPVS: cps, inpps, outpps, inbps, outbps).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Rates {
    /// Connections a second.
    pub conns: u64,
    /// Packets from clients a second.
    pub in_packets: u64,
    /// Packets from real servers a second.
    pub out_packets: u64,
    /// Bytes (not bits) from clients a second.
    pub in_bytes: u64,
    /// Bytes (not bits) from real servers a second.
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
    record: Mutex<Record>,
}

/// What is remembered of earlier moments.
#[derive(Debug, Default)]
struct Record {
    /// What had been counted when counting began anew.
    zero: Totals,
    /// What had been counted at the last step.
    last: Totals,
    /// The averages, scaled: twice the rate, with [`EVENTS`]' or [`BYTES`]' fractional bits.
    averages: Rates,
}

impl Stats {
    pub(crate) fn new(stripes: usize) -> Self {
        Self {
            stripes: (0..stripes).map(|_| Stripe::default()).collect(),
            record: Mutex::default(),
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

    /// Begins to count from zero, and to estimate from a rate of zero (ipvsadm: `-Z`).
    pub fn zero(&self) {
        let mut record = self.record();
        record.zero = self.counted();
        record.averages = Rates::default();
    }

    /// The sum over all workers since [`Self::zero`].
    pub fn totals(&self) -> Totals {
        let zero = self.record().zero;
        let mut t = self.counted();
        t.conns -= zero.conns;
        t.in_packets -= zero.in_packets;
        t.out_packets -= zero.out_packets;
        t.in_bytes -= zero.in_bytes;
        t.out_bytes -= zero.out_bytes;
        t
    }

    /// One step of the estimation: to be called every 2 s.
    pub fn estimate(&self) {
        let mut record = self.record();
        let (now, last) = (self.counted(), record.last);
        let e = &mut record.averages;
        EVENTS.step(&mut e.conns, now.conns - last.conns);
        EVENTS.step(&mut e.in_packets, now.in_packets - last.in_packets);
        EVENTS.step(&mut e.out_packets, now.out_packets - last.out_packets);
        BYTES.step(&mut e.in_bytes, now.in_bytes - last.in_bytes);
        BYTES.step(&mut e.out_bytes, now.out_bytes - last.out_bytes);
        record.last = now;
    }

    /// The rates as of the last step.
    pub fn rates(&self) -> Rates {
        let e = self.record().averages;
        Rates {
            conns: EVENTS.shown(e.conns),
            in_packets: EVENTS.shown(e.in_packets),
            out_packets: EVENTS.shown(e.out_packets),
            in_bytes: BYTES.shown(e.in_bytes),
            out_bytes: BYTES.shown(e.out_bytes),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
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

/// IPVS's estimator: how it scales what it averages. The step of 2 s is in the scale: half of what a step has counted is
/// a rate.
struct Scale {
    fraction: u32,
}

/// For connections and packets.
const EVENTS: Scale = Scale { fraction: 10 };
/// For bytes, which need the room.
const BYTES: Scale = Scale { fraction: 5 };

impl Scale {
    /// Moves an average by a quarter of its distance to what was counted in this step.
    const fn step(&self, average: &mut u64, counted: u64) {
        let rate = counted << (self.fraction - 1);
        let distance = rate.wrapping_sub(*average) as i64;
        *average = average.wrapping_add((distance >> 2) as u64);
    }

    /// The rate an average stands for, rounded as IPVS does.
    const fn shown(&self, average: u64) -> u64 {
        let half = (1 << (self.fraction - 1)) - 1;
        (average + half) >> self.fraction
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

    #[test]
    fn rates_follow_as_in_ipvs() {
        let s = Stats::new(2);
        assert_eq!(s.rates(), Rates::default());
        for conns in [25, 44, 58, 68, 76, 82] {
            (0..200).for_each(|n| s.count_conn(n % 2));
            s.estimate();
            assert_eq!(s.rates().conns, conns);
        }
        for in_bytes in [375_000, 656_250, 867_187] {
            (0..1000).for_each(|_| s.count_in(0, 3000));
            s.estimate();
            assert_eq!(s.rates().in_bytes, in_bytes);
        }
    }

    #[test]
    fn every_rate_is_of_its_own_counter() {
        let s = Stats::new(1);
        for _ in 0..60 {
            (0..20).for_each(|_| s.count_conn(0));
            (0..60).for_each(|_| s.count_in(0, 100));
            (0..140).for_each(|_| s.count_out(0, 1000));
            s.estimate();
        }
        let want = Rates {
            conns: 10,
            in_packets: 30,
            out_packets: 70,
            in_bytes: 3000,
            out_bytes: 70_000,
        };
        assert_eq!(s.rates(), want);
        (0..60).for_each(|_| s.estimate());
        assert_eq!(s.rates(), Rates::default(), "silence");
    }

    #[test]
    fn zeroing_clears_rates_and_totals_but_forgets_no_packet_of_the_step() {
        let s = Stats::new(1);
        (0..200).for_each(|_| s.count_conn(0));
        s.estimate();
        (0..200).for_each(|_| s.count_conn(0));
        s.zero();
        assert_eq!(
            (s.rates(), s.totals()),
            (Rates::default(), Totals::default())
        );
        s.estimate();
        assert_eq!((s.rates().conns, s.totals().conns), (25, 0));
    }

    #[test]
    fn a_steady_rate_is_found() {
        for (rate, scale) in [
            (0, EVENTS),
            (1, EVENTS),
            (7, BYTES),
            (12_500_000_000, BYTES),
        ] {
            let mut average = 0;
            (0..200).for_each(|_| scale.step(&mut average, 2 * rate));
            assert_eq!(scale.shown(average), rate);
        }
    }
}
