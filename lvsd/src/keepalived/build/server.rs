//! Real servers and sorry servers.

use lvs_core::dest::GueChecksum;
use lvs_core::{DestOptions, Encapsulation, Endpoint, Ip, Method};
use lvs_health::check::{Delivery, Via};

use super::checker::{self, Around, Inherited};
use super::global::small;
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{At, Head, RealServer, SorryServer};
use crate::keepalived::place::Span;
use crate::keepalived::tree::{Line, Node};

/// What a service's servers take from it.
pub(super) struct Service<'a> {
    pub(super) node: &'a Node,
    pub(super) head: Head,
    /// The port that packets come to, if it is one and the same.
    pub(super) port: Option<u16>,
    pub(super) options: DestOptions,
    pub(super) inhibit: bool,
    pub(super) inherited: Inherited<'a>,
}

/// All servers of a service, without those that are there already.
pub(super) fn all(
    service: &Service<'_>,
    around: Around<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<RealServer> {
    let mut known = std::collections::HashMap::new();
    let mut servers = Vec::new();
    for node in service.node.children("real_server") {
        let Some(server) = one(node, service, around, found) else {
            continue;
        };
        match known.insert(server.addr, node.line.span) {
            None => servers.push(server),
            Some(first) => {
                known.insert(server.addr, first);
                let wrong = format!("the server {} is there already", server.addr);
                found.push(
                    Diagnostic::error("duplicate-server", node.line.span, wrong)
                        .also(first, "first here")
                        .help("remove one of the two blocks; several checks can stand in one")
                        .tolerated(),
                );
            }
        }
    }
    servers
}

fn one(
    node: &Node,
    service: &Service<'_>,
    around: Around<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<RealServer> {
    let number = |name| node.child(name).and_then(|n| n.int()).map(small);
    let own = node.child("lvs_method");
    let (method, encapsulation) = match own {
        Some(own) => method(own, found)?,
        None => (service.options.method, service.options.encapsulation),
    };
    let options = DestOptions {
        method,
        encapsulation,
        weight: number("weight").unwrap_or(service.options.weight),
        upper: number("uthreshold").unwrap_or(0),
        lower: number("lthreshold").unwrap_or(0),
    };
    if options.lower > options.upper {
        let at = node.child("lthreshold").map_or(node.line.span, |n| n.span);
        let wrong = format!(
            "`lthreshold` {} is above `uthreshold` {}",
            options.lower, options.upper
        );
        found.push(Diagnostic::error("bad-thresholds", at, wrong));
        return None;
    }
    let addr = address(&node.line, service, method, found)?;
    let asked = Endpoint::new(addr.ip, written(&node.line).unwrap_or(addr.port));
    let inherited = Inherited {
        via: delivery(method, encapsulation).map(|delivery| Via {
            server: addr.ip.into(),
            delivery,
        }),
        ..service.inherited.in_block(node)
    };
    let mails = node.flag("smtp_alert").or(around.defaults.mails);
    Some(RealServer {
        addr,
        options,
        inhibit: node.flag("inhibit_on_failure").unwrap_or(service.inhibit),
        notify_up: node.child("notify_up").and_then(|n| n.command().cloned()),
        notify_down: node.child("notify_down").and_then(|n| n.command().cloned()),
        mails: mails.unwrap_or(true),
        checks: checker::all(node, asked, &inherited, around, found),
        span: At::new((), node.line.span),
    })
}

/// How packets for the virtual address get to a server, if they stay as they are.
fn delivery(method: Method, encapsulation: Encapsulation) -> Option<Delivery> {
    Some(match (method, encapsulation) {
        (Method::DirectRoute, _) => Delivery::Link,
        (Method::Tunnel, Encapsulation::Ipip) => Delivery::Ipip,
        (Method::Tunnel, Encapsulation::Gre { checksum }) => Delivery::Gre { checksum },
        (Method::Tunnel, Encapsulation::Gue { port, checksum }) => Delivery::Gue {
            port,
            checksum: checksum == GueChecksum::Full,
            remote_checksum: checksum == GueChecksum::Remote,
        },
        _ => return None,
    })
}

/// The sorry server, if the service has one.
pub(super) fn sorry(service: &Service<'_>, found: &mut Vec<Diagnostic>) -> Option<SorryServer> {
    let node = service.node.child("sorry_server")?;
    let (method, encapsulation) = match service.node.child("sorry_server_lvs_method") {
        Some(own) => method(own, found)?,
        None => (service.options.method, service.options.encapsulation),
    };
    Some(SorryServer {
        addr: address(&node.line, service, method, found)?,
        options: DestOptions {
            encapsulation,
            ..DestOptions::new(method, 1)
        },
        inhibit: service.node.flag("sorry_server_inhibit").unwrap_or(false),
        span: At::new((), node.line.span),
    })
}

/// A server's address. Where packets keep their port, it has the service's.
fn address(
    line: &Line,
    service: &Service<'_>,
    method: Method,
    found: &mut Vec<Diagnostic>,
) -> Option<Endpoint> {
    let ip = Ip::from(line.addr()?);
    let rewritten = matches!(method, Method::Nat | Method::FullNat);
    let written = written(line);
    if let (Some(vip), Some(other)) = (service.port, written.filter(|_| !rewritten))
        && vip != other
    {
        let place = line.arg("PORT").map_or(line.span, |arg| arg.span);
        found.push(mapped(other, vip, method, place));
    }
    let port = match rewritten {
        true => written.or(service.port),
        false => service.port,
    };
    let port = port.unwrap_or(0);
    let family = match &service.head {
        Head::Address(_, vip) => Some(vip.ip.family()),
        Head::Mark(family, _) => Some(*family),
        Head::Group(..) => None, // the group's services are looked at
    };
    if family.is_some_and(|f| f != ip.family()) && method != Method::Tunnel {
        let wrong = format!("the server {ip} is of another family than its service");
        found.push(
            Diagnostic::error("family-mismatch", line.span, wrong)
                .help("only tunnels (`lvs_method TUN`) reach servers of the other family")
                .tolerated(),
        );
        return None;
    }
    Some(Endpoint::new(ip, port))
}

/// The port behind an address, unless it is 0.
fn written(line: &Line) -> Option<u16> {
    let port = line.arg("PORT").and_then(|arg| arg.int());
    port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p > 0)
}

fn mapped(port: u16, vip: u16, method: Method, place: Span) -> Diagnostic {
    let name = match method {
        Method::DirectRoute => "DR",
        _ => "TUN",
    };
    let wrong = format!("with {name} packets keep their port: {port} cannot stand in for {vip}");
    Diagnostic::error("port-mapping", place, wrong)
        .label(format!("packets get there with port {vip}"))
        .help(format!("write {vip}, or use `lvs_method NAT`"))
        .tolerated()
}

/// What `lvs_method` and its like say.
pub(super) fn method(line: &Line, found: &mut Vec<Diagnostic>) -> Option<(Method, Encapsulation)> {
    let method = match line.text()? {
        "DR" => Method::DirectRoute,
        "TUN" => Method::Tunnel,
        "FNAT" | "FULLNAT" => Method::FullNat,
        _ => Method::Nat,
    };
    let has = |name| line.option(name).is_some();
    let port = line.option("port").and_then(|o| o.int());
    let port = port.and_then(|p| u16::try_from(p).ok());
    let kind = line.option("type").and_then(|o| o.text());
    let mut wrong = |why: &str| {
        found.push(Diagnostic::error("bad-tunnel", line.span, why).tolerated());
    };
    if (kind.is_some() || port.is_some() || !line.options.is_empty()) && method != Method::Tunnel {
        wrong("only `TUN` has a kind of tunnel");
        return Some((method, Encapsulation::Ipip));
    }
    let encapsulation = match kind.unwrap_or("ipip") {
        "gue" => {
            let Some(port) = port.filter(|p| *p > 0) else {
                wrong("a tunnel of type gue needs the `port` of the server's end");
                return None;
            };
            let checksum = match (has("csum"), has("remcsum")) {
                (true, _) => GueChecksum::Full,
                (_, true) => GueChecksum::Remote,
                _ => GueChecksum::None,
            };
            Encapsulation::Gue { port, checksum }
        }
        "gre" if has("remcsum") => {
            wrong("a tunnel of type gre has no `remcsum`");
            return None;
        }
        "gre" => Encapsulation::Gre {
            checksum: has("csum"),
        },
        _ => {
            if has("csum") || has("remcsum") {
                wrong("a tunnel of type ipip has no checksum");
            }
            Encapsulation::Ipip
        }
    };
    if port.is_some() && kind != Some("gue") {
        wrong("only a tunnel of type gue has a `port`");
    }
    Some((method, encapsulation))
}
