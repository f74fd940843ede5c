//! VRRP for directors: **nothing is elected yet**; this crate so far holds the interface its state machine will
//! have.
//!
//! A virtual router is a state machine (RFC 9568 section 6.4) without sockets or clock: whoever drives it feeds
//! it advertisements and the time, and carries out its actions. So two routers and a lossy link fit in a test.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::net::IpAddr;
use std::time::Duration;

/// The states of a virtual router (RFC 9568 section 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the RFC has these three")]
pub enum State {
    /// Not started.
    Initialize,
    /// Another router is active.
    Backup,
    /// This router holds the addresses.
    Active,
}

/// What a virtual router wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send an advertisement.
    Advertise,
    /// Take the virtual addresses, and announce them (gratuitous ARP, unsolicited neighbour advertisement).
    Take(Vec<IpAddr>),
    /// Give the virtual addresses up.
    Release(Vec<IpAddr>),
}

/// A virtual router as its driver sees it.
pub trait VirtualRouter {
    /// The state it is in.
    fn state(&self) -> State;

    /// An advertisement came from a router of this priority (0: it steps down).
    fn advertisement(&mut self, from: IpAddr, priority: u8, now: Duration) -> Vec<Action>;

    /// Time passed.
    fn elapsed(&mut self, now: Duration) -> Vec<Action>;

    /// When [`Self::elapsed`] is to be called next, if nothing else happens before.
    fn next_deadline(&self) -> Option<Duration>;
}
