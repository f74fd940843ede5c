//! What another director does at present.
//!
//! Problem: directors that share virtual addresses (VRRP) are configured alike, but only one at a time serves an address. The
//! others may even get packets to it as its real servers; who balanced those would send them round in circles.
//!
//! Rule: services *stand by* as a list says that is part of the configuration. Their packets, in either direction, are left
//! to the host as if there were no such service; connections they have stay in the table, untouched, and end by their
//! timeouts. All else about the services goes on: they can be listed and changed, and when they no longer stand by they
//! take up at once, with what is left of their connections.

use std::hash::BuildHasherDefault;

use ahash::AHasher;
use hashbrown::HashSet;

use crate::addr::Ip;
use crate::service::ServiceKey;

/// The keys come from the configuration, so nobody outside can fill a bucket.
type Set<T> = HashSet<T, BuildHasherDefault<AHasher>>;

/// The services that stand by, and the addresses that are not to be answered for. The default is that all serve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standby {
    addresses: Set<Ip>,
    marks: Set<ServiceKey>,
    unanswered: Set<Ip>,
}

impl Standby {
    /// Services of these `addresses` stand by, and those of firewall `marks`, to whatever address; and what any service of a
    /// mark does for these addresses. Nobody is told where `unanswered` addresses are (ARP, NDP), whether services stand
    /// by or not.
    pub fn new(
        addresses: impl IntoIterator<Item = Ip>,
        marks: impl IntoIterator<Item = ServiceKey>,
        unanswered: impl IntoIterator<Item = Ip>,
    ) -> Self {
        Self {
            addresses: addresses.into_iter().collect(),
            marks: marks.into_iter().collect(),
            unanswered: unanswered.into_iter().collect(),
        }
    }

    /// What stands by here and there; nothing is said about answering.
    #[must_use]
    pub fn both(&self, other: &Self) -> Self {
        Self {
            addresses: self
                .addresses
                .intersection(&other.addresses)
                .copied()
                .collect(),
            marks: self.marks.intersection(&other.marks).copied().collect(),
            unanswered: Set::default(),
        }
    }

    /// Whether the service stands by.
    pub fn includes(&self, key: &ServiceKey) -> bool {
        match key {
            ServiceKey::Addr { addr, .. } => self.addresses.contains(&addr.ip),
            ServiceKey::Mark { .. } => self.marks.contains(key),
        }
    }

    /// Whether what the service does for clients of this virtual address stands by.
    #[inline]
    pub fn covers(&self, service: &ServiceKey, virt: &Ip) -> bool {
        self.addresses.contains(virt) || self.marks.contains(service)
    }

    /// The addresses whose packets are left to the host, in no particular order.
    pub fn addresses(&self) -> impl Iterator<Item = Ip> + '_ {
        self.addresses.iter().copied()
    }

    /// Whether packets to this address are left to the host.
    pub fn has(&self, address: &Ip) -> bool {
        self.addresses.contains(address)
    }

    /// Whether neighbours may be told where this address is, if it is the director's.
    pub fn answers_for(&self, address: &Ip) -> bool {
        !self.unanswered.contains(address)
    }

    /// Whether no service stands by.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.marks.is_empty()
    }
}
