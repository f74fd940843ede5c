//! What all services together amount to.
//!
//! A packet of no known connection must be judged by more than one service: whether its destination is anybody's, whether a
//! real server sends it. What is needed for that is gathered here when the configuration changes, and copied from
//! the snapshot before as long as no service changes in what it depends on: most changes are of weights.

use ahash::RandomState;
use hashbrown::{HashMap, HashSet};

use super::{ConfigError, Globals, Services};
use crate::addr::{Endpoint, Family, Ip};
use crate::dest::{Dest, Method};
use crate::segment::{Protocol, port};
use crate::service::{Engine, Service, ServiceKey};

/// What an address is to the director; it tells which end of a packet is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The address of a virtual service.
    Virtual,
    /// A local address of FullNAT.
    Local,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Digest {
    pub(super) roles: HashMap<Ip, Role, RandomState>,
    /// Real servers of NAT services, if packets that they send of their own accord are refused.
    pub(super) nat_servers: HashSet<(Protocol, Endpoint), RandomState>,
    /// Real servers that may begin calls themselves, and their services.
    pub(super) callers: HashMap<Endpoint, ServiceKey, RandomState>,
    /// What kinds of services there are, to spare look-ups that cannot succeed.
    pub(super) has_marks: bool,
    pub(super) has_ftp: bool,
    pub(super) has_any_port: bool,
    pub(super) wants_tags: bool,
    /// Whether a service has timeouts of its own.
    pub(super) has_timeouts: bool,
    pub(super) serves: Families,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Families {
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

    pub(super) const fn has(self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

impl Digest {
    pub(super) fn empty(seed: &RandomState) -> Self {
        Self {
            roles: HashMap::with_hasher(seed.clone()),
            nat_servers: HashSet::with_hasher(seed.clone()),
            callers: HashMap::with_hasher(seed.clone()),
            has_marks: false,
            has_ftp: false,
            has_any_port: false,
            wants_tags: false,
            has_timeouts: false,
            serves: Families::default(),
        }
    }

    /// Gathers it, and checks what no single service can know to be right, and what depends on a service's servers and
    /// options together.
    pub(super) fn new(
        services: &Services,
        globals: &Globals,
        seed: &RandomState,
    ) -> Result<Self, ConfigError> {
        let mut digest = Self::empty(seed);
        services.keys().for_each(|key| digest.add_key(key));
        for service in services.values() {
            digest.add_service(service)?;
            if globals.sysctls.nat_icmp_send {
                digest.add_nat_servers(service);
            }
        }
        Ok(digest)
    }

    /// Whether `b` in place of `a` leaves any digest as it is.
    pub(super) fn is_same_for(a: &Service, b: &Service) -> bool {
        let dest = |(a, b): (&Dest, &Dest)| a.addr() == b.addr() && a.method() == b.method();
        a.options == b.options
            && a.dests.len() == b.dests.len()
            && a.dests.iter().zip(&b.dests).all(dest)
    }

    fn add_key(&mut self, key: &ServiceKey) {
        match key {
            ServiceKey::Addr { addr, .. } => {
                self.roles.insert(addr.ip, Role::Virtual);
                self.has_ftp |= addr.port == port::FTP;
                self.has_any_port |= addr.port == 0;
            }
            ServiceKey::Mark { .. } => self.has_marks = true,
        }
        self.serves.add(key.family());
    }

    fn add_service(&mut self, service: &Service) -> Result<(), ConfigError> {
        let engine = service.options.persistence.and_then(|p| p.engine);
        self.has_timeouts |= service.options.timeouts.given().next().is_some();
        self.wants_tags |= engine.is_some();
        for l in &*service.options.local_addrs {
            if l.first_port == 0 || l.first_port > l.last_port {
                return Err(ConfigError::BadPortRange(*l));
            }
            if self.roles.insert(l.ip, Role::Local) == Some(Role::Virtual) {
                return Err(ConfigError::LocalIsVirtual(l.ip));
            }
        }
        for d in with(service, Method::FullNat) {
            if service.options.one_packet {
                return Err(ConfigError::OnePacketFullNat(service.key()));
            }
            let family = d.addr().ip.family();
            self.serves.add(family);
            let mut local_addrs = service.options.local_addrs.iter();
            if !local_addrs.any(|l| l.ip.family() == family) {
                return Err(ConfigError::NoLocalAddress(service.key(), d.addr()));
            }
        }
        if let ServiceKey::Addr {
            protocol: Protocol::UDP,
            addr,
        } = service.key()
            && engine == Some(Engine::Sip)
        {
            let callers = with(service, Method::Nat).map(|d| match d.addr() {
                Endpoint { ip, port: 0 } => Endpoint::new(ip, addr.port),
                caller => caller,
            });
            let known = callers.map(|caller| (caller, service.key()));
            self.callers.extend(known);
        }
        Ok(())
    }

    fn add_nat_servers(&mut self, service: &Service) {
        let protocols = match service.key().protocol() {
            Some(protocol) => &[protocol][..],
            None => &[Protocol::TCP, Protocol::UDP, Protocol::SCTP],
        };
        for &p in protocols {
            let servers = with(service, Method::Nat).map(|d| (p, d.addr()));
            self.nat_servers.extend(servers);
        }
    }
}

/// The service's destinations of this method.
fn with(service: &Service, method: Method) -> impl Iterator<Item = &Dest> {
    service.dests.iter().filter(move |d| d.method() == method)
}
