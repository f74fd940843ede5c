//! Packets in pieces, in whatever order they come.

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6FragmentHeader, PacketBuilder,
};
use lvs_core::{
    DestOptions, DropReason, Endpoint, Family, Ip, Method, PassReason, Protocol, ServiceKey,
    ServiceOptions,
};
use lvs_fwd::classify::{Prefix, Rule};
use lvs_fwd::frame::Offload;
use lvs_fwd::route::Mac;

use crate::lab::{
    FAMILIES, GATEWAY_MAC, LAN, LAN_MAC, Lab, Packet, SERVER_MAC, WAN, WAN_MAC, client, ends, own,
    raw, server, vip,
};
use crate::sizes::datagram;

pub(crate) const FROM_CLIENT: (Mac, Mac) = (GATEWAY_MAC, WAN_MAC);
pub(crate) const TO_SERVER: (Mac, Mac) = (LAN_MAC, SERVER_MAC);
const FROM_SERVER: (Mac, Mac) = (SERVER_MAC, LAN_MAC);
const TO_CLIENT: (Mac, Mac) = (WAN_MAC, GATEWAY_MAC);

/// The fragments of a packet that a sender would make, cut at these places of its transport.
pub(crate) fn fragments(packet: &Packet, macs: (Mac, Mac), cuts: &[usize]) -> Vec<Vec<u8>> {
    pieces(
        &packet.ip_headers(),
        packet.protocol,
        &packet.transport(),
        macs,
        cuts,
    )
}

fn pieces(
    headers: &IpHeaders,
    protocol: Protocol,
    transport: &[u8],
    macs: (Mac, Mac),
    cuts: &[usize],
) -> Vec<Vec<u8>> {
    let cuts = [&[0], cuts, &[transport.len()]].concat();
    let ranges = cuts.windows(2).map(|w| w[0]..w[1]);
    let piece = |range: std::ops::Range<usize>| {
        let offset = IpFragOffset::try_new((range.start / 8) as u16).unwrap();
        let more = range.end < transport.len();
        let headers = match headers.clone() {
            IpHeaders::Ipv4(mut h, e) => {
                (h.fragment_offset, h.more_fragments, h.dont_fragment) = (offset, more, false);
                IpHeaders::Ipv4(h, e)
            }
            IpHeaders::Ipv6(h, mut e) => {
                let next = IpNumber(protocol.0);
                e.fragment = Some(Ipv6FragmentHeader::new(next, offset, more, 0xabcd_1234));
                IpHeaders::Ipv6(h, e)
            }
        };
        raw(macs.0, macs.1, headers, protocol.0, &transport[range])
    };
    ranges.map(piece).collect()
}

/// All orders of `0..n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let with = |shorter: Vec<usize>| {
        (0..n).map(move |at| {
            let mut order = shorter.clone();
            order.insert(at, n - 1);
            order
        })
    };
    orders(n - 1).into_iter().flat_map(with).collect()
}

/// The packet as the server gets it.
fn asked(packet: &Packet, method: Method) -> Packet {
    let dst = match method {
        Method::Nat => server(packet.dst.ip.family()),
        _ => packet.dst,
    };
    Packet {
        dst,
        ..packet.forwarded()
    }
}

