//! Packets too big, in pieces, and aggregates.

use etherparse::{Icmpv4Type, Icmpv6Type, SlicedPacket, TransportSlice, icmpv4};
use lvs_core::{DropReason, Family, Method, Protocol};
use lvs_fwd::frame::Offload;

use crate::lab::{
    FAMILIES, LAN, LAN_MAC, Lab, METHODS, Packet, SERVER_MAC, WAN, ends, links, server,
    with_servers,
};

const TCP_HEADER: usize = 20;

fn ip_header_len(family: Family) -> usize {
    match family {
        Family::V4 => 20,
        Family::V6 => 40,
    }
}

/// A datagram whose IP packet is `len` bytes long.
pub(crate) fn datagram(family: Family, len: usize, dont_fragment: bool) -> Packet {
    Packet {
        payload: (0..len - ip_header_len(family) - 8)
            .map(|i| i as u8)
            .collect(),
        dont_fragment,
        id: 99,
        ..Packet::opening(family, Protocol::UDP)
    }
}

/// The MTU that an ICMP error tells of, and what it quotes.
fn told_mtu(frame: &[u8]) -> (u32, Vec<u8>) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    match sliced.transport.unwrap() {
        TransportSlice::Icmpv4(icmp) => match icmp.icmp_type() {
            Icmpv4Type::DestinationUnreachable(
                icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu },
            ) => (next_hop_mtu.into(), icmp.payload().to_vec()),
            other => panic!("{other:?}"),
        },
        TransportSlice::Icmpv6(icmp) => match icmp.icmp_type() {
            Icmpv6Type::PacketTooBig { mtu } => (mtu, icmp.payload().to_vec()),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_may_not_be_fragmented_learns_the_mtu() {
    let other = |f| match f {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    };
    for family in FAMILIES {
        for remote in [family, other(family)] {
            let topology = with_servers(links(1500));
            let mut lab = Lab::with_servers_by(topology, |f| {
                let f = if remote == family { f } else { other(f) };
                (server(f), Method::Tunnel)
            });
            let mtu = 1500 - ip_header_len(remote);
            let fits = datagram(family, mtu, true);
            let sent = lab.send(WAN, &fits.sent_by_client());
            assert_eq!(sent.len(), 1, "{family:?} in {remote:?}");
            assert_eq!((sent[0].0, sent[0].1.len()), (LAN, 1514));

            let too_big = datagram(family, mtu + 1, true);
            let sent = lab.send(WAN, &too_big.sent_by_client());
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].0, WAN);
            let (told, quoted) = told_mtu(&sent[0].1);
            assert_eq!(told as usize, mtu);
            assert!(too_big.ip_packet().starts_with(&quoted), "unchanged");
            assert!(quoted.len() >= 28 && sent[0].1.len() <= 14 + 1280);
            assert_eq!(lab.dropped(DropReason::TooBig), 1);
            assert_eq!(ends(&lab.counts()), 2);
        }
    }
}

#[test]
fn a_smaller_link_is_told_of_too() {
    for family in FAMILIES {
        for method in [Method::Nat, Method::DirectRoute, Method::FullNat] {
            let mut lab = Lab::with_topology(method, with_servers(links(1400)));
            let sent = lab.send(WAN, &datagram(family, 1401, true).sent_by_client());
            assert_eq!((sent.len(), sent[0].0), (1, WAN));
            assert_eq!(told_mtu(&sent[0].1).0, 1400);
            let sent = lab.send(WAN, &datagram(family, 1400, true).sent_by_client());
            assert_eq!((sent.len(), sent[0].0), (1, LAN));
        }
    }
}

/// Puts IPv4 fragments together; checks their headers on the way. Returns the first one's header values
/// and the whole payload.
fn reassembled(frames: &[Vec<u8>], mtu: usize) -> (etherparse::Ipv4Header, Vec<u8>) {
    let mut payload = Vec::new();
    let mut first = None;
    for (i, frame) in frames.iter().enumerate() {
        assert!(frame.len() <= 14 + mtu);
        let (header, rest) = etherparse::Ipv4Header::from_slice(&frame[14..]).unwrap();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        assert_eq!(usize::from(header.total_len), frame.len() - 14);
        let offset = usize::from(header.fragment_offset.value()) * 8;
        assert_eq!(offset, payload.len());
        assert_eq!(header.more_fragments, i + 1 < frames.len());
        payload.extend(rest);
        let first = first.get_or_insert_with(|| header.clone());
        assert_eq!(first.identification, header.identification);
    }
    (first.unwrap(), payload)
}

