//! Firewall marks without a firewall: which mark a packet gets, from a list of rules.
//!
//! A service of a mark (`ipvsadm -f`) takes whatever carries its mark. In IPVS netfilter marks packets before the
//! director sees them; here a [`Classifier`] does, since the packets never pass through netfilter. What a
//! rule can ask for is what such netfilter rules ask for: source, destination, protocol, ports, interface.
//!
//! **The first rule that matches decides**, as one reads a list (and as in an iptables chain where every rule ends
//! with RETURN). An nftables chain of `meta mark set` goes on after a match, so that there the *last* match decides:
//! such a chain is to be written here in reverse. Mark 0 means no mark: a rule with it takes packets out of rules below.
//!
//! An ICMP error is marked as the packet it answers would be, and a later fragment as its first fragment
//! was, whose ports it is lent ([`crate::frag`]).
//!
//! Every packet is classified, so a packet must not pay for rules about other destinations: they are looked up by their
//! destination.

mod prefix;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::RangeInclusive;

use lvs_core::{Ip, Protocol, Segment};

pub use self::prefix::{Prefix, PrefixError};
use self::table::Table;
use crate::frame::PortId;

/// What packets get a mark, and which. What is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Rule {
    /// The mark; 0 for none.
    pub mark: u32,
    /// Where the packet comes from.
    pub source: Option<Prefix>,
    /// Where it goes to.
    pub destination: Option<Prefix>,
    /// Its transport protocol.
    pub protocol: Option<Protocol>,
    /// Its source port; protocols without ports (AH, ESP) then never match.
    pub source_ports: Option<RangeInclusive<u16>>,
    /// Its destination port, likewise.
    pub destination_ports: Option<RangeInclusive<u16>>,
    /// The interface it came in by.
    pub interface: Option<PortId>,
}

impl Rule {
    /// Whether the rule is about this packet, which came in by `port`.
    pub fn matches(&self, packet: &Segment, port: PortId) -> bool {
        let has_port = |range: &Option<RangeInclusive<u16>>, port: u16| {
            let within =
                |r: &RangeInclusive<u16>| packet.protocol.is_balanced() && r.contains(&port);
            range.as_ref().is_none_or(within)
        };
        self.matches_but_for_ports(packet, port)
            && has_port(&self.source_ports, packet.src.port)
            && has_port(&self.destination_ports, packet.dst.port)
    }

    pub(crate) fn matches_but_for_ports(&self, packet: &Segment, port: PortId) -> bool {
        self.source.is_none_or(|p| p.contains(packet.src.ip))
            && self.destination.is_none_or(|p| p.contains(packet.dst.ip))
            && self.protocol.is_none_or(|p| p == packet.protocol)
            && self.interface.is_none_or(|i| i == port)
    }

    /// The address this rule makes a virtual one: its destination, if that is a single address and the rule asks for
    /// nothing that a virtual service could not ask for (a source, an interface). Any other rule intercepts
    /// packets on their way to somebody else, whose address must not be taken from them.
    pub fn virtual_address(&self) -> Option<Ip> {
        let plain = self.mark != 0 && self.source.is_none() && self.interface.is_none();
        let single = self.destination.filter(|p| p.is_single());
        single.filter(|_| plain).map(|p| p.address())
    }
}

/// Gives packets their marks. Immutable: for other rules make another one.
#[derive(Debug, Default)]
pub struct Classifier {
    rules: Vec<Rule>,
    table: Table,
    /// The virtual addresses and their marks.
    addresses: HashMap<Ip, Vec<u32>>,
}

impl Classifier {
    /// A classifier by these rules, in the order in which they count.
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut addresses: HashMap<Ip, Vec<u32>> = HashMap::new();
        for (ip, mark) in rules
            .iter()
            .filter_map(|r| Some((r.virtual_address()?, r.mark)))
        {
            addresses.entry(ip).or_default().push(mark);
        }
        Self {
            table: Table::new(&rules),
            rules,
            addresses,
        }
    }

    /// The mark of a packet that came in by `port`; 0 if no rule is about it.
    #[inline]
    pub fn classify(&self, packet: &Segment, port: PortId) -> u32 {
        match self.rules.is_empty() {
            true => 0,
            false => self.table.first_match(packet, port),
        }
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules as they are looked up, for programs that do the same.
    pub(crate) const fn table(&self) -> &Table {
        &self.table
    }

    /// The [virtual addresses](Rule::virtual_address) of all rules, in no particular order, each with the marks that
    /// packets to it may get.
    pub fn virtual_addresses(&self) -> impl Iterator<Item = (Ip, &[u32])> {
        self.addresses.iter().map(|(ip, marks)| (*ip, &marks[..]))
    }

    /// The marks that packets to this virtual address may get; none if it is not one.
    pub fn marks_of(&self, ip: &Ip) -> &[u32] {
        self.addresses.get(ip).map_or(&[], Vec::as_slice)
    }
}
