//! What holds whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;

use super::super::lane::Kind;
use super::super::*;
use super::{ROUTER, at, ms, run, s, times};

/// Something that happens to a schedule.
#[derive(Clone, Debug)]
enum Step {
    Master(u32, Settings, Vec<Held>),
    Update(u32, Settings, Vec<Held>),
    Rival(u32),
    Once(u32, Announcement),
    Left(u32),
    Pass(u64),
}

fn settings() -> impl Strategy<Value = Settings> {
    let period = || (0..20u64).prop_map(|n| ms(n * 100));
    (
        period(),
        1..5u32,
        period(),
        1..3u32,
        period(),
        0..4u32,
        period(),
        any::<bool>(),
    )
        .prop_map(
            |(
                delay,
                repeat,
                refresh,
                refresh_repeat,
                lower_delay,
                lower_repeat,
                extra,
                extra_all,
            )| {
                Settings {
                    delay,
                    repeat,
                    refresh,
                    refresh_repeat,
                    lower_delay,
                    lower_repeat,
                    extra,
                    extra_all,
                }
            },
        )
}

/// Addresses tell which router they are of: the third byte.
fn addresses(router: u32) -> impl Strategy<Value = Vec<Held>> {
    let one = (1..4u32, 0..6u8, any::<bool>()).prop_map(move |(interface, n, v6)| {
        let addr: IpAddr = match v6 {
            false => Ipv4Addr::new(10, 0, router as u8, n).into(),
            true => format!("fd00::{router}:{n}").parse().unwrap(),
        };
        let place = [Place::Own, Place::Other, Place::OtherVirtual][interface as usize - 1];
        Held {
            interface,
            addr,
            place,
        }
    });
    prop::collection::btree_set(one, 0..8).prop_map(|set| set.into_iter().collect())
}

fn step() -> impl Strategy<Value = Step> {
    let master = (0..3u32).prop_flat_map(|r| {
        (settings(), addresses(r), any::<bool>()).prop_map(move |(settings, held, update)| {
            match update {
                false => Step::Master(r, settings, held),
                true => Step::Update(r, settings, held),
            }
        })
    });
    prop_oneof![
        4 => master,
        2 => (0..3u32).prop_map(Step::Rival),
        1 => (0..3u32).prop_map(|r| Step::Once(r, at(1, &format!("10.0.{r}.99")))),
        1 => (0..3u32).prop_map(Step::Left),
        6 => (0..3000u64).prop_map(Step::Pass),
    ]
}

fn spacing() -> impl Strategy<Value = Spacing> {
    let pace = || {
        (0..50u64, 0..50u64).prop_map(|(garp, na)| Pace {
            garp: ms(garp),
            na: ms(na),
        })
    };
    let group = prop::option::of((prop::sample::subsequence(vec![1, 2, 3], 2..=3), pace()));
    (pace(), group).prop_map(|(each, group)| {
        let group = group.map(|(interfaces, pace)| PaceGroup { interfaces, pace });
        let groups = group.into_iter().collect();
        Spacing { each, groups }
    })
}

/// Whose an address is.
fn router_of(addr: IpAddr) -> u32 {
    match addr {
        IpAddr::V4(addr) => addr.octets()[2].into(),
        IpAddr::V6(addr) => addr.segments()[6].into(),
    }
}

