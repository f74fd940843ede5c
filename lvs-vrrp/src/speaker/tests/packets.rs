//! What comes and goes, counted and complained of.

use super::*;
use crate::config::{Authentication, Peer, Transport, Version};
use crate::event::Trouble;
use crate::packet::Reject;

#[test]
fn what_is_heard_is_counted_and_remembered() {
    let mut host = Host::started(config(vec![router("r", 1)]));
    host.pass(ms(100));
    host.hear("r", 7, 150);
    host.hear("r", 8, 120);
    host.hear("r", 7, 0);
    let status = host.status("r");
    assert_eq!(
        (status.counters.received, status.counters.zero_received),
        (3, 1)
    );
    let peers: Vec<_> = status
        .peers
        .iter()
        .map(|p| (p.addr, p.priority, p.count))
        .collect();
    assert_eq!(peers, [(address(7), 0, 2), (address(8), 120, 1)]);
    assert_eq!(status.master, Some(address(8)));
    assert_eq!(status.peers[0].heard, ms(100));
    host.pass(ms(5_000));
    host.hear("r", 8, 90);
    host.hear("r", 8, 110);
    let counters = host.status("r").counters;
    assert_eq!((counters.became_master, counters.released_master), (1, 1));
    assert_eq!(counters.rivals, 1);
    // At once, after 1, 2, 3 and 4 seconds, and to the rival.
    assert_eq!((counters.sent, counters.zero_sent), (6, 0));
}

#[test]
fn what_is_dropped_changes_nothing_but_is_said_once() {
    let ours = RouterConfig {
        version: Version::V2,
        authentication: Authentication::Password(*b"1234\0\0\0\0"),
        ..router("r", 1)
    };
    let theirs = RouterConfig {
        authentication: Authentication::Password(*b"4321\0\0\0\0"),
        ..ours.clone()
    };
    let mut host = Host::started(config(vec![ours]));
    let second = ms(1_000);
    let due = host.speaker.next_deadline();
    let said = host.hear_as("r", &theirs, 7, 255, second);
    assert_eq!(said, ["r: dropped: a wrong password (auth_pass)"]);
    assert_eq!(host.speaker.next_deadline(), due);
    assert!(host.hear_as("r", &theirs, 7, 255, second).is_empty());
    // Another kind, another neighbour.
    assert_eq!(host.hear_as("r", &theirs, 7, 255, second * 2).len(), 0);
    assert_eq!(host.hear_as("r", &theirs, 8, 255, second).len(), 1);
    // A foreign number is nobody's fault.
    let foreign = router("r", 9);
    assert!(host.hear_as("r", &foreign, 9, 255, second).is_empty());
    let status = host.status("r");
    assert_eq!(status.counters.rejected.iter().sum::<u64>(), 5);
    assert_eq!(status.counters.received, 0);
    let trouble = status.peers[0].trouble.as_ref().map(|(trouble, _)| trouble);
    assert_eq!(trouble, Some(&Trouble::Rejected(Reject::Password)));
    assert_eq!(status.master, None);
    // In the next state it is said once more.
    host.pass(ms(5_000));
    assert_eq!(host.hear_as("r", &theirs, 7, 255, second).len(), 1);
}

#[test]
fn oddities_are_said_and_it_counts_all_the_same() {
    let mut host = Host::started(config(vec![RouterConfig {
        any_address_count: true,
        ..router("r", 1)
    }]));
    let theirs = RouterConfig {
        addresses: vec![address(201), address(202)],
        ..router("r", 1)
    };
    let said = host.hear_as("r", &theirs, 7, 150, ms(500));
    assert_eq!(said.len(), 3, "{said:?}");
    let status = host.status("r");
    assert_eq!(status.master, Some(address(7)));
    assert_eq!(status.master_interval, ms(500));
    assert_eq!(status.counters.noted.iter().sum::<u64>(), 3);
    // That it is a new master now does not make the same news again,
    assert!(host.hear_as("r", &theirs, 7, 150, ms(500)).is_empty());
    // but the next master does.
    assert_eq!(host.hear_as("r", &theirs, 8, 150, ms(500)).len(), 3);
    assert_eq!(host.hear_as("r", &theirs, 7, 150, ms(500)).len(), 3);
}

#[test]
fn each_peer_is_sent_one_of_its_own() {
    let peer = |last| Peer {
        addr: address(last),
        ttl: (0, 255),
    };
    let mut host = Host::started(config(vec![RouterConfig {
        transport: Transport::Unicast {
            peers: vec![peer(7), peer(8)],
            ttl: None,
            check_source: false,
        },
        ..router("r", 1)
    }]));
    host.pass(ms(3_610));
    let to: Vec<IpAddr> = host
        .all
        .iter()
        .filter_map(|output| match output {
            Output::Send { to, .. } => Some(*to),
            _ => None,
        })
        .collect();
    assert_eq!(to, [address(7), address(8)]);
    assert_eq!(host.status("r").counters.sent, 2);
}

#[test]
fn nobody_is_asked_for_a_router_that_is_not_there() {
    let mut host = Host::started(config(vec![router("r", 1)]));
    let packet = Received {
        from: address(7),
        to: None,
        hop_limit: None,
        bytes: &[],
    };
    let unknown = crate::event::RouterId(99);
    let said = host.with(|s, now, out| {
        s.received(unknown, &packet, now, out);
        s.source(unknown, None, now, out);
    });
    assert!(said.is_empty());
    assert!(host.speaker.config(unknown).is_none());
    assert!(host.speaker.id("other").is_none());
}

#[test]
fn last_words_are_those_of_a_stop_made_in_advance() {
    let named = |name: &str, vrid| router(name, vrid);
    let ah = RouterConfig {
        version: Version::V2,
        authentication: Authentication::Ah(*b"12345678"),
        ..named("ah", 3)
    };
    let backup = named("backup", 2);
    let mut host = Host::started(config(vec![named("master", 1), backup, ah]));
    for _ in 0..10 {
        host.pass(ms(500));
        host.hear("backup", 7, 150);
    }
    assert_eq!(host.states(), [State::Master, State::Backup, State::Master]);
    let before = host.status("master").counters;
    let words = |host: &mut Host, name: &str| {
        let id = host.speaker.id(name).expect("a router");
        host.speaker.last_words(id)
    };
    let prepared = words(&mut host, "master");
    assert_eq!(host.status("master").counters, before, "nothing was sent");
    assert_eq!(words(&mut host, "backup"), []);
    assert_eq!(
        words(&mut host, "ah"),
        [],
        "its sequence number is not known"
    );
    assert_eq!(host.speaker.last_words(crate::event::RouterId(99)), []);

    let id = host.speaker.id("master");
    host.with(|s, now, out| s.stop(now, out));
    let sent = host.all.iter().find_map(|output| match output {
        Output::Send { router, to, bytes } if Some(*router) == id => Some((*to, bytes.clone())),
        _ => None,
    });
    let (to, bytes) = sent.expect("it steps down");
    let (prepared_to, prepared) = prepared.first().expect("one");
    assert_eq!(*prepared_to, to);
    // All but the identification of the IP packet, and its checksum.
    assert_eq!(prepared[20..], bytes[20..]);
    assert_eq!(prepared[22], RouterConfig::RELEASE);
    assert_eq!(words(&mut host, "master"), [], "it is master no longer");
}
