//! Shortest expected delay: the destination with the smallest (active + 1) / weight, that is, the one where
//! the new connection would wait least. Inactive connections do not count; the first of the list wins a
//! tie.

use lvs_core::dest::Dest;

use crate::least::{Least, Rank, Rule};
use crate::load::expected_delay;

/// The scheduler `sed`.
pub type Sed = Least<ShortestDelay>;

/// The rule of [`Sed`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShortestDelay;

impl Rule for ShortestDelay {
    const NAME: &'static str = "sed";

    fn rank(dest: &Dest) -> Rank {
        Rank::if_eligible(dest, expected_delay(dest.live()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arrival, dest, packet};
    use lvs_core::sched::Scheduler as _;

    fn pick(dests: &[Dest]) -> Option<usize> {
        Sed::default().pick(dests, &arrival(&packet()))
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
