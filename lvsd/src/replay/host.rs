//! The director host that traces are recorded on, its wires and neighbours.
//!
//! ```text
//! clients 10.9.1.2-59 ── 10.9.0.0/16 ── ec │ director │ er ── 10.10.0.0/16 ── servers 10.10.0.11-19
//!    fd00:9::1002-1059    fd00:9::/64       │          │       fd00:10::/64    fd00:10::11-19
//! ```
//!
//! The director is 10.9.0.1 and 10.10.0.1 (fd00:9::1, fd00:10::1), holds the virtual addresses 10.9.0.100,
//! 10.9.0.101, 10.9.0.9 and fd00:9::100, and has its IPv4 default route by 10.9.0.254. Every neighbour is known: its
//! Ethernet address is 02:00 and its IPv4 address, that of an IPv6 neighbour the same as of the IPv4 neighbour with the
//! same last number. So the Ethernet address that a packet goes to tells the next hop chosen for it.

use std::collections::HashMap;

use lvs_core::{Family, Ip, Sysctls};
use lvs_fwd::frame::{Offload, PortId};
use lvs_fwd::route::{Interface, Mac, Resolution, Route, Topology};

use super::engine::{Engine, Fate};
use super::trace::Side;

/// An IP packet that the director sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sent {
    pub(super) side: Side,
    /// The next hop whose Ethernet address it bore.
    pub(super) via: String,
    pub(super) ip: Vec<u8>,
}

/// The host.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) engine: Engine,
    topology: Topology,
    names: HashMap<(Family, Mac), Ip>,
}

const MTU: u32 = 1500;
/// Whoever sends packets in the name of somebody who is not on the link.
const PEER: Mac = Mac([0x02, 0, 0xff, 0xff, 0xff, 0xff]);

const fn port(side: Side) -> PortId {
    PortId(side as u16)
}

const fn own_mac(side: Side) -> Mac {
    Mac([0x02, 0, 0, 0, 0, side as u8 + 1])
}

/// The director's own addresses, without the virtual ones.
pub(super) const OWN: [Ip; 4] = [
    Ip::v4([10, 9, 0, 1]),
    Ip::v4([10, 10, 0, 1]),
    v6(9, 1),
    v6(0x10, 1),
];

/// `fd00:NET::HOST`
const fn v6(net: u8, host: u16) -> Ip {
    let [high, low] = host.to_be_bytes();
    Ip::v6([0xfd, 0, 0, net, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low])
}

/// A number whose hexadecimal digits are the decimal ones of `n`: the recorded hosts were numbered so.
fn as_written(n: u16) -> u16 {
    u16::from_str_radix(&n.to_string(), 16).unwrap_or(n)
}

