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

use std::fmt;
use std::hash::BuildHasherDefault;

use ahash::AHasher;
use hashbrown::HashMap;
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
        [&self.v4, &self.v6].into_iter().flat_map(|t| {
            let hosts = t.local.0.iter().filter(|(mask, _)| *mask == u128::MAX);
            hosts
                .flat_map(|(_, map)| map)
                .filter(|(_, owned)| **owned == Owned::Address)
                .map(|(bits, _)| Ip::v6(bits.to_be_bytes()))
        })
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

    fn tables(&self, family: Family) -> &Tables {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    fn outgoing(&self, way: &Way) -> Option<&Interface> {
        self.interfaces.get(way.interface?)
    }
}

/// Collects what a [`Topology`] is made of, in any order.
#[derive(Clone, Debug, Default)]
pub struct TopologyBuilder {
    interfaces: Vec<Interface>,
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
            let routes = routes
                .into_iter()
                .map(|r| (r.dst, r.prefix_len, Way::new(r, &self.interfaces)));
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
    fn new(route: &Route, interfaces: &[Interface]) -> Self {
        let interface = interfaces
            .iter()
            .position(|i| i.ifindex == route.ifindex && route.ifindex != 0);
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

/// Longest-prefix match: one hash map for each prefix length in use, longest first. A host has few
/// lengths (three is usual), so this beats a trie, and it does not care how many routes there are.
#[derive(Clone, Debug)]
struct Lpm<T>(Vec<(u128, Map<u128, T>)>);

impl<T> Lpm<T> {
    /// Of entries with the same prefix the first one counts. Lengths above the family's are cut to it.
    fn new(family: Family, entries: impl Iterator<Item = (Ip, u8, T)>) -> Self {
        let mut by_mask: Vec<(u128, Map<u128, T>)> = Vec::new();
        for (ip, len, value) in entries {
            let mask = mask(family, len);
            let i = match by_mask.binary_search_by(|(m, _)| mask.cmp(m)) {
                Ok(i) => i,
                Err(i) => {
                    by_mask.insert(i, (mask, Map::default()));
                    i
                }
            };
            if let Some((_, map)) = by_mask.get_mut(i) {
                map.entry(bits(ip) & mask).or_insert(value);
            }
        }
        Self(by_mask)
    }

    #[inline]
    fn get(&self, bits: u128) -> Option<&T> {
        self.0
            .iter()
            .find_map(|(mask, map)| map.get(&(bits & mask)))
    }
}

impl<T> Default for Lpm<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The hash needs no secret seed: the kernel bounds the number of its routes and neighbours itself.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<AHasher>>;

fn bits(ip: Ip) -> u128 {
    u128::from_be_bytes(*ip.bytes())
}

const fn full_length(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

fn mask(family: Family, prefix_len: u8) -> u128 {
    let host_bits = full_length(family).saturating_sub(prefix_len);
    u128::MAX.checked_shl(u32::from(host_bits)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(s: &str) -> Ip {
        s.parse().unwrap()
    }

    const RS_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x11]);
    const GW_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x01]);

    fn interface(port: u16, addrs: &[&str]) -> Interface {
        Interface {
            port: PortId(port),
            ifindex: u32::from(port) + 10,
            name: format!("eth{port}"),
            mac: Mac([2, 0, 0, 0, 1, port as u8]),
            mtu: 1500,
            addrs: addrs.iter().map(|a| ip(a)).collect(),
        }
    }

    /// `dst/len`, out of `ifindex`; everything else as it comes from `rest`.
    fn route(dst: &str, ifindex: u32, rest: impl FnOnce(&mut Route)) -> Route {
        let (dst, len) = dst.split_once('/').unwrap();
        let mut r = Route {
            dst: ip(dst),
            prefix_len: len.parse().unwrap(),
            metric: 0,
            ifindex,
            gateway: None,
            prefsrc: None,
            mtu: None,
        };
        rest(&mut r);
        r
    }

    /// Two networks on two ports, a default route by the first, neighbours, and a tunnel device that is
    /// no port.
    fn lan() -> TopologyBuilder {
        let mut b = Topology::builder();
        b.interface(interface(0, &["10.9.0.1", "fd00:9::1", "fe80::1"]))
            .interface(interface(1, &["10.10.0.1", "fd00:10::1"]))
            .route(route("10.9.0.0/24", 10, |r| {
                r.prefsrc = Some(ip("10.9.0.1"))
            }))
            .route(route("10.10.0.0/24", 11, |r| {
                r.prefsrc = Some(ip("10.10.0.1"))
            }))
            .route(route("0.0.0.0/0", 10, |r| {
                r.gateway = Some(ip("10.9.0.254"))
            }))
            .route(route("192.0.2.0/24", 99, |_| {}))
            .route(route("fd00:10::/64", 11, |_| {}))
            .route(route("::/0", 10, |r| r.gateway = Some(ip("fe80::fe"))))
            .local(ip("172.16.0.1"))
            .broadcast(ip("10.9.0.255"))
            .neighbour(11, ip("10.10.0.11"), RS_MAC)
            .neighbour(10, ip("10.9.0.254"), GW_MAC)
            .neighbour(10, ip("fe80::fe"), GW_MAC);
        b
    }

