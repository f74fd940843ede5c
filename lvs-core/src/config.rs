//! The configuration: an immutable snapshot, and the way from one to the next.
//!
//! Workers read a [`Config`] without locks. A change is prepared in a [`Draft`], a copy that shares all that
//! does not change, and is published whole or not at all. What stays keeps its live half: counts, statistics,
//! scheduler cursors and connections do not notice the change.

mod draft;
mod error;

use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use hashbrown::{HashMap, HashSet};

use crate::addr::{Endpoint, Family, Ip};
use crate::dest::{Dest, DestLive, Method};
use crate::segment::{Protocol, Segment, port};
use crate::service::{Engine, Service, ServiceKey};
use crate::state::{State, Timeouts};
use crate::sysctl::Sysctls;

pub use draft::Draft;
pub(crate) use draft::{Trash, empty_trash};
pub use error::ConfigError;

/// What an address is to the director; it tells which end of a packet is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The address of a virtual service.
    Virtual,
    /// A local address of FullNAT.
    Local,
}

/// Why a packet is led to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MatchedBy {
    /// It has the service's firewall mark.
    Mark,
    /// It goes to the service's address and port.
    Address,
    /// It goes to a port that a data connection of the address's FTP service may have.
    FtpData,
    /// It goes to the address of a service of all ports, and to a port that no other service has.
    AnyPort,
    /// Its connection belongs to the service.
    Connection,
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
    /// Whether a service has timeouts of its own.
    has_timeouts: bool,
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
            has_timeouts: false,
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
                    config.has_ftp |= addr.port == port::FTP;
                    config.has_any_port |= addr.port == 0;
                }
                ServiceKey::Mark { .. } => config.has_marks = true,
            }
        }
        for service in config.services.values() {
            config.serves.add(service.key().family());
            let persistence = service.options.persistence;
            config.has_timeouts |= service.options.timeouts.given().next().is_some();
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
        self.matching(packet).map(|(service, _)| service)
    }

    /// The same, and why.
    pub fn matching(&self, packet: &Segment) -> Option<(&Service, MatchedBy)> {
        let Segment {
            protocol,
            dst,
            mark,
            ..
        } = *packet;
        let get = |key: ServiceKey| self.services.get(&key).map(|s| &**s);
        if mark != 0 && self.has_marks {
            let family = dst.ip.family();
            if let Some(by_mark) = get(ServiceKey::Mark { family, mark }) {
                return Some((by_mark, MatchedBy::Mark));
            }
        }
        if self.role(&dst.ip) != Some(Role::Virtual) {
            return None;
        }
        let on = |port, by| {
            let service = get(ServiceKey::new(protocol, Endpoint::new(dst.ip, port)));
            service.map(|service| (service, by))
        };
        let is_data = || dst.port == port::FTP_DATA || dst.port >= FIRST_UNPRIVILEGED;
        on(dst.port, MatchedBy::Address)
            .or_else(|| {
                let ftp = self.has_ftp && protocol == Protocol::TCP && is_data();
                ftp.then(|| on(port::FTP, MatchedBy::FtpData)).flatten()
            })
            .or_else(|| {
                let any = self.has_any_port;
                any.then(|| on(0, MatchedBy::AnyPort)).flatten()
            })
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

    /// How long a connection of this server is kept without traffic: by its service's own timeout, or else the director's.
    pub(crate) fn timeout(&self, state: State, dest: &DestLive) -> Duration {
        let own = match self.has_timeouts {
            true => dest.service().timeout(state),
            false => None,
        };
        own.unwrap_or_else(|| self.globals.timeouts.of(state))
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

#[cfg(test)]
mod tests;
