//! A change of the configuration, on its way from one snapshot to the next.
//!
//! A draft is a copy that shares all that does not change. Every edit is checked as it is made, the whole in the end; only when
//! it is published do live halves learn of it.
//!
//! So what one draft removes and adds again was never gone: connections, counters, and what a scheduler of the same name and
//! flags remembers, are kept, and a service that is just as it was stays the very same object. A table can thus be replaced
//! by clearing and filling it. (IPVS, where each step counts, begins to count anew.)

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;

use super::{Config, ConfigError, Digest, Globals, Standby};
use crate::addr::{Endpoint, Family, Ip};
use crate::dest::{Dest, DestLive, DestOptions, Encapsulation, Method};
use crate::sched::{Edit, Scheduler};
use crate::service::{Service, ServiceKey, ServiceLive, ServiceOptions, ServiceTimeouts};
use crate::state::Timeouts;
use crate::sysctl::Sysctls;
use crate::time::Time;

/// Destinations that were removed. One added again gets its connections and counts back (IPVS: the trash). It
/// stays here as long as connections hold it, and two minutes longer.
pub(crate) type Trash = BTreeMap<DestKey, Removed>;

type DestKey = (ServiceKey, Endpoint);

#[derive(Debug)]
pub(crate) struct Removed {
    live: Arc<DestLive>,
    idle_since: Option<Time>,
}

/// How long a removed destination is remembered once nothing holds it.
const TRASH_PERIOD: Duration = Duration::from_secs(120);

/// Forgets removed destinations that nothing has held for [`TRASH_PERIOD`]. IPVS looks every minute.
pub(crate) fn empty_trash(trash: &mut Trash, now: Time) {
    trash.retain(|_, r| {
        if Arc::strong_count(&r.live) > 1 {
            r.idle_since = None;
            return true;
        }
        let since = *r.idle_since.get_or_insert(now);
        now.since(since) < TRASH_PERIOD
    });
}

/// The values of one service's destinations.
fn of_service<T>(map: &BTreeMap<DestKey, T>, key: ServiceKey) -> impl Iterator<Item = &T> {
    let least = Endpoint::new(Ip::UNSPECIFIED, 0);
    map.range((key, least)..)
        .take_while(move |(k, _)| k.0 == key)
        .map(|(_, v)| v)
}

