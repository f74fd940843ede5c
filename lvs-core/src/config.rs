//! The configuration: an immutable snapshot, and the way from one to the next.
//!
//! Workers read a [`Config`] without locks. A change is prepared in a [`Draft`], a copy that shares all that
//! does not change, and is published whole or not at all. What stays keeps its live half: counts, statistics,
//! scheduler cursors and connections do not notice the change.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use hashbrown::{HashMap, HashSet};

use crate::addr::{Endpoint, Family, Ip};
use crate::dest::{Dest, DestLive, DestOptions, Encapsulation, Method};
use crate::sched::{Edit, Scheduler};
use crate::segment::{Protocol, Segment};
use crate::service::{Engine, LocalAddr, Service, ServiceKey, ServiceLive, ServiceOptions};
use crate::state::Timeouts;
use crate::sysctl::Sysctls;
use crate::time::Time;

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
    /// Real servers of NAT services, if packets that they send of their own accord are refused.
    nat_servers: HashSet<(Protocol, Endpoint), RandomState>,
    globals: Globals,
    /// What kinds of services there are, to spare look-ups that cannot succeed.
    has_marks: bool,
    has_ftp: bool,
    has_any_port: bool,
    wants_tags: bool,
    /// Real servers that may begin calls themselves, and their services.
    callers: HashMap<Endpoint, ServiceKey, RandomState>,
    serves: Families,
}

/// What is configured for the director as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Globals {
    pub(crate) timeouts: Timeouts,
    pub(crate) sysctls: Sysctls,
}

#[derive(Clone, Copy, Debug, Default)]
struct Families {
    v4: bool,
    v6: bool,
}

impl Families {
    const fn add(&mut self, family: Family) {
        match family {
            Family::V4 => self.v4 = true,
            Family::V6 => self.v6 = true,
        }
    }

