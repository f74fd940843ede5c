//! Announcements in virtual time.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const ROUTER: RouterId = RouterId(7);
const ETH0: u32 = 2;
const ETH1: u32 = 3;
const VRRP: u32 = 4;

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn at(interface: u32, addr: &str) -> Announcement {
    let addr = addr.parse().unwrap();
    Announcement { interface, addr }
}

fn held(interface: u32, addr: &str, place: Place) -> Held {
    let addr = addr.parse().unwrap();
    Held {
        interface,
        addr,
        place,
    }
}

fn own(addr: &str) -> Held {
    held(ETH0, addr, Place::Own)
}

/// One announcement each time, and nothing else.
fn quiet() -> Settings {
    Settings {
        delay: Duration::ZERO,
        repeat: 1,
        refresh: Duration::ZERO,
        refresh_repeat: 1,
        lower_delay: Duration::ZERO,
        lower_repeat: 0,
        extra: Duration::ZERO,
        extra_all: false,
    }
}

fn every(garp: Duration, na: Duration) -> Spacing {
    let each = Pace { garp, na };
    let groups = Vec::new();
    Spacing { each, groups }
}

/// All that is sent up to a time, by a driver that is never late.
fn run(schedule: &mut Schedule, until: Time) -> Vec<(Time, Announcement)> {
    let mut sent = Vec::new();
    let mut now = Time::ZERO;
    while let Some(next) = schedule.next_deadline() {
        now = now.max(next);
        if now > until {
            break;
        }
        let mut out = Vec::new();
        schedule.elapsed(now, &mut out);
        sent.extend(out.into_iter().map(|a| (now, a)));
    }
    sent
}

/// When an address is announced.
fn times(sent: &[(Time, Announcement)], what: Announcement) -> Vec<Time> {
    let of = sent.iter().filter(|(_, a)| *a == what);
    of.map(|(t, _)| *t).collect()
}

/// How often something is sent in each second.
fn seconds(sent: &[(Time, Announcement)]) -> Vec<(u64, usize)> {
    let mut count = BTreeMap::new();
    for (time, _) in sent {
        *count.entry(time.as_secs()).or_insert(0) += 1;
    }
    count.into_iter().collect()
}

#[test]
fn a_burst_goes_round_all_addresses() {
    let mut schedule = Schedule::new(Spacing::default());
    let settings = Settings {
        repeat: 2,
        ..quiet()
    };
    let addresses = [own("10.0.0.1"), own("10.0.0.2")];
    schedule.became_master(ROUTER, settings, addresses, s(3));
    assert_eq!(schedule.next_deadline(), Some(s(3)));
    let mut out = Vec::new();
    schedule.elapsed(s(3), &mut out);
    let (a, b) = (at(ETH0, "10.0.0.1"), at(ETH0, "10.0.0.2"));
    assert_eq!(out, [a, b, a, b]);
    assert_eq!(schedule.next_deadline(), None);
}

#[test]
fn the_course_of_a_master() {
    /// Name, settings, and how often the address is announced in which second, up to the tenth.
    type Case = (&'static str, Settings, &'static [(u64, usize)]);
    let cases: [Case; 7] = [
        ("defaults", Settings::default(), &[(0, 5), (5, 5)]),
        ("once", quiet(), &[(0, 1)]),
        (
            "no second burst",
            Settings {
                repeat: 3,
                ..quiet()
            },
            &[(0, 3)],
        ),
        (
            "refresh counts from the beginning",
            Settings {
                delay: s(3),
                repeat: 2,
                refresh: s(4),
                refresh_repeat: 3,
                ..quiet()
            },
            &[(0, 2), (3, 2), (4, 3), (8, 3)],
        ),
        (
            "refresh sooner than the second burst",
            Settings {
                delay: s(5),
                refresh: s(3),
                ..quiet()
            },
            &[(0, 1), (3, 1), (5, 1), (6, 1), (9, 1)],
        ),
        (
            "extra is for others",
            Settings {
                extra: s(2),
                extra_all: true,
                ..quiet()
            },
            &[(0, 1)],
        ),
        (
            "rivals are another matter",
            Settings {
                lower_delay: s(2),
                lower_repeat: 9,
                ..quiet()
            },
            &[(0, 1)],
        ),
    ];
    for (name, settings, expected) in cases {
        let mut schedule = Schedule::new(Spacing::default());
        schedule.became_master(ROUTER, settings, [own("10.0.0.1")], Time::ZERO);
        let sent = run(&mut schedule, s(10));
        assert_eq!(seconds(&sent), expected, "{name}");
    }
}

