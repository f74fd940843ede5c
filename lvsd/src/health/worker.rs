//! The thread that runs all checks.
//!
//! It takes what checks find to their pools, what pools want to the director, and what has happened to people and scripts, in this
//! order. What several checks find at the same time is one change of the director.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;

use lvs_core::Endpoint;
use lvs_health::checker::Report;
use lvs_health::driver::{CheckId, Driver};
use lvs_health::pool::{Cause, Event};
use lvs_health::{Reason, Verdict};

use super::flows::Mover;
use super::list::{self, List};
use super::snapshot::Snapshot;
use super::tell::{self, Said};
use super::via::Vips;
use super::working::{Prepared, Working};
use super::{Herald, label};
use crate::control::desk::{Change, Plane, Stop};
use crate::keepalived::model::{Config, Global, VirtualServer};
use crate::pulse::Pulse;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Ask {
    /// Take this configuration in the place of the present one, whole or not at all.
    Reload {
        config: Box<Config>,
        /// Only say whether it would be taken.
        rehearse: bool,
        reply: Sender<Result<usize, String>>,
    },
    /// Say how everything is.
    Snapshot(Sender<Snapshot>),
    /// Tell everybody who wants to hear that it ends, and end.
    Stop,
}

/// How often what no event tells of is looked at: addresses of the host, changes that the director has refused.
const PACE: Duration = Duration::from_secs(1);

/// The state of the thread.
pub(super) struct Worker {
    pub(super) plane: Arc<dyn Plane>,
    pub(super) driver: Driver,
    vips: Arc<Vips>,
    pub(super) global: Global,
    pub(super) services: Vec<Working>,
    pub(super) herald: Box<dyn Herald>,
    pub(super) mover: Mover,
    pub(super) asks: Receiver<Ask>,
    pub(super) log: fn(&str),
    /// Which check belongs where: a service's and a check's number, and a server.
    places: HashMap<CheckId, Place>,
    /// Services that the director does not have as they should be.
    unpublished: BTreeSet<usize>,
    looked: Duration,
    pulse: Arc<Pulse>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    service: usize,
    server: Endpoint,
    check: usize,
}

/// What a check has found that matters beyond it.
struct Found {
    id: CheckId,
    report: Report,
    verdict: Verdict,
}

impl Worker {
    pub(super) fn new(
        plane: Arc<dyn Plane>,
        driver: Driver,
        vips: Arc<Vips>,
        herald: Box<dyn Herald>,
        mover: Mover,
        asks: Receiver<Ask>,
        log: fn(&str),
    ) -> Self {
        Self {
            plane,
            driver,
            vips,
            global: Global::default(),
            services: Vec::new(),
            herald,
            mover,
            asks,
            log,
            places: HashMap::new(),
            unpublished: BTreeSet::new(),
            looked: Duration::ZERO,
            pulse: Arc::default(),
        }
    }

    /// Beats each time round.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Works until it is asked to stop.
    pub(super) fn run(mut self) {
        loop {
            self.pulse.beat();
            match self.asks.try_recv() {
                Ok(Ask::Reload {
                    config,
                    rehearse,
                    reply,
                }) => {
                    let taken = self.take(*config, rehearse);
                    let _ = reply.send(taken.map_err(|e| refusal(&e)));
                }
                Ok(Ask::Snapshot(reply)) => {
                    let _ = reply.send(Snapshot::take(&self.driver, &self.services));
                }
                Ok(Ask::Stop) | Err(TryRecvError::Disconnected) => return self.stop(),
                Err(TryRecvError::Empty) => self.turn(),
            }
        }
    }

