//! The kernel's news of processes (the proc connector, `linux/cn_proc.h`).
//!
//! It is given in the kernel's first network and process namespaces only, to who has CAP_NET_ADMIN there. Elsewhere the request is
//! refused, or not answered.

use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::sys;

const NETLINK_CONNECTOR: i32 = 11;
/// `CN_IDX_PROC`, which is also the group, and `CN_VAL_PROC`.
const PROC: [u32; 2] = [1, 1];
const LISTEN: u32 = 1;
const NETLINK_DONE: u16 = 3;

/// A netlink header and a connector's.
const HEADERS: usize = 16 + 20;

const FORK: u32 = 1;
const EXEC: u32 = 2;
const COMM: u32 = 0x200;
const EXIT: u32 = 0x8000_0000;

/// How much news may wait: hosts start thousands of processes a second.
const BUFFER: usize = 4 << 20;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Our request has been granted, or not.
    Granted(bool),
    /// A process has begun, or is another program now, or has another name.
    Changed(u32),
    /// A process has ended.
    Ended(u32),
    /// Some news is lost.
    Lost,
}

/// Where the news comes from.
#[derive(Debug)]
pub(super) struct Connector {
    socket: Socket,
}

impl Connector {
    /// Asks for news.
    pub(super) fn open() -> io::Result<Self> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let socket = Socket::new(
            Domain::from(libc::AF_NETLINK),
            kind,
            Some(Protocol::from(NETLINK_CONNECTOR)),
        )?;
        let _ = socket.set_recv_buffer_size(BUFFER); // as much as is allowed
        let [group, _] = PROC;
        socket.bind(&sys::netlink(group)?)?;
        socket.send(&request())?;
        Ok(Self { socket })
    }

    /// All that there is to tell.
    pub(super) fn drain(&mut self, mut tell: impl FnMut(News)) {
        let mut buffer = [0; 4096];
        loop {
            match (&self.socket).read(&mut buffer) {
                Ok(0) => return,
                Ok(len) => {
                    if let Some(news) = news(buffer.get(..len).unwrap_or_default()) {
                        tell(news);
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => tell(News::Lost),
                Err(_) => return,
            }
        }
    }
}

impl AsRawFd for Connector {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// The request to be told.
fn request() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADERS + 4);
    bytes.extend((HEADERS as u32 + 4).to_ne_bytes());
    bytes.extend(NETLINK_DONE.to_ne_bytes());
    bytes.extend([0; 2]); // flags
    bytes.extend([0; 8]); // sequence, port
    bytes.extend(PROC.map(u32::to_ne_bytes).concat());
    bytes.extend([0; 8]); // sequence, acknowledgement
    bytes.extend(4_u16.to_ne_bytes()); // length
    bytes.extend([0; 2]); // flags
    bytes.extend(LISTEN.to_ne_bytes());
    bytes
}

/// What a message says (`struct proc_event`), if that concerns whole processes.
fn news(message: &[u8]) -> Option<News> {
    let word = |at: usize| {
        let bytes = message.get(HEADERS + at..)?.first_chunk::<4>()?;
        Some(u32::from_ne_bytes(*bytes))
    };
    // What, processor, time of day in eight bytes, then: a thread and its process.
    let (first, second) = (16, 24);
    let process = |at: usize| {
        let (thread, process) = (word(at)?, word(at + 4)?);
        (thread == process).then_some(process)
    };
    match word(0)? {
        0 => Some(News::Granted(word(first)? == 0)),
        FORK => process(second).map(News::Changed), // behind its parent
        EXEC | COMM => process(first).map(News::Changed),
        EXIT => process(first).map(News::Ended),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(words: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; HEADERS];
        let [what, data @ ..] = words else { panic!() };
        bytes.extend(what.to_ne_bytes());
        bytes.extend([0; 12]);
        bytes.extend(data.iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn what_messages_say() {
        let said = |words: &[u32]| news(&message(words));
        assert_eq!(said(&[0, 0]), Some(News::Granted(true)));
        assert_eq!(said(&[0, 1]), Some(News::Granted(false)));
        assert_eq!(said(&[FORK, 7, 7, 8, 8]), Some(News::Changed(8)));
        assert_eq!(said(&[FORK, 7, 7, 8, 7]), None, "a thread");
        assert_eq!(said(&[EXEC, 8, 8]), Some(News::Changed(8)));
        assert_eq!(said(&[COMM, 8, 8, 0, 0]), Some(News::Changed(8)));
        assert_eq!(said(&[COMM, 9, 8, 0, 0]), None, "a thread's name");
        assert_eq!(said(&[EXIT, 8, 8, 0, 0]), Some(News::Ended(8)));
        assert_eq!(said(&[EXIT, 9, 8, 0, 0]), None);
        assert_eq!(said(&[4, 8, 8]), None, "another user");
        for len in 0..HEADERS + 20 {
            assert_eq!(news(&message(&[EXEC, 8, 8])[..len]), None, "{len}");
        }
    }

    #[test]
    fn what_we_ask() {
        let bytes = request();
        assert_eq!(bytes.len(), 40);
        assert_eq!(bytes[..4], 40_u32.to_ne_bytes());
        assert_eq!(bytes[36..], LISTEN.to_ne_bytes());
    }
}
