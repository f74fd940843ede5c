//! Addresses that the daemon puts on interfaces: static ones at its start, virtual ones while it is master.

use std::net::{IpAddr, Ipv4Addr};

use super::At;

/// A line of `virtual_ipaddress`, `virtual_ipaddress_excluded` or `static_ipaddress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address and its prefix.
    pub addr: Prefix,
    /// The other end's, on a point-to-point interface.
    pub peer: Option<Prefix>,
    /// The broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// The interface; `None`: the instance's, and there is one.
    pub interface: Option<At<String>>,
    /// How far it is valid.
    pub scope: Scope,
    /// Its label, at most 15 bytes (IPv4).
    pub label: Option<String>,
    /// The kernel's flags.
    pub flags: AddressFlags,
    /// How long it is preferred, in seconds; `None`: for ever; 0: it is never chosen as a source.
    pub preferred: Option<u32>,
    /// Whether it matters that somebody else removes it (not `no_track`).
    pub tracked: bool,
    /// It is put on a VMAC of the interface (virtual ones only).
    pub vmac: bool,
    /// The instances of this group are in fault while it is gone (static ones only).
    pub track_group: Option<At<String>>,
    /// Where it is written.
    pub span: At<()>,
}

/// An address with the length of its network's prefix; host bits are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    /// The address.
    pub ip: IpAddr,
    /// 0 to 32, or to 128.
    pub len: u8,
}

impl Prefix {
    /// One address.
    pub const fn host(ip: IpAddr) -> Self {
        let len = if ip.is_ipv4() { 32 } else { 128 };
        Self { ip, len }
    }

    /// Whether `ip` is in this network.
    pub fn contains(self, ip: IpAddr) -> bool {
        let masked = |ip: IpAddr| lvs_core::Ip::from(ip).masked(self.len);
        self.ip.is_ipv4() == ip.is_ipv4() && masked(self.ip) == masked(ip)
    }

    /// Whether the network is more than this one address.
    pub fn is_network(self) -> bool {
        self != Self::host(self.ip)
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.ip, self.len)
    }
}

/// How far an address or a route is valid (the kernel's RT_SCOPE numbers).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the kernel's five, and the rest")]
pub enum Scope {
    /// Everywhere.
    #[default]
    Global,
    /// In the site.
    Site,
    /// On the link.
    Link,
    /// On the host.
    Host,
    /// Nowhere.
    Nowhere,
    /// By number.
    Number(u8),
}

impl Scope {
    /// By its name or number.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "global" => Self::Global,
            "site" => Self::Site,
            "link" => Self::Link,
            "host" => Self::Host,
            "nowhere" => Self::Nowhere,
            number => Self::Number(number.parse().ok()?),
        })
    }

    /// The kernel's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Global => 0,
            Self::Site => 200,
            Self::Link => 253,
            Self::Host => 254,
            Self::Nowhere => 255,
            Self::Number(n) => n,
        }
    }
}

/// The kernel's flags of addresses, each as `ip address` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressFlags {
    /// Mobile IPv6's home address.
    pub home: bool,
    /// Duplicate address detection is done, which keepalived else leaves out (its `-nodad`).
    pub dad: bool,
    /// Temporary addresses are made from it.
    pub mngtmpaddr: bool,
    /// The kernel makes no route to its network.
    pub noprefixroute: bool,
    /// Its multicast group is joined.
    pub autojoin: bool,
}
