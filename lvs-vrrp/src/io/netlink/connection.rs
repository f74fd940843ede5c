//! One netlink socket: requests and their answers, dumps, notifications.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use netlink_sys::{Socket, SocketAddr};

use super::message::{Message, Request};
use crate::io::sys;

/// The kernel never makes a datagram longer than this for a reader with such a buffer.
const BUFFER: usize = 64 * 1024;
/// Where notifications come in: those of thousands of addresses at once fit.
const RECEIVE_QUEUE: libc::c_int = 16 << 20;
/// The most requests on their way together: their answers fit in any receive queue.
const TOGETHER: usize = 64;
/// A table that changes while it is dumped is read again, so often at most.
const DUMP_TRIES: usize = 5;

/// A netlink socket in the namespace of the thread that opened it.
pub struct Connection {
    socket: Socket,
    number: u32,
    buffer: Vec<u8>,
}

impl Connection {
    /// For links, addresses, routes and rules.
    pub fn route() -> io::Result<Self> {
        Self::open(NETLINK_ROUTE)
    }

    /// For nftables.
    pub fn netfilter() -> io::Result<Self> {
        Self::open(NETLINK_NETFILTER)
    }

    /// For what rtnetlink notifies of, by the numbers of groups (RTNLGRP_…). It never waits, and must not be used for requests.
    pub fn subscribe(groups: &[u32]) -> io::Result<Self> {
        let connection = Self::open(NETLINK_ROUTE)?;
        let size = |option| sys::set_number(&connection, libc::SOL_SOCKET, option, RECEIVE_QUEUE);
        size(libc::SO_RCVBUFFORCE).or_else(|_| size(libc::SO_RCVBUF))?;
        connection.socket.set_non_blocking(true)?;
        for &group in groups {
            connection.socket.add_membership(group)?;
        }
        Ok(connection)
    }

    fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        // Nobody but the kernel is heard.
        socket.connect(&SocketAddr::new(0, 0))?;
        // A refusal need not repeat what was refused.
        socket.set_cap_ack(true)?;
        Ok(Self {
            socket,
            number: 0,
            buffer: Vec::with_capacity(BUFFER),
        })
    }

    /// Has the kernel do something, and waits until it is done.
    ///
    /// # Errors
    ///
    /// The kernel's refusal, by its number ([`io::Error::raw_os_error`]).
    pub fn request(&mut self, request: &Request) -> io::Result<()> {
        self.ask(request, NLM_F_ACK, |_| {}).map(drop)
    }

    /// Has the kernel do many things, one after the other, and waits until all are done: many times faster than one by one.
    /// Returns what became of each; one that is refused does not hinder others.
    ///
    /// # Errors
    ///
    /// The socket's. What became of the requests is then not known.
    pub fn requests(&mut self, requests: &[Request]) -> io::Result<Vec<io::Result<()>>> {
        let mut outcomes = Vec::with_capacity(requests.len());
        for together in requests.chunks(TOGETHER) {
            let first = self.number.wrapping_add(1);
            let mut bytes = Vec::new();
            for request in together {
                self.number = self.number.wrapping_add(1);
                request.write(self.number, NLM_F_ACK, &mut bytes);
            }
            self.send(&bytes)?;

            let mut codes = vec![None; together.len()];
            while codes.contains(&None) {
                self.receive(0)?;
                for answer in Message::all(&self.buffer) {
                    let index = answer.number().wrapping_sub(first) as usize;
                    if let (Some(code), Some(end)) = (codes.get_mut(index), answer.end()) {
                        *code = Some(end);
                    }
                }
            }
            outcomes.extend(codes.into_iter().flatten().map(outcome));
        }
        Ok(outcomes)
    }

    /// Has the kernel do several things together, or none of them: nftables' batches, which begin with a message of type
    /// NFNL_MSG_BATCH_BEGIN and end with NFNL_MSG_BATCH_END.
    ///
    /// # Errors
    ///
    /// The first refusal; nothing has then been done.
    pub fn transaction(&mut self, requests: &[Request]) -> io::Result<()> {
        let first = self.number.wrapping_add(1);
        let mut bytes = Vec::new();
        for request in requests {
            self.number = self.number.wrapping_add(1);
            request.write(self.number, 0, &mut bytes);
        }
        self.send(&bytes)?;

        // The kernel has worked through it before the call returned: what it has to say is there.
        let mut result = Ok(());
        loop {
            match self.receive(libc::MSG_DONTWAIT) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return result,
                Err(e) => return Err(e),
            }
            for answer in Message::all(&self.buffer) {
                let index = answer.number().wrapping_sub(first) as usize;
                if index < requests.len() && result.is_ok() {
                    result = answer.end().map_or(Ok(()), outcome);
                }
            }
        }
    }

    /// Asks for a whole table and keeps what `keep` makes of its entries. (Of an answer that had to be asked for again, what the
    /// last attempt brought.)
    pub fn dump<T>(
        &mut self,
        request: &Request,
        keep: impl Fn(Message<'_>) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let mut table = Vec::new();
        for _ in 0..DUMP_TRIES {
            table.clear();
            if self.ask(request, NLM_F_DUMP, |m| table.extend(keep(m)))? {
                break;
            }
        }
        Ok(table)
    }

    /// [`Self::dump`] of a table of rtnetlink.
    pub fn dump_route<T>(
        &mut self,
        message: RouteNetlinkMessage,
        keep: impl Fn(RouteNetlinkMessage) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        self.dump(&Request::route(message, 0), |m| keep(m.route()?))
    }

    /// Hands over the notifications of one datagram. False if none is waiting.
    ///
    /// # Errors
    ///
    /// `ENOBUFS` if notifications were lost.
    pub fn notifications(&mut self, each: impl FnMut(Message<'_>)) -> io::Result<bool> {
        match self.receive(libc::MSG_DONTWAIT) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(e),
        }
        Message::all(&self.buffer)
            .filter(|m| m.is_content())
            .for_each(each);
        Ok(true)
    }

    /// Sends a request and reads its answer to the end. Returns whether the answer is of one piece: false if the table changed
    /// while it was dumped.
    fn ask(
        &mut self,
        request: &Request,
        flags: u16,
        mut each: impl FnMut(Message<'_>),
    ) -> io::Result<bool> {
        self.number = self.number.wrapping_add(1);
        let mut bytes = Vec::new();
        request.write(self.number, flags, &mut bytes);
        self.send(&bytes)?;

        let mut whole = true;
        loop {
            self.receive(0)?;
            for answer in Message::all(&self.buffer) {
                // What a request given up earlier left behind.
                if answer.number() != self.number {
                    continue;
                }
                whole &= answer.flags() & NLM_F_DUMP_INTR == 0;
                if let Some(code) = answer.end() {
                    return outcome(code).map(|()| whole);
                }
                if answer.is_content() {
                    each(answer);
                }
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match self.socket.send(bytes, 0) {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn receive(&mut self, flags: libc::c_int) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, flags) {
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

fn outcome(code: i32) -> io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
