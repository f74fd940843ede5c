use super::*;
use crate::io::link::addresses;
use crate::io::testing::{in_new_network, ip, pair};

fn at(ifindex: u32, text: &str) -> Address {
    let (ip, len) = text.split_once('/').unwrap();
    Address::new(ifindex, ip.parse().unwrap(), len.parse().unwrap())
}

fn put(c: &mut Connection, a: &Address) -> Outcome {
    add(c, std::slice::from_ref(a)).unwrap().remove(0).unwrap()
}

fn take(c: &mut Connection, a: &Address) -> Outcome {
    remove(c, &[a.removal()]).unwrap().remove(0).unwrap()
}

/// What `ip` says of an interface's addresses, without the numbers and names in front.
fn listed(family: &str) -> Vec<String> {
    let lines = ip(&format!("-{family} -o -d addr show dev va scope global"));
    let words = |line: &str| {
        let words: Vec<_> = line.split_whitespace().skip(2).collect();
        words.join(" ").replace("\\", "")
    };
    lines.lines().map(words).collect()
}

#[test]
fn addresses_have_what_was_asked_for() {
    in_new_network(|| {
        let [a, _] = pair();
        let mut c = Connection::route().unwrap();
        let rich = Address {
            broadcast: Some([10, 1, 0, 255].into()),
            label: Some("va:vip".into()),
            flags: Address::NOPREFIXROUTE,
            preferred: Some(0),
            ..at(a, "10.1.0.50/24")
        };
        let pointed = Address {
            peer: Some([10, 3, 0, 1].into()),
            ..at(a, "10.2.0.1/30")
        };
        let plain = at(a, "10.1.0.51/24");
        for address in [&rich, &pointed, &plain] {
            assert_eq!(put(&mut c, address), Outcome::Done);
            assert_eq!(put(&mut c, address), Outcome::Before);
        }
        let ours = "proto 0x12";
        let shown: Vec<_> = listed("4")
            .iter()
            .map(|l| l.replace(&format!(" {ours}"), ""))
            .collect();
        assert_eq!(
            shown,
            [
                "inet 10.1.0.50/24 brd 10.1.0.255 scope global deprecated noprefixroute va:vip valid_lft forever preferred_lft forever",
                "inet 10.2.0.1 peer 10.3.0.1/30 scope global va valid_lft forever preferred_lft forever",
                "inet 10.1.0.51/24 scope global secondary va valid_lft forever preferred_lft forever",
            ]
        );
        let local = Address {
            scope: 254,
            ..at(a, "10.9.0.1/32")
        };
        put(&mut c, &local);
        assert!(ip("-4 addr show dev va scope host").contains("10.9.0.1/32"));

        for address in [&local, &pointed, &plain, &rich] {
            assert_eq!(take(&mut c, address), Outcome::Done);
            assert_eq!(take(&mut c, address), Outcome::Before);
        }
        assert!(
            addresses(&mut c)
                .unwrap()
                .iter()
                .all(|x| x.ip.is_ipv6() || x.ifindex == 1)
        );
    });
}

#[test]
fn addresses_of_ipv6_too() {
    in_new_network(|| {
        let [a, _] = pair();
        let mut c = Connection::route().unwrap();
        let mine = [
            Address {
                preferred: Some(0),
                ..at(a, "fd00::50/128")
            },
            Address {
                flags: Address::HOME | Address::MNGTMPADDR | Address::NOPREFIXROUTE,
                preferred: Some(100_000),
                ..at(a, "fd00::51/64")
            },
            Address {
                peer: Some("fd01::1".parse().unwrap()),
                ..at(a, "fd00::52/127")
            },
        ];
        for address in &mine {
            assert_eq!(put(&mut c, address), Outcome::Done);
            assert_eq!(put(&mut c, address), Outcome::Before);
        }
        let all = addresses(&mut c).unwrap();
        let seen = |ip: &str| {
            let ip = ip.parse::<IpAddr>().unwrap();
            *all.iter().find(|x| x.ip == ip).unwrap()
        };
        assert_eq!(seen("fd00::52").peer, mine[2].peer);
        assert!(
            seen("fd00::50").is_usable(),
            "no duplicate address detection"
        );
        let of = |ip: &str| listed("6").into_iter().find(|l| l.contains(ip)).unwrap();
        assert!(
            of("fd00::50/128").contains("nodad deprecated"),
            "{}",
            of("fd00::50")
        );
        assert!(of("fd00::50/128").contains("preferred_lft 0sec"));
        let rich = of("fd00::51/64");
        assert!(
            rich.contains("home tentative mngtmpaddr noprefixroute"),
            "{rich}"
        );
        assert!(
            !rich.contains("nodad") && rich.contains("valid_lft forever"),
            "{rich}"
        );
        assert!(!rich.contains("preferred_lft forever"), "{rich}");
        for address in &mine {
            assert_eq!(take(&mut c, address), Outcome::Done);
            assert_eq!(take(&mut c, address), Outcome::Before);
        }
        assert_eq!(listed("6"), [""; 0]);
    });
}

#[test]
fn the_mark_is_ours_and_refusals_are_told_apart() {
    in_new_network(|| {
        let [a, _] = pair();
        let mut c = Connection::route().unwrap();
        let nowhere = at(99, "10.0.0.1/32");
        let long = Address {
            label: Some("an_overlong_label".into()),
            ..at(a, "10.0.0.2/32")
        };
        let outcomes = add(&mut c, &[nowhere.clone(), long, at(a, "10.0.0.3/32")]).unwrap();
        let codes: Vec<_> = outcomes
            .iter()
            .map(|o| o.as_ref().map_err(|e| e.raw_os_error().unwrap()).copied())
            .collect();
        assert_eq!(codes[0], Err(libc::ENODEV));
        assert!(
            matches!(codes[1], Err(libc::ERANGE | libc::EINVAL)),
            "{codes:?}"
        );
        assert_eq!(codes[2], Ok(Outcome::Done));
        assert_eq!(take(&mut c, &nowhere), Outcome::Before);
        let there = addresses(&mut c).unwrap();
        let third = there
            .iter()
            .find(|x| x.ip == IpAddr::from([10, 0, 0, 3]))
            .unwrap();
        assert_eq!(third.protocol, PROTOCOL);
        // What has been listed can be taken away as it is.
        let outcome = remove(&mut c, &[third.removal()])
            .unwrap()
            .remove(0)
            .unwrap();
        assert_eq!(outcome, Outcome::Done);
    });
}

#[test]
fn ten_thousand_at_a_time() {
    in_new_network(|| {
        let [a, _] = pair();
        let mut c = Connection::route().unwrap();
        let many: Vec<_> = (0..10_000u16)
            .map(|n| {
                Address::new(
                    a,
                    [10, 7, n.to_be_bytes()[0], n.to_be_bytes()[1]].into(),
                    32,
                )
            })
            .collect();
        let all_done = |outcomes: Vec<io::Result<Outcome>>| {
            outcomes.into_iter().all(|o| o.unwrap() == Outcome::Done)
        };
        assert!(all_done(add(&mut c, &many).unwrap()));
        let v4 = |c: &mut Connection| {
            let all = addresses(c).unwrap();
            all.iter()
                .filter(|x| x.ip.is_ipv4() && x.ifindex == a)
                .count()
        };
        assert_eq!(v4(&mut c), many.len());
        let removals: Vec<_> = many.iter().map(Address::removal).collect();
        assert!(all_done(remove(&mut c, &removals).unwrap()));
        assert_eq!(v4(&mut c), 0);
    });
}
