//! Agenda and checkers together, on a virtual clock: no run takes place, only its beginning and its end.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::check::{Check, Kind, Target, Timing};
use crate::checker::Checker;
use crate::probe::{Passed, Reason, Verdict};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const PASSED: Verdict = Ok(Passed::Plainly);

fn failed() -> Verdict {
    Err(Reason::Refused.into())
}

fn check(interval: Duration) -> Check {
    Check {
        kind: Kind::Tcp,
        target: Target::new(SocketAddr::from(([192, 0, 2, 1], 80))),
        timing: Timing {
            interval,
            retries: 2,
            retry_delay: ms(300),
            ..Timing::default()
        },
        alpha: false,
    }
}

/// Checks on a virtual clock. Each run takes as long and ends as the test says.
struct World {
    now: Duration,
    agenda: Agenda,
    checks: Vec<(Check, Checker)>,
    /// When which run ends, and when it began.
    ends: BTreeMap<(Duration, Key), Duration>,
    /// Every beginning.
    begun: Vec<(Key, Duration)>,
}

impl World {
    fn new(limit: usize) -> Self {
        Self {
            now: Duration::ZERO,
            agenda: Agenda::new(limit),
            checks: Vec::new(),
            ends: BTreeMap::new(),
            begun: Vec::new(),
        }
    }

    fn add(&mut self, check: Check, first: Duration) -> Key {
        let key = self.checks.len() as Key;
        let checker = Checker::new(&check);
        self.checks.push((check, checker));
        self.agenda.plan(key, first);
        key
    }

