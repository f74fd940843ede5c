//! Persistence templates: which real server a client's connections go to.
//!
//! A template remembers the server chosen for a client's first connection to a persistent service; later
//! connections of the client follow it. Clients are told apart by their masked address, so that a template's
//! connections are spread over all shards; hence templates have tables of their own, each behind a lock.
//!
//! Rules (IPVS): each new connection, not each packet, prolongs a template. One that comes due while it still controls
//! connections is kept for 60 s more, and from then on prolonged by no more than that. One whose server is gone is
//! put aside where no look-up finds it, and ages out there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ahash::RandomState;
use hashbrown::HashMap;

use super::ConnInfo;
use super::control::{Control, Lease};
use crate::addr::{Endpoint, Family, Ip};
use crate::dest::DestLive;
use crate::segment::{Protocol, Segment, port};
use crate::service::{Persistence, ServiceKey};
use crate::state::State;
use crate::time::Time;

/// So many that whoever looks through one holds it for microseconds.
const PARTS: usize = 1024;
/// One round of the drop-entry defence looks at one in so many.
const CLASSES: usize = 32;

/// How long a due template that still controls connections is kept.
pub(super) const STILL_NEEDED: Duration = Duration::from_secs(60);

/// The port in the listing of a template put aside.
const ASIDE: u16 = 0xffff;

/// What a template is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TemplateKey {
    /// Protocol 0 for services of a firewall mark, which serve all of them.
    protocol: Protocol,
    /// The client's address under the persistence mask.
    client: Ip,
    /// The packet's destination address, or the mark in an address's place.
    virt: Ip,
    /// The service's port, or 0 for all ports.
    port: u16,
    /// What the persistence engine recognised, or 0.
    tag: u64,
    /// Not 0: put aside.
    aside: u32,
}

impl TemplateKey {
    /// The template for a packet to a persistent service.
    pub(crate) fn new(service: ServiceKey, persistence: &Persistence, packet: &Segment) -> Self {
        let (protocol, virt, port) = match service {
            ServiceKey::Mark { family, mark } => (Protocol(0), mark_as_address(family, mark), 0),
            ServiceKey::Addr { .. } if covers_one_port(service, packet) => {
                (packet.protocol, packet.dst.ip, packet.dst.port)
            }
            ServiceKey::Addr { .. } => (packet.protocol, packet.dst.ip, 0),
        };
        Self {
            protocol,
            client: packet.src.ip.masked(persistence.prefix),
            virt,
            port,
            tag: persistence.engine.map_or(0, |_| packet.tag),
            aside: 0,
        }
    }
}

/// Whether a template is for one port of the service only (and not for all of the address, a mark's or FTP's).
pub(crate) fn covers_one_port(service: ServiceKey, packet: &Segment) -> bool {
    matches!(service, ServiceKey::Addr { addr, .. } if addr.port == packet.dst.port && addr.port != port::FTP)
}

