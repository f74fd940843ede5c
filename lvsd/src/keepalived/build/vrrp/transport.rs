//! Whom an instance talks to, and on what kind of interface.

use std::net::IpAddr;

use lvs_core::Family;

use super::common::Defaults;
use super::in_vain;
use super::instance::text;
use crate::keepalived::build::addresses;
use crate::keepalived::build::tracking::{missing, says};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::keywords::Value;
use crate::keepalived::model::{At, Device, Ipvlan, IpvlanMode, Peer, Transport, Vmac};
use crate::keepalived::tree::{Line, Node};

/// How an instance reaches others.
pub(super) struct Reach {
    pub(super) device: Device,
    pub(super) transport: Transport,
    pub(super) source: Option<At<IpAddr>>,
    pub(super) interface: Option<At<String>>,
}

/// How an instance reaches others; nothing if it cannot.
pub(super) fn build(
    node: &Node,
    family: Family,
    vrid: u8,
    defaults: &Defaults,
    found: &mut Vec<Diagnostic>,
) -> Option<Reach> {
    let source = source(node, family, found);
    let transport = transport(node, family, defaults, found);
    let device = device(node, family, vrid, &transport, found);
    let interface = text(node, "interface");
    let unicast = matches!(transport, Transport::Unicast { .. });
    if interface.is_none() && !(unicast && source.is_some()) {
        let why = ", which only unicast with `unicast_src_ip` can do without";
        found.extend(missing(node, "interface", why));
        return None;
    }
    Some(Reach {
        device,
        transport,
        source,
        interface,
    })
}

fn of_family(ip: IpAddr, family: Family) -> bool {
    lvs_core::Ip::from(ip).family() == family
}

/// An address that is of the wrong family.
fn mixed(ip: IpAddr, line: &Line, family: Family) -> Diagnostic {
    let own = match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    };
    let message = format!("{ip} in an instance of {own}");
    Diagnostic::error("family-mismatch", line.span, message)
        .help("an instance has one family, that of its first VIP; make one instance for each")
        .tolerated()
}

fn source(node: &Node, family: Family, found: &mut Vec<Diagnostic>) -> Option<At<IpAddr>> {
    let line = node
        .child("unicast_src_ip")
        .or_else(|| node.child("mcast_src_ip"))?;
    let ip = line.addr()?;
    if !of_family(ip, family) {
        found.push(mixed(ip, line, family));
        return None;
    }
    Some(At::new(ip, line.span))
}

fn transport(
    node: &Node,
    family: Family,
    defaults: &Defaults,
    found: &mut Vec<Diagnostic>,
) -> Transport {
    let asked = node
        .child("unicast_peer")
        .or_else(|| node.child("unicast_src_ip"));
    let check = node
        .flag("check_unicast_src")
        .unwrap_or(defaults.check_unicast);
    let (peers, limited) = peers(node, family, found);
    if let Some(asked) = asked {
        let fault = node.flag("unicast_fault_no_peer") == Some(true);
        let damaged = node.children("unicast_peer").any(Node::is_damaged)
            || node.tried("unicast_peer") && node.child("unicast_peer").is_none();
        if !peers.is_empty() || fault || damaged {
            return Transport::Unicast {
                peers,
                ttl: node
                    .child("unicast_ttl")
                    .and_then(|n| u8::try_from(n.int()?).ok())
                    .or(match family {
                        Family::V4 => Some(255),
                        Family::V6 => None,
                    }),
                check_source: check || limited,
            };
        }
        let message = "unicast, and nobody to send to: keepalived falls back to multicast";
        let fallen =
            in_vain("unicast-without-peers", asked.span, message).label("multicast is used");
        found.push(fallen.help("add `unicast_peer { ADDRESS }`; for multicast write `mcast_src_ip` instead of `unicast_src_ip`"));
    }
    let usual = match family {
        Family::V4 => defaults.group4,
        Family::V6 => defaults.group6,
    };
    let group = match node
        .child("mcast_dst_ip")
        .and_then(|n| Some((n, n.addr()?)))
    {
        Some((line, ip)) if !of_family(ip, family) => {
            found.push(mixed(ip, line, family));
            usual
        }
        Some((line, ip)) if !ip.is_multicast() => {
            let message = format!("{ip} is not a multicast address");
            found.push(Diagnostic::error("not-multicast", line.span, message).tolerated());
            usual
        }
        Some((_, ip)) => ip,
        None => usual,
    };
    Transport::Multicast { group }
}

