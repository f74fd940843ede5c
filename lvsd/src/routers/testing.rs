//! A status that has some of everything.

use std::net::IpAddr;

use crate::vrrp::status::{Counted, Group, Peer, Priority, Router, Status, Trouble, Watched};

/// Three virtual routers: a master and one in fault in a group, and a backup.
pub(crate) fn status() -> Status {
    Status {
        routers: vec![web(), inside(), v6()],
        groups: vec![Group {
            name: "G".to_owned(),
            state: "FAULT".to_owned(),
            members: vec!["web".to_owned(), "inside".to_owned()],
        }],
        worst_lateness_ms: 0.75,
    }
}

fn web() -> Router {
    let mut stranger = peer("192.0.2.2", 0);
    stranger.advertisements = 0;
    stranger.trouble = Some(Trouble {
        text: "dropped: its TTL is 64 instead of 255".to_owned(),
        cure: Some("Look for a router in between.".to_owned()),
        ago: 12.0,
    });
    let mut neighbour = peer("192.0.2.3", 90);
    neighbour.trouble = Some(Trouble {
        text: "it is master with priority 90, below our 130".to_owned(),
        cure: None,
        ago: 12.0,
    });
    Router {
        for_seconds: 7_500.0,
        why: "no advertisement from 192.0.2.2 (priority 150) for 3.61 s".to_owned(),
        priority: Priority {
            effective: 130,
            configured: 100,
            parts: vec![
                watched("script chk_nginx", "good", 50),
                Watched {
                    adds: -20,
                    detail: Some(
                        "failed (exit status 1) 3 times in a row (\x1b[31m no)".to_owned(),
                    ),
                    ..watched("script chk_disk", "bad", -20)
                },
                Watched {
                    adds: 0,
                    ..watched("interface eth1", "good", 0)
                },
            ],
        },
        due_in_ms: Some(712.4),
        peers: vec![stranger, neighbour],
        counters: Counted {
            sent: 7_512,
            received: 3,
            became_master: 2,
            released_master: 1,
            zero_sent: 1,
            zero_received: 2,
            rivals: 4,
            rejected: [("password", 3), ("ttl", 12)]
                .map(|(w, n)| (w.to_owned(), n))
                .into(),
            noted: [("interval".to_owned(), 9)].into(),
        },
        ..router("web", 51, "MASTER")
    }
}

fn inside() -> Router {
    Router {
        for_seconds: 4.25,
        why: "script chk_nginx is bad, there is no address to send from".to_owned(),
        mute: Some("eth1 is not there".to_owned()),
        interface: None,
        source: None,
        master: None,
        priority: Priority {
            effective: 254,
            configured: 250,
            parts: vec![
                Watched {
                    adds: 0,
                    fault: true,
                    reverse: true,
                    ..watched("script chk_nginx", "bad", 0)
                },
                Watched {
                    adds: 30,
                    ..watched("file load", "3", 10)
                },
            ],
        },
        due_in_ms: None,
        ..router("inside", 52, "FAULT")
    }
}

fn v6() -> Router {
    let ip = |s: &str| -> IpAddr { s.parse().unwrap_or_else(|e| panic!("{s}: {e}")) };
    let master = Peer {
        interval_ms: 100.0,
        advertisements: 1,
        ..peer("fe80::2", 150)
    };
    Router {
        group: None,
        peers: vec![master],
        version: 3,
        source: Some(ip("fe80::1")),
        master: Some(ip("fe80::2")),
        addresses: vec!["fe80::10".to_owned(), "2001:db8::10".to_owned()],
        interval_ms: 100.0,
        due_in_ms: Some(312.0),
        ..router("v6", 53, "BACKUP")
    }
}

fn router(name: &str, vrid: u8, state: &str) -> Router {
    let source = Some([192, 0, 2, 1].into());
    Router {
        name: name.to_owned(),
        vrid,
        version: 2,
        interface: Some("eth0".to_owned()),
        group: Some("G".to_owned()),
        state: state.to_owned(),
        for_seconds: 1.0,
        why: "it has been started".to_owned(),
        mute: None,
        priority: Priority {
            effective: 100,
            configured: 100,
            parts: Vec::new(),
        },
        source,
        master: source,
        interval_ms: 1_000.0,
        due_in_ms: None,
        addresses: vec!["192.0.2.10".to_owned()],
        peers: Vec::new(),
        counters: Counted::default(),
    }
}

fn watched(object: &str, state: &str, weight: i32) -> Watched {
    Watched {
        object: object.to_owned(),
        state: state.to_owned(),
        weight,
        reverse: false,
        adds: weight,
        fault: false,
        detail: None,
    }
}

fn peer(address: &str, priority: u8) -> Peer {
    Peer {
        address: address.parse().unwrap_or_else(|e| panic!("{address}: {e}")),
        priority,
        interval_ms: 1_000.0,
        heard_ago: 0.42,
        advertisements: 3,
        trouble: None,
    }
}
