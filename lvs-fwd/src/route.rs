//! The way on: interfaces, routes and neighbours as the kernel has them, in one immutable snapshot.
//!
//! Every forwarded packet needs a port, two Ethernet addresses and an MTU, and the kernel that knows them
//! must not be asked for each. So the control plane (`io::netlink`) keeps a copy: at each change it builds
//! a new [`Topology`] and publishes it; the packet path only reads.
//!
//! A look-up follows the kernel's order: the host's own addresses (its *local* table) come first, then
//! the longest matching prefix of the *main* table, among equally long ones the lowest metric. The chosen
//! route decides alone: one that refuses (blackhole, unreachable, prohibit) or leaves by an interface
//! that is no port means [`Resolution::NoRoute`], not the next best route. Policy routing rules and
//! tables other than these two are not followed, and of several next hops of one route the first usable
//! one is taken.
//!
//! A **macvlan** above a port (VRRP's virtual MAC, say) is an interface with an Ethernet address of its own whose frames come
//! and go by the port. So frames to its address are ours as well, and a route by it is one by the port.

mod lpm;
#[cfg(test)]
mod tests;

use std::fmt;

use lvs_core::{Family, Ip};

use self::lpm::{Lpm, Map, bits, full_length};
use crate::frame::PortId;
use crate::wire::ether::Ether;

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

/// An interface above a port whose Ethernet address is another than the port's: a macvlan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Macvlan {
    /// The port below it.
    pub port: PortId,
    /// The kernel's number of the port's interface.
    pub below: u32,
    /// The kernel's number of its own.
    pub ifindex: u32,
    /// Its Ethernet address.
    pub mac: Mac,
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
    /// The interface it leaves by. A route by one that is no port is unusable for us, and so is one by
    /// interface 0, as which blackhole, unreachable and prohibit routes are given.
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
    interfaces: Vec<Interface>,
    macvlans: Vec<Macvlan>,
    v4: Tables,
    v6: Tables,
    neighbours: Map<(u32, u128), Mac>,
}

impl Topology {
    /// An empty topology to put interfaces, routes and neighbours into.
    pub fn builder() -> TopologyBuilder {
        TopologyBuilder::default()
    }

    /// How to reach `dst`. IPv6 link-local destinations are ambiguous without an interface and are
    /// looked for on the first one that routes them; link-local *gateways* are not, since their route
    /// names the interface.
    #[inline]
    pub fn resolve(&self, dst: Ip) -> Resolution {
        let tables = self.tables(dst.family());
        match tables.local.get(bits(dst)) {
            Some(Owned::Address) => return Resolution::Local,
            Some(Owned::Broadcast) => return Resolution::NoRoute,
            None => {}
        }
        if dst.is_loopback() {
            return Resolution::Local;
        }
        if dst.is_multicast() {
            return Resolution::NoRoute;
        }
        let Some(way) = tables.routes.get(bits(dst)) else {
            return Resolution::NoRoute;
        };
        let Some(out) = self.outgoing(way) else {
            return Resolution::NoRoute;
        };
        let next_hop = way.gateway.unwrap_or(dst);
        match self.neighbours.get(&(out.ifindex, bits(next_hop))) {
            Some(&dst_mac) => Resolution::Ready(NextHop {
                port: out.port,
                src_mac: out.mac,
                dst_mac,
                mtu: way.mtu,
            }),
            None => Resolution::Unresolved {
                ifindex: out.ifindex,
                next_hop,
            },
        }
    }

    /// The interface and the address on its link that lead to `dst`, resolved or not: what the kernel
    /// should keep an Ethernet address for. `None` where [`Self::resolve`] says local or no route.
    pub fn next_hop(&self, dst: Ip) -> Option<(u32, Ip)> {
        match self.resolve(dst) {
            Resolution::Unresolved { ifindex, next_hop } => Some((ifindex, next_hop)),
            Resolution::Ready(_) => {
                let way = self.tables(dst.family()).routes.get(bits(dst))?;
                let out = self.outgoing(way)?;
                Some((out.ifindex, way.gateway.unwrap_or(dst)))
            }
            Resolution::Local | Resolution::NoRoute => None,
        }
    }

