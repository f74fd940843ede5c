//! The interface between the director and the schedulers (which live in `lvs-sched`).
//!
//! A scheduler belongs to one service in one snapshot. While a change is being prepared it is a private
//! copy that hears of every single edit, in order, because IPVS's schedulers depend on that order (wrr's
//! current weight does). Once published it is shared by all workers, and only what it remembers of its choices
//! moves (a cursor, a cache).

use std::fmt;
use std::time::Duration;

use crate::dest::Dest;
use crate::segment::Segment;
use crate::sysctl::Sysctls;
use crate::time::Time;

/// One edit of a service's destination list. Positions count in list order, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "schedulers must hear of all of them"
)]
pub enum Edit {
    /// A destination was added; new ones are put at the head, so the position is 0.
    Added(usize),
    /// The destination that stood at this position was removed.
    Removed(usize),
    /// The destination at this position was changed (weight, method, thresholds).
    Changed(usize),
}

/// A new connection, as far as a scheduler may care.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Arrival<'a> {
    /// The packet that opens it.
    pub packet: &'a Segment,
    /// When.
    pub now: Time,
    /// Fresh randomness, for the schedulers that draw (twos).
    pub random: u64,
    /// How long lblc remembers an address nobody asks for (IPVS: `lblc_expiration`).
    pub lblc_expiration: Duration,
    /// The same for lblcr, and how often it takes a server from a set (IPVS: `lblcr_expiration`).
    pub lblcr_expiration: Duration,
}

impl<'a> Arrival<'a> {
    /// A connection opened by `packet`, with IPVS's expirations and no randomness.
    pub const fn new(packet: &'a Segment, now: Time) -> Self {
        Self {
            packet,
            now,
            random: 0,
            lblc_expiration: Sysctls::LBLC_EXPIRATION,
            lblcr_expiration: Sysctls::LBLC_EXPIRATION,
        }
    }
}

/// Chooses a real server for a new connection.
pub trait Scheduler: fmt::Debug + Send + Sync {
    /// The name by which it is configured, `wlc` for instance.
    fn name(&self) -> &'static str;

    /// The names of its flags that are set (ipvsadm: `-b`), `sh-port` for instance, in IPVS's order.
    fn flags(&self) -> &'static [&'static str] {
        &[]
    }

    /// The position in `dests` (list order, newest first) of the server for a new connection, or `None` if there is
    /// none. Returns eligible destinations only, but for the exceptions IPVS makes (lblc).
    fn pick(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize>;

    /// A copy that goes on from where this one stands, for the next snapshot.
    fn fork(&self) -> Box<dyn Scheduler>;

    /// What [`pick`](Self::pick) would return now, without a trace of the question. `dests` are
    /// [copies](Dest::copies) of the list. To be implemented by those whose copies share what they remember.
    fn foresee(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        self.fork().pick(dests, arrival)
    }

    /// Whether it draws by [`Arrival::random`], so that a choice cannot be foreseen.
    fn draws(&self) -> bool {
        false
    }

    /// Hears of one edit; `dests` is the list after it. Called before the copy is published.
    fn edited(&mut self, _dests: &[Dest], _edit: Edit) {}

    /// All edits of a change are made: the place to build tables. Called once before publication, also
    /// when there was no edit; and once more at the very start for a scheduler that takes over a list.
    fn settle(&mut self, _dests: &[Dest]) {}
}
