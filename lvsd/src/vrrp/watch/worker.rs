//! The thread that watches.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use lvs_vrrp::Time;
use mio::{Events, Poll, Token};

use super::board::Board;
use super::file::Files;
use super::plan::Plan;
use super::process::Crowd;
use super::script::Scripts;

/// There are orders.
pub(super) const WAKER: Token = Token(0);
/// The kernel tells of files.
const FILES: Token = Token(1);
/// The kernel tells of processes.
const PROCESSES: Token = Token(2);
/// The first of the scripts' tokens.
const SCRIPTS: usize = 16;

/// All that the thread has.
#[derive(Debug)]
pub(super) struct Worker {
    poll: Poll,
    inbox: Receiver<Plan>,
    board: Arc<Board>,
    began: Instant,
    scripts: Scripts,
    files: Files,
    crowd: Crowd,
}

impl Worker {
    pub(super) fn new(poll: Poll, inbox: Receiver<Plan>, board: Arc<Board>) -> Self {
        Self {
            poll,
            inbox,
            board,
            began: Instant::now(),
            scripts: Scripts::new(SCRIPTS),
            files: Files::default(),
            crowd: Crowd::default(),
        }
    }

    /// Watches until nobody is left who could give orders.
    pub(super) fn run(mut self, plan: Plan) {
        let mut events = Events::with_capacity(64);
        self.apply(plan);
        loop {
            let wait = self.next().saturating_sub(self.now());
            if let Err(e) = self.poll.poll(&mut events, Some(wait))
                && e.kind() != std::io::ErrorKind::Interrupted
            {
                self.board.log(&format!("tracking: {e}"));
                std::thread::sleep(Duration::from_millis(100)); // whatever it is, it is not to take all our time
            }
            for event in &events {
                let now = self.now();
                match event.token() {
                    WAKER => {}
                    FILES => self.files.news(now, &self.board),
                    PROCESSES => self.crowd.news(now, &self.board),
                    token => self.scripts.ready(token),
                }
            }
            match self.inbox.try_recv() {
                Ok(plan) => self.apply(plan),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            let now = self.now();
            self.scripts.tick(now, self.poll.registry(), &self.board);
            self.files.tick(now, &self.board);
            self.crowd.tick(now, &self.board);
        }
    }

    fn apply(&mut self, plan: Plan) {
        let (now, registry) = (self.now(), self.poll.registry());
        self.scripts
            .apply(plan.scripts, &plan.global, now, &self.board);
        self.files.initialise(&plan.initial, &self.board);
        self.files
            .apply(plan.files, now, registry, FILES, &self.board);
        self.crowd
            .apply(plan.processes, now, registry, PROCESSES, &self.board);
    }

    /// When there is something to do, unless something happens before.
    fn next(&self) -> Time {
        let next = [
            self.scripts.deadline(),
            self.files.deadline(),
            self.crowd.deadline(),
        ];
        // A minute is as good as never.
        let never = self.now() + Duration::from_secs(60);
        next.into_iter().flatten().min().unwrap_or(never)
    }

    fn now(&self) -> Time {
        self.began.elapsed()
    }
}
