//! ICMP errors about packets of a connection, in both directions.

use etherparse::PacketBuilder;
use lvs_core::{DropReason, Endpoint, Family, Ip, Method, PassReason, Protocol};
use lvs_fwd::route::Mac;

use crate::lab::{
    GATEWAY_MAC, LAN, LAN_MAC, Lab, Packet, SERVER_MAC, WAN, WAN_MAC, client, ends, every_service,
    server, vip,
};

/// "Port unreachable", or "too big" with an MTU, from `src` to `dst` about `quoted`.
pub(crate) fn error(macs: (Mac, Mac), src: Ip, dst: Ip, ttl: u8, quoted: &[u8]) -> Vec<u8> {
    let mut carrier = Packet::new(Protocol::UDP, Endpoint::new(src, 0), Endpoint::new(dst, 0));
    carrier.ttl = ttl;
    let b = PacketBuilder::ethernet2(macs.0.0, macs.1.0).ip(carrier.ip_headers());
    let mut frame = Vec::new();
    match src.family() {
        Family::V4 => b.icmpv4_raw(3, 3, [0; 4]).write(&mut frame, quoted),
        Family::V6 => b.icmpv6_raw(1, 4, [0; 4]).write(&mut frame, quoted),
    }
    .unwrap();
    frame
}

/// `translated` as an error quotes it that was about `original`: the transport checksum is not translated (as
/// IPVS leaves it; often not all is there that it covers).
pub(crate) fn quoted(translated: &Packet, original: &Packet) -> Vec<u8> {
    let mut bytes = translated.ip_packet();
    let ip_len = match translated.src.ip.family() {
        Family::V4 => 20,
        Family::V6 => 40,
    };
    let (at, len) = match translated.protocol {
        Protocol::TCP => (16, 2),
        Protocol::SCTP => (8, 4),
        _ => (6, 2),
    };
    let checksum = ip_len + at..ip_len + at + len;
    bytes[checksum.clone()].copy_from_slice(&original.ip_packet()[checksum]);
    bytes
}

#[test]
fn a_servers_error_seems_to_come_from_the_service() {
    for (family, protocol) in every_service() {
        let mut lab = Lab::new(Method::Nat);
        let question = Packet::opening(family, protocol);
        lab.send(WAN, &question.sent_by_client());
        // The server quotes what reached it; the client must see what it sent.
        let reached = Packet {
            dst: server(family),
            ..question.forwarded()
        };
        let client = client(family).ip;
        let about = error(
            (SERVER_MAC, LAN_MAC),
            server(family).ip,
            client,
            64,
            &reached.ip_packet(),
        );
        let translated = error(
            (WAN_MAC, GATEWAY_MAC),
            vip(family).ip,
            client,
            63,
            &quoted(&question.forwarded(), &reached),
        );
        let sent = lab.send(LAN, &about);
        assert_eq!(sent, [(WAN, translated)], "{family:?} {protocol}");
        assert_eq!(lab.counts().forwarded_out, 1);
        assert_eq!(ends(&lab.counts()), 2);
    }
}

#[test]
fn a_routers_error_reaches_the_server_it_concerns() {
    for (family, protocol) in every_service() {
        let mut lab = Lab::new(Method::Nat);
        let question = Packet::opening(family, protocol);
        lab.send(WAN, &question.sent_by_client());
        let answer = Packet {
            src: server(family),
            ..question.reply()
        };
        lab.send(LAN, &answer.sent_by_server());
        let router: Ip = match family {
            Family::V4 => "203.0.113.254".parse().unwrap(),
            Family::V6 => "2001:db8:c::fe".parse().unwrap(),
        };
        let seen = Packet {
            src: vip(family),
            ..answer.forwarded()
        };
        let about = error(
            (GATEWAY_MAC, WAN_MAC),
            router,
            vip(family).ip,
            60,
            &seen.ip_packet(),
        );
        let translated = error(
            (LAN_MAC, SERVER_MAC),
            router,
            server(family).ip,
            59,
            &quoted(&answer.forwarded(), &seen),
        );
        let sent = lab.send(WAN, &about);
        assert_eq!(sent, [(LAN, translated)], "{family:?} {protocol}");
        assert_eq!(lab.counts().forwarded_in, 2);
        assert_eq!(ends(&lab.counts()), 3);
    }
}

/// With direct routing and tunnels errors from outside go to the server that sent what they quote.
#[test]
fn errors_follow_the_method_of_the_connection() {
    for method in [Method::DirectRoute, Method::Tunnel] {
        for (family, protocol) in every_service() {
            let mut lab = Lab::new(method);
            let question = Packet::opening(family, protocol);
            lab.send(WAN, &question.sent_by_client());
            let seen = question.reply().forwarded();
            let (client, vip) = (client(family).ip, vip(family).ip);
            let macs = (GATEWAY_MAC, WAN_MAC);
            let about = error(macs, client, vip, 60, &seen.ip_packet());
            let sent = lab.send(WAN, &about);
            assert_eq!(sent.len(), 1, "{method:?} {family:?} {protocol}");
            assert_eq!(sent[0].0, LAN);
            let inside = error((LAN_MAC, SERVER_MAC), client, vip, 59, &seen.ip_packet());
            assert!(sent[0].1.ends_with(&inside[14..]));
        }
    }
}

#[test]
fn errors_that_are_forged_or_about_nothing_go_nowhere() {
    for (family, protocol) in every_service() {
        let mut lab = Lab::new(Method::Nat);
        let question = Packet::opening(family, protocol);
        let seen = question.reply();
        let (client, vip) = (client(family).ip, vip(family).ip);
        let macs = (GATEWAY_MAC, WAN_MAC);
        let about = error(macs, client, vip, 60, &seen.ip_packet());
        assert_eq!(lab.send(WAN, &about), [], "no connection");
        assert_eq!(ends(&lab.counts()), 1);
        let passed: u64 = PassReason::ALL.iter().map(|r| lab.passed(*r)).sum();
        assert_eq!(passed, 1, "it may concern the host");

        lab.send(WAN, &question.sent_by_client());
        let elsewhere = crate::lab::own(family, WAN);
        let forged = error(macs, client, elsewhere, 60, &seen.ip_packet());
        assert_eq!(lab.send(WAN, &forged), [], "not for who sent it");
        assert_eq!(lab.dropped(DropReason::Martian), 1);

        let mut broken = error(macs, client, vip, 60, &seen.ip_packet());
        *broken.last_mut().unwrap() ^= 1;
        assert_eq!(lab.send(WAN, &broken), []);
        assert_eq!(lab.dropped(DropReason::BadChecksum), 1);
        assert_eq!(ends(&lab.counts()), 4);
    }
}
