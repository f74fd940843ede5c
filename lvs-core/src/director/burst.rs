//! A burst through the shards.
//!
//! A look-up in a large table is a wait for memory, first for the index and then for the record. So the whole
//! burst is hashed first, then looked up in the index, then compared with the records, each without doing
//! anything else in between, so that the waits overlap; only then are the packets treated one by one, in
//! the order in which they came. The shards they need are locked together, lowest first.

use std::cell::Cell;
use std::sync::MutexGuard;

use super::{Director, lock, packet, unasked};
use crate::config::{Config, Role};
use crate::conn::{Found, Guess, Shard, Tuple};
use crate::segment::{Chunk, Kind, Protocol, Segment, TcpFlags};
use crate::steer::{client_shard, local_port_shard};
use crate::time::Time;
use crate::verdict::{DropReason, PassReason, Verdict};

/// The most segments treated together.
pub(super) const MAX: usize = 32;
/// The most shards: what 16 workers have.
const MAX_SHARDS: usize = 64;

/// Where a packet's connection is looked for.
#[derive(Clone, Copy)]
struct Plan {
    hash: u64,
    shard: usize,
    /// Where else, if the packet is led to a service by its mark alone: a wide rule marks servers' answers as well.
    answer: Option<usize>,
    guess: Option<Guess>,
    found: Option<Found>,
}

/// What a packet is decided with, apart from its shard.
pub(super) struct Context<'a> {
    pub(super) director: &'a Director,
    pub(super) config: &'a Config,
    pub(super) stripe: usize,
    pub(super) now: Time,
    /// Whether TCP follows the tables of `secure_tcp`.
    pub(super) secure: bool,
    pub(super) random: &'a Cell<u64>,
}

impl Context<'_> {
    /// A fresh random number (SplitMix64).
    pub(super) fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

/// The shard where a packet's connection is, if its destination is what it seems to be.
pub(super) fn shard_of(t: &Tuple, role: Option<Role>, shards: usize) -> usize {
    let shards = shards as u32;
    let shard = match role {
        Some(Role::Virtual) => client_shard(t.src.ip, t.src.port, shards),
        Some(Role::Local) => local_port_shard(t.dst.port, shards),
        None => client_shard(t.dst.ip, t.dst.port, shards),
    };
    shard as usize
}

/// All shards where it may be, whatever its destination is.
pub(super) fn other_shards(t: &Tuple, shards: usize) -> [usize; 3] {
    let shards = shards as u32;
    let all = [
        client_shard(t.src.ip, t.src.port, shards),
        client_shard(t.dst.ip, t.dst.port, shards),
        local_port_shard(t.dst.port, shards),
    ];
    all.map(|i| i as usize)
}

pub(super) fn decide(cx: &Context<'_>, segments: &[Segment], verdicts: &mut Vec<Verdict>) {
    let director = cx.director;
    let shards = director.shards.len();
    let mut plans = [Plan {
        hash: 0,
        shard: 0,
        answer: None,
        guess: None,
        found: None,
    }; MAX];
    let mut needed = 0u64;
    for (s, plan) in segments.iter().zip(&mut plans) {
        let tuple = Tuple::from(s);
        plan.hash = director.seed.hash_one(tuple);
        let role = cx.config.role_of(s);
        plan.shard = shard_of(&tuple, role, shards);
        needed |= 1 << plan.shard;
        if s.mark != 0 && role == Some(Role::Virtual) {
            let by_address = cx.config.role(&s.dst.ip);
            let answer = shard_of(&tuple, by_address, shards);
            plan.answer = Some(answer).filter(|a| *a != plan.shard);
            needed |= plan.answer.map_or(0, |a| 1 << a);
        }
    }
    let mut guards = [const { None::<MutexGuard<'_, Shard>> }; MAX_SHARDS];
    let mut versions = [0u64; MAX_SHARDS];
    while needed != 0 {
        let i = needed.trailing_zeros() as usize;
        needed &= needed - 1;
        let guard = lock(&director.shards[i]);
        versions[i] = guard.version();
        guards[i] = Some(guard);
    }
    for plan in &mut plans[..segments.len()] {
        if let Some(shard) = &guards[plan.shard] {
            plan.guess = shard.guess(plan.hash);
        }
    }
    for (s, plan) in segments.iter().zip(&mut plans) {
        if let Some(shard) = &guards[plan.shard] {
            plan.found = shard.confirm(plan.guess, plan.hash, &Tuple::from(s));
        }
        if plan.found.is_none()
            && let Some(answer) = plan.answer
            && let Some(shard) = &guards[answer]
            && let Some(found) = shard.find(plan.hash, &Tuple::from(s))
        {
            (plan.shard, plan.found) = (answer, Some(found));
        }
    }
    let first = verdicts.len();
    for (s, plan) in segments.iter().zip(&plans) {
        let Some(shard) = guards[plan.shard].as_deref_mut() else {
            continue;
        };
        // An earlier packet of this burst may have opened or closed the connection.
        let found = match shard.version() == versions[plan.shard] {
            true => plan.found,
            false => shard.find(plan.hash, &Tuple::from(s)),
        };
        verdicts.push(packet::decide(cx, shard, found, s));
    }
    drop(guards);
    for ((s, plan), verdict) in segments.iter().zip(&plans).zip(&mut verdicts[first..]) {
        if *verdict == Verdict::Pass(PassReason::NotOurs) {
            look_at_the_other_end(cx, s, plan, verdict);
        }
    }
}

/// Which end is the client was only guessed from the addresses. Where a service or a local address was
/// removed, or a client has a virtual address itself, the guess is wrong, and the connection is in the shard
/// that another guess leads to. Such a packet is decided after the rest of its burst, since no shard may be
/// locked while higher ones are held.
fn look_at_the_other_end(cx: &Context<'_>, s: &Segment, plan: &Plan, verdict: &mut Verdict) {
    if !may_be_elsewhere(s) {
        return;
    }
    let tuple = Tuple::from(s);
    for i in other_shards(&tuple, cx.director.shards.len()) {
        if i == plan.shard {
            continue;
        }
        let mut shard = lock(&cx.director.shards[i]);
        if let Some(found) = shard.find(plan.hash, &tuple) {
            *verdict = packet::decide(cx, &mut shard, Some(found), s);
            return;
        }
    }
    if let Some(opened) = unasked::open(cx, s) {
        *verdict = opened;
        return;
    }
    if is_unwanted(cx, s) {
        *verdict = Verdict::Drop(DropReason::ServerWithoutConnection);
    }
}

/// Whether a packet of this protocol belongs to a connection at all.
pub(super) const fn may_be_elsewhere(s: &Segment) -> bool {
    s.protocol.is_balanced() || matches!(s.protocol, Protocol::AH | Protocol::ESP)
}

/// Whether a real server that speaks of its own accord is refused.
pub(super) fn is_unwanted(cx: &Context<'_>, s: &Segment) -> bool {
    s.kind == Kind::Packet && cx.config.is_from_nat_server(s) && !is_abort(s)
}

const fn is_abort(s: &Segment) -> bool {
    match s.protocol {
        Protocol::TCP => s.flags.has(TcpFlags::RST),
        Protocol::SCTP => matches!(s.chunk, Chunk::Abort),
        _ => false,
    }
}