/// The peers, each once, and whether the TTL of some is limited.
fn peers(node: &Node, family: Family, found: &mut Vec<Diagnostic>) -> (Vec<Peer>, bool) {
    let mut peers: Vec<Peer> = Vec::new();
    let mut limited = false;
    for line in node.children("unicast_peer").flat_map(|n| &n.items) {
        let Some(ip) = line.addr() else { continue };
        if !of_family(ip, family) {
            found.push(mixed(ip, line, family));
            continue;
        }
        if let Some(first) = peers.iter().find(|p| p.addr.value == ip) {
            let twice = in_vain("peer-twice", line.span, format!("{ip} is a peer already"));
            found.push(
                twice
                    .also(first.addr.span, "first here")
                    .help("remove this line"),
            );
            continue;
        }
        let ttl = |option: &str| {
            line.option(option)
                .and_then(|o| u8::try_from(o.int()?).ok())
        };
        let (least, most) = (ttl("min_ttl"), ttl("max_ttl"));
        limited |= least.is_some() || most.is_some();
        let ttl = (least.unwrap_or(0), most.unwrap_or(255));
        if ttl.0 > ttl.1 {
            let message = format!("`min_ttl` {} is above `max_ttl` {}", ttl.0, ttl.1);
            found.push(Diagnostic::error("bad-ttl-range", line.span, message).tolerated());
            continue;
        }
        peers.push(Peer {
            addr: At::new(ip, line.span),
            ttl,
        });
    }
    (peers, limited)
}

fn device(
    node: &Node,
    family: Family,
    vrid: u8,
    transport: &Transport,
    found: &mut Vec<Diagnostic>,
) -> Device {
    if let (Some(vmac), Some(ipvlan)) = (node.child("use_vmac"), node.child("use_ipvlan")) {
        let message = "an instance has a VMAC or an ipvlan, not both";
        let both = Diagnostic::error("vmac-and-ipvlan", ipvlan.span, message).tolerated();
        found.push(
            both.also(vmac.span, "the VMAC, which counts")
                .help("remove one of the two"),
        );
    }
    if let Some(line) = node.child("use_vmac") {
        let unicast = matches!(transport, Transport::Unicast { .. });
        let asked = node.flag("vmac_xmit_base").unwrap_or(false);
        return Device::Vmac(Vmac {
            name: device_name(line),
            mac: mac(line, family, vrid, found),
            group: addresses::word(line, "group").map(|g| g.value),
            announce: says(line, "netlink_notify_msg"),
            send_below: asked || unicast,
            everywhere: node.flag("use_vmac_addr").unwrap_or(false),
        });
    }
    if let Some(line) = node.child("vmac_xmit_base") {
        let vain = in_vain(
            "vmac-missing",
            line.span,
            "`vmac_xmit_base` without `use_vmac` changes nothing",
        );
        found.push(vain.help("add `use_vmac`, or remove it"));
    }
    match node.child("use_ipvlan") {
        Some(line) => Device::Ipvlan(Ipvlan {
            name: device_name(line),
            addr: line.args.iter().find_map(addresses::prefix),
            mode: if says(line, "private") {
                IpvlanMode::Private
            } else if says(line, "vepa") {
                IpvlanMode::Vepa
            } else {
                IpvlanMode::Bridge
            },
            group: addresses::word(line, "group").map(|g| g.value),
        }),
        None => Device::Plain,
    }
}

/// The name of a device: a word, or what follows `name`.
fn device_name(line: &Line) -> Option<String> {
    let word = line.args.iter().find_map(|a| match &a.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    });
    word.or_else(|| addresses::word(line, "name").map(|n| n.value))
}

/// The virtual router's MAC address (RFC 5798 section 7.3), or the one given.
fn mac(line: &Line, family: Family, vrid: u8, found: &mut Vec<Diagnostic>) -> [u8; 6] {
    let version = match family {
        Family::V4 => 1,
        Family::V6 => 2,
    };
    let usual = [0, 0, 0x5e, 0, version, vrid];
    let given = line.args.iter().find_map(|a| match &a.value {
        Value::Mac(octets) => Some((a.span, octets)),
        _ => None,
    });
    let Some((span, octets)) = given else {
        return usual;
    };
    let mut mac = [vrid; 6];
    for (to, from) in mac.iter_mut().zip(octets) {
        *to = *from;
    }
    let wrong = if mac[0] & 1 != 0 {
        "this is a multicast address"
    } else if mac[..4] == [0, 0, 0x5e, 0] && matches!(mac[4], 1 | 2) {
        "this is the address of some virtual router"
    } else {
        return mac;
    };
    found.push(
        Diagnostic::error("bad-mac", span, wrong)
            .help("leave it out, or name one of your own that begins with 02")
            .tolerated(),
    );
    usual
}
