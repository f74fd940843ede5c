//! IPv4 (RFC 791).

use lvs_core::{DropReason, Ip, Protocol};

use super::{Fragment, be16, be32, bytes, put};
use crate::checksum::{self, Sum};

/// Length of the header without options.
pub const HEADER_LEN: usize = 20;

/// Offsets.
pub mod field {
    /// Version and header length, 4 bits each.
    pub const VERSION_IHL: usize = 0;
    /// Type of service: DSCP and ECN.
    pub const TOS: usize = 1;
    /// Length of the packet, 16 bits.
    pub const TOTAL_LEN: usize = 2;
    /// Identification, 16 bits.
    pub const ID: usize = 4;
    /// Three flags and the fragment's offset, 16 bits together.
    pub const FRAGMENT: usize = 6;
    /// Time to live.
    pub const TTL: usize = 8;
    /// Protocol of the payload.
    pub const PROTOCOL: usize = 9;
    /// Checksum of the header, 16 bits.
    pub const CHECKSUM: usize = 10;
    /// Source address, 4 bytes.
    pub const SRC: usize = 12;
    /// Destination address, 4 bytes.
    pub const DST: usize = 16;
}

/// In [`field::FRAGMENT`]: do not fragment.
pub const DONT_FRAGMENT: u16 = 0x4000;
/// In [`field::FRAGMENT`]: more fragments follow.
pub const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

/// Options that name the routers to pass (RFC 791: loose and strict source route).
const SOURCE_ROUTES: [u8; 2] = [131, 137];

/// A view of the header.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    fixed: &'a [u8; HEADER_LEN],
    options: &'a [u8],
}

impl<'a> Ipv4<'a> {
    /// The header at the start of `packet`, options included.
    ///
    /// # Errors
    ///
    /// `Truncated`, `BadVersion` or `BadHeaderLength`.
    #[inline(always)]
    pub fn new(packet: &'a [u8]) -> Result<Self, DropReason> {
        let (fixed, rest) = packet.split_first_chunk().ok_or(DropReason::Truncated)?;
        let version_ihl = fixed[field::VERSION_IHL];
        if version_ihl == 0x45 {
            return Ok(Self {
                fixed,
                options: &[],
            });
        }
        if version_ihl >> 4 != 4 {
            return Err(DropReason::BadVersion);
        }
        let options_len = (usize::from(version_ihl & 0xf) * 4)
            .checked_sub(HEADER_LEN)
            .ok_or(DropReason::BadHeaderLength)?;
        let options = rest.get(..options_len).ok_or(DropReason::Truncated)?;
        Ok(Self { fixed, options })
    }

    /// Length of the header, options included.
    #[inline]
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.options.len()
    }

    /// Length of the packet as the header tells it.
    #[inline]
    pub fn total_len(&self) -> usize {
        usize::from(be16(self.fixed, field::TOTAL_LEN))
    }

    /// Whether routers must not fragment the packet.
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        be16(self.fixed, field::FRAGMENT) & DONT_FRAGMENT != 0
    }

    /// Which fragment the packet is, or `None` if it is whole.
    #[inline(always)]
    pub fn fragment(&self) -> Option<Fragment> {
        let field = be16(self.fixed, field::FRAGMENT);
        (field & (MORE_FRAGMENTS | OFFSET_MASK) != 0).then(|| Fragment {
            id: u32::from(be16(self.fixed, field::ID)),
            offset: (field & OFFSET_MASK) * 8,
            more: field & MORE_FRAGMENTS != 0,
        })
    }

    /// Time to live.
    #[inline]
    pub fn ttl(&self) -> u8 {
        self.fixed[field::TTL]
    }

    /// Protocol of the payload.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        Protocol(self.fixed[field::PROTOCOL])
    }

    /// Source address.
    #[inline]
    pub fn src(&self) -> Ip {
        Ip::v4(bytes(self.fixed, field::SRC))
    }

    /// Destination address.
    #[inline]
    pub fn dst(&self) -> Ip {
        Ip::v4(bytes(self.fixed, field::DST))
    }

    /// Whether the header's checksum is right.
    #[inline(always)]
    pub fn checksum_ok(&self) -> bool {
        let mut sum = Sum::new();
        for at in (0..HEADER_LEN).step_by(4) {
            sum.add_u32(be32(self.fixed, at));
        }
        if !self.options.is_empty() {
            sum.add_bytes(self.options);
        }
        sum.finish() == 0
    }

    /// Whether an option routes the packet by way of chosen hosts.
    ///
    /// # Errors
    ///
    /// `BadHeaderLength` if an option's length cannot be.
    pub fn is_source_routed(&self) -> Result<bool, DropReason> {
        let mut options = self.options;
        loop {
            match *options {
                [] | [0, ..] => return Ok(false),     // end of options
                [1, ref rest @ ..] => options = rest, // no operation
                [kind, len, ..] => {
                    options = options
                        .get(usize::from(len)..)
                        .filter(|_| len >= 2)
                        .ok_or(DropReason::BadHeaderLength)?;
                    if SOURCE_ROUTES.contains(&kind) {
                        return Ok(true);
                    }
                }
                [_] => return Err(DropReason::BadHeaderLength),
            }
        }
    }
}

/// A header without options, of a packet that is no fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the wire format is fixed")]
pub struct Repr {
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// Length of what follows the header.
    pub payload_len: u16,
    /// Identification; needless with `dont_fragment` (RFC 6864).
    pub id: u16,
    /// Whether routers must not fragment the packet.
    pub dont_fragment: bool,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: Protocol,
    /// Source address.
    pub src: [u8; 4],
    /// Destination address.
    pub dst: [u8; 4],
}

impl Repr {
    /// Writes the header with its checksum. A payload too long for the format makes the length field
    /// wrap, so callers bound it.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let mut h = [0; HEADER_LEN];
        let total_len = self.payload_len.wrapping_add(HEADER_LEN as u16);
        let fragment = if self.dont_fragment { DONT_FRAGMENT } else { 0 };
        h[field::VERSION_IHL] = 0x45;
        h[field::TOS] = self.tos;
        put(&mut h, field::TOTAL_LEN, total_len.to_be_bytes());
        put(&mut h, field::ID, self.id.to_be_bytes());
        put(&mut h, field::FRAGMENT, fragment.to_be_bytes());
        h[field::TTL] = self.ttl;
        h[field::PROTOCOL] = self.protocol.0;
        put(&mut h, field::SRC, self.src);
        put(&mut h, field::DST, self.dst);
        let checksum = checksum::of(&h);
        put(&mut h, field::CHECKSUM, checksum.to_be_bytes());
        h
    }
}
