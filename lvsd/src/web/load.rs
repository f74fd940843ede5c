//! What threads and interfaces do, as the endpoint is told it.

use std::time::Duration;

use lvs_fwd::counters::Counts;

/// What is done besides balancing, at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    /// In their order.
    pub(crate) workers: Vec<Worker>,
    pub(crate) interfaces: Vec<Interface>,
    /// Threads that must never stand still, and how long each has not come round.
    pub(crate) threads: Vec<(String, Duration)>,
}

/// What a thread that forwards has done so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worker {
    /// What became of its frames.
    pub(crate) counts: Counts,
    /// How often it found something to receive.
    pub(crate) bursts: u64,
    /// How long it did not sleep.
    pub(crate) busy: Duration,
}

/// What came by an interface.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Frames given to us.
    pub(crate) received: u64,
    /// Frames lost because nobody took them in time.
    pub(crate) lost: u64,
}
