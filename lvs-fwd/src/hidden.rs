//! What is hidden from the host: the rules of the guard, in plain Rust.
//!
//! The host's own stack sees every packet that we see. What we handle must be hidden from it
//! ([`crate::io::bpf::guard`]), and that is decided by addresses, ports and marks alone, before anybody knows whether
//! a packet belongs to a connection. Mostly that is all there is to know. But of the packets to an FTP service's data
//! ports, or from a real server that may answer from any port, only some are ours. All of them are hidden, and
//! what turns out to be the host's is given back to it ([`crate::frame::Outputs::give_back`]).
//! For that we must know what has been hidden: [`Hidden`] answers as the guard's program does, from the same tables.
//!
//! | a packet of TCP, UDP, SCTP, AH or ESP | |
//! |---|---|
//! | whose mark is that of a service | hidden |
//! | to a virtual service, or a port where its further connections go | hidden |
//! | to a local address of FullNAT, port in its range | hidden |
//! | to an address of the host | the host's: health checks, ssh |
//! | from a real server behind NAT | hidden |
//! | anything else | the host's |
//!
//! Later fragments have no ports: all are hidden that belong to a service for some ports. An ICMP error is judged
//! like a packet of the connection of the packet it quotes.
//!
//! The tables have keys `{address, port, protocol, level}`:
//!
//! | key | answers |
//! |---|---|
//! | address, port, protocol, 0 | is this a virtual service, or a real server whose replies we translate? |
//! | address, 0, protocol, 1 | the same for later fragments, which have no ports; the range of its other ports |
//! | address, 0, 0, 0 | has the address to do with us at all; is it the host's own; its FullNAT ports |
//! | Ethernet address, interface, 2 | are frames to it for this host, though it is not the interface's own? |
//!
//! An address can be several things at once: a virtual service on the host's own address, a real server that is a
//! virtual service too.

use std::collections::BTreeMap;
use std::sync::Arc;

use lvs_core::segment::port::ISAKMP;
use lvs_core::service::LocalAddr;
use lvs_core::{Endpoint, Family, Ip, Kind, Protocol, Segment};

use crate::classify::{Classifier, Rule};
use crate::frame::PortId;
use crate::route::Mac;

/// Something we handle, or the host must be spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "every guard must know them all")]
pub enum Entry {
    /// A virtual service: packets to it are ours.
    Virtual {
        /// Its protocol.
        protocol: Protocol,
        /// Its address (VIP) and port; port 0 stands for all ports.
        addr: Endpoint,
    },
    /// Ports of a virtual address where further connections of its services come in, FTP's above all. Several ranges of one
    /// address and protocol are taken as one from the lowest to the highest port.
    Data {
        /// Their protocol.
        protocol: Protocol,
        /// The address.
        ip: Ip,
        /// The lowest port.
        first: u16,
        /// The highest port.
        last: u16,
    },
    /// A real server behind NAT: packets from it are ours, unless addressed to the host itself (the
    /// answers to its health checks).
    Reply {
        /// The protocol.
        protocol: Protocol,
        /// The real server's address and port; port 0 stands for all ports.
        addr: Endpoint,
    },
    /// An address of the host. VIPs may be among them.
    Own(Ip),
    /// An Ethernet address of the host besides that of the interface: a macvlan's. What is not addressed to the host is
    /// never hidden.
    Station {
        /// The kernel's number of the interface by which frames to it come in.
        ifindex: u32,
        /// The address.
        mac: Mac,
    },
    /// A local address of FullNAT: packets to its ports are ours, even if the host owns the address.
    /// Several ranges of one address are taken as one from the lowest to the highest port.
    Local(LocalAddr),
}

/// Flag of a virtual service, or of its address.
pub(crate) const VIRTUAL: u32 = 1;
/// Flag of a real server whose replies are translated, or of its address.
pub(crate) const REPLY: u32 = 2;
/// Flag of the host's addresses.
pub(crate) const OWN: u32 = 4;
/// Flag of FullNAT's local addresses.
pub(crate) const LOCAL: u32 = 8;
/// Flag of an address and protocol where a range of ports is ours, and of such an address.
pub(crate) const RANGE: u32 = 16;
/// Flag of an address and protocol from which any port's packets are replies.
pub(crate) const ANY_REPLY: u32 = 32;

/// Flag of Ethernet addresses.
pub(crate) const STATION: u32 = 64;

/// 16 bytes of address, port in network order, protocol, level.
pub(crate) type Key = [u8; 20];
/// The level of keys that stand for all ports of a protocol.
pub(crate) const ANY_PORT: u8 = 1;
/// The level of keys that are Ethernet addresses.
pub(crate) const LINK: u8 = 2;
/// Where the interface's number lies in such a key, in native order.
pub(crate) const LINK_IFINDEX: usize = 8;

