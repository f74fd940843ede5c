//! Services and servers as ipvsadm lists them.
//!
//! Layouts are ipvsadm's to the blank, since scripts read them; so is the order.

mod numbers;
mod order;

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use lvs_core::{Endpoint, Family, Protocol, ServiceKey};

use super::names::{self, Numbers, Shown};
use crate::control::table::{Checksum, Counters, Persistence, Server, Service, Timeouts, Tunnel};
use crate::rules::What;
use numbers::counter;
pub use order::sort;

/// The first line of a listing of everything: the version of IPVS whose ways are followed, and the usual size of its
/// connection table.
pub const BANNER: &str = "IP Virtual Server version 1.2.1 (size=4096)";

/// How services and servers are listed.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Layout<'a> {
    /// The columns.
    pub what: What,
    /// Whether large numbers are shown in full.
    pub exact: bool,
    /// How hosts and ports are shown.
    pub names: &'a dyn Shown,
}

impl Layout<'static> {
    /// These columns, with numbers for names and numbers in full.
    pub fn numeric(what: What) -> Self {
        Self {
            what,
            exact: true,
            names: &Numbers,
        }
    }
}

impl Layout<'_> {
    /// The two lines of headings.
    pub fn heads(&self) -> String {
        let counters = |names: [&str; 5]| {
            let [a, b, c, d, e] = names;
            format!(
                "{:<33} {a:>8} {b:>8} {c:>8} {d:>8} {e:>8}",
                "Prot LocalAddress:Port"
            )
        };
        let server = "  -> RemoteAddress:Port";
        let service = "Prot LocalAddress:Port Scheduler Flags";
        let (first, second) = match self.what {
            What::Stats => {
                let first = counters(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]);
                (first, server.to_owned())
            }
            What::Rate => {
                let first = counters(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]);
                (first, server.to_owned())
            }
            What::Thresholds => (
                "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn "
                    .to_owned(),
                server.to_owned(),
            ),
            What::PersistentConn => (
                "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn "
                    .to_owned(),
                server.to_owned(),
            ),
            What::TunInfo => (
                service.to_owned(),
                format!("{server:<33} Forward TunnelInfo    Weight ActiveConn InActConn"),
            ),
            _ => (
                service.to_owned(),
                format!("{server:<33} Forward Weight ActiveConn InActConn"),
            ),
        };
        format!("{first}\n{second}\n")
    }

    fn service(&self, service: &Service) -> String {
        let key = ServiceKey::from(service.key);
        let mut line = match key {
            ServiceKey::Addr { protocol, addr } => {
                format!("{:<4} {}", protocol.to_string(), self.name(addr, protocol))
            }
            ServiceKey::Mark { family, mark } => {
                let family = match family {
                    Family::V4 => "",
                    Family::V6 => " IPv6",
                };
                // ipvsadm takes it for signed.
                format!("FWM  {}{family}", mark as i32)
            }
        };
        match self.counters(&service.totals, &service.rates) {
            Some(counters) => format!("{line:<33}{counters}"),
            None => {
                line.push_str(&attributes(service));
                line
            }
        }
    }

    fn server(&self, server: &Server, protocol: Protocol) -> String {
        let name = self.name(server.endpoint(), protocol);
        if let Some(counters) = self.counters(&server.totals, &server.rates) {
            return format!("  -> {name:<28}{counters}");
        }
        let (weight, upper, lower) = (server.weight, server.upper, server.lower);
        let method = server.method.name();
        let before = match self.what {
            What::Thresholds => format!("{upper:<10} {lower:<10}"),
            What::PersistentConn => format!("{weight:<9} {:<11}", server.persistent),
            What::TunInfo => format!("{method:<7} {:<13} {weight:<6}", tunnel(server)),
            _ => format!("{method:<7} {weight:<6}"),
        };
        let (active, inactive) = (server.active, server.inactive);
        format!("  -> {name:<28} {before} {active:<10} {inactive:<10}")
    }

    /// The columns of counters, in listings that have them.
    fn counters(&self, totals: &Counters, rates: &Counters) -> Option<String> {
        let of = match self.what {
            What::Stats => totals,
            What::Rate => rates,
            _ => return None,
        };
        let each = [
            of.conns,
            of.in_packets,
            of.out_packets,
            of.in_bytes,
            of.out_bytes,
        ];
        Some(each.iter().map(|n| counter(*n, self.exact)).collect())
    }

    /// An address and port; longer ones of IPv6 push what follows, those of IPv4 (names) are cut.
    fn name(&self, at: Endpoint, protocol: Protocol) -> String {
        let name = names::endpoint(self.names, at, protocol);
        match at.ip.family() {
            Family::V4 => name.chars().take(28).collect(),
            Family::V6 => name,
        }
    }
}

/// A line for each service and each of its servers.
pub fn lines(services: &[Service], layout: &Layout<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for service in services {
        let protocol = ServiceKey::from(service.key).protocol();
        // A mark is of all protocols: its servers' ports have no names.
        let protocol = protocol.unwrap_or(Protocol(0));
        lines.push(layout.service(service));
        lines.extend(service.servers.iter().map(|s| layout.server(s, protocol)));
    }
    lines
}

/// The line of `-L --timeout`.
pub fn timeouts(t: &Timeouts) -> String {
    format!(
        "Timeout (tcp tcpfin udp): {} {} {}",
        t.tcp, t.tcp_fin, t.udp
    )
}

/// A protocol's name in listings of connections; templates for a mark, which are for all protocols, are of "IP".
pub fn protocol_name(protocol: Protocol) -> String {
    match protocol {
        Protocol(0) => "IP".to_owned(),
        other => other.to_string(),
    }
}

/// What follows a service's address.
fn attributes(service: &Service) -> String {
    let mut text = format!(" {}", service.scheduler);
    // Writing to a string cannot fail.
    if !service.flags.is_empty() {
        let _ = write!(text, " ({})", service.flags.join(","));
    }
    if let Some(p) = &service.persistence {
        let _ = write!(text, " persistent {}", p.timeout);
        if let Some(mask) = mask(p, ServiceKey::from(service.key).family()) {
            let _ = write!(text, " mask {mask}");
        }
        if let Some(engine) = &p.engine {
            let _ = write!(text, " pe {engine}");
        }
    }
    if service.one_packet {
        text.push_str(" ops");
    }
    text
}

/// The persistence mask, unless it is the full one.
fn mask(p: &Persistence, family: Family) -> Option<String> {
    match (family, p.prefix) {
        (Family::V4, 32..) | (Family::V6, 128..) => None,
        (Family::V4, n) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(n)).unwrap_or(0);
            Some(Ipv4Addr::from(mask).to_string())
        }
        (Family::V6, n) => Some(n.to_string()),
    }
}

/// The column `TunnelInfo`.
fn tunnel(server: &Server) -> String {
    let sum = |checksum| match checksum {
        Checksum::None => "-c",
        Checksum::Full => "+c",
        Checksum::Remote => "r+c",
    };
    match server.tunnel {
        None => "n/a".to_owned(),
        Some(Tunnel::Ipip) => "ipip".to_owned(),
        Some(Tunnel::Gre { checksum }) => format!("gre:{}", sum(checksum)),
        Some(Tunnel::Gue { port, checksum }) => format!("gue:{port}:{}", sum(checksum)),
    }
}
