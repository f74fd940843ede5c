//! Who is who: the map that tells the programs which addresses and ports we handle.
//!
//! One hash map holds three kinds of keys, all `{address, port, protocol, level}`:
//!
//! | key | answers |
//! |---|---|
//! | address, port, protocol, 0 | is this a virtual service, or a real server whose replies we translate? |
//! | address, 0, protocol, 1 | the same for later fragments, which have no ports |
//! | address, 0, 0, 0 | has the address to do with us at all; is it the host's own; its FullNAT ports |
//!
//! The value is a set of flags, since one address can be several things (a virtual service on the host's
//! own address, a real server that is a virtual service too), and a port range. The caller lists
//! [`Entry`]s; the keys that follow from them are worked out here.

use std::collections::BTreeMap;

use lvs_core::service::LocalAddr;
use lvs_core::{Endpoint, Ip, Protocol};

use super::BpfError;
use super::map::HashMap;

/// Something we handle, or the host must be spared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "every guard must know them all")]
pub enum Entry {
    /// A virtual service: packets to it are ours.
    Virtual {
        /// TCP or UDP.
        protocol: Protocol,
        /// Its address (VIP) and port.
        addr: Endpoint,
    },
    /// A real server behind NAT: packets from it are ours, unless addressed to the host itself (the
    /// answers to its health checks).
    Reply {
        /// TCP or UDP.
        protocol: Protocol,
        /// The real server's address and port.
        addr: Endpoint,
    },
    /// An address of the host. VIPs may be among them.
    Own(Ip),
    /// A local address of FullNAT: packets to its ports are ours, even if the host owns the address.
    /// Several ranges of one address are taken as one from the lowest to the highest port.
    Local(LocalAddr),
}

/// The most keys the map holds; a service or real server needs up to three.
pub const MAX_ENTRIES: u32 = 1 << 17;

/// Flag of a virtual service, or of its address.
pub(super) const VIRTUAL: i32 = 1;
/// Flag of a real server whose replies are translated, or of its address.
pub(super) const REPLY: i32 = 2;
/// Flag of the host's addresses.
pub(super) const OWN: i32 = 4;
/// Flag of FullNAT's local addresses.
pub(super) const LOCAL: i32 = 8;

/// 16 bytes of address, port in network order, protocol, level.
pub(super) type Key = [u8; KEY_LEN];
pub(super) const KEY_LEN: usize = 20;
/// Where the port lies in a key.
pub(super) const KEY_PORT: i16 = 16;
/// Where the protocol lies in a key.
pub(super) const KEY_PROTOCOL: i16 = 18;
/// Where the level lies in a key.
pub(super) const KEY_LEVEL: i16 = 19;
/// The level of keys that stand for all ports of a protocol.
pub(super) const ANY_PORT: u8 = 1;

/// Where the lowest local port lies in a value, in host order; the flags are the first four bytes.
pub(super) const VALUE_LOW: i16 = 4;
/// Where the highest local port lies in a value, in host order.
pub(super) const VALUE_HIGH: i16 = 6;
const VALUE_LEN: usize = 8;

/// The map, and what is in it.
#[derive(Debug)]
pub struct Roles {
    map: HashMap<KEY_LEN, VALUE_LEN>,
    current: BTreeMap<Key, Role>,
}

impl Roles {
    /// Creates the map, empty.
    pub fn new() -> Result<Self, BpfError> {
        Ok(Self {
            map: HashMap::new("lvs_roles", MAX_ENTRIES)?,
            current: BTreeMap::new(),
        })
    }

    /// The map's descriptor, to be written into programs.
    pub fn raw_fd(&self) -> i32 {
        self.map.raw_fd()
    }

    /// Number of keys in the map.
    pub fn len(&self) -> usize {
        self.current.len()
    }