pub(crate) fn key(ip: Ip, port: u16, protocol: u8, level: u8) -> Key {
    let mut key = [0; 20];
    key[..16].copy_from_slice(ip.bytes());
    key[16..18].copy_from_slice(&port.to_be_bytes());
    key[18] = protocol;
    key[19] = level;
    key
}

fn link_key(ifindex: u32, mac: Mac) -> Key {
    let mut key = [0; 20];
    key[..6].copy_from_slice(&mac.0);
    key[LINK_IFINDEX..][..4].copy_from_slice(&ifindex.to_ne_bytes());
    key[19] = LINK;
    key
}

/// What is known about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) flags: u32,
    /// Lowest and highest port of an address's local range, or of a protocol's range; mostly an empty range.
    pub(crate) ports: (u16, u16),
}

impl Default for Role {
    fn default() -> Self {
        let ports = (u16::MAX, 0);
        Self { flags: 0, ports }
    }
}

impl Role {
    const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    const fn has_port(&self, port: u16) -> bool {
        self.ports.0 <= port && port <= self.ports.1
    }

    fn merge(&mut self, other: Self) {
        self.flags |= other.flags;
        let ((low, high), (l, h)) = (self.ports, other.ports);
        self.ports = (low.min(l), high.max(h));
    }
}

/// In the marks of [`Hidden::marks`]: hides packets of the family.
pub(crate) const fn mark_of(family: Family) -> u32 {
    match family {
        Family::V4 => 1,
        Family::V6 => 2,
    }
}

/// Says what is hidden. The default hides nothing.
#[derive(Clone, Debug, Default)]
pub struct Hidden {
    base: Arc<Base>,
    /// What has come since: few entries, and all that is known about their keys.
    added: Vec<Entry>,
    added_roles: BTreeMap<Key, Role>,
}

#[derive(Debug, Default)]
struct Base {
    entries: Vec<Entry>,
    roles: BTreeMap<Key, Role>,
    /// Rules that say of which families packets are hidden ([`mark_of`]), or that they are not.
    marks: Classifier,
}

impl Hidden {
    /// Hides what the entries name, and packets to which `rules` give a mark that `has_service`.
    pub fn new(
        entries: &[Entry],
        rules: &[Rule],
        has_service: impl Fn(Family, u32) -> bool,
    ) -> Self {
        let mut roles = expand(entries);
        let rules = rules.iter().map(|rule| {
            let families = [Family::V4, Family::V6].into_iter();
            let served = families.filter(|f| rule.mark != 0 && has_service(*f, rule.mark));
            Rule {
                mark: served.map(mark_of).sum(),
                ..rule.clone()
            }
        });
        let rules: Vec<Rule> = rules.flat_map(with_ipsec).collect();
        let marks = match rules.iter().any(|r| r.mark != 0) {
            true => Classifier::new(rules),
            false => Classifier::default(),
        };
        for (protocol, endpoint, _) in marks.table().exact() {
            // Later fragments do not know that only one port is meant.
            for key in [
                key(endpoint.ip, 0, protocol.0, ANY_PORT),
                key(endpoint.ip, 0, 0, 0),
            ] {
                roles.entry(key).or_default().flags |= VIRTUAL;
            }
        }
        let entries = entries.to_vec();
        Self {
            base: Arc::new(Base {
                entries,
                roles,
                marks,
            }),
            ..Self::default()
        }
    }

    /// Hides these entries too. Costs what is added, not what is there, as long as little has been added since
    /// [`Self::new`].
    #[must_use]
    pub fn with(&self, more: &[Entry]) -> Self {
        let mut hidden = self.clone();
        hidden.added.extend(more);
        for (key, role) in expand(more) {
            let mut merged = self.role(&key).unwrap_or_default();
            merged.merge(role);
            hidden.added_roles.insert(key, merged);
        }
        hidden
    }

    /// Whether something was added since [`Self::new`].
    pub fn has_more(&self) -> bool {
        !self.added.is_empty()
    }

