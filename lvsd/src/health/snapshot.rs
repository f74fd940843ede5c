//! The state of everything at one moment.
//!
//! Problem: whoever asks how twenty thousand servers are wants megabytes of text, and the thread that knows is the one that must
//! not come late to its checks.
//!
//! Rule: that thread copies facts, which takes it some hundred nanoseconds for each check, and goes on. Whoever asked makes words
//! of them ([`report`](super::report)), or metrics.

use std::sync::Arc;
use std::time::Duration;

use lvs_core::Endpoint;
use lvs_health::agenda::Lateness;
use lvs_health::checker::History;
use lvs_health::driver::{CheckId, Driver};
use lvs_health::pool::Tally;

use super::working::Working;
use crate::keepalived::model::VirtualServer;

/// The state of everything at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The time on the clock of all histories.
    pub(crate) now: Duration,
    /// How many probes and scripts run.
    pub(crate) running: usize,
    /// How late runs over sockets, and looks at files, began.
    pub(crate) lateness: Lateness,
    pub(crate) services: Vec<Service>,
}

/// A virtual service at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) config: Arc<VirtualServer>,
    /// Whether the quorum is there.
    pub(crate) quorum: bool,
    pub(crate) tally: Tally,
    /// Whether the sorry server serves.
    pub(crate) sorry_serves: bool,
    /// Whether its checks rest.
    pub(crate) suspended: bool,
    /// The scheduler's list with its weights.
    pub(crate) list: Vec<(Endpoint, u32)>,
    /// In the order of the configuration.
    pub(crate) servers: Vec<Server>,
    /// Of all servers, in the order of the configuration.
    pub(crate) checks: Vec<Check>,
}

/// A real server at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) up: bool,
    pub(crate) effective_weight: u32,
    /// How often it has gone up or down.
    pub(crate) flaps: u64,
}

/// A check at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Check {
    pub(crate) up: bool,
    /// Whether that was found out and is not just assumed.
    pub(crate) found: bool,
    /// Failures in a row that were forgiven so far.
    pub(crate) forgiven: u32,
    pub(crate) history: History,
}

impl Snapshot {
    /// How everything is now.
    pub(super) fn take(driver: &Driver, services: &[Working]) -> Self {
        Self {
            now: driver.now(),
            running: driver.running() + driver.scripts_running(),
            lateness: driver.lateness().clone(),
            services: services.iter().map(|w| Service::of(driver, w)).collect(),
        }
    }
}

impl Service {
    fn of(driver: &Driver, working: &Working) -> Self {
        let (config, pool) = (&working.config, &working.pool);
        let mut checks = Vec::with_capacity(config.servers.iter().map(|s| s.checks.len()).sum());
        // The pool has the same servers in the same order.
        let mut pooled = pool.servers();
        let servers = config.servers.iter().map(|server| {
            let ids = working.checks.get(&server.addr).into_iter().flatten();
            checks.extend(ids.map(|id| Check::of(driver, *id)));
            let known = pooled.next().filter(|(addr, _)| **addr == server.addr);
            Server {
                up: known.is_some_and(|(_, s)| s.alive()),
                effective_weight: known.map_or(0, |(_, s)| s.effective_weight()),
                flaps: pool.changes(&server.addr),
            }
        });
        let servers = servers.collect();
        let list = working.list.servers().iter();
        Self {
            config: Arc::clone(config),
            quorum: pool.quorum(),
            tally: pool.tally(),
            sorry_serves: pool.sorry_serves(),
            suspended: working.suspended,
            list: list
                .map(|(addr, options)| (*addr, options.weight))
                .collect(),
            servers,
            checks,
        }
    }
}

impl Check {
    fn of(driver: &Driver, id: CheckId) -> Self {
        let checker = driver.checker(id);
        checker.map_or_else(Self::default, |checker| Self {
            up: checker.standing().up,
            found: checker.standing().found,
            forgiven: checker.retries(),
            history: checker.history().clone(),
        })
    }
}
