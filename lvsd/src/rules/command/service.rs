//! The service that an `-A` or `-E` is about.

use std::time::Duration;

use lvs_core::service::Engine;
use lvs_core::{Family, Persistence, Protocol, ServiceKey, ServiceOptions};

use super::super::options::Meaning;
use super::super::{BadFlag, SchedulerFlags, ServiceRule};
use super::CommandError;
use super::line::Line;
use super::popt::Given;

/// The flags of the scheduler, whichever command they stand in.
pub(super) fn flags(line: &Line<'_>) -> Result<SchedulerFlags, CommandError> {
    let mut flags = SchedulerFlags::NONE;
    for name in line.flags.split(',').filter(|name| !name.is_empty()) {
        flags = flags.with(name, line.scheduler).map_err(|bad: BadFlag| {
            CommandError::usage(format!("{bad} `{name}'")).at(line.place("sched-flags"))
        })?;
    }
    Ok(flags)
}

/// The service with everything that is said about it.
pub(super) fn rule(
    line: &Line<'_>,
    key: ServiceKey,
    flags: SchedulerFlags,
) -> Result<ServiceRule, CommandError> {
    let one_packet = line.has("ops");
    if let Some(protocol) = key.protocol() {
        if key.port() == 0 && line.timeout == 0 {
            let message = "Zero port specified for non-persistent service";
            return Err(CommandError::usage(message).at(line.place("service-address")));
        }
        if one_packet && protocol != Protocol::UDP {
            let message = "One-Packet Scheduling is only for UDP virtual services";
            return Err(CommandError::usage(message).at(line.place("ops")));
        }
    }
    check_timeouts(line, key)?;
    let (engine, unknown_engine) = match line.engine {
        "" => (None, None),
        "sip" => (Some(Engine::Sip), None),
        other => (None, Some(other.to_owned())),
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
        unknown_engine,
        options: ServiceOptions {
            persistence,
            one_packet,
            local_addrs: line.local_addrs.as_slice().into(),
            timeouts: line.own_timeouts,
        },
        servers: Vec::new(),
    })
}

/// Refuses timeouts of connections that the service never has.
fn check_timeouts(line: &Line<'_>, key: ServiceKey) -> Result<(), CommandError> {
    let Some(protocol) = key.protocol() else {
        return Ok(());
    };
    let name = |given: &Given<'_>| match given.option.meaning {
        Meaning::Timeout(which) if which.protocol() != protocol => Some(given.option.name),
        _ => None,
    };
    match line.all_given().find_map(|g| Some((g.at, name(g)?))) {
        Some((at, name)) => {
            let message = format!("Illegal '{name}' option with {protocol} services");
            Err(CommandError::usage(message).at(at))
        }
        None => Ok(()),
    }
}

/// The length of the persistence mask. IPVS also takes masks that are no prefix.
fn prefix(line: &Line<'_>, key: ServiceKey) -> Result<u8, CommandError> {
    let length = line.mask.leading_ones();
    match key.family() {
        Family::V6 => Ok(line.prefix),
        Family::V4 if length > 0 && length == line.mask.count_ones() => {
            Ok(u8::try_from(length).unwrap_or(32))
        }
        Family::V4 => {
            let message = "a persistent mask must be that of a prefix of 1 to 32 bits";
            Err(CommandError::usage(message).at(line.place("netmask")))
        }
    }
}
