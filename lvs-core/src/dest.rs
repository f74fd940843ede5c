//! Destinations: the real servers of a virtual service.
//!
//! A destination has two halves. [`Dest`] is what the configuration says (weight, method); it is part of
//! an immutable snapshot and replaced whole. [`DestLive`] is what traffic does to it (counts, statistics);
//! it is shared by every snapshot and by every connection, so that it outlives both a change and a removal.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

use crate::addr::Endpoint;
use crate::service::{ServiceKey, ServiceLive};
use crate::stats::Stats;

/// How packets reach a real server (IPVS: the connection's forwarding method).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// NAT (`-m`, masquerading): destination rewritten on the way in, source on the way back.
    Nat,
    /// Direct routing (`-g`): only the link-layer address changes; replies go past the director.
    DirectRoute,
    /// Tunnel (`-i`): a packet in a packet; replies go past the director.
    Tunnel,
    /// FullNAT: source and destination are rewritten, so that replies come back from anywhere.
    FullNat,
    /// To the packet's own destination, for want of a server (IPVS: `cache_bypass`). Connections have this method,
    /// destinations never.
    Bypass,
}

impl Method {
    /// The name in listings (`Masq`, `Route`, `Tunnel` as ipvsadm prints them, and `FullNAT`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nat => "Masq",
            Self::DirectRoute => "Route",
            Self::Tunnel => "Tunnel",
            Self::FullNat => "FullNAT",
            Self::Bypass => "Bypass",
        }
    }

    /// From the number that `as u8` gives.
    const fn unpack(n: u8) -> Self {
        match n {
            0 => Self::Nat,
            1 => Self::DirectRoute,
            2 => Self::Tunnel,
            3 => Self::FullNat,
            _ => Self::Bypass,
        }
    }

    /// The method of a connection from a client that asked for `asked` to a server at `addr`. NAT to just what was asked
    /// for, or to that port of a loopback address, has nothing to translate: the server is the director itself, which gets
    /// packets as they are and whose replies nobody sees (IPVS: local node). Such a connection is of direct routing.
    #[must_use]
    pub fn towards(self, addr: Endpoint, asked: Endpoint) -> Self {
        let is_itself = addr == asked || addr.ip.is_loopback() && addr.port == asked.port;
        match self.translates() && is_itself {
            true => Self::DirectRoute,
            false => self,
        }
    }

    /// Whether packets of a service would have to be rewritten for the server at `addr`, so that it cannot be the director
    /// itself.
    pub fn rewrites(self, service: ServiceKey, addr: Endpoint) -> bool {
        let asked = service.addr().unwrap_or_else(|| Endpoint::new(addr.ip, 0));
        let port = match addr.port {
            0 => asked.port,
            port => port,
        };
        // The address that was asked for is unknown if only a mark is given.
        let is_known = service.addr().is_some() || addr.ip.is_loopback();
        let method = self.towards(Endpoint::new(addr.ip, port), asked);
        method.translates() || self.translates() && !is_known
    }

    /// Whether replies pass through the director and are translated there.
    pub const fn translates(self) -> bool {
        matches!(self, Self::Nat | Self::FullNat)
    }
}

/// What stands between the outer and the inner IP header of a tunnel (ipvsadm: `--tun-type`). It belongs to the
/// destination and not to the connection, so that a change applies to existing connections at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encapsulation {
    /// Nothing: IP in IP (RFC 2003, RFC 2473).
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue {
        /// The UDP port of the real server, not 0.
        port: u16,
        /// How UDP's checksum is used.
        checksum: GueChecksum,
    },
    /// Generic routing encapsulation (RFC 2784), with a checksum if so wanted.
    Gre {
        /// Whether the checksum field is there and filled in.
        checksum: bool,
    },
}

