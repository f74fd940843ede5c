//! The endpoint's thread.
//!
//! Problem: clients may be many, slow, endless or mad, and the host has better things to do.
//!
//! Rules:
//! - There are [`SEATS`] seats. If all are taken, the client who has sat longest without a complete request gives his up for
//!   the next one, or else the one who has sat longest. A client is listened to as soon as he sits, so one who asks at once and reads what
//!   he gets is served, however many others there are.
//! - Nobody stays longer than [`Limits::patience`].
//! - What slow clients have yet to read is at most [`Limits::held`] and one answer: beyond it, those who have sat longest leave.
//! - What took long to make serves others too (see [`Desk`]).

use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};

use super::client::{Client, Fate, Stream};
use super::desk::Desk;
use crate::unix_socket::SocketFile;

/// How many clients there may be at a time.
const SEATS: usize = 16;

/// How long to wait for descriptors if there are none left.
const AGAIN: Duration = Duration::from_millis(100);

const LISTENER: Token = Token(SEATS);
const STOP: Token = Token(SEATS + 1);

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long he may stay.
    pub(super) patience: Duration,
    /// How many bytes of answers all clients together may leave unread.
    pub(super) held: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            held: 64 << 20,
        }
    }
}

/// Where clients come in.
#[derive(Debug)]
pub(super) struct Listener {
    door: Door,
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Door {
    Tcp(mio::net::TcpListener),
    Unix(mio::net::UnixListener),
}

impl Listener {
    pub(super) fn tcp(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            door: Door::Tcp(mio::net::TcpListener::from_std(listener)),
            _file: None,
        })
    }

    pub(super) fn unix(listener: UnixListener, file: SocketFile) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            door: Door::Unix(mio::net::UnixListener::from_std(listener)),
            _file: Some(file),
        })
    }

    fn accept(&self) -> io::Result<Stream> {
        Ok(match &self.door {
            Door::Tcp(listener) => Stream::Tcp(listener.accept()?.0),
            Door::Unix(listener) => Stream::Unix(listener.accept()?.0),
        })
    }
}

/// The thread's state.
#[derive(Debug)]
pub(super) struct Server {
    poll: Poll,
    listener: Listener,
    seats: [Option<Client>; SEATS],
    desk: Desk,
    limits: Limits,
    /// How soon to look at the door: somebody may be there of whom no event tells.
    look: Option<Duration>,
}

impl Server {
    /// With what makes it end.
    pub(super) fn new(
        mut listener: Listener,
        desk: Desk,
        limits: Limits,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        match &mut listener.door {
            Door::Tcp(l) => registry.register(l, LISTENER, Interest::READABLE)?,
            Door::Unix(l) => registry.register(l, LISTENER, Interest::READABLE)?,
        }
        let waker = Waker::new(registry, STOP)?;
        let server = Self {
            poll,
            listener,
            seats: Default::default(),
            desk,
            limits,
            look: None,
        };
        Ok((server, waker))
    }

    /// Serves until it is woken.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(SEATS + 2);
        loop {
            let wait = self.wait();
            match self.poll.poll(&mut events, wait) {
                Err(e) if e.kind() != ErrorKind::Interrupted => return,
                _ => {}
            }
            for event in &events {
                match event.token() {
                    STOP => return,
                    LISTENER => self.look = Some(Duration::ZERO),
                    Token(seat) => self.serve(seat),
                }
            }
            if self.look.is_some() {
                self.look = self.admit();
            }
            self.dismiss();
        }
    }

    /// How long nothing need be done.
    fn wait(&self) -> Option<Duration> {
        let first = self.seats.iter().flatten().map(|c| c.since).min();
        let leaves = first.map(|since| self.limits.patience.saturating_sub(since.elapsed()));
        match (self.look, leaves) {
            (Some(look), Some(leaves)) => Some(look.min(leaves)),
            (look, leaves) => look.or(leaves),
        }
    }

    /// Lets in who is at the door, but no more than there are seats: the others are looked after in between. Says how soon
    /// to look again.
    fn admit(&mut self) -> Option<Duration> {
        for _ in 0..SEATS {
            match self.listener.accept() {
                Ok(stream) => self.seat(stream),
                Err(e) => match e.kind() {
                    ErrorKind::WouldBlock => return None,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {} // he has gone again
                    _ => return Some(AGAIN),
                },
            }
        }
        Some(Duration::ZERO)
    }

    fn seat(&mut self, mut stream: Stream) {
        let free = self.seats.iter().position(Option::is_none);
        let seat = free.unwrap_or_else(|| {
            let sits = |(_, client): &(usize, &Option<Client>)| {
                client.as_ref().map(|c| (c.has_asked(), c.since))
            };
            let longest = self.seats.iter().enumerate().min_by_key(sits);
            longest.map_or(0, |(seat, _)| seat)
        });
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = self
            .poll
            .registry()
            .register(stream.source(), Token(seat), both);
        if registered.is_ok() {
            self.seats[seat] = Some(Client::new(stream, Instant::now()));
            self.serve(seat);
        }
    }

    fn serve(&mut self, seat: usize) {
        let Some(Some(client)) = self.seats.get_mut(seat) else {
            return;
        };
        let desk = &mut self.desk;
        if client.advance(&mut |request| desk.answer(request)) == Fate::Over {
            self.seats[seat] = None;
        }
        self.shed();
    }

    /// While too much is held, who has sat longest with a part of it leaves. A single answer is never too much.
    fn shed(&mut self) {
        loop {
            let mut bodies: Vec<&Arc<Vec<u8>>> = Vec::new();
            let mut longest = None;
            for (seat, client) in self.seats.iter().enumerate() {
                let Some((client, body)) = client.as_ref().and_then(|c| Some((c, c.body()?)))
                else {
                    continue;
                };
                if !bodies.iter().any(|other| Arc::ptr_eq(other, body)) {
                    bodies.push(body);
                }
                longest = longest.into_iter().chain([(client.since, seat)]).min();
            }
            let held: usize = bodies.iter().map(|body| body.len()).sum();
            match longest {
                Some((_, seat)) if bodies.len() > 1 && held > self.limits.held => {
                    self.seats[seat] = None
                }
                _ => return,
            }
        }
    }

    /// Who has stayed too long leaves.
    fn dismiss(&mut self) {
        let patience = self.limits.patience;
        for seat in &mut self.seats {
            if seat.as_ref().is_some_and(|c| c.since.elapsed() >= patience) {
                *seat = None;
            }
        }
    }
}
