//! The thread that does what virtual routers want done.
//!
//! Problem: to put a thousand addresses on an interface takes time, and so does whatever else is between being master and
//! serving.
//!
//! Rule: what the speaker says is done here, in its order: first that the director serves, then addresses, routes and rules, then
//! announcements, then what people and scripts are told. What is given up goes the other way.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use lvs_core::Ip;
use lvs_vrrp::Time;
use lvs_vrrp::announce::{
    Announcement, Held, Pace, PaceGroup, Schedule, Settings as Garps, Spacing,
};
use lvs_vrrp::config::Object;
use lvs_vrrp::event::{Output, RouterId, State, Why};
use lvs_vrrp::io::announcer::{Announcer, Station};
use lvs_vrrp::io::link::{Change, Links};
use lvs_vrrp::status::ObjectState;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::Follow;
use super::devices::Devices;
use super::holdings::{Holdings, Owner, Wanted};
use super::logger::Logger;
use super::routing::Routing;
use super::seat::Seat;
use super::served;
use super::tell::{About, Teller};
use crate::daemon::VirtualAddresses;
use crate::health::Herald;
use crate::keepalived::model::{Garp, Global, Instance, Transport, Vrrp};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Deed {
    /// A virtual router says something.
    Happened(Output),
    /// The virtual routers' names, by number.
    Numbers(HashMap<RouterId, String>),
    /// These addresses are virtual routers', or will be: the director is not to serve them before they are held.
    Expect(HashSet<Ip>, Sender<()>),
    /// Another configuration holds. The answer comes when the interfaces are there that it needs.
    Settings(Box<Settings>, Sender<()>),
    /// The virtual routers go by it.
    Settled,
    /// Give back what the host has got, and end.
    Stop,
}

/// What the thread works by.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) vrrp: Vrrp,
    pub(super) global: Global,
    pub(super) seats: HashMap<String, Seat>,
    /// Interfaces that the director must work on.
    pub(super) served: BTreeSet<String>,
}

/// A virtual router as the thread knows it.
#[derive(Clone, Debug)]
struct Post {
    instance: Arc<Instance>,
    seat: Seat,
    state: State,
    /// The effective priority.
    priority: u8,
}

impl Post {
    fn is_master(&self) -> bool {
        self.state == State::Master
    }
}

const LINKS: Token = Token(0);
const WAKE: Token = Token(1);
const ROUTING: Token = Token(2);

/// What was taken away is put back no sooner than so long after the last time: whoever takes it may do so again.
const PATIENCE: Duration = Duration::from_millis(200);

/// The thread's own.
pub(super) struct Hands {
    settings: Settings,
    posts: HashMap<String, Post>,
    /// Addresses of virtual routers that are yet to come.
    expected: HashSet<Ip>,
    numbers: HashMap<RouterId, String>,
    holdings: Holdings,
    devices: Devices,
    schedule: Schedule,
    announcer: Announcer,
    links: Links,
    /// Tells of routes and rules that go, where there are any to mind.
    routing: Option<Routing>,
    poll: Poll,
    deeds: Receiver<Deed>,
    herald: Box<dyn Herald>,
    teller: Teller,
    follow: Follow,
    observe: Box<dyn Fn(Object, ObjectState) + Send>,
    log: Logger,
    epoch: Instant,
    repair_at: Option<Time>,
    /// The interfaces that the director works on, by number.
    works_on: Vec<u32>,
    /// Those that it should work on, are up, and were complained of.
    unserved: BTreeSet<String>,
}

