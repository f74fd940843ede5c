//! Virtual services and groups of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use lvs_core::service::Engine;
use lvs_core::{
    DestOptions, Encapsulation, Endpoint, Family, Ip, LocalAddr, Method, Persistence, Protocol,
    ServiceKey, ServiceOptions,
};

use super::checker::{Around, Inherited};
use super::global::small;
use super::server;
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::keywords::Value;
use crate::keepalived::model::{At, Head, VirtualServer};
use crate::keepalived::place::Span;
use crate::keepalived::tree::{Line, Node};
use crate::rules::SchedulerFlags;

/// The most services that a group may stand for.
const LARGEST_GROUP: usize = 65_536;

/// IPVS's default for persistence, in seconds.
const PERSISTENCE: u32 = 360;

/// All virtual services.
pub(super) fn all(
    nodes: &[Node],
    around: Around<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<VirtualServer> {
    let services = || nodes.iter().filter(|node| node.is("virtual_server"));
    let mut known: HashMap<&str, Span> = HashMap::new();
    for group in nodes.iter().filter(|n| n.is("virtual_server_group")) {
        let name = group.text().unwrap_or_default();
        if let Some(first) = known.insert(name, group.line.span) {
            let wrong = format!("there is a group {name} already");
            found.push(
                Diagnostic::error("defined-twice", group.line.span, wrong)
                    .also(first, "first here, and this one counts")
                    .help("give one of them another name, or put all addresses into one block")
                    .tolerated(),
            );
            continue;
        }
        let uses_it = |n: &Node| n.lead() == "group" && n.text() == group.text();
        if !services().any(uses_it) {
            let wrong = format!("the group {name} is used by no `virtual_server`");
            let help = format!("write `virtual_server group {name} {{`, or remove the group");
            found.push(Diagnostic::warning("unused-group", group.line.span, wrong).help(help));
        }
    }
    services()
        .filter_map(|node| one(node, nodes, around, found))
        .collect()
}

fn one(
    node: &Node,
    nodes: &[Node],
    around: Around<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<VirtualServer> {
    let (head, keys) = head(node, nodes, found)?;
    let (method, encapsulation) = match node.child("lvs_method") {
        Some(own) => server::method(own, found)?,
        None => {
            default(node, "lvs_method", "NAT", found);
            (Method::Nat, Encapsulation::Ipip)
        }
    };
    let number = |name| node.child(name).and_then(|n| n.int()).map(small);
    let (scheduler, flags) = scheduler(node, found);
    let mut options = options(node, &head, &keys, found);
    options.local_addrs = local_addresses(node).into();
    let host = node.child("virtualhost").and_then(|n| n.text());
    let inherited = Inherited {
        service_host: host,
        keys: &keys,
        ..Inherited::default().in_block(node)
    };
    let mut ports = keys.iter().map(|k| k.addr().map_or(0, |a| a.port));
    let port = ports
        .next()
        .filter(|first| *first > 0 && ports.all(|p| p == *first));
    let service = server::Service {
        node,
        head,
        port,
        options: DestOptions {
            encapsulation,
            ..DestOptions::new(method, number("weight").unwrap_or(1))
        },
        inhibit: node.flag("inhibit_on_failure").unwrap_or(false),
        inherited,
    };
    let servers = server::all(&service, around, found);
    let sorry = server::sorry(&service, found);
    if servers.is_empty() {
        if !node.tried("real_server") {
            let wrong = "this service has no `real_server`, so nothing could serve it";
            found.push(Diagnostic::error("no-servers", node.line.span, wrong).tolerated());
        }
        return None;
    }
    let full = servers.iter().any(|s| s.options.method == Method::FullNat);
    if full && options.local_addrs.is_empty() && !node.tried("lvsd_local_address") {
        found.push(
            Diagnostic::error(
                "no-local-address",
                node.line.span,
                "FullNAT needs addresses of its own that packets to the servers come from",
            )
            .help("add `lvsd_local_address ADDRESS`, with an address that nothing else uses"),
        );
    }
    let placed = |name: &str, otherwise: u32| {
        let child = node.child(name);
        let value = child.and_then(|n| n.int()).map_or(otherwise, small);
        At::new(value, child.map_or(node.line.span, |n| n.span))
    };
    let script = |name| node.child(name).and_then(|n| n.command().cloned());
    let mails = node.flag("smtp_alert").or(around.defaults.mails);
    Some(VirtualServer {
        head: service.head,
        keys,
        scheduler,
        flags,
        options,
        servers,
        sorry,
        quorum: placed("quorum", 1),
        hysteresis: placed("hysteresis", 0),
        quorum_up: script("quorum_up"),
        quorum_down: script("quorum_down"),
        ha_suspend: node.flag("ha_suspend").unwrap_or(false),
        omega: node.flag("omega").unwrap_or(false),
        mails: mails.unwrap_or(false),
        keep_flows: node.flag("lvsd_keep_flows").unwrap_or(false),
        span: At::new((), node.line.span),
    })
}

/// What is not said, and what keepalived takes for it.
fn default(node: &Node, name: &str, taken: &str, found: &mut Vec<Diagnostic>) {
    if !node.tried(name) {
        let wrong = format!("this service has no `{name}`");
        found.push(
            Diagnostic::warning("default-taken", node.line.span, wrong)
                .label(format!("`{name} {taken}` is taken"))
                .help(format!("write `{name} {taken}`, if that is meant")),
        );
    }
}

fn head(
    node: &Node,
    nodes: &[Node],
    found: &mut Vec<Diagnostic>,
) -> Option<(Head, Vec<ServiceKey>)> {
    let protocol = node.child("protocol").and_then(|n| n.text());
    let protocol = protocol.map(|name| match name {
        "UDP" => Protocol::UDP,
        "SCTP" => Protocol::SCTP,
        _ => Protocol::TCP,
    });
    match node.lead() {
        "fwmark" => {
            let mark = node.int().map(small)?;
            let family = family(node);
            if mark == 0 {
                let wrong = "0 is no firewall mark: all packets without one have it";
                found.push(Diagnostic::error("bad-value", node.line.span, wrong));
                return None;
            }
            let key = ServiceKey::Mark { family, mark };
            Some((Head::Mark(family, mark), vec![key]))
        }
        "group" => {
            let name = node.text()?;
            let keys = group(node, name, nodes, protocol, found)?;
            let has_addresses = keys.iter().any(|k| k.addr().is_some());
            let protocol = has_addresses.then(|| protocol.unwrap_or(Protocol::UDP));
            Some((Head::Group(protocol, name.to_owned()), keys))
        }
        _ => {
            let port = node.arg("PORT").and_then(|arg| arg.int());
            let port = port.and_then(|p| u16::try_from(p).ok()).unwrap_or(0);
            let vip = Endpoint::new(Ip::from(node.addr()?), port);
            if let Some(family) = node.child("ip_family") {
                let wrong = "`ip_family` means something to services by firewall mark only";
                found.push(Diagnostic::warning("no-effect", family.span, wrong));
            }
            let protocol = protocol_of(node, protocol, found);
            let key = ServiceKey::Addr {
                protocol,
                addr: vip,
            };
            Some((Head::Address(protocol, vip), vec![key]))
        }
    }
}

/// The protocol of services by address.
fn protocol_of(node: &Node, protocol: Option<Protocol>, found: &mut Vec<Diagnostic>) -> Protocol {
    protocol.unwrap_or_else(|| {
        if !node.tried("protocol") {
            found.push(
                Diagnostic::error(
                    "no-protocol",
                    node.line.span,
                    "this service does not say its `protocol`",
                )
                .label("keepalived takes UDP")
                .help("write `protocol TCP`, or `protocol UDP` if that is meant")
                .tolerated(),
            );
        }
        Protocol::UDP
    })
}

/// The family of a service by mark: as it is said, or as its servers have it.
fn family(node: &Node) -> Family {
    match node.child("ip_family").and_then(|n| n.text()) {
        Some("inet6") => Family::V6,
        Some(_) => Family::V4,
        None => {
            let first = node.children("real_server").find_map(|n| n.addr());
            first.map_or(Family::V4, |ip| Ip::from(ip).family())
        }
    }
}

fn group(
    node: &Node,
    name: &str,
    nodes: &[Node],
    protocol: Option<Protocol>,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<ServiceKey>> {
    let is_it = |n: &&Node| n.is("virtual_server_group") && n.text() == Some(name);
    let Some(group) = nodes.iter().find(is_it) else {
        let wrong = format!("there is no `virtual_server_group {name}`");
        found.push(Diagnostic::error("unknown-name", node.line.span, wrong).tolerated());
        return None;
    };
    let mut keys = Vec::new();
    for line in &group.items {
        if line.lead() == "fwmark" {
            let mark = line.int().map(small).filter(|mark| *mark > 0)?;
            let said = line.arg("FAMILY").and_then(|arg| arg.text());
            let family = match said {
                Some("inet6") => Family::V6,
                Some(_) => Family::V4,
                None => family(node),
            };
            keys.push(ServiceKey::Mark { family, mark });
        } else if let Some((first, last, port)) = range(line) {
            let protocol = protocol.unwrap_or_else(|| protocol_of(node, protocol, found));
            let addrs = addresses(first, last).take(LARGEST_GROUP + 1 - keys.len());
            keys.extend(addrs.map(|ip| {
                let addr = Endpoint::new(ip, port);
                ServiceKey::Addr { protocol, addr }
            }));
        }
        if keys.len() > LARGEST_GROUP {
            let wrong = format!("the group {name} stands for more than {LARGEST_GROUP} services");
            let help =
                "use a firewall mark, which one service can have for any number of addresses";
            found.push(Diagnostic::error("group-too-large", line.span, wrong).help(help));
            return None;
        }
    }
    let mut seen = std::collections::HashSet::new();
    keys.retain(|key| seen.insert(*key));
    if keys.is_empty() {
        if !group.is_damaged() {
            let wrong = format!("the group {name} is empty");
            found.push(Diagnostic::error("empty-group", group.line.span, wrong).tolerated());
        }
        return None;
    }
    Some(keys)
}

/// The first and last address of a group's line, and the port.
fn range(line: &Line) -> Option<(IpAddr, IpAddr, u16)> {
    let port = line.arg("PORT").and_then(|arg| arg.int());
    let port = port.and_then(|p| u16::try_from(p).ok()).unwrap_or(0);
    line.args.iter().find_map(|arg| match arg.value {
        Value::Addrs(first, last) => Some((first, last, port)),
        _ => None,
    })
}

fn addresses(first: IpAddr, last: IpAddr) -> Box<dyn Iterator<Item = Ip>> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let each = first.to_bits()..=last.to_bits();
            Box::new(each.map(|bits| Ip::from(std::net::Ipv4Addr::from_bits(bits))))
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let each = first.to_bits()..=last.to_bits();
            Box::new(each.map(|bits| Ip::from(std::net::Ipv6Addr::from_bits(bits))))
        }
        _ => Box::new(std::iter::empty()),
    }
}

