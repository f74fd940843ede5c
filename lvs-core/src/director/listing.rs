//! Looking at connections, and forgetting some, while packets go on.
//!
//! Problem: a walk through millions of records takes longer than a packet may wait.
//!
//! Rule: the walk goes by parts. For each it holds one lock for a microsecond or two and copies out what is asked for; whatever
//! is done with it (formatted, sent) is done afterwards, without a lock. Where it meets a worker it sleeps a moment, and
//! before the next parts too, so that it seldom meets a busy one; and it waits without queueing: to wake a thread costs a
//! worker more than the walk does. So a walk through an idle table takes some 20 ns a record, through a busy one some 300.

use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread;
use std::time::Duration;

use super::{Director, lock};
use crate::conn::{ConnInfo, Shard};
use crate::time::Time;

/// Numbers of records looked at under one lock.
const STEP: usize = 64;
/// How long a walk sleeps. The system makes it some 80 us.
const PAUSE: Duration = Duration::from_micros(20);
/// Before so many parts it sleeps after it has met a worker.
const WARY: u8 = 4;
/// How often a lock is tried before the walk queues for it like anybody else.
const TRIES: usize = 1000;

/// A walk through all connections and templates, made by [`Director::listing`]. What comes or goes meanwhile may be missed;
/// nothing that stays is, nor shown twice.
#[derive(Debug)]
pub struct Listing<'a> {
    director: &'a Director,
    walk: Walk,
}

impl Listing<'_> {
    /// Adds to `out` what `keep` wants to see of the next part: 64 connections, or a 1024th of the templates. `keep` runs
    /// under a lock, and so should only compare. Sleeps where workers are busy. Returns whether there is more to come.
    pub fn next(
        &mut self,
        now: Time,
        keep: &dyn Fn(&ConnInfo) -> bool,
        out: &mut Vec<ConnInfo>,
    ) -> bool {
        let mut show = |c| {
            if keep(&c) {
                out.push(c);
            }
        };
        let director = self.director;
        let more = match self.walk.place {
            Place::Record(shard, from) => match director.listed(shard) {
                Some(shard) => self.walk.lock(shard).list(from, STEP, now, &mut show),
                None => false,
            },
            Place::Template(part) => director.templates.list(part, now, &mut show),
        };
        self.walk.advance(director, more)
    }
}

/// A walk by parts.
#[derive(Clone, Copy, Debug)]
struct Walk {
    place: Place,
    /// Before so many parts it is to sleep.
    wary: u8,
}

/// Where a walk stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the record of this number in this shard.
    Record(usize, usize),
    /// Before this part of the templates.
    Template(usize),
}

impl Walk {
    const START: Self = Self {
        place: Place::Record(0, 0),
        wary: 0,
    };

    /// Goes on to the next part; `more` says whether this shard has any, or whether there are more templates. Returns
    /// whether there is a next part.
    fn advance(&mut self, director: &Director, more: bool) -> bool {
        let (next, is_there) = match self.place {
            Place::Record(shard, from) if more => (Place::Record(shard, from + STEP), true),
            Place::Record(shard, _) if director.listed(shard + 1).is_some() => {
                (Place::Record(shard + 1, 0), true)
            }
            Place::Record(..) => (Place::Template(0), true),
            Place::Template(part) => (Place::Template(part + 1), more),
        };
        self.place = next;
        is_there
    }

    /// Waits for a lock, out of the way of workers and without making one of them wake this thread.
    fn lock<'a, T>(&mut self, m: &'a Mutex<T>) -> MutexGuard<'a, T> {
        if self.wary > 0 {
            self.wary -= 1;
            thread::sleep(PAUSE);
        }
        for _ in 0..TRIES {
            match m.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(e)) => return e.into_inner(),
                Err(TryLockError::WouldBlock) if self.wary == 0 => {
                    self.wary = WARY;
                    thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => thread::yield_now(),
            }
        }
        lock(m)
    }
}

impl Director {
    /// Begins a walk through all connections, those announced by helpers included, and persistence templates.
    pub fn listing(&self) -> Listing<'_> {
        Listing {
            director: self,
            walk: Walk::START,
        }
    }

    /// Shows every connection and every persistence template, in no particular order, as [`Self::listing`] does.
    pub fn connections(&self, now: Time, visit: impl FnMut(ConnInfo)) {
        let mut visit = visit;
        let (mut listing, mut part) = (self.listing(), Vec::new());
        loop {
            let more = listing.next(now, &|_| true, &mut part);
            part.drain(..).for_each(&mut visit);
            if !more {
                break;
            }
        }
    }

    /// Forgets the connections and templates that `which` singles out, as if they had expired: counts, ports and the like are
    /// given back. Returns how many they were. A client whose UDP connection or template is gone is scheduled anew; the
    /// packets of a TCP connection that is gone are refused until the client opens another. Those that follow a template stay
    /// when it goes. Goes by parts, like [`Self::listing`]; `which` runs under a lock.
    pub fn evict(&self, now: Time, which: &dyn Fn(&ConnInfo) -> bool) -> usize {
        let (mut walk, mut count) = (Walk::START, 0);
        loop {
            let more = match walk.place {
                Place::Record(shard, from) => match self.listed(shard) {
                    Some(shard) => {
                        let mut shard = walk.lock(shard);
                        shard.evict(from, STEP, now, which, &mut count)
                    }
                    None => false,
                },
                Place::Template(part) => self.templates.evict(part, now, which, &mut count),
            };
            if !walk.advance(self, more) {
                return count;
            }
        }
    }

    /// The shards in the order of a walk, that of announced connections last.
    fn listed(&self, number: usize) -> Option<&Mutex<Shard>> {
        match number == self.shards.len() {
            true => Some(self.expected.shard()),
            false => self.shards.get(number),
        }
    }
}