impl Hands {
    #[expect(
        clippy::too_many_arguments,
        reason = "everything that virtual routers do to the host meets here"
    )]
    pub(super) fn new(
        settings: Settings,
        devices: Devices,
        holdings: Holdings,
        deeds: Receiver<Deed>,
        poll: Poll,
        herald: Box<dyn Herald>,
        follow: Follow,
        observe: Box<dyn Fn(Object, ObjectState) + Send>,
        works_on: Vec<u32>,
        log: Logger,
    ) -> io::Result<Self> {
        let links = Links::new()?;
        let fd = links.as_fd().as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), LINKS, Interest::READABLE)?;
        let mut hands = Self {
            posts: HashMap::new(),
            expected: HashSet::new(),
            numbers: HashMap::new(),
            holdings,
            devices,
            schedule: Schedule::new(Spacing::default()),
            announcer: Announcer::new()?,
            links,
            routing: None,
            poll,
            deeds,
            herald,
            teller: Teller::default(),
            follow,
            observe,
            log,
            epoch: Instant::now(),
            repair_at: None,
            works_on,
            unserved: BTreeSet::new(),
            settings,
        };
        hands.settle_in();
        Ok(hands)
    }

    /// What wakes the thread.
    pub(super) fn waker(poll: &Poll) -> io::Result<Waker> {
        Waker::new(poll.registry(), WAKE)
    }

    /// Works until it is asked to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(16);
        loop {
            let now = self.now();
            let due = [self.schedule.next_deadline(), self.repair_at];
            let due = due.into_iter().flatten().min();
            let wait = due.map(|due| due.saturating_sub(now));
            match self.poll.poll(&mut events, wait) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                    self.log.log(format!("virtual routers' effects: {e}"));
                    std::thread::sleep(PATIENCE); // whatever it is, it would only be said again at once
                }
                _ => {}
            }
            loop {
                match self.deeds.try_recv() {
                    Ok(Deed::Stop) | Err(TryRecvError::Disconnected) => return self.leave(),
                    Ok(deed) => self.carry_out(deed),
                    Err(TryRecvError::Empty) => break,
                }
                self.announce();
            }
            self.look_at_links();
            self.look_at_routing();
            if self.repair_at.is_some_and(|at| at <= self.now()) {
                self.repair();
            }
            self.announce();
        }
    }

    fn carry_out(&mut self, deed: Deed) {
        match deed {
            Deed::Happened(output) => self.happened(&output),
            Deed::Numbers(numbers) => self.numbers.extend(numbers),
            Deed::Expect(addresses, done) => {
                self.expected = addresses;
                self.tell_director();
                let _ = done.send(());
            }
            Deed::Settings(settings, done) => {
                self.settings = *settings;
                self.expected.clear();
                self.settle_in();
                let _ = done.send(());
            }
            Deed::Settled => self.clear_out(),
            Deed::Stop => {}
        }
    }

    /// New settings: what they need is made, who is master gets what it should have now.
    fn settle_in(&mut self) {
        self.herald.configure(&self.settings.global);
        let vrrp = &self.settings.vrrp;
        self.devices.make(vrrp, &self.settings.seats);
        self.refresh_links();
        self.mind_routing();
        let vrrp = &self.settings.vrrp;
        for instance in &vrrp.instances {
            let name = &instance.name.value;
            let Some(seat) = self.settings.seats.get(name) else {
                continue;
            };
            let before = self.posts.get(name);
            let post = Post {
                instance: Arc::new(instance.clone()),
                seat: seat.clone(),
                state: before.map(|post| post.state).unwrap_or_default(),
                priority: before.map_or(instance.priority.value, |post| post.priority),
            };
            self.posts.insert(name.clone(), post);
        }
        self.schedule.set_spacing(spacing(vrrp, &self.links));
        let host = Wanted::of_host(vrrp);
        self.holdings.make(&Owner::Host, host, &self.links);
        self.tell_director();
        let masters = self.posts.values().filter(|post| post.is_master());
        for post in masters.cloned().collect::<Vec<_>>() {
            self.hold(&post, false);
        }
        self.check_director();
        self.check_host();
    }

    /// Everybody goes by the new settings: what nobody needs any more goes.
    fn clear_out(&mut self) {
        let vrrp = &self.settings.vrrp;
        self.posts
            .retain(|name, post| post.is_master() || vrrp.instance(name).is_some());
        self.devices.keep_only(&self.settings.seats);
        if self.settings.vrrp.common.states_on_reload {
            for post in self.posts.values() {
                let about = About {
                    instance: &post.instance,
                    master: post.is_master(),
                };
                let again = Teller::repeated(about, post.state, post.priority);
                again.into_iter().for_each(|a| self.herald.tell(a));
            }
        }
        self.tell_director();
    }

    fn happened(&mut self, output: &Output) {
        match output {
            Output::Entered {
                router,
                from,
                to,
                why,
                priority,
            } => {
                if let Some(post) = self.post(*router) {
                    (post.state, post.priority) = (*to, *priority);
                }
                self.entered(*router, *from, why);
            }
            Output::Reannounce { router } => self.schedule.reannounce(*router, self.now()),
            Output::Priority { router, to, .. } => {
                if let Some(post) = self.post(*router) {
                    post.priority = *to;
                }
            }
            _ => {}
        }
        self.announce();
        self.tell(output);
        if let Output::Entered {
            router,
            why: Why::Deleted | Why::Reloaded,
            ..
        } = output
        {
            self.forget(*router);
        }
    }

    /// A reload has removed a virtual router, or made another one of it, and everybody knows.
    fn forget(&mut self, router: RouterId) {
        if let Some(name) = self.numbers.remove(&router)
            && self.settings.vrrp.instance(&name).is_none()
        {
            self.posts.remove(&name);
        }
    }

    fn entered(&mut self, router: RouterId, from: State, why: &Why) {
        let Some(post) = self.post(router).cloned() else {
            return;
        };
        if post.is_master() {
            self.tell_director();
            self.hold(&post, true);
        } else if from == State::Master {
            self.schedule.left(router);
            self.let_go(&post);
            self.tell_director();
        } else if from == State::Fault && *why == Why::Recovered {
            self.announce_source(router, &post);
        }
    }

    fn post(&mut self, router: RouterId) -> Option<&mut Post> {
        let name = self.numbers.get(&router)?;
        self.posts.get_mut(name)
    }

    /// A master gets what it is to have, and announces it. If it has just become master, it is all announced; otherwise what is new.
    fn hold(&mut self, post: &Post, new: bool) {
        let owner = Owner::Router(post.instance.name.value.clone());
        let wanted = Wanted::of(&post.instance, &post.seat);
        self.refresh_links();
        self.holdings.make(&owner, wanted, &self.links);
        let number = self
            .numbers
            .iter()
            .find(|(_, name)| **name == post.instance.name.value);
        let Some((&router, _)) = number else { return };
        let held: Vec<Held> = self.held(post);
        let (garps, now) = (garps(&post.instance.garp), self.now());
        match new {
            true => self.schedule.became_master(router, garps, held, now),
            false => self.schedule.update(router, garps, held, now),
        }
    }

    fn let_go(&mut self, post: &Post) {
        let owner = Owner::Router(post.instance.name.value.clone());
        self.holdings.make(&owner, Wanted::default(), &self.links);
    }

    /// The addresses of a virtual router, where they are.
    fn held(&self, post: &Post) -> Vec<Held> {
        let place = |address| {
            let (interface, place) = post.seat.of(address)?;
            Some((self.links.named(interface)?.ifindex, place))
        };
        let addresses = post.instance.addresses();
        addresses
            .filter_map(|address| {
                let (interface, place) = place(address)?;
                Some(Held {
                    interface,
                    addr: address.addr.ip,
                    place,
                })
            })
            .collect()
    }

    /// A router that speaks to single peers is back: they may have forgotten its own address.
    fn announce_source(&mut self, router: RouterId, post: &Post) {
        let Transport::Unicast { .. } = post.instance.transport else {
            return;
        };
        let source = post.instance.source.as_ref().map(|s| s.value);
        let mut addresses = self.links.addresses();
        if let Some(found) = addresses.find(|a| Some(a.ip) == source) {
            let announcement = Announcement {
                interface: found.ifindex,
                addr: found.ip,
            };
            self.schedule.once(router, announcement);
        }
    }

    fn announce(&mut self) {
        let mut due = Vec::new();
        self.schedule.elapsed(self.now(), &mut due);
        for announcement in due {
            let Some(link) = self.links.get(announcement.interface) else {
                continue;
            };
            let (Some(mac), true) = (link.mac, link.arp) else {
                continue;
            };
            let station = Station {
                interface: link.ifindex,
                mac,
                is_router: forwards(&link.name),
            };
            // What is lost is announced again; what cannot be sent at all nobody hears of anyway.
            let _ = self.announcer.announce(station, announcement.addr);
        }
    }

    fn tell(&mut self, output: &Output) {
        let post = router(output).and_then(|router| {
            let name = self.numbers.get(&router)?;
            self.posts.get(name)
        });
        let about = post.map(|post| About {
            instance: &post.instance,
            master: post.is_master(),
        });
        let said = self.teller.said(&self.settings.vrrp, about, output);
        for line in said.log {
            self.log.log(line);
        }
        for alert in said.alerts {
            self.herald.tell(alert);
        }
    }

    fn tell_director(&mut self) {
        let mut addresses = VirtualAddresses {
            governed: self.expected.clone(),
            held: HashSet::new(),
        };
        for post in self.posts.values() {
            let all = || post.instance.addresses().map(|a| Ip::from(a.addr.ip));
            addresses.governed.extend(all());
            if post.is_master() {
                addresses.held.extend(all());
            }
        }
        (self.follow)(addresses);
    }

    fn look_at_links(&mut self) {
        match self.links.update() {
            Ok(changes) => {
                let appeared = |c: &Change| match c {
                    Change::Link { was, is } => is.as_ref().is_some_and(|is| {
                        is.enabled && was.as_ref().is_none_or(|w| !w.enabled || w.up != is.up)
                    }),
                    Change::Address(_) | Change::AddressGone(_) => false,
                };
                let gone = |c: &Change| match c {
                    Change::AddressGone(gone) => self.holdings.wants(gone, &self.links),
                    Change::Link {
                        was: Some(was),
                        is: None,
                    } => {
                        let mut seats = self.settings.seats.values();
                        seats.any(|seat| seat.virtuals().any(|own| own.name == was.name))
                    }
                    _ => false,
                };
                let mends = changes.iter().any(|c| appeared(c) || gone(c));
                if changes.iter().any(|c| matches!(c, Change::Link { .. })) {
                    self.check_director();
                }
                if mends {
                    self.mend_soon();
                }
            }
            Err(e) => self.log.log(format!("interfaces cannot be followed: {e}")),
        }
    }

    /// Hears of routes and rules that go, if some of ours are to stay.
    fn mind_routing(&mut self) {
        let vrrp = &self.settings.vrrp;
        let of_instances = vrrp
            .instances
            .iter()
            .any(|i| !i.routes.is_empty() || !i.rules.is_empty());
        let wanted = of_instances || !vrrp.routes.is_empty() || !vrrp.rules.is_empty();
        if wanted == self.routing.is_some() {
            return;
        }
        self.routing = None;
        if wanted {
            match Routing::new(self.poll.registry(), ROUTING) {
                Ok(routing) => self.routing = Some(routing),
                Err(e) => self.log.log(format!("routes cannot be followed: {e}")),
            }
        }
    }

    fn look_at_routing(&mut self) {
        if self.routing.as_mut().is_some_and(Routing::has_lost) {
            self.mend_soon();
        }
    }

    fn refresh_links(&mut self) {
        self.look_at_links();
    }

    fn mend_soon(&mut self) {
        let at = self.now() + PATIENCE;
        self.repair_at.get_or_insert(at);
    }

    fn repair(&mut self) {
        self.repair_at = None;
        let settings = &self.settings;
        self.devices.make(&settings.vrrp, &settings.seats);
        self.refresh_links();
        self.repair_at = None;
        self.holdings.repair(&self.links);
        self.refresh_links();
        let masters = self.posts.values().filter(|post| post.is_master());
        for post in masters.cloned().collect::<Vec<_>>() {
            self.hold(&post, false);
        }
        self.check_host();
    }

    /// Static items that must be there for some virtual routers: are they?
    fn check_host(&mut self) {
        let missing = self.holdings.missing_groups(&self.links);
        for group in &self.settings.vrrp.track_groups {
            let name = &group.name.value;
            let state = match missing.contains(name) {
                true => ObjectState::Bad,
                false => ObjectState::Good,
            };
            (self.observe)(Object::Kernel(name.clone()), state);
        }
    }

    /// Does the director work where it must?
    fn check_director(&mut self) {
        let mut unserved = BTreeSet::new();
        for name in &self.settings.served {
            let state = served::state(&self.links, name, &self.works_on);
            (self.observe)(Object::Director(name.clone()), state);
            if state == ObjectState::Bad && self.links.named(name).is_some_and(|l| l.up) {
                unserved.insert(name.clone());
            }
        }
        for name in unserved.difference(&self.unserved) {
            let name = name.escape_debug();
            self.log.log(format!(
                "interface {name} was not there, or not up, when lvsd started, and the director does not work on it: virtual \
                 routers with services there stay in fault until lvsd is restarted"
            ));
        }
        self.unserved = unserved;
    }

    /// The end: the host is left as it was.
    fn leave(mut self) {
        for group in &self.settings.vrrp.groups {
            let said = self.teller.group_stopped(group);
            said.alerts.into_iter().for_each(|a| self.herald.tell(a));
        }
        self.holdings.give_back(&self.links);
    }

    fn now(&self) -> Time {
        self.epoch.elapsed()
    }
}