/// A change being prepared.
#[derive(Debug)]
pub struct Draft<'a> {
    /// What is published.
    from: &'a Config,
    /// Services that differ from the published ones; `None` are removed.
    edited: BTreeMap<ServiceKey, Option<Service>>,
    removed: BTreeMap<DestKey, Dest>,
    revived: BTreeMap<DestKey, Arc<DestLive>>,
    /// Published services that this draft has removed and added again.
    returned: BTreeSet<ServiceKey>,
    /// Services that an earlier change removed and this one adds again, with their live halves.
    renewed: Vec<Arc<ServiceLive>>,
    globals: Globals,
    trash: &'a mut Trash,
    stripes: usize,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(from: &'a Config, trash: &'a mut Trash, stripes: usize) -> Self {
        Self {
            from,
            edited: BTreeMap::new(),
            removed: BTreeMap::new(),
            revived: BTreeMap::new(),
            returned: BTreeSet::new(),
            renewed: Vec::new(),
            globals: from.globals.clone(),
            trash,
            stripes,
        }
    }

    /// The service as this draft has it.
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        match self.edited.get(key) {
            Some(edited) => edited.as_ref(),
            None => self.from.service(key).map(|s| &**s),
        }
    }

    /// The services as this draft has them, in no particular order.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        let published = self.from.services.iter();
        let untouched = published.filter(|(key, _)| !self.edited.contains_key(*key));
        let untouched = untouched.map(|(_, service)| &**service);
        untouched.chain(self.edited.values().flatten())
    }

    /// The keys of all services of this draft, in order.
    pub fn keys(&self) -> Vec<ServiceKey> {
        let mut keys: Vec<_> = self.services().map(Service::key).collect();
        keys.sort_unstable();
        keys
    }

    fn edit(&mut self, key: ServiceKey) -> Result<&mut Service, ConfigError> {
        let edited = match self.edited.entry(key) {
            Entry::Occupied(e) => e.into_mut().as_mut(),
            Entry::Vacant(e) => self.from.service(&key).and_then(|s| {
                let copy = Service::new(
                    s.live.clone(),
                    s.options.clone(),
                    s.dests.clone(),
                    s.scheduler.fork(),
                );
                e.insert(Some(copy)).as_mut()
            }),
        };
        edited.ok_or(ConfigError::NoSuchService(key))
    }

    /// The timeouts of this draft.
    pub fn timeouts(&self) -> &Timeouts {
        &self.globals.timeouts
    }

    /// Sets how long connections are kept; those that exist notice at their next packet.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.globals.timeouts = timeouts;
    }

    /// IPVS's settings in this draft.
    pub fn sysctls(&self) -> &Sysctls {
        &self.globals.sysctls
    }

    /// Changes IPVS's settings.
    pub fn set_sysctls(&mut self, sysctls: Sysctls) {
        self.globals.sysctls = sysctls;
    }

    /// The services that stand by in this draft.
    pub fn standby(&self) -> &Arc<Standby> {
        &self.globals.standby
    }

    /// Says which services stand by. They need not exist yet.
    pub fn set_standby(&mut self, standby: Arc<Standby>) {
        self.globals.standby = standby;
    }

    /// Adds a service without destinations. One that this draft has removed goes on with the scheduler it had, if that
    /// has the same name and flags.
    pub fn add_service(
        &mut self,
        key: ServiceKey,
        mut scheduler: Box<dyn Scheduler>,
        options: ServiceOptions,
    ) -> Result<(), ConfigError> {
        if self.service(&key).is_some() {
            return Err(ConfigError::ServiceExists(key));
        }
        check_service(key, &options)?;
        let live = if let Some(was) = self.from.service(&key) {
            self.returned.insert(key);
            if is_same(was.scheduler(), &*scheduler) {
                scheduler = emptied(was);
            }
            was.live.clone()
        } else if let Some(dest) = of_service(&self.removed, key).next() {
            dest.live.service().clone()
        } else if let Some(old) = of_service(self.trash, key).next() {
            self.renewed.push(old.live.service().clone());
            old.live.service().clone()
        } else {
            Arc::new(ServiceLive::new(key, self.stripes))
        };
        let service = Service::new(live, options, Vec::new(), scheduler);
        self.edited.insert(key, Some(service));
        Ok(())
    }

    /// Gives a service another scheduler, which starts afresh.
    pub fn set_scheduler(
        &mut self,
        key: ServiceKey,
        mut scheduler: Box<dyn Scheduler>,
    ) -> Result<(), ConfigError> {
        let service = self.edit(key)?;
        scheduler.settle(&service.dests);
        service.scheduler = scheduler;
        Ok(())
    }

    /// Gives a service other options; connections and templates keep what they have.
    pub fn set_options(
        &mut self,
        key: ServiceKey,
        options: ServiceOptions,
    ) -> Result<(), ConfigError> {
        check_service(key, &options)?;
        self.edit(key)?.options = options;
        Ok(())
    }

    /// Removes a service with its destinations. Their connections stay until they time out, and their
    /// packets are dropped.
    pub fn remove_service(&mut self, key: ServiceKey) -> Result<(), ConfigError> {
        let published = self.from.service(&key);
        let dests = match (self.edited.remove(&key), published) {
            (Some(Some(edited)), _) => edited.dests,
            (None, Some(published)) => published.dests.clone(),
            (removed, _) => {
                self.edited.extend(removed.map(|none| (key, none)));
                return Err(ConfigError::NoSuchService(key));
            }
        };
        if published.is_some() {
            self.edited.insert(key, None);
        }
        let removed = dests.into_iter().map(|d| ((key, d.addr()), d));
        self.removed.extend(removed);
        Ok(())
    }

    /// Adds a destination at the head of the list.
    pub fn add_dest(
        &mut self,
        key: ServiceKey,
        addr: Endpoint,
        options: &DestOptions,
    ) -> Result<(), ConfigError> {
        check_dest(key, addr, options)?;
        let stripes = self.stripes;
        let service = self.edit(key)?;
        if service.dests.iter().any(|d| d.addr() == addr) {
            return Err(ConfigError::DestinationExists(key, addr));
        }
        let service_live = service.live.clone();
        let dest_key = (key, addr);
        let dest = if let Some(mut just_removed) = self.removed.remove(&dest_key) {
            just_removed.configure(*options);
            just_removed
        } else if let Some(old) = self.trash.get(&dest_key) {
            self.revived.insert(dest_key, old.live.clone());
            Dest::new(*options, old.live.clone())
        } else {
            Dest::new(
                *options,
                Arc::new(DestLive::new(addr, service_live, stripes)),
            )
        };
        let service = self.edit(key)?;
        service.dests.insert(0, dest);
        service.scheduler.edited(&service.dests, Edit::Added(0));
        Ok(())
    }

    /// Changes a destination. Another method is for new connections; another weight and other thresholds apply at the
    /// next choice of the scheduler, another kind of tunnel to the next packet.
    pub fn edit_dest(
        &mut self,
        key: ServiceKey,
        addr: Endpoint,
        options: &DestOptions,
    ) -> Result<(), ConfigError> {
        check_dest(key, addr, options)?;
        let service = self.edit(key)?;
        let i = position(service, key, addr)?;
        service.dests[i].configure(*options);
        service.scheduler.edited(&service.dests, Edit::Changed(i));
        Ok(())
    }

    /// Removes a destination. Its connections stay until they time out, and their packets are dropped.
    pub fn remove_dest(&mut self, key: ServiceKey, addr: Endpoint) -> Result<(), ConfigError> {
        let service = self.edit(key)?;
        let i = position(service, key, addr)?;
        let dest = service.dests.remove(i);
        service.scheduler.edited(&service.dests, Edit::Removed(i));
        self.removed.insert((key, addr), dest);
        Ok(())
    }

    /// Whether destinations are removed.
    pub(crate) fn removes(&self) -> bool {
        !self.removed.is_empty()
    }

    /// Checks the whole and makes the snapshot. Only then do destinations become available or cease to be.
    pub(crate) fn finish(mut self, seed: &RandomState) -> Result<Config, ConfigError> {
        let edited: Vec<ServiceKey> = self.edited.keys().copied().collect();
        let config = self.config(seed)?;
        for (key, live) in self.revived {
            live.set_available(true);
            self.trash.remove(&key);
        }
        for (key, Dest { live, .. }) in self.removed {
            live.set_available(false);
            if config.service(&key.0).is_none() {
                live.service().publish(&ServiceTimeouts::default());
            }
            let idle_since = None;
            self.trash.insert(key, Removed { live, idle_since });
        }
        for service in edited.iter().filter_map(|k| config.service(k)) {
            service.live.publish(&service.options.timeouts);
            for dest in &service.dests {
                dest.live.publish(dest.options());
            }
        }
        for service in self.renewed {
            service.stats().zero();
            let renewed = config.service(&service.key());
            for dest in renewed.iter().flat_map(|s| &s.dests) {
                dest.live.stats().zero();
            }
        }
        Ok(config)
    }

    /// Checks the whole, and that is all.
    pub(crate) fn check(mut self, seed: &RandomState) -> Result<(), ConfigError> {
        self.config(seed).map(drop)
    }

    /// The snapshot, if it is sound.
    fn config(&mut self, seed: &RandomState) -> Result<Config, ConfigError> {
        let mut services = self.from.services.clone();
        let says = |globals: &Globals| globals.sysctls.nat_icmp_send;
        let mut same_digest = says(&self.globals) == says(&self.from.globals);
        for (key, edited) in std::mem::take(&mut self.edited) {
            let was = self.from.service(&key);
            let Some(mut edited) = edited else {
                services.remove(&key);
                same_digest = false;
                continue;
            };
            same_digest &= was.is_some_and(|was| Digest::is_same_for(was, &edited));
            let unchanged =
                was.filter(|was| self.returned.contains(&key) && was.is_just_like(&edited));
            let service = unchanged.cloned().unwrap_or_else(|| {
                edited.scheduler.settle(&edited.dests);
                Arc::new(edited)
            });
            services.insert(key, service);
        }
        let digest = match same_digest {
            true => self.from.digest.clone(),
            false => Digest::new(&services, &self.globals, seed)?,
        };
        Ok(Config {
            services,
            digest,
            globals: self.globals.clone(),
        })
    }
}

