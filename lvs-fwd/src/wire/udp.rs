//! UDP (RFC 768).

use super::{be16, put};

/// Length of the header.
pub const HEADER_LEN: usize = 8;

/// Offsets.
pub mod field {
    /// Source port, 16 bits.
    pub const SRC_PORT: usize = 0;
    /// Destination port, 16 bits.
    pub const DST_PORT: usize = 2;
    /// Length with the header, 16 bits.
    pub const LEN: usize = 4;
    /// Checksum, 16 bits; 0 over IPv4 means none.
    pub const CHECKSUM: usize = 6;
}

/// A view of the header.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a>(&'a [u8; HEADER_LEN]);

impl<'a> Udp<'a> {
    /// The header at the start of `datagram`, or `None` if that is too short.
    #[inline]
    pub fn new(datagram: &'a [u8]) -> Option<Self> {
        datagram.first_chunk().map(Self)
    }

    /// Source port.
    #[inline]
    pub fn src_port(&self) -> u16 {
        be16(self.0, field::SRC_PORT)
    }

    /// Destination port.
    #[inline]
    pub fn dst_port(&self) -> u16 {
        be16(self.0, field::DST_PORT)
    }

    /// Length of the datagram as the header tells it.
    #[inline]
    pub fn datagram_len(&self) -> usize {
        usize::from(be16(self.0, field::LEN))
    }
}

/// Writes a header in front of `payload_len` bytes, the checksum left zero.
pub fn emit(src_port: u16, dst_port: u16, payload_len: u16) -> [u8; HEADER_LEN] {
    let mut h = [0; HEADER_LEN];
    let len = payload_len.wrapping_add(HEADER_LEN as u16);
    put(&mut h, field::SRC_PORT, src_port.to_be_bytes());
    put(&mut h, field::DST_PORT, dst_port.to_be_bytes());
    put(&mut h, field::LEN, len.to_be_bytes());
    h
}
