//! One run of a check over a socket: what its events make of the probe.
//!
//! A flight never blocks, and takes no more of the socket at one go than a buffer full: whoever sends without end waits with
//! everybody else.

use std::io::{self, Read, Write};
use std::time::Duration;

use mio::event::Event;
use socket2::Socket;

use super::echo::Echo;
use super::socket::{self, Opened, connect_failure, transfer_failure};
use crate::probe::{Probe, Progress, Reason, Transport, Verdict};

/// Datagrams taken at one go.
const DATAGRAMS: usize = 16;

#[derive(Debug)]
pub(super) struct Flight {
    socket: Socket,
    transport: Transport,
    echo: Option<Echo>,
    probe: Box<dyn Probe>,
    connected: bool,
    peer_closed: bool,
    out: Vec<u8>,
    sent: usize,
    /// Sending failed. What the peer said before that still counts, so it is read first.
    broken: Option<io::Error>,
    began: Duration,
}

/// What a flight is at.
#[derive(Debug)]
pub(super) enum Step {
    /// It waits for an event. Something has happened, or nothing.
    Waits { moved: bool },
    /// There is more to read at once, after the others.
    More,
    /// It is over.
    Over(Verdict),
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    readable: bool,
    writable: bool,
    /// Nothing more will come, so that reading must go on to the end.
    ending: bool,
}

impl Ready {
    pub(super) fn of(event: &Event) -> Self {
        Self {
            readable: event.is_readable() || event.is_error(),
            writable: event.is_writable() || event.is_error(),
            ending: event.is_read_closed() || event.is_error(),
        }
    }

    /// For a flight that had more to read.
    pub(super) const fn more() -> Self {
        Self {
            readable: true,
            writable: false,
            ending: true,
        }
    }

    const fn nothing() -> Self {
        Self {
            readable: false,
            writable: false,
            ending: false,
        }
    }
}

impl Flight {
    pub(super) fn new(
        opened: Opened,
        transport: Transport,
        probe: Box<dyn Probe>,
        now: Duration,
        random: u64,
    ) -> Self {
        let echo = opened.raw.then(|| Echo::new(&opened.socket, random));
        Self {
            socket: opened.socket,
            transport,
            echo,
            probe,
            connected: opened.connected,
            peer_closed: false,
            out: Vec::new(),
            sent: 0,
            broken: None,
            began: now,
        }
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    pub(super) fn began(&self) -> Duration {
        self.began
    }

    /// It is watched from now on. What is connected already need not wait for an event.
    pub(super) fn take_off(&mut self, buffer: &mut [u8]) -> Step {
        match self.connected {
            true => self.opened(Ready::nothing(), buffer),
            false => Step::Waits { moved: false },
        }
    }

    /// Something has happened.
    pub(super) fn ready(&mut self, ready: Ready, buffer: &mut [u8]) -> Step {
        if self.connected {
            return self.exchange(ready, buffer, false);
        }
        if !ready.writable {
            return Step::Waits { moved: false };
        }
        match self.socket.take_error() {
            Ok(None) => self.opened(ready, buffer),
            Ok(Some(error)) | Err(error) => Step::Over(Err(connect_failure(&error))),
        }
    }

    /// Time is over.
    pub(super) fn expired(&mut self) -> Verdict {
        match self.connected {
            true => self.probe.expired(),
            false => Err(Reason::ConnectTimeout.into()),
        }
    }

    fn opened(&mut self, ready: Ready, buffer: &mut [u8]) -> Step {
        self.connected = true;
        let progress = self.probe.opened(&mut self.out);
        self.send();
        match progress {
            Progress::Done(verdict) => Step::Over(verdict),
            Progress::More => self.exchange(ready, buffer, true),
        }
    }

    fn exchange(&mut self, ready: Ready, buffer: &mut [u8], moved: bool) -> Step {
        if ready.writable {
            self.send();
        }
        if !ready.readable && self.broken.is_none() {
            return Step::Waits { moved };
        }
        match self.receive(ready.ending, buffer) {
            Step::Waits { moved: read } => match self.broken.take() {
                Some(error) => Step::Over(Err(transfer_failure(&error))),
                None => Step::Waits {
                    moved: moved || read,
                },
            },
            step => step,
        }
    }

    fn receive(&mut self, ending: bool, buffer: &mut [u8]) -> Step {
        let mut bytes = 0;
        let mut moved = false;
        for _ in 0..DATAGRAMS {
            let room = buffer.len();
            let len = match (&self.socket).read(buffer) {
                Ok(0) if self.transport == Transport::Stream => {
                    self.peer_closed = true;
                    return Step::Over(self.probe.closed());
                }
                Ok(len) => len,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Step::Waits { moved },
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Step::Over(Err(transfer_failure(&e))),
            };
            let came = buffer.get(..len).unwrap_or_default();
            let came = match &self.echo {
                None => Some(came),
                Some(echo) => echo.answer(came),
            };
            if let Some(came) = came {
                moved = true;
                let progress = self.probe.received(came, &mut self.out);
                self.send();
                if let Progress::Done(verdict) = progress {
                    return Step::Over(verdict);
                }
            }
            bytes += len;
            if self.transport == Transport::Stream {
                // Less than there was room for: there was no more, and an event will tell of what comes.
                if len < room && !ending {
                    return Step::Waits { moved };
                }
                if bytes >= room {
                    return Step::More;
                }
            }
        }
        Step::More
    }

    /// Sends what there is to send, as far as there is room for it.
    fn send(&mut self) {
        if let Some(echo) = &self.echo {
            echo.complete(&mut self.out);
        }
        while let Some(rest) = self.out.get(self.sent..).filter(|r| !r.is_empty()) {
            match (&self.socket).write(rest) {
                Ok(len) => self.sent += len,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) => {
                    self.broken = Some(e);
                    break;
                }
            }
        }
        self.out.clear();
        self.sent = 0;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.transport == Transport::Stream && self.connected && !self.peer_closed {
            socket::reset_on_close(&self.socket);
        }
    }
}
