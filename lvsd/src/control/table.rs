//! The table of services as it is told: the daemon's side makes it, the client's side prints it, `--json` shows it as it is.
//!
//! docs/control.md describes every field for users.

use std::collections::BTreeMap;
use std::time::Duration;

use lvs_core::dest::GueChecksum;
use lvs_core::service::{Engine, ServiceTimeouts};
use lvs_core::state::State;
use lvs_core::{
    Config, Dest, Director, Encapsulation, Endpoint, Family, Ip, Method, Protocol, ServiceKey,
    Sysctls, stats,
};
use serde::{Deserialize, Serialize};

use super::text;
use crate::rules::MarkRule;

/// All services, and what is configured and counted for the director as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Table {
    /// The daemon's version.
    pub lvsd: String,
    /// How many connections there are.
    pub connections: u64,
    /// How many persistence templates there are.
    pub templates: u64,
    /// Seconds that connections are kept without traffic.
    pub timeouts: Timeouts,
    /// Counters of all services together.
    pub totals: Counters,
    /// What was counted in a second of late.
    pub rates: Counters,
    /// Settings of IPVS (`net.ipv4.vs.…`) that are not the default.
    pub settings: BTreeMap<String, String>,
    /// Rules for marks as lines of a rule file, in order.
    pub marks: Vec<String>,
    /// The services, in no particular order.
    pub services: Vec<Service>,
}

/// Timeouts in seconds (`ipvsadm --set`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "ipvsadm's three")]
pub struct Timeouts {
    /// Of established TCP connections.
    pub tcp: u64,
    /// Of TCP connections that a FIN was seen of.
    pub tcp_fin: u64,
    /// Of UDP.
    pub udp: u64,
}

/// A service's own timeouts in seconds; those that are not given are the director's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "ipvsadm's three")]
pub struct OwnTimeouts {
    /// Of established TCP connections.
    pub tcp: Option<u64>,
    /// Of TCP connections that a FIN was seen of.
    pub tcp_fin: Option<u64>,
    /// Of UDP.
    pub udp: Option<u64>,
}

/// Counters since they were last zeroed, or rates in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "IPVS's five")]
pub struct Counters {
    /// Connections.
    pub conns: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets from servers.
    pub out_packets: u64,
    /// Bytes from clients.
    pub in_bytes: u64,
    /// Bytes from servers.
    pub out_bytes: u64,
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Service {
    /// What identifies it.
    #[serde(flatten)]
    pub key: Key,
    /// Its scheduler.
    pub scheduler: String,
    /// The scheduler's flags by name.
    pub flags: Vec<String>,
    /// Whether and how clients are kept on one server.
    pub persistence: Option<Persistence>,
    /// Whether each packet is scheduled anew.
    pub one_packet: bool,
    /// Local addresses of FullNAT.
    pub local_addresses: Vec<LocalAddress>,
    /// Timeouts of its own.
    pub timeouts: OwnTimeouts,
    /// Counters.
    pub totals: Counters,
    /// What was counted in a second of late.
    pub rates: Counters,
    /// The servers, as the scheduler has them: the one added last is first.
    pub servers: Vec<Server>,
}

/// What identifies a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "protocol", rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "all that IPVS has")]
pub enum Key {
    /// An address of TCP.
    Tcp(Address),
    /// An address of UDP.
    Udp(Address),
    /// An address of SCTP.
    Sctp(Address),
    /// A firewall mark.
    Fwm(Mark),
}

/// Address and port of a service; port 0 is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Address {
    /// The address.
    #[serde(with = "text")]
    pub address: Ip,
    /// The port.
    pub port: u16,
}

/// A firewall mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Mark {
    /// Whether it is for IPv6.
    pub ipv6: bool,
    /// The mark.
    pub mark: u32,
}

/// How clients are kept on one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Persistence {
    /// For how many seconds.
    pub timeout: u64,
    /// Clients with so many leading bits in common count as one.
    pub prefix: u8,
    /// The persistence engine.
    pub engine: Option<String>,
}

/// A local address of FullNAT and the ports used on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct LocalAddress {
    /// The address.
    #[serde(with = "text")]
    pub address: Ip,
    /// The lowest port.
    pub first_port: u16,
    /// The highest port.
    pub last_port: u16,
}

