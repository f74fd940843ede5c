//! The table of the hashing schedulers `sh` and `dh`: 256 buckets, each naming a destination.
//!
//! IPVS can be built with 2⁴ to 2²⁰ buckets; 2⁸ is what it is built with everywhere.

use std::fmt;
use std::iter::repeat_n;

use lvs_core::dest::Dest;

/// Positions in the list of destinations by bucket. With at least one bucket a destination, the table
/// names none beyond the first 256, so a byte holds a position.
#[derive(Clone)]
pub(crate) struct Buckets([u8; 256]);

impl Buckets {
    /// Goes round the list, giving each destination in turn as many buckets as `share` says (at least
    /// one), until all are given.
    pub(crate) fn fill(&mut self, dests: &[Dest], share: impl Fn(&Dest) -> u32) {
        let turns = (0..=u8::MAX)
            .zip(dests)
            .cycle()
            .flat_map(|(position, dest)| repeat_n(position, share(dest).max(1) as usize));
        for (bucket, position) in self.0.iter_mut().zip(turns) {
            *bucket = position;
        }
    }

    /// The position that a bucket names, if the destination there is eligible. Nobody takes over the
    /// buckets of one that is not: its clients are refused, and all others stay where they are.
    pub(crate) fn eligible(&self, bucket: u8, dests: &[Dest]) -> Option<usize> {
        let position = usize::from(self.0[usize::from(bucket)]);
        dests.get(position)?.is_eligible().then_some(position)
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::dest;

    #[test]
    fn shares_are_runs_of_buckets_and_the_round_starts_again() {
        let mut buckets = Buckets::default();
        buckets.fill(&[dest(1, 0, 0), dest(2, 0, 0), dest(0, 0, 0)], Dest::weight);
        assert_eq!(buckets.0[..8], [0, 1, 1, 2, 0, 1, 1, 2]);
        let count = |position| buckets.0.iter().filter(|&&p| p == position).count();
        assert_eq!([count(0), count(1), count(2)], [64, 128, 64]);
    }

    #[test]
    fn a_huge_share_fills_what_is_left() {
        let mut buckets = Buckets::default();
        buckets.fill(&[dest(1, 0, 0), dest(i32::MAX as u32, 0, 0)], Dest::weight);
        assert_eq!(buckets.0[0], 0);
        assert!(buckets.0[1..].iter().all(|&p| p == 1));
    }

    #[test]
    fn only_the_first_256_destinations_find_a_bucket() {
        let dests = vec![dest(1, 0, 0); 300];
        let mut buckets = Buckets::default();
        buckets.fill(&dests, Dest::weight);
        assert!(
            (0..=255).all(|bucket| buckets.eligible(bucket, &dests) == Some(usize::from(bucket)))
        );
    }
}
