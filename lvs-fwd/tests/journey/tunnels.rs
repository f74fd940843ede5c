//! ICMP errors about our own tunnel packets.

use std::time::Duration;

use etherparse::{IpHeaders, Ipv4Header, PacketBuilder};
use lvs_core::dest::GueChecksum;
use lvs_core::{
    ConfigError, DestOptions, DropReason, Encapsulation, Family, Ip, Method, PassReason, Protocol,
    ServiceKey, Sysctls,
};
use lvs_fwd::frame::Offload;

use crate::lab::{
    GATEWAY_MAC, LAN, LAN_MAC, Lab, Packet, SERVER_MAC, WAN, WAN_MAC, client, ends, links, local,
    own, server, silent_links, vip, with_servers,
};

const GUE: Encapsulation = Encapsulation::Gue {
    port: 6080,
    checksum: GueChecksum::Full,
};

/// A director whose servers are reached by this tunnel, and a client's connection.
fn lab(encapsulation: Encapsulation) -> (Lab, Packet) {
    let lab = Lab::new(Method::Tunnel);
    let edited: Result<(), ConfigError> = lab.director.edit(|draft| {
        let options = DestOptions {
            encapsulation,
            ..DestOptions::new(Method::Tunnel, 1)
        };
        let key = ServiceKey::new(Protocol::UDP, vip(Family::V4));
        draft.edit_dest(key, server(Family::V4), &options)
    });
    edited.unwrap();
    (lab, Packet::opening(Family::V4, Protocol::UDP))
}

/// What the director sends of `packet`: the tunnel packet, without its Ethernet header.
fn tunnelled(lab: &mut Lab, packet: &Packet) -> Vec<u8> {
    let frame = packet.sent_by_client();
    let sent = lab.send_offloaded(WAN, &frame, Offload::default());
    assert_eq!(sent.len(), 1);
    sent[0].1.bytes[14..].to_vec()
}

/// An error from the server about what the director sent to it.
fn error_to(to: Ip, [kind, code]: [u8; 2], rest: u32, quoted: &[u8]) -> Vec<u8> {
    let carrier = Ipv4Header {
        time_to_live: 60,
        source: server(Family::V4).ip.as_v4().unwrap(),
        destination: to.as_v4().unwrap(),
        ..Ipv4Header::default()
    };
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(SERVER_MAC.0, LAN_MAC.0)
        .ip(IpHeaders::Ipv4(carrier, Default::default()))
        .icmpv4_raw(kind, code, rest.to_be_bytes())
        .write(&mut frame, quoted)
        .unwrap();
    frame
}

fn error(kind: [u8; 2], rest: u32, quoted: &[u8]) -> Vec<u8> {
    error_to(own(Family::V4, LAN), kind, rest, quoted)
}

/// What the client gets: who sends it, type and code, what follows, and the packet it is about.
fn told(sent: &[(usize, Vec<u8>)]) -> (Ip, [u8; 2], u32, Vec<u8>) {
    let [(WAN, frame)] = sent else {
        panic!("{sent:02x?}");
    };
    assert_eq!(frame[..12], [GATEWAY_MAC.0, WAN_MAC.0].concat());
    let (header, _) = Ipv4Header::from_slice(&frame[14..]).unwrap();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!(Ip::v4(header.destination), client(Family::V4).ip);
    assert_eq!(header.time_to_live, 64);
    let rest = u32::from_be_bytes(frame[38..42].try_into().unwrap());
    let about = frame[42..].to_vec();
    (Ip::v4(header.source), [frame[34], frame[35]], rest, about)
}

#[test]
fn the_client_is_told_about_its_own_packet() {
    let all = [
        Encapsulation::Ipip,
        Encapsulation::Gre { checksum: false },
        Encapsulation::Gre { checksum: true },
        GUE,
    ];
    for encapsulation in all {
        let (mut lab, packet) = lab(encapsulation);
        let sent = tunnelled(&mut lab, &packet);
        for kind in [[3, 1], [3, 3], [4, 0], [11, 0]] {
            let relayed = lab.send(LAN, &error(kind, 0, &sent));
            let about = packet.forwarded().ip_packet();
            let expected = (vip(Family::V4).ip, kind, 0, about);
            assert_eq!(told(&relayed), expected, "{encapsulation:?}");
        }
        let counts = lab.counts();
        assert_eq!((counts.forwarded_in, counts.forwarded_out), (1, 4));
        assert_eq!(ends(&counts), counts.received);
    }
}

