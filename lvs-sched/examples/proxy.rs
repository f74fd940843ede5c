//! A small TCP proxy that chooses servers by weighted least connections: what the libraries give a program that has
//! its own sockets and event loop, here mio's.
//!
//! The part that is about balancing is [`Balancer`], fifty lines: the servers are a group of [`Dest`]s, `wlc` picks
//! one for each client, a [`ConnGuard`] kept beside the sockets counts the connection as long as it lives, and a
//! server is quiesced by weight 0. All else is bytes and readiness.
//!
//! ```text
//! cargo run -p lvs-sched --example proxy -- 127.0.0.1:8080 10.0.0.1:80=3 10.0.0.2:80
//! ```
//!
//! On standard input a line such as `10.0.0.1:80 0` gives a server another weight, `quit` ends the proxy, and any other
//! line shows each server's active and inactive connections.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use lvs_core::sched::{Arrival, Edit, Scheduler};
use lvs_core::{ConnGuard, Dest, Endpoint, Protocol, Segment, TcpFlags, Time};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let usage = "usage: proxy LISTEN SERVER[=WEIGHT]...";
    let listen = words.next().ok_or(usage)?.parse()?;
    let servers = words.map(|w| server(&w)).collect::<Result<Vec<_>, _>>()?;
    let (mut proxy, control) = Proxy::new(listen, &servers)?;
    println!("listening on {}", control.listen);
    std::thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            match line.split_once(' ').map(|(s, w)| (s.parse(), w.parse())) {
                Some((Ok(server), Ok(weight))) => control.send(Command::Weight(server, weight)),
                _ if line == "quit" => control.send(Command::Stop),
                _ => control.show(),
            }
        }
    });
    Ok(proxy.run()?)
}

/// `ADDRESS:PORT` or `ADDRESS:PORT=WEIGHT`.
fn server(word: &str) -> Result<(Endpoint, u32), Box<dyn std::error::Error>> {
    Ok(match word.split_once('=') {
        Some((addr, weight)) => (addr.parse()?, weight.parse()?),
        None => (word.parse()?, 1),
    })
}

/// Servers and the scheduler that chooses among them.
#[derive(Debug)]
struct Balancer {
    listen: Endpoint,
    dests: Vec<Dest>,
    scheduler: Box<dyn Scheduler>,
}

impl Balancer {
    fn new(listen: Endpoint, servers: &[(Endpoint, u32)]) -> Self {
        let dests = Dest::group(listen, servers);
        let mut scheduler = Box::new(lvs_sched::wlc::Wlc::default());
        scheduler.settle(&dests);
        Self {
            listen,
            dests,
            scheduler,
        }
    }

    /// The server for a new client, and the guard that counts the connection; `None` if all are quiesced.
    fn choose(&self, client: Endpoint, now: Time) -> Option<(Endpoint, ConnGuard)> {
        let opening = Segment {
            flags: TcpFlags::SYN,
            ..Segment::new(Protocol::TCP, client, self.listen)
        };
        let i = self
            .scheduler
            .pick(&self.dests, &Arrival::new(&opening, now))?;
        let dest = self.dests.get(i)?;
        Some((dest.addr(), ConnGuard::new(dest)))
    }

    /// Gives a server another weight. 0 takes no new connections; those that exist go on.
    fn set_weight(&mut self, server: Endpoint, weight: u32) {
        if let Some(i) = self.dests.iter().position(|d| d.addr() == server) {
            self.dests[i] = self.dests[i].with_weight(weight);
            self.scheduler.edited(&self.dests, Edit::Changed(i));
            self.scheduler.settle(&self.dests);
        }
    }
}

/// What the proxy can be told while it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    /// A server gets another weight.
    Weight(Endpoint, u32),
    /// The proxy ends.
    Stop,
}

/// For another thread: tells the proxy what to do, and sees its counts.
#[derive(Debug)]
pub(crate) struct Control {
    commands: Sender<Command>,
    waker: Waker,
    dests: Vec<Dest>,
    pub(crate) listen: SocketAddr,
}

