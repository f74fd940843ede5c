//! What a line says about a service: which it is (`-A`, `-a`), and how it works (`-A`).

use std::time::Duration;

use lvs_core::service::Engine;
use lvs_core::{Endpoint, Family, LocalAddr, Persistence, Protocol, ServiceKey, ServiceTimeouts};

use super::SchedulerFlags;
use super::address::{self, HostPort, check_unicast, decimal};
use super::command::{DEFAULT_PERSISTENCE, MAX_SECONDS};
use super::command_line::{CommandLine, Given};
use super::flags::BadFlag;
use super::names::Names;
use super::options::Meaning;
use super::problem::{Problem, quoted};
use super::words::Word;

/// IPVS's schedulers, in the order in which ipvsadm lists them.
const SCHEDULERS: [&str; 14] = [
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
];

/// Help on how a line names its service.
const NAMED_BY: &str = "name the service with `-t ADDRESS:PORT` (TCP), `-u ADDRESS:PORT` (UDP), \
                        `--sctp-service ADDRESS:PORT` or `-f MARK`";

/// The service that a line names, and the word that names it. `None` if that word has been refused already.
pub(super) fn key<'a>(
    line: &CommandLine<'a>,
    names: &dyn Names,
) -> Result<Option<(ServiceKey, Word<'a>)>, Problem> {
    let is_service = |m| matches!(m, Meaning::Service(_) | Meaning::MarkService);
    let Some(option) = line.find(is_service) else {
        let message = format!("{} needs a service", quoted(line.at.text));
        return Err(Problem::at(line.at, message, NAMED_BY));
    };
    if option.is_refused {
        return Ok(None);
    }
    let (word, ipv6) = (option.value, line.option(Meaning::Ipv6));
    let key = match (option.meaning, ipv6) {
        (Meaning::Service(_), Some(ipv6)) => {
            let message = format!("{} goes with `-f` only", ipv6.name());
            let help = "an address tells its family by itself: take it out";
            return Err(Problem::at(ipv6.at, message, help));
        }
        (Meaning::Service(protocol), None) => {
            ServiceKey::new(protocol, address_of(word, protocol, names)?)
        }
        (_, ipv6) => ServiceKey::Mark {
            family: if ipv6.is_some() {
                Family::V6
            } else {
                Family::V4
            },
            mark: mark(word)?,
        },
    };
    Ok(Some((key, word)))
}

/// A service's mark. `ipvsadm -S` writes those from 2³¹ on as negative numbers.
fn mark(word: Word<'_>) -> Result<u32, Problem> {
    let mark = match word.text.strip_prefix('-') {
        Some(_) => word.text.parse().ok().map(i32::cast_unsigned),
        None => decimal(word.text).and_then(|n| u32::try_from(n).ok()),
    };
    mark.filter(|mark| *mark != 0).ok_or_else(|| {
        let message = format!("{} is not a firewall mark", quoted(word.text));
        Problem::at(word, message, format!("marks are 1 to {}", u32::MAX))
    })
}

/// Refuses what persistence or one-packet scheduling would be needed for, or can't be had with.
pub(super) fn check_key(
    line: &CommandLine<'_>,
    key: ServiceKey,
    word: Word<'_>,
) -> Result<(), Problem> {
    let (Some(addr), Some(protocol)) = (key.addr(), key.protocol()) else {
        return Ok(());
    };
    if addr.port == 0 && line.find(|m| m == Meaning::Persistent).is_none() {
        let message = format!(
            "without persistence the service {} needs a port",
            quoted(word.text)
        );
        let example = Endpoint::new(addr.ip, 80).to_string();
        let help = format!("write {}, or add `-p` to serve all ports", quoted(&example));
        return Err(Problem::at(word, message, help));
    }
    match line.option(Meaning::OnePacket) {
        Some(option) if protocol != Protocol::UDP => {
            let message = format!("{} goes with UDP and firewall marks only", option.name());
            let help = "connections of other protocols need more than one packet: take it out";
            Err(Problem::at(option.at, message, help))
        }
        _ => Ok(()),
    }
}

