//! Ethernet II.

use super::{be16, bytes, put};
use crate::route::Mac;

/// Length of the header.
pub const HEADER_LEN: usize = 14;

/// Offsets.
pub mod field {
    /// Destination address, 6 bytes.
    pub const DST: usize = 0;
    /// Source address, 6 bytes.
    pub const SRC: usize = 6;
    /// EtherType, 16 bits.
    pub const ETHERTYPE: usize = 12;
}

/// EtherTypes.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP.
    pub const ARP: u16 = 0x0806;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
}

/// A view of the header.
#[derive(Clone, Copy, Debug)]
pub struct Ether<'a>(&'a [u8; HEADER_LEN]);

impl<'a> Ether<'a> {
    /// The header and what follows it, or `None` if the frame is too short.
    #[inline]
    pub fn new(frame: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = frame.split_first_chunk()?;
        Some((Self(header), rest))
    }

    /// Destination address.
    #[inline]
    pub fn dst(&self) -> Mac {
        Mac(bytes(self.0, field::DST))
    }

    /// Source address.
    #[inline]
    pub fn src(&self) -> Mac {
        Mac(bytes(self.0, field::SRC))
    }

    /// EtherType; below 0x0600 it is a length, and the frame an IEEE 802.3 one.
    #[inline]
    pub fn ethertype(&self) -> u16 {
        be16(self.0, field::ETHERTYPE)
    }
}

/// Writes a header.
pub fn emit(dst: Mac, src: Mac, ethertype: u16) -> [u8; HEADER_LEN] {
    let mut h = [0; HEADER_LEN];
    put(&mut h, field::DST, dst.0);
    put(&mut h, field::SRC, src.0);
    put(&mut h, field::ETHERTYPE, ethertype.to_be_bytes());
    h
}
