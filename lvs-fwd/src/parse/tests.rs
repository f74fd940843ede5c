//! One rule at a time.

use etherparse::{IpHeaders, Ipv4Header, Ipv4Options};
use lvs_core::Chunk;

use super::*;
use crate::wire::samples::{self, BOTH, OWN, PEER, client, fix_v4, l4, vip};

fn plain(frame: &[u8]) -> Result<Parsed, DropReason> {
    parse(frame, Offload::default(), OWN)
}

fn packet(frame: &[u8]) -> IpPacket {
    match plain(frame) {
        Ok(Parsed::Ip(p)) => p,
        other => panic!("{other:?} of {frame:02x?}"),
    }
}

const PASS_PROTOCOL: Result<Parsed, DropReason> = Ok(Parsed::Pass(PassReason::OtherProtocol));

/// A SYN as it stands on the wire: 192.0.2.10:40000 to 198.51.100.1:80, with two bytes of padding behind it.
#[test]
fn a_syn_byte_for_byte() {
    #[rustfmt::skip]
    let frame = [
        0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x02, 0x08, 0x00,
        0x45, 0x00, 0x00, 0x28, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0x3c, 0x5d,
        192, 0, 2, 10, 198, 51, 100, 1,
        0x9c, 0x40, 0x00, 0x50, 0x00, 0x00, 0x03, 0xe8, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff,
        0x23, 0x2b, 0, 0,
        0, 0,
    ];
    let want = IpPacket {
        segment: Segment {
            src: "192.0.2.10:40000".parse().unwrap(),
            dst: "198.51.100.1:80".parse().unwrap(),
            len: 40,
            protocol: Protocol::TCP,
            flags: TcpFlags::SYN,
            kind: Kind::Packet,
            chunk: Chunk::Data,
            mark: 0,
            tag: 0,
        },
        layout: Layout {
            family: Family::V4,
            l3: 14,
            l4: 34,
            len: 40,
            dont_fragment: true,
            inner: None,
        },
        ttl: 64,
        fragment: None,
    };
    assert_eq!(plain(&frame), Ok(Parsed::Ip(want)));
}

#[test]
fn frames_that_are_not_for_balancing_are_passed() {
    let pass = |r| Ok(Parsed::Pass(r));
    let frame = samples::tcp(Family::V4, 2, b"");
    let with = |at: usize, bytes: &[u8]| {
        let mut f = frame.clone();
        f[at..at + bytes.len()].copy_from_slice(bytes);
        plain(&f)
    };
    assert_eq!(with(0, &[2, 9, 9, 9, 9, 9]), pass(PassReason::OtherHost));
    assert_eq!(with(0, &[0xff; 6]), pass(PassReason::NotOurs));
    assert_eq!(with(0, &[1, 0, 0x5e, 0, 0, 18]), pass(PassReason::NotOurs));
    assert_eq!(with(6, &OWN.0), Err(DropReason::Looped));
    for ethertype in [0x8100u16, 0x88a8, 0x88cc, 0x8847, 0x0040] {
        assert_eq!(
            with(12, &ethertype.to_be_bytes()),
            pass(PassReason::LinkLayer)
        );
    }
    for family in BOTH {
        for protocol in [0x02, 4, 41, 47, 59, 112, 136] {
            let f = samples::raw(family, Protocol(protocol), &[0; 40]);
            assert_eq!(plain(&f), PASS_PROTOCOL, "{family:?} protocol {protocol}");
        }
        // The other family's ICMP.
        let foreign = if family == Family::V4 { 58 } else { 1 };
        assert_eq!(
            plain(&samples::raw(family, Protocol(foreign), &[3; 80])),
            PASS_PROTOCOL
        );
    }
}

#[test]
fn arp_requests_are_told_from_other_arp() {
    let mut frame = crate::responder::gratuitous_arp(PEER, [192, 0, 2, 10]).to_vec();
    assert_eq!(plain(&frame), Ok(Parsed::Arp));
    frame[..6].copy_from_slice(&OWN.0);
    assert_eq!(plain(&frame), Ok(Parsed::Arp), "to our address alone");
    for (at, value) in [(15, 6), (16, 0x86), (18, 8), (19, 16), (21, 2)] {
        let mut f = frame.clone();
        f[at] = value;
        assert_eq!(
            plain(&f),
            Ok(Parsed::Pass(PassReason::LinkLayer)),
            "byte {at}"
        );
    }
    frame.truncate(41);
    assert_eq!(plain(&frame), Ok(Parsed::Pass(PassReason::LinkLayer)));
}