#[test]
fn fragments_arrive_in_every_order_both_ways() {
    const CUTS: [usize; 3] = [16, 96, 136];
    for family in FAMILIES {
        for method in [Method::Nat, Method::DirectRoute] {
            let packet = datagram(family, 200, false);
            let asked = asked(&packet, method);
            let back = packet.reply().forwarded();
            let ways = [
                (WAN, &packet, FROM_CLIENT, LAN, &asked, TO_SERVER),
                (LAN, &asked.reply(), FROM_SERVER, WAN, &back, TO_CLIENT),
            ];
            let ways = match method {
                Method::Nat => &ways[..],
                _ => &ways[..1], // replies go past us
            };
            for order in orders(CUTS.len() + 1) {
                let mut lab = Lab::new(method);
                for (port, packet, macs, other_port, rewritten, other_macs) in ways {
                    let cuts = match *port {
                        WAN => &CUTS[..],
                        _ => &[8, 16], // the answer is short
                    };
                    let arriving = fragments(packet, *macs, cuts);
                    let leaving = fragments(rewritten, *other_macs, cuts);
                    let order: Vec<_> = order.iter().filter(|i| **i < arriving.len()).collect();
                    let first = order.iter().position(|i| **i == 0).unwrap();
                    let mut sent = Vec::new();
                    for (n, i) in order.iter().enumerate() {
                        let now = lab.send(*port, &arriving[**i]);
                        let expected = match n {
                            n if n < first => 0,
                            n if n == first => n + 1,
                            _ => 1,
                        };
                        assert_eq!(now.len(), expected, "{order:?}");
                        sent.extend(now);
                    }
                    // The first goes before those that waited for it, and these in the order they came.
                    let mut expected: Vec<_> = order.iter().map(|i| leaving[**i].clone()).collect();
                    expected[..=first].rotate_right(1);
                    let expected: Vec<_> = expected.into_iter().map(|f| (*other_port, f)).collect();
                    assert_eq!(sent, expected, "{family:?} {method:?} {order:?}");
                }
                let counts = lab.counts();
                assert_eq!(ends(&counts), counts.received);
                assert_eq!(lab.dropped(DropReason::FragmentUnknown), 0);
            }
        }
    }
}

#[test]
fn the_order_within_a_burst_does_not_matter_either() {
    for family in FAMILIES {
        let packet = datagram(family, 200, false);
        let leaving = fragments(&asked(&packet, Method::Nat), TO_SERVER, &[64, 128]);
        for order in orders(3) {
            let mut lab = Lab::new(Method::Nat);
            let arriving = fragments(&packet, FROM_CLIENT, &[64, 128]);
            let burst: Vec<_> = order
                .iter()
                .map(|i| (WAN, arriving[*i].clone(), Offload::default()))
                .collect();
            let mut sent: Vec<_> = lab
                .send_burst(&burst)
                .into_iter()
                .map(|f| f.1.bytes)
                .collect();
            assert_eq!(sent[0], leaving[0], "{order:?}");
            sent.sort();
            let mut expected = leaving.clone();
            expected.sort();
            assert_eq!(sent, expected, "{order:?}");
        }
    }
}

#[test]
fn what_nobody_follows_up_is_given_up() {
    for family in FAMILIES {
        let mut lab = Lab::new(Method::Nat);
        let packet = datagram(family, 200, false);
        let arriving = fragments(&packet, FROM_CLIENT, &[96]);
        assert_eq!(lab.send(WAN, &arriving[1]), []);
        let counts = lab.counts();
        assert_eq!((counts.held, ends(&counts)), (1, 0));
        lab.settle();
        assert_eq!(lab.dropped(DropReason::FragmentUnknown), 1);
        assert_eq!(
            lab.send(WAN, &arriving[0]).len(),
            1,
            "too late for the other"
        );
        assert_eq!(ends(&lab.counts()), 2);

        // A flood pushes out what is older, and takes no more room.
        let flood = |n: u16| Packet {
            src: Endpoint::new(
                match family {
                    Family::V4 => format!("203.0.{}.{}", n >> 8, n & 255),
                    Family::V6 => format!("2001:db8:f::{n:x}"),
                }
                .parse()
                .unwrap(),
                5000,
            ),
            ..datagram(family, 1000, false)
        };
        for n in 1..=2000 {
            lab.send(WAN, &fragments(&flood(n), FROM_CLIENT, &[64])[1]);
        }
        let given_up = lab.dropped(DropReason::FragmentUnknown);
        assert_eq!(given_up, 1 + 2000 - 512);
        let mut first = |n| {
            lab.send(WAN, &fragments(&flood(n), FROM_CLIENT, &[64])[0])
                .len()
        };
        assert_eq!((first(1488), first(1489), first(2000)), (1, 2, 2));
    }
}

