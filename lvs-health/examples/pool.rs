//! A pool of addresses kept healthy: any program that talks to one of several servers can choose among those that answer.
//!
//! It shows the library alone: a [`Driver`] on a thread of its own runs a check of each address, a [`Pool`] makes of the
//! results who should be used, and the program asks [`Addresses::choose`].
//!
//! ```text
//! cargo run -p lvs-health --example pool -- 192.0.2.1:80 192.0.2.2:80 192.0.2.3:80
//! ```

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lvs_health::driver::{Options, Waker};
use lvs_health::pool::{Event, Server, Settings};
use lvs_health::{Check, CheckId, Driver, Kind, Pool, Target, Timing};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let servers: Vec<SocketAddr> = std::env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<_, _>>()?;
    let addresses = Addresses::keep(&servers, Kind::Tcp, Timing::default(), |event| {
        println!("{event:?}");
    })?;
    loop {
        thread::sleep(Duration::from_secs(5));
        match addresses.choose() {
            Some(addr) => println!("the next connection would go to {addr}"),
            None => println!("nobody answers"),
        }
    }
}

/// Addresses, of which those that do not pass their checks are left out.
pub(crate) struct Addresses {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<io::Result<()>>>,
    waker: Arc<Waker>,
    turn: AtomicUsize,
}

/// What the thread that checks and those that choose share.
#[derive(Default)]
struct Shared {
    healthy: Mutex<Vec<SocketAddr>>,
    ends: AtomicBool,
}

impl Addresses {
    /// Checks all of them from now on. At first all count as healthy. What happens is told to `tell`.
    pub(crate) fn keep(
        servers: &[SocketAddr],
        kind: Kind,
        timing: Timing,
        tell: impl Fn(&Event<SocketAddr>) + Send + 'static,
    ) -> io::Result<Self> {
        // Where the checks' rhythms begin need not be a secret, only different from program to program.
        let seed = u64::from(std::process::id());
        let mut driver = Driver::new(Options::default(), seed)?;
        let waker = driver.waker();
        let mut checks = HashMap::new();
        let mut members = Vec::new();
        for &addr in servers {
            let id = driver.insert(Check {
                kind: kind.clone(),
                target: Target::new(addr),
                timing,
                alpha: false,
            });
            let standing = driver.checker(id).map(|c| c.standing());
            checks.insert(id, addr);
            members.push((addr, Server::new(1, standing.into_iter().collect())));
        }
        let (pool, events) = Pool::new(Settings::default(), members);
        events.iter().for_each(&tell);
        let shared = Arc::new(Shared::default());
        shared.publish(&pool);
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.check(driver, pool, &checks, tell)
        });
        Ok(Self {
            shared,
            thread: Some(thread),
            waker,
            turn: AtomicUsize::new(0),
        })
    }

    /// One of the healthy ones, each in its turn; `None`: there is none.
    pub(crate) fn choose(&self) -> Option<SocketAddr> {
        let healthy = self.shared.healthy.lock();
        let healthy = healthy.unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Relaxed);
        healthy.get(turn % healthy.len().max(1)).copied()
    }
}

impl Drop for Addresses {
    fn drop(&mut self) {
        self.shared.ends.store(true, Relaxed);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The thread's loop: runs checks, and has the pool judge what they find.
    fn check(
        &self,
        mut driver: Driver,
        mut pool: Pool<SocketAddr>,
        checks: &HashMap<CheckId, SocketAddr>,
        tell: impl Fn(&Event<SocketAddr>),
    ) -> io::Result<()> {
        while !self.ends.load(Relaxed) {
            let mut events = Vec::new();
            driver.turn(None, |ended| {
                let addr = checks.get(&ended.id);
                let run = ended.checker.history().last();
                if let (Some(addr), Some(run), Some(standing)) = (addr, run, ended.report.standing)
                {
                    events.extend(pool.found(addr, 0, standing, &run.verdict));
                }
            })?;
            if !events.is_empty() {
                self.publish(&pool);
                events.iter().for_each(&tell);
            }
        }
        Ok(())
    }

    fn publish(&self, pool: &Pool<SocketAddr>) {
        let wanted = pool.wanted().filter(|w| w.weight > 0);
        let healthy = wanted.map(|w| *w.server).collect();
        *self.healthy.lock().unwrap_or_else(PoisonError::into_inner) = healthy;
    }
}
