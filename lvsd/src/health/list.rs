//! A service in the director, as its pool wants it.
//!
//! Problem: servers come and go with their checks, services with reloads, and beside that people change the director by hand.
//!
//! Rule: what a service should be follows from its configuration and its pool alone, and only what is different from what it
//! should have been before is touched. So what people did by hand stays until the same server is concerned, as with keepalived.

use lvs_core::{ConfigError, DestOptions, Draft, Endpoint, ServiceKey, ServiceOptions};
use lvs_health::Pool;

use crate::keepalived::model::VirtualServer;
use crate::rules::SchedulerFlags;

/// A service with its servers, as the director should have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    keys: Vec<ServiceKey>,
    scheduler: String,
    flags: SchedulerFlags,
    options: ServiceOptions,
    servers: Vec<(Endpoint, DestOptions)>,
}

impl List {
    /// What this service should be.
    pub(crate) fn of(service: &VirtualServer, pool: &Pool<Endpoint>) -> Self {
        let configured = |addr: Endpoint| {
            let mut servers = service.servers.iter();
            servers.find(|s| s.addr == addr).map(|s| &s.options)
        };
        // As a hash of the addresses once the services are large: they are looked up in order.
        let mut in_order = service.servers.iter();
        let servers = pool.wanted().filter_map(|wanted| {
            let addr = *wanted.server;
            let options = match wanted.sorry {
                true => service.sorry.as_ref().map(|s| &s.options)?,
                false => in_order
                    .find(|s| s.addr == addr)
                    .map(|s| &s.options)
                    .or_else(|| configured(addr))?,
            };
            let weight = wanted.weight;
            Some((addr, DestOptions { weight, ..*options }))
        });
        Self {
            keys: service.keys.clone(),
            scheduler: service.scheduler.value.clone(),
            flags: service.flags,
            options: service.options.clone(),
            servers: servers.collect(),
        }
    }

    /// How many of its services the director does not have: somebody has removed them by hand.
    pub(crate) fn missing(&self, draft: &Draft<'_>) -> usize {
        let missing = self.keys.iter().filter(|k| draft.service(k).is_none());
        missing.count()
    }

    /// The services it stands for.
    pub(crate) fn keys(&self) -> &[ServiceKey] {
        &self.keys
    }

    /// The servers that are in it.
    pub(crate) fn servers(&self) -> &[(Endpoint, DestOptions)] {
        &self.servers
    }
}

/// Makes a service what it should be, where it was to be `old` so far.
pub(crate) fn publish(
    draft: &mut Draft<'_>,
    old: Option<&List>,
    new: Option<&List>,
) -> Result<(), ConfigError> {
    let keys = |list: Option<&List>| list.map_or_else(Vec::new, |l| l.keys.clone());
    let (before, after) = (keys(old), keys(new));
    for key in before.iter().filter(|k| !after.contains(k)) {
        if draft.service(key).is_some() {
            draft.remove_service(*key)?;
        }
    }
    let Some(new) = new else { return Ok(()) };
    for key in &after {
        // One that somebody has removed by hand is made whole again.
        let is_there = before.contains(key) && draft.service(key).is_some();
        let old = old.filter(|_| is_there);
        service(draft, *key, old, new)?;
        servers(draft, *key, old, new)?;
    }
    Ok(())
}

fn service(
    draft: &mut Draft<'_>,
    key: ServiceKey,
    old: Option<&List>,
    new: &List,
) -> Result<(), ConfigError> {
    let scheduler = || {
        let flags = lvs_sched::Flags::from_bits(new.flags.bits());
        lvs_sched::build_with(&new.scheduler, flags)
    };
    if draft.service(&key).is_none() {
        return match scheduler() {
            Some(scheduler) => draft.add_service(key, scheduler, new.options.clone()),
            None => Ok(()), // the model has only schedulers that exist
        };
    }
    let is_other = |list: &List| (&list.scheduler, list.flags) != (&new.scheduler, new.flags);
    if old.is_none_or(is_other)
        && let Some(scheduler) = scheduler()
    {
        draft.set_scheduler(key, scheduler)?;
    }
    match old.is_none_or(|old| old.options != new.options) {
        true => draft.set_options(key, new.options.clone()),
        false => Ok(()),
    }
}

fn servers(
    draft: &mut Draft<'_>,
    key: ServiceKey,
    old: Option<&List>,
    new: &List,
) -> Result<(), ConfigError> {
    let before = old.map_or(&[][..], |old| &old.servers);
    let mut known: std::collections::HashMap<_, _> = before.iter().copied().collect();
    let mut changed = Vec::new();
    for (addr, options) in &new.servers {
        if known.remove(addr) != Some(*options) {
            changed.push((*addr, *options));
        }
    }
    let has = |draft: &Draft<'_>, addr| {
        let service = draft.service(&key);
        service.is_some_and(|s| s.dests().iter().any(|d| d.addr() == addr))
    };
    for addr in known.into_keys() {
        if has(draft, addr) {
            draft.remove_dest(key, addr)?;
        }
    }
    for (addr, options) in changed {
        match has(draft, addr) {
            true => draft.edit_dest(key, addr, &options)?,
            false => draft.add_dest(key, addr, &options)?,
        }
    }
    Ok(())
}
