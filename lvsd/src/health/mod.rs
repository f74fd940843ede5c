//! The health of what a keepalived.conf configures: checks, and what follows from them.
//!
//! One thread runs all checks ([`lvs_health::driver`]). What they find goes to each service's pool ([`lvs_health::pool`]), which
//! knows who is to serve; the director is made so, and people and scripts are told. A new configuration is taken whole or not at
//! all, and what stays in it keeps its state.
//!
//! | module | holds |
//! |---|---|
//! | `working` | one service: configuration, pool, checks; and one that takes its place |
//! | `list` | what the director should have |
//! | `worker` | the thread |
//! | `keeper`, `difference` | the configuration in force, and what another one changes |
//! | `forecast` | what a configuration would make, as seen from outside |
//! | `flows` | flows of servers that have failed |
//! | `via` | the network of checks that go to a virtual address on its servers |
//! | `tell`, `label` | what is said about events |
//! | `snapshot`, `report`, `status` | how everything is: as facts, from these to words, and the words |

mod difference;
mod flows;
mod forecast;
mod keeper;
pub(crate) mod label;
mod list;
mod report;
pub(crate) mod snapshot;
pub mod status;
mod tell;
#[cfg(test)]
mod tests;
mod via;
mod worker;
mod working;

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{error, fmt};

use lvs_health::driver::{Driver, Options};
use mio::Waker;

use crate::alerts::Alert;
use crate::control::desk::Plane;
use crate::keepalived::model::{Config, Global};
use crate::pulse::Pulse;
pub use difference::{Change, Kind};
use flows::Mover;
pub(crate) use forecast::forecast;
pub use keeper::{Keeper, Reload, Source};
use snapshot::Snapshot;
use status::Status;
pub(crate) use tell::Said;
use via::Vips;
use worker::{Ask, Worker};

/// Who tells people and scripts. Must not make anybody wait.
pub trait Herald: Send + fmt::Debug {
    /// Tells of something that has happened.
    fn tell(&mut self, alert: Alert);

    /// From now on these settings hold.
    fn configure(&mut self, global: &Global);

    /// Tells what is left to tell, and returns when that is done, or has taken too long.
    fn stop(&mut self);
}

/// The thread that runs all checks. It ends when this is dropped.
#[derive(Debug)]
pub struct Health {
    asks: Mutex<Sender<Ask>>,
    waker: Arc<Waker>,
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

/// How long somebody who wants to know how everything is waits for the thread, which may be at a reload.
const PATIENCE: Duration = Duration::from_secs(5);

/// A thread does not answer: the one that does this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "there is no more to say")]
pub struct Silent(pub &'static str);

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the thread that {} does not answer", self.0)
    }
}

impl error::Error for Silent {}

/// Why checks do not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The director does not take the configuration.
    Refused(String),
    /// The system does not allow it.
    System(io::Error),
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::System(e)
    }
}

impl Health {
    /// Makes the services of a configuration and begins to check their servers.
    ///
    /// # Errors
    ///
    /// The configuration cannot be carried out, or the system has no threads or descriptors left.
    pub fn start(
        plane: Arc<dyn Plane>,
        config: Config,
        herald: Box<dyn Herald>,
        seed: u64,
        log: fn(&str),
    ) -> Result<Self, Error> {
        let vips = Arc::new(Vips::new(plane.clone(), log));
        let mut options = Options::default();
        options.network = Some(vips.clone());
        // Each of these checks keeps a descriptor for its source port.
        let checks = config.services.iter().flat_map(|s| &s.servers);
        let checks = checks.flat_map(|server| &server.checks);
        options.reserve += checks.filter(|c| c.check.target.via.is_some()).count();
        let driver = Driver::new(options, seed)?;
        let waker = driver.waker();
        let mover = Mover::start(plane.clone(), log)?;
        let (asks, queue) = mpsc::channel();
        let mut worker = Worker::new(plane, driver, vips, herald, mover, queue, log);
        let taken = worker.take(config, false);
        taken.map_err(|e| Error::Refused(worker::refusal(&e)))?;
        let thread = thread::Builder::new().name("lvsd-health".to_owned());
        Ok(Self {
            asks: Mutex::new(asks),
            waker,
            pulse: worker.pulse(),
            thread: Some(thread.spawn(|| worker.run())?),
        })
    }

    /// Takes another configuration, whole or not at all; or only says whether it would be taken. Returns how many services that
    /// should have been there were not, since somebody had removed them by hand: they are there again.
    ///
    /// # Errors
    ///
    /// Why it is not taken; then nothing has changed.
    pub fn reload(&self, config: Config, rehearse: bool) -> Result<usize, String> {
        let (reply, answer) = mpsc::channel();
        let config = Box::new(config);
        self.ask(Ask::Reload {
            config,
            rehearse,
            reply,
        });
        let gone = |_| Err("the thread that runs checks has ended".to_owned());
        answer.recv().unwrap_or_else(gone)
    }

    /// How everything is. What configuration is in force is for the caller to fill in.
    ///
    /// # Errors
    ///
    /// The thread does not answer.
    pub fn status(&self) -> Result<Status, Silent> {
        Ok(report::status(&self.snapshot()?))
    }

    /// The same as facts.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Silent> {
        let (reply, answer) = mpsc::channel();
        self.ask(Ask::Snapshot(reply));
        let silent = |_| Silent("runs checks");
        answer.recv_timeout(PATIENCE).map_err(silent)
    }

    /// How long the thread has not come round.
    pub(crate) fn silence(&self) -> Duration {
        self.pulse.silence()
    }

    fn ask(&self, ask: Ask) {
        let asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        // If nobody listens any more, nobody answers.
        let _ = asks.send(ask);
        let _ = self.waker.wake();
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.ask(Ask::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
