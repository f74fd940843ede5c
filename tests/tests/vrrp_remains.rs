//! Nothing remains: what a director has told its kernel as master is taken back at its stop, also what a predecessor that was
//! killed has left.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tests::command::eventually;
use tests::process::PATIENCE;
use tests::vrrp::Flavour::{V3, V3Ipv6};
use tests::vrrp::pair::GLOBAL;
use tests::vrrp::{Cast, Pair, Place, Remains, Router, Rule, Side};

const HERE: Place = Place::First;

/// Everything that a virtual router can tell the kernel, and a configuration outside of them.
fn everything() -> (Vec<Router>, String) {
    let router = |vrid, flavour, vmac| Router {
        vrid,
        flavour,
        cast: Cast::Multicast,
        rule: Rule::Preempt,
        interval: Duration::from_millis(100),
        vmac,
    };
    let lines = [
        (
            router(1, V3, false),
            " virtual_ipaddress_excluded {\n\
             10.9.0.201/24 brd + dev eth0 label eth0:vip\n 10.9.8.1/24 scope link\n fd00:9::e1/64\n }\n\
             virtual_routes {\n 192.0.2.0/24 via 10.9.0.2 dev eth0 metric 7\n\
             198.51.100.0/24 via 10.9.0.2 dev eth0 table 77\n blackhole 203.0.113.0/24\n }\n\
             virtual_rules {\n from 192.0.2.0/24 table 77 preference 100\n }\n",
        ),
        (
            router(2, V3Ipv6, false),
            " virtual_routes {\n 2001:db8:7::/48 via fd00:9::2 dev eth0\n }\n\
             virtual_rules {\n to 2001:db8:8::/48 table 78 preference 101\n }\n",
        ),
        (router(3, V3, true), ""),
        (router(4, V3Ipv6, true), ""),
        (router(5, V3, false), " no_accept\n"),
        (router(6, V3Ipv6, false), " no_accept\n"),
        (router(7, V3, false), " promote_secondaries\n"),
    ];
    let global = "static_ipaddress {\n 10.9.9.1/24 dev eth0\n}\n\
         static_routes {\n 192.0.3.0/24 via 10.9.0.2 dev eth0\n}\n\
         static_rules {\n from 192.0.3.0/24 table 79 preference 102\n}\n";
    let blocks = lines
        .iter()
        .map(|(router, lines)| router.block(HERE, lines));
    let conf = [GLOBAL, global].concat() + &blocks.collect::<String>();
    (lines.map(|(router, _)| router).to_vec(), conf)
}

/// Marks of it in a dump.
const MARKS: [&str; 16] = [
    "10.9.0.101/32",
    "10.9.0.201/24 brd 10.9.0.255",
    "eth0:vip",
    "10.9.8.1/24",
    "fd00:9::e1/64",
    "192.0.2.0/24 via 10.9.0.2 dev eth0",
    "198.51.100.0/24 via 10.9.0.2 dev eth0 table 77",
    "blackhole 203.0.113.0/24",
    "from 192.0.2.0/24 lookup 77",
    "2001:db8:7::/48 via fd00:9::2",
    "to 2001:db8:8::/48 lookup 78",
    "macvlan mode private",
    "00:00:5e:00:02:04",
    "10.9.9.1/24",
    "192.0.3.0/24 via 10.9.0.2",
    "promote_secondaries = 1",
];

fn start(pair: &mut Pair) {
    pair.start(HERE);
    let all: BTreeSet<IpAddr> = pair.fleet().iter().map(Router::vip).collect();
    assert!(
        eventually(PATIENCE, || pair.held(HERE) == all),
        "{:?}",
        pair.held(HERE)
    );
}

/// The dump is as it was before, but for lines with `forgotten` in them.
#[track_caller]
fn assert_same(before: &Remains, pair: &Pair, forgotten: Option<&str>, when: &str) {
    let mut difference = Vec::new();
    let same = eventually(Duration::from_secs(5), || {
        difference = Remains::of(pair.node(HERE)).difference(before);
        difference.retain(|line| forgotten.is_none_or(|known| !line.contains(known)));
        difference.is_empty()
    });
    assert!(same, "{when}:\n{}", difference.join("\n"));
}

fn nothing_remains(side: Side) {
    let (routers, conf) = everything();
    // keepalived forgets sysctls of an interface that has had virtual MACs.
    let forgotten = (side == Side::Keepalived).then_some("net.ipv4.conf.eth0.");
    let mut pair = Pair::new([side; 2], routers);
    pair.configure(HERE, conf);
    let before = Remains::of(pair.node(HERE));
    assert_same(&before, &pair, forgotten, "nothing has happened");

    start(&mut pair);
    let told = || Remains::of(pair.node(HERE)).difference(&before).join("\n");
    let missing = || {
        let told = told();
        MARKS
            .into_iter()
            .filter(|mark| !told.contains(mark))
            .collect::<Vec<_>>()
    };
    assert!(
        eventually(PATIENCE, || missing().is_empty()),
        "{:?} in {}",
        missing(),
        told()
    );
    pair.stop(HERE);
    assert_same(&before, &pair, forgotten, "stopped");

    // And it does not know what it has set in an earlier life.
    if side == Side::Keepalived {
        return;
    }
    start(&mut pair);
    pair.kill(HERE);
    start(&mut pair);
    pair.stop(HERE);
    assert_same(&before, &pair, forgotten, "killed, started and stopped");
}

#[test]
fn little_remains_of_keepalived() {
    nothing_remains(Side::Keepalived);
}

#[test]
fn nothing_remains_of_lvsd() {
    nothing_remains(Side::Lvsd);
}
