//! One virtual router: who is master.
//!
//! ```text
//!                     ┌────────┐  owner      ┌────────┐
//!            start    │  INIT  ├────────────►│ MASTER │ advertises every interval
//!           ─────────►│        │             │        │
//!                     └──┬─────┘             └▲──┬──┬─┘
//!                        │      nobody better │  │  │
//!                        │  heard for so long │  │  │ fault
//!                        ▼                    │  │  │ (says 0)
//!                     ┌────────┐              │  │  │
//!                     │ BACKUP ├──────────────┘  │  │
//!                     │        │◄────────────────┘  │
//!                     └─▲────┬─┘  outranked         ▼
//!                       │    │   fault       ┌────────┐
//!              recovered│    └──────────────►│ FAULT  │
//!                       └────────────────────┤        │
//!                                            └────────┘
//! ```
//!
//! This is RFC 9568 section 6.4 with keepalived's FAULT and its knobs. What is heard has been checked: here only priorities, addresses and
//! intervals count. Each input has a time; each may put out [`Action`]s, to be carried out in their order.
//!
//! Where the RFC and keepalived leave a choice, the one is taken that does not make two masters:
//!
//! - An advertisement that is late by the clock, but comes before the timer is looked at, counts. A driver therefore hands in all that it
//!   has received before it calls [`Router::elapsed`].
//! - A backup that looks at its timer so late that it could have run out twice was not there to listen (its virtual machine stood
//!   still): it listens for one more interval.
//! - A master hears another one of the same priority and with its own address: it stays, and says so, since either would yield to
//!   the other for ever.

mod backup;
mod master;
mod timing;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use timing::{master_down, skew};

use crate::Time;
use crate::config::{RouterConfig, Version};
use crate::event::{State, Trouble, Why};
use crate::packet::Advertisement;
use backup::Listening;
use master::Dispute;

/// A virtual router's state machine.
#[derive(Clone, Debug)]
pub struct Router {
    config: Arc<RouterConfig>,
    state: State,
    since: Time,
    why: Why,
    /// The effective priority, as what is watched makes it.
    priority: u8,
    /// An owner that gives way to another owner: it counts as 254 until it is master again.
    lowered: bool,
    source: Option<IpAddr>,
    health: Health,
    /// When it begins to listen; `None`: it has not been started, or has been stopped.
    opens: Option<Time>,
    /// It would be master if its group allowed.
    wish: bool,
    deadline: Option<Time>,
    /// The time between the master's advertisements.
    interval: Duration,
    listening: Listening,
    /// When a master of lower priority may be taken over from.
    preempt_at: Option<Time>,
    dispute: Option<Dispute>,
}

/// Whether a virtual router can take part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no more to say")]
pub enum Health {
    /// It can.
    Good,
    /// That is not known yet: one that has not begun does not begin, and one in fault remains so.
    Unknown,
    /// It cannot, and why.
    Fault(Why),
}

/// What a virtual router has done or wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send an advertisement with this priority.
    Advertise {
        /// 0: it steps down.
        priority: u8,
    },
    /// It has changed its state.
    Enter {
        /// What it was,
        from: State,
        /// and is.
        to: State,
        /// Why.
        why: Why,
    },
    /// Another master, of lower rank, has been heard: hosts may have been misled, so announce the addresses once more.
    Rival {
        /// The other one.
        from: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Something is wrong with a neighbour. It is said each time.
    Trouble {
        /// The neighbour.
        from: IpAddr,
        /// What.
        trouble: Trouble,
    },
}

impl Router {
    /// A virtual router that has not been started. Of its health nothing is known, and its priority is the configured one.
    pub fn new(config: Arc<RouterConfig>) -> Self {
        Self {
            state: State::Init,
            since: Time::ZERO,
            why: Why::Started,
            priority: config.priority,
            lowered: false,
            source: None,
            health: Health::Unknown,
            opens: None,
            wish: false,
            deadline: None,
            interval: config.interval,
            listening: Listening::default(),
            preempt_at: None,
            dispute: None,
            config,
        }
    }

    /// It begins: at once if its health is known to be good, or as soon as it is. Until `opens` it hears nothing. One that has
    /// begun goes on.
    pub fn start(&mut self, opens: Time, now: Time, out: &mut Vec<Action>) {
        if self.opens.is_none() {
            self.opens = Some(opens);
            self.begin(now, out);
        }
    }

    /// An advertisement that is genuine.
    pub fn heard(&mut self, advert: &Advertisement, now: Time, out: &mut Vec<Action>) {
        if self.opens.is_none_or(|opens| now < opens) {
            return;
        }
        match self.state {
            State::Init | State::Fault => {}
            State::Backup => self.heard_as_backup(advert, now, out),
            State::Master => self.heard_as_master(advert, now, out),
        }
    }

