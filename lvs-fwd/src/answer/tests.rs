use super::*;
use crate::frame::HEADROOM;
use crate::parse::{Fragment, Parsed, parse};
use crate::wire::samples::{self, BOTH, OWN, checksums_ok, client, frame, l4, unhex, vip};

fn parsed(frame: &Frame) -> IpPacket {
    match parse(frame.bytes(), frame.offload, OWN) {
        Ok(Parsed::Ip(p)) => p,
        other => panic!("{other:?}"),
    }
}

fn director(family: Family) -> Ip {
    match family {
        Family::V4 => Ip::v4([10, 0, 0, 254]),
        Family::V6 => "2001:db8::fe".parse().unwrap(),
    }
}

fn error_about(bytes: &[u8], answer: IcmpAnswer) -> Option<Vec<u8>> {
    let mut f = frame(bytes);
    f.offload.flags = Offload::DATA_VALID;
    let p = parsed(&f);
    if icmp_error(&mut f, &p, director(p.layout.family), answer) {
        assert_eq!(f.offload, Offload::default());
        assert!(checksums_ok(f.bytes()));
        Some(f.bytes().to_vec())
    } else {
        assert_eq!(f.bytes(), bytes, "left alone");
        None
    }
}

fn reset_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut f = frame(bytes);
    let p = parsed(&f);
    if tcp_reset(&mut f, &p) {
        assert!(checksums_ok(f.bytes()));
        Some(f.bytes().to_vec())
    } else {
        assert_eq!(f.bytes(), bytes, "left alone");
        None
    }
}

#[test]
fn too_big_over_ipv4_byte_for_byte() {
    let syn = "4500002812344000 40063c5d c000020a c6336401
               9c400050 000003e8 00000000 5002ffff 232b0000";
    let came = unhex(&format!("020000000001 020000000002 0800 {syn} 0000"));
    let want = unhex(&format!(
        "020000000002 020000000001 0800
         45c0 0044 1234 0000 40 01 9abd 0a0000fe c000020a
         03 04 e38d 0000 05c8 {syn}"
    ));
    assert_eq!(
        error_about(&came, IcmpAnswer::TooBig { mtu: 1480 }),
        Some(want)
    );
}

#[test]
fn port_unreachable_over_ipv6_byte_for_byte() {
    let came = samples::udp(Family::V6, b"x");
    let want = unhex(
        "020000000002 020000000001 86dd  60000000 0039 3a 40
         20010db80000000000000000000000fe 20010db8000000000000000000000010
         01 04 30d9 00000000
         60000000 0009 11 40
         20010db8000000000000000000000010 20010db8000100000000000000000001
         1388 0035 0009 189b 78",
    );
    assert_eq!(error_about(&came, IcmpAnswer::PortUnreachable), Some(want));
}

#[test]
fn every_error_has_its_type_code_and_mtu() {
    let header = |family, answer| {
        let bytes = error_about(&samples::udp(family, b"?"), answer).unwrap();
        let at = l4(family);
        let rest: [u8; 4] = bytes[at + 4..at + 8].try_into().unwrap();
        (bytes[at], bytes[at + 1], u32::from_be_bytes(rest))
    };
    use IcmpAnswer::*;
    assert_eq!(header(Family::V4, PortUnreachable), (3, 3, 0));
    assert_eq!(header(Family::V4, TimeExceeded), (11, 0, 0));
    assert_eq!(header(Family::V4, TooBig { mtu: 1480 }), (3, 4, 1480));
    assert_eq!(header(Family::V4, TooBig { mtu: 70_000 }), (3, 4, 65535));
    assert_eq!(header(Family::V6, PortUnreachable), (1, 4, 0));
    assert_eq!(header(Family::V6, TimeExceeded), (3, 0, 0));
    assert_eq!(header(Family::V6, TooBig { mtu: 70_000 }), (2, 0, 70_000));
}

#[test]
fn no_more_is_quoted_than_allowed() {
    for (family, max) in [(Family::V4, 576), (Family::V6, 1280)] {
        let head = l4(family) - 14 + icmp::HEADER_LEN;
        for payload in [
            0, 1, 400, 499, 500, 501, 1151, 1152, 1184, 1185, 1500, 60_000,
        ] {
            let came = samples::udp(family, &vec![0x55; payload]);
            let answer = error_about(&came, IcmpAnswer::TimeExceeded).unwrap();
            let len = (came.len() - 14 + head).min(max);
            assert_eq!(answer.len() - 14, len, "{family:?} {payload}");
            assert_eq!(answer[14 + head..], came[14..14 + len - head]);
        }
    }
}