/// How GUE uses UDP's checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "ipvsadm's three options")]
pub enum GueChecksum {
    /// It is zero (`--tun-nocsum`).
    #[default]
    None,
    /// It is filled in (`--tun-csum`).
    Full,
    /// It is filled in, and the inner packet's is left to be completed by the receiver (`--tun-remcsum`).
    Remote,
}

impl Encapsulation {
    /// In one word, for an atomic.
    const fn pack(self) -> u32 {
        match self {
            Self::Ipip => 0,
            Self::Gue { port, checksum } => 1 << 24 | (checksum as u32) << 16 | port as u32,
            Self::Gre { checksum } => 2 << 24 | checksum as u32,
        }
    }

    const fn unpack(word: u32) -> Self {
        match word >> 24 {
            1 => Self::Gue {
                port: word as u16,
                checksum: match word >> 16 & 3 {
                    0 => GueChecksum::None,
                    1 => GueChecksum::Full,
                    _ => GueChecksum::Remote,
                },
            },
            2 => Self::Gre {
                checksum: word & 1 != 0,
            },
            _ => Self::Ipip,
        }
    }
}

/// What a destination is configured with, its address apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct DestOptions {
    /// The forwarding method of new connections.
    pub method: Method,
    /// 0 to 2³¹−1; 0 takes no new connections (quiesced).
    pub weight: u32,
    /// The kind of tunnel, where the method is one.
    pub encapsulation: Encapsulation,
    /// At this many connections it counts as overloaded (`-x`, IPVS's u_threshold); 0 is no limit.
    pub upper: u32,
    /// Below this many it does not any more (`-y`); 0 stands for three quarters of `upper`. At most `upper`.
    pub lower: u32,
}

impl DestOptions {
    /// A destination without thresholds; a tunnel is IPIP.
    pub const fn new(method: Method, weight: u32) -> Self {
        Self {
            method,
            weight,
            encapsulation: Encapsulation::Ipip,
            upper: 0,
            lower: 0,
        }
    }
}

/// A destination as configured.
#[derive(Clone, Debug)]
pub struct Dest {
    options: DestOptions,
    last_weight: u32,
    pub(crate) live: Arc<DestLive>,
}

impl Dest {
    pub(crate) fn new(options: DestOptions, live: Arc<DestLive>) -> Self {
        Self {
            options,
            last_weight: options.weight,
            live,
        }
    }

    /// Takes other options.
    pub(crate) fn configure(&mut self, options: DestOptions) {
        self.options = options;
        if options.weight > 0 {
            self.last_weight = options.weight;
        }
    }

    /// A destination outside any director, for whoever only wants to schedule (a proxy, a test): counts are
    /// then kept with [`DestLive::bind`].
    pub fn detached(addr: Endpoint, weight: u32) -> Self {
        let mut one = Self::group(addr, &[(addr, weight)]);
        one.swap_remove(0)
    }

    /// The destinations of one service outside any director, in list order. Schedulers that keep an index do so
    /// only for destinations of one service.
    pub fn group(service: Endpoint, servers: &[(Endpoint, u32)]) -> Vec<Self> {
        let service = Arc::new(ServiceLive::new(ServiceKey::tcp(service), 1));
        let dest = |&(addr, weight): &(Endpoint, u32)| {
            let live = Arc::new(DestLive::new(addr, service.clone(), 1));
            Self::new(DestOptions::new(Method::Nat, weight), live)
        };
        servers.iter().map(dest).collect()
    }

    /// The same destination with another weight, its counts shared.
    pub fn with_weight(&self, weight: u32) -> Self {
        let mut dest = self.clone();
        dest.configure(DestOptions {
            weight,
            ..self.options
        });
        dest
    }

    /// Copies of a service's destinations with counts of their own, as they are now: for asking what would be if.
    pub fn copies(dests: &[Self]) -> Vec<Self> {
        let Some(first) = dests.first() else {
            return Vec::new();
        };
        let service = Arc::new(ServiceLive::new(first.live.service.key(), 1));
        let copy = |dest: &Self| Self {
            live: Arc::new(DestLive::copy(&dest.live, service.clone())),
            ..dest.clone()
        };
        dests.iter().map(copy).collect()
    }

