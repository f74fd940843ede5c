//! How a driver is set up.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use super::sys;
use crate::check::Target;
use crate::probe::Transport;

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
    /// Where probes that go [via](Target::via) a server get their sockets. Without one they fail with
    /// [`Reason::Local`](crate::Reason::Local).
    pub network: Option<Arc<dyn Network>>,
}

/// Another network than the host's, from which probes reach a server at an address that is not its own alone.
pub trait Network: fmt::Debug + Send + Sync {
    /// Opens a socket for one probe: neither blocking nor connected, and bound to the address and port that it is to come from.
    /// Called by the driver's thread, so it must not wait for anything outside of this host.
    ///
    /// # Errors
    ///
    /// Why there is none. `ENETUNREACH`, `EHOSTUNREACH` and their like count against the server, as if `connect` had said so; all
    /// else is [`Reason::Local`](crate::Reason::Local).
    fn open(&self, target: &Target, transport: Transport) -> io::Result<OwnedFd>;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            max_probes: usize::MAX,
            max_scripts: 128,
            reserve: 512,
            network: None,
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