    const fn has(self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

/// The control port of FTP, whose services take the clients' data connections too (IPVS).
const FTP: u16 = 21;
/// The server's port of FTP's active data connections.
const FTP_DATA: u16 = 20;
/// The first port an ordinary program may use (`net.ipv4.ip_unprivileged_port_start`).
const FIRST_UNPRIVILEGED: u16 = 1024;

impl Config {
    pub(crate) fn empty(globals: Globals, seed: &RandomState) -> Self {
        Self {
            services: HashMap::with_hasher(seed.clone()),
            roles: HashMap::with_hasher(seed.clone()),
            nat_servers: HashSet::with_hasher(seed.clone()),
            globals,
            has_marks: false,
            has_ftp: false,
            has_any_port: false,
            wants_tags: false,
            callers: HashMap::with_hasher(seed.clone()),
            serves: Families::default(),
        }
    }

    fn new(
        services: impl IntoIterator<Item = (ServiceKey, Arc<Service>)>,
        globals: Globals,
        seed: &RandomState,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::empty(globals, seed);
        config.services.extend(services);
        for key in config.services.keys() {
            match key {
                ServiceKey::Addr { addr, .. } => {
                    config.roles.insert(addr.ip, Role::Virtual);
                    config.has_ftp |= addr.port == FTP;
                    config.has_any_port |= addr.port == 0;
                }
                ServiceKey::Mark { .. } => config.has_marks = true,
            }
        }
        for service in config.services.values() {
            config.serves.add(service.key().family());
            let persistence = service.options.persistence;
            config.wants_tags |= persistence.is_some_and(|p| p.engine.is_some());
            for l in &*service.options.local_addrs {
                if l.first_port == 0 || l.first_port > l.last_port {
                    return Err(ConfigError::BadPortRange(*l));
                }
                if config.roles.insert(l.ip, Role::Local) == Some(Role::Virtual) {
                    return Err(ConfigError::LocalIsVirtual(l.ip));
                }
            }
            if service.options.one_packet
                && service.dests.iter().any(|d| d.method() == Method::FullNat)
            {
                return Err(ConfigError::OnePacketFullNat(service.key()));
            }
            let with = |m| service.dests.iter().filter(move |d| d.method() == m);
            for d in with(Method::FullNat) {
                let family = d.addr().ip.family();
                config.serves.add(family);
                let mut local_addrs = service.options.local_addrs.iter();
                if !local_addrs.any(|l| l.ip.family() == family) {
                    return Err(ConfigError::NoLocalAddress(service.key(), d.addr()));
                }
            }
            if let ServiceKey::Addr {
                protocol: Protocol::UDP,
                addr,
            } = service.key()
                && persistence.is_some_and(|p| p.engine == Some(Engine::Sip))
            {
                let callers = with(Method::Nat).map(|d| match d.addr() {
                    Endpoint { ip, port: 0 } => Endpoint::new(ip, addr.port),
                    caller => caller,
                });
                let known = callers.map(|caller| (caller, service.key()));
                config.callers.extend(known);
            }
            if config.globals.sysctls.nat_icmp_send {
                let protocols = match service.key().protocol() {
                    Some(protocol) => &[protocol][..],
                    None => &[Protocol::TCP, Protocol::UDP, Protocol::SCTP],
                };
                for &p in protocols {
                    let servers = with(Method::Nat).map(|d| (p, d.addr()));
                    config.nat_servers.extend(servers);
                }
            }
        }
        Ok(config)
    }

    /// Whether a service takes or sends packets of this family. As long as none does, not even packets of known
    /// connections are looked at (IPVS has its hooks only then).
    pub(crate) const fn serves(&self, family: Family) -> bool {
        self.serves.has(family)
    }

    /// Whether a service has a persistence engine, so that packets need their [tag](Segment::tag).
    pub fn wants_tags(&self) -> bool {
        self.wants_tags
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

    /// The service that serves a packet from a client, by its mark or else its destination (IPVS: the exact
    /// address first; then, for TCP, the FTP service of the address, whose data connections come to any
    /// unprivileged port; then its service of port 0).
    pub fn service_for(&self, packet: &Segment) -> Option<&Service> {
        let Segment {
            protocol,
            dst,
            mark,
            ..
        } = *packet;
        let get = |key: ServiceKey| self.services.get(&key).map(|s| &**s);
        if mark != 0 && self.has_marks {
            let family = dst.ip.family();
            let by_mark = get(ServiceKey::Mark { family, mark });
            if by_mark.is_some() {
                return by_mark;
            }
        }
        if self.role(&dst.ip) != Some(Role::Virtual) {
            return None;
        }
        let on = |port| get(ServiceKey::new(protocol, Endpoint::new(dst.ip, port)));
        let is_data = || dst.port == FTP_DATA || dst.port >= FIRST_UNPRIVILEGED;
        on(dst.port)
            .or_else(|| {
                let ftp = self.has_ftp && protocol == Protocol::TCP && is_data();
                ftp.then(|| on(FTP)).flatten()
            })
            .or_else(|| self.has_any_port.then(|| on(0)).flatten())
    }

    /// Whether `ip` is the address of a service or a local address of FullNAT: those the director answers for.
    pub fn owns(&self, ip: &Ip) -> bool {
        self.roles.contains_key(ip)
    }

    /// The addresses the director answers for, in no particular order.
    pub fn owned(&self) -> impl Iterator<Item = Ip> + '_ {
        self.roles.keys().copied()
    }

    /// How long connections are kept without traffic.
    pub fn timeouts(&self) -> &Timeouts {
        &self.globals.timeouts
    }

    /// IPVS's settings.
    pub fn sysctls(&self) -> &Sysctls {
        &self.globals.sysctls
    }

    /// What the destination of a packet is.
    pub(crate) fn role(&self, ip: &Ip) -> Option<Role> {
        self.roles.get(ip).copied()
    }

    /// Whether a packet's destination belongs to a service, so that its sender is the client.
    pub(crate) fn role_of(&self, packet: &Segment) -> Option<Role> {
        let (family, mark) = (packet.dst.ip.family(), packet.mark);
        let marked = mark != 0
            && self.has_marks
            && self
                .services
                .contains_key(&ServiceKey::Mark { family, mark });
        match marked {
            true => Some(Role::Virtual),
            false => self.role(&packet.dst.ip),
        }
    }

    /// The real server that begins a call with this packet, and its service.
    pub(crate) fn caller(&self, packet: &Segment) -> Option<(&Service, &Dest)> {
        let service = self.services.get(self.callers.get(&packet.src)?)?;
        let is_caller = |d: &&Dest| {
            let addr = d.addr();
            addr.ip == packet.src.ip && (addr.port == packet.src.port || addr.port == 0)
        };
        Some((service, service.dests.iter().find(is_caller)?))
    }

    /// Whether this packet comes from a real server of a NAT service and is to be refused if it belongs to no
    /// connection.
    pub(crate) fn is_from_nat_server(&self, packet: &Segment) -> bool {
        !self.nat_servers.is_empty() && self.nat_servers.contains(&(packet.protocol, packet.src))
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
    /// The protocol of a service must be TCP, UDP or SCTP.
    ProtocolNotBalanced(ServiceKey),
    /// Firewall mark 0 is no mark.
    ZeroMark,
    /// A persistence mask must have 1 to 32 (IPv6: 128) bits, and the timeout be 1 s to 31 days.
    BadPersistence(ServiceKey),
    /// The lower threshold is above the upper one, or that above 2³¹−1.
    BadThresholds(ServiceKey, Endpoint),
    /// FullNAT must remember its connections.
    OnePacketFullNat(ServiceKey),
    /// A GUE tunnel needs a port.
    NoTunnelPort(ServiceKey, Endpoint),
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
            Self::ProtocolNotBalanced(s) => {
                write!(f, "service {s}: only TCP, UDP and SCTP are balanced")
            }
            Self::ZeroMark => f.write_str("firewall mark 0 means no mark"),
            Self::BadPersistence(s) => write!(
                f,
                "service {s}: persistence needs a timeout of 1 to 2678400 s and a mask of 1 to 32 (IPv6: 128) bits"
            ),
            Self::BadThresholds(s, d) => write!(
                f,
                "server {d} of service {s}: the lower threshold must not be above the upper one, nor that above 2147483647"
            ),
            Self::OnePacketFullNat(s) => write!(
                f,
                "service {s}: one-packet scheduling remembers no connections, which FullNAT needs"
            ),
            Self::NoTunnelPort(s, d) => {
                write!(f, "server {d} of service {s}: a GUE tunnel needs a port")
            }
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
    /// Services as published.
    services: BTreeMap<ServiceKey, Arc<Service>>,
    /// Services that differ from the published ones.
    edited: BTreeMap<ServiceKey, Service>,
    removed: BTreeMap<DestKey, Arc<DestLive>>,
    revived: BTreeMap<DestKey, Arc<DestLive>>,
    /// Services that were removed and added again, with their live halves.
    renewed: Vec<Arc<ServiceLive>>,
    globals: Globals,
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
            renewed: Vec::new(),
            globals: from.globals.clone(),
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
                Ok(e.insert(Service::new(
                    s.live.clone(),
                    s.options.clone(),
                    s.dests.clone(),
                    s.scheduler.fork(),
                )))
            }
        }
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

    /// Adds a service without destinations.
    pub fn add_service(
        &mut self,
        key: ServiceKey,
        scheduler: Box<dyn Scheduler>,
        options: ServiceOptions,
    ) -> Result<(), ConfigError> {
        if self.service(&key).is_some() {
            return Err(ConfigError::ServiceExists(key));
        }
        check_service(key, &options)?;
        let old = of_service(&self.removed, key)
            .chain(of_service(self.trash, key).map(|r| &r.live))
            .next();
        let live = match old {
            Some(dest) => {
                let live = dest.service().clone();
                self.renewed.push(live.clone());
                live
            }
            None => Arc::new(ServiceLive::new(key, self.stripes)),
        };
        let service = Service::new(live, options, Vec::new(), scheduler);
        self.edited.insert(key, service);
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
        let live = if let Some(just_removed) = self.removed.remove(&dest_key) {
            just_removed
        } else if let Some(old) = self.trash.get(&dest_key) {
            self.revived.insert(dest_key, old.live.clone());
            old.live.clone()
        } else {
            Arc::new(DestLive::new(addr, service_live, stripes))
        };
        let options = *options;
        let service = self.edit(key)?;
        service.dests.insert(0, Dest::new(options, live));
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
        self.removed.insert((key, addr), dest.live);
        Ok(())
    }

    /// Checks the whole and makes the snapshot. Only then do destinations become available or cease to be.
    pub(crate) fn finish(mut self, seed: &RandomState) -> Result<Config, ConfigError> {
        let edited: Vec<ServiceKey> = self.edited.keys().copied().collect();
        for (key, mut service) in std::mem::take(&mut self.edited) {
            service.scheduler.settle(&service.dests);
            self.services.insert(key, Arc::new(service));
        }
        let config = Config::new(self.services, self.globals, seed)?;
        for (key, live) in self.revived {
            live.set_available(true);
            self.trash.remove(&key);
        }
        for (key, live) in self.removed {
            live.set_available(false);
            let idle_since = None;
            self.trash.insert(key, Removed { live, idle_since });
        }
        for dest in edited
            .iter()
            .filter_map(|k| config.service(k))
            .flat_map(|s| &s.dests)
        {
            dest.live.publish(dest.options());
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
    match options.persistence {
        Some(p)
            if !(1..=bits).contains(&p.prefix)
                || p.timeout < Duration::from_secs(1)
                || p.timeout > Timeouts::MAX =>
        {
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

#[cfg(test)]
mod tests;
