//! What comes of a helper's answer on the wire. Frames are built and judged by etherparse.

use etherparse::{IpHeaders, SlicedPacket, TcpHeader, TcpOptionElement, TransportSlice};
use lvs_core::state::State;
use lvs_core::{Endpoint, TcpFlags};

use super::*;
use crate::helper::Ftp;
use crate::parse::{Parsed, parse};
use crate::wire::samples::{self, BOTH, OWN, PEER, checksums_ok, tcp_header, unhex};

mod stream;

const PSH_ACK: u8 = 0x18;
const FIN: u8 = 1;

fn ep(s: &str) -> Endpoint {
    s.parse().unwrap()
}

/// An established FTP control connection whose client has asked for a passive one.
fn conn(family: Family) -> Assist {
    let [client, virt, dest] = match family {
        Family::V4 => ["10.9.1.5:40000", "10.9.0.9:21", "10.10.0.11:21"],
        Family::V6 => ["[fd00:9::5]:40000", "[fd00:9::9]:21", "[fd00:10::11]:21"],
    }
    .map(ep);
    let mut conn = Assist {
        direction: Direction::In,
        client,
        virt,
        dest,
        state: State::Established,
        notes: 0,
        shift_in: Shift::default(),
        shift_out: Shift::default(),
        expected: Vec::new(),
    };
    let command = match family {
        Family::V4 => &b"PASV\r\n"[..],
        Family::V6 => b"EPSV\r\n",
    };
    assert!(Ftp::default().look(&mut conn, command, false).is_none());
    conn
}

/// The server's answer, and what the client is to get.
fn answer(family: Family) -> (&'static [u8], &'static [u8]) {
    match family {
        Family::V4 => (
            b"227 Entering Passive Mode (10,10,0,11,131,53).\r\n",
            b"227 Entering Passive Mode (10,9,0,9,131,53).\r\n",
        ),
        Family::V6 => (
            b"229 Ok (|2|fd00:10::11|33589|)\r\n",
            b"229 Ok (|||33589|)\r\n",
        ),
    }
}

fn ip(family: Family) -> IpHeaders {
    match family {
        Family::V4 => IpHeaders::Ipv4(samples::v4_header(), Default::default()),
        Family::V6 => IpHeaders::Ipv6(samples::v6_header(), Default::default()),
    }
}

fn header(seq: u32, ack: u32) -> TcpHeader {
    let mut h = tcp_header(PSH_ACK);
    (h.sequence_number, h.acknowledgment_number) = (seq, ack);
    h
}

fn frame_of(family: Family, header: TcpHeader, payload: &[u8]) -> Vec<u8> {
    samples::tcp_with(ip(family), header, payload)
}

/// What comes of a frame: its bytes and offload state, or why there is none.
fn pass(
    conn: &mut Assist,
    direction: Direction,
    bytes: &[u8],
    offload: Offload,
) -> Result<(Vec<u8>, Offload), DropReason> {
    conn.direction = direction;
    let mut frame = samples::frame(bytes);
    frame.offload = offload;
    let Ok(Parsed::Ip(packet)) = parse(frame.bytes(), offload, OWN) else {
        panic!("no packet");
    };
    let packet = match mend(&Ftp::default(), conn, &mut frame, &packet) {
        Mended::Same => {
            assert_eq!(frame.bytes(), bytes);
            packet
        }
        Mended::Changed(packet, original) => {
            let mut restored = samples::frame(frame.bytes());
            original.restore(&mut restored);
            assert_eq!(restored.bytes().len(), bytes.len());
            let headers = usize::from(packet.layout.l4) + 20;
            assert_eq!(restored.bytes()[..headers], bytes[..headers]);
            packet
        }
        Mended::Dropped(reason) => {
            assert_eq!(frame.bytes(), bytes, "untouched");
            return Err(reason);
        }
    };
    let sent = frame.bytes()[..packet.layout.end()].to_vec();
    if frame.offload == Offload::default() {
        assert!(checksums_ok(&sent));
    }
    let again = parse(&sent, frame.offload, OWN);
    assert_eq!(again, Ok(Parsed::Ip(packet)), "what is said of it is so");
    Ok((sent, frame.offload))
}

fn sent(conn: &mut Assist, direction: Direction, bytes: &[u8]) -> Seen {
    let (bytes, _) = pass(conn, direction, bytes, Offload::default()).unwrap();
    Seen::of(&bytes)
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    seq: u32,
    ack: u32,
    fin: bool,
    blocks: Vec<[u32; 2]>,
    payload: Vec<u8>,
}

