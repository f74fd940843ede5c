//! The generic netlink family IPVS: commands and answers.
//!
//! Numbers are those of the kernel's user interface, `linux/ip_vs.h`. The state file is simply the
//! requests that were carried out, one after the other; the table is what comes of them.

use libc::{EAFNOSUPPORT, EINVAL, c_int};

use crate::attributes::{Attributes, Writer};
use crate::table::{Daemon, Key, Policy, Server, ServerKey, Service, Table};

mod command {
    pub(super) const NEW_SERVICE: u8 = 1;
    pub(super) const SET_SERVICE: u8 = 2;
    pub(super) const DEL_SERVICE: u8 = 3;
    pub(super) const GET_SERVICE: u8 = 4;
    pub(super) const NEW_DEST: u8 = 5;
    pub(super) const SET_DEST: u8 = 6;
    pub(super) const DEL_DEST: u8 = 7;
    pub(super) const GET_DEST: u8 = 8;
    pub(super) const NEW_DAEMON: u8 = 9;
    pub(super) const DEL_DAEMON: u8 = 10;
    pub(super) const GET_DAEMON: u8 = 11;
    pub(super) const SET_CONFIG: u8 = 12;
    pub(super) const GET_CONFIG: u8 = 13;
    pub(super) const SET_INFO: u8 = 14;
    pub(super) const GET_INFO: u8 = 15;
    pub(super) const ZERO: u8 = 16;
    pub(super) const FLUSH: u8 = 17;
}

/// Attributes of a request.
mod request {
    pub(super) const SERVICE: u16 = 1;
    pub(super) const DEST: u16 = 2;
    pub(super) const DAEMON: u16 = 3;
    /// TCP; TCP after a FIN and UDP follow.
    pub(super) const TIMEOUT: u16 = 4;
}

mod service {
    pub(super) const AF: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const ADDR: u16 = 3;
    pub(super) const PORT: u16 = 4;
    pub(super) const FWMARK: u16 = 5;
    pub(super) const SCHEDULER: u16 = 6;
    /// Flags and which of them count.
    pub(super) const FLAGS: u16 = 7;
    pub(super) const TIMEOUT: u16 = 8;
    pub(super) const NETMASK: u16 = 9;
    pub(super) const STATS: u16 = 10;
    pub(super) const ENGINE: u16 = 11;
    pub(super) const STATS64: u16 = 12;
}

mod dest {
    pub(super) const ADDR: u16 = 1;
    pub(super) const PORT: u16 = 2;
    pub(super) const METHOD: u16 = 3;
    pub(super) const WEIGHT: u16 = 4;
    pub(super) const UPPER: u16 = 5;
    pub(super) const LOWER: u16 = 6;
    /// Active; inactive and persistent follow.
    pub(super) const CONNECTIONS: u16 = 7;
    pub(super) const STATS: u16 = 10;
    pub(super) const AF: u16 = 11;
    pub(super) const STATS64: u16 = 12;
    pub(super) const TUNNEL: u16 = 13;
    pub(super) const TUNNEL_PORT: u16 = 14;
    pub(super) const TUNNEL_FLAGS: u16 = 15;
}

mod daemon {
    pub(super) const STATE: u16 = 1;
    pub(super) const INTERFACE: u16 = 2;
    pub(super) const ID: u16 = 3;
    pub(super) const MAXLEN: u16 = 4;
    pub(super) const GROUP: u16 = 5;
    pub(super) const GROUP6: u16 = 6;
    pub(super) const PORT: u16 = 7;
    pub(super) const TTL: u16 = 8;
}

/// `IP_VS_VERSION_CODE` of every kernel since 2.6.28: 1.2.1.
const VERSION: u32 = 0x0001_0201;
const CONNECTION_TABLE_SIZE: u32 = 4096;

/// Counters of every service and server, in the order of the attributes: connections, packets and
/// bytes, their rates; then active, inactive and persistent connections.
pub type Counters = [u64; 13];

/// A table and the requests it came from.
#[derive(Debug, Default)]
pub struct Family {
    table: Table,
    history: Vec<u8>,
    counters: Counters,
}

impl Family {
    /// The table that comes of a history.
    pub fn new(history: &[u8], counters: Counters) -> Self {
        let mut family = Self {
            counters,
            ..Self::default()
        };
        let mut rest = history;
        while let Some(length) = rest.first_chunk().map(|l| u32::from_ne_bytes(*l) as usize) {
            let Some(message) = rest.get(..length).filter(|m| !m.is_empty()) else {
                break;
            };
            // It was carried out once; so it is again.
            let _ = family.answer(message);
            rest = &rest[length..];
        }
        family
    }

