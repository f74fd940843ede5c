mod models;
mod reload;
mod rules;
mod times;

use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::check::{FileCheck, Http, HttpVersion, Page, Script, Target, Timing};
use crate::probe::Failure;

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(3);

fn check(kind: Kind, retries: u32, rise: u32) -> Check {
    Check {
        kind,
        target: Target::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 80))),
        timing: Timing {
            interval: INTERVAL,
            retries,
            retry_delay: RETRY,
            rise,
            ..Timing::default()
        },
        alpha: false,
    }
}

fn tcp(retries: u32) -> Check {
    check(Kind::Tcp, retries, 1)
}

fn smtp(retries: u32) -> Check {
    let helo = "lvs".to_owned();
    check(Kind::Smtp { helo }, retries, 1)
}

fn http(pages: usize, retries: u32, fast_recovery: bool) -> Check {
    let page = |n| Page {
        path: format!("/{n}"),
        host: None,
        digest: None,
        status: Vec::new(),
        pattern: None,
    };
    let http = Http {
        pages: (0..pages).map(page).collect(),
        version: HttpVersion::V1_0,
        tls: None,
        fast_recovery,
    };
    check(Kind::Http(http), retries, 1)
}

fn script() -> Check {
    let script = Script {
        argv: vec!["true".to_owned()],
        user: None,
        timeout: SECOND,
        dynamic: true,
    };
    check(Kind::Script(script), 0, 1)
}

fn alpha(check: Check) -> Check {
    Check {
        alpha: true,
        ..check
    }
}

fn refused() -> Verdict {
    Err(Reason::Refused.into())
}

fn verdict(ok: bool) -> Verdict {
    match ok {
        true => Ok(Passed::Plainly),
        false => refused(),
    }
}

/// A checker and its clock: each run begins when due and takes no time.
struct Bench {
    check: Check,
    checker: Checker,
    now: Duration,
}

impl Bench {
    fn new(check: Check) -> Self {
        Self {
            checker: Checker::new(&check),
            check,
            now: Duration::ZERO,
        }
    }

    fn run(&mut self, verdict: Verdict) -> Report {
        self.run_for(Duration::ZERO, verdict)
    }

    fn run_for(&mut self, took: Duration, verdict: Verdict) -> Report {
        let report = self
            .checker
            .report(&self.check, self.now + took, took, verdict);
        assert!(report.next_at >= self.now + took);
        self.now = report.next_at;
        report
    }

    fn up(&self) -> bool {
        self.checker.standing().up
    }

    /// S is a success, F a failure, L a local one; what comes of each: `+` up, `-` down, `.` no change, `r` forgiven.
    fn runs(&mut self, results: &str) -> String {
        let mut outcome = String::new();
        for result in results.chars() {
            let report = self.run(match result {
                'S' => Ok(Passed::Plainly),
                'F' => refused(),
                _ => Err(Reason::Local.into()),
            });
            outcome.push(match (report.changed, report.forgiven) {
                (Some(true), _) => '+',
                (Some(false), _) => '-',
                (None, true) => 'r',
                (None, false) => '.',
            });
        }
        outcome
    }
}

/// Checks that `results`, each beginning with a check that has passed once, lead to the outcomes.
#[track_caller]
fn table(check: &Check, rows: &[(&str, &str)]) {
    for (results, outcome) in rows {
        let mut bench = Bench::new(check.clone());
        assert_eq!(bench.runs(results), *outcome, "{results}");
    }
}
