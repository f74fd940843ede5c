use proptest::prelude::*;

use super::*;

fn ip(s: &str) -> Ip {
    s.parse().unwrap()
}

const RS_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x11]);
const GW_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x01]);

fn interface(port: u16, addrs: &[&str]) -> Interface {
    Interface {
        port: PortId(port),
        ifindex: u32::from(port) + 10,
        name: format!("eth{port}"),
        mac: Mac([2, 0, 0, 0, 1, port as u8]),
        mtu: 1500,
        addrs: addrs.iter().map(|a| ip(a)).collect(),
    }
}

/// `dst/len`, out of `ifindex`; everything else as it comes from `rest`.
fn route(dst: &str, ifindex: u32, rest: impl FnOnce(&mut Route)) -> Route {
    let (dst, len) = dst.split_once('/').unwrap();
    let mut r = Route {
        dst: ip(dst),
        prefix_len: len.parse().unwrap(),
        metric: 0,
        ifindex,
        gateway: None,
        prefsrc: None,
        mtu: None,
    };
    rest(&mut r);
    r
}

/// Two networks on two ports, a default route by the first, neighbours, and a tunnel device that is
/// no port.
fn lan() -> TopologyBuilder {
    let mut b = Topology::builder();
    b.interface(interface(0, &["10.9.0.1", "fd00:9::1", "fe80::1"]))
        .interface(interface(1, &["10.10.0.1", "fd00:10::1"]))
        .route(route("10.9.0.0/24", 10, |r| {
            r.prefsrc = Some(ip("10.9.0.1"))
        }))
        .route(route("10.10.0.0/24", 11, |r| {
            r.prefsrc = Some(ip("10.10.0.1"))
        }))
        .route(route("0.0.0.0/0", 10, |r| {
            r.gateway = Some(ip("10.9.0.254"))
        }))
        .route(route("192.0.2.0/24", 99, |_| {}))
        .route(route("fd00:10::/64", 11, |_| {}))
        .route(route("::/0", 10, |r| r.gateway = Some(ip("fe80::fe"))))
        .local(ip("172.16.0.1"))
        .broadcast(ip("10.9.0.255"))
        .neighbour(11, ip("10.10.0.11"), RS_MAC)
        .neighbour(10, ip("10.9.0.254"), GW_MAC)
        .neighbour(10, ip("fe80::fe"), GW_MAC);
    b
}

fn ready(port: u16, dst_mac: Mac, mtu: u32) -> Resolution {
    Resolution::Ready(NextHop {
        port: PortId(port),
        src_mac: Mac([2, 0, 0, 0, 1, port as u8]),
        dst_mac,
        mtu,
    })
}

fn unresolved(ifindex: u32, next_hop: &str) -> Resolution {
    Resolution::Unresolved {
        ifindex,
        next_hop: ip(next_hop),
    }
}

#[test]
fn every_kind_of_destination_resolves_as_it_should() {
    let t = lan().build();
    for (dst, want) in [
        ("10.10.0.11", ready(1, RS_MAC, 1500)),
        ("10.10.0.12", unresolved(11, "10.10.0.12")),
        ("10.9.0.2", unresolved(10, "10.9.0.2")),
        ("8.8.8.8", ready(0, GW_MAC, 1500)),
        ("2001:db8::1", ready(0, GW_MAC, 1500)),
        ("fd00:10::5", unresolved(11, "fd00:10::5")),
        ("192.0.2.7", Resolution::NoRoute),
        ("10.9.0.1", Resolution::Local),
        ("fe80::1", Resolution::Local),
        ("172.16.0.1", Resolution::Local),
        ("127.8.9.1", Resolution::Local),
        ("::1", Resolution::Local),
        ("10.9.0.255", Resolution::NoRoute),
        ("224.0.0.18", Resolution::NoRoute),
        ("ff02::1", Resolution::NoRoute),
    ] {
        assert_eq!(t.resolve(ip(dst)), want, "{dst}");
        assert_eq!(t.is_local(ip(dst)), want == Resolution::Local, "{dst}");
    }
    assert_eq!(
        Topology::default().resolve(ip("10.0.0.1")),
        Resolution::NoRoute
    );
}

