//! ipvsadm's commands, one at a time, as a program that is told them by ipvsadm's users must take them.
//!
//! Unlike a rule file, which counts as a whole and is explained when it is wrong, a command is read as ipvsadm itself
//! reads it, down to its defaults, its messages and its exit status.

mod address;
mod line;
mod popt;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use lvs_core::dest::GueChecksum;
use lvs_core::service::Engine;
use lvs_core::state::Timeouts;
use lvs_core::{
    DestOptions, Encapsulation, Endpoint, Family, Method, Persistence, Protocol, ServiceKey,
    ServiceOptions,
};

use super::options::{CHECKED, Checksum, NEED_SERVER, NEED_SERVICE, OPTIONS, Verb};
use super::{BadFlag, Names, SchedulerFlags, ServerRule, ServiceRule};
use line::{Line, Tunnel};
use popt::usage;

/// How long a client stays on its server unless another time is given, in seconds.
pub(super) const DEFAULT_PERSISTENCE: u32 = 360;

/// The longest timeout, in seconds.
pub(super) const MAX_SECONDS: u32 = Timeouts::MAX.as_secs() as u32;

/// A command of ipvsadm that changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `-A`: the service has no servers yet.
    AddService(ServiceRule),
    /// `-E`: everything about the service is replaced, by defaults where nothing is said. Its servers stay.
    EditService(ServiceRule),
    /// `-D`
    DeleteService(ServiceKey),
    /// `-a`
    AddServer(ServiceKey, ServerRule),
    /// `-e`: everything about the server is replaced, by defaults where nothing is said.
    EditServer(ServiceKey, ServerRule),
    /// `-d`
    DeleteServer(ServiceKey, Endpoint),
    /// `-C`: everything is deleted.
    Flush,
    /// `-Z`: the statistics of one service, or all, begin anew.
    Zero(Option<ServiceKey>),
    /// `--set`
    SetTimeouts(SetTimeouts),
}

