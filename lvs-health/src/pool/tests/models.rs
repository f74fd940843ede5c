//! Pools against simple models, over random sequences of results, weights and reloads.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;

/// The rules as keepalived has them: the scheduler's list is edited step by step.
struct Steps {
    settings: Settings<u32>,
    servers: Vec<(u32, Server)>,
    alive: HashSet<u32>,
    list: BTreeMap<u32, u32>,
    quorum: bool,
    sorry_active: bool,
}

impl Steps {
    fn start(settings: Settings<u32>, servers: Vec<(u32, Server)>) -> Self {
        let mut steps = Self {
            settings,
            servers,
            alive: HashSet::new(),
            list: BTreeMap::new(),
            quorum: false,
            sorry_active: false,
        };
        if let Some(sorry) = &steps.settings.sorry
            && sorry.inhibit
        {
            steps.list.insert(SORRY, 0);
        }
        for (key, server) in steps.servers.clone() {
            if server.failing() == 0 {
                steps.list.insert(key, server.effective_weight());
                steps.alive.insert(key);
            } else if server.inhibit {
                steps.list.insert(key, 0);
            }
        }
        steps.count();
        if !steps.quorum && steps.settings.sorry.is_some() && !steps.sorry_active {
            steps.lose();
        }
        steps
    }

    fn found(&mut self, at: usize, check: usize, standing: Standing) {
        let (key, server) = &mut self.servers[at];
        let key = *key;
        let before = server.effective_weight();
        server.checks[check] = standing;
        let (inhibit, weight) = (server.inhibit, server.effective_weight());
        let up = server.failing() == 0;
        let touch = self.quorum || self.settings.sorry.is_none() || !self.sorry_active;
        if weight != before {
            if self.alive.contains(&key) && touch {
                self.list.insert(key, weight);
            }
            self.count();
        }
        let touch = self.quorum || self.settings.sorry.is_none() || !self.sorry_active;
        if up && !self.alive.contains(&key) {
            if touch {
                self.list.insert(key, weight);
            }
            self.alive.insert(key);
            self.count();
        } else if !up && self.alive.contains(&key) {
            if touch {
                self.take_out(key, inhibit);
            }
            self.alive.remove(&key);
            self.count();
        }
    }

    fn take_out(&mut self, key: u32, inhibit: bool) {
        match inhibit {
            true => self.list.insert(key, 0),
            false => self.list.remove(&key),
        };
    }

    fn count(&mut self) {
        let all: u64 = self
            .servers
            .iter()
            .map(|(_, server)| u64::from(server.weight))
            .sum();
        let quorum = u64::from(self.settings.quorum).min(all).max(1);
        let hysteresis = u64::from(self.settings.hysteresis).min(quorum - 1);
        let alive = self
            .servers
            .iter()
            .filter(|(key, _)| self.alive.contains(key));
        let live: u64 = alive
            .map(|(_, server)| u64::from(server.effective_weight()))
            .sum();
        if !self.quorum && live >= quorum + hysteresis {
            self.gain();
        } else if self.quorum && (live == 0 || live < quorum - hysteresis) {
            self.lose();
        }
    }

    fn gain(&mut self) {
        self.quorum = true;
        if self.sorry_active {
            self.take_out(SORRY, self.settings.sorry.as_ref().unwrap().inhibit);
            self.sorry_active = false;
            for (key, server) in &self.servers {
                if self.alive.contains(key) {
                    self.list.insert(*key, server.effective_weight());
                }
            }
        }
    }

    fn lose(&mut self) {
        self.quorum = false;
        if self.settings.sorry.is_some() && !self.sorry_active {
            for (key, server) in self.servers.clone() {
                if self.alive.contains(&key) {
                    self.take_out(key, server.inhibit);
                }
            }
            self.list.insert(SORRY, SORRY_WEIGHT);
            self.sorry_active = true;
        }
    }
}

/// What people know, from the events alone.
#[derive(Default)]
struct Told {
    up: HashSet<u32>,
    /// Those that somebody was told anything of.
    known: HashSet<u32>,
    weights: BTreeMap<u32, u32>,
    quorum: Option<bool>,
    sorry: Option<u32>,
}

