use netlink_packet_route::link::LinkFlags;

use super::*;
use crate::io::testing::{in_new_network, ip, pair};

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const NONE: fn(IpAddr) -> bool = |_| false;

/// What has changed, in a word each.
fn told(links: &mut Links) -> Vec<String> {
    let state = |l: &Link| if l.up { "up" } else { "down" };
    let words = |change| match change {
        Change::Link {
            was: None,
            is: Some(is),
        } => format!("{} new", is.name),
        Change::Link {
            was: Some(was),
            is: None,
        } => format!("{} gone", was.name),
        Change::Link {
            was: Some(was),
            is: Some(is),
        } if was.up != is.up => {
            format!("{} {}", is.name, state(&is))
        }
        Change::Link { .. } => String::new(),
        Change::Address(a) => format!("+{}", a.ip),
        Change::AddressGone(a) => format!("-{}", a.ip),
    };
    let changes = links.update().unwrap().into_iter().map(words);
    let mut all: Vec<_> = changes
        .filter(|w| !w.is_empty() && !w.contains("fe80"))
        .collect();
    all.dedup();
    all
}

#[test]
fn interfaces_are_described() {
    in_new_network(|| {
        let [a, b] = pair();
        ip("link add index 20 name bond type bridge");
        ip("link add link va index 21 name mv type macvlan mode private");
        ip("link set vb mtu 1400");
        ip("link set mv arp off");
        ip("link set vb master bond");
        let links = Links::new().unwrap();
        let lo = links.named("lo").unwrap();
        assert!(lo.loopback && lo.up && !lo.multicast && lo.ifindex == 1);
        let of = |name| links.named(name).unwrap();
        let (va, vb, mv) = (of("va"), of("vb"), of("mv"));
        assert_eq!(
            (va.kind.as_str(), va.parent, va.controller),
            ("veth", Some(b), None)
        );
        assert_eq!((vb.mtu, vb.controller), (1400, Some(20)));
        assert_eq!((mv.kind.as_str(), mv.parent), ("macvlan", Some(a)));
        assert!(!mv.arp && va.arp && va.multicast && va.up && !va.loopback);
        assert!(!mv.enabled && !mv.up);
        let shown = ip("link show va");
        let mac = va.mac.unwrap().map(|b| format!("{b:02x}")).join(":");
        assert!(shown.contains(&mac), "{shown}");
        assert_eq!(links.get(a), Some(va));
    });
}

#[test]
fn changes_are_told_in_order() {
    in_new_network(|| {
        let [a, b] = pair();
        let mut links = Links::new().unwrap();
        while !links.iter().all(|l| l.up) {
            told(&mut links);
        }
        assert!(told(&mut links).is_empty());
        // Going and coming between two looks is seen; the carrier comes in the kernel's own time.
        ip("link set va down");
        ip("link set va up");
        let mut seen: Vec<String> = Vec::new();
        while seen.last().is_none_or(|last| last != "va up") {
            let words = told(&mut links).into_iter();
            seen.extend(words.filter(|word| word.starts_with("va")));
            std::thread::yield_now();
        }
        assert!(seen.contains(&"va down".to_owned()), "{seen:?}");

        ip("addr add 10.1.0.1/24 dev va");
        ip("addr add 10.1.0.2/24 dev va");
        assert_eq!(told(&mut links), ["+10.1.0.1", "+10.1.0.2"]);
        assert!(links.has(addr("10.1.0.2")));
        ip("addr del 10.1.0.2/24 dev va");
        assert_eq!(told(&mut links), ["-10.1.0.2"]);
        assert!(!links.has(addr("10.1.0.2")));

        ip("link set va down");
        ip("link set va name vc");
        assert!(told(&mut links).contains(&"va down".to_owned()));
        assert_eq!(links.get(a).unwrap().name, "vc");
        ip("link del vc");
        let seen = told(&mut links);
        for word in ["-10.1.0.1", "vc gone", "vb gone"] {
            assert!(seen.contains(&word.to_owned()), "{word}: {seen:?}");
        }
        assert_eq!((links.get(a), links.get(b)), (None, None));
        assert!(!links.has(addr("10.1.0.1")));
    });
}