    fn ready(port: u16, dst_mac: Mac, mtu: u32) -> Resolution {
        Resolution::Ready(NextHop {
            port: PortId(port),
            src_mac: Mac([2, 0, 0, 0, 1, port as u8]),
            dst_mac,
            mtu,
        })
    }

    fn unresolved(ifindex: u32, next_hop: &str) -> Resolution {
        Resolution::Unresolved {
            ifindex,
            next_hop: ip(next_hop),
        }
    }

    #[test]
    fn every_kind_of_destination_resolves_as_it_should() {
        let t = lan().build();
        for (dst, want) in [
            ("10.10.0.11", ready(1, RS_MAC, 1500)),
            ("10.10.0.12", unresolved(11, "10.10.0.12")),
            ("10.9.0.2", unresolved(10, "10.9.0.2")),
            ("8.8.8.8", ready(0, GW_MAC, 1500)),
            ("2001:db8::1", ready(0, GW_MAC, 1500)),
            ("fd00:10::5", unresolved(11, "fd00:10::5")),
            ("192.0.2.7", Resolution::NoRoute),
            ("10.9.0.1", Resolution::Local),
            ("fe80::1", Resolution::Local),
            ("172.16.0.1", Resolution::Local),
            ("127.8.9.1", Resolution::Local),
            ("::1", Resolution::Local),
            ("10.9.0.255", Resolution::NoRoute),
            ("224.0.0.18", Resolution::NoRoute),
            ("ff02::1", Resolution::NoRoute),
        ] {
            assert_eq!(t.resolve(ip(dst)), want, "{dst}");
            assert_eq!(t.is_local(ip(dst)), want == Resolution::Local, "{dst}");
        }
        assert_eq!(
            Topology::default().resolve(ip("10.0.0.1")),
            Resolution::NoRoute
        );
    }

    #[test]
    fn the_longest_prefix_then_the_lowest_metric_decides_alone() {
        let t = lan()
            .route(route("10.10.0.64/26", 0, |_| {})) // blackhole
            .route(route("10.10.0.64/27", 99, |_| {})) // by no port
            .route(route("10.10.0.0/24", 10, |r| r.metric = 1))
            .route(route("8.0.0.0/8", 11, |r| r.metric = 20))
            .route(route("8.0.0.0/8", 10, |r| r.metric = 10))
            .route(route("8.0.0.0/8", 0, |r| r.metric = 10))
            .route(route("10.10.0.70/32", 11, |_| {}))
            .build();
        for (dst, want) in [
            ("10.10.0.63", unresolved(11, "10.10.0.63")),
            ("10.10.0.65", Resolution::NoRoute),
            ("10.10.0.97", Resolution::NoRoute),
            ("10.10.0.70", unresolved(11, "10.10.0.70")),
            ("8.1.1.1", unresolved(10, "8.1.1.1")),
        ] {
            assert_eq!(t.resolve(ip(dst)), want, "{dst}");
        }
    }

    #[test]
    fn the_smaller_mtu_counts() {
        let t = lan()
            .route(route("10.10.0.11/32", 11, |r| r.mtu = Some(1400)))
            .route(route("10.9.0.254/32", 10, |r| r.mtu = Some(9000)))
            .build();
        assert_eq!(t.resolve(ip("10.10.0.11")), ready(1, RS_MAC, 1400));
        assert_eq!(t.resolve(ip("10.9.0.254")), ready(0, GW_MAC, 1500));
    }

    #[test]
    fn an_ipv4_route_may_have_an_ipv6_gateway() {
        let via = Some(ip("fe80::fe"));
        let t = lan()
            .route(route("198.51.100.0/24", 10, |r| r.gateway = via))
            .build();
        assert_eq!(t.resolve(ip("198.51.100.1")), ready(0, GW_MAC, 1500));
        assert_eq!(t.source_for(ip("198.51.100.1")), Some(ip("10.9.0.1")));
    }

