//! Never queue: the first destination of the list without an active connection, even a slow one; if all are
//! busy, the one `sed` chooses.

use lvs_core::dest::Dest;

use crate::least::{Least, Rank, Rule};
use crate::load::expected_delay;

/// The scheduler `nq`.
pub type Nq = Least<Idle>;

/// The rule of [`Nq`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Idle;

impl Rule for Idle {
    const NAME: &'static str = "nq";

    fn rank(dest: &Dest) -> Rank {
        let is_idle = dest.active() == 0;
        Rank::if_eligible(
            dest,
            if is_idle {
                0
            } else {
                expected_delay(dest.live())
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{arrival, dest, packet};
    use lvs_core::sched::Scheduler as _;

    fn pick(dests: &[Dest]) -> Option<usize> {
        Nq::default().pick(dests, &arrival(&packet()))
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
