//! IPv6 and its extension headers (RFC 8200).

use lvs_core::{DropReason, Ip, Protocol};

use super::{Fragment, be16, be32, bytes, put};

/// Length of the fixed header.
pub const HEADER_LEN: usize = 40;

/// The most extension headers followed.
pub const MAX_EXTENSIONS: usize = 8;
/// The most bytes of extension headers followed.
pub const MAX_EXTENSIONS_LEN: usize = 256;

/// Offsets.
pub mod field {
    /// Version, traffic class and flow label: 4, 8 and 20 bits.
    pub const VERSION_CLASS_FLOW: usize = 0;
    /// Length of what follows the header, 16 bits.
    pub const PAYLOAD_LEN: usize = 4;
    /// What the next header is.
    pub const NEXT_HEADER: usize = 6;
    /// Hop limit.
    pub const HOP_LIMIT: usize = 7;
    /// Source address, 16 bytes.
    pub const SRC: usize = 8;
    /// Destination address, 16 bytes.
    pub const DST: usize = 24;
}

/// Numbers of the extension headers that are followed.
pub mod extension {
    /// Hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// Routing.
    pub const ROUTING: u8 = 43;
    /// Fragment.
    pub const FRAGMENT: u8 = 44;
    /// Authentication (AH), unlike the others counted in words of four bytes (RFC 4302 section 2.2).
    pub const AUTHENTICATION: u8 = 51;
    /// Destination options.
    pub const DESTINATION_OPTIONS: u8 = 60;
}

/// A view of the fixed header.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a>(&'a [u8; HEADER_LEN]);

impl<'a> Ipv6<'a> {
    /// The header at the start of `packet`, and what follows it.
    ///
    /// # Errors
    ///
    /// `Truncated` or `BadVersion`.
    #[inline(always)]
    pub fn new(packet: &'a [u8]) -> Result<(Self, &'a [u8]), DropReason> {
        let (header, rest) = packet.split_first_chunk().ok_or(DropReason::Truncated)?;
        let view = Self(header);
        if header[field::VERSION_CLASS_FLOW] >> 4 != 6 {
            return Err(DropReason::BadVersion);
        }
        Ok((view, rest))
    }

    /// Length of what follows the header, as the header tells it. Zero promises a jumbogram (RFC 2675) or
    /// nothing at all.
    #[inline]
    pub fn payload_len(&self) -> usize {
        usize::from(be16(self.0, field::PAYLOAD_LEN))
    }

    /// What the next header is.
    #[inline]
    pub fn next_header(&self) -> u8 {
        self.0[field::NEXT_HEADER]
    }

    /// Hop limit.
    #[inline]
    pub fn hop_limit(&self) -> u8 {
        self.0[field::HOP_LIMIT]
    }

    /// Source address.
    #[inline]
    pub fn src(&self) -> Ip {
        Ip::v6(bytes(self.0, field::SRC))
    }

    /// Destination address.
    #[inline]
    pub fn dst(&self) -> Ip {
        Ip::v6(bytes(self.0, field::DST))
    }
}

/// What lies between the fixed header and the transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Extensions {
    /// How many bytes.
    pub len: usize,
    /// What follows them.
    pub protocol: Protocol,
    /// The Fragment header, if there is one.
    pub fragment: Option<Fragment>,
}

/// Follows the extension headers in `payload`, the first of which is a `next_header`. Behind the
/// Fragment header of a later fragment lies no further header but the middle of the packet.
///
/// # Errors
///
/// - `Truncated`: a header is cut off.
/// - `BadExtension`: more than [`MAX_EXTENSIONS`] of them or [`MAX_EXTENSIONS_LEN`] bytes; a routing header
///   that routes (type 0 is deprecated by RFC 5095); two Fragment headers; hop-by-hop options other than
///   at the beginning; an authentication header shorter than its fixed part. Also headers behind the Fragment header of an actual fragment: later fragments
///   would not tell their protocol.
#[inline(always)]
pub fn extensions(payload: &[u8], next_header: u8) -> Result<Extensions, DropReason> {
    if is_extension(next_header) {
        return follow(payload, next_header);
    }
    Ok(Extensions {
        len: 0,
        protocol: Protocol(next_header),
        fragment: None,
    })
}