    /// Looks at the clock: nothing happens before [`Self::next_deadline`]. `may_lead`: its group, if it is in one, lets it become
    /// master; otherwise it remembers the wish ([`Self::wants_to_lead`]).
    pub fn elapsed(&mut self, may_lead: bool, now: Time, out: &mut Vec<Action>) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.state {
            State::Fault => self.deadline = None,
            State::Init if may_lead && self.begins_as_master() => self.lead(Why::Owner, now, out),
            State::Init => self.listen(Why::Started, now, out),
            State::Backup if self.has_not_listened(now) => {
                self.deadline = Some(now + self.interval + self.skew());
            }
            State::Backup if may_lead => {
                let why = self.why_to_lead(now);
                self.lead(why, now, out);
            }
            State::Backup => {
                self.wish = true;
                self.deadline = Some(now + self.master_down());
            }
            State::Master => self.advertise_in_time(now, out),
        }
    }

    /// Whether it can take part has changed, or why it cannot.
    pub fn set_health(&mut self, health: Health, now: Time, out: &mut Vec<Action>) {
        let changed = self.health != health;
        self.health = health;
        if self.opens.is_none() || !changed {
            return;
        }
        match (&self.health, self.state) {
            (Health::Good, State::Init) => self.begin(now, out),
            (Health::Good, State::Fault) => self.listen(Why::Recovered, now, out),
            (Health::Fault(why), State::Fault) => self.why = why.clone(),
            (Health::Fault(why), _) => {
                let why = why.clone();
                self.fail(why, now, out);
            }
            (Health::Unknown, State::Init) => {
                self.wish = false;
                self.deadline = None;
            }
            (Health::Good, State::Backup | State::Master) | (Health::Unknown, _) => {}
        }
    }

    /// What it watches has changed its effective priority: a timer that runs is moved by as much as the time it waits has
    /// changed.
    pub fn set_priority(&mut self, priority: u8) {
        let before = self.master_down();
        self.priority = priority;
        self.move_timer(before);
    }

    /// The address it sends from, which decides among equals.
    pub fn set_source(&mut self, source: Option<IpAddr>) {
        self.source = source;
    }

    /// Its configuration has changed in something that does not make another router of it. Timers that run are moved.
    pub fn set_config(&mut self, config: Arc<RouterConfig>, now: Time) {
        let before = self.master_down();
        let own = self.config.interval;
        self.config = config;
        self.lowered &= self.config.is_owner();
        let learnt = self.config.version == Version::V3 && self.listening.heard.is_some();
        if !learnt || self.state != State::Backup {
            self.interval = self.config.interval;
        }
        self.move_timer(before);
        if self.state == State::Master && self.config.interval < own {
            let soon = now + self.config.interval;
            self.deadline = self.deadline.map(|deadline| deadline.min(soon));
        }
    }

    /// Its group takes it along to be master, or to be backup, which a router does that could be either.
    pub fn follow(&mut self, to: State, why: Why, now: Time, out: &mut Vec<Action>) {
        match (self.state, to) {
            (State::Init, State::Master) if self.wish => self.lead(why, now, out),
            (State::Backup, State::Master) => self.lead(why, now, out),
            (State::Master, State::Backup) => self.listen(why, now, out),
            _ => {}
        }
    }

    /// It ends: a master steps down.
    pub fn stop(&mut self, why: Why, now: Time, out: &mut Vec<Action>) {
        self.step_down(out);
        self.opens = None;
        self.deadline = None;
        self.wish = false;
        self.enter(State::Init, why, now, out);
    }

    /// When [`Self::elapsed`] should be called next.
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Since when it is in its state.
    pub fn since(&self) -> Time {
        self.since
    }

    /// Why it is in its state.
    pub fn why(&self) -> &Why {
        &self.why
    }

    /// The priority that it advertises as master.
    pub fn priority(&self) -> u8 {
        match self.lowered {
            true => RouterConfig::OWNER - 1,
            false => self.priority,
        }
    }

    /// Whether it would be master, or is kept from that by its group only.
    pub fn wants_to_lead(&self) -> bool {
        self.state == State::Master || self.wish
    }

    /// Whose last advertisement it has followed as backup.
    pub fn master(&self) -> Option<IpAddr> {
        match self.state {
            State::Backup => self.listening.heard.as_ref().map(|heard| heard.from),
            _ => None,
        }
    }

    /// The time between the master's advertisements.
    pub fn master_interval(&self) -> Duration {
        self.interval
    }

    fn begin(&mut self, now: Time, out: &mut Vec<Action>) {
        let Some(opens) = self.opens else { return };
        match &self.health {
            Health::Unknown => {}
            Health::Fault(why) => {
                let why = why.clone();
                self.fail(why, now, out);
            }
            Health::Good if self.begins_as_master() => {
                self.wish = true;
                self.deadline = Some(opens.max(now));
            }
            Health::Good => self.listen(Why::Started, now, out),
        }
    }

    fn begins_as_master(&self) -> bool {
        self.config.is_owner() && self.config.wants_master
    }

    fn fail(&mut self, why: Why, now: Time, out: &mut Vec<Action>) {
        self.step_down(out);
        self.deadline = None;
        self.wish = false;
        self.enter(State::Fault, why, now, out);
    }

    /// A master tells the others that they need not wait.
    fn step_down(&self, out: &mut Vec<Action>) {
        if self.state == State::Master {
            out.push(Action::Advertise {
                priority: RouterConfig::RELEASE,
            });
        }
    }

    fn enter(&mut self, to: State, why: Why, now: Time, out: &mut Vec<Action>) {
        let from = self.state;
        self.state = to;
        self.why = why.clone();
        if from != to {
            self.since = now;
            out.push(Action::Enter { from, to, why });
        }
    }

    fn move_timer(&mut self, before: Duration) {
        if self.state == State::Backup {
            let after = self.master_down();
            self.deadline = self
                .deadline
                .map(|deadline| (deadline + after).saturating_sub(before));
        }
    }

    fn skew(&self) -> Duration {
        skew(self.config.version, self.priority, self.interval)
    }

    fn master_down(&self) -> Duration {
        let config = &self.config;
        // Not the lowered priority: an owner waits as one.
        master_down(config.version, self.priority, self.interval, config.missing)
    }

    /// Whether another one that advertises counts for more, for less, or for the same.
    fn rank_of(&self, advert: &Advertisement) -> Ordering {
        // Addresses are compared as big-endian numbers. Who has none can claim nothing.
        let own = self.source;
        let address = own.map_or(Ordering::Greater, |own| advert.from.cmp(&own));
        advert.priority.cmp(&self.priority()).then(address)
    }
}