#[test]
fn some_are_taken_in_at_a_time() {
    in_new_network(|| {
        let [a, _] = pair();
        let mut links = Links::new().unwrap();
        while !links.iter().all(|l| l.up) {
            links.update().unwrap();
        }
        let all: Vec<_> = (1..=5).map(|n| addr(&format!("10.1.0.{n}"))).collect();
        for address in &all {
            ip(&format!("addr add {address}/24 dev va"));
        }
        let (mut came, mut looks) = (Vec::new(), 0);
        loop {
            let (changes, more) = links.update_some(2).unwrap();
            assert!(changes.len() <= 2, "{changes:?}");
            came.extend(changes.into_iter().filter_map(|change| match change {
                Change::Address(a) if a.ip.is_ipv4() => Some(a.ip),
                _ => None,
            }));
            looks += 1;
            if !more {
                break;
            }
        }
        assert_eq!(came, all);
        assert!(looks >= 3, "{looks}");
        assert_eq!(
            links
                .addresses_of(a)
                .iter()
                .filter(|x| x.ip.is_ipv4())
                .count(),
            5
        );
    });
}

#[test]
fn sources_of_advertisements() {
    in_new_network(|| {
        let [a, b] = pair();
        let mut links = Links::new().unwrap();
        assert_eq!(links.source_v4(a, NONE), None);
        for address in ["10.1.0.1/24", "10.1.0.2/24", "10.0.0.9/24"] {
            ip(&format!("addr add {address} dev va"));
        }
        ip("addr add fd00::1/64 dev va nodad");
        ip("addr add fe80::77/64 dev vb");
        links.update().unwrap();
        assert_eq!(links.source_v4(a, NONE), Some([10, 1, 0, 1].into()));
        let first = addr("10.1.0.1");
        assert_eq!(
            links.source_v4(a, |ip| ip == first),
            Some([10, 0, 0, 9].into())
        );
        assert_eq!(links.source_v4(b, NONE), None);
        let order: Vec<_> = links
            .addresses_of(a)
            .iter()
            .filter(|x| x.ip.is_ipv4())
            .map(|x| x.ip)
            .collect();
        assert_eq!(order, ["10.1.0.1", "10.1.0.2", "10.0.0.9"].map(addr));

        // The secondary becomes primary when the kernel is told to let it.
        ip("addr del 10.1.0.1/24 dev va");
        links.update().unwrap();
        assert_eq!(links.source_v4(a, NONE), Some([10, 0, 0, 9].into()));

        let own = links.source_v6(a, NONE);
        let shown = ip("-6 addr show dev va scope link");
        assert!(
            own.is_none_or(|own| shown.contains(&own.to_string())),
            "{shown}"
        );
        ip("addr add fe80::1/64 dev lo nodad");
        // The kernel makes it usable in its own time.
        while links.source_v6(1, NONE).is_none() {
            links.update().unwrap();
        }
        assert_eq!(links.source_v6(1, NONE), Some("fe80::1".parse().unwrap()));
        assert_eq!(links.source_v6(1, |ip| ip == addr("fe80::1")), None);
        let tentative = HostAddress {
            flags: HostAddress::TENTATIVE,
            ..**links
                .addresses_of(1)
                .iter()
                .find(|x| x.ip == addr("fe80::1"))
                .unwrap()
        };
        assert!(!tentative.is_usable());
    });
}

