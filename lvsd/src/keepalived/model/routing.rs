//! Routes and rules that the daemon puts into the kernel's tables: static ones at its start, virtual ones while it is master.
//! They are the kernel's (rtnetlink), written as iproute2 writes them.

use std::net::IpAddr;
use std::time::Duration;

use lvs_core::Family;

use super::{At, Prefix, Scope};

/// A number that files of iproute2 (`rt_tables`, `rt_protos` …) may give a name; names are looked up when it is used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a number or a name")]
pub enum Named {
    /// By number.
    Number(u32),
    /// By name.
    Name(String),
}

impl Named {
    /// A number if it is one, decimal or hexadecimal, else a name.
    pub fn parse(text: &str) -> Self {
        let number = match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => text.parse(),
        };
        match number {
            Ok(number) => Self::Number(number),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

/// A line of `virtual_routes` or `static_routes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What becomes of packets.
    pub kind: RouteKind,
    /// The family of the packets.
    pub family: Family,
    /// Where they are bound for; `default` is everything.
    pub to: Prefix,
    /// The next hop, unless there are several in `hops`.
    pub via: Option<At<IpAddr>>,
    /// The interface; `None`: as the kernel finds it.
    pub interface: Option<At<String>>,
    /// The source address of what the host sends itself.
    pub source: Option<IpAddr>,
    /// Only for packets from there (IPv6).
    pub from: Option<Prefix>,
    /// Only for packets with this type of service.
    pub tos: Option<Named>,
    /// The table; `None`: main.
    pub table: Option<Named>,
    /// Who made it; `None`: keepalived (18). Any other is not watched.
    pub protocol: Option<Named>,
    /// How far the destination is.
    pub scope: Option<Scope>,
    /// The lower, the better.
    pub metric: Option<u32>,
    /// The next hop is taken to be on the link.
    pub onlink: bool,
    /// What is put around packets.
    pub encapsulation: Option<Encapsulation>,
    /// The kernel removes it after that (IPv6).
    pub expires: Option<Duration>,
    /// RTAX_* values.
    pub metrics: Vec<RouteMetric>,
    /// `realms [FROM/]TO` (IPv4).
    pub realms: Option<String>,
    /// Preference among routers (IPv6).
    pub preference: Option<RoutePreference>,
    /// Whether MPLS copies the TTL (`ttl-propagate`).
    pub ttl_propagate: Option<bool>,
    /// The VRF that it belongs to.
    pub vrf: Option<String>,
    /// Where it goes among equals.
    pub placing: Placing,
    /// Several next hops.
    pub hops: Vec<NextHop>,
    /// Whether it matters that somebody else removes it (not `no_track`).
    pub tracked: bool,
    /// The instances of this group are in fault while it is gone (static ones only).
    pub track_group: Option<At<String>>,
    /// Where it is written.
    pub span: At<()>,
}

/// What a route does (RTN_*).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the kernel's types")]
pub enum RouteKind {
    /// Forwards.
    #[default]
    Unicast,
    /// To the host itself.
    Local,
    /// To all on the link.
    Broadcast,
    /// To a group.
    Multicast,
    /// Goes on in the next table.
    Throw,
    /// Drops, and says that there is no such host.
    Unreachable,
    /// Drops, and says that it is forbidden.
    Prohibit,
    /// Drops in silence.
    Blackhole,
    /// As the kernel once had it.
    Nat,
    /// To the nearest.
    Anycast,
}

impl RouteKind {
    /// By name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "unicast" => Self::Unicast,
            "local" => Self::Local,
            "broadcast" => Self::Broadcast,
            "multicast" => Self::Multicast,
            "throw" => Self::Throw,
            "unreachable" => Self::Unreachable,
            "prohibit" => Self::Prohibit,
            "blackhole" => Self::Blackhole,
            "nat" => Self::Nat,
            "anycast" => Self::Anycast,
            _ => return None,
        })
    }

    /// Whether packets go to a next hop or interface.
    pub const fn forwards(self) -> bool {
        matches!(self, Self::Unicast | Self::Multicast | Self::Anycast)
    }
}

/// Where a route goes among equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum Placing {
    /// Only if there is none.
    Add,
    /// Behind them.
    Append,
    /// Before them.
    #[default]
    Prepend,
}

/// A route's preference among routers (RFC 4191).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the RFC has these three")]
pub enum RoutePreference {
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
}

/// One of a route's RTAX_* values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteMetric {
    /// Which.
    pub kind: MetricKind,
    /// Its value; times are in milliseconds.
    pub value: MetricValue,
    /// The kernel keeps it as it is.
    pub lock: bool,
}

/// What a route's RTAX_* value holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the kernel has these two")]
pub enum MetricValue {
    /// A number.
    Number(u32),
    /// A name (`congctl`).
    Name(String),
}

