//! Weighted overflow: the destination of the greatest weight until it has as many active connections as its weight
//! says and one more, then the next greatest. When all have, there is none left. The first of the list wins a tie.

use lvs_core::dest::Dest;

use crate::least::{Least, Rank, Rule};

/// The scheduler `ovf`.
pub type Ovf = Least<HighestWithRoom>;

/// The rule of [`Ovf`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HighestWithRoom;

impl Rule for HighestWithRoom {
    const NAME: &'static str = "ovf";

    fn rank(dest: &Dest) -> Rank {
        match dest.active() <= u64::from(dest.weight()) {
            true => Rank::if_eligible(dest, 1),
            false => Rank::NEVER,
        }
    }
}

#[cfg(test)]
mod tests {
    use lvs_core::sched::Scheduler as _;

    use super::*;
    use crate::testing::{arrival, dest, packet};

    fn pick(dests: &[Dest]) -> Option<usize> {
        Ovf::default().pick(dests, &arrival(&packet()))
    }

    #[test]
    fn as_many_active_connections_as_its_weight_still_leave_room_for_one() {
        assert_eq!(pick(&[dest(2, 0, 0), dest(3, 3, 99)]), Some(1));
        assert_eq!(pick(&[dest(2, 0, 0), dest(3, 4, 0)]), Some(0));
        assert_eq!(pick(&[dest(2, 3, 0), dest(3, 4, 0)]), None);
    }

    #[test]
    fn the_first_among_equals_and_nobody_closed() {
        assert_eq!(
            pick(&[dest(2, 0, 0), dest(3, 1, 0), dest(3, 0, 0)]),
            Some(1)
        );
        let dests = [dest(9, 0, 0), dest(0, 0, 0)];
        dests[0].live().set_overloaded(true);
        assert_eq!(pick(&dests), None);
    }
}
