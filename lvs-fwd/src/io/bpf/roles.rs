//! What is hidden, as the programs see it: [`Hidden`]'s tables in maps of the kernel.
//!
//! | map | key | value |
//! |---|---|---|
//! | `lvs_roles` | address, port, protocol, level | flags, a range of ports, and for level 0 a chain of rules |
//! | | Ethernet address, interface, level | flags |
//! | `lvs_prefixes` | a prefix | the chain of rules for destinations within it |
//! | `lvs_rules` | a number from 1 | a rule of a chain, and the number of the next |
//!
//! The chains are those of [`crate::classify`]; chain 0 is none. Packets are judged while maps change. So the
//! rules of a new set get numbers that the old ones do not have, are there before any chain leads to them, and
//! the old ones go when none does any more.

use std::collections::BTreeMap;

use lvs_core::{Family, Ip};

use super::BpfError;
use super::map::Map;
use crate::classify::Rule;
use crate::classify::table::{END, Step};
use crate::frame::PortId;
use crate::hidden::{self, Hidden, Key, Role, mark_of};

/// The most keys the map of roles holds; a service or real server needs up to three.
pub const MAX_ENTRIES: u32 = 1 << 17;
/// The most rules for marks.
pub const MAX_RULES: u32 = 1 << 16;

pub(super) const KEY_LEN: usize = size_of::<Key>();
/// Where the port lies in a key.
pub(super) const KEY_PORT: i16 = 16;
/// Where the protocol lies in a key.
pub(super) const KEY_PROTOCOL: i16 = 18;
/// Where the level lies in a key.
pub(super) const KEY_LEVEL: i16 = 19;

/// Where the lowest port lies in a role, in host order; the flags are the first four bytes.
pub(super) const ROLE_LOW: i16 = 4;
/// Where the highest port lies in a role, in host order.
pub(super) const ROLE_HIGH: i16 = 6;
/// Where the number of the first rule of a chain lies in a role.
pub(super) const ROLE_CHAIN: i16 = 8;
const ROLE_LEN: usize = 12;

/// A length of 4 bytes, and an address.
pub(super) const PREFIX_LEN: usize = 20;

/// Offsets in a rule. The number of the next rule comes first.
pub(super) mod rule {
    /// Its place in the list.
    pub(in super::super) const PLACE: i16 = 4;
    /// Which bits of the source count.
    pub(in super::super) const MASK: i16 = 8;
    /// What they must be.
    pub(in super::super) const SOURCE: i16 = 24;
    /// The interface's number.
    pub(in super::super) const IFINDEX: i16 = 40;
    /// Which bits of that count: all or none.
    pub(in super::super) const IFINDEX_MASK: i16 = 44;
    /// The protocol.
    pub(in super::super) const PROTOCOL: i16 = 48;
    /// Which bits of that count: all or none.
    pub(in super::super) const PROTOCOL_MASK: i16 = 49;
    /// Of which families packets are hidden.
    pub(in super::super) const FAMILIES: i16 = 50;
    /// Whether the packet must have ports: 1 or 0.
    pub(in super::super) const PORTED: i16 = 51;
    /// The lowest source port; then the highest, and the same for the destination.
    pub(in super::super) const PORTS: i16 = 52;
    /// Which families it is about.
    pub(in super::super) const ABOUT: i16 = 60;
    pub(in super::super) const LEN: usize = 64;
}

type RuleBytes = [u8; rule::LEN];

/// The maps' descriptors, to be written into programs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Maps {
    /// `lvs_roles`
    pub roles: i32,
    /// `lvs_prefixes`
    pub prefixes: i32,
    /// `lvs_rules`
    pub rules: i32,
}

/// The maps, and what is in them.
#[derive(Debug)]
pub struct Roles {
    roles: Map<KEY_LEN, ROLE_LEN>,
    prefixes: Map<PREFIX_LEN, 4>,
    rules: Map<4, { rule::LEN }>,
    current: Content,
    /// The number before that of the first rule.
    base: u32,
}

/// What is in the maps.
#[derive(Debug, Default, PartialEq, Eq)]
struct Content {
    roles: BTreeMap<Key, [u8; ROLE_LEN]>,
    prefixes: BTreeMap<[u8; PREFIX_LEN], u32>,
    rules: Vec<RuleBytes>,
}

impl Roles {
    /// Creates the maps, empty.
    pub fn new() -> Result<Self, BpfError> {
        Ok(Self {
            roles: Map::hash("lvs_roles", MAX_ENTRIES)?,
            prefixes: Map::prefixes("lvs_prefixes", MAX_RULES)?,
            rules: Map::hash("lvs_rules", 2 * MAX_RULES)?,
            current: Content::default(),
            base: 0,
        })
    }

