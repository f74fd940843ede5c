//! The thread that watches what virtual routers track: scripts, files, processes.
//!
//! Problem: a script may hang, a folder may be on a file system that does not answer, a host may start thousands of processes a
//! second; and the thread that sends advertisements must not wait for any of it.
//!
//! Rule: all that is watched beside links is watched here, by one thread that does nothing else, and it tells what has changed.
//! It waits for no script: what hangs delays nobody but itself.
//!
//! | module | holds |
//! |---|---|
//! | `plan` | what of a configuration is to be watched |
//! | `worker` | the thread |
//! | `script`, `run` | scripts; one run of one |
//! | `file` | files with numbers |
//! | `process`, `census`, `connector` | processes; those that there are; the kernel's news of them |
//! | `board` | how everything is, for people, and who is told of changes |
//! | `sys` | system calls |

mod board;
mod census;
mod connector;
mod file;
mod plan;
mod process;
mod run;
mod script;
mod sys;
#[cfg(test)]
mod tests;
mod worker;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use lvs_vrrp::config::Object;
use lvs_vrrp::status::ObjectState;
use mio::{Poll, Waker};

pub(crate) use board::Watched;
#[cfg(test)]
pub(crate) use board::{Detail, LastRun};

use crate::keepalived::model::{Global, Vrrp};
use board::Board;
use plan::Plan;
use worker::Worker;

/// Who is told how an object is: when that is first known, and at each change.
pub(crate) type Report = Box<dyn Fn(Object, ObjectState) + Send>;

/// How everything is that is watched.
pub(crate) type Status = Vec<Watched>;

/// Watches scripts, files and processes in a thread of its own, which ends, with all scripts that run, when this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    orders: Sender<Plan>,
    waker: Arc<Waker>,
    board: Arc<Board>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch what instances and groups track. `report` is called by the thread, and so is `log`.
    ///
    /// # Errors
    ///
    /// The system has no threads or descriptors left.
    pub(crate) fn start(
        vrrp: &Vrrp,
        global: &Global,
        report: Report,
        log: fn(&str),
    ) -> io::Result<Self> {
        let (orders, inbox) = channel();
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), worker::WAKER)?);
        let board = Arc::new(Board::new(report, log));
        let plan = Plan::of(vrrp, global);
        let worker = Worker::new(poll, inbox, board.clone());
        let thread = thread::Builder::new()
            .name("lvsd-vrrp-watch".to_owned())
            .spawn(move || worker.run(plan))?;
        Ok(Self {
            orders,
            waker,
            board,
            thread: Some(thread),
        })
    }

    /// From now on this is watched. What stays keeps its state and is not reported again, what is gone ends, what is new begins.
    pub(crate) fn reload(&self, vrrp: &Vrrp, global: &Global) {
        // The thread ends before us only if it has panicked.
        let _ = self.orders.send(Plan::of(vrrp, global));
        let _ = self.waker.wake();
    }

    /// How everything is.
    pub(crate) fn status(&self) -> Status {
        self.board.list()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A sender that is gone is the sign to end.
        let (nobody, _) = channel();
        drop(std::mem::replace(&mut self.orders, nobody));
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