impl Seen {
    fn of(frame: &[u8]) -> Self {
        let sliced = SlicedPacket::from_ethernet(frame).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = sliced.transport else {
            panic!("no TCP");
        };
        let mut blocks = Vec::new();
        for option in tcp.options_iterator() {
            if let Ok(TcpOptionElement::SelectiveAcknowledgement(first, rest)) = option {
                blocks.push(first);
                blocks.extend(rest.into_iter().flatten());
            }
        }
        Self {
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            fin: tcp.fin(),
            blocks: blocks.into_iter().map(|(a, b)| [a, b]).collect(),
            payload: tcp.payload().to_vec(),
        }
    }

    fn new(seq: u32, ack: u32, payload: &[u8]) -> Self {
        Self {
            seq,
            ack,
            fin: false,
            blocks: Vec::new(),
            payload: payload.to_vec(),
        }
    }
}

#[test]
fn a_changed_length_moves_what_follows() {
    for family in BOTH {
        let mut conn = conn(family);
        let (said, heard) = answer(family);
        let (long, short) = (said.len() as u32, heard.len() as u32);
        let said_at = |seq, payload: &[u8]| frame_of(family, header(seq, 2000), payload);
        let out = |conn: &mut Assist, seq, payload: &[u8]| {
            sent(conn, Direction::Out, &said_at(seq, payload))
        };
        let before = out(&mut conn, 900, &[b'x'; 100]);
        assert_eq!(before, Seen::new(900, 2000, &[b'x'; 100]));
        let first = out(&mut conn, 1000, said);
        assert_eq!(first, Seen::new(1000, 2000, heard));
        assert_eq!(conn.expected.len(), 1);
        let after = out(&mut conn, 1000 + long, b"150 go\r\n");
        assert_eq!(after, Seen::new(1000 + short, 2000, b"150 go\r\n"));
        let again = out(&mut conn, 1000, said);
        assert_eq!(again, first, "sent again, changed again");
        let earlier = out(&mut conn, 950, &[&[b'x'; 50], said, b"150 go\r\n"].concat());
        let expected = [&[b'x'; 50], heard, b"150 go\r\n"].concat();
        assert_eq!(
            earlier,
            Seen::new(950, 2000, &expected),
            "in another segment"
        );
        assert_eq!(conn.expected.len(), 1);

        for (ack, told) in [
            (1000, 1000),
            (1010, 1000),
            (1000 + short, 1000 + long),
            (1008 + short, 1008 + long),
        ] {
            let frame = frame_of(family, header(2000, ack), b"NOOP\r\n");
            let told = Seen::new(2000, told, b"NOOP\r\n");
            assert_eq!(sent(&mut conn, Direction::In, &frame), told);
        }
    }
}

#[test]
fn what_was_said_before_the_last_change_is_not_heard_again() {
    let mut conn = conn(Family::V4);
    let (said, heard) = answer(Family::V4);
    let long = said.len() as u32;
    let out = |conn: &mut Assist, seq| {
        let frame = frame_of(Family::V4, header(seq, 2000), said);
        sent(conn, Direction::Out, &frame)
    };
    let ask = |conn: &mut Assist| {
        conn.direction = Direction::In;
        Ftp::default().look(conn, b"PASV\r\n", false);
    };
    out(&mut conn, 1000);
    ask(&mut conn);
    out(&mut conn, 1000 + long);
    ask(&mut conn);
    let shift = conn.shift_out;
    assert_eq!((shift.since, shift.delta), (1000 + long, -4));
    out(&mut conn, 1000);
    assert_eq!(conn.shift_out, shift);
    let third = out(&mut conn, 1000 + 2 * long);
    assert_eq!(third, Seen::new(1000 + 2 * long - 4, 2000, heard));
    assert_eq!(conn.expected.len(), 3);
}

#[test]
fn blocks_of_a_selective_acknowledgement_move_too() {
    let mut conn = conn(Family::V4);
    let (said, _) = answer(Family::V4);
    let frame = frame_of(Family::V4, header(1000, 2000), said);
    sent(&mut conn, Direction::Out, &frame);
    // Lined up as Linux does it, and not.
    for lead in [&[1, 1][..], &[1], &[1, 1, 1], &[2, 4, 5, 5]] {
        let mut options = lead.to_vec();
        options.extend([5, 18]);
        for number in [1046u32, 1054, 1010, 1046] {
            options.extend(number.to_be_bytes());
        }
        options.resize(options.len().next_multiple_of(4), 0);
        let mut header = header(2000, 900);
        header.set_options_raw(&options).unwrap();
        let seen = sent(&mut conn, Direction::In, &frame_of(Family::V4, header, b""));
        assert_eq!(seen.ack, 900);
        // Of 44 bytes 42 have become.
        assert_eq!(seen.blocks, [[1048, 1056], [1044, 1048]], "{lead:?}");
    }
}

