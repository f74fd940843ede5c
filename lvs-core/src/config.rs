//! The configuration: an immutable snapshot, and the way from one to the next.
//!
//! Workers read a [`Config`] without locks. A change is prepared in a [`Draft`], a copy that shares all that
//! does not change, and is published whole or not at all. What stays keeps its live half: counts, statistics,
//! scheduler cursors and connections do not notice the change.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::{Arc, Weak};

use ahash::RandomState;
use hashbrown::HashMap;

use crate::addr::{Endpoint, Ip};
use crate::dest::{Dest, DestLive, Method};
use crate::sched::{Edit, Scheduler};
use crate::service::{LocalAddr, Service, ServiceKey, ServiceLive};

/// What an address is to the director; it tells which end of a packet is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The address of a virtual service.
    Virtual,
    /// A local address of FullNAT.
    Local,
}

/// An immutable snapshot of all services.
#[derive(Debug)]
pub struct Config {
    services: HashMap<ServiceKey, Arc<Service>, RandomState>,
    roles: HashMap<Ip, Role, RandomState>,
}

impl Config {
    pub(crate) fn empty(seed: &RandomState) -> Self {
        let services = HashMap::with_hasher(seed.clone());
        Self {
            services,
            roles: HashMap::with_hasher(seed.clone()),
        }
    }

    /// The service with this key.
    pub fn service(&self, key: &ServiceKey) -> Option<&Arc<Service>> {
        self.services.get(key)
    }

    /// All services, ordered by key.
    pub fn services(&self) -> Vec<&Arc<Service>> {
        let mut all: Vec<_> = self.services.values().collect();
        all.sort_by_key(|s| s.key());
        all
    }

    /// Whether `ip` is the address of a service or a local address of FullNAT: those the director answers for.
    pub fn owns(&self, ip: &Ip) -> bool {
        self.roles.contains_key(ip)
    }

    /// The addresses the director answers for, in no particular order.
    pub fn owned(&self) -> impl Iterator<Item = Ip> + '_ {
        self.roles.keys().copied()
    }

    pub(crate) fn role(&self, ip: &Ip) -> Option<Role> {
        self.roles.get(ip).copied()
    }
}

