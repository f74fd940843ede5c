//! New configurations.

use super::*;
use crate::config::{Family, Peer, Preempt, Transport, Version};

#[test]
fn the_same_once_more_is_nothing() {
    let routers = || vec![router("a", 1), router("b", 2)];
    let mut host = Host::started(grouped(routers()));
    host.pass(ms(3_700));
    for _ in 0..3 {
        let (before, due) = (host.speaker.status(), host.speaker.next_deadline());
        assert!(host.reload(grouped(routers())).is_empty());
        assert_eq!(host.speaker.status(), before);
        assert_eq!(host.speaker.next_deadline(), due);
        host.pass(ms(500));
    }
}

#[test]
fn a_change_that_leaves_it_the_same_router_leaves_its_state() {
    let changes: [fn(&mut RouterConfig); 5] = [
        |r| r.preempt = Preempt::Never,
        |r| r.interval = ms(500),
        |r| r.missing = 5,
        |r| r.addresses.push(address(201)),
        |r| r.rivals.silent = true,
    ];
    for change in changes {
        for (wait, state) in [(1_000, State::Backup), (5_000, State::Master)] {
            let mut host = Host::started(config(vec![router("r", 1)]));
            host.pass(ms(wait));
            let before = host.status("r");
            let mut changed = router("r", 1);
            change(&mut changed);
            assert!(host.reload(config(vec![changed.clone()])).is_empty());
            let after = host.status("r");
            assert_eq!(
                (after.state, after.id, after.since),
                (state, before.id, before.since)
            );
            assert_eq!(after.counters, before.counters);
            assert_eq!(host.speaker.config(after.id), Some(&changed));
        }
    }
}

#[test]
fn another_priority_is_told_and_moves_the_timer() {
    let mut host = Host::started(config(vec![router("r", 1)]));
    let stronger = RouterConfig {
        priority: 200,
        ..router("r", 1)
    };
    let said = host.reload(config(vec![stronger]));
    assert_eq!(said, ["r has priority 200, not 100"]);
    let due = host.speaker.next_deadline();
    assert_eq!(due, Some(Duration::from_micros(3_218_750)));
}

#[test]
fn another_router_of_the_same_name_begins_anew() {
    let changes: [fn(&mut RouterConfig); 4] = [
        |r| r.vrid = 2,
        |r| r.version = Version::V2,
        |r| {
            r.transport = Transport::Unicast {
                peers: Vec::new(),
                ttl: None,
                check_source: false,
            }
        },
        |r| {
            *r = RouterConfig {
                family: Family::V6,
                transport: Transport::multicast(Family::V6),
                ..r.clone()
            }
        },
    ];
    for change in changes {
        let mut host = Host::started(config(vec![router("r", 1)]));
        host.pass(ms(5_000));
        let old = host.status("r").id;
        let mut changed = router("r", 1);
        change(&mut changed);
        let said = host.reload(config(vec![changed]));
        assert_eq!(said, ["RouterId(0) says 0", "RouterId(0) MASTER→INIT"]);
        assert!(matches!(
            &host.all[1],
            Output::Entered {
                why: Why::Reloaded,
                ..
            }
        ));
        assert_ne!(host.status("r").id, old);
        assert!(host.speaker.config(old).is_none());
        assert_eq!(host.source(Some(address(100))), ["r INIT→BACKUP"]);
    }
}

#[test]
fn a_unicast_peer_more_or_less_is_no_other_router() {
    let with = |peers: &[u8]| {
        let peer = |last: &u8| Peer {
            addr: address(*last),
            ttl: (0, 255),
        };
        config(vec![RouterConfig {
            transport: Transport::Unicast {
                peers: peers.iter().map(peer).collect(),
                ttl: None,
                check_source: false,
            },
            ..router("r", 1)
        }])
    };
    let mut host = Host::started(with(&[7]));
    host.pass(ms(3_700));
    assert!(host.reload(with(&[7, 8])).is_empty());
    assert_eq!(host.pass(ms(1_000)).len(), 2);
}