impl Host {
    /// The host before a trace's first step: no services, IPVS's settings.
    pub(super) fn new() -> Self {
        let mut t = Topology::builder();
        let mut names = HashMap::new();
        let sides = [
            (Side::Clients, "ec", 9, [OWN[0], OWN[2]]),
            (Side::Servers, "er", 10, [OWN[1], OWN[3]]),
        ];
        for (side, name, net, own) in sides {
            let ifindex = side as u32 + 1;
            let virtuals = [
                Ip::v4([10, 9, 0, 100]),
                Ip::v4([10, 9, 0, 101]),
                Ip::v4([10, 9, 0, 9]),
                v6(9, 0x100),
            ];
            let held = match side {
                Side::Clients => &virtuals[..],
                Side::Servers => &[],
            };
            t.interface(Interface {
                port: port(side),
                ifindex,
                name: name.to_owned(),
                mac: own_mac(side),
                mtu: MTU,
                addrs: [&own, held].concat(),
            });
            let connected = |dst: Ip, prefix_len, prefsrc| Route {
                dst,
                prefix_len,
                metric: 0,
                ifindex,
                gateway: None,
                prefsrc: Some(prefsrc),
                mtu: None,
            };
            let [own4, own6] = own;
            t.route(connected(Ip::v4([10, net, 0, 0]), 16, own4));
            t.route(connected(own6.masked(64), 64, own6));
            t.broadcast(Ip::v4([10, net, 255, 255]));
            let mut neighbour = |v4: [u8; 4], v6: Option<Ip>| {
                let [a, b, c, d] = v4;
                let mac = Mac([0x02, 0, a, b, c, d]);
                for ip in [Some(Ip::v4(v4)), v6].into_iter().flatten() {
                    t.neighbour(ifindex, ip, mac);
                    names.insert((ip.family(), mac), ip);
                }
            };
            match side {
                Side::Clients => {
                    neighbour([10, 9, 0, 254], None);
                    for n in 2..60 {
                        let host = as_written(1000 + u16::from(n));
                        neighbour([10, 9, 1, n], Some(v6(9, host)));
                    }
                }
                Side::Servers => {
                    for n in 11..20 {
                        neighbour([10, 10, 0, n], Some(v6(0x10, as_written(n.into()))));
                    }
                }
            }
        }
        t.route(Route {
            dst: Ip::v4([0; 4]),
            prefix_len: 0,
            metric: 0,
            ifindex: Side::Clients as u32 + 1,
            gateway: Some(Ip::v4([10, 9, 0, 254])),
            prefsrc: None,
            mtu: None,
        });
        let sysctls = Sysctls {
            // A setting of ours, off as it were in any IPVS.
            reopen_removed: false,
            ..Sysctls::default()
        };
        let topology = t.build();
        Self {
            engine: Engine::new(topology.clone(), sysctls),
            topology,
            names,
        }
    }

    /// An IP packet arrives. Returns what became of it, and what was sent because of it.
    pub(super) fn receive(&mut self, side: Side, ip: &[u8]) -> (Fate, Vec<Sent>) {
        let family = family(ip);
        let ethertype: u16 = match family {
            Family::V4 => 0x0800,
            Family::V6 => 0x86dd,
        };
        let sender = self.sender(ip);
        let frame = [
            &own_mac(side).0,
            &sender.0,
            &ethertype.to_be_bytes()[..],
            ip,
        ]
        .concat();
        let (fate, frames) = self.engine.receive(port(side), &frame, Offload::default());
        let sent = frames.into_iter().filter_map(|f| {
            let (header, ip) = f.bytes.split_at_checked(14)?;
            let mac = Mac(header.get(..6)?.try_into().ok()?);
            let via = match self.names.get(&(self::family(ip), mac)) {
                Some(ip) => ip.to_string(),
                None => mac.to_string(),
            };
            let side = [Side::Clients, Side::Servers]
                .into_iter()
                .find(|s| port(*s) == f.port)?;
            Some(Sent {
                side,
                via,
                ip: ip.to_vec(),
            })
        });
        (fate, sent.collect())
    }

    /// The Ethernet address that a packet comes from: the next hop's on the way back. Answers of the director's own go
    /// there without asking for the way.
    fn sender(&self, ip: &[u8]) -> Mac {
        let source = match family(ip) {
            Family::V4 => ip.get(12..16).and_then(|b| b.try_into().ok()).map(Ip::v4),
            Family::V6 => ip.get(8..24).and_then(|b| b.try_into().ok()).map(Ip::v6),
        };
        match source.map(|ip| self.topology.resolve(ip)) {
            Some(Resolution::Ready(hop)) => hop.dst_mac,
            _ => PEER,
        }
    }
}

/// The family of an IP packet, by its version.
pub(super) fn family(ip: &[u8]) -> Family {
    match ip.first().map(|b| b >> 4) {
        Some(6) => Family::V6,
        _ => Family::V4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_named_as_in_traces() {
        let host = Host::new();
        let name = |family, mac| host.names[&(family, Mac(mac))].to_string();
        assert_eq!(name(Family::V4, [2, 0, 10, 9, 1, 59]), "10.9.1.59");
        assert_eq!(name(Family::V6, [2, 0, 10, 9, 1, 59]), "fd00:9::1059");
        assert_eq!(name(Family::V6, [2, 0, 10, 10, 0, 19]), "fd00:10::19");
        assert_eq!(name(Family::V4, [2, 0, 10, 9, 0, 254]), "10.9.0.254");
    }
}