/// A real server of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Server {
    /// Its address.
    #[serde(with = "text")]
    pub address: Ip,
    /// Its port; 0 keeps the packet's own.
    pub port: u16,
    /// How packets get there.
    #[serde(with = "method")]
    pub method: Method,
    /// The kind of tunnel, with [`Method::Tunnel`].
    pub tunnel: Option<Tunnel>,
    /// Its weight.
    pub weight: u32,
    /// At this many connections it gets no new ones; 0 is no limit.
    pub upper: u32,
    /// Below this many it gets new ones again.
    pub lower: u32,
    /// Whether it gets no new ones for that reason.
    pub overloaded: bool,
    /// Connections in a state like ESTABLISHED (ipvsadm: ActiveConn).
    pub active: u64,
    /// Other connections (ipvsadm: InActConn).
    pub inactive: u64,
    /// Persistence templates (ipvsadm: PersistConn).
    pub persistent: u64,
    /// Counters.
    pub totals: Counters,
    /// What was counted in a second of late.
    pub rates: Counters,
}

/// The kind of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "IPVS's three")]
pub enum Tunnel {
    /// IP in IP.
    Ipip,
    /// Generic routing encapsulation.
    Gre {
        /// Its checksum.
        checksum: Checksum,
    },
    /// Generic UDP encapsulation.
    Gue {
        /// The UDP port.
        port: u16,
        /// Its checksum.
        checksum: Checksum,
    },
}

/// How a tunnel uses its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "IPVS's three")]
pub enum Checksum {
    /// Not at all.
    None,
    /// In full.
    Full,
    /// The inner packet's is left to the receiver.
    Remote,
}

impl Table {
    /// The director's at this moment.
    pub fn of(director: &Director, marks: &[MarkRule]) -> Self {
        let config = director.config();
        let seconds = |state| config.timeouts().of(state).as_secs();
        let usual = Sysctls::default();
        let setting = |name: &str| {
            let value = config.sysctls().get(name)?;
            (usual.get(name).as_ref() != Some(&value)).then(|| (name.to_owned(), value))
        };
        Self {
            lvsd: env!("CARGO_PKG_VERSION").to_owned(),
            connections: director.connection_count() as u64,
            templates: director.template_count() as u64,
            timeouts: Timeouts {
                tcp: seconds(State::Established),
                tcp_fin: seconds(State::FinWait),
                udp: seconds(State::Udp),
            },
            totals: director.stats().totals().into(),
            rates: director.stats().rates().into(),
            settings: Sysctls::NAMES
                .iter()
                .filter_map(|known| setting(known.name))
                .collect(),
            marks: marks
                .iter()
                .map(|m| m.to_string().trim_end().to_owned())
                .collect(),
            services: Service::all(&config),
        }
    }
}

impl Service {
    /// All services at this moment, in no particular order.
    pub fn all(config: &Config) -> Vec<Self> {
        let all = config.services().into_iter();
        all.map(|s| Self::of(s)).collect()
    }

    /// The service at this moment.
    pub fn of(service: &lvs_core::Service) -> Self {
        let options = service.options();
        let local = |l: &lvs_core::LocalAddr| LocalAddress {
            address: l.ip,
            first_port: l.first_port,
            last_port: l.last_port,
        };
        Self {
            key: service.key().into(),
            scheduler: service.scheduler().name().to_owned(),
            flags: service
                .scheduler()
                .flags()
                .iter()
                .map(|&f| f.to_owned())
                .collect(),
            persistence: options.persistence.map(|p| Persistence {
                timeout: p.timeout.as_secs(),
                prefix: p.prefix,
                engine: p.engine.map(|e: Engine| e.name().to_owned()),
            }),
            one_packet: options.one_packet,
            local_addresses: options.local_addrs.iter().map(local).collect(),
            timeouts: options.timeouts.into(),
            totals: service.live().stats().totals().into(),
            rates: service.live().stats().rates().into(),
            servers: service.dests().iter().map(Server::of).collect(),
        }
    }
}