    fn turn(&mut self) {
        let mut found = Vec::new();
        let (places, services, log) = (&self.places, &self.services, self.log);
        let turned = self.driver.turn(Some(PACE), |ended| {
            let verdict = ended.checker.history().last().map(|run| &run.verdict);
            let Some(verdict) = verdict else { return };
            let place = places.get(&ended.id);
            if let Some(line) =
                place.and_then(|p| result(&services[p.service], *p, &ended.report, verdict))
            {
                log(&line);
            }
            if ended.report.standing.is_some() {
                found.push(Found {
                    id: ended.id,
                    report: ended.report,
                    verdict: verdict.clone(),
                });
            }
        });
        if let Err(e) = turned {
            (self.log)(&format!("checks: {e}"));
            std::thread::sleep(PACE); // whatever it is, it would only be said again at once
        }
        while let Some(notice) = self.driver.notice() {
            (self.log)(&format!("checks: {notice}"));
        }
        self.carry_out(found);
        let now = self.driver.now();
        if now.saturating_sub(self.looked) >= PACE {
            self.looked = now;
            self.suspend();
            self.publish_the_rest();
        }
    }

    /// What checks have found: to pools, director and people.
    fn carry_out(&mut self, found: Vec<Found>) {
        let mut events: Vec<(usize, Vec<Event<Endpoint>>)> = Vec::new();
        let mut mails = Vec::new();
        for Found {
            id,
            report,
            verdict,
        } in found
        {
            let (Some(place), Some(standing)) = (self.places.get(&id), report.standing) else {
                continue;
            };
            let working = &mut self.services[place.service];
            let pool = &mut working.pool;
            let happened = pool.found(&place.server, place.check, standing, &verdict);
            let alive = pool.server(&place.server).is_some_and(|s| s.alive());
            events.push((place.service, happened));
            self.unpublished.insert(place.service);
            let service = &working.config;
            let server = service.servers.iter().find(|s| s.addr == place.server);
            if report.changed.is_some()
                && let Some(server) = server
                && let Some(check) = server.checks.get(place.check)
            {
                let global = &self.global;
                mails.extend(tell::check_changed(
                    global, service, server, check, alive, &verdict,
                ));
            }
        }
        self.publish_the_rest();
        for (service, events) in events {
            self.tell(service, &events);
        }
        for mail in mails {
            self.herald.tell(mail);
        }
    }

    /// Makes the director's services what they should be, where they may not be.
    fn publish_the_rest(&mut self) {
        if self.unpublished.is_empty() {
            return;
        }
        let lists: Vec<(usize, List)> = mem::take(&mut self.unpublished)
            .into_iter()
            .map(|i| {
                (
                    i,
                    List::of(&self.services[i].config, &self.services[i].pool),
                )
            })
            .filter(|(i, list)| *list != self.services[*i].list)
            .collect();
        if self.publish(&lists).is_ok() {
            return;
        }
        // One service that is refused must not hold up the others.
        for service in lists {
            let (i, service) = (service.0, [service]);
            if let Err(e) = self.publish(&service) {
                let name = label::service(&self.services[i].config);
                (self.log)(&format!(
                    "the director does not follow the checks of VS {name} yet: {}",
                    refusal(&e)
                ));
                self.unpublished.insert(i);
            }
        }
    }

    /// Makes some of the director's services what they should be, all or none.
    fn publish(&mut self, lists: &[(usize, List)]) -> Result<(), Stop> {
        let services = &self.services;
        self.plane.change(&mut |draft, _| {
            for (i, list) in lists {
                list::publish(draft, Some(&services[*i].list), Some(list))?;
            }
            Ok(())
        })?;
        for (i, list) in lists {
            self.services[*i].list = list.clone();
        }
        Ok(())
    }

    /// Tells of what has happened to a service, and moves what has to move.
    fn tell(&mut self, service: usize, events: &[Event<Endpoint>]) {
        let working = &self.services[service];
        for event in events {
            if let Event::ServerDown { server, .. } = event
                && !working.config.keep_flows
            {
                for key in working.list.keys() {
                    self.mover.failed(*key, *server);
                }
            }
            say(
                self.log,
                &mut *self.herald,
                tell::event(&self.global, &working.config, event),
            );
        }
    }