    /// Whether the host holds `ip`, on whatever interface, port or not.
    #[inline]
    pub fn is_local(&self, ip: Ip) -> bool {
        let owned = self.tables(ip.family()).local.get(bits(ip));
        owned == Some(&Owned::Address) || ip.is_loopback()
    }

    /// Every single address the host holds, on whatever interface, in no particular order. Loopback
    /// addresses and whole prefixes made local by a route are not listed.
    pub fn local_addrs(&self) -> impl Iterator<Item = Ip> + '_ {
        let hosts = self.v4.local.hosts().chain(self.v6.local.hosts());
        hosts.filter_map(|(ip, owned)| (*owned == Owned::Address).then_some(ip))
    }

    /// The interface behind a port.
    #[inline]
    pub fn interface(&self, port: PortId) -> Option<&Interface> {
        // Ports are numbered in the order they are opened and mostly listed so.
        match self.interfaces.get(usize::from(port.0)) {
            Some(i) if i.port == port => Some(i),
            _ => self.interfaces.iter().find(|i| i.port == port),
        }
    }

    /// The Ethernet address by which a frame that came in by this interface is ours, if it is: that of the interface, or
    /// the frame's destination if a macvlan above has that.
    #[inline]
    pub fn own_mac(&self, interface: &Interface, frame: &[u8]) -> Mac {
        match self.macvlans.is_empty() {
            true => interface.mac,
            false => self.own_mac_among_several(interface, frame),
        }
    }

    #[inline(never)]
    fn own_mac_among_several(&self, interface: &Interface, frame: &[u8]) -> Mac {
        let to = Ether::new(frame).map(|(ether, _)| ether.dst());
        let above = |m: &&Macvlan| m.port == interface.port && Some(m.mac) == to;
        let found = self.macvlans.iter().find(above);
        found.map_or(interface.mac, |m| m.mac)
    }

    /// The macvlans above ports.
    pub fn macvlans(&self) -> &[Macvlan] {
        &self.macvlans
    }

    /// All interfaces that are ports.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// The address that packets of our own making (tunnel headers, ICMP errors) towards `dst` should
    /// carry as their source: `dst` itself if the host holds it; else what the route, or the route to its
    /// gateway, prefers; else the first address of the outgoing interface, or of any port, that has the
    /// scope for it (link-local or not). `None` if no route leads there or no address fits.
    pub fn source_for(&self, dst: Ip) -> Option<Ip> {
        if self.is_local(dst) {
            return Some(dst);
        }
        let tables = self.tables(dst.family());
        let way = tables.routes.get(bits(dst))?;
        let out = self.outgoing(way)?;
        let preferred = || {
            let gateway = way.gateway.filter(|g| g.family() == dst.family())?;
            let on_link = tables.routes.get(bits(gateway))?;
            (on_link.interface == way.interface).then_some(on_link.prefsrc)?
        };
        let fits =
            |a: &&Ip| a.family() == dst.family() && a.is_link_local_v6() == dst.is_link_local_v6();
        way.prefsrc
            .or_else(preferred)
            .or_else(|| out.addrs.iter().find(fits).copied())
            .or_else(|| {
                let all = self.interfaces.iter().flat_map(|i| &i.addrs);
                all.filter(|_| !dst.is_link_local_v6()).find(fits).copied()
            })
    }

    #[inline]
    fn tables(&self, family: Family) -> &Tables {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    #[inline]
    fn outgoing(&self, way: &Way) -> Option<&Interface> {
        self.interfaces.get(way.interface?)
    }
}

/// Collects what a [`Topology`] is made of, in any order.
#[derive(Clone, Debug, Default)]
pub struct TopologyBuilder {
    interfaces: Vec<Interface>,
    macvlans: Vec<Macvlan>,
    routes: Vec<Route>,
    local: Vec<(Ip, u8, Owned)>,
    neighbours: Vec<(u32, Ip, Mac)>,
}

impl TopologyBuilder {
    /// Adds a port's interface; its addresses are the host's.
    pub fn interface(&mut self, interface: Interface) -> &mut Self {
        self.interfaces.push(interface);
        self
    }

