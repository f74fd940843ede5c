//! NAT over every family, protocol, direction and state of the transport checksum.

use proptest::prelude::*;

use super::*;
use crate::wire::Fragment;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Complete,
    Partial,
    Zero,
}

fn built(family: Family, protocol: Protocol, state: State, payload: &[u8]) -> (Vec<u8>, Offload) {
    let mut frame = match protocol {
        Protocol::TCP => samples::tcp(family, 0x18, payload),
        _ => samples::udp(family, payload),
    };
    match state {
        State::Complete => (frame, NONE),
        State::Partial => made_partial(frame, protocol),
        State::Zero => {
            let at = l4(family) + 6;
            frame[at..at + 2].fill(0);
            (frame, NONE)
        }
    }
}

fn states() -> impl Iterator<Item = (Family, Protocol, State)> {
    BOTH.into_iter().flat_map(|family| {
        let v4 = family == Family::V4;
        [
            (family, Protocol::TCP, State::Complete),
            (family, Protocol::TCP, State::Partial),
            (family, Protocol::UDP, State::Complete),
            (family, Protocol::UDP, State::Partial),
            (family, Protocol::UDP, State::Zero),
        ]
        .into_iter()
        .filter(move |s| v4 || s.2 != State::Zero)
    })
}

fn endpoint(family: Family, ip: [u8; 16], port: u16) -> Endpoint {
    let ip = match family {
        Family::V4 => Ip::v4([10, ip[1], ip[2], ip[3]]),
        Family::V6 => {
            let mut ip = ip;
            ip[0] = 0xfd;
            Ip::v6(ip)
        }
    };
    Endpoint::new(ip, port)
}

