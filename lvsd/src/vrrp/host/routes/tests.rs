//! Routes against what `ip route` makes of the same words, and against what the kernel keeps.

use super::*;
use crate::vrrp::host::testing::{configured, in_new_network, run_in_words};

fn ip(words: &str) -> Result<String, String> {
    run_in_words("ip", words)
}

fn route(line: &str) -> Route {
    let mut routes = configured("static_routes", line).routes;
    assert_eq!(routes.len(), 1, "{line}");
    routes.remove(0)
}

/// All routes that carry keepalived's number, or another.
fn shown_by(protocol: &str) -> String {
    let [v4, v6] = ["-4", "-6"].map(|family| {
        ip(&format!(
            "-d {family} route show table all proto {protocol}"
        ))
        .unwrap()
    });
    // A second may go by.
    let lines: Vec<String> = format!("{v4}{v6}")
        .lines()
        .map(|line| match line.split_once("expires ") {
            Some((before, after)) => {
                let (_, after) = after.split_once("sec").unwrap();
                format!("{before}expires{after}")
            }
            None => line.trim_end().to_owned(),
        })
        .collect();
    lines.join("\n")
}

fn host() -> (Names, HashMap<String, Link>) {
    let link = |index, vrf_table| Link { index, vrf_table };
    let links = [("v0", link(3, None)), ("red", link(7, Some(1000)))];
    let links = links.map(|(name, link)| (name.to_owned(), link));
    (Names::read(), links.into())
}

fn message_of(line: &str) -> Result<RouteMessage, String> {
    let (names, links) = host();
    let host = Host {
        names: &names,
        links: &links,
    };
    message::message(&route(line), &host, Purpose::Add).map_err(|why| why.to_string())
}

/// Words of `ip route` that are keepalived's as well.
const LINES: &[&str] = &[
    "10.20.0.0/16 via 10.9.0.9",
    "10.20.0.0/16 via 10.9.0.9 dev v0 metric 7",
    "default via 10.9.0.9",
    "10.21.0.0/16 dev v0",
    "10.21.3.4 dev v0 src 10.9.0.1",
    "10.21.0.0/16 via inet6 fe80::9 dev v0",
    "local 10.22.0.1 dev v0",
    "broadcast 10.23.0.1 dev v0",
    "multicast 239.1.0.0/16 dev v0",
    "anycast 10.24.0.0/24 dev v0",
    "throw 10.25.0.0/16 table 99",
    "unreachable 10.26.0.0/16",
    "prohibit 10.27.0.0/16 metric 7",
    "blackhole 10.28.0.0/16 table 70000",
    "nat 10.29.0.0/16",
    "10.30.0.1/16 via 10.9.0.9",
    "10.31.0.0/16 via 10.77.0.9",
    "10.31.0.0/16 via 10.77.0.9 dev v0 onlink",
    "10.33.0.0/16 nexthop via 10.9.0.9 weight 3 nexthop via 10.77.0.10 dev v0 weight 256 onlink",
    "10.33.0.0/16 nexthop via 10.9.0.9 realms 3/4 nexthop dev v1",
    "10.34.0.0/16 via 10.9.0.9 table 1000 tos 0x10 realms 3/4",
    "10.34.0.0/16 via 10.9.0.9 realms 5 scope site",
    "10.35.0.0/16 via 10.9.0.9 mtu lock 1400 hoplimit 64 advmss lock 1300 reordering 4 window 9000 cwnd lock 5 ssthresh 8",
    "10.35.0.0/16 via 10.9.0.9 rtt 300ms rttvar lock 1s rto_min lock 5s initcwnd 7 initrwnd 9 quickack 1 fastopen_no_cookie 1",
    "10.35.0.0/16 via 10.9.0.9 features ecn congctl lock cubic",
    "10.35.0.0/16 via 10.9.0.9 congctl nosuch",
    "10.35.0.0/16 via 10.9.0.9 mtu 70000 advmss 70000",
    "10.36.0.0/16 encap ip id 5 dst 192.0.2.1 src 192.0.2.2 tos 8 ttl 9 via 10.9.0.9 src 10.9.0.1",
    "10.36.0.0/16 encap mpls 100/200 via 10.9.0.9",
    "10.36.0.0/16 nexthop encap ip id 6 dst 192.0.2.1 via 10.9.0.9 nexthop via 10.9.0.10",
    "10.37.0.0/16 via 10.9.0.9 ttl-propagate disabled",
    "2001:db8:1::/48 via fe80::9 dev v0 metric 5 pref high expires 1000",
    "2001:db8:1::/48 via fe80::9 dev v0 pref low mtu 1400",
    "2001:db8:2::/48 dev v0",
    "2001:db8:3::/48 from 2001:db8:9::/48 via fe80::9 dev v0",
    "unreachable 2001:db8:4::/48",
    "blackhole 2001:db8:4::/48 metric 9 table 4000",
    "2001:db8:5::/48 nexthop via fe80::9 dev v0 weight 2 nexthop via fe80::8 dev v0",
    "local 2001:db8:6::1 dev v0",
    "2001:db8:7::/48 encap ip6 id 5 dst 2001:db8::9 tc 4 hoplimit 3 via fe80::9 dev v0",
    "2001:db8:8::/48 encap ila 2001:db8:1:2 via fe80::9 dev v0",
    "2001:db8:9::/48 via fe80::9",
];

