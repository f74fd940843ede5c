//! Somebody who outlives us, for a moment.
//!
//! Problem: who is killed (SIGKILL, no memory left) says nothing, and what it has added to the host stays: while the host lives, its
//! kernel answers the clients of virtual addresses with resets, and the backup waits for all of its time.
//!
//! Rule: a small process of our own program, the guardian, reads a socket that we write to. It is told what to send for each
//! master, in advance. If the socket ends without a farewell, it sends that, undoes what the journal says, and
//! ends ([`body`]). Nobody waits for it: what it is to be told is left for a thread, which starts it again if it dies.

pub mod body;
mod message;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lvs_vrrp::event::RouterId;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Socket, Type};

use self::message::Message;
pub(super) use self::message::Word;
use super::errand::Errands;
use super::logger::Logger;
use crate::daemon::AbortOnPanic;

/// The word that makes our program the guardian.
pub const COMMAND: &str = "--vrrp-guardian";

/// As it is called in lists of processes.
const NAME: &str = "lvsd-guardian";

/// The program that we are, even if another one has taken its place on the disk.
const PROGRAM: &str = "/proc/self/exe";

/// One that has died is started again after so long.
const PAUSE: Duration = Duration::from_secs(3);

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

const WAKE: Token = Token(0);
const SOCKET: Token = Token(1);

/// What is left for the thread.
#[derive(Debug)]
pub(super) enum Order {
    /// There is something to guard, from now on.
    Begin,
    /// What is to be sent for a virtual router if we die; nothing if it is not master.
    LastWords(RouterId, Vec<Word>),
    /// All has been given back: it is not needed any more.
    Dismiss,
}

