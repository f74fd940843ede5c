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

use std::fmt;
use std::ops::RangeInclusive;

use lvs_core::Protocol;
use lvs_fwd::classify::{Prefix, Rule};

use super::address::decimal;
use super::command_line::CommandLine;
use super::options::{Criterion, Meaning};
use super::problem::{Problem, quoted};
use super::words::Word;

/// Which packets get a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    let value = |what| line.value(Meaning::Match(what));
    let mut read = MarkRule {
        rule: Rule::default(),
        interface: None,
    };
    match line.values.first() {
        Some(word) => set(&mut read.rule.mark, mark(*word), problems),
        None => {
            let help = "write the mark behind it: `--mark 1 --destination 192.0.2.10`";
            problems.push(Problem::at(line.at, "`--mark` needs a mark", help));
        }
    }
    let rule = &mut read.rule;
    if let Some(word) = value(Criterion::Source) {
        set(&mut rule.source, prefix(word).map(Some), problems);
    }
    if let Some(word) = value(Criterion::Destination) {
        let found = prefix(word).and_then(|p| same_family(rule.source, p, word));
        set(&mut rule.destination, found.map(Some), problems);
    }
    if let Some(word) = value(Criterion::Protocol) {
        set(&mut rule.protocol, protocol(word).map(Some), problems);
    }
    for (what, place) in [
        (Criterion::SourcePort, &mut rule.source_ports),
        (Criterion::DestinationPort, &mut rule.destination_ports),
    ] {
        if let Some(word) = value(what) {
            let found = ports(word).and_then(|r| has_ports(rule.protocol, r, word));
            set(place, found.map(Some), problems);
        }
    }
    if let Some(word) = value(Criterion::Interface) {
        set(&mut read.interface, interface(word).map(Some), problems);
    }
    let is_whole = line.options.iter().all(|o| !o.is_refused);
    (is_whole && problems.len() == before).then_some(read)
}

fn set<T>(place: &mut T, found: Result<T, Problem>, problems: &mut Vec<Problem>) {
    match found {
        Ok(found) => *place = found,
        Err(problem) => problems.push(problem),
    }
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

fn same_family(
    source: Option<Prefix>,
    destination: Prefix,
    word: Word<'_>,
) -> Result<Prefix, Problem> {
    match source {
        Some(source) if source.family() != destination.family() => {
            let message = format!("{source} and {destination} are of different families");
            let help = "no packet goes from one to the other: write a line for each family";
            Err(Problem::at(word, message, help))
        }
        _ => Ok(destination),
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

fn has_ports(
    protocol: Option<Protocol>,
    ports: RangeInclusive<u16>,
    word: Word<'_>,
) -> Result<RangeInclusive<u16>, Problem> {
    match protocol {
        Some(protocol) if !protocol.is_balanced() => {
            let message = format!("{protocol} has no ports");
            Err(Problem::at(word, message, "take the port out"))
        }
        _ => Ok(ports),
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

impl fmt::Display for MarkRule {
    /// The line, as [`parse`](super::parse) reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = &self.rule;
        write!(f, "--mark {}", rule.mark)?;
        if let Some(source) = rule.source {
            write!(f, " --source {source}")?;
        }
        if let Some(destination) = rule.destination {
            write!(f, " --destination {destination}")?;
        }
        let known = PROTOCOLS.iter().find(|(_, p)| Some(*p) == rule.protocol);
        if let Some((name, _)) = known {
            write!(f, " --protocol {name}")?;
        }
        for (option, ports) in [
            ("source-port", &rule.source_ports),
            ("destination-port", &rule.destination_ports),
        ] {
            match ports {
                Some(ports) if ports.start() == ports.end() => {
                    write!(f, " --{option} {}", ports.start())?;
                }
                Some(ports) => write!(f, " --{option} {}-{}", ports.start(), ports.end())?,
                None => {}
            }
        }
        if let Some(interface) = &self.interface {
            write!(f, " --interface {interface}")?;
        }
        f.write_str("\n")
    }
}
