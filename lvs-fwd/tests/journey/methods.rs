//! Every forwarding method, both families, both protocols, both directions.

use etherparse::{IpHeaders, Ipv4Header, Ipv6Header};
use lvs_core::{DropReason, Endpoint, Family, Method, PassReason, Protocol};

use crate::lab::{
    FAMILIES, GATEWAY_MAC, LAN, LAN_MAC, Lab, METHODS, Packet, SERVER_MAC, WAN, WAN_MAC, client,
    ends, every_service, links, local, own, raw, server, vip, with_servers,
};

/// A tunnel packet from the director to the server around `inner`, which is as it comes out.
fn tunnelled(inner: &Packet, remote: Endpoint) -> Vec<u8> {
    let family = remote.ip.family();
    let source = own(family, LAN);
    let inside = match inner.src.ip.family() {
        Family::V4 => 4,
        Family::V6 => 41,
    };
    let ip = match (source.as_v4(), remote.ip.as_v4()) {
        (Some(source), Some(destination)) => IpHeaders::Ipv4(
            Ipv4Header {
                time_to_live: inner.ttl,
                dont_fragment: inner.dont_fragment && inside == 4,
                // Only where it may be fragmented an identification matters; the lab's begin at 7.
                identification: if inside == 4 { 0 } else { 7 },
                source,
                destination,
                ..Ipv4Header::default()
            },
            Default::default(),
        ),
        _ => IpHeaders::Ipv6(
            Ipv6Header {
                hop_limit: inner.ttl,
                source: *source.bytes(),
                destination: *remote.ip.bytes(),
                ..Ipv6Header::default()
            },
            Default::default(),
        ),
    };
    raw(LAN_MAC, SERVER_MAC, ip, inside, &inner.ip_packet())
}

#[test]
fn nat_there_and_back() {
    for (family, protocol) in every_service() {
        let mut lab = Lab::new(Method::Nat);
        let question = Packet::opening(family, protocol);
        let asked = Packet {
            dst: server(family),
            ..question.forwarded()
        };
        let sent = lab.send(WAN, &question.sent_by_client());
        assert_eq!(sent, [(LAN, asked.to_server())], "{family:?} {protocol}");

        let answer = asked.reply();
        let answered = Packet {
            src: vip(family),
            ..answer.forwarded()
        };
        let sent = lab.send(LAN, &answer.sent_by_server());
        assert_eq!(sent, [(WAN, answered.to_client())], "{family:?} {protocol}");
        let counts = lab.counts();
        assert_eq!((counts.forwarded_in, counts.forwarded_out), (1, 1));
    }
}

#[test]
fn fullnat_there_and_back() {
    for (family, protocol) in every_service() {
        let mut lab = Lab::new(Method::FullNat);
        let question = Packet::opening(family, protocol);
        let sent = lab.send(WAN, &question.sent_by_client());
        let mut local_endpoint = None;
        lab.director
            .connections(lab.now, |c| local_endpoint = c.local);
        let local_endpoint = local_endpoint.unwrap();
        assert_eq!(local_endpoint.ip, local(family));
        assert!(local_endpoint.port >= 1024);
        let asked = Packet {
            src: local_endpoint,
            dst: server(family),
            ..question.forwarded()
        };
        assert_eq!(sent, [(LAN, asked.to_server())], "{family:?} {protocol}");

        let answer = asked.reply();
        let answered = Packet {
            src: vip(family),
            dst: client(family),
            ..answer.forwarded()
        };
        let sent = lab.send(LAN, &answer.sent_by_server());
        assert_eq!(sent, [(WAN, answered.to_client())], "{family:?} {protocol}");
    }
}

#[test]
fn direct_routing_changes_ethernet_addresses_and_the_ttl() {
    for (family, protocol) in every_service() {
        let mut lab = Lab::new(Method::DirectRoute);
        let question = Packet::opening(family, protocol);
        let sent = lab.send(WAN, &question.sent_by_client());
        assert_eq!(sent, [(LAN, question.forwarded().to_server())]);
        replies_pass_by(&mut lab, &question.reply());
    }
}

#[test]
fn a_tunnel_carries_the_packet_whole() {
    for (family, protocol) in every_service() {
        let mut lab = Lab::new(Method::Tunnel);
        let question = Packet::opening(family, protocol);
        let sent = lab.send(WAN, &question.sent_by_client());
        let expected = tunnelled(&question.forwarded(), server(family));
        assert_eq!(sent, [(LAN, expected)], "{family:?} {protocol}");
        replies_pass_by(&mut lab, &question.reply());
    }
}

#[test]
fn a_tunnel_may_lead_to_the_other_family() {
    for (family, protocol) in every_service() {
        let other = |f| match f {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        };
        let mut lab = Lab::with_servers_by(with_servers(links(1500)), |f| {
            (server(other(f)), Method::Tunnel)
        });
        let question = Packet::opening(family, protocol);
        let sent = lab.send(WAN, &question.sent_by_client());
        let expected = tunnelled(&question.forwarded(), server(other(family)));
        assert_eq!(sent, [(LAN, expected)], "{family:?} {protocol}");
    }
}

/// What a server sends from the virtual address itself needs no translation; the host routes it.
fn replies_pass_by(lab: &mut Lab, reply: &Packet) {
    assert_eq!(lab.send(LAN, &reply.sent_by_server()), []);
    assert_eq!(lab.passed(PassReason::NotOurs), 1);
    assert_eq!(ends(&lab.counts()), lab.counts().received);
}

#[test]
fn a_flow_stays_on_its_way_through_a_burst() {
    for method in METHODS {
        let mut lab = Lab::new(method);
        let opening = Packet::opening(Family::V4, Protocol::TCP);
        let later = Packet {
            syn: false,
            ack: true,
            ..opening.clone()
        };
        let burst: Vec<_> = std::iter::once(&opening)
            .chain(std::iter::repeat_n(&later, 31))
            .map(|p| (WAN, p.sent_by_client(), Default::default()))
            .collect();
        let sent = lab.send_burst(&burst);
        assert_eq!(sent.len(), 32, "{method:?}");
        assert!(sent.iter().all(|(port, _)| *port == LAN));
        assert_eq!(lab.director.connection_count(), 1);
        assert!(sent[1..].windows(2).all(|w| {
            // Tunnel headers of DF packets carry no identification, so all is alike.
            w[0] == w[1]
        }));
    }
}

#[test]
fn what_is_not_for_us_is_left_alone() {
    for family in FAMILIES {
        let mut lab = Lab::new(Method::Nat);
        let stranger = Packet::new(Protocol::TCP, client(family), own_service(family));
        assert_eq!(lab.send(WAN, &stranger.sent_by_client()), []);
        assert_eq!(lab.passed(PassReason::NotOurs), 1);
        let overheard = Packet::opening(family, Protocol::TCP).frame(GATEWAY_MAC, SERVER_MAC);
        assert_eq!(lab.send(WAN, &overheard), []);
        assert_eq!(lab.passed(PassReason::OtherHost), 1);
        let echo = Packet::opening(family, Protocol::TCP).frame(WAN_MAC, WAN_MAC);
        assert_eq!(lab.send(WAN, &echo), []);
        assert_eq!(lab.dropped(DropReason::Looped), 1);
        assert_eq!(ends(&lab.counts()), 3);
    }
}

fn own_service(family: Family) -> Endpoint {
    Endpoint::new(own(family, WAN), 22)
}
