//! What a check's results mean: up or down, and when to ask again.
//!
//! One failed run says little: a packet was lost, a disk was slow. So failures are forgiven up to a number, and the run after
//! one comes sooner. A [`Checker`] is what is remembered of one [`Check`] between its runs. It is told each verdict and the
//! time, and says when the next run is due and what has changed. The rule is keepalived's:
//!
//! | is | run | becomes | next run |
//! |---|---|---|---|
//! | up | passed | up; forgiven failures are forgotten | an interval after this one was due |
//! | up | failed, fewer than `retries` forgiven | up, one more forgiven | `retry_delay` after its end |
//! | up | failed, `retries` forgiven | **down** | interval |
//! | down | failed | down | interval |
//! | down | passed, the `rise`th in a row | **up** | interval |
//!
//! Nothing is forgiven at the very first run: its failure is decisive.
//!
//! Some kinds have rules of their own:
//! - **Pages** are asked one a run, in order; the check has passed once all have. A page that failed is asked again until it
//!   passes; if that brought the server down, the pages are then gone through from the first. While down, an interval is at least
//!   `retry_delay`, and with `fast_recovery` the next page follows at once.
//! - **SMTP** forgives the first failures too, and goes on retrying while down: each interval has its retries.
//! - **Scripts** count `retry_delay` from the start of the run.
//! - **Files** are looked at when they change, and nothing is forgiven.
//!
//! A run that fails for [`Reason::Local`] says nothing about the server: nothing changes, the next one comes an interval later.

mod history;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::history::{History, Run};
use crate::check::{Check, Kind};
use crate::probe::{Passed, Reason, Verdict};

/// What is remembered of one check between its runs.
#[derive(Clone, Debug)]
pub struct Checker {
    standing: Standing,
    /// Failures in a row that were forgiven.
    forgiven: u32,
    /// Failures are forgiven: it has passed before, or need not.
    forgives: bool,
    /// Successes in a row while down. Up has no use for it.
    risen: u32,
    /// The page that the next run asks.
    page: usize,
    /// That page has brought the server down, and is asked until it passes.
    stuck: bool,
    /// The present settings have found nothing yet.
    fresh: bool,
    /// When the next run is due.
    due: Option<Duration>,
    history: History,
}

/// What a check means for its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the server may serve, as far as this check goes.
    pub up: bool,
    /// Whether that was found out and is not just assumed.
    pub found: bool,
    /// What it does to the server's weight.
    pub influence: Influence,
}

impl Standing {
    /// Of a check that never ran.
    pub const fn assumed(up: bool) -> Self {
        Self {
            up,
            found: false,
            influence: Influence::None,
        }
    }
}

/// What the last passed run of a check does to its server's weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Influence {
    /// Nothing.
    #[default]
    None,
    /// The weight is this instead of the configured one.
    Replaces(u32),
    /// This is added.
    Adds(i64),
}

impl From<Passed> for Influence {
    fn from(passed: Passed) -> Self {
        match passed {
            Passed::Plainly => Self::None,
            Passed::Weighing(weight) => Self::Replaces(weight),
            Passed::Adding(weight) => Self::Adds(weight),
        }
    }
}

/// What a run has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// When the next run is due, on the clock of the `now` given.
    pub next_at: Duration,
    /// Up (`true`) or down it went, if it did.
    pub changed: Option<bool>,
    /// This is the first that the check has found: worth a line even where nothing changed.
    pub first: bool,
    /// How many failures were forgiven just before this run.
    pub retries: u32,
    /// The failure was forgiven: the next run is a retry.
    pub forgiven: bool,
    /// The new standing, for the server's pool, if it is another.
    pub standing: Option<Standing>,
}

impl Checker {
    /// Of a check that is new. Its server is up, unless it must pass first (`alpha`).
    pub fn new(check: &Check) -> Self {
        Self::assuming(check, !check.alpha)
    }

    /// Of a check that is new for a server that is not: one that serves goes on, whatever the check's `alpha` says.
    pub fn added(check: &Check, server_up: bool) -> Self {
        Self::assuming(check, server_up || !check.alpha)
    }

    fn assuming(check: &Check, up: bool) -> Self {
        Self {
            standing: Standing::assumed(up),
            forgiven: 0,
            forgives: matches!(check.kind, Kind::Smtp { .. }),
            risen: 0,
            page: 0,
            stuck: false,
            fresh: true,
            due: None,
            history: History::default(),
        }
    }

    /// What becomes of it when its check, till now `old`, is `new` from now on.
    ///
    /// A check that asks the same keeps everything. One that asks something else keeps up or down until its first result, for which
    /// failures are forgiven afresh, and its history. If the interval is another, nobody knows when the next run is [due](Self::due).
    pub fn carried(&self, old: &Check, new: &Check) -> Self {
        let due = self
            .due
            .filter(|_| old.timing.interval == new.timing.interval);
        if old.kind == new.kind && old.target == new.target {
            return Self {
                due,
                ..self.clone()
            };
        }
        let mut carried = Self::added(new, self.standing.up);
        if self.standing.found {
            carried.standing = self.standing;
            carried.forgives = true;
        }
        if !weighs(&new.kind) {
            carried.standing.influence = Influence::None;
        }
        carried.due = due;
        carried.history = self.history.clone();
        carried
    }

