//! What the director does for protocol helpers (FTP's, above all).
//!
//! A helper reads payload, which the director never sees. So a verdict only says *that* a packet needs a helper
//! ([`crate::Forward::helper`]); whoever has the bytes then looks at the connection here, and may leave notes on
//! it and announce further connections.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use ahash::RandomState;

use super::{Director, Worker, burst, lock};
use crate::addr::Endpoint;
use crate::conn::{Conn, Control, Shard, Shift, Tuple};
use crate::dest::{DestLive, Method};
use crate::segment::{Protocol, Segment};
use crate::state::{State, Timeouts};
use crate::time::Time;
use crate::verdict::Direction;

/// A connection as a helper sees it. What it may change is taken over when it has done.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "helpers' tests make it")]
pub struct Assist {
    /// Which way the packet travels.
    pub direction: Direction,
    /// The client.
    pub client: Endpoint,
    /// The virtual address and port the client used.
    pub virt: Endpoint,
    /// The real server.
    pub dest: Endpoint,
    /// The connection's state.
    pub state: State,
    /// Whatever the helper wants to remember; 0 at first. May be changed.
    pub notes: u32,
    /// How far the client's sequence numbers have moved. May be changed.
    pub shift_in: Shift,
    /// How far the server's have. May be changed.
    pub shift_out: Shift,
    /// Connections that are to come, and that this one controls; empty at first.
    pub expected: Vec<Expected>,
}

/// A connection announced by a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "helpers make it")]
pub struct Expected {
    /// The client. Port 0: whichever it will use.
    pub client: Endpoint,
    /// The virtual side, as the client sees it.
    pub virt: Endpoint,
    /// The real server's side.
    pub dest: Endpoint,
}

/// What a connection announced has from the one that announced it.
struct Origin {
    protocol: Protocol,
    dest: Arc<DestLive>,
    control: Arc<Control>,
}

impl Worker {
    /// Shows the helped connection that `segment` belongs to, and takes over what `look` changed in it. `None` if
    /// there is none.
    pub fn assist<R>(
        &mut self,
        now: Time,
        segment: &Segment,
        look: impl FnOnce(&mut Assist) -> R,
    ) -> Option<R> {
        let config = self.config.load().clone();
        let director = &*self.director;
        let tuple = Tuple::from(segment);
        let hash = director.seed.hash_one(tuple);
        let (result, origin, expected) = {
            let number = burst::shard_of(&tuple, config.role_of(segment), director.shards.len());
            let mut shard = lock(&director.shards[number]);
            let found = shard.find(hash, &tuple)?;
            let conn = shard.get_mut(found.id)?;
            let extra = conn.extra.as_mut()?;
            let mut assist = Assist {
                direction: found.direction,
                client: conn.client,
                virt: conn.virt,
                dest: conn.dest_addr,
                state: conn.state,
                notes: extra.notes,
                shift_in: extra.shift_in,
                shift_out: extra.shift_out,
                expected: Vec::new(),
            };
            let result = look(&mut assist);
            extra.notes = assist.notes;
            extra.shift_in = assist.shift_in;
            extra.shift_out = assist.shift_out;
            let origin = Origin {
                protocol: conn.protocol,
                dest: conn.dest.clone(),
                control: extra.control.clone(),
            };
            (result, origin, assist.expected)
        };
        for e in expected {
            director.expect(&origin, e, config.timeouts(), now);
        }
        Some(result)
    }
}

impl Director {
    /// Makes a connection that is to come, unless it is there already.
    fn expect(&self, origin: &Origin, e: Expected, timeouts: &Timeouts, now: Time) {
        let conn = Conn {
            client: e.client,
            virt: e.virt,
            dest_addr: e.dest,
            local: e.client,
            deadline: now + timeouts.of(State::Listen),
            dest: origin.dest.clone(),
            lease: Some(origin.control.lease()),
            extra: None,
            in_packets: 0,
            method: Method::Nat,
            protocol: origin.protocol,
            state: State::Listen,
            in_only: false,
        };
        if e.client.port == 0 {
            return self.expected.put(conn, now);
        }
        let tuple = conn.tuple(Direction::In);
        let number =
            crate::steer::client_shard(e.client.ip, e.client.port, self.shards.len() as u32);
        let mut shard = lock(&self.shards[number as usize]);
        let is_known = shard.find(self.seed.hash_one(tuple), &tuple).is_some();
        if !is_known && shard.make_room(now) {
            shard.insert(conn, now);
        }
    }

    /// The helper for NAT connections to this port.
    pub(super) fn helper_for(&self, protocol: Protocol, port: u16) -> Option<u8> {
        let i = self.helpers.iter().position(|h| *h == (protocol, port))?;
        u8::try_from(i).ok()
    }
}

/// Connections announced without the client's port (IPVS: NO_CPORT). They belong to no shard yet.
#[derive(Debug)]
pub(super) struct Announced {
    shard: Mutex<Shard>,
    seed: RandomState,
    /// How many there are, or have been a second ago, so that others need not look in vain.
    count: AtomicUsize,
}

/// The most connections announced at a time.
const MOST_ANNOUNCED: usize = 65_536;

impl Announced {
    pub(super) fn new(seed: &RandomState) -> Self {
        Self {
            shard: Mutex::new(Shard::new(0, 1, MOST_ANNOUNCED, seed)),
            seed: seed.clone(),
            count: AtomicUsize::new(0),
        }
    }

    fn put(&self, conn: Conn, now: Time) {
        let tuple = conn.tuple(Direction::In);
        let mut shard = lock(&self.shard);
        let found = shard.find(self.seed.hash_one(tuple), &tuple);
        if found.is_none() && shard.make_room(now) {
            shard.insert(conn, now);
        }
        self.count.store(shard.len(), Relaxed);
    }

    /// The connection whose first packet has this tuple; it still counts.
    pub(super) fn take(&self, packet: &Tuple, now: Time) -> Option<Conn> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let tuple = without_port(packet);
        let mut shard = lock(&self.shard);
        let found = shard.find(self.seed.hash_one(tuple), &tuple)?;
        if found.direction == Direction::Out || shard.get_mut(found.id)?.deadline <= now {
            return None;
        }
        let conn = shard.take(found.id);
        self.count.store(shard.len(), Relaxed);
        conn
    }

    /// Shows the connection that [`Self::take`] would return.
    pub(super) fn look<R>(
        &self,
        packet: &Tuple,
        now: Time,
        look: impl FnOnce(&Conn) -> R,
    ) -> Option<R> {
        let tuple = without_port(packet);
        let shard = lock(&self.shard);
        let found = shard.find(self.seed.hash_one(tuple), &tuple)?;
        let is_in = found.direction == Direction::In;
        let conn = shard.get(found.id).filter(|c| is_in && c.deadline > now)?;
        Some(look(conn))
    }

    pub(super) fn expire(&self, now: Time) {
        let mut shard = lock(&self.shard);
        shard.expire(now, &mut usize::MAX.clone());
        self.count.store(shard.len(), Relaxed);
    }

    pub(super) fn shard(&self) -> &Mutex<Shard> {
        &self.shard
    }
}

/// What a packet's connection is known by as long as its client's port is not.
fn without_port(packet: &Tuple) -> Tuple {
    Tuple {
        src: Endpoint::new(packet.src.ip, 0),
        ..*packet
    }
}
