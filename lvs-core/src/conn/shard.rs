//! One shard: records, index, timers and port pools that belong together, always changed together.

use std::hint::black_box;
use std::time::Duration;

use ahash::RandomState;
use hashbrown::HashMap;

use super::eviction::Candidates;
use super::index::{Guess, Index, Tuple};
use super::pool::{PoolKey, PortPool};
use super::slab::{Id, Slab};
use super::template::STILL_NEEDED;
use super::wheel::{BATCH, Wheel};
use super::{Conn, ConnInfo, Lease};
use crate::addr::Endpoint;
use crate::dest::{DestLive, Method};
use crate::segment::{Kind, Protocol, Segment};
use crate::service::LocalAddr;
use crate::state::State;
use crate::time::Time;
use crate::verdict::Direction;

/// How many of the longest used ports of exhausted pools are looked at for one whose connection has closed.
const RECLAIM_TRIES: u32 = 64;

/// Timers looked at to make room for one connection.
const EXPIRIES: usize = 16;

/// At this many port pools, or twice as many as were in use the last time, the unused ones are dropped.
const MANY_POOLS: usize = 4096;

const DIRECTIONS: [Direction; 2] = [Direction::In, Direction::Out];

/// A look-up's answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) id: Id,
    pub(crate) direction: Direction,
}

/// What decides whether a connection is unwanted.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) state: State,
    pub(crate) in_packets: u32,
    pub(crate) expires_in: Duration,
    pub(crate) dest: &'a DestLive,
}

#[derive(Debug)]
pub(crate) struct Shard {
    number: u32,
    shards: u32,
    limit: usize,
    seed: RandomState,
    slab: Slab,
    index: Index,
    wheel: Wheel,
    candidates: Candidates,
    /// Kept only for its memory.
    batch: Vec<Id>,
    pools: HashMap<PoolKey, PortPool, RandomState>,
    /// How many pools there may be before the unused ones are dropped.
    pools_wanted: usize,
    /// Counts insertions and removals, so that an earlier look-up can be known to be stale.
    version: u64,
}

