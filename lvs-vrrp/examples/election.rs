//! Three hosts elect a master over a link that loses every fifth packet. Nothing leaves the process: the link is a queue, the clock a
//! number.
//!
//! It shows what a driver of a [`Speaker`] does: it hands in what comes, wakes it at its deadlines, and carries out what it puts out.
//!
//! ```text
//! cargo run -p lvs-vrrp --example election
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use lvs_vrrp::Time;
use lvs_vrrp::config::{Config, RouterConfig};
use lvs_vrrp::event::Output;
use lvs_vrrp::packet::Received;
use lvs_vrrp::speaker::Speaker;

fn main() {
    election(|line| println!("{line}"));
}

/// The story of an election, line by line.
pub(crate) fn election(mut tell: impl FnMut(String)) {
    let mut link = Link::default();
    for priority in [200, 150, 100] {
        link.hosts.push(Host::new(link.hosts.len(), priority));
    }
    for host in 0..3 {
        link.with(host, &mut tell, |speaker, now, out| speaker.start(now, out));
    }
    link.run(Duration::from_secs(20), &mut tell);
    tell("The first host loses its power.".to_owned());
    link.hosts[0].has_power = false;
    link.run(Duration::from_secs(20), &mut tell);
    tell("It has it back, and begins anew.".to_owned());
    link.hosts[0] = Host::new(0, 200);
    link.with(0, &mut tell, |speaker, now, out| speaker.start(now, out));
    link.run(Duration::from_secs(20), &mut tell);
    tell("It is told to stop.".to_owned());
    link.with(0, &mut tell, |speaker, now, out| speaker.stop(now, out));
    link.run(Duration::from_secs(20), &mut tell);
}

/// A host with one virtual router.
struct Host {
    speaker: Speaker,
    address: IpAddr,
    has_power: bool,
}

impl Host {
    fn new(number: usize, priority: u8) -> Self {
        let service = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100));
        let router = RouterConfig {
            priority,
            ..RouterConfig::new("service", 51, vec![service])
        };
        let config = Config {
            routers: vec![Arc::new(router)],
            ..Config::default()
        };
        let mut speaker = Speaker::new(config, number as u64);
        let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, number as u8 + 1));
        if let Some(id) = speaker.id("service") {
            // It has not been started, so it puts nothing out.
            speaker.source(id, Some(address), Time::ZERO, &mut Vec::new());
        }
        Self {
            speaker,
            address,
            has_power: true,
        }
    }
}

/// The hosts, what is under way between them, and the time.
#[derive(Default)]
struct Link {
    hosts: Vec<Host>,
    /// When what arrives at which host.
    under_way: BTreeMap<(Time, u64), (usize, Packet)>,
    sent: u64,
    now: Time,
}

#[derive(Clone)]
struct Packet {
    from: IpAddr,
    to: IpAddr,
    bytes: Arc<[u8]>,
}

impl Link {
    /// How long a packet is under way.
    const DELAY: Duration = Duration::from_millis(1);

    fn run(&mut self, time: Duration, tell: &mut impl FnMut(String)) {
        let end = self.now + time;
        loop {
            let arrival = self.under_way.keys().next().map(|(at, _)| *at);
            let timer = (0..self.hosts.len())
                .filter(|host| self.hosts[*host].has_power)
                .filter_map(|host| Some((self.hosts[host].speaker.next_deadline()?, host)))
                .min();
            // What has come is handed in before the clock is looked at.
            match (arrival, timer) {
                (Some(at), timer) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                    self.now = at;
                    self.deliver(tell);
                }
                (_, Some((due, host))) if due <= end => {
                    self.now = self.now.max(due);
                    self.with(host, tell, |speaker, now, out| speaker.elapsed(now, out));
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, tell: &mut impl FnMut(String)) {
        let Some((_, (host, packet))) = self.under_way.pop_first() else {
            return;
        };
        self.with(host, tell, |speaker, now, out| {
            // There is one virtual router; otherwise `packet::vrid_of` says whose it is.
            let Some(id) = speaker.id("service") else {
                return;
            };
            let received = Received {
                from: packet.from,
                to: Some(packet.to),
                hop_limit: Some(255),
                bytes: &packet.bytes,
            };
            speaker.received(id, &received, now, out);
        });
    }

    /// Lets a host's speaker act, and carries out what it puts out.
    fn with(
        &mut self,
        number: usize,
        tell: &mut impl FnMut(String),
        act: impl FnOnce(&mut Speaker, Time, &mut Vec<Output>),
    ) {
        let host = &mut self.hosts[number];
        if !host.has_power {
            return;
        }
        let from = host.address;
        let mut out = Vec::new();
        act(&mut host.speaker, self.now, &mut out);
        for output in out {
            match output {
                Output::Send { to, bytes, .. } => self.send(number, from, to, &bytes),
                // Here a master would take the addresses, and who was one would give them up.
                Output::Entered { from, to, why, .. } => {
                    let time = self.now.as_secs_f64();
                    tell(format!(
                        "{time:7.3} s  host {}: {from} → {to}: {why}",
                        number + 1
                    ));
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, host: usize, from: IpAddr, to: IpAddr, bytes: &[u8]) {
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            self.sent += 1;
            if !self.sent.is_multiple_of(5) {
                let bytes = bytes.into();
                let packet = Packet { from, to, bytes };
                let at = self.now + Self::DELAY;
                self.under_way.insert((at, self.sent), (other, packet));
            }
        }
    }
}
