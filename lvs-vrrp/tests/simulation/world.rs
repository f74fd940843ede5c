//! Hosts with clocks of their own, and the link between them.
//!
//! Time is true time. Each host reads it from a clock that began elsewhere and runs a little fast or slow. What is sent is lost, or arrives
//! after a delay, so that it may be overtaken. Everything follows from the seed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use lvs_vrrp::Time;
use lvs_vrrp::config::Object;
use lvs_vrrp::event::{Output, RouterId};
use lvs_vrrp::packet::{Received, vrid_of};
use lvs_vrrp::speaker::Speaker;
use lvs_vrrp::status::ObjectState;

use crate::plan::{HEAVY, Plan, VITAL};
use crate::random::Random;
use crate::witness::Witness;

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: Duration,
    pub(crate) random: Random,
    pub(crate) loss: Loss,
    /// The number of a virtual router of which nothing gets through.
    pub(crate) unheard: Option<u8>,
    pub(crate) witness: Witness,
    hosts: Vec<Host>,
    /// Pairs of hosts, the lower first, that do not hear each other.
    cut: HashSet<(usize, usize)>,
    parcels: BTreeMap<(Duration, u64), Parcel>,
    sent: u64,
}

/// What the link loses.
#[derive(Clone, Debug)]
pub(crate) enum Loss {
    Nothing,
    /// Each packet with this chance, whatever happened to others.
    Random(f64),
    /// Each with this chance, but never more than so many of a sender's to a receiver in a row.
    AtMostInARow(f64, u32),
}

/// What a host can be made to suffer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Blow {
    /// Its power fails, or comes back.
    Crash,
    Boot,
    /// Its process is told to stop, or begins again.
    Stop,
    /// It is kept from running, or runs again: what came waits for it.
    Freeze,
    Thaw,
    /// A script that decides, or one that only weighs.
    Vital(bool),
    Heavy(bool),
    /// Its address.
    Address(bool),
    /// The configuration is read once more.
    Reload,
}

struct Host {
    clock: Clock,
    address: IpAddr,
    speaker: Option<Speaker>,
    ids: HashMap<u8, RouterId>,
    boots: u64,
    frozen: bool,
    /// What came while it was frozen.
    inbox: Vec<Parcel>,
    vital: bool,
    heavy: bool,
    has_address: bool,
}

#[derive(Clone)]
struct Parcel {
    from: usize,
    to: usize,
    destination: IpAddr,
    bytes: Rc<[u8]>,
}

struct Clock {
    ahead: Duration,
    drift: i64,
}

impl Clock {
    fn read(&self, now: Duration) -> Time {
        let nanos = now.as_nanos() as i128;
        self.ahead + nanos_of(nanos + nanos * i128::from(self.drift) / 1_000_000)
    }

    /// The first moment at which it shows that, or later.
    fn shows(&self, time: Time) -> Duration {
        let nanos = time.saturating_sub(self.ahead).as_nanos() as i128;
        let mut then = nanos_of(nanos * 1_000_000 / (1_000_000 + i128::from(self.drift)));
        while self.read(then) < time {
            then += Duration::from_nanos(1);
        }
        then
    }
}

fn nanos_of(nanos: i128) -> Duration {
    Duration::from_nanos(nanos as u64)
}

impl World {
    /// Nobody runs yet.
    pub(crate) fn new(plan: Plan, seed: u64) -> Self {
        let mut random = Random(seed);
        let hosts = (0..plan.hosts.len()).map(|host| Host {
            clock: Clock {
                ahead: random.time(Duration::ZERO, Duration::from_secs(1_000_000)),
                drift: (random.unit() * 2.0 * plan.drift as f64) as i64 - plan.drift,
            },
            address: plan.address(host),
            speaker: None,
            ids: HashMap::new(),
            boots: 0,
            frozen: false,
            inbox: Vec::new(),
            vital: true,
            heavy: true,
            has_address: true,
        });
        let mut witness = Witness::new(&plan);
        witness.divided(&HashSet::new(), Duration::ZERO);
        Self {
            hosts: hosts.collect(),
            now: Duration::ZERO,
            loss: Loss::Nothing,
            unheard: None,
            witness,
            cut: HashSet::new(),
            parcels: BTreeMap::new(),
            sent: 0,
            random,
            plan,
        }
    }

