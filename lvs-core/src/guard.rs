//! A proxy's connection, counted as long as it lives.
//!
//! Problem: schedulers such as `wlc` go by the connections each server has. A director counts those in its table;
//! a proxy has no such table, and must count at every connect and uncount on every way a connection can end,
//! errors and panics included.
//!
//! Rule: whoever connects to a server makes a [`ConnGuard`] and keeps it beside the socket. It counts from then on,
//! and no longer when it is dropped.

use std::sync::Arc;

use crate::dest::{Dest, DestLive};

/// Counts as one connection of a destination for as long as it lives.
///
/// It shares the destination's live half, so it counts right whatever happens to the [`Dest`] meanwhile: another
/// weight, other thresholds, removal from the list.
///
/// ```
/// use lvs_core::{ConnGuard, Dest};
///
/// let server = Dest::detached("10.0.0.1:80".parse()?, 1);
/// let mut connection = ConnGuard::new(&server);
/// assert_eq!((server.active(), server.inactive()), (1, 0));
/// connection.set_active(false);
/// assert_eq!((server.active(), server.inactive()), (0, 1));
/// drop(connection);
/// assert_eq!((server.active(), server.inactive()), (0, 0));
/// # Ok::<_, std::net::AddrParseError>(())
/// ```
#[derive(Debug)]
#[must_use = "the connection counts only as long as this lives"]
pub struct ConnGuard {
    dest: Arc<DestLive>,
    active: bool,
}

impl ConnGuard {
    /// A connection of `dest`, active.
    pub fn new(dest: &Dest) -> Self {
        let dest = dest.live().clone();
        dest.bind(true, 1);
        Self { dest, active: true }
    }

    /// Whether the connection counts as active, which for `lc` and `wlc` weighs as much as 256 inactive ones and for
    /// `sed` and `nq` is all that counts. A connection that is only held open (an idle keep-alive, or one side has
    /// finished) is inactive.
    pub fn set_active(&mut self, active: bool) {
        if self.active != active {
            self.active = active;
            self.dest.set_active(active);
        }
    }

    /// Whether it counts as active.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// The live half of the destination it counts for.
    pub fn dest(&self) -> &Arc<DestLive> {
        &self.dest
    }
}

impl Drop for ConnGuard {
    fn drop(&mut self) {
        self.dest.bind(self.active, -1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(dest: &Dest) -> (u64, u64) {
        (dest.active(), dest.inactive())
    }

    #[test]
    fn counts_follow_guards() {
        let dest = Dest::detached("10.0.0.1:80".parse().unwrap(), 1);
        let mut first = ConnGuard::new(&dest);
        let second = ConnGuard::new(&dest);
        assert_eq!(counts(&dest), (2, 0));
        for (active, want) in [(true, (2, 0)), (false, (1, 1)), (false, (1, 1))] {
            first.set_active(active);
            assert_eq!((counts(&dest), first.is_active()), (want, active));
        }
        drop(second);
        assert_eq!(counts(&dest), (0, 1));
        drop(first);
        assert_eq!(counts(&dest), (0, 0));
    }

    #[test]
    fn a_panic_uncounts_and_another_weight_changes_nothing() {
        let dest = Dest::detached("10.0.0.1:80".parse().unwrap(), 1);
        let quiesced = dest.with_weight(0);
        let guard = ConnGuard::new(&dest);
        assert_eq!(counts(&quiesced), (1, 0));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = guard;
            panic!("a handler gives up");
        }));
        assert!(panicked.is_err());
        assert_eq!(counts(&quiesced), (0, 0));
    }

    #[test]
    fn schedulers_with_an_index_hear_of_it() {
        let dest = Dest::detached("10.0.0.1:80".parse().unwrap(), 1);
        let changes = dest.live().service().changes();
        changes.watch();
        let told = || {
            let mut n = 0;
            changes.take(|_| n += 1);
            n > 0
        };
        let mut guard = ConnGuard::new(&dest);
        assert!(told());
        guard.set_active(false);
        assert!(told());
        assert!(!told());
        drop(guard);
        assert!(told());
    }
}
