//! What is said about events: in the log, to scripts, into pipes, by mail.
//!
//! The words are keepalived's, since people's tools look for them. Scripts get variables besides, which keepalived's do not
//! have: what happened, to whom, and why.

use lvs_core::Endpoint;
use lvs_health::pool::{Cause, Event, Tally};
use lvs_health::{Kind, Verdict};

use super::label;
use crate::alerts::{Alert, Line, LineKind, Mail, Script};
use crate::keepalived::model::{Checker, Command, Global, RealServer, VirtualServer};

/// What is said about one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Lines for the log.
    pub(crate) log: Vec<String>,
    /// Scripts and the like.
    pub(crate) alerts: Vec<Alert>,
}

/// What is said about an event of a service's pool.
pub(crate) fn event(global: &Global, service: &VirtualServer, event: &Event<Endpoint>) -> Said {
    match event {
        Event::ServerUp { server, cause } => changed(global, service, *server, true, cause),
        Event::ServerDown { server, cause } => changed(global, service, *server, false, cause),
        Event::WeightChanged {
            server,
            from,
            to,
            alive,
            cause: _,
        } => {
            let which = if *alive { "active" } else { "inactive" };
            let server = label::server(service, *server);
            let service = label::service(service);
            log(format!(
                "Changing weight from {from} to {to} for {which} service {server} of VS {service}"
            ))
        }
        Event::QuorumGained { tally, cause } => quorum(service, true, tally, cause),
        Event::QuorumLost { tally, cause } => quorum(service, false, tally, cause),
        Event::SorryOn { server } => sorry(service, *server, true),
        Event::SorryOff { server } => sorry(service, *server, false),
    }
}

/// The mail about a check that has changed, unless mails are only wanted about servers.
pub(crate) fn check_changed(
    global: &Global,
    service: &VirtualServer,
    server: &RealServer,
    check: &Checker,
    server_up: bool,
    verdict: &Verdict,
) -> Option<Alert> {
    if !server.mails || global.no_checker_mails {
        return None;
    }
    Some(Alert {
        about: about(service, server.addr),
        script: None,
        line: None,
        mail: Some(Mail {
            subject: subject(service, server.addr, server_up),
            body: body(check, verdict),
        }),
    })
}

fn changed(
    global: &Global,
    service: &VirtualServer,
    addr: Endpoint,
    up: bool,
    cause: &Cause,
) -> Said {
    let Some(server) = service.servers.iter().find(|s| s.addr == addr) else {
        return Said::default();
    };
    // That everything is up until found otherwise is no news, unless it is wanted.
    if *cause == Cause::Start && up && !global.announce_initial {
        return Said::default();
    }
    let (name, of) = (label::server(service, addr), label::service(service));
    let line = match (up, server.inhibit) {
        (true, false) => format!("Adding service {name} to VS {of}"),
        (true, true) => format!("Enabling service {name} of VS {of}"),
        (false, false) => format!("Removing service {name} from VS {of}"),
        (false, true) => format!("Disabling service {name} of VS {of}"),
    };
    let why = why(server, cause);
    let script = if up {
        &server.notify_up
    } else {
        &server.notify_down
    };
    let state = state(up);
    let event = if up { "server-up" } else { "server-down" };
    let mut environment = vec![
        ("LVSD_EVENT", event.to_owned()),
        ("LVSD_SERVICE", of.clone()),
        ("LVSD_SERVER", name.clone()),
        ("LVSD_WEIGHT", server.options.weight.to_string()),
    ];
    environment.extend(why.clone().map(|why| ("LVSD_REASON", why)));
    let mail = match cause {
        Cause::Start => None,
        Cause::Check { .. } if !global.no_checker_mails => None, // the check's own mail says it
        Cause::Removal => Some("=> Removing <=".to_owned()),
        Cause::Shutdown => Some("=> Shutting down <=".to_owned()),
        _ => Some(format!("=> {} <=", why.clone().unwrap_or_default())),
    };
    let mail = mail.filter(|_| server.mails).map(|body| Mail {
        subject: subject(service, addr, up),
        body,
    });
    Said {
        log: vec![match why {
            Some(why) => format!("{line}: {why}"),
            None => line,
        }],
        alerts: vec![Alert {
            about: about(service, addr),
            script: with(script.as_ref(), environment),
            line: pipes(format!("RS {name} {of} {state}")),
            mail,
        }],
    }
}

