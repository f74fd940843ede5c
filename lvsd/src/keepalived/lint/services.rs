//! Schedulers, persistence, quorum and sorry servers.

use std::net::IpAddr;

use super::{Lint, Scene, count, vips};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{RealServer, VirtualServer};

pub(super) const LINTS: &[Lint] = &[
    Lint::warning(
        "weights-ignored",
        weights_ignored,
        "Servers have different weights, and the scheduler does not look at weights.",
    ),
    Lint::warning(
        "persistence-with-hashing",
        persistence_with_hashing,
        "The scheduler chooses by the client's or the service's address, so that persistence adds nothing but templates.",
    ),
    Lint::warning(
        "persistence-with-ops",
        persistence_with_ops,
        "One-packet scheduling remembers nothing, and persistence remembers clients: IPVS does not do both.",
    ),
    Lint::warning(
        "failed-server-keeps-clients",
        failed_server_keeps_clients,
        "A failed server stays in the list with weight 0, and persistent clients stay with it.",
    ),
    Lint::error(
        "quorum-unreachable",
        quorum_unreachable,
        "The servers together weigh less than it takes to gain the quorum, so that the service never has it.",
    ),
    Lint::error(
        "hysteresis-too-large",
        hysteresis_too_large,
        "The hysteresis is not less than the quorum, which then could not be lost; keepalived takes one less than the quorum.",
    ),
    Lint::warning(
        "weights-too-large",
        weights_too_large,
        "The weights of a service's servers add up to more than schedulers count with.",
    ),
    Lint::warning(
        "quorum-without-effect",
        quorum_without_effect,
        "A quorum is configured, but nothing happens when it is gained or lost.",
    ),
    Lint::warning(
        "no-weight",
        no_weight,
        "All servers have weight 0, so that none takes new connections.",
    ),
    Lint::warning(
        "sorry-is-server",
        sorry_is_server,
        "The sorry server is one of the service's servers, which have all failed when it is needed.",
    ),
    Lint::warning(
        "omega-without-effect",
        omega_without_effect,
        "omega runs what is configured for failures at the end of the daemon, and nothing is.",
    ),
    Lint::warning(
        "suspend-without-address",
        suspend_without_address,
        "ha_suspend rests the checks while the service's address is elsewhere; but the service has no address that could ever be here.",
    ),
];

/// Schedulers that look at weights only to leave out servers without.
const WEIGHTLESS: &[&str] = &["rr", "lc", "dh"];

/// Schedulers that choose by addresses.
const HASHING: &[&str] = &["sh", "dh", "mh"];

pub(super) fn ignores_weights(service: &VirtualServer) -> bool {
    WEIGHTLESS.contains(&service.scheduler.value.as_str())
}

/// Whether a check of the server can change its weight.
pub(super) fn has_dynamic_weight(server: &RealServer) -> bool {
    server.checks.iter().any(|c| match &c.check.kind {
        lvs_health::Kind::Script(script) => script.dynamic,
        lvs_health::Kind::File(file) => file.weight != 0,
        _ => false,
    })
}

fn weights_ignored(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services().filter(|v| ignores_weights(v)) {
        let mut weights: Vec<u32> = service.servers.iter().map(|r| r.options.weight).collect();
        weights.retain(|w| *w > 0);
        weights.sort_unstable();
        weights.dedup();
        if let [least, .., most] = weights[..] {
            let scheduler = &service.scheduler;
            let message = format!(
                "the scheduler `{}` does not look at weights, and they are {least} to {most}",
                scheduler.value
            );
            let weighted = match scheduler.value.as_str() {
                "rr" => "wrr",
                "lc" => "wlc",
                _ => "mh",
            };
            out.push(s.found(scheduler.span, message).help(format!(
                "use `lvs_sched {weighted}`, or give all the same weight"
            )));
        }
    }
}

fn persistence_with_hashing(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services().filter(|v| v.options.persistence.is_some()) {
        let scheduler = &service.scheduler;
        // Services for all ports must be persistent.
        let all_ports = service
            .keys
            .iter()
            .any(|k| k.addr().is_some_and(|a| a.port == 0));
        if HASHING.contains(&scheduler.value.as_str()) && !all_ports {
            let by = if scheduler.value == "dh" {
                "the service's"
            } else {
                "the client's"
            };
            let message = format!(
                "`{}` chooses by {by} address already; persistence is pointless",
                scheduler.value
            );
            out.push(
                s.found(scheduler.span, message)
                    .help("remove `persistence_timeout`, or use another scheduler such as `wlc`"),
            );
        }
    }
}

fn persistence_with_ops(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s
        .services()
        .filter(|v| v.options.one_packet && v.options.persistence.is_some())
    {
        let found = s.found(service.span.span, "`ops` schedules each packet anew, and `persistence_timeout` keeps clients on one server");
        out.push(found.help("remove one of the two"));
    }
}

fn failed_server_keeps_clients(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s
        .services()
        .filter(|v| v.keep_flows && v.options.persistence.is_some())
    {
        if let Some(server) = service.servers.iter().find(|r| r.inhibit) {
            let message = "with `inhibit_on_failure`, `persistence_timeout` and `lvsd_keep_flows`, clients stay with a server that has failed";
            let found = s
                .found(server.span.span, message)
                .also(service.span.span, "the virtual service");
            out.push(found.help(
                "remove `lvsd_keep_flows`, so that they are given to another server at once",
            ));
        }
    }
}

