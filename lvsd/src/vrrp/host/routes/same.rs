//! Whether a route that the kernel tells of is the one that a message asked for.
//!
//! The kernel names all that a message leaves to it: tables in two places, the interface of a next hop, a metric.

use std::net::IpAddr;

use lvs_vrrp::io::netlink::route::AddressFamily;
use lvs_vrrp::io::netlink::route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteNextHop, RouteVia,
};

/// The metric of IPv6 routes that have none.
const IPV6_METRIC: u32 = 1024;

/// What tells routes apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Route {
    to: Option<IpAddr>,
    from: Option<IpAddr>,
    table: u32,
    metric: u32,
}

/// A next hop; parts that are not said may be any.
#[derive(Debug, Default)]
struct Hop {
    gateway: Option<IpAddr>,
    interface: Option<u32>,
}

impl Hop {
    fn fits(&self, told: &Self) -> bool {
        self.gateway == told.gateway
            && (self.interface.is_none() || self.interface == told.interface)
    }
}

/// Whether `told` is what `wanted` asked for.
pub(super) fn same(told: &RouteMessage, wanted: &RouteMessage) -> bool {
    let header = |m: &RouteMessage| {
        let h = &m.header;
        (
            h.address_family,
            h.destination_prefix_length,
            h.source_prefix_length,
            h.tos,
            h.protocol,
            h.kind,
        )
    };
    let (told_hops, wanted_hops) = (hops(told), hops(wanted));
    header(told) == header(wanted)
        && route(told) == route(wanted)
        && told_hops.len() == wanted_hops.len()
        && wanted_hops
            .iter()
            .all(|w| told_hops.iter().any(|t| w.fits(t)))
}

fn route(m: &RouteMessage) -> Route {
    let mut route = Route {
        table: m.header.table.into(),
        ..Route::default()
    };
    for attribute in &m.attributes {
        match attribute {
            RouteAttribute::Destination(address) => route.to = ip(address),
            RouteAttribute::Source(address) => route.from = ip(address),
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Priority(metric) => route.metric = *metric,
            _ => {}
        }
    }
    if route.metric == 0 && m.header.address_family == AddressFamily::Inet6 {
        route.metric = IPV6_METRIC;
    }
    route
}

fn hops(m: &RouteMessage) -> Vec<Hop> {
    let several = m.attributes.iter().find_map(|a| match a {
        RouteAttribute::MultiPath(hops) => Some(hops),
        _ => None,
    });
    let one = |hop: &RouteNextHop| Hop {
        gateway: gateway(&hop.attributes),
        interface: Some(hop.interface_index).filter(|&i| i > 0),
    };
    match several {
        Some(hops) => hops.iter().map(one).collect(),
        None => vec![Hop {
            gateway: gateway(&m.attributes),
            interface: m.attributes.iter().find_map(|a| match a {
                RouteAttribute::Oif(index) => Some(*index),
                _ => None,
            }),
        }],
    }
}

fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|a| match a {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(ip)) => Some((*ip).into()),
        RouteAttribute::Via(RouteVia::Inet6(ip)) => Some((*ip).into()),
        _ => None,
    })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}
