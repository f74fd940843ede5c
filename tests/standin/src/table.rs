//! Services, servers and daemons, and what the kernel refuses.
//!
//! A refusal is an error number of the kernel, and where a request has several faults, the one that
//! the kernel finds first.

use std::net::{Ipv4Addr, Ipv6Addr};

use libc::{EEXIST, EINVAL, ENOENT, ERANGE, ESRCH, c_int};

/// `IP_VS_CONN_F_TUNNEL`.
const TUNNEL: u32 = 2;
/// `IP_VS_CONN_F_TUNNEL_TYPE_GUE`.
const GUE: u8 = 1;

const SCHEDULERS: [&str; 15] = [
    "none", "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh",
    "twos",
];
const ENGINES: [&str; 1] = ["sip"];

/// Everything that is configured.
#[derive(Clone, Debug)]
pub struct Table {
    /// In the order they were added.
    pub services: Vec<Service>,
    /// TCP, TCP after a FIN, UDP, in seconds.
    pub timeouts: [u32; 3],
    /// Master and backup.
    pub daemons: [Option<Daemon>; 2],
}

impl Default for Table {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            timeouts: [900, 120, 300],
            daemons: [None, None],
        }
    }
}

/// What a service is known by. Ports and addresses are in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// An address and a port of a protocol.
    Endpoint {
        /// Address family.
        af: u16,
        /// IP protocol number.
        protocol: u16,
        /// IPv4 in the first four bytes.
        addr: [u8; 16],
        /// Zero: any.
        port: [u8; 2],
    },
    /// A firewall mark.
    Mark {
        /// Address family.
        af: u16,
        /// The mark.
        mark: u32,
    },
}

impl Key {
    /// Its address family.
    pub fn af(&self) -> u16 {
        match *self {
            Self::Endpoint { af, .. } | Self::Mark { af, .. } => af,
        }
    }
}

/// What a service does.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Name of the scheduler.
    pub scheduler: String,
    /// `IP_VS_SVC_F_*`.
    pub flags: u32,
    /// Of persistence, in seconds.
    pub timeout: u32,
    /// Of persistence: a mask in network order or a prefix length in the machine's.
    pub netmask: [u8; 4],
    /// Name of the persistence engine.
    pub engine: Option<String>,
}

impl Policy {
    fn check(&self, af: u16) -> Result<(), c_int> {
        if !SCHEDULERS.contains(&self.scheduler.as_str()) {
            return Err(ENOENT);
        }
        if let Some(engine) = &self.engine
            && !ENGINES.contains(&engine.as_str())
        {
            return Err(ENOENT);
        }
        let prefix = u32::from_ne_bytes(self.netmask);
        if is_ipv6(af) && !(1..=128).contains(&prefix) {
            return Err(EINVAL);
        }
        Ok(())
    }
}

/// A service and its servers.
#[derive(Clone, Debug)]
pub struct Service {
    /// What it is known by.
    pub key: Key,
    /// What it does.
    pub policy: Policy,
    /// The one added last is first.
    pub servers: Vec<Server>,
}

/// What a server is known by. Port and address are in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerKey {
    /// Address family.
    pub af: u16,
    /// IPv4 in the first four bytes.
    pub addr: [u8; 16],
    /// Zero: that of the packet.
    pub port: [u8; 2],
}

/// A real server.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// What it is known by.
    pub key: ServerKey,
    /// `IP_VS_CONN_F_*` of its forwarding method.
    pub method: u32,
    /// Negative ones are refused.
    pub weight: i32,
    /// Zero: none.
    pub upper: u32,
    /// Zero: none.
    pub lower: u32,
    /// `IP_VS_CONN_F_TUNNEL_TYPE_*`.
    pub tunnel: u8,
    /// Of GUE, in network order.
    pub tunnel_port: [u8; 2],
    /// `IP_VS_TUNNEL_ENCAP_FLAG_*`.
    pub tunnel_flags: u16,
}

impl Server {
    fn check(&self) -> Result<(), c_int> {
        if self.weight < 0 || self.lower > self.upper {
            return Err(ERANGE);
        }
        if self.tunnel == GUE && self.tunnel_port == [0; 2] {
            return Err(EINVAL);
        }
        Ok(())
    }
}

/// A connection synchronisation daemon.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Of its multicast.
    pub interface: String,
    /// Of its group of directors.
    pub id: u32,
    /// Longest message in bytes.
    pub maxlen: u16,
    /// Four or sixteen bytes.
    pub group: Vec<u8>,
    /// In the machine's order.
    pub port: u16,
    /// Of its packets.
    pub ttl: u8,
}

