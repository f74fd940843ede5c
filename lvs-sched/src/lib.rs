//! The schedulers of Linux Virtual Server: which real server gets the next connection.
//!
//! People choose a scheduler by name and expect from it what the kernel's IPVS does, choice for choice.
//! So each file here is one scheduler that follows the kernel's rules, ties and order included, and [`build`]
//! makes it from its name. All of them work on the destinations in *list order*: the newest first.
//!
//! | name | chooses | weights | remembers | where it follows the kernel |
//! |---|---|---|---|---|
//! | [`rr`] | the next in the list | ignored | a cursor | the cursor stays on its destination when others come and go |
//! | [`wrr`] | the next in the list, more often the heavier | yes | a cursor and a level | interleaved order; where it goes on after an edit |
//! | [`lc`] | fewest connections | ignored | nothing | 256 × active + inactive; the first wins a tie |
//! | [`wlc`] | fewest connections for its weight | yes | nothing | the same, compared by cross-multiplication |
//! | [`sed`] | shortest expected delay, (active + 1) / weight | yes | nothing | inactive connections do not count |
//! | [`nq`] | the first idle one, else as `sed` | only among busy ones | nothing | idle is no active connection |
//! | [`fo`] | the greatest weight | yes | nothing | the first wins a tie |
//! | [`ovf`] | the greatest weight, but for those with more active connections than it says | yes | nothing | as many are not too many |
//! | [`twos`] | the better of two drawn by weight, as `wlc` compares | yes | nothing | ticket 0 is the first one's, too |
//! | [`sh`] | by hash of the client's address (`sh-port`: and port) | share of the table | 256 buckets | same hash, same table; a closed bucket stays closed (`sh-fallback`: same way on) |
//! | [`mh`] | the same, so that few clients move when servers change | share of the table | 4093 slots | same hashes, same table; a quiesced server keeps its slots (`mh-fallback`: same way on) |
//! | [`dh`] | by hash of the packet's destination address | ignored | 256 buckets | same hash, same table; a closed bucket stays closed |
//! | [`lblc`] | the server its destination address had, else as `wlc` | yes | a server by address | same idea of overload, blind to thresholds; same times of forgetting |
//! | [`lblcr`] | as `wlc` in a set of servers its destination address has, else among all | yes | a set by address | the same; when a set shrinks |
//!
//! No scheduler chooses a destination that is not [eligible](lvs_core::dest::Dest::is_eligible), but for `lblc`, and UDP
//! connections never count as active, so `sed`, `nq` and `ovf` take servers of UDP services for idle, as in IPVS.
//!
//! The kernel walks the list for each new connection. Here those that compare loads keep an index over long lists, which
//! hears of changed counts and leads to the same choice; [`Least`](least::Least) makes such a scheduler of any rule. Cursors
//! are atomics advanced by compare-and-exchange: workers that schedule at the same moment never take the same turn.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod aged;
mod buckets;
pub mod cost;
pub mod dh;
mod flags;
pub mod fo;
pub mod hash;
mod index;
pub mod lblc;
pub mod lblcr;
pub mod lc;
pub mod least;
mod load;
pub mod maglev;
pub mod mh;
pub mod nq;
pub mod ovf;
pub mod rr;
pub mod sed;
pub mod sh;
#[cfg(test)]
mod testing;
mod tree;
pub mod twos;
pub mod wlc;
pub mod wrr;

use std::fmt;

use lvs_core::sched::Scheduler;

pub use flags::Flags;

/// A scheduler that [`build`] can make.
#[derive(Clone, Copy)]
pub struct Known {
    /// The name by which it is configured.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    make: fn(Flags) -> Box<dyn Scheduler>,
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
    known::<fo::Fo>("fo", "failover: the heaviest server takes everything"),
    known::<ovf::Ovf>("ovf", "overflow: the heaviest server until it is full"),
    known::<twos::Twos>("twos", "the better of two drawn by weight"),
    Known {
        name: "sh",
        about: "source hash: a client stays on its server",
        make: |flags| Box::new(sh::Sh::new(flags)),
    },
    Known {
        name: "mh",
        about: "Maglev hash: clients stay when servers change",
        make: |flags| Box::new(mh::Mh::new(flags)),
    },
    known::<dh::Dh>("dh", "destination hash: an address stays on its server"),
    known::<lblc::Lblc>(
        "lblc",
        "an address stays on its server unless that is overloaded",
    ),
    known::<lblcr::Lblcr>("lblcr", "the same, with a set of servers an address"),
];

/// Makes the scheduler of this name, without destinations yet; `None` if there is no such scheduler.
///
/// Its destinations reach it through [`edited`](Scheduler::edited), one at a time, or all at once through
/// [`settle`](Scheduler::settle) when it takes over a service that has some.
pub fn build(name: &str) -> Option<Box<dyn Scheduler>> {
    build_with(name, Flags::NONE)
}

/// The same with flags, of which all schedulers accept all.
pub fn build_with(name: &str, flags: Flags) -> Option<Box<dyn Scheduler>> {
    let known = NAMES.iter().find(|known| known.name == name)?;
    Some((known.make)(flags))
}

/// A scheduler to which its flags mean nothing.
const fn known<S: Scheduler + Default + 'static>(name: &'static str, about: &'static str) -> Known {
    Known {
        name,
        about,
        make: |flags| match flags {
            Flags::NONE => Box::new(S::default()),
            flags => Box::new(flags::Flagged {
                inner: Box::new(S::default()),
                flags,
            }),
        },
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
    fn flags_that_mean_nothing_are_kept_and_listed() {
        for known in NAMES {
            let all = build_with(known.name, Flags::from_bits(7)).unwrap().fork();
            let expected: &[&str] = match known.name {
                "sh" => &["sh-fallback", "sh-port"],
                "mh" => &["mh-fallback", "mh-port"],
                _ => &["flag-1", "flag-2", "flag-3"],
            };
            assert_eq!((all.name(), all.flags()), (known.name, expected));
            assert!(build(known.name).unwrap().flags().is_empty());
        }
        let third = build_with("wrr", Flags::PORT.with(Flags::THIRD)).unwrap();
        assert_eq!(third.flags(), ["flag-2", "flag-3"]);
    }

    #[test]
    fn without_destinations_there_is_no_choice() {
        for known in NAMES {
            let mut scheduler = (known.make)(Flags::NONE);
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
                let mut scheduler = (known.make)(Flags::NONE);
                scheduler.settle(&dests);
                let may_refuse = matches!(known.name, "sh" | "dh" | "mh" | "ovf");
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
                let mut scheduler = (known.make)(Flags::NONE);
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
