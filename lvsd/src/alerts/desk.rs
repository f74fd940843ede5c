//! What waits to be told by the thread that runs scripts and writes to pipes.
//!
//! Whoever has something to tell only leaves it here, and is never kept waiting. All of it is limited.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mio::{Poll, Token, Waker};

use super::queue::{Limits, Queue};
use super::{Line, Script};
use crate::keepalived::model::Global;

/// Scripts that run at once and that wait.
const LIMITS: Limits = Limits {
    running: 16,
    about_one: 16,
    waiting: 16384,
};

/// Lines that wait for being written, which takes no time unless the thread is kept up by something.
const LINES: usize = 16384;

/// The token of what wakes the thread.
pub(super) const WAKE: Token = Token(0);

/// Shared by those who tell and the thread.
#[derive(Debug)]
pub(super) struct Desk {
    waiting: Mutex<Waiting>,
    waker: Waker,
}

/// What waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) scripts: Queue<Script>,
    pub(super) lines: VecDeque<Line>,
    /// Settings that hold from now on.
    pub(super) settings: Option<Box<Global>>,
    /// The thread is to end, once it has told everything.
    pub(super) stopping: bool,
    /// Scripts that will not be run, since too many wait: how many, and what the last was about.
    pub(super) left_out: Option<(usize, String)>,
    /// Lines that will not be written.
    pub(super) lines_left_out: usize,
}

impl Desk {
    /// For the thread that waits at this poll.
    pub(super) fn new(poll: &Poll) -> io::Result<Self> {
        Ok(Self {
            waiting: Mutex::new(Waiting {
                scripts: Queue::new(LIMITS),
                lines: VecDeque::new(),
                settings: None,
                stopping: false,
                left_out: None,
                lines_left_out: 0,
            }),
            waker: Waker::new(poll.registry(), WAKE)?,
        })
    }

    /// Leaves something, and wakes the thread.
    pub(super) fn leave(&self, what: impl FnOnce(&mut Waiting)) {
        what(&mut self.lock());
        let _ = self.waker.wake(); // it wakes by itself for the next deadline at the latest
    }

    /// What waits; not to be held for long.
    pub(super) fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// A script about something.
    pub(super) fn script(&mut self, about: String, script: Script) {
        if let Some((about, _)) = self.scripts.push(about, script) {
            let before = self.left_out.take().map_or(0, |(number, _)| number);
            self.left_out = Some((before + 1, about));
        }
    }

    /// A line for pipes.
    pub(super) fn line(&mut self, line: Line) {
        if self.lines.len() >= LINES {
            self.lines.pop_front();
            self.lines_left_out += 1;
        }
        self.lines.push_back(line);
    }
}
