//! Packets whose next hop is not known yet.

use std::time::Duration;

use lvs_core::{DropReason, Family, Ip, Method, Protocol};

use crate::lab::{
    FAMILIES, LAN, Lab, METHODS, Packet, WAN, client, ends, links, server, vip, with_servers,
};

fn flow(family: Family, n: u16) -> Packet {
    let mut p = Packet::opening(family, Protocol::UDP);
    p.src.port += n;
    p
}

#[test]
fn three_wait_and_go_on_in_order() {
    for family in FAMILIES {
        let mut lab = Lab::with_topology(Method::Nat, links(1500).build());
        for n in 0..5 {
            assert_eq!(lab.send(WAN, &flow(family, n).sent_by_client()), []);
        }
        let counts = lab.counts();
        assert_eq!((counts.parked, counts.forwarded_in), (3, 0));
        assert_eq!(lab.dropped(DropReason::Unresolved), 2);
        let wanted: Vec<(u32, Ip)> = lab.pipeline.wanted().collect();
        assert_eq!(wanted, [(3, server(family).ip)], "asked for once");

        assert_eq!(lab.release(), [], "nothing has changed");
        lab.set_topology(with_servers(links(1500)));
        let released: Vec<_> = lab
            .release()
            .into_iter()
            .map(|(p, f)| (p, f.bytes))
            .collect();
        let expected: Vec<_> = (0..3)
            .map(|n| {
                let packet = Packet {
                    dst: server(family),
                    ..flow(family, n).forwarded()
                };
                (LAN, packet.to_server())
            })
            .collect();
        assert_eq!(released, expected);
        assert_eq!(lab.release(), [], "once only");
        let counts = lab.counts();
        assert_eq!(counts.forwarded_in, 3);
        assert_eq!(ends(&counts), 5);
    }
}

#[test]
fn nothing_waits_for_ever() {
    let mut lab = Lab::with_topology(Method::Nat, links(1500).build());
    lab.send(WAN, &flow(Family::V4, 0).sent_by_client());
    lab.now = lab.now + Duration::from_millis(2_900);
    assert_eq!(lab.release(), []);
    assert_eq!(lab.dropped(DropReason::Unresolved), 0);
    lab.now = lab.now + Duration::from_millis(200);
    lab.set_topology(with_servers(links(1500)));
    assert_eq!(lab.release(), []);
    assert_eq!(lab.dropped(DropReason::Unresolved), 1);
    assert_eq!(ends(&lab.counts()), 1);
}

#[test]
fn every_method_waits() {
    for method in METHODS {
        let mut lab = Lab::with_topology(method, links(1500).build());
        assert_eq!(lab.send(WAN, &flow(Family::V4, 0).sent_by_client()), []);
        lab.set_topology(with_servers(links(1500)));
        assert_eq!(lab.release().len(), 1, "{method:?}");
        // And what comes now need not wait.
        assert_eq!(
            lab.send(WAN, &flow(Family::V4, 1).sent_by_client()).len(),
            1
        );
    }
}

/// A changed Ethernet address counts from the next burst on.
#[test]
fn a_server_may_change_its_ethernet_address() {
    let mut lab = Lab::new(Method::DirectRoute);
    let mut mac_of = |mac: [u8; 6]| {
        let mut t = links(1500);
        t.neighbour(3, server(Family::V4).ip, lvs_fwd::route::Mac(mac));
        lab.set_topology(t.build());
        let sent = lab.send(WAN, &flow(Family::V4, 0).sent_by_client());
        sent[0].1[..6].to_vec()
    };
    for last in 1..4 {
        let mac = [2, 9, 9, 9, 9, last];
        assert_eq!(mac_of(mac), mac);
    }
}

#[test]
fn without_a_route_packets_are_dropped_with_a_count() {
    let mut lab = Lab::with_topology(Method::Nat, links(1500).build());
    let mut empty = lvs_fwd::route::Topology::builder();
    for i in links(1500).build().interfaces() {
        empty.interface(i.clone());
    }
    lab.set_topology(empty.build());
    let packet = Packet::new(Protocol::UDP, client(Family::V4), vip(Family::V4));
    assert_eq!(lab.send(WAN, &packet.sent_by_client()), []);
    assert_eq!(lab.dropped(DropReason::NoRoute), 1);
    lab.set_topology(Default::default());
    assert_eq!(lab.send(WAN, &packet.sent_by_client()), [], "no interface");
    assert_eq!(ends(&lab.counts()), 2);
}