#[test]
fn neighbour_solicitations_are_found_in_group_and_unicast_frames() {
    let mut frame = samples::raw(Family::V6, Protocol::ICMPV6, &[0; 24]);
    frame[54] = 135;
    assert_eq!(plain(&frame), Ok(Parsed::NeighbourSolicitation));
    frame[..6].copy_from_slice(&[0x33, 0x33, 0xff, 0, 0, 1]);
    assert_eq!(plain(&frame), Ok(Parsed::NeighbourSolicitation));
    frame[54] = 136;
    assert_eq!(plain(&frame), Ok(Parsed::Pass(PassReason::NotOurs)));
    frame[..6].copy_from_slice(&OWN.0);
    assert_eq!(plain(&frame), PASS_PROTOCOL);
    let behind_options = extension_chain(&[(60, vec![0; 7])], 58, &[135; 24]);
    assert_eq!(plain(&behind_options), PASS_PROTOCOL);
}

/// Each rule of the IPv4 header, broken by itself.
#[test]
fn broken_ipv4_headers_are_dropped_by_reason() {
    use DropReason::*;
    let check = |want, what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = samples::tcp(Family::V4, 2, b"payload");
        change(&mut frame);
        assert_eq!(plain(&frame), Err(want), "{what}");
    };
    check(Truncated, "no Ethernet header", &|f| f.truncate(13));
    check(Truncated, "no IP header", &|f| f.truncate(33));
    check(BadVersion, "version 6", &|f| f[14] = 0x65);
    check(BadHeaderLength, "header of 16 bytes", &|f| f[14] = 0x44);
    check(Truncated, "header of 60 bytes, 47 there", &|f| f[14] = 0x4f);
    check(BadLength, "total length 0", &|f| f[16..18].fill(0));
    check(BadLength, "shorter than its header", &|f| f[17] = 19);
    check(BadLength, "one byte missing", &|f| f.truncate(60));
    check(BadChecksum, "checksum", &|f| f[24] ^= 1);
    check(BadChecksum, "another field", &|f| f[22] -= 1);
    for (src, what) in [
        ([0, 1, 2, 3], "source in 0/8"),
        ([127, 0, 0, 1], "source loopback"),
        ([224, 0, 0, 1], "source multicast"),
        ([255; 4], "source broadcast"),
    ] {
        check(Martian, what, &|f| {
            f[26..30].copy_from_slice(&src);
            fix_v4(f);
        });
    }
    for dst in [[127, 9, 9, 9], [0; 4]] {
        check(Martian, "destination", &|f| {
            f[30..34].copy_from_slice(&dst);
            fix_v4(f);
        });
    }
    check(Looped, "land", &|f| {
        f.copy_within(26..30, 30);
        fix_v4(f);
    });
}