const fn is_extension(header: u8) -> bool {
    use extension::*;
    matches!(
        header,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS
    )
}

#[cold]
#[inline(never)]
fn follow(payload: &[u8], next_header: u8) -> Result<Extensions, DropReason> {
    let mut found = Extensions {
        len: 0,
        protocol: Protocol(next_header),
        fragment: None,
    };
    let mut count = 0;
    while is_extension(found.protocol.0) {
        let kind = found.protocol.0;
        // Every extension header is at least eight bytes long, and all but one a multiple of eight.
        let header: &[u8; 8] = payload
            .get(found.len..)
            .and_then(|rest| rest.first_chunk())
            .ok_or(DropReason::Truncated)?;
        let mut len = 8 + usize::from(header[1]) * 8;
        match kind {
            extension::HOP_BY_HOP if count > 0 => return Err(DropReason::BadExtension),
            // A routing header that is exhausted has done its work; its type and segments left are the
            // third and fourth byte.
            extension::ROUTING if header[2] == 0 || header[3] != 0 => {
                return Err(DropReason::BadExtension);
            }
            extension::FRAGMENT => {
                let offset = be16(header, 2);
                let fragment = Fragment {
                    id: be32(header, 4),
                    offset: offset & !7,
                    more: offset & 1 != 0,
                };
                let splits = !fragment.is_atomic() && is_extension(header[0]);
                if splits || found.fragment.replace(fragment).is_some() {
                    return Err(DropReason::BadExtension);
                }
                len = 8; // what is a length in other headers is reserved here
            }
            extension::AUTHENTICATION if header[1] == 0 => return Err(DropReason::BadExtension),
            extension::AUTHENTICATION => len = 8 + usize::from(header[1]) * 4,
            _ => {}
        }
        count += 1;
        found.len += len;
        found.protocol = Protocol(header[0]);
        if count > MAX_EXTENSIONS || found.len > MAX_EXTENSIONS_LEN {
            return Err(DropReason::BadExtension);
        }
    }
    if found.len > payload.len() {
        return Err(DropReason::Truncated);
    }
    Ok(found)
}

/// A header, with flow label 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the wire format is fixed")]
pub struct Repr {
    /// Traffic class: DSCP and ECN.
    pub traffic_class: u8,
    /// Length of what follows the header.
    pub payload_len: u16,
    /// What follows the header.
    pub protocol: Protocol,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
}

impl Repr {
    /// Writes the header.
    pub fn emit(&self) -> [u8; HEADER_LEN] {
        let mut h = [0; HEADER_LEN];
        let first = 6 << 28 | u32::from(self.traffic_class) << 20;
        put(&mut h, field::VERSION_CLASS_FLOW, first.to_be_bytes());
        put(&mut h, field::PAYLOAD_LEN, self.payload_len.to_be_bytes());
        h[field::NEXT_HEADER] = self.protocol.0;
        h[field::HOP_LIMIT] = self.hop_limit;
        put(&mut h, field::SRC, self.src);
        put(&mut h, field::DST, self.dst);
        h
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_cut_off_is_truncated() {
        let mut options = [0; 24];
        (options[0], options[1]) = (Protocol::UDP.0, 2);
        let found = extensions(&options, extension::DESTINATION_OPTIONS);
        let want = Extensions {
            len: 24,
            protocol: Protocol::UDP,
            fragment: None,
        };
        assert_eq!(found, Ok(want));
        for len in 0..24 {
            let found = extensions(&options[..len], extension::DESTINATION_OPTIONS);
            assert_eq!(found, Err(DropReason::Truncated), "{len} bytes");
        }
    }
}