#[test]
fn a_part_of_what_was_changed_does_not_pass() {
    let mut conn = conn(Family::V4);
    let (said, _) = answer(Family::V4);
    let mut out = |seq, flags: u8, payload: &[u8]| {
        let mut header = header(seq, 2000);
        header.fin = flags & FIN != 0;
        let frame = frame_of(Family::V4, header, payload);
        pass(&mut conn, Direction::Out, &frame, Offload::default()).map(|(f, _)| Seen::of(&f))
    };
    out(1000, 0, said).unwrap();
    assert_eq!(out(1000, 0, &said[..20]), Err(DropReason::Unsupported));
    assert_eq!(out(1020, 0, &said[20..]), Err(DropReason::Unsupported));
    let cut = out(990, FIN, &[&[b'x'; 10], &said[..20]].concat());
    assert_eq!(cut, Ok(Seen::new(990, 2000, &[b'x'; 10])), "and no FIN");
    let keepalive = out(1020, 0, b"");
    assert!(keepalive.is_ok());
}

#[test]
fn a_wrong_checksum_is_not_made_right() {
    for family in BOTH {
        let mut conn = conn(family);
        let before = conn.clone();
        let mut frame = frame_of(family, header(1000, 2000), answer(family).0);
        *frame.last_mut().unwrap() ^= 1;
        let result = pass(&mut conn, Direction::Out, &frame, Offload::default());
        assert_eq!(result, Err(DropReason::BadChecksum));
        assert_eq!(conn.notes, before.notes, "nobody has heard it");
        assert!(conn.expected.is_empty() && conn.shift_out == Shift::default());
    }
}

#[test]
fn partial_checksums_stay_partial() {
    for family in BOTH {
        let mut conn = conn(family);
        let (said, heard) = answer(family);
        let l4 = samples::l4(family);
        let offload = Offload {
            flags: Offload::NEEDS_CSUM,
            csum_start: l4 as u16,
            csum_offset: 16,
            ..Offload::default()
        };
        let mut seq = 1000;
        for (payload, arrives) in [(said, heard), (&b"150 go\r\n"[..], b"150 go\r\n")] {
            let mut frame = frame_of(family, header(seq, 2000), payload);
            seq += payload.len() as u32;
            partial(&mut frame, family);
            let (mut sent, still) = pass(&mut conn, Direction::Out, &frame, offload).unwrap();
            assert_eq!(still, offload);
            assert!(checksum::complete(&mut sent[l4..], 16));
            assert!(checksums_ok(&sent));
            assert_eq!(Seen::of(&sent).payload, arrives);
        }
    }
}

/// Puts the pseudo header's sum where the checksum is.
fn partial(frame: &mut [u8], family: Family) {
    let l4 = samples::l4(family);
    let (src, dst) = (samples::client(family), samples::vip(family));
    let len = (frame.len() - l4) as u32;
    let sum = checksum::pseudo_header(src, dst, 6, len).fold();
    frame[l4 + 16..l4 + 18].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn each_segment_of_an_aggregate_is_looked_at() {
    for (family, gso_type) in [
        (Family::V4, Offload::GSO_TCPV4),
        (Family::V6, Offload::GSO_TCPV6),
    ] {
        let (said, heard) = answer(family);
        let lines = vec![b'-'; 3 * 1448];
        let l4 = samples::l4(family);
        let offload = Offload {
            flags: Offload::NEEDS_CSUM,
            gso_type,
            gso_size: 1448,
            hdr_len: l4 as u16 + 20,
            csum_start: l4 as u16,
            csum_offset: 16,
        };
        let mut conn = conn(family);
        let whole = |line: &[u8]| [&lines, line].concat();
        for _ in 0..2 {
            let mut frame = frame_of(family, header(1000, 2000), &whole(said));
            partial(&mut frame, family);
            let (sent, still) = pass(&mut conn, Direction::Out, &frame, offload).unwrap();
            assert_eq!(still, offload);
            assert_eq!(Seen::of(&sent), Seen::new(1000, 2000, &whole(heard)));
            let mut expected = sent.clone();
            partial(&mut expected, family);
            assert_eq!(sent, expected, "the pseudo header has the new length");
        }
        assert_eq!(conn.shift_out.since, 1000 + 3 * 1448);
        // Somewhere in a segment it is not looked for.
        let mut other = self::conn(family);
        let odd = Offload {
            gso_size: 1000,
            ..offload
        };
        let mut frame = frame_of(family, header(1000, 2000), &whole(said));
        partial(&mut frame, family);
        let (sent, _) = pass(&mut other, Direction::Out, &frame, odd).unwrap();
        assert_eq!(sent, frame);
    }
}

/// Makes every datagram or segment longer.
#[derive(Debug)]
struct Longer(usize);

impl Helper for Longer {
    fn name(&self) -> &'static str {
        "longer"
    }

    fn serves(&self) -> Vec<(Protocol, u16)> {
        Vec::new()
    }

    fn look(&self, _: &mut Assist, payload: &[u8], _: bool) -> Option<Edit> {
        Some(Edit {
            range: 1..payload.len().min(2),
            with: vec![b'+'; self.0],
        })
    }
}

