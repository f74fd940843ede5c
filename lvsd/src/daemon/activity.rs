//! How busy a worker thread is.
//!
//! Problem: how much of its time a thread works is worth knowing, but not worth a look at the clock for each burst.
//!
//! Rule: the time that it sleeps is what is measured, since a sleep is a system call anyway. What it did not sleep, it was busy.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::pulse::Pulse;

/// What one thread writes and others read.
#[derive(Debug, Default)]
pub(super) struct Activity {
    pub(super) pulse: Pulse,
    bursts: AtomicU64,
    /// Nanoseconds.
    busy: AtomicU64,
}

impl Activity {
    /// How often the thread has received something.
    pub(super) fn bursts(&self) -> u64 {
        self.bursts.load(Relaxed)
    }

    /// How long it was awake, some milliseconds ago.
    pub(super) fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Relaxed))
    }

    /// To be called for each burst.
    pub(super) fn burst(&self) {
        // Only one thread writes.
        self.bursts.store(self.bursts.load(Relaxed) + 1, Relaxed);
    }
}

/// Counts the time that a thread is awake. Held by the thread.
#[derive(Debug)]
pub(super) struct Stopwatch {
    /// What has not been counted yet began then.
    since: Instant,
}

impl Stopwatch {
    /// The thread begins to work.
    pub(super) fn start() -> Self {
        Self {
            since: Instant::now(),
        }
    }

    /// Counts what has passed: before each sleep, and now and then while there is none. It is a sign of life too.
    pub(super) fn count(&mut self, activity: &Activity) {
        let now = Instant::now();
        let passed = u64::try_from((now - self.since).as_nanos()).unwrap_or(u64::MAX);
        self.since = now;
        let busy = activity.busy.load(Relaxed).saturating_add(passed);
        activity.busy.store(busy, Relaxed); // only one thread writes
        activity.pulse.beat();
    }

    /// The thread has slept since the last count.
    pub(super) fn slept(&mut self) {
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAP: Duration = Duration::from_millis(30);

    #[test]
    fn sleep_is_not_work() {
        let activity = Activity::default();
        let begin = Instant::now();
        let mut stopwatch = Stopwatch::start();
        std::thread::sleep(NAP);
        stopwatch.count(&activity);
        let worked = activity.busy();
        assert!(worked >= NAP && worked <= begin.elapsed());
        stopwatch.count(&activity);
        assert!(activity.busy() <= begin.elapsed(), "nothing counts twice");
        let worked = activity.busy();
        std::thread::sleep(NAP);
        let woken = Instant::now();
        stopwatch.slept();
        stopwatch.count(&activity);
        let more = activity.busy() - worked;
        assert!(more <= woken.elapsed(), "{more:?}");
    }
}
