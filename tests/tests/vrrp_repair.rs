//! What somebody else takes away from a master is put back: addresses, routes, rules, the interface of a virtual MAC.

use std::time::Duration;

use tests::command::eventually;
use tests::process::PATIENCE;
use tests::vrrp::Flavour::V3;
use tests::vrrp::pair::GLOBAL;
use tests::vrrp::{Cast, Pair, Place, Router, Rule, Side};

const HERE: Place = Place::First;

fn router(vrid: u8, vmac: bool) -> Router {
    Router {
        vrid,
        flavour: V3,
        cast: Cast::Multicast,
        rule: Rule::Preempt,
        interval: Duration::from_millis(100),
        vmac,
    }
}

#[test]
fn what_is_taken_away_is_put_back() {
    let (plain, with_mac) = (router(1, false), router(2, true));
    let conf = [
        GLOBAL,
        "static_routes {\n 192.0.3.0/24 via 10.9.0.2 dev eth0\n}\n",
        &plain.block(
            HERE,
            " virtual_routes {\n 192.0.2.0/24 via 10.9.0.2 dev eth0\n }\n\
             virtual_rules {\n from 192.0.2.0/24 table 77 preference 100\n }\n",
        ),
        &with_mac.block(HERE, ""),
    ]
    .concat();
    let mut pair = Pair::new([Side::Lvsd; 2], vec![plain, with_mac]);
    pair.configure(HERE, conf);
    pair.start(HERE);
    let node = pair.node(HERE);
    let vips = [plain.vip(), with_mac.vip()];
    let is_whole = || {
        let routes = node.run(&["ip", "route", "show"]);
        let rules = node.run(&["ip", "rule", "show"]);
        pair.held(HERE).into_iter().eq(vips)
            && routes.contains("192.0.2.0/24 via 10.9.0.2")
            && routes.contains("192.0.3.0/24 via 10.9.0.2")
            && rules.contains("from 192.0.2.0/24 lookup 77")
    };
    assert!(eventually(PATIENCE, is_whole), "{}", pair.said(HERE));

    let address = format!("{}/32", plain.vip());
    for (theft, word) in [
        (
            vec!["addr", "del", &address, "dev", "eth0"],
            "address 10.9.0.101/32 was gone",
        ),
        (
            vec!["route", "del", "192.0.2.0/24"],
            "192.0.2.0/24 via 10.9.0.2 dev eth0 was gone",
        ),
        (
            vec!["route", "del", "192.0.3.0/24"],
            "192.0.3.0/24 via 10.9.0.2 dev eth0 was gone",
        ),
        (
            vec!["rule", "del", "preference", "100"],
            "from 192.0.2.0/24 table 77",
        ),
        (
            vec!["link", "del", "vrrp.2"],
            "there is no interface vrrp.2",
        ),
    ] {
        node.run(&[&["ip"], theft.as_slice()].concat());
        let noticed = || pair.said(HERE).contains(word) && is_whole();
        assert!(
            eventually(PATIENCE, noticed),
            "{theft:?}: {}",
            pair.said(HERE)
        );
    }
}