#[test]
fn a_rival_is_talked_down() {
    let rivals = |delay, repeat, heard: &[u64]| {
        let mut schedule = Schedule::new(Spacing::default());
        let settings = Settings {
            lower_delay: s(delay),
            lower_repeat: repeat,
            ..quiet()
        };
        schedule.became_master(ROUTER, settings, [own("10.0.0.1")], Time::ZERO);
        let mut sent = Vec::new();
        for second in heard {
            sent.extend(run(&mut schedule, s(*second)));
            schedule.reannounce(ROUTER, s(*second));
        }
        sent.extend(run(&mut schedule, s(100)));
        seconds(&sent)
    };
    assert_eq!(rivals(3, 2, &[10]), [(0, 1), (10, 2), (13, 2)]);
    assert_eq!(rivals(0, 2, &[10]), [(0, 1), (10, 2)]);
    assert_eq!(rivals(3, 0, &[10]), [(0, 1)]);
    let repeated = rivals(3, 2, &[10, 11, 20]);
    assert_eq!(
        repeated,
        [(0, 1), (10, 2), (11, 2), (14, 2), (20, 2), (23, 2)]
    );
}

#[test]
fn other_interfaces_get_one_address_each_again_and_again() {
    let addresses = [
        own("10.0.0.1"),
        held(ETH1, "10.1.0.1", Place::Other),
        held(VRRP, "fd00::1", Place::OtherVirtual),
        held(VRRP, "fd00::2", Place::OtherVirtual),
        held(ETH1, "10.1.0.2", Place::Other),
    ];
    let extras = |extra_all| {
        let mut schedule = Schedule::new(Spacing::default());
        let settings = Settings {
            extra: s(4),
            extra_all,
            ..quiet()
        };
        schedule.became_master(ROUTER, settings, addresses, Time::ZERO);
        run(&mut schedule, s(1));
        run(&mut schedule, s(8))
    };
    let (first, second) = (at(ETH1, "10.1.0.1"), at(VRRP, "fd00::1"));
    assert_eq!(extras(false), [(s(4), second), (s(8), second)]);
    assert_eq!(
        extras(true),
        [(s(4), first), (s(4), second), (s(8), first), (s(8), second)]
    );
}

#[test]
fn announcements_of_an_interface_keep_their_distance() {
    let mut schedule = Schedule::new(every(ms(10), ms(100)));
    let addresses = [
        own("10.0.0.1"),
        own("10.0.0.2"),
        own("fd00::1"),
        own("fd00::2"),
        held(ETH1, "10.1.0.1", Place::Other),
    ];
    let settings = Settings {
        repeat: 2,
        ..quiet()
    };
    schedule.became_master(ROUTER, settings, addresses, s(1));
    let sent = run(&mut schedule, s(10));
    let of = |interface, addr| {
        let times = times(&sent, at(interface, addr));
        times
            .iter()
            .map(|t| (*t - s(1)).as_millis())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(ETH0, "10.0.0.1"), [0, 20]);
    assert_eq!(of(ETH0, "10.0.0.2"), [10, 30]);
    assert_eq!(of(ETH0, "fd00::1"), [0, 200]);
    assert_eq!(of(ETH0, "fd00::2"), [100, 300]);
    assert_eq!(of(ETH1, "10.1.0.1"), [0, 10]);
}

#[test]
fn interfaces_of_a_group_take_turns() {
    let group = PaceGroup {
        interfaces: vec![ETH0, ETH1],
        pace: Pace {
            garp: s(1),
            na: Duration::ZERO,
        },
    };
    let mut schedule = Schedule::new(Spacing {
        groups: vec![group],
        ..every(ms(1), ms(1))
    });
    let addresses = [
        own("10.0.0.1"),
        held(ETH1, "10.1.0.1", Place::Other),
        held(VRRP, "10.2.0.1", Place::Other),
        own("fd00::1"),
        own("fd00::2"),
    ];
    schedule.became_master(ROUTER, quiet(), addresses, Time::ZERO);
    let sent = run(&mut schedule, s(10));
    let first = |interface, addr| times(&sent, at(interface, addr));
    assert_eq!(first(ETH0, "10.0.0.1"), [s(0)]);
    assert_eq!(first(ETH1, "10.1.0.1"), [s(1)]);
    assert_eq!(first(VRRP, "10.2.0.1"), [s(0)]);
    assert_eq!(first(ETH0, "fd00::1"), [s(0)]);
    assert_eq!(first(ETH0, "fd00::2"), [s(0)]);
}

