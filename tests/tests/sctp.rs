//! SCTP, in crafted packets: few kernels have it.

use std::net::IpAddr;

use etherparse::{IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder};
use tests::capture::{Capture, Packet};
use tests::{Family, Lvsd, Method, Plan, Rules};

/// CRC32c, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    })
}

/// A packet of one chunk.
fn sctp(src: u16, dst: u16, kind: u8) -> Vec<u8> {
    let mut p = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    p.extend([0, 0, 0, 7, 0, 0, 0, 0, kind, 0, 0, 20]);
    p.extend([1; 16]);
    let crc = crc(&p).to_le_bytes();
    p[8..12].copy_from_slice(&crc);
    p
}

fn frame(from: [u8; 6], to: [u8; 6], src: IpAddr, dst: IpAddr, payload: &[u8]) -> Vec<u8> {
    let headers = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => IpHeaders::Ipv4(
            Ipv4Header {
                time_to_live: 64,
                source: src.octets(),
                destination: dst.octets(),
                ..Ipv4Header::default()
            },
            Default::default(),
        ),
        (IpAddr::V6(src), IpAddr::V6(dst)) => IpHeaders::Ipv6(
            Ipv6Header {
                hop_limit: 64,
                source: src.octets(),
                destination: dst.octets(),
                ..Ipv6Header::default()
            },
            Default::default(),
        ),
        _ => unreachable!("one family"),
    };
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from, to)
        .ip(headers)
        .write(&mut frame, IpNumber::SCTP, payload)
        .expect("a vector takes everything");
    frame
}

/// Source, destination and what is in it, of each SCTP packet that was seen.
fn seen(packets: &[Packet]) -> Vec<(IpAddr, IpAddr, Vec<u8>)> {
    let of = |p: &Packet| {
        let ip = p.ip.as_ref().filter(|ip| ip.protocol == IpNumber::SCTP)?;
        let header = if ip.src.is_ipv4() { 34 } else { 54 };
        Some((ip.src, ip.dst, p.frame[header..].to_vec()))
    };
    packets.iter().filter_map(of).collect()
}

const INIT: u8 = 1;
const INIT_ACK: u8 = 2;

#[test]
fn an_association_goes_through_nat_both_ways() {
    let lan = Plan::of(Method::Nat, 1).build();
    for family in Family::BOTH {
        let (vip, server, client) = (family.vip(), lan.server(family, 0), family.client());
        let rules = Rules::new().sctp(vip, 9).server(server, 9000, Method::Nat);
        let _lvsd = Lvsd::start(&lan, rules);
        let outer = lan.director.mac_bytes("eth0");
        let there = Capture::start(&lan.servers[0], "eth0", "ip proto 132 or ip6 proto 132");
        let init = sctp(40_000, 9, INIT);
        let asked = frame(lan.client.mac_bytes("eth0"), outer, client, vip, &init);
        lan.client.inject([asked.as_slice()]);
        let arrived = seen(&there.stop());
        assert_eq!(arrived, [(client, server, sctp(40_000, 9000, INIT))]);

        let back = Capture::start(&lan.client, "eth0", "ip proto 132 or ip6 proto 132");
        let inner = lan.director.mac_bytes("eth1");
        let answer = sctp(9000, 40_000, INIT_ACK);
        let said = frame(
            lan.servers[0].mac_bytes("eth0"),
            inner,
            server,
            client,
            &answer,
        );
        lan.servers[0].inject([said.as_slice()]);
        let arrived = seen(&back.stop());
        assert_eq!(arrived, [(vip, client, sctp(9, 40_000, INIT_ACK))]);
    }
}

#[test]
fn a_packet_of_no_association_is_aborted() {
    let lan = Plan::of(Method::Nat, 1).build();
    let (vip, client) = (Family::V4.vip(), Family::V4.client());
    let server = lan.server(Family::V4, 0);
    let rules = Rules::new().sctp(vip, 9).server(server, 9000, Method::Nat);
    let _lvsd = Lvsd::start(&lan, rules);
    let capture = Capture::start(&lan.client, "eth0", "ip proto 132");
    let macs = (lan.client.mac_bytes("eth0"), lan.director.mac_bytes("eth0"));
    let stray = frame(macs.0, macs.1, client, vip, &sctp(40_000, 9, 0));
    lan.client.inject([stray.as_slice()]);
    let answers = seen(&capture.stop());
    let aborts: Vec<_> = answers.iter().filter(|(src, ..)| *src == vip).collect();
    assert_eq!(aborts.len(), 1, "{answers:?}");
    assert_eq!(aborts[0].2[12..], [6, 1, 0, 4]);
}
