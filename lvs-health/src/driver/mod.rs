//! Runs checks against real servers: all of them on one thread, on [mio].
//!
//! A [`Driver`] holds checks with their [`Checker`]s. Its owner calls [`turn`](Driver::turn) in a loop: each turn starts what is
//! due, waits for something to happen, and tells of the runs that have ended. Nothing in it waits for a peer, and no peer can
//! make another wait: a turn begins a bounded number of runs and reads at most a buffer full from each socket.
//!
//! # Scale
//!
//! Sockets are watched by epoll, so descriptor numbers do not matter. Each probe has one, and the driver raises the limit of open
//! descriptors as far as it may. Beyond it, checks wait for their turn, the longest overdue first, and the driver says so once
//! ([`Driver::notice`]). First runs are spread at random over their `warmup`, and each check keeps its own rhythm from then on; how
//! far runs lag behind it is measured ([`Driver::lateness`]).
//!
//! # What the servers see
//!
//! A check that only connects ends its connection by a reset before the handshake is complete: the server's program
//! never learns of it, and neither side keeps ports in TIME_WAIT. A check that talks ends with whatever end the server
//! makes, or else with a reset after the last byte it needed.

mod echo;
mod file;
mod flight;
mod notice;
mod options;
mod runs;
mod script;
mod socket;
mod sys;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use mio::Waker;
use mio::{Events, Poll, Token};

use self::flight::{Flight, Ready};
pub use self::notice::Notice;
pub use self::options::{Network, Options};
use self::runs::key_of;
use self::script::Running;
use crate::agenda::{Agenda, Key, Lateness, spread};
use crate::check::{Check, Kind};
use crate::checker::{Checker, Report};
use crate::probe::{Failure, Plan, Plans};

/// The most that is read at one go, from all sources.
const BUFFER: usize = 64 * 1024;

const WAKE: Token = Token(usize::MAX);

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a socket's token is a check's number and a run's, which takes 64 bits");

/// A check in a [`Driver`]. Never given twice by the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckId {
    key: Key,
    generation: u32,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// Of this check.
    pub id: CheckId,
    /// What is checked.
    pub check: &'a Check,
    /// What is known of it, this run included: its verdict is the last of the history.
    pub checker: &'a Checker,
    /// What the run has led to.
    pub report: Report,
}

/// Runs checks. See the [module](self).
#[derive(Debug)]
pub struct Driver {
    poll: Poll,
    events: Option<Events>,
    waker: Arc<Waker>,
    options: Options,
    random: u64,
    plans: Plans,
    slots: Vec<Slot>,
    free: Vec<Key>,
    /// Checks over sockets, and of files.
    probes: Agenda,
    scripts: Agenda,
    /// Scripts whose time is over.
    dying: Vec<Dying>,
    /// What has more to read than one turn takes.
    unfinished: Vec<Token>,
    buffer: Vec<u8>,
    /// The last run's number.
    serial: u32,
    /// As many probes may be under way as there should be descriptors.
    room: usize,
    notices: notice::Notices,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

#[derive(Debug)]
struct Entry {
    check: Arc<Check>,
    checker: Checker,
    /// `None` for scripts and files.
    plan: Option<Result<Plan, Failure>>,
    run: Option<(Token, Run)>,
    /// The run is among those that have more to read.
    unfinished: bool,
    suspended: bool,
}

#[derive(Debug)]
enum Run {
    Flight(Box<Flight>),
    Script(Box<Running>),
}

/// A script that was asked to end.
#[derive(Debug)]
struct Dying {
    token: Token,
    script: Box<Running>,
    kill_at: Duration,
    killed: bool,
}

impl Driver {
    /// One without checks. `seed` is any number; the same numbers make the same random choices.
    ///
    /// # Errors
    ///
    /// If epoll is not to be had.
    pub fn new(options: Options, seed: u64) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let scripts = Agenda::new(options.max_scripts.max(1));
        Ok(Self {
            poll,
            events: Some(Events::with_capacity(1024)),
            waker: Arc::new(waker),
            options,
            random: seed,
            plans: Plans::default(),
            slots: Vec::new(),
            free: Vec::new(),
            probes: Agenda::new(1),
            scripts,
            dying: Vec::new(),
            unfinished: Vec::new(),
            buffer: vec![0; BUFFER],
            serial: 0,
            room: 0,
            notices: notice::Notices::default(),
        })
    }

    /// Adds a check. It first runs at random within its `warmup`.
    pub fn insert(&mut self, check: Check) -> CheckId {
        let checker = Checker::new(&check);
        self.insert_with(check, checker)
    }

