//! SCTP by every method, its checksum there or left to the network card.

use proptest::prelude::*;

use super::*;
use crate::checksum::Crc32c;
use crate::wire::Fragment;
use crate::wire::sctp::fill_checksum;

const CRC_AT: usize = 8;

/// From the client's port 40000 to the virtual address's port 80: one DATA chunk with a right checksum.
fn packet(payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x9c, 0x40, 0, 80, 0xca, 0xfe, 0, 1, 0, 0, 0, 0, 0, 3];
    p.extend((4 + payload.len() as u16).to_be_bytes());
    p.extend(payload);
    p.resize(p.len().next_multiple_of(4), 0);
    assert!(fill_checksum(&mut p));
    p
}

fn frame(family: Family, payload: &[u8]) -> Vec<u8> {
    samples::raw(family, Protocol::SCTP, &packet(payload))
}

/// As a sender leaves it that expects its network card to fill in the CRC.
fn left_to_the_card(mut frame: Vec<u8>, family: Family) -> (Vec<u8>, Offload) {
    let at = l4(family);
    frame[at + CRC_AT..][..4].fill(0);
    let offload = Offload {
        flags: Offload::NEEDS_CSUM,
        csum_start: at as u16,
        csum_offset: CRC_AT as u16,
        ..NONE
    };
    (frame, offload)
}

fn is_right(packet: &[u8]) -> bool {
    let mut crc = Crc32c::new();
    crc.add_bytes(&packet[..CRC_AT]);
    crc.add_bytes(&[0; 4]);
    crc.add_bytes(&packet[CRC_AT + 4..]);
    packet[CRC_AT..CRC_AT + 4] == crc.finish().to_le_bytes()
}

fn there(family: Family, port: u16) -> Rewrite {
    Rewrite::Nat {
        src: None,
        dst: Some(Endpoint::new(server(family), port)),
    }
}

proptest! {
    #[test]
    fn checksums_are_right_and_the_way_back_restores_the_packet(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        port: u16,
        card: bool,
        padding in 0..9usize,
    ) {
        for family in BOTH {
            let at = l4(family);
            let mut sent_by_client = frame(family, &payload);
            let len = sent_by_client.len();
            sent_by_client.resize(len + padding, 0xee);
            let (bytes, offload) = match card {
                true => left_to_the_card(sent_by_client.clone(), family),
                false => (sent_by_client.clone(), NONE),
            };
            let sent = Case::of(&bytes, offload).emit_one(there(family, port));
            prop_assert_eq!(sent.offload, NONE);
            prop_assert_eq!(sent.bytes.len(), len);
            prop_assert!(is_right(&sent.bytes[at..]));
            prop_assert_eq!(&sent.bytes[at..at + 2], &[0x9c, 0x40]);
            prop_assert_eq!(&sent.bytes[at + 2..at + 4], &port.to_be_bytes());
            prop_assert_eq!(&sent.bytes[at + 12..], &sent_by_client[at + 12..len]);

            let mut returned = sent.bytes.clone();
            returned[..12].copy_from_slice(&bytes[..12]);
            let back = Rewrite::Nat {
                src: None,
                dst: Some(Endpoint::new(vip(family), 80)),
            };
            let restored = Case::of(&returned, NONE).emit_one(back);
            prop_assert_eq!(&restored.bytes[at..], &sent_by_client[at..len]);
        }
    }
}

#[test]
fn a_checksum_left_to_the_card_is_filled_in_by_every_method() {
    for family in BOTH {
        let (bytes, offload) = left_to_the_card(frame(family, b"data"), family);
        let remote = server(family);
        let encapsulation = Encapsulation::Ipip;
        let tunnel = Rewrite::Tunnel {
            remote,
            encapsulation,
        };
        for rewrite in [ROUTE, there(family, 80), there(family, 81), tunnel] {
            let sent = Case::of(&bytes, offload).emit_one(rewrite);
            assert_eq!(sent.offload, NONE, "{rewrite:?}");
            let bytes = match rewrite {
                Rewrite::Tunnel { .. } => unwrapped(&sent.bytes),
                _ => sent.bytes,
            };
            assert!(is_right(&bytes[l4(family)..]), "{family:?} {rewrite:?}");
        }
    }
}

#[test]
fn a_wrong_checksum_is_replaced_only_with_a_port() {
    let mut bytes = frame(Family::V4, b"data");
    bytes[34 + CRC_AT] ^= 1;
    let sent = Case::of(&bytes, NONE).emit_one(there(Family::V4, 80));
    assert!(!is_right(&sent.bytes[34..]));
    let sent = Case::of(&bytes, NONE).emit_one(there(Family::V4, 81));
    assert!(is_right(&sent.bytes[34..]));
}

#[test]
fn fragments_keep_their_ports() {
    let whole = packet(&[7; 40]);
    for family in BOTH {
        for (range, more) in [(0..24, true), (24..56, false)] {
            let piece = Fragment {
                id: 9,
                offset: range.start as u16,
                more,
            };
            let bytes = samples::fragment(family, Protocol::SCTP, piece, &whole[range.clone()]);
            let sent = Case::of(&bytes, NONE).emit_one(there(family, 80));
            assert_eq!(sent.bytes[sent.bytes.len() - range.len()..], whole[range]);
            let refused = Case::of(&bytes, NONE).emit(there(family, 81));
            let later = !more; // it has no ports that could change
            assert_eq!(refused.is_ok(), later);
            assert!(later || refused == Err(Refusal::Drop(DropReason::Unsupported)));
        }
    }
}

#[test]
fn offload_states_without_a_sense_are_refused_and_change_nothing() {
    let (bytes, sound) = left_to_the_card(frame(Family::V4, &[1; 60]), Family::V4);
    let check = |offload| {
        for rewrite in [ROUTE, there(Family::V4, 81)] {
            let mut case = Case::of(&bytes, offload);
            let refused = case.emit(rewrite);
            assert_eq!(refused, Err(Refusal::Drop(DropReason::Unsupported)));
            assert_eq!(case.frame.bytes(), bytes);
        }
    };
    check(Offload {
        csum_offset: 6,
        ..sound
    });
    check(Offload {
        csum_start: 46,
        ..sound
    });
    for gso_type in [Offload::GSO_TCPV4, Offload::GSO_UDP_L4, 0x3f] {
        check(Offload {
            gso_type,
            gso_size: 20,
            ..sound
        });
        check(Offload {
            gso_type,
            gso_size: 20,
            ..NONE
        });
    }
}