impl Server {
    /// The server at this moment.
    pub fn of(dest: &Dest) -> Self {
        let options = dest.options();
        Self {
            address: dest.addr().ip,
            port: dest.addr().port,
            method: options.method,
            tunnel: (options.method == Method::Tunnel).then(|| options.encapsulation.into()),
            weight: options.weight,
            upper: options.upper,
            lower: options.lower,
            overloaded: dest.live().is_overloaded(),
            active: dest.active(),
            inactive: dest.inactive(),
            persistent: dest.live().persistent(),
            totals: dest.live().stats().totals().into(),
            rates: dest.live().stats().rates().into(),
        }
    }

    /// Address and port.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.address, self.port)
    }
}

impl From<ServiceKey> for Key {
    fn from(key: ServiceKey) -> Self {
        match key {
            ServiceKey::Addr { protocol, addr } => {
                let at = Address {
                    address: addr.ip,
                    port: addr.port,
                };
                match protocol {
                    Protocol::UDP => Self::Udp(at),
                    Protocol::SCTP => Self::Sctp(at),
                    _ => Self::Tcp(at),
                }
            }
            ServiceKey::Mark { family, mark } => Self::Fwm(Mark {
                ipv6: family == Family::V6,
                mark,
            }),
        }
    }
}

impl From<Key> for ServiceKey {
    fn from(key: Key) -> Self {
        let of = |protocol, at: Address| Self::new(protocol, Endpoint::new(at.address, at.port));
        match key {
            Key::Tcp(at) => of(Protocol::TCP, at),
            Key::Udp(at) => of(Protocol::UDP, at),
            Key::Sctp(at) => of(Protocol::SCTP, at),
            Key::Fwm(Mark { ipv6, mark }) => Self::Mark {
                family: if ipv6 { Family::V6 } else { Family::V4 },
                mark,
            },
        }
    }
}

impl From<ServiceTimeouts> for OwnTimeouts {
    fn from(t: ServiceTimeouts) -> Self {
        let seconds = |t: Option<Duration>| t.map(|t| t.as_secs());
        Self {
            tcp: seconds(t.tcp),
            tcp_fin: seconds(t.tcp_fin),
            udp: seconds(t.udp),
        }
    }
}

impl From<Encapsulation> for Tunnel {
    fn from(e: Encapsulation) -> Self {
        match e {
            Encapsulation::Gre { checksum } => Self::Gre {
                checksum: if checksum {
                    Checksum::Full
                } else {
                    Checksum::None
                },
            },
            Encapsulation::Gue { port, checksum } => Self::Gue {
                port,
                checksum: match checksum {
                    GueChecksum::None => Checksum::None,
                    GueChecksum::Full => Checksum::Full,
                    GueChecksum::Remote => Checksum::Remote,
                },
            },
            _ => Self::Ipip,
        }
    }
}

impl From<stats::Totals> for Counters {
    fn from(t: stats::Totals) -> Self {
        let stats::Totals {
            conns,
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
        } = t;
        Self {
            conns,
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
        }
    }
}

impl From<stats::Rates> for Counters {
    fn from(r: stats::Rates) -> Self {
        let stats::Rates {
            conns,
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
        } = r;
        Self {
            conns,
            in_packets,
            out_packets,
            in_bytes,
            out_bytes,
        }
    }
}

/// For serde: forwarding methods by the names that `ipvsadm`'s options suggest.
pub(super) mod method {
    use lvs_core::Method;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const NAMES: [(&str, Method); 5] = [
        ("nat", Method::Nat),
        ("dr", Method::DirectRoute),
        ("tunnel", Method::Tunnel),
        ("fullnat", Method::FullNat),
        ("bypass", Method::Bypass),
    ];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's convention")]
    pub(in super::super) fn serialize<S: Serializer>(
        method: &Method,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        let name = NAMES.iter().find(|(_, m)| m == method);
        s.serialize_str(name.map_or("unknown", |(name, _)| name))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        d: D,
    ) -> Result<Method, D::Error> {
        let text = String::deserialize(d)?;
        let method = NAMES.iter().find(|(name, _)| *name == text);
        let method = method.map(|(_, method)| *method);
        method.ok_or_else(|| D::Error::custom(format_args!("{text:?} is no forwarding method")))
    }
}
