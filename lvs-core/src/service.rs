//! Virtual services.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::addr::{Endpoint, Family, Ip};
use crate::changes::Changes;
use crate::dest::{Dest, DestLive};
use crate::sched::Scheduler;
use crate::segment::Protocol;
use crate::state::{State, Timeouts};
use crate::stats::Stats;

/// What identifies a virtual service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "there are these two in IPVS")]
pub enum ServiceKey {
    /// An address.
    Addr {
        /// TCP, UDP or SCTP.
        protocol: Protocol,
        /// The virtual address (VIP) and port. Port 0, for persistent services only, stands for all ports that no
        /// other service has.
        addr: Endpoint,
    },
    /// A firewall mark: all packets, of whatever protocol, that a classifier marked so.
    Mark {
        /// The family of the packets.
        family: Family,
        /// The mark, not 0.
        mark: u32,
    },
}

impl ServiceKey {
    /// A TCP service.
    pub const fn tcp(addr: Endpoint) -> Self {
        Self::new(Protocol::TCP, addr)
    }

    /// A UDP service.
    pub const fn udp(addr: Endpoint) -> Self {
        Self::new(Protocol::UDP, addr)
    }

    /// A service of an address.
    pub const fn new(protocol: Protocol, addr: Endpoint) -> Self {
        Self::Addr { protocol, addr }
    }

    /// The family of the packets it serves.
    pub fn family(&self) -> Family {
        match self {
            Self::Addr { addr, .. } => addr.ip.family(),
            Self::Mark { family, .. } => *family,
        }
    }

    /// The virtual address and port, unless the service is of a mark.
    pub const fn addr(&self) -> Option<Endpoint> {
        match self {
            Self::Addr { addr, .. } => Some(*addr),
            Self::Mark { .. } => None,
        }
    }

    /// The port, 0 for a service of a mark (IPVS).
    pub const fn port(&self) -> u16 {
        match self {
            Self::Addr { addr, .. } => addr.port,
            Self::Mark { .. } => 0,
        }
    }

    /// The protocol, unless the service is of a mark.
    pub const fn protocol(&self) -> Option<Protocol> {
        match self {
            Self::Addr { protocol, .. } => Some(*protocol),
            Self::Mark { .. } => None,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr { protocol, addr } => write!(f, "{protocol} {addr}"),
            Self::Mark { family, mark } => {
                let family = match family {
                    Family::V4 => "",
                    Family::V6 => " IPv6",
                };
                write!(f, "FWM {mark}{family}")
            }
        }
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a service keeps a client on one real server (ipvsadm: `-p`, `-M`, `--pe`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Persistence {
    /// For how long after a client's last new connection, 1 s to 31 days.
    pub timeout: Duration,
    /// Clients whose addresses have this many leading bits in common count as one: 1 to 32 or 128.
    pub prefix: u8,
    /// What else must be equal.
    pub engine: Option<Engine>,
}

/// A persistence engine: recognises clients by more than their address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// SIP over UDP: by Call-ID, which [`Segment::tag`](crate::Segment::tag) stands for.
    Sip,
}

impl Engine {
    /// The name by which it is configured.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sip => "sip",
        }
    }
}

/// What a service is configured with, besides its scheduler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct ServiceOptions {
    /// Whether and how clients are kept on one server.
    pub persistence: Option<Persistence>,
    /// Every UDP packet is scheduled anew and no connection remembered (ipvsadm: `-o`).
    pub one_packet: bool,
    /// The local addresses of FullNAT.
    pub local_addrs: Arc<[LocalAddr]>,
    /// How long its connections are kept without traffic, where it is not as long as others'.
    pub timeouts: ServiceTimeouts,
}

impl ServiceOptions {
    /// Local addresses for FullNAT, and nothing else.
    pub fn with_local_addrs(addrs: &[LocalAddr]) -> Self {
        Self {
            local_addrs: addrs.into(),
            ..Self::default()
        }
    }
}

/// Timeouts of one service's connections, 1 s to 31 days each, in place of the director's
/// ([`Draft::set_timeouts`](crate::Draft::set_timeouts)); `None` leaves the director's. They are the three that ipvsadm's
/// `--set` has. Not IPVS's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct ServiceTimeouts {
    /// Of established TCP connections.
    pub tcp: Option<Duration>,
    /// Of TCP connections in FIN_WAIT.
    pub tcp_fin: Option<Duration>,
    /// Of UDP flows.
    pub udp: Option<Duration>,
}

impl ServiceTimeouts {
    /// Those of the three that are given.
    pub fn given(&self) -> impl Iterator<Item = Duration> + use<> {
        [self.tcp, self.tcp_fin, self.udp].into_iter().flatten()
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
    pub(crate) options: ServiceOptions,
    pub(crate) dests: Vec<Dest>,
    pub(crate) scheduler: Box<dyn Scheduler>,
    bypass: OnceLock<Arc<DestLive>>,
}

impl Service {
    pub(crate) fn new(
        live: Arc<ServiceLive>,
        options: ServiceOptions,
        dests: Vec<Dest>,
        scheduler: Box<dyn Scheduler>,
    ) -> Self {
        Self {
            live,
            options,
            dests,
            scheduler,
            bypass: OnceLock::new(),
        }
    }

    /// Stands for the server of connections that have none and go to where the client wanted (IPVS: `cache_bypass`).
    pub(crate) fn bypass(&self) -> &Arc<DestLive> {
        self.bypass.get_or_init(|| {
            let nowhere = Endpoint::new(Ip::UNSPECIFIED, 0);
            Arc::new(DestLive::new(nowhere, self.live.clone(), 1))
        })
    }

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

    /// What it is configured with, besides its scheduler.
    pub fn options(&self) -> &ServiceOptions {
        &self.options
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
    changes: Changes,
    /// [`ServiceTimeouts`] as published, in milliseconds; 0 is the director's.
    timeouts: [AtomicU32; 3],
}

impl ServiceLive {
    pub(crate) fn new(key: ServiceKey, stripes: usize) -> Self {
        Self {
            key,
            stats: Stats::new(stripes),
            changes: Changes::default(),
            timeouts: [const { AtomicU32::new(0) }; 3],
        }
    }

    /// Takes over what has been configured.
    pub(crate) fn publish(&self, timeouts: &ServiceTimeouts) {
        let ServiceTimeouts { tcp, tcp_fin, udp } = *timeouts;
        for (live, timeout) in self.timeouts.iter().zip([tcp, tcp_fin, udp]) {
            let ms = timeout.map_or(0, |t| t.min(Timeouts::MAX).as_millis());
            live.store(u32::try_from(ms).unwrap_or(u32::MAX), Relaxed);
        }
    }

    /// Its own timeout of connections in this state, as published.
    pub(crate) fn timeout(&self, state: State) -> Option<Duration> {
        let [tcp, tcp_fin, udp] = &self.timeouts;
        let own = match state {
            State::Established => tcp,
            State::FinWait => tcp_fin,
            State::Udp => udp,
            _ => return None,
        };
        match own.load(Relaxed) {
            0 => None,
            ms => Some(Duration::from_millis(ms.into())),
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

    /// Which of its destinations' counts have changed.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }
}
