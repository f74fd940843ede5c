//! One netlink socket: requests and their answers, dumps, notifications.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// The kernel never makes a datagram longer than this for a reader with such a buffer.
const BUFFER: usize = 64 * 1024;
/// Asked for; the kernel grants what its limits allow.
const RECEIVE_QUEUE: libc::c_int = 4 << 20;
/// A table that changes while it is dumped is read again, so often at most.
const DUMP_TRIES: usize = 5;

/// A netlink socket in the namespace of the thread that opened it.
pub(super) struct Connection {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Connection {
    /// A socket for requests.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// A socket for notifications, which never waits.
    pub(super) fn subscribe(groups: &[u32]) -> io::Result<Self> {
        let connection = Self::open()?;
        connection.socket.set_rx_buf_sz(RECEIVE_QUEUE)?;
        connection.socket.set_non_blocking(true)?;
        for &group in groups {
            connection.socket.add_membership(group)?;
        }
        Ok(connection)
    }

    /// Has the kernel do something, and waits until it is done or refused.
    pub(super) fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.exchange(message, flags | NLM_F_ACK, |_| {}).map(drop)
    }

    /// Asks for one object. `None` if it does not exist.
    pub(super) fn get(
        &mut self,
        message: RouteNetlinkMessage,
    ) -> io::Result<Option<RouteNetlinkMessage>> {
        let mut found = None;
        match self.exchange(message, NLM_F_ACK, |m| found = Some(m)) {
            Ok(_) => Ok(found),
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENODEV)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Asks for a whole table and keeps what `keep` makes of its entries.
    pub(super) fn dump<T>(
        &mut self,
        message: &RouteNetlinkMessage,
        keep: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let mut table = Vec::new();
        for _ in 0..DUMP_TRIES {
            table.clear();
            let consistent =
                self.exchange(message.clone(), NLM_F_DUMP, |m| table.extend(keep(m)))?;
            if consistent {
                break;
            }
        }
        Ok(table)
    }

    /// Hands over the notifications of one datagram. False if none is waiting.
    ///
    /// # Errors
    ///
    /// `ENOBUFS` if notifications were lost.
    pub(super) fn notifications(
        &mut self,
        mut each: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<bool> {
        match self.receive() {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(e),
        }
        for message in messages(&self.buffer) {
            if let NetlinkPayload::InnerMessage(inner) = message.payload {
                each(inner);
            }
        }
        Ok(true)
    }

    /// Sends a request and reads its answer to the end. Returns whether the answer is of one piece: false
    /// if the table changed while it was dumped.
    fn exchange(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<bool> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let mut consistent = true;
        loop {
            self.receive()?;
            for answer in messages(&self.buffer) {
                // What a request given up earlier left behind.
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                consistent &= answer.header.flags & NLM_F_DUMP_INTR == 0;
                match answer.payload {
                    NetlinkPayload::InnerMessage(inner) => each(inner),
                    NetlinkPayload::Done(_) => return Ok(consistent),
                    NetlinkPayload::Error(e) => {
                        return match e.code {
                            Some(code) => Err(io::Error::from_raw_os_error(-code.get())),
                            None => Ok(consistent),
                        };
                    }
                    _ => {}
                }
            }
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, 0) {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// The messages of a datagram. One that is not understood (a newer kernel's) is skipped.
fn messages(
    mut bytes: &[u8],
) -> impl Iterator<Item = NetlinkMessage<RouteNetlinkMessage>> + use<'_> {
    std::iter::from_fn(move || {
        loop {
            let length = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
            let message = bytes.get(..length).filter(|m| m.len() >= 16)?;
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
            if let Ok(message) = NetlinkMessage::deserialize(message) {
                return Some(message);
            }
        }
    })
}