    /// The real server's address and port. Port 0: the packet's own port is kept.
    pub fn addr(&self) -> Endpoint {
        self.live.addr
    }

    /// What it is configured with.
    pub fn options(&self) -> &DestOptions {
        &self.options
    }

    /// The weight, 0 to 2³¹−1; 0 takes no new connections (quiesced).
    pub fn weight(&self) -> u32 {
        self.options.weight
    }

    /// The last weight that was not 0, or 0 if it has never had another since it was added (IPVS: mh keeps a
    /// quiesced server's share of its table).
    pub fn last_weight(&self) -> u32 {
        self.last_weight
    }

    /// The forwarding method new connections get.
    pub fn method(&self) -> Method {
        self.options.method
    }

    /// Whether a scheduler may choose it: its weight is not 0 and it is not overloaded.
    pub fn is_eligible(&self) -> bool {
        self.options.weight > 0 && !self.live.is_overloaded()
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
    /// Its number in [`Changes`](crate::changes::Changes).
    slot: u32,
    available: AtomicBool,
    overloaded: AtomicBool,
    active: AtomicI64,
    inactive: AtomicI64,
    persistent: AtomicI64,
    /// The weight as published, for packets of existing connections.
    weight: AtomicU32,
    /// Upper threshold in the high half, the effective lower one in the low half.
    thresholds: AtomicU64,
    encapsulation: AtomicU32,
    method: AtomicU8,
    stats: Stats,
    copied: Option<Arc<Self>>,
}

impl DestLive {
    pub(crate) fn new(addr: Endpoint, service: Arc<ServiceLive>, stripes: usize) -> Self {
        Self {
            addr,
            slot: service.changes().next_slot(),
            service,
            available: AtomicBool::new(true),
            overloaded: AtomicBool::new(false),
            active: AtomicI64::new(0),
            inactive: AtomicI64::new(0),
            persistent: AtomicI64::new(0),
            weight: AtomicU32::new(1),
            thresholds: AtomicU64::new(0),
            encapsulation: AtomicU32::new(0),
            method: AtomicU8::new(Method::Nat as u8),
            stats: Stats::new(stripes),
            copied: None,
        }
    }

    /// A copy under a copy of its service, with statistics of its own that begin at zero.
    fn copy(original: &Arc<Self>, service: Arc<ServiceLive>) -> Self {
        Self {
            available: AtomicBool::new(original.is_available()),
            overloaded: AtomicBool::new(original.is_overloaded()),
            active: AtomicI64::new(original.active.load(Relaxed)),
            inactive: AtomicI64::new(original.inactive.load(Relaxed)),
            persistent: AtomicI64::new(original.persistent.load(Relaxed)),
            weight: AtomicU32::new(original.weight.load(Relaxed)),
            thresholds: AtomicU64::new(original.thresholds.load(Relaxed)),
            encapsulation: AtomicU32::new(original.encapsulation.load(Relaxed)),
            method: AtomicU8::new(original.method.load(Relaxed)),
            copied: Some(original.clone()),
            ..Self::new(original.addr, service, 1)
        }
    }

