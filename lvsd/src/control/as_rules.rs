//! Services and servers as the rules that make them.

use std::time::Duration;

use lvs_core::dest::GueChecksum;
use lvs_core::service::{Engine, ServiceTimeouts};
use lvs_core::{DestOptions, Encapsulation, LocalAddr, Persistence, ServiceKey, ServiceOptions};

use super::table::{Checksum, LocalAddress, OwnTimeouts, Server, Service, Tunnel};
use crate::rules::{SchedulerFlags, ServerRule, ServiceRule};

impl Service {
    /// The rule that makes it, without its servers.
    pub fn rule(&self) -> ServiceRule {
        let flag = |flags: SchedulerFlags, name: &String| {
            // A newer daemon may know more flags than we do.
            flags.with(name, &self.scheduler).unwrap_or(flags)
        };
        let local = |l: &LocalAddress| LocalAddr {
            ip: l.address,
            first_port: l.first_port,
            last_port: l.last_port,
        };
        ServiceRule {
            key: ServiceKey::from(self.key),
            scheduler: self.scheduler.clone(),
            flags: self.flags.iter().fold(SchedulerFlags::NONE, flag),
            unknown_engine: None,
            options: ServiceOptions {
                persistence: self.persistence.as_ref().map(|p| Persistence {
                    timeout: Duration::from_secs(p.timeout),
                    prefix: p.prefix,
                    engine: p.engine.as_deref().and_then(engine),
                }),
                one_packet: self.one_packet,
                local_addrs: self.local_addresses.iter().map(local).collect(),
                timeouts: self.timeouts.into(),
            },
            servers: Vec::new(),
        }
    }
}

fn engine(name: &str) -> Option<Engine> {
    (name == Engine::Sip.name()).then_some(Engine::Sip)
}

impl Server {
    /// The rule that makes it.
    pub fn rule(&self) -> ServerRule {
        let options = DestOptions {
            encapsulation: self.tunnel.map_or(Encapsulation::Ipip, Encapsulation::from),
            upper: self.upper,
            lower: self.lower,
            ..DestOptions::new(self.method, self.weight)
        };
        ServerRule {
            addr: self.endpoint(),
            options,
        }
    }
}

impl From<OwnTimeouts> for ServiceTimeouts {
    fn from(t: OwnTimeouts) -> Self {
        let time = |seconds: Option<u64>| seconds.map(Duration::from_secs);
        Self {
            tcp: time(t.tcp),
            tcp_fin: time(t.tcp_fin),
            udp: time(t.udp),
        }
    }
}

impl From<Tunnel> for Encapsulation {
    fn from(tunnel: Tunnel) -> Self {
        match tunnel {
            Tunnel::Ipip => Self::Ipip,
            Tunnel::Gre { checksum } => Self::Gre {
                checksum: checksum == Checksum::Full,
            },
            Tunnel::Gue { port, checksum } => Self::Gue {
                port,
                checksum: match checksum {
                    Checksum::None => GueChecksum::None,
                    Checksum::Full => GueChecksum::Full,
                    Checksum::Remote => GueChecksum::Remote,
                },
            },
        }
    }
}