#[test]
fn an_error_is_understood_as_one_about_the_flow() {
    for family in BOTH {
        let mut answer =
            error_about(&samples::tcp(family, 2, b""), IcmpAnswer::TimeExceeded).unwrap();
        let (to, from) = answer.split_at_mut(6);
        to.swap_with_slice(&mut from[..6]); // as the client receives it, so to say
        let p = parsed(&frame(&answer));
        assert_eq!(p.segment.kind, Kind::IcmpError);
        assert_eq!((p.segment.src.ip, p.segment.src.port), (vip(family), 80));
        assert_eq!(
            (p.segment.dst.ip, p.segment.dst.port),
            (client(family), 40000)
        );
    }
}

#[test]
fn what_must_not_be_answered_is_not() {
    for family in BOTH {
        let ask = |bytes: &[u8]| error_about(bytes, IcmpAnswer::PortUnreachable).is_some();
        let quoted = samples::quoted(family, Protocol::UDP, 53);
        assert!(
            !ask(&samples::icmp_error(family, 3, 3, &quoted)),
            "an ICMP error"
        );
        let piece = |offset| Fragment {
            id: 1,
            offset,
            more: true,
        };
        let udp = &samples::udp(family, &[0; 24])[l4(family)..];
        assert!(!ask(&samples::fragment(
            family,
            Protocol::UDP,
            piece(8),
            udp
        )));
        assert!(ask(&samples::fragment(
            family,
            Protocol::UDP,
            piece(0),
            udp
        )));

        let bytes = samples::udp(family, b"?");
        let p = parsed(&frame(&bytes));
        let refused = |what: &str, change: &dyn Fn(&mut Frame, &mut IpPacket)| {
            let (mut f, mut p) = (frame(&bytes), p);
            change(&mut f, &mut p);
            assert!(
                !icmp_error(&mut f, &p, director(family), IcmpAnswer::TimeExceeded),
                "{family:?}: {what}"
            );
        };
        refused("broadcast frame", &|f, _| f.bytes_mut()[..6].fill(0xff));
        refused("from a group frame", &|f, _| f.bytes_mut()[6] |= 1);
        refused("to a group", &|_, p| {
            p.segment.dst.ip = Ip::v4([224, 0, 0, 9])
        });
        refused("from nobody", &|_, p| p.segment.src.ip = Ip::UNSPECIFIED);
        refused("frame too short", &|f, _| f.set_len(20));
        refused("no headroom", &|f, _| {
            assert!(f.move_start(-(HEADROOM as isize)))
        });
        let other = if family == Family::V4 {
            Family::V6
        } else {
            Family::V4
        };
        let mut f = frame(&bytes);
        assert!(!icmp_error(
            &mut f,
            &p,
            director(other),
            IcmpAnswer::TimeExceeded
        ));
    }
}

#[test]
fn resets_byte_for_byte() {
    let v4 = unhex(
        "020000000002 020000000001 0800
         4500 0028 0000 4000 40 06 4e91 c6336401 c000020a
         0050 9c40 00000000 000003e9 50 14 0000 2318 0000",
    );
    assert_eq!(reset_of(&samples::tcp(Family::V4, 0x02, b"")), Some(v4));
    let v6 = unhex(
        "020000000002 020000000001 86dd  60000000 0014 06 40
         20010db8000100000000000000000001 20010db8000000000000000000000010
         0050 9c40 000007d0 00000000 50 04 0000 affc 0000",
    );
    assert_eq!(
        reset_of(&samples::tcp(Family::V6, 0x10, b"some data")),
        Some(v6)
    );
}

#[test]
fn a_reset_acknowledges_all_that_the_segment_took() {
    let ack_of = |flags, payload: &[u8]| {
        let mut bytes = samples::tcp(Family::V4, flags, payload);
        bytes.resize(bytes.len().max(60), 0); // padding counts nothing
        let reset = reset_of(&bytes).unwrap();
        let tcp = Tcp::new(&reset[34..]).unwrap();
        (tcp.seq(), tcp.ack(), tcp.flags().0)
    };
    assert_eq!(ack_of(0x00, b""), (0, 1000, 0x14));
    assert_eq!(ack_of(0x02, b""), (0, 1001, 0x14));
    assert_eq!(ack_of(0x01, b"abc"), (0, 1004, 0x14));
    assert_eq!(ack_of(0x03, b"abc"), (0, 1005, 0x14));
    assert_eq!(ack_of(0x11, b"abc"), (2000, 0, 0x04));
}

