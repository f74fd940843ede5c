//! One server of a pool: alive or not, and its weight.

use crate::checker::{Influence, Standing};

/// The greatest weight that IPVS knows.
const MAX_WEIGHT: u32 = i32::MAX as u32;

/// A server as configured, and how its checks stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The configured weight; 0 is drained, but alive. At most 2³¹ − 1.
    pub weight: u32,
    /// While it does not serve, it stays in the list with weight 0 (`inhibit_on_failure`), so that its connections go on.
    pub inhibit: bool,
    /// How its checks stand, as [`Checker::standing`](crate::checker::Checker::standing) has it. Without checks it is always alive.
    pub checks: Vec<Standing>,
}

impl Server {
    /// A server of this weight, with its checks.
    pub fn new(weight: u32, checks: Vec<Standing>) -> Self {
        Self {
            weight,
            inhibit: false,
            checks,
        }
    }

    /// Whether it should serve: all of its checks are up.
    pub fn alive(&self) -> bool {
        self.failing() == 0
    }

    /// How many of its checks are down.
    pub fn failing(&self) -> usize {
        self.checks.iter().filter(|check| !check.up).count()
    }

    /// Whether a check has found it down, so that it is not just assumed to be.
    pub(super) fn found_down(&self) -> bool {
        self.checks.iter().any(|check| check.found && !check.up)
    }

    /// The weight it has while it serves: the configured one and what its checks make of it, each of which adds the difference between
    /// the weight it found and the configured one. It follows from what the checks found last alone.
    pub fn effective_weight(&self) -> u32 {
        let configured = i128::from(self.weight);
        let weight = self.checks.iter().fold(configured, |weight, check| {
            weight.saturating_add(match check.influence {
                Influence::None => 0,
                Influence::Replaces(other) => i128::from(other) - configured,
                Influence::Adds(more) => i128::from(more),
            })
        });
        u32::try_from(weight.clamp(0, i128::from(MAX_WEIGHT))).unwrap_or(0)
    }

    /// What it adds to its pool's live weight.
    pub(super) fn share(&self) -> u32 {
        match self.alive() {
            true => self.effective_weight(),
            false => 0,
        }
    }
}
