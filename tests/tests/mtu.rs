//! Packets too big for the way on: ICMP with the right MTU where they may not be fragmented, fragments
//! where they may; and fragments from clients find the way of their flow.

use tests::capture::Capture;
use tests::command::text;
use tests::traffic::{noise, sha256, url};
use tests::{Family, Lan, Lvsd, Method, Plan, Rules, UdpAsk};

/// Payload that makes a packet of 1500 bytes.
fn full(family: Family) -> usize {
    match family {
        Family::V4 => 1500 - 20 - 8,
        Family::V6 => 1500 - 40 - 8,
    }
}

/// What an Ethernet packet has left inside a tunnel.
fn tunnel_mtu(outer: Family) -> u32 {
    match outer {
        Family::V4 => 1500 - 20,
        Family::V6 => 1500 - 40,
    }
}

/// Each VIP family in each tunnel family.
const TUNNELS: [(Family, Family); 4] = [
    (Family::V4, Family::V4),
    (Family::V6, Family::V6),
    (Family::V4, Family::V6),
    (Family::V6, Family::V4),
];

fn tunnel_rules(lan: &Lan, inner: Family, outer: Family) -> Rules {
    let server = lan.server(outer, 0);
    Rules::new()
        .tcp(inner.vip(), 80)
        .server(server, 80, Method::Tun)
        .udp(inner.vip(), 7000)
        .server(server, 7000, Method::Tun)
}

/// The path MTU that the client's kernel has learnt.
fn learnt_mtu(lan: &Lan, family: Family) -> Option<u32> {
    let route = lan
        .client
        .run(&["ip", "route", "get", &family.vip().to_string()]);
    let mut words = route.split_whitespace();
    words.find(|w| *w == "mtu")?;
    words.next()?.parse().ok()
}

#[test]
fn tcp_learns_the_mtu_of_the_tunnel() {
    for (inner, outer) in TUNNELS {
        let lan = Plan::of(Method::Tun, 1).without_offloads().build();
        let _servers = lan.backends(Method::Tun);
        let _lvsd = Lvsd::start(&lan, tunnel_rules(&lan, inner, outer));
        let capture = Capture::start(&lan.client, "eth0", "icmp or icmp6");
        let sent = lan.client.file("sent");
        noise(&sent, 5);
        let file = url(inner.vip(), "/files/noise");
        let out = lan
            .client
            .curl(&["--fail", "-T", sent.to_str().unwrap(), &file]);
        assert!(
            out.status.success(),
            "{inner:?} in {outer:?}: {}",
            text(&out.stderr)
        );
        assert_eq!(sha256(&lan.servers[0].stored("noise")), sha256(&sent));

        let seen = capture.stop();
        let told = seen.iter().filter_map(|p| p.payload()?.too_big()).next();
        assert_eq!(told, Some(tunnel_mtu(outer)), "{inner:?} in {outer:?}");
        assert_eq!(learnt_mtu(&lan, inner), Some(tunnel_mtu(outer)));
    }
}

#[test]
fn udp_that_may_not_be_fragmented_is_told() {
    for (inner, outer) in TUNNELS {
        let lan = Plan::of(Method::Tun, 1).build();
        let _servers = lan.backends(Method::Tun);
        let _lvsd = Lvsd::start(&lan, tunnel_rules(&lan, inner, outer));
        let ask = UdpAsk::new(inner.vip(), 7000).dont_fragment();
        let big = ask.clone().size(full(inner)).from(&lan.client);
        assert_eq!(big, ["EMSGSIZE"], "{inner:?} in {outer:?}");
        assert_eq!(learnt_mtu(&lan, inner), Some(tunnel_mtu(outer)));
        let fits = ask.size(full(inner) - 40).from(&lan.client);
        assert_eq!(fits, ["r1"], "{inner:?} in {outer:?}");
    }
}

#[test]
fn udp_that_may_be_fragmented_arrives() {
    for outer in Family::BOTH {
        let lan = Plan::of(Method::Tun, 1).build();
        let _servers = lan.backends(Method::Tun);
        let _lvsd = Lvsd::start(&lan, tunnel_rules(&lan, Family::V4, outer));
        let ask = UdpAsk::new(Family::V4.vip(), 7000).may_be_fragmented();
        let served = ask.size(full(Family::V4)).rounds(3).from(&lan.client);
        assert_eq!(served, ["r1"; 3], "in {outer:?}");
    }
}

/// Behind the director the links are smaller than before it.
#[test]
fn a_smaller_network_behind_nat_is_told() {
    let lan = Plan::of(Method::Nat, 1).build();
    lan.director.ip("link set eth1 mtu 1400\n");
    lan.servers[0].ip("link set eth0 mtu 1400\n");
    let _servers = lan.backends(Method::Nat);
    for family in Family::BOTH {
        let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, family));
        let ask = UdpAsk::new(family.vip(), 7000);
        let big = ask
            .clone()
            .dont_fragment()
            .size(full(family))
            .from(&lan.client);
        assert_eq!(big, ["EMSGSIZE"]);
        assert_eq!(learnt_mtu(&lan, family), Some(1400));
        assert_eq!(ask.size(1000).from(&lan.client), ["r1"]);
    }
}

#[test]
fn a_smaller_network_behind_nat_gets_fragments_where_it_may() {
    let lan = Plan::of(Method::Nat, 1).build();
    lan.director.ip("link set eth1 mtu 1400\n");
    lan.servers[0].ip("link set eth0 mtu 1400\n");
    let _servers = lan.backends(Method::Nat);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, Family::V4));
    let ask = UdpAsk::new(Family::V4.vip(), 7000).may_be_fragmented();
    assert_eq!(
        ask.size(full(Family::V4)).rounds(3).from(&lan.client),
        ["r1"; 3]
    );
}

fn fragments_follow_their_flow(method: Method, family: Family) {
    let lan = Plan::of(method, 3).build();
    let _servers = lan.backends(method);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    let ask = UdpAsk::new(family.vip(), 7000);
    if (method, family) == (Method::Tun, Family::V6) {
        // Nobody on the way fragments IPv6: the sender has to learn first how big fragments may be.
        assert_eq!(ask.clone().size(4000).from(&lan.client), ["EMSGSIZE"]);
    }
    for size in [4000, 20_000] {
        let served = ask.clone().size(size).flows(6).rounds(3).from(&lan.client);
        for flow in served.chunks(3) {
            assert!(["r1", "r2", "r3"].contains(&flow[0].as_str()), "{served:?}");
            assert!(flow.iter().all(|server| *server == flow[0]), "{served:?}");
        }
    }
}

tests::for_each_method!(fragments_follow_their_flow);
