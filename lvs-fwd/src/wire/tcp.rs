//! TCP (RFC 9293).

use lvs_core::{DropReason, TcpFlags};

use super::{be16, be32, put};

/// Length of the header without options.
pub const HEADER_LEN: usize = 20;

/// Offsets.
pub mod field {
    /// Source port, 16 bits.
    pub const SRC_PORT: usize = 0;
    /// Destination port, 16 bits.
    pub const DST_PORT: usize = 2;
    /// Sequence number, 32 bits.
    pub const SEQ: usize = 4;
    /// Acknowledgement number, 32 bits.
    pub const ACK: usize = 8;
    /// Data offset in the upper four bits.
    pub const DATA_OFFSET: usize = 12;
    /// Flags, 8 bits.
    pub const FLAGS: usize = 13;
    /// Window, 16 bits.
    pub const WINDOW: usize = 14;
    /// Checksum, 16 bits.
    pub const CHECKSUM: usize = 16;
}

/// A view of the header.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a>(&'a [u8; HEADER_LEN]);

impl<'a> Tcp<'a> {
    /// The header at the start of `segment`, which must hold its options as well.
    ///
    /// # Errors
    ///
    /// `Truncated` if it does not, `BadHeaderLength` if the data offset lies inside the fixed header.
    #[inline(always)]
    pub fn new(segment: &'a [u8]) -> Result<Self, DropReason> {
        let header = segment.first_chunk().ok_or(DropReason::Truncated)?;
        let view = Self(header);
        match view.header_len() {
            n if n < HEADER_LEN => Err(DropReason::BadHeaderLength),
            n if n > segment.len() => Err(DropReason::Truncated),
            _ => Ok(view),
        }
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

    /// Sequence number.
    pub fn seq(&self) -> u32 {
        be32(self.0, field::SEQ)
    }

    /// Acknowledgement number; counts only with [`TcpFlags::ACK`].
    pub fn ack(&self) -> u32 {
        be32(self.0, field::ACK)
    }

    /// Length of the header with its options.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.0[field::DATA_OFFSET] >> 4) * 4
    }

    /// Flags.
    #[inline]
    pub fn flags(&self) -> TcpFlags {
        TcpFlags(self.0[field::FLAGS])
    }
}

/// A segment without options or payload, and with window 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Repr {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags.
    pub flags: TcpFlags,
}

impl Repr {
    /// Writes the header. The checksum is left zero: it covers the addresses too.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let mut h = [0; HEADER_LEN];
        put(&mut h, field::SRC_PORT, self.src_port.to_be_bytes());
        put(&mut h, field::DST_PORT, self.dst_port.to_be_bytes());
        put(&mut h, field::SEQ, self.seq.to_be_bytes());
        put(&mut h, field::ACK, self.ack.to_be_bytes());
        h[field::DATA_OFFSET] = (HEADER_LEN as u8 / 4) << 4;
        h[field::FLAGS] = self.flags.0;
        h
    }
}
