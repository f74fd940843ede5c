//! The schedulers of Linux Virtual Server: which real server gets the next connection.
//!
//! People choose a scheduler by name and expect from it what the kernel's IPVS does, choice for choice.
//! So each file here is one scheduler that follows the kernel's rules, ties and order included, and [`build`]
//! makes it from its name. All of them work on the destinations in *list order*: the newest first.
//!
//! | name | chooses | weights | state | where it follows the kernel |
//! |---|---|---|---|---|
//! | [`rr`] | the next in the list | ignored | a cursor | the cursor stays on its destination when others come and go |
//! | [`wrr`] | the next in the list, more often the heavier | yes | a cursor and a level | interleaved order; where it goes on after an edit |
//! | [`lc`] | fewest connections | ignored | none | 256 × active + inactive; the first wins a tie |
//! | [`wlc`] | fewest connections for its weight | yes | none | the same, compared by cross-multiplication |
//! | [`sed`] | shortest expected delay, (active + 1) / weight | yes | none | inactive connections do not count |
//! | [`nq`] | the first idle one, else as `sed` | only among busy ones | none | idle is no active connection |
//! | [`sh`] | by hash of the client's address | share of the table | 256 buckets | same hash, same table; a closed bucket stays closed |
//! | [`dh`] | by hash of the packet's destination address | ignored | 256 buckets | same hash, same table; a closed bucket stays closed |
//!
//! No scheduler chooses a destination that is not [eligible](lvs_core::dest::Dest::is_eligible), and UDP
//! connections never count as active, so `sed` and `nq` take servers of UDP services for idle, as in IPVS.
//!
//! Cursors are atomics advanced by compare-and-exchange: workers that schedule at the same moment never
//! take the same turn, and nobody waits.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod buckets;
pub mod dh;
pub mod hash;
pub mod lc;
mod load;
pub mod nq;
pub mod rr;
pub mod sed;
pub mod sh;
#[cfg(test)]
mod testing;
pub mod wlc;
pub mod wrr;

use std::fmt;

use lvs_core::sched::Scheduler;

/// A scheduler that [`build`] can make.
#[derive(Clone, Copy)]
pub struct Known {
    /// The name by which it is configured.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    make: fn() -> Box<dyn Scheduler>,
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.about)
    }
}

/// All schedulers, in the order in which to list them.
pub const NAMES: &[Known] = &[
    known::<rr::Rr>("rr", "round robin"),
    known::<wrr::Wrr>("wrr", "weighted round robin, interleaved"),
    known::<lc::Lc>("lc", "least connections"),
    known::<wlc::Wlc>("wlc", "weighted least connections"),
    known::<sed::Sed>("sed", "shortest expected delay"),
    known::<nq::Nq>("nq", "never queue: an idle server, else as sed"),
    known::<sh::Sh>("sh", "source hash: a client stays on its server"),
    known::<dh::Dh>("dh", "destination hash: an address stays on its server"),
];

/// Makes the scheduler of this name, without destinations yet; `None` if there is no such scheduler.
///
/// Its destinations reach it through [`edited`](Scheduler::edited), one at a time, or all at once through
/// [`settle`](Scheduler::settle) when it takes over a service that has some.
pub fn build(name: &str) -> Option<Box<dyn Scheduler>> {
    let known = NAMES.iter().find(|known| known.name == name)?;
    Some((known.make)())
}

const fn known<S: Scheduler + Default + 'static>(name: &'static str, about: &'static str) -> Known {
    Known {
        name,
        about,
        make: || Box::new(S::default()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{arrival, dest, flow, packet};

    #[test]
    fn every_name_builds_the_scheduler_of_that_name() {
        for known in NAMES {
            let made = build(known.name).expect(known.name);
            assert_eq!(made.name(), known.name);
            assert_eq!(made.fork().name(), known.name);
        }
        assert!(build("nonesuch").is_none() && build("").is_none() && build("RR").is_none());
    }

    #[test]
    fn without_destinations_there_is_no_choice() {
        for known in NAMES {
            let mut scheduler = (known.make)();
            assert_eq!(
                scheduler.pick(&[], &arrival(&packet())),
                None,
                "{}",
                known.name
            );
            scheduler.settle(&[]);
            assert_eq!(
                scheduler.pick(&[], &arrival(&packet())),
                None,
                "{}",
                known.name
            );
        }
    }

    proptest! {
        #[test]
        fn nobody_returns_weight_0_nor_nothing_while_a_server_is_eligible(
            servers in proptest::collection::vec((0..4u32, 0..50u64, 0..50u64), 0..8),
            clients in proptest::collection::vec(any::<(u32, u32)>(), 1..30),
        ) {
            let dests: Vec<_> = servers
                .iter()
                .map(|&(weight, active, inactive)| dest(weight, active, inactive))
                .collect();
            for known in NAMES {
                let mut scheduler = (known.make)();
                scheduler.settle(&dests);
                let may_refuse = matches!(known.name, "sh" | "dh");
                for &(src, dst) in &clients {
                    match scheduler.pick(&dests, &arrival(&flow(src, dst))) {
                        Some(i) => prop_assert!(dests[i].weight() > 0, "{}", known.name),
                        None => prop_assert!(
                            may_refuse || dests.iter().all(|d| d.weight() == 0),
                            "{} found none",
                            known.name
                        ),
                    }
                }
            }
        }

        /// Lists and schedulers that do not belong together (a caller's mistake) must not panic.
        #[test]
        fn a_list_never_announced_does_no_harm(
            settled in proptest::collection::vec(0..3u32, 0..6),
            scheduled in proptest::collection::vec(0..3u32, 0..6),
        ) {
            let list = |weights: &[u32]| weights.iter().map(|&w| dest(w, 0, 0)).collect::<Vec<_>>();
            let (settled, scheduled) = (list(&settled), list(&scheduled));
            for known in NAMES {
                let mut scheduler = (known.make)();
                scheduler.settle(&settled);
                for _ in 0..10 {
                    scheduler.pick(&settled, &arrival(&packet()));
                    if let Some(i) = scheduler.pick(&scheduled, &arrival(&packet())) {
                        prop_assert!(scheduled[i].weight() > 0, "{}", known.name);
                    }
                }
            }
        }
    }
}