fn scheduler(node: &Node, found: &mut Vec<Diagnostic>) -> (At<String>, SchedulerFlags) {
    const FLAGS: [&str; 7] = [
        "flag-1",
        "flag-2",
        "flag-3",
        "sh-port",
        "sh-fallback",
        "mh-port",
        "mh-fallback",
    ];
    let named = node.child("lvs_sched");
    let scheduler = match named.and_then(|n| Some((n.text()?, n.span))) {
        Some((name, span)) => At::new(name.to_owned(), span),
        None => {
            default(node, "lvs_sched", "wlc", found);
            At::new("wlc".to_owned(), node.line.span)
        }
    };
    let mut flags = SchedulerFlags::NONE;
    for flag in node.body.iter().filter(|n| FLAGS.contains(&n.keyword.name)) {
        match flags.with(flag.keyword.name, &scheduler) {
            Ok(with) => flags = with,
            Err(_) => {
                let wrong = format!(
                    "`{}` means nothing to the scheduler {}",
                    flag.keyword.name, *scheduler
                );
                found.push(Diagnostic::error("foreign-flag", flag.span, wrong).tolerated());
            }
        }
    }
    (scheduler, flags)
}

fn options(
    node: &Node,
    head: &Head,
    keys: &[ServiceKey],
    found: &mut Vec<Diagnostic>,
) -> ServiceOptions {
    let is_udp = match head {
        Head::Address(protocol, _) => *protocol == Protocol::UDP,
        Head::Group(protocol, _) => protocol.is_none_or(|p| p == Protocol::UDP),
        Head::Mark(..) => true,
    };
    let mut one_packet = node.flag("ops").unwrap_or(false);
    if one_packet && !is_udp {
        let span = node.child("ops").map_or(node.line.span, |n| n.span);
        let wrong = "one-packet scheduling is for UDP only";
        found.push(Diagnostic::error("ops-without-udp", span, wrong).tolerated());
        one_packet = false;
    }
    ServiceOptions {
        persistence: persistence(node, keys, found),
        one_packet,
        ..ServiceOptions::default()
    }
}

