//! Never queue: the first destination of the list without an active connection, even a slow one; if all are
//! busy, the one `sed` chooses.

use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Scheduler};

use crate::load::{expected_delay, least_by_weight};

/// The scheduler `nq`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Nq;

impl Scheduler for Nq {
    fn name(&self) -> &'static str {
        "nq"
    }

    fn pick(&self, dests: &[Dest], _arrival: &Arrival<'_>) -> Option<usize> {
        let idle = dests
            .iter()
            .position(|d| d.is_eligible() && d.active() == 0);
        idle.or_else(|| least_by_weight(dests, expected_delay))
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arrival, dest, packet};

    fn pick(dests: &[Dest]) -> Option<usize> {
        Nq.pick(dests, &arrival(&packet()))
    }

    #[test]
    fn an_idle_server_goes_before_a_quicker_one() {
        assert_eq!(pick(&[dest(1, 0, 0), dest(4, 2, 0)]), Some(0));
        assert_eq!(pick(&[dest(4, 2, 0), dest(1, 0, 0)]), Some(1));
    }

    #[test]
    fn the_first_idle_server_wins_whatever_its_weight() {
        assert_eq!(
            pick(&[dest(0, 0, 0), dest(1, 0, 900), dest(9, 0, 0)]),
            Some(1)
        );
    }

    #[test]
    fn when_all_are_busy_it_is_sed() {
        assert_eq!(pick(&[dest(1, 1, 0), dest(4, 2, 0)]), Some(1));
        assert_eq!(
            pick(&[dest(1, 1, 0), dest(2, 3, 0), dest(0, 1, 0)]),
            Some(0)
        );
        assert_eq!(pick(&[dest(0, 0, 0), dest(0, 1, 0)]), None);
    }
}
