//! The control thread: follows the kernel and keeps everything else in step with it.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use lvs_core::{Config, Director, Ip, ServiceKey, Time};
use lvs_fwd::classify::Classifier;
use lvs_fwd::frame::PortId;
use lvs_fwd::hidden::Entry;
use lvs_fwd::io::netlink::{Monitor, Resolver};
use lvs_fwd::responder;
use lvs_fwd::route::{Interface, Topology};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::guard::{self, Guard};
use super::mailbox::{Mailbox, Order};
use super::{Clock, Error, entries, memory};
use crate::pulse::Pulse;

const TICK: Duration = Duration::from_secs(1);
/// How often an address is announced, a tick apart: an announcement may be lost, or come while a switch still
/// blocks the port.
const ANNOUNCEMENTS: u32 = 3;
/// The most next hops the kernel is told to keep resolved for us. Its neighbour table is one for all network
/// namespaces, holds 1024 entries of a family by default (`gc_thresh3`), and never gives up a managed one: it
/// must not be filled. Further servers are resolved on demand.
const MANAGED: usize = 512;
/// How long replies of a removed server are still hidden from the host: most of its connections have been
/// given up by then.
const LINGER: Duration = Duration::from_secs(120);
/// Changes that come one upon the other are followed together, so often: to look at everything takes its time.
const PACE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Control {
    monitor: Monitor,
    resolver: Resolver,
    ports: Vec<(PortId, u32)>,
    requests: Receiver<(u32, Ip)>,
    clock: Clock,
    director: Arc<Director>,
    topology: Arc<ArcSwap<Topology>>,
    classifier: Arc<ArcSwap<Classifier>>,
    guard: Arc<Mutex<Guard>>,
    stopping: Arc<AtomicBool>,
    poll: Poll,
    /// Addresses being announced, and how often they still will be.
    announcing: Vec<(Ip, u32)>,
    announced: HashSet<Ip>,
    /// What was followed last.
    followed: Option<(Arc<Config>, Arc<Classifier>, Arc<Topology>)>,
    lingering: HashMap<Entry, Time>,
    gone: HashSet<u32>,
    pulse: Arc<Pulse>,
    log: fn(&str),
}

