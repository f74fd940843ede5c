//! Rules by destination, so that a packet meets only those that can be about it.
//!
//! A packet's *chain* is the list of rules whose destination its own address is within. Where a chain
//! begins is looked up by the longest prefix that holds the address; each prefix's rules are followed by
//! those of the next wider one that some rule names, and last by the rules that name no destination. Rules for one
//! protocol and port of one address, which are the usual ones and may be thousands, come before all these and are
//! looked up by all three.
//!
//! The rules of a chain are not in the list's order. So each bears its number, all are looked at, and the match with
//! the lowest number decides.
//!
//! The guard's program ([`crate::io::bpf`]) walks the same chains, so that the two cannot disagree.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasherDefault;

use ahash::AHasher;
use hashbrown::HashMap;
use lvs_core::{Endpoint, Family, Ip, Protocol, Segment};

use super::{Prefix, Rule};
use crate::frame::PortId;

/// The end of a chain.
pub(crate) const END: u32 = u32::MAX;

/// A rule in its place.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The rule.
    pub(crate) rule: Rule,
    /// Its number in the list.
    pub(crate) number: u32,
    /// The step that follows, or [`END`].
    pub(crate) next: u32,
}

/// The keys come from the configuration, so nobody outside can fill a bucket.
type Map<K> = HashMap<K, u32, BuildHasherDefault<AHasher>>;

/// All chains.
#[derive(Debug)]
pub(crate) struct Table {
    steps: Vec<Step>,
    /// Chains of one protocol and port of one address.
    exact: Map<(Protocol, Endpoint)>,
    /// Chains of the prefixes of a family, by length, the longest first.
    prefixes: [Vec<(u8, Map<Ip>)>; 2],
    /// The chain of rules that name no destination.
    any: u32,
}

impl Default for Table {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Table {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut by_endpoint: BTreeMap<(Protocol, Endpoint), Vec<u32>> = BTreeMap::new();
        let mut by_prefix: BTreeMap<(u8, Prefix), Vec<u32>> = BTreeMap::new();
        let mut anywhere = Vec::new();
        for (rule, number) in rules.iter().zip(0..) {
            match (endpoint_of(rule), rule.destination) {
                (Some(endpoint), _) => by_endpoint.entry(endpoint).or_default().push(number),
                (None, Some(p)) => by_prefix.entry((p.bits(), p)).or_default().push(number),
                (None, None) => anywhere.push(number),
            }
        }
        let mut table = Self {
            steps: Vec::with_capacity(rules.len()),
            exact: Map::default(),
            prefixes: [Vec::new(), Vec::new()],
            any: END,
        };
        table.any = table.append(rules, &anywhere, END);
        for family in [Family::V4, Family::V6] {
            let of_family = |(_, p): &&(u8, Prefix)| p.family() == family;
            let lengths: BTreeSet<u8> = by_prefix.keys().filter(of_family).map(|k| k.0).collect();
            let tables = lengths.into_iter().rev().map(|len| (len, Map::default()));
            table.prefixes[family as usize] = tables.collect();
        }
        // The wider ones come first, so that the narrower ones can go on there.
        for ((len, prefix), numbers) in &by_prefix {
            let wider = table.by_prefix(prefix.address());
            let head = table.append(rules, numbers, wider);
            let tables = &mut table.prefixes[prefix.family() as usize];
            if let Some((_, map)) = tables.iter_mut().find(|(l, _)| l == len) {
                map.insert(prefix.address(), head);
            }
        }
        for (endpoint, numbers) in &by_endpoint {
            let wider = table.by_prefix(endpoint.1.ip);
            let head = table.append(rules, numbers, wider);
            table.exact.insert(*endpoint, head);
        }
        table
    }

    /// Puts the rules with these numbers before the chain that begins with `next`.
    fn append(&mut self, rules: &[Rule], numbers: &[u32], mut next: u32) -> u32 {
        for &number in numbers.iter().rev() {
            let Some(rule) = rules.get(number as usize) else {
                continue;
            };
            let head = self.steps.len() as u32;
            let rule = rule.clone();
            self.steps.push(Step { rule, number, next });
            next = head;
        }
        next
    }

    /// The mark of the first rule that matches, or 0.
    pub(super) fn first_match(&self, packet: &Segment, port: PortId) -> u32 {
        let (mut best, mut mark) = (u32::MAX, 0);
        let mut at = match self.exact.get(&(packet.protocol, packet.dst)) {
            Some(head) => *head,
            None => self.by_prefix(packet.dst.ip),
        };
        while let Some(step) = self.steps.get(at as usize) {
            if step.number < best && step.rule.matches(packet, port) {
                (best, mark) = (step.number, step.rule.mark);
            }
            at = step.next;
        }
        mark
    }

    /// Whether some rule with one of these mark bits would match if the packet had the right ports. Rules for one port
    /// of one address are not asked.
    pub(crate) fn any_marks(&self, packet: &Segment, port: PortId, bits: u32) -> bool {
        let mut at = self.by_prefix(packet.dst.ip);
        while let Some(step) = self.steps.get(at as usize) {
            let Step { rule, .. } = step;
            let ported = rule.source_ports.is_some() || rule.destination_ports.is_some();
            let may_match = !ported || packet.protocol.is_balanced();
            if rule.mark & bits != 0 && may_match && rule.matches_but_for_ports(packet, port) {
                return true;
            }
            at = step.next;
        }
        false
    }

    fn by_prefix(&self, ip: Ip) -> u32 {
        let mut tables = self.prefixes[ip.family() as usize].iter();
        let found = tables.find_map(|(len, map)| map.get(&ip.masked(*len)));
        found.copied().unwrap_or(self.any)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The chains of one protocol and port of one address.
    pub(crate) fn exact(&self) -> impl Iterator<Item = (Protocol, Endpoint, u32)> + '_ {
        self.exact.iter().map(|((p, e), head)| (*p, *e, *head))
    }

    /// The chains of the prefixes.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = (Prefix, u32)> + '_ {
        let all = self.prefixes.iter().flatten();
        all.flat_map(|(len, map)| {
            let prefix = |(ip, head): (&Ip, &u32)| Some((Prefix::new(*ip, *len).ok()?, *head));
            map.iter().filter_map(prefix)
        })
    }

    /// The chain of everything else.
    pub(crate) const fn any(&self) -> u32 {
        self.any
    }
}

/// The endpoint and protocol a rule is about, if that is only one.
fn endpoint_of(rule: &Rule) -> Option<(Protocol, Endpoint)> {
    let address = rule.destination.filter(Prefix::is_single)?.address();
    let ports = rule.destination_ports.as_ref()?;
    let protocol = rule.protocol.filter(|p| p.is_balanced())?;
    let one = ports.start() == ports.end();
    one.then(|| (protocol, Endpoint::new(address, *ports.start())))
}
