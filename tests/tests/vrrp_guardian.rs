//! A master that is killed on a host that lives: its guardian says goodbye for it, and leaves nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tests::command::{eventually, run};
use tests::process::PATIENCE;
use tests::vrrp::Flavour::{V2Ah, V3, V3Ipv6};
use tests::vrrp::pair::GLOBAL;
use tests::vrrp::{Cast, Flavour, Pair, Place, Remains, Router, Rule, Side};

const HERE: Place = Place::First;
const THERE: Place = Place::Second;

fn router(vrid: u8, flavour: Flavour, cast: Cast, vmac: bool) -> Router {
    Router {
        vrid,
        flavour,
        cast,
        rule: Rule::Preempt,
        interval: Duration::from_secs(1),
        vmac,
    }
}

fn fleet() -> Vec<Router> {
    vec![
        router(1, V3, Cast::Multicast, false),
        router(2, V3, Cast::Unicast, false),
        router(3, V3Ipv6, Cast::Multicast, false),
        router(4, V3Ipv6, Cast::Unicast, false),
        router(5, V3, Cast::Multicast, true),
        router(6, V2Ah, Cast::Multicast, false),
    ]
}

/// What the first of them has besides.
const MORE: &str = " virtual_routes {\n 192.0.2.0/24 via 10.9.0.2 dev eth0 metric 7\n }\n\
     virtual_rules {\n from 192.0.2.0/24 table 77 preference 100\n }\n";

fn pair(sides: [Side; 2]) -> Pair {
    let fleet = fleet();
    let mut pair = Pair::new(sides, fleet.clone());
    let blocks = fleet.iter().map(|router| {
        let more = if router.vrid == 1 { MORE } else { "" };
        router.block(HERE, more)
    });
    pair.configure(HERE, GLOBAL.to_owned() + &blocks.collect::<String>());
    pair
}

fn all(pair: &Pair) -> BTreeSet<IpAddr> {
    pair.fleet().iter().map(Router::vip).collect()
}

#[track_caller]
fn await_all(pair: &Pair, place: Place) {
    let came = eventually(PATIENCE, || pair.held(place) == all(pair));
    assert!(came, "{:?}", pair.held(place));
}

/// The processes of a host by this name.
fn processes(pair: &Pair, name: &str) -> Vec<String> {
    let pids = run(&["ip", "netns", "pids", pair.node(HERE).ns()]);
    let is = |pid: &&str| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm.trim() == name)
    };
    let pids = pids.split_whitespace().filter(is);
    pids.map(str::to_owned).collect()
}

fn guardians(pair: &Pair) -> Vec<String> {
    processes(pair, "lvsd-guardian")
}

/// All is as before, without a start.
#[track_caller]
fn assert_same(before: &Remains, pair: &Pair) {
    let mut difference = Vec::new();
    let same = eventually(PATIENCE, || {
        difference = Remains::of(pair.node(HERE)).difference(before);
        difference.is_empty()
    });
    assert!(same, "{}", difference.join("\n"));
    assert!(eventually(PATIENCE, || guardians(pair).is_empty()));
}

#[test]
fn a_killed_master_says_goodbye_and_leaves_nothing() {
    let mut pair = pair([Side::Lvsd, Side::Keepalived]);
    let before = Remains::of(pair.node(HERE));
    pair.start(HERE);
    await_all(&pair, HERE);
    pair.start(THERE);
    let route = || {
        pair.node(HERE)
            .run(&["ip", "route", "show", "192.0.2.0/24"])
    };
    assert!(eventually(PATIENCE, || !route().is_empty()));
    assert_eq!(guardians(&pair).len(), 1);

    pair.kill(HERE);
    let released = || -> BTreeSet<IpAddr> {
        let adverts = pair.adverts(HERE, |advert| advert.priority == 0);
        adverts.iter().map(|(router, _)| router.vip()).collect()
    };
    let mut wanted = all(&pair);
    // Its adverts are numbered, and cannot be made in advance.
    wanted.remove(&pair.fleet()[5].vip());
    assert!(
        eventually(PATIENCE, || released() == wanted),
        "{:?}",
        released()
    );
    assert_same(&before, &pair);
    await_all(&pair, THERE);
    pair.await_good_captures();
}

#[test]
fn a_start_right_after_the_kill_is_as_any_other() {
    let mut pair = pair([Side::Lvsd; 2]);
    let before = Remains::of(pair.node(HERE));
    for _ in 0..3 {
        pair.start(HERE);
        await_all(&pair, HERE);
        pair.kill(HERE);
    }
    pair.start(HERE);
    await_all(&pair, HERE);
    pair.stop(HERE);
    assert_same(&before, &pair);
}

#[test]
fn without_its_guardian_the_next_start_cleans_up() {
    let mut pair = pair([Side::Lvsd; 2]);
    let before = Remains::of(pair.node(HERE));
    pair.start(HERE);
    await_all(&pair, HERE);
    // It is not to start another one.
    run(&["kill", "-s", "STOP", &processes(&pair, "lvsd")[0]]);
    run(&["kill", "-s", "KILL", &guardians(&pair)[0]]);
    pair.kill(HERE);
    assert_eq!(pair.held(HERE), all(&pair));
    pair.start(HERE);
    await_all(&pair, HERE);

    // A guardian that dies has a successor, which knows what it has to.
    let guardian = guardians(&pair);
    run(&["kill", "-s", "KILL", &guardian[0]]);
    let another = || guardians(&pair).iter().any(|pid| *pid != guardian[0]);
    assert!(eventually(PATIENCE, another), "{}", pair.said(HERE));
    assert!(
        pair.said(HERE)
            .contains("the guardian of virtual addresses has ended")
    );
    pair.kill(HERE);
    assert_same(&before, &pair);
}

#[test]
fn neither_signals_nor_a_frozen_master_concern_it() {
    let mut pair = pair([Side::Lvsd; 2]);
    let before = Remains::of(pair.node(HERE));
    pair.start(HERE);
    await_all(&pair, HERE);
    let guardian = guardians(&pair);
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        run(&["kill", "-s", signal, &guardian[0]]);
    }
    let daemon = processes(&pair, "lvsd");
    run(&["kill", "-s", "STOP", &daemon[0]]);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(pair.held(HERE), all(&pair));
    run(&["kill", "-s", "CONT", &daemon[0]]);
    let conf = pair.conf(HERE).to_owned();
    pair.reload(HERE, conf);
    assert!(eventually(PATIENCE, || pair
        .said(HERE)
        .contains("the configuration is taken")));
    await_all(&pair, HERE);
    assert_eq!(guardians(&pair), guardian);
    pair.stop(HERE);
    assert_same(&before, &pair);
}

#[test]
fn without_virtual_routers_there_is_none() {
    let mut pair = Pair::new([Side::Lvsd; 2], Vec::new());
    pair.configure(HERE, GLOBAL.to_owned());
    pair.start(HERE);
    assert_eq!(guardians(&pair), Vec::<String>::new());
    let conf = GLOBAL.to_owned() + &fleet()[0].block(HERE, "");
    pair.reload(HERE, conf);
    assert!(eventually(PATIENCE, || guardians(&pair).len() == 1));
    pair.stop(HERE);
    assert!(eventually(PATIENCE, || guardians(&pair).is_empty()));
}
