//! A virtual service's servers: which of them should get traffic right now, and what there is to tell people.
//!
//! Whoever adds and removes servers step by step, as results come in, sooner or later leaves one behind. Here nothing is added or
//! removed: a [`Pool`] remembers what its checks have found, and [`Pool::wanted`] says from that alone what the scheduler's list
//! should be. Its owner makes the list so, and cannot leak. What happened on the way comes as [`Event`]s, in order, for scripts, mails
//! and logs.
//!
//! The rules are keepalived's:
//! - A server is *alive* while all of its checks are up.
//! - Its weight is the configured one plus what its checks make of it, see [`Server::weight`].
//! - L, the *live weight*, is the sum over all that are alive.
//! - The quorum is gained at L ≥ Q+H and lost at L < Q−H. Q is at most the sum of the configured weights and at least 1, H at
//!   most Q−1: so it is always lost at L = 0.
//! - Without quorum the sorry server serves instead of all others. If there is none, those that are alive go on.
//! - A server that does not serve is not in the list; with `inhibit` it is, with weight 0.
//!
//! If all configured weights are 0, keepalived's Q becomes 0 and its H wraps around, so that the quorum is never gained. Here Q is
//! then 1: it is not gained either, unless checks give weight, and the sorry server serves.

//!
//! ```
//! use lvs_health::Pool;
//! use lvs_health::checker::Standing;
//! use lvs_health::pool::{Event, Server, Settings, Sorry};
//! use lvs_health::probe::Reason;
//!
//! let settings = Settings {
//!     sorry: Some(Sorry { server: "sorry", inhibit: false }),
//!     ..Settings::default()
//! };
//! let checks = vec![Standing::assumed(true)];
//! let (mut pool, _) = Pool::new(settings, vec![("a", Server::new(5, checks))]);
//! assert_eq!(pool.weight_of(&"a"), Some(5));
//!
//! let down = Standing { up: false, found: true, ..Standing::assumed(false) };
//! let events = pool.found(&"a", 0, down, &Err(Reason::Refused.into()));
//! assert!(matches!(
//!     &events[..],
//!     [Event::ServerDown { .. }, Event::QuorumLost { .. }, Event::SorryOn { server: "sorry" }]
//! ));
//! assert_eq!(pool.weight_of(&"a"), None);
//! assert_eq!(pool.weight_of(&"sorry"), Some(1));
//! ```

mod event;
mod member;
mod server;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;

pub use self::event::{Cause, Event, Tally};
use self::member::Member;
pub use self::server::Server;
use crate::checker::Standing;
use crate::probe::Verdict;

/// What holds for a pool as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings<K> {
    /// Q: the live weight that is enough to serve (`quorum`).
    pub quorum: u32,
    /// H: how much more is needed to gain the quorum, and how much less to lose it (`hysteresis`).
    pub hysteresis: u32,
    /// Who serves when the quorum is lost (`sorry_server`).
    pub sorry: Option<Sorry<K>>,
}

impl<K> Default for Settings<K> {
    fn default() -> Self {
        Self {
            quorum: 1,
            hysteresis: 0,
            sorry: None,
        }
    }
}

/// Who serves when the quorum is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sorry<K> {
    /// Its key. It may be one of the pool's servers.
    pub server: K,
    /// While it does not serve, it stays in the list, with weight 0 (`sorry_server_inhibit`).
    pub inhibit: bool,
}

/// The weight of a sorry server that serves.
pub const SORRY_WEIGHT: u32 = 1;

/// A line of the scheduler's list as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<'a, K> {
    /// Who.
    pub server: &'a K,
    /// With which weight, at most 2³¹ − 1.
    pub weight: u32,
    /// As the sorry server.
    pub sorry: bool,
}

/// A virtual service's servers, by whatever key tells them apart. The key is what stays the same in a reload: address and port.
#[derive(Clone, Debug)]
pub struct Pool<K> {
    settings: Settings<K>,
    /// In the order configured.
    servers: Vec<Member<K>>,
    index: HashMap<K, usize>,
    /// The sum of the configured weights.
    configured: u64,
    /// L. Always the sum of the members' shares.
    live: u64,
    /// Whether the quorum was gained more recently than lost.
    quorum: bool,
    /// What the last event about the quorum was, if there was one.
    told: Option<bool>,
}

impl<K: Clone + Eq + Hash> Pool<K> {
    /// A pool as it starts. Most servers are alive because nobody knows better.
    pub fn new(settings: Settings<K>, servers: Vec<(K, Server)>) -> (Self, Vec<Event<K>>) {
        let mut pool = Self {
            settings: Settings::default(),
            servers: Vec::new(),
            index: HashMap::new(),
            configured: 0,
            live: 0,
            quorum: false,
            told: None,
        };
        let events = pool.set_up(settings, servers, &Cause::Start);
        (pool, events)
    }

