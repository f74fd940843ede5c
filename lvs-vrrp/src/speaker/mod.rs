//! All virtual routers of a host.
//!
//! A [`Speaker`] is fed what happens (advertisements, how watched objects are, addresses to send from, time) and puts out what is to
//! be done. A driver does this:
//!
//! 1. [`Speaker::new`]; then [`observe`](Speaker::observe) and [`source`](Speaker::source) what is known already; then
//!    [`start`](Speaker::start).
//! 2. Whenever something comes, hands it in. All advertisements that have come go in before the clock is looked at: who was kept
//!    from running must not take a master for silent whose words only wait to be read.
//! 3. At [`next_deadline`](Speaker::next_deadline), or at any other time: [`elapsed`](Speaker::elapsed).
//! 4. Carries out all [`Output`]s in their order.

mod member;
mod neighbours;
mod reload;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::Time;
use crate::config::{Config, Object, RouterConfig};
use crate::event::{Output, RouterId, State, Why};
use crate::group::Group;
use crate::packet::{Codec, Received};
use crate::router::{Action, Health, Router};
use crate::status::{ObjectState, RouterStatus};
use member::{Done, Member};

/// All virtual routers of a host, and their groups: what a driver drives.
#[derive(Debug)]
pub struct Speaker {
    config: Config,
    members: BTreeMap<RouterId, Member>,
    groups: Vec<Group>,
    /// How everything is that has been looked at.
    objects: HashMap<Object, ObjectState>,
    started: bool,
    /// The time of day at the time zero, since 1970.
    at_zero: Duration,
    seed: u64,
    /// Numbers that have been given to virtual routers.
    numbered: u32,
}

impl Speaker {
    /// All virtual routers of a configuration, which has been checked. Nothing is said before [`Self::start`]. `seed`: what differs from
    /// run to run, and where numbers in packets begin.
    pub fn new(config: Config, seed: u64) -> Self {
        let mut speaker = Self {
            config,
            members: BTreeMap::new(),
            groups: Vec::new(),
            objects: HashMap::new(),
            started: false,
            at_zero: Duration::ZERO,
            seed,
            numbered: 0,
        };
        for config in speaker.config.routers.clone() {
            speaker.insert(config);
        }
        speaker.arrange_groups();
        // Nobody has begun, so there is nothing to tell.
        speaker.assess_all(Time::ZERO, &mut Vec::new());
        speaker
    }

    /// All begin, except those of which it is not known whether they can: they begin when that is known.
    pub fn start(&mut self, now: Time, out: &mut Vec<Output>) {
        self.started = true;
        let opens = now + self.config.startup_delay;
        for id in self.ids() {
            self.act(id, now, out, |router, out| router.start(opens, now, out));
        }
        self.settle_all(out);
    }

    /// An advertisement has come, by an interface where this virtual router is, and with its number.
    pub fn received(
        &mut self,
        id: RouterId,
        packet: &Received<'_>,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let wall = self.wall_at(now);
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        if let Some(advert) = member.check(packet, wall, now, out) {
            self.act(id, now, out, |router, out| router.heard(&advert, now, out));
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.done_with_packet();
        }
    }

    /// A watched object is so now. A virtual router's own interface is one too, if it is among what it watches.
    pub fn observe(
        &mut self,
        object: &Object,
        state: ObjectState,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        if self.objects.insert(object.clone(), state) == Some(state) {
            return;
        }
        for id in self.ids() {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            if member.config.tracking.iter().any(|t| t.object == *object) {
                member.assess(&self.objects, Some(object), out);
                self.look_at_health(id, now, out);
            }
        }
    }

    /// A virtual router has this address to send from now, or none.
    pub fn source(
        &mut self,
        id: RouterId,
        address: Option<IpAddr>,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        if let Some(member) = self.members.get_mut(&id) {
            member.set_source(address);
            self.look_at_health(id, now, out);
        }
    }

    /// The time of day, since 1970, at [`Time`] zero.
    pub fn wall(&mut self, at_zero: Duration) {
        self.at_zero = at_zero;
    }

