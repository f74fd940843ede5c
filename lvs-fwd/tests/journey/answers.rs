//! What the director itself says: ARP, neighbour discovery, resets, ICMP errors.

use etherparse::{
    Icmpv4Type, Icmpv6Type, IpHeaders, Ipv4Header, Ipv6Header, NetSlice, PacketBuilder,
    SlicedPacket, TcpHeader, TransportSlice, icmpv4, icmpv6,
};
use lvs_core::{ConfigError, DropReason, Family, Ip, Method, PassReason, Protocol, Sysctls, Time};
use lvs_fwd::route::Mac;

use crate::lab::{
    FAMILIES, GATEWAY_MAC, LAN, LAN_MAC, Lab, Packet, SERVER_MAC, WAN, WAN_MAC, client, crc32c,
    ends, every_service, own, raw, server, vip,
};

fn arp(operation: u16, from: Mac, sender: Ip, to: Mac, target_mac: Mac, target: Ip) -> Vec<u8> {
    let mut f = [to.0, from.0].concat();
    f.extend([8, 6, 0, 1, 8, 0, 6, 4]);
    f.extend(operation.to_be_bytes());
    f.extend(from.0);
    f.extend(sender.as_v4().unwrap());
    f.extend(target_mac.0);
    f.extend(target.as_v4().unwrap());
    f
}

fn gateway(family: Family) -> Ip {
    let ip = match family {
        Family::V4 => "192.0.2.254",
        Family::V6 => "2001:db8:1::fe",
    };
    ip.parse().unwrap()
}

/// The gateway asks by ARP who has an address.
pub(crate) fn ask_arp(ip: Ip) -> Vec<u8> {
    let sender = gateway(Family::V4);
    arp(1, GATEWAY_MAC, sender, Mac::BROADCAST, Mac::default(), ip)
}

#[test]
fn arp_is_answered_for_virtual_addresses_only() {
    let mut lab = Lab::new(Method::Nat);
    let gateway = gateway(Family::V4);
    let mut ask = |ip| {
        let sent = lab.send(WAN, &ask_arp(ip));
        (sent, lab.counts())
    };
    let vip = vip(Family::V4).ip;
    let (sent, counts) = ask(vip);
    let reply = arp(2, WAN_MAC, vip, GATEWAY_MAC, GATEWAY_MAC, gateway);
    assert_eq!(sent, [(WAN, reply)]);
    assert_eq!(counts.arp_answered, 1);
    // The host answers for its own address, nobody for a stranger's.
    for ip in [own(Family::V4, WAN), client(Family::V4).ip] {
        assert_eq!(ask(ip).0, []);
    }
    assert_eq!(lab.passed(PassReason::LinkLayer), 2);
    assert_eq!(ends(&lab.counts()), 3);
}

fn icmpv6_frame(from: Mac, to: Mac, src: Ip, dst: Ip, message: &[u8]) -> Vec<u8> {
    let header = Ipv6Header {
        hop_limit: 255,
        source: *src.bytes(),
        destination: *dst.bytes(),
        ..Ipv6Header::default()
    };
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, to.0)
        .ip(IpHeaders::Ipv6(header, Default::default()))
        .icmpv6_raw(message[0], message[1], message[4..8].try_into().unwrap())
        .write(&mut frame, &message[8..])
        .unwrap();
    frame
}

/// The gateway solicits an address.
pub(crate) fn ask_ndp(ip: Ip) -> Vec<u8> {
    let group: [u8; 3] = ip.bytes()[13..].try_into().unwrap();
    let mut to = *"ff02::1:ff00:0".parse::<Ip>().unwrap().bytes();
    to[13..].copy_from_slice(&group);
    let mac = Mac([0x33, 0x33, 0xff, group[0], group[1], group[2]]);
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(ip.bytes());
    message.extend([1, 1]);
    message.extend(GATEWAY_MAC.0);
    let from = gateway(Family::V6);
    icmpv6_frame(GATEWAY_MAC, mac, from, Ip::v6(to), &message)
}

#[test]
fn neighbours_are_told_where_virtual_addresses_are() {
    let mut lab = Lab::new(Method::Nat);
    let (gateway, ask) = (gateway(Family::V6), ask_ndp);
    let vip = vip(Family::V6).ip;
    // Solicited, overriding, and not a router; with our Ethernet address.
    let mut advertisement = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    advertisement.extend(vip.bytes());
    advertisement.extend([2, 1]);
    advertisement.extend(WAN_MAC.0);
    let reply = icmpv6_frame(WAN_MAC, GATEWAY_MAC, vip, gateway, &advertisement);
    assert_eq!(lab.send(WAN, &ask(vip)), [(WAN, reply)]);
    assert_eq!(lab.send(WAN, &ask(own(Family::V6, WAN))), []);
    assert_eq!(lab.counts().arp_answered, 1);
    assert_eq!(ends(&lab.counts()), 2);
}

