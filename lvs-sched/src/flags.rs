//! The flags of schedulers (ipvsadm: `-b`).
//!
//! Every service has three bits for its scheduler. Only `sh` and `mh` make something of them; with all others they
//! are kept and listed.

use lvs_core::Segment;
use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Edit, Scheduler};

/// The three flag bits of a service's scheduler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `sh-fallback`, `mh-fallback`, `flag-1`: a client whose server is closed gets another.
    pub const FALLBACK: Self = Self(1);
    /// `sh-port`, `mh-port`, `flag-2`: the client's port counts.
    pub const PORT: Self = Self(2);
    /// `flag-3`.
    pub const THIRD: Self = Self(4);

    /// From bits 1, 2 and 4 (IPVS's service flags 0x8, 0x10 and 0x20, shifted); others are ignored.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 7)
    }

    /// Bits 1, 2 and 4.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `other` are set here.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The client's port, if it is to count and the protocol has ports.
    pub(crate) fn client_port(self, packet: &Segment) -> u16 {
        match self.has(Self::PORT) && packet.protocol.is_balanced() {
            true => packet.src.port,
            false => 0,
        }
    }

    /// The names of those that are set, among names of the first two.
    pub(crate) const fn names(self, all: &'static [&'static str; 2]) -> &'static [&'static str] {
        match self.0 & 3 {
            0 => &[],
            1 => all.split_at(1).0,
            2 => all.split_at(1).1,
            _ => all,
        }
    }
}

/// A scheduler to which its flags mean nothing.
#[derive(Debug)]
pub(crate) struct Flagged {
    pub(crate) inner: Box<dyn Scheduler>,
    pub(crate) flags: Flags,
}

impl Scheduler for Flagged {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn flags(&self) -> &'static [&'static str] {
        match self.flags.0 {
            0 => &[],
            1 => &["flag-1"],
            2 => &["flag-2"],
            3 => &["flag-1", "flag-2"],
            4 => &["flag-3"],
            5 => &["flag-1", "flag-3"],
            6 => &["flag-2", "flag-3"],
            _ => &["flag-1", "flag-2", "flag-3"],
        }
    }

    fn pick(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        self.inner.pick(dests, arrival)
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        Box::new(Self {
            inner: self.inner.fork(),
            flags: self.flags,
        })
    }

    fn foresee(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        self.inner.foresee(dests, arrival)
    }

    fn draws(&self) -> bool {
        self.inner.draws()
    }

    fn edited(&mut self, dests: &[Dest], edit: Edit) {
        self.inner.edited(dests, edit);
    }

    fn settle(&mut self, dests: &[Dest]) {
        self.inner.settle(dests);
    }
}