#[test]
fn what_is_not_about_our_tunnel_is_the_hosts() {
    for encapsulation in [Encapsulation::Ipip, GUE] {
        let (mut lab, packet) = lab(encapsulation);
        let sent = tunnelled(&mut lab, &packet);
        let at = sent.len() - packet.ip_packet().len();
        type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
        let changes: [(&str, Change<'_>); 3] = [
            ("to another server", &|q| q[19] = 12),
            ("of no connection", &|q| q[at + 20] ^= 1),
            ("the other way", &|q| {
                let ends = [q[at + 16..at + 20].to_vec(), q[at + 12..at + 16].to_vec()];
                q[at + 12..at + 20].copy_from_slice(&ends.concat());
            }),
        ];
        for (what, change) in changes {
            let mut quoted = sent.clone();
            change(&mut quoted);
            assert_eq!(lab.send(LAN, &error([3, 1], 0, &quoted)), [], "{what}");
        }
        // A local address of FullNAT is ours, but nothing is sent from there into tunnels.
        for to in [own(Family::V4, WAN), local(Family::V4), vip(Family::V4).ip] {
            assert_eq!(lab.send(LAN, &error_to(to, [3, 1], 0, &sent)), [], "{to}");
        }
        let stranger: Ip = "10.0.0.99".parse().unwrap();
        let mut quoted = sent.clone();
        quoted[12..16].copy_from_slice(&stranger.as_v4().unwrap());
        let error = error_to(stranger, [3, 1], 0, &quoted);
        assert_eq!(lab.send(LAN, &error), [], "to nobody here");
        assert_eq!(lab.counts().forwarded_out, 0);
        assert_eq!(ends(&lab.counts()), lab.counts().received);
        assert_eq!(lab.dropped(DropReason::Martian), 0);
    }
    // Of another kind than the server's tunnels are now.
    let (mut was, packet) = lab(Encapsulation::Ipip);
    let sent = tunnelled(&mut was, &packet);
    let (mut is, packet) = lab(GUE);
    tunnelled(&mut is, &packet);
    assert_eq!(is.send(LAN, &error([3, 1], 0, &sent)), []);
    assert_eq!(is.passed(PassReason::OtherProtocol), 1);
}

#[test]
fn a_narrow_path_is_remembered_for_a_while() {
    let (mut lab, small) = lab(Encapsulation::Gre { checksum: false });
    let big = Packet {
        payload: vec![7; 1400],
        ..small.clone()
    };
    let sent = tunnelled(&mut lab, &big);
    let (from, kind, mtu, about) = told(&lab.send(LAN, &error([3, 4], 1300, &sent[..120])));
    assert_eq!((from, kind, mtu), (vip(Family::V4).ip, [3, 4], 1300 - 24));
    assert_eq!(about, big.forwarded().ip_packet()[..96]);

    let (_, kind, mtu, _) = told(&lab.send(WAN, &big.sent_by_client()));
    assert_eq!((kind, mtu), ([3, 4], 1300 - 24), "known by now");
    assert_eq!(
        tunnelled(&mut lab, &small).len(),
        small.ip_packet().len() + 24
    );
    let whole = Packet {
        dont_fragment: false,
        ..big.clone()
    };
    let fragments = lab.send(WAN, &whole.sent_by_client());
    assert!(fragments.len() == 2 && fragments.iter().all(|(_, f)| f.len() - 14 <= 1300));

    lab.now = lab.now + Duration::from_secs(599);
    told(&lab.send(WAN, &big.sent_by_client()));
    lab.now = lab.now + Duration::from_secs(1);
    assert_eq!(tunnelled(&mut lab, &big).len(), sent.len(), "tried anew");
}

/// A client that lets its packets be fragmented need not be told.
#[test]
fn without_df_the_path_is_remembered_in_silence() {
    let (mut lab, mut packet) = lab(Encapsulation::Ipip);
    (packet.dont_fragment, packet.payload) = (false, vec![7; 1400]);
    let sent = tunnelled(&mut lab, &packet);
    assert_eq!(lab.send(LAN, &error([3, 4], 1300, &sent)), []);
    assert_eq!(lab.send(WAN, &packet.sent_by_client()).len(), 2);
    packet.dont_fragment = true;
    let (.., mtu, _) = told(&lab.send(WAN, &packet.sent_by_client()));
    assert_eq!(mtu, 1280);
}

#[test]
fn without_discovery_nobody_is_told() {
    let (mut lab, mut packet) = lab(Encapsulation::Ipip);
    let edited: Result<(), ConfigError> = lab.director.edit(|draft| {
        draft.set_sysctls(Sysctls {
            pmtu_disc: false,
            ..Sysctls::default()
        });
        Ok(())
    });
    edited.unwrap();
    packet.payload = vec![7; 1470];
    let fragments = lab.send(WAN, &packet.sent_by_client());
    assert_eq!(fragments.len(), 2);
    assert!(
        fragments
            .iter()
            .all(|(port, f)| *port == LAN && f[20] & 0x40 == 0)
    );
}

#[test]
fn relays_have_the_limit_of_other_icmp_errors() {
    let (mut lab, packet) = lab(Encapsulation::Ipip);
    let sent = tunnelled(&mut lab, &packet);
    let relayed = (0..1010).filter(|_| !lab.send(LAN, &error([3, 1], 0, &sent)).is_empty());
    assert_eq!(relayed.count(), 1000);
    assert_eq!(lab.counts().answers_limited, 10);
    assert_eq!(ends(&lab.counts()), lab.counts().received);
}

#[test]
fn a_relay_waits_for_its_next_hop() {
    let (mut lab, packet) = lab(Encapsulation::Ipip);
    let sent = tunnelled(&mut lab, &packet);
    lab.set_topology(with_servers(silent_links(1500)));
    assert_eq!(lab.send(LAN, &error([3, 1], 0, &sent)), []);
    assert_eq!(lab.counts().parked, 1);
    lab.set_topology(with_servers(links(1500)));
    let released = lab.release().into_iter().map(|(p, f)| (p, f.bytes));
    let (from, kind, ..) = told(&released.collect::<Vec<_>>());
    assert_eq!((from, kind), (vip(Family::V4).ip, [3, 1]));
}