    #[test]
    fn the_source_is_the_routes_or_one_that_fits() {
        let t = lan()
            .interface(interface(2, &["10.11.0.1", "10.12.0.1", "fe80::3"]))
            .route(route("10.12.0.0/24", 12, |r| {
                r.prefsrc = Some(ip("10.12.0.1"))
            }))
            .route(route("10.13.0.0/24", 12, |r| {
                r.gateway = Some(ip("10.12.0.254"))
            }))
            .route(route("10.14.0.0/24", 12, |_| {}))
            .route(route("fd00:12::/64", 12, |_| {}))
            .route(route("fe80::/64", 12, |_| {}))
            .build();
        for (dst, want) in [
            ("10.10.0.11", Some("10.10.0.1")),
            ("8.8.8.8", Some("10.9.0.1")),
            ("10.13.0.1", Some("10.12.0.1")),
            ("10.14.0.1", Some("10.11.0.1")),
            ("fd00:10::11", Some("fd00:10::1")),
            ("2001:db8::1", Some("fd00:9::1")),
            ("fd00:12::1", Some("fd00:9::1")),
            ("fe80::77", Some("fe80::3")),
            ("10.9.0.1", Some("10.9.0.1")),
            ("192.0.2.1", None),
        ] {
            assert_eq!(t.source_for(ip(dst)), want.map(ip), "{dst}");
        }
    }

    #[test]
    fn a_local_prefix_is_the_hosts_whatever_the_routes_say() {
        let t = lan()
            .local_prefix(ip("203.0.113.0"), 24)
            .route(route("203.0.113.9/32", 11, |_| {}))
            .build();
        assert_eq!(t.resolve(ip("203.0.113.9")), Resolution::Local);
        assert_eq!(t.resolve(ip("203.0.112.9")), ready(0, GW_MAC, 1500));
        let mut addrs: Vec<_> = t.local_addrs().map(|a| a.to_string()).collect();
        addrs.sort();
        let want = "10.10.0.1 10.9.0.1 172.16.0.1 fd00:10::1 fd00:9::1 fe80::1";
        assert_eq!(addrs.join(" "), want);
    }

    #[test]
    fn interfaces_are_found_in_any_order() {
        let mut b = Topology::builder();
        b.interface(interface(2, &[])).interface(interface(0, &[]));
        let t = b.build();
        for port in [0, 2] {
            assert_eq!(t.interface(PortId(port)).unwrap().port, PortId(port));
        }
        assert!(t.interface(PortId(1)).is_none());
    }

    /// What a person would do: look at every route.
    fn by_scanning(routes: &[Route], dst: Ip) -> Option<&Route> {
        let shared = |r: &Route| {
            let skipped = 128 - u32::from(full_length(dst.family()));
            (bits(r.dst) ^ bits(dst)).leading_zeros() - skipped >= u32::from(r.prefix_len)
        };
        routes
            .iter()
            .filter(|r| r.dst.family() == dst.family() && shared(r))
            .min_by_key(|r| (std::cmp::Reverse(r.prefix_len), r.metric))
    }

    /// Addresses from a small space, so that prefixes nest and meet.
    fn any_ip() -> impl Strategy<Value = Ip> {
        (any::<bool>(), any::<[u8; 4]>()).prop_map(|(v4, b)| {
            let b = b.map(|x| x & 0x81);
            if v4 {
                Ip::v4([10 | b[0], b[1], b[2], b[3]])
            } else {
                let mut x = [0; 16];
                (x[0], x[1], x[7], x[8], x[15]) = (0x20, b[0], b[1], b[2], b[3]);
                Ip::v6(x)
            }
        })
    }

    fn any_route() -> impl Strategy<Value = Route> {
        (any_ip(), 0..=128u8, 0..3u32, 0..4u32).prop_map(|(dst, len, metric, ifindex)| Route {
            dst,
            prefix_len: len % (full_length(dst.family()) + 1),
            metric,
            ifindex,
            gateway: None,
            prefsrc: None,
            mtu: None,
        })
    }

    proptest! {
        #[test]
        fn look_up_agrees_with_a_linear_scan(
            routes in proptest::collection::vec(any_route(), 0..40),
            dsts in proptest::collection::vec(any_ip(), 1..40),
        ) {
            let mut b = Topology::builder();
            for n in 1..=2 {
                b.interface(Interface { ifindex: n, ..interface(n as u16, &[]) });
            }
            for r in &routes {
                b.route(r.clone());
            }
            let t = b.build();
            for dst in dsts {
                let want = match by_scanning(&routes, dst) {
                    Some(r @ Route { ifindex: 1 | 2, .. }) => Resolution::Unresolved {
                        ifindex: r.ifindex,
                        next_hop: dst,
                    },
                    _ => Resolution::NoRoute,
                };
                prop_assert_eq!(t.resolve(dst), want);
            }
        }
    }
}