#[test]
fn a_segment_of_no_connection_is_reset() {
    for family in FAMILIES {
        let mut lab = Lab::new(Method::Nat);
        let stray = Packet::new(Protocol::TCP, client(family), vip(family));
        let sent = lab.send(WAN, &stray.sent_by_client());
        assert_eq!(sent.len(), 1);
        let (port, frame) = &sent[0];
        assert_eq!(*port, WAN);
        let reset = Packet::new(Protocol::TCP, vip(family), client(family));
        let mut header = TcpHeader::new(vip(family).port, client(family).port, 2000, 0);
        header.rst = true;
        let mut expected = Vec::new();
        PacketBuilder::ethernet2(WAN_MAC.0, GATEWAY_MAC.0)
            .ip(reset.ip_headers())
            .tcp_header(header)
            .write(&mut expected, &[])
            .unwrap();
        assert_eq!(frame, &expected);
        assert_eq!(lab.passed(PassReason::NoConnection), 1);
        assert_eq!(lab.counts().resets_sent, 1);
        assert_eq!(ends(&lab.counts()), 1);
    }
}

#[test]
fn sctp_of_no_association_is_aborted() {
    for family in FAMILIES {
        let mut lab = Lab::new(Method::Nat);
        let stray = Packet::new(Protocol::SCTP, client(family), vip(family));
        let sent = lab.send(WAN, &stray.sent_by_client());
        // Flag T: the tag is the one that came.
        let mut abort = [0, 80, 0x9c, 0x40, 0xca, 0xfe, 0, 1, 0, 0, 0, 0, 6, 1, 0, 4];
        let crc = crc32c(&abort).to_le_bytes();
        abort[8..12].copy_from_slice(&crc);
        let answer = Packet::new(Protocol::SCTP, vip(family), client(family));
        let expected = raw(WAN_MAC, GATEWAY_MAC, answer.ip_headers(), 132, &abort);
        assert_eq!(sent, [(WAN, expected)], "{family:?}");
        assert_eq!(lab.passed(PassReason::NoConnection), 1);
        assert_eq!(lab.counts().resets_sent, 1);
        assert_eq!(ends(&lab.counts()), 1);
    }
}

/// The ICMP type and code, where it says it is from, and the packet it quotes.
fn icmp_error(frame: &[u8]) -> (String, Ip, Ip, Vec<u8>) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    match (sliced.net.unwrap(), sliced.transport.unwrap()) {
        (NetSlice::Ipv4(ip), TransportSlice::Icmpv4(icmp)) => {
            let h = ip.header();
            assert_eq!(h.header_checksum(), h.to_header().calc_header_checksum());
            assert_eq!(
                icmp.checksum(),
                icmp.icmp_type().calc_checksum(icmp.payload())
            );
            let what = match icmp.icmp_type() {
                Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port) => "port",
                Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit) => "ttl",
                other => panic!("{other:?}"),
            };
            let (src, dst) = (Ip::v4(h.source()), Ip::v4(h.destination()));
            (what.to_owned(), src, dst, icmp.payload().to_vec())
        }
        (NetSlice::Ipv6(ip), TransportSlice::Icmpv6(icmp)) => {
            let h = ip.header();
            assert!(icmp.is_checksum_valid(h.source(), h.destination()));
            let what = match icmp.icmp_type() {
                Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port) => "port",
                Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::HopLimitExceeded) => "ttl",
                other => panic!("{other:?}"),
            };
            let (src, dst) = (Ip::v6(h.source()), Ip::v6(h.destination()));
            (what.to_owned(), src, dst, icmp.payload().to_vec())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_servers_the_port_is_unreachable() {
    for (family, protocol) in every_service() {
        let mut lab = Lab::new(Method::Nat);
        lab.remove_servers();
        let question = Packet::opening(family, protocol);
        let sent = lab.send(WAN, &question.sent_by_client());
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].0, WAN);
        assert_eq!(sent[0].1[..12], [GATEWAY_MAC.0, WAN_MAC.0].concat());
        // In the name of the address that was asked for, as IPVS and the host would.
        let (vip, client) = (vip(family).ip, client(family).ip);
        let expected = ("port".to_owned(), vip, client, question.ip_packet());
        assert_eq!(icmp_error(&sent[0].1), expected);
        assert_eq!(lab.dropped(DropReason::NoDestination), 1);
        assert_eq!(lab.counts().icmp_sent, 1);
        assert_eq!(ends(&lab.counts()), 1);
    }
}

fn set(lab: &Lab, sysctls: Sysctls) {
    let set = lab.director.edit(|draft| {
        draft.set_sysctls(sysctls);
        Ok::<(), ConfigError>(())
    });
    assert_eq!(set, Ok(()));
}