impl Table {
    /// The service of this key.
    ///
    /// # Errors
    /// ESRCH if there is none.
    pub fn service(&mut self, key: &Key) -> Result<&mut Service, c_int> {
        self.services
            .iter_mut()
            .find(|s| s.key == *key)
            .ok_or(ESRCH)
    }

    /// Adds a service without servers.
    ///
    /// # Errors
    /// EEXIST, and those of its policy.
    pub fn add_service(&mut self, key: Key, policy: Policy) -> Result<(), c_int> {
        if self.service(&key).is_ok() {
            return Err(EEXIST);
        }
        policy.check(key.af())?;
        let servers = Vec::new();
        self.services.push(Service {
            key,
            policy,
            servers,
        });
        Ok(())
    }

    /// Replaces what a service does.
    ///
    /// # Errors
    /// ESRCH, and those of its policy.
    pub fn edit_service(&mut self, key: &Key, policy: Policy) -> Result<(), c_int> {
        let service = self.service(key)?;
        policy.check(key.af())?;
        service.policy = policy;
        Ok(())
    }

    /// Removes a service.
    ///
    /// # Errors
    /// ESRCH if there is none.
    pub fn delete_service(&mut self, key: &Key) -> Result<(), c_int> {
        self.service(key)?;
        self.services.retain(|s| s.key != *key);
        Ok(())
    }

    /// A service that may have servers of this family forwarded to in this way.
    ///
    /// # Errors
    /// ESRCH if there is no such service; EINVAL for servers of the other family, unless by a tunnel and
    /// while no daemon runs.
    pub fn service_for(&mut self, key: &Key, af: u16, method: u32) -> Result<&mut Service, c_int> {
        let synchronised = self.daemons.iter().any(Option::is_some);
        let service = self.service(key)?;
        if af != service.key.af() && (synchronised || method != TUNNEL) {
            return Err(EINVAL);
        }
        Ok(service)
    }

    /// Starts the daemon of a role: 0 master, 1 backup.
    ///
    /// # Errors
    /// EINVAL while there are servers of another family than their service's, EEXIST if it runs already.
    pub fn start_daemon(&mut self, role: usize, daemon: Daemon) -> Result<(), c_int> {
        let mixed = |s: &Service| s.servers.iter().any(|server| server.key.af != s.key.af());
        if self.services.iter().any(mixed) {
            return Err(EINVAL);
        }
        let place = self.daemons.get_mut(role).ok_or(EINVAL)?;
        if place.is_some() {
            return Err(EEXIST);
        }
        *place = Some(daemon);
        Ok(())
    }

    /// Stops the daemon of a role.
    ///
    /// # Errors
    /// ESRCH if it does not run.
    pub fn stop_daemon(&mut self, role: usize) -> Result<(), c_int> {
        let place = self.daemons.get_mut(role).ok_or(EINVAL)?;
        place.take().map(drop).ok_or(ESRCH)
    }
}

impl Service {
    /// Adds a server.
    ///
    /// # Errors
    /// ERANGE and EINVAL for its values, EEXIST, EINVAL for an address that can be nobody's.
    pub fn add(&mut self, server: Server) -> Result<(), c_int> {
        server.check()?;
        if self.servers.iter().any(|s| s.key == server.key) {
            return Err(EEXIST);
        }
        if !is_unicast(&server.key) {
            return Err(EINVAL);
        }
        self.servers.insert(0, server);
        Ok(())
    }

    /// Replaces everything about a server but its key.
    ///
    /// # Errors
    /// ERANGE and EINVAL for its values, ENOENT.
    pub fn edit(&mut self, server: Server) -> Result<(), c_int> {
        server.check()?;
        let old = self.servers.iter_mut().find(|s| s.key == server.key);
        *old.ok_or(ENOENT)? = server;
        Ok(())
    }

    /// Removes a server.
    ///
    /// # Errors
    /// ENOENT if there is none.
    pub fn remove(&mut self, key: &ServerKey) -> Result<(), c_int> {
        let place = self.servers.iter().position(|s| s.key == *key);
        self.servers.remove(place.ok_or(ENOENT)?);
        Ok(())
    }
}

fn is_ipv6(af: u16) -> bool {
    c_int::from(af) == libc::AF_INET6
}

/// Whether a host may have this address. Nothing here is local, so link-local IPv6 is refused.
fn is_unicast(server: &ServerKey) -> bool {
    if is_ipv6(server.af) {
        let ip = Ipv6Addr::from(server.addr);
        let mapped = ip.to_ipv4_mapped().is_some();
        !(ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() || mapped)
    } else {
        let [a, b, c, d, ..] = server.addr;
        let ip = Ipv4Addr::new(a, b, c, d);
        !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast())
    }
}