#[test]
fn ipv4_without_df_is_fragmented() {
    let packet = datagram(Family::V4, 1500, false);
    for method in METHODS {
        let mut lab = Lab::with_topology(method, with_servers(links(1000)));
        let sent = lab.send(WAN, &packet.sent_by_client());
        assert!(sent.len() == 2 && sent.iter().all(|(port, _)| *port == LAN));
        let frames: Vec<_> = sent.into_iter().map(|(_, f)| f).collect();
        for f in &frames {
            assert_eq!(f[..12], [SERVER_MAC.0, LAN_MAC.0].concat());
        }
        let (header, payload) = reassembled(&frames, 1000);
        let expected = match method {
            Method::Nat => Packet {
                dst: server(Family::V4),
                ..packet.forwarded()
            }
            .transport(),
            Method::DirectRoute => packet.transport(),
            Method::Tunnel => packet.forwarded().ip_packet(),
            _ => {
                let mut src = packet.src;
                lab.director
                    .connections(lab.now, |c| src = c.local.unwrap());
                let dst = server(Family::V4);
                Packet {
                    src,
                    dst,
                    ..packet.clone()
                }
                .transport()
            }
        };
        assert_eq!(payload, expected, "{method:?}");
        assert_eq!(header.time_to_live, 63);
        if method != Method::Tunnel {
            assert_eq!(header.identification, 99);
        }
        assert_eq!(lab.counts().forwarded_in, 1);
    }
}

const SEGMENT: usize = 1000;
const SEGMENTS: usize = 5;

fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2);
    words.fold(0, |s, w| {
        let s = s + (u32::from(w[0]) << 8) + u32::from(*w.get(1).unwrap_or(&0));
        (s & 0xffff) + (s >> 16)
    })
}

/// Fills in what a partial checksum leaves to the network card.
fn complete(frame: &mut [u8], offload: Offload) {
    assert!(offload.needs_csum());
    let start = usize::from(offload.csum_start);
    let at = start + usize::from(offload.csum_offset);
    let checksum = !(sum(&frame[start..]) as u16);
    frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// The frame of a TCP packet with the checksum that a sender leaves to its network card.
fn unfinished(mut frame: Vec<u8>, family: Family) -> Vec<u8> {
    let l4 = 14 + ip_header_len(family);
    let addresses = match family {
        Family::V4 => 26..34,
        Family::V6 => 22..54,
    };
    let length = [0, 6, 0, 0];
    let pseudo = sum(&frame[addresses]) + sum(&length) + (frame.len() - l4) as u32;
    let pseudo = (pseudo & 0xffff) + (pseudo >> 16);
    frame[l4 + 16..l4 + 18].copy_from_slice(&(pseudo as u16).to_be_bytes());
    frame
}

#[test]
fn aggregates_pass_whole_or_are_cut_for_a_tunnel() {
    for family in FAMILIES {
        for method in METHODS {
            let mut lab = Lab::new(method);
            lab.send(
                WAN,
                &Packet::opening(family, Protocol::TCP).sent_by_client(),
            );
            let packet = Packet {
                syn: false,
                ack: true,
                payload: (0..SEGMENT * SEGMENTS - 300)
                    .map(|i| (i / 7) as u8)
                    .collect(),
                ..Packet::opening(family, Protocol::TCP)
            };
            let l4 = 14 + ip_header_len(family);
            let offload = Offload {
                flags: Offload::NEEDS_CSUM,
                gso_type: match family {
                    Family::V4 => Offload::GSO_TCPV4,
                    Family::V6 => Offload::GSO_TCPV6,
                },
                hdr_len: (l4 + TCP_HEADER) as u16,
                gso_size: SEGMENT as u16,
                csum_start: l4 as u16,
                csum_offset: 16,
            };
            let frame = unfinished(packet.sent_by_client(), family);
            let sent = lab.send_offloaded(WAN, &frame, offload);
            assert!(sent.iter().all(|(port, _)| *port == LAN));
            if method == Method::Tunnel {
                assert_eq!(sent.len(), SEGMENTS);
                let mut payload = Vec::new();
                for (_, mut f) in sent {
                    assert_eq!(f.offload.gso_type, Offload::GSO_NONE);
                    complete(&mut f.bytes, f.offload);
                    let outer = ip_header_len(family);
                    let inner = f.bytes[..14].iter().chain(&f.bytes[14 + outer..]);
                    payload.extend(segment(&inner.copied().collect::<Vec<_>>(), payload.len()));
                }
                assert_eq!(payload, packet.payload, "{family:?}");
                continue;
            }
            let mut expected = packet.forwarded();
            if method != Method::DirectRoute {
                expected.dst = server(family);
            }
            if method == Method::FullNat {
                lab.director
                    .connections(lab.now, |c| expected.src = c.local.unwrap());
            }
            assert_eq!(sent.len(), 1);
            assert_eq!(sent[0].1.offload, offload);
            let expected = unfinished(expected.to_server(), family);
            assert_eq!(sent[0].1.bytes, expected, "{family:?} {method:?}");
        }
    }
}

/// Checks a segment with all that belongs to it, and returns its payload; `done` is how much of the stream
/// came before it.
fn segment(frame: &[u8], done: usize) -> Vec<u8> {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
        panic!("no segment: {frame:02x?}");
    };
    assert_eq!(tcp.sequence_number() as usize, 1000 + done);
    let right = match sliced.net.unwrap() {
        etherparse::NetSlice::Ipv4(ip) => {
            let h = ip.header();
            assert_eq!(h.header_checksum(), h.to_header().calc_header_checksum());
            tcp.calc_checksum_ipv4(h.source(), h.destination())
        }
        etherparse::NetSlice::Ipv6(ip) => {
            let h = ip.header();
            tcp.calc_checksum_ipv6(h.source(), h.destination())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(right, Ok(tcp.checksum()));
    tcp.payload().to_vec()
}
