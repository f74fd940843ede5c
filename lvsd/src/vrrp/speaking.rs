//! The thread that speaks VRRP.
//!
//! Problem: an advertisement that is late makes a second master. So nothing may delay this thread: not packets, not checks, not
//! scripts, not the kernel's lock on its interfaces, not a log that hangs.
//!
//! Rule: it only reads sockets, asks the state machines, and writes to sockets. Whatever follows from what they say is left for
//! the [`hands`](super::hands), whatever is to be logged for the [`logger`](super::logger). All that has come is handed to the
//! state machines before they are told the time, since an advertisement that waits in a socket has not been missed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::mem;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lvs_vrrp::Time;
use lvs_vrrp::config::{Config, Object};
use lvs_vrrp::event::{Output, RouterId};
use lvs_vrrp::io::link::{Change, Links};
use lvs_vrrp::speaker::Speaker;
use lvs_vrrp::status::{ObjectState, RouterStatus};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::carrier::Carriers;
use super::errand::Errands;
use super::guardian::{Order, Word};
use super::hands::Deed;
use super::logger::Logger;
use super::ports::{self, Ports, Stand};
use crate::pulse::Pulse;

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// Something that is watched is now so.
    Observed(Object, ObjectState),
    /// Another configuration holds.
    Reload(Box<Orders>),
    /// How everything is.
    Report(Sender<Report>),
    /// Step down, and end.
    Stop,
}

/// What the thread works by.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// For the state machines.
    pub(super) config: Config,
    /// Where each virtual router stands.
    pub(super) stands: HashMap<String, Arc<Stand>>,
    /// How long interfaces must have been down or up to count as such.
    pub(super) carriers: Carriers,
    /// Addresses whose coming and going changes nothing here.
    pub(super) virtuals: Arc<HashSet<IpAddr>>,
    /// Advertisements of foreign virtual routers are logged.
    pub(super) log_foreign: bool,
}

/// How everything is.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) routers: Vec<RouterStatus>,
    pub(super) groups: Vec<(String, lvs_vrrp::event::State)>,
    /// What keeps a virtual router from speaking, by its number.
    pub(super) mute: HashMap<RouterId, String>,
    /// The time by the thread's clock.
    pub(super) now: Time,
    /// The longest time that the thread came late to what was due.
    pub(super) lateness: Duration,
}

const LINKS: Token = Token(0);
const WAKE: Token = Token(1);
/// Tokens from here on are sockets'.
pub(super) const FIRST_SOCKET: usize = 2;

/// Advertisements that are read from a socket before the time is looked at.
const BURST: usize = 64;

/// Notifications about interfaces and addresses that are read before the time is looked at.
const NEWS: usize = 128;

/// The longest sleep: the [`Pulse`] must be seen.
const NAP: Duration = Duration::from_secs(1);

/// The longest packet that can be an advertisement: an IP header with options, AH, 255 addresses of IPv6, a trailer.
const LONGEST: usize = 4400;

/// The thread's own.
pub(super) struct Speaking {
    speaker: Speaker,
    orders: Orders,
    ports: Ports,
    links: Links,
    poll: Poll,
    asks: Receiver<Ask>,
    hands: Errands<Deed>,
    guardian: Errands<Order>,
    log: Logger,
    epoch: Instant,
    lateness: Duration,
    pulse: Arc<Pulse>,
    /// Sockets that may hold more than was read.
    unread: BTreeSet<usize>,
    /// There may be more notifications than were read.
    unseen: bool,
    /// Sockets or sources may have to be others now.
    stale: bool,
    /// A reload is over, but for telling the hands.
    settled: bool,
    sources: HashMap<RouterId, Option<IpAddr>>,
}

