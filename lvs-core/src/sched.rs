//! The interface between the director and the schedulers (which live in `lvs-sched`).
//!
//! A scheduler belongs to one service in one snapshot. While a change is being prepared it is a private
//! copy that hears of every single edit, in order, because IPVS's schedulers depend on that order (wrr's
//! current weight does). Once published it is shared by all workers and only its cursor moves.

use std::fmt;

use crate::dest::Dest;
use crate::segment::Segment;

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
    /// The destination at this position was changed (weight, method).
    Changed(usize),
}

/// Chooses a real server for a new connection.
pub trait Scheduler: fmt::Debug + Send + Sync {
    /// The name by which it is configured, `wlc` for instance.
    fn name(&self) -> &'static str;

    /// The position in `dests` (list order, newest first) of the server for the connection that `packet`
    /// opens, or `None` if there is none. Must only return eligible destinations.
    fn pick(&self, dests: &[Dest], packet: &Segment) -> Option<usize>;

    /// A copy that goes on from where this one stands, for the next snapshot.
    fn fork(&self) -> Box<dyn Scheduler>;

    /// Hears of one edit; `dests` is the list after it. Called before the copy is published.
    fn edited(&mut self, dests: &[Dest], edit: Edit);

    /// All edits of a change are made: the place to build tables. Called once before publication, also
    /// when there was no edit; and once more at the very start for a scheduler that takes over a list.
    fn settle(&mut self, _dests: &[Dest]) {}
}
