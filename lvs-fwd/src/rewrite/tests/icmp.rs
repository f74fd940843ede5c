//! ICMP errors through NAT.

use proptest::prelude::*;

use super::*;

/// The addresses and ports of the quoted packet.
fn quoted_ends(frame: &[u8], packet: &IpPacket) -> (Endpoint, Endpoint) {
    let mut bytes = frame.to_vec();
    bytes[..12].copy_from_slice(&[OWN.0, PEER.0].concat());
    let Ok(Parsed::Ip(parsed)) = parse(&bytes, NONE, OWN) else {
        panic!("no error any more: {bytes:02x?}");
    };
    // parse() swaps them, and would have found a wrong checksum.
    assert_eq!(parsed.layout, packet.layout);
    (parsed.segment.dst, parsed.segment.src)
}

fn outer(frame: &[u8]) -> (Ip, Ip) {
    let at = |from: usize, len: usize| &frame[14 + from..][..len];
    match frame[14] >> 4 {
        4 => {
            let ip = |b: &[u8]| Ip::v4(b.try_into().unwrap());
            (ip(at(12, 4)), ip(at(16, 4)))
        }
        _ => {
            let ip = |b: &[u8]| Ip::v6(b.try_into().unwrap());
            (ip(at(8, 16)), ip(at(24, 16)))
        }
    }
}

fn error(family: Family, protocol: Protocol) -> Vec<u8> {
    let quoted = samples::quoted(family, protocol, 80);
    let (kind, code) = match family {
        Family::V4 => (11, 0),
        Family::V6 => (3, 0),
    };
    samples::icmp_error(family, kind, code, &quoted)
}

#[test]
fn the_quoted_packet_changes_crosswise() {
    for family in BOTH {
        for protocol in [Protocol::TCP, Protocol::UDP] {
            let bytes = error(family, protocol);
            let (real, local) = match family {
                Family::V4 => (ep("10.0.0.5:8080"), ep("10.0.0.1:61000")),
                Family::V6 => (ep("[fd00::5]:8080"), ep("[fd00::1]:61000")),
            };
            let (vip_end, client_end) = (
                Endpoint::new(vip(family), 80),
                Endpoint::new(client(family), 40000),
            );
            for (src, dst) in [
                (None, Some(real)),
                (Some(local), None),
                (Some(local), Some(real)),
            ] {
                let mut case = Case::of(&bytes, NONE);
                let sent = case.emit_one(Rewrite::Nat { src, dst });
                let (quoted_src, quoted_dst) = quoted_ends(&sent.bytes, &case.packet);
                assert_eq!(quoted_src, dst.unwrap_or(vip_end));
                assert_eq!(quoted_dst, src.unwrap_or(client_end));
                let ends = outer(&sent.bytes);
                assert_eq!(ends.0, src.map_or_else(|| client(family), |e| e.ip));
                assert_eq!(ends.1, dst.map_or_else(|| vip(family), |e| e.ip));
                if family == Family::V4 {
                    assert_eq!(
                        checksum::of(&sent.bytes[42..62]),
                        0,
                        "quoted header checksum"
                    );
                }
                // What lies behind the quoted ports is not touched.
                let behind = usize::from(case.packet.layout.inner.unwrap().l4) + 4;
                assert_eq!(sent.bytes[behind..], bytes[behind..]);
            }
        }
    }
}

#[test]
fn a_partial_icmp_checksum_stays_partial() {
    for family in BOTH {
        let mut bytes = error(family, Protocol::TCP);
        let at = l4(family);
        let partial = match family {
            Family::V4 => 0,
            Family::V6 => {
                let len = (bytes.len() - at) as u32;
                checksum::pseudo_header(client(family), vip(family), 58, len).fold()
            }
        };
        bytes[at + 2..at + 4].copy_from_slice(&partial.to_be_bytes());
        let offload = Offload {
            flags: Offload::NEEDS_CSUM,
            csum_start: at as u16,
            csum_offset: 2,
            ..NONE
        };
        let mut case = Case::of(&bytes, offload);
        let dst = Some(Endpoint::new(server(family), 8080));
        let sent = case.emit_one(Rewrite::Nat { src: None, dst });
        assert_eq!(sent.offload, offload);
        quoted_ends(&finished(&sent), &case.packet);
    }
}

proptest! {
    #[test]
    fn there_and_back_is_the_same_error(port in any::<u16>(), last in any::<u8>()) {
        for family in BOTH {
            let bytes = error(family, Protocol::UDP);
            let real = match family {
                Family::V4 => Ip::v4([10, 0, 0, last]),
                Family::V6 => {
                    let mut ip = *server(Family::V6).bytes();
                    ip[15] = last;
                    Ip::v6(ip)
                }
            };
            let there = Rewrite::Nat { src: None, dst: Some(Endpoint::new(real, port)) };
            let mut sent = Case::of(&bytes, NONE).emit_one(there).bytes;
            sent[..12].copy_from_slice(&bytes[..12]);
            let back = Rewrite::Nat { src: None, dst: Some(Endpoint::new(vip(family), 80)) };
            let mut again = Case::of(&sent, NONE).emit_one(back).bytes;
            again[..12].copy_from_slice(&bytes[..12]);
            match family {
                Family::V4 => {
                    again[22] = 64;
                    samples::fix_v4(&mut again);
                }
                Family::V6 => again[21] = 64,
            }
            prop_assert_eq!(again, bytes);
        }
    }
}