impl Control {
    pub(crate) fn send(&self, command: Command) {
        // If the proxy is gone, nobody needs the command.
        if self.commands.send(command).is_ok() {
            let _ = self.waker.wake();
        }
    }

    /// Active and inactive connections of each server, as they are now: the live halves are shared.
    pub(crate) fn connections(&self) -> Vec<(u64, u64)> {
        let counts = |d: &Dest| (d.active(), d.inactive());
        self.dests.iter().map(counts).collect()
    }

    fn show(&self) {
        for (dest, (active, inactive)) in self.dests.iter().zip(self.connections()) {
            println!("{} {active} + {inactive}", dest.addr());
        }
    }
}

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
/// A pair's client has this token and twice its number, its server the next.
const FIRST_PAIR: usize = 2;

/// The event loop.
#[derive(Debug)]
pub(crate) struct Proxy {
    poll: Poll,
    listener: TcpListener,
    balancer: Balancer,
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    /// Pairs that had more to do when their turn was over.
    unfinished: Vec<usize>,
    commands: Receiver<Command>,
    start: Instant,
}

impl Proxy {
    pub(crate) fn new(
        listen: SocketAddr,
        servers: &[(Endpoint, u32)],
    ) -> io::Result<(Self, Control)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mut listener = TcpListener::bind(listen)?;
        poll.registry()
            .register(&mut listener, LISTENER, Interest::READABLE)?;
        let listen = listener.local_addr()?;
        let balancer = Balancer::new(endpoint(listen), servers);
        let (sender, commands) = mpsc::channel();
        let control = Control {
            commands: sender,
            waker,
            dests: balancer.dests.clone(),
            listen,
        };
        let proxy = Self {
            poll,
            listener,
            balancer,
            pairs: Vec::new(),
            free: Vec::new(),
            unfinished: Vec::new(),
            commands,
            start: Instant::now(),
        };
        Ok((proxy, control))
    }

    /// Works until it is told to stop.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            let patience = (!self.unfinished.is_empty()).then_some(Duration::ZERO);
            match self.poll.poll(&mut events, patience) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            // First what has been told, so that a weight holds for whoever connects after it was set.
            while let Ok(command) = self.commands.try_recv() {
                match command {
                    Command::Weight(server, n) => self.balancer.set_weight(server, n),
                    Command::Stop => return Ok(()),
                }
            }
            let mut ready = std::mem::take(&mut self.unfinished);
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    WAKER => {}
                    Token(t) => ready.push((t - FIRST_PAIR) / 2),
                }
            }
            ready.sort_unstable();
            ready.dedup();
            for number in ready {
                self.relay(number);
            }
        }
    }

    fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((client, from)) => {
                    let now = Time::default() + self.start.elapsed();
                    if let Some((server, guard)) = self.balancer.choose(endpoint(from), now) {
                        // A connection that fails is closed; its guard goes with it.
                        let _ = self.connect(client, server, guard);
                    }
                }
                // A client that has given up already.
                Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // Too many files, for one; the next client is another occasion.
                Err(e) => return eprintln!("accept: {e}"),
            }
        }
    }

    fn connect(&mut self, client: TcpStream, to: Endpoint, guard: ConnGuard) -> io::Result<()> {
        let server = TcpStream::connect(SocketAddr::new(to.ip.into(), to.port))?;
        let mut pair = Pair::new(client, server, guard);
        let number = self.free.pop().unwrap_or(self.pairs.len());
        if number == self.pairs.len() {
            self.pairs.push(None);
        }
        let both = Interest::READABLE | Interest::WRITABLE;
        let token = FIRST_PAIR + 2 * number;
        let registry = self.poll.registry();
        registry.register(&mut pair.client, Token(token), both)?;
        registry.register(&mut pair.server, Token(token + 1), both)?;
        self.pairs[number] = Some(pair);
        Ok(())
    }

    fn relay(&mut self, number: usize) {
        // An event may be left over from a pair that has gone.
        let Some(pair) = self.pairs.get_mut(number).and_then(Option::as_mut) else {
            return;
        };
        match pair.relay() {
            Ok(Progress::Waits) => {}
            Ok(Progress::HasMore) => self.unfinished.push(number),
            // The sockets close and the guard is dropped.
            Ok(Progress::Done) | Err(_) => {
                self.pairs[number] = None;
                self.free.push(number);
            }
        }
    }
}

