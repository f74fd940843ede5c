//! A route as the message that adds or removes it.
//!
//! Problem: who writes a route leaves out what goes without saying, and the kernel's messages leave out nothing.
//!
//! Rule: what is not said is as `ip route add` has it: the table and the scope follow from the kind. To remove a route, the
//! same message is sent, so that the kernel finds none but the one that was added; where it takes a missing field for any,
//! the field is filled with what the kernel chose when it was added.

use std::collections::HashMap;
use std::net::IpAddr;

use lvs_core::Family;
use lvs_vrrp::io::netlink::route::AddressFamily;
use lvs_vrrp::io::netlink::route::route::{
    RouteAttribute, RouteFlags, RouteMessage, RouteMetric as Metric, RouteMplsTtlPropagation,
    RouteNextHop, RouteNextHopFlags, RoutePreference as Preference, RouteProtocol, RouteRealm,
    RouteScope, RouteType, RouteVia,
};

use super::encapsulation;
use crate::keepalived::model::{
    MetricKind, MetricValue, Named, NextHop, Prefix, Route, RouteKind, RouteMetric,
    RoutePreference, Scope,
};
use crate::vrrp::host::change::Why;
use crate::vrrp::host::names::{Kind, Names};

/// What a message needs to know of the host.
pub(crate) struct Host<'a> {
    /// Names of tables and the like.
    pub(crate) names: &'a Names,
    /// Interfaces by name.
    pub(crate) links: &'a HashMap<String, Link>,
}

/// What a route needs to know of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its number.
    pub(crate) index: u32,
    /// Its table, if it is a VRF.
    pub(crate) vrf_table: Option<u32>,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To add the route.
    Add,
    /// To remove it.
    Remove,
}

/// Who made routes that do not say it (RTPROT_KEEPALIVED).
pub(crate) const PROTOCOL: u8 = 18;
const MAIN: u32 = 254;
const LOCAL: u32 = 255;
/// The metric of IPv6 routes that have none (IP6_RT_PRIO_USER).
const IPV6_METRIC: u32 = 1024;

impl Host<'_> {
    pub(super) fn index(&self, name: &str) -> Result<u32, Why> {
        self.link(name).map(|link| link.index)
    }

    fn link(&self, name: &str) -> Result<Link, Why> {
        let link = self.links.get(name).copied();
        link.ok_or_else(|| Why::NoInterface(name.to_owned()))
    }

    /// A name's number, which is at most `max`.
    pub(crate) fn number(&self, kind: Kind, named: &Named, max: u32) -> Result<u32, Why> {
        let number = self.names.number(kind, named)?;
        if number > max {
            return Err(Why::Word(format!("{kind} {number} is more than {max}")));
        }
        Ok(number)
    }

    /// `[FROM/]TO`.
    pub(crate) fn realms(&self, text: &str) -> Result<RouteRealm, Why> {
        let (source, destination) = text.split_once('/').unwrap_or(("0", text));
        let realm = |text| {
            let number = self.number(Kind::Realm, &Named::parse(text), u16::MAX.into())?;
            Ok::<_, Why>(u16::try_from(number).unwrap_or_default())
        };
        Ok(RouteRealm {
            source: realm(source)?,
            destination: realm(destination)?,
        })
    }

    /// A name's number that fits into a byte.
    pub(crate) fn byte(&self, kind: Kind, named: &Named) -> Result<u8, Why> {
        let number = self.number(kind, named, u8::MAX.into())?;
        Ok(u8::try_from(number).unwrap_or_default())
    }
}