    /// Adds a check of which something is known. Its next run is when it was due already, or else as for a new one.
    pub fn insert_with(&mut self, check: Check, checker: Checker) -> CheckId {
        let key = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as Key - 1
        });
        self.make_room();
        let first = self.first_run(&check, &checker);
        let entry = Entry {
            plan: self.plan(&check),
            check: Arc::new(check),
            checker,
            run: None,
            unfinished: false,
            suspended: false,
        };
        self.agenda(&entry.check.kind).plan(key, first);
        let slot = &mut self.slots[key as usize];
        slot.entry = Some(entry);
        CheckId {
            key,
            generation: slot.generation,
        }
    }

    /// Takes a check away. A run under way is given up, without a verdict.
    pub fn remove(&mut self, id: CheckId) -> Option<Checker> {
        self.entry_mut(id)?;
        self.abandon(id.key);
        let slot = self.slots.get_mut(id.key as usize)?;
        slot.generation = slot.generation.wrapping_add(1);
        let entry = slot.entry.take()?;
        self.agenda(&entry.check.kind).remove(id.key);
        self.free.push(id.key);
        Some(entry.checker)
    }

    /// From now on another check under the same name; what is known is [carried over](Checker::carried). An equal one changes
    /// nothing, otherwise a run under way is given up. `false`: there is no such check.
    pub fn replace(&mut self, id: CheckId, check: Check) -> bool {
        let Some(entry) = self.entry_mut(id) else {
            return false;
        };
        if *entry.check == check {
            return true;
        }
        let old = Arc::clone(&entry.check);
        let checker = entry.checker.carried(&old, &check);
        self.abandon(id.key);
        self.agenda(&old.kind).remove(id.key);
        let plan = self.plan(&check);
        let first = self.first_run(&check, &checker);
        self.agenda(&check.kind).plan(id.key, first);
        if let Some(entry) = self.entry_mut(id) {
            entry.check = Arc::new(check);
            entry.checker = checker;
            entry.plan = plan;
        }
        true
    }

    /// Suspends a check, or goes on with it. While it is suspended it does not run, keeps its rhythm and its last state; a run
    /// under way is given up. `false`: there is no such check.
    pub fn suspend(&mut self, id: CheckId, suspended: bool) -> bool {
        let Some(entry) = self.entry_mut(id) else {
            return false;
        };
        entry.suspended = suspended;
        if suspended && entry.run.is_some() {
            self.abandon(id.key);
            let now = self.now();
            self.skip(id.key, now);
        }
        true
    }

    /// What is known of a check.
    pub fn checker(&self, id: CheckId) -> Option<&Checker> {
        self.entry(id).map(|e| &e.checker)
    }

    /// A check.
    pub fn check(&self, id: CheckId) -> Option<&Check> {
        self.entry(id).map(|e| &*e.check)
    }

    /// How many checks there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many probes are under way.
    pub fn running(&self) -> usize {
        self.probes.running()
    }

    /// How many scripts run, those included that were asked to end.
    pub fn scripts_running(&self) -> usize {
        self.scripts.running() + self.dying.len()
    }

    /// How late runs over sockets, and looks at files, began.
    pub fn lateness(&self) -> &Lateness {
        self.probes.lateness()
    }

    /// The same since this was last asked.
    pub fn take_lateness(&mut self) -> Lateness {
        self.probes.take_lateness()
    }

    /// How late scripts began.
    pub fn script_lateness(&self) -> &Lateness {
        self.scripts.lateness()
    }

    /// What people should know about the driver itself, each thing once.
    pub fn notice(&mut self) -> Option<Notice> {
        self.notices.take()
    }

    /// Ends a turn from another thread.
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// The time, on the clock of everything that is reported: since the options' `epoch`.
    pub fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.options.epoch)
    }

    /// Starts what is due, waits till something happens, but no longer than `timeout`, and says which runs have ended.
    ///
    /// It may return early, and with nothing to say: it is meant to be called again at once.
    ///
    /// # Errors
    ///
    /// If epoll fails, which is not for a peer to bring about.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        mut on_end: impl FnMut(Ended<'_>),
    ) -> io::Result<()> {
        let on_end: &mut dyn FnMut(Ended<'_>) = &mut on_end;
        self.begin_due(on_end);
        let wait = self.wait(timeout);
        let Some(mut events) = self.events.take() else {
            return Ok(());
        };
        let polled = self.poll.poll(&mut events, wait);
        for token in std::mem::take(&mut self.unfinished) {
            if let Some(entry) = entry_of(&mut self.slots, key_of(token)) {
                entry.unfinished = false;
            }
            self.ready(token, Ready::more(), on_end);
        }
        if polled.is_ok() {
            for event in events.iter().filter(|e| e.token() != WAKE) {
                self.ready(event.token(), Ready::of(event), on_end);
            }
        }
        self.events = Some(events);
        self.end_overdue(on_end);
        match polled {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
            _ => Ok(()),
        }
    }

    fn first_run(&mut self, check: &Check, checker: &Checker) -> Duration {
        let now = self.now();
        let random = self.random();
        match (&check.kind, checker.due()) {
            (Kind::File(_), _) => now,
            (_, Some(due)) if due >= now => due,
            _ => spread(now, check.timing.warmup, random),
        }
    }

    fn plan(&mut self, check: &Check) -> Option<Result<Plan, Failure>> {
        match check.kind {
            Kind::Script(_) | Kind::File(_) => None,
            _ => Some(self.plans.plan(&check.kind, &check.target)),
        }
    }

    /// Sees that there are descriptors for one more check.
    fn make_room(&mut self) {
        let wanted = self.len() + 1;
        if wanted <= self.room {
            return;
        }
        self.room = self.options.room(wanted);
        self.probes.set_limit(self.room);
    }

    fn agenda(&mut self, kind: &Kind) -> &mut Agenda {
        match kind {
            Kind::Script(_) => &mut self.scripts,
            _ => &mut self.probes,
        }
    }

    /// SplitMix64: unpredictable enough to spread runs and to tell answers apart.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn entry(&self, id: CheckId) -> Option<&Entry> {
        let slot = self.slots.get(id.key as usize)?;
        let entry = slot.entry.as_ref();
        entry.filter(|_| slot.generation == id.generation)
    }

    fn entry_mut(&mut self, id: CheckId) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(id.key as usize)?;
        let entry = slot.entry.as_mut();
        entry.filter(|_| slot.generation == id.generation)
    }
}

fn entry_of(slots: &mut [Slot], key: Key) -> Option<&mut Entry> {
    slots.get_mut(key as usize)?.entry.as_mut()
}