/// Only with its ports a fragment has the mark that its service asks for.
#[test]
fn fragments_of_a_marked_flow_wait_too() {
    for family in FAMILIES {
        let mut lab = Lab::new(Method::Nat);
        // No service has this address for its own.
        let ip = match family {
            Family::V4 => "198.51.100.99".parse().unwrap(),
            Family::V6 => "2001:db8:80::99".parse().unwrap(),
        };
        let service = Endpoint::new(ip, 7000);
        let added = lab.director.edit(|draft| {
            let key = ServiceKey::Mark { family, mark: 9 };
            let options = ServiceOptions::default();
            draft.add_service(key, lvs_sched::build("rr").unwrap(), options)?;
            draft.add_dest(key, server(family), &DestOptions::new(Method::Nat, 1))
        });
        assert_eq!(added, Ok(()));
        lab.set_rules(vec![Rule {
            mark: 9,
            destination: Some(Prefix::single(service.ip)),
            protocol: Some(Protocol::UDP),
            destination_ports: Some(7000..=7000),
            ..Rule::default()
        }]);
        let packet = Packet {
            dst: service,
            ..datagram(family, 200, false)
        };
        let arriving = fragments(&packet, FROM_CLIENT, &[64]);
        let leaving = fragments(&asked(&packet, Method::Nat), TO_SERVER, &[64]);
        assert_eq!(lab.send(WAN, &arriving[1]), []);
        let sent = lab.send(WAN, &arriving[0]);
        let expected: Vec<_> = leaving.into_iter().map(|f| (LAN, f)).collect();
        assert_eq!(sent, expected, "{family:?}");
    }
}

#[test]
fn fragments_that_are_none_of_ours_are_left_to_the_host() {
    for family in FAMILIES {
        let mut lab = Lab::new(Method::Nat);
        let packet = |src, dst| Packet {
            payload: vec![7; 100],
            dont_fragment: false,
            ..Packet::new(Protocol::UDP, src, dst)
        };
        let host = Endpoint::new(own(family, WAN), 5000);
        for (src, dst) in [
            (client(family), host),
            // The answer to a health check, and a stranger behind us.
            (server(family), Endpoint::new(own(family, LAN), 5000)),
            (Endpoint::new(own(family, LAN), 1), client(family)),
        ] {
            let later = &fragments(&packet(src, dst), FROM_CLIENT, &[64])[1];
            assert_eq!(lab.send(WAN, later), []);
        }
        assert_eq!(lab.passed(PassReason::NotOurs), 3);
        assert_eq!(lab.counts().held, 0);

        let reply = packet(server(family), client(family));
        let later = &fragments(&reply, FROM_SERVER, &[64])[1];
        assert_eq!(lab.send(LAN, later), []);
        assert_eq!(lab.counts().held, 1);
        lab.remove_servers();
        assert_eq!(lab.send(LAN, later), []);
        assert_eq!(lab.counts().held, 1, "no server any more");
    }
}

#[test]
fn held_fragments_of_what_is_not_forwarded_are_not_either() {
    for family in FAMILIES {
        let mut lab = Lab::new(Method::Nat);
        lab.remove_servers();
        let packet = datagram(family, 200, false);
        let arriving = fragments(&packet, FROM_CLIENT, &[96]);
        assert_eq!(lab.send(WAN, &arriving[1]), []);
        let sent = lab.send(WAN, &arriving[0]);
        assert_eq!(sent.len(), 1, "port unreachable, once");
        assert_eq!(sent[0].0, WAN);
        assert_eq!(lab.dropped(DropReason::NoDestination), 1);
        assert_eq!(lab.dropped(DropReason::FragmentUnknown), 1);
        assert_eq!(ends(&lab.counts()), 2);
    }
}

/// Nothing is remembered of a one-packet flow but the way its first fragment went.
#[test]
fn one_packet_datagrams_may_come_in_pieces() {
    for family in FAMILIES {
        for order in orders(3) {
            let mut lab = Lab::new(Method::Nat);
            let service = Endpoint::new(vip(family).ip, 5353);
            let key = ServiceKey::new(Protocol::UDP, service);
            let added = lab.director.edit(|draft| {
                let options = ServiceOptions {
                    one_packet: true,
                    ..ServiceOptions::default()
                };
                draft.add_service(key, lvs_sched::build("rr").unwrap(), options)?;
                draft.add_dest(key, server(family), &DestOptions::new(Method::Nat, 1))
            });
            assert_eq!(added, Ok(()));
            let packet = Packet {
                dst: service,
                ..datagram(family, 200, false)
            };
            let arriving = fragments(&packet, FROM_CLIENT, &[64, 128]);
            let mut sent: Vec<_> = order
                .iter()
                .flat_map(|i| lab.send(WAN, &arriving[*i]))
                .map(|(port, frame)| {
                    assert_eq!(port, LAN);
                    frame
                })
                .collect();
            sent.sort();
            let mut expected = fragments(&asked(&packet, Method::Nat), TO_SERVER, &[64, 128]);
            expected.sort();
            assert_eq!(sent, expected, "{family:?} {order:?}");
            assert_eq!(lab.director.connection_count(), 0);
        }
    }
}