#[test]
fn a_late_driver_does_not_catch_up() {
    let mut schedule = Schedule::new(every(ms(10), ms(10)));
    let settings = Settings {
        repeat: 3,
        refresh: s(60),
        ..quiet()
    };
    schedule.became_master(ROUTER, settings, [own("10.0.0.1")], Time::ZERO);
    let mut out = Vec::new();
    schedule.elapsed(s(50), &mut out);
    assert_eq!(out.len(), 1);
    assert_eq!(schedule.next_deadline(), Some(s(50) + ms(10)));
    schedule.elapsed(s(1000), &mut out);
    assert_eq!(out.len(), 2);
    run(&mut schedule, s(1001));
    assert_eq!(schedule.next_deadline(), Some(s(1060)));
}

#[test]
fn who_leaves_says_nothing_more() {
    let mut schedule = Schedule::new(every(s(1), s(1)));
    let settings = Settings {
        refresh: s(7),
        ..Settings::default()
    };
    let other = RouterId(8);
    schedule.became_master(ROUTER, settings, [own("10.0.0.1"), own("fd00::1")], s(0));
    schedule.became_master(other, quiet(), [own("10.0.0.2")], s(0));
    schedule.reannounce(ROUTER, s(0));
    schedule.elapsed(s(0), &mut Vec::new());
    schedule.left(ROUTER);
    let sent = run(&mut schedule, s(100));
    assert_eq!(sent, [(s(1), at(ETH0, "10.0.0.2"))]);
    assert_eq!(schedule.next_deadline(), None);
    schedule.reannounce(ROUTER, s(100));
    schedule.update(ROUTER, settings, [own("10.0.0.1")], s(100));
    assert_eq!(schedule.next_deadline(), None);
}

#[test]
fn who_is_no_master_may_announce_something_once() {
    let mut schedule = Schedule::new(every(s(1), s(1)));
    let source = at(ETH0, "10.0.0.250");
    schedule.once(ROUTER, source);
    schedule.once(ROUTER, source);
    let sent = run(&mut schedule, s(10));
    assert_eq!(sent, [(s(0), source), (s(1), source)]);
    schedule.once(ROUTER, source);
    schedule.left(ROUTER);
    assert_eq!(schedule.next_deadline(), None);
}

#[test]
fn no_address_waits_for_more_than_a_burst() {
    let mut schedule = Schedule::new(every(s(10), s(10)));
    let settings = Settings {
        delay: s(1),
        repeat: 3,
        refresh: s(2),
        refresh_repeat: 2,
        lower_repeat: 4,
        ..quiet()
    };
    schedule.became_master(ROUTER, settings, [own("10.0.0.1")], Time::ZERO);
    run(&mut schedule, s(9));
    for second in 0..9 {
        schedule.reannounce(ROUTER, s(second));
    }
    run(&mut schedule, s(9));
    let stopped = Settings {
        refresh: Duration::ZERO,
        ..settings
    };
    schedule.update(ROUTER, stopped, [own("10.0.0.1")], s(9));
    let sent = run(&mut schedule, s(1000));
    assert_eq!(sent.len(), 4, "{sent:?}");
}

#[test]
fn a_reload_announces_what_is_new() {
    let settings = Settings {
        delay: s(5),
        ..quiet()
    };
    let (old, new) = (own("10.0.0.1"), own("10.0.0.2"));
    let reloaded = |addresses: &[Held], when| {
        let mut schedule = Schedule::new(Spacing::default());
        schedule.became_master(ROUTER, settings, [old], Time::ZERO);
        run(&mut schedule, when);
        schedule.update(ROUTER, settings, addresses.iter().copied(), when);
        let sent = run(&mut schedule, s(100));
        let mut times: Vec<_> = sent
            .iter()
            .map(|(t, a)| (t.as_secs(), a.addr.to_string()))
            .collect();
        times.sort();
        times
    };
    let told = |second, addr: &str| (second, addr.to_owned());
    assert_eq!(reloaded(&[old], s(10)), []);
    assert_eq!(
        reloaded(&[old, new], s(10)),
        [told(10, "10.0.0.2"), told(15, "10.0.0.2")]
    );
    assert_eq!(
        reloaded(&[new], s(2)),
        [told(2, "10.0.0.2"), told(7, "10.0.0.2")]
    );
    assert_eq!(
        reloaded(&[old], s(2)),
        [told(5, "10.0.0.1")],
        "the second burst comes as it would have"
    );
    assert_eq!(reloaded(&[], s(2)), []);
}

