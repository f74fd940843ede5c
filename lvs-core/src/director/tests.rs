//! The director through its public interface only, in virtual time: stories first, then random walks beside
//! a simple model, then many threads.

mod accounts;
mod bursts;
mod explain;
mod helpers;
mod life;
mod listing;
mod local_ports;
mod methods;
mod model;
mod persistence;
mod removal;
mod settings;
mod shards;
mod standby;
mod threads;
mod unusual;

use crate::Chunk;
use crate::DestOptions;
use crate::ServiceOptions;
use crate::sched::Arrival;
use std::sync::Arc;
use std::time::Duration;

use crate::sched::{Edit, Scheduler};
use crate::state::State;
use crate::stats::Totals;
use crate::*;

pub(super) const SYN: TcpFlags = TcpFlags::SYN;
pub(super) const ACK: TcpFlags = TcpFlags::ACK;
pub(super) const RST: TcpFlags = TcpFlags::RST;
pub(super) const SYN_ACK: TcpFlags = SYN.with(ACK);
pub(super) const FIN: TcpFlags = TcpFlags::FIN.with(ACK);
pub(super) const NONE: TcpFlags = TcpFlags(0);

pub(super) const CLIENT: &str = "10.9.1.2:40000";
pub(super) const VIP: &str = "10.9.0.100:80";
pub(super) const R1: &str = "10.10.0.11:8080";
pub(super) const R2: &str = "10.10.0.12:8080";
pub(super) const LIP: &str = "10.10.0.2";

/// The fewest connections, active ones counted 256 times; the first of equals. It follows counts, so a
/// wrong count shows as a wrong choice.
#[derive(Debug, Default)]
pub(crate) struct Least {
    pub(crate) heard: Vec<Edit>,
    pub(crate) settled: usize,
}

impl Scheduler for Least {
    fn name(&self) -> &'static str {
        "least"
    }

    fn pick(&self, dests: &[Dest], _: &Arrival<'_>) -> Option<usize> {
        let eligible = (0..dests.len()).filter(|&i| dests[i].is_eligible());
        eligible.min_by_key(|&i| 256 * dests[i].active() + dests[i].inactive())
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        Box::new(Self::default())
    }

    fn edited(&mut self, _: &[Dest], edit: Edit) {
        self.heard.push(edit);
    }

    fn settle(&mut self, _: &[Dest]) {
        self.settled += 1;
    }
}

pub(crate) fn ep(s: &str) -> Endpoint {
    s.parse().unwrap()
}

pub(super) fn ip(s: &str) -> Ip {
    s.parse().unwrap()
}

pub(super) fn ports(ip: &str, first_port: u16, last_port: u16) -> LocalAddr {
    LocalAddr {
        ip: self::ip(ip),
        first_port,
        last_port,
    }
}

pub(super) fn segment(protocol: Protocol, src: &str, dst: &str, flags: TcpFlags) -> Segment {
    Segment {
        src: ep(src),
        dst: ep(dst),
        len: 100,
        protocol,
        flags,
        kind: Kind::Packet,
        chunk: Chunk::Data,
        mark: 0,
        tag: 0,
    }
}

pub(super) fn tcp(src: &str, dst: &str, flags: TcpFlags) -> Segment {
    segment(Protocol::TCP, src, dst, flags)
}

pub(super) fn udp(src: &str, dst: &str) -> Segment {
    segment(Protocol::UDP, src, dst, NONE)
}

pub(super) fn forward(direction: Direction, rewrite: Rewrite) -> Verdict {
    Verdict::Forward(Forward {
        direction,
        rewrite,
        helper: None,
    })
}

/// NAT to a real server.
pub(super) fn to(server: &str) -> Verdict {
    let dst = Some(ep(server));
    forward(Direction::In, Rewrite::Nat { src: None, dst })
}

/// NAT back from a real server, as the virtual service.
pub(super) fn back(virt: &str) -> Verdict {
    let src = Some(ep(virt));
    forward(Direction::Out, Rewrite::Nat { src, dst: None })
}

