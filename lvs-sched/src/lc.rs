//! Least connections: the destination with the smallest overhead, 256 × active + inactive connections.
//! Weights do not count (but for 0); the first of the list wins a tie.

use lvs_core::dest::Dest;

use crate::least::{Least, Rank, Rule};
use crate::load::overhead;

/// The scheduler `lc`.
pub type Lc = Least<Fewest>;

/// The rule of [`Lc`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fewest;

impl Rule for Fewest {
    const NAME: &'static str = "lc";

    fn rank(dest: &Dest) -> Rank {
        match dest.is_eligible() {
            true => Rank::new(overhead(dest.live()), 1),
            false => Rank::NEVER,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{arrival, dest, packet};
    use lvs_core::sched::Scheduler as _;

    fn pick(dests: &[Dest]) -> Option<usize> {
        Lc::default().pick(dests, &arrival(&packet()))
    }

    #[test]
    fn inactive_connections_weigh_a_256th_of_active_ones() {
        assert_eq!(pick(&[dest(1, 1, 0), dest(1, 0, 255)]), Some(1));
        assert_eq!(pick(&[dest(1, 1, 0), dest(1, 0, 257)]), Some(0));
    }

    #[test]
    fn the_first_wins_a_tie() {
        assert_eq!(pick(&[dest(1, 1, 0), dest(1, 0, 256)]), Some(0));
        assert_eq!(
            pick(&[dest(1, 3, 0), dest(1, 2, 0), dest(9, 2, 0)]),
            Some(1)
        );
    }

    proptest! {
        #[test]
        fn nobody_before_is_as_idle_and_nobody_after_is_idler(
            servers in proptest::collection::vec((0..3u32, 0..4u64, 0..600u64), 1..8),
        ) {
            let dests: Vec<_> = servers.iter().map(|&(w, a, i)| dest(w, a, i)).collect();
            let cost = |&(_, active, inactive): &(u32, u64, u64)| 256 * active + inactive;
            let open = |&(weight, ..): &(u32, u64, u64)| weight > 0;
            match pick(&dests) {
                None => prop_assert!(!servers.iter().any(open)),
                Some(i) => {
                    let (own, before, after) = (cost(&servers[i]), &servers[..i], &servers[i..]);
                    prop_assert!(open(&servers[i]));
                    prop_assert!(before.iter().filter(|s| open(s)).all(|s| cost(s) > own));
                    prop_assert!(after.iter().filter(|s| open(s)).all(|s| cost(s) >= own));
                }
            }
        }
    }
}
