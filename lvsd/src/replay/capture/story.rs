//! One packet's story: what it was, what was decided, and why.

use std::fmt;
use std::time::Duration;

use lvs_core::{
    Config, Direction, Endpoint, Family, Forward, Ip, Kind, Protocol, Rewrite, Segment, TcpFlags,
};
use serde_json::{Value, json};

use super::network::addresses;
use crate::replay::engine::Fate;
use crate::replay::play::spaced;

/// What a packet was, and what became of it.
#[derive(Debug)]
pub(super) struct Story {
    /// When it was captured, since 1970 and since the capture's first packet.
    pub(super) captured: Duration,
    pub(super) since_first: Duration,
    pub(super) summary: Summary,
    pub(super) told: Told,
    /// How many frames were sent because of it.
    pub(super) sent: usize,
}

/// A packet in a few words.
#[derive(Debug)]
pub(super) enum Summary {
    /// One that could be read, or the error about it.
    Segment(Segment),
    /// Another one with IP addresses, and its protocol.
    Ip(Ip, Ip, Protocol, usize),
    /// Not IP; its EtherType.
    Other(u16, usize),
}

/// A decision with its reason.
#[derive(Debug, Default)]
pub(super) struct Told {
    decision: &'static str,
    /// `in` or `out` if it was forwarded.
    direction: Option<&'static str>,
    method: Option<&'static str>,
    server: Option<String>,
    service: Option<String>,
    reason: String,
}

/// What the director's counts say of the packet besides its fate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted {
    /// Whether a connection was made.
    pub(super) is_new: bool,
    /// Whether a persistence template was made.
    pub(super) is_new_client: bool,
    pub(super) icmp_sent: bool,
    pub(super) reset_sent: bool,
}

impl Summary {
    /// Of a packet that the director was not asked about.
    pub(super) fn of(ethertype: u16, packet: &[u8]) -> Self {
        let family = match ethertype {
            0x0800 => Family::V4,
            0x86dd => Family::V6,
            other => return Self::Other(other, packet.len()),
        };
        let at = if family == Family::V4 { 9 } else { 6 };
        match (addresses(family, packet), packet.get(at)) {
            (Some((src, dst)), Some(&protocol)) => {
                let protocol = Protocol(protocol);
                Self::Ip(src, dst, protocol, packet.len())
            }
            _ => Self::Other(ethertype, packet.len()),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Segment(s) => {
                let mut packet = json!({
                    "protocol": s.protocol.to_string(),
                    "src": s.src.to_string(),
                    "dst": s.dst.to_string(),
                    "length": s.len,
                });
                let about = match s.kind {
                    Kind::Packet => None,
                    Kind::LaterFragment => Some(json!("later fragment")),
                    Kind::IcmpError => Some(json!("ICMP error")),
                };
                if let Some(about) = about {
                    packet["kind"] = about;
                } else if s.protocol == Protocol::TCP {
                    packet["flags"] = json!(flags(s.flags));
                }
                if s.mark != 0 {
                    packet["mark"] = json!(s.mark);
                }
                packet
            }
            Self::Ip(src, dst, protocol, len) => {
                json!({"protocol": protocol.to_string(), "src": src.to_string(), "dst": dst.to_string(), "length": len})
            }
            Self::Other(ethertype, len) => json!({"ethertype": ethertype, "length": len}),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(s) => match s.kind {
                // It names a packet that travels the same way: the quoted one turned round.
                Kind::IcmpError => write!(f, "ICMP about {} {} > {}", s.protocol, s.dst, s.src),
                Kind::LaterFragment => {
                    write!(f, "{} {} > {} fragment {}", s.protocol, s.src, s.dst, s.len)
                }
                Kind::Packet if s.protocol == Protocol::TCP => {
                    let flags = flags(s.flags);
                    write!(f, "TCP {} > {} [{flags}] {}", s.src, s.dst, s.len)
                }
                Kind::Packet => write!(f, "{} {} > {} {}", s.protocol, s.src, s.dst, s.len),
            },
            Self::Ip(src, dst, protocol, len) => write!(f, "{protocol} {src} > {dst} {len}"),
            Self::Other(0x0806, _) => f.write_str("ARP"),
            Self::Other(ethertype, len) => write!(f, "EtherType 0x{ethertype:04x} {len}"),
        }
    }
}

/// TCP's flags as tcpdump writes them.
fn flags(flags: TcpFlags) -> String {
    let letters = [
        (TcpFlags::FIN, 'F'),
        (TcpFlags::SYN, 'S'),
        (TcpFlags::RST, 'R'),
        (TcpFlags(0x08), 'P'),
        (TcpFlags::ACK, '.'),
    ];
    let set: String = letters
        .iter()
        .filter(|(flag, _)| flags.has(*flag))
        .map(|(_, l)| *l)
        .collect();
    if set.is_empty() {
        "none".to_owned()
    } else {
        set
    }
}

