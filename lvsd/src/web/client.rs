//! One client's course: it asks, is answered, and leaves.
//!
//! Problem: a connection that is closed with bytes unread is reset, and a reset may overtake the answer.
//!
//! Rule: after the answer we say that nothing more comes, and what the client may still send is thrown away until it closes, or
//! has sent too much.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};

use super::answer::Answer;
use super::request::{LONGEST, Reading, Request, read};

/// The most that is thrown away.
const WASTE: usize = 256 << 10;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: Stream,
    /// When it came.
    pub(super) since: Instant,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// It has said so much.
    Asking(Vec<u8>),
    Answered(Outgoing),
    /// It has sent so much that nobody wants.
    Leaving(usize),
}

/// An answer on its way.
#[derive(Debug)]
struct Outgoing {
    head: Vec<u8>,
    body: Arc<Vec<u8>>,
    /// Bytes of both that have been sent.
    sent: usize,
}

/// What becomes of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// There will be more.
    Stays,
    /// It can be forgotten.
    Over,
}

impl Client {
    pub(super) fn new(stream: Stream, since: Instant) -> Self {
        Self {
            stream,
            since,
            phase: Phase::Asking(Vec::new()),
        }
    }

    /// Whether its request is complete.
    pub(super) fn has_asked(&self) -> bool {
        !matches!(self.phase, Phase::Asking(_))
    }

    /// What it has yet to read a part of.
    pub(super) fn body(&self) -> Option<&Arc<Vec<u8>>> {
        match &self.phase {
            Phase::Answered(outgoing) => Some(&outgoing.body),
            _ => None,
        }
    }

    /// Goes on as far as is possible without waiting.
    pub(super) fn advance(&mut self, answer: &mut dyn FnMut(&Request) -> Answer) -> Fate {
        loop {
            let step = match &mut self.phase {
                Phase::Asking(said) => ask(&mut self.stream, said, answer),
                Phase::Answered(outgoing) => outgoing.send(&mut self.stream),
                Phase::Leaving(waste) => throw_away(&mut self.stream, waste),
            };
            match step {
                Ok(next) => self.phase = next,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Fate::Stays,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Fate::Over,
            }
        }
    }
}

/// Reads until the request is complete.
fn ask(
    stream: &mut Stream,
    said: &mut Vec<u8>,
    answer: &mut dyn FnMut(&Request) -> Answer,
) -> io::Result<Phase> {
    let mut buffer = [0; LONGEST];
    loop {
        let room = LONGEST - said.len(); // a full one is refused below
        let count = stream.read(&mut buffer[..room])?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        said.extend_from_slice(&buffer[..count]);
        let (answer, only_head) = match read(said) {
            Reading::Partial => continue,
            Reading::Whole(request) => (answer(&request), request.head),
            Reading::Refused(status) => (Answer::refused(status), false),
        };
        let head = answer.head(SystemTime::now());
        let body = if only_head {
            Arc::default()
        } else {
            answer.body
        };
        return Ok(Phase::Answered(Outgoing {
            head,
            body,
            sent: 0,
        }));
    }
}

impl Outgoing {
    /// Sends until all is sent.
    fn send(&mut self, stream: &mut Stream) -> io::Result<Phase> {
        loop {
            let rest = match self.sent.checked_sub(self.head.len()) {
                None => &self.head[self.sent..],
                Some(sent) if sent < self.body.len() => &self.body[sent..],
                Some(_) => break,
            };
            match stream.write(rest)? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => self.sent += count,
            }
        }
        stream.shutdown()?;
        Ok(Phase::Leaving(0))
    }
}

/// Reads until the client closes.
fn throw_away(stream: &mut Stream, waste: &mut usize) -> io::Result<Phase> {
    let mut buffer = [0; LONGEST];
    while *waste < WASTE {
        match stream.read(&mut buffer)? {
            0 => break,
            count => *waste += count,
        }
    }
    Err(ErrorKind::ConnectionAborted.into())
}

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// To be registered.
    pub(super) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }

    /// Says that nothing more comes from us.
    fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
