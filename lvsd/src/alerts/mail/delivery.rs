//! One mail to one server: a connection, the dialogue, and how long all that may take.
//!
//! Connecting may take as long as `smtp_connect_timeout` says, and so may each answer, as in keepalived; the whole at most four
//! times as long, so that a server that answers a byte at a time keeps nobody busy.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use lvs_health::Verdict;
use lvs_health::probe::smtp::Submission;
use lvs_health::probe::{Probe as _, Progress};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::keepalived::model::MailServer;

/// The token of the connection.
const STREAM: Token = Token(1);

/// How long the server's answer to our leave-taking is waited for: the mail is delivered by then.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where a mail is handed over, and how long that may take.
pub(super) struct Delivery<'a> {
    pub(super) poll: &'a mut Poll,
    pub(super) server: &'a MailServer,
    pub(super) timeout: Duration,
    /// Asked whenever the poll is woken: when everything must be over.
    pub(super) end: &'a dyn Fn() -> Option<Instant>,
}

impl Delivery<'_> {
    /// Hands a mail over, in a fresh dialogue for each address of the server until one can be connected to. The recipients
    /// that were refused are returned, or why there is no mail.
    pub(super) fn deliver(&mut self, submission: &Submission) -> Result<Vec<String>, String> {
        let addrs = match self.server {
            MailServer::Address(addr) => vec![*addr],
            MailServer::Name(name, port) => (&**name, *port)
                .to_socket_addrs()
                .map_err(|e| format!("its name cannot be looked up: {e}"))?
                .collect(),
        };
        let mut why = "its name has no address".to_owned();
        for addr in addrs {
            let talk = Talk::new(self, addr, submission.clone());
            match talk.and_then(|mut talk| talk.run(self)) {
                Ok(talked) => return talked,
                Err(e) => why = self.shown(addr, &e),
            }
        }
        Err(why)
    }

    /// Why there is no connection, with the address unless it is known.
    fn shown(&self, addr: SocketAddr, e: &io::Error) -> String {
        match self.server {
            MailServer::Address(_) => e.to_string(),
            MailServer::Name(..) => format!("{addr}: {e}"),
        }
    }
}

/// One dialogue.
struct Talk {
    stream: TcpStream,
    submission: Submission,
    connected: bool,
    /// What is to be sent.
    out: Vec<u8>,
    /// It must go on before then.
    patience: Instant,
    /// It must be over before then.
    deadline: Instant,
}

impl Talk {
    fn new(delivery: &Delivery<'_>, addr: SocketAddr, submission: Submission) -> io::Result<Self> {
        let mut stream = TcpStream::connect(addr)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        delivery
            .poll
            .registry()
            .register(&mut stream, STREAM, interest)?;
        let now = Instant::now();
        Ok(Self {
            stream,
            submission,
            connected: false,
            out: Vec::new(),
            patience: now + delivery.timeout,
            deadline: now + delivery.timeout * 4,
        })
    }

    /// Until it is over. The outer error: there was no connection.
    fn run(&mut self, delivery: &mut Delivery<'_>) -> io::Result<Result<Vec<String>, String>> {
        let mut events = Events::with_capacity(8);
        loop {
            if let Some(verdict) = self.turn(delivery.timeout)? {
                let _ = self.stream.write(&self.out); // a farewell, if that can be done at once
                let refused = self.submission.refused().to_vec();
                return Ok(verdict
                    .map(|_| refused)
                    .map_err(|failure| failure.to_string()));
            }
            let end = self.patience.min(self.deadline);
            let end = (delivery.end)().map_or(end, |by| by.min(end));
            let now = Instant::now();
            if now >= end {
                if !self.connected {
                    return Err(io::Error::new(ErrorKind::TimedOut, "no connection in time"));
                }
                let verdict = self.submission.expired();
                let refused = self.submission.refused().to_vec();
                return Ok(verdict
                    .map(|_| refused)
                    .map_err(|failure| failure.to_string()));
            }
            match delivery.poll.poll(&mut events, Some(end - now)) {
                Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
        }
    }

    /// Goes as far as it can be gone now. An error while there is a connection is the dialogue's end.
    fn turn(&mut self, timeout: Duration) -> io::Result<Option<Verdict>> {
        if !self.connected {
            if let Some(e) = self.stream.take_error()? {
                return Err(e);
            }
            match self.stream.peer_addr() {
                Ok(_) => self.connected = true,
                Err(e) if e.kind() == ErrorKind::NotConnected => return Ok(None),
                Err(e) => return Err(e),
            }
            self.patience = Instant::now() + timeout;
            if let Progress::Done(verdict) = self.submission.opened(&mut self.out) {
                return Ok(Some(verdict));
            }
        }
        let mut buffer = [0; 4096];
        loop {
            if !self.send(timeout) {
                return Ok(Some(self.submission.closed()));
            }
            let came = match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(Some(self.submission.closed())),
                Ok(len) => buffer.get(..len).unwrap_or_default(),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Ok(Some(self.submission.closed())),
            };
            let before = self.out.len();
            match self.submission.received(came, &mut self.out) {
                Progress::Done(verdict) => return Ok(Some(verdict)),
                // Something was answered, and is gone on from.
                Progress::More if self.out.len() > before => {
                    let last = self.out.ends_with(b"QUIT\r\n");
                    let patience = if last { FAREWELL.min(timeout) } else { timeout };
                    self.patience = Instant::now() + patience;
                }
                Progress::More => {}
            }
        }
    }

    /// Sends what can be sent; `false`: nothing can be sent any more.
    fn send(&mut self, timeout: Duration) -> bool {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(0) => return false,
                Ok(len) => {
                    self.out.drain(..len);
                    if !self.out.is_empty() {
                        self.patience = Instant::now() + timeout;
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}
