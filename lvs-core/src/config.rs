//! The configuration: an immutable snapshot, and the way from one to the next.
//!
//! Workers read a [`Config`] without locks. A change is prepared in a [`Draft`], a copy that shares all that
//! does not change, and is published whole or not at all. What stays keeps its live half: counts, statistics,
//! scheduler cursors and connections do not notice the change.

mod digest;
mod draft;
mod error;
mod standby;

use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use hashbrown::HashMap;

use crate::addr::{Endpoint, Family, Ip};
use crate::dest::{Dest, DestLive, Method};
use crate::segment::{Protocol, Segment, port};
use crate::service::{Service, ServiceKey};
use crate::state::{State, Timeouts};
use crate::sysctl::Sysctls;

use digest::Digest;
pub(crate) use digest::Role;
pub use draft::Draft;
pub(crate) use draft::{Trash, empty_trash};
pub use error::ConfigError;
pub use standby::Standby;

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

type Services = HashMap<ServiceKey, Arc<Service>, RandomState>;

/// An immutable snapshot of all services.
#[derive(Debug)]
pub struct Config {
    services: Services,
    digest: Digest,
    globals: Globals,
}

/// What is configured for the director as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Globals {
    pub(crate) timeouts: Timeouts,
    pub(crate) sysctls: Sysctls,
    pub(crate) standby: Arc<Standby>,
}

/// The first port an ordinary program may use (`net.ipv4.ip_unprivileged_port_start`).
const FIRST_UNPRIVILEGED: u16 = 1024;

impl Config {
    pub(crate) fn empty(globals: Globals, seed: &RandomState) -> Self {
        Self {
            services: HashMap::with_hasher(seed.clone()),
            digest: Digest::empty(seed),
            globals,
        }
    }

    /// Whether a service takes or sends packets of this family. As long as none does, not even packets of known
    /// connections are looked at (IPVS has its hooks only then).
    pub(crate) fn serves(&self, family: Family) -> bool {
        self.digest.serves.has(family)
    }

    /// Whether a service has a persistence engine, so that packets need their [tag](Segment::tag).
    pub fn wants_tags(&self) -> bool {
        self.digest.wants_tags
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
        if mark != 0 && self.digest.has_marks {
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
                let ftp = self.digest.has_ftp && protocol == Protocol::TCP && is_data();
                ftp.then(|| on(port::FTP, MatchedBy::FtpData)).flatten()
            })
            .or_else(|| {
                let any = self.digest.has_any_port;
                any.then(|| on(0, MatchedBy::AnyPort)).flatten()
            })
    }

    /// Whether `ip` is the address of a service or a local address of FullNAT: those the director answers for.
    pub fn owns(&self, ip: &Ip) -> bool {
        self.digest.roles.contains_key(ip)
    }

    /// The addresses the director answers for, in no particular order.
    pub fn owned(&self) -> impl Iterator<Item = Ip> + '_ {
        self.digest.roles.keys().copied()
    }

    /// How long connections are kept without traffic.
    pub fn timeouts(&self) -> &Timeouts {
        &self.globals.timeouts
    }

    /// How long a connection of this server is kept without traffic: by its service's own timeout, or else the director's.
    pub(crate) fn timeout(&self, state: State, dest: &DestLive) -> Duration {
        let own = match self.digest.has_timeouts {
            true => dest.service().timeout(state),
            false => None,
        };
        own.unwrap_or_else(|| self.globals.timeouts.of(state))
    }

    /// IPVS's settings.
    pub fn sysctls(&self) -> &Sysctls {
        &self.globals.sysctls
    }

    /// The services that stand by.
    pub fn standby(&self) -> &Arc<Standby> {
        &self.globals.standby
    }

    /// What the destination of a packet is.
    pub(crate) fn role(&self, ip: &Ip) -> Option<Role> {
        self.digest.roles.get(ip).copied()
    }

    /// Whether a packet's destination belongs to a service, so that its sender is the client.
    pub(crate) fn role_of(&self, packet: &Segment) -> Option<Role> {
        let (family, mark) = (packet.dst.ip.family(), packet.mark);
        let marked = mark != 0
            && self.digest.has_marks
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
        let service = self.services.get(self.digest.callers.get(&packet.src)?)?;
        let is_caller = |d: &&Dest| {
            let addr = d.addr();
            addr.ip == packet.src.ip && (addr.port == packet.src.port || addr.port == 0)
        };
        Some((service, service.dests.iter().find(is_caller)?))
    }

    /// Whether this packet comes from a real server of a NAT service and is to be refused if it belongs to no
    /// connection.
    pub(crate) fn is_from_nat_server(&self, packet: &Segment) -> bool {
        let server = (packet.protocol, packet.src);
        !self.digest.nat_servers.is_empty()
            && self.digest.nat_servers.contains(&server)
            && (self.standby().is_empty() || self.is_of_serving(server))
    }

    /// Whether a service that does not stand by has this NAT server. Looks at all of them.
    fn is_of_serving(&self, (protocol, addr): (Protocol, Endpoint)) -> bool {
        let serving = |s: &&Arc<Service>| !self.standby().includes(&s.key());
        self.services.values().filter(serving).any(|s| {
            let has_protocol = s.key().protocol().is_none_or(|p| p == protocol);
            let is_it = |d: &Dest| d.method() == Method::Nat && d.addr() == addr;
            has_protocol && s.dests.iter().any(is_it)
        })
    }
}

#[cfg(test)]
mod tests;
