//! Every scheduler chooses what a straight walk through the list chooses: under random changes of the configuration,
//! counts and overload flags, from snapshots in any order, and after any tumult among threads.

mod list_walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use lvs_core::sched::{Arrival, Edit};
use lvs_core::{
    Config, Dest, DestOptions, Director, Endpoint, Ip, Method, Protocol, Segment, Service,
    ServiceKey, ServiceOptions, Settings, Time,
};
use lvs_sched::{Flags, NAMES};
use proptest::prelude::*;

use list_walk::Walk;

const VIP: Endpoint = Endpoint::new(Ip::v4([192, 0, 2, 10]), 80);
const KEY: ServiceKey = ServiceKey::tcp(VIP);

fn server(n: u32) -> Endpoint {
    Endpoint::new(Ip::v4((0x0a00_0000 + n).to_be_bytes()), 80)
}

fn options(weight: u32, upper: u32) -> DestOptions {
    DestOptions {
        upper,
        ..DestOptions::new(Method::Nat, weight)
    }
}

fn director(scheduler: &str, flags: Flags, weights: &[u32]) -> Arc<Director> {
    let director = Director::new(&Settings::default());
    let made: Result<(), lvs_core::ConfigError> = director.edit(|draft| {
        let scheduler = lvs_sched::build_with(scheduler, flags).unwrap();
        draft.add_service(KEY, scheduler, ServiceOptions::default())?;
        for (n, &weight) in (0..).zip(weights) {
            draft.add_dest(KEY, server(n), &options(weight, 0))?;
        }
        Ok(())
    });
    made.unwrap();
    director
}

/// A walk that has heard of these being added one by one.
fn walk(scheduler: &str, flags: Flags, dests: &[Dest]) -> Walk {
    let mut walk = Walk::new(scheduler, flags);
    for first in (0..dests.len()).rev() {
        walk.edited(&dests[first..], Edit::Added(0));
    }
    walk
}

fn service(config: &Config) -> &Service {
    config.service(&KEY).unwrap()
}

#[derive(Clone, Debug)]
enum Op {
    Add(u32, u32),
    Remove(usize),
    Configure(usize, u32, u32),
    /// A connection comes or goes.
    Count(usize, bool, bool),
    Overload(usize, bool),
    Wait(u64),
    /// From the snapshot that many changes ago: this many connections, each bound to the server chosen.
    Pick(usize, usize, u32, u64),
}

fn op() -> impl Strategy<Value = Op> {
    let weight = || prop_oneof![1 => Just(0), 6 => 1..6u32, 2 => (1..5u32).prop_map(|w| w * 30)];
    let upper = || prop_oneof![3 => Just(0), 1 => 1..5u32];
    prop_oneof![
        2 => (weight(), upper()).prop_map(|(w, u)| Op::Add(w, u)),
        2 => any::<usize>().prop_map(Op::Remove),
        2 => (any::<usize>(), weight(), upper()).prop_map(|(i, w, u)| Op::Configure(i, w, u)),
        6 => any::<(usize, bool, bool)>().prop_map(|(i, a, up)| Op::Count(i, a, up)),
        2 => any::<(usize, bool)>().prop_map(|(i, yes)| Op::Overload(i, yes)),
        1 => (0..200_000u64).prop_map(Op::Wait),
        8 => (prop_oneof![4 => Just(0), 1 => 1..4usize], 1..12usize, 0..9u32, any::<u64>())
            .prop_map(|(ago, n, client, random)| Op::Pick(ago, n, client, random)),
    ]
}

/// Every scheduler, with no flag and with those that mean something to it.
fn all_with_flags() -> impl Iterator<Item = (&'static str, Flags)> {
    let both = Flags::FALLBACK.with(Flags::PORT);
    let flags = move |name| match name {
        "sh" | "mh" => vec![Flags::NONE, both],
        _ => vec![Flags::NONE],
    };
    { NAMES }
        .iter()
        .flat_map(move |known| flags(known.name).into_iter().map(|f| (known.name, f)))
}