proptest! {
    /// Whatever happens, announcements keep their distance, are of addresses that their router holds while it is master, and
    /// no burst is forgotten.
    #[test]
    fn distances_are_kept(spacing in spacing(), steps in prop::collection::vec(step(), 1..40)) {
        let lanes = Lanes::new(spacing.clone());
        let mut schedule = Schedule::new(spacing);
        let mut held: BTreeMap<u32, Vec<Announcement>> = BTreeMap::new();
        let mut once: BTreeMap<Announcement, usize> = BTreeMap::new();
        let mut last: BTreeMap<LaneKey, Time> = BTreeMap::new();
        let mut now = Time::ZERO;
        let list = |held: &[Held]| held.iter().map(|h| Announcement { interface: h.interface, addr: h.addr }).collect();
        for step in steps {
            match step {
                Step::Master(r, settings, addresses) => {
                    held.insert(r, list(&addresses));
                    once.retain(|a, _| router_of(a.addr) != r);
                    schedule.became_master(RouterId(r), settings, addresses, now);
                }
                Step::Update(r, settings, addresses) => {
                    if let Some(held) = held.get_mut(&r) {
                        *held = list(&addresses);
                    }
                    schedule.update(RouterId(r), settings, addresses, now);
                }
                Step::Rival(r) => schedule.reannounce(RouterId(r), now),
                Step::Once(r, what) => {
                    *once.entry(what).or_insert(0) += 1;
                    schedule.once(RouterId(r), what);
                }
                Step::Left(r) => {
                    held.remove(&r);
                    once.retain(|a, _| router_of(a.addr) != r);
                    schedule.left(RouterId(r));
                }
                Step::Pass(time) => {
                    let until = now + ms(time);
                    while let Some(next) = schedule.next_deadline() && next <= until {
                        now = now.max(next);
                        let mut out = Vec::new();
                        schedule.elapsed(now, &mut out);
                        for what in out {
                            let lane = lanes.lane(what.interface, Kind::of(what.addr));
                            if let Some(before) = last.insert(lane, now) {
                                prop_assert!(now - before >= lanes.interval(lane), "{what:?} after {:?}", now - before);
                            }
                            let of_master = held.get(&router_of(what.addr)).is_some_and(|h| h.contains(&what));
                            if !of_master {
                                let left = once.get_mut(&what);
                                prop_assert!(left.as_ref().is_some_and(|n| **n > 0), "{what:?} is nobody's");
                                left.into_iter().for_each(|n| *n -= 1);
                            }
                        }
                    }
                    now = until;
                }
            }
            // What waits is what the queues hold, each address once.
            for (id, router) in &schedule.routers {
                for (number, slot) in router.held.iter().enumerate() {
                    let ticket = Ticket { router: *id, what: What::Held(number) };
                    let places = schedule.queues.values().flat_map(|q| &q.queue).filter(|t| **t == ticket);
                    prop_assert_eq!(places.count(), usize::from(slot.waiting > 0));
                    prop_assert!(slot.waiting <= 4);
                }
            }
            let waiting = schedule.queues.iter().filter(|(_, q)| !q.queue.is_empty()).map(|(k, _)| *k);
            let due = schedule.moves.iter().map(|(_, key)| *key);
            let (mut waiting, mut due): (Vec<_>, Vec<_>) = (waiting.collect(), due.collect());
            waiting.sort();
            due.sort();
            prop_assert_eq!(waiting, due);
        }
    }

    /// Without distances each address is announced as often as the rule says.
    #[test]
    fn bursts_are_complete(settings in settings(), addresses in addresses(0), rivals in prop::collection::vec(0..100u64, 0..4)) {
        let end = s(10);
        let mut schedule = Schedule::new(Spacing::default());
        schedule.became_master(ROUTER, settings, addresses.iter().copied(), Time::ZERO);
        let mut sent = Vec::new();
        let mut rivals: Vec<_> = rivals.into_iter().map(|r| ms(r * 100 + 50)).collect();
        rivals.sort();
        rivals.dedup();
        for rival in &rivals {
            sent.extend(run(&mut schedule, *rival));
            schedule.reannounce(ROUTER, *rival);
        }
        sent.extend(run(&mut schedule, end));

        // How often each address is wanted when; the most counts.
        let mut bursts: BTreeMap<Time, u32> = BTreeMap::new();
        let mut wanted = |when: Time, count: u32| {
            let most = bursts.entry(when).or_insert(0);
            *most = count.max(*most);
        };
        let ticks = |period: Duration| {
            let count = end.as_millis().checked_div(period.as_millis()).unwrap_or(0) as u32;
            (1..=count).map(move |n| period * n)
        };
        wanted(Time::ZERO, settings.repeat);
        if !settings.delay.is_zero() {
            wanted(settings.delay, settings.repeat);
        }
        ticks(settings.refresh).for_each(|when| wanted(when, settings.refresh_repeat));
        // Rivals heard when the burst after the one before has just gone out.
        let mut twice: BTreeSet<Time> = BTreeSet::new();
        for (n, rival) in rivals.iter().enumerate() {
            wanted(*rival, settings.lower_repeat);
            let again = *rival + settings.lower_delay;
            let next = rivals.get(n + 1);
            if !settings.lower_delay.is_zero() && next.is_none_or(|next| again <= *next) {
                wanted(again, settings.lower_repeat);
                twice.extend(next.filter(|next| again == **next));
            }
        }
        let mut extra = BTreeSet::new();
        for held in &addresses {
            let is_extra = match held.place {
                Place::Own => false,
                Place::Other => settings.extra_all,
                Place::OtherVirtual => true,
            };
            let mut bursts = bursts.clone();
            if is_extra && extra.insert(held.interface) {
                for when in ticks(settings.extra) {
                    let most = bursts.entry(when).or_insert(0);
                    *most = 1.max(*most);
                }
            }
            let expected = bursts.iter().filter(|(at, _)| **at <= end).map(|(at, n)| n * (1 + u32::from(twice.contains(at)))).sum::<u32>();
            let what = Announcement { interface: held.interface, addr: held.addr };
            prop_assert_eq!(times(&sent, what).len(), expected as usize, "{:?}", what);
        }
    }
}
