//! The director: from a burst of segments to verdicts.
//!
//! # How to use it
//! - **Control**: [`Director::new`], then [`Director::edit`] for every change; [`Director::config`] and
//!   [`Director::listing`] to look; [`Director::evict`] to forget.
//! - **Packets**: one [`Worker`] for each thread, from [`Director::worker`]; call [`Worker::decide`] with a
//!   burst, carry the verdicts out, and now and then call [`Worker::expire`].
//!
//! Any worker may be given any packet and is right; it is quickest with those of its own shards.

mod assist;
mod burst;
mod defence;
mod explain;
mod listing;
mod packet;
mod schedule;
mod tunnels;
mod unasked;
mod upkeep;

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::RandomState;
use arc_swap::{ArcSwap, Cache};

use crate::config::{Config, ConfigError, Draft, Globals, Trash};
use crate::conn::{Shard, Templates};
use crate::segment::{Protocol, Segment};
use crate::state::Timeouts;
use crate::stats::Stats;
use crate::sysctl::Sysctls;
use crate::time::Time;
use crate::verdict::Verdict;

use assist::Announced;
pub use assist::{Assist, Expected};
use defence::{Defence, RateTest};
pub use explain::{Chooser, Explanation, Helped, Known, Lack, Matched, Opening, Outcome, Standing};
pub use listing::Listing;

/// What a director is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many workers there will be, at least 1 and at most 16.
    pub workers: usize,
    /// The most connections at a time; the limit is shared out evenly among the shards.
    pub max_connections: usize,
    /// How long connections are kept without traffic, to begin with ([`Draft::set_timeouts`]).
    pub timeouts: Timeouts,
    /// IPVS's settings, to begin with ([`Draft::set_sysctls`]).
    pub sysctls: Sysctls,
    /// The protocols and service ports whose NAT connections need a helper that reads and changes payload (FTP's is TCP
    /// port 21). [`Forward::helper`](crate::Forward) counts in this list.
    pub helpers: Vec<(Protocol, u16)>,
    /// Keys the hashes; from the system's randomness in production, so that nobody can aim at a bucket.
    pub seed: [u64; 4],
}

impl Default for Settings {
    /// One worker, ten million connections, IPVS's timeouts, and a seed of zero, which only tests may keep.
    fn default() -> Self {
        Self {
            workers: 1,
            max_connections: 10_000_000,
            timeouts: Timeouts::default(),
            sysctls: Sysctls::default(),
            helpers: Vec::new(),
            seed: [0; 4],
        }
    }
}

/// Shards for each worker: more than one only so that whoever lists connections holds up a part.
const SHARDS_PER_WORKER: usize = 4;
const MAX_WORKERS: usize = 16;

/// Services and connections; shared by control plane and workers.
#[derive(Debug)]
pub struct Director {
    config: Arc<ArcSwap<Config>>,
    shards: Box<[Mutex<Shard>]>,
    templates: Templates,
    expected: Announced,
    stats: Stats,
    defence: Defence,
    rates: Mutex<RateTest>,
    ticks: AtomicU64,
    helpers: Vec<(Protocol, u16)>,
    seed: RandomState,
    trash: Mutex<Trash>,
    workers: usize,
    workers_given: AtomicUsize,
}

impl Director {
    /// A director without services.
    pub fn new(settings: &Settings) -> Arc<Self> {
        let [a, b, c, d] = settings.seed;
        let seed = RandomState::with_seeds(a, b, c, d);
        let globals = Globals {
            timeouts: settings.timeouts,
            sysctls: settings.sysctls.clone(),
            standby: Arc::default(),
        };
        let workers = settings.workers.clamp(1, MAX_WORKERS);
        let count = (workers * SHARDS_PER_WORKER).next_power_of_two();
        let limit = settings.max_connections.div_ceil(count);
        let shard = |n| Mutex::new(Shard::new(n, count as u32, limit, &seed));
        let director = Self {
            config: Arc::new(ArcSwap::from_pointee(Config::empty(globals, &seed))),
            shards: (0..count as u32).map(shard).collect(),
            templates: Templates::new(&seed),
            expected: Announced::new(&seed),
            stats: Stats::new(workers),
            defence: Defence::default(),
            rates: Mutex::default(),
            ticks: AtomicU64::new(0),
            helpers: settings.helpers.clone(),
            seed,
            trash: Mutex::default(),
            workers,
            workers_given: AtomicUsize::new(0),
        };
        director.defence.judge(&settings.sysctls, None);
        Arc::new(director)
    }