    /// The maps' descriptors.
    pub fn maps(&self) -> Maps {
        Maps {
            roles: self.roles.raw_fd(),
            prefixes: self.prefixes.raw_fd(),
            rules: self.rules.raw_fd(),
        }
    }

    /// Number of keys and rules in the maps.
    pub fn len(&self) -> usize {
        let Content {
            roles,
            prefixes,
            rules,
        } = &self.current;
        roles.len() + prefixes.len() + rules.len()
    }

    /// Whether the maps are empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes `hidden` the content of the maps. Only what differs is touched; what is new comes first and
    /// what is no longer wanted goes then, so an entry that stays is never missing. `ifindex` says which interface
    /// a port is; rules about one that is none are left out.
    ///
    /// After an error some changes may have been made; the next call starts from what is there.
    pub fn set(
        &mut self,
        hidden: &Hidden,
        ifindex: impl Fn(PortId) -> Option<u32>,
    ) -> Result<(), BpfError> {
        let steps = hidden.marks().table().steps();
        let bytes = |s: &Step| rule_bytes(s, ifindex(s.rule.interface.unwrap_or(PortId(0))));
        let rules: Vec<RuleBytes> = steps.iter().map(bytes).collect();
        if rules.len() > MAX_RULES as usize {
            return Err(BpfError::Full);
        }
        let same = rules == self.current.rules;
        let base = match same {
            true => self.base,
            false => MAX_RULES - self.base, // the other half
        };
        let wanted = content(hidden, rules, base);
        if wanted.roles.len() > MAX_ENTRIES as usize {
            return Err(BpfError::Full);
        }
        if !same {
            for (number, rule) in (base + 1..).zip(&wanted.rules) {
                let mut rule = *rule;
                let next = u32::from_ne_bytes([rule[0], rule[1], rule[2], rule[3]]);
                rule[..4].copy_from_slice(&chain(next, base).to_ne_bytes());
                self.rules.insert(&number.to_ne_bytes(), &rule)?;
            }
        }
        let current = &mut self.current;
        sync(&self.roles, &mut current.roles, wanted.roles, |r| *r)?;
        let number = |n: &u32| n.to_ne_bytes();
        sync(
            &self.prefixes,
            &mut current.prefixes,
            wanted.prefixes,
            number,
        )?;
        if !same {
            for (number, _) in (self.base + 1..).zip(&current.rules) {
                self.rules.remove(&number.to_ne_bytes())?;
            }
            (current.rules, self.base) = (wanted.rules, base);
        }
        Ok(())
    }
}

impl Roles {
    /// Puts what has been [added](Hidden::with) to `hidden` into the maps, which hold the rest of it.
    pub fn add(&mut self, hidden: &Hidden) -> Result<(), BpfError> {
        let current = &mut self.current.roles;
        let added = hidden.added_roles();
        let new = added.keys().filter(|k| !current.contains_key(*k)).count();
        if current.len() + new > MAX_ENTRIES as usize {
            return Err(BpfError::Full);
        }
        for (key, role) in added {
            let chain = current.get(key).map_or([0; 4], chain_of);
            let role = role_bytes(role, u32::from_ne_bytes(chain));
            if current.get(key) != Some(&role) {
                self.roles.insert(key, &role)?;
                current.insert(*key, role);
            }
        }
        Ok(())
    }
}

/// Makes the content of `map`, which is `current`, what is `wanted`.
fn sync<const K: usize, const V: usize, T: PartialEq + Clone>(
    map: &Map<K, V>,
    current: &mut BTreeMap<[u8; K], T>,
    wanted: BTreeMap<[u8; K], T>,
    bytes: impl Fn(&T) -> [u8; V],
) -> Result<(), BpfError> {
    let gone = current.keys().filter(|k| !wanted.contains_key(*k));
    let gone: Vec<_> = gone.copied().collect();
    for (key, value) in wanted {
        if current.get(&key) != Some(&value) {
            map.insert(&key, &bytes(&value))?;
            current.insert(key, value);
        }
    }
    for key in gone {
        map.remove(&key)?;
        current.remove(&key);
    }
    Ok(())
}

/// The number of a step of the table, or 0 for the end.
const fn chain(step: u32, base: u32) -> u32 {
    match step {
        END => 0,
        step => base + step + 1,
    }
}

