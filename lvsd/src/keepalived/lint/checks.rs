//! What checks can find out, and when.

use std::net::IpAddr;
use std::time::Duration;

use lvs_health::{Check, Kind, Timing};

use super::services::{has_dynamic_weight, ignores_weights};
use super::{Lint, Scene, count};
use crate::keepalived::diagnostic::Diagnostic;
use crate::keepalived::model::{RealServer, VirtualServer};

pub(super) const LINTS: &[Lint] = &[
    Lint::warning(
        "server-unchecked",
        server_unchecked,
        "A server has no check, so that it is taken to be up for ever, although the others have one or something waits for its failure.",
    ),
    Lint::warning(
        "check-outlasts-interval",
        check_outlasts_interval,
        "A check may take longer than the time to the next one, so that the interval does not hold when it matters.",
    ),
    Lint::warning(
        "failure-noticed-late",
        failure_noticed_late,
        "With all retries it takes more than an hour until a failed server counts as down.",
    ),
    Lint::error(
        "check-without-port",
        check_without_port,
        "A check has to connect, and neither its server nor connect_port says to which port.",
    ),
    Lint::warning(
        "check-other-server",
        check_other_server,
        "A server's check connects to another server of the same service: mostly a copied line.",
    ),
    Lint::warning(
        "check-other-port",
        check_other_port,
        "A TCP_CHECK only finds out whether its port is open, and it is not the port that serves.",
    ),
    Lint::warning(
        "check-wrong-protocol",
        check_wrong_protocol,
        "HTTP_GET speaks in the clear and SSL_GET does not; ports 443 and 80 are for the other.",
    ),
    Lint::warning(
        "check-other-protocol",
        check_other_protocol,
        "A service of TCP is checked by UDP only, at the very port that is to take connections.",
    ),
    Lint::warning(
        "page-twice",
        page_twice,
        "A check asks for the same page twice, with the same expectations.",
    ),
    Lint::warning(
        "dynamic-weight-ignored",
        dynamic_weight_ignored,
        "A check changes the server's weight, and the scheduler does not look at weights.",
    ),
    Lint::warning(
        "dynamic-weight-limit",
        dynamic_weight_limit,
        "misc_dynamic can say weights up to 253 only, and the configured one is greater.",
    ),
    Lint::warning(
        "dynamic-weights-add-up",
        dynamic_weights_add_up,
        "Several checks of a server change its weight; what they say adds up, and mostly comes to 0.",
    ),
];

/// All checks of all servers.
fn checks<'a>(
    s: &Scene<'a>,
) -> impl Iterator<
    Item = (
        &'a VirtualServer,
        &'a RealServer,
        &'a crate::keepalived::model::Checker,
    ),
> {
    s.services().flat_map(|service| {
        let servers = service.servers.iter();
        servers.flat_map(move |server| {
            server
                .checks
                .iter()
                .map(move |check| (service, server, check))
        })
    })
}

fn server_unchecked(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        let (bare, checked): (Vec<&RealServer>, Vec<_>) =
            service.servers.iter().partition(|r| r.checks.is_empty());
        if let (Some(first), Some(other)) = (bare.first(), checked.first()) {
            let message = match bare.len() {
                1 => format!("the server {} has no check, and others have", first.addr),
                n => format!(
                    "the server {} and {} more have no check, and others have",
                    first.addr,
                    n - 1
                ),
            };
            let found = s
                .found(first.span.span, message)
                .also(other.span.span, "this one is checked");
            out.push(found.help("add a check such as `TCP_CHECK { connect_timeout 3 }`"));
        } else if let Some(first) = bare.first() {
            let waits = if let Some(sorry) = &service.sorry {
                Some((sorry.span.span, "this sorry server is never needed"))
            } else if let Some(down) = &service.quorum_down {
                Some((super::place(down), "this never runs"))
            } else if let Some(down) = bare.iter().find_map(|r| r.notify_down.as_ref()) {
                Some((super::place(down), "this never runs"))
            } else {
                bare.iter()
                    .find(|r| r.inhibit)
                    .map(|r| (r.span.span, "`inhibit_on_failure` never happens"))
            };
            if let Some((span, label)) = waits {
                let message = format!(
                    "none of the {} is checked, so that none ever fails",
                    count(bare.len(), "server")
                );
                let found = s.found(service.span.span, message).also(span, label);
                out.push(
                    found
                        .also(first.span.span, "no check here")
                        .help("add checks such as `TCP_CHECK { connect_timeout 3 }`"),
                );
            }
        }
    }
}