    /// Does what is due.
    pub fn elapsed(&mut self, now: Time, out: &mut Vec<Output>) {
        let is_due = |m: &Member| m.router.next_deadline().is_some_and(|due| due <= now);
        let members = self.members.values().filter(|m| is_due(m));
        for id in members.map(|m| m.id).collect::<Vec<_>>() {
            // What one does may be for others of its group too.
            if self.members.get(&id).is_some_and(is_due) {
                let may_lead = self.may_lead(id);
                self.act(id, now, out, |router, out| {
                    router.elapsed(may_lead, now, out)
                });
            }
        }
    }

    /// When [`Self::elapsed`] should be called next; it may be now.
    pub fn next_deadline(&self) -> Option<Time> {
        let due = self
            .members
            .values()
            .filter_map(|m| m.router.next_deadline());
        due.min()
    }

    /// All end: masters step down. [`Self::start`] lets them begin again.
    pub fn stop(&mut self, now: Time, out: &mut Vec<Output>) {
        self.started = false;
        for id in self.ids() {
            self.act_alone(id, now, out, |router, out| {
                router.stop(Why::Stopped, now, out)
            });
        }
        self.settle_all(out);
    }

    /// What a master sends if it is to end and nobody is left to say so: made in advance, to be kept where the process does not end. It is
    /// nothing for routers that are not master, and for those whose packets cannot be made in advance, since they bear a sequence
    /// number or the time (AH, trailers). It holds until the router's state, source or configuration changes.
    pub fn last_words(&mut self, id: RouterId) -> Vec<(IpAddr, Vec<u8>)> {
        let member = self.members.get_mut(&id);
        member.map(Member::last_words).unwrap_or_default()
    }

    /// A virtual router's number, by its name.
    pub fn id(&self, name: &str) -> Option<RouterId> {
        let member = self.members.values().find(|m| m.config.name == name);
        member.map(|m| m.id)
    }

    /// What a virtual router is to do.
    pub fn config(&self, id: RouterId) -> Option<&RouterConfig> {
        self.members.get(&id).map(|m| &*m.config)
    }

    /// How all virtual routers are, by number.
    pub fn status(&self) -> Vec<RouterStatus> {
        let group = |m: &Member| Some(self.groups.get(m.group?)?.name.clone());
        let members = self.members.values();
        members.map(|m| m.status(group(m))).collect()
    }

    /// The state of each group, by name, in the order of the configuration.
    pub fn groups(&self) -> Vec<(String, State)> {
        let groups = self.groups.iter();
        groups.map(|g| (g.name.clone(), g.state)).collect()
    }

    fn insert(&mut self, config: Arc<RouterConfig>) -> RouterId {
        let id = RouterId(self.numbered);
        self.numbered += 1;
        let codec = Codec::seeded(self.seed.wrapping_add(id.0.into()));
        self.members.insert(id, Member::new(id, config, codec));
        id
    }

    fn ids(&self) -> Vec<RouterId> {
        self.members.keys().copied().collect()
    }

    fn wall_at(&self, now: Time) -> Duration {
        self.at_zero + now
    }

    /// Lets a virtual router act, and then those that must follow.
    fn act(
        &mut self,
        id: RouterId,
        now: Time,
        out: &mut Vec<Output>,
        with: impl FnOnce(&mut Router, &mut Vec<Action>),
    ) {
        let done = self.act_alone(id, now, out, with);
        let Some(group) = self.group_of(id) else {
            return;
        };
        if done.met_rival {
            self.reannounce_others(group, id, out);
        }
        let to = match done.moved {
            Some((_, State::Master)) => State::Master,
            Some((State::Master, State::Backup)) => State::Backup,
            _ => return self.settle(group, out),
        };
        let why = self.because_of(group, id);
        for other in self.members_of(group) {
            let why = why.clone();
            self.act_alone(other, now, out, |router, out| {
                router.follow(to, why, now, out)
            });
        }
        self.settle(group, out);
    }

