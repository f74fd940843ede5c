use std::ops::Range;

use lvs_core::Family;
use proptest::prelude::*;

use super::*;
use crate::frame::Offload;
use crate::parse::{Fragment, Parsed, parse};
use crate::wire::samples::{self, BOTH, OWN};

fn flow(src_port: u16, dst_port: u16) -> Flow {
    Flow {
        src: Endpoint::new(key(0).src, src_port),
        dst: Endpoint::new(key(0).dst, dst_port),
        protocol: Protocol::UDP,
    }
}

fn key(id: u32) -> FragmentKey {
    FragmentKey {
        src: Ip::v4([192, 0, 2, 1]),
        dst: Ip::v4([198, 51, 100, 1]),
        protocol: Protocol::UDP,
        id,
    }
}

#[derive(Clone, Debug)]
enum Op {
    Remember { id: u32, ports: (u16, u16) },
    Recall { id: u32 },
    Wait { millis: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..12u32, any::<(u16, u16)>()).prop_map(|(id, ports)| Op::Remember { id, ports }),
        4 => (0..12u32).prop_map(|id| Op::Recall { id }),
        1 => (0..20_000u64).prop_map(|millis| Op::Wait { millis }),
    ]
}

proptest! {
    /// The model: a plain list of what was remembered; the last `capacity` count, the latest first.
    #[test]
    fn the_latest_first_fragments_are_known_for_their_life(
        capacity in 1..9usize,
        ops in prop::collection::vec(op(), 0..200),
    ) {
        let mut memory = FragMemory::new(capacity, [1, 2, 3, 4]);
        let room = memory.known.capacity();
        let mut model: Vec<(u32, (u16, u16), u64)> = Vec::new();
        let mut now = 0;
        for op in ops {
            match op {
                Op::Remember { id, ports } => {
                    memory.remember(key(id), flow(ports.0, ports.1), Time::from_millis(now));
                    model.push((id, ports, now));
                }
                Op::Recall { id } => {
                    let latest = model.iter().rev().take(capacity).find(|e| e.0 == id);
                    let want = latest.filter(|e| now - e.2 < 30_000).map(|e| flow(e.1.0, e.1.1));
                    prop_assert_eq!(memory.recall(&key(id), Time::from_millis(now)), want);
                }
                Op::Wait { millis } => now += millis,
            }
            prop_assert!(memory.known.len() <= capacity);
            prop_assert_eq!(memory.known.len(), memory.ring.iter().flatten().count());
        }
        prop_assert_eq!(memory.known.capacity(), room, "the table has grown");
    }
}

#[test]
fn every_part_of_the_key_counts() {
    let mut memory = FragMemory::new(8, [0; 4]);
    memory.remember(key(1), flow(5, 6), Time::default());
    let other = Ip::v4([203, 0, 113, 1]);
    for k in [
        FragmentKey {
            src: other,
            ..key(1)
        },
        FragmentKey {
            dst: other,
            ..key(1)
        },
        FragmentKey {
            protocol: Protocol::TCP,
            ..key(1)
        },
        key(2),
    ] {
        assert_eq!(memory.recall(&k, Time::default()), None);
    }
    assert_eq!(memory.recall(&key(1), Time::default()), Some(flow(5, 6)));
}

#[test]
fn a_churned_table_never_grows() {
    let mut memory = FragMemory::new(64, [7; 4]);
    let room = memory.known.capacity();
    for id in 0..100_000 {
        memory.remember(key(id), flow(1, 2), Time::default());
    }
    assert_eq!((memory.known.capacity(), memory.known.len()), (room, 64));
}

/// A fragment of a packet, as parsed, with its key.
fn piece(
    family: Family,
    protocol: Protocol,
    id: u32,
    range: Range<usize>,
) -> (IpPacket, FragmentKey) {
    let frame = match protocol {
        Protocol::UDP => samples::udp(family, &[7; 24]),
        Protocol::ICMP => {
            let quoted = samples::quoted(family, Protocol::TCP, 80);
            samples::icmp_error(family, 3, 3, &quoted)
        }
        _ => samples::raw(family, protocol, &[7; 32]),
    };
    let whole = &frame[samples::l4(family)..];
    let piece = Fragment {
        id,
        offset: range.start as u16,
        more: range.end < whole.len(),
    };
    let frame = samples::fragment(family, protocol, piece, &whole[range]);
    match parse(&frame, Offload::default(), OWN) {
        Ok(Parsed::Ip(p)) => (p, FragmentKey::of(&p, &frame).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn later_fragments_follow_their_first() {
    for family in BOTH {
        let packet = |id, range| piece(family, Protocol::UDP, id, range);
        let mut memory = FragMemory::new(4, [3; 4]);
        let now = Time::from_secs(1);
        let (mut later, key) = packet(9, 16..32);
        let before = later;
        assert!(!memory.follow(&mut later, &key, now), "not known yet");
        assert_eq!(later, before);
        let (mut first, first_key) = packet(9, 0..16);
        assert_eq!(key, first_key);
        assert!(memory.follow(&mut first, &key, now));
        assert!(memory.follow(&mut later, &key, now));
        assert_eq!(Flow::of(&later), Flow::of(&first));
        let (mut other, other_key) = packet(10, 16..32);
        assert!(!memory.follow(&mut other, &other_key, now), "of another");
        let (mut late, key) = packet(9, 16..32);
        assert!(!memory.follow(&mut late, &key, now + LIFE));
    }
}

#[test]
fn an_icmp_error_is_of_the_flow_it_quotes() {
    let mut memory = FragMemory::new(4, [3; 4]);
    let now = Time::from_secs(1);
    let (mut first, key) = piece(Family::V4, Protocol::ICMP, 5, 0..32);
    let (mut later, later_key) = piece(Family::V4, Protocol::ICMP, 5, 32..54);
    assert_eq!(key, later_key);
    assert!(memory.follow(&mut first, &key, now));
    assert!(memory.follow(&mut later, &key, now));
    assert_eq!(later.segment.protocol, Protocol::TCP);
    assert_eq!(Flow::of(&later), Flow::of(&first));
    assert_eq!(later.segment.dst.port, 80);
}

#[test]
fn nothing_is_to_be_known_of_esp() {
    let mut memory = FragMemory::new(4, [3; 4]);
    let (mut later, key) = piece(Family::V4, Protocol::ESP, 5, 16..32);
    assert!(memory.follow(&mut later, &key, Time::from_secs(1)));
    assert!(memory.known.is_empty());
}

#[test]
fn the_way_of_the_first_is_known_as_long_as_the_first() {
    let mut memory = FragMemory::new(2, [3; 4]);
    let now = Time::from_secs(1);
    let way = Forward {
        direction: lvs_core::Direction::In,
        rewrite: lvs_core::Rewrite::Route {
            next_hop: key(1).dst,
        },
        helper: None,
    };
    let (mut first, key) = piece(Family::V4, Protocol::UDP, 1, 0..16);
    memory.note_way(&key, &first, way);
    assert_eq!(memory.way(&key, now), None, "never seen");
    memory.follow(&mut first, &key, now);
    assert_eq!(memory.way(&key, now), None);
    memory.note_way(&key, &first, way);
    assert_eq!(memory.way(&key, now), Some(way));
    assert_eq!(memory.way(&key, now + LIFE), None);
    memory.remember(key, flow(3, 4), now);
    memory.note_way(&key, &first, way);
    assert_eq!(memory.way(&key, now), None, "another packet");
}
