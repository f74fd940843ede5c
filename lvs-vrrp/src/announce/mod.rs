//! When gratuitous ARPs and unsolicited neighbour advertisements go out.
//!
//! A new master tells hosts and switches where the virtual addresses are now. Frames get lost, neighbours may be asleep, a rival
//! may have told them otherwise: so they are told several times. But routers with thousands of addresses must not flood slow
//! switches. The rules are keepalived's:
//!
//! | when | what |
//! |---|---|
//! | a router becomes master | each address `repeat` times, all once before any twice |
//! | `delay` after that | the same |
//! | `refresh` after it has become master, and after each refresh | each address `refresh_repeat` times |
//! | a master has heard a rival ([`Output::Reannounce`](crate::event::Output::Reannounce)) | each address `lower_repeat` times |
//! | `lower_delay` after the last rival | the same |
//! | `extra` after it has become master, and again and again | one address of each [other](Place) interface, once |
//! | a unicast router recovers from a fault | its source address, once ([`Schedule::once`]) |
//! | addresses are added by a reload | these, as if the router had become master of them |
//!
//! Gratuitous ARPs of an interface, or of a group of interfaces, keep a distance from each other; so do neighbour
//! advertisements. What cannot go at once waits in line, and no address waits for more announcements than the largest burst
//! that wants it. Who is no longer master leaves the line.
//!
//! A [`Schedule`] has no clock. Its driver calls [`Schedule::elapsed`] when [`Schedule::next_deadline`] has come, and after each
//! call that tells it something, and sends what comes out.

mod lane;
mod router;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub use settings::{Held, Pace, PaceGroup, Place, Settings, Spacing};

use self::lane::{Kind, Lane, LaneKey, Ticket, What};
use self::router::{Age, Round, Router};
use self::settings::Lanes;
use crate::Time;
use crate::event::RouterId;

/// An announcement to be sent now: a gratuitous ARP for an IPv4 address, an unsolicited neighbour advertisement for an IPv6
/// address, with the MAC address of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a plain record, read by drivers")]
pub struct Announcement {
    /// The index of the interface that it goes out on.
    pub interface: u32,
    /// The address that is announced.
    pub addr: IpAddr,
}

/// What is to be announced by all virtual routers of a host, and when.
#[derive(Debug, Default)]
pub struct Schedule {
    lanes: Lanes,
    routers: BTreeMap<RouterId, Router>,
    /// Where announcements wait, by interface or group.
    queues: BTreeMap<LaneKey, Lane>,
    /// When addresses of a router get in line.
    rounds: BTreeSet<(Time, RouterId, Round)>,
    /// When queues move in which something waits.
    moves: BTreeSet<(Time, LaneKey)>,
}

impl Schedule {
    /// Of a host where nobody is master.
    pub fn new(spacing: Spacing) -> Self {
        Self {
            lanes: Lanes::new(spacing),
            ..Self::default()
        }
    }

    /// A router has become master and holds these addresses.
    pub fn became_master(
        &mut self,
        router: RouterId,
        settings: Settings,
        addresses: impl IntoIterator<Item = Held>,
        now: Time,
    ) {
        self.left(router);
        self.routers
            .insert(router, Router::new(settings, addresses));
        self.announce_new(router, now);
        self.arm_periods(router, now);
    }

    /// A router that is master now has these settings and addresses: a reload, or an interface that is another one now.
    /// What it has had before is not announced again for that; what is new to it is. If it is not master nothing happens.
    pub fn update(
        &mut self,
        router: RouterId,
        settings: Settings,
        addresses: impl IntoIterator<Item = Held>,
        now: Time,
    ) {
        let Some(master) = self.routers.get_mut(&router) else {
            return;
        };
        let waiting = master.replace(settings, addresses);
        let has_new = master.held.iter().any(|h| h.age == Age::New);
        self.leave_line(router, |what| matches!(what, What::Held(_)));
        for (number, count) in waiting {
            self.get_in_line(router, number, count);
        }
        if has_new {
            self.announce_new(router, now);
        }
        if settings.delay.is_zero() {
            self.set(router, Round::NewAgain, None);
        }
        self.arm_periods(router, now);
    }

    /// A master has heard another one, that may have misled hosts. Nothing happens if it is not master.
    pub fn reannounce(&mut self, router: RouterId, now: Time) {
        let Some(settings) = self.routers.get(&router).map(|r| r.settings) else {
            return;
        };
        self.set(router, Round::Rival, Some(now));
        if !settings.lower_delay.is_zero() {
            let again = now.saturating_add(settings.lower_delay);
            self.set(router, Round::RivalAgain, Some(again));
        }
    }

    /// A router announces an address once, whether it is master or not: its source after a fault, if it speaks by unicast.
    pub fn once(&mut self, router: RouterId, announcement: Announcement) {
        let what = What::Once(announcement);
        self.push(announcement, Ticket { router, what });
    }

    /// A router is not master, or not any more: nothing that it has waiting goes out.
    pub fn left(&mut self, router: RouterId) {
        self.leave_line(router, |_| true);
        if let Some(gone) = self.routers.remove(&router) {
            for (round, when) in gone.deadlines() {
                self.rounds.remove(&(when, router, round));
            }
        }
    }

    /// Announcements keep other distances from now on. What waits keeps waiting.
    pub fn set_spacing(&mut self, spacing: Spacing) {
        let old = std::mem::replace(&mut self.lanes, Lanes::new(spacing));
        let queues = std::mem::take(&mut self.queues);
        self.moves.clear();
        // First the past of all, so that nobody gets in line of a queue that does not know it yet.
        for (key, queue) in &queues {
            for interface in old.interfaces(*key) {
                let lane = self.queue(self.lanes.lane(interface, key.kind));
                lane.last = lane.last.max(queue.last);
            }
        }
        for ticket in queues.into_values().flat_map(|q| q.queue) {
            if let Some(announcement) = self.announcement(ticket) {
                self.push(announcement, ticket);
            }
        }
    }