    /// Takes a configuration, whole or not at all; or only says whether it would.
    /// Returns how many services of the present one were missing in the director, and are there again.
    pub(super) fn take(&mut self, config: Config, rehearse: bool) -> Result<usize, Stop> {
        let mut services = config.services.iter();
        services.try_for_each(|service| self.accepts(service))?;
        let mut old: Vec<Option<Working>> = mem::take(&mut self.services)
            .into_iter()
            .map(Some)
            .collect();
        let by_head: HashMap<_, usize> = (0..)
            .zip(&old)
            .filter_map(|(i, w)| Some((w.as_ref()?.config.head.clone(), i)))
            .collect();
        let prepared: Vec<(Option<usize>, Prepared)> = config
            .services
            .into_iter()
            .map(|service| match by_head.get(&service.head).copied() {
                Some(i) if let Some(working) = &old[i] => {
                    (Some(i), Prepared::from(working, service, &self.driver))
                }
                _ => (None, Prepared::new(service)),
            })
            .collect();
        let done = self.replace_lists(&old, &prepared, &config.global, rehearse);
        if rehearse || done.is_err() {
            self.services = old.into_iter().flatten().collect();
            return done;
        }
        // From here on nothing can fail.
        let mut happened = Vec::new();
        self.herald.configure(&config.global);
        for (i, mut prepared) in prepared {
            let old = i.and_then(|i| old[i].take());
            let before = old.as_ref().map(|old| old.config.clone());
            happened.push((mem::take(&mut prepared.events), before));
            self.services.push(prepared.start(old, &mut self.driver));
        }
        for gone in old.into_iter().flatten() {
            self.remove(gone);
        }
        self.global = config.global;
        if self.services.iter().any(Working::asks_virtual_addresses) {
            self.vips.prepare();
        }
        self.index();
        self.unpublished.clear();
        for (service, (events, before)) in happened.into_iter().enumerate() {
            // Who is gone is in the old configuration only.
            let (gone, rest): (Vec<_>, Vec<_>) = events.into_iter().partition(is_removal);
            for event in &gone {
                let config = before.as_ref().unwrap_or(&self.services[service].config);
                say(
                    self.log,
                    &mut *self.herald,
                    tell::event(&self.global, config, event),
                );
            }
            self.tell(service, &rest);
        }
        self.suspend();
        done
    }

    /// Refuses a service with a server that could not be had when it is wanted.
    fn accepts(&self, service: &VirtualServer) -> Result<(), Stop> {
        let servers = service.servers.iter().map(|s| (s.addr, s.options.method));
        let sorry = service.sorry.iter().map(|s| (s.addr, s.options.method));
        for (addr, method) in servers.chain(sorry) {
            let mut keys = service.keys.iter();
            keys.try_for_each(|key| self.plane.accepts(*key, addr, method))?;
        }
        Ok(())
    }