impl Control {
    #[expect(
        clippy::too_many_arguments,
        reason = "everything the threads share meets here"
    )]
    pub(super) fn new(
        monitor: Monitor,
        ports: Vec<(PortId, u32)>,
        requests: Receiver<(u32, Ip)>,
        clock: Clock,
        director: Arc<Director>,
        topology: Arc<ArcSwap<Topology>>,
        classifier: Arc<ArcSwap<Classifier>>,
        guard: Arc<Mutex<Guard>>,
        stopping: Arc<AtomicBool>,
        log: fn(&str),
    ) -> Result<(Self, Arc<Mailbox>), Error> {
        let failed = |e| Error::System("epoll", e);
        let resolver = Resolver::new().map_err(|e| Error::System("netlink", e))?;
        let poll = Poll::new().map_err(failed)?;
        let fd = monitor.as_fd().as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), Token(0), Interest::READABLE)
            .map_err(failed)?;
        let waker = Waker::new(poll.registry(), Token(1)).map_err(failed)?;
        let mailbox = Arc::new(Mailbox::new(waker));
        let control = Self {
            monitor,
            resolver,
            ports,
            requests,
            clock,
            director,
            topology,
            classifier,
            guard,
            stopping,
            poll,
            announcing: Vec::new(),
            announced: HashSet::new(),
            followed: None,
            lingering: HashMap::new(),
            gone: HashSet::new(),
            pulse: Arc::default(),
            log,
        };
        Ok((control, mailbox))
    }

    /// Beats each time round.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    pub(super) fn run(mut self, workers: Vec<Arc<Mailbox>>) {
        let mut events = Events::with_capacity(4);
        let mut next_tick = self.clock.now();
        let mut next_look = next_tick;
        while !self.stopping.load(Relaxed) {
            self.pulse.beat();
            let now = self.clock.now();
            // An error (the kernel ran out of memory for us, say) may pass; the old tables serve meanwhile.
            if self.monitor.update().unwrap_or(false) {
                self.topology
                    .store(Arc::new(self.monitor.topology(&self.ports)));
                workers.iter().for_each(|w| w.wake());
            }
            while let Ok((ifindex, ip)) = self.requests.try_recv() {
                // A refusal (the interface has just gone) leaves the address unresolved, which is counted.
                let _ = self.resolver.resolve(ifindex, ip, now);
            }
            if now >= next_look && self.follow(now) {
                next_look = now + PACE;
            }
            if now >= next_tick {
                // Ticks do not drift, since rates are estimated from one to the next; but none is made up for.
                let late = now.since(next_tick) >= TICK;
                next_tick = if late { now } else { next_tick } + TICK;
                let _ = self.resolver.refresh(now);
                self.announce(&workers);
                let pages = memory::available_pages(self.director.config().sysctls());
                self.director.tick(now, pages);
            }
            let next = match next_look > now {
                true => next_look.min(next_tick),
                false => next_tick,
            };
            let _ = self.poll.poll(&mut events, Some(next.since(now)));
        }
    }

    /// Keeps guard and next hops in step with configuration and addresses. Returns whether there was anything to do.
    fn follow(&mut self, now: Time) -> bool {
        // Held from the first look at the configuration on: whoever changes it meanwhile sets its entries after us.
        let mut guard = guard::lock(&self.guard);
        let (config, topology) = (self.director.config(), self.topology.load_full());
        let classifier = self.classifier.load_full();
        let same = self.followed.as_ref().is_some_and(|(c, k, t)| {
            let same = Arc::ptr_eq(k, &classifier) && Arc::ptr_eq(t, &topology);
            same && (Arc::ptr_eq(c, &config) || entries::is_same(c, &config))
        });
        self.followed = Some((config.clone(), classifier.clone(), topology.clone()));
        let lingered = self.lingering.values().any(|until| *until <= now);
        if same && !lingered && !guard.is_lost() && !guard.has_more() {
            return false;
        }
        let entries = entries::of(entries::working(&config), &classifier, &topology);
        let current: HashSet<&Entry> = entries.iter().collect();
        let resting = entries::resting(&config, &classifier);
        for gone in entries::lingering(guard.hidden().entries(), &entries) {
            self.lingering.entry(gone).or_insert(now + LINGER);
        }
        self.lingering
            .retain(|e, until| *until > now && !current.contains(e) && !resting.contains(e));
        let mut hidden = entries.clone();
        hidden.extend(self.lingering.keys());
        let is_served = |key: &ServiceKey| config.service(key).is_some();
        let standby = config.standby();
        guard.set(entries::hidden(&hidden, &classifier, standby, is_served));
        guard.take_notes().iter().for_each(|line| (self.log)(line));
        drop(guard);
        self.report_interfaces();

        let unspecified = [Ip::v4([0; 4]), Ip::UNSPECIFIED]; // the default routes' gateways
        let servers = config
            .services()
            .into_iter()
            .flat_map(|s| s.dests().iter().map(|d| d.addr().ip));
        let mut hops: Vec<_> = Vec::new();
        for hop in unspecified
            .into_iter()
            .chain(servers)
            .filter_map(|ip| topology.next_hop(ip))
        {
            if hops.len() == MANAGED {
                break;
            }
            if !hops.contains(&hop) {
                hops.push(hop);
            }
        }
        // What the kernel refuses is resolved on demand instead.
        let _ = self.resolver.manage(hops);

        let ours = announceable(&config, &classifier, &topology);
        self.announced.retain(|ip| ours.contains(ip));
        self.announcing.retain(|(ip, _)| ours.contains(ip));
        for ip in ours {
            if self.announced.insert(ip) {
                self.announcing.push((ip, ANNOUNCEMENTS));
            }
        }
        true
    }

    /// Says which interfaces have gone. Ports stay with the interface they were opened on, so one that is made
    /// anew is another one.
    fn report_interfaces(&mut self) {
        let links = self.monitor.links();
        let gone: HashSet<u32> = self
            .ports
            .iter()
            .map(|(_, ifindex)| *ifindex)
            .filter(|i| links.iter().all(|l| l.ifindex != *i))
            .collect();
        for ifindex in gone.difference(&self.gone) {
            (self.log)(&format!(
                "warning: interface number {ifindex} is gone; if it is made anew, restart lvsd to work on it"
            ));
        }
        self.gone = gone;
    }

    /// Tells the link that the addresses which no interface holds are here.
    fn announce(&mut self, workers: &[Arc<Mailbox>]) {
        let topology = self.topology.load();
        let Some(first) = workers.first() else { return };
        for (ip, left) in &mut self.announcing {
            let first_time = *left == ANNOUNCEMENTS;
            *left -= 1;
            let on_link = topology.next_hop(*ip).filter(|(_, hop)| hop == ip);
            for interface in topology.interfaces() {
                let Interface {
                    port, mac, ifindex, ..
                } = *interface;
                let on_this_link = on_link.is_some_and(|(i, _)| i == ifindex);
                match ip.as_v4() {
                    Some(v4) if on_this_link => {
                        first.post(Order::Send(
                            port,
                            responder::gratuitous_arp(mac, v4).to_vec(),
                        ));
                    }
                    Some(_) => {}
                    None => {
                        if first_time {
                            let group = responder::solicited_node_mac(*ip.bytes());
                            workers
                                .iter()
                                .for_each(|w| w.post(Order::Join(port, group)));
                        }
                        if on_this_link {
                            let frame = responder::unsolicited_na(mac, *ip.bytes());
                            first.post(Order::Send(port, frame.to_vec()));
                        }
                    }
                }
            }
        }
        if !self.announcing.is_empty() {
            workers.iter().for_each(|w| w.wake());
        }
        self.announcing.retain(|(_, left)| *left > 0);
    }
}

