//! From netlink messages to our own types. All that is read of a message is read here.

use std::net::IpAddr;

use lvs_core::Ip;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RouteType, RouteVia,
};

use super::monitor::Link;
use crate::route::{Mac, Route};

/// The kernel's number of the table that holds the host's own addresses.
const TABLE_LOCAL: u8 = 255;

/// An address of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) ifindex: u32,
    pub(super) ip: Ip,
    /// Whether packets of our own making may carry it: not while duplicate address detection runs or
    /// has failed.
    pub(super) usable: bool,
    /// Less for what is better as a source: an address with its network's prefix length, then one with
    /// a host's (mostly a VIP), then one on its way out.
    pub(super) rank: u8,
}

/// A route of one of the two tables that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TableEntry {
    /// Of the main table.
    Route(Route),
    /// Of the local table: the host's own.
    Local(Ip, u8),
    /// Of the local table: a broadcast address.
    Broadcast(Ip),
}

/// A neighbour; `mac` is `None` if it is not known, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    pub(super) ifindex: u32,
    pub(super) ip: Ip,
    pub(super) mac: Option<Mac>,
}

/// Reads a link. `None` for what a bridge says about its ports in the same form.
pub(super) fn link(m: &LinkMessage) -> Option<Link> {
    if m.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut link = Link {
        ifindex: m.header.index,
        name: String::new(),
        mac: Mac::default(),
        mtu: 0,
        up: m.header.flags.contains(LinkFlags::Up),
        ethernet: m.header.link_layer_type == LinkLayerType::Ether,
        controller: None,
        macvlan_of: None,
    };
    let (mut below, mut is_macvlan, mut is_elsewhere) = (None, false, false);
    for a in &m.attributes {
        match a {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(a) => link.mac = mac(a).unwrap_or_default(),
            LinkAttribute::Controller(index) => link.controller = Some(*index),
            // Of other kinds it is something else: of a veth, the other end.
            LinkAttribute::Link(index) => below = Some(*index),
            LinkAttribute::LinkInfo(about) => {
                is_macvlan = about.contains(&LinkInfo::Kind(InfoKind::MacVlan));
            }
            // Below it is an interface of another network namespace.
            LinkAttribute::LinkNetNsId(_) => is_elsewhere = true,
            _ => {}
        }
    }
    link.macvlan_of = below.filter(|_| is_macvlan && !is_elsewhere);
    Some(link)
}

/// Reads an address of the host.
pub(super) fn address(m: &AddressMessage) -> Option<Address> {
    let mut ip = None;
    let mut flags = AddressFlags::from_bits_retain(u32::from(m.header.flags.bits()));
    for a in &m.attributes {
        match a {
            // On a point-to-point link `Address` is the peer's.
            AddressAttribute::Local(a) => ip = Some(*a),
            AddressAttribute::Address(a) => ip = ip.or(Some(*a)),
            AddressAttribute::Flags(f) => flags = *f,
            _ => {}
        }
    }
    let ip = ip?;
    let host = if ip.is_ipv4() { 32 } else { 128 };
    let tentative =
        flags.contains(AddressFlags::Tentative) && !flags.contains(AddressFlags::Optimistic);
    Some(Address {
        ifindex: m.header.index,
        ip: ip.into(),
        usable: !tentative && !flags.contains(AddressFlags::Dadfailed),
        rank: match flags.contains(AddressFlags::Deprecated) {
            true => 2,
            false => u8::from(m.header.prefix_len == host),
        },
    })
}

