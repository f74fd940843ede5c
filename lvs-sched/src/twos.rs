//! The power of two choices: draws two destinations by weight, and takes the one with less overhead for its weight.
//!
//! Problem: where several directors choose the least loaded server, each from its own counts, all of them choose the same
//! one at once.
//!
//! Rule: two tickets are drawn from 0 to the sum of all eligible weights, both included; a destination holds as many as its
//! weight, in list order, and the first of them ticket 0 as well (IPVS). The second wins only if it is better.

use lvs_core::dest::Dest;
use lvs_core::sched::{Arrival, Edit, Scheduler};

use crate::index::Indexed;
use crate::least::Rule as _;
use crate::tree::Total;
use crate::wlc::FewestForWeight;

/// The scheduler `twos`.
#[derive(Debug, Default)]
pub struct Twos {
    index: Indexed<Total>,
}

impl Scheduler for Twos {
    fn name(&self) -> &'static str {
        "twos"
    }

    fn pick(&self, dests: &[Dest], arrival: &Arrival<'_>) -> Option<usize> {
        let random = arrival.random;
        let indexed = self.index.ask(dests, |tree| {
            draw(random, tree.whole().0).map(|tickets| {
                tickets.map(|mut ticket| {
                    tree.descend(|half| {
                        let is_left = ticket <= half.0;
                        ticket -= if is_left { 0 } else { half.0 };
                        is_left
                    })
                })
            })
        });
        let [first, second] = indexed.unwrap_or_else(|| walk(dests, random))?;
        let rank = |position: usize| dests.get(position).map(FewestForWeight::rank);
        match rank(second)?.beats(rank(first)?) {
            true => Some(second),
            false => Some(first),
        }
    }

    fn fork(&self) -> Box<dyn Scheduler> {
        Box::new(Self::default())
    }

    fn draws(&self) -> bool {
        true
    }

    fn edited(&mut self, _dests: &[Dest], _edit: Edit) {
        *self = Self::default();
    }

    fn settle(&mut self, _dests: &[Dest]) {
        *self = Self::default();
    }
}

/// Two tickets of 1 to `total`, where 1 is also what is drawn for ticket 0; none if there are none.
fn draw(random: u64, total: u64) -> Option<[u64; 2]> {
    let below = |random: u64, bound: u64| ((u128::from(random) * u128::from(bound)) >> 64) as u64;
    let ticket = |random| below(random, total.saturating_add(1)).max(1);
    (total > 0).then(|| [ticket(random), ticket(scrambled(random))])
}

/// Another random number (SplitMix64's).
fn scrambled(random: u64) -> u64 {
    let mut z = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

fn walk(dests: &[Dest], random: u64) -> Option<[usize; 2]> {
    let eligible = || {
        let open = dests.iter().enumerate().filter(|(_, d)| d.is_eligible());
        open.map(|(i, d)| (i, u64::from(d.weight())))
    };
    let tickets = draw(random, eligible().map(|(_, weight)| weight).sum())?;
    let holder = |mut ticket: u64| {
        let holds = |&(_, weight): &(usize, u64)| {
            let found = ticket <= weight;
            ticket = ticket.saturating_sub(weight);
            found
        };
        { eligible() }.find(holds).map(|(position, _)| position)
    };
    Some([holder(tickets[0])?, holder(tickets[1])?])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{arrival, dest, packet};

    fn pick(twos: &Twos, dests: &[Dest], random: u64) -> Option<usize> {
        let packet = packet();
        let arrival = Arrival {
            random,
            ..arrival(&packet)
        };
        twos.pick(dests, &arrival)
    }

    #[test]
    fn tickets_are_all_alike_but_for_the_first() {
        let mut drawn = [[0; 4]; 2];
        for random in 0..100_000u64 {
            let tickets = draw(scrambled(random << 20), 3).unwrap();
            drawn[0][tickets[0] as usize] += 1;
            drawn[1][tickets[1] as usize] += 1;
        }
        for [none, first, others @ ..] in drawn {
            assert_eq!(none, 0);
            assert!((49_000..51_000).contains(&first), "{first}");
            assert!(
                others.iter().all(|n| (24_000..26_000).contains(n)),
                "{others:?}"
            );
        }
        assert_eq!(draw(1, 0), None);
        assert_eq!(draw(0, u64::MAX).unwrap()[0], 1);
    }

    #[test]
    fn the_two_draws_do_not_depend_on_each_other() {
        let mut pairs = [[0; 2]; 2];
        for random in 0..100_000u64 {
            let [a, b] = draw(scrambled(random), 9).unwrap();
            pairs[usize::from(a > 4)][usize::from(b > 4)] += 1;
        }
        assert!(
            pairs
                .as_flattened()
                .iter()
                .all(|n| (24_000..26_000).contains(n)),
            "{pairs:?}"
        );
    }

    #[test]
    fn closed_servers_hold_no_ticket() {
        let dests = [dest(0, 0, 0), dest(5, 0, 0), dest(1, 0, 0)];
        dests[1].live().set_overloaded(true);
        let twos = Twos::default();
        assert!((0..100).all(|n| pick(&twos, &dests, scrambled(n)) == Some(2)));
        assert_eq!(pick(&twos, &dests[..2], 7), None);
    }

    proptest! {
        /// The rule as it is written: whoever takes a ticket down to 0.
        #[test]
        fn the_better_of_two_holders(
            servers in proptest::collection::vec((0..4u32, 0..3u64, 0..3u64), 1..9),
            random in any::<u64>(),
        ) {
            let dests: Vec<_> = servers.iter().map(|&(w, a, i)| dest(w, a, i)).collect();
            let total: u32 = servers.iter().map(|s| s.0).sum();
            let draw = |random: u64| ((u128::from(random) * u128::from(total + 1)) >> 64) as i64;
            let holder = |mut ticket: i64| servers.iter().position(|&(weight, ..)| {
                ticket -= i64::from(weight);
                weight > 0 && ticket <= 0
            });
            let expected = (total > 0).then(|| {
                let [one, two] = [random, scrambled(random)].map(|r| holder(draw(r)).unwrap());
                let cost = |i: usize| 256 * servers[i].1 + servers[i].2;
                let weight = |i: usize| u64::from(servers[i].0);
                if weight(two) * cost(one) > weight(one) * cost(two) { two } else { one }
            });
            prop_assert_eq!(pick(&Twos::default(), &dests, random), expected);
        }
    }
}