    /// All requests that were carried out.
    pub fn history(&self) -> &[u8] {
        &self.history
    }

    /// Carries out a request; returns the messages it is answered by.
    ///
    /// # Errors
    /// The kernel's error number for a refusal.
    pub fn answer(&mut self, message: &[u8]) -> Result<Vec<Vec<u8>>, c_int> {
        let (command, dump, attributes) = Attributes::of_message(message).ok_or(EINVAL)?;
        match command {
            command::GET_SERVICE => self.services(dump, attributes),
            command::GET_DEST => Ok(self.servers(attributes)),
            command::GET_DAEMON => Ok(self.daemons()),
            command::GET_CONFIG => Ok(vec![self.timeouts()]),
            command::GET_INFO => Ok(vec![info()]),
            _ => {
                self.change(command, attributes)?;
                self.history.extend(message);
                Ok(Vec::new())
            }
        }
    }

    fn change(&mut self, command: u8, attributes: Attributes<'_>) -> Result<(), c_int> {
        let table = &mut self.table;
        match command {
            command::FLUSH => {
                table.services.clear();
                return Ok(());
            }
            command::SET_CONFIG => return set_timeouts(table, attributes),
            command::NEW_DAEMON | command::DEL_DAEMON => {
                let asked = attributes.nested(request::DAEMON).ok_or(EINVAL)?;
                return change_daemon(table, command == command::NEW_DAEMON, asked);
            }
            command::ZERO if attributes.get(request::SERVICE).is_none() => return Ok(()),
            _ => {}
        }

        let asked = attributes.nested(request::SERVICE).ok_or(EINVAL)?;
        let key = key(asked)?;
        match command {
            command::NEW_SERVICE => table.add_service(key, policy(asked, None)?),
            command::SET_SERVICE => {
                let old = table.service(&key)?;
                let policy = policy(asked, Some(old))?;
                table.edit_service(&key, policy)
            }
            command::DEL_SERVICE => table.delete_service(&key),
            command::ZERO => table.service(&key).map(drop),
            command::NEW_DEST | command::SET_DEST => {
                table.service(&key)?;
                let asked = attributes.nested(request::DEST).ok_or(EINVAL)?;
                let server = server(asked, key.af())?;
                let service = table.service_for(&key, server.key.af, server.method)?;
                match command {
                    command::NEW_DEST => service.add(server),
                    _ => service.edit(server),
                }
            }
            command::DEL_DEST => {
                let service = table.service(&key)?;
                let asked = attributes.nested(request::DEST).ok_or(EINVAL)?;
                service.remove(&server_key(asked, key.af())?)
            }
            _ => Err(EINVAL),
        }
    }

    fn services(&mut self, all: bool, attributes: Attributes<'_>) -> Result<Vec<Vec<u8>>, c_int> {
        if all {
            let services = self.table.services.iter();
            return Ok(services.map(|s| self.service(s)).collect());
        }
        let asked = attributes.nested(request::SERVICE).ok_or(EINVAL)?;
        let service = self.table.service(&key(asked)?)?.clone();
        Ok(vec![self.service(&service)])
    }

    /// The servers of a service; of an unknown one there are none.
    fn servers(&mut self, attributes: Attributes<'_>) -> Vec<Vec<u8>> {
        let asked = attributes.nested(request::SERVICE);
        let Some(key) = asked.and_then(|asked| key(asked).ok()) else {
            return Vec::new();
        };
        let servers = self.table.service(&key).map(|s| s.servers.clone());
        let servers = servers.unwrap_or_default();
        servers.iter().map(|server| self.server(server)).collect()
    }