#[test]
fn who_is_gone_steps_down_and_who_is_new_begins() {
    let mut host = Host::started(config(vec![router("old", 1), router("stays", 2)]));
    host.pass(ms(5_000));
    let said = host.reload(config(vec![router("stays", 2), router("new", 3)]));
    assert_eq!(said, ["RouterId(0) says 0", "RouterId(0) MASTER→INIT"]);
    assert!(matches!(
        &host.all[1],
        Output::Entered {
            why: Why::Deleted,
            ..
        }
    ));
    let new = host.speaker.id("new").expect("a number");
    let said = host.with(|s, now, out| s.source(new, Some(address(100)), now, out));
    assert_eq!(said, ["new INIT→BACKUP"]);
    assert_eq!(host.states(), [State::Master, State::Backup]);
    assert!(
        host.pass(ms(3_700))
            .iter()
            .any(|s| s == "new BACKUP→MASTER")
    );
    // Before the start nobody begins by a reload.
    let mut host = Host::new(config(vec![router("a", 1)]));
    host.source(Some(address(100)));
    host.reload(config(vec![router("b", 2)]));
    assert!(host.source(Some(address(100))).is_empty());
    assert_eq!(host.start(), ["b INIT→BACKUP"]);
}

#[test]
fn something_else_to_watch_counts_at_once_if_it_is_known() {
    let watching = |objects: &[(&str, i32)]| {
        let tracking = objects
            .iter()
            .map(|(name, weight)| watched(script(name), *weight));
        config(vec![
            RouterConfig {
                tracking: tracking.collect(),
                ..router("r", 1)
            },
            RouterConfig {
                tracking: vec![watched(script("bad"), 5)],
                ..router("other", 2)
            },
        ])
    };
    let mut host = Host::started(watching(&[]));
    host.observe(&script("bad"), ObjectState::Bad);
    host.pass(ms(5_000));
    assert_eq!(host.states(), [State::Master; 2]);
    // What has not been looked at does not disturb who is under way.
    assert!(host.reload(watching(&[("unknown", 0)])).is_empty());
    assert_eq!(
        host.reload(watching(&[("unknown", 0), ("bad", -30)])),
        ["r has priority 70, not 100"]
    );
    assert_eq!(host.reload(watching(&[("bad", 0)])).len(), 3);
    assert_eq!(host.states()[0], State::Fault);
    assert_eq!(host.reload(watching(&[])), ["r FAULT→BACKUP"]);
}

#[test]
fn members_come_and_go() {
    let [a, b, c] = [("a", 1), ("b", 2), ("c", 3)].map(|(name, vrid)| router(name, vrid));
    let mut host = Host::started(grouped(vec![a.clone(), b.clone()]));
    host.pass(ms(5_000));
    // A new one does not disturb the others, and leads as soon as it may.
    host.reload(grouped(vec![a.clone(), b.clone(), c.clone()]));
    host.source(Some(address(100)));
    assert_eq!(host.states(), [State::Master, State::Master, State::Backup]);
    assert_eq!(host.speaker.groups(), [("G".to_owned(), State::Master)]);
    host.pass(ms(3_700));
    assert_eq!(host.states(), [State::Master; 3]);
    // One leaves.
    let mut left = grouped(vec![a.clone(), b.clone()]);
    left.routers.push(Arc::new(c.clone()));
    assert!(host.reload(left).is_empty());
    host.hear("c", 7, 200);
    assert_eq!(host.states(), [State::Master, State::Master, State::Backup]);
    // A new group of a master and a backup is a group of backups.
    let said = host.reload(grouped(vec![a, b, c]));
    assert!(said.is_empty(), "an old group keeps its state: {said:?}");
    let mut other = host.speaker.config.clone();
    other.groups[0].name = "H".to_owned();
    let said = host.reload(other);
    assert_eq!(
        said,
        [
            "a MASTER→BACKUP with its group",
            "b MASTER→BACKUP with its group",
            "group H INIT→BACKUP",
        ]
    );
}

#[test]
fn a_fault_that_leaves_the_group_frees_the_others() {
    let faulty = RouterConfig {
        tracking: vec![watched(script("s"), 0)],
        ..router("faulty", 2)
    };
    let mut host = Host::new(grouped(vec![router("a", 1), faulty]));
    host.source(Some(address(100)));
    host.observe(&script("s"), ObjectState::Bad);
    host.start();
    assert_eq!(host.states(), [State::Fault; 2]);
    let said = host.reload(grouped(vec![router("a", 1)]));
    assert!(said.contains(&"a FAULT→BACKUP".to_owned()), "{said:?}");
    assert_eq!(said.last().expect("news"), "group G FAULT→BACKUP");
}