/// Whether one may go on where the other stands.
fn is_same(a: &dyn Scheduler, b: &dyn Scheduler) -> bool {
    a.name() == b.name() && a.flags() == b.flags()
}

/// The service's scheduler after all its destinations have been removed.
fn emptied(service: &Service) -> Box<dyn Scheduler> {
    let mut scheduler = service.scheduler.fork();
    for left in (0..service.dests.len()).rev() {
        scheduler.edited(&service.dests[..left], Edit::Removed(left));
    }
    scheduler
}

impl Service {
    /// Whether the other, of the same key, is configured the same, down to the order of destinations.
    fn is_just_like(&self, other: &Self) -> bool {
        let dest = |a: &Dest, b: &Dest| a.addr() == b.addr() && a.options() == b.options();
        self.options == other.options
            && is_same(&*self.scheduler, &*other.scheduler)
            && self.dests.len() == other.dests.len()
            && self.dests.iter().zip(&other.dests).all(|(a, b)| dest(a, b))
    }
}

fn check_service(key: ServiceKey, options: &ServiceOptions) -> Result<(), ConfigError> {
    match key {
        ServiceKey::Addr { protocol, .. } if !protocol.is_balanced() => {
            return Err(ConfigError::ProtocolNotBalanced(key));
        }
        ServiceKey::Mark { mark: 0, .. } => return Err(ConfigError::ZeroMark),
        _ => {}
    }
    let bits = match key.family() {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    let lasting = Duration::from_secs(1)..=Timeouts::MAX;
    if !options.timeouts.given().all(|t| lasting.contains(&t)) {
        return Err(ConfigError::BadTimeout(key));
    }
    match options.persistence {
        Some(p) if !(1..=bits).contains(&p.prefix) || !lasting.contains(&p.timeout) => {
            Err(ConfigError::BadPersistence(key))
        }
        _ => Ok(()),
    }
}

fn check_dest(key: ServiceKey, addr: Endpoint, options: &DestOptions) -> Result<(), ConfigError> {
    const MAX: u32 = i32::MAX as u32;
    if options.weight > MAX {
        return Err(ConfigError::WeightTooLarge(options.weight));
    }
    if options.lower > options.upper || options.upper > MAX {
        return Err(ConfigError::BadThresholds(key, addr));
    }
    if matches!(options.encapsulation, Encapsulation::Gue { port: 0, .. }) {
        return Err(ConfigError::NoTunnelPort(key, addr));
    }
    if addr.ip.family() != key.family() && options.method != Method::Tunnel {
        return Err(ConfigError::FamilyMismatch(key, addr));
    }
    Ok(())
}

fn position(service: &Service, key: ServiceKey, addr: Endpoint) -> Result<usize, ConfigError> {
    let found = service.dests.iter().position(|d| d.addr() == addr);
    found.ok_or(ConfigError::NoSuchDestination(key, addr))
}