impl Shard {
    pub(crate) fn new(number: u32, shards: u32, limit: usize, seed: &RandomState) -> Self {
        Self {
            number,
            shards,
            limit: limit.min(Id::LIMIT),
            seed: seed.clone(),
            slab: Slab::default(),
            index: Index::default(),
            wheel: Wheel::default(),
            candidates: Candidates::new(limit),
            batch: Vec::with_capacity(BATCH),
            pools: HashMap::with_hasher(seed.clone()),
            pools_wanted: MANY_POOLS,
            version: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whether one more connection fits, if need be in place of one that can be given up.
    pub(crate) fn make_room(&mut self, now: Time) -> bool {
        if self.slab.len() < self.limit {
            return true;
        }
        self.expire(now, &mut EXPIRIES.clone());
        if self.slab.len() >= self.limit
            && let Some(id) = self.candidates.next(&self.slab)
        {
            self.remove(id);
        }
        self.slab.len() < self.limit
    }

    /// Half a look-up, which waits for the index only.
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> Option<Guess> {
        self.index.guess(hash)
    }

    /// The other half, which waits for the record.
    #[inline]
    pub(crate) fn confirm(&self, guess: Option<Guess>, hash: u64, tuple: &Tuple) -> Option<Found> {
        self.index
            .confirm(guess, hash, tuple, &self.slab)
            .map(|(id, direction)| Found { id, direction })
    }

    pub(crate) fn find(&self, hash: u64, tuple: &Tuple) -> Option<Found> {
        self.index
            .find(hash, tuple, &self.slab)
            .map(|(id, direction)| Found { id, direction })
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Conn> {
        self.slab.get(id)
    }

    /// Whether no more connections fit but in place of others, once so many have gone.
    pub(crate) fn is_full_without(&self, gone: usize) -> bool {
        self.slab.len() >= self.limit.saturating_add(gone)
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut Conn> {
        self.slab.get_mut(id)
    }

    /// Takes a connection in: binds it to its destination, indexes it and starts its timer. `None` if no
    /// more fit.
    ///
    /// Two NAT services may lead to the same real server, and a client may use one port for both. The server
    /// takes the two for one connection, and so for over what was before the newest: the older is removed.
    pub(crate) fn insert(&mut self, conn: Conn, now: Time) -> Option<Id> {
        if !self.make_room(now) {
            return None;
        }
        if conn.method == Method::Nat {
            let reply = conn.tuple(Direction::Out);
            let older = self.find(self.seed.hash_one(reply), &reply);
            if let Some(older) = older.filter(|f| f.direction == Direction::Out) {
                self.remove(older.id);
            }
        }
        let (dest, active) = (conn.dest.clone(), conn.state.is_active());
        let id = self.place(conn, now)?;
        dest.bind(active, 1);
        Some(id)
    }

    /// Takes in a connection that counts already.
    pub(crate) fn place(&mut self, conn: Conn, now: Time) -> Option<Id> {
        let id = self.slab.insert(conn)?;
        for direction in DIRECTIONS {
            self.index.insert(id, direction, &self.slab, &self.seed);
        }
        self.wheel.start(id, now, &mut self.slab);
        self.candidates.opened(id);
        self.version += 1;
        Some(id)
    }

    /// Lets a connection go: gives back its place, its local port and its share of the counts.
    pub(crate) fn remove(&mut self, id: Id) {
        if let Some(conn) = self.take(id) {
            self.release(conn);
        }
    }

    fn release(&mut self, conn: Conn) {
        conn.dest.bind(conn.state.is_active(), -1);
        if conn.method == Method::FullNat {
            self.give_port(conn.protocol, conn.local, conn.dest_addr);
        }
    }

    /// Takes a connection out, to be put in elsewhere: it still counts.
    pub(crate) fn take(&mut self, id: Id) -> Option<Conn> {
        let hashes = self.hashes(id)?;
        self.take_hashed(id, hashes)
    }

    /// The hashes of a connection's two tuples.
    fn hashes(&self, id: Id) -> Option<[u64; 2]> {
        let conn = self.slab.get(id)?;
        Some(DIRECTIONS.map(|d| self.seed.hash_one(conn.tuple(d))))
    }

    fn take_hashed(&mut self, id: Id, hashes: [u64; 2]) -> Option<Conn> {
        for (direction, hash) in DIRECTIONS.into_iter().zip(hashes) {
            self.index.remove(id, direction, hash);
        }
        let conn = self.slab.remove(id)?;
        self.version += 1;
        Some(conn)
    }

    /// A packet of a connection: moves its state unless it is a later fragment, and restarts its timer, by what `timeout`
    /// says of its state and server.
    pub(crate) fn touch(
        &mut self,
        id: Id,
        direction: Direction,
        packet: &Segment,
        secure: bool,
        timeout: impl FnOnce(State, &DestLive) -> Duration,
        now: Time,
    ) {
        let Some(conn) = self.slab.get_mut(id) else {
            return;
        };
        let mut state = conn.state;
        if packet.kind == Kind::Packet && packet.protocol == conn.protocol {
            conn.in_only &= direction == Direction::In;
            state = state.after(packet, direction, conn.in_only, secure);
        }
        match direction {
            Direction::In => conn.in_packets = conn.in_packets.saturating_add(1),
            Direction::Out if conn.protocol == Protocol::UDP => {
                conn.lease.iter().for_each(Lease::assure);
            }
            Direction::Out => {}
        }
        if state.is_ended() && !conn.state.is_ended() {
            self.candidates.ended(id);
        }
        let timeout = timeout(state, &conn.dest);
        if conn.enter(state, timeout, now) {
            self.wheel.place(id, &mut self.slab);
        }
    }

    /// Removes what has expired by `now`, looking at no more than `budget` entries. Returns whether it came
    /// to the end.
    pub(crate) fn expire(&mut self, now: Time, budget: &mut usize) -> bool {
        let mut batch = std::mem::take(&mut self.batch);
        loop {
            batch.clear();
            self.wheel.expired(now, &mut self.slab, budget, &mut batch);
            if batch.is_empty() {
                break;
            }
            self.retire(&batch, now);
        }
        self.batch = batch;
        *budget > 0
    }

    /// Removes a batch that has expired, but for what controls others. Its places in the index are looked at before any
    /// is changed, so that they come from memory side by side.
    fn retire(&mut self, batch: &[Id], now: Time) {
        let mut hashes = [[0; 2]; BATCH];
        for (id, hashes) in batch.iter().zip(&mut hashes) {
            *hashes = self.hashes(*id).unwrap_or_default();
        }
        for hash in hashes[..batch.len()].as_flattened() {
            black_box(self.index.guess(*hash));
        }
        for (id, hashes) in batch.iter().zip(hashes) {
            match self.slab.get_mut(*id).filter(|c| c.is_needed()) {
                Some(conn) => {
                    conn.deadline = now + STILL_NEEDED;
                    self.wheel.place(*id, &mut self.slab);
                }
                None => {
                    if let Some(conn) = self.take_hashed(*id, hashes) {
                        self.release(conn);
                    }
                }
            }
        }
    }

    /// Removes, of the records whose numbers are `class` modulo `classes`, those that `unwanted` singles out; what
    /// controls others stays.
    pub(crate) fn sift(
        &mut self,
        class: usize,
        classes: usize,
        now: Time,
        mut unwanted: impl FnMut(&Candidate<'_>) -> bool,
    ) {
        for i in (class..self.slab.end()).step_by(classes) {
            let id = Id(i as u32);
            let Some(conn) = self.slab.get_mut(id).filter(|c| !c.is_needed()) else {
                continue;
            };
            let candidate = Candidate {
                protocol: conn.protocol,
                state: conn.state,
                in_packets: conn.in_packets,
                expires_in: conn.deadline.since(now),
                dest: &conn.dest,
            };
            if unwanted(&candidate) {
                if let Some(lease) = conn.lease.take() {
                    lease.forsake();
                }
                self.remove(id);
            }
        }
    }

    /// Takes a local port towards `dest` from the first of `addrs` (of the server's family) that has one.
    /// `start` says with which address to begin, so that all are used alike. Where every port is taken, that
    /// of a connection which has closed and is only remembered is taken over.
    pub(crate) fn take_port(
        &mut self,
        protocol: Protocol,
        dest: Endpoint,
        addrs: &[LocalAddr],
        start: usize,
    ) -> Option<Endpoint> {
        let family = dest.ip.family();
        let split = start % addrs.len().max(1);
        let (later, first) = addrs.split_at(split);
        let candidates = || {
            first
                .iter()
                .chain(later)
                .filter(|a| a.ip.family() == family)
        };
        for a in candidates() {
            let key = PoolKey {
                protocol,
                local: a.ip,
                dest,
            };
            // Pools of servers long gone are cleared out now and then; a live one must stay even while it is
            // empty, since it knows which port was used last.
            if self.pools.len() >= self.pools_wanted && !self.pools.contains_key(&key) {
                self.pools.retain(|_, p| !p.is_empty());
                self.pools_wanted = MANY_POOLS.max(2 * self.pools.len());
            }
            let (number, shards) = (self.number, self.shards);
            let pool = self
                .pools
                .entry(key)
                .or_insert_with(|| PortPool::new(number, shards));
            if let Some(port) = pool.take(a.first_port, a.last_port) {
                return Some(Endpoint::new(a.ip, port));
            }
        }
        let tries = RECLAIM_TRIES.div_ceil(addrs.len().max(1) as u32);
        for a in candidates() {
            let key = PoolKey {
                protocol,
                local: a.ip,
                dest,
            };
            let Some(pool) = self.pools.get_mut(&key) else {
                continue;
            };
            let oldest = pool.oldest(a.first_port, a.last_port, tries);
            pool.skip(a.first_port, a.last_port, tries);
            for port in oldest {
                let tuple = Tuple {
                    protocol,
                    src: dest,
                    dst: Endpoint::new(a.ip, port),
                };
                let Some(found) = self.find(self.seed.hash_one(tuple), &tuple) else {
                    continue;
                };
                if self.slab.get(found.id).is_some_and(|c| c.state.is_ended()) {
                    self.remove(found.id);
                    let pool = self.pools.get_mut(&key)?;
                    return pool.take(port, port).map(|p| Endpoint::new(a.ip, p));
                }
            }
        }
        None
    }

    /// Whether [`Self::take_port`] would find one, once this connection has gone.
    pub(crate) fn has_port(
        &self,
        protocol: Protocol,
        dest: Endpoint,
        addrs: &[LocalAddr],
        gone: Option<Found>,
    ) -> bool {
        let tries = RECLAIM_TRIES.div_ceil(addrs.len().max(1) as u32);
        let gives_up = |local| {
            let tuple = Tuple {
                protocol,
                src: dest,
                dst: local,
            };
            let found = self.find(self.seed.hash_one(tuple), &tuple);
            found.is_some_and(|f| {
                let ended = |c: &Conn| c.state.is_ended();
                gone.is_some_and(|g| g.id == f.id) || self.slab.get(f.id).is_some_and(ended)
            })
        };
        let family = dest.ip.family();
        addrs.iter().filter(|a| a.ip.family() == family).any(|a| {
            let (first, last) = (a.first_port, a.last_port);
            let key = PoolKey {
                protocol,
                local: a.ip,
                dest,
            };
            let unused;
            let pool = match self.pools.get(&key) {
                Some(pool) => pool,
                None => {
                    unused = PortPool::new(self.number, self.shards);
                    &unused
                }
            };
            let own = gone.and_then(|g| self.slab.get(g.id)).map(|c| c.local);
            let local = |port| Endpoint::new(a.ip, port);
            pool.has_free(first, last)
                || own.is_some_and(|l| {
                    l.ip == a.ip && (first..=last).contains(&l.port) && gives_up(l)
                })
                || { pool.oldest(first, last, tries) }.any(|port| gives_up(local(port)))
        })
    }

    /// Gives back a local port.
    pub(crate) fn give_port(&mut self, protocol: Protocol, local: Endpoint, dest: Endpoint) {
        let key = PoolKey {
            protocol,
            local: local.ip,
            dest,
        };
        if let Some(pool) = self.pools.get_mut(&key) {
            pool.give(local.port);
        }
    }

    /// Shows the records numbered from `from` on, `count` numbers of them; `false` at the end.
    pub(crate) fn list(
        &self,
        from: usize,
        count: usize,
        now: Time,
        visit: &mut dyn FnMut(ConnInfo),
    ) -> bool {
        let end = self.slab.end().min(from.saturating_add(count));
        for i in from..end {
            if let Some(c) = self.slab.get(Id(i as u32)).filter(|c| c.deadline > now) {
                visit(c.info(now));
            }
        }
        end < self.slab.end()
    }

    /// Removes, of the records numbered from `from` on, `count` numbers of them, those that `which` singles out, and counts
    /// them; `false` at the end.
    pub(crate) fn evict(
        &mut self,
        from: usize,
        count: usize,
        now: Time,
        which: &dyn Fn(&ConnInfo) -> bool,
        removed: &mut usize,
    ) -> bool {
        let end = self.slab.end().min(from.saturating_add(count));
        for id in (from..end).map(|i| Id(i as u32)) {
            if self.slab.get(id).is_some_and(|c| which(&c.info(now))) {
                self.remove(id);
                *removed += 1;
            }
        }
        end < self.slab.end()
    }
}

#[cfg(test)]
mod tests;