#[test]
fn routes_are_as_ip_route_makes_them_and_go_as_they_came() {
    in_new_network(|| {
        let mut routes = Routes::new(Names::read()).unwrap();
        let mut refused = Vec::new();
        for line in LINES {
            let wanted = [route(line)];
            // Which locks that always, without a word.
            let words = line.replace("rto_min lock", "rto_min");
            let theirs = ip(&format!("route add proto 18 {words}"));
            let expected = shown_by("18");
            for family in ["-4", "-6"] {
                ip(&format!("{family} route flush table all proto 18")).unwrap();
            }
            assert_eq!(shown_by("18"), "", "{line}");

            let ours = routes.add(&wanted).remove(0);
            assert_eq!(shown_by("18"), expected, "{line}: {ours:?}, {theirs:?}");
            if theirs.is_err() {
                assert!(
                    matches!(
                        ours,
                        Err(Refused {
                            why: Why::Kernel(_),
                            ..
                        })
                    ),
                    "{line}"
                );
                refused.push(*line);
                continue;
            }
            assert_eq!(ours.unwrap(), Change::Made, "{line}");
            assert_eq!(routes.present(&wanted).unwrap(), [true], "{line}");
            assert_eq!(routes.add(&wanted).remove(0).unwrap(), Change::Already);
            assert_eq!(shown_by("18"), expected, "{line}: again");
            assert_eq!(routes.remove(&wanted).remove(0).unwrap(), Change::Made);
            assert_eq!(shown_by("18"), "", "{line}");
            assert_eq!(routes.present(&wanted).unwrap(), [false], "{line}");
            assert_eq!(routes.remove(&wanted).remove(0).unwrap(), Change::Already);
        }
        println!("this kernel refuses, from us as from ip: {refused:#?}");
        assert!(LINES.len() - refused.len() > 25, "{refused:?}");
    });
}