/// Timeouts in seconds, at most 31 days; 0 leaves what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "ipvsadm's three")]
pub struct SetTimeouts {
    /// Of established TCP connections.
    pub tcp: u32,
    /// Of TCP connections that a FIN was seen of.
    pub tcp_fin: u32,
    /// Of UDP.
    pub udp: u32,
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandError {
    /// ipvsadm's exit status: 2 for a wrong value or combination, 255 for a line that is no command or that the kernel
    /// would refuse.
    pub exit: u8,
    /// What ipvsadm says, without its name before it.
    pub message: String,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}

/// Reads ipvsadm's arguments, without the program's name.
///
/// # Errors
///
/// What ipvsadm would say, and its exit status. Commands that change nothing (listings) are refused too.
pub fn parse_command(words: &[&str], names: &dyn Names) -> Result<Command, CommandError> {
    let line = Line::read(words, names)?;
    let flags = flags(&line)?;
    check_options(&line)?;
    let service = || {
        line.service
            .ok_or_else(|| missing("service-address", line.verb))
    };
    let rule = |key| service_rule(&line, key, flags);
    Ok(match line.verb {
        Verb::AddService => Command::AddService(rule(service()?)?),
        Verb::EditService => Command::EditService(rule(service()?)?),
        Verb::DeleteService => Command::DeleteService(service()?),
        Verb::AddServer => Command::AddServer(service()?, server_rule(&line, service()?)?),
        Verb::EditServer => Command::EditServer(service()?, server_rule(&line, service()?)?),
        Verb::DeleteServer => Command::DeleteServer(service()?, line.server),
        Verb::Flush => Command::Flush,
        Verb::Zero => Command::Zero(line.service),
        Verb::Set => Command::SetTimeouts(line.timeouts),
        verb => {
            let message = format!("the {} command is not supported yet", verb.name());
            return Err(CommandError { exit: 1, message });
        }
    })
}

/// Whether every option that is needed is there, and every one that is there goes with the command.
fn check_options(line: &Line<'_>) -> Result<(), CommandError> {
    for name in CHECKED {
        let needs = match name {
            "service-address" => NEED_SERVICE.contains(&line.verb),
            "real-server" => NEED_SERVER.contains(&line.verb),
            _ => false,
        };
        if needs && !line.has(name) {
            return Err(missing(name, line.verb));
        }
        let mut options = OPTIONS.iter().filter(|o| o.name == name);
        if line.has(name) && !options.any(|o| o.verbs.contains(&line.verb)) {
            let verb = line.verb.name();
            return Err(usage(format!(
                "Illegal '{name}' option with the '{verb}' command"
            )));
        }
    }
    Ok(())
}

fn missing(name: &str, verb: Verb) -> CommandError {
    let verb = verb.name();
    usage(format!(
        "You need to supply the '{name}' option for the '{verb}' command"
    ))
}

fn flags(line: &Line<'_>) -> Result<SchedulerFlags, CommandError> {
    let mut flags = SchedulerFlags::NONE;
    for name in line.flags.split(',').filter(|name| !name.is_empty()) {
        flags = flags
            .with(name, line.scheduler)
            .map_err(|bad: BadFlag| usage(format!("{bad} `{name}'")))?;
    }
    Ok(flags)
}

fn service_rule(
    line: &Line<'_>,
    key: ServiceKey,
    flags: SchedulerFlags,
) -> Result<ServiceRule, CommandError> {
    let one_packet = line.has("ops");
    if let Some(protocol) = key.protocol() {
        if key.port() == 0 && line.timeout == 0 {
            return Err(usage("Zero port specified for non-persistent service"));
        }
        if one_packet && protocol != Protocol::UDP {
            return Err(usage(
                "One-Packet Scheduling is only for UDP virtual services",
            ));
        }
    }
    let engine = match line.engine {
        None | Some("") => None,
        Some("sip") => Some(Engine::Sip),
        Some(_) => {
            return Err(CommandError {
                exit: 255,
                message: "Scheduler or persistence engine not found".to_owned(),
            });
        }
    };
    let persistence = match line.timeout {
        0 => None,
        timeout => Some(Persistence {
            timeout: Duration::from_secs(timeout.into()),
            prefix: prefix(line, key)?,
            engine,
        }),
    };
    Ok(ServiceRule {
        key,
        scheduler: line.scheduler.to_owned(),
        flags,
        options: ServiceOptions {
            persistence,
            one_packet,
            local_addrs: line.local_addrs.as_slice().into(),
            ..ServiceOptions::default()
        },
        servers: Vec::new(),
    })
}

/// The length of the persistence mask. IPVS also takes masks that are no prefix.
fn prefix(line: &Line<'_>, key: ServiceKey) -> Result<u8, CommandError> {
    let length = line.mask.leading_ones();
    match key.family() {
        Family::V6 => Ok(line.prefix),
        Family::V4 if length > 0 && length == line.mask.count_ones() => {
            Ok(u8::try_from(length).unwrap_or(32))
        }
        Family::V4 => Err(usage(
            "a persistent mask must be that of a prefix of 1 to 32 bits",
        )),
    }
}

fn server_rule(line: &Line<'_>, key: ServiceKey) -> Result<ServerRule, CommandError> {
    let mut addr = line.server;
    if addr.ip.family() != key.family() && line.method != Method::Tunnel {
        return Err(usage(
            "Different address family is allowed only for tunneling servers",
        ));
    }
    if key.addr().is_some() && !line.method.translates() {
        addr.port = key.port();
    }
    let options = DestOptions {
        method: line.method,
        weight: line.weight,
        encapsulation: encapsulation(line)?,
        upper: line.upper,
        lower: line.lower,
    };
    Ok(ServerRule { addr, options })
}

const TUNNEL_OPTIONS: [&str; 5] = [
    "tun-type",
    "tun-port",
    "tun-nocsum",
    "tun-csum",
    "tun-remcsum",
];

fn encapsulation(line: &Line<'_>) -> Result<Encapsulation, CommandError> {
    if line.method != Method::Tunnel {
        return match TUNNEL_OPTIONS.iter().any(|name| line.has(name)) {
            true => Err(usage("Tunnel options conflict with forward method")),
            false => Ok(Encapsulation::Ipip),
        };
    }
    let (kind, legal): (_, &[&str]) = match line.tunnel {
        Tunnel::Ipip => ("ipip", &["tun-type"]),
        Tunnel::Gue => ("gue", &TUNNEL_OPTIONS),
        Tunnel::Gre => ("gre", &["tun-type", "tun-nocsum", "tun-csum"]),
    };
    let mut checksum = None;
    for name in TUNNEL_OPTIONS {
        if !line.has(name) {
            if name == "tun-port" && line.tunnel == Tunnel::Gue {
                let message = "You need to supply the 'tun-port' option for the 'gue' tunnel type";
                return Err(usage(message));
            }
            continue;
        }
        if !legal.contains(&name) {
            return Err(usage(format!(
                "Illegal '{name}' option with the '{kind}' tunnel type"
            )));
        }
        if name.ends_with("csum")
            && let Some(other) = checksum.replace(name)
        {
            return Err(usage(format!(
                "The option '{name}' conflicts with the '{other}' option in the '{kind}' tunnel type"
            )));
        }
    }
    Ok(match line.tunnel {
        Tunnel::Ipip => Encapsulation::Ipip,
        Tunnel::Gre => Encapsulation::Gre {
            checksum: line.checksum == Checksum::Full,
        },
        Tunnel::Gue => Encapsulation::Gue {
            port: line.tunnel_port,
            checksum: match line.checksum {
                Checksum::None => GueChecksum::None,
                Checksum::Full => GueChecksum::Full,
                Checksum::Remote => GueChecksum::Remote,
            },
        },
    })
}
