//! What stands in a table: sets of addresses, and chains that drop what is for them or from them.
//!
//! It is laid out as keepalived's: a set of VIPs, and one of link-local VIPs with their interfaces, as those are the same on
//! all links; at the hook `input` a chain that drops what is for them, and at `output` one that drops what is from them.
//! Neighbour discovery passes, or nobody could send packets through a router whose address is a VIP.

use std::net::IpAddr;

use lvs_vrrp::io::netlink::Request;

use super::expression::{
    Field, Operation, REGISTER_1, REGISTER_2, Verdict, compare, counter, lookup, meta, payload,
    verdict,
};
use super::nfnetlink::{Attributes, Protocol, Verb, message, value};

/// A table of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Its name; there may be one of each protocol.
    pub(super) name: String,
    /// Where its chains stand among others at the same hook.
    pub(super) priority: i32,
    /// Its rules count.
    pub(super) counters: bool,
}

/// An address whose packets are dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Blocked {
    /// The address.
    pub(super) ip: IpAddr,
    /// Its interface, if it is link-local.
    pub(super) interface: Option<String>,
}

impl Blocked {
    pub(super) fn new(ip: IpAddr, interface: &str) -> Self {
        let local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        Self {
            ip,
            interface: local.then(|| interface.to_owned()),
        }
    }

    pub(super) const fn protocol(&self) -> Protocol {
        match self.ip {
            IpAddr::V4(_) => Protocol::Ip,
            IpAddr::V6(_) => Protocol::Ip6,
        }
    }

    const fn set(&self) -> &'static str {
        match self.interface {
            None => VIPS,
            Some(_) => LINK_LOCAL,
        }
    }

    fn key(&self) -> Vec<u8> {
        let mut key = match self.ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        if let Some(interface) = &self.interface {
            key.extend(interface_key(interface));
        }
        key
    }
}

/// Who made a table that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// A process like this one, or a keepalived, to judge by its name; it left the table behind.
    Predecessor,
    /// Anybody, or a process like this one that still runs.
    Somebody,
}

/// The name of tables that have none in the configuration, which is keepalived's.
pub(super) const KEEPALIVED: &str = "keepalived";
const VIPS: &str = "vips";
const LINK_LOCAL: &str = "vips_link_local";
/// What a table of ours says about itself.
const COMMENT: &str = "made by lvsd";
/// Neighbour discovery's types of ICMPv6.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const INTERFACE_LEN: usize = 16;
/// So many elements go into one message, whose attributes are shorter than 64 KiB.
const ELEMENTS: usize = 500;

/// NFTA_TABLE_*, and a flag.
mod attribute {
    pub(super) const NAME: u16 = 1;
    pub(super) const FLAGS: u16 = 2;
    pub(super) const USER_DATA: u16 = 6;
    pub(super) const OWNER: u16 = 7;
    /// The table goes when the socket that made it does, and nobody else may change it (Linux 5.12).
    pub(super) const OWNED: u32 = 2;
}

/// One of the two hooks.
#[derive(Clone, Copy)]
pub(super) enum Hook {
    Input = 1,
    Output = 3,
}

impl Hook {
    const fn chain(self) -> &'static str {
        match self {
            Self::Input => "in",
            Self::Output => "out",
        }
    }

    /// A packet's address on our side.
    const fn field(self, protocol: Protocol) -> Field {
        let (offset, len) = match (protocol, self) {
            (Protocol::Ip, Self::Input) => (16, 4),
            (Protocol::Ip, Self::Output) => (12, 4),
            (Protocol::Ip6, Self::Input) => (24, 16),
            (Protocol::Ip6, Self::Output) => (8, 16),
        };
        Field::network(offset, len)
    }

    /// The name of the interface on our side (NFT_META_*).
    pub(super) const fn interface(self) -> u32 {
        match self {
            Self::Input => 6,
            Self::Output => 7,
        }
    }
}

impl Table {
    /// Asks for all tables of a family.
    pub(super) fn question(protocol: Protocol) -> Request {
        message(Verb::GetTable, protocol, Attributes::default())
    }

    /// Whose a table is that the kernel tells of; nothing if it is of another name.
    pub(super) fn whose(&self, told: &[u8]) -> Option<Maker> {
        let name = value(told, attribute::NAME)?;
        if name.strip_suffix(&[0])? != self.name.as_bytes() {
            return None;
        }
        let ours = value(told, attribute::USER_DATA) == Some(&comment());
        let in_use = value(told, attribute::OWNER).is_some();
        Some(if !in_use && (ours || self.name == KEEPALIVED) {
            Maker::Predecessor
        } else {
            Maker::Somebody
        })
    }

    /// Removes the table with all that is in it.
    pub(super) fn delete(&self, protocol: Protocol) -> Request {
        let attributes = Attributes::default().text(attribute::NAME, &self.name);
        message(Verb::DeleteTable, protocol, attributes)
    }

    /// Makes the table, with nothing in it.
    pub(super) fn make(&self, protocol: Protocol, owned: bool) -> Request {
        let mut attributes = Attributes::default()
            .text(attribute::NAME, &self.name)
            .bytes(attribute::USER_DATA, &comment());
        if owned {
            attributes = attributes.number(attribute::FLAGS, attribute::OWNED);
        }
        message(Verb::NewTable, protocol, attributes)
    }

