//! Lines `--mark MARK …`: which packets get which firewall mark, for services of a mark (`-f`).
//!
//! | option | matches |
//! |---|---|
//! | `--source`, `--destination` | an address, or a prefix: `10.0.0.0/8` |
//! | `--protocol` | `tcp`, `udp`, `sctp`, `ah` or `esp` |
//! | `--source-port`, `--destination-port` | a port, or a range: `80-90` |
//! | `--interface` | the interface a packet came in by |
//!
//! What is not written is not asked for. The first line that matches decides; mark 0 takes packets out of the lines
//! below.

use std::ops::RangeInclusive;

use lvs_core::Protocol;
use lvs_fwd::classify::{Prefix, Rule};

use super::address::decimal;
use super::command_line::CommandLine;
use super::options::{Criterion, Meaning};
use super::problem::{Problem, quoted};
use super::words::Word;

/// Which packets get a mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MarkRule {
    /// The mark and what is asked of a packet, but for the interface, whose port is not known here.
    pub rule: Rule,
    /// The name of the interface that packets must have come in by, if that is asked.
    pub interface: Option<String>,
}

/// The protocols that packets can be told by.
const PROTOCOLS: [(&str, Protocol); 5] = [
    ("tcp", Protocol::TCP),
    ("udp", Protocol::UDP),
    ("sctp", Protocol::SCTP),
    ("ah", Protocol::AH),
    ("esp", Protocol::ESP),
];

/// Reads such a line. What is wrong with it goes to `problems`, and nothing comes of it then.
pub(super) fn read(line: &CommandLine<'_>, problems: &mut Vec<Problem>) -> Option<MarkRule> {
    let before = problems.len();
    let mut rule = MarkRule::default();
    let mark = match line.values.first() {
        Some(word) => rule.set_mark(*word),
        None => {
            let help = "write the mark behind it: `--mark 1 --destination 192.0.2.10`";
            Err(Problem::at(line.at, "`--mark` needs a mark", help))
        }
    };
    problems.extend(mark.err());
    for option in line.options.iter().filter(|o| !o.is_refused) {
        if let Meaning::Match(criterion) = option.meaning {
            problems.extend(rule.set(criterion, option.value).err());
        }
    }
    let is_whole = line.options.iter().all(|o| !o.is_refused);
    (is_whole && problems.len() == before).then_some(rule)
}

impl MarkRule {
    /// Whether this rule and another ask the same of packets, whatever the marks: the second of them then does nothing.
    pub fn is_about_same(&self, other: &Self) -> bool {
        let mark = self.rule.mark;
        let rule = Rule {
            mark,
            ..other.rule.clone()
        };
        self.rule == rule && self.interface == other.interface
    }

    /// Says the mark.
    pub(super) fn set_mark(&mut self, word: Word<'_>) -> Result<(), Problem> {
        self.rule.mark = mark(word)?;
        Ok(())
    }

    /// Asks for one thing more, which must go with those asked for before.
    pub(super) fn set(&mut self, criterion: Criterion, word: Word<'_>) -> Result<(), Problem> {
        let rule = &mut self.rule;
        match criterion {
            Criterion::Source => {
                rule.source = Some(same_family(prefix(word)?, rule.destination, word)?);
            }
            Criterion::Destination => {
                rule.destination = Some(same_family(prefix(word)?, rule.source, word)?);
            }
            Criterion::Protocol => {
                let has_ports = rule.source_ports.is_some() || rule.destination_ports.is_some();
                let protocol = protocol(word)?;
                check_ports(Some(protocol), has_ports, word)?;
                rule.protocol = Some(protocol);
            }
            Criterion::SourcePort => {
                rule.source_ports = Some(ports(word)?);
                check_ports(rule.protocol, true, word)?;
            }
            Criterion::DestinationPort => {
                rule.destination_ports = Some(ports(word)?);
                check_ports(rule.protocol, true, word)?;
            }
            Criterion::Interface => self.interface = Some(interface(word)?),
        }
        Ok(())
    }
}

/// The name of a protocol that packets can be told by.
pub(super) fn protocol_name(protocol: Protocol) -> Option<&'static str> {
    let known = PROTOCOLS.iter().find(|(_, p)| *p == protocol);
    known.map(|(name, _)| *name)
}

fn mark(word: Word<'_>) -> Result<u32, Problem> {
    let mark = decimal(word.text).and_then(|n| u32::try_from(n).ok());
    mark.ok_or_else(|| {
        let message = format!("{} is not a firewall mark", quoted(word.text));
        let help = format!("marks are 1 to {}, and 0 for none", u32::MAX);
        Problem::at(word, message, help)
    })
}

fn prefix(word: Word<'_>) -> Result<Prefix, Problem> {
    word.text.parse().map_err(|error| {
        let message = format!("{} is not a prefix: {error}", quoted(word.text));
        let help = "write an address, or an address and the bits that count: `10.0.0.0/8`";
        Problem::at(word, message, help)
    })
}

fn same_family(one: Prefix, other: Option<Prefix>, word: Word<'_>) -> Result<Prefix, Problem> {
    match other {
        Some(other) if other.family() != one.family() => {
            let message = format!("{other} and {one} are of different families");
            let help = "no packet goes from one to the other: write a line for each family";
            Err(Problem::at(word, message, help))
        }
        _ => Ok(one),
    }
}

fn protocol(word: Word<'_>) -> Result<Protocol, Problem> {
    let found = PROTOCOLS.iter().find(|(name, _)| *name == word.text);
    found.map(|(_, protocol)| *protocol).ok_or_else(|| {
        let message = format!(
            "{} is not a protocol that can be balanced",
            quoted(word.text)
        );
        Problem::at(word, message, "there are: tcp, udp, sctp, ah, esp")
    })
}

/// Reads `PORT`, `LOW-HIGH`, or as iptables has it `LOW:HIGH`.
fn ports(word: Word<'_>) -> Result<RangeInclusive<u16>, Problem> {
    let port = |text: &str| u16::try_from(decimal(text)?).ok();
    let (low, high) = match word.split_once('-').or_else(|| word.split_once(':')) {
        Some((low, high)) => (port(low.text), port(high.text)),
        None => (port(word.text), port(word.text)),
    };
    match (low, high) {
        (Some(low), Some(high)) if low <= high => Ok(low..=high),
        _ => {
            let message = format!("{} is not a port nor a range of ports", quoted(word.text));
            let help = "write a number, or the lowest and the highest: `80-90`";
            Err(Problem::at(word, message, help))
        }
    }
}

fn check_ports(protocol: Option<Protocol>, has_ports: bool, word: Word<'_>) -> Result<(), Problem> {
    match protocol {
        Some(protocol) if has_ports && !protocol.is_balanced() => {
            let message = format!("{protocol} has no ports");
            let help = "ask for the protocol or the port, not for both";
            Err(Problem::at(word, message, help))
        }
        _ => Ok(()),
    }
}

/// A name that a kernel would give to an interface.
fn interface(word: Word<'_>) -> Result<String, Problem> {
    let text = word.text;
    let is_name = (1..=15).contains(&text.len())
        && !matches!(text, "." | "..")
        && !text.contains(|c: char| matches!(c, '/' | ':') || c.is_whitespace());
    is_name.then(|| text.to_owned()).ok_or_else(|| {
        let message = format!("{} is not the name of an interface", quoted(text));
        Problem::at(
            word,
            message,
            "write its name as `ip link` shows it, `eth0`",
        )
    })
}
