//! Quorums, servers and checks of the configuration.

use std::collections::HashMap;
use std::time::Duration;

use lvs_health::{Reason, agenda::Lateness};

use super::super::openmetrics::{Family, Kind, Labels, Text, Value, counter, gauge};
use super::name;
use crate::health::snapshot::{Check, Server, Service, Snapshot};
use crate::keepalived::model::RealServer;

/// Something with its labels.
type Row<T> = (Labels, T);

/// The health of everything.
pub(super) fn write(text: &mut Text, snapshot: &Snapshot) {
    let (mut services, mut servers, mut checks) = (Vec::new(), Vec::new(), Vec::new());
    for service in &snapshot.services {
        let of_service = Labels::new(&[("service", &name(&service.config))]);
        let mut known = service.checks.iter();
        for (config, server) in service.config.servers.iter().zip(&service.servers) {
            let labels = of_service.with("server", &config.addr.to_string());
            let of_server: Vec<&Check> = known.by_ref().take(config.checks.len()).collect();
            for (name, check) in names(config).into_iter().zip(of_server) {
                checks.push((labels.with("check", &name), check));
            }
            servers.push((labels, (config, *server)));
        }
        services.push((of_service, service));
    }
    self::services(text, &services);
    self::servers(text, &servers);
    self::checks(text, snapshot, &checks);
}

/// What the checks of a server are called: their keywords, the second of its kind with a 2 behind it, and so on.
fn names(server: &RealServer) -> Vec<String> {
    let mut seen: HashMap<&str, u32> = HashMap::new();
    let checks = server.checks.iter().map(|check| {
        let count = seen.entry(check.keyword).or_default();
        *count += 1;
        match count {
            1 => check.keyword.to_owned(),
            n => format!("{} {n}", check.keyword),
        }
    });
    checks.collect()
}

fn services(text: &mut Text, services: &[Row<&Service>]) {
    text.family(
        gauge(
            "lvsd_service_quorum",
            "Whether enough servers of a service live.",
        ),
        services.iter().map(|(l, s)| (l, None, s.quorum)),
    );
    text.family(
        gauge(
            "lvsd_service_live_weight",
            "The weight of its servers that live.",
        ),
        services.iter().map(|(l, s)| (l, None, s.tally.live)),
    );
    let bounds = services.iter().flat_map(|(l, s)| {
        [("gained", s.tally.to_gain()), ("kept", s.tally.to_lose())]
            .map(|(which, n)| (l, Some(("is", which)), n))
    });
    text.family(
        gauge(
            "lvsd_service_quorum_weight",
            "The least live weight at which its quorum is gained or kept.",
        ),
        bounds,
    );
    let sorry = services.iter().filter(|(_, s)| s.config.sorry.is_some());
    text.family(
        gauge(
            "lvsd_service_sorry_serves",
            "Whether its sorry server serves, if it has one.",
        ),
        sorry.map(|(l, s)| (l, None, s.sorry_serves)),
    );
    text.family(
        gauge(
            "lvsd_service_suspended",
            "Whether its checks rest since its address is not on this host (ha_suspend).",
        ),
        services.iter().map(|(l, s)| (l, None, s.suspended)),
    );
}

fn servers(text: &mut Text, servers: &[Row<(&RealServer, Server)>]) {
    text.family(
        gauge("lvsd_server_up", "Whether all checks of a server are up."),
        servers.iter().map(|(l, (_, s))| (l, None, s.up)),
    );
    text.family(
        gauge(
            "lvsd_server_configured_weight",
            "Its weight in the configuration.",
        ),
        servers
            .iter()
            .map(|(l, (c, _))| (l, None, c.options.weight)),
    );
    text.family(
        gauge(
            "lvsd_server_effective_weight",
            "What its checks make of that.",
        ),
        servers
            .iter()
            .map(|(l, (_, s))| (l, None, s.effective_weight)),
    );
    text.family(
        counter("lvsd_server_flaps", "How often it has gone up or down."),
        servers.iter().map(|(l, (_, s))| (l, None, s.flaps)),
    );
}