/// A mark where an address is expected, as IPVS lists it.
fn mark_as_address(family: Family, mark: u32) -> Ip {
    let [a, b, c, d] = mark.to_be_bytes();
    match family {
        Family::V4 => Ip::v4([a, b, c, d]),
        Family::V6 => Ip::v6([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    }
}

#[derive(Debug)]
struct Template {
    dest: Arc<DestLive>,
    dest_port: u16,
    control: Arc<Control>,
    one_packet: bool,
    timeout: Duration,
    deadline: Time,
    /// When its entry among the timers comes up; others under its key are left over.
    timer: Time,
}

/// A new template's server.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) dest: Arc<DestLive>,
    /// The server's port, 0 if the template is for all ports.
    pub(crate) dest_port: u16,
    pub(crate) timeout: Duration,
    pub(crate) one_packet: bool,
}

#[derive(Debug)]
struct Part {
    templates: HashMap<TemplateKey, Template, RandomState>,
    /// One entry for each template, at a moment not after its deadline, and some left over.
    timers: BinaryHeap<Reverse<(Time, TemplateKey)>>,
    put_aside: u32,
}

#[derive(Debug)]
pub(crate) struct Templates {
    parts: Box<[Mutex<Part>]>,
    seed: RandomState,
}

impl Templates {
    pub(crate) fn new(seed: &RandomState) -> Self {
        let part = |_| {
            Mutex::new(Part {
                templates: HashMap::with_hasher(seed.clone()),
                timers: BinaryHeap::new(),
                put_aside: 0,
            })
        };
        Self {
            parts: (0..PARTS).map(part).collect(),
            seed: seed.clone(),
        }
    }

    fn part(&self, key: &TemplateKey) -> MutexGuard<'_, Part> {
        let i = self.seed.hash_one(key) as usize % PARTS;
        lock(&self.parts[i])
    }

    /// The server that a template leads to, and the control a connection comes under. Where there is no valid template,
    /// `choose` says what a new one is to lead to.
    pub(crate) fn follow(
        &self,
        key: TemplateKey,
        now: Time,
        expire_quiescent: bool,
        choose: impl FnOnce() -> Option<Fresh>,
    ) -> Option<(Arc<DestLive>, Lease)> {
        let part = &mut *self.part(&key);
        if let Some(t) = part.templates.get_mut(&key) {
            let due = t.is_over(now);
            let quiesced = expire_quiescent && t.dest.weight() == 0;
            if !due && t.dest.is_available() && !quiesced {
                t.deadline = now + t.timeout;
                return Some((t.dest.clone(), t.control.lease()));
            }
            if due {
                part.remove(&key);
            } else {
                part.put_aside(key);
            }
        }
        let fresh = choose()?;
        fresh.dest.bind_template(1);
        let template = Template {
            dest: fresh.dest,
            dest_port: fresh.dest_port,
            control: Arc::default(),
            one_packet: fresh.one_packet,
            timeout: fresh.timeout,
            deadline: now + fresh.timeout,
            timer: now + fresh.timeout,
        };
        let found = (template.dest.clone(), template.control.lease());
        part.timers.push(Reverse((template.timer, key)));
        part.templates.insert(key, template);
        Some(found)
    }

    /// The server that a valid template leads to, and the template as it is listed, once a connection under `gone` has
    /// gone. Changes nothing.
    pub(crate) fn look(
        &self,
        key: TemplateKey,
        now: Time,
        expire_quiescent: bool,
        gone: Option<&Arc<Control>>,
    ) -> Option<(Arc<DestLive>, ConnInfo)> {
        let part = self.part(&key);
        let t = part.templates.get(&key)?;
        let is_over = t.deadline <= now && !t.control.is_needed_without(gone);
        let quiesced = expire_quiescent && t.dest.weight() == 0;
        let valid = !is_over && t.dest.is_available() && !quiesced;
        valid.then(|| (t.dest.clone(), t.info(&key, now)))
    }

    /// The template behind this control, as it is listed; it is likely the one of this key.
    pub(crate) fn of(
        &self,
        control: &Arc<Control>,
        likely: TemplateKey,
        now: Time,
    ) -> Option<ConnInfo> {
        let is_it = |t: &Template| Arc::ptr_eq(&t.control, control);
        if let Some(t) = self.part(&likely).templates.get(&likely)
            && is_it(t)
        {
            return Some(t.info(&likely, now));
        }
        self.parts.iter().find_map(|part| {
            let part = lock(part);
            let (key, t) = part.templates.iter().find(|(_, t)| is_it(t))?;
            Some(t.info(key, now))
        })
    }

    /// Removes templates that have come due and control nothing.
    pub(crate) fn expire(&self, now: Time) {
        for part in &self.parts {
            lock(part).expire(now);
        }
    }

    /// Removes templates whose connections were all dropped in defence.
    pub(crate) fn drop_forsaken(&self) {
        for part in &self.parts {
            lock(part).drop_if(|_, t| t.control.is_forsaken());
        }
    }

    /// Removes templates of removed servers, unless connections follow them.
    pub(crate) fn drop_without_destination(&self) {
        for part in &self.parts {
            lock(part).drop_if(|_, t| !t.dest.is_available() && !t.control.is_needed());
        }
    }

    /// One round of the drop-entry defence over a 32nd of the templates: those nobody has confirmed, and for one-packet
    /// services those that `rate_test` singles out (IPVS).
    pub(crate) fn defend(
        &self,
        random: u64,
        mut rate_test: impl FnMut(Duration) -> bool,
        now: Time,
    ) {
        let parts = { &self.parts }.iter();
        for part in parts.skip(random as usize % CLASSES).step_by(CLASSES) {
            lock(part).drop_if(|_, t| {
                let idle = (now + t.timeout).since(t.deadline);
                !t.control.is_needed()
                    && match t.one_packet {
                        true => rate_test(idle),
                        false => !t.control.is_assured(),
                    }
            });
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|p| lock(p).templates.len()).sum()
    }

    /// Shows one part of the templates; `false` if it is the last.
    pub(crate) fn list(&self, part: usize, now: Time, visit: &mut dyn FnMut(ConnInfo)) -> bool {
        if let Some(part) = self.parts.get(part) {
            for (key, t) in &lock(part).templates {
                visit(t.info(key, now));
            }
        }
        part + 1 < PARTS
    }

    /// Removes those of one part that `which` singles out, and counts them; `false` if it is the last part.
    pub(crate) fn evict(
        &self,
        part: usize,
        now: Time,
        which: &dyn Fn(&ConnInfo) -> bool,
        removed: &mut usize,
    ) -> bool {
        if let Some(part) = self.parts.get(part) {
            lock(part).drop_if(|key, t| {
                let gone = which(&t.info(key, now));
                *removed += usize::from(gone);
                gone
            });
        }
        part + 1 < PARTS
    }
}

