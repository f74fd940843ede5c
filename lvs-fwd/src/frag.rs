//! Which ports a fragmented packet has: a bounded memory of first fragments.
//!
//! Only the first fragment of a packet holds the ports that say to which connection it belongs. Nothing is
//! put together here: the ports of each first fragment are remembered as they came, and lent to the later
//! ones. A later fragment that overtakes its first is unknown, and its sender will have to repeat the
//! packet.
//!
//! Anybody can send first fragments. So the memory is a ring of a fixed number of entries that
//! never grows: a new entry takes the place of the oldest. The hash is keyed, so that nobody can aim at
//! one bucket.

use std::time::Duration;

use ahash::RandomState;
use hashbrown::HashMap;
use lvs_core::{Ip, Protocol, Time};

use crate::parse::IpPacket;

/// How long a first fragment is remembered: as long as IPv4's and IPv6's reassembly waits at most on Linux
/// (`net.ipv4.ipfrag_time`).
pub const LIFE: Duration = Duration::from_secs(30);

/// What the fragments of one packet have in common (RFC 791; IPv6 has no need of the protocol, but it
/// does no harm).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct FragmentKey {
    /// The packet's source.
    pub src: Ip,
    /// The packet's destination.
    pub dst: Ip,
    /// The packet's transport protocol.
    pub protocol: Protocol,
    /// The packet's identification.
    pub id: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    ports: (u16, u16),
    since: Time,
    /// Its place in the ring.
    place: usize,
}

/// Remembers the ports of the most recent first fragments, each for [`LIFE`].
#[derive(Debug)]
pub struct FragMemory {
    known: HashMap<FragmentKey, Known, RandomState>,
    /// What is known, in order of arrival; a key that came again has left its former place empty.
    ring: Box<[Option<FragmentKey>]>,
    /// The place to be taken next, which is the oldest.
    next: usize,
}

impl FragMemory {
    /// A memory of the `capacity` (at least 1) most recent first fragments. `seed` should be secret and
    /// random. All memory is taken here.
    pub fn new(capacity: usize, seed: [u64; 4]) -> Self {
        let capacity = capacity.max(1);
        let [a, b, c, d] = seed;
        Self {
            // Twice what is needed: being at most half full, the table makes room for new entries by
            // clearing away deleted ones, and never grows.
            known: HashMap::with_capacity_and_hasher(
                capacity * 2,
                RandomState::with_seeds(a, b, c, d),
            ),
            ring: vec![None; capacity].into_boxed_slice(),
            next: 0,
        }
    }

    /// Remembers the (source, destination) ports of a packet's first fragment. What was known of the same
    /// packet is replaced.
    pub fn remember(&mut self, key: FragmentKey, ports: (u16, u16), now: Time) {
        let place = self.next;
        self.next = (place + 1) % self.ring.len();
        if let Some(oldest) = self.ring[place].replace(key) {
            self.known.remove(&oldest);
        }
        let known = Known {
            ports,
            since: now,
            place,
        };
        if let Some(former) = self.known.insert(key, known) {
            self.ring[former.place] = None;
        }
    }

    /// The (source, destination) ports of the packet, if its first fragment is remembered.
    pub fn recall(&self, key: &FragmentKey, now: Time) -> Option<(u16, u16)> {
        let known = self.known.get(key)?;
        (now.since(known.since) < LIFE).then_some(known.ports)
    }

    /// Does what a fragment asks for: remembers the ports of a first one, and gives a later one its
    /// packet's. Returns false if those are not known. Whole packets are left alone.
    pub fn follow(&mut self, packet: &mut IpPacket, now: Time) -> bool {
        let Some(fragment) = packet.fragment else {
            return true;
        };
        let segment = &mut packet.segment;
        let key = FragmentKey {
            src: segment.src.ip,
            dst: segment.dst.ip,
            protocol: segment.protocol,
            id: fragment.id,
        };
        if fragment.is_first() {
            self.remember(key, (segment.src.port, segment.dst.port), now);
            return true;
        }
        let ports = self.recall(&key, now);
        if let Some((src, dst)) = ports {
            segment.src.port = src;
            segment.dst.port = dst;
        }
        ports.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;
    use crate::frame::Offload;
    use crate::parse::{Fragment, Parsed, parse};
    use crate::wire::samples::{self, BOTH, OWN};

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
                        memory.remember(key(id), ports, Time::from_millis(now));
                        model.push((id, ports, now));
                    }
                    Op::Recall { id } => {
                        let latest = model.iter().rev().take(capacity).find(|e| e.0 == id);
                        let want = latest.filter(|e| now - e.2 < 30_000).map(|e| e.1);
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
        memory.remember(key(1), (5, 6), Time::default());
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
        assert_eq!(memory.recall(&key(1), Time::default()), Some((5, 6)));
    }

    #[test]
    fn a_churned_table_never_grows() {
        let mut memory = FragMemory::new(64, [7; 4]);
        let room = memory.known.capacity();
        for id in 0..100_000 {
            memory.remember(key(id), (1, 2), Time::default());
        }
        assert_eq!((memory.known.capacity(), memory.known.len()), (room, 64));
    }

    #[test]
    fn later_fragments_follow_their_first() {
        for family in BOTH {
            let udp = &samples::udp(family, &[7; 24])[samples::l4(family)..];
            let packet = |id, range: Range<usize>| {
                let piece = Fragment {
                    id,
                    offset: range.start as u16,
                    more: range.end < udp.len(),
                };
                let frame = samples::fragment(family, Protocol::UDP, piece, &udp[range]);
                match parse(&frame, Offload::default(), OWN) {
                    Ok(Parsed::Ip(p)) => p,
                    other => panic!("{other:?}"),
                }
            };
            let mut memory = FragMemory::new(4, [3; 4]);
            let now = Time::from_secs(1);
            let mut later = packet(9, 16..32);
            let before = later;
            assert!(
                !memory.follow(&mut later, now),
                "its first is not known yet"
            );
            assert_eq!(later, before);
            let mut first = packet(9, 0..16);
            assert!(memory.follow(&mut first, now));
            assert!(memory.follow(&mut later, now));
            assert_eq!(later.segment.src, first.segment.src);
            assert_eq!(later.segment.dst, first.segment.dst);
            assert!(
                !memory.follow(&mut packet(10, 16..32), now),
                "of another packet"
            );
            assert!(!memory.follow(&mut packet(9, 16..32), now + LIFE));

            let mut whole = packet(9, 0..32);
            whole.fragment = None;
            assert!(memory.follow(&mut whole, now));
        }
    }
}