    /// The current snapshot.
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Changes the configuration: what `change` does to the draft is published whole if it returns `Ok`, and
    /// not at all otherwise. Changes wait for each other.
    pub fn edit<R, E: From<ConfigError>>(
        &self,
        change: impl FnOnce(&mut Draft<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut trash = lock(&self.trash);
        let current = self.config.load();
        let mut draft = Draft::new(&current, &mut trash, self.workers);
        let result = change(&mut draft)?;
        let removes = draft.removes();
        let next = draft.finish(&self.seed)?;
        self.defence.judge(next.sysctls(), None);
        let expires = |config: &Config| config.sysctls().expire_nodest_conn;
        let sweep = expires(&next) && (removes || !expires(&current));
        self.config.store(Arc::new(next));
        drop(trash);
        if sweep {
            self.drop_connections_without_destination();
        }
        Ok(result)
    }

    /// Says whether [`Self::edit`] would publish what `change` does, and changes nothing.
    ///
    /// # Errors
    ///
    /// What that would return.
    pub fn rehearse<E: From<ConfigError>>(
        &self,
        change: impl FnOnce(&mut Draft<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut trash = lock(&self.trash);
        let current = self.config.load();
        let mut draft = Draft::new(&current, &mut trash, self.workers);
        change(&mut draft)?;
        Ok(draft.check(&self.seed)?)
    }

    /// The next worker; `None` once all that were announced have been given out.
    pub fn worker(self: &Arc<Self>) -> Option<Worker> {
        let number = self.workers_given.fetch_add(1, Relaxed);
        (number < self.workers).then(|| Worker {
            director: self.clone(),
            config: Cache::new(self.config.clone()),
            number,
            random: Cell::new(self.seed.hash_one(number)),
        })
    }

    /// How many shards there are (see [`crate::steer`]): a power of two.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// How many connections there are, those announced by helpers included.
    pub fn connection_count(&self) -> usize {
        let shards = self.shards.iter().chain([self.expected.shard()]);
        shards.map(|s| lock(s).len()).sum()
    }

    /// How many persistence templates there are.
    pub fn template_count(&self) -> usize {
        self.templates.len()
    }

    /// Packets, bytes and connections of all services together.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}

/// A panic elsewhere must not stop the traffic: a shard is consistent between any two calls on it.
fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thread's handle on the director.
#[derive(Debug)]
pub struct Worker {
    director: Arc<Director>,
    config: Cache<Arc<ArcSwap<Config>>, Arc<Config>>,
    number: usize,
    random: Cell<u64>,
}

impl Worker {
    /// Which worker it is, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The director it works for.
    pub fn director(&self) -> &Arc<Director> {
        &self.director
    }

    /// The current snapshot.
    pub fn config(&mut self) -> &Arc<Config> {
        self.config.load()
    }

    /// Decides about a burst: `verdicts` gets one verdict for each segment, in order. Opens, moves and closes
    /// connections, and counts.
    pub fn decide(&mut self, now: Time, segments: &[Segment], verdicts: &mut Vec<Verdict>) {
        verdicts.clear();
        let cx = burst::Context {
            director: &self.director,
            config: self.config.load(),
            stripe: self.number,
            now,
            secure: self.director.defence.is_secure(),
            random: &self.random,
        };
        for chunk in segments.chunks(burst::MAX) {
            burst::decide(&cx, chunk, verdicts);
        }
    }

    /// Removes expired connections of this worker's shards, looking at no more than `budget` of them.
    /// Returns whether that was all.
    pub fn expire(&self, now: Time, mut budget: usize) -> bool {
        let own = self
            .director
            .shards
            .iter()
            .skip(self.number)
            .step_by(self.director.workers);
        own.into_iter()
            .all(|shard| lock(shard).expire(now, &mut budget))
    }
}

#[cfg(test)]
pub(crate) mod tests;