    /// Whether this packet, which came in by `port`, has been hidden. `is_later` says that it is a later fragment,
    /// whose ports the guard did not know.
    pub fn hides(&self, packet: &Segment, is_later: bool, port: PortId) -> bool {
        let Segment {
            protocol, src, dst, ..
        } = *packet;
        let known = protocol.is_balanced() || matches!(protocol, Protocol::AH | Protocol::ESP);
        if !known || packet.kind == Kind::IcmpError && is_later {
            return false;
        }
        let role = |key: Key| self.role(&key).unwrap_or_default();
        let any_port = |ip| role(key(ip, 0, protocol.0, ANY_PORT));
        let exact = |e: Endpoint| role(key(e.ip, e.port, protocol.0, 0));
        let is_virtual = match is_later {
            true => any_port(dst.ip).has(VIRTUAL),
            false => exact(dst).has(VIRTUAL),
        };
        if is_virtual || self.is_marked(packet, is_later, port) {
            return true;
        }
        let address = role(key(dst.ip, 0, 0, 0));
        if !is_later {
            let in_range = address.has(RANGE) && any_port(dst.ip).has_port(dst.port);
            if in_range || address.has(LOCAL) && address.has_port(dst.port) {
                return true;
            }
        }
        if address.has(OWN) {
            return false;
        }
        if is_later && address.has(LOCAL) {
            return true;
        }
        let server = any_port(src.ip);
        server.has(ANY_REPLY) || server.has(REPLY) && (is_later || exact(src).has(REPLY))
    }

    fn is_marked(&self, packet: &Segment, is_later: bool, port: PortId) -> bool {
        let family = mark_of(packet.dst.ip.family());
        match is_later {
            true => self.marks().table().any_marks(packet, port, family),
            false => self.marks().classify(packet, port) & family != 0,
        }
    }

    /// What it was made from, but for the rules.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.base.entries.iter().chain(&self.added)
    }

    pub(crate) fn role(&self, key: &Key) -> Option<Role> {
        let added = self.added_roles.get(key);
        added.or_else(|| self.base.roles.get(key)).copied()
    }

    /// What is known about all keys: those that were added last, and instead of what was known before.
    pub(crate) fn roles(&self) -> impl Iterator<Item = (&Key, &Role)> {
        self.base.roles.iter().chain(&self.added_roles)
    }

    /// What is known about the keys that have been added.
    pub(crate) const fn added_roles(&self) -> &BTreeMap<Key, Role> {
        &self.added_roles
    }

    /// The rules that say what is hidden by its mark.
    pub(crate) fn marks(&self) -> &Classifier {
        &self.base.marks
    }
}

/// The rule, and if ISAKMP is under it, what makes AH and ESP between the same addresses follow it.
fn with_ipsec(rule: Rule) -> impl Iterator<Item = Rule> {
    let covers = |ports: &Option<std::ops::RangeInclusive<u16>>| {
        ports.as_ref().is_none_or(|r| r.contains(&ISAKMP))
    };
    let isakmp = matches!(rule.protocol, None | Some(Protocol::UDP))
        && covers(&rule.source_ports)
        && covers(&rule.destination_ports);
    let ipsec = [Protocol::AH, Protocol::ESP].map(|protocol| Rule {
        protocol: Some(protocol),
        source_ports: None,
        destination_ports: None,
        ..rule.clone()
    });
    let ipsec = ipsec.into_iter().filter(move |_| isakmp);
    std::iter::once(rule).chain(ipsec)
}

/// The keys that follow from the entries.
fn expand(entries: &[Entry]) -> BTreeMap<Key, Role> {
    let mut roles: BTreeMap<Key, Role> = BTreeMap::new();
    let mut add = |key: Key, flags: u32, ports: (u16, u16)| {
        roles.entry(key).or_default().merge(Role { flags, ports });
    };
    let none = Role::default().ports;
    for entry in entries {
        match *entry {
            Entry::Virtual { protocol, addr } => {
                let (ip, port) = (addr.ip, addr.port);
                add(key(ip, port, protocol.0, 0), VIRTUAL, none);
                let (flags, range) = match port {
                    0 => (VIRTUAL | RANGE, (0, u16::MAX)),
                    _ => (VIRTUAL, none),
                };
                add(key(ip, 0, protocol.0, ANY_PORT), flags, range);
                add(key(ip, 0, 0, 0), flags, none);
            }
            Entry::Data {
                protocol,
                ip,
                first,
                last,
            } => {
                let flags = VIRTUAL | RANGE;
                add(key(ip, 0, protocol.0, ANY_PORT), flags, (first, last));
                add(key(ip, 0, 0, 0), flags, none);
            }
            Entry::Reply { protocol, addr } => {
                add(key(addr.ip, addr.port, protocol.0, 0), REPLY, none);
                let flags = match addr.port {
                    0 => REPLY | ANY_REPLY,
                    _ => REPLY,
                };
                add(key(addr.ip, 0, protocol.0, ANY_PORT), flags, none);
                add(key(addr.ip, 0, 0, 0), REPLY, none);
            }
            Entry::Own(ip) => add(key(ip, 0, 0, 0), OWN, none),
            Entry::Station { ifindex, mac } => add(link_key(ifindex, mac), STATION, none),
            Entry::Local(l) => add(key(l.ip, 0, 0, 0), LOCAL, (l.first_port, l.last_port)),
        }
    }
    roles
}

#[cfg(test)]
mod tests;