/// Whom something has happened to.
fn router(output: &Output) -> Option<RouterId> {
    match output {
        Output::Entered { router, .. }
        | Output::Priority { router, .. }
        | Output::Rival { router, .. }
        | Output::Trouble { router, .. } => Some(*router),
        _ => None,
    }
}

/// Whether an interface forwards IPv6 packets.
fn forwards(interface: &str) -> bool {
    let path = format!("/proc/sys/net/ipv6/conf/{interface}/forwarding");
    std::fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
}

fn garps(garp: &Garp) -> Garps {
    Garps {
        delay: garp.delay,
        repeat: garp.repeat,
        refresh: garp.refresh,
        refresh_repeat: garp.refresh_repeat,
        lower_delay: garp.lower_delay,
        lower_repeat: garp.lower_repeat,
        extra: garp.extra,
        extra_all: garp.extra_all,
    }
}

fn spacing(vrrp: &Vrrp, links: &Links) -> Spacing {
    let each = Pace {
        garp: vrrp.common.garp_interval,
        na: vrrp.common.na_interval,
    };
    let groups = vrrp.garp_groups.iter().map(|group| PaceGroup {
        interfaces: group
            .interfaces
            .iter()
            .filter_map(|i| Some(links.named(&i.value)?.ifindex))
            .collect(),
        pace: Pace {
            garp: group.garp_interval.unwrap_or(each.garp),
            na: group.na_interval.unwrap_or(each.na),
        },
    });
    Spacing {
        each,
        groups: groups.collect(),
    }
}
