//! Checkers and a pool over simulated servers that fail and recover, on a virtual clock.
//!
//! A world is made from a seed: what is checked and how often, when each server is broken and how, how late runs begin. At every
//! moment of it, a server that has been broken for as long as its checks may need to see it must be out, and one that has been whole for
//! long enough must be in.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::*;
use crate::check::{Check, Http, HttpVersion, Kind, Page, Script, Target, Timing};
use crate::checker::Checker;

const HORIZON: Duration = Duration::from_secs(1800);
/// How late runs begin.
const LATE: Duration = Duration::from_millis(100);
/// How long a run takes that is refused.
const REFUSED: Duration = Duration::from_millis(1);

/// A random generator (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Health {
    Whole,
    Refusing,
    Hanging,
}

/// A server: since when it is how.
struct Simulated {
    life: Vec<(Duration, Health)>,
}

impl Simulated {
    fn new(random: &mut Random) -> Self {
        let mut at = Duration::ZERO;
        let mut life = Vec::new();
        while at < HORIZON {
            let health = match life.last() {
                None if random.one_in(4) => Health::Hanging,
                None => Health::Whole,
                Some((_, Health::Whole)) if random.one_in(2) => Health::Refusing,
                Some((_, Health::Whole)) => Health::Hanging,
                Some(_) => Health::Whole,
            };
            life.push((at, health));
            // Often too short to be seen.
            at += match random.one_in(3) {
                true => random.millis(1, 5_000),
                false => random.millis(1, 200_000),
            };
        }
        Self { life }
    }

    /// How it is and since when.
    fn at(&self, now: Duration) -> (Health, Duration) {
        let next = self.life.partition_point(|(since, _)| *since <= now);
        let (since, health) = self.life[next - 1];
        (health, since)
    }
}

/// A check under simulation.
struct Checked {
    server: u32,
    number: usize,
    check: Check,
    checker: Checker,
    /// How long a run takes that passes, at most.
    slow: Duration,
}

impl Checked {
    fn new(server: u32, number: usize, random: &mut Random) -> Self {
        let timing = Timing {
            interval: random.millis(500, 10_000),
            timeout: random.millis(200, 6_000),
            retries: random.below(4) as u32,
            retry_delay: random.millis(0, 4_000),
            rise: 1 + random.below(3) as u32,
            ..Timing::default()
        };
        let check = Check {
            kind: kind(random),
            target: Target::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 80))),
            timing,
            alpha: random.one_in(3),
        };
        Self {
            server,
            number,
            checker: Checker::new(&check),
            slow: (timing.interval - LATE).min(timing.timeout) / 2,
            check,
        }
    }

    /// How long a server may be broken before this check has it out.
    fn sees_failure_within(&self) -> Duration {
        let Timing {
            interval,
            timeout,
            retries,
            retry_delay,
            ..
        } = self.check.timing;
        // A blip just before it broke may have put the next run off.
        let first = interval.max(retry_delay + REFUSED) + LATE;
        first + timeout * (retries + 1) + (retry_delay + LATE) * retries
    }

    /// How long a server may be whole before this check lets it in.
    fn sees_recovery_within(&self) -> Duration {
        let Timing {
            interval,
            timeout,
            retry_delay,
            rise,
            ..
        } = self.check.timing;
        let pages = match &self.check.kind {
            Kind::Http(http) => http.pages.len() as u32,
            _ => 1,
        };
        // A run that began before must end, then the page that failed and all pages are asked.
        let runs = 1 + pages * rise;
        timeout + interval.max(retry_delay) + interval * (runs - 1) + 2 * LATE + self.slow
    }

    /// A run that begins now: how long it takes, and its verdict.
    fn run(&self, health: Health, random: &mut Random) -> (Duration, Verdict) {
        let standing = self.checker.standing();
        // A failure that is nobody's fault, and forgiven.
        let forgives = self.checker.retries() < self.check.timing.retries;
        if standing.up && standing.found && forgives && random.one_in(5) {
            return (REFUSED, Err(Reason::Reset.into()));
        }
        match health {
            Health::Whole => (
                random.millis(0, 1 + self.slow.as_millis() as u64),
                Ok(Passed::Plainly),
            ),
            Health::Refusing => (REFUSED, Err(Reason::Refused.into())),
            Health::Hanging => (self.check.timing.timeout, Err(Reason::AnswerTimeout.into())),
        }
    }
}

fn kind(random: &mut Random) -> Kind {
    match random.below(4) {
        0 => Kind::Tcp,
        1 => Kind::Smtp {
            helo: "lvs".to_owned(),
        },
        2 => Kind::Script(Script {
            argv: vec!["check".to_owned()],
            user: None,
            timeout: Duration::from_secs(1),
            dynamic: false,
        }),
        _ => Kind::Http(Http {
            pages: (0..1 + random.below(3))
                .map(|n| Page {
                    path: format!("/{n}"),
                    host: None,
                    digest: None,
                    status: Vec::new(),
                    pattern: None,
                })
                .collect(),
            version: HttpVersion::V1_1,
            tls: None,
            fast_recovery: random.one_in(2),
        }),
    }
}