/// Reads a route, if it is of the main or the local table and of a kind that matters.
pub(super) fn table_entry(m: &RouteMessage) -> Option<TableEntry> {
    let family = m.header.address_family;
    if !concerns_us(m) || m.header.flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let any = match family {
        AddressFamily::Inet => Ip::v4([0; 4]),
        AddressFamily::Inet6 => Ip::UNSPECIFIED,
        _ => return None,
    };
    let mut route = Route {
        dst: any,
        prefix_len: m.header.destination_prefix_length,
        metric: 0,
        ifindex: 0,
        gateway: None,
        prefsrc: None,
        mtu: None,
    };
    next_hop(&m.attributes, &mut route);
    for a in &m.attributes {
        match a {
            RouteAttribute::Destination(a) => route.dst = route_ip(a)?,
            RouteAttribute::PrefSource(a) => route.prefsrc = route_ip(a),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Metrics(metrics) => {
                route.mtu = metrics.iter().find_map(|m| match m {
                    RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
                    _ => None,
                });
            }
            RouteAttribute::MultiPath(hops) => {
                let dead = |h: &RouteNextHop| h.flags.contains(RouteNextHopFlags::Dead);
                if let Some(hop) = hops.iter().find(|h| !dead(h)) {
                    route.ifindex = hop.interface_index;
                    next_hop(&hop.attributes, &mut route);
                }
            }
            _ => {}
        }
    }
    let main = m.header.table == RouteHeader::RT_TABLE_MAIN;
    match m.header.kind {
        RouteType::Local | RouteType::Anycast => {
            Some(TableEntry::Local(route.dst, route.prefix_len))
        }
        RouteType::Broadcast => Some(TableEntry::Broadcast(route.dst)),
        RouteType::Unicast if main => {
            // The kernel passes over what it has found dead.
            let dead = m.header.flags.contains(RouteFlags::Dead);
            (!dead).then_some(TableEntry::Route(route))
        }
        RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit | RouteType::Throw
            if main =>
        {
            route.ifindex = 0;
            Some(TableEntry::Route(route))
        }
        _ => None,
    }
}

/// Whether a route is of one of the tables that count.
pub(super) fn concerns_us(m: &RouteMessage) -> bool {
    matches!(m.header.table, RouteHeader::RT_TABLE_MAIN | TABLE_LOCAL)
}

/// Reads interface and gateway, which stand in a route or in each of its several next hops.
fn next_hop(attributes: &[RouteAttribute], route: &mut Route) {
    for a in attributes {
        match a {
            RouteAttribute::Oif(index) => route.ifindex = *index,
            RouteAttribute::Gateway(a) => route.gateway = route_ip(a),
            RouteAttribute::Via(RouteVia::Inet(a)) => route.gateway = Some((*a).into()),
            RouteAttribute::Via(RouteVia::Inet6(a)) => route.gateway = Some((*a).into()),
            _ => {}
        }
    }
}

fn route_ip(a: &RouteAddress) -> Option<Ip> {
    match a {
        RouteAddress::Inet(a) => Some((*a).into()),
        RouteAddress::Inet6(a) => Some((*a).into()),
        _ => None,
    }
}

/// Reads an IPv4 or IPv6 neighbour.
pub(super) fn neighbour(m: &NeighbourMessage) -> Option<Neighbour> {
    if m.header.flags.contains(NeighbourFlags::Proxy) {
        return None;
    }
    let mut ip = None;
    let mut lladdr = None;
    for a in &m.attributes {
        match a {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(a)) => ip = Some((*a).into()),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(a)) => ip = Some((*a).into()),
            NeighbourAttribute::LinkLayerAddress(a) => lladdr = mac(a),
            _ => {}
        }
    }
    let usable = matches!(
        m.header.state,
        NeighbourState::Reachable
            | NeighbourState::Stale
            | NeighbourState::Delay
            | NeighbourState::Probe
            | NeighbourState::Permanent
            | NeighbourState::Noarp
    );
    Some(Neighbour {
        ifindex: m.header.ifindex,
        ip: ip?,
        mac: lladdr.filter(|_| usable),
    })
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.try_into().ok().map(Mac)
}

/// The family of an address, in netlink's words.
pub(super) fn family(ip: Ip) -> AddressFamily {
    if ip.is_v4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    }
}