    /// Adds a macvlan above a port.
    pub fn macvlan(&mut self, macvlan: Macvlan) -> &mut Self {
        self.macvlans.push(macvlan);
        self
    }

    /// Adds a route. Of equally long ones with the same metric the one added first is taken.
    pub fn route(&mut self, route: Route) -> &mut Self {
        self.routes.push(route);
        self
    }

    /// Adds an address of the host on an interface that need not be a port.
    pub fn local(&mut self, ip: Ip) -> &mut Self {
        self.local_prefix(ip, full_length(ip.family()))
    }

    /// Makes all addresses of a prefix the host's (`ip route add local …`).
    pub fn local_prefix(&mut self, ip: Ip, prefix_len: u8) -> &mut Self {
        self.local.push((ip, prefix_len, Owned::Address));
        self
    }

    /// Adds a broadcast address of one of the host's networks; nothing is ever sent there.
    pub fn broadcast(&mut self, ip: Ip) -> &mut Self {
        self.local
            .push((ip, full_length(ip.family()), Owned::Broadcast));
        self
    }

    /// Says which Ethernet address an address on an interface's link has.
    pub fn neighbour(&mut self, ifindex: u32, ip: Ip, mac: Mac) -> &mut Self {
        self.neighbours.push((ifindex, ip, mac));
        self
    }

    /// Puts it all together. Takes time in proportion to the number of routes and neighbours.
    pub fn build(&self) -> Topology {
        let mut t = Topology {
            interfaces: self.interfaces.clone(),
            macvlans: self.macvlans.clone(),
            ..Topology::default()
        };
        t.neighbours.extend(
            self.neighbours
                .iter()
                .map(|&(ifindex, ip, mac)| ((ifindex, bits(ip)), mac)),
        );

        // An address that is both, as in a /31 or by mistake, is the host's: it goes in first.
        let of_ports = self.interfaces.iter().flat_map(|i| &i.addrs);
        let of_ports = of_ports.map(|&ip| (ip, full_length(ip.family()), Owned::Address));
        let mut local: Vec<_> = of_ports.chain(self.local.iter().copied()).collect();
        local.sort_by_key(|&(_, _, owned)| owned == Owned::Broadcast);
        for family in [Family::V4, Family::V6] {
            let local = local.iter().filter(|(ip, ..)| ip.family() == family);
            let local = Lpm::new(family, local.map(|&(ip, len, owned)| (ip, len, owned)));

            let mut routes: Vec<_> = self
                .routes
                .iter()
                .filter(|r| r.dst.family() == family)
                .collect();
            routes.sort_by_key(|r| r.metric);
            let routes = routes.into_iter().map(|r| {
                (
                    r.dst,
                    r.prefix_len,
                    Way::new(r, &self.interfaces, &self.macvlans),
                )
            });
            let tables = Tables {
                local,
                routes: Lpm::new(family, routes),
            };
            match family {
                Family::V4 => t.v4 = tables,
                Family::V6 => t.v6 = tables,
            }
        }
        t
    }
}

/// What the kernel calls tables, of one family.
#[derive(Clone, Debug, Default)]
struct Tables {
    local: Lpm<Owned>,
    routes: Lpm<Way>,
}

/// Why an address is in the local table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owned {
    Address,
    Broadcast,
}

/// A route as the packet path wants it.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// Index of the outgoing interface, if that is a port.
    interface: Option<usize>,
    gateway: Option<Ip>,
    prefsrc: Option<Ip>,
    mtu: u32,
}

impl Way {
    fn new(route: &Route, interfaces: &[Interface], macvlans: &[Macvlan]) -> Self {
        let above = macvlans.iter().find(|m| m.ifindex == route.ifindex);
        let ifindex = above.map_or(route.ifindex, |m| m.below);
        let interface = interfaces
            .iter()
            .position(|i| i.ifindex == ifindex && ifindex != 0);
        let mtu = interface
            .and_then(|i| interfaces.get(i))
            .map_or(0, |i| i.mtu);
        Self {
            interface,
            gateway: route.gateway,
            prefsrc: route.prefsrc,
            mtu: route.mtu.map_or(mtu, |m| m.min(mtu)),
        }
    }
}