/// How long one run may take, if somebody said so: many have short intervals and keepalived's five seconds, and know why.
fn longest(check: &Check) -> Option<Duration> {
    match &check.kind {
        Kind::File(_) => None,
        Kind::Script(script) => Some(script.timeout),
        _ => Some(check.timing.timeout).filter(|t| *t != Timing::default().timeout),
    }
}

fn check_outlasts_interval(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let mut said = Vec::new();
    for (service, _, checker) in checks(s) {
        let interval = checker.check.timing.interval;
        let Some(longest) = longest(&checker.check).filter(|l| *l > interval) else {
            continue;
        };
        // The servers of a service mostly have the same; once is enough.
        let key = (service.span.span, checker.keyword, longest, interval);
        if said.contains(&key) {
            continue;
        }
        said.push(key);
        let (limit, longest, interval) = match checker.keyword {
            "MISC_CHECK" => (
                "misc_timeout",
                longest.as_secs_f64(),
                interval.as_secs_f64(),
            ),
            _ => (
                "connect_timeout",
                longest.as_secs_f64(),
                interval.as_secs_f64(),
            ),
        };
        let message = format!(
            "`{}` may take {longest} s and is due every {interval} s",
            checker.keyword
        );
        let found = s
            .found(checker.span.span, message)
            .also(service.span.span, format!("`delay_loop` is {interval} s"));
        out.push(found.help(format!(
            "let `{limit}` be at most {interval} s, or `delay_loop` at least {longest} s"
        )));
    }
}

fn failure_noticed_late(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let mut said = Vec::new();
    for (service, _, checker) in checks(s) {
        let timing = &checker.check.timing;
        let each = match &checker.check.kind {
            Kind::File(_) => continue,
            Kind::Script(script) => script.timeout,
            _ => timing.timeout,
        };
        let worst = each
            .saturating_add(timing.retry_delay)
            .saturating_mul(timing.retries);
        let worst = worst.saturating_add(each).saturating_add(timing.interval);
        let key = (service.span.span, checker.keyword, worst);
        if worst > Duration::from_secs(3600) && !said.contains(&key) {
            said.push(key);
            let hours = worst.as_secs_f64() / 3600.0;
            let message = format!(
                "`{}` takes up to {hours:.1} hours to find a failed server: {} retries, {} s apart",
                checker.keyword,
                timing.retries,
                timing.retry_delay.as_secs_f64()
            );
            out.push(
                s.found(checker.span.span, message).help(
                    "times are in seconds: lower `retry`, `delay_before_retry` or `delay_loop`",
                ),
            );
        }
    }
}

fn check_without_port(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let mut said = Vec::new();
    for (service, server, checker) in checks(s) {
        let needs = !matches!(
            checker.check.kind,
            Kind::Ping | Kind::File(_) | Kind::Script(_)
        );
        if needs && checker.check.target.addr.port() == 0 && !said.contains(&service.span.span) {
            said.push(service.span.span);
            let message = format!(
                "`{}` of {} does not know which port to connect to",
                checker.keyword, server.addr.ip
            );
            out.push(
                s.found(checker.span.span, message)
                    .help("add `connect_port PORT`"),
            );
        }
    }
}

fn check_other_protocol(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    let mut said = Vec::new();
    for (service, server, checker) in checks(s) {
        let tcp = service
            .keys
            .iter()
            .all(|k| k.protocol() == Some(lvs_core::Protocol::TCP));
        let only = server
            .checks
            .iter()
            .all(|c| matches!(c.check.kind, Kind::Udp(_)));
        let same_port = checker.check.target.addr.port() == server.addr.port;
        if tcp && only && same_port && !said.contains(&service.span.span) {
            said.push(service.span.span);
            let message = format!(
                "a datagram to port {} says nothing about a service of TCP",
                server.addr.port
            );
            let found = s
                .found(checker.span.span, message)
                .also(service.span.span, "the virtual service");
            out.push(found.help("write `TCP_CHECK`"));
        }
    }
}

fn page_twice(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for (_, _, checker) in checks(s) {
        let Kind::Http(http) = &checker.check.kind else {
            continue;
        };
        let mut pages = http.pages.iter().enumerate();
        if let Some((_, page)) = pages.find(|(nr, page)| http.pages[..*nr].contains(page)) {
            let message = format!("`{}` asks for `{}` twice", checker.keyword, page.path);
            out.push(
                s.found(checker.span.span, message)
                    .help("remove one of the two `url` blocks"),
            );
        }
    }
}

