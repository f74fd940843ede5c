//! Shortest expected delay: the destination with the smallest (active + 1) / weight, that is, the one where
//! the new connection would wait least. Inactive connections do not count; the first of the list wins a
//! tie.

use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Scheduler};

use crate::load::{expected_delay, least_by_weight};

/// The scheduler `sed`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Sed;

impl Scheduler for Sed {
    fn name(&self) -> &'static str {
        "sed"
    }

    fn pick(&self, dests: &[Dest], _arrival: &Arrival<'_>) -> Option<usize> {
        least_by_weight(dests, expected_delay)
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
        Sed.pick(dests, &arrival(&packet()))
    }

    /// 1 for weight 1 against 3 for weight 4: the busy server is still the quicker one.
    #[test]
    fn the_new_connection_counts() {
        assert_eq!(pick(&[dest(1, 0, 0), dest(4, 2, 0)]), Some(1));
        assert_eq!(pick(&[dest(1, 0, 0), dest(4, 3, 0)]), Some(0));
    }

    #[test]
    fn the_first_wins_a_tie() {
        assert_eq!(
            pick(&[dest(1, 0, 0), dest(2, 1, 0), dest(3, 2, 0)]),
            Some(0)
        );
    }

    #[test]
    fn inactive_connections_and_weight_0_do_not_count() {
        assert_eq!(pick(&[dest(1, 0, 9999), dest(1, 0, 0)]), Some(0));
        assert_eq!(pick(&[dest(0, 0, 0), dest(1, 7, 0)]), Some(1));
        assert_eq!(pick(&[dest(0, 0, 0)]), None);
    }

    #[test]
    fn idle_servers_are_filled_by_weight() {
        let dests = [dest(1, 0, 0), dest(3, 0, 0)];
        let chosen = [(); 8].map(|()| {
            let i = pick(&dests).unwrap();
            dests[i].live().bind(true, 1);
            i
        });
        assert_eq!(chosen, [1, 1, 0, 1, 1, 1, 0, 1]);
    }
}
