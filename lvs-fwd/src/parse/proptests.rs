//! Agreement with etherparse, and no panic on anything.

use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv4Options, Ipv6Extensions, Ipv6FragmentHeader, Ipv6Header,
    Ipv6RawExtHeader, Ipv6RoutingExtensions, NetSlice, SlicedPacket, TcpHeader, TransportSlice,
};
use proptest::prelude::*;

use super::*;
use crate::wire::samples::{self, OWN, PEER, fix_v4};

fn plain(frame: &[u8]) -> Result<Parsed, DropReason> {
    parse(frame, Offload::default(), OWN)
}

/// What etherparse makes of a frame: addresses, ports, protocol, TTL, where the transport header is.
#[derive(Debug, PartialEq)]
struct Reading {
    src: Endpoint,
    dst: Endpoint,
    protocol: u8,
    ttl: u8,
    l4: usize,
    payload: usize,
}

fn etherparse_reading(frame: &[u8]) -> Option<Reading> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let (src, dst, ttl) = match sliced.net? {
        NetSlice::Ipv4(s) => {
            let h = s.header();
            (Ip::v4(h.source()), Ip::v4(h.destination()), h.ttl())
        }
        NetSlice::Ipv6(s) => {
            let h = s.header();
            (Ip::v6(h.source()), Ip::v6(h.destination()), h.hop_limit())
        }
        _ => return None,
    };
    let (src_port, dst_port, protocol, slice, header) = match sliced.transport? {
        TransportSlice::Tcp(t) => {
            let header = t.header_slice().len();
            (t.source_port(), t.destination_port(), 6, t.slice(), header)
        }
        TransportSlice::Udp(u) => (u.source_port(), u.destination_port(), 17, u.slice(), 8),
        _ => return None,
    };
    Some(Reading {
        src: Endpoint::new(src, src_port),
        dst: Endpoint::new(dst, dst_port),
        protocol,
        ttl,
        l4: slice.as_ptr() as usize - frame.as_ptr() as usize,
        payload: slice.len() - header,
    })
}

fn our_reading(frame: &[u8], p: &IpPacket) -> Reading {
    let l4 = usize::from(p.layout.l4);
    let (header, len) = match p.segment.protocol {
        Protocol::TCP => (
            Tcp::new(&frame[l4..]).unwrap().header_len(),
            p.layout.end() - l4,
        ),
        _ => (8, Udp::new(&frame[l4..]).unwrap().datagram_len()),
    };
    Reading {
        src: p.segment.src,
        dst: p.segment.dst,
        protocol: p.segment.protocol.0,
        ttl: p.ttl,
        l4,
        payload: len - header,
    }
}

fn extension() -> impl Strategy<Value = Ipv6RawExtHeader> {
    (0..4usize).prop_map(|n| Ipv6RawExtHeader::new_raw(IpNumber(0), &vec![0; 6 + n * 8]).unwrap())
}

fn ip_headers() -> impl Strategy<Value = IpHeaders> {
    let v4 = (
        any::<[u8; 4]>(),
        any::<[u8; 4]>(),
        any::<u8>(),
        any::<bool>(),
        0..11usize,
    )
        .prop_map(
            |(source, destination, time_to_live, dont_fragment, words)| {
                let options = vec![1; words * 4];
                let header = Ipv4Header {
                    source,
                    destination,
                    time_to_live,
                    dont_fragment,
                    options: Ipv4Options::try_from(&options[..]).unwrap(),
                    ..Ipv4Header::default()
                };
                IpHeaders::Ipv4(header, Default::default())
            },
        );
    let extensions = (
        prop::option::of(extension()),
        prop::option::of(extension()),
        prop::option::of((0..4usize, prop::option::of(extension()))),
        prop::option::of(any::<u32>()),
    );
    let v6 = (
        any::<[u8; 16]>(),
        any::<[u8; 16]>(),
        any::<u8>(),
        extensions,
    )
        .prop_map(
            |(source, destination, hop_limit, (hop_by_hop, options, routing, fragment))| {
                let routing = routing.map(|(n, last)| {
                    let mut body = vec![0; 6 + n * 8];
                    body[0] = 4;
                    Ipv6RoutingExtensions {
                        routing: Ipv6RawExtHeader::new_raw(IpNumber(0), &body).unwrap(),
                        final_destination_options: last,
                    }
                });
                let extensions = Ipv6Extensions {
                    hop_by_hop_options: hop_by_hop,
                    destination_options: options,
                    routing,
                    fragment: fragment.map(|id| {
                        Ipv6FragmentHeader::new(IpNumber(0), Default::default(), false, id)
                    }),
                    auth: None,
                };
                let header = Ipv6Header {
                    source,
                    destination,
                    hop_limit,
                    ..Default::default()
                };
                IpHeaders::Ipv6(header, extensions)
            },
        );
    prop_oneof![v4, v6]
}

/// A frame as a sane host would send it: any addresses, ports, options, extension headers, padding.
fn valid_frame() -> impl Strategy<Value = Vec<u8>> {
    let transport = (
        any::<u16>(),
        any::<u16>(),
        prop::option::of(any::<u8>()),
        0..11usize,
    );
    let payload = prop::collection::vec(any::<u8>(), 0..200);
    (ip_headers(), transport, payload, 0..9usize).prop_map(
        |(ip, (src, dst, tcp_flags, words), payload, padding)| {
            let mut frame = match tcp_flags {
                None => samples::udp_with(ip, src, dst, &payload),
                Some(flags) => {
                    let mut header = TcpHeader {
                        source_port: src,
                        destination_port: dst,
                        ..samples::tcp_header(flags)
                    };
                    header.set_options_raw(&vec![1; words * 4]).unwrap();
                    samples::tcp_with(ip, header, &payload)
                }
            };
            frame.resize(frame.len() + padding, 0xee);
            frame
        },
    )
}

