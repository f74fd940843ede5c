//! Tables against nft's listings, and against what comes through.

use std::net::UdpSocket;
use std::time::Duration;

use super::*;
use crate::vrrp::host::testing::{in_new_network, run_in_words};

fn nft(words: &str) -> String {
    run_in_words("nft", words).unwrap()
}

/// All tables, without the remark whose they are.
fn listed() -> String {
    let listed = nft("list ruleset");
    let lines = listed.lines().filter(|l| !l.contains("flags owner"));
    let words = lines.flat_map(|l| l.split("# progname").next().unwrap().split_whitespace());
    words.collect::<Vec<_>>().join(" ")
}

fn named(table: &str, counters: bool) -> Wanted {
    Wanted::Nftables {
        table: table.to_owned(),
        priority: -7,
        counters,
    }
}

fn at<'a>(addresses: &[&'a str]) -> Vec<(IpAddr, &'a str)> {
    addresses
        .iter()
        .map(|a| (a.parse().unwrap(), "v0"))
        .collect()
}

#[test]
fn tables_are_keepalived_s() {
    in_new_network(|| {
        let mut firewall = Firewall::new(&Wanted::None).unwrap();
        assert_eq!(nft("list ruleset"), "");
        let vips = at(&["10.9.0.100", "10.9.0.101", "2001:db8::100", "fe80::100"]);
        assert_eq!(firewall.block("A", vips.clone()).unwrap(), Change::Made);
        assert_eq!(firewall.block("A", vips).unwrap(), Change::Already);
        assert_eq!(
            listed(),
            EXPECTED.split_whitespace().collect::<Vec<_>>().join(" ")
        );
    });
}

fn eventually(is: impl Fn() -> bool) -> bool {
    (0..600).any(|_| {
        is() || {
            std::thread::sleep(Duration::from_millis(50));
            false
        }
    })
}

/// Whether what `from` sends to `to` arrives, for which it has more time if it is to arrive.
fn arrives(from: &str, to: &str, expected: bool) -> bool {
    let bound = |ip: &str| match ip.contains(':') {
        true => UdpSocket::bind(format!("[{ip}]:0")).unwrap(),
        false => UdpSocket::bind(format!("{ip}:0")).unwrap(),
    };
    let (sender, receiver) = (bound(from), bound(to));
    receiver
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let tries = if expected { 200 } else { 1 };
    (0..tries).any(|_| {
        // What the host does not let out is refused at once.
        let _ = sender.send_to(b"x", receiver.local_addr().unwrap());
        receiver.recv(&mut [0; 1]).is_ok()
    })
}

#[test]
fn what_is_for_a_vip_or_from_it_is_dropped_and_nothing_else() {
    in_new_network(|| {
        for words in [
            "address add 10.9.0.100/32 dev v0",
            "address add 10.9.0.101/32 dev v0",
            "address add 2001:db8::1/64 dev v0 nodad",
            "address add 2001:db8::100/64 dev v0 nodad",
        ] {
            run_in_words("ip", words).unwrap();
        }
        let all = |expected: [bool; 5]| {
            let cases = [
                ("10.9.0.1", "10.9.0.100"),
                ("10.9.0.100", "10.9.0.1"),
                ("10.9.0.1", "10.9.0.101"),
                ("2001:db8::1", "2001:db8::100"),
                ("2001:db8::100", "2001:db8::1"),
            ];
            for ((from, to), expected) in cases.into_iter().zip(expected) {
                assert_eq!(arrives(from, to, expected), expected, "{from} to {to}");
            }
        };
        all([true; 5]);
        let mut firewall = Firewall::new(&named("mine", true)).unwrap();
        firewall
            .block("A", at(&["10.9.0.100", "2001:db8::100"]))
            .unwrap();
        all([false, false, true, false, false]);
        assert!(nft("list table ip mine").contains("ip daddr @vips counter packets 1 "));
        assert!(nft("list table ip mine").contains("priority filter - 7;"));
        firewall.unblock("A").unwrap();
        all([true; 5]);
        assert_eq!(nft("list ruleset"), "");
    });
}

#[test]
fn each_router_has_its_own_addresses_and_some_are_shared() {
    in_new_network(|| {
        let mut firewall = Firewall::new(&Wanted::None).unwrap();
        let has = |ip: &str| {
            listed().contains(&format!(" {ip} ")) || listed().contains(&format!(" {ip},"))
        };
        firewall.block("A", at(&["10.9.0.1", "10.9.0.2"])).unwrap();
        firewall
            .block("B", at(&["10.9.0.2", "10.9.0.3", "fe80::5"]))
            .unwrap();
        assert!(has("10.9.0.1") && has("10.9.0.2") && has("10.9.0.3") && has("fe80::5"));
        firewall.block("A", at(&["10.9.0.4"])).unwrap();
        assert!(!has("10.9.0.1") && has("10.9.0.2") && has("10.9.0.3") && has("10.9.0.4"));
        assert_eq!(firewall.unblock("C").unwrap(), Change::Already);
        assert_eq!(firewall.unblock("B").unwrap(), Change::Made);
        assert!(!has("10.9.0.2") && !has("10.9.0.3") && has("10.9.0.4"));
        assert!(!listed().contains("ip6"), "a table of nothing");
        // More than fit in one message.
        let many: Vec<IpAddr> = (0..5000u16)
            .map(|n| IpAddr::from([10, 10, n.to_be_bytes()[0], n.to_be_bytes()[1]]))
            .collect();
        firewall
            .block("A", many.iter().map(|ip| (*ip, "v0")))
            .unwrap();
        assert_eq!(listed().matches("10.10.").count(), 5000);
        drop(firewall);
        assert_eq!(nft("list ruleset"), "");
    });
}