#[test]
fn ipv4_options_are_walked() {
    let with = |options: &[u8]| {
        let header = Ipv4Header {
            options: Ipv4Options::try_from(options).unwrap(),
            ..samples::v4_header()
        };
        let frame = samples::tcp_with(
            IpHeaders::Ipv4(header, Default::default()),
            samples::tcp_header(2),
            b"",
        );
        plain(&frame).map(|p| match p {
            Parsed::Ip(p) => usize::from(p.layout.l4),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(with(&[1, 1, 1, 1]), Ok(38));
    assert_eq!(with(&[148, 4, 0, 0]), Ok(38), "router alert");
    assert_eq!(
        with(&[1, 1, 7, 3, 4, 0, 131, 0]),
        Ok(42),
        "nothing counts behind the end"
    );
    assert_eq!(
        with(&[131, 3, 4, 0]),
        Err(DropReason::Martian),
        "loose source route"
    );
    assert_eq!(
        with(&[1, 137, 3, 4]),
        Err(DropReason::Martian),
        "strict source route"
    );
    assert_eq!(
        with(&[7, 1, 0, 0]),
        Err(DropReason::BadHeaderLength),
        "length 1"
    );
    assert_eq!(
        with(&[7, 5, 0, 0]),
        Err(DropReason::BadHeaderLength),
        "beyond the header"
    );
    assert_eq!(
        with(&[1, 1, 1, 7]),
        Err(DropReason::BadHeaderLength),
        "no length"
    );
}

/// Each rule of the IPv6 header, broken by itself.
#[test]
fn broken_ipv6_headers_are_dropped_by_reason() {
    use DropReason::*;
    let check = |want, what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = samples::tcp(Family::V6, 2, b"payload");
        change(&mut frame);
        assert_eq!(plain(&frame), Err(want), "{what}");
    };
    check(Truncated, "no IP header", &|f| f.truncate(53));
    check(BadVersion, "version 4", &|f| f[14] = 0x45);
    check(BadLength, "one byte missing", &|f| f.truncate(80));
    check(BadLength, "jumbogram", &|f| {
        f[18..20].fill(0);
        f[20] = 0;
    });
    let mapped = *Ip::v4([192, 0, 2, 1]).bytes();
    let loopback = *"::1".parse::<Ip>().unwrap().bytes();
    let group = *"ff02::1".parse::<Ip>().unwrap().bytes();
    for src in [mapped, loopback, group, [0; 16]] {
        check(Martian, "source", &|f| f[22..38].copy_from_slice(&src));
    }
    for dst in [mapped, loopback, [0; 16]] {
        check(Martian, "destination", &|f| f[38..54].copy_from_slice(&dst));
    }
    check(Looped, "land", &|f| f.copy_within(22..38, 38));
}

#[test]
fn an_aggregate_without_a_length_is_refused() {
    let aggregate = Offload {
        gso_type: Offload::GSO_TCPV6,
        gso_size: 1400,
        ..Offload::default()
    };
    for family in BOTH {
        let mut frame = samples::tcp(family, 0x10, &[0; 3000]);
        assert!(matches!(parse(&frame, aggregate, OWN), Ok(Parsed::Ip(p)) if p.segment.len > 3000));
        let at = if family == Family::V4 { 16 } else { 18 };
        frame[at..at + 2].fill(0);
        assert_eq!(parse(&frame, aggregate, OWN), Err(DropReason::BadLength));
    }
}

#[test]
fn broken_transport_headers_are_dropped_by_reason() {
    use DropReason::*;
    for family in BOTH {
        let at = l4(family);
        let tcp = |len: usize, data_offset: u8| {
            let segment = &samples::tcp(family, 2, &[0; 40])[at..at + len];
            let mut frame = samples::raw(family, Protocol::TCP, segment);
            if let Some(b) = frame.get_mut(at + 12) {
                *b = data_offset << 4;
            }
            plain(&frame).err()
        };
        assert_eq!(tcp(19, 5), Some(Truncated));
        assert_eq!(tcp(20, 5), None);
        assert_eq!(tcp(40, 4), Some(BadHeaderLength));
        assert_eq!(tcp(24, 6), None);
        assert_eq!(tcp(24, 7), Some(Truncated));

        let udp = |len: usize, told: u8| {
            let datagram = &samples::udp(family, &[0; 40])[at..at + len];
            let mut frame = samples::raw(family, Protocol::UDP, datagram);
            if let Some(b) = frame.get_mut(at + 5) {
                *b = told;
            }
            plain(&frame).err()
        };
        assert_eq!(udp(7, 8), Some(Truncated));
        assert_eq!(udp(8, 8), None);
        assert_eq!(udp(8, 7), Some(BadLength));
        assert_eq!(udp(20, 21), Some(BadLength));
        assert_eq!(udp(20, 12), None, "bytes behind the datagram");
    }
}

fn extension_chain(chain: &[(u8, Vec<u8>)], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, (_, body)) in chain.iter().enumerate() {
        bytes.push(chain.get(i + 1).map_or(protocol, |next| next.0));
        bytes.extend_from_slice(body);
    }
    bytes.extend_from_slice(payload);
    let mut frame = samples::raw(Family::V6, Protocol(protocol), &bytes);
    if let Some((first, _)) = chain.first() {
        frame[20] = *first;
    }
    frame
}

#[test]
fn extension_headers_are_followed_within_bounds() {
    let options = |len: u8| {
        let mut b = vec![0; 7 + usize::from(len) * 8];
        b[0] = len;
        b
    };
    let frag = |offset: u16| {
        let [a, b] = offset.to_be_bytes();
        vec![0, a, b, 0, 0, 0, 9]
    };
    let routing = |kind: u8, left: u8| vec![0, kind, left, 0, 0, 0, 0];
    let udp = &samples::udp(Family::V6, b"12345678")[54..];
    let at = |chain: &[(u8, Vec<u8>)]| {
        plain(&extension_chain(chain, 17, udp)).map(|p| match p {
            Parsed::Ip(p) => usize::from(p.layout.l4) - 54,
            other => panic!("{other:?}"),
        })
    };
    let bad = Err(DropReason::BadExtension);
    assert_eq!(at(&[]), Ok(0));
    assert_eq!(
        at(&[(0, options(0)), (60, options(2)), (43, routing(4, 0))]),
        Ok(40)
    );
    assert_eq!(at(&vec![(60, options(0)); 8]), Ok(64));
    assert_eq!(at(&vec![(60, options(0)); 9]), bad, "nine headers");
    assert_eq!(at(&[(60, options(31))]), Ok(256));
    assert_eq!(at(&[(60, options(31)), (60, options(0))]), bad, "264 bytes");
    assert_eq!(
        at(&[(60, options(0)), (0, options(0))]),
        bad,
        "hop-by-hop second"
    );
    assert_eq!(at(&[(43, routing(0, 0))]), bad, "routing type 0");
    assert_eq!(at(&[(43, routing(4, 1))]), bad, "segments left");
    assert_eq!(
        at(&[(44, frag(0)), (60, options(0))]),
        Ok(16),
        "behind an atomic fragment"
    );
    assert_eq!(
        at(&[(44, frag(0)), (44, frag(0))]),
        bad,
        "two fragment headers"
    );
    assert_eq!(
        at(&[(44, frag(1)), (60, options(0))]),
        bad,
        "behind a first fragment"
    );
    assert_eq!(
        at(&[(44, frag(8)), (60, options(0))]),
        bad,
        "behind a later fragment"
    );
    let cut = extension_chain(&[(60, options(0))], 17, &[]);
    assert_eq!(
        plain(&cut),
        Err(DropReason::Truncated),
        "no transport header"
    );
    let cut = extension_chain(&[(60, vec![1, 0, 0, 0, 0, 0, 0])], 17, &[]);
    assert_eq!(
        plain(&cut),
        Err(DropReason::Truncated),
        "half an extension header"
    );
}

#[test]
fn fragments_tell_which_they_are() {
    for family in BOTH {
        let udp = &samples::udp(family, &[7; 24])[l4(family)..];
        let fragment = |offset, more| Fragment {
            id: 0x1234,
            offset,
            more,
        };
        let first = packet(&samples::fragment(
            family,
            Protocol::UDP,
            fragment(0, true),
            &udp[..16],
        ));
        assert_eq!(
            first.segment.src.port, 5000,
            "its length field covers all fragments"
        );
        assert_eq!(first.segment.kind, Kind::Packet);
        assert_eq!(first.fragment, Some(fragment(0, true)));

        let later = packet(&samples::fragment(
            family,
            Protocol::UDP,
            fragment(16, false),
            &udp[16..],
        ));
        assert_eq!(later.segment.kind, Kind::LaterFragment);
        assert_eq!(later.segment.src, Endpoint::new(client(family), 0));
        assert_eq!(later.segment.dst, Endpoint::new(vip(family), 0));
        assert_eq!(later.segment.flags, TcpFlags(0));
        assert_eq!(later.fragment, Some(fragment(16, false)));
        let header_len = if family == Family::V4 { 0 } else { 8 };
        assert_eq!(usize::from(later.layout.l4), l4(family) + header_len);
    }
    let udp = &samples::udp(Family::V6, b"whole")[54..];
    let atomic = Fragment {
        id: 9,
        offset: 0,
        more: false,
    };
    let p = packet(&samples::fragment(Family::V6, Protocol::UDP, atomic, udp));
    assert_eq!(
        (p.fragment, p.segment.kind, p.layout.l4),
        (None, Kind::Packet, 62)
    );
}

#[test]
fn bad_fragments_are_dropped() {
    for family in BOTH {
        let header_len = if family == Family::V4 { 20 } else { 0 };
        let check = |protocol, offset, more, len: usize| {
            let mut payload = vec![0; len];
            if let Some(b) = payload.get_mut(12) {
                *b = 0x60; // a TCP header of 24 bytes
            }
            if let Some(b) = payload.get_mut(5) {
                *b = 200; // a UDP datagram of 200 bytes
            }
            let f = Fragment {
                id: 1,
                offset,
                more,
            };
            plain(&samples::fragment(family, protocol, f, &payload)).err()
        };
        let bad = Some(DropReason::BadFragment);
        assert_eq!(check(Protocol::TCP, 0, true, 24), None);
        assert_eq!(check(Protocol::TCP, 0, true, 16), bad, "cuts the header");
        assert_eq!(check(Protocol::UDP, 0, true, 8), None);
        assert_eq!(check(Protocol::UDP, 0, true, 0), bad, "empty");
        assert_eq!(
            check(Protocol::UDP, 0, true, 12),
            bad,
            "not a multiple of 8"
        );
        assert_eq!(check(Protocol::UDP, 16, false, 12), None);
        assert_eq!(check(Protocol::UDP, 16, false, 0), bad, "empty");
        assert_eq!(
            check(Protocol::TCP, 8, false, 40),
            bad,
            "overlaps the header"
        );
        assert_eq!(check(Protocol::UDP, 8, false, 40), None);
        assert_eq!(check(Protocol::SCTP, 0, true, 16), None);
        assert_eq!(check(Protocol::SCTP, 0, true, 8), bad, "cuts the header");
        assert_eq!(check(Protocol::SCTP, 8, false, 40), bad, "overlaps");
        assert_eq!(check(Protocol::ESP, 0, true, 8), None);
        assert_eq!(check(Protocol::ESP, 0, true, 12), bad);
        assert_eq!(check(Protocol::ESP, 8, false, 12), None);
        let most = 65535 - header_len - 65504;
        assert_eq!(check(Protocol::TCP, 65504, false, most), None);
        assert_eq!(
            check(Protocol::TCP, 65504, false, most + 1),
            bad,
            "ends behind 65535"
        );
    }
}

#[test]
fn icmp_errors_name_the_flow_they_are_about() {
    for family in BOTH {
        for protocol in [Protocol::TCP, Protocol::UDP] {
            let quoted = samples::quoted(family, protocol, 80);
            let frame = samples::icmp_error(family, 3, 3, &quoted);
            let p = packet(&frame);
            assert_eq!(p.segment.src, Endpoint::new(client(family), 40000));
            assert_eq!(p.segment.dst, Endpoint::new(vip(family), 80));
            assert_eq!(p.segment.kind, Kind::IcmpError);
            assert_eq!(p.segment.protocol, protocol);
            assert_eq!(p.segment.len as usize, frame.len() - 14);
            let at = l4(family) + 8;
            let header_len = l4(family) - 14;
            let inner = p.layout.inner.unwrap();
            assert_eq!(
                (usize::from(inner.l3), usize::from(inner.l4)),
                (at, at + header_len)
            );
            assert_eq!(usize::from(inner.len), quoted.len() - header_len);
        }
    }
}

#[test]
fn icmp_that_cannot_be_followed_is_passed_or_dropped() {
    for family in BOTH {
        let quoted = samples::quoted(family, Protocol::TCP, 80);
        let header_len = l4(family) - 14;
        let cut = |n: usize| plain(&samples::icmp_error(family, 3, 1, &quoted[..n]));
        let ports = cut(header_len + 4);
        assert!(matches!(ports, Ok(Parsed::Ip(_))), "the ports are enough");
        assert_eq!(cut(header_len + 3), PASS_PROTOCOL);
        assert_eq!(cut(header_len - 1), PASS_PROTOCOL);
        assert_eq!(cut(0), PASS_PROTOCOL);
        let icmp = if family == Family::V4 {
            Protocol::ICMP
        } else {
            Protocol::ICMPV6
        };
        assert_eq!(
            plain(&samples::raw(family, icmp, &[3; 7])),
            Err(DropReason::Truncated)
        );

        let mut frame = samples::icmp_error(family, 3, 1, &quoted);
        *frame.last_mut().unwrap() ^= 1;
        assert_eq!(plain(&frame), Err(DropReason::BadChecksum));
        let partial = Offload {
            flags: Offload::NEEDS_CSUM,
            ..Offload::default()
        };
        assert!(matches!(parse(&frame, partial, OWN), Ok(Parsed::Ip(_))));

        let other = samples::quoted(family, Protocol(47), 80);
        assert_eq!(
            plain(&samples::icmp_error(family, 3, 1, &other)),
            PASS_PROTOCOL
        );
        for ignored in match family {
            Family::V4 => [0, 5, 8, 12],
            Family::V6 => [128, 129, 133, 134],
        } {
            assert_eq!(
                plain(&samples::icmp_error(family, ignored, 0, &quoted)),
                PASS_PROTOCOL
            );
        }
        let later = Fragment {
            id: 1,
            offset: 64,
            more: true,
        };
        let fragment = samples::fragment(family, Protocol::TCP, later, &[0; 64]);
        assert_eq!(
            plain(&samples::icmp_error(family, 3, 1, &fragment[14..])),
            PASS_PROTOCOL
        );
        let wrong = if family == Family::V4 { 0x65 } else { 0x45 };
        let mut quote = quoted.clone();
        quote[0] = wrong;
        assert_eq!(
            plain(&samples::icmp_error(family, 3, 1, &quote)),
            PASS_PROTOCOL
        );
    }
}

#[test]
fn an_icmpv6_error_behind_a_fragment_header_is_dropped() {
    let quoted = samples::quoted(Family::V6, Protocol::TCP, 80);
    let error = &samples::icmp_error(Family::V6, 1, 4, &quoted)[54..];
    let with = |piece, payload: &[u8]| {
        plain(&samples::fragment(
            Family::V6,
            Protocol::ICMPV6,
            piece,
            payload,
        ))
    };
    let bad = Err(DropReason::BadFragment);
    assert_eq!(with(piece(0, false), error), bad, "an atomic one");
    assert_eq!(with(piece(0, true), &error[..48]), bad, "a first one");
    assert_eq!(with(piece(48, false), &error[48..]), PASS_PROTOCOL);
    let mut echo = error.to_vec();
    echo[0] = 128;
    assert_eq!(with(piece(0, false), &echo), PASS_PROTOCOL);
}

fn piece(offset: u16, more: bool) -> Fragment {
    Fragment {
        id: 0x1234,
        offset,
        more,
    }
}

#[test]
fn a_fragmented_icmp_error_is_followed_by_its_first() {
    let quoted = samples::quoted(Family::V4, Protocol::UDP, 80);
    let error = &samples::icmp_error(Family::V4, 3, 1, &quoted)[34..];
    let with = |piece, payload: &[u8]| {
        plain(&samples::fragment(
            Family::V4,
            Protocol::ICMP,
            piece,
            payload,
        ))
    };
    // 8 bytes of ICMP, 20 of IP, 4 of ports.
    let Ok(Parsed::Ip(first)) = with(piece(0, true), &error[..32]) else {
        panic!("not followed");
    };
    assert_eq!(first.segment.kind, Kind::IcmpError);
    assert_eq!(first.segment.src, Endpoint::new(client(Family::V4), 40000));
    assert_eq!(first.segment.protocol, Protocol::UDP);
    assert_eq!(first.fragment, Some(piece(0, true)));
    let bad = Err(DropReason::BadFragment);
    assert_eq!(with(piece(0, true), &error[..24]), bad, "no ports");
    assert_eq!(with(piece(0, true), &error[..36]), bad, "not of eight");
    let Ok(Parsed::Ip(later)) = with(piece(32, false), &error[32..]) else {
        panic!("not followed");
    };
    assert_eq!(later.segment.kind, Kind::LaterFragment);
    assert_eq!(later.segment.protocol, Protocol::ICMP);
    assert_eq!(later.segment.src, Endpoint::new(client(Family::V4), 0));
    let mut echo = error.to_vec();
    echo[0] = 8;
    assert_eq!(with(piece(0, true), &echo[..32]), PASS_PROTOCOL);
}

/// From port 40000 to port 80, with tag 1: an INIT without parameters, then whatever is given.
fn sctp(chunks: &[u8]) -> Vec<u8> {
    let mut p = vec![0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0];
    p.extend(chunks);
    p
}

#[test]
fn sctp_is_read_up_to_its_first_chunk() {
    for family in BOTH {
        let p = packet(&samples::raw(family, Protocol::SCTP, &sctp(&[1, 0, 0, 4])));
        assert_eq!(p.segment.src, Endpoint::new(client(family), 40000));
        assert_eq!(p.segment.dst, Endpoint::new(vip(family), 80));
        assert_eq!(p.segment.chunk, Chunk::Init);
        assert_eq!(
            (p.segment.kind, p.segment.flags),
            (Kind::Packet, TcpFlags(0))
        );
        let abort = [10, 0, 0, 6, 1, 2, 0, 0, 6, 0, 0, 4];
        let p = packet(&samples::raw(family, Protocol::SCTP, &sctp(&abort)));
        assert_eq!(p.segment.chunk, Chunk::Abort);
        for len in 0..16 {
            let cut = samples::raw(family, Protocol::SCTP, &sctp(&[1, 0, 0, 4])[..len]);
            assert_eq!(plain(&cut), Err(DropReason::Truncated), "{len} bytes");
        }
        let whole = sctp(&[[10, 0, 0, 12].as_slice(), &[7; 20]].concat());
        let frame = samples::fragment(family, Protocol::SCTP, piece(0, true), &whole[..24]);
        let first = packet(&frame);
        assert_eq!(first.segment.src.port, 40000);
        assert_eq!(first.segment.chunk, Chunk::CookieEcho);
        let frame = samples::fragment(family, Protocol::SCTP, piece(24, false), &whole[24..]);
        assert_eq!(packet(&frame).segment.kind, Kind::LaterFragment);

        let quoted = samples::quoted(family, Protocol::SCTP, 80);
        let p = packet(&samples::icmp_error(family, 3, 3, &quoted));
        let ports = &quoted[quoted.len() - 6..]; // "quoted"
        assert_eq!(p.segment.protocol, Protocol::SCTP);
        assert_eq!(p.segment.dst.port.to_be_bytes(), ports[..2]);
        assert_eq!(p.segment.src.port.to_be_bytes(), ports[2..4]);
    }
}

#[test]
fn ah_and_esp_have_no_ports() {
    for family in BOTH {
        for protocol in [Protocol::AH, Protocol::ESP] {
            if (family, protocol) == (Family::V6, Protocol::AH) {
                continue; // an extension header
            }
            for len in [0, 1, 8, 40] {
                let p = packet(&samples::raw(family, protocol, &vec![9; len]));
                assert_eq!(p.segment.src, Endpoint::new(client(family), 0));
                assert_eq!(p.segment.dst, Endpoint::new(vip(family), 0));
                assert_eq!(
                    (p.segment.protocol, p.segment.kind),
                    (protocol, Kind::Packet)
                );
            }
            let quoted = samples::quoted(family, protocol, 80);
            for len in [quoted.len(), quoted.len() - 6] {
                let p = packet(&samples::icmp_error(family, 3, 3, &quoted[..len]));
                assert_eq!(p.segment.src, Endpoint::new(client(family), 0));
                assert_eq!(p.segment.dst, Endpoint::new(vip(family), 0));
                assert_eq!(p.segment.protocol, protocol);
                assert_eq!(
                    p.layout.inner.unwrap().len as usize,
                    6 - (quoted.len() - len)
                );
            }
        }
    }
}

#[test]
fn ah_of_ipv6_is_walked_over() {
    let ah = |words: u8| {
        let mut b = vec![0; 7 + usize::from(words) * 4];
        b[0] = words;
        b
    };
    let udp = &samples::udp(Family::V6, b"12345678")[54..];
    for words in [1, 4, 5] {
        let p = packet(&extension_chain(&[(51, ah(words))], 17, udp));
        assert_eq!(usize::from(p.layout.l4), 54 + 8 + usize::from(words) * 4);
        assert_eq!(
            (p.segment.dst.port, p.segment.protocol),
            (53, Protocol::UDP)
        );
    }
    let esp = packet(&extension_chain(&[(51, ah(4))], 50, &[7; 16]));
    assert_eq!((esp.segment.protocol, esp.layout.l4), (Protocol::ESP, 78));
    let short = plain(&extension_chain(&[(51, ah(0))], 17, udp));
    assert_eq!(short, Err(DropReason::BadExtension));
    let tunnel = extension_chain(&[(51, ah(4))], 41, &[0x60; 40]);
    assert_eq!(plain(&tunnel), PASS_PROTOCOL);
    let cut = extension_chain(&[(51, vec![4, 0, 0, 0, 0, 0, 0])], 17, &[]);
    assert_eq!(plain(&cut), Err(DropReason::Truncated));
}
