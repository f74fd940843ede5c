//! A scratch for the headers of one outgoing packet, before [`Outputs`](crate::frame::Outputs) keeps them.

use crate::wire::{ether, gue, ipv6, udp};

/// The most bytes that stand in front of an inner packet: Ethernet, IPv6 with a Fragment header, and GUE with all of
/// its options.
const OUTER: usize = ether::HEADER_LEN
    + ipv6::HEADER_LEN
    + 8
    + udp::HEADER_LEN
    + gue::HEADER_LEN
    + gue::REMOTE_CHECKSUM_LEN;

/// The same and an IPv6 header with all the extension headers that are followed, and the longest TCP header.
const CAPACITY: usize = OUTER + ipv6::HEADER_LEN + ipv6::MAX_EXTENSIONS_LEN + 60;

/// Headers in the making, on the stack.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    buf: [u8; CAPACITY],
    len: usize,
}

impl Head {
    /// The longest headers of a received packet (IP and transport) that leave room for new ones in front
    /// of them.
    pub(crate) const MAX_INNER: usize = CAPACITY - OUTER;

    pub(crate) const fn new() -> Self {
        Self {
            buf: [0; CAPACITY],
            len: 0,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buf[..self.len]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buf[..self.len]
    }

    /// Appends `bytes`. Callers bound what comes from outside by [`Self::MAX_INNER`]; what does not fit is
    /// left out.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        debug_assert!(self.len + bytes.len() <= CAPACITY, "headers too long");
        if let Some(room) = self.buf[self.len..].get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }
}

/// The 16-bit number at `at`, or `None` beyond the end.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_be_bytes)
}

/// The 32-bit number at `at`, or `None` beyond the end.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_be_bytes)
}

/// Puts a 16-bit number at `at`; beyond the end it does nothing.
pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// Puts a 32-bit number at `at`; beyond the end it does nothing.
pub(crate) fn put32(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(field) = bytes.get_mut(at..at + 4) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
