//! Sync groups.

use super::*;

fn pair() -> Vec<RouterConfig> {
    let inner = router("inner", 1);
    let outer = RouterConfig {
        priority: 150,
        ..router("outer", 2)
    };
    vec![inner, outer]
}

/// Both are master, since there is nobody else.
fn masters() -> Host {
    let mut host = Host::started(grouped(pair()));
    host.pass(ms(5_000));
    assert_eq!(host.states(), [State::Master; 2]);
    host
}

#[test]
fn members_become_master_together_when_the_last_would() {
    let mut host = Host::new(grouped(pair()));
    host.source(Some(address(100)));
    assert_eq!(
        host.start(),
        [
            "inner INIT→BACKUP",
            "outer INIT→BACKUP",
            "group G INIT→BACKUP"
        ]
    );
    // The outer one's time is up after 3.41 seconds, the inner one's after 3.61.
    assert!(host.pass(ms(3_600)).is_empty());
    assert_eq!(
        host.pass(ms(10)),
        [
            "inner says 100",
            "inner BACKUP→MASTER",
            "outer says 150",
            "outer BACKUP→MASTER with its group",
            "group G BACKUP→MASTER",
        ]
    );
    assert_eq!(host.status("outer").group.as_deref(), Some("G"));
    assert_eq!(
        host.status("outer").why.to_string(),
        "it follows inner in its sync group G"
    );
}

#[test]
fn one_that_hears_a_master_keeps_all_from_leading() {
    let mut host = Host::started(grouped(pair()));
    for _ in 0..20 {
        host.pass(ms(1_000));
        host.hear("inner", 7, 120);
    }
    assert_eq!(host.states(), [State::Backup; 2]);
    // The wish lasts: as soon as the inner one would lead too, both do.
    host.hear("inner", 7, 0);
    let said = host.pass(ms(610));
    assert_eq!(said.last().expect("news"), "group G BACKUP→MASTER");
    // It ends when somebody better is heard.
    let mut host = Host::started(grouped(pair()));
    for n in 0..20 {
        host.pass(ms(1_000));
        host.hear("inner", 7, 120);
        if n > 10 {
            host.hear("outer", 7, 200);
        }
    }
    host.hear("inner", 7, 0);
    host.pass(ms(2_000));
    assert_eq!(host.states(), [State::Backup; 2]);
}

#[test]
fn all_give_way_with_one() {
    let mut host = masters();
    assert_eq!(
        host.hear("outer", 7, 151),
        [
            "outer MASTER→BACKUP",
            "inner MASTER→BACKUP with its group",
            "group G MASTER→BACKUP",
        ]
    );
}

#[test]
fn all_are_in_fault_while_one_is() {
    let mut routers = pair();
    routers[1].tracking = vec![watched(script("s"), 0)];
    let mut host = Host::new(grouped(routers));
    host.source(Some(address(100)));
    host.observe(&script("s"), ObjectState::Good);
    host.start();
    host.pass(ms(5_000));
    assert_eq!(
        host.observe(&script("s"), ObjectState::Bad),
        [
            "outer says 0",
            "outer MASTER→FAULT",
            "inner says 0",
            "inner MASTER→FAULT with its group",
            "group G MASTER→FAULT",
        ]
    );
    assert_eq!(
        host.status("inner").why.to_string(),
        "it follows outer in its sync group G"
    );
    assert!(host.pass(ms(60_000)).is_empty());
    assert_eq!(
        host.observe(&script("s"), ObjectState::Good),
        [
            "inner FAULT→BACKUP",
            "outer FAULT→BACKUP",
            "group G FAULT→BACKUP"
        ]
    );
    host.pass(ms(5_000));
    assert_eq!(host.states(), [State::Master; 2]);
}

#[test]
fn owners_begin_as_masters_if_all_members_are_some() {
    let owner = |name, vrid| RouterConfig {
        priority: 255,
        wants_master: true,
        ..router(name, vrid)
    };
    let host = Host::started(grouped(vec![owner("a", 1), owner("b", 2)]));
    assert_eq!(host.states(), [State::Master; 2]);
    assert_eq!(host.speaker.groups(), [("G".to_owned(), State::Master)]);

    let mut mixed = Host::started(grouped(vec![owner("a", 1), router("b", 2)]));
    assert_eq!(mixed.states(), [State::Backup; 2]);
    mixed.pass(ms(3_600));
    assert_eq!(mixed.states(), [State::Backup; 2]);
    mixed.pass(ms(10));
    assert_eq!(mixed.states(), [State::Master; 2]);
}

#[test]
fn who_cannot_begin_yet_holds_the_others_as_backups() {
    let mut routers = pair();
    routers[0].tracking = vec![watched(script("s"), 0)];
    let mut host = Host::started(grouped(routers));
    host.pass(ms(30_000));
    assert_eq!(host.states(), [State::Init, State::Backup]);
    assert_eq!(host.speaker.groups(), [("G".to_owned(), State::Init)]);
    host.observe(&script("s"), ObjectState::Good);
    host.pass(ms(3_700));
    assert_eq!(host.states(), [State::Master; 2]);
}

#[test]
fn who_cannot_begin_yet_is_not_in_fault_with_the_others() {
    let mut routers = pair();
    routers[0].tracking = vec![watched(script("unknown"), 0)];
    routers[1].tracking = vec![watched(script("bad"), 0)];
    let mut host = Host::new(grouped(routers));
    host.source(Some(address(100)));
    host.observe(&script("bad"), ObjectState::Bad);
    assert_eq!(host.start(), ["outer INIT→FAULT", "group G INIT→FAULT"]);
    assert_eq!(
        host.observe(&script("unknown"), ObjectState::Good),
        ["inner INIT→FAULT with its group"]
    );
}

#[test]
fn a_fault_lasts_until_everything_is_known() {
    let mut routers = pair();
    routers[1].tracking = vec![watched(script("bad"), 0), watched(script("unknown"), 0)];
    let mut host = Host::new(grouped(routers));
    host.source(Some(address(100)));
    host.observe(&script("bad"), ObjectState::Bad);
    host.start();
    assert_eq!(host.states(), [State::Fault; 2]);
    assert!(host.observe(&script("bad"), ObjectState::Good).is_empty());
    assert_eq!(host.states(), [State::Fault; 2]);
    let said = host.observe(&script("unknown"), ObjectState::Good);
    assert_eq!(said.last().expect("news"), "group G FAULT→BACKUP");
}

#[test]
fn a_rival_of_one_makes_all_announce_themselves() {
    let mut host = masters();
    assert_eq!(
        host.hear("inner", 7, 50),
        [
            "inner says 100",
            "inner hears a rival of 50",
            "inner announces",
            "outer announces",
        ]
    );
}

#[test]
fn the_end_of_a_group() {
    let mut host = masters();
    let said = host.with(|s, now, out| s.stop(now, out));
    assert_eq!(
        said,
        [
            "inner says 0",
            "inner MASTER→INIT",
            "outer says 0",
            "outer MASTER→INIT",
            "group G MASTER→INIT",
        ]
    );
    assert_eq!(host.speaker.next_deadline(), None);
    // And its next beginning.
    host.start();
    assert_eq!(host.states(), [State::Backup; 2]);
}
