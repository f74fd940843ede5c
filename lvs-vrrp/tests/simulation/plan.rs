//! What a simulated world is made of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use lvs_vrrp::config::{
    Authentication, Config, Family, GroupConfig, Object, Peer, Preempt, RouterConfig, Tracked,
    Transport, Version,
};

use crate::random::Random;

/// Hosts that share one virtual router, or two in a group.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) version: Version,
    pub(crate) family: Family,
    pub(crate) interval: Duration,
    pub(crate) missing: u32,
    /// Virtual routers; several make a group.
    pub(crate) routers: usize,
    pub(crate) unicast: bool,
    pub(crate) password: bool,
    /// How fast clocks may be wrong, in millionths.
    pub(crate) drift: i64,
    pub(crate) hosts: Vec<HostPlan>,
}

#[derive(Clone, Debug)]
pub(crate) struct HostPlan {
    pub(crate) priority: u8,
    pub(crate) preempt: Preempt,
}

/// The script whose failure is a fault, and the one that only weighs.
pub(crate) const VITAL: &str = "vital";
pub(crate) const HEAVY: &str = "heavy";

impl Plan {
    /// Hosts of these priorities, and the rest as RFC 9568 has it.
    pub(crate) fn of(priorities: &[u8]) -> Self {
        let hosts = priorities.iter().map(|priority| HostPlan {
            priority: *priority,
            preempt: Preempt::Always,
        });
        Self {
            version: Version::V3,
            family: Family::V4,
            interval: Duration::from_secs(1),
            missing: 3,
            routers: 1,
            unicast: false,
            password: false,
            drift: 1_000,
            hosts: hosts.collect(),
        }
    }

    /// Anything, with two to five hosts. Priorities are at most 200: for why, see the statements.
    pub(crate) fn any(random: &mut Random) -> Self {
        let priorities: Vec<u8> = (0..2 + random.below(4))
            .map(|_| match random.chance(0.3) {
                true => 100,
                false => 1 + random.below(200) as u8,
            })
            .collect();
        let mut plan = Self::of(&priorities);
        plan.version = random.one_of(&[Version::V2, Version::V3]);
        if plan.version == Version::V3 {
            plan.family = random.one_of(&[Family::V4, Family::V6]);
            plan.interval = Duration::from_millis(random.one_of(&[10, 100, 250, 1_000, 5_000]));
        } else {
            plan.interval = Duration::from_secs(random.one_of(&[1, 2, 10]));
            plan.password = random.chance(0.5);
        }
        plan.missing = random.one_of(&[2, 3, 3, 3, 5]);
        plan.routers = random.one_of(&[1, 1, 2]);
        plan.unicast = random.chance(0.3);
        let delay = plan.interval * (1 + random.below(5) as u32);
        for host in &mut plan.hosts {
            host.preempt = random.one_of(&[
                Preempt::Always,
                Preempt::Always,
                Preempt::Never,
                Preempt::After(delay),
            ]);
        }
        plan
    }

    /// The longest that a packet is under way: well below the shortest skew time, which does not grow with the interval in version 2.
    pub(crate) fn delay(&self) -> Duration {
        match self.version {
            Version::V2 => Duration::from_secs(1) / 20,
            Version::V3 => self.interval / 20,
        }
    }

    /// The longest from one advertisement of a master to its next, by the true time.
    pub(crate) fn longest_interval(&self) -> Duration {
        self.stretched(self.interval)
    }

    /// What a time measured by a host's clock may be in truth.
    pub(crate) fn stretched(&self, time: Duration) -> Duration {
        time.mul_f64(1.0 + 1.1e-6 * self.drift as f64)
    }

    /// The longest that a backup waits.
    pub(crate) fn longest_wait(&self) -> Duration {
        self.stretched(
            self.interval * self.missing
                + self
                    .interval
                    .max(Duration::from_secs(u64::from(self.version == Version::V2))),
        )
    }

    pub(crate) fn address(&self, host: usize) -> IpAddr {
        let last = host as u16 + 1;
        match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, last as u8)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last)),
        }
    }

    pub(crate) fn host_of(&self, address: IpAddr) -> Option<usize> {
        (0..self.hosts.len()).find(|host| self.address(*host) == address)
    }

    pub(crate) fn vrid(router: usize) -> u8 {
        router as u8 + 1
    }

    pub(crate) fn name(router: usize) -> String {
        format!("r{}", router + 1)
    }

    /// A host's configuration.
    pub(crate) fn config(&self, host: usize) -> Config {
        let routers = (0..self.routers).map(|router| Arc::new(self.router(host, router)));
        let group = GroupConfig {
            name: "G".to_owned(),
            members: (0..self.routers).map(Self::name).collect(),
        };
        Config {
            routers: routers.collect(),
            groups: if self.routers > 1 {
                vec![group]
            } else {
                Vec::new()
            },
            startup_delay: Duration::ZERO,
        }
    }

    fn router(&self, host: usize, router: usize) -> RouterConfig {
        let address = match self.family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200)),
            Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x200)),
        };
        let tracked = |name: &str, weight| Tracked {
            object: Object::Script(name.to_owned()),
            weight,
            reverse: false,
        };
        let vital = match router {
            0 => vec![tracked(VITAL, 0)],
            _ => Vec::new(),
        };
        RouterConfig {
            family: self.family,
            version: self.version,
            priority: self.hosts[host].priority,
            interval: self.interval,
            missing: self.missing,
            preempt: self.hosts[host].preempt,
            transport: self.transport(host),
            authentication: match self.password {
                true => Authentication::Password(*b"secret\0\0"),
                false => Authentication::None,
            },
            tracking: [vital, vec![tracked(HEAVY, -40)]].concat(),
            ..RouterConfig::new(Self::name(router), Self::vrid(router), vec![address])
        }
    }

    fn transport(&self, host: usize) -> Transport {
        if !self.unicast {
            return Transport::multicast(self.family);
        }
        let others = (0..self.hosts.len()).filter(|other| *other != host);
        Transport::Unicast {
            peers: others
                .map(|other| Peer {
                    addr: self.address(other),
                    ttl: (0, 255),
                })
                .collect(),
            ttl: None,
            check_source: true,
        }
    }
}