    fn service(&self, service: &Service) -> Vec<u8> {
        let mut inner = Writer::new();
        inner = match service.key {
            Key::Endpoint {
                af,
                protocol,
                addr,
                port,
            } => inner
                .put(service::AF, &af.to_ne_bytes())
                .put(service::PROTOCOL, &protocol.to_ne_bytes())
                .put(service::ADDR, &addr)
                .put(service::PORT, &port),
            Key::Mark { af, mark } => inner
                .put(service::AF, &af.to_ne_bytes())
                .put(service::FWMARK, &mark.to_ne_bytes()),
        };
        let policy = &service.policy;
        inner = inner.put_text(service::SCHEDULER, &policy.scheduler);
        if let Some(engine) = &policy.engine {
            inner = inner.put_text(service::ENGINE, engine);
        }
        let flags = [policy.flags.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat();
        inner = inner
            .put(service::FLAGS, &flags)
            .put(service::TIMEOUT, &policy.timeout.to_ne_bytes())
            .put(service::NETMASK, &policy.netmask)
            .put_nested(service::STATS, &self.stats(false))
            .put_nested(service::STATS64, &self.stats(true));
        let outer = Writer::new().put_nested(request::SERVICE, &inner);
        outer.message(command::NEW_SERVICE)
    }

    fn server(&self, server: &Server) -> Vec<u8> {
        let mut inner = Writer::new()
            .put(dest::ADDR, &server.key.addr)
            .put(dest::PORT, &server.key.port)
            .put(dest::METHOD, &server.method.to_ne_bytes())
            .put(dest::WEIGHT, &server.weight.to_ne_bytes())
            .put(dest::UPPER, &server.upper.to_ne_bytes())
            .put(dest::LOWER, &server.lower.to_ne_bytes())
            .put(dest::AF, &server.key.af.to_ne_bytes())
            .put(dest::TUNNEL, &[server.tunnel])
            .put(dest::TUNNEL_PORT, &server.tunnel_port)
            .put(dest::TUNNEL_FLAGS, &server.tunnel_flags.to_ne_bytes());
        for (kind, count) in (dest::CONNECTIONS..).zip(&self.counters[10..]) {
            inner = inner.put(kind, &low_half(*count));
        }
        inner = inner
            .put_nested(dest::STATS, &self.stats(false))
            .put_nested(dest::STATS64, &self.stats(true));
        Writer::new()
            .put_nested(request::DEST, &inner)
            .message(command::NEW_DEST)
    }

    /// The older form has 64 bits for bytes only.
    fn stats(&self, wide: bool) -> Writer {
        let mut stats = Writer::new();
        for (kind, value) in (1..).zip(&self.counters[..10]) {
            stats = if wide || matches!(kind, 4 | 5) {
                stats.put(kind, &value.to_ne_bytes())
            } else {
                stats.put(kind, &low_half(*value))
            };
        }
        stats
    }

    fn daemons(&self) -> Vec<Vec<u8>> {
        let running = (1u32..).zip(&self.table.daemons);
        let running = running.filter_map(|(state, daemon)| Some((state, daemon.as_ref()?)));
        running
            .map(|(state, daemon)| {
                let group = match daemon.group.len() {
                    4 => daemon::GROUP,
                    _ => daemon::GROUP6,
                };
                let inner = Writer::new()
                    .put(daemon::STATE, &state.to_ne_bytes())
                    .put_text(daemon::INTERFACE, &daemon.interface)
                    .put(daemon::ID, &daemon.id.to_ne_bytes())
                    .put(daemon::MAXLEN, &daemon.maxlen.to_ne_bytes())
                    .put(group, &daemon.group)
                    .put(daemon::PORT, &daemon.port.to_ne_bytes())
                    .put(daemon::TTL, &[daemon.ttl]);
                let outer = Writer::new().put_nested(request::DAEMON, &inner);
                outer.message(command::NEW_DAEMON)
            })
            .collect()
    }

    fn timeouts(&self) -> Vec<u8> {
        let mut answer = Writer::new();
        for (kind, seconds) in (request::TIMEOUT..).zip(self.table.timeouts) {
            answer = answer.put(kind, &seconds.to_ne_bytes());
        }
        answer.message(command::SET_CONFIG)
    }
}

fn info() -> Vec<u8> {
    let answer = Writer::new()
        .put(1, &VERSION.to_ne_bytes())
        .put(2, &CONNECTION_TABLE_SIZE.to_ne_bytes());
    answer.message(command::SET_INFO)
}

fn low_half(value: u64) -> [u8; 4] {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "as the kernel's older attributes do"
    )]
    let low = value as u32;
    low.to_ne_bytes()
}