#[test]
fn a_datagram_changes_its_length() {
    for family in BOTH {
        for is_summed in [true, false] {
            let mut bytes = samples::udp(family, b"abc");
            let l4 = samples::l4(family);
            if !is_summed {
                bytes[l4 + 6..l4 + 8].fill(0);
            }
            let mut frame = samples::frame(&bytes);
            let Ok(Parsed::Ip(packet)) = parse(&bytes, Offload::default(), OWN) else {
                panic!("no packet");
            };
            let mended = mend(&Longer(4), &mut conn(family), &mut frame, &packet);
            let Mended::Changed(packet, _) = mended else {
                panic!("{mended:?}");
            };
            assert_eq!(frame.bytes().len(), packet.layout.end());
            let expected = samples::udp(family, b"a++++c");
            let (expected, sent) = (&expected[..], frame.bytes());
            if is_summed {
                assert_eq!(sent, expected);
            } else {
                assert_eq!(sent[..l4 + 6], expected[..l4 + 6]);
                assert_eq!(sent[l4 + 6..l4 + 8], [0, 0]);
            }
        }
    }
}

#[test]
fn a_datagram_with_something_behind_it_is_left_alone() {
    let mut bytes = samples::udp(Family::V4, b"abcdef");
    let l4 = samples::l4(Family::V4);
    bytes[l4 + 4..l4 + 6].copy_from_slice(&11u16.to_be_bytes());
    let mut frame = samples::frame(&bytes);
    let Ok(Parsed::Ip(packet)) = parse(&bytes, Offload::default(), OWN) else {
        panic!("no packet");
    };
    let mended = mend(&Longer(4), &mut conn(Family::V4), &mut frame, &packet);
    assert!(matches!(mended, Mended::Same));
    assert_eq!(frame.bytes(), bytes);
}

#[test]
fn no_packet_grows_beyond_what_a_header_can_say() {
    for family in BOTH {
        let most = match family {
            Family::V4 => 65_535 - 40,
            Family::V6 => 65_535 - 20,
        };
        for (growth, fits) in [(10, true), (11, false)] {
            let bytes = frame_of(family, header(1000, 2000), &vec![b'x'; most - 10]);
            let mut frame = samples::frame(&bytes);
            let Ok(Parsed::Ip(packet)) = parse(&bytes, Offload::default(), OWN) else {
                panic!("no packet");
            };
            let mut conn = conn(family);
            match mend(&Longer(1 + growth), &mut conn, &mut frame, &packet) {
                Mended::Changed(..) if fits => assert!(checksums_ok(frame.bytes())),
                Mended::Dropped(DropReason::Unsupported) if !fits => {
                    assert_eq!(frame.bytes(), bytes);
                    assert_eq!(conn.shift_in, Shift::default());
                }
                other => panic!("{growth}: {other:?}"),
            }
        }
    }
}

/// What a real director sent when its FTP helper saw the same packets: numbers and payload of control connections.
#[test]
fn as_a_real_director_does_it() {
    let trace = include_str!("../../../../tests/traces/ftp.jsonl");
    let mut conns = std::collections::BTreeMap::new();
    let (mut packets, mut moved) = (0, 0);
    for line in trace.lines().filter(|l| l.contains("\"in\"")) {
        let mut ips = line.split("\"ip\": \"").skip(1);
        let mut next = || {
            let hex = ips.next().unwrap().split('"').next().unwrap();
            [&OWN.0[..], &PEER.0, &[8, 0], &unhex(hex)].concat()
        };
        let (arrived, left) = (next(), next());
        let Ok(Parsed::Ip(packet)) = parse(&arrived, Offload::default(), OWN) else {
            panic!("no packet");
        };
        let (src, dst) = (packet.segment.src, packet.segment.dst);
        let (direction, client, server) = match src.port {
            21 => (Direction::Out, dst, src),
            _ => (Direction::In, src, dst),
        };
        if server.port != 21 || packet.segment.flags.has(TcpFlags(2)) {
            continue;
        }
        let conn = conns.entry(client).or_insert_with(|| Assist {
            client,
            virt: ep("10.9.0.9:21"),
            dest: ep("10.10.0.11:21"),
            notes: 0,
            ..conn(Family::V4)
        });
        let (ours, theirs) = (sent(conn, direction, &arrived), Seen::of(&left));
        assert_eq!(ours, theirs, "{line}");
        packets += 1;
        moved += usize::from(theirs != Seen::of(&arrived));
    }
    assert!(packets > 30 && moved >= 10, "{packets} {moved}");
    let expected: Vec<_> = conns.values().map(|c| c.expected.len()).collect();
    assert_eq!(expected, [1; 5]);
}