/// IPVS's `nat_icmp_send`.
#[test]
fn a_server_that_speaks_unasked_is_told_so() {
    for (family, protocol) in every_service() {
        let mut lab = Lab::new(Method::Nat);
        let unasked = Packet::new(protocol, server(family), client(family));
        assert_eq!(lab.send(LAN, &unasked.sent_by_server()), []);
        assert_eq!(lab.passed(PassReason::NotOurs), 1);
        let sysctls = Sysctls {
            nat_icmp_send: true,
            ..Sysctls::default()
        };
        set(&lab, sysctls);
        let sent = lab.send(LAN, &unasked.sent_by_server());
        assert_eq!(sent.len(), 1, "{family:?} {protocol}");
        assert_eq!(sent[0].0, LAN);
        assert_eq!(sent[0].1[..12], [SERVER_MAC.0, LAN_MAC.0].concat());
        let (own, server) = (own(family, LAN), server(family).ip);
        let expected = ("port".to_owned(), own, server, unasked.ip_packet());
        assert_eq!(icmp_error(&sent[0].1), expected);
        assert_eq!(lab.dropped(DropReason::ServerWithoutConnection), 1);
        assert_eq!(ends(&lab.counts()), 2);
    }
}

/// IPVS's `schedule_icmp`: an error may open a connection, but that nobody could take it is not answered.
#[test]
fn an_error_without_a_destination_is_not_answered() {
    for (family, protocol) in every_service() {
        let mut lab = Lab::new(Method::Nat);
        let sysctls = Sysctls {
            schedule_icmp: true,
            ..Sysctls::default()
        };
        set(&lab, sysctls);
        lab.remove_servers();
        let quoted = Packet::new(protocol, vip(family), client(family)).ip_packet();
        let carrier = Packet::new(Protocol::UDP, client(family), vip(family));
        let b = PacketBuilder::ethernet2(GATEWAY_MAC.0, WAN_MAC.0).ip(carrier.ip_headers());
        let mut error = Vec::new();
        match family {
            Family::V4 => b.icmpv4_raw(3, 1, [0; 4]).write(&mut error, &quoted),
            Family::V6 => b.icmpv6_raw(1, 3, [0; 4]).write(&mut error, &quoted),
        }
        .unwrap();
        assert_eq!(lab.send(WAN, &error), []);
        assert_eq!(lab.dropped(DropReason::NoDestination), 1, "{protocol}");
        assert_eq!(lab.counts().icmp_sent, 0);
    }
}

#[test]
fn a_packet_at_its_last_hop_is_not_forwarded() {
    for (family, protocol) in every_service() {
        for method in crate::lab::METHODS {
            let mut lab = Lab::new(method);
            let question = Packet {
                ttl: 1,
                ..Packet::opening(family, protocol)
            };
            let sent = lab.send(WAN, &question.sent_by_client());
            assert_eq!(sent.len(), 1, "{method:?}");
            let (vip, client) = (vip(family).ip, client(family).ip);
            let expected = ("ttl".to_owned(), vip, client, question.ip_packet());
            assert_eq!(icmp_error(&sent[0].1), expected);
            assert_eq!(lab.dropped(DropReason::TtlExceeded), 1);
            assert_eq!(ends(&lab.counts()), 1);
        }
    }
}

#[test]
fn answers_are_limited() {
    let mut lab = Lab::new(Method::Nat);
    lab.remove_servers();
    let frame = Packet::opening(Family::V4, Protocol::UDP).sent_by_client();
    let burst = vec![(WAN, frame, Default::default()); 32];
    let sent: usize = (0..40).map(|_| lab.send_burst(&burst).len()).sum();
    assert_eq!(sent, 1000);
    let counts = lab.counts();
    assert_eq!(counts.answers_limited, 40 * 32 - 1000);
    assert_eq!(ends(&counts), 40 * 32);
    lab.now = Time::from_secs(1001);
    assert_eq!(lab.send_burst(&burst).len(), 32);
}

/// Nobody answers an ICMP error with another, nor a reset with a reset.
#[test]
fn errors_and_resets_are_not_answered() {
    let mut lab = Lab::new(Method::Nat);
    lab.remove_servers();
    let quoted = Packet::new(Protocol::UDP, vip(Family::V4), client(Family::V4)).ip_packet();
    let header = Ipv4Header {
        time_to_live: 64,
        source: client(Family::V4).ip.as_v4().unwrap(),
        destination: vip(Family::V4).ip.as_v4().unwrap(),
        ..Ipv4Header::default()
    };
    let mut error = Vec::new();
    PacketBuilder::ethernet2(GATEWAY_MAC.0, WAN_MAC.0)
        .ip(IpHeaders::Ipv4(header.clone(), Default::default()))
        .icmpv4_raw(3, 3, [0; 4])
        .write(&mut error, &quoted)
        .unwrap();
    assert_eq!(lab.send(WAN, &error), []);
    let mut reset = TcpHeader::new(40000, 80, 1, 0);
    reset.rst = true;
    let mut segment = Vec::new();
    reset.checksum = reset.calc_checksum_ipv4(&header, &[]).unwrap();
    reset.write(&mut segment).unwrap();
    let ip = IpHeaders::Ipv4(header, Default::default());
    let frame = raw(GATEWAY_MAC, WAN_MAC, ip, 6, &segment);
    assert_eq!(lab.send(WAN, &frame), []);
    assert_eq!(ends(&lab.counts()), 2);
    assert_eq!(lab.counts().resets_sent + lab.counts().icmp_sent, 0);
}