/// The addresses that neighbours are to be told of: ours, which no interface holds.
fn announceable(config: &Config, classifier: &Classifier, topology: &Topology) -> HashSet<Ip> {
    let is_served = |ip: Ip, marks: &[u32]| {
        let family = ip.family();
        let mut keys = marks.iter().map(|&mark| ServiceKey::Mark { family, mark });
        keys.any(|key| config.service(&key).is_some())
    };
    let marked = classifier.virtual_addresses();
    let marked = marked.filter(|(ip, marks)| is_served(*ip, marks));
    let ours = config.owned().chain(marked.map(|(ip, _)| ip));
    let is_told = |ip: &Ip| !topology.is_local(*ip) && config.standby().answers_for(ip);
    ours.filter(is_told).collect()
}

#[cfg(test)]
mod tests {
    use lvs_core::{ConfigError, Family, ServiceOptions, Settings, Standby};
    use lvs_fwd::classify::Rule;

    use super::*;

    #[test]
    fn what_vrrp_or_an_interface_has_is_not_announced() {
        let ip = |s: &str| s.parse::<Ip>().unwrap();
        let director = Director::new(&Settings::default());
        let made: Result<(), ConfigError> = director.edit(|draft| {
            let mark = ServiceKey::Mark {
                family: Family::V4,
                mark: 7,
            };
            let at = |a: &str| ServiceKey::tcp(a.parse().unwrap());
            for key in [
                at("10.9.0.1:80"),
                at("10.9.0.2:80"),
                at("10.9.0.3:80"),
                mark,
            ] {
                let scheduler = lvs_sched::build("rr").unwrap();
                draft.add_service(key, scheduler, ServiceOptions::default())?;
            }
            let governed = ["10.9.0.1", "10.9.0.5"].map(ip);
            draft.set_standby(Arc::new(Standby::new([], [], governed)));
            Ok(())
        });
        made.unwrap();
        let marked = |mark, destination: &str| Rule {
            mark,
            destination: Some(destination.parse().unwrap()),
            ..Rule::default()
        };
        let classifier = Classifier::new(vec![
            marked(7, "10.9.0.4/32"),
            marked(7, "10.9.0.5/32"),
            marked(8, "10.9.0.6/32"),
        ]);
        let mut topology = Topology::builder();
        topology.local(ip("10.9.0.2"));
        let told = announceable(&director.config(), &classifier, &topology.build());
        assert_eq!(told, ["10.9.0.3", "10.9.0.4"].map(ip).into());
    }
}
