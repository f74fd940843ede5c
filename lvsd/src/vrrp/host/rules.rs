//! Rules that say in which table a packet's route is looked for: static ones, and those of virtual routers that are masters.
//!
//! A rule that does not say its family is one of IPv4, one that does not say its place gets it from the kernel, and one that
//! does not say who made it carries keepalived's number, as [routes](super::routes) do.
//!
//! To remove a rule the kernel takes the first one that has all that is said, and may have more. So before it is asked, the
//! rule is looked for: if it is gone, nothing else goes in its stead.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;

use lvs_core::Family;
use lvs_vrrp::io::netlink::core::{NLM_F_CREATE, NLM_F_EXCL};
use lvs_vrrp::io::netlink::route::RouteNetlinkMessage;
use lvs_vrrp::io::netlink::route::route::RouteProtocol;
use lvs_vrrp::io::netlink::route::rule::{
    RuleAction as Action, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use lvs_vrrp::io::netlink::{Connection, Request};

use super::change::{Change, Refused, Why};
use super::names::{Kind, Names};
use super::routes::{Host, PROTOCOL, family, shown};
use crate::keepalived::model::{Rule, RuleAction, RuleMatch};

/// Adds and removes rules of one network namespace.
#[derive(Debug)]
pub(crate) struct Rules {
    connection: Connection,
    names: Names,
}

impl Rules {
    /// For the calling thread's network namespace.
    pub(crate) fn new(names: Names) -> io::Result<Self> {
        Ok(Self {
            connection: Connection::route()?,
            names,
        })
    }

    /// Adds rules. Returns what became of each; it may have been there already. One that is refused does not hinder others: a
    /// name that there is not, or whatever the kernel says.
    pub(crate) fn add(&mut self, rules: &[Rule]) -> Vec<Result<Change, Refused>> {
        let add = |rules: &mut Self, m: RuleMessage| {
            if rules.has(&m)? {
                return Ok(Change::Already);
            }
            let m = RouteNetlinkMessage::NewRule(m);
            let request = Request::route(m, NLM_F_CREATE | NLM_F_EXCL);
            rules.connection.request(&request)?;
            Ok(Change::Made)
        };
        rules.iter().map(|rule| self.tried(rule, add)).collect()
    }

    /// Removes rules that were added. Returns what became of each; it may have been gone already.
    pub(crate) fn remove(&mut self, rules: &[Rule]) -> Vec<Result<Change, Refused>> {
        let remove = |rules: &mut Self, m: RuleMessage| {
            if !rules.has(&m)? {
                return Ok(Change::Already);
            }
            let request = Request::route(RouteNetlinkMessage::DelRule(m), 0);
            match rules.connection.request(&request) {
                Err(e) if e.raw_os_error() != Some(libc::ENOENT) => Err(e.into()),
                Err(_) => Ok(Change::Already),
                Ok(()) => Ok(Change::Made),
            }
        };
        rules.iter().map(|rule| self.tried(rule, remove)).collect()
    }

    /// The requests that remove rules, to be kept for when that is to be done without this configuration. A rule with a name that
    /// is not there cannot have been added: it has none.
    pub(crate) fn removals(&self, rules: &[Rule]) -> Vec<Request> {
        let messages = rules
            .iter()
            .filter_map(|rule| message(rule, &self.names).ok());
        let request = |m| Request::route(RouteNetlinkMessage::DelRule(m), 0);
        messages.map(request).collect()
    }

    /// Which of these rules the kernel has, so that it is seen what somebody else removed.
    ///
    /// # Errors
    ///
    /// The socket's. A rule with a name that is not there, is not there.
    pub(crate) fn present(&mut self, rules: &[Rule]) -> io::Result<Vec<bool>> {
        let mut has = |rule| match message(rule, &self.names) {
            Ok(m) => self.has(&m),
            Err(_) => Ok(false),
        };
        rules.iter().map(&mut has).collect()
    }

    /// Whether the kernel has such a rule.
    fn has(&mut self, wanted: &RuleMessage) -> io::Result<bool> {
        let mut m = RuleMessage::default();
        m.header.family = wanted.header.family;
        let all = RouteNetlinkMessage::GetRule(m);
        let found = self.connection.dump_route(all, |m| match m {
            RouteNetlinkMessage::NewRule(m) => same(&m, wanted).then_some(()),
            _ => None,
        })?;
        Ok(!found.is_empty())
    }

    fn tried(
        &mut self,
        rule: &Rule,
        attempt: impl Fn(&mut Self, RuleMessage) -> Result<Change, Why>,
    ) -> Result<Change, Refused> {
        let m = message(rule, &self.names);
        m.and_then(|m| attempt(self, m))
            .map_err(|why| refused(rule, why))
    }
}

fn refused(rule: &Rule, why: Why) -> Refused {
    Refused {
        what: format!("rule {}", words(rule)),
        why,
    }
}

/// A rule as the message that adds or removes it.
fn message(rule: &Rule, names: &Names) -> Result<RuleMessage, Why> {
    let host = Host {
        names,
        links: &HashMap::new(),
    };
    let mut m = RuleMessage::default();
    m.header.family = family(rule.family.unwrap_or(Family::V4));
    m.header.action = match rule.action {
        RuleAction::Table(_) | RuleAction::MasterDevice => Action::ToTable,
        RuleAction::Goto(_) => Action::Goto,
        RuleAction::Nop => Action::Nop,
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Prohibit => Action::Prohibit,
        RuleAction::Unreachable => Action::Unreachable,
    };
    let a = &mut m.attributes;
    match &rule.action {
        RuleAction::Table(table) => {
            let table = host.number(Kind::Table, table, u32::MAX)?;
            m.header.table = u8::try_from(table).unwrap_or_default();
            a.push(RuleAttribute::Table(table));
        }
        RuleAction::Goto(preference) => a.push(RuleAttribute::Goto(*preference)),
        RuleAction::MasterDevice => a.push(RuleAttribute::L3MDev(true)),
        _ => {}
    }
    a.extend(rule.preference.map(RuleAttribute::Priority));
    for found in &rule.matches {
        match found {
            RuleMatch::From(prefix) => {
                m.header.src_len = prefix.len;
                a.push(RuleAttribute::Source(prefix.ip));
            }
            RuleMatch::To(prefix) => {
                m.header.dst_len = prefix.len;
                a.push(RuleAttribute::Destination(prefix.ip));
            }
            RuleMatch::Tos(tos) => m.header.tos = host.byte(Kind::Tos, tos)?,
            RuleMatch::Mark { value, mask } => {
                a.push(RuleAttribute::FwMark(*value));
                a.push(RuleAttribute::FwMask(*mask));
            }
            RuleMatch::InputInterface(name) => a.push(RuleAttribute::Iifname(name.value.clone())),
            RuleMatch::OutputInterface(name) => a.push(RuleAttribute::Oifname(name.value.clone())),
            RuleMatch::Tunnel(number) => a.push(RuleAttribute::TunId(*number)),
            &RuleMatch::Users(start, end) => {
                a.push(RuleAttribute::UidRange(RuleUidRange { start, end }));
            }
            RuleMatch::Protocol(protocol) => {
                let number = host.byte(Kind::IpProtocol, protocol)?;
                a.push(RuleAttribute::IpProtocol(number.into()));
            }
            &RuleMatch::SourcePorts(start, end) => {
                a.push(RuleAttribute::SourcePortRange(RulePortRange { start, end }));
            }
            &RuleMatch::DestPorts(start, end) => {
                a.push(RuleAttribute::DestinationPortRange(RulePortRange {
                    start,
                    end,
                }));
            }
        }
    }
    a.extend(rule.suppress_prefix.map(RuleAttribute::SuppressPrefixLen));
    if let Some(group) = &rule.suppress_group {
        let group = host.number(Kind::Group, group, u32::MAX)?;
        a.push(RuleAttribute::SuppressIfGroup(group));
    }
    if let Some(realms) = &rule.realms {
        a.push(RuleAttribute::Realm(host.realms(realms)?));
    }
    let protocol = match &rule.protocol {
        Some(named) => host.byte(Kind::Protocol, named)?,
        None => PROTOCOL,
    };
    a.push(RuleAttribute::Protocol(RouteProtocol::from(protocol)));
    Ok(m)
}

/// Whether a rule that the kernel tells of is the one that a message asked for: all that either says, the other says too, but
/// for a place that was left to the kernel.
fn same(told: &RuleMessage, wanted: &RuleMessage) -> bool {
    let header = |m: &RuleMessage| {
        let h = &m.header;
        let inverted = h.flags.contains(RuleFlags::Invert);
        (h.family, h.src_len, h.dst_len, h.tos, h.action, inverted)
    };
    let placed = |a: &&RuleAttribute| matches!(a, RuleAttribute::Priority(_));
    let place = |m: &RuleMessage| m.attributes.iter().find(placed).cloned();
    let said = |m: &RuleMessage| -> Vec<RuleAttribute> {
        m.attributes
            .iter()
            .filter(|a| telling(a))
            .cloned()
            .collect()
    };
    let (told_said, wanted_said) = (said(told), said(wanted));
    header(told) == header(wanted)
        && place(wanted).is_none_or(|p| place(told).unwrap_or(RuleAttribute::Priority(0)) == p)
        && told_said.iter().all(|a| wanted_said.contains(a))
        && wanted_said.iter().all(|a| told_said.contains(a))
}

/// Whether an attribute says something that the kernel neither adds by itself nor leaves out.
fn telling(attribute: &RuleAttribute) -> bool {
    match attribute {
        RuleAttribute::Priority(_) | RuleAttribute::Other(_) => false,
        RuleAttribute::Table(table) => *table != 0,
        RuleAttribute::FwMark(mark) => *mark != 0,
        RuleAttribute::SuppressPrefixLen(len) => *len != u32::MAX,
        RuleAttribute::SuppressIfGroup(group) => *group != u32::MAX,
        RuleAttribute::TunId(number) => *number != 0,
        RuleAttribute::L3MDev(on) => *on,
        RuleAttribute::IpProtocol(protocol) => u8::from(*protocol) != 0,
        RuleAttribute::Source(ip) | RuleAttribute::Destination(ip) => !ip.is_unspecified(),
        _ => true,
    }
}

/// What tells a rule from others, as iproute2 writes it.
pub(crate) fn words(rule: &Rule) -> String {
    let mut words = String::new();
    if let Some(preference) = rule.preference {
        let _ = write!(words, "preference {preference} ");
    }
    for found in &rule.matches {
        let _ = match found {
            RuleMatch::From(prefix) => write!(words, "from {prefix} "),
            RuleMatch::To(prefix) => write!(words, "to {prefix} "),
            RuleMatch::Tos(tos) => write!(words, "tos {} ", shown(tos)),
            RuleMatch::Mark { value, mask } => write!(words, "fwmark {value:#x}/{mask:#x} "),
            RuleMatch::InputInterface(name) => write!(words, "iif {} ", name.value),
            RuleMatch::OutputInterface(name) => write!(words, "oif {} ", name.value),
            RuleMatch::Tunnel(number) => write!(words, "tunnel-id {number} "),
            RuleMatch::Users(first, last) => write!(words, "uidrange {first}-{last} "),
            RuleMatch::Protocol(protocol) => write!(words, "ipproto {} ", shown(protocol)),
            RuleMatch::SourcePorts(first, last) => write!(words, "sport {first}-{last} "),
            RuleMatch::DestPorts(first, last) => write!(words, "dport {first}-{last} "),
        };
    }
    let _ = match &rule.action {
        RuleAction::Table(table) => write!(words, "table {}", shown(table)),
        RuleAction::Goto(preference) => write!(words, "goto {preference}"),
        RuleAction::Nop => write!(words, "nop"),
        RuleAction::Blackhole => write!(words, "blackhole"),
        RuleAction::Prohibit => write!(words, "prohibit"),
        RuleAction::Unreachable => write!(words, "unreachable"),
        RuleAction::MasterDevice => write!(words, "l3mdev"),
    };
    words
}

#[cfg(test)]
mod tests;