#[test]
fn another_s_equal_route_stays() {
    in_new_network(|| {
        let mut routes = Routes::new(Names::read()).unwrap();
        for (line, other) in [
            (
                "10.20.0.0/16 via 10.9.0.9 metric 5",
                "10.20.0.0/16 via 10.9.0.9 metric 6 proto 18",
            ),
            (
                "10.20.0.0/16 via 10.9.0.9",
                "10.20.0.0/16 via 10.9.0.9 proto static",
            ),
            (
                "10.20.0.0/16 via 10.9.0.9",
                "10.20.0.0/16 via 10.9.0.8 proto 18",
            ),
            (
                "10.20.0.0/16 via 10.9.0.9",
                "10.20.0.0/16 via 10.9.0.9 table 9 proto 18",
            ),
            (
                "10.20.0.0/16 via 10.9.0.9",
                "blackhole 10.20.0.0/16 proto 18",
            ),
            (
                "10.20.0.0/16 via 10.9.0.9 tos 8",
                "10.20.0.0/16 via 10.9.0.9 proto 18",
            ),
            (
                "2001:db8::/32 via fe80::9 dev v0",
                "2001:db8::/32 via fe80::9 dev v0 metric 7 proto 18",
            ),
            (
                "2001:db8::/32 dev v0 metric 9",
                "2001:db8::/32 dev v0 proto static",
            ),
            (
                "unreachable 2001:db8::/32",
                "unreachable 2001:db8::/32 metric 7 proto 18",
            ),
        ] {
            let wanted = [route(line)];
            ip(&format!("route add {other}")).unwrap();
            let before = ["18", "static"].map(shown_by);
            assert_eq!(routes.present(&wanted).unwrap(), [false], "{line}");
            assert_eq!(
                routes.remove(&wanted).remove(0).unwrap(),
                Change::Already,
                "{line}"
            );
            assert_eq!(["18", "static"].map(shown_by), before, "{line}");
            assert_eq!(
                routes.add(&wanted).remove(0).unwrap(),
                Change::Made,
                "{line}"
            );
            assert_eq!(
                routes.remove(&wanted).remove(0).unwrap(),
                Change::Made,
                "{line}"
            );
            assert_eq!(["18", "static"].map(shown_by), before, "{line}");
            ip(&format!("route del {other}")).unwrap();
        }
    });
}

#[test]
fn what_is_there_already_is_told_from_what_is_in_the_way() {
    in_new_network(|| {
        let mut routes = Routes::new(Names::read()).unwrap();
        ip("route add 10.20.0.0/16 via 10.9.0.8").unwrap();
        let taken = routes
            .add(&[route("10.20.0.0/16 via 10.9.0.9 add")])
            .remove(0);
        assert_eq!(
            taken.unwrap_err().to_string(),
            "route 10.20.0.0/16 via 10.9.0.9: another one is in its place already"
        );
        // Where the new one goes is as it says.
        let first = |show: &str| ip(show).unwrap().lines().next().unwrap().to_owned();
        let show = "route show 10.20.0.0/16";
        routes
            .add(&[route("10.20.0.0/16 via 10.9.0.9 append")])
            .remove(0)
            .unwrap();
        assert!(first(show).contains("10.9.0.8"));
        routes
            .add(&[route("10.20.0.0/16 via 10.9.0.10")])
            .remove(0)
            .unwrap();
        assert!(first(show).contains("10.9.0.10"));
    });
}

#[test]
fn each_route_has_its_outcome() {
    in_new_network(|| {
        let mut routes = Routes::new(Names::read()).unwrap();
        let wanted = [
            "10.20.0.0/16 via 10.9.0.9",
            "10.21.0.0/16 dev eth77 table 5",
            "10.22.0.0/16 dev v0 table nosuch",
            "10.23.0.0/16 via 10.77.0.9",
            "10.24.0.0/16 via 10.9.0.9 vrf v0",
            "10.25.0.0/16 via 10.9.0.9",
        ]
        .map(route);
        let outcomes = routes
            .add(&wanted)
            .into_iter()
            .map(|o| o.map_err(|e| e.to_string()));
        assert_eq!(
            outcomes.collect::<Vec<_>>(),
            [
                Ok(Change::Made),
                Err("route 10.21.0.0/16 dev eth77 table 5: there is no interface \"eth77\"".into()),
                Err("route 10.22.0.0/16 dev v0 table nosuch: no table is called \"nosuch\" (in /etc/iproute2/rt_tables and the like)".into()),
                Err("route 10.23.0.0/16 via 10.77.0.9: Network is unreachable (os error 101)".into()),
                Err("route 10.24.0.0/16 via 10.9.0.9 vrf v0: \"v0\" is no VRF".into()),
                Ok(Change::Made),
            ]
        );
        // Its interface took the routes along.
        ip("link delete v0").unwrap();
        let gone = routes.remove(&wanted[..2]);
        assert!(gone.into_iter().all(|o| matches!(o, Ok(Change::Already))));
    });
}