impl Speaking {
    pub(super) fn new(
        orders: Orders,
        asks: Receiver<Ask>,
        hands: Errands<Deed>,
        guardian: Errands<Order>,
        log: Logger,
        seed: u64,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let links = Links::new()?;
        let fd = links.as_fd().as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), LINKS, Interest::READABLE)?;
        let speaking = Self {
            speaker: Speaker::new(orders.config.clone(), seed),
            ports: Ports::new(poll.registry().try_clone()?),
            orders,
            links,
            poll,
            asks,
            hands,
            guardian,
            log,
            epoch: Instant::now(),
            lateness: Duration::ZERO,
            unread: BTreeSet::new(),
            unseen: false,
            pulse: Arc::default(),
            stale: true,
            settled: false,
            sources: HashMap::new(),
        };
        Ok((speaking, waker))
    }

    /// Beats each time round.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// The numbers of the virtual routers, by name.
    pub(super) fn ids(&self) -> HashMap<RouterId, String> {
        ids(&self.speaker, &self.orders.config)
    }

    /// Speaks until it is asked to stop.
    pub(super) fn run(mut self) {
        let mut out = Vec::new();
        // Virtual interfaces have been made since this was made.
        if let Err(e) = self.links.update() {
            self.log.log(format!("interfaces cannot be followed: {e}"));
        }
        self.look_at_links(Vec::new(), true, &mut out);
        self.arrange(&mut out);
        self.tell_time();
        self.speaker.start(self.now(), &mut out);
        self.carry_out(&mut out);
        let mut events = Events::with_capacity(256);
        loop {
            self.pulse.beat();
            let wait = match self.unread.is_empty() && !self.unseen {
                true => self.deadline().saturating_sub(self.now()).min(NAP),
                false => Duration::ZERO,
            };
            match self.poll.poll(&mut events, Some(wait)) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                    self.log.log(format!("virtual routers: {e}"));
                    std::thread::sleep(NAP / 100); // whatever it is, it would only be said again at once
                }
                _ => {}
            }
            self.tell_time();
            if self.turn(&events, &mut out) {
                return;
            }
        }
    }

    /// One time round. True if that was the last.
    fn turn(&mut self, events: &Events, out: &mut Vec<Output>) -> bool {
        let mut linked = mem::take(&mut self.unseen);
        for event in events {
            match event.token() {
                LINKS => linked = true,
                WAKE => {}
                Token(socket) => {
                    self.unread.insert(socket);
                }
            }
        }
        for socket in mem::take(&mut self.unread) {
            if self.listen(socket, out) {
                self.unread.insert(socket);
            }
        }
        if linked {
            match self.links.update_some(NEWS) {
                Ok((changes, more)) => {
                    self.unseen = more;
                    self.look_at_links(changes, false, out);
                }
                Err(e) => self.log.log(format!("interfaces cannot be followed: {e}")),
            }
        }
        let mut last = false;
        loop {
            match self.asks.try_recv() {
                Ok(Ask::Observed(object, state)) => {
                    let now = self.now();
                    self.speaker.observe(&object, state, now, out);
                }
                Ok(Ask::Reload(orders)) => self.reload(*orders, out),
                Ok(Ask::Report(reply)) => {
                    let _ = reply.send(self.report());
                }
                Ok(Ask::Stop) | Err(TryRecvError::Disconnected) => {
                    last = true;
                    let now = self.now();
                    self.speaker.stop(now, out);
                    break;
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        let now = self.now();
        self.debounced(now, out);
        if !last {
            if let Some(due) = self.speaker.next_deadline()
                && now > due
            {
                self.lateness = self.lateness.max(now - due);
            }
            self.speaker.elapsed(now, out);
        }
        self.carry_out(out);
        if mem::take(&mut self.stale) {
            self.arrange(out);
            self.carry_out(out);
            for id in self.ids().into_keys() {
                self.leave_last_words(id); // sources, sockets or what is said may have changed
            }
        }
        if mem::take(&mut self.settled) {
            self.hands.leave(Deed::Settled);
        }
        last
    }

    /// Reads what has come to a socket. True if there may be more.
    fn listen(&mut self, socket: usize, out: &mut Vec<Output>) -> bool {
        let mut buffer = [0; LONGEST];
        for _ in 0..BURST {
            let (speaker, orders, log) = (&mut self.speaker, &self.orders, &self.log);
            let now = self.epoch.elapsed();
            let heard = self.ports.receive(socket, &mut buffer, |routers, vrid, packet| {
                let mut known = false;
                for &id in routers {
                    if speaker.config(id).is_some_and(|c| Some(c.vrid) == vrid) {
                        known = true;
                        speaker.received(id, &packet, now, out);
                    }
                }
                if !known && orders.log_foreign && let Some(vrid) = vrid {
                    log.log(format!("an advertisement of virtual router {vrid}, which is none of ours, from {}", packet.from));
                }
            });
            match heard {
                Ok(true) => {}
                Ok(false) => return false,
                Err(e) => {
                    // An interface has gone down or away: links tell what to do.
                    self.log
                        .log(format!("advertisements cannot be received: {e}"));
                    self.stale = true;
                    return false;
                }
            }
        }
        true
    }

    /// Interfaces and addresses have changed.
    fn look_at_links(&mut self, changes: Vec<Change>, first: bool, out: &mut Vec<Output>) {
        let now = self.now();
        let mut names: Vec<String> = Vec::new();
        if first {
            names.extend(watched(&self.orders.config));
        }
        for change in changes {
            match change {
                Change::Link { was, is } => {
                    names.extend([was, is].into_iter().flatten().map(|l| l.name));
                    self.stale = true;
                }
                Change::Address(address) | Change::AddressGone(address) => {
                    self.stale |= !self.orders.virtuals.contains(&address.ip);
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        let watched = watched(&self.orders.config);
        for name in names {
            let up = self.links.named(&name).is_some_and(|l| l.up);
            let carriers = &mut self.orders.carriers;
            let changed = carriers.see(&name, up, now).is_some();
            let state = carriers.state(&name);
            if (first || changed) && watched.contains(&name) {
                self.speaker
                    .observe(&Object::Interface(name), state, now, out);
            }
        }
    }

    /// Interfaces that have been down or up for long enough.
    fn debounced(&mut self, now: Time, out: &mut Vec<Output>) {
        for (name, state) in self.orders.carriers.elapsed(now) {
            self.speaker
                .observe(&Object::Interface(name), state, now, out);
        }
    }

    /// Opens and closes sockets, and tells each virtual router its source.
    fn arrange(&mut self, out: &mut Vec<Output>) {
        let now = self.now();
        let ids = self.ids();
        let stands = ids
            .iter()
            .filter_map(|(id, name)| Some((*id, self.orders.stands.get(name)?.clone())));
        let all = ports::stand(stands, &self.links);
        for line in self.ports.arrange(&all, &self.links) {
            self.log.log(line);
        }
        for one in all {
            let source = one.source.filter(|_| self.ports.is_open(one.id));
            if self.sources.insert(one.id, source) != Some(source) {
                self.speaker.source(one.id, source, now, out);
            }
        }
        self.sources.retain(|id, _| ids.contains_key(id));
    }

    fn reload(&mut self, mut orders: Orders, out: &mut Vec<Output>) {
        let now = self.now();
        orders.carriers.take_over(&self.orders.carriers);
        self.speaker.reload(orders.config.clone(), now, out);
        self.orders = orders;
        // Before anybody is told of routers that are gone or new.
        self.look_at_links(Vec::new(), true, out);
        self.stale = true;
        self.hands.leave(Deed::Numbers(self.ids()));
        self.settled = true;
    }

    fn carry_out(&mut self, out: &mut Vec<Output>) {
        for output in out.drain(..) {
            match output {
                Output::Send { router, to, bytes } => {
                    if let Err(e) = self.ports.send(router, to, &bytes)
                        && self.ports.is_news(router)
                    {
                        let name = self.speaker.config(router).map_or("", |c| &c.name);
                        let name = name.escape_debug();
                        self.log
                            .log(format!("({name}) cannot advertise to {to}: {e}"));
                    }
                }
                other => {
                    if let Output::Entered { router, .. } = other {
                        self.leave_last_words(router);
                    }
                    self.hands.leave(Deed::Happened(other));
                }
            }
        }
    }

    /// What is to be sent for a virtual router if this process dies.
    fn leave_last_words(&mut self, id: RouterId) {
        let words = self.ports.way(id).map(|way| {
            let words = self.speaker.last_words(id).into_iter();
            words.map(|(to, bytes)| Word::new(way, to, bytes)).collect()
        });
        let words = words.unwrap_or_default();
        self.guardian.leave(Order::LastWords(id, words));
    }

    fn report(&self) -> Report {
        Report {
            routers: self.speaker.status(),
            groups: self.speaker.groups(),
            mute: self.ports.mute(),
            now: self.now(),
            lateness: self.lateness,
        }
    }

    /// When something is due.
    fn deadline(&self) -> Time {
        let due = [
            self.speaker.next_deadline(),
            self.orders.carriers.next_deadline(),
        ];
        due.into_iter().flatten().min().unwrap_or(Time::MAX)
    }

    fn now(&self) -> Time {
        self.epoch.elapsed()
    }

    /// The time of day may have been set.
    fn tell_time(&mut self) {
        let today = SystemTime::now().duration_since(UNIX_EPOCH);
        let at_zero = today.unwrap_or_default().saturating_sub(self.now());
        self.speaker.wall(at_zero);
    }
}

/// The numbers of virtual routers.
fn ids(speaker: &Speaker, config: &Config) -> HashMap<RouterId, String> {
    let routers = config.routers.iter();
    routers
        .filter_map(|r| Some((speaker.id(&r.name)?, r.name.clone())))
        .collect()
}

/// The interfaces that are watched.
fn watched(config: &Config) -> HashSet<String> {
    let tracked = config.routers.iter().flat_map(|r| &r.tracking);
    let names = tracked.filter_map(|t| match &t.object {
        Object::Interface(name) => Some(name.clone()),
        _ => None,
    });
    names.collect()
}