impl Part {
    fn put_aside(&mut self, key: TemplateKey) {
        if let Some(mut t) = self.templates.remove(&key) {
            t.timer = t.deadline;
            self.put_aside = self.put_aside.wrapping_add(1).max(1);
            let key = TemplateKey {
                aside: self.put_aside,
                ..key
            };
            self.timers.push(Reverse((t.timer, key)));
            self.templates.insert(key, t);
        }
    }

    fn remove(&mut self, key: &TemplateKey) {
        if let Some(t) = self.templates.remove(key) {
            t.dest.bind_template(-1);
        }
    }

    fn expire(&mut self, now: Time) {
        while let Some(Reverse((at, key))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            let Some(t) = self.templates.get_mut(&key).filter(|t| t.timer == at) else {
                continue;
            };
            if t.is_over(now) {
                self.remove(&key);
                continue;
            }
            t.timer = t.deadline;
            let again = Reverse((t.timer, key));
            self.timers.push(again);
        }
    }

    fn drop_if(&mut self, mut drop: impl FnMut(&TemplateKey, &Template) -> bool) {
        self.templates.retain(|key, t| {
            let gone = drop(key, t);
            if gone {
                t.dest.bind_template(-1);
            }
            !gone
        });
    }
}

impl Template {
    /// Whether it has come due and controls nothing; if it still does, it gets its 60 s from the moment when it came
    /// due, however late somebody looks.
    fn is_over(&mut self, now: Time) -> bool {
        if self.deadline > now {
            return false;
        }
        if self.control.is_needed() {
            self.timeout = STILL_NEEDED;
            self.deadline = self.kept_until(now);
            return false;
        }
        true
    }

    /// When it ends if nothing happens.
    fn kept_until(&self, now: Time) -> Time {
        let late = now.since(self.deadline).as_millis() as u64;
        let rounds = late / STILL_NEEDED.as_millis() as u64 + 1;
        match self.deadline <= now && self.control.is_needed() {
            true => self.deadline + STILL_NEEDED * rounds.min(u64::from(u32::MAX)) as u32,
            false => self.deadline,
        }
    }

    fn info(&self, key: &TemplateKey, now: Time) -> ConnInfo {
        let aside = key.aside != 0;
        let port = |p| if aside { ASIDE } else { p };
        ConnInfo {
            service: self.dest.service().key(),
            protocol: key.protocol,
            client: Endpoint::new(key.client, 0),
            virt: Endpoint::new(key.virt, port(key.port)),
            dest: Endpoint::new(self.dest.addr().ip, port(self.dest_port)),
            server: self.dest.addr(),
            local: None,
            method: self.dest.method(),
            state: match self.control.is_assured() {
                true => State::Assured,
                false => State::Template,
            },
            expires_in: self.kept_until(now).since(now),
            in_packets: 0,
        }
    }
}

fn lock(m: &Mutex<Part>) -> MutexGuard<'_, Part> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
