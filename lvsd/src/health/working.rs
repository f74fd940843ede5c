//! A virtual service at work: its configuration, its pool and its checks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lvs_core::Endpoint;
use lvs_health::checker::Standing;
use lvs_health::driver::{CheckId, Driver};
use lvs_health::pool::{self, Event, Pool, Settings};
use lvs_health::{Check, Checker};

use super::list::List;
use crate::keepalived::model::{RealServer, VirtualServer};

/// A virtual service at work.
#[derive(Debug)]
pub(super) struct Working {
    /// Shared with whoever looks at a [snapshot](super::snapshot).
    pub(super) config: Arc<VirtualServer>,
    pub(super) pool: Pool<Endpoint>,
    /// What the director was last made to have.
    pub(super) list: List,
    /// The checks of each server, in its order.
    pub(super) checks: HashMap<Endpoint, Vec<CheckId>>,
    /// Its checks rest.
    pub(super) suspended: bool,
}

impl Working {
    /// Whether a check goes to a virtual address on its server.
    pub(super) fn asks_virtual_addresses(&self) -> bool {
        let mut checks = self.config.servers.iter().flat_map(|s| &s.checks);
        checks.any(|c| c.check.target.via.is_some())
    }
}

/// A service as it is to be, from scratch or from one at work, before anything is touched.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) config: Arc<VirtualServer>,
    pub(super) pool: Pool<Endpoint>,
    pub(super) list: List,
    pub(super) events: Vec<Event<Endpoint>>,
    /// For each server and each of its checks, where it comes from.
    plan: Vec<Vec<Source>>,
    suspended: bool,
}

/// Where a check comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// It is new. Its server was up, was down, or is new too.
    New(Option<bool>),
    /// It goes on, or takes the place of one that did nearly the same.
    From(CheckId),
}

impl Prepared {
    /// A service that is new.
    pub(super) fn new(config: VirtualServer) -> Self {
        let standing = |check: &Check| Checker::new(check).standing();
        let servers = config.servers.iter().map(|server| {
            let checks = server.checks.iter().map(|c| standing(&c.check));
            (server.addr, member(server, checks.collect()))
        });
        let (pool, events) = Pool::new(settings(&config), servers.collect());
        let plan = config.servers.iter().map(|server| {
            let sources = server.checks.iter().map(|_| Source::New(None));
            sources.collect()
        });
        Self {
            list: List::of(&config, &pool),
            plan: plan.collect(),
            pool,
            events,
            config: Arc::new(config),
            suspended: false,
        }
    }

    /// A service that takes the place of one at work. What stays keeps its state: servers by address and port, and of each its
    /// checks, equal ones first, then those of the same kind.
    pub(super) fn from(old: &Working, config: VirtualServer, driver: &Driver) -> Self {
        let mut plan = Vec::new();
        let mut servers = Vec::new();
        for server in &config.servers {
            let known = old.checks.get(&server.addr).map(Vec::as_slice);
            let was_up = old.pool.server(&server.addr).map(pool::Server::alive);
            let sources = match_checks(server, known.unwrap_or_default(), was_up, driver);
            let standings = server.checks.iter().zip(&sources);
            let standings = standings.map(|(c, source)| standing(&c.check, *source, driver));
            servers.push((server.addr, member(server, standings.collect())));
            plan.push(sources);
        }
        let mut pool = old.pool.clone();
        let events = pool.reconfigure(settings(&config), servers);
        Self {
            list: List::of(&config, &pool),
            plan,
            pool,
            events,
            config: Arc::new(config),
            suspended: old.suspended,
        }
    }

    /// Puts it to work in the place of `old`, with the checks that it has planned.
    pub(super) fn start(self, old: Option<Working>, driver: &mut Driver) -> Working {
        let mut left: HashSet<CheckId> = old
            .iter()
            .flat_map(|old| old.checks.values().flatten().copied())
            .collect();
        let mut checks = HashMap::new();
        for (server, sources) in self.config.servers.iter().zip(self.plan) {
            let ids = server.checks.iter().zip(sources).map(|(checker, source)| {
                let check = checker.check.clone();
                match source {
                    Source::From(id) => {
                        left.remove(&id);
                        driver.replace(id, check);
                        id
                    }
                    Source::New(was_up) => {
                        let checker = new_checker(&check, was_up);
                        let id = driver.insert_with(check, checker);
                        driver.suspend(id, self.suspended);
                        id
                    }
                }
            });
            checks.insert(server.addr, ids.collect());
        }
        for id in left {
            driver.remove(id);
        }
        Working {
            config: self.config,
            pool: self.pool,
            list: self.list,
            checks,
            suspended: self.suspended,
        }
    }
}

pub(super) fn settings(config: &VirtualServer) -> Settings<Endpoint> {
    Settings {
        quorum: *config.quorum,
        hysteresis: *config.hysteresis,
        sorry: config.sorry.as_ref().map(|sorry| pool::Sorry {
            server: sorry.addr,
            inhibit: sorry.inhibit,
        }),
    }
}

pub(super) fn member(server: &RealServer, checks: Vec<Standing>) -> pool::Server {
    let mut member = pool::Server::new(server.options.weight, checks);
    member.inhibit = server.inhibit;
    member
}

fn match_checks(
    server: &RealServer,
    known: &[CheckId],
    was_up: Option<bool>,
    driver: &Driver,
) -> Vec<Source> {
    let mut free: Vec<CheckId> = known.to_vec();
    let mut take = |fits: &dyn Fn(&Check) -> bool| {
        let found = free
            .iter()
            .position(|id| driver.check(*id).is_some_and(fits));
        found.map(|place| free.remove(place))
    };
    let mut sources: Vec<Option<CheckId>> = Vec::new();
    for checker in &server.checks {
        sources.push(take(&|old| *old == checker.check));
    }
    for (checker, source) in server.checks.iter().zip(&mut sources) {
        let kind = std::mem::discriminant(&checker.check.kind);
        if source.is_none() {
            *source = take(&|old| std::mem::discriminant(&old.kind) == kind);
        }
    }
    let sources = sources.into_iter();
    sources
        .map(|source| source.map_or(Source::New(was_up), Source::From))
        .collect()
}

fn standing(check: &Check, source: Source, driver: &Driver) -> Standing {
    let carried = match source {
        Source::From(id) => driver
            .checker(id)
            .zip(driver.check(id))
            .map(|(checker, old)| checker.carried(old, check)),
        Source::New(_) => None,
    };
    let new = match source {
        Source::New(was_up) => was_up,
        Source::From(_) => None,
    };
    carried
        .unwrap_or_else(|| new_checker(check, new))
        .standing()
}

fn new_checker(check: &Check, was_up: Option<bool>) -> Checker {
    match was_up {
        Some(up) => Checker::added(check, up),
        None => Checker::new(check),
    }
}
