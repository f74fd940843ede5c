//! What a route puts around packets, as the kernel's light-weight tunnels want it.

use std::fmt::Display;
use std::str::FromStr;

use lvs_vrrp::io::netlink::core::DefaultNla;
use lvs_vrrp::io::netlink::route::route::{
    MplsLabel, RouteAttribute, RouteIp6Tunnel, RouteIp6TunnelFlags, RouteIpTunnel,
    RouteIpTunnelFlags, RouteLwEnCapType, RouteLwTunnelEncap, RouteMplsIpTunnel,
};

use crate::keepalived::model::{Encapsulation, EncapsulationKind, Named};
use crate::vrrp::host::change::Why;

/// The kernel's ILA_ATTR_LOCATOR.
const ILA_LOCATOR: u16 = 1;
/// The greatest MPLS label: 20 bits.
const MAX_LABEL: u32 = (1 << 20) - 1;

/// The attributes of a route, or of a next hop, that say it.
///
/// # Errors
///
/// An option that the kind has not, or a value that it cannot have.
pub(super) fn attributes(encapsulation: &Encapsulation) -> Result<[RouteAttribute; 2], Why> {
    let options = &encapsulation.options;
    let each = |one: fn(&str, &str) -> Result<RouteLwTunnelEncap, Why>| {
        let all = options.iter().map(|(name, value)| one(name, value));
        all.collect::<Result<Vec<_>, _>>()
    };
    let (kind, options) = match encapsulation.kind {
        EncapsulationKind::Ip => (RouteLwEnCapType::Ip, each(ip)?),
        EncapsulationKind::Ip6 => (RouteLwEnCapType::Ip6, each(ip6)?),
        EncapsulationKind::Mpls => (RouteLwEnCapType::Mpls, each(mpls)?),
        EncapsulationKind::Ila => (RouteLwEnCapType::Ila, each(ila)?),
    };
    Ok([
        RouteAttribute::EncapType(kind),
        RouteAttribute::Encap(options),
    ])
}

fn ip(name: &str, value: &str) -> Result<RouteLwTunnelEncap, Why> {
    Ok(RouteLwTunnelEncap::Ip(match name {
        "id" => RouteIpTunnel::Id(wide(name, value)?),
        "dst" => RouteIpTunnel::Destination(parsed(name, value)?),
        "src" => RouteIpTunnel::Source(parsed(name, value)?),
        "ttl" | "hoplimit" => RouteIpTunnel::Ttl(narrow(name, value)?),
        "tos" | "tc" => RouteIpTunnel::Tos(narrow(name, value)?),
        "flags" => RouteIpTunnel::Flags(RouteIpTunnelFlags::from_bits_retain(narrow(name, value)?)),
        _ => return Err(odd("encap ip", name)),
    }))
}

fn ip6(name: &str, value: &str) -> Result<RouteLwTunnelEncap, Why> {
    Ok(RouteLwTunnelEncap::Ip6(match name {
        "id" => RouteIp6Tunnel::Id(wide(name, value)?),
        "dst" => RouteIp6Tunnel::Destination(parsed(name, value)?),
        "src" => RouteIp6Tunnel::Source(parsed(name, value)?),
        "ttl" | "hoplimit" => RouteIp6Tunnel::Hoplimit(narrow(name, value)?),
        "tos" | "tc" => RouteIp6Tunnel::Tc(narrow(name, value)?),
        "flags" => {
            RouteIp6Tunnel::Flags(RouteIp6TunnelFlags::from_bits_retain(narrow(name, value)?))
        }
        _ => return Err(odd("encap ip6", name)),
    }))
}

fn mpls(name: &str, value: &str) -> Result<RouteLwTunnelEncap, Why> {
    Ok(RouteLwTunnelEncap::Mpls(match name {
        "mpls" => RouteMplsIpTunnel::Destination(labels(value)?),
        "ttl" => RouteMplsIpTunnel::Ttl(narrow(name, value)?),
        _ => return Err(odd("encap mpls", name)),
    }))
}

fn ila(name: &str, value: &str) -> Result<RouteLwTunnelEncap, Why> {
    match name {
        "ila" => {
            let locator = DefaultNla::new(ILA_LOCATOR, locator(value)?.into());
            Ok(RouteLwTunnelEncap::Other(locator))
        }
        _ => Err(odd("encap ila", name)),
    }
}

/// Labels with slashes between them; the last one is the bottom of the stack.
fn labels(text: &str) -> Result<Vec<MplsLabel>, Why> {
    let mut labels = Vec::new();
    for word in text.split('/') {
        let label = match Named::parse(word) {
            Named::Number(label) if label <= MAX_LABEL => label,
            _ => return Err(bad("label", word)),
        };
        labels.push(MplsLabel {
            label,
            traffic_class: 0,
            bottom_of_stack: false,
            ttl: 0,
        });
    }
    if let Some(last) = labels.last_mut() {
        last.bottom_of_stack = true;
    }
    Ok(labels)
}

/// The upper half of an IPv6 address: four groups.
fn locator(text: &str) -> Result<[u8; 8], Why> {
    let mut bytes = [0; 8];
    let mut groups = text.split(':');
    for pair in bytes.chunks_exact_mut(2) {
        let group = groups.next().and_then(|g| u16::from_str_radix(g, 16).ok());
        let group = group.ok_or_else(|| bad("locator", text))?;
        pair.copy_from_slice(&group.to_be_bytes());
    }
    match groups.next() {
        None => Ok(bytes),
        Some(_) => Err(bad("locator", text)),
    }
}

fn wide(name: &str, value: &str) -> Result<u64, Why> {
    let number = match value.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => value.parse(),
    };
    number.map_err(|_| bad(name, value))
}

fn narrow<T: TryFrom<u64>>(name: &str, value: &str) -> Result<T, Why> {
    T::try_from(wide(name, value)?).map_err(|_| bad(name, value))
}

fn parsed<T: FromStr>(name: &str, value: &str) -> Result<T, Why> {
    value.parse().map_err(|_| bad(name, value))
}

fn bad(name: impl Display, value: &str) -> Why {
    Why::Word(format!(
        "{value:?} cannot be the {name} of an encapsulation"
    ))
}

fn odd(kind: &str, name: &str) -> Why {
    Why::Word(format!("`{kind}` has no `{name}`"))
}
