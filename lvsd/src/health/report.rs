//! A [`snapshot`](super::snapshot), put into the words of [`super::status`].

use std::collections::HashMap;
use std::time::Duration;

use lvs_core::Endpoint;
use lvs_health::{Kind, Reason};

use super::label;
use super::snapshot::{self, Snapshot};
use super::status::{Check, Checks, Quorum, Run, Server, Service, Sorry, Status};
use crate::keepalived::model::{Checker, RealServer};

/// How everything is.
pub(super) fn status(snapshot: &Snapshot) -> Status {
    let checks = || snapshot.services.iter().flat_map(|s| &s.checks);
    Status {
        checks: Checks {
            total: checks().count(),
            found: checks().filter(|c| c.found).count(),
            running: snapshot.running,
            worst_lateness_ms: milliseconds(snapshot.lateness.worst()),
        },
        services: snapshot
            .services
            .iter()
            .map(|s| service(snapshot.now, s))
            .collect(),
        ..Status::default()
    }
}

fn service(now: Duration, known: &snapshot::Service) -> Service {
    let (config, tally) = (&*known.config, known.tally);
    let scheduled: HashMap<Endpoint, u32> = known.list.iter().copied().collect();
    let mut checks = known.checks.iter();
    let servers = config.servers.iter().zip(&known.servers);
    let servers = servers.map(|(server, s)| {
        let checks = server.checks.iter().zip(&mut checks);
        let checks: Vec<Check> = checks.map(|(config, c)| check(now, config, c)).collect();
        self::server(server, *s, scheduled.get(&server.addr).copied(), checks)
    });
    Service {
        name: label::service(config),
        services: config.keys.iter().map(ToString::to_string).collect(),
        scheduler: config.scheduler.value.clone(),
        quorum: Quorum {
            up: known.quorum,
            live: tally.live,
            gained_at: tally.to_gain(),
            lost_below: tally.to_lose(),
        },
        sorry: config.sorry.as_ref().map(|sorry| Sorry {
            server: sorry.addr.to_string(),
            serves: known.sorry_serves,
        }),
        suspended: known.suspended,
        servers: servers.collect(),
    }
}

fn server(
    config: &RealServer,
    known: snapshot::Server,
    scheduled: Option<u32>,
    checks: Vec<Check>,
) -> Server {
    Server {
        server: config.addr.to_string(),
        up: known.up,
        weight: config.options.weight,
        effective_weight: known.effective_weight,
        scheduled,
        flaps: known.flaps,
        checks,
    }
}

fn check(now: Duration, config: &Checker, known: &snapshot::Check) -> Check {
    let history = &known.history;
    let ago = |at: Duration| now.saturating_sub(at).as_secs_f64();
    let failures = Reason::ALL.iter().filter_map(|reason| {
        let count = history.failures(*reason);
        (count > 0).then(|| (reason.name().to_owned(), count))
    });
    Check {
        kind: config.keyword.to_owned(),
        target: target(&config.check),
        up: known.up,
        last: history.last().map(|run| Run {
            passed: run.verdict.is_ok(),
            reason: run
                .verdict
                .as_ref()
                .err()
                .map(|f| f.reason.name().to_owned()),
            text: match &run.verdict {
                Ok(_) => "passed".to_owned(),
                Err(failure) => failure.to_string(),
            },
            ago: ago(run.at),
            took_ms: milliseconds(run.took),
        }),
        forgiven: known.forgiven,
        retries: config.check.timing.retries,
        runs: history.runs(),
        failures: failures.collect(),
        flaps: history.changes(),
        changed_ago: history.changed_at().map(ago),
    }
}

fn target(check: &lvs_health::Check) -> String {
    match &check.kind {
        Kind::Script(script) => script.argv.join(" "),
        Kind::File(file) => file.path.display().to_string(),
        Kind::Ping => check.target.addr.ip().to_string(),
        _ => match check.target.via {
            Some(via) => format!("{} via {}", check.target.addr, via.server),
            None => check.target.addr.to_string(),
        },
    }
}

/// To a microsecond: more digits would only be read as if they meant something.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