/// The thread that sees to the guardian. If it is dropped without being dismissed, so that we are about to die, the guardian does
/// what it is for.
#[derive(Debug)]
pub(super) struct Guardian {
    orders: Errands<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Guardian {
    /// Starts the thread; not the process yet.
    pub(super) fn start(log: Logger) -> io::Result<Self> {
        let poll = Poll::new()?;
        let (orders, queue) = mpsc::channel();
        let orders = Errands::new(orders, Waker::new(poll.registry(), WAKE)?);
        let log = Box::new(move |line: String| log.log(line));
        let body = Keeper::new(poll, queue, start, log);
        let thread = thread::Builder::new().name("lvsd-vrrp-guard".to_owned());
        let thread = thread.spawn(move || {
            let _half_dead = AbortOnPanic;
            body.run();
        })?;
        Ok(Self {
            orders,
            thread: Some(thread),
        })
    }

    /// Where orders are left.
    pub(super) fn orders(&self) -> Errands<Order> {
        self.orders.clone()
    }

    /// Ends it: all has been given back.
    pub(super) fn dismiss(&mut self) {
        self.orders.leave(Order::Dismiss);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts a guardian, and returns it with our end of the socket.
fn start() -> io::Result<(Child, Socket)> {
    let (ours, theirs) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
    ours.set_nonblocking(true)?;
    let child = Command::new(PROGRAM)
        .arg0(NAME)
        .arg(COMMAND)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    Ok((child, ours))
}

/// Who is told of troubles.
type Log = Box<dyn Fn(String) + Send>;

/// The thread's own.
struct Keeper<S> {
    poll: Poll,
    orders: Receiver<Order>,
    start: S,
    log: Log,
    /// There is something to guard.
    wanted: bool,
    words: BTreeMap<RouterId, Vec<Word>>,
    /// Those of whom the guardian does not know the latest.
    untold: BTreeSet<RouterId>,
    guardian: Option<(Child, Socket)>,
    /// When one may be started.
    not_before: Instant,
}

impl<S: FnMut() -> io::Result<(Child, Socket)>> Keeper<S> {
    fn new(poll: Poll, orders: Receiver<Order>, start: S, log: Log) -> Self {
        Self {
            poll,
            orders,
            start,
            log,
            wanted: false,
            words: BTreeMap::new(),
            untold: BTreeSet::new(),
            guardian: None,
            not_before: Instant::now(),
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(8);
        loop {
            let missing = self.wanted && self.guardian.is_none();
            let wait = missing.then(|| self.not_before.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, wait) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                    (self.log)(format!("the guardian cannot be followed: {e}"));
                    thread::sleep(PAUSE);
                }
                _ => {}
            }
            if self.take_orders() {
                return;
            }
            if events.iter().any(|event| event.token() == SOCKET) {
                self.look_after();
            }
            if self.wanted && self.guardian.is_none() && self.not_before <= Instant::now() {
                self.begin();
            }
            self.tell();
        }
    }

    /// True if that was the end.
    fn take_orders(&mut self) -> bool {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Begin) => self.wanted = true,
                Ok(Order::LastWords(router, words)) => self.note(router, words),
                Ok(Order::Dismiss) => {
                    self.dismiss();
                    return true;
                }
                Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    fn note(&mut self, router: RouterId, words: Vec<Word>) {
        let known = self.words.get(&router).is_some_and(|known| *known == words);
        if known || (words.is_empty() && !self.words.contains_key(&router)) {
            return;
        }
        match words.is_empty() {
            true => self.words.remove(&router),
            false => self.words.insert(router, words),
        };
        self.untold.insert(router);
    }

    fn begin(&mut self) {
        self.not_before = Instant::now() + PAUSE;
        let begun = (self.start)().and_then(|(child, socket)| {
            let (fd, interest) = (socket.as_raw_fd(), Interest::READABLE | Interest::WRITABLE);
            let registry = self.poll.registry();
            registry.register(&mut SourceFd(&fd), SOCKET, interest)?;
            Ok((child, socket))
        });
        match begun {
            Ok(guardian) => {
                self.guardian = Some(guardian);
                self.untold = self.words.keys().copied().collect();
            }
            Err(e) => (self.log)(format!(
                "there is no guardian, and virtual addresses would stay if lvsd were killed: {e}"
            )),
        }
    }

    /// The guardian says nothing: if there is something to read, it is the end.
    fn look_after(&mut self) {
        let Some((child, socket)) = &mut self.guardian else {
            return;
        };
        match io::Read::read(socket, &mut [0]) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return,
            _ => {}
        }
        let how = match child.wait() {
            Ok(status) => status.to_string(),
            Err(e) => e.to_string(),
        };
        self.guardian = None;
        (self.log)(format!(
            "the guardian of virtual addresses has ended ({how}): it is started again"
        ));
    }

    /// Tells what it does not know. What does not fit waits until it has read.
    fn tell(&mut self) {
        let Some((_, socket)) = &self.guardian else {
            return;
        };
        while let Some(router) = self.untold.first().copied() {
            let words = self.words.get(&router).cloned().unwrap_or_default();
            let message = Message::LastWords {
                router: router.0,
                words,
            };
            match socket.send(&message.to_bytes()) {
                Err(e) if e.raw_os_error() == Some(libc::EMSGSIZE) => {
                    (self.log)(
                        "a virtual router's last words are too long for the guardian".to_owned(),
                    );
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return, // it is full, or the end, which we are told of
                Ok(_) => {}
            }
            self.untold.remove(&router);
        }
    }

    /// It ends, and has nothing to do any more.
    fn dismiss(&mut self) {
        let Some((mut child, socket)) = self.guardian.take() else {
            return;
        };
        let told = socket
            .set_nonblocking(false)
            .and_then(|()| socket.set_write_timeout(Some(PATIENCE)))
            .and_then(|()| socket.send(&Message::Bye.to_bytes()));
        let begin = Instant::now();
        while told.is_ok() && begin.elapsed() < PATIENCE {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill(); // somebody has stopped it
        let _ = child.wait();
    }
}