fn key(asked: Attributes<'_>) -> Result<Key, c_int> {
    let af = family(asked.u16(service::AF).ok_or(EINVAL)?)?;
    if let Some(mark) = asked.u32(service::FWMARK) {
        return Ok(Key::Mark { af, mark });
    }
    Ok(Key::Endpoint {
        af,
        protocol: asked.u16(service::PROTOCOL).ok_or(EINVAL)?,
        addr: asked.bytes(service::ADDR).ok_or(EINVAL)?,
        port: asked.bytes(service::PORT).ok_or(EINVAL)?,
    })
}

fn family(af: u16) -> Result<u16, c_int> {
    if [libc::AF_INET, libc::AF_INET6].contains(&c_int::from(af)) {
        Ok(af)
    } else {
        Err(EAFNOSUPPORT)
    }
}

/// What a service shall do. Flags that are not asked for stay.
fn policy(asked: Attributes<'_>, old: Option<&mut Service>) -> Result<Policy, c_int> {
    let pair: [u8; 8] = asked.bytes(service::FLAGS).ok_or(EINVAL)?;
    let [flags, mask] = [0, 4].map(|at| {
        let word = pair[at..].first_chunk().expect("there are eight bytes");
        u32::from_ne_bytes(*word)
    });
    let before = old.map_or(0, |service| service.policy.flags);
    Ok(Policy {
        scheduler: asked.text(service::SCHEDULER).ok_or(EINVAL)?,
        flags: before & !mask | flags & mask,
        timeout: asked.u32(service::TIMEOUT).ok_or(EINVAL)?,
        netmask: asked.bytes(service::NETMASK).ok_or(EINVAL)?,
        engine: asked.text(service::ENGINE).filter(|name| !name.is_empty()),
    })
}

fn server_key(asked: Attributes<'_>, af: u16) -> Result<ServerKey, c_int> {
    Ok(ServerKey {
        af: asked
            .u16(dest::AF)
            .filter(|af| *af != 0)
            .map_or(Ok(af), family)?,
        addr: asked.bytes(dest::ADDR).ok_or(EINVAL)?,
        port: asked.bytes(dest::PORT).ok_or(EINVAL)?,
    })
}

fn server(asked: Attributes<'_>, af: u16) -> Result<Server, c_int> {
    const METHODS: u32 = 7;
    Ok(Server {
        key: server_key(asked, af)?,
        method: asked.u32(dest::METHOD).ok_or(EINVAL)? & METHODS,
        weight: i32::from_ne_bytes(asked.bytes(dest::WEIGHT).ok_or(EINVAL)?),
        upper: asked.u32(dest::UPPER).ok_or(EINVAL)?,
        lower: asked.u32(dest::LOWER).ok_or(EINVAL)?,
        tunnel: asked.u8(dest::TUNNEL).unwrap_or_default(),
        tunnel_port: asked.bytes(dest::TUNNEL_PORT).unwrap_or_default(),
        tunnel_flags: asked.u16(dest::TUNNEL_FLAGS).unwrap_or_default(),
    })
}

/// Zero leaves a timeout as it is.
fn set_timeouts(table: &mut Table, asked: Attributes<'_>) -> Result<(), c_int> {
    for (kind, timeout) in (request::TIMEOUT..).zip(&mut table.timeouts) {
        let seconds = asked.u32(kind).ok_or(EINVAL)?;
        if seconds != 0 {
            *timeout = seconds;
        }
    }
    Ok(())
}

fn change_daemon(table: &mut Table, start: bool, asked: Attributes<'_>) -> Result<(), c_int> {
    let state = asked.u32(daemon::STATE).ok_or(EINVAL)?;
    let role = state.checked_sub(1).ok_or(EINVAL)? as usize;
    if !start {
        return table.stop_daemon(role);
    }
    let given = |kind| asked.get(kind).map(<[u8]>::to_vec);
    let group = given(daemon::GROUP).or_else(|| given(daemon::GROUP6));
    let daemon = Daemon {
        interface: asked.text(daemon::INTERFACE).ok_or(EINVAL)?,
        id: asked.u32(daemon::ID).ok_or(EINVAL)?,
        maxlen: asked
            .u16(daemon::MAXLEN)
            .filter(|n| *n != 0)
            .unwrap_or(1472),
        group: group.unwrap_or_else(|| vec![224, 0, 0, 81]),
        port: asked.u16(daemon::PORT).filter(|n| *n != 0).unwrap_or(8848),
        ttl: asked.u8(daemon::TTL).filter(|n| *n != 0).unwrap_or(1),
    };
    table.start_daemon(role, daemon)
}