    /// Whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    /// Makes `entries` the content of the map. Only what differs is touched; what is new comes first and
    /// what is no longer wanted goes then, so an entry that stays is never missing.
    ///
    /// After an error some changes may have been made; the next call starts from what is there.
    pub fn set(&mut self, entries: &[Entry]) -> Result<(), BpfError> {
        let wanted = expand(entries);
        if wanted.len() > MAX_ENTRIES as usize {
            return Err(BpfError::Full);
        }
        for (key, role) in &wanted {
            if self.current.get(key) != Some(role) {
                self.map.insert(key, &role.bytes())?;
                self.current.insert(*key, *role);
            }
        }
        let gone = self.current.keys().filter(|k| !wanted.contains_key(*k));
        for key in gone.copied().collect::<Vec<_>>() {
            self.map.remove(&key)?;
            self.current.remove(&key);
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Role {
    flags: i32,
    /// Lowest and highest local port; an empty range unless the address is local.
    ports: (u16, u16),
}

/// A range that holds none.
const NO_PORTS: (u16, u16) = (u16::MAX, 0);

impl Role {
    fn bytes(&self) -> [u8; VALUE_LEN] {
        let [f0, f1, f2, f3] = self.flags.to_ne_bytes();
        let ([l0, l1], [h0, h1]) = (self.ports.0.to_ne_bytes(), self.ports.1.to_ne_bytes());
        [f0, f1, f2, f3, l0, l1, h0, h1]
    }
}

/// The keys that follow from the entries.
fn expand(entries: &[Entry]) -> BTreeMap<Key, Role> {
    let mut roles = BTreeMap::new();
    let mut add = |key: Key, flag: i32, (low, high): (u16, u16)| {
        let none = Role {
            flags: 0,
            ports: NO_PORTS,
        };
        let role = roles.entry(key).or_insert(none);
        role.flags |= flag;
        role.ports = (role.ports.0.min(low), role.ports.1.max(high));
    };
    for entry in entries {
        match *entry {
            Entry::Virtual { protocol, addr } | Entry::Reply { protocol, addr } => {
                let flag = match entry {
                    Entry::Virtual { .. } => VIRTUAL,
                    _ => REPLY,
                };
                let mut any_port = key(addr.ip, 0, protocol.0);
                any_port[KEY_LEVEL as usize] = ANY_PORT;
                for key in [
                    key(addr.ip, addr.port, protocol.0),
                    any_port,
                    key(addr.ip, 0, 0),
                ] {
                    add(key, flag, NO_PORTS);
                }
            }
            Entry::Own(ip) => add(key(ip, 0, 0), OWN, NO_PORTS),
            Entry::Local(l) => add(key(l.ip, 0, 0), LOCAL, (l.first_port, l.last_port)),
        }
    }
    roles
}

fn key(ip: Ip, port: u16, protocol: u8) -> Key {
    let mut key = [0; KEY_LEN];
    key[..16].copy_from_slice(ip.bytes());
    key[16..18].copy_from_slice(&port.to_be_bytes());
    key[18] = protocol;
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(s: &str) -> Ip {
        s.parse().unwrap()
    }

    #[test]
    fn a_key_is_address_port_protocol_as_on_the_wire() {
        assert_eq!(
            key(ip("10.9.0.100"), 80, 6),
            [
                0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 9, 0, 100, 0, 80, 6, 0
            ]
        );
    }

    #[test]
    fn an_address_keeps_all_its_roles() {
        let addr = Endpoint::new(ip("10.9.0.1"), 80);
        let local = |first_port, last_port| {
            Entry::Local(LocalAddr {
                ip: addr.ip,
                first_port,
                last_port,
            })
        };
        let roles = expand(&[
            Entry::Virtual {
                protocol: Protocol::TCP,
                addr,
            },
            Entry::Reply {
                protocol: Protocol::UDP,
                addr,
            },
            Entry::Own(addr.ip),
            local(5000, 5999),
            local(4000, 4999),
        ]);
        let any_port = |protocol| {
            let mut k = key(addr.ip, 0, protocol);
            k[19] = 1;
            k
        };
        assert_eq!(roles[&key(addr.ip, 80, 6)].flags, VIRTUAL);
        assert_eq!(roles[&key(addr.ip, 80, 17)].flags, REPLY);
        assert_eq!(roles[&any_port(6)].flags, VIRTUAL);
        assert_eq!(roles[&any_port(17)].flags, REPLY);
        let address = roles[&key(addr.ip, 0, 0)];
        assert_eq!(address.flags, VIRTUAL | REPLY | OWN | LOCAL);
        assert_eq!(address.ports, (4000, 5999));
        assert_eq!(roles.len(), 5);
    }

    #[test]
    fn an_address_that_is_not_local_has_an_empty_range() {
        let roles = expand(&[Entry::Own(ip("fd00::1"))]);
        let (low, high) = roles[&key(ip("fd00::1"), 0, 0)].ports;
        assert!(low > high);
    }
}
