//! Whether a script succeeds, and when it runs.
//!
//! Problem: one failure may be chance, and one success after many failures too. And a script may hang, or take longer than it is
//! from one run to the next.
//!
//! Rule (keepalived's `vrrp_script`): a counter goes up by one with each success and down with each failure. It is good
//! from `rise` on, and each change takes it to its end of the scale, so that it takes `fall` failures in a row to become bad and
//! `rise` successes to become good again. It begins just below `rise`, so that the first run decides, or with
//! `init_fail` at 0. Runs begin at fixed times; one that would begin while the last has not ended is left out. A run that takes too
//! long is a failure, and is asked to end; what has not ended two seconds later is killed.

use std::time::Duration;

use crate::Time;
use crate::status::ObjectState;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// When a script runs, and what its results mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptRules {
    /// From start to start; more than zero.
    pub interval: Duration,
    /// How long a run may take.
    pub timeout: Duration,
    /// Successes in a row that make it good; at least 1.
    pub rise: u32,
    /// Failures in a row that make it bad; at least 1.
    pub fall: u32,
    /// It counts as bad until it has been good.
    pub init_fail: bool,
}

impl Default for ScriptRules {
    /// Once a second; the first success and the first failure count.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise: 1,
            fall: 1,
            init_fail: false,
        }
    }
}

impl ScriptRules {
    fn rise(&self) -> u64 {
        self.rise.max(1).into()
    }

    /// The end of the scale.
    fn top(&self) -> u64 {
        self.rise() + u64::from(self.fall.max(1)) - 1
    }
}

/// What is to be done about a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Start it. If that fails, it has [ended](Script::ended) without success.
    Start,
    /// Ask it, and what it has started, to end: it has taken too long. This was a failure.
    Terminate,
    /// Kill it, and what it has started.
    Kill,
}

/// A run, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// None.
    Idle,
    /// It must have ended by then.
    Running(Time),
    /// It has been asked to end, and will be killed then.
    Ending(Time),
    /// It has been killed.
    Killed,
}

/// A script that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    rules: ScriptRules,
    counter: u64,
    /// Its state is known.
    known: bool,
    run: Run,
    /// When the next run begins.
    next: Time,
    /// The last result, and how often it has come in a row.
    row: Option<(bool, u32)>,
    /// Runs that were left out.
    skipped: u64,
}

impl Script {
    /// One that has not run; it does at once.
    pub fn new(rules: ScriptRules, now: Time) -> Self {
        let counter = match rules.init_fail {
            true => 0,
            false => rules.rise() - 1,
        };
        Self {
            rules,
            counter,
            known: rules.init_fail,
            run: Run::Idle,
            next: now,
            row: None,
            skipped: 0,
        }
    }

    /// Other rules. How it is stays, as if it had long been so; a run that is under way keeps its time.
    pub fn set_rules(&mut self, rules: ScriptRules, now: Time) {
        if rules == self.rules {
            return;
        }
        if rules.interval != self.rules.interval {
            self.next = self.next.min(now.saturating_add(rules.interval));
        }
        self.counter = match self.state() {
            ObjectState::Good => rules.top(),
            _ if self.known || rules.init_fail => 0,
            _ => rules.rise() - 1,
        };
        self.known |= rules.init_fail;
        self.rules = rules;
    }

    /// How it is.
    pub fn state(&self) -> ObjectState {
        super::state(self.known.then(|| self.is_good()))
    }

    /// The last result, and how often it has come in a row.
    pub fn row(&self) -> Option<(bool, u32)> {
        self.row
    }

    /// How many runs were left out since the one before had not ended.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// When [`Script::tick`] has something to do.
    pub fn deadline(&self) -> Time {
        match self.run {
            Run::Running(at) | Run::Ending(at) => at.min(self.next),
            Run::Idle | Run::Killed => self.next,
        }
    }

    /// Time has passed: what is to be done, if anything. With [`Action::Terminate`] the state may have changed.
    pub fn tick(&mut self, now: Time) -> Option<Action> {
        match self.run {
            Run::Running(until) if until <= now => {
                self.run = Run::Ending(now.saturating_add(GRACE));
                self.count(false);
                return Some(Action::Terminate);
            }
            Run::Ending(until) if until <= now => {
                self.run = Run::Killed;
                return Some(Action::Kill);
            }
            _ => {}
        }
        if now < self.next {
            return None;
        }
        self.next = following(self.next, self.rules.interval, now);
        if self.run != Run::Idle {
            self.skipped += 1;
            return None;
        }
        self.run = Run::Running(now.saturating_add(self.rules.timeout));
        Some(Action::Start)
    }

    /// A run has ended, well or not. One that had taken too long has been counted already.
    pub fn ended(&mut self, well: bool) {
        if let Run::Running(_) = std::mem::replace(&mut self.run, Run::Idle) {
            self.count(well);
        }
    }

    /// A run has not come about, or has been broken off, which says nothing of the script.
    pub fn given_up(&mut self) {
        self.run = Run::Idle;
    }

    fn is_good(&self) -> bool {
        self.counter >= self.rules.rise()
    }

    fn count(&mut self, well: bool) {
        let (rise, top) = (self.rules.rise(), self.rules.top());
        self.counter = match well {
            true if self.counter + 1 < rise => self.counter + 1,
            true => top,
            false if self.counter > rise => self.counter - 1,
            false => 0,
        };
        self.known = true;
        self.row = match self.row {
            Some((before, times)) if before == well => Some((well, times.saturating_add(1))),
            _ => Some((well, 1)),
        };
    }
}

/// The next time after `now` that is a whole number of intervals after `last`.
fn following(last: Time, interval: Duration, now: Time) -> Time {
    let interval = interval.max(Duration::from_millis(1));
    let next = last.saturating_add(interval);
    if now < next {
        return next;
    }
    // We were kept from running: what was missed is not made up for.
    let late = now.saturating_sub(last).as_nanos() % interval.as_nanos();
    let late = Duration::from_nanos(u64::try_from(late).unwrap_or(0));
    now.saturating_sub(late).saturating_add(interval)
}

#[cfg(test)]
mod tests;