fn is_odd(ip: Ip) -> bool {
    ip.is_multicast() || ip.is_loopback() || ip.is_unspecified()
}

/// What must hold of every packet that was let through.
fn check_layout(frame: &[u8], p: &IpPacket) {
    let layout = p.layout;
    let l4 = usize::from(layout.l4);
    assert_eq!(layout.l3, 14);
    assert!(layout.end() <= frame.len() && l4 <= layout.end() && l4 > 14);
    assert_eq!(layout.len, p.segment.len);
    assert_eq!(layout.inner.is_some(), p.segment.kind == Kind::IcmpError);
    assert_eq!(p.segment.src.ip.family(), layout.family);
    assert_eq!(p.segment.dst.ip.family(), layout.family);
    if let Some(inner) = layout.inner {
        let end = usize::from(inner.l4) + usize::from(inner.len);
        assert!(inner.l3 > layout.l4 && inner.l4 > inner.l3);
        assert!(inner.len >= 4 || !p.segment.protocol.is_balanced());
        assert!(end <= layout.end());
    }
    let is_later = p.fragment.is_some_and(|f| !f.is_first());
    assert_eq!(p.segment.kind == Kind::LaterFragment, is_later);
    let has_ports = p.segment.protocol.is_balanced() && !is_later;
    assert!(has_ports || (p.segment.src.port, p.segment.dst.port) == (0, 0));
    assert!(!p.fragment.is_some_and(|f| f.is_atomic()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Every valid frame is read as etherparse reads it.
    #[test]
    fn valid_frames_are_read_alike(frame in valid_frame()) {
        let theirs = etherparse_reading(&frame).unwrap();
        let odd = is_odd(theirs.src.ip)
            || theirs.dst.ip.is_loopback()
            || theirs.dst.ip.is_unspecified();
        match plain(&frame) {
            Ok(Parsed::Ip(p)) => {
                prop_assert!(!odd);
                check_layout(&frame, &p);
                prop_assert_eq!(our_reading(&frame, &p), theirs);
                prop_assert_eq!(p.segment.kind, Kind::Packet);
                if p.segment.protocol == Protocol::TCP {
                    prop_assert_eq!(p.segment.flags.0, frame[usize::from(p.layout.l4) + 13]);
                }
            }
            Err(DropReason::Martian) => prop_assert!(odd),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    /// Frames damaged in places and cut short never panic, and are read as etherparse reads them if both
    /// accept them.
    #[test]
    fn damaged_frames_are_refused_or_read_alike(
        mut frame in valid_frame(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::weighted(0.3, any::<prop::sample::Index>()),
        repair: bool,
    ) {
        for (at, byte) in damage {
            let at = at.index(frame.len().min(120));
            frame[at] = byte;
        }
        if let Some(cut) = cut {
            frame.truncate(cut.index(frame.len()));
        }
        if repair && frame.len() > 80 && frame[14] >> 4 == 4 {
            fix_v4(&mut frame);
        }
        if let Ok(Parsed::Ip(p)) = plain(&frame) {
            check_layout(&frame, &p);
            if p.segment.kind == Kind::Packet
                && let Some(theirs) = etherparse_reading(&frame)
            {
                prop_assert_eq!(our_reading(&frame, &p), theirs);
            }
        }
    }

    /// Random bytes behind an Ethernet header that gets them looked at.
    #[test]
    fn random_bytes_never_panic(
        ethertype in prop::sample::select(vec![0x0800u16, 0x86dd, 0x0806, 0x8100]),
        first in prop::sample::select(vec![0x45u8, 0x46, 0x4f, 0x60, 0x00]),
        next in prop::sample::select(vec![0u8, 1, 6, 17, 43, 44, 50, 51, 58, 60, 132]),
        mut body in prop::collection::vec(any::<u8>(), 0..300),
        group: bool,
        needs_csum: bool,
    ) {
        let len = body.len() as u16;
        if body.len() >= 40 {
            body[0] = first;
            if first == 0x60 {
                body[4..6].copy_from_slice(&(len - 40).to_be_bytes());
                body[6] = next;
            } else {
                body[2..4].copy_from_slice(&len.to_be_bytes());
                body[6..8].fill(0);
                body[9] = next;
            }
        }
        let dst = if group { [0x33, 0x33, 0xff, 0, 0, 1] } else { OWN.0 };
        let mut frame = [&dst[..], &PEER.0, &ethertype.to_be_bytes(), &body].concat();
        if first >> 4 == 4 && body.len() >= 60 && frame[12..14] == [8, 0] {
            fix_v4(&mut frame);
        }
        let offload = Offload {
            flags: u8::from(needs_csum),
            ..Offload::default()
        };
        if let Ok(Parsed::Ip(p)) = parse(&frame, offload, OWN) {
            check_layout(&frame, &p);
        }
    }

    #[test]
    fn damaged_icmp_errors_never_panic(
        v6: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let mut quoted = samples::quoted(family, Protocol::UDP, 53);
        for (at, byte) in damage {
            let at = at.index(quoted.len());
            quoted[at] = byte;
        }
        let frame = samples::icmp_error(family, 3, 0, &quoted);
        if let Ok(Parsed::Ip(p)) = plain(&frame) {
            check_layout(&frame, &p);
        }
    }
}