#[test]
fn no_reset_answers_a_reset_nor_anything_but_a_segment() {
    for family in BOTH {
        assert!(reset_of(&samples::tcp(family, 0x04, b"")).is_none());
        assert!(reset_of(&samples::tcp(family, 0x14, b"")).is_none());
        assert!(reset_of(&samples::udp(family, b"")).is_none());
        let quoted = samples::quoted(family, Protocol::TCP, 80);
        assert!(reset_of(&samples::icmp_error(family, 3, 3, &quoted)).is_none());
        let first = Fragment {
            id: 1,
            offset: 0,
            more: true,
        };
        let tcp = &samples::tcp(family, 2, &[0; 4])[l4(family)..];
        assert!(reset_of(&samples::fragment(family, Protocol::TCP, first, tcp)).is_none());
    }
}

/// From the client's port 40000 to port 80, with tag 0xcafe0001.
fn sctp(family: Family, chunks: &[u8]) -> Vec<u8> {
    let header = [0x9c, 0x40, 0, 80, 0xca, 0xfe, 0, 1, 0, 0, 0, 0];
    samples::raw(family, Protocol::SCTP, &[&header[..], chunks].concat())
}

fn abort_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut f = frame(bytes);
    let p = parsed(&f);
    if reset(&mut f, &p) {
        let mut judged = f.bytes().to_vec();
        let crc = judged.len() - 16;
        assert!(sctp::fill_checksum(&mut judged[crc..]));
        assert_eq!(judged, f.bytes(), "the CRC");
        Some(judged)
    } else {
        assert_eq!(f.bytes(), bytes, "left alone");
        None
    }
}

#[test]
fn sctp_out_of_the_blue_is_aborted_byte_for_byte() {
    let data = sctp(
        Family::V4,
        &[0, 3, 0, 17, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    );
    let v4 = unhex(
        "020000000002 020000000001 0800
         4500 0024 0000 4000 40 84 4e17 c6336401 c000020a
         0050 9c40 cafe0001 5ecf5d3b 06 01 0004",
    );
    assert_eq!(abort_of(&data), Some(v4));
    // An INIT has tag 0 itself, and says which to answer with.
    let mut init = sctp(Family::V6, &[1, 0, 0, 20, 0xde, 0xad, 0xbe, 0xef]);
    init.extend([0; 12]);
    init[19] += 12;
    init[58..62].fill(0);
    let v6 = unhex(
        "020000000002 020000000001 86dd  60000000 0010 84 40
         20010db8000100000000000000000001 20010db8000000000000000000000010
         0050 9c40 deadbeef a30cf8d9 06 00 0004",
    );
    assert_eq!(abort_of(&init), Some(v6));
}

/// RFC 9260 section 8.4.
#[test]
fn each_sctp_chunk_has_its_answer() {
    for family in BOTH {
        let answer = |kind: u8| {
            let answer = abort_of(&sctp(family, &[kind, 0, 0, 8, 1, 2, 3, 4]))?;
            let answer = &answer[l4(family)..];
            let tag = u32::from_be_bytes(answer[4..8].try_into().unwrap());
            Some((answer[12], answer[13], tag))
        };
        let reflected = |chunk| Some((chunk, 1, 0xcafe_0001));
        for data in [0, 2, 3, 4, 5, 7, 10, 12, 13, 64, 255] {
            assert_eq!(answer(data), reflected(6), "type {data}");
        }
        assert_eq!(answer(1), Some((6, 0, 0x0102_0304)), "INIT");
        assert_eq!(answer(8), reflected(14), "SHUTDOWN ACK");
        for ignored in [6, 9, 11, 14] {
            assert_eq!(answer(ignored), None, "type {ignored}");
        }
        assert!(abort_of(&sctp(family, &[1, 0, 0, 4])).is_none(), "no tag");
        let first = Fragment {
            id: 1,
            offset: 0,
            more: true,
        };
        let whole = &sctp(family, &[0, 0, 0, 12, 1, 2, 3, 4, 5, 6, 7, 8])[l4(family)..];
        let piece = samples::fragment(family, Protocol::SCTP, first, whole);
        assert!(abort_of(&piece).is_none());
        assert!(abort_of(&samples::raw(family, Protocol::ESP, &[0; 40])).is_none());
    }
}
