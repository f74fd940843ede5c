//! The way on: interfaces, routes and neighbours as the kernel has them, in one immutable snapshot.
//!
//! The control plane (`io::netlink` in lvsd) keeps a [`Topology`] up to date and publishes a new one at each change;
//! the packet path only reads it.

use std::collections::HashMap;
use std::fmt;

use lvs_core::{Family, Ip};

use crate::frame::PortId;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it addresses a group (broadcast included).
    pub const fn is_multicast(&self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An interface that is a port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Interface {
    /// Which port it is.
    pub port: PortId,
    /// The kernel's number of it.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: Mac,
    /// The longest IP packet it carries.
    pub mtu: u32,
    /// The host's addresses on it.
    pub addrs: Vec<Ip>,
}

/// One route.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Route {
    /// The network's address.
    pub dst: Ip,
    /// How many leading bits of it count: 0–32 for IPv4, 0–128 for IPv6.
    pub prefix_len: u8,
    /// Lower is preferred among equally long prefixes.
    pub metric: u32,
    /// The interface it leaves by; one that is no port makes the route unusable for us.
    pub ifindex: u32,
    /// The gateway, or `None` if destinations are on the link.
    pub gateway: Option<Ip>,
    /// The source address the route prefers.
    pub prefsrc: Option<Ip>,
    /// The route's own MTU, if it has one.
    pub mtu: Option<u32>,
}

/// Everything needed to send to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct NextHop {
    /// The port to send on.
    pub port: PortId,
    /// Our Ethernet address there.
    pub src_mac: Mac,
    /// The next hop's Ethernet address.
    pub dst_mac: Mac,
    /// The longest IP packet that way.
    pub mtu: u32,
}

/// What is known of the way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the packet path handles every case"
)]
pub enum Resolution {
    /// Ready to send.
    Ready(NextHop),
    /// The kernel must be asked to resolve `next_hop` on this interface.
    Unresolved {
        /// The interface.
        ifindex: u32,
        /// The gateway, or the destination itself.
        next_hop: Ip,
    },
    /// The address is the host's own.
    Local,
    /// No route leads there by any of our ports.
    NoRoute,
}

/// Interfaces, routes and neighbours at one moment.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    pub(crate) interfaces: Vec<Interface>,
    /// Every address of the host, on whatever interface.
    pub(crate) local: std::collections::HashSet<Ip>,
    pub(crate) routes: HashMap<Family, Vec<Route>>,
    pub(crate) neighbours: HashMap<(u32, Ip), Mac>,
}