/// The message.
///
/// # Errors
///
/// A name in the route that stands for nothing on this host, or a word that means nothing.
pub(super) fn message(
    route: &Route,
    host: &Host<'_>,
    purpose: Purpose,
) -> Result<RouteMessage, Why> {
    let mut m = RouteMessage::default();
    m.header.address_family = family(route.family);
    m.header.kind = RouteType::from(kind(route.kind));
    m.header.scope = RouteScope::from(scope(route).number());
    m.header.protocol = match &route.protocol {
        Some(named) => host.byte(Kind::Protocol, named)?.into(),
        None => RouteProtocol::from(PROTOCOL),
    };
    m.header.destination_prefix_length = route.to.len;
    if let Some(tos) = &route.tos {
        m.header.tos = host.byte(Kind::Tos, tos)?;
    }
    if route.onlink {
        m.header.flags |= RouteFlags::Onlink;
    }
    let a = &mut m.attributes;
    if route.to.len > 0 {
        a.push(RouteAttribute::Destination(route.to.ip.into()));
    }
    if let Some(Prefix { ip, len }) = route.from {
        m.header.source_prefix_length = len;
        if len > 0 {
            a.push(RouteAttribute::Source(ip.into()));
        }
    }
    let table = table(route, host)?;
    match u8::try_from(table) {
        Ok(small) => m.header.table = small,
        Err(_) => a.push(RouteAttribute::Table(table)),
    }
    a.extend(metric(route, purpose).map(RouteAttribute::Priority));
    a.extend(route.source.map(|ip| RouteAttribute::PrefSource(ip.into())));
    let via = route
        .via
        .as_ref()
        .map(|via| gateway(route.family, via.value));
    a.extend(via);
    if let Some(interface) = &route.interface {
        a.push(RouteAttribute::Oif(host.index(&interface.value)?));
    }
    if let Some(realms) = &route.realms {
        a.push(RouteAttribute::Realm(host.realms(realms)?));
    }
    if let Some(encapsulation) = &route.encapsulation {
        a.extend(encapsulation::attributes(encapsulation)?);
    }
    if !route.hops.is_empty() {
        let hops = route
            .hops
            .iter()
            .map(|hop| next_hop(route.family, hop, host));
        a.push(RouteAttribute::MultiPath(hops.collect::<Result<_, _>>()?));
    }
    if !route.metrics.is_empty() {
        a.push(RouteAttribute::Metrics(metrics(&route.metrics)?));
    }
    a.extend(route.preference.map(|p| {
        RouteAttribute::Preference(match p {
            RoutePreference::Low => Preference::Low,
            RoutePreference::Medium => Preference::Medium,
            RoutePreference::High => Preference::High,
        })
    }));
    a.extend(route.ttl_propagate.map(|on| {
        RouteAttribute::TtlPropagate(match on {
            true => RouteMplsTtlPropagation::Enabled,
            false => RouteMplsTtlPropagation::Disabled,
        })
    }));
    if let (Some(after), Purpose::Add) = (route.expires, purpose) {
        let seconds = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
        a.push(RouteAttribute::Expires(seconds));
    }
    Ok(m)
}

/// The address family of messages.
pub(crate) const fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// RTN_*.
const fn kind(kind: RouteKind) -> u8 {
    match kind {
        RouteKind::Unicast => 1,
        RouteKind::Local => 2,
        RouteKind::Broadcast => 3,
        RouteKind::Anycast => 4,
        RouteKind::Multicast => 5,
        RouteKind::Blackhole => 6,
        RouteKind::Unreachable => 7,
        RouteKind::Prohibit => 8,
        RouteKind::Throw => 9,
        RouteKind::Nat => 10,
    }
}

/// What is on the host is of scope host, what is reached without a router of scope link.
fn scope(route: &Route) -> Scope {
    let routed = route.via.is_some() || !route.hops.is_empty();
    route.scope.unwrap_or(match route.kind {
        RouteKind::Local | RouteKind::Nat => Scope::Host,
        RouteKind::Broadcast | RouteKind::Multicast | RouteKind::Anycast => Scope::Link,
        RouteKind::Unicast if !routed => Scope::Link,
        _ => Scope::Global,
    })
}

/// What is for the host itself is looked for in the table `local`.
fn table(route: &Route, host: &Host<'_>) -> Result<u32, Why> {
    if let Some(table) = &route.table {
        return host.number(Kind::Table, table, u32::MAX);
    }
    if let Some(vrf) = &route.vrf {
        let table = host.link(vrf)?.vrf_table;
        return table.ok_or_else(|| Why::NoVrf(vrf.clone()));
    }
    Ok(match route.kind {
        RouteKind::Local | RouteKind::Broadcast | RouteKind::Nat | RouteKind::Anycast => LOCAL,
        _ => MAIN,
    })
}

