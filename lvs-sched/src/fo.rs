//! Weighted failover: the destination of the greatest weight takes everything; when it becomes overloaded or quiesced, the
//! next greatest. The first of the list wins a tie.

use lvs_core::dest::Dest;

use crate::least::{Least, Rank, Rule};

/// The scheduler `fo`.
pub type Fo = Least<Highest>;

/// The rule of [`Fo`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Highest;

impl Rule for Highest {
    const NAME: &'static str = "fo";

    fn rank(dest: &Dest) -> Rank {
        Rank::if_eligible(dest, 1)
    }
}

#[cfg(test)]
mod tests {
    use lvs_core::sched::Scheduler as _;

    use super::*;
    use crate::testing::{arrival, dest, packet};

    fn pick(dests: &[Dest]) -> Option<usize> {
        Fo::default().pick(dests, &arrival(&packet()))
    }

    #[test]
    fn the_greatest_weight_wins_however_busy_and_the_first_among_equals() {
        assert_eq!(
            pick(&[dest(2, 0, 0), dest(3, 900, 9), dest(3, 0, 0)]),
            Some(1)
        );
    }

    #[test]
    fn an_overloaded_or_quiesced_one_is_passed_over() {
        let dests = [dest(9, 0, 0), dest(0, 0, 0), dest(1, 0, 0)];
        dests[0].live().set_overloaded(true);
        assert_eq!(pick(&dests), Some(2));
        dests[2].live().set_overloaded(true);
        assert_eq!(pick(&dests), None);
        dests[0].live().set_overloaded(false);
        assert_eq!(pick(&dests), Some(0));
    }
}