    /// Takes a run's verdict: it ended `now` and has `took` that long.
    pub fn report(
        &mut self,
        check: &Check,
        now: Duration,
        took: Duration,
        verdict: Verdict,
    ) -> Report {
        let before = self.standing;
        let was_fresh = self.fresh;
        let started = now.saturating_sub(took);
        let mut report = Report {
            next_at: now,
            changed: None,
            first: false,
            retries: self.forgiven,
            forgiven: false,
            standing: None,
        };
        let pause = match &verdict {
            Ok(passed) => self.passed(check, *passed),
            Err(failure) if failure.reason == Reason::Local => Pause::Interval,
            Err(_) => self.failed(check),
        };
        report.first = was_fresh && !self.fresh;
        report.forgiven = pause == Pause::Retry;
        report.changed = (self.standing.up != before.up).then_some(self.standing.up);
        report.standing = (self.standing != before).then_some(self.standing);
        report.next_at = self.next_run(check, started, now, pause);
        self.due = Some(report.next_at);
        self.history.add(
            Run {
                at: now,
                took,
                verdict,
            },
            report.changed,
        );
        report
    }

    /// The run that is due does not take place: when the next one is.
    pub fn skip(&mut self, check: &Check, now: Duration) -> Duration {
        let next_at = self.next_run(check, now, now, Pause::Interval);
        self.due = Some(next_at);
        next_at
    }

    fn passed(&mut self, check: &Check, passed: Passed) -> Pause {
        self.forgiven = 0;
        self.forgives = true;
        self.standing.influence = passed.into();
        if !self.turn_page(check) {
            return match &check.kind {
                Kind::Http(http) if http.fast_recovery && !self.standing.up => Pause::None,
                _ => Pause::Interval,
            };
        }
        self.fresh = false;
        if !self.standing.up {
            self.risen = self.risen.saturating_add(1);
            self.standing.up = self.risen >= check.timing.rise;
        }
        if self.standing.up {
            self.standing.found = true;
        }
        Pause::Interval
    }

    fn failed(&mut self, check: &Check) -> Pause {
        self.risen = 0;
        let worth_it = self.standing.up || matches!(check.kind, Kind::Smtp { .. });
        if worth_it && self.forgives && self.forgiven < retries(check) {
            self.forgiven += 1;
            return Pause::Retry;
        }
        self.forgiven = 0;
        self.fresh = false;
        self.stuck = true;
        self.standing.up = false;
        self.standing.found = true;
        match check.kind {
            Kind::Http(_) => Pause::Longer,
            _ => Pause::Interval,
        }
    }

    /// The page asked has passed: whether all have.
    fn turn_page(&mut self, check: &Check) -> bool {
        let pages = match &check.kind {
            Kind::Http(http) => http.pages.len(),
            _ => 1,
        };
        let restart = self.stuck && self.page != 0;
        self.stuck = false;
        self.page = if restart { 0 } else { self.page + 1 };
        let complete = self.page >= pages;
        if complete {
            self.page = 0;
        }
        complete
    }

    /// Intervals are counted from when a run was due, so that lateness does not add up, and that checks which were all late
    /// together (the thread stood still) do not stay together; those that a long run has missed are left out.
    fn next_run(&self, check: &Check, started: Duration, now: Duration, pause: Pause) -> Duration {
        let timing = &check.timing;
        let step = match pause {
            Pause::None => return now,
            Pause::Retry if matches!(check.kind, Kind::Script(_)) => {
                return started.saturating_add(timing.retry_delay).max(now);
            }
            Pause::Retry => return now.saturating_add(timing.retry_delay),
            Pause::Interval => timing.interval,
            Pause::Longer => timing.interval.max(timing.retry_delay),
        };
        let base = self.due.filter(|&due| due <= started);
        let base = base.unwrap_or(started);
        let next = base.saturating_add(step);
        if next >= now || step.is_zero() {
            return next.max(now);
        }
        let over = (now - next).as_nanos() % step.as_nanos();
        match u64::try_from(over) {
            Ok(0) => now,
            Ok(over) => now.saturating_add(step - Duration::from_nanos(over)),
            Err(_) => now.saturating_add(step),
        }
    }

    /// What it means for its server.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// The page that the next run is to ask: an index, 0 for whatever has no pages.
    pub fn page(&self) -> usize {
        self.page
    }

    /// When the next run is due. `None`: none has ended yet at this interval, its owner chooses.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Failures in a row that were forgiven so far.
    pub fn retries(&self) -> u32 {
        self.forgiven
    }

    /// Its past.
    pub fn history(&self) -> &History {
        &self.history
    }
}

/// What lies between a run and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    None,
    Retry,
    Interval,
    /// The interval, but no less than the delay of a retry.
    Longer,
}

/// How many failures in a row are forgiven.
fn retries(check: &Check) -> u32 {
    match check.kind {
        Kind::File(_) => 0,
        _ => check.timing.retries,
    }
}

/// Whether results of this kind may say something about weight.
fn weighs(kind: &Kind) -> bool {
    match kind {
        Kind::Script(script) => script.dynamic,
        Kind::File(file) => file.weight != 0,
        _ => false,
    }
}
