//! Every field of an instance, one by one.

use std::net::IpAddr;
use std::time::Duration;

use super::super::testing;
use super::*;
use crate::keepalived::model::{At, Prefix};
use crate::keepalived::place::Span;

fn at<T>(value: T) -> At<T> {
    At::new(value, Span::default())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn plain() -> Vrrp {
    testing::vrrp(&testing::instance("V", 51, ""))
}

fn only(vrrp: &Vrrp) -> RouterConfig {
    let [router] = &of(vrrp, |_| BTreeSet::new()).routers[..] else {
        panic!("not one")
    };
    RouterConfig::clone(router)
}

#[test]
fn one_that_says_little_has_the_defaults() {
    let wanted = RouterConfig {
        version: Version::V2,
        tracking: vec![Tracked {
            object: Object::Interface("eth0".to_owned()),
            weight: 0,
            reverse: false,
        }],
        ..RouterConfig::new("V", 51, vec![ip("192.0.2.51")])
    };
    assert_eq!(only(&plain()), wanted);
}

/// A change of the model, and what follows from it.
type Row = (fn(&mut Instance), fn(&mut RouterConfig));

#[test]
fn every_field_goes_where_it_belongs() {
    let rows: &[Row] = &[
        (|i| i.name.value = "W".into(), |r| r.name = "W".into()),
        (|i| i.vrid.value = 7, |r| r.vrid = 7),
        (
            |i| i.family = Family::V6,
            |r| r.family = lvs_vrrp::config::Family::V6,
        ),
        (
            |i| i.version = model::Version::V3,
            |r| r.version = Version::V3,
        ),
        (|i| i.priority.value = 255, |r| r.priority = 255),
        (|i| i.wants_master = true, |r| r.wants_master = true),
        (
            |i| i.interval.value = Duration::from_millis(70),
            |r| r.interval = Duration::from_millis(70),
        ),
        (|i| i.missing = 9, |r| r.missing = 9),
        (
            |i| i.preempt = model::Preempt::Never,
            |r| r.preempt = Preempt::Never,
        ),
        (
            |i| i.preempt = model::Preempt::After(Duration::from_secs(8)),
            |r| r.preempt = Preempt::After(Duration::from_secs(8)),
        ),
        (
            |i| {
                i.transport = model::Transport::Multicast {
                    group: ip("224.0.0.99"),
                }
            },
            |r| {
                r.transport = Transport::Multicast {
                    group: ip("224.0.0.99"),
                }
            },
        ),
        (
            |i| {
                i.transport = model::Transport::Unicast {
                    peers: vec![
                        model::Peer {
                            addr: at(ip("192.0.2.1")),
                            ttl: (250, 255),
                        },
                        model::Peer {
                            addr: at(ip("192.0.2.2")),
                            ttl: (1, 2),
                        },
                    ],
                    ttl: Some(64),
                    check_source: true,
                };
            },
            |r| {
                r.transport = Transport::Unicast {
                    peers: vec![
                        Peer {
                            addr: ip("192.0.2.1"),
                            ttl: (250, 255),
                        },
                        Peer {
                            addr: ip("192.0.2.2"),
                            ttl: (1, 2),
                        },
                    ],
                    ttl: Some(64),
                    check_source: true,
                };
            },
        ),
        (
            |i| {
                i.transport = model::Transport::Unicast {
                    peers: Vec::new(),
                    ttl: None,
                    check_source: false,
                };
            },
            |r| {
                r.transport = Transport::Unicast {
                    peers: Vec::new(),
                    ttl: None,
                    check_source: false,
                };
            },
        ),
        (
            |i| i.authentication = Some(at(model::Authentication::Password(*b"password"))),
            |r| r.authentication = Authentication::Password(*b"password"),
        ),
        (
            |i| i.authentication = Some(at(model::Authentication::Ah(*b"secret\0\0"))),
            |r| r.authentication = Authentication::Ah(*b"secret\0\0"),
        ),
        (
            |i| {
                i.hmac = Some(hmac(model::Replay::Time, model::HmacMode::Enforce));
            },
            |r| r.trailer = Some(own_trailer(Replay::Time, TrailerMode::Enforce)),
        ),
        (
            |i| {
                i.hmac = Some(hmac(model::Replay::Monotonic, model::HmacMode::Permissive));
            },
            |r| r.trailer = Some(own_trailer(Replay::Monotonic, TrailerMode::Permissive)),
        ),
        (
            |i| {
                i.hmac = Some(hmac(model::Replay::Time, model::HmacMode::ReceiveOnly));
            },
            |r| r.trailer = Some(own_trailer(Replay::Time, TrailerMode::ReceiveOnly)),
        ),
        (
            |i| {
                let mut second = i.vips[0].clone();
                second.addr = Prefix::host(ip("198.51.100.1"));
                i.excluded = i.vips.clone(); // they are not in advertisements
                i.vips.push(second);
            },
            |r| r.addresses = vec![ip("192.0.2.51"), ip("198.51.100.1")],
        ),
        (
            |i| i.check_addresses = model::CheckAddresses::NewMaster,
            |r| r.check_addresses = CheckAddresses::NewMaster,
        ),
        (|i| i.plain_checksum = true, |r| r.checksum.plain = true),
        (|i| i.any_vip_count = true, |r| r.any_address_count = true),
        (
            |i| i.unicast_checksum = model::UnicastChecksum::Old,
            |r| r.checksum.unicast = UnicastChecksum::Old,
        ),
        (
            |i| i.unicast_checksum = model::UnicastChecksum::New,
            |r| r.checksum.unicast = UnicastChecksum::New,
        ),
        (|i| i.rivals.silent = true, |r| r.rivals.silent = true),
        (|i| i.rivals.last_word = true, |r| r.rivals.last_word = true),
        (
            |i| i.rivals.owner_deaf = true,
            |r| r.rivals.owner_deaf = true,
        ),
        (|i| i.late = Some(3), |r| r.late = Some(3)),
        (|i| i.strict = true, |r| r.strict = true),
        (|i| i.track_primary = false, |r| r.tracking.clear()),
        (|i| i.interface = None, |r| r.tracking.clear()),
    ];
    for (n, (change, follows)) in rows.iter().enumerate() {
        let mut vrrp = plain();
        let mut wanted = only(&vrrp);
        let before = wanted.clone();
        change(&mut vrrp.instances[0]);
        follows(&mut wanted);
        assert_ne!(wanted, before, "row {n} changes nothing");
        assert_eq!(only(&vrrp), wanted, "row {n}");
    }
}

fn hmac(replay: model::Replay, mode: model::HmacMode) -> model::Hmac {
    let key = |id, secret: &str| model::HmacKey {
        id,
        secret: secret.to_owned(),
    };
    model::Hmac {
        keys: vec![key(1, "first one"), key(9, "other")],
        active: 9,
        replay,
        window: Duration::from_secs(33),
        mode,
        span: at(()),
    }
}

fn own_trailer(replay: Replay, mode: TrailerMode) -> Trailer {
    let key = |id, secret: &[u8]| TrailerKey {
        id,
        secret: secret.to_vec(),
    };
    Trailer {
        keys: vec![key(1, b"first one"), key(9, b"other")],
        active: 9,
        replay,
        window: Duration::from_secs(33),
        mode,
    }
}

/// What the only virtual router watches, as `OBJECT WEIGHT`, with `!` if reversed.
fn watched(text: &str) -> Vec<String> {
    let router = only(&testing::vrrp(text));
    let tracking = router.tracking.iter().map(|t| {
        let reverse = if t.reverse { "!" } else { "" };
        format!("{} {}{reverse}", t.object, t.weight)
    });
    tracking.collect()
}

const OBJECTS: &str = "vrrp_script s {\n script /bin/true\n weight 5\n}\ntrack_file f {\n file /run/f\n weight 3\n}\n\
                       vrrp_track_process p {\n process nginx\n}\ntrack_group T {\n group {\n V\n }\n}\n";

#[test]
fn all_that_is_watched_is_there_once() {
    let own = "track_interface {\n eth1 weight -7\n}\ntrack_script {\n s\n}\ntrack_file {\n f weight 2 reverse\n}\n\
               track_process {\n p\n}";
    assert_eq!(
        watched(&(OBJECTS.to_owned() + &testing::instance("V", 51, own))),
        [
            "interface eth0 0",
            "interface eth1 -7",
            "script s 5",
            "file f 2!",
            "process p 0",
            "track_group T 0"
        ]
    );
}

#[test]
fn members_watch_what_their_group_does() {
    let group = "vrrp_sync_group G {\n group {\n V\n }\n track_interface {\n eth0\n eth1\n }\n track_process {\n p\n }\n}\n";
    let text = OBJECTS.to_owned() + group + &testing::instance("V", 51, "track_process {\n p\n}");
    assert_eq!(
        watched(&text),
        [
            "interface eth0 0",
            "process p 0",
            "interface eth1 0",
            "track_group T 0"
        ]
    );
}

/// keepalived 2.2.7 was asked about each of these.
#[test]
fn what_both_name_is_a_fault_if_the_member_says_so_and_weighs_what_the_group_says_otherwise() {
    for (group, member, wanted) in [
        ("weight 20", "weight 10", 20),
        ("weight 0", "weight 10", 0),
        ("weight 20", "weight 0", 0),
    ] {
        let text = format!(
            "vrrp_sync_group G {{\n group {{\n V\n }}\n sync_group_tracking_weight\n track_interface {{\n eth0 {group}\n eth1 {group}\n }}\n}}\n{}",
            testing::instance("V", 51, &format!("track_interface {{\n eth1 {member}\n }}"))
        );
        let wanted = [
            "interface eth0 0".to_owned(),
            format!("interface eth1 {wanted}"),
        ];
        assert_eq!(watched(&text), wanted, "{group} {member}");
    }
}

#[test]
fn groups_and_the_wait_at_the_start_are_told() {
    let text =
        "global_defs {\n vrrp_startup_delay 2.5\n}\nvrrp_sync_group G {\n group {\n W\n V\n }\n}\n"
            .to_owned()
            + &testing::instance("V", 51, "")
            + &testing::instance("W", 52, "");
    let config = of(&testing::vrrp(&text), |_| BTreeSet::new());
    assert_eq!(config.startup_delay, Duration::from_millis(2_500));
    let names: Vec<&str> = config.routers.iter().map(|r| &*r.name).collect();
    assert_eq!(names, ["V", "W"]);
    let group = GroupConfig {
        name: "G".to_owned(),
        members: vec!["W".to_owned(), "V".to_owned()],
    };
    assert_eq!(config.groups, [group]);
}