impl Told {
    fn hear(&mut self, events: &[Event<u32>]) {
        for event in events {
            match event {
                Event::ServerUp { server, .. } => {
                    assert!(self.up.insert(*server), "{server} was up");
                    self.known.insert(*server);
                }
                Event::ServerDown { server, .. } => {
                    let was_up = self.up.remove(server);
                    assert!(was_up || !self.known.contains(server), "{server} was down");
                    self.known.insert(*server);
                }
                Event::WeightChanged {
                    server, from, to, ..
                } => {
                    assert_ne!(from, to);
                    assert_eq!(self.weights.insert(*server, *to), Some(*from));
                }
                Event::QuorumGained { tally, .. } => {
                    assert_ne!(self.quorum, Some(true), "gained twice");
                    assert!(tally.live >= tally.to_gain());
                    self.quorum = Some(true);
                }
                Event::QuorumLost { tally, .. } => {
                    assert_ne!(self.quorum, Some(false), "lost twice");
                    assert!(tally.live < tally.to_gain());
                    self.quorum = Some(false);
                }
                Event::SorryOn { server } => assert_eq!(self.sorry.replace(*server), None),
                Event::SorryOff { server } => assert_eq!(self.sorry.take(), Some(*server)),
            }
        }
    }

    /// Servers that are gone or new are known by the configuration, not by events.
    fn see(&mut self, pool: &Pool<u32>) {
        self.known.retain(|key| pool.server(key).is_some());
        self.weights = pool
            .servers()
            .map(|(key, server)| (*key, server.effective_weight()))
            .collect();
    }
}

/// What must hold at any time.
fn holds(pool: &Pool<u32>, told: &Told) {
    // Who is alive, whether there is a quorum and who serves is what people were told.
    let alive: HashSet<u32> = pool
        .servers()
        .filter(|(_, server)| server.alive())
        .map(|(key, _)| *key)
        .collect();
    assert_eq!(told.up, alive);
    assert_eq!(told.quorum.unwrap_or(false), pool.quorum());
    let sorry = pool.settings().sorry.as_ref();
    assert_eq!(
        told.sorry,
        sorry
            .filter(|_| pool.sorry_serves())
            .map(|sorry| sorry.server)
    );

    // The numbers are what they say.
    let tally = pool.tally();
    let sum = |alive_only: bool| -> u64 {
        let servers = pool
            .servers()
            .filter(|(_, server)| !alive_only || server.alive());
        servers
            .map(|(_, server)| match alive_only {
                true => u64::from(server.effective_weight()),
                false => u64::from(server.weight),
            })
            .sum()
    };
    assert_eq!(tally.live, sum(true));
    assert_eq!(
        tally.quorum,
        u64::from(pool.settings().quorum).min(sum(false)).max(1)
    );
    match pool.quorum() {
        true => assert!(tally.live > 0 && tally.live >= tally.to_lose()),
        false => assert!(tally.live < tally.to_gain()),
    }

    // A server is wanted if it is alive and may serve, or inhibited with weight 0.
    let wanted: BTreeMap<u32, (u32, bool)> = pool
        .wanted()
        .map(|w| (*w.server, (w.weight, w.sorry)))
        .collect();
    assert_eq!(wanted.len(), pool.wanted().count(), "nobody twice");
    for (key, server) in pool.servers() {
        let expected = match sorry {
            Some(sorry) if sorry.server == *key && pool.sorry_serves() => {
                Some((SORRY_WEIGHT, true))
            }
            _ if server.alive() && !pool.sorry_serves() => Some((server.effective_weight(), false)),
            _ if server.inhibit => Some((0, false)),
            Some(sorry) if sorry.server == *key && sorry.inhibit => Some((0, true)),
            _ => None,
        };
        assert_eq!(wanted.get(key).copied(), expected, "server {key}");
    }
    for key in 0..=SORRY {
        assert_eq!(
            pool.weight_of(&key),
            wanted.get(&key).map(|(weight, _)| *weight)
        );
    }
    for key in wanted.keys() {
        assert!(
            pool.server(key).is_some() || sorry.is_some_and(|sorry| sorry.server == *key),
            "{key} leaked"
        );
    }

    // A fresh pool in the same state wants the same, unless it may differ about the quorum.
    let servers = pool
        .servers()
        .map(|(key, server)| (*key, server.clone()))
        .collect();
    let (fresh, _) = Pool::new(pool.settings().clone(), servers);
    match fresh.quorum() == pool.quorum() {
        true => assert!(fresh.wanted().eq(pool.wanted())),
        false => assert!(tally.live >= tally.to_lose() && tally.live < tally.to_gain()),
    }
}

fn influence() -> impl Strategy<Value = Influence> {
    prop_oneof![
        3 => Just(Influence::None),
        1 => (0_u32..6).prop_map(Influence::Replaces),
        1 => (-4_i64..5).prop_map(Influence::Adds),
    ]
}

fn standing() -> impl Strategy<Value = Standing> {
    (any::<bool>(), any::<bool>(), influence()).prop_map(|(up, found, influence)| Standing {
        up,
        found,
        influence,
    })
}