    /// Makes the table that drops packets for addresses, as yet for none.
    pub(super) fn create(&self, protocol: Protocol, owned: bool) -> Vec<Request> {
        let mut messages = vec![self.make(protocol, owned), self.set(protocol, VIPS, 1)];
        if protocol == Protocol::Ip6 {
            messages.push(self.set(protocol, LINK_LOCAL, 2));
        }
        for hook in [Hook::Input, Hook::Output] {
            messages.push(self.chain(protocol, hook));
            let field = hook.field(protocol);
            if protocol == Protocol::Ip6 {
                messages.push(self.rule(
                    protocol,
                    hook,
                    is_icmpv6(SOLICITATION, ADVERTISEMENT),
                    Verdict::Accept,
                ));
                let link_local = vec![
                    payload(field),
                    meta(hook.interface(), REGISTER_2),
                    lookup(LINK_LOCAL),
                ];
                messages.push(self.rule(protocol, hook, link_local, Verdict::Drop));
            }
            let vips = vec![payload(field), lookup(VIPS)];
            messages.push(self.rule(protocol, hook, vips, Verdict::Drop));
        }
        messages
    }

    /// Puts addresses, which are all of this protocol, into their sets, or takes them out.
    pub(super) fn elements<'a>(
        &self,
        verb: Verb,
        protocol: Protocol,
        blocked: impl Iterator<Item = &'a Blocked> + Clone,
    ) -> Vec<Request> {
        // NFTA_SET_ELEM_LIST_*, and of each element NFTA_SET_ELEM_KEY.
        const TABLE: u16 = 1;
        const SET: u16 = 2;
        const LIST: u16 = 3;
        const KEY: u16 = 1;
        let element = |b: &&Blocked| Attributes::default().nested(KEY, Attributes::data(&b.key()));
        let mut messages = Vec::new();
        for set in [VIPS, LINK_LOCAL] {
            let of_set: Vec<_> = blocked.clone().filter(|b| b.set() == set).collect();
            for some in of_set.chunks(ELEMENTS) {
                let attributes = Attributes::default()
                    .text(TABLE, &self.name)
                    .text(SET, set)
                    .nested(LIST, Attributes::list(some.iter().map(element)));
                messages.push(message(verb, protocol, attributes));
            }
        }
        messages
    }

    fn set(&self, protocol: Protocol, name: &str, id: u32) -> Request {
        // For nft's listings: ipv4_addr, ipv6_addr, ifname; several are six bits apart.
        let (kind, len) = match (protocol, name) {
            (Protocol::Ip, _) => (7, 4),
            (Protocol::Ip6, LINK_LOCAL) => (8 << 6 | 41, 32),
            (Protocol::Ip6, _) => (8, 16),
        };
        // NFTA_SET_*.
        const TABLE: u16 = 1;
        const NAME: u16 = 2;
        const KEY_TYPE: u16 = 4;
        const KEY_LEN: u16 = 5;
        const ID: u16 = 10;
        let attributes = Attributes::default()
            .text(TABLE, &self.name)
            .text(NAME, name)
            .number(KEY_TYPE, kind)
            .number(KEY_LEN, len)
            .number(ID, id);
        message(Verb::NewSet, protocol, attributes)
    }

    pub(super) fn chain(&self, protocol: Protocol, hook: Hook) -> Request {
        // NFTA_CHAIN_* and, nested, NFTA_HOOK_*.
        const TABLE: u16 = 1;
        const NAME: u16 = 3;
        const HOOK: u16 = 4;
        const HOOK_NUMBER: u16 = 1;
        const HOOK_PRIORITY: u16 = 2;
        const POLICY: u16 = 5;
        const TYPE: u16 = 7;
        let place = Attributes::default()
            .number(HOOK_NUMBER, hook as u32)
            .bytes(HOOK_PRIORITY, &self.priority.to_be_bytes());
        let attributes = Attributes::default()
            .text(TABLE, &self.name)
            .text(NAME, hook.chain())
            .nested(HOOK, place)
            .number(POLICY, Verdict::Accept as u32)
            .text(TYPE, "filter");
        message(Verb::NewChain, protocol, attributes)
    }

    pub(super) fn rule(
        &self,
        protocol: Protocol,
        hook: Hook,
        mut expressions: Vec<Attributes>,
        verdict: Verdict,
    ) -> Request {
        // NFTA_RULE_*.
        const TABLE: u16 = 1;
        const CHAIN: u16 = 2;
        const EXPRESSIONS: u16 = 4;
        if self.counters {
            expressions.push(counter());
        }
        expressions.push(self::verdict(verdict));
        let attributes = Attributes::default()
            .text(TABLE, &self.name)
            .text(CHAIN, hook.chain())
            .nested(EXPRESSIONS, Attributes::list(expressions));
        message(Verb::NewRule, protocol, attributes)
    }
}

/// An ICMPv6 message of one of these types.
pub(super) fn is_icmpv6(first: u8, last: u8) -> Vec<Attributes> {
    /// NFT_META_L4PROTO.
    const L4_PROTOCOL: u32 = 16;
    const ICMPV6: u8 = 58;
    const TYPE: Field = Field::transport(0, 1);
    let mut expressions = vec![
        meta(L4_PROTOCOL, REGISTER_1),
        compare(Operation::Equal, &[ICMPV6]),
        payload(TYPE),
    ];
    if first == last {
        expressions.push(compare(Operation::Equal, &[first]));
    } else {
        expressions.push(compare(Operation::AtLeast, &[first]));
        expressions.push(compare(Operation::AtMost, &[last]));
    }
    expressions
}

/// An interface's name, as packets' are compared.
pub(super) fn interface_key(name: &str) -> [u8; INTERFACE_LEN] {
    let mut key = [0; INTERFACE_LEN];
    let name = name.bytes().take(INTERFACE_LEN - 1);
    key.iter_mut().zip(name).for_each(|(k, byte)| *k = byte);
    key
}

/// The comment of a table, as nft writes it: kind, length, text.
fn comment() -> Vec<u8> {
    let len = u8::try_from(COMMENT.len() + 1).unwrap_or(u8::MAX);
    [&[0, len], COMMENT.as_bytes(), &[0]].concat()
}
