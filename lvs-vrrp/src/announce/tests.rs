//! Announcements in virtual time.

mod properties;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

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
    assert_eq!(schedule.next_deadline(), Some(s(1)));
    let sent = run(&mut schedule, s(100));
    assert_eq!(sent, [(s(1), at(ETH0, "10.0.0.2"))]);
    assert_eq!(schedule.next_deadline(), None);
    schedule.reannounce(ROUTER, s(100));
    schedule.update(ROUTER, settings, [own("10.0.0.1")], s(100));
    assert_eq!(schedule.next_deadline(), None);
}

#[test]
fn who_comes_back_begins_anew() {
    let mut schedule = Schedule::new(Spacing::default());
    let settings = Settings {
        delay: s(5),
        refresh: s(20),
        ..quiet()
    };
    schedule.became_master(ROUTER, settings, [own("10.0.0.1")], Time::ZERO);
    let mut sent = run(&mut schedule, s(2));
    schedule.left(ROUTER);
    schedule.became_master(ROUTER, settings, [own("10.0.0.1")], s(3));
    sent.extend(run(&mut schedule, s(30)));
    assert_eq!(seconds(&sent), [(0, 1), (3, 1), (8, 1), (23, 1)]);
}

#[test]
fn who_is_no_master_may_announce_something_once() {
    let mut schedule = Schedule::new(every(s(1), s(1)));
    let source = at(ETH0, "10.0.0.250");
    schedule.once(ROUTER, source);
    schedule.once(ROUTER, source);
    let sent = run(&mut schedule, s(10));
    assert_eq!(sent, [(s(0), source), (s(1), source)]);
    schedule.became_master(ROUTER, quiet(), [], s(1));
    schedule.once(ROUTER, source);
    schedule.update(ROUTER, quiet(), [], s(1));
    assert_eq!(run(&mut schedule, s(10)), [(s(2), source)]);
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
fn a_reload_may_end_second_bursts() {
    let mut schedule = Schedule::new(Spacing::default());
    schedule.became_master(ROUTER, Settings::default(), [own("10.0.0.1")], s(0));
    run(&mut schedule, s(1));
    schedule.update(ROUTER, quiet(), [own("10.0.0.1")], s(1));
    assert_eq!(schedule.next_deadline(), None);
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
    assert_eq!(schedule.next_deadline(), Some(s(2)));
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