/// The kernel's RTAX_* values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// `mtu`
    Mtu,
    /// `hoplimit`
    HopLimit,
    /// `advmss`
    AdvMss,
    /// `rtt`
    Rtt,
    /// `rttvar`
    RttVar,
    /// `reordering`
    Reordering,
    /// `window`
    Window,
    /// `cwnd`
    Cwnd,
    /// `ssthresh`
    SsThresh,
    /// `rto_min`
    RtoMin,
    /// `initcwnd`
    InitCwnd,
    /// `initrwnd`
    InitRwnd,
    /// `features`, as bits: 1 is ecn
    Features,
    /// `quickack`
    QuickAck,
    /// `congctl`
    CongCtl,
    /// `fastopen_no_cookie`
    FastOpenNoCookie,
}

impl MetricKind {
    /// By its word.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "mtu" => Self::Mtu,
            "hoplimit" => Self::HopLimit,
            "advmss" => Self::AdvMss,
            "rtt" => Self::Rtt,
            "rttvar" => Self::RttVar,
            "reordering" => Self::Reordering,
            "window" => Self::Window,
            "cwnd" => Self::Cwnd,
            "ssthresh" => Self::SsThresh,
            "rto_min" => Self::RtoMin,
            "initcwnd" => Self::InitCwnd,
            "initrwnd" => Self::InitRwnd,
            "features" => Self::Features,
            "quickack" => Self::QuickAck,
            "congctl" => Self::CongCtl,
            "fastopen_no_cookie" => Self::FastOpenNoCookie,
            _ => return None,
        })
    }

    /// Whether its value is a time.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Rtt | Self::RttVar | Self::RtoMin)
    }

    /// Whether `lock` may stand before its value.
    pub const fn may_lock(self) -> bool {
        !matches!(
            self,
            Self::HopLimit
                | Self::Window
                | Self::InitCwnd
                | Self::InitRwnd
                | Self::Features
                | Self::QuickAck
                | Self::FastOpenNoCookie
        )
    }
}

/// One of several next hops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The router.
    pub via: Option<IpAddr>,
    /// The interface.
    pub interface: Option<At<String>>,
    /// Its share, 1 to 256.
    pub weight: u16,
    /// It is taken to be on the link.
    pub onlink: bool,
    /// What is put around packets.
    pub encapsulation: Option<Encapsulation>,
    /// `realms [FROM/]TO`.
    pub realms: Option<String>,
}

/// What a route puts around packets: the kind and its words, which the kernel's light-weight tunnels define.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Encapsulation {
    /// Which.
    pub kind: EncapsulationKind,
    /// Its options: name and value, in order. MPLS and ILA have one, named as they are.
    pub options: Vec<(String, String)>,
}

/// The kernel's light-weight tunnels that the language knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the language has these four")]
pub enum EncapsulationKind {
    /// `ip`
    Ip,
    /// `ip6`
    Ip6,
    /// `mpls`
    Mpls,
    /// `ila`
    Ila,
}

impl EncapsulationKind {
    /// By name.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ip" => Self::Ip,
            "ip6" => Self::Ip6,
            "mpls" => Self::Mpls,
            "ila" => Self::Ila,
            _ => return None,
        })
    }
}

/// A line of `virtual_rules` or `static_rules`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The family of the packets; `None`: nothing in it says which, so it is IPv4 for the kernel.
    pub family: Option<Family>,
    /// What is done with packets that fit.
    pub action: RuleAction,
    /// Its place among rules, which every rule of a whole configuration has; `None`: the kernel's choice.
    pub preference: Option<u32>,
    /// What a packet must be.
    pub matches: Vec<RuleMatch>,
    /// A route found by it does not count if its prefix is so short.
    pub suppress_prefix: Option<u32>,
    /// A route found by it does not count if its interface is in this group.
    pub suppress_group: Option<Named>,
    /// `realms [FROM/]TO`.
    pub realms: Option<String>,
    /// Who made it; `None`: keepalived (18).
    pub protocol: Option<Named>,
    /// Whether it matters that somebody else removes it (not `no_track`).
    pub tracked: bool,
    /// The instances of this group are in fault while it is gone (static ones only).
    pub track_group: Option<At<String>>,
    /// Where it is written.
    pub span: At<()>,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the kernel's actions")]
pub enum RuleAction {
    /// Looks into a table.
    Table(Named),
    /// Goes on with the rule of this preference.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drops in silence.
    Blackhole,
    /// Drops, and says that it is forbidden.
    Prohibit,
    /// Drops, and says that there is no such host.
    Unreachable,
    /// Looks into the table of the interface's master (`l3mdev`).
    MasterDevice,
}

/// What a packet must be for a rule to count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RuleMatch {
    /// From there.
    From(Prefix),
    /// To there.
    To(Prefix),
    /// With this type of service.
    Tos(Named),
    /// With these bits of its mark.
    Mark {
        /// Their values.
        value: u32,
        /// Which.
        mask: u32,
    },
    /// Come in there.
    InputInterface(At<String>),
    /// Sent by a socket that is bound to it.
    OutputInterface(At<String>),
    /// From the tunnel of this number.
    Tunnel(u64),
    /// Of a process of these users.
    Users(u32, u32),
    /// Of this protocol.
    Protocol(Named),
    /// From a port from one to the other.
    SourcePorts(u16, u16),
    /// To a port from one to the other.
    DestPorts(u16, u16),
}