/// Why a change of the configuration is refused; the texts are those ipvsadm's users know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The service is there already.
    ServiceExists(ServiceKey),
    /// There is no such service.
    NoSuchService(ServiceKey),
    /// The service has this destination already.
    DestinationExists(ServiceKey, Endpoint),
    /// The service has no such destination.
    NoSuchDestination(ServiceKey, Endpoint),
    /// Only a tunnel may lead to the other address family.
    FamilyMismatch(ServiceKey, Endpoint),
    /// The weight is above 2³¹−1.
    WeightTooLarge(u32),
    /// The protocol of a service must be TCP or UDP.
    ProtocolNotBalanced(ServiceKey),
    /// An address cannot be both a virtual address and a local address of FullNAT.
    LocalIsVirtual(Ip),
    /// A local address's ports end before they begin, or begin at 0.
    BadPortRange(LocalAddr),
    /// FullNAT towards this server needs a local address of its family.
    NoLocalAddress(ServiceKey, Endpoint),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceExists(s) => write!(f, "service {s} already exists"),
            Self::NoSuchService(s) => write!(f, "no such service: {s}"),
            Self::DestinationExists(s, d) => write!(f, "service {s} already has the server {d}"),
            Self::NoSuchDestination(s, d) => write!(f, "service {s} has no server {d}"),
            Self::FamilyMismatch(s, d) => {
                write!(
                    f,
                    "server {d} of service {s}: only tunnels may lead to the other family"
                )
            }
            Self::WeightTooLarge(w) => write!(f, "weight {w} is above 2147483647"),
            Self::ProtocolNotBalanced(s) => write!(f, "service {s}: only TCP and UDP are balanced"),
            Self::LocalIsVirtual(ip) => {
                write!(
                    f,
                    "{ip} cannot be a virtual address and a local address at once"
                )
            }
            Self::BadPortRange(l) => {
                write!(
                    f,
                    "local address {}: bad ports {}-{}",
                    l.ip, l.first_port, l.last_port
                )
            }
            Self::NoLocalAddress(s, d) => {
                write!(
                    f,
                    "server {d} of service {s}: FullNAT needs a local address of its family"
                )
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Destinations that were removed but may still have connections, so that one added again gets its
/// connections and counts back (IPVS: the trash).
pub(crate) type Trash = BTreeMap<DestKey, Weak<DestLive>>;

type DestKey = (ServiceKey, Endpoint);

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
    /// Services as published.
    services: BTreeMap<ServiceKey, Arc<Service>>,
    /// Services that differ from the published ones.
    edited: BTreeMap<ServiceKey, Service>,
    removed: BTreeMap<DestKey, Arc<DestLive>>,
    revived: BTreeMap<DestKey, Arc<DestLive>>,
    trash: &'a mut Trash,
    stripes: usize,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(from: &Config, trash: &'a mut Trash, stripes: usize) -> Self {
        Self {
            services: from.services.iter().map(|(k, s)| (*k, s.clone())).collect(),
            edited: BTreeMap::new(),
            removed: BTreeMap::new(),
            revived: BTreeMap::new(),
            trash,
            stripes,
        }
    }

    /// The service as this draft has it.
    pub fn service(&self, key: &ServiceKey) -> Option<&Service> {
        self.edited
            .get(key)
            .or_else(|| self.services.get(key).map(|s| &**s))
    }

    /// The keys of all services of this draft, in order.
    pub fn keys(&self) -> Vec<ServiceKey> {
        let mut keys: Vec<_> = self
            .services
            .keys()
            .chain(self.edited.keys())
            .copied()
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    fn edit(&mut self, key: ServiceKey) -> Result<&mut Service, ConfigError> {
        match self.edited.entry(key) {
            Entry::Occupied(e) => Ok(e.into_mut()),
            Entry::Vacant(e) => {
                let s = self
                    .services
                    .remove(&key)
                    .ok_or(ConfigError::NoSuchService(key))?;
                Ok(e.insert(Service {
                    live: s.live.clone(),
                    local_addrs: s.local_addrs.clone(),
                    dests: s.dests.clone(),
                    scheduler: s.scheduler.fork(),
                }))
            }
        }
    }

    /// Adds a service without destinations.
    pub fn add_service(
        &mut self,
        key: ServiceKey,
        scheduler: Box<dyn Scheduler>,
        local_addrs: &[LocalAddr],
    ) -> Result<(), ConfigError> {
        use crate::segment::Protocol;
        if self.service(&key).is_some() {
            return Err(ConfigError::ServiceExists(key));
        }
        if !matches!(key.protocol, Protocol::TCP | Protocol::UDP) {
            return Err(ConfigError::ProtocolNotBalanced(key));
        }
        let old = of_service(&self.removed, key)
            .cloned()
            .chain(of_service(self.trash, key).filter_map(Weak::upgrade))
            .next();
        let live = match old {
            Some(dest) => dest.service().clone(),
            None => Arc::new(ServiceLive::new(key, self.stripes)),
        };
        let local_addrs = local_addrs.into();
        self.edited.insert(
            key,
            Service {
                live,
                local_addrs,
                dests: Vec::new(),
                scheduler,
            },
        );
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

    /// Gives a service other local addresses; connections keep the ones they have.
    pub fn set_local_addrs(
        &mut self,
        key: ServiceKey,
        addrs: &[LocalAddr],
    ) -> Result<(), ConfigError> {
        self.edit(key)?.local_addrs = addrs.into();
        Ok(())
    }

    /// Removes a service with its destinations. Their connections stay until they time out, and their
    /// packets are dropped.
    pub fn remove_service(&mut self, key: ServiceKey) -> Result<(), ConfigError> {
        self.edit(key)?;
        if let Some(s) = self.edited.remove(&key) {
            let lives = s.dests.into_iter().map(|d| ((key, d.addr()), d.live));
            self.removed.extend(lives);
        }
        Ok(())
    }

    /// Adds a destination at the head of the list.
    pub fn add_dest(
        &mut self,
        key: ServiceKey,
        addr: Endpoint,
        method: Method,
        weight: u32,
    ) -> Result<(), ConfigError> {
        check_dest(key, addr, method, weight)?;
        let stripes = self.stripes;
        let service = self.edit(key)?;
        if service.dests.iter().any(|d| d.addr() == addr) {
            return Err(ConfigError::DestinationExists(key, addr));
        }
        let service_live = service.live.clone();
        let dest_key = (key, addr);
        let live = if let Some(just_removed) = self.removed.remove(&dest_key) {
            just_removed
        } else if let Some(old) = self.trash.get(&dest_key).and_then(Weak::upgrade) {
            self.revived.insert(dest_key, old.clone());
            old
        } else {
            Arc::new(DestLive::new(addr, service_live, stripes))
        };
        let service = self.edit(key)?;
        service.dests.insert(
            0,
            Dest {
                weight,
                method,
                live,
            },
        );
        service.scheduler.edited(&service.dests, Edit::Added(0));
        Ok(())
    }

    /// Changes a destination's method (for new connections) and weight.
    pub fn edit_dest(
        &mut self,
        key: ServiceKey,
        addr: Endpoint,
        method: Method,
        weight: u32,
    ) -> Result<(), ConfigError> {
        check_dest(key, addr, method, weight)?;
        let service = self.edit(key)?;
        let i = position(service, key, addr)?;
        service.dests[i].method = method;
        service.dests[i].weight = weight;
        service.scheduler.edited(&service.dests, Edit::Changed(i));
        Ok(())
    }

    /// Removes a destination. Its connections stay until they time out, and their packets are dropped.
    pub fn remove_dest(&mut self, key: ServiceKey, addr: Endpoint) -> Result<(), ConfigError> {
        let service = self.edit(key)?;
        let i = position(service, key, addr)?;
        let dest = service.dests.remove(i);
        service.scheduler.edited(&service.dests, Edit::Removed(i));
        self.removed.insert((key, addr), dest.live);
        Ok(())
    }

    /// Checks the whole and makes the snapshot. Only then do destinations become available or cease to be.
    pub(crate) fn finish(mut self, seed: &RandomState) -> Result<Config, ConfigError> {
        for (key, mut service) in self.edited {
            service.scheduler.settle(&service.dests);
            self.services.insert(key, Arc::new(service));
        }
        let mut roles = HashMap::with_hasher(seed.clone());
        for key in self.services.keys() {
            roles.insert(key.addr.ip, Role::Virtual);
        }
        for service in self.services.values() {
            for l in &*service.local_addrs {
                if l.first_port == 0 || l.first_port > l.last_port {
                    return Err(ConfigError::BadPortRange(*l));
                }
                if roles.insert(l.ip, Role::Local) == Some(Role::Virtual) {
                    return Err(ConfigError::LocalIsVirtual(l.ip));
                }
            }
            for d in service.dests.iter().filter(|d| d.method == Method::FullNat) {
                let family = d.addr().ip.family();
                if !service.local_addrs.iter().any(|l| l.ip.family() == family) {
                    return Err(ConfigError::NoLocalAddress(service.key(), d.addr()));
                }
            }
        }
        self.trash.retain(|_, d| d.strong_count() > 0);
        for (key, d) in &self.revived {
            d.set_available(true);
            self.trash.remove(key);
        }
        for (key, d) in &self.removed {
            d.set_available(false);
            self.trash.insert(*key, Arc::downgrade(d));
        }
        let mut config = Config::empty(seed);
        config.services.extend(self.services);
        config.roles = roles;
        Ok(config)
    }
}

fn check_dest(
    key: ServiceKey,
    addr: Endpoint,
    method: Method,
    weight: u32,
) -> Result<(), ConfigError> {
    if weight > i32::MAX as u32 {
        return Err(ConfigError::WeightTooLarge(weight));
    }
    if addr.ip.family() != key.family() && method != Method::Tunnel {
        return Err(ConfigError::FamilyMismatch(key, addr));
    }
    Ok(())
}

fn position(service: &Service, key: ServiceKey, addr: Endpoint) -> Result<usize, ConfigError> {
    let found = service.dests.iter().position(|d| d.addr() == addr);
    found.ok_or(ConfigError::NoSuchDestination(key, addr))
}

#[cfg(test)]
mod tests;