/// The scheduler and its flags.
pub(super) fn scheduler(
    line: &CommandLine<'_>,
    names: &dyn Names,
    problems: &mut Vec<Problem>,
) -> (String, SchedulerFlags) {
    let word = line.value(Meaning::Scheduler);
    let name = word.map_or("wlc", |w| w.text);
    let flags = line.value(Meaning::SchedulerFlags);
    match word.filter(|w| !names.has_scheduler(w.text)) {
        Some(word) => problems.push(unknown_scheduler(word, names)),
        None => {
            let read = flags.map_or(Ok(SchedulerFlags::NONE), |word| self::flags(word, name));
            match read {
                Ok(flags) => return (name.to_owned(), flags),
                Err(problem) => problems.push(problem),
            }
        }
    }
    (name.to_owned(), SchedulerFlags::NONE)
}

fn unknown_scheduler(word: Word<'_>, names: &dyn Names) -> Problem {
    let known: Vec<_> = SCHEDULERS
        .into_iter()
        .filter(|n| names.has_scheduler(n))
        .collect();
    let message = format!("unknown scheduler {}", quoted(word.text));
    Problem::at(word, message, format!("there are: {}", known.join(", ")))
}

fn flags(word: Word<'_>, scheduler: &str) -> Result<SchedulerFlags, Problem> {
    let mut flags = SchedulerFlags::NONE;
    let mut rest = Some(word);
    while let Some(list) = rest {
        let (name, more) = match list.split_once(',') {
            Some((name, more)) => (name, Some(more)),
            None => (list, None),
        };
        rest = more;
        if name.text.is_empty() {
            continue;
        }
        flags = flags.with(name.text, scheduler).map_err(|bad| {
            let message = match bad {
                BadFlag::Unknown => format!("unknown scheduler flag {}", quoted(name.text)),
                BadFlag::Incompatible => {
                    format!("{scheduler} has no flag {}", quoted(name.text))
                }
            };
            let help = "sh has sh-port and sh-fallback, mh has mh-port and mh-fallback; \
                        flag-1, flag-2 and flag-3 go with all";
            Problem::at(name, message, help)
        })?;
    }
    Ok(flags)
}

/// Whether and how clients are kept on a server. A mask and an engine without `-p` mean nothing, as in IPVS.
pub(super) fn persistence(
    line: &CommandLine<'_>,
    family: Family,
    problems: &mut Vec<Problem>,
) -> Option<Persistence> {
    let mut note = |problem| problems.push(problem);
    let mask = line.value(Meaning::Netmask);
    let prefix = mask.map(|word| prefix(word, family)).transpose();
    let prefix = prefix.unwrap_or_else(|problem| {
        note(problem);
        None
    });
    let engine = match line.value(Meaning::Engine) {
        None => None,
        Some(word) if word.text == "sip" => Some(Engine::Sip),
        Some(word) => {
            let message = format!("unknown persistence engine {}", quoted(word.text));
            note(Problem::at(word, message, "there is `sip`"));
            None
        }
    };
    let option = line.option(Meaning::Persistent)?;
    let timeout = match option.is_valued() {
        false => DEFAULT_PERSISTENCE,
        true => match seconds(option.value, 1) {
            Ok(timeout) => timeout,
            Err(problem) => {
                note(problem);
                DEFAULT_PERSISTENCE
            }
        },
    };
    Some(Persistence {
        timeout: Duration::from_secs(timeout.into()),
        prefix: prefix.unwrap_or(match family {
            Family::V4 => 32,
            Family::V6 => 128,
        }),
        engine,
    })
}

