//! From a packet's tuple to its connection.
//!
//! Every connection stands here twice, once for each direction's tuple, as a slab number with the direction
//! in its lowest bit. The tuples themselves are in the records, so an entry costs four bytes and one of
//! control. A hash table that grows rehashes all it holds; cut into [`PARTS`] independent tables, it does so
//! a little at a time.

use std::hash::{Hash, Hasher};

use ahash::RandomState;
use hashbrown::HashTable;

use super::slab::{Id, Slab};
use crate::addr::{Endpoint, Ip};
use crate::segment::{Protocol, Segment, port};
use crate::verdict::Direction;

/// So many that a part of a table of ten million connections grows in half a millisecond.
const PARTS: usize = 1024;

/// Source and destination of a packet, as they stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tuple {
    pub(crate) protocol: Protocol,
    pub(crate) src: Endpoint,
    pub(crate) dst: Endpoint,
}

impl From<&Segment> for Tuple {
    /// AH and ESP follow the ISAKMP connection between the same addresses (IPVS).
    fn from(s: &Segment) -> Self {
        match s.protocol {
            Protocol::AH | Protocol::ESP => Self {
                protocol: Protocol::UDP,
                src: Endpoint::new(s.src.ip, port::ISAKMP),
                dst: Endpoint::new(s.dst.ip, port::ISAKMP),
            },
            protocol => Self {
                protocol,
                src: s.src,
                dst: s.dst,
            },
        }
    }
}

impl Hash for Tuple {
    fn hash<H: Hasher>(&self, h: &mut H) {
        let word = |ip: &Ip| ip.words();
        let ([a, b], [c, d]) = (word(&self.src.ip), word(&self.dst.ip));
        let ports = u64::from(self.src.port) << 16 | u64::from(self.dst.port);
        // Most tuples are IPv4, whose first words are all the same.
        if self.src.ip.is_v4() {
            h.write_u64(b);
            h.write_u64(d);
        } else {
            h.write_u64(a);
            h.write_u64(b);
            h.write_u64(c);
            h.write_u64(d);
        }
        h.write_u64(ports << 8 | u64::from(self.protocol.0));
    }
}

/// An entry that is likely the one looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guess(u32);

#[derive(Debug)]
pub(super) struct Index {
    parts: Box<[HashTable<u32>]>,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| HashTable::new()).collect(),
        }
    }
}

const fn entry(id: Id, direction: Direction) -> u32 {
    id.0 << 1 | matches!(direction, Direction::Out) as u32
}

const fn parts_of(entry: u32) -> (Id, Direction) {
    (
        Id(entry >> 1),
        if entry & 1 == 0 {
            Direction::In
        } else {
            Direction::Out
        },
    )
}

fn tuple_of(slab: &Slab, entry: u32) -> Option<Tuple> {
    let (id, direction) = parts_of(entry);
    slab.get(id).map(|c| c.tuple(direction))
}

/// The part a hash belongs to. hashbrown takes its bucket from the lowest bits and its tag from the
/// highest seven, so this uses others.
const fn part(hash: u64) -> usize {
    (hash >> 47) as usize & (PARTS - 1)
}

impl Index {
    /// The first entry whose hash looks alike, no record asked; without one there is no such connection. It
    /// is the right one 99 times in a hundred, and [`Self::confirm`] looks.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<Guess> {
        let part = &self.parts[part(hash)];
        part.find(hash, |_| true).map(|&e| Guess(e))
    }

    /// What [`Self::find`] would say, given what [`Self::guess`] said of the same hash.
    #[inline]
    pub(super) fn confirm(
        &self,
        guess: Option<Guess>,
        hash: u64,
        tuple: &Tuple,
        slab: &Slab,
    ) -> Option<(Id, Direction)> {
        let Guess(e) = guess?;
        match tuple_of(slab, e).is_some_and(|t| t == *tuple) {
            true => Some(parts_of(e)),
            false => self.find(hash, tuple, slab),
        }
    }

    pub(super) fn find(&self, hash: u64, tuple: &Tuple, slab: &Slab) -> Option<(Id, Direction)> {
        self.parts[part(hash)]
            .find(hash, |&e| tuple_of(slab, e).is_some_and(|t| t == *tuple))
            .map(|&e| parts_of(e))
    }

    pub(super) fn insert(&mut self, id: Id, direction: Direction, slab: &Slab, seed: &RandomState) {
        let rehash = |&e: &u32| tuple_of(slab, e).map_or(0, |t| seed.hash_one(t));
        let e = entry(id, direction);
        let hash = rehash(&e);
        self.parts[part(hash)].insert_unique(hash, e, rehash);
    }

    pub(super) fn remove(&mut self, id: Id, direction: Direction, hash: u64) {
        let e = entry(id, direction);
        if let Ok(found) = self.parts[part(hash)].find_entry(hash, |&x| x == e) {
            found.remove();
        }
    }
}

#[cfg(test)]
mod tests;
