//! What people want to know of a check's past.

use std::time::Duration;

use crate::probe::{Reason, Verdict};

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it ended.
    pub at: Duration,
    /// From its start to its verdict.
    pub took: Duration,
    /// What it found.
    pub verdict: Verdict,
}

/// A check's past: counters since it was first configured, and the last of everything.
#[derive(Clone, Debug, Default)]
pub struct History {
    runs: u64,
    failures: [u64; Reason::ALL.len()],
    changes: u64,
    changed_at: Option<Duration>,
    last: Option<Run>,
}

impl History {
    pub(super) fn add(&mut self, run: Run, changed: Option<bool>) {
        self.runs += 1;
        if let Err(failure) = &run.verdict
            && let Some(count) = self.failures.get_mut(failure.reason as usize)
        {
            *count += 1;
        }
        if changed.is_some() {
            self.changes += 1;
            self.changed_at = Some(run.at);
        }
        self.last = Some(run);
    }

    /// How often it ran.
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// How many runs failed for this reason.
    pub fn failures(&self, reason: Reason) -> u64 {
        self.failures.get(reason as usize).copied().unwrap_or(0)
    }

    /// How often it went from up to down or back.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// When it did so last.
    pub fn changed_at(&self) -> Option<Duration> {
        self.changed_at
    }

    /// The last run.
    pub fn last(&self) -> Option<&Run> {
        self.last.as_ref()
    }
}
