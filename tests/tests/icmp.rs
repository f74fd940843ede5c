//! Errors on the way reach those they are about.

use etherparse::PacketBuilder;
use tests::capture::{Capture, Payload};
use tests::{Family, Lvsd, Method, Plan, Rules, UdpAsk};

/// As `traceroute` sees it: the director is a hop, and speaks in the name of the address that was asked for, as
/// IPVS does.
fn a_ttl_of_one_ends_at_the_director(method: Method, family: Family) {
    let lan = Plan::of(method, 1).build();
    let _servers = lan.backends(method);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    let capture = Capture::start(&lan.client, "eth0", "icmp or icmp6");
    let ask = UdpAsk::new(family.vip(), 7000);
    assert_eq!(ask.clone().ttl(1).from(&lan.client), ["EHOSTUNREACH"]);
    assert_eq!(ask.ttl(2).from(&lan.client), ["r1"]);

    let exceeded = match family {
        Family::V4 => 11,
        Family::V6 => 3,
    };
    let seen = capture.stop();
    let told: Vec<_> = seen.iter().filter(|p| p.is_icmp(exceeded, 0)).collect();
    assert_eq!(told.len(), 1, "{seen:#?}");
    assert_eq!(told[0].ip.as_ref().unwrap().src, family.vip());
}

/// Nobody listens at the real server's port: the client's socket learns it.
fn port_unreachable_reaches_the_client(method: Method, family: Family) {
    let lan = Plan::of(method, 1).build();
    let _decap = (method == Method::Tun).then(|| lan.decap());
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    let ask = UdpAsk::new(family.vip(), 7000);
    assert_eq!(ask.flows(3).from(&lan.client), ["ECONNREFUSED"; 3]);
}

/// The hop limit falls by one on the way, and on the way back.
fn the_ttl_falls_by_one(method: Method, family: Family) {
    let lan = Plan::of(method, 1).build();
    let _servers = lan.backends(method);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    let nodes = [&lan.client, &lan.servers[0]];
    let captures = nodes.map(|node| Capture::start(node, "eth0", "udp"));
    assert_eq!(
        UdpAsk::new(family.vip(), 7000).ttl(40).from(&lan.client),
        ["r1"]
    );

    let [client, server] = captures.map(Capture::stop);
    if method != Method::Tun {
        let arrived = server.iter().find_map(|p| match p.ip.as_ref()?.payload {
            Payload::Udp { dst: 7000, .. } => Some(p.ip.as_ref()?.ttl),
            _ => None,
        });
        assert_eq!(arrived, Some(39));
    }
    let returned = client.iter().find_map(|p| match p.ip.as_ref()?.payload {
        Payload::Udp { src: 7000, .. } => Some(p.ip.as_ref()?.ttl),
        _ => None,
    });
    // Replies of DR and tunnels do not pass the director.
    let direct = matches!(method, Method::Dr | Method::Tun);
    assert_eq!(returned, Some(if direct { 64 } else { 63 }));
}

/// A service without a server refuses at once rather than leaving the client to wait.
#[test]
fn a_service_without_servers_refuses() {
    let lan = Plan::of(Method::Nat, 1).build();
    for family in Family::BOTH {
        let _lvsd = Lvsd::start(
            &lan,
            Rules::new().udp(family.vip(), 7000).tcp(family.vip(), 80),
        );
        let ask = UdpAsk::new(family.vip(), 7000);
        assert_eq!(ask.from(&lan.client), ["ECONNREFUSED"]);
    }
}

/// A segment of a connection nobody knows, as after a restart: the sender is not left to wait. The kernel
/// would have done the same, but does not see it.
#[test]
fn a_segment_of_no_connection_is_reset() {
    for vip_on_director in [false, true] {
        let plan = Plan::of(Method::Nat, 1).vip_on_director(vip_on_director);
        let lan = plan.build();
        let _servers = lan.backends(Method::Nat);
        let _lvsd = Lvsd::start(&lan, Rules::of(&lan, Method::Nat, Family::V4));
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(lan.client.mac_bytes("eth0"), lan.director.mac_bytes("eth0"))
            .ipv4([10, 9, 0, 2], [10, 9, 0, 100], 64)
            .tcp(40_000, 80, 1_000_000, 65_535)
            .ack(2_000_000)
            .write(&mut frame, b"hello")
            .expect("a vector takes everything");
        let capture = Capture::start(&lan.client, "eth0", "tcp port 80");
        lan.client.inject([frame.as_slice()]);
        let seen = capture.stop();
        let resets = seen.iter().filter(|p| p.is_rst()).count();
        assert_eq!(resets, 1, "{seen:#?}");
    }
}

tests::for_each_method!(
    a_ttl_of_one_ends_at_the_director
    port_unreachable_reaches_the_client
    the_ttl_falls_by_one
);