#[test]
fn what_was_lost_is_read_anew() {
    in_new_network(|| {
        let [a, _] = pair();
        ip("addr add 10.1.0.1/24 dev va");
        let mut links = Links::new().unwrap();
        links.update().unwrap();
        let mut c = Connection::route().unwrap();
        // More than the queue holds; the last ones, which say how it ends, are lost.
        let mut flap = |up: bool| {
            let mut m = LinkMessage::default();
            m.header.index = 1;
            m.header.change_mask = LinkFlags::Up;
            m.header.flags = if up {
                LinkFlags::Up
            } else {
                LinkFlags::empty()
            };
            let request = Request::route(RouteNetlinkMessage::SetLink(m), 0);
            c.request(&request).unwrap();
        };
        for n in 0..20_000 {
            flap(n % 2 == 0);
        }
        ip("addr del 10.1.0.1/24 dev va");
        ip("addr add 10.2.0.1/24 dev va");
        ip("link del vb");
        ip("link add index 10 name again type bridge");
        ip("addr add 10.2.0.1/24 dev again");
        let changes = links.update().unwrap();
        let at_once = |c: &Change| match c {
            Change::Link {
                was: Some(was),
                is: Some(is),
            } => was.name == "va" && is.name == "again",
            _ => false,
        };
        assert!(changes.iter().any(at_once), "nothing was lost");
        assert_eq!(links.get(a).unwrap().name, "again");
        assert_eq!(links.named("va"), None);
        let v4 = links
            .addresses_of(a)
            .iter()
            .filter(|x| x.ip.is_ipv4())
            .map(|x| x.ip)
            .collect::<Vec<_>>();
        assert_eq!(v4, [addr("10.2.0.1")]);
        assert_eq!(links.update().unwrap(), []);
    });
}

#[test]
fn one_state_becomes_another() {
    let link = |ifindex, up| Link {
        ifindex,
        name: format!("i{ifindex}"),
        mac: None,
        mtu: 1500,
        up,
        enabled: true,
        arp: true,
        multicast: true,
        loopback: false,
        kind: String::new(),
        parent: None,
        controller: None,
    };
    let at = |ifindex, last| HostAddress {
        ifindex,
        ip: [10, 0, 0, last].into(),
        prefix_len: 32,
        peer: None,
        flags: 0,
        protocol: 0,
    };
    let seen = |links: Vec<Link>, addresses: Vec<HostAddress>| {
        let mut seen = Seen::default();
        let notices = links.into_iter().map(Notice::Link);
        let all = notices.chain(addresses.into_iter().map(Notice::Address));
        all.for_each(|n| seen.note(n, &mut Vec::new()));
        seen
    };
    let mut was = seen(
        vec![link(1, true), link(2, true), link(3, true)],
        vec![at(1, 1), at(2, 2), at(2, 3), at(3, 4)],
    );
    let now = seen(
        vec![link(1, true), link(2, false), link(4, true)],
        vec![at(1, 1), at(2, 3), at(4, 5)],
    );
    let mut changes = Vec::new();
    was.replace(now, &mut changes);
    assert_eq!(
        changes,
        [
            Change::AddressGone(at(2, 2)),
            Change::AddressGone(at(3, 4)),
            Change::Link {
                was: Some(link(3, true)),
                is: None
            },
            Change::Link {
                was: Some(link(2, true)),
                is: Some(link(2, false))
            },
            Change::Link {
                was: None,
                is: Some(link(4, true))
            },
            Change::Address(at(4, 5)),
        ]
    );
    assert_eq!(was.links.keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
}

#[test]
fn messages_cut_short_are_no_news() {
    in_new_network(|| {
        pair();
        ip("addr add 10.1.0.1/24 dev va");
        let mut c = Connection::route().unwrap();
        for table in [
            RouteNetlinkMessage::GetLink(LinkMessage::default()),
            RouteNetlinkMessage::GetAddress(AddressMessage::default()),
        ] {
            let whole = |m: Message<'_>| Some((m.kind(), m.payload().to_vec()));
            for (kind, payload) in c.dump(&Request::route(table, 0), whole).unwrap() {
                for cut in 0..payload.len() {
                    // Whatever is made of it, it is no panic.
                    let bytes = Request::raw(kind, 0, &payload[..cut]);
                    let (message, _) = Message::split(bytes.as_bytes()).unwrap();
                    let _ = Notice::read(message);
                }
            }
        }
    });
}