fn settings(sorry: impl Strategy<Value = u32>) -> impl Strategy<Value = Settings<u32>> {
    let sorry = prop::option::of(
        (sorry, any::<bool>()).prop_map(|(server, inhibit)| Sorry { server, inhibit }),
    );
    (0_u32..8, 0_u32..5, sorry).prop_map(|(quorum, hysteresis, sorry)| Settings {
        quorum,
        hysteresis,
        sorry,
    })
}

fn some_servers() -> impl Strategy<Value = Vec<(u32, Server)>> {
    let checks = prop::collection::vec(standing(), 0..3);
    let server = (0_u32..4, any::<bool>(), checks).prop_map(|(weight, inhibit, checks)| Server {
        weight,
        inhibit,
        checks,
    });
    prop::collection::btree_map(0_u32..6, server, 0..6)
        .prop_map(|servers| servers.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

#[derive(Clone, Debug)]
enum Op {
    Found {
        server: u32,
        check: usize,
        standing: Standing,
    },
    Weight {
        server: u32,
        weight: u32,
    },
    Reload {
        settings: Settings<u32>,
        servers: Vec<(u32, Server)>,
    },
    SameAgain,
}

fn op() -> impl Strategy<Value = Op> {
    let found = (0_u32..7, 0_usize..3, standing());
    prop_oneof![
        12 => found.prop_map(|(server, check, standing)| Op::Found { server, check, standing }),
        2 => (0_u32..7, 0_u32..4).prop_map(|(server, weight)| Op::Weight { server, weight }),
        1 => (settings(sorry_key()), some_servers()).prop_map(|(settings, servers)| Op::Reload { settings, servers }),
        1 => Just(Op::SameAgain),
    ]
}

/// Mostly a server of its own.
fn sorry_key() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(SORRY), 1 => 0_u32..6]
}

fn verdict(standing: Standing) -> Verdict {
    match standing.up {
        true => Ok(Passed::Plainly),
        false => Err(Reason::Refused.into()),
    }
}

proptest! {
    #[test]
    fn nothing_leaks_and_everything_is_told(
        settings in settings(sorry_key()),
        servers in some_servers(),
        ops in prop::collection::vec(op(), 0..60),
    ) {
        let (mut pool, events) = Pool::new(settings, servers);
        let mut told = Told::default();
        told.hear(&events);
        told.see(&pool);
        holds(&pool, &told);
        for op in ops {
            match op {
                Op::Found { server, check, standing } => {
                    told.hear(&pool.found(&server, check, standing, &verdict(standing)));
                }
                Op::Weight { server, weight } => told.hear(&pool.set_weight(&server, weight)),
                Op::Reload { settings, servers } => told.hear(&pool.reconfigure(settings, servers)),
                Op::SameAgain => {
                    let before = format!("{:?}", pool.servers);
                    let servers = pool.servers().map(|(key, server)| (*key, server.clone())).collect();
                    let settings = pool.settings().clone();
                    prop_assert_eq!(pool.reconfigure(settings, servers), vec![]);
                    prop_assert_eq!(format!("{:?}", pool.servers), before);
                }
            }
            told.see(&pool);
            holds(&pool, &told);
        }
        let up = told.up.len();
        let quorum = pool.quorum();
        let events = pool.end(Cause::Shutdown);
        prop_assert_eq!(events.len(), up + usize::from(quorum));
        told.hear(&events);
        prop_assert!(told.up.is_empty());
    }

    /// The list that follows from the state is the one that keepalived arrives at step by step.
    #[test]
    fn the_list_is_as_if_made_step_by_step(
        settings in settings(Just(SORRY)),
        servers in some_servers(),
        results in prop::collection::vec((0_usize..6, 0_usize..3, standing()), 0..60),
    ) {
        let mut steps = Steps::start(settings.clone(), servers.clone());
        let (mut pool, _) = Pool::new(settings, servers);
        for (at, check, mut standing) in results {
            let list: BTreeMap<u32, u32> = list(&pool).into_iter().collect();
            prop_assert_eq!(&list, &steps.list);
            prop_assert_eq!(pool.quorum(), steps.quorum);
            prop_assert_eq!(pool.sorry_serves(), steps.sorry_active);
            let Some((key, server)) = steps.servers.get(at) else {
                continue;
            };
            let Some(before) = server.checks.get(check) else {
                continue;
            };
            if !standing.up {
                // A failed run says nothing about weight.
                standing.influence = before.influence;
            }
            pool.found(key, check, standing, &verdict(standing));
            steps.found(at, check, standing);
        }
    }
}
