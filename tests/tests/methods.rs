//! Every forwarding method carries TCP and UDP of both IP versions from unmodified clients to unmodified
//! servers.

use tests::traffic::url;
use tests::{Family, Lan, Lvsd, Method, Plan, Rules, UdpAsk, spread};

/// Requests over 30 connections, and datagrams of 30 flows, reach three servers ten times each.
fn assert_balanced(lan: &Lan, family: Family) {
    let served = lan.client.fetch(&url(family.vip(), "/"), 30);
    let evenly = [("r1", 10), ("r2", 10), ("r3", 10)].into();
    assert_eq!(spread(&served), evenly, "TCP");

    let served = UdpAsk::new(family.vip(), 7000).flows(30).from(&lan.client);
    assert_eq!(spread(&served), evenly, "UDP");
}

fn requests_are_spread(method: Method, family: Family) {
    let lan = Plan::of(method, 3).build();
    let _servers = lan.backends(method);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    assert_balanced(&lan, family);
}

fn two_workers_do_as_one(method: Method, family: Family) {
    let lan = Plan::of(method, 3).build();
    let _servers = lan.backends(method);
    let rules = Rules::of(&lan, method, family);
    let _lvsd = Lvsd::with(&lan, rules).workers(2).start();
    assert_balanced(&lan, family);
}

fn a_flow_keeps_its_server(method: Method, family: Family) {
    let lan = Plan::of(method, 3).build();
    let _servers = lan.backends(method);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    let served = UdpAsk::new(family.vip(), 7000)
        .flows(9)
        .rounds(5)
        .from(&lan.client);
    for flow in served.chunks(5) {
        assert_eq!(spread(flow).len(), 1, "{served:?}");
    }
    assert_eq!(spread(&served), [("r1", 15), ("r2", 15), ("r3", 15)].into());
}

tests::for_each_method!(requests_are_spread two_workers_do_as_one a_flow_keeps_its_server);

/// The VIP in one family, the tunnel in the other.
fn tunnel_across_families(inner: Family, outer: Family) {
    let lan = Plan::of(Method::Tun, 3).build();
    let _servers = lan.backends(Method::Tun);
    let (vip, servers) = (inner.vip(), lan.server_addresses(outer));
    let rules = Rules::new()
        .tcp(vip, 80)
        .servers(&servers, 80, Method::Tun)
        .udp(vip, 7000)
        .servers(&servers, 7000, Method::Tun);
    let _lvsd = Lvsd::start(&lan, rules);
    assert_balanced(&lan, inner);
}

#[test]
fn tunnel_ipv4_in_ipv6() {
    tunnel_across_families(Family::V4, Family::V6);
}

#[test]
fn tunnel_ipv6_in_ipv4() {
    tunnel_across_families(Family::V6, Family::V4);
}

/// Port 80 of the VIP is port 8080 of the servers, and UDP 53 is 7000.
fn ports_are_mapped(method: Method, family: Family) {
    let lan = Plan::of(method, 2).build();
    let _servers = lan.backends(method);
    let servers = lan.server_addresses(family);
    let rules = Rules::new()
        .tcp(family.vip(), 81)
        .servers(&servers, 8080, method)
        .udp(family.vip(), 53)
        .servers(&servers, 7000, method);
    let _lvsd = Lvsd::start(&lan, rules);
    let served = lan.client.fetch(&url(family.vip(), ":81/"), 4);
    assert_eq!(spread(&served), [("r1", 2), ("r2", 2)].into());
    let served = UdpAsk::new(family.vip(), 53).flows(4).from(&lan.client);
    assert_eq!(spread(&served), [("r1", 2), ("r2", 2)].into());
}

#[test]
fn nat_maps_ports() {
    for family in Family::BOTH {
        ports_are_mapped(Method::Nat, family);
    }
}

#[test]
fn fullnat_maps_ports() {
    for family in Family::BOTH {
        ports_are_mapped(Method::FullNat, family);
    }
}

/// Whom the server takes for its client, and where it was asked.
fn seen_by_the_server(method: Method, family: Family) -> (String, String) {
    let lan = Plan::of(method, 1).build();
    let _servers = lan.backends(method);
    let _lvsd = Lvsd::start(&lan, Rules::of(&lan, method, family));
    let who = lan.client.fetch(&url(family.vip(), "/who"), 1).remove(0);
    let (client, server) = who.split_once(' ').expect("two words");
    (client.to_owned(), server.to_owned())
}

#[test]
fn addresses_change_as_the_method_says() {
    for family in Family::BOTH {
        let (client, vip, lip) = (family.client(), family.vip(), family.lip());
        let server = Plan::of(Method::Nat, 1).build().server(family, 0);
        for (method, src, dst) in [
            (Method::Nat, client, server),
            (Method::Dr, client, vip),
            (Method::Tun, client, vip),
            (Method::FullNat, lip, server),
        ] {
            let seen = seen_by_the_server(method, family);
            assert_eq!(
                seen,
                (src.to_string(), dst.to_string()),
                "{method:?} {family:?}"
            );
        }
    }
}

/// One service may use several methods.
#[test]
fn methods_may_be_mixed_in_one_service() {
    let lan = Plan::of(Method::Tun, 2).build();
    let _servers = lan.backends(Method::Tun);
    for family in Family::BOTH {
        let rules = Rules::new()
            .tcp(family.vip(), 80)
            .server(lan.server(family, 0), 80, Method::Dr)
            .server(lan.server(family, 1), 80, Method::Tun);
        let _lvsd = Lvsd::start(&lan, rules);
        let served = lan.client.fetch(&url(family.vip(), "/"), 10);
        assert_eq!(spread(&served), [("r1", 5), ("r2", 5)].into());
    }
}

/// Weights are obeyed (wrr), and a weight of 0 takes nothing new.
#[test]
fn weights_are_obeyed() {
    let lan = Plan::of(Method::Nat, 3).build();
    let _servers = lan.backends(Method::Nat);
    let family = Family::V4;
    let rules = Rules::new()
        .tcp(family.vip(), 80)
        .scheduler("wrr")
        .weighted(lan.server(family, 0), 80, Method::Nat, 3)
        .weighted(lan.server(family, 1), 80, Method::Nat, 1)
        .weighted(lan.server(family, 2), 80, Method::Nat, 0);
    let _lvsd = Lvsd::start(&lan, rules);
    let served = lan.client.fetch(&url(family.vip(), "/"), 20);
    assert_eq!(spread(&served), [("r1", 15), ("r2", 5)].into());
}

/// Every scheduler this version has serves; what each picks is tested beside its code.
#[test]
fn every_scheduler_serves() {
    let lan = Plan::of(Method::Nat, 2).build();
    let _servers = lan.backends(Method::Nat);
    let (vip, servers) = (Family::V4.vip(), lan.server_addresses(Family::V4));
    for scheduler in ["rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh"] {
        let rules =
            Rules::new()
                .tcp(vip, 80)
                .scheduler(scheduler)
                .servers(&servers, 80, Method::Nat);
        let _lvsd = Lvsd::start(&lan, rules);
        assert_eq!(
            lan.client.fetch(&url(vip, "/"), 10).len(),
            10,
            "{scheduler}"
        );
    }
}
