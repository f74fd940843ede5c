//! Virtual services.

use std::fmt;
use std::sync::Arc;

use crate::addr::{Endpoint, Family, Ip};
use crate::dest::Dest;
use crate::sched::Scheduler;
use crate::segment::Protocol;
use crate::stats::Stats;

/// What identifies a virtual service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a key is compared by all it has")]
pub struct ServiceKey {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The virtual address (VIP) and port.
    pub addr: Endpoint,
}

impl ServiceKey {
    /// A TCP service.
    pub const fn tcp(addr: Endpoint) -> Self {
        Self {
            protocol: Protocol::TCP,
            addr,
        }
    }

    /// A UDP service.
    pub const fn udp(addr: Endpoint) -> Self {
        Self {
            protocol: Protocol::UDP,
            addr,
        }
    }

    /// The family of the virtual address.
    pub fn family(&self) -> Family {
        self.addr.ip.family()
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.addr)
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A local address of FullNAT (LIP) and the ports that may be used on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct LocalAddr {
    /// The address, best one that nothing else uses.
    pub ip: Ip,
    /// The lowest port.
    pub first_port: u16,
    /// The highest port.
    pub last_port: u16,
}

impl LocalAddr {
    /// The lowest port used unless another is given.
    pub const DEFAULT_FIRST_PORT: u16 = 1024;

    /// All ports of `ip` that a client could have.
    pub const fn new(ip: Ip) -> Self {
        Self {
            ip,
            first_port: Self::DEFAULT_FIRST_PORT,
            last_port: u16::MAX,
        }
    }
}

/// A virtual service in a snapshot.
#[derive(Debug)]
pub struct Service {
    pub(crate) live: Arc<ServiceLive>,
    pub(crate) local_addrs: Arc<[LocalAddr]>,
    pub(crate) dests: Vec<Dest>,
    pub(crate) scheduler: Box<dyn Scheduler>,
}

impl Service {
    /// What identifies it.
    pub fn key(&self) -> ServiceKey {
        self.live.key
    }

    /// Its destinations in list order: newest first.
    pub fn dests(&self) -> &[Dest] {
        &self.dests
    }

    /// Its scheduler.
    pub fn scheduler(&self) -> &dyn Scheduler {
        &*self.scheduler
    }

    /// Its local addresses for FullNAT.
    pub fn local_addrs(&self) -> &[LocalAddr] {
        &self.local_addrs
    }

    /// The live half.
    pub fn live(&self) -> &Arc<ServiceLive> {
        &self.live
    }
}

/// The live half of a service, shared by all snapshots.
#[derive(Debug)]
pub struct ServiceLive {
    key: ServiceKey,
    stats: Stats,
}

impl ServiceLive {
    pub(crate) fn new(key: ServiceKey, stripes: usize) -> Self {
        Self {
            key,
            stats: Stats::new(stripes),
        }
    }

    /// What identifies the service.
    pub fn key(&self) -> ServiceKey {
        self.key
    }

    /// Packets, bytes and connections.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}