#[test]
fn the_tables_end_with_the_process() {
    in_new_network(|| {
        let mut firewall = Firewall::new(&Wanted::None).unwrap();
        firewall.block("A", at(&["10.9.0.1"])).unwrap();
        // Nobody else changes them, not even one who flushes everything.
        nft("flush ruleset");
        assert!(listed().contains("10.9.0.1"));
        assert!(run_in_words("nft", "delete table ip keepalived").is_err());
        // As when it is killed.
        firewall.installed.clear();
        drop(firewall);
        // A program that another test is just starting has the socket for a moment.
        assert!(eventually(|| nft("list ruleset").is_empty()));
    });
}

#[test]
fn what_a_predecessor_left_is_replaced_and_what_another_made_is_not() {
    in_new_network(|| {
        nft("add table ip keepalived; add chain ip keepalived rest");
        let mut firewall = Firewall::new(&Wanted::None).unwrap();
        firewall.block("A", at(&["10.9.0.1"])).unwrap();
        assert!(listed().contains("10.9.0.1") && !listed().contains("rest"));
        drop(firewall);

        nft("add table ip filter; add chain ip filter theirs");
        let before = nft("list ruleset");
        let mut firewall = Firewall::new(&named("filter", false)).unwrap();
        let refused = firewall.block("A", at(&["10.9.0.1"])).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "table filter of nftables: another one is in its place already"
        );
        assert_eq!(nft("list ruleset"), before);
        nft("delete table ip filter");
        nft("add table ip filter { comment \"made by lvsd\"; chain rest { ; }; }");
        assert_eq!(
            firewall.block("A", at(&["10.9.0.1"])).unwrap(),
            Change::Made
        );
        assert!(!listed().contains("rest"));
        // Another of the same name finds it in use.
        let mut other = Firewall::new(&named("filter", false)).unwrap();
        let refused = other.block("A", at(&["10.9.0.2"])).unwrap_err();
        assert!(matches!(refused.why, Why::Taken), "{refused}");
        assert!(listed().contains("10.9.0.1"));
    });
}

#[test]
fn a_vmac_announces_its_groups_on_the_interface_below_and_asks_for_no_routers() {
    in_new_network(|| {
        let ip = |words: &str| run_in_words("ip", words).unwrap();
        for words in [
            "table netdev seen",
            "chain netdev seen in { type filter hook ingress device v1 priority 0; }",
            "rule netdev seen in ether saddr 00:00:5e:00:01:07 counter comment \"virtual\"",
            "rule netdev seen in ip protocol igmp counter comment \"igmp\"",
            "rule netdev seen in icmpv6 type mld2-listener-report counter comment \"mld\"",
        ] {
            nft(&format!("add {words}"));
        }
        let seen = |what: &str| {
            let listed = nft("list table netdev seen");
            let line = listed.lines().find(|l| l.contains(what)).unwrap();
            !line.contains("packets 0 ")
        };
        let mut firewall = Firewall::new(&named("mine", true)).unwrap();
        let below = ip("-o link show v0").split(':').next().unwrap().parse();
        let vmacs = BTreeMap::from([("vrrp.7".to_owned(), below.unwrap())]);
        assert_eq!(firewall.keep_quiet(&vmacs).unwrap(), Change::Made);
        assert_eq!(firewall.keep_quiet(&vmacs).unwrap(), Change::Already);
        assert_eq!(
            listed().matches("oifname \"vrrp.7\"").count(),
            4,
            "{}",
            listed()
        );
        for words in [
            "link add vrrp.7 link v0 address 00:00:5e:00:01:07 type macvlan mode private",
            "link set vrrp.7 addrgenmode none",
            "link set vrrp.7 up",
            "address add fe80::7/64 dev vrrp.7 nodad",
            "address add 10.9.0.7/32 dev vrrp.7",
        ] {
            ip(words);
        }
        let member = UdpSocket::bind("0.0.0.0:0").unwrap();
        let group = "224.1.2.3".parse().unwrap();
        member
            .join_multicast_v4(&group, &"10.9.0.7".parse().unwrap())
            .unwrap();
        // The kernel asks for routers within a second after the interface is up, and announces groups at random moments.
        let solicited = || {
            let listed = nft("list table ip6 mine_vmac");
            let line = listed
                .lines()
                .find(|l| l.contains("solicit"))
                .unwrap()
                .to_owned();
            !line.contains("packets 0 ")
        };
        let done = eventually(|| seen("igmp") && seen("mld") && solicited());
        assert!(done, "{}", nft("list ruleset"));
        assert!(!seen("virtual"), "{}", nft("list ruleset"));
        assert_eq!(firewall.keep_quiet(&BTreeMap::new()).unwrap(), Change::Made);
        assert!(!listed().contains("vmac"));
    });
}

const EXPECTED: &str = r#"
table ip keepalived {
    comment "made by lvsd"
    set vips { type ipv4_addr elements = { 10.9.0.100, 10.9.0.101 } }
    chain in {
        type filter hook input priority filter - 1; policy accept;
        ip daddr @vips drop
    }
    chain out {
        type filter hook output priority filter - 1; policy accept;
        ip saddr @vips drop
    }
}
table ip6 keepalived {
    comment "made by lvsd"
    set vips { type ipv6_addr elements = { 2001:db8::100 } }
    set vips_link_local { type ipv6_addr . ifname elements = { fe80::100 . "v0" } }
    chain in {
        type filter hook input priority filter - 1; policy accept;
        icmpv6 type 135-136 accept
        ip6 daddr . iifname @vips_link_local drop
        ip6 daddr @vips drop
    }
    chain out {
        type filter hook output priority filter - 1; policy accept;
        icmpv6 type 135-136 accept
        ip6 saddr . oifname @vips_link_local drop
        ip6 saddr @vips drop
    }
}
"#;
