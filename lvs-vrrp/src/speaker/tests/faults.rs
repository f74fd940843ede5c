//! What keeps virtual routers from taking part, and what changes their priority.

use super::*;
use crate::event::Cause;

#[test]
fn it_begins_when_all_is_known_that_decides() {
    let tracking = vec![watched(script("s"), 0), watched(script("weighs"), 10)];
    let mut host = Host::new(config(vec![RouterConfig {
        tracking,
        ..router("r", 1)
    }]));
    assert!(host.start().is_empty());
    assert!(host.source(Some(address(100))).is_empty());
    assert!(host.pass(ms(60_000)).is_empty());
    assert!(host.hear("r", 7, 50).is_empty());
    assert!(
        host.observe(&script("weighs"), ObjectState::Good)
            .is_empty()
    );
    assert!(host.observe(&script("weighs"), ObjectState::Bad).is_empty());
    assert_eq!(host.states(), [State::Init]);
    let said = host.observe(&script("s"), ObjectState::Good);
    assert_eq!(said, ["r INIT→BACKUP"]);
    let said = host.observe(&script("weighs"), ObjectState::Good);
    assert_eq!(said, ["r has priority 110, not 100"]);
    assert_eq!(
        host.all,
        [Output::Priority {
            router: host.status("r").id,
            from: 100,
            to: 110,
            because: Some(script("weighs")),
        }]
    );
    // The same news once more are none.
    assert!(
        host.observe(&script("weighs"), ObjectState::Good)
            .is_empty()
    );
}

#[test]
fn what_is_known_before_the_start_counts_at_the_start() {
    let tracking = vec![watched(Object::Interface("eth0".to_owned()), 0)];
    let mut host = Host::new(config(vec![RouterConfig {
        tracking,
        ..router("r", 1)
    }]));
    assert!(host.source(Some(address(100))).is_empty());
    let eth0 = Object::Interface("eth0".to_owned());
    assert!(host.observe(&eth0, ObjectState::Bad).is_empty());
    assert_eq!(host.start(), ["r INIT→FAULT"]);
    assert_eq!(host.status("r").why.to_string(), "interface eth0 is down");
    assert_eq!(host.observe(&eth0, ObjectState::Good), ["r FAULT→BACKUP"]);
}

#[test]
fn a_master_without_address_says_farewell_with_its_last() {
    let mut host = Host::started(config(vec![router("r", 1)]));
    host.pass(ms(5_000));
    assert_eq!(host.source(None), ["r says 0", "r MASTER→FAULT"]);
    let status = host.status("r");
    assert_eq!(status.source, None);
    assert_eq!(status.why, Why::Faults(vec![Cause::NoSource]));
    assert_eq!(host.source(Some(address(101))), ["r FAULT→BACKUP"]);
    // One that needs none goes on, and is not heard.
    let mut host = Host::started(config(vec![RouterConfig {
        needs_source: false,
        ..router("r", 1)
    }]));
    assert!(host.source(None).is_empty());
    host.pass(ms(5_000));
    assert_eq!(host.states(), [State::Master]);
}

#[test]
fn all_causes_are_said_as_they_come_and_go() {
    let tracking = vec![watched(script("a"), 0), watched(script("b"), 0)];
    let mut host = Host::new(config(vec![RouterConfig {
        tracking,
        ..router("r", 1)
    }]));
    host.source(Some(address(100)));
    host.observe(&script("a"), ObjectState::Good);
    host.observe(&script("b"), ObjectState::Bad);
    host.start();
    host.observe(&script("a"), ObjectState::Bad);
    let causes = |host: &Host| host.status("r").why.to_string();
    assert_eq!(causes(&host), "script a is bad, script b is bad");
    assert!(host.observe(&script("b"), ObjectState::Good).is_empty());
    assert_eq!(causes(&host), "script a is bad");
    host.observe(&script("a"), ObjectState::Good);
    assert_eq!(causes(&host), "all that must be good is so again");
}

#[test]
fn a_changed_priority_counts_in_what_is_sent_and_waited_for() {
    let tracking = vec![watched(script("s"), -50)];
    let mut host = Host::started(config(vec![RouterConfig {
        tracking,
        ..router("r", 1)
    }]));
    host.pass(ms(1_000));
    host.observe(&script("s"), ObjectState::Bad);
    let due = host.status("r").deadline.expect("a timer");
    assert_eq!(due, Duration::from_micros(3_804_687));
    let said = host.pass(ms(3_000));
    assert_eq!(said, ["r says 50", "r BACKUP→MASTER"]);
    host.observe(&script("s"), ObjectState::Good);
    assert_eq!(host.pass(ms(1_000)), ["r says 100"]);
    let priority = host.status("r").priority;
    assert_eq!((priority.configured, priority.effective), (100, 100));
    assert_eq!(priority.parts.len(), 1);
}

#[test]
fn a_host_that_settles_first() {
    let mut host = Host::new(Config {
        startup_delay: ms(10_000),
        ..config(vec![router("r", 1)])
    });
    host.source(Some(address(100)));
    assert_eq!(host.start(), ["r INIT→BACKUP"]);
    assert!(host.pass(ms(9_000)).is_empty());
    host.hear("r", 7, 150);
    assert_eq!(host.status("r").master, None);
    assert!(host.pass(ms(4_600)).is_empty());
    assert_eq!(host.pass(ms(10)).len(), 2);
}
