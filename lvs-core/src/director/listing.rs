//! Looking at connections, and forgetting some, while packets go on.
//!
//! Problem: a walk through millions of records takes longer than a packet may wait.
//!
//! Rule: the walk goes by parts. For each it holds one lock for a microsecond or two and copies out what is asked for; whatever
//! is done with it (formatted, sent) is done afterwards, without a lock. Where a worker has a part in use, the walk sleeps
//! a moment, so that a busy worker seldom meets it, and then waits without queueing: to wake a thread costs a worker more
//! than the walk does.

use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread;
use std::time::Duration;

use super::{Director, lock};
use crate::conn::{ConnInfo, Shard};
use crate::time::Time;

/// Numbers of records looked at under one lock.
const STEP: usize = 64;
/// How long the walk sleeps when it meets a worker. The system makes it some 80 us.
const PAUSE: Duration = Duration::from_micros(20);
/// How often a lock is tried before the walk queues for it like anybody else.
const TRIES: usize = 1000;

/// A walk through all connections and templates, made by [`Director::listing`]. What comes or goes meanwhile may be missed;
/// nothing that stays is, nor shown twice.
#[derive(Debug)]
pub struct Listing<'a> {
    director: &'a Director,
    place: Place,
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
        let more = match self.place {
            Place::Record(shard, from) => match director.listed(shard) {
                Some(shard) => polite(shard).list(from, STEP, now, &mut show),
                None => false,
            },
            Place::Template(part) => director.templates.list(part, now, &mut show),
        };
        self.place.advance(director, more)
    }
}

/// Where a walk stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Before the record of this number in this shard.
    Record(usize, usize),
    /// Before this part of the templates.
    Template(usize),
}

impl Place {
    const START: Self = Self::Record(0, 0);

    /// Goes on to the next part; `more` says whether this shard has any, or whether there are more templates. Returns
    /// whether there is a next part.
    fn advance(&mut self, director: &Director, more: bool) -> bool {
        *self = match *self {
            Self::Record(shard, from) if more => Self::Record(shard, from + STEP),
            Self::Record(shard, _) if director.listed(shard + 1).is_some() => {
                Self::Record(shard + 1, 0)
            }
            Self::Record(..) => Self::Template(0),
            Self::Template(part) => {
                *self = Self::Template(part + 1);
                return more;
            }
        };
        true
    }
}

impl Director {
    /// Begins a walk through all connections, those announced by helpers included, and persistence templates.
    pub fn listing(&self) -> Listing<'_> {
        Listing {
            director: self,
            place: Place::START,
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
        let (mut place, mut count) = (Place::START, 0);
        loop {
            let more = match place {
                Place::Record(shard, from) => match self.listed(shard) {
                    Some(shard) => polite(shard).evict(from, STEP, now, which, &mut count),
                    None => false,
                },
                Place::Template(part) => self.templates.evict(part, now, which, &mut count),
            };
            if !place.advance(self, more) {
                self.expected.recount();
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

/// Waits for a lock without making others wake this thread.
fn polite<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    for attempt in 0..TRIES {
        match m.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(e)) => return e.into_inner(),
            Err(TryLockError::WouldBlock) if attempt == 0 => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
    lock(m)
}