/// Goes through the operations with one scheduler and with its model.
fn compare(name: &str, flags: Flags, weights: &[u32], ops: &[Op]) -> Result<(), TestCaseError> {
    let director = director(name, flags, weights);
    let config = director.config();
    let model = walk(name, flags, service(&config).dests());
    let mut snapshots = vec![(config, model)];
    let mut now = Time::from_secs(1);
    let mut added = weights.len() as u32;
    for op in ops {
        let last = snapshots.len() - 1;
        let dests = service(&snapshots[last].0).dests().to_vec();
        let chosen = |any: usize| dests.get(any % dests.len().max(1));
        let made: Result<(), lvs_core::ConfigError> = director.edit(|draft| match *op {
            Op::Add(weight, upper) => draft.add_dest(KEY, server(added), &options(weight, upper)),
            Op::Remove(any) => chosen(any).map_or(Ok(()), |d| draft.remove_dest(KEY, d.addr())),
            Op::Configure(any, weight, upper) => chosen(any).map_or(Ok(()), |d| {
                draft.edit_dest(KEY, d.addr(), &options(weight, upper))
            }),
            _ => Ok(()),
        });
        made.unwrap();
        let edit = match *op {
            Op::Add(..) => Some(Edit::Added(0)),
            Op::Remove(any) if !dests.is_empty() => Some(Edit::Removed(any % dests.len())),
            Op::Configure(any, ..) if !dests.is_empty() => Some(Edit::Changed(any % dests.len())),
            _ => None,
        };
        if let Some(edit) = edit {
            let config = director.config();
            let mut model = snapshots[last].1.clone();
            model.edited(service(&config).dests(), edit);
            snapshots.push((config, model));
            added += 1;
        }
        match *op {
            Op::Count(any, active, up) => {
                if let Some(d) = chosen(any) {
                    let count = if active { d.active() } else { d.inactive() };
                    match (up, count) {
                        (true, _) => d.live().bind(active, 1),
                        (false, 0) => {}
                        (false, _) => d.live().bind(active, -1),
                    }
                }
            }
            Op::Overload(any, yes) => {
                if let Some(d) = chosen(any) {
                    d.live().set_overloaded(yes);
                }
            }
            Op::Wait(seconds) => now = now + Duration::from_secs(seconds),
            Op::Pick(ago, count, client, random) => {
                let i = (snapshots.len() - 1).saturating_sub(ago);
                let (config, model) = &mut snapshots[i];
                let (service, mut random) = (service(config), random);
                for _ in 0..count {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let client = Endpoint::new(
                        Ip::v4([10, 9, (random >> 60) as u8, client as u8]),
                        random as u16,
                    );
                    let address = Endpoint::new(Ip::v4([192, 0, 2, client.port as u8 % 5]), 80);
                    let packet = Segment::new(Protocol::TCP, client, address);
                    let arrival = Arrival {
                        random,
                        ..Arrival::new(&packet, now)
                    };
                    let expected = model.pick(service.dests(), &arrival);
                    let got = service.scheduler().pick(service.dests(), &arrival);
                    prop_assert_eq!(
                        got,
                        expected,
                        "{} {:?} of {}",
                        name,
                        flags,
                        service.dests().len()
                    );
                    let Some(d) = got.map(|i| &service.dests()[i]) else {
                        continue;
                    };
                    prop_assert!(d.weight() > 0, "{}", name);
                    prop_assert!(name == "lblc" || d.is_eligible(), "{}", name);
                    d.live().bind(random >> 40 & 1 == 0, 1);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn short_lists(
        weights in proptest::collection::vec(0..5u32, 0..6),
        ops in proptest::collection::vec(op(), 1..60),
    ) {
        for (name, flags) in all_with_flags() {
            compare(name, flags, &weights, &ops)?;
        }
    }

    #[test]
    fn lists_around_the_length_where_an_index_begins(
        weights in proptest::collection::vec(0..5u32, 28..36),
        ops in proptest::collection::vec(op(), 1..80),
    ) {
        for (name, flags) in all_with_flags() {
            compare(name, flags, &weights, &ops)?;
        }
    }

    #[test]
    fn long_lists(
        weights in proptest::collection::vec(prop_oneof![3 => Just(0), 1 => 1..4u32], 60..200),
        ops in proptest::collection::vec(op(), 1..80),
    ) {
        for (name, flags) in all_with_flags() {
            compare(name, flags, &weights, &ops)?;
        }
    }
}

/// As a program without a director does it: one list, one scheduler, and no copies.
#[test]
fn changes_in_place_are_heard_of() {
    for (name, flags) in all_with_flags() {
        let weights: Vec<_> = (0..200)
            .map(|n| (server(n), u32::from(n % 50 == 0)))
            .collect();
        let mut dests = Dest::group(VIP, &weights);
        let mut scheduler = lvs_sched::build_with(name, flags).unwrap();
        scheduler.settle(&dests);
        let mut model = Walk::new(name, flags);
        model.edited(&dests, Edit::Changed(0));
        let mut random = 1u64;
        for step in 0..300 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let i = (random >> 33) as usize % dests.len();
            dests[i] = dests[i].with_weight((random >> 50) as u32 % 4 / 3);
            scheduler.edited(&dests, Edit::Changed(i));
            scheduler.settle(&dests);
            model.edited(&dests, Edit::Changed(i));
            let client = Endpoint::new(Ip::v4([10, 9, 8, (random >> 56) as u8]), random as u16);
            let packet = Segment::new(Protocol::TCP, client, VIP);
            let arrival = Arrival {
                random,
                ..Arrival::new(&packet, Time::from_secs(step))
            };
            for _ in 0..3 {
                let expected = model.pick(&dests, &arrival);
                assert_eq!(
                    scheduler.pick(&dests, &arrival),
                    expected,
                    "{name}, step {step}"
                );
            }
        }
    }
}

/// Threads bind and unbind connections while others schedule; whatever happened, the next choice is that of a walk.
#[test]
fn no_change_is_lost_among_threads() {
    let weights: Vec<u32> = (0..500).map(|n| 1 + n % 3).collect();
    for name in [
        "lc", "wlc", "sed", "nq", "fo", "ovf", "twos", "rr", "wrr", "lblc",
    ] {
        let director = director(name, Flags::NONE, &weights);
        let config = director.config();
        let service = service(&config);
        let packet = Segment::new(Protocol::TCP, VIP, VIP);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..2u64)
                .map(|seed| {
                    scope.spawn(move || {
                        let mut random = seed;
                        for _ in 0..20_000 {
                            random = random
                                .wrapping_mul(6_364_136_223_846_793_005)
                                .wrapping_add(99);
                            let d = &service.dests()[(random >> 33) as usize % 500];
                            d.live().bind(true, 1);
                            if random >> 62 != 0 {
                                d.live().bind(true, -1);
                            }
                            d.live().set_overloaded(random >> 61 & 3 == 0);
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    let arrival = Arrival::new(&packet, Time::default());
                    service.scheduler().pick(service.dests(), &arrival);
                }
            });
            while workers.iter().any(|w| !w.is_finished()) {
                std::thread::yield_now();
            }
            done.store(true, Relaxed);
        });
        for d in service.dests() {
            assert!(d.live().is_available());
        }
        if matches!(name, "rr" | "wrr" | "lblc") {
            continue; // They stand somewhere; that they got through is enough.
        }
        let model = &mut walk(name, Flags::NONE, service.dests());
        for n in 0..200u64 {
            let arrival = Arrival {
                random: n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
                ..Arrival::new(&packet, Time::default())
            };
            let expected = model.pick(service.dests(), &arrival);
            let got = service.scheduler().pick(service.dests(), &arrival);
            assert_eq!(got, expected, "{name}");
            if let Some(i) = got {
                service.dests()[i].live().bind(true, 1);
            }
        }
    }
}