    /// Whether both are live halves of the same destination, or copies of it.
    pub fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.original(), other.original())
    }

    fn original(&self) -> &Self {
        self.copied.as_deref().unwrap_or(self)
    }

    /// The real server's address and port.
    pub fn addr(&self) -> Endpoint {
        self.addr
    }

    /// The service it belongs to.
    pub fn service(&self) -> &Arc<ServiceLive> {
        &self.service
    }

    /// Its number in its service's [`Changes`](crate::changes::Changes).
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// Whether it is still part of its service (false once removed).
    pub fn is_available(&self) -> bool {
        self.available.load(Relaxed)
    }

    pub(crate) fn set_available(&self, yes: bool) {
        self.available.store(yes, Relaxed);
    }

    /// Whether it has had as many connections as its upper threshold, and not yet gone below the lower one.
    pub fn is_overloaded(&self) -> bool {
        self.overloaded.load(Relaxed)
    }

    /// The weight as last published.
    pub fn weight(&self) -> u32 {
        self.weight.load(Relaxed)
    }

    /// The forwarding method as last published.
    pub fn method(&self) -> Method {
        Method::unpack(self.method.load(Relaxed))
    }

    /// The kind of tunnel as last published.
    pub fn encapsulation(&self) -> Encapsulation {
        Encapsulation::unpack(self.encapsulation.load(Relaxed))
    }

    /// Takes over what has been configured.
    pub(crate) fn publish(&self, options: &DestOptions) {
        self.weight.store(options.weight, Relaxed);
        self.method.store(options.method as u8, Relaxed);
        self.encapsulation
            .store(options.encapsulation.pack(), Relaxed);
        let lower = match options.lower {
            0 => options.upper - (options.upper >> 2),
            lower => lower,
        };
        let thresholds = u64::from(options.upper) << 32 | u64::from(lower);
        if self.thresholds.swap(thresholds, Relaxed) != thresholds {
            self.judge(true, true);
            self.service.changes().mark(self.slot);
        }
    }

    /// Sets or clears the overload flag as the connections demand (IPVS: set at the upper threshold when a
    /// connection is bound, cleared below the lower one when one is unbound).
    fn judge(&self, may_set: bool, may_clear: bool) {
        // Ordered with the mark in `Changes`, as counts are.
        let thresholds = self.thresholds.load(Relaxed);
        let (upper, lower) = (thresholds >> 32, thresholds & 0xffff_ffff);
        let connections = self.active() + self.inactive();
        if may_set && upper != 0 && connections >= upper {
            self.overloaded.store(true, SeqCst);
        } else if may_clear && (upper == 0 || connections < lower) {
            self.overloaded.store(false, SeqCst);
        }
    }

    /// Connections in an active state.
    pub fn active(&self) -> u64 {
        u64::try_from(self.active.load(Relaxed)).unwrap_or(0)
    }

    /// Connections in an inactive state.
    pub fn inactive(&self) -> u64 {
        u64::try_from(self.inactive.load(Relaxed)).unwrap_or(0)
    }

    /// Persistence templates that lead to it.
    pub fn persistent(&self) -> u64 {
        u64::try_from(self.persistent.load(Relaxed)).unwrap_or(0)
    }

    /// Packets, bytes and connections.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// A connection was bound (+1) or unbound (−1) while it counted as `active`.
    pub fn bind(&self, active: bool, by: i64) {
        self.count(active, by);
        if self.thresholds.load(Relaxed) != 0 {
            self.judge(by > 0, by < 0);
        }
        self.service.changes().mark(self.slot);
    }

    fn count(&self, active: bool, by: i64) {
        // Ordered with the mark in `Changes`: whoever takes the mark sees the count.
        if active { &self.active } else { &self.inactive }.fetch_add(by, SeqCst);
    }

    /// A connection became active, or ceased to be.
    pub(crate) fn set_active(&self, active: bool) {
        self.count(active, 1);
        self.count(!active, -1);
        self.service.changes().mark(self.slot);
    }

    /// A template was made (+1) or went (−1).
    pub(crate) fn bind_template(&self, by: i64) {
        self.persistent.fetch_add(by, Relaxed);
    }

    /// Sets the counts as if connections had been made: for tests and benches of schedulers.
    #[doc(hidden)]
    pub fn set_counts(&self, active: u64, inactive: u64) {
        let count = |n| i64::try_from(n).unwrap_or(i64::MAX);
        self.active.store(count(active), SeqCst);
        self.inactive.store(count(inactive), SeqCst);
        self.service.changes().mark(self.slot);
    }

    /// Sets the overload flag: for tests of schedulers.
    #[doc(hidden)]
    pub fn set_overloaded(&self, yes: bool) {
        self.overloaded.store(yes, SeqCst);
        self.service.changes().mark(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dest(upper: u32, lower: u32) -> Dest {
        let d = Dest::detached("10.0.0.1:80".parse().unwrap(), 1);
        let options = DestOptions {
            upper,
            lower,
            ..DestOptions::new(Method::Nat, 1)
        };
        d.live.publish(&options);
        d
    }

    #[test]
    fn overload_has_a_hysteresis() {
        // (upper, lower, clears at): the worked examples of IPVS's rule
        for (upper, lower, clears) in [
            (10, 0, 7),
            (100, 0, 74),
            (3, 0, 2),
            (1, 0, 0),
            (100, 50, 49),
        ] {
            let d = dest(upper, lower);
            for n in 1..=upper {
                assert!(d.is_eligible(), "{n} of {upper}");
                d.live.bind(n % 2 == 0, 1);
            }
            for n in (0..upper).rev() {
                assert!(!d.is_eligible(), "{n} of {upper}");
                d.live.bind((n + 1) % 2 == 0, -1);
                if n == clears {
                    break;
                }
            }
            assert!(d.is_eligible(), "{upper} {lower} clears at {clears}");
        }
    }

    #[test]
    fn changed_thresholds_apply_at_once() {
        let d = dest(0, 0);
        for _ in 0..5 {
            d.live.bind(true, 1);
        }
        let with = |upper, lower| DestOptions {
            upper,
            lower,
            ..DestOptions::new(Method::Nat, 1)
        };
        for (upper, lower, overloaded) in [
            (5, 0, true),
            (7, 5, true),
            (7, 6, false),
            (6, 2, false),
            (4, 0, true),
            (0, 0, false),
        ] {
            d.live.publish(&with(upper, lower));
            assert_eq!(d.live.is_overloaded(), overloaded, "{upper} {lower}");
        }
    }

    #[test]
    fn the_last_weight_outlives_weight_0() {
        let added = |weight| Dest::detached("10.0.0.1:80".parse().unwrap(), weight);
        let quiesced = added(3).with_weight(0);
        assert_eq!((quiesced.weight(), quiesced.last_weight()), (0, 3));
        assert_eq!(quiesced.with_weight(5).last_weight(), 5);
        assert_eq!(added(0).last_weight(), 0);
    }

    #[test]
    fn thresholds_that_change_the_flag_are_told_to_an_index() {
        let d = dest(0, 0);
        let changes = d.live.service.changes();
        changes.watch();
        d.live.bind(true, 1);
        changes.take(|_| ());
        d.live.publish(&DestOptions {
            upper: 1,
            ..DestOptions::new(Method::Nat, 1)
        });
        let mut told = Vec::new();
        changes.take(|bit| told.push(bit));
        assert_eq!((d.live.is_overloaded(), told), (true, vec![d.live.slot]));
    }

    #[test]
    fn a_method_survives_packing() {
        use Method::*;
        for m in [Nat, DirectRoute, Tunnel, FullNat, Bypass] {
            assert_eq!(Method::unpack(m as u8), m);
        }
    }

    #[test]
    fn an_encapsulation_survives_packing() {
        let gue = |checksum| Encapsulation::Gue {
            port: 65535,
            checksum,
        };
        for e in [
            Encapsulation::Ipip,
            gue(GueChecksum::None),
            gue(GueChecksum::Full),
            gue(GueChecksum::Remote),
            Encapsulation::Gre { checksum: false },
            Encapsulation::Gre { checksum: true },
        ] {
            assert_eq!(Encapsulation::unpack(e.pack()), e);
        }
    }
}
