//! The receive ring: slots of memory shared with the kernel (`TPACKET_V2`).
//!
//! Version 2 and not 3, because version 3 gives out blocks of packets and holds an unfilled one back for a
//! millisecond. Each slot begins with a status word that says whose it is; the kernel fills the
//! slots in turn and stops at one that is not its own. Layout: linux/if_packet.h, `struct tpacket2_hdr`.

#![expect(unsafe_code, reason = "memory shared with the kernel")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{VNET_HEADER, offload_from};
use crate::frame::Offload;

/// `TPACKET_V2` as `PACKET_VERSION` takes it.
pub(super) const VERSION: libc::c_int = 1;

/// Enough for an Ethernet frame of 1500 bytes and the headers before it.
const SLOT: usize = 2048;
/// The kernel allocates blocks of whole pages; this is a multiple of every page size there is.
const BLOCK: usize = 64 << 10;

/// The ring for at least that many slots. (Too many are for the kernel to refuse.)
pub(super) fn geometry(slots: usize) -> libc::tpacket_req {
    let blocks = slots
        .clamp(1, u32::MAX as usize - BLOCK / SLOT)
        .div_ceil(BLOCK / SLOT);
    libc::tpacket_req {
        tp_block_size: BLOCK as u32,
        tp_block_nr: blocks as u32,
        tp_frame_size: SLOT as u32,
        tp_frame_nr: (blocks * (BLOCK / SLOT)) as u32,
    }
}

/// The mapped ring.
#[derive(Debug)]
pub(super) struct Ring {
    base: NonNull<u8>,
    slots: usize,
    next: usize,
}

// SAFETY: the mapping belongs to this value alone, and no thread is better than another for it.
unsafe impl Send for Ring {}

impl Ring {
    /// Maps the ring that the socket has just been given.
    pub(super) fn map(socket: BorrowedFd<'_>, g: &libc::tpacket_req) -> io::Result<Self> {
        let slots = g.tp_frame_nr as usize;
        // SAFETY: a fresh mapping at a place of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                slots * SLOT,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                socket.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self {
            base,
            slots,
            next: 0,
        })
    }

    /// The next filled slot, if there is one. Dropping it gives it back to the kernel.
    pub(super) fn next(&mut self) -> Option<Slot<'_>> {
        let status = self.status().load(Ordering::Acquire);
        // Not `then_some`: a slot made and dropped gives back one that is not ours.
        (status & libc::TP_STATUS_USER != 0).then(|| Slot { ring: self, status })
    }

    fn status(&self) -> &AtomicU32 {
        // SAFETY: `next` is below `slots`, so the slot lies in the mapping, aligned to its size; its first
        // word is shared with the kernel and only ever read and written as an atomic.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(self.next * SLOT).cast()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` mapped; no slot can be borrowed any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.slots * SLOT) };
    }
}

/// A slot that the kernel has filled and leaves alone.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    ring: &'a mut Ring,
    status: u32,
}

// Where things lie in a slot: struct tpacket2_hdr (32 bytes), then struct sockaddr_ll.
const TP_LEN: usize = 4;
const TP_SNAPLEN: usize = 8;
const TP_MAC: usize = 12;
const TP_VLAN_TCI: usize = 24;
const SLL_PKTTYPE: usize = 32 + 10;

impl Slot<'_> {
    /// Whether the whole frame is in the socket's queue, being too long for the slot.
    pub(super) fn is_queued(&self) -> bool {
        self.status & libc::TP_STATUS_COPY != 0
    }

    /// Whether the frame is one that this host sends.
    pub(super) fn is_outgoing(&self) -> bool {
        self.bytes()[SLL_PKTTYPE] == libc::PACKET_OUTGOING
    }

    /// The VLAN's number (0 to 4095) if the frame carried a tag.
    pub(super) fn vlan(&self) -> Option<u16> {
        (self.status & libc::TP_STATUS_VLAN_VALID != 0).then(|| self.half(TP_VLAN_TCI) & 0x0fff)
    }

    /// Checksum and segmentation state: it ends where the frame begins.
    pub(super) fn offload(&self) -> Offload {
        let at = usize::from(self.half(TP_MAC));
        at.checked_sub(VNET_HEADER)
            .and_then(|from| self.bytes().get(from..at)?.try_into().ok())
            .map_or_else(Offload::default, offload_from)
    }

    /// The frame, if all of it is in the slot.
    pub(super) fn frame(&self) -> Option<&[u8]> {
        let (len, present) = (self.word(TP_LEN), self.word(TP_SNAPLEN));
        let at = usize::from(self.half(TP_MAC));
        (len == present).then(|| self.bytes().get(at..at + present as usize))?
    }

    fn word(&self, at: usize) -> u32 {
        let b = self.bytes();
        u32::from_ne_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
    }

    fn half(&self, at: usize) -> u16 {
        u16::from_ne_bytes([self.bytes()[at], self.bytes()[at + 1]])
    }

    fn bytes(&self) -> &[u8; SLOT] {
        // SAFETY: `next` is below `slots`, so the slot lies in the mapping; its status said that it is
        // ours, so the kernel does not write to it until `drop` gives it back.
        unsafe { self.ring.base.add(self.ring.next * SLOT).cast().as_ref() }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let status = self.ring.status();
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.ring.next = (self.ring.next + 1) % self.ring.slots;
    }
}
