//! What became of every frame, in numbers.
//!
//! Like `lvs_core::stats`: each worker counts on its own (one [`Counters`] for each pipeline), whoever wants
//! to know adds them up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lvs_core::{Direction, DropReason, PassReason};

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One worker's counters.
        #[derive(Debug, Default)]
        pub struct Counters {
            $(pub(crate) $name: Counter,)*
            pub(crate) passed: [Counter; PassReason::ALL.len()],
            pub(crate) dropped: [Counter; DropReason::ALL.len()],
        }

        /// Counters at one moment, or the sum of several workers'.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
            passed: [u64; PassReason::ALL.len()],
            dropped: [u64; DropReason::ALL.len()],
        }

        impl Counters {
            /// The numbers now.
            pub fn counts(&self) -> Counts {
                let read = |c: &Counter| c.0.load(Relaxed);
                Counts {
                    $($name: read(&self.$name),)*
                    passed: std::array::from_fn(|i| read(&self.passed[i])),
                    dropped: std::array::from_fn(|i| read(&self.dropped[i])),
                }
            }
        }

        impl std::ops::AddAssign<&Self> for Counts {
            fn add_assign(&mut self, o: &Self) {
                $(self.$name += o.$name;)*
                for (a, b) in self.passed.iter_mut().zip(&o.passed) {
                    *a += b;
                }
                for (a, b) in self.dropped.iter_mut().zip(&o.dropped) {
                    *a += b;
                }
            }
        }
    };
}

counters! {
    /// Frames received.
    received,
    /// Packets forwarded towards real servers.
    forwarded_in,
    /// Packets forwarded towards clients.
    forwarded_out,
    /// Frames handed to the network; a forwarded packet may leave as several.
    sent,
    /// ARP requests and neighbour solicitations answered.
    arp_answered,
    /// ICMP errors sent.
    icmp_sent,
    /// TCP resets and SCTP aborts sent for packets of no known connection.
    resets_sent,
    /// Answers not sent because too many had been sent already.
    answers_limited,
    /// Packets that had been hidden from the host and were given back to it: left to it, or forwarded to it as a real
    /// server.
    given_back,
    /// Packets that waited for their next hop to be resolved.
    parked,
    /// Later fragments that waited for their first.
    held,
}

impl Counters {
    pub(crate) fn count_pass(&self, reason: PassReason) {
        self.passed[reason.index()].add(1);
    }

    pub(crate) fn count_drop(&self, reason: DropReason) {
        self.dropped[reason.index()].add(1);
    }

    pub(crate) fn count_forward(&self, direction: Direction) {
        match direction {
            Direction::In => self.forwarded_in.add(1),
            Direction::Out => self.forwarded_out.add(1),
        }
    }

    /// Counts what a port did with a burst's outputs; to be called by the thread that owns the pipeline.
    pub fn transmitted(&self, report: crate::io::Sent) {
        self.sent.add(report.sent as u64);
        self.dropped[DropReason::TransmitFailed.index()].add(report.failed as u64);
    }
}

impl Counts {
    /// Packets left to the host for this reason.
    pub fn passed(&self, reason: PassReason) -> u64 {
        self.passed[reason.index()]
    }

    /// Packets dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason.index()]
    }
}