    /// One change of the director from all lists that there were to those that there will be.
    fn replace_lists(
        &self,
        old: &[Option<Working>],
        prepared: &[(Option<usize>, Prepared)],
        global: &Global,
        rehearse: bool,
    ) -> Result<usize, Stop> {
        let mut missing = 0;
        let of = |i: usize| old.get(i).and_then(Option::as_ref).map(|w| &w.list);
        let kept: BTreeSet<usize> = prepared.iter().filter_map(|(i, _)| *i).collect();
        let change: Change<'_> = &mut |draft, _| {
            for i in (0..old.len()).filter(|i| !kept.contains(i)) {
                list::publish(draft, of(i), None)?;
            }
            for (i, service) in prepared {
                let before = i.and_then(of);
                let removed = before.map_or(0, |list| list.missing(draft));
                missing += removed;
                if removed > 0 || before != Some(&service.list) {
                    list::publish(draft, before, Some(&service.list))?;
                }
            }
            if global.timeouts != self.global.timeouts {
                let mut timeouts = *draft.timeouts();
                let [tcp, fin, udp] = global
                    .timeouts
                    .map(|s| Duration::from_secs(s.unwrap_or(0).into()));
                timeouts.set(tcp, fin, udp);
                draft.set_timeouts(timeouts);
            }
            Ok(())
        };
        match rehearse {
            true => self.plane.rehearse(change)?,
            false => self.plane.change(change)?,
        }
        Ok(missing)
    }

    /// A service that is not in the configuration any more: its scripts learn that its servers are gone.
    fn remove(&mut self, gone: Working) {
        for id in gone.checks.values().flatten() {
            self.driver.remove(*id);
        }
        for event in gone.pool.end(Cause::Removal) {
            say(
                self.log,
                &mut *self.herald,
                tell::event(&self.global, &gone.config, &event),
            );
        }
    }

    fn index(&mut self) {
        self.places.clear();
        for (service, working) in self.services.iter().enumerate() {
            for (server, ids) in &working.checks {
                for (check, id) in ids.iter().enumerate() {
                    let server = *server;
                    let place = Place {
                        service,
                        server,
                        check,
                    };
                    self.places.insert(*id, place);
                }
            }
        }
    }

    /// Lets the checks of services rest whose addresses are not on this host, as far as that is wanted.
    fn suspend(&mut self) {
        if !self
            .services
            .iter()
            .any(|w| w.config.ha_suspend || w.suspended)
        {
            return;
        }
        let Some(topology) = self.plane.topology() else {
            return;
        };
        for working in &mut self.services {
            let mut addrs = working.config.keys.iter().filter_map(|k| k.addr());
            let is_here = addrs.any(|a| topology.is_local(a.ip));
            let suspended = working.config.ha_suspend && !is_here;
            if suspended == working.suspended {
                continue;
            }
            working.suspended = suspended;
            for id in working.checks.values().flatten() {
                self.driver.suspend(*id, suspended);
            }
            let name = label::service(&working.config);
            (self.log)(&match suspended {
                true => format!("Suspending checks of VS {name}: its address is not on this host"),
                false => format!("Activating checks of VS {name}: its address is on this host"),
            });
        }
    }

    fn stop(mut self) {
        for working in mem::take(&mut self.services) {
            if !working.config.omega {
                continue;
            }
            for event in working.pool.end(Cause::Shutdown) {
                say(
                    self.log,
                    &mut *self.herald,
                    tell::event(&self.global, &working.config, &event),
                );
            }
        }
        self.herald.stop();
    }
}

fn is_removal(event: &Event<Endpoint>) -> bool {
    let Event::ServerDown { cause, .. } = event else {
        return false;
    };
    *cause == Cause::Removal
}

fn say(log: fn(&str), herald: &mut dyn Herald, said: Said) {
    for line in &said.log {
        log(line);
    }
    for alert in said.alerts {
        herald.tell(alert);
    }
}

/// The line about a run, if it is worth one.
fn result(service: &Working, place: Place, report: &Report, verdict: &Verdict) -> Option<String> {
    if verdict.is_ok() && report.changed.is_none() && !report.first {
        return None; // nearly all of them
    }
    let servers = &service.config.servers;
    let server = servers.iter().find(|s| s.addr == place.server)?;
    let check = server.checks.get(place.check)?;
    let name = label::server(&service.config, place.server);
    let of = label::service(&service.config);
    let keyword = check.keyword;
    Some(match verdict {
        Err(failure) if failure.reason == Reason::Local => {
            format!("{keyword} of {name} for VS {of} could not be run: {failure}")
        }
        Ok(_) if report.changed.is_some() || report.first => {
            format!("{keyword} on service {name} success.")
        }
        Err(failure) if report.changed.is_some() || report.first => {
            let after = match report.retries {
                0 => String::new(),
                1 => " after 1 retry".to_owned(),
                n => format!(" after {n} retries"),
            };
            format!("{keyword} on service {name} failed{after}: {failure}")
        }
        Err(failure) if check.log_all => {
            format!("{keyword} on service {name} failed: {failure}")
        }
        _ => return None,
    })
}

pub(super) fn refusal(stop: &Stop) -> String {
    match stop {
        Stop::Whole { message, .. } => message.clone(),
        Stop::Refused(refusals) => refusals
            .first()
            .map_or_else(String::new, |r| r.message.clone()),
    }
}