    /// Lets time pass from one deadline to the next. `run` says how long the key's n-th run takes, and what it finds.
    fn until(&mut self, end: Duration, run: impl Fn(Key, usize) -> (Duration, Verdict)) {
        loop {
            while let Some(key) = self.agenda.due(self.now) {
                let nth = self.begun.iter().filter(|(k, _)| *k == key).count();
                let (took, _) = run(key, nth);
                self.agenda.begin(key, self.now, Duration::MAX);
                self.begun.push((key, self.now));
                self.ends.insert((self.now + took, key), self.now);
            }
            let next_end = self.ends.first_key_value().map(|((at, _), _)| *at);
            let next = [self.agenda.next(), next_end].into_iter().flatten().min();
            match next.filter(|&at| at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            while let Some(entry) = self.ends.first_entry()
                && entry.key().0 <= self.now
            {
                let ((_, key), began) = entry.remove_entry();
                let nth = self.begun.iter().filter(|(k, _)| *k == key).count() - 1;
                let (check, checker) = &mut self.checks[key as usize];
                let (_, verdict) = run(key, nth);
                let report = checker.report(check, self.now, self.now - began, verdict);
                self.agenda.plan(key, report.next_at);
            }
        }
        self.now = end;
    }

    fn begun(&self, key: Key) -> Vec<u64> {
        let of_key = self.begun.iter().filter(|(k, _)| *k == key);
        of_key.map(|(_, at)| at.as_millis() as u64).collect()
    }
}

#[test]
fn what_a_run_takes_moves_nothing() {
    let mut world = World::new(10);
    let key = world.add(check(ms(2000)), ms(137));
    world.until(ms(2_000_000), |_, n| (ms(n as u64 * 7919 % 2000), PASSED));
    let expected: Vec<u64> = (0..1000).map(|n| 137 + n * 2000).collect();
    assert_eq!(world.begun(key), expected);
    assert_eq!(world.agenda.lateness().worst(), Duration::ZERO);
    assert_eq!(world.agenda.lateness().runs(), 1000);
}

#[test]
fn a_run_longer_than_the_interval_misses_points() {
    let mut world = World::new(10);
    let key = world.add(check(ms(1000)), ms(0));
    let long = |_, n| (ms([2500, 100, 1000, 100][n % 4]), PASSED);
    world.until(ms(9999), long);
    assert_eq!(
        world.begun(key),
        [0, 3000, 4000, 5000, 6000, 9000],
        "in time, or not at all"
    );
    assert_eq!(world.agenda.lateness().worst(), Duration::ZERO);
}

#[test]
fn retries_follow_the_failure_and_begin_the_rhythm_anew() {
    let mut world = World::new(10);
    let key = world.add(check(ms(2000)), ms(0));
    // Passed; failed twice and forgiven; passed again.
    world.until(ms(7000), |_, n| match n {
        1 | 2 => (ms(50), failed()),
        _ => (ms(50), PASSED),
    });
    assert_eq!(world.begun(key), [0, 2000, 2350, 2700, 4700, 6700]);
}

#[test]
fn first_runs_are_spread_and_stay_so() {
    const CHECKS: u64 = 20_000;
    let warmup = ms(2000);
    let mut agenda = Agenda::new(usize::MAX);
    let mut random = 0_u64;
    for key in 0..CHECKS {
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        agenda.plan(key as Key, spread(ms(500), warmup, mixed ^ (mixed >> 27)));
    }
    // 1000 in each twentieth of the time; the deviation of such a count is about 31.
    for twentieth in 1..=20_u32 {
        let now = ms(500) + warmup * twentieth / 20;
        let mut begun = 0;
        while let Some(key) = agenda.due(now) {
            agenda.begin(key, now, Duration::MAX);
            begun += 1;
        }
        assert!((800..1200).contains(&begun), "{begun}");
    }
    assert_eq!(agenda.len(), CHECKS as usize);
    assert_eq!(agenda.running(), CHECKS as usize, "none later than warmup");
    assert_eq!(spread(ms(5), warmup, 0), ms(5));
    assert!(spread(ms(5), warmup, u64::MAX) <= ms(2005));
    assert_eq!(spread(ms(5), Duration::ZERO, u64::MAX), ms(5));
}

#[test]
fn beyond_the_limit_the_longest_overdue_is_next() {
    let mut world = World::new(2);
    for n in 0..6 {
        world.add(check(ms(10_000)), ms(10 * (6 - n)));
    }
    world.until(ms(1000), |_, _| (ms(100), PASSED));
    let begun: Vec<_> = world
        .begun
        .iter()
        .map(|(k, at)| (*k, at.as_millis()))
        .collect();
    let expected = [(5, 10), (4, 20), (3, 110), (2, 120), (1, 210), (0, 220)];
    assert_eq!(begun, expected);
    assert_eq!(world.agenda.lateness().worst(), ms(160));

    // Nothing is to be looked at before something ends, and that it is crowded can be seen.
    let mut agenda = Agenda::new(1);
    agenda.plan(1, ms(5));
    agenda.plan(2, ms(6));
    assert_eq!(agenda.next(), Some(ms(5)));
    assert!(!agenda.crowded(ms(6)));
    agenda.begin(1, ms(5), ms(50));
    assert_eq!((agenda.due(ms(7)), agenda.next()), (None, Some(ms(50))));
    assert!(agenda.crowded(ms(6)) && !agenda.crowded(ms(5)));
    agenda.plan(1, ms(9));
    assert_eq!(agenda.due(ms(7)), Some(2));
    agenda.set_limit(0);
    assert_eq!((agenda.due(ms(7)), agenda.next()), (None, None));
}

/// A thread that was held up for a while runs each check once, and then each has its rhythm again: they must not stay
/// together only because they were late together.
#[test]
fn a_standstill_leaves_no_crowd_behind() {
    let mut world = World::new(usize::MAX);
    for n in 0..100 {
        world.add(check(ms(1000)), ms(10 * n));
    }
    let run = |_, _| (ms(1), PASSED);
    world.until(ms(2999), run);
    world.now = ms(7500);
    world.until(ms(8499), run);
    world.begun.clear();
    world.until(ms(9499), run);
    for key in 0..100 {
        let at = world.begun(key as Key);
        assert_eq!(at.len(), 1, "{key}: {at:?}");
        assert_eq!(at[0] % 1000, 10 * key, "{key}");
    }
}

#[test]
fn bounds() {
    let mut agenda = Agenda::new(10);
    agenda.plan(3, ms(0));
    agenda.bound(3, ms(1));
    assert_eq!(agenda.overdue(ms(1000)), None, "it does not run");
    agenda.begin(3, ms(0), ms(100));
    assert_eq!(agenda.next(), Some(ms(100)));
    assert_eq!(agenda.overdue(ms(99)), None);
    assert_eq!(agenda.overdue(ms(100)), Some(3));
    agenda.bound(3, ms(200));
    assert_eq!(agenda.overdue(ms(199)), None);
    assert_eq!(agenda.overdue(ms(200)), Some(3));
    agenda.plan(3, ms(1000));
    assert_eq!((agenda.overdue(ms(999)), agenda.running()), (None, 0));
    agenda.begin(3, ms(1000), ms(1100));
    agenda.remove(3);
    assert!(agenda.is_empty());
    assert_eq!((agenda.overdue(ms(9999)), agenda.next()), (None, None));
    assert_eq!(agenda.take_lateness().runs(), 2);
    assert_eq!(agenda.lateness().runs(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever runs take and find: never more than the limit at once, none before its time, none forgotten.
    #[test]
    fn any_life(
        limit in 1..5_usize,
        intervals in prop::collection::vec(1..500_u64, 1..10),
        lengths in prop::collection::vec((0..700_u64, any::<bool>()), 1..20),
    ) {
        let mut world = World::new(limit);
        for &interval in &intervals {
            world.add(check(ms(interval)), ms(interval / 2));
        }
        let run = |key: Key, n: usize| {
            let (took, passes) = lengths[(key as usize * 7 + n) % lengths.len()];
            (ms(took), if passes { PASSED } else { failed() })
        };
        let count = intervals.len();
        for step in 1..20_u64 {
            world.until(ms(step * 500), run);
            prop_assert!(world.agenda.running() <= limit);
            prop_assert_eq!(world.agenda.running(), world.ends.len());
            prop_assert_eq!(world.agenda.len(), count);
        }
        for key in 0..count as Key {
            // The longest pause is an interval, everybody else's turn, and what the run itself takes.
            let at = world.begun(key);
            let longest = 500 + (count as u64 + 1) * 700;
            prop_assert!(!at.is_empty());
            for pair in at.windows(2) {
                prop_assert!(pair[1] - pair[0] <= longest, "{:?}", at);
            }
        }
    }
}
