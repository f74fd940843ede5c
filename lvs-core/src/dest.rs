//! Destinations: the real servers of a virtual service.
//!
//! A destination has two halves. [`Dest`] is what the configuration says (weight, method); it is part of
//! an immutable snapshot and replaced whole. [`DestLive`] is what traffic does to it (counts, statistics);
//! it is shared by every snapshot and by every connection, so that it outlives both a change and a removal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

use crate::addr::Endpoint;
use crate::service::ServiceLive;
use crate::stats::Stats;

/// How packets reach a real server (IPVS: the connection's forwarding method).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// NAT (`-m`, masquerading): destination rewritten on the way in, source on the way back.
    Nat,
    /// Direct routing (`-g`): only the link-layer address changes; replies go past the director.
    DirectRoute,
    /// Tunnel (`-i`): IP in IP; replies go past the director.
    Tunnel,
    /// FullNAT: source and destination are rewritten, so that replies come back from anywhere.
    FullNat,
}

impl Method {
    /// The name in listings (`Masq`, `Route`, `Tunnel` as ipvsadm prints them, and `FullNAT`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "Masq",
            Self::DirectRoute => "Route",
            Self::Tunnel => "Tunnel",
            Self::FullNat => "FullNAT",
        }
    }

    /// Whether replies pass through the director and are translated there.
    pub const fn translates(self) -> bool {
        matches!(self, Self::Nat | Self::FullNat)
    }
}

/// A destination as configured.
#[derive(Clone, Debug)]
pub struct Dest {
    pub(crate) weight: u32,
    pub(crate) method: Method,
    pub(crate) live: Arc<DestLive>,
}

impl Dest {
    /// A destination outside any director, for whoever only wants to schedule (a proxy, a test): counts are
    /// then kept with [`DestLive::bind`].
    pub fn detached(addr: Endpoint, weight: u32) -> Self {
        let service = Arc::new(ServiceLive::new(crate::service::ServiceKey::tcp(addr), 1));
        let live = Arc::new(DestLive::new(addr, service, 1));
        Self {
            weight,
            method: Method::Nat,
            live,
        }
    }

    /// The same destination with another weight, its counts shared.
    pub fn with_weight(&self, weight: u32) -> Self {
        Self {
            weight,
            ..self.clone()
        }
    }

    /// The real server's address and port. Port 0: the packet's own port is kept.
    pub fn addr(&self) -> Endpoint {
        self.live.addr
    }

    /// The weight, 0 to 2³¹−1; 0 takes no new connections (quiesced).
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// The forwarding method new connections get.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Whether a scheduler may choose it.
    pub fn is_eligible(&self) -> bool {
        self.weight > 0
    }

    /// Connections in an active state (see [`crate::state`]); never negative.
    pub fn active(&self) -> u64 {
        self.live.active()
    }

    /// Connections in an inactive state; never negative.
    pub fn inactive(&self) -> u64 {
        self.live.inactive()
    }

    /// The live half.
    pub fn live(&self) -> &Arc<DestLive> {
        &self.live
    }
}

/// The live half of a destination.
#[derive(Debug)]
pub struct DestLive {
    addr: Endpoint,
    service: Arc<ServiceLive>,
    available: AtomicBool,
    active: AtomicI64,
    inactive: AtomicI64,
    stats: Stats,
}

impl DestLive {
    pub(crate) fn new(addr: Endpoint, service: Arc<ServiceLive>, stripes: usize) -> Self {
        Self {
            addr,
            service,
            available: AtomicBool::new(true),
            active: AtomicI64::new(0),
            inactive: AtomicI64::new(0),
            stats: Stats::new(stripes),
        }
    }

    /// The real server's address and port.
    pub fn addr(&self) -> Endpoint {
        self.addr
    }

    /// The service it belongs to.
    pub fn service(&self) -> &Arc<ServiceLive> {
        &self.service
    }

    /// Whether it is still part of its service (false once removed).
    pub fn is_available(&self) -> bool {
        self.available.load(Relaxed)
    }

    pub(crate) fn set_available(&self, yes: bool) {
        self.available.store(yes, Relaxed);
    }

    /// Connections in an active state.
    pub fn active(&self) -> u64 {
        u64::try_from(self.active.load(Relaxed)).unwrap_or(0)
    }

    /// Connections in an inactive state.
    pub fn inactive(&self) -> u64 {
        u64::try_from(self.inactive.load(Relaxed)).unwrap_or(0)
    }

    /// Packets, bytes and connections.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// A connection was bound (+1) or unbound (−1) while it counted as `active`.
    pub fn bind(&self, active: bool, by: i64) {
        if active { &self.active } else { &self.inactive }.fetch_add(by, Relaxed);
    }

    /// A connection became active, or ceased to be.
    pub(crate) fn set_active(&self, active: bool) {
        self.bind(active, 1);
        self.bind(!active, -1);
    }

    /// Sets the counts as if connections had been made: for tests and benches of schedulers.
    #[doc(hidden)]
    pub fn set_counts(&self, active: u64, inactive: u64) {
        let count = |n| i64::try_from(n).unwrap_or(i64::MAX);
        self.active.store(count(active), Relaxed);
        self.inactive.store(count(inactive), Relaxed);
    }
}
