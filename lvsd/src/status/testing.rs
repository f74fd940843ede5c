//! A status that has some of everything.

use crate::health::status::{
    Check, Checks, Configuration, Quorum, Run, Server, Service, Sorry, Status,
};

/// Three services: of an address, with a server that is down; of a group, without quorum; of a mark, without checks.
pub(super) fn status() -> Status {
    Status {
        configuration: Configuration {
            file: "/etc/lvsd/web.conf".into(),
            read_at: 1_000,
            reloads: 3,
            refusals: 1,
            refused: Some("2 errors in the configuration".to_owned()),
        },
        checks: Checks {
            total: 5,
            found: 4,
            running: 1,
            worst_lateness_ms: 2.125,
        },
        services: vec![web(), group(), mark()],
        vrrp: crate::routers::testing::status(),
    }
}

fn web() -> Service {
    let mut forgiven = check(
        "TCP_CHECK",
        "10.0.0.11:8080",
        Some(failed("refused", "connection refused")),
    );
    (forgiven.forgiven, forgiven.retries) = (1, 3);
    let mut unwanted = check(
        "HTTP_GET",
        "10.0.0.12:80",
        Some(failed(
            "status",
            "unwanted status: 503 instead of 200 for http://10.0.0.12/some/long/path/to/health",
        )),
    );
    (unwanted.up, unwanted.flaps, unwanted.changed_ago) = (false, 5, Some(192.0));
    let script = check("MISC_CHECK", "/usr/local/bin/check \x1b[31m", None);
    Service {
        name: "[192.0.2.10]:tcp:80".to_owned(),
        services: vec!["TCP 192.0.2.10:80".to_owned()],
        scheduler: "wlc".to_owned(),
        quorum: Quorum {
            up: true,
            live: 7,
            gained_at: 3,
            lost_below: 1,
        },
        sorry: Some(Sorry {
            server: "10.0.0.99:80".to_owned(),
            serves: false,
        }),
        suspended: false,
        servers: vec![
            server("10.0.0.11:8080", 2, vec![forgiven]),
            Server {
                up: false,
                scheduled: None,
                flaps: 5,
                ..server("10.0.0.12:8080", 1, vec![unwanted])
            },
            Server {
                effective_weight: 5,
                scheduled: Some(5),
                ..server("10.0.0.13:8080", 1, vec![passing("10.0.0.13:8080"), script])
            },
        ],
    }
}

fn group() -> Service {
    let keys = ["UDP [2001:db8::53]:53", "UDP [2001:db8::54]:53"];
    Service {
        name: "[dns]:0".to_owned(),
        services: keys.map(str::to_owned).to_vec(),
        scheduler: "rr".to_owned(),
        quorum: Quorum {
            up: false,
            live: 1,
            gained_at: 3,
            lost_below: 2,
        },
        sorry: Some(Sorry {
            server: "[fd00::99]:53".to_owned(),
            serves: true,
        }),
        suspended: true,
        servers: vec![Server {
            scheduled: None,
            ..server("[fd00::1]:53", 1, vec![passing("[fd00::1]:53")])
        }],
    }
}

fn mark() -> Service {
    Service {
        name: "FWM 7".to_owned(),
        services: vec!["FWM 7".to_owned()],
        scheduler: "rr".to_owned(),
        quorum: Quorum {
            up: true,
            live: 1,
            gained_at: 1,
            lost_below: 1,
        },
        sorry: None,
        suspended: false,
        servers: vec![server("10.0.0.11:0", 1, Vec::new())],
    }
}

fn server(addr: &str, weight: u32, checks: Vec<Check>) -> Server {
    Server {
        server: addr.to_owned(),
        up: true,
        weight,
        effective_weight: weight,
        scheduled: Some(weight),
        flaps: 0,
        checks,
    }
}

fn check(kind: &str, target: &str, last: Option<Run>) -> Check {
    Check {
        kind: kind.to_owned(),
        target: target.to_owned(),
        up: true,
        runs: u64::from(last.is_some()),
        last,
        forgiven: 0,
        retries: 1,
        failures: [].into(),
        flaps: 0,
        changed_ago: None,
    }
}

fn passing(target: &str) -> Check {
    let run = Run {
        passed: true,
        reason: None,
        text: "passed".to_owned(),
        ago: 1.25,
        took_ms: 0.417,
    };
    check("TCP_CHECK", target, Some(run))
}

fn failed(reason: &str, text: &str) -> Run {
    Run {
        passed: false,
        reason: Some(reason.to_owned()),
        text: text.to_owned(),
        ago: 75.0,
        took_ms: 5_012.0,
    }
}
