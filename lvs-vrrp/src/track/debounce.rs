//! Whether something is so, where a short while of the contrary does not count.

use crate::Time;

/// A condition that must have changed for a while before that counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Debounce {
    /// What counts; `None`: nothing has been seen.
    counts: Option<bool>,
    /// When the contrary, which is being seen, will count.
    changes: Option<Time>,
}

impl Debounce {
    /// What counts.
    pub(super) fn counts(&self) -> Option<bool> {
        self.counts
    }

    /// When [`Debounce::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.changes
    }

    /// This is seen now, and counts after so long unless the contrary is seen meanwhile. What is seen first counts at once. What
    /// counts from now on, if that has changed.
    pub(super) fn see(&mut self, seen: bool, delay: Time, now: Time) -> Option<bool> {
        if self.counts == Some(seen) {
            self.changes = None;
            return None;
        }
        if self.counts.is_none() {
            self.counts = Some(seen);
            return self.counts;
        }
        // Seeing the same twice does not make it wait longer.
        self.changes
            .get_or_insert_with(|| now.saturating_add(delay));
        self.tick(now)
    }

    /// Time has passed. What counts from now on, if that has changed.
    pub(super) fn tick(&mut self, now: Time) -> Option<bool> {
        self.changes.take_if(|at| *at <= now)?;
        self.counts = self.counts.map(|counts| !counts);
        self.counts
    }
}