/// A client, its server, and the guard that counts the connection.
#[derive(Debug)]
struct Pair {
    client: TcpStream,
    server: TcpStream,
    is_connected: bool,
    up: Pipe,
    down: Pipe,
    guard: ConnGuard,
}

/// How far a turn has come.
enum Progress {
    /// Until the sockets would block.
    Waits,
    /// To the end of its turn.
    HasMore,
    /// Both directions have ended.
    Done,
}

/// How many times a pair fills its buffers before it is the next pair's turn.
const TURN: usize = 16;

impl Pair {
    fn new(client: TcpStream, server: TcpStream, guard: ConnGuard) -> Self {
        Self {
            client,
            server,
            is_connected: false,
            up: Pipe::default(),
            down: Pipe::default(),
            guard,
        }
    }

    fn relay(&mut self) -> io::Result<Progress> {
        if !self.is_connected {
            if let Some(refused) = self.server.take_error()? {
                return Err(refused);
            }
            match self.server.peer_addr() {
                Ok(_) => self.is_connected = true,
                Err(e) if e.kind() == ErrorKind::NotConnected => return Ok(Progress::Waits),
                Err(e) => return Err(e),
            }
        }
        for _ in 0..TURN {
            let up = self.up.move_on(&mut self.client, &mut self.server)?;
            let down = self.down.move_on(&mut self.server, &mut self.client)?;
            // Once a side has finished, the connection only winds down (IPVS: inactive from the first FIN).
            if self.up.ended || self.down.ended {
                self.guard.set_active(false);
            }
            if self.up.is_shut && self.down.is_shut {
                return Ok(Progress::Done);
            }
            if !up && !down {
                return Ok(Progress::Waits);
            }
        }
        Ok(Progress::HasMore)
    }
}

/// One direction of a pair.
#[derive(Debug)]
struct Pipe {
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
    /// The reading side has finished.
    ended: bool,
    /// The writing side has been told.
    is_shut: bool,
}

impl Default for Pipe {
    fn default() -> Self {
        Self {
            buffer: vec![0; 16 * 1024].into(),
            from: 0,
            to: 0,
            ended: false,
            is_shut: false,
        }
    }
}

impl Pipe {
    /// Reads and writes once; whether anything moved.
    fn move_on(&mut self, source: &mut TcpStream, sink: &mut TcpStream) -> io::Result<bool> {
        let mut moved = false;
        if self.from == self.to && !self.ended {
            match source.read(&mut self.buffer) {
                Ok(n) => {
                    (self.from, self.to, self.ended, moved) = (0, n, n == 0, true);
                }
                Err(e) => blocks(e)?,
            }
        }
        if self.from < self.to {
            match sink.write(&self.buffer[self.from..self.to]) {
                Ok(n) => {
                    self.from += n;
                    moved |= n > 0;
                }
                Err(e) => blocks(e)?,
            }
        }
        if self.ended && self.from == self.to && !self.is_shut {
            sink.shutdown(Shutdown::Write)?;
            (self.is_shut, moved) = (true, true);
        }
        Ok(moved)
    }
}

/// The error that only means "later".
fn blocks(e: io::Error) -> io::Result<()> {
    match e.kind() {
        ErrorKind::WouldBlock => Ok(()),
        _ => Err(e),
    }
}

fn endpoint(addr: SocketAddr) -> Endpoint {
    Endpoint::new(addr.ip().into(), addr.port())
}