fn check_other_server(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for (service, server, checker) in checks(s) {
        if matches!(checker.check.kind, Kind::File(_) | Kind::Script(_)) {
            continue;
        }
        let target = checker.check.target.addr;
        let own: IpAddr = server.addr.ip.into();
        if target.ip() == own {
            continue;
        }
        let other = service
            .servers
            .iter()
            .find(|r| IpAddr::from(r.addr.ip) == target.ip());
        if let Some(other) = other {
            let message = format!(
                "the check of {} connects to {target}, which is another server",
                server.addr
            );
            let found = s
                .found(checker.span.span, message)
                .also(other.span.span, "that server");
            out.push(found.help("remove `connect_ip`"));
        }
    }
}

fn check_other_port(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        let mut said = false;
        for server in service.servers.iter().filter(|r| r.addr.port != 0) {
            let port = server.addr.port;
            let network = |c: &&crate::keepalived::model::Checker| {
                !matches!(c.check.kind, Kind::Ping | Kind::File(_) | Kind::Script(_))
            };
            let ports: Vec<u16> = server
                .checks
                .iter()
                .filter(network)
                .map(|c| c.check.target.addr.port())
                .collect();
            let tcp = server
                .checks
                .iter()
                .find(|c| matches!(c.check.kind, Kind::Tcp));
            let only_tcp = server
                .checks
                .iter()
                .all(|c| matches!(c.check.kind, Kind::Tcp));
            let Some(tcp) = tcp.filter(|_| only_tcp && !ports.contains(&port) && !said) else {
                continue;
            };
            said = true;
            let checked = tcp.check.target.addr.port();
            let message = format!(
                "the server serves at port {port}, and this looks whether port {checked} is open"
            );
            let found = s
                .found(tcp.span.span, message)
                .also(server.span.span, "the server");
            out.push(found.help(format!("write `connect_port {port}` or leave it out; or ask port {checked} a question, by `HTTP_GET` for instance")));
        }
    }
}

fn check_wrong_protocol(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for (_, _, checker) in checks(s) {
        let Kind::Http(http) = &checker.check.kind else {
            continue;
        };
        let (keyword, other) = match (http.tls.is_some(), checker.check.target.addr.port()) {
            (false, 443) => ("HTTP_GET", "SSL_GET"),
            (true, 80) => ("SSL_GET", "HTTP_GET"),
            _ => continue,
        };
        let port = checker.check.target.addr.port();
        let how = if http.tls.is_some() {
            "speaks TLS"
        } else {
            "speaks in the clear"
        };
        let found = s.found(
            checker.span.span,
            format!("`{keyword}` {how}, and goes to port {port}"),
        );
        out.push(found.help(format!("write `{other}`")));
    }
}

fn dynamic_weight_ignored(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services().filter(|v| ignores_weights(v)) {
        if let Some(server) = service.servers.iter().find(|r| has_dynamic_weight(r)) {
            let scheduler = &service.scheduler;
            let message = format!(
                "checks change the weight of {}, and the scheduler `{}` does not look at weights",
                server.addr, scheduler.value
            );
            let found = s
                .found(scheduler.span, message)
                .also(server.span.span, "the server");
            out.push(found.help("use `lvs_sched wlc` or `wrr`"));
        }
    }
}

fn is_dynamic_script(kind: &Kind) -> bool {
    matches!(kind, Kind::Script(script) if script.dynamic)
}

fn dynamic_weight_limit(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for (_, server, checker) in checks(s) {
        let weight = server.options.weight;
        if is_dynamic_script(&checker.check.kind) && weight > 253 {
            let message = format!(
                "`misc_dynamic` says at most 253, and the server weighs {weight} until then"
            );
            let found = s
                .found(checker.span.span, message)
                .also(server.span.span, "the server");
            out.push(found.help("scale all weights of the service down to 253 at most"));
        }
    }
}

fn dynamic_weights_add_up(s: &Scene<'_>, out: &mut Vec<Diagnostic>) {
    for service in s.services() {
        for server in &service.servers {
            let scripts = server
                .checks
                .iter()
                .filter(|c| is_dynamic_script(&c.check.kind));
            if let [first, second, ..] = scripts.collect::<Vec<_>>()[..] {
                let weight = server.options.weight;
                let message = format!(
                    "two checks say the weight of {}: from each exit status 2 and {weight} (the configured weight) are subtracted, and all is added up",
                    server.addr
                );
                let found = s
                    .found(second.span.span, message)
                    .also(first.span.span, "the other");
                out.push(
                    found.help("let one script say the weight, and the other only fail or pass"),
                );
            }
        }
    }
}
