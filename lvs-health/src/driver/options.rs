//! How a driver is set up.

use std::time::Instant;

use super::sys;

/// How a [`Driver`](super::Driver) is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// When the clock began that everything is planned and reported on. Checkers that come from another driver should have
    /// been on the same.
    pub epoch: Instant,
    /// Probes under way at once, at most. Their descriptors are a limit too.
    pub max_probes: usize,
    /// Scripts that run at once, at most; at least 1.
    pub max_scripts: usize,
    /// Descriptors that are left to the rest of the process, if the limit is four times as high; otherwise a quarter of it.
    pub reserve: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            max_probes: usize::MAX,
            max_scripts: 128,
            reserve: 512,
        }
    }
}

impl Options {
    /// How many of so many checks can be under way at once. Raises the limit of descriptors, if need be and as far as possible.
    pub(super) fn room(&self, checks: usize) -> usize {
        // By and by, not with each check anew.
        let wanted = checks.next_power_of_two().saturating_add(self.reserve);
        let limit = sys::raise_descriptors(wanted as u64).unwrap_or(0);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let room = limit - self.reserve.min(limit / 4);
        room.min(self.max_probes).max(1)
    }
}
