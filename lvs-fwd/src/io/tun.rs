//! A network interface whose other end is a file: what the kernel sends on it is read, what is written it receives.
//!
//! The packets are IP packets without a link layer. In a [`Frame`] they are given an Ethernet header all the same, so that
//! [`parse`](crate::parse) and all that follows can be applied to them.

#![expect(unsafe_code, reason = "ioctl takes a pointer")]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use super::packet::{VNET_HEADER, offload_to};
use crate::frame::{Frame, Offload, PortId};
use crate::parse::Layout;
use crate::route::Mac;
use crate::wire::ether::{self, ethertype};

/// The largest IP packet.
const MAX_PACKET: usize = 65_535;
/// Where a read begins in the buffer, so that the packet behind its header of checksum state has room for an Ethernet header.
const BEFORE: usize = ether::HEADER_LEN - VNET_HEADER;

/// The file's end of the interface.
///
/// [`AsFd`] gives the descriptor to poll for reading.
#[derive(Debug)]
pub struct Tun {
    file: File,
    buffer: Box<[u8]>,
}

impl Tun {
    /// The Ethernet address to which frames are addressed that are received: the `own_mac` for [`parse`](crate::parse::parse).
    pub const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    /// Makes an interface in the calling thread's network namespace. It is down, and has no address.
    ///
    /// # Errors
    ///
    /// `ENOENT` where `/dev/net/tun` is missing, `EPERM` without `CAP_NET_ADMIN`; `InvalidInput` if the name is too long to be
    /// an interface's.
    pub fn new(name: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK);
        let file = options.open("/dev/net/tun")?;
        // SAFETY: all zero is a valid value of every member of the structure and its union.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        // One byte stays zero to end the name.
        if name.len() >= request.ifr_name.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        // SAFETY: TUNSETIFF reads and writes one ifreq, which outlives the call.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &mut request) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            file,
            buffer: vec![0; ether::HEADER_LEN + MAX_PACKET].into_boxed_slice(),
        })
    }

    /// Takes a packet that the kernel has sent. Its checksums are complete: nothing else is asked of the kernel. Returns false,
    /// and leaves the frame as it is, if there is none.
    ///
    /// # Errors
    ///
    /// The interface is down or gone.
    pub fn receive(&mut self, into: &mut Frame) -> io::Result<bool> {
        let read = match self.file.read(&mut self.buffer[BEFORE..]) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            read => read?,
        };
        let end = (BEFORE + read).max(ether::HEADER_LEN);
        let Some((link, packet)) = self.buffer[..end].split_first_chunk_mut() else {
            return Ok(false);
        };
        let kind = match packet.first().map(|byte| byte >> 4) {
            Some(6) => ethertype::IPV6,
            _ => ethertype::IPV4,
        };
        *link = ether::emit(Self::MAC, Mac::default(), kind);
        Ok(into.fill(&self.buffer[..end], Offload::default(), PortId(0)))
    }

    /// Has the kernel receive a frame's IP packet, together with what is known of its checksum.
    ///
    /// # Errors
    ///
    /// The kernel does not take it; `InvalidInput` if the layout is not the frame's.
    pub fn send(&mut self, frame: &Frame, layout: &Layout) -> io::Result<()> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let packet = frame.bytes().get(usize::from(layout.l3)..layout.end());
        let packet = packet.ok_or_else(invalid)?;
        let header = offload_to(&without_link(frame.offload, layout.l3));
        let parts = [IoSlice::new(&header), IoSlice::new(packet)];
        self.file.write_vectored(&parts).map(drop)
    }
}

/// The same, counted from the IP header on.
fn without_link(offload: Offload, l3: u16) -> Offload {
    Offload {
        hdr_len: offload.hdr_len.saturating_sub(l3),
        csum_start: offload.csum_start.saturating_sub(l3),
        ..offload
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