/// No metric stands for any when a route is removed. IPv6 routes have always one; of IPv4's the kernel takes the one with the
/// least, which is the one without, as long as that is there.
fn metric(route: &Route, purpose: Purpose) -> Option<u32> {
    let chosen = match (purpose, route.family) {
        (Purpose::Remove, Family::V6) => Some(IPV6_METRIC),
        _ => None,
    };
    route.metric.filter(|&metric| metric > 0).or(chosen)
}

fn gateway(family: Family, via: IpAddr) -> RouteAttribute {
    match via {
        IpAddr::V6(ip) if family == Family::V4 => RouteAttribute::Via(RouteVia::Inet6(ip)),
        ip => RouteAttribute::Gateway(ip.into()),
    }
}

fn next_hop(family: Family, hop: &NextHop, host: &Host<'_>) -> Result<RouteNextHop, Why> {
    let mut h = RouteNextHop::default();
    h.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    if hop.onlink {
        h.flags |= RouteNextHopFlags::Onlink;
    }
    if let Some(interface) = &hop.interface {
        h.interface_index = host.index(&interface.value)?;
    }
    h.attributes.extend(hop.via.map(|via| gateway(family, via)));
    if let Some(realms) = &hop.realms {
        h.attributes
            .push(RouteAttribute::Realm(host.realms(realms)?));
    }
    if let Some(encapsulation) = &hop.encapsulation {
        h.attributes
            .extend(encapsulation::attributes(encapsulation)?);
    }
    Ok(h)
}

/// The RTAX_* values, with the set of those that are locked. Greater ones than the kernel has are what it makes of them, as it
/// compares them when a route is removed.
fn metrics(metrics: &[RouteMetric]) -> Result<Vec<Metric>, Why> {
    let mut locked = 0;
    let mut found = Vec::new();
    for metric in metrics {
        let value = match &metric.value {
            MetricValue::Number(value) => *value,
            MetricValue::Name(_) => 0,
        };
        found.push(match metric.kind {
            MetricKind::Mtu => Metric::Mtu(value.min(65_535 - 15)),
            MetricKind::Window => Metric::Window(value),
            // The kernel counts in eighths, and in quarters.
            MetricKind::Rtt => Metric::Rtt(value.saturating_mul(8)),
            MetricKind::RttVar => Metric::RttVar(value.saturating_mul(4)),
            MetricKind::SsThresh => Metric::SsThresh(value),
            MetricKind::Cwnd => Metric::Cwnd(value),
            MetricKind::AdvMss => Metric::Advmss(value.min(65_535 - 40)),
            MetricKind::Reordering => Metric::Reordering(value),
            MetricKind::HopLimit => Metric::Hoplimit(value.min(255)),
            MetricKind::InitCwnd => Metric::InitCwnd(value),
            MetricKind::Features => Metric::Features(value),
            MetricKind::RtoMin => Metric::RtoMin(value),
            MetricKind::InitRwnd => Metric::InitRwnd(value),
            MetricKind::QuickAck => Metric::QuickAck(value),
            MetricKind::CongCtl => match &metric.value {
                MetricValue::Name(name) => Metric::CcAlgo(name.clone()),
                MetricValue::Number(number) => {
                    let text = format!("{number} is no congestion control");
                    return Err(Why::Word(text));
                }
            },
            MetricKind::FastOpenNoCookie => Metric::FastopenNoCookie(value),
        });
        // The kernel heeds a least timeout only if it is locked, so iproute2 locks it always.
        if metric.lock || metric.kind == MetricKind::RtoMin {
            locked |= 1 << number(metric.kind);
        }
    }
    if locked != 0 {
        found.insert(0, Metric::Lock(locked));
    }
    Ok(found)
}

/// RTAX_*.
const fn number(kind: MetricKind) -> u32 {
    match kind {
        MetricKind::Mtu => 2,
        MetricKind::Window => 3,
        MetricKind::Rtt => 4,
        MetricKind::RttVar => 5,
        MetricKind::SsThresh => 6,
        MetricKind::Cwnd => 7,
        MetricKind::AdvMss => 8,
        MetricKind::Reordering => 9,
        MetricKind::HopLimit => 10,
        MetricKind::InitCwnd => 11,
        MetricKind::Features => 12,
        MetricKind::RtoMin => 13,
        MetricKind::InitRwnd => 14,
        MetricKind::QuickAck => 15,
        MetricKind::CongCtl => 16,
        MetricKind::FastOpenNoCookie => 17,
    }
}
