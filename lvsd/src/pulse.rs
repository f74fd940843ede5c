//! Whether a thread still goes round.
//!
//! Each thread that must never stand still comes round its loop at least once a second, and says so. Whoever wants to know whether it
//! lives needs not ask it, and so never waits for one that does not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// When a thread was last seen.
#[derive(Debug)]
pub(crate) struct Pulse {
    epoch: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            last: AtomicU64::new(0),
        }
    }
}

impl Pulse {
    /// To be called by the thread, each time round.
    pub(crate) fn beat(&self) {
        self.last.store(self.now(), Relaxed);
    }

    /// How long it has not been seen.
    pub(crate) fn silence(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.last.load(Relaxed)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_ends_with_a_beat() {
        let pulse = Pulse::default();
        std::thread::sleep(Duration::from_millis(30));
        let silence = pulse.silence();
        assert!(silence >= Duration::from_millis(29), "{silence:?}");
        pulse.beat();
        assert!(pulse.silence() < silence);
    }
}