/// The address as the standard library has it.
pub(super) fn std_ip(ip: Ip) -> IpAddr {
    ip.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(s: &str) -> Ip {
        s.parse().unwrap()
    }

    fn ra(s: &str) -> RouteAddress {
        s.parse::<IpAddr>().unwrap().into()
    }

    fn route_message(kind: RouteType, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut m = RouteMessage::default();
        m.header.address_family = AddressFamily::Inet;
        m.header.destination_prefix_length = 24;
        m.header.table = RouteHeader::RT_TABLE_MAIN;
        m.header.kind = kind;
        m.attributes = vec![RouteAttribute::Destination(ra("10.1.2.0"))];
        m.attributes.extend(attributes);
        m
    }

    fn read(m: &RouteMessage) -> Option<Route> {
        match table_entry(m) {
            Some(TableEntry::Route(r)) => Some(r),
            _ => None,
        }
    }

    #[test]
    fn all_of_a_route_is_read() {
        let m = route_message(
            RouteType::Unicast,
            vec![
                RouteAttribute::Gateway(ra("10.0.0.1")),
                RouteAttribute::Oif(7),
                RouteAttribute::Priority(20),
                RouteAttribute::PrefSource(ra("10.0.0.9")),
                RouteAttribute::Metrics(vec![RouteMetric::Advmss(5), RouteMetric::Mtu(1400)]),
            ],
        );
        let want = Route {
            dst: ip("10.1.2.0"),
            prefix_len: 24,
            metric: 20,
            ifindex: 7,
            gateway: Some(ip("10.0.0.1")),
            prefsrc: Some(ip("10.0.0.9")),
            mtu: Some(1400),
        };
        assert_eq!(read(&m), Some(want));
    }

    #[test]
    fn the_first_living_next_hop_of_several_is_taken() {
        let hop = |flags, ifindex, gateway: &str| {
            let mut hop = RouteNextHop::default();
            hop.flags = flags;
            hop.interface_index = ifindex;
            hop.attributes = vec![RouteAttribute::Gateway(ra(gateway))];
            hop
        };
        let hops = vec![
            hop(RouteNextHopFlags::Dead, 3, "10.0.3.1"),
            hop(RouteNextHopFlags::Linkdown, 4, "10.0.4.1"),
            hop(RouteNextHopFlags::empty(), 5, "10.0.5.1"),
        ];
        let m = route_message(RouteType::Unicast, vec![RouteAttribute::MultiPath(hops)]);
        let r = read(&m).unwrap();
        assert_eq!((r.ifindex, r.gateway), (4, Some(ip("10.0.4.1"))));
    }

    #[test]
    fn refusing_routes_are_kept_and_foreign_ones_are_not() {
        let oif = || vec![RouteAttribute::Oif(7)];
        for kind in [
            RouteType::BlackHole,
            RouteType::Unreachable,
            RouteType::Prohibit,
        ] {
            assert_eq!(read(&route_message(kind, oif())).unwrap().ifindex, 0);
        }
        let mut dead = route_message(RouteType::Unicast, oif());
        dead.header.flags = RouteFlags::Dead;
        let mut cloned = route_message(RouteType::Unicast, oif());
        cloned.header.flags = RouteFlags::Cloned;
        let mut other_table = route_message(RouteType::Unicast, oif());
        other_table.header.table = 100;
        let multicast = route_message(RouteType::Multicast, oif());
        for m in [dead, cloned, other_table, multicast] {
            assert_eq!(table_entry(&m), None, "{m:?}");
        }
        let mut local = route_message(RouteType::Local, oif());
        local.header.table = TABLE_LOCAL;
        assert_eq!(
            table_entry(&local),
            Some(TableEntry::Local(ip("10.1.2.0"), 24))
        );
    }

    #[test]
    fn a_neighbour_is_usable_once_its_address_has_been_heard() {
        use NeighbourState as S;
        for (state, usable) in [
            (S::Reachable, true),
            (S::Stale, true),
            (S::Delay, true),
            (S::Probe, true),
            (S::Permanent, true),
            (S::Noarp, true),
            (S::Incomplete, false),
            (S::Failed, false),
            (S::None, false),
        ] {
            let mut m = NeighbourMessage::default();
            m.header.ifindex = 7;
            m.header.state = state;
            m.attributes = vec![
                NeighbourAttribute::Destination(std_ip(ip("fe80::1")).into()),
                NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 1]),
            ];
            let want = usable.then_some(Mac([2, 0, 0, 0, 0, 1]));
            assert_eq!(neighbour(&m).unwrap().mac, want, "{state:?}");
            m.header.flags = NeighbourFlags::Proxy;
            assert_eq!(neighbour(&m), None);
        }
    }

    #[test]
    fn an_address_still_being_checked_is_no_source() {
        let read = |flags, prefix_len| {
            let mut m = AddressMessage::default();
            m.header.prefix_len = prefix_len;
            m.attributes = vec![
                AddressAttribute::Address(std_ip(ip("fd00::1"))),
                AddressAttribute::Flags(flags),
            ];
            let a = address(&m).unwrap();
            (a.usable, a.rank)
        };
        use AddressFlags as F;
        assert_eq!(read(F::Permanent, 64), (true, 0));
        assert_eq!(read(F::Permanent, 128), (true, 1));
        assert_eq!(read(F::Deprecated, 64), (true, 2));
        assert_eq!(read(F::Tentative, 64), (false, 0));
        assert_eq!(read(F::Tentative | F::Optimistic, 64), (true, 0));
        assert_eq!(read(F::Tentative | F::Dadfailed, 64), (false, 0));
    }
}