#[test]
fn the_longest_prefix_then_the_lowest_metric_decides_alone() {
    let t = lan()
        .route(route("10.10.0.64/26", 0, |_| {})) // blackhole
        .route(route("10.10.0.64/27", 99, |_| {})) // by no port
        .route(route("10.10.0.0/24", 10, |r| r.metric = 1))
        .route(route("8.0.0.0/8", 11, |r| r.metric = 20))
        .route(route("8.0.0.0/8", 10, |r| r.metric = 10))
        .route(route("8.0.0.0/8", 0, |r| r.metric = 10))
        .route(route("10.10.0.70/32", 11, |_| {}))
        .build();
    for (dst, want) in [
        ("10.10.0.63", unresolved(11, "10.10.0.63")),
        ("10.10.0.65", Resolution::NoRoute),
        ("10.10.0.97", Resolution::NoRoute),
        ("10.10.0.70", unresolved(11, "10.10.0.70")),
        ("8.1.1.1", unresolved(10, "8.1.1.1")),
    ] {
        assert_eq!(t.resolve(ip(dst)), want, "{dst}");
    }
}

#[test]
fn the_smaller_mtu_counts() {
    let t = lan()
        .route(route("10.10.0.11/32", 11, |r| r.mtu = Some(1400)))
        .route(route("10.9.0.254/32", 10, |r| r.mtu = Some(9000)))
        .build();
    assert_eq!(t.resolve(ip("10.10.0.11")), ready(1, RS_MAC, 1400));
    assert_eq!(t.resolve(ip("10.9.0.254")), ready(0, GW_MAC, 1500));
}

#[test]
fn an_ipv4_route_may_have_an_ipv6_gateway() {
    let via = Some(ip("fe80::fe"));
    let t = lan()
        .route(route("198.51.100.0/24", 10, |r| r.gateway = via))
        .build();
    assert_eq!(t.resolve(ip("198.51.100.1")), ready(0, GW_MAC, 1500));
    assert_eq!(t.source_for(ip("198.51.100.1")), Some(ip("10.9.0.1")));
}

#[test]
fn the_source_is_the_routes_or_one_that_fits() {
    let t = lan()
        .interface(interface(2, &["10.11.0.1", "10.12.0.1", "fe80::3"]))
        .route(route("10.12.0.0/24", 12, |r| {
            r.prefsrc = Some(ip("10.12.0.1"))
        }))
        .route(route("10.13.0.0/24", 12, |r| {
            r.gateway = Some(ip("10.12.0.254"))
        }))
        .route(route("10.14.0.0/24", 12, |_| {}))
        .route(route("fd00:12::/64", 12, |_| {}))
        .route(route("fe80::/64", 12, |_| {}))
        .build();
    for (dst, want) in [
        ("10.10.0.11", Some("10.10.0.1")),
        ("8.8.8.8", Some("10.9.0.1")),
        ("10.13.0.1", Some("10.12.0.1")),
        ("10.14.0.1", Some("10.11.0.1")),
        ("fd00:10::11", Some("fd00:10::1")),
        ("2001:db8::1", Some("fd00:9::1")),
        ("fd00:12::1", Some("fd00:9::1")),
        ("fe80::77", Some("fe80::3")),
        ("10.9.0.1", Some("10.9.0.1")),
        ("192.0.2.1", None),
    ] {
        assert_eq!(t.source_for(ip(dst)), want.map(ip), "{dst}");
    }
}

#[test]
fn a_local_prefix_is_the_hosts_whatever_the_routes_say() {
    let t = lan()
        .local_prefix(ip("203.0.113.0"), 24)
        .route(route("203.0.113.9/32", 11, |_| {}))
        .build();
    assert_eq!(t.resolve(ip("203.0.113.9")), Resolution::Local);
    assert_eq!(t.resolve(ip("203.0.112.9")), ready(0, GW_MAC, 1500));
    let mut addrs: Vec<_> = t.local_addrs().map(|a| a.to_string()).collect();
    addrs.sort();
    let want = "10.10.0.1 10.9.0.1 172.16.0.1 fd00:10::1 fd00:9::1 fe80::1";
    assert_eq!(addrs.join(" "), want);
}