proptest! {
    #[test]
    fn checksums_are_right_and_the_way_back_restores_the_packet(
        src in prop::option::of(any::<([u8; 16], u16)>()),
        dst in prop::option::of(any::<([u8; 16], u16)>()),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        for (family, protocol, state) in states() {
            let (bytes, offload) = built(family, protocol, state, &payload);
            let mut case = Case::of(&bytes, offload);
            let (old_src, old_dst) = (case.packet.segment.src, case.packet.segment.dst);
            let there = Rewrite::Nat {
                src: src.map(|(ip, port)| endpoint(family, ip, port)),
                dst: dst.map(|(ip, port)| endpoint(family, ip, port)),
            };
            let Rewrite::Nat { src: new_src, dst: new_dst } = there else { unreachable!() };
            if new_src.unwrap_or(old_src).ip == new_dst.unwrap_or(old_dst).ip {
                continue;
            }
            let sent = case.emit_one(there);
            prop_assert_eq!(sent.offload, offload, "{:?}", (family, protocol, state));
            let after = seen(&finished(&sent));
            prop_assert_eq!(after.src, new_src.unwrap_or(old_src));
            prop_assert_eq!(after.dst, new_dst.unwrap_or(old_dst));
            prop_assert_eq!((after.ttl, &after.payload), (63, &payload));
            if state == State::Zero {
                prop_assert_ne!(sent.bytes[40..42].to_vec(), vec![0, 0], "no checksum written");
            }

            // As if it came back to us unchanged.
            let mut returned = sent.bytes.clone();
            returned[..12].copy_from_slice(&bytes[..12]);
            let back = Rewrite::Nat {
                src: new_src.map(|_| old_src),
                dst: new_dst.map(|_| old_dst),
            };
            let mut restored = Case::of(&returned, offload).emit_one(back);
            prop_assert_eq!(seen(&finished(&restored)).ttl, 62);
            // But for what was meant to change it is the packet that came.
            restored.bytes[..12].copy_from_slice(&bytes[..12]);
            match family {
                Family::V4 => {
                    restored.bytes[22] = 64;
                    samples::fix_v4(&mut restored.bytes);
                }
                Family::V6 => restored.bytes[21] = 64,
            }
            if state == State::Zero {
                restored.bytes[40..42].fill(0);
            }
            prop_assert_eq!(&restored.bytes, &bytes);
        }
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_its_other_form() {
    for family in BOTH {
        // A last word that makes the sum after the rewrite 0xffff, so that its complement is 0.
        let there = Rewrite::Nat {
            src: None,
            dst: Some(Endpoint::new(server(family), 5353)),
        };
        let mut payload = [0; 2];
        let probe = finished(&Case::of(&samples::udp(family, &payload), NONE).emit_one(there));
        payload.copy_from_slice(&probe[l4(family) + 6..][..2]);
        for state in [State::Complete, State::Partial] {
            let (bytes, offload) = built(family, Protocol::UDP, state, &payload);
            let sent = finished(&Case::of(&bytes, offload).emit_one(there));
            assert_eq!(
                sent[l4(family) + 6..][..2],
                [0xff, 0xff],
                "{family:?} {state:?}"
            );
        }
    }
    // A checksum of 0 over IPv6 is wrong and stays so.
    let (bytes, _) = built(Family::V6, Protocol::UDP, State::Zero, b"x");
    let there = nat(None, Some("[fd00::5]:5353"));
    let sent = Case::of(&bytes, NONE).emit_one(there);
    assert_eq!(sent.bytes[60..62], [0, 0]);
}

#[test]
fn fragments_are_translated_so_that_the_whole_is_right() {
    for family in BOTH {
        for zero in [false, true] {
            let mut datagram = samples::udp(family, &[7; 24])[l4(family)..].to_vec();
            if zero {
                datagram[6..8].fill(0);
            }
            let there = Rewrite::Nat {
                src: None,
                dst: Some(Endpoint::new(server(family), 5353)),
            };
            let sent: Vec<_> = [(0usize, 16usize, true), (16, 32, false)]
                .into_iter()
                .map(|(from, to, more)| {
                    let piece = Fragment {
                        id: 99,
                        offset: from as u16,
                        more,
                    };
                    let bytes =
                        samples::fragment(family, Protocol::UDP, piece, &datagram[from..to]);
                    let mut case = Case::of(&bytes, NONE);
                    let expected = if from == 0 {
                        Kind::Packet
                    } else {
                        Kind::LaterFragment
                    };
                    assert_eq!(case.packet.segment.kind, expected);
                    case.emit_one(there)
                })
                .collect();
            let whole = reassembled(&sent);
            if zero {
                // A checksum cannot be computed of a part, so there is still none.
                assert_eq!(whole[l4(family) + 6..][..2], [0, 0]);
            }
            if !zero || family == Family::V4 {
                let after = seen(&whole);
                assert_eq!(after.dst, Endpoint::new(server(family), 5353));
                assert_eq!((after.payload, after.ttl), (vec![7; 24], 63));
            }
        }
    }
}

#[test]
fn a_first_fragment_gets_no_checksum_though_its_datagram_claims_to_end_in_it() {
    let mut datagram = samples::udp(Family::V4, &[7; 8])[34..].to_vec();
    datagram[6..8].fill(0);
    let piece = Fragment {
        id: 99,
        offset: 0,
        more: true,
    };
    let bytes = samples::fragment(Family::V4, Protocol::UDP, piece, &datagram);
    let sent = Case::of(&bytes, NONE).emit_one(nat(None, Some("10.0.0.5:5353")));
    assert_eq!(sent.bytes[40..42], [0, 0]);
}

#[test]
fn aggregates_pass_whole_and_always_with_a_partial_checksum() {
    for family in BOTH {
        for protocol in [Protocol::TCP, Protocol::UDP] {
            let payload: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
            let (frame, _) = built(family, protocol, State::Complete, &payload);
            let (bytes, offload) = made_aggregate(frame, protocol, 1400);
            let there = Rewrite::Nat {
                src: None,
                dst: Some(Endpoint::new(server(family), 8080)),
            };
            // Also where the checksum was complete, or there was none: the kernel cuts only this kind.
            let mut summed = bytes.clone();
            summed[usize::from(offload.csum_start + offload.csum_offset)..][..2].fill(0);
            let without = Offload {
                flags: 0,
                csum_start: 0,
                csum_offset: 0,
                ..offload
            };
            for (bytes, given) in [(&bytes, offload), (&summed, without)] {
                let sent = Case::of(bytes, given).emit_one(there);
                assert_eq!(sent.offload, offload);
                let after = seen(&finished(&sent));
                assert_eq!(after.dst, Endpoint::new(server(family), 8080));
                assert_eq!(after.payload, payload);
            }
        }
    }
}

#[test]
fn padding_is_left_out() {
    let mut bytes = samples::tcp(Family::V4, 2, b"");
    bytes.extend([0xee; 6]);
    let sent = Case::of(&bytes, NONE).emit_one(nat(None, Some("10.0.0.5:8080")));
    assert_eq!(seen(&sent.bytes).dst, ep("10.0.0.5:8080"));
}

/// A packet inside the datagram has the partial checksum (a VXLAN of the sender's), the datagram none.
#[test]
fn a_partial_checksum_further_inside_is_left_to_the_kernel() {
    let (bytes, mut offload) = built(Family::V4, Protocol::UDP, State::Zero, &[1; 60]);
    offload.flags = Offload::NEEDS_CSUM;
    offload.csum_start = 62;
    offload.csum_offset = 16;
    let sent = Case::of(&bytes, offload).emit_one(nat(None, Some("10.0.0.5:4789")));
    assert_eq!(sent.offload, offload);
    assert_eq!(sent.bytes[40..42], [0, 0]);
    assert_eq!(sent.bytes[42..], [1; 60]);
}
