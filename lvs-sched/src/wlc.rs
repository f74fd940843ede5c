//! Weighted least connections: the destination with the smallest overhead for its weight, where overhead
//! is 256 × active + inactive connections. The first of the list wins a tie. IPVS's default scheduler.

use lvs_core::dest::Dest;

use crate::least::{Least, Rank, Rule};
use crate::load::overhead;

/// The scheduler `wlc`.
pub type Wlc = Least<FewestForWeight>;

/// The rule of [`Wlc`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FewestForWeight;

impl Rule for FewestForWeight {
    const NAME: &'static str = "wlc";

    fn rank(dest: &Dest) -> Rank {
        Rank::if_eligible(dest, overhead(dest.live()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{arrival, dest, packet};
    use lvs_core::sched::Scheduler as _;

    fn pick(dests: &[Dest]) -> Option<usize> {
        Wlc::default().pick(dests, &arrival(&packet()))
    }

    /// 522 for weight 1 against 1792 and 1536 for weight 3.
    #[test]
    fn overhead_is_compared_per_weight() {
        assert_eq!(pick(&[dest(1, 2, 10), dest(3, 7, 0)]), Some(0));
        assert_eq!(pick(&[dest(1, 2, 10), dest(3, 6, 0)]), Some(1));
    }

    #[test]
    fn the_first_wins_a_tie() {
        assert_eq!(
            pick(&[dest(1, 1, 0), dest(2, 2, 0), dest(3, 3, 0)]),
            Some(0)
        );
        assert_eq!(pick(&[dest(1, 0, 0), dest(100, 0, 0)]), Some(0));
    }

    #[test]
    fn weight_0_never_wins_however_idle() {
        assert_eq!(
            pick(&[dest(0, 0, 0), dest(1, 1000, 0), dest(0, 0, 0)]),
            Some(1)
        );
        assert_eq!(pick(&[dest(0, 0, 0)]), None);
    }

    proptest! {
        #[test]
        fn it_is_the_first_with_the_smallest_overhead_per_weight(
            servers in proptest::collection::vec((0..5u32, 0..6u64, 0..600u64), 1..8),
        ) {
            let dests: Vec<_> = servers.iter().map(|&(w, a, i)| dest(w, a, i)).collect();
            let least = servers
                .iter()
                .filter(|s| s.0 > 0)
                // 60 divides by every weight used, so the quotient is exact.
                .map(|&(weight, active, inactive)| (256 * active + inactive) * (60 / u64::from(weight)))
                .enumerate()
                .min_by_key(|&(i, cost)| (cost, i))
                .map(|(i, _)| i);
            let open: Vec<usize> = (0..servers.len()).filter(|&i| servers[i].0 > 0).collect();
            prop_assert_eq!(pick(&dests), least.map(|i| open[i]));
        }
    }
}
