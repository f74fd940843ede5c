//! Whether enough processes run, and not too many.
//!
//! Problem: a program that forks is there twice until one of the two has gone, and one that is restarted is away for a moment.
//!
//! Rule: it is good while the number of its processes is at least the quorum, and not more than the greatest one allowed. A
//! change that comes from more processes counts when it has lasted for the fork delay, one that comes from fewer when it has
//! lasted for the terminate delay (keepalived's `vrrp_track_process`). The number at the start counts at once.

use std::time::Duration;

use super::debounce::Debounce;
use crate::Time;
use crate::status::ObjectState;

/// How many processes there must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessRules {
    /// At least so many,
    pub quorum: u32,
    /// and at most so many.
    pub most: Option<u32>,
    /// How long a change must last that comes from more processes,
    pub fork_delay: Duration,
    /// and from fewer.
    pub terminate_delay: Duration,
}

impl Default for ProcessRules {
    /// At least one; no delays.
    fn default() -> Self {
        Self {
            quorum: 1,
            most: None,
            fork_delay: Duration::ZERO,
            terminate_delay: Duration::ZERO,
        }
    }
}

impl ProcessRules {
    /// Whether this is the right number.
    pub fn allow(&self, count: u32) -> bool {
        count >= self.quorum && self.most.is_none_or(|most| count <= most)
    }
}

/// Processes that are watched together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processes {
    rules: ProcessRules,
    count: Option<u32>,
    debounce: Debounce,
}

impl Processes {
    /// Some that have not been counted.
    pub fn new(rules: ProcessRules) -> Self {
        Self {
            rules,
            count: None,
            debounce: Debounce::default(),
        }
    }

    /// Other rules. The next number that is seen is judged by them.
    pub fn set_rules(&mut self, rules: ProcessRules) {
        self.rules = rules;
    }

    /// How many there are.
    pub fn count(&self) -> Option<u32> {
        self.count
    }

    /// How that is.
    pub fn state(&self) -> ObjectState {
        super::state(self.debounce.counts())
    }

    /// When [`Processes::tick`] has something to do.
    pub fn deadline(&self) -> Option<Time> {
        self.debounce.deadline()
    }

    /// There are so many. Returns how that is from now on, if it has changed.
    pub fn see(&mut self, count: u32, now: Time) -> Option<ObjectState> {
        let delay = match self.count.replace(count) {
            Some(before) if count < before => self.rules.terminate_delay,
            _ => self.rules.fork_delay,
        };
        let changed = self.debounce.see(self.rules.allow(count), delay, now);
        changed.map(|good| super::state(Some(good)))
    }

    /// Time has passed. Returns how it is from now on, if that has changed.
    pub fn tick(&mut self, now: Time) -> Option<ObjectState> {
        let changed = self.debounce.tick(now);
        changed.map(|good| super::state(Some(good)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ObjectState::{Bad, Good, Unknown};

    const S: Duration = Duration::from_secs(1);

    fn rules(quorum: u32, most: Option<u32>) -> ProcessRules {
        ProcessRules {
            quorum,
            most,
            fork_delay: 5 * S,
            terminate_delay: 2 * S,
        }
    }

    #[test]
    fn how_many_are_enough() {
        for (quorum, most, good) in [
            (1, None, vec![1, 2, 100]),
            (2, None, vec![2, 3]),
            (1, Some(1), vec![1]),
            (2, Some(3), vec![2, 3]),
            (0, Some(0), vec![0]),
            (2, Some(1), vec![]),
        ] {
            for count in [0, 1, 2, 3, 4, 100] {
                let expected = good.contains(&count) || (most.is_none() && count >= quorum);
                let rules = rules(quorum, most);
                assert_eq!(rules.allow(count), expected, "{rules:?} {count}");
                let mut found = Processes::new(rules);
                assert_eq!(found.state(), Unknown);
                let state = if expected { Good } else { Bad };
                assert_eq!(found.see(count, S), Some(state), "at once");
                assert_eq!(found.count(), Some(count));
            }
        }
    }

    #[test]
    fn which_delay_a_change_takes() {
        // from, to, how long it takes
        for (from, to, delay) in [(0, 1, 5), (1, 0, 2), (1, 3, 5), (3, 1, 2), (3, 0, 2)] {
            let mut found = Processes::new(rules(1, Some(2)));
            let before = found.see(from, S).unwrap();
            let seen = found.see(to, 10 * S);
            if rules(1, Some(2)).allow(from) == rules(1, Some(2)).allow(to) {
                assert_eq!((seen, found.deadline()), (None, None), "{from} {to}");
                continue;
            }
            assert_eq!(seen, None, "{from} {to}");
            assert_eq!(found.state(), before);
            let at = (10 + delay) * S;
            assert_eq!(found.deadline(), Some(at), "{from} {to}");
            assert_eq!(found.tick(at - Duration::from_nanos(1)), None);
            assert!(found.tick(at).is_some_and(|state| state != before));
        }
    }

    #[test]
    fn a_restart_does_not_count() {
        let mut found = Processes::new(rules(1, None));
        found.see(1, S);
        assert_eq!(found.see(0, 10 * S), None);
        assert_eq!(found.see(1, 11 * S), None);
        assert_eq!(found.tick(100 * S), None);
        assert_eq!(found.state(), Good);
    }

    #[test]
    fn a_fork_does_not_count() {
        let mut found = Processes::new(rules(1, Some(1)));
        found.see(1, S);
        assert_eq!(found.see(2, 10 * S), None);
        assert_eq!(found.see(3, 11 * S), None);
        assert_eq!(found.see(1, 14 * S), None);
        assert_eq!((found.tick(100 * S), found.state()), (None, Good));
    }

    #[test]
    fn other_rules_count_with_the_next_number() {
        let mut found = Processes::new(ProcessRules::default());
        assert_eq!(found.see(1, S), Some(Good));
        found.set_rules(ProcessRules {
            quorum: 2,
            ..ProcessRules::default()
        });
        assert_eq!(found.state(), Good);
        assert_eq!(found.see(1, 2 * S), Some(Bad));
    }
}