fn role_bytes(role: &Role, chain: u32) -> [u8; ROLE_LEN] {
    let [f0, f1, f2, f3] = role.flags.to_ne_bytes();
    let ([l0, l1], [h0, h1]) = (role.ports.0.to_ne_bytes(), role.ports.1.to_ne_bytes());
    let [c0, c1, c2, c3] = chain.to_ne_bytes();
    [f0, f1, f2, f3, l0, l1, h0, h1, c0, c1, c2, c3]
}

const fn chain_of([.., c0, c1, c2, c3]: &[u8; ROLE_LEN]) -> [u8; 4] {
    [*c0, *c1, *c2, *c3]
}

fn content(hidden: &Hidden, rules: Vec<RuleBytes>, base: u32) -> Content {
    let table = hidden.marks().table();
    let roles = hidden.roles();
    let mut roles: BTreeMap<_, _> = roles
        .map(|(key, role)| (*key, role_bytes(role, 0)))
        .collect();
    for (protocol, endpoint, head) in table.exact() {
        let key = hidden::key(endpoint.ip, endpoint.port, protocol.0, 0);
        let role = hidden.role(&key).unwrap_or_default();
        roles.insert(key, role_bytes(&role, chain(head, base)));
    }
    let prefix = |len: u8, address: &[u8; 16]| {
        let mut key = [0; PREFIX_LEN];
        key[..4].copy_from_slice(&u32::from(len).to_ne_bytes());
        key[4..].copy_from_slice(address);
        key
    };
    let prefixes = table.prefixes().map(|(p, head)| {
        let mapped = match p.family() {
            Family::V4 => 96,
            Family::V6 => 0,
        };
        (
            prefix(mapped + p.bits(), p.address().bytes()),
            chain(head, base),
        )
    });
    let mut prefixes: BTreeMap<_, _> = prefixes.collect();
    if !rules.is_empty() {
        // What is in no prefix of its family. (`::/0` holds IPv4's addresses too, being what they are here.)
        let any = chain(table.any(), base);
        for root in [prefix(96, Ip::v4([0; 4]).bytes()), prefix(0, &[0; 16])] {
            prefixes.entry(root).or_insert(any);
        }
    }
    Content {
        roles,
        prefixes,
        rules,
    }
}

/// A step as it is in the map, but for the numbers, which are those of the table.
fn rule_bytes(step: &Step, ifindex: Option<u32>) -> RuleBytes {
    let Rule {
        mark,
        source,
        protocol,
        source_ports,
        destination_ports,
        interface,
        ..
    } = &step.rule;
    let mut bytes = [0; rule::LEN];
    let mut put = |at: i16, value: &[u8]| {
        let room = bytes.iter_mut().skip(at as usize);
        room.zip(value).for_each(|(to, from)| *to = *from);
    };
    put(0, &step.next.to_ne_bytes());
    put(rule::PLACE, &step.number.to_ne_bytes());
    if let Some(prefix) = source {
        let mapped = match prefix.family() {
            Family::V4 => 96,
            Family::V6 => 0,
        };
        let bits = u32::from(prefix.bits()) + mapped;
        let mask = !u128::MAX.checked_shr(bits).unwrap_or(0);
        put(rule::MASK, &mask.to_be_bytes());
        put(rule::SOURCE, prefix.address().bytes());
    }
    if interface.is_some() {
        // No interface has this number: a rule about a port that is none matches nothing.
        put(rule::IFINDEX, &ifindex.unwrap_or(u32::MAX).to_ne_bytes());
        put(rule::IFINDEX_MASK, &u32::MAX.to_ne_bytes());
    }
    if let Some(p) = protocol {
        put(rule::PROTOCOL, &[p.0, u8::MAX]);
    }
    put(rule::FAMILIES, &[*mark as u8]);
    // Addresses do not tell: `::/0` holds IPv4's too, being what they are here.
    let families = [Family::V4, Family::V6].into_iter();
    let about = families.filter(|f| source.is_none_or(|p| p.family() == *f));
    put(rule::ABOUT, &[about.map(mark_of).sum::<u32>() as u8]);
    let ported = source_ports.is_some() || destination_ports.is_some();
    put(rule::PORTED, &[u8::from(ported)]);
    for (at, range) in [
        (rule::PORTS, source_ports),
        (rule::PORTS + 4, destination_ports),
    ] {
        let (low, high) = range
            .as_ref()
            .map_or((0, u16::MAX), |r| (*r.start(), *r.end()));
        put(at, &low.to_ne_bytes());
        put(at + 2, &high.to_ne_bytes());
    }
    bytes
}
