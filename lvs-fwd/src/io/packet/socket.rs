//! Packet sockets and their options, in the order the kernel wants them.

#![expect(unsafe_code, reason = "socket calls take pointers")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::ring::{self, Ring};
use super::{VNET_HEADER, offload_from};
use crate::frame::{Frame, PortId};
use crate::io::bpf::Program;
use crate::route::Mac;

/// A step that failed, and how.
pub(super) type Failed = (&'static str, io::Error);

/// A packet socket (`AF_PACKET`, raw frames).
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

/// Room for aggregates waiting to be received, and for frames waiting to be sent.
const RECEIVE_BUFFER: libc::c_int = 64 << 20;
const SEND_BUFFER: libc::c_int = 16 << 20;

/// A fan-out group, as `PACKET_FANOUT` takes it: number, mode and flags.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fanout(u32);

impl Socket {
    /// A socket that is bound to nothing and receives nothing yet, since it has no protocol.
    pub(super) fn new() -> Result<Self, Failed> {
        open(libc::AF_PACKET, libc::SOCK_RAW)
            .map(Self)
            .map_err(|e| ("socket(AF_PACKET)", e))
    }

    /// Makes the socket receive from an interface through a ring. The order of the steps matters: the
    /// header option precedes the ring, and filter and ring precede the binding, with which frames begin to come.
    pub(super) fn start_receiving(
        &self,
        ifindex: u32,
        slots: usize,
        filter: Option<&Program>,
    ) -> Result<Ring, Failed> {
        let packet = libc::SOL_PACKET;
        self.set(
            "PACKET_IGNORE_OUTGOING",
            packet,
            libc::PACKET_IGNORE_OUTGOING,
            1,
        )?;
        self.set("PACKET_VNET_HDR", packet, libc::PACKET_VNET_HDR, 1)?;
        self.set_buffer(
            "SO_RCVBUF",
            libc::SO_RCVBUFFORCE,
            libc::SO_RCVBUF,
            RECEIVE_BUFFER,
        )?;
        self.set("PACKET_COPY_THRESH", packet, libc::PACKET_COPY_THRESH, 1)?;
        self.set(
            "PACKET_VERSION",
            packet,
            libc::PACKET_VERSION,
            ring::VERSION,
        )?;
        if let Some(program) = filter {
            let fd = program.as_fd().as_raw_fd();
            self.set("SO_ATTACH_BPF", libc::SOL_SOCKET, libc::SO_ATTACH_BPF, fd)?;
        }
        let geometry = ring::geometry(slots);
        self.set("PACKET_RX_RING", packet, libc::PACKET_RX_RING, geometry)?;
        let ring = Ring::map(self.0.as_fd(), &geometry).map_err(|e| ("mmap", e))?;
        self.bind(libc::ETH_P_ALL as u16, ifindex)?;
        Ok(ring)
    }

    /// Makes the socket receive from an interface without a ring. A filter should be there by now.
    pub(super) fn start_tapping(&self, ifindex: u32) -> Result<(), Failed> {
        let packet = libc::SOL_PACKET;
        self.set(
            "PACKET_IGNORE_OUTGOING",
            packet,
            libc::PACKET_IGNORE_OUTGOING,
            1,
        )?;
        self.set("PACKET_VNET_HDR", packet, libc::PACKET_VNET_HDR, 1)?;
        self.bind(libc::ETH_P_ALL as u16, ifindex)
    }

    /// Makes the socket one for sending only.
    pub(super) fn start_sending(&self, ifindex: u32, qdisc_bypass: bool) -> Result<(), Failed> {
        self.set(
            "PACKET_VNET_HDR",
            libc::SOL_PACKET,
            libc::PACKET_VNET_HDR,
            1,
        )?;
        self.set_buffer(
            "SO_SNDBUF",
            libc::SO_SNDBUFFORCE,
            libc::SO_SNDBUF,
            SEND_BUFFER,
        )?;
        if qdisc_bypass {
            self.set(
                "PACKET_QDISC_BYPASS",
                libc::SOL_PACKET,
                libc::PACKET_QDISC_BYPASS,
                1,
            )?;
        }
        self.bind(0, ifindex)
    }

    /// Gives a mark to all that is sent.
    pub(super) fn set_mark(&self, mark: u32) -> Result<(), Failed> {
        self.set("SO_MARK", libc::SOL_SOCKET, libc::SO_MARK, mark)
    }

    /// Creates a fan-out group with this socket as its first member. The number is one nobody has.
    pub(super) fn create_group(&self, steering: Option<&Program>) -> Result<Fanout, Failed> {
        let mode = match steering {
            Some(_) => libc::PACKET_FANOUT_EBPF,
            None => libc::PACKET_FANOUT_HASH,
        };
        // In a group the members' PACKET_IGNORE_OUTGOING is ignored; only this flag counts.
        let kind = mode | libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
        let create = (kind | libc::PACKET_FANOUT_FLAG_UNIQUEID) << 16;
        self.set(
            "PACKET_FANOUT",
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            create,
        )?;
        let got: u32 = self
            .get(libc::SOL_PACKET, libc::PACKET_FANOUT)
            .map_err(|e| ("PACKET_FANOUT", e))?;
        if let Some(program) = steering {
            let fd = program.as_fd().as_raw_fd();
            self.set(
                "PACKET_FANOUT_DATA",
                libc::SOL_PACKET,
                libc::PACKET_FANOUT_DATA,
                fd,
            )?;
        }
        Ok(Fanout(got & 0xffff | kind << 16))
    }

    /// Joins a group as its next member.
    pub(super) fn join_group(&self, group: Fanout) -> Result<(), Failed> {
        self.set(
            "PACKET_FANOUT",
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            group.0,
        )
    }

    pub(super) fn join_multicast(&self, ifindex: u32, group: Mac) -> io::Result<()> {
        let mut address = [0; 8];
        address[..6].copy_from_slice(&group.0);
        let membership = libc::packet_mreq {
            mr_ifindex: ifindex as libc::c_int,
            mr_type: libc::PACKET_MR_MULTICAST as u16,
            mr_alen: 6,
            mr_address: address,
        };
        self.set(
            "PACKET_ADD_MEMBERSHIP",
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            membership,
        )
        .map_err(|(_, e)| e)
    }

    /// Packets and drops since the last call.
    pub(super) fn take_statistics(&self) -> io::Result<(u32, u32)> {
        let [packets, drops]: [u32; 2] = self.get(libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        Ok((packets, drops))
    }

    /// Reports a pending error, once.
    pub(super) fn take_error(&self) -> io::Result<()> {
        match self.get::<libc::c_int>(libc::SOL_SOCKET, libc::SO_ERROR)? {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Receives the frame at the head of the socket's queue. Returns false, the frame then being
    /// meaningless, if there is none or it is too long.
    pub(super) fn receive_big(&self, into: &mut Frame, port: PortId) -> bool {
        let mut header = [0; VNET_HEADER];
        let room = into.receive_buffer();
        let longest = room.len();
        let mut parts = [iovec(&mut header), iovec(room)];
        // SAFETY: all zero is a valid msghdr, one without address and control data.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = parts.as_mut_ptr();
        message.msg_iovlen = parts.len() as _;
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: the message names the two buffers with their lengths; both outlive the call.
        let got = unsafe { libc::recvmsg(self.0.as_raw_fd(), &mut message, flags) };
        let Some(len) = usize::try_from(got)
            .ok()
            .and_then(|n| n.checked_sub(VNET_HEADER))
        else {
            return false;
        };
        into.set_len(len);
        into.offload = offload_from(&header);
        into.port = port;
        len <= longest
    }

    fn bind(&self, protocol: u16, ifindex: u32) -> Result<(), Failed> {
        // SAFETY: all zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol.to_be();
        address.sll_ifindex = ifindex as libc::c_int;
        // SAFETY: the address is as long as said and outlives the call.
        let result = unsafe {
            libc::bind(
                self.0.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                size_of_val(&address) as libc::socklen_t,
            )
        };
        check(result).map(drop).map_err(|e| ("bind", e))
    }

    /// Sets a buffer size beyond the system's limit, or up to it where that is not permitted.
    fn set_buffer(
        &self,
        step: &'static str,
        force: libc::c_int,
        plain: libc::c_int,
        size: libc::c_int,
    ) -> Result<(), Failed> {
        self.set(step, libc::SOL_SOCKET, force, size)
            .or_else(|_| self.set(step, libc::SOL_SOCKET, plain, size))
    }

    /// Sets an option whose value is plain data: no option with a pointer in it may come here.
    fn set<T: Copy>(
        &self,
        step: &'static str,
        level: libc::c_int,
        name: libc::c_int,
        value: T,
    ) -> Result<(), Failed> {
        // SAFETY: the kernel reads no more than the value, which outlives the call.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                level,
                name,
                std::ptr::from_ref(&value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        check(result).map(drop).map_err(|e| (step, e))
    }

    /// Reads an option. `T` is an integer or an array of them.
    fn get<T: Copy + Default>(&self, level: libc::c_int, name: libc::c_int) -> io::Result<T> {
        let mut value = T::default();
        let mut len = size_of::<T>() as libc::socklen_t;
        // SAFETY: the kernel writes no more than `len` bytes to the value, for which any bits are valid.
        let result = unsafe {
            libc::getsockopt(
                self.0.as_raw_fd(),
                level,
                name,
                std::ptr::from_mut(&mut value).cast(),
                &mut len,
            )
        };
        check(result).map(|_| value)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket on which interfaces can be asked about; needs no privilege.
pub(super) fn for_ioctl() -> io::Result<OwnedFd> {
    open(libc::AF_INET, libc::SOCK_DGRAM).or_else(|_| open(libc::AF_INET6, libc::SOCK_DGRAM))
}

/// The result of a system call that returns −1 on failure.
pub(super) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn open(family: libc::c_int, kind: libc::c_int) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes no pointers.
    let fd = check(unsafe { libc::socket(family, kind | flags, 0) })?;
    // SAFETY: the kernel has just opened it for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn iovec(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}