impl Told {
    /// One that does not arrive at the director, and why.
    pub(super) fn skipped(reason: &str) -> Self {
        Self {
            decision: "skip",
            reason: reason.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn of(fate: Fate, segment: Option<&Segment>, noted: Noted, config: &Config) -> Self {
        let service = segment.and_then(|s| config.service_for(s));
        let told = Self {
            service: service.map(|s| s.key().to_string()),
            ..Self::default()
        };
        let answered = match noted {
            Noted {
                icmp_sent: true, ..
            } => "; ICMP error sent",
            Noted {
                reset_sent: true, ..
            } => "; reset sent",
            _ => "",
        };
        match fate {
            Fate::Forwarded(forward) => {
                let scheduler = service.map_or("", |s| s.scheduler().name());
                let is_persistent = service.is_some_and(|s| s.options().persistence.is_some());
                let reason = match (forward.direction, segment) {
                    (Direction::Out, _) => "reply".to_owned(),
                    (_, Some(s)) if s.kind == Kind::IcmpError => "ICMP error".to_owned(),
                    _ if !noted.is_new => "connection".to_owned(),
                    _ if is_persistent && !noted.is_new_client => {
                        "new connection, persistence".to_owned()
                    }
                    _ => format!("new connection, {scheduler}"),
                };
                told.forwarded(forward, segment, reason)
            }
            Fate::Passed(reason) => Self {
                decision: "pass",
                reason: format!("{}{answered}", reason.name()),
                ..told
            },
            Fate::Dropped(reason) => Self {
                decision: "drop",
                reason: format!("{}{answered}", reason.name()),
                ..told
            },
            Fate::Answered => Self {
                decision: "answer",
                reason: "the address is virtual".to_owned(),
                ..told
            },
            Fate::Relayed => Self {
                decision: "answer",
                reason: "ICMP error about a tunnel packet; the client is told".to_owned(),
                ..told
            },
            Fate::Held => Self {
                decision: "hold",
                reason: "waits for its first fragment".to_owned(),
                ..told
            },
        }
    }

    fn forwarded(self, forward: Forward, segment: Option<&Segment>, reason: String) -> Self {
        let is_in = forward.direction == Direction::In;
        let from = || segment.map(|s| s.src);
        let with_port = |e: Endpoint| e.to_string();
        let (method, server) = match forward.rewrite {
            Rewrite::Nat {
                src: Some(_),
                dst: Some(dst),
            } if is_in => ("FullNAT", Some(with_port(dst))),
            Rewrite::Nat { dst: Some(dst), .. } if is_in => ("NAT", Some(with_port(dst))),
            Rewrite::Nat {
                src: Some(_),
                dst: Some(_),
            } => ("FullNAT", from().map(with_port)),
            Rewrite::Nat { .. } => ("NAT", from().map(with_port)),
            Rewrite::Route { next_hop } if is_in => ("DR", Some(next_hop.to_string())),
            // A reply that merely comes by does not say from whom it is.
            Rewrite::Route { .. } => ("DR", None),
            Rewrite::Tunnel { remote, .. } => ("TUN", Some(remote.to_string())),
        };
        Self {
            decision: "forward",
            direction: Some(if is_in { "in" } else { "out" }),
            method: Some(method),
            server,
            reason,
            ..self
        }
    }
}

impl Story {
    /// What stands above the columns of lines.
    pub(super) fn heading() -> String {
        format!(
            "{:>13}  {:<58} {:<8} {:<28} because",
            "time", "packet", "decision", "to, from, by"
        )
    }

    /// As one JSON object.
    pub(super) fn to_json(&self) -> String {
        let told = &self.told;
        let mut object = json!({
            "time": seconds(self.captured),
            "packet": self.summary.to_json(),
            "decision": told.decision,
        });
        let optional = [
            ("direction", told.direction.map(str::to_owned)),
            ("method", told.method.map(str::to_owned)),
            ("server", told.server.clone()),
            ("service", told.service.clone()),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                object[key] = json!(value);
            }
        }
        object["reason"] = json!(told.reason);
        object["sent"] = json!(self.sent);
        spaced(&object)
    }
}

/// Seconds to the microsecond.
fn seconds(d: Duration) -> f64 {
    d.as_micros() as f64 / 1e6
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = &self.told;
        let whither = match (told.direction, &told.server, told.method) {
            (Some("in"), Some(server), Some(method)) => format!("-> {server} {method}"),
            (Some("out"), Some(server), Some(method)) => format!("<- {server} {method}"),
            (Some(_), None, Some(method)) => format!("<- {method}"),
            _ if told.decision == "pass" => "host".to_owned(),
            _ => String::new(),
        };
        let at = self.since_first;
        write!(
            f,
            "{:>6}.{:06}  {:<58} {:<8} {whither:<28} {}",
            at.as_secs(),
            at.subsec_micros(),
            self.summary.to_string(),
            told.decision,
            told.reason
        )
    }
}