fn persistence(
    node: &Node,
    keys: &[ServiceKey],
    found: &mut Vec<Diagnostic>,
) -> Option<Persistence> {
    let timeout = node.child("persistence_timeout");
    let granularity = node.child("persistence_granularity");
    let engine = node.child("persistence_engine");
    let seconds = match timeout {
        Some(n) => n.int().map_or(PERSISTENCE, small),
        None if granularity.is_some() => PERSISTENCE,
        None => 0,
    };
    let without_port = |k: &ServiceKey| k.addr().is_some_and(|a| a.port == 0);
    let seconds = if seconds == 0 && keys.iter().any(without_port) {
        found.push(
            Diagnostic::warning(
                "persistence-forced",
                node.line.span,
                "a service without a port is persistent: all connections of a client go to one server",
            )
            .label(format!("persistence of {PERSISTENCE} seconds is taken"))
            .help("name a port, or write `persistence_timeout 360`"),
        );
        PERSISTENCE
    } else {
        seconds
    };
    let family = keys.first().map_or(Family::V4, |k| k.family());
    if seconds == 0 {
        if let Some(engine) = engine {
            let wrong = "`persistence_engine` means nothing without `persistence_timeout`";
            found.push(
                Diagnostic::error("engine-without-persistence", engine.span, wrong).tolerated(),
            );
        }
        return None;
    }
    Some(Persistence {
        timeout: Duration::from_secs(seconds.into()),
        prefix: granularity
            .and_then(|n| prefix(n, family, found))
            .unwrap_or(if family == Family::V4 { 32 } else { 128 }),
        engine: engine.and_then(|n| match n.text() {
            Some("sip") => Some(Engine::Sip),
            _ => {
                let wrong = "there is no such persistence engine";
                found.push(
                    Diagnostic::error("bad-value", n.span, wrong)
                        .help("the only one is `sip`")
                        .tolerated(),
                );
                None
            }
        }),
    })
}

fn prefix(line: &Line, family: Family, found: &mut Vec<Diagnostic>) -> Option<u8> {
    let prefix = match (line.addr(), line.int(), family) {
        (Some(IpAddr::V4(mask)), _, Family::V4) => mask.to_bits().leading_ones(),
        (None, Some(length), Family::V6) => small(length),
        (None, Some(length), Family::V4) if length <= 32 => small(length),
        _ => {
            let wrong = "the granularity is of another family than the service";
            found.push(Diagnostic::error("family-mismatch", line.span, wrong).tolerated());
            return None;
        }
    };
    u8::try_from(prefix).ok()
}

fn local_addresses(node: &Node) -> Vec<LocalAddr> {
    let lines = node.children("lvsd_local_address");
    let port = |n: i64| u16::try_from(n).unwrap_or(u16::MAX);
    let addrs = lines.filter_map(|line| {
        let all = LocalAddr::new(Ip::from(line.addr()?));
        Some(match line.ranges().next() {
            Some((low, high)) => LocalAddr {
                first_port: port(low),
                last_port: port(high),
                ..all
            },
            None => all,
        })
    });
    addrs.collect()
}