pub(super) const NOT_OURS: Verdict = Verdict::Pass(PassReason::NotOurs);
pub(super) const NO_CONNECTION: Verdict = Verdict::Pass(PassReason::NoConnection);

/// A director, its workers and a clock.
pub(super) struct Lab {
    pub(super) director: Arc<Director>,
    pub(super) workers: Vec<Worker>,
    pub(super) now: Time,
}

impl Lab {
    pub(super) fn with(settings: &Settings) -> Self {
        let director = Director::new(settings);
        let workers = std::iter::from_fn(|| director.worker()).collect();
        Self {
            director,
            workers,
            now: Time::from_secs(1000),
        }
    }

    /// One worker and a TCP service at [`VIP`] whose servers, the first added last, have weight 1.
    pub(super) fn tcp(method: Method, servers: &[&str]) -> Self {
        let mut lab = Self::with(&Settings::default());
        lab.serve(ServiceKey::tcp(ep(VIP)), method, servers);
        lab
    }

    /// Adds a service, FullNAT's with all ports of [`LIP`].
    pub(super) fn serve(&mut self, key: ServiceKey, method: Method, servers: &[&str]) {
        self.edit(|d| {
            let local = LocalAddr::new(ip(LIP));
            let local = (method == Method::FullNat).then_some(local);
            d.add_service(
                key,
                Box::new(Least::default()),
                ServiceOptions::with_local_addrs(local.as_slice()),
            )?;
            for server in servers.iter().rev() {
                d.add_dest(key, ep(server), &DestOptions::new(method, 1))?;
            }
            Ok(())
        });
    }

    /// Makes a change that must succeed.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Draft<'_>) -> Result<(), ConfigError>) {
        self.director.edit(change).unwrap();
    }

    /// What the first worker decides about one packet.
    pub(super) fn see(&mut self, s: Segment) -> Verdict {
        self.see_all(&[s])[0]
    }

    /// What the first worker decides about a burst.
    pub(super) fn see_all(&mut self, burst: &[Segment]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        self.workers[0].decide(self.now, burst, &mut verdicts);
        assert_eq!(verdicts.len(), burst.len());
        verdicts
    }

    pub(super) fn tcp_in(&mut self, flags: TcpFlags) -> Verdict {
        self.see(tcp(CLIENT, VIP, flags))
    }

    pub(super) fn tcp_out(&mut self, flags: TcpFlags) -> Verdict {
        self.see(tcp(R1, CLIENT, flags))
    }

    /// Time passes, and nobody looks at the timers.
    pub(super) fn idle(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
    }

    /// Time passes, and what has expired is removed.
    pub(super) fn wait(&mut self, ms: u64) {
        self.idle(ms);
        for w in &self.workers {
            while !w.expire(self.now, 1000) {}
        }
    }

    pub(super) fn connections(&self) -> Vec<ConnInfo> {
        let mut all = Vec::new();
        self.director.connections(self.now, |c| all.push(c));
        all
    }

    /// The only connection.
    pub(super) fn connection(&self) -> ConnInfo {
        let [c] = &self.connections()[..] else {
            panic!("{:?}", self.connections())
        };
        c.clone()
    }

    /// The connection of a client that has only one.
    pub(super) fn connection_of(&self, client: &str) -> ConnInfo {
        let mut all = self.connections().into_iter();
        all.find(|c| c.client == ep(client)).unwrap()
    }

    pub(super) fn dest(&self, server: &str) -> Dest {
        let config = self.director.config();
        let all = config.services().into_iter().flat_map(|s| s.dests());
        all.into_iter()
            .find(|d| d.addr() == ep(server))
            .unwrap()
            .clone()
    }

    /// Active and inactive connections of a server.
    pub(super) fn counts(&self, server: &str) -> (u64, u64) {
        let d = self.dest(server);
        (d.active(), d.inactive())
    }

    pub(super) fn totals(&self, server: &str) -> Totals {
        self.dest(server).live().stats().totals()
    }
}