    pub(crate) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let parcel = self.parcels.keys().next().map(|(at, _)| *at);
            let timer = (0..self.hosts.len())
                .filter_map(|host| Some((self.due(host)?, host)))
                .min();
            match (parcel, timer) {
                (Some(at), timer) if at <= end && timer.is_none_or(|(due, _)| at <= due) => {
                    self.now = self.now.max(at);
                    self.deliver();
                }
                (_, Some((due, host))) if due <= end => {
                    self.now = self.now.max(due);
                    self.with(host, |speaker, now, out| speaker.elapsed(now, out));
                }
                _ => break,
            }
        }
        self.now = end;
    }

    /// Something befalls a host.
    pub(crate) fn strike(&mut self, host: usize, blow: Blow) {
        self.witness
            .note(self.now, format_args!("host {host}: {blow:?}"));
        match blow {
            Blow::Crash => {
                self.hosts[host].speaker = None;
                self.hosts[host].inbox.clear();
                self.hosts[host].frozen = false;
                self.witness.down(host, self.now);
            }
            Blow::Boot => self.boot(host),
            Blow::Stop => {
                self.with(host, |speaker, now, out| speaker.stop(now, out));
                self.hosts[host].speaker = None;
                self.witness.down(host, self.now);
            }
            Blow::Freeze => {
                self.hosts[host].frozen = true;
                self.witness.set_running(host, false, self.now, &self.cut);
            }
            Blow::Thaw => self.thaw(host),
            Blow::Vital(good) => {
                self.hosts[host].vital = good;
                self.observe(host, VITAL, good);
            }
            Blow::Heavy(good) => {
                self.hosts[host].heavy = good;
                self.observe(host, HEAVY, good);
            }
            Blow::Address(has) => {
                self.hosts[host].has_address = has;
                self.tell_source(host);
            }
            Blow::Reload => {
                let config = self.plan.config(host);
                self.with(host, |speaker, now, out| {
                    speaker.reload(config, now, out);
                    assert!(
                        out.is_empty(),
                        "the same configuration did something: {out:?}"
                    );
                });
            }
        }
    }

    /// Whether it runs, frozen or not.
    pub(crate) fn is_up(&self, host: usize) -> bool {
        self.hosts[host].speaker.is_some()
    }

    pub(crate) fn is_frozen(&self, host: usize) -> bool {
        self.hosts[host].frozen
    }

    /// From now on only hosts with the same number hear each other.
    pub(crate) fn divide(&mut self, parts: &[usize]) {
        self.cut.clear();
        for a in 0..parts.len() {
            for b in a + 1..parts.len() {
                if parts[a] != parts[b] {
                    self.cut.insert((a, b));
                }
            }
        }
        self.witness
            .note(self.now, format_args!("parts: {parts:?}"));
        self.witness.divided(&self.cut, self.now);
    }

    /// All that can be mended is.
    pub(crate) fn mend(&mut self) {
        self.loss = Loss::Nothing;
        self.divide(&vec![0; self.hosts()]);
        for host in 0..self.hosts() {
            if self.is_frozen(host) {
                self.strike(host, Blow::Thaw);
            }
            let mended = [Blow::Vital(true), Blow::Heavy(true), Blow::Address(true)];
            for blow in mended {
                self.strike(host, blow);
            }
            if !self.is_up(host) {
                self.strike(host, Blow::Boot);
            }
        }
    }

    fn boot(&mut self, host: usize) {
        let state = &mut self.hosts[host];
        state.boots += 1;
        let mut speaker = Speaker::new(self.plan.config(host), state.boots);
        let ids = (0..self.plan.routers)
            .filter_map(|router| Some((Plan::vrid(router), speaker.id(&Plan::name(router))?)));
        state.ids = ids.collect();
        speaker.wall(Duration::from_secs(1_800_000_000));
        state.speaker = Some(speaker);
        let (vital, heavy) = (state.vital, state.heavy);
        self.witness.up(host, self.now, &self.cut);
        self.tell_source(host);
        self.observe(host, VITAL, vital);
        self.observe(host, HEAVY, heavy);
        self.with(host, |speaker, now, out| speaker.start(now, out));
    }

    fn thaw(&mut self, host: usize) {
        self.hosts[host].frozen = false;
        self.witness.set_running(host, true, self.now, &self.cut);
        // First all that has come, then the clock.
        for parcel in std::mem::take(&mut self.hosts[host].inbox) {
            self.receive(parcel);
        }
        self.with(host, |speaker, now, out| speaker.elapsed(now, out));
    }

    fn observe(&mut self, host: usize, name: &str, good: bool) {
        let state = if good {
            ObjectState::Good
        } else {
            ObjectState::Bad
        };
        let object = Object::Script(name.to_owned());
        self.with(host, |speaker, now, out| {
            speaker.observe(&object, state, now, out)
        });
    }

    fn tell_source(&mut self, host: usize) {
        let state = &self.hosts[host];
        let source = state.has_address.then_some(state.address);
        for id in state.ids.clone().into_values() {
            self.with(host, |speaker, now, out| {
                speaker.source(id, source, now, out)
            });
        }
    }

    fn due(&self, host: usize) -> Option<Duration> {
        let host = &self.hosts[host];
        let due = host
            .speaker
            .as_ref()
            .filter(|_| !host.frozen)?
            .next_deadline()?;
        Some(host.clock.shows(due))
    }

    fn with(&mut self, host: usize, act: impl FnOnce(&mut Speaker, Time, &mut Vec<Output>)) {
        let state = &mut self.hosts[host];
        let now = state.clock.read(self.now);
        let Some(speaker) = &mut state.speaker else {
            return;
        };
        let mut out = Vec::new();
        act(speaker, now, &mut out);
        for output in out {
            match output {
                Output::Send { to, bytes, .. } => self.send(host, to, bytes.into()),
                other => {
                    let ids = &self.hosts[host].ids;
                    self.witness.told(host, ids, &other, self.now, &self.cut);
                }
            }
        }
        self.witness.check_group(host);
    }

    fn send(&mut self, from: usize, destination: IpAddr, bytes: Rc<[u8]>) {
        let vrid = vrid_of(self.plan.family, &bytes).expect("a number");
        for to in 0..self.hosts.len() {
            let for_it = destination.is_multicast() || destination == self.hosts[to].address;
            if to == from || !for_it {
                continue;
            }
            let lost = !self.connected(from, to) || self.is_lost(from, to, vrid);
            if lost {
                self.witness.lost(from, to, vrid);
                continue;
            }
            let delay = self.random.time(Duration::ZERO, self.plan.delay());
            self.sent += 1;
            let parcel = Parcel {
                from,
                to,
                destination,
                bytes: bytes.clone(),
            };
            self.parcels.insert((self.now + delay, self.sent), parcel);
        }
    }

    fn is_lost(&mut self, from: usize, to: usize, vrid: u8) -> bool {
        if self.unheard == Some(vrid) {
            return true;
        }
        match self.loss {
            Loss::Nothing => false,
            Loss::Random(chance) => self.random.chance(chance),
            Loss::AtMostInARow(chance, most) => {
                self.witness.lost_in_a_row(from, to, vrid) < most && self.random.chance(chance)
            }
        }
    }

    fn connected(&self, a: usize, b: usize) -> bool {
        !self.cut.contains(&(a.min(b), a.max(b)))
    }

    fn deliver(&mut self) {
        let Some((_, parcel)) = self.parcels.pop_first() else {
            return;
        };
        let host = &mut self.hosts[parcel.to];
        if self
            .cut
            .contains(&(parcel.from.min(parcel.to), parcel.from.max(parcel.to)))
            || host.speaker.is_none()
        {
            return;
        }
        match host.frozen {
            true => host.inbox.push(parcel),
            false => self.receive(parcel),
        }
    }

    fn receive(&mut self, parcel: Parcel) {
        let family = self.plan.family;
        let vrid = vrid_of(family, &parcel.bytes).expect("a number");
        let from = self.hosts[parcel.from].address;
        let id = self.hosts[parcel.to].ids.get(&vrid).copied();
        let id = id.expect("the same virtual routers everywhere");
        self.witness.delivered(parcel.from, parcel.to, vrid);
        self.with(parcel.to, |speaker, now, out| {
            let packet = Received {
                from,
                to: Some(parcel.destination),
                hop_limit: Some(255),
                bytes: &parcel.bytes,
            };
            speaker.received(id, &packet, now, out);
        });
        let priority = priority_of(family, &parcel.bytes);
        self.witness.heard(parcel.from, parcel.to, vrid, priority);
    }
}

fn priority_of(family: lvs_vrrp::config::Family, bytes: &[u8]) -> u8 {
    match family {
        lvs_vrrp::config::Family::V4 => bytes[22],
        lvs_vrrp::config::Family::V6 => bytes[2],
    }
}