    fn act_alone(
        &mut self,
        id: RouterId,
        now: Time,
        out: &mut Vec<Output>,
        with: impl FnOnce(&mut Router, &mut Vec<Action>),
    ) -> Done {
        let wall = self.wall_at(now);
        match self.members.get_mut(&id) {
            Some(member) => member.act(wall, now, out, with),
            None => Done::default(),
        }
    }

    /// Takes on whether a virtual router can take part, and with it its group.
    fn look_at_health(&mut self, id: RouterId, now: Time, out: &mut Vec<Output>) {
        match self.group_of(id) {
            Some(group) => {
                self.look_at_health_of_group(group, now, out);
                self.settle(group, out);
            }
            None => {
                let health = self.members.get(&id).map(Member::health);
                self.set_health(id, health.unwrap_or(Health::Unknown), now, out);
            }
        }
    }

    /// While one is in fault, all are; those whose fault it is go first.
    fn look_at_health_of_group(&mut self, group: usize, now: Time, out: &mut Vec<Output>) {
        let healths = self.members_of(group).into_iter().filter_map(|id| {
            let member = self.members.get(&id)?;
            Some((id, member.router.state(), member.health()))
        });
        let (faulty, others): (Vec<_>, Vec<_>) =
            healths.partition(|(_, state, health)| match health {
                Health::Fault(_) => true,
                // One in fault remains so until everything is known.
                Health::Unknown => *state == State::Fault,
                Health::Good => false,
            });
        let fault = faulty.first().map(|(id, ..)| self.because_of(group, *id));
        for (id, _, health) in faulty {
            self.set_health(id, health, now, out);
        }
        for (id, state, health) in others {
            let health = match (&fault, &health, state) {
                // One of which nothing is known yet has not begun.
                (None, ..) | (_, Health::Unknown, State::Init) => health,
                (Some(why), ..) => Health::Fault(why.clone()),
            };
            self.set_health(id, health, now, out);
        }
    }

    fn set_health(&mut self, id: RouterId, health: Health, now: Time, out: &mut Vec<Output>) {
        self.act_alone(id, now, out, |router, out| {
            router.set_health(health, now, out)
        });
    }

    fn may_lead(&self, id: RouterId) -> bool {
        self.group_of(id).is_none_or(|place| {
            let others = self
                .members_of(place)
                .into_iter()
                .filter(|other| *other != id);
            let stands = others.filter_map(|other| Some(self.members.get(&other)?.stand()));
            self.groups
                .get(place)
                .is_none_or(|group| group.may_lead(stands))
        })
    }

    fn group_of(&self, id: RouterId) -> Option<usize> {
        self.members.get(&id)?.group
    }

    fn members_of(&self, group: usize) -> Vec<RouterId> {
        let members = self.members.values().filter(|m| m.group == Some(group));
        members.map(|m| m.id).collect()
    }

    fn because_of(&self, group: usize, id: RouterId) -> Why {
        Why::Group {
            group: self
                .groups
                .get(group)
                .map_or_else(String::new, |g| g.name.clone()),
            member: self.members.get(&id).map(|m| m.config.name.clone()),
        }
    }

    /// Hosts that were misled about one address of a group may have been so about others.
    fn reannounce_others(&self, group: usize, id: RouterId, out: &mut Vec<Output>) {
        for router in self.members_of(group) {
            let leads = |m: &Member| m.router.state() == State::Master;
            if router != id && self.members.get(&router).is_some_and(leads) {
                out.push(Output::Reannounce { router });
            }
        }
    }

    fn settle(&mut self, place: usize, out: &mut Vec<Output>) {
        let members = self.members.values().filter(|m| m.group == Some(place));
        let stands: Vec<_> = members.map(Member::stand).collect();
        let Some(group) = self.groups.get_mut(place) else {
            return;
        };
        let to = group.settled(stands);
        if group.state != to {
            out.push(Output::GroupEntered {
                group: group.name.clone(),
                from: group.state,
                to,
            });
            group.state = to;
        }
    }

    fn settle_all(&mut self, out: &mut Vec<Output>) {
        for group in 0..self.groups.len() {
            self.settle(group, out);
        }
    }
}