fn checks(text: &mut Text, snapshot: &Snapshot, checks: &[Row<&Check>]) {
    text.family(
        gauge(
            "lvsd_check_up",
            "Whether its server is up, as far as a check goes.",
        ),
        checks.iter().map(|(l, c)| (l, None, c.up)),
    );
    text.family(
        gauge(
            "lvsd_check_forgiven",
            "Failures in a row that were forgiven so far.",
        ),
        checks.iter().map(|(l, c)| (l, None, c.forgiven)),
    );
    let results = checks.iter().flat_map(|(l, c)| {
        let failed = failed(c);
        [("passed", c.history.runs() - failed), ("failed", failed)]
            .map(|(result, n)| (l, Some(("result", result)), n))
    });
    text.family(
        counter("lvsd_check_runs", "Runs of the check, by their result."),
        results,
    );
    let reasons = checks.iter().flat_map(|(l, c)| {
        let counts = Reason::ALL
            .iter()
            .map(|r| (r.name(), c.history.failures(*r)));
        let counts = counts.filter(|(_, n)| *n > 0);
        counts.map(move |(reason, n)| (l, Some(("reason", reason)), n))
    });
    text.family(
        counter(
            "lvsd_check_failures",
            "Failed runs by their reason, for reasons that there were.",
        ),
        reasons,
    );
    text.family(
        counter(
            "lvsd_check_flaps",
            "How often the check has gone up or down.",
        ),
        checks.iter().map(|(l, c)| (l, None, c.history.changes())),
    );
    let last = || {
        checks
            .iter()
            .filter_map(|(l, c)| Some((l, c.history.last()?)))
    };
    text.family(
        gauge("lvsd_check_duration_seconds", "How long its last run took."),
        last().map(|(l, run)| (l, None, seconds(run.took))),
    );
    let age = |at: Duration| seconds(snapshot.now.saturating_sub(at));
    text.family(
        gauge("lvsd_check_age_seconds", "How long ago that ended."),
        last().map(|(l, run)| (l, None, age(run.at))),
    );
    let all = || checks.iter().map(|(_, c)| c);
    text.single(
        gauge("lvsd_checks", "How many checks there are."),
        all().count(),
    );
    text.single(
        gauge(
            "lvsd_checks_found",
            "How many of them have found something yet.",
        ),
        all().filter(|c| c.found).count(),
    );
    text.single(
        gauge(
            "lvsd_checks_running",
            "How many of them run at this moment.",
        ),
        snapshot.running,
    );
    lateness(text, &snapshot.lateness);
}

fn lateness(text: &mut Text, lateness: &Lateness) {
    text.single(
        gauge(
            "lvsd_checks_worst_lateness_seconds",
            "How late a run began at worst since the start, compared with its plan.",
        ),
        seconds(lateness.worst()),
    );
    let mut sum = 0;
    let mut buckets: Vec<(String, u64)> = lateness
        .buckets()
        .map(|(bound, count)| {
            sum += count;
            (Value::from(bound.as_secs_f64()).to_string(), sum)
        })
        .collect();
    if let Some((bound, _)) = buckets.last_mut() {
        *bound = "+Inf".to_owned(); // the last has also what is above
    }
    let family = Family {
        name: "lvsd_check_lateness_seconds",
        kind: Kind::Histogram,
        help: "How late runs began, compared with their plan.",
    };
    let none = Labels::default();
    let samples = buckets
        .iter()
        .map(|(bound, n)| (&none, Some(("le", &**bound)), *n));
    text.family(family, samples);
}

fn failed(check: &Check) -> u64 {
    let counts = Reason::ALL.iter().map(|r| check.history.failures(*r));
    counts.sum()
}

/// To a microsecond.
fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}
