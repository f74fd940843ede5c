//! Sending: many frames with one system call.

#![expect(unsafe_code, reason = "sendmmsg and poll take pointers")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::socket::{Failed, Socket};
use super::{VNET_HEADER, offload_to};
use crate::frame::Packet;
use crate::io::Sent;

/// The most frames a call.
const BATCH: usize = 64;
/// How long, in milliseconds, to wait for room in the send buffer, once for each list of packets.
const PATIENCE: libc::c_int = 1;

/// The sending half of a port.
pub(super) struct Transmitter {
    socket: Socket,
    headers: Vec<[u8; VNET_HEADER]>,
    /// Header, head and body of each frame.
    parts: Vec<[libc::iovec; 3]>,
    messages: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in `parts` and `messages` mean nothing between calls of `transmit`.
unsafe impl Send for Transmitter {}

impl std::fmt::Debug for Transmitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Transmitter").field(&self.socket).finish()
    }
}

impl Transmitter {
    pub(super) fn new(ifindex: u32, qdisc_bypass: bool) -> Result<Self, Failed> {
        let socket = Socket::new()?;
        socket.start_sending(ifindex, qdisc_bypass)?;
        Ok(Self::over(socket))
    }

    /// One whose frames bear a mark by which they are turned round.
    pub(super) fn to_host(ifindex: u32, mark: u32) -> Result<Self, Failed> {
        let socket = Socket::new()?;
        socket.set_mark(mark)?;
        socket.start_sending(ifindex, false)?;
        Ok(Self::over(socket))
    }

    fn over(socket: Socket) -> Self {
        // SAFETY: all zero is a valid mmsghdr, one that names nothing.
        let message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        Self {
            socket,
            headers: vec![[0; VNET_HEADER]; BATCH],
            parts: vec![[iovec(&[]); 3]; BATCH],
            messages: vec![message; BATCH],
        }
    }

    /// Sends all packets; `'p` being the caller's, their bytes outlive the call.
    pub(super) fn transmit<'p>(&mut self, packets: &mut dyn Iterator<Item = Packet<'p>>) -> Sent {
        let mut total = Sent::default();
        let mut patience = PATIENCE;
        loop {
            let mut count = 0;
            let places = self
                .headers
                .iter_mut()
                .zip(&mut self.parts)
                .zip(&mut self.messages);
            for ((header, parts), message) in places {
                let Some(packet) = packets.next() else { break };
                *header = offload_to(&packet.offload);
                *parts = [iovec(header), iovec(packet.head), iovec(packet.body)];
                message.msg_hdr.msg_iov = parts.as_mut_ptr();
                message.msg_hdr.msg_iovlen = parts.len() as _;
                count += 1;
            }
            if count == 0 {
                return total;
            }
            let sent = self.flush(count, &mut patience);
            total.sent += sent;
            total.failed += count - sent;
            if count < BATCH {
                return total;
            }
        }
    }

    /// Sends the first `count` messages, skipping those that are refused. Returns how many went out.
    fn flush(&mut self, count: usize, patience: &mut libc::c_int) -> usize {
        let (mut at, mut sent) = (0, 0);
        while at < count {
            let rest = &mut self.messages[at..count];
            // SAFETY: each message names three parts of bytes that `transmit` has just put there and that
            // outlive it; the kernel writes only to `msg_len`.
            let n = unsafe {
                libc::sendmmsg(
                    self.socket.as_fd().as_raw_fd(),
                    rest.as_mut_ptr(),
                    rest.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            if let Ok(n) = usize::try_from(n) {
                at += n.max(1);
                sent += n;
                continue;
            }
            // The call stops before a packet it refuses; the next call says why.
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN) if *patience > 0 => self.wait(std::mem::take(patience)),
                Some(libc::EAGAIN | libc::ENETDOWN | libc::ENXIO) => return sent,
                _ => at += 1,
            }
        }
        sent
    }

    /// Waits for room in the send buffer.
    fn wait(&self, milliseconds: libc::c_int) {
        let mut poll = libc::pollfd {
            fd: self.socket.as_fd().as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: one pollfd, which outlives the call. That nothing came of it shows at the next attempt.
        unsafe { libc::poll(&mut poll, 1, milliseconds) };
    }
}

fn iovec(bytes: &[u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    }
}
