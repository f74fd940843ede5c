//! To which flow a fragment belongs: a bounded memory of first fragments, and of later ones that overtook theirs.
//!
//! Only the first fragment of a packet holds the ports that say to which connection it belongs. Nothing is
//! put together here: the flow of each first fragment is remembered as it came, and the later ones follow it. One
//! that overtakes its first is held until that has been decided, then sent the same way. (IPVS has the
//! kernel put packets together first; what arrives in the end is the same.)
//!
//! Fragmented ICMP errors of IPv4 are followed likewise: the flow is that of the packet they quote.
//!
//! Anybody can send fragments. So both memories are of fixed size and never grow: what is new takes the place of
//! the oldest. The hash is keyed, so that nobody can aim at one bucket.

mod held;

use std::time::Duration;

use ahash::RandomState;
use hashbrown::HashMap;
use lvs_core::{Endpoint, Forward, Ip, Kind, Protocol, Time};

pub(crate) use self::held::Early;
use self::held::Held;
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

impl FragmentKey {
    /// The key of a packet that was parsed from `frame`, if it is a fragment.
    pub fn of(packet: &IpPacket, frame: &[u8]) -> Option<Self> {
        let fragment = packet.fragment?;
        let segment = &packet.segment;
        let (src, dst, protocol) = match segment.kind {
            // Its segment has the addresses of the packet it quotes.
            Kind::IcmpError => {
                let (src, dst) = packet.layout.addresses(frame)?;
                (src, dst, Protocol::ICMP)
            }
            _ => (segment.src.ip, segment.dst.ip, segment.protocol),
        };
        Some(Self {
            src,
            dst,
            protocol,
            id: fragment.id,
        })
    }
}

/// The flow a packet belongs to, as its [segment](lvs_core::Segment) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Flow {
    /// Where it comes from; of an ICMP error, what it is about was sent there.
    pub src: Endpoint,
    /// Where it goes to; of an ICMP error, what it is about came from there.
    pub dst: Endpoint,
    /// The transport protocol; of an ICMP error, that of the packet it quotes.
    pub protocol: Protocol,
}

impl Flow {
    fn of(packet: &IpPacket) -> Self {
        let segment = &packet.segment;
        Self {
            src: segment.src,
            dst: segment.dst,
            protocol: segment.protocol,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Known {
    flow: Flow,
    since: Time,
    /// Its place in the ring.
    place: usize,
    /// What was done with the first fragment, once it has been forwarded.
    way: Option<Forward>,
}

/// Remembers the flows of the most recent first fragments, each for [`LIFE`], and holds later ones that overtook
/// theirs.
#[derive(Debug)]
pub struct FragMemory {
    known: HashMap<FragmentKey, Known, RandomState>,
    /// What is known, in order of arrival; a key that came again has left its former place empty.
    ring: Box<[Option<FragmentKey>]>,
    /// The place to be taken next, which is the oldest.
    next: usize,
    held: Held,
}

impl FragMemory {
    /// A memory of the `capacity` (at least 1) most recent first fragments. `seed` should be secret and
    /// random. All memory for them is taken here.
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
            held: Held::default(),
        }
    }

    /// Remembers the flow of a packet's first fragment. What was known of the same packet is replaced.
    pub fn remember(&mut self, key: FragmentKey, flow: Flow, now: Time) {
        let place = self.next;
        self.next = (place + 1) % self.ring.len();
        if let Some(oldest) = self.ring[place].replace(key) {
            self.known.remove(&oldest);
        }
        let known = Known {
            flow,
            since: now,
            place,
            way: None,
        };
        if let Some(former) = self.known.insert(key, known) {
            self.ring[former.place] = None;
        }
    }

    /// The flow of the packet, if its first fragment is remembered.
    pub fn recall(&self, key: &FragmentKey, now: Time) -> Option<Flow> {
        self.known(key, now).map(|k| k.flow)
    }

    fn known(&self, key: &FragmentKey, now: Time) -> Option<&Known> {
        let known = self.known.get(key)?;
        (now.since(known.since) < LIFE).then_some(known)
    }

    /// Does what a fragment asks for: remembers the flow of a first one, and makes a later one part of its packet's.
    /// Returns false if that is not known. AH and ESP have no ports to be told.
    pub fn follow(&mut self, packet: &mut IpPacket, key: &FragmentKey, now: Time) -> bool {
        if matches!(key.protocol, Protocol::AH | Protocol::ESP) {
            return true;
        }
        if packet.segment.kind != Kind::LaterFragment {
            self.remember(*key, Flow::of(packet), now);
            return true;
        }
        let Some(flow) = self.recall(key, now) else {
            return false;
        };
        let segment = &mut packet.segment;
        (segment.src, segment.dst) = (flow.src, flow.dst);
        segment.protocol = flow.protocol;
        true
    }

    /// Notes how a packet's first fragment was forwarded. Later ones of a connection that is not remembered
    /// (one-packet scheduling) go the same way.
    pub(crate) fn note_way(&mut self, key: &FragmentKey, first: &IpPacket, way: Forward) {
        let known = self.known.get_mut(key);
        if let Some(known) = known.filter(|k| k.flow == Flow::of(first)) {
            known.way = Some(way);
        }
    }

    /// How the packet's first fragment was forwarded.
    pub(crate) fn way(&self, key: &FragmentKey, now: Time) -> Option<Forward> {
        self.known(key, now).and_then(|k| k.way)
    }

    /// Keeps a later fragment until its first has been decided. Returns how many had to be given up for it.
    pub(crate) fn hold(&mut self, early: Early, now: Time) -> usize {
        self.held.hold(early, now)
    }

    /// Takes out what was held of a packet, in order of arrival.
    pub(crate) fn take_held(&mut self, key: &FragmentKey) -> Vec<Early> {
        self.held.take(key)
    }

    /// Gives up what has been held too long; returns how many.
    pub(crate) fn expire_held(&mut self, now: Time) -> usize {
        self.held.expire(now)
    }
}

#[cfg(test)]
mod tests;
