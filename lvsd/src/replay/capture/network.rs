//! A network for captured packets: one in which every next hop is known.
//!
//! A capture does not tell what the director's network looks like, so one is invented. There is one interface. Real
//! servers are on its link, everybody else is behind one router. Ethernet addresses are made up so that
//! whoever looks at what was sent can tell them: 02:00 and a server's IPv4 address (of IPv6 its last four bytes), and
//! 02:ff:00:00:00:01 for the router. The director's own addresses, which tunnels and ICMP errors come from, are of
//! the networks set apart for tests of such devices (RFC 2544, RFC 5180).

use lvs_core::{Family, Ip, ServiceKey};
use lvs_fwd::frame::PortId;
use lvs_fwd::route::{Interface, Mac, Resolution, Route, Topology};

use crate::rules::RuleSet;

pub(super) const PORT: PortId = PortId(0);
/// The director's Ethernet address.
pub(super) const OWN: Mac = Mac([0x02, 0xff, 0, 0, 0, 2]);
const ROUTER: Mac = Mac([0x02, 0xff, 0, 0, 0, 1]);
const IFINDEX: u32 = 1;

const OWN_V4: Ip = Ip::v4([198, 18, 0, 1]);
const ROUTER_V4: Ip = Ip::v4([198, 18, 0, 2]);
const OWN_V6: Ip = benchmarking(1);
const ROUTER_V6: Ip = benchmarking(2);

/// `2001:2::HOST`
const fn benchmarking(host: u8) -> Ip {
    Ip::v6([0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host])
}

/// The network in which these rules' servers are, with this MTU.
pub(super) fn of(rules: &RuleSet, mtu: u32) -> Topology {
    let mut t = Topology::builder();
    t.interface(Interface {
        port: PORT,
        ifindex: IFINDEX,
        name: "capture".to_owned(),
        mac: OWN,
        mtu,
        addrs: vec![OWN_V4, OWN_V6],
    });
    let mut route = |dst: Ip, prefix_len, gateway| {
        t.route(Route {
            dst,
            prefix_len,
            metric: 0,
            ifindex: IFINDEX,
            gateway,
            prefsrc: None,
            mtu: None,
        });
    };
    route(Ip::v4([0; 4]), 0, Some(ROUTER_V4));
    route(Ip::UNSPECIFIED, 0, Some(ROUTER_V6));
    let mut servers: Vec<Ip> = rules
        .services
        .iter()
        .flat_map(|s| &s.servers)
        .map(|s| s.addr.ip)
        .collect();
    servers.sort_unstable();
    servers.dedup();
    for &server in &servers {
        let whole = if server.is_v4() { 32 } else { 128 };
        route(server, whole, None);
    }
    for server in servers {
        t.neighbour(IFINDEX, server, server_mac(server));
    }
    t.neighbour(IFINDEX, ROUTER_V4, ROUTER);
    t.neighbour(IFINDEX, ROUTER_V6, ROUTER);
    t.build()
}

fn server_mac(ip: Ip) -> Mac {
    let [.., a, b, c, d] = *ip.bytes();
    Mac([0x02, 0, a, b, c, d])
}

/// Who puts a packet from this address on the link.
pub(super) fn sender(topology: &Topology, source: Option<Ip>) -> Mac {
    match source.map(|ip| topology.resolve(ip)) {
        Some(Resolution::Ready(hop)) => hop.dst_mac,
        _ => ROUTER,
    }
}

/// The addresses an invented network cannot have besides, because it is the director's own.
pub(super) fn clash(rules: &RuleSet) -> Option<Ip> {
    let invented = [OWN_V4, ROUTER_V4, OWN_V6, ROUTER_V6];
    let virtuals = rules.services.iter().filter_map(|s| match s.key {
        ServiceKey::Addr { addr, .. } => Some(addr.ip),
        ServiceKey::Mark { .. } => None,
    });
    let servers = rules
        .services
        .iter()
        .flat_map(|s| &s.servers)
        .map(|s| s.addr.ip);
    virtuals.chain(servers).find(|ip| invented.contains(ip))
}

/// Source and destination in the IP header of a packet.
pub(super) fn addresses(family: Family, packet: &[u8]) -> Option<(Ip, Ip)> {
    Some(match family {
        Family::V4 => {
            let at = |at| packet.get(at..)?.first_chunk().copied().map(Ip::v4);
            (at(12)?, at(16)?)
        }
        Family::V6 => {
            let at = |at| packet.get(at..)?.first_chunk().copied().map(Ip::v6);
            (at(8)?, at(24)?)
        }
    })
}
