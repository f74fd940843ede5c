//! When a pipe's reader is started anew.
//!
//! A reader that ends is missed, and is started again: at once if it has lived for a minute, or else after a second, then two,
//! four and so on up to a minute, so that one that cannot work does not keep the machine busy.

use std::time::Duration;

/// A reader that has lived as long has worked.
const WORKED: Duration = Duration::from_secs(60);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);

/// How long the next start waits.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    last: Duration,
}

impl Backoff {
    /// It has ended after that long: how long to wait.
    pub(super) fn ended(&mut self, lived: Duration) -> Duration {
        self.last = match lived >= WORKED {
            true => Duration::ZERO,
            false => (self.last * 2).clamp(Duration::from_secs(1), LONGEST),
        };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_until_it_works() {
        let mut backoff = Backoff::default();
        let mut ended = |lived| backoff.ended(Duration::from_secs(lived)).as_secs();
        let waits: Vec<u64> = (0..8).map(|_| ended(0)).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!((ended(59), ended(60), ended(1)), (60, 0, 1));
    }
}