/// What the servers weigh together.
fn total(service: &VirtualServer) -> u64 {
    service
        .servers
        .iter()
        .map(|r| u64::from(r.options.weight))
        .sum()
}

fn quorum_unreachable(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        let (quorum, hysteresis) = (
            u64::from(service.quorum.value),
            u64::from(service.hysteresis.value),
        );
        let total = total(service);
        let dynamic = service.servers.iter().any(has_dynamic_weight);
        if quorum + hysteresis <= total || total == 0 || dynamic {
            continue;
        }
        let needed = match hysteresis {
            0 => format!("the quorum is {quorum}"),
            _ => format!(
                "it takes {} to gain the quorum (quorum {quorum} + hysteresis {hysteresis})",
                quorum + hysteresis
            ),
        };
        let servers = count(service.servers.len(), "server");
        let message = format!("{needed}, but the {servers} weigh {total} together");
        let (span, help) = match (quorum <= total, hysteresis) {
            (true, 1..) => (
                service.hysteresis.span,
                format!("let `hysteresis` be at most {}", total - quorum),
            ),
            _ => (
                service.quorum.span,
                format!(
                    "let `quorum` be at most {}",
                    total.saturating_sub(hysteresis).max(1)
                ),
            ),
        };
        out.push(s.found(span, message).help(help));
    }
}

fn hysteresis_too_large(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        let (quorum, hysteresis) = (service.quorum.value, service.hysteresis.value);
        if hysteresis > 0 && hysteresis >= quorum {
            let message =
                format!("`hysteresis` {hysteresis} is not less than the quorum, {quorum}");
            let found = s
                .found(service.hysteresis.span, message)
                .also(service.quorum.span, "the quorum");
            out.push(found.help(format!("let it be at most {}", quorum.saturating_sub(1))));
        }
    }
}

fn weights_too_large(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        let total = total(service);
        if total > i32::MAX as u64 {
            let message = format!("the weights add up to {total}, more than 31 bits hold");
            out.push(
                s.found(service.span.span, message)
                    .help("scale them down: only their proportions count"),
            );
        }
    }
}

fn quorum_without_effect(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let global = &s.config.global;
    for service in s.services() {
        let given = service.quorum.value > 1 || service.hysteresis.value > 0;
        let scripts = service.quorum_up.is_some() || service.quorum_down.is_some();
        let told = global.fifo.is_some() || global.lvs_fifo.is_some() || service.mails;
        if given && !scripts && !told && service.sorry.is_none() {
            let span = if service.quorum.value > 1 {
                service.quorum.span
            } else {
                service.hysteresis.span
            };
            let message = format!(
                "the quorum of {} changes nothing: servers that are up keep serving without it",
                service.quorum.value
            );
            out.push(
                s.found(span, message).help(
                    "add a `sorry_server`, `quorum_down` or `smtp_alert`, or remove the quorum",
                ),
            );
        }
    }
}

fn no_weight(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        let all_zero = service
            .servers
            .iter()
            .all(|r| r.options.weight == 0 && !has_dynamic_weight(r));
        if all_zero && !service.servers.is_empty() {
            let servers = count(service.servers.len(), "server");
            let message = format!("{servers} with weight 0, so that nobody takes new connections");
            out.push(
                s.found(service.span.span, message)
                    .help("give at least one server a weight"),
            );
        }
    }
}

fn sorry_is_server(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        let Some(sorry) = &service.sorry else {
            continue;
        };
        if let Some(same) = service.servers.iter().find(|r| r.addr == sorry.addr) {
            let message = format!(
                "the sorry server {} is also one of the servers, all of which have failed when it is needed",
                sorry.addr
            );
            let found = s
                .found(sorry.span.span, message)
                .also(same.span.span, "the server");
            out.push(found.help("name another server, or another port of this one"));
        }
    }
}

fn omega_without_effect(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let global = &s.config.global;
    let fifo = global.fifo.is_some() || global.lvs_fifo.is_some();
    let mail = global.smtp_server.is_some() && !global.mail_to.is_empty();
    for service in s.services().filter(|v| v.omega && !fifo && !mail) {
        let scripts = service.quorum_down.is_some()
            || service.servers.iter().any(|r| r.notify_down.is_some());
        if !scripts {
            let message =
                "`omega` has nothing to run: there is neither `quorum_down` nor `notify_down`";
            let found = s.found(service.span.span, message);
            out.push(found.help("add a script, or remove `omega`"));
        }
    }
}

fn suspend_without_address(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let vrrp = &s.config.vrrp;
    for service in s.services().filter(|v| v.ha_suspend) {
        let vips = vips(service);
        let in_file = |ip: &IpAddr| {
            let moved = vrrp.instances.iter().flat_map(|i| i.addresses());
            moved.chain(&vrrp.addresses).any(|a| a.addr.ip == *ip)
        };
        let here = |ip: &IpAddr| s.carriers(*ip).is_none_or(|c| !c.is_empty());
        let message = match vips.first() {
            None => "`ha_suspend` waits for an address, and a service of firewall marks has none"
                .to_owned(),
            Some(vip) if !vips.iter().any(|ip| in_file(ip) || here(ip)) => {
                format!("`ha_suspend` waits for {vip} to come to this host, and nothing brings it")
            }
            Some(_) => continue,
        };
        out.push(
            s.found(service.span.span, message)
                .label("no check ever runs")
                .help("remove `ha_suspend`"),
        );
    }
}