/// A router's error about a reply, longer than its way's MTU.
#[test]
fn a_fragmented_icmp_error_reaches_the_server_it_concerns() {
    let family = Family::V4;
    let mut lab = Lab::new(Method::Nat);
    let question = Packet::opening(family, Protocol::UDP);
    lab.send(WAN, &question.sent_by_client());
    let seen = Packet {
        src: vip(family),
        ttl: 63,
        payload: vec![7; 300],
        ..question.reply()
    };
    let error = |router: Ip, to: Ip, ttl, quoted: &[u8]| {
        let header = Ipv4Header {
            time_to_live: ttl,
            identification: 77,
            source: router.as_v4().unwrap(),
            destination: to.as_v4().unwrap(),
            ..Ipv4Header::default()
        };
        let headers = IpHeaders::Ipv4(header, Default::default());
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([0; 6], [0; 6])
            .ip(headers.clone())
            .icmpv4_raw(11, 0, [0; 4])
            .write(&mut frame, quoted)
            .unwrap();
        (headers, frame[34..].to_vec())
    };
    let router = "203.0.113.254".parse().unwrap();
    let (headers, message) = error(router, vip(family).ip, 60, &seen.ip_packet());
    let arriving = pieces(&headers, Protocol::ICMP, &message, FROM_CLIENT, &[48, 200]);
    let translated = Packet {
        src: server(family),
        ..seen.clone()
    };
    let mut quoted = translated.ip_packet();
    quoted[26..28].copy_from_slice(&seen.ip_packet()[26..28]); // the datagram's checksum stays
    let (headers, message) = error(router, server(family).ip, 59, &quoted);
    let leaving = pieces(&headers, Protocol::ICMP, &message, TO_SERVER, &[48, 200]);
    for (arriving, leaving) in arriving.iter().zip(&leaving) {
        assert_eq!(lab.send(WAN, arriving), [(LAN, leaving.clone())]);
    }

    // One that overtakes its first is the host's, as a long ping's would be.
    let (headers, message) = error(
        "203.0.113.253".parse().unwrap(),
        vip(family).ip,
        60,
        &quoted,
    );
    let strange = pieces(&headers, Protocol::ICMP, &message, FROM_CLIENT, &[48, 200]);
    assert_eq!(lab.send(WAN, &strange[1]), []);
    assert_eq!(lab.passed(PassReason::OtherProtocol), 1);
    assert_eq!(ends(&lab.counts()), 5);
}

#[test]
fn sctp_in_fragments_passes_where_no_port_changes() {
    for family in FAMILIES {
        let packet = Packet {
            payload: vec![7; 100],
            dont_fragment: false,
            ..Packet::new(Protocol::SCTP, client(family), vip(family))
        };
        let arriving = fragments(&packet, FROM_CLIENT, &[64]);
        for method in [Method::DirectRoute, Method::Nat] {
            let mut lab = Lab::new(method);
            let opening = Packet::opening(family, Protocol::SCTP);
            assert_eq!(lab.send(WAN, &opening.sent_by_client()).len(), 1);
            let sent: Vec<_> = arriving.iter().flat_map(|f| lab.send(WAN, f)).collect();
            match method {
                Method::DirectRoute => {
                    let leaving = fragments(&packet.forwarded(), TO_SERVER, &[64]);
                    let leaving: Vec<_> = leaving.into_iter().map(|f| (LAN, f)).collect();
                    assert_eq!(sent, leaving);
                }
                _ => assert_eq!(lab.dropped(DropReason::Unsupported), 1, "80 became 8080"),
            }
        }
    }
}
