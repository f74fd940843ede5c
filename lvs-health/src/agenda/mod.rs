//! Which check is due when, and which one runs until when.
//!
//! A check either waits for its next run or runs, so it has one deadline at any time. No more than a limit run at once: who
//! is due beyond it waits, the longest overdue first. How late each run began, compared with its plan, is counted.
//!
//! That nothing drifts is the matter of whoever makes the plans: [`Checker`](crate::checker::Checker) counts intervals from
//! when a run was due, not from when it began. That not all begin at once is the matter of [`spread`].

mod deadlines;
mod lateness;
#[cfg(test)]
mod tests;

use std::time::Duration;

use deadlines::Deadlines;
pub use lateness::Lateness;

/// A check, as its owner numbers them: small numbers, since tables are indexed by them.
pub type Key = u32;

/// Which check is due when. All times are on one clock, the caller's.
#[derive(Debug, Default)]
pub struct Agenda {
    /// When those are due that wait.
    plans: Deadlines,
    /// Until when those may that run.
    bounds: Deadlines,
    limit: usize,
    lateness: Lateness,
}

impl Agenda {
    /// An empty one, of which so many may run at once.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// The check waits, till then. If it ran, its run has ended.
    pub fn plan(&mut self, key: Key, at: Duration) {
        self.bounds.unset(key);
        self.plans.set(key, at);
    }

    /// The check is gone.
    pub fn remove(&mut self, key: Key) {
        self.plans.unset(key);
        self.bounds.unset(key);
    }

    /// The check that is to begin now, if one is due and may run. It is named until it [begins](Self::begin), is
    /// [planned](Self::plan) anew or [removed](Self::remove).
    pub fn due(&self, now: Duration) -> Option<Key> {
        let first = self.plans.first().filter(|_| self.running() < self.limit);
        first.filter(|&(at, _)| at <= now).map(|(_, key)| key)
    }

    /// The check, which was due, runs, and may do so until then.
    pub fn begin(&mut self, key: Key, now: Duration, until: Duration) {
        if let Some(planned) = self.plans.get(key) {
            self.lateness.record(now.saturating_sub(planned));
        }
        self.plans.unset(key);
        self.bounds.set(key, until);
    }

    /// The check, if it runs, may do so until then instead.
    pub fn bound(&mut self, key: Key, until: Duration) {
        if self.bounds.get(key).is_some() {
            self.bounds.set(key, until);
        }
    }

    /// A check that runs and should not any more. It is named until it is [planned](Self::plan) anew, [bound](Self::bound)
    /// otherwise or [removed](Self::remove).
    pub fn overdue(&self, now: Duration) -> Option<Key> {
        let first = self.bounds.first().filter(|&(at, _)| at <= now);
        first.map(|(_, key)| key)
    }

    /// When to look again; `None`: nothing will be due before something ends.
    pub fn next(&self) -> Option<Duration> {
        let plan = self.plans.first().filter(|_| self.running() < self.limit);
        let both = [plan, self.bounds.first()];
        both.into_iter().flatten().map(|(at, _)| at).min()
    }

    /// Changes how many may run at once. What runs already may go on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// How many may run at once.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a check is due that waits for another's end.
    pub fn crowded(&self, now: Duration) -> bool {
        self.running() >= self.limit && self.plans.first().is_some_and(|(at, _)| at <= now)
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.bounds.len()
    }

    /// How many there are, waiting or running.
    pub fn len(&self) -> usize {
        self.plans.len() + self.running()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How late runs began.
    pub fn lateness(&self) -> &Lateness {
        &self.lateness
    }

    /// How late runs began since this was last asked.
    pub fn take_lateness(&mut self) -> Lateness {
        std::mem::take(&mut self.lateness)
    }
}

/// A first time, at random within `warmup` from now. `random` is any number, all of them equally likely.
pub fn spread(now: Duration, warmup: Duration, random: u64) -> Duration {
    let part = (random >> 11) as f64 / (1_u64 << 53) as f64;
    now.saturating_add(warmup.mul_f64(part))
}