#[test]
fn a_removal_that_was_kept_removes_the_route() {
    in_new_network(|| {
        let mut routes = Routes::new(Names::read()).unwrap();
        let wanted = route("2001:db8::/32 via fe80::9 dev v0");
        routes.add(std::slice::from_ref(&wanted)).remove(0).unwrap();
        let nowhere = route("10.21.0.0/16 dev eth77");
        let kept = routes.removals(&[nowhere, wanted.clone()]).unwrap();
        let [kept] = &kept[..] else { panic!() };
        Connection::route().unwrap().request(kept).unwrap();
        assert_eq!(routes.present(&[wanted]).unwrap(), [false]);
    });
}

fn attributes(line: &str) -> Vec<u8> {
    use lvs_vrrp::io::netlink::core::Emitable;
    let m = message_of(line).unwrap();
    let mut bytes = vec![0; m.buffer_len()];
    m.emit(&mut bytes);
    bytes.split_off(12)
}

/// What kernels without the modules are to be told, in the bytes of `linux/lwtunnel.h`, `mpls_iptunnel.h` and `ila.h`.
#[test]
fn encapsulations_as_bytes() {
    let to = [8, 0, 1, 0, 10, 36, 0, 0];
    let via = [8, 0, 5, 0, 10, 9, 0, 9];
    let mpls = attributes("10.36.0.0/16 encap mpls 100/200 via 10.9.0.9");
    let expected = [
        &to[..],
        &via,
        &[6, 0, 21, 0, 1, 0, 0, 0],
        &[16, 0, 22, 0, 12, 0, 1, 0, 0, 6, 0x40, 0, 0, 0x0c, 0x81, 0],
    ];
    // 100 << 12; 200 << 12 and the bit of the bottom.
    assert_eq!(mpls, expected.concat());
    let ila = attributes("10.36.0.0/16 encap ila 2001:db8:1:2 via 10.9.0.9");
    let expected = [
        &to[..],
        &via,
        &[6, 0, 21, 0, 3, 0, 0, 0],
        &[16, 0, 22, 0, 12, 0, 1, 0, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 2],
    ];
    assert_eq!(ila, expected.concat());
    let ip = attributes("10.36.0.0/16 encap ip id 5 ttl 9 flags 0x4 via 10.9.0.9");
    let expected = [
        &to[..],
        &via,
        &[6, 0, 21, 0, 2, 0, 0, 0],
        &[32, 0, 22, 0],
        &[12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 5],
        &[5, 0, 4, 0, 9, 0, 0, 0],
        &[6, 0, 6, 0, 0, 4, 0, 0],
    ];
    assert_eq!(ip, expected.concat());
}

#[test]
fn a_vrf_is_its_table_and_a_small_table_stands_in_the_header() {
    let m = message_of("10.36.0.0/16 dev v0 vrf red").unwrap();
    assert_eq!(m.header.table, 0);
    assert!(attributes("10.36.0.0/16 dev v0 vrf red").ends_with(&[8, 0, 4, 0, 3, 0, 0, 0]));
    let table = |bytes: &[u8]| bytes.windows(8).any(|w| w == [8, 0, 15, 0, 0xe8, 3, 0, 0]);
    assert!(table(&attributes("10.36.0.0/16 dev v0 vrf red")));
    let m = message_of("10.36.0.0/16 dev v0 table 255").unwrap();
    assert_eq!(m.header.table, 255);
}

#[test]
fn words_that_mean_nothing_are_named() {
    for (words, why) in [
        ("realms 70000", "realm 70000 is more than 65535"),
        (
            "realms 3/north",
            "no realm is called \"north\" (in /etc/iproute2/rt_realms and the like)",
        ),
        ("tos 256", "type of service 256 is more than 255"),
        ("protocol 256", "routing protocol 256 is more than 255"),
        (
            "encap ip id x",
            "\"x\" cannot be the id of an encapsulation",
        ),
        (
            "encap mpls 1048576",
            "\"1048576\" cannot be the label of an encapsulation",
        ),
        (
            "encap ila 1:2:3",
            "\"1:2:3\" cannot be the locator of an encapsulation",
        ),
        (
            "encap ila 1:2:3:4:5",
            "\"1:2:3:4:5\" cannot be the locator of an encapsulation",
        ),
    ] {
        let line = format!("10.36.0.0/16 via 10.9.0.9 {words}");
        assert_eq!(message_of(&line).unwrap_err(), why, "{words}");
    }
}