/// Why a server has changed, for people.
fn why(server: &RealServer, cause: &Cause) -> Option<String> {
    Some(match cause {
        Cause::Check { check, verdict } => {
            let keyword = server.checks.get(*check).map_or("check", |c| c.keyword);
            match verdict {
                Ok(_) => format!("{keyword} success"),
                Err(failure) => format!("{keyword} failed: {failure}"),
            }
        }
        Cause::Command => "by command".to_owned(),
        Cause::Reload => "the configuration has changed".to_owned(),
        Cause::Removal => "not in the configuration any more".to_owned(),
        Cause::Shutdown => "shutting down".to_owned(),
        Cause::Start => return None,
    })
}

fn quorum(service: &VirtualServer, up: bool, tally: &Tally, cause: &Cause) -> Said {
    let of = label::service(service);
    let Tally {
        quorum,
        hysteresis,
        live,
    } = *tally;
    let what = match up {
        true => format!(
            "Gained quorum {quorum}+{hysteresis}={} <= {live}",
            tally.to_gain()
        ),
        false if *cause == Cause::Start => "Starting with quorum down".to_owned(),
        false => format!(
            "Lost quorum {quorum}-{hysteresis}={} > {live}",
            tally.to_lose()
        ),
    };
    let script = if up {
        &service.quorum_up
    } else {
        &service.quorum_down
    };
    let event = if up { "quorum-up" } else { "quorum-down" };
    let environment = vec![
        ("LVSD_EVENT", event.to_owned()),
        ("LVSD_SERVICE", of.clone()),
        ("LVSD_QUORUM", quorum.to_string()),
        ("LVSD_HYSTERESIS", hysteresis.to_string()),
        ("LVSD_LIVE", live.to_string()),
    ];
    let body = match cause {
        Cause::Shutdown => "=> Shutting down <=".to_owned(),
        Cause::Removal => "=> Removing <=".to_owned(),
        _ => format!("=> {what} <="),
    };
    let mail = service.mails.then(|| Mail {
        subject: format!("Virtualserver {of} - {}", state(up)),
        body,
    });
    Said {
        log: vec![format!("{what} for VS {of}")],
        alerts: vec![Alert {
            about: of.clone(),
            script: with(script.as_ref(), environment),
            line: pipes(format!("VS {of} {}", state(up))),
            mail,
        }],
    }
}

fn sorry(service: &VirtualServer, addr: Endpoint, on: bool) -> Said {
    let (server, of) = (label::server(service, addr), label::service(service));
    let inhibits = service.sorry.as_ref().is_some_and(|s| s.inhibit);
    let alive = match on {
        true => format!("Removing alive servers from the pool for VS {of}"),
        false => format!("Adding alive servers to the pool for VS {of}"),
    };
    let line = match (on, inhibits) {
        (true, false) => format!("Adding sorry server {server} to VS {of}"),
        (true, true) => format!("Enabling sorry server {server} of VS {of}"),
        (false, false) => format!("Removing sorry server {server} from VS {of}"),
        (false, true) => format!("Disabling sorry server {server} of VS {of}"),
    };
    let mut said = log(alive);
    said.log.insert(usize::from(on), line);
    said
}

fn body(check: &Checker, verdict: &Verdict) -> String {
    let name = match &check.check.kind {
        Kind::Tcp => "TCP CHECK",
        Kind::Udp(_) => "UDP CHECK",
        Kind::Ping => "ICMP CHECK",
        Kind::Dns { .. } => "DNS_CHECK:",
        Kind::Script(_) => "MISC CHECK",
        _ => "CHECK",
    };
    match (verdict, &check.check.kind) {
        (Ok(_), Kind::Script(_)) => format!("=> {name} succeeded on service <="),
        (Ok(_), _) => format!("=> {name} succeed on service <="),
        (Err(failure), _) => format!("=> {name} failed on service : {failure} <="),
    }
}

fn subject(service: &VirtualServer, addr: Endpoint, up: bool) -> String {
    let (server, of) = (label::server(service, addr), label::service(service));
    format!("Realserver {server} of virtual server {of} - {}", state(up))
}

fn about(service: &VirtualServer, addr: Endpoint) -> String {
    format!(
        "{} {}",
        label::service(service),
        label::server(service, addr)
    )
}

fn state(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}

fn with(command: Option<&Command>, environment: Vec<(&'static str, String)>) -> Option<Script> {
    command.map(|command| Script {
        command: command.clone(),
        environment,
    })
}

fn pipes(text: String) -> Option<Line> {
    let kind = LineKind::Services;
    Some(Line { kind, text })
}

fn log(line: String) -> Said {
    Said {
        log: vec![line],
        alerts: Vec::new(),
    }
}