#[test]
fn a_reload_keeps_what_waits_and_drops_what_is_gone() {
    let mut schedule = Schedule::new(every(s(1), s(1)));
    let settings = Settings {
        repeat: 2,
        ..quiet()
    };
    let addresses = [own("10.0.0.1"), own("10.0.0.2"), own("10.0.0.3")];
    schedule.became_master(ROUTER, settings, addresses, Time::ZERO);
    schedule.elapsed(Time::ZERO, &mut Vec::new());
    let fewer = [own("10.0.0.3"), own("10.0.0.1")];
    schedule.update(ROUTER, settings, fewer, ms(500));
    let sent = run(&mut schedule, s(100));
    assert_eq!(times(&sent, at(ETH0, "10.0.0.1")).len(), 1);
    assert_eq!(times(&sent, at(ETH0, "10.0.0.2")).len(), 0);
    assert_eq!(times(&sent, at(ETH0, "10.0.0.3")).len(), 2);
    assert_eq!(sent[0].0, s(1));
}

#[test]
fn a_reload_may_begin_and_end_refreshing() {
    let mut schedule = Schedule::new(Spacing::default());
    schedule.became_master(ROUTER, quiet(), [own("10.0.0.1")], Time::ZERO);
    run(&mut schedule, s(9));
    let mut refresh = |seconds, now| {
        let settings = Settings {
            refresh: s(seconds),
            ..quiet()
        };
        schedule.update(ROUTER, settings, [own("10.0.0.1")], s(now));
        schedule.next_deadline()
    };
    assert_eq!(refresh(60, 10), Some(s(70)));
    assert_eq!(
        refresh(60, 20),
        Some(s(70)),
        "reloads do not put it off for ever"
    );
    assert_eq!(refresh(5, 20), Some(s(25)));
    assert_eq!(refresh(0, 21), None);
}

#[test]
fn other_distances_hold_at_once() {
    let mut schedule = Schedule::new(every(s(1), s(1)));
    let addresses = [own("10.0.0.1"), held(ETH1, "10.1.0.1", Place::Other)];
    let settings = Settings {
        repeat: 3,
        ..quiet()
    };
    schedule.became_master(ROUTER, settings, addresses, Time::ZERO);
    schedule.elapsed(Time::ZERO, &mut Vec::new());
    let group = PaceGroup {
        interfaces: vec![ETH0, ETH1],
        pace: Pace {
            garp: s(2),
            na: s(2),
        },
    };
    schedule.set_spacing(Spacing {
        groups: vec![group],
        ..Spacing::default()
    });
    let sent = run(&mut schedule, s(100));
    let when: Vec<u64> = sent.iter().map(|(t, _)| t.as_secs()).collect();
    assert_eq!(when, [2, 4, 6, 8]);
    schedule.set_spacing(Spacing::default());
    schedule.became_master(ROUTER, settings, addresses, s(8));
    assert_eq!(run(&mut schedule, s(8)).len(), 6);
}

#[test]
fn ten_thousand_addresses() {
    let mut schedule = Schedule::new(every(Duration::ZERO, ms(1)));
    let v4 = |n: u32| Held {
        interface: ETH0,
        addr: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n)),
        place: Place::Own,
    };
    schedule.became_master(ROUTER, Settings::default(), (0..10_000).map(v4), Time::ZERO);
    assert_eq!(run(&mut schedule, s(1)).len(), 50_000);
    schedule.set_spacing(every(ms(1), ms(1)));
    let sent = run(&mut schedule, s(100));
    assert_eq!(sent.len(), 50_000);
    assert!(sent.windows(2).all(|w| w[1].0 - w[0].0 >= ms(1)));
}

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