    /// Time has passed: adds what is to be sent now, in order.
    pub fn elapsed(&mut self, now: Time, out: &mut Vec<Announcement>) {
        // All get in line before any goes: what several rounds want at once goes once.
        while let Some(&(when, router, round)) = self.rounds.first()
            && when <= now
        {
            self.rounds.pop_first();
            self.begin(router, round, now);
        }
        while let Some(&(when, lane)) = self.moves.first()
            && when <= now
        {
            self.moves.pop_first();
            self.advance(lane, now, out);
        }
    }

    /// When [`Self::elapsed`] is to be called next, which may be a time that has passed; `None`: when something else has
    /// happened.
    pub fn next_deadline(&self) -> Option<Time> {
        let round = self.rounds.first().map(|(when, ..)| *when);
        let moving = self.moves.first().map(|(when, _)| *when);
        round.into_iter().chain(moving).min()
    }

    /// A router's round begins: its addresses get in line.
    fn begin(&mut self, id: RouterId, round: Round, now: Time) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        let again = router.period(round).map(|p| now.saturating_add(p));
        let (numbers, count) = router.begin(round);
        self.set(id, round, again);
        for number in numbers {
            self.get_in_line(id, number, count);
        }
    }

    /// A queue moves: by one, or by all if they need not keep a distance.
    fn advance(&mut self, key: LaneKey, now: Time, out: &mut Vec<Announcement>) {
        let Some(lane) = self.queues.get_mut(&key) else {
            return;
        };
        while lane.next() <= now
            && let Some(ticket) = lane.queue.pop_front()
        {
            let announcement = match ticket.what {
                What::Once(announcement) => Some(announcement),
                What::Held(number) => {
                    let held = self.routers.get_mut(&ticket.router);
                    held.and_then(|r| r.held.get_mut(number)).map(|held| {
                        held.waiting = held.waiting.saturating_sub(1);
                        if held.waiting > 0 {
                            lane.queue.push_back(ticket);
                        }
                        held.announcement()
                    })
                }
            };
            if let Some(announcement) = announcement {
                out.push(announcement);
                lane.last = Some(now);
            }
        }
        if !lane.queue.is_empty() {
            self.moves.insert((lane.next(), key));
        }
    }

    fn announce_new(&mut self, router: RouterId, now: Time) {
        self.set(router, Round::New, Some(now));
        let delay = self.routers.get(&router).map(|r| r.settings.delay);
        let again = delay.filter(|d| !d.is_zero());
        let again = again.map(|d| now.saturating_add(d));
        self.set(router, Round::NewAgain, again);
    }

    /// Sees that what is done again and again is done, and no later than it would be done if all began now.
    fn arm_periods(&mut self, id: RouterId, now: Time) {
        for round in [Round::Refresh, Round::Extra] {
            let Some(router) = self.routers.get(&id) else {
                return;
            };
            let period = router.period(round);
            let when = period.map(|period| {
                let latest = now.saturating_add(period);
                router.deadline(round).map_or(latest, |w| w.min(latest))
            });
            self.set(id, round, when);
        }
    }

    /// When a round of a router begins; `None`: it does not.
    fn set(&mut self, id: RouterId, round: Round, when: Option<Time>) {
        let Some(router) = self.routers.get_mut(&id) else {
            return;
        };
        if let Some(old) = router.set_deadline(round, when) {
            self.rounds.remove(&(old, id, round));
        }
        if let Some(when) = when {
            self.rounds.insert((when, id, round));
        }
    }

    /// An address wants to be announced `count` times, or as often as it is waiting for anyway.
    fn get_in_line(&mut self, router: RouterId, number: usize, count: u32) {
        let held = self.routers.get_mut(&router);
        let Some(held) = held.and_then(|r| r.held.get_mut(number)) else {
            return;
        };
        let is_in_line = held.waiting > 0;
        held.waiting = held.waiting.max(count);
        if !is_in_line && count > 0 {
            let announcement = held.announcement();
            let what = What::Held(number);
            self.push(announcement, Ticket { router, what });
        }
    }

    fn push(&mut self, announcement: Announcement, ticket: Ticket) {
        let key = self
            .lanes
            .lane(announcement.interface, Kind::of(announcement.addr));
        let lane = self.queue(key);
        lane.queue.push_back(ticket);
        let when = lane.next();
        self.moves.insert((when, key));
    }

    /// Some of what a router has waiting does not wait any more.
    fn leave_line(&mut self, router: RouterId, goes: impl Fn(What) -> bool) {
        for (key, lane) in &mut self.queues {
            lane.queue
                .retain(|ticket| ticket.router != router || !goes(ticket.what));
            if lane.queue.is_empty() {
                self.moves.remove(&(lane.next(), *key));
            }
        }
    }

    fn queue(&mut self, key: LaneKey) -> &mut Lane {
        let interval = self.lanes.interval(key);
        self.queues.entry(key).or_insert_with(|| Lane {
            interval,
            ..Lane::default()
        })
    }

    fn announcement(&self, ticket: Ticket) -> Option<Announcement> {
        match ticket.what {
            What::Once(announcement) => Some(announcement),
            What::Held(number) => {
                let router = self.routers.get(&ticket.router)?;
                router.held.get(number).map(|h| h.announcement())
            }
        }
    }
}