#[test]
fn interfaces_are_found_in_any_order() {
    let mut b = Topology::builder();
    b.interface(interface(2, &[])).interface(interface(0, &[]));
    let t = b.build();
    for port in [0, 2] {
        assert_eq!(t.interface(PortId(port)).unwrap().port, PortId(port));
    }
    assert!(t.interface(PortId(1)).is_none());
}

/// What a person would do: look at every route.
fn by_scanning(routes: &[Route], dst: Ip) -> Option<&Route> {
    let shared = |r: &Route| {
        let skipped = 128 - u32::from(full_length(dst.family()));
        (bits(r.dst) ^ bits(dst)).leading_zeros() - skipped >= u32::from(r.prefix_len)
    };
    routes
        .iter()
        .filter(|r| r.dst.family() == dst.family() && shared(r))
        .min_by_key(|r| (std::cmp::Reverse(r.prefix_len), r.metric))
}

/// Addresses from a small space, so that prefixes nest and meet.
fn any_ip() -> impl Strategy<Value = Ip> {
    (any::<bool>(), any::<[u8; 4]>()).prop_map(|(v4, b)| {
        let b = b.map(|x| x & 0x81);
        if v4 {
            Ip::v4([10 | b[0], b[1], b[2], b[3]])
        } else {
            let mut x = [0; 16];
            (x[0], x[1], x[7], x[8], x[15]) = (0x20, b[0], b[1], b[2], b[3]);
            Ip::v6(x)
        }
    })
}

fn any_route() -> impl Strategy<Value = Route> {
    (any_ip(), 0..=128u8, 0..3u32, 0..4u32).prop_map(|(dst, len, metric, ifindex)| Route {
        dst,
        prefix_len: len % (full_length(dst.family()) + 1),
        metric,
        ifindex,
        gateway: None,
        prefsrc: None,
        mtu: None,
    })
}

proptest! {
    #[test]
    fn look_up_agrees_with_a_linear_scan(
        routes in proptest::collection::vec(any_route(), 0..40),
        dsts in proptest::collection::vec(any_ip(), 1..40),
    ) {
        let mut b = Topology::builder();
        for n in 1..=2 {
            b.interface(Interface { ifindex: n, ..interface(n as u16, &[]) });
        }
        for r in &routes {
            b.route(r.clone());
        }
        let t = b.build();
        for dst in dsts {
            let want = match by_scanning(&routes, dst) {
                Some(r @ Route { ifindex: 1 | 2, .. }) => Resolution::Unresolved {
                    ifindex: r.ifindex,
                    next_hop: dst,
                },
                _ => Resolution::NoRoute,
            };
            prop_assert_eq!(t.resolve(dst), want);
        }
    }
}

#[test]
fn what_leads_by_a_macvlan_leads_by_the_port_below() {
    let above = |ifindex, last| Macvlan {
        port: PortId(1),
        below: 11,
        ifindex,
        mac: Mac([0, 0, 0x5e, 0, 1, last]),
    };
    let mut b = lan();
    b.route(route("203.0.113.0/24", 20, |r| {
        r.gateway = Some(ip("10.10.0.11"))
    }));
    let by_none = Resolution::NoRoute;
    assert_eq!(b.build().resolve(ip("203.0.113.1")), by_none);
    b.macvlan(above(20, 51)).macvlan(above(21, 52));
    let t = b.build();
    let Resolution::Ready(hop) = t.resolve(ip("203.0.113.1")) else {
        panic!("{:?}", t.resolve(ip("203.0.113.1")));
    };
    assert_eq!((hop.port, hop.dst_mac), (PortId(1), RS_MAC));
    assert_eq!(hop.src_mac, interface(1, &[]).mac);

    let to = |mac: Mac| [&mac.0[..], &[0; 8]].concat();
    let interface = |port| t.interface(PortId(port)).unwrap();
    for (port, to_mac, own) in [
        (1, above(21, 52).mac, above(21, 52).mac),
        (0, above(21, 52).mac, interface(0).mac),
        (1, RS_MAC, interface(1).mac),
    ] {
        assert_eq!(t.own_mac(interface(port), &to(to_mac)), own, "{to_mac}");
    }
    assert_eq!(t.own_mac(interface(1), &[]), interface(1).mac);
}
