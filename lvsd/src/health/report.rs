//! The state of everything, put into the words of [`status`](super::status).

use std::time::Duration;

use lvs_core::Endpoint;
use lvs_health::driver::{CheckId, Driver};
use lvs_health::{Kind, Reason};

use super::label;
use super::status::{Check, Checks, Quorum, Run, Server, Service, Sorry, Status};
use super::working::Working;
use crate::keepalived::model::Checker;

/// How everything is.
pub(super) fn status(driver: &Driver, services: &[Working]) -> Status {
    let ids = || services.iter().flat_map(|w| w.checks.values().flatten());
    let has_found = |id: &&CheckId| driver.checker(**id).is_some_and(|c| c.standing().found);
    Status {
        checks: Checks {
            total: driver.len(),
            found: ids().filter(has_found).count(),
            running: driver.running() + driver.scripts_running(),
            worst_lateness_ms: milliseconds(driver.lateness().worst()),
        },
        services: services.iter().map(|w| service(driver, w)).collect(),
        ..Status::default()
    }
}

fn service(driver: &Driver, working: &Working) -> Service {
    let tally = working.pool.tally();
    let config = &working.config;
    let scheduled: std::collections::HashMap<Endpoint, u32> = working
        .list
        .servers()
        .iter()
        .map(|(addr, options)| (*addr, options.weight))
        .collect();
    let servers = config.servers.iter().map(|server| {
        let pooled = working.pool.server(&server.addr);
        let ids = working.checks.get(&server.addr);
        let checks = server.checks.iter().zip(ids.into_iter().flatten());
        let checks: Vec<Check> = checks.map(|(c, id)| check(driver, c, *id)).collect();
        Server {
            server: server.addr.to_string(),
            up: pooled.is_some_and(|s| s.alive()),
            weight: server.options.weight,
            effective_weight: pooled.map_or(0, |s| s.effective_weight()),
            scheduled: scheduled.get(&server.addr).copied(),
            flaps: checks.iter().map(|c| c.flaps).sum(),
            checks,
        }
    });
    Service {
        name: label::service(config),
        services: config.keys.iter().map(ToString::to_string).collect(),
        scheduler: config.scheduler.value.clone(),
        quorum: Quorum {
            up: working.pool.quorum(),
            live: tally.live,
            gained_at: tally.to_gain(),
            lost_below: tally.to_lose(),
        },
        sorry: config.sorry.as_ref().map(|sorry| Sorry {
            server: sorry.addr.to_string(),
            serves: working.pool.sorry_serves(),
        }),
        suspended: working.suspended,
        servers: servers.collect(),
    }
}

fn check(driver: &Driver, config: &Checker, id: CheckId) -> Check {
    let checker = driver.checker(id);
    let history = checker.map(|c| c.history());
    let ago = |at: Duration| driver.now().saturating_sub(at).as_secs_f64();
    let failures = Reason::ALL.iter().filter_map(|reason| {
        let count = history.map_or(0, |h| h.failures(*reason));
        (count > 0).then(|| (reason.name().to_owned(), count))
    });
    Check {
        kind: config.keyword.to_owned(),
        target: target(&config.check),
        up: checker.is_some_and(|c| c.standing().up),
        last: history.and_then(|h| h.last()).map(|run| Run {
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
        forgiven: checker.map_or(0, |c| c.retries()),
        retries: config.check.timing.retries,
        runs: history.map_or(0, |h| h.runs()),
        failures: failures.collect(),
        flaps: history.map_or(0, |h| h.changes()),
        changed_ago: history.and_then(|h| h.changed_at()).map(ago),
    }
}

fn target(check: &lvs_health::Check) -> String {
    match &check.kind {
        Kind::Script(script) => script.argv.join(" "),
        Kind::File(file) => file.path.display().to_string(),
        Kind::Ping => check.target.addr.ip().to_string(),
        _ => check.target.addr.to_string(),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
