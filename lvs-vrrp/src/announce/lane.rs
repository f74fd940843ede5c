//! Announcements that wait for their turn on an interface or a group of interfaces.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use super::Announcement;
use crate::Time;
use crate::event::RouterId;

/// By what an address is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A gratuitous ARP.
    Garp,
    /// An unsolicited neighbour advertisement.
    Na,
}

impl Kind {
    pub(super) const fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(_) => Self::Garp,
            IpAddr::V6(_) => Self::Na,
        }
    }
}

/// What goes out one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Path {
    /// All of an interface.
    Interface(u32),
    /// All of a group's interfaces.
    Group(usize),
}

/// A lane's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneKey {
    pub(super) path: Path,
    pub(super) kind: Kind,
}

/// A place in a lane's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Whose it is.
    pub(super) router: RouterId,
    /// For what.
    pub(super) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// One of the addresses that the router holds, by its number. It gets in line again until it has been announced often
    /// enough; so all addresses are announced once before any is announced twice.
    Held(usize),
    /// Something else, once.
    Once(Announcement),
}

/// A queue, and when it may move.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// The least time between two.
    pub(super) interval: Duration,
    /// When the last one went.
    pub(super) last: Option<Time>,
    /// Who waits.
    pub(super) queue: VecDeque<Ticket>,
}

impl Lane {
    /// When the next one may go.
    pub(super) fn next(&self) -> Time {
        let after = |last: Time| last.saturating_add(self.interval);
        self.last.map_or(Time::ZERO, after)
    }
}