    /// Other settings and servers, with the standing of their checks as carried over. What stays, by key, keeps its state; of what
    /// is gone, servers that were alive go down. The same again changes nothing and is not worth an event.
    ///
    /// A key that comes more than once counts once, the first time.
    pub fn reconfigure(
        &mut self,
        settings: Settings<K>,
        servers: Vec<(K, Server)>,
    ) -> Vec<Event<K>> {
        self.set_up(settings, servers, &Cause::Reload)
    }

    /// What check number `check` of a server has found. Unknown servers and checks are ignored.
    pub fn found(
        &mut self,
        server: &K,
        check: usize,
        standing: Standing,
        verdict: &Verdict,
    ) -> Vec<Event<K>> {
        let Some((at, mut new)) = self.copy_of(server) else {
            return Vec::new();
        };
        let Some(known) = new.checks.get_mut(check) else {
            return Vec::new();
        };
        *known = standing;
        let cause = Cause::Check {
            check,
            verdict: verdict.clone(),
        };
        self.change(at, new, &cause)
    }

    /// Another configured weight for a server, by hand.
    pub fn set_weight(&mut self, server: &K, weight: u32) -> Vec<Event<K>> {
        let Some((at, mut new)) = self.copy_of(server) else {
            return Vec::new();
        };
        new.weight = weight;
        self.change(at, new, &Cause::Command)
    }

    /// The service ends: whoever is alive goes down, and so does the quorum. The cause is [`Cause::Removal`] if the service was
    /// taken out of the configuration, [`Cause::Shutdown`] if the daemon stops; the latter is told only to those who asked for
    /// it (`omega`).
    pub fn end(self, cause: Cause) -> Vec<Event<K>> {
        let tally = Tally {
            live: 0,
            ..self.tally()
        };
        let mut events: Vec<_> = self
            .servers
            .into_iter()
            .filter(|member| member.server.alive())
            .map(|member| Event::ServerDown {
                server: member.key,
                cause: cause.clone(),
            })
            .collect();
        if self.quorum {
            events.push(Event::QuorumLost { tally, cause });
        }
        events
    }

