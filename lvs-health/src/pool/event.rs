//! What people and scripts are told about a pool.

use crate::probe::Verdict;

/// Something that happened to a pool. Events come in the order in which keepalived acts on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<K> {
    /// A server is alive now (`notify_up`).
    ServerUp {
        /// Who.
        server: K,
        /// Why.
        cause: Cause,
    },
    /// A server is not alive any more, or was found not to be for the first time (`notify_down`).
    ServerDown {
        /// Who.
        server: K,
        /// Why.
        cause: Cause,
    },
    /// A server has another weight, at once or when it serves again.
    WeightChanged {
        /// Who.
        server: K,
        /// What it was.
        from: u32,
        /// What it is.
        to: u32,
        /// Whether it was alive.
        alive: bool,
        /// Why.
        cause: Cause,
    },
    /// There is enough live weight to serve (`quorum_up`).
    QuorumGained {
        /// The numbers.
        tally: Tally,
        /// Why.
        cause: Cause,
    },
    /// There is not enough live weight any more, or none at the start (`quorum_down`).
    QuorumLost {
        /// The numbers.
        tally: Tally,
        /// Why.
        cause: Cause,
    },
    /// The sorry server serves from now on, instead of all others.
    SorryOn {
        /// Who.
        server: K,
    },
    /// The sorry server serves no longer.
    SorryOff {
        /// Who.
        server: K,
    },
}

/// Why something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is new. A server that is up for this cause is just assumed to be: usually not worth a script.
    Start,
    /// A check found it.
    Check {
        /// Which one, by its place in [`Server::checks`](super::Server::checks).
        check: usize,
        /// What it found.
        verdict: Verdict,
    },
    /// Somebody set a weight.
    Command,
    /// The configuration is another.
    Reload,
    /// The configuration has it no longer.
    Removal,
    /// Everything stops.
    Shutdown,
}

/// The numbers that decide about a quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Q, at least 1 and at most the sum of the configured weights.
    pub quorum: u64,
    /// H, less than Q.
    pub hysteresis: u64,
    /// L: the weights of all that are alive.
    pub live: u64,
}

impl Tally {
    /// Q+H: the live weight at which a quorum that is not there is gained.
    pub fn to_gain(&self) -> u64 {
        self.quorum + self.hysteresis
    }

    /// Q−H: below it, a quorum that is there is lost.
    pub fn to_lose(&self) -> u64 {
        self.quorum - self.hysteresis
    }

    /// Whether a quorum that is not there is gained.
    pub(super) fn gained(&self) -> bool {
        self.live >= self.to_gain()
    }

    /// Whether a quorum that is there is lost.
    pub(super) fn lost(&self) -> bool {
        self.live < self.to_lose()
    }
}