enum Next {
    Begin,
    End(Duration, Verdict),
}

/// Servers, their checks, and what is due.
struct World {
    random: Random,
    servers: Vec<Simulated>,
    checks: Vec<Checked>,
    pool: Pool<u32>,
    agenda: BTreeMap<(Duration, usize), Next>,
    log: Vec<(Duration, String)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed | 1 << 63);
        let count = 1 + random.below(5) as u32;
        let servers: Vec<_> = (0..count).map(|_| Simulated::new(&mut random)).collect();
        let checks: Vec<_> = (0..count)
            .flat_map(|server| (0..2).map(move |number| (server, number)))
            .map(|(server, number)| Checked::new(server, number, &mut random))
            .collect();
        let agenda = (0..checks.len())
            .map(|at| {
                let interval = checks[at].check.timing.interval;
                (
                    (random.millis(0, interval.as_millis() as u64), at),
                    Next::Begin,
                )
            })
            .collect();
        let (pool, events) = Pool::new(Self::settings(), Self::standings(count, &checks));
        Self {
            random,
            servers,
            checks,
            pool,
            agenda,
            log: vec![(Duration::ZERO, short(&events))],
        }
    }

    fn settings() -> Settings<u32> {
        with_sorry(quorum(1, 0), false)
    }

    fn standings(count: u32, checks: &[Checked]) -> Vec<(u32, Server)> {
        let standings = |server| {
            let own = checks
                .iter()
                .filter(move |checked| checked.server == server);
            own.map(|checked| checked.checker.standing()).collect()
        };
        (0..count)
            .map(|server| (server, Server::new(1, standings(server))))
            .collect()
    }

    fn run(&mut self) {
        while let Some(((now, at), next)) = self.agenda.pop_first() {
            if now > HORIZON {
                break;
            }
            self.inspect(now);
            let checked = &mut self.checks[at];
            match next {
                Next::Begin => {
                    let (health, _) = self.servers[checked.server as usize].at(now);
                    let (took, verdict) = checked.run(health, &mut self.random);
                    self.agenda
                        .insert((now + took, at), Next::End(took, verdict));
                }
                Next::End(took, verdict) => {
                    let report = checked
                        .checker
                        .report(&checked.check, now, took, verdict.clone());
                    if let Some(standing) = report.standing {
                        let events =
                            self.pool
                                .found(&checked.server, checked.number, standing, &verdict);
                        self.log.push((now, short(&events)));
                    }
                    let late = self.random.millis(0, LATE.as_millis() as u64);
                    self.agenda.insert((report.next_at + late, at), Next::Begin);
                }
            }
            if self.random.one_in(50) {
                self.reload();
            }
        }
    }

    /// The same configuration again.
    fn reload(&mut self) {
        for checked in &mut self.checks {
            checked.checker = checked.checker.carried(&checked.check, &checked.check);
        }
        let servers = Self::standings(self.servers.len() as u32, &self.checks);
        assert_eq!(self.pool.reconfigure(Self::settings(), servers), []);
    }

    /// Just before `now`, everything must be as it has to be.
    fn inspect(&self, now: Duration) {
        let mut serving = 0;
        for (key, server) in (0..).zip(&self.servers) {
            let (health, since) = server.at(now);
            let checks = || self.checks.iter().filter(|checked| checked.server == key);
            let out = self.pool.weight_of(&key).is_none();
            serving += usize::from(!out);
            let timings = || checks().map(|checked| &checked.check).collect::<Vec<_>>();
            if health == Health::Whole {
                let bound = checks().map(Checked::sees_recovery_within).max().unwrap();
                let late = now > since + bound;
                assert!(
                    !(late && out),
                    "{key} whole since {since:?}, out at {now:?}: {:#?}",
                    timings()
                );
            } else {
                let bound = checks().map(Checked::sees_failure_within).min().unwrap();
                let late = now > since + bound;
                assert!(
                    !late || out,
                    "{key} broken since {since:?}, in at {now:?}: {:#?}",
                    timings()
                );
            }
        }
        // Somebody serves at any time.
        assert_eq!(self.pool.sorry_serves(), serving == 0);
        assert_eq!(
            self.pool.weight_of(&SORRY),
            (serving == 0).then_some(SORRY_WEIGHT)
        );
    }
}

#[test]
fn traffic_moves_in_time() {
    let (mut downs, mut ups, mut sorry) = (0, 0, 0);
    for seed in 0..60 {
        let mut world = World::new(seed);
        world.run();
        let words = |prefix| {
            let words = world.log.iter().flat_map(|(_, events)| events.split(' '));
            words.filter(|word| word.starts_with(prefix)).count()
        };
        downs += words('-');
        ups += words('+');
        sorry += words('S');
    }
    // It was not for want of events.
    assert!(
        downs > 300 && ups > 300 && sorry > 30,
        "{downs} {ups} {sorry}"
    );
}

#[test]
fn the_same_seed_is_the_same_world() {
    let log = |seed| {
        let mut world = World::new(seed);
        world.run();
        world.log
    };
    assert_eq!(log(7), log(7));
    assert_ne!(log(7), log(8));
}