    /// What the scheduler's list should be, each server at most once, in the order configured, the sorry server last.
    pub fn wanted(&self) -> impl Iterator<Item = Wanted<'_, K>> {
        let sorry = self.settings.sorry.as_ref();
        let sorry = sorry.and_then(|sorry| self.wanted_as_sorry(sorry));
        let sorry_key = sorry.as_ref().map(|sorry| sorry.server);
        self.servers
            .iter()
            .filter(move |member| sorry_key != Some(&member.key))
            .filter_map(|member| {
                Some(Wanted {
                    server: &member.key,
                    weight: self.weight_in_list(&member.server)?,
                    sorry: false,
                })
            })
            .chain(sorry)
    }

    /// The weight of one server in [`Pool::wanted`], if it is there.
    pub fn weight_of(&self, server: &K) -> Option<u32> {
        let sorry = self.settings.sorry.as_ref();
        let sorry = sorry.filter(|sorry| sorry.server == *server);
        match sorry.and_then(|sorry| self.wanted_as_sorry(sorry)) {
            Some(wanted) => Some(wanted.weight),
            None => self.weight_in_list(self.server(server)?),
        }
    }

    /// The weight of a server in the list, if it is to be there on its own account.
    fn weight_in_list(&self, server: &Server) -> Option<u32> {
        if server.alive() && !self.sorry_serves() {
            return Some(server.effective_weight());
        }
        server.inhibit.then_some(0)
    }

    /// The sorry server's line, unless it is in the list on its own account.
    fn wanted_as_sorry<'a>(&'a self, sorry: &'a Sorry<K>) -> Option<Wanted<'a, K>> {
        let own = || self.weight_in_list(self.server(&sorry.server)?);
        let weight = if self.sorry_serves() {
            SORRY_WEIGHT
        } else if sorry.inhibit && own().is_none() {
            0
        } else {
            return None;
        };
        Some(Wanted {
            server: &sorry.server,
            weight,
            sorry: true,
        })
    }

    /// The sorry server, while it serves.
    fn serving_sorry(&self) -> Option<&K> {
        let sorry = self.settings.sorry.as_ref()?;
        self.sorry_serves().then_some(&sorry.server)
    }

    fn copy_of(&self, server: &K) -> Option<(usize, Server)> {
        let at = *self.index.get(server)?;
        Some((at, self.servers.get(at)?.server.clone()))
    }

    /// Whether the sorry server serves instead of all others.
    pub fn sorry_serves(&self) -> bool {
        self.settings.sorry.is_some() && !self.quorum
    }

    /// Whether the quorum is there.
    pub fn quorum(&self) -> bool {
        self.quorum
    }

    /// The numbers that decide about the quorum.
    pub fn tally(&self) -> Tally {
        let quorum = u64::from(self.settings.quorum).min(self.configured).max(1);
        Tally {
            quorum,
            hysteresis: u64::from(self.settings.hysteresis).min(quorum - 1),
            live: self.live,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Settings<K> {
        &self.settings
    }

    /// One of the servers.
    pub fn server(&self, server: &K) -> Option<&Server> {
        let at = *self.index.get(server)?;
        self.servers.get(at).map(|member| &member.server)
    }

    /// How often a server has gone up or down, however many of its checks did.
    pub fn changes(&self, server: &K) -> u64 {
        let at = self.index.get(server).copied();
        let member = at.and_then(|at| self.servers.get(at));
        member.map_or(0, |member| member.changes)
    }

    /// The servers, in the order configured.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = (&K, &Server)> {
        self.servers
            .iter()
            .map(|member| (&member.key, &member.server))
    }

    fn set_up(
        &mut self,
        settings: Settings<K>,
        servers: Vec<(K, Server)>,
        cause: &Cause,
    ) -> Vec<Event<K>> {
        let mut events = Vec::new();
        let sorry_before = self.serving_sorry().cloned();
        self.settings = settings;

        let mut index = HashMap::with_capacity(servers.len());
        let mut kept = Vec::with_capacity(servers.len());
        for (key, server) in servers {
            if !index.contains_key(&key) {
                index.insert(key.clone(), kept.len());
                kept.push((key, server));
            }
        }
        let mut before: HashMap<K, Member<K>> = HashMap::new();
        for member in std::mem::take(&mut self.servers) {
            if index.contains_key(&member.key) {
                before.insert(member.key.clone(), member);
            } else if member.server.alive() {
                events.push(Event::ServerDown {
                    server: member.key,
                    cause: Cause::Removal,
                });
            }
        }
        for (key, server) in kept {
            let member = match before.remove(&key) {
                Some(mut member) => {
                    member.update(server, cause, &mut events);
                    member
                }
                None => Member::new(key, server, &mut events),
            };
            self.servers.push(member);
        }
        self.index = index;
        self.configured = self
            .servers
            .iter()
            .map(|member| u64::from(member.server.weight))
            .sum();
        self.live = self
            .servers
            .iter()
            .map(|member| u64::from(member.share))
            .sum();

        self.count(cause, &mut events);
        let sorry_now = self.serving_sorry().cloned();
        if sorry_now.is_some() && self.told.is_none() {
            self.told = Some(false);
            events.push(Event::QuorumLost {
                tally: self.tally(),
                cause: cause.clone(),
            });
        }
        if sorry_before != sorry_now {
            events.extend(sorry_before.map(|server| Event::SorryOff { server }));
            events.extend(sorry_now.map(|server| Event::SorryOn { server }));
        }
        events
    }

    /// One server is now `new`.
    fn change(&mut self, at: usize, new: Server, cause: &Cause) -> Vec<Event<K>> {
        let mut events = Vec::new();
        let Some(member) = self.servers.get_mut(at) else {
            return events;
        };
        self.configured -= u64::from(member.server.weight);
        self.live -= u64::from(member.share);
        member.update(new, cause, &mut events);
        self.configured += u64::from(member.server.weight);
        self.live += u64::from(member.share);

        if self.count(cause, &mut events)
            && let Some(sorry) = &self.settings.sorry
        {
            let server = sorry.server.clone();
            events.push(match self.quorum {
                true => Event::SorryOff { server },
                false => Event::SorryOn { server },
            });
        }
        events
    }

    /// Looks whether the quorum is still as it was: returns whether it is not.
    fn count(&mut self, cause: &Cause, events: &mut Vec<Event<K>>) -> bool {
        let tally = self.tally();
        let changed = match self.quorum {
            true => tally.lost(),
            false => tally.gained(),
        };
        if changed {
            self.quorum = !self.quorum;
            self.told = Some(self.quorum);
            let cause = cause.clone();
            events.push(match self.quorum {
                true => Event::QuorumGained { tally, cause },
                false => Event::QuorumLost { tally, cause },
            });
        }
        changed
    }
}