/// Timeouts of the service's connections.
pub(super) fn timeouts(
    line: &CommandLine<'_>,
    key: ServiceKey,
    problems: &mut Vec<Problem>,
) -> ServiceTimeouts {
    let mut timeouts = ServiceTimeouts::default();
    for option in line.options.iter().filter(|o| !o.is_refused) {
        let Meaning::Timeout(which) = option.meaning else {
            continue;
        };
        if let Some(protocol) = key.protocol().filter(|p| *p != which.protocol()) {
            let message = format!("{} does not go with {protocol} services", option.name());
            let help = "the service has no such connections: take it out";
            problems.push(Problem::at(option.at, message, help));
            continue;
        }
        match seconds(option.value, 1) {
            Ok(seconds) => which.set(&mut timeouts, seconds),
            Err(problem) => problems.push(problem),
        }
    }
    timeouts
}

/// A timeout in seconds.
pub(super) fn seconds(word: Word<'_>, least: u32) -> Result<u32, Problem> {
    let seconds = decimal(word.text).and_then(|n| u32::try_from(n).ok());
    let legal = seconds.filter(|s| (least..=MAX_SECONDS).contains(s));
    legal.ok_or_else(|| {
        let message = format!("{} is not a timeout", quoted(word.text));
        let help = format!("timeouts are {least} to {MAX_SECONDS} seconds (31 days)");
        Problem::at(word, message, help)
    })
}

/// The length of a persistence mask.
fn prefix(word: Word<'_>, family: Family) -> Result<u8, Problem> {
    let text = word.text;
    let refuse = |help| {
        let message = format!("{} is not a persistence mask", quoted(text));
        Err(Problem::at(word, message, help))
    };
    if family == Family::V6 {
        let length = decimal(text).and_then(|n| u8::try_from(n).ok());
        return match length {
            Some(length @ 1..=128) => Ok(length),
            _ => refuse("for IPv6 write how many bits count, 1 to 128"),
        };
    }
    let Ok(mask) = text.parse::<std::net::Ipv4Addr>() else {
        return refuse("for IPv4 write all four numbers: `255.255.255.0`");
    };
    let (mask, length) = (mask.to_bits(), mask.to_bits().leading_ones());
    match u8::try_from(length) {
        Ok(prefix @ 1..=32) if length == mask.count_ones() => Ok(prefix),
        _ => refuse("write one whose bits stand all in front, as in `255.255.255.0`"),
    }
}

/// The local addresses for FullNAT, each with a problem to be told if it turns out to be a virtual address too.
pub(super) fn local_addrs(
    line: &CommandLine<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<(LocalAddr, Problem)> {
    let mut found: Vec<(LocalAddr, Problem)> = Vec::new();
    let is_local = |o: &&Given<'_>| !o.is_refused && o.meaning == Meaning::LocalAddress;
    for option in line.options.iter().filter(is_local) {
        let word = option.value;
        let local = address::local_address(word).and_then(|local| {
            check_unicast(local.ip, word)?;
            match found.iter().find(|(other, _)| overlap(&local, other)) {
                Some(_) => Err(Problem::at(
                    word,
                    format!("{} is already a local address of this service", local.ip),
                    "write each address once, or with ranges that do not overlap",
                )),
                None => Ok(local),
            }
        });
        match local {
            Ok(local) => {
                let message = format!("{} is a virtual address too", local.ip);
                let help = "a local address must serve nothing else: give FullNAT its own";
                found.push((local, Problem::at(word, message, help)));
            }
            Err(problem) => problems.push(problem),
        }
    }
    found
}

fn overlap(one: &LocalAddr, other: &LocalAddr) -> bool {
    one.ip == other.ip && one.first_port <= other.last_port && other.first_port <= one.last_port
}

/// Reads the address of a service; without a port it is that of all ports.
fn address_of(word: Word<'_>, protocol: Protocol, names: &dyn Names) -> Result<Endpoint, Problem> {
    let HostPort { ip, port } = address::host_port(word, protocol, names)?;
    check_unicast(ip, word)?;
    Ok(Endpoint::new(ip, port.unwrap_or(0)))
}
