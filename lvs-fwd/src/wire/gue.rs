//! Generic UDP encapsulation, variant 0 (draft-ietf-intarea-gue), as Linux speaks it: data messages, and of the
//! optional fields only remote checksum offload (draft-herbert-remotecsumoffload), which Linux keeps among its
//! private flags.

use super::{be16, bytes, put};

/// Length of the header without options.
pub const HEADER_LEN: usize = 4;
/// Length of the options of a packet whose receiver is to complete a checksum.
pub const REMOTE_CHECKSUM_LEN: usize = 8;

/// Offsets.
pub mod field {
    /// Variant (2 bits), control (1 bit), and the options' length in 32-bit words (5 bits).
    pub const VARIANT: usize = 0;
    /// IP protocol number of the payload, 8 bits.
    pub const PROTOCOL: usize = 1;
    /// Flags, 16 bits.
    pub const FLAGS: usize = 2;
    /// Private flags, 32 bits, if [`PRIVATE`](super::PRIVATE) is set.
    pub const PRIVATE_FLAGS: usize = 4;
    /// Where the receiver begins to sum, from the payload's start, 16 bits.
    pub const CHECKSUM_START: usize = 8;
    /// Where it puts the sum, from the payload's start, 16 bits.
    pub const CHECKSUM_FIELD: usize = 10;
}

/// In the flags: there are private flags.
pub const PRIVATE: u16 = 0x0001;
/// In the private flags: the receiver is to complete a checksum.
pub const REMOTE_CHECKSUM: u32 = 0x8000_0000;

/// In the first byte: variant and control, both 0 in what is read here.
const NOT_DATA: u8 = 0xe0;
/// In the first byte: the options' length.
const OPTIONS_LEN: u8 = 0x1f;

/// The checksum that a receiver is to complete, counted from the payload's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the wire format is fixed")]
pub struct RemoteChecksum {
    /// Where summing begins.
    pub start: u16,
    /// Where the sum is put.
    pub field: u16,
}

/// Writes a header, of which only the first [`HEADER_LEN`] bytes count if there is nothing to complete.
pub fn emit(
    protocol: u8,
    remote: Option<RemoteChecksum>,
) -> [u8; HEADER_LEN + REMOTE_CHECKSUM_LEN] {
    let mut h = [0; HEADER_LEN + REMOTE_CHECKSUM_LEN];
    h[field::PROTOCOL] = protocol;
    if let Some(r) = remote {
        h[field::VARIANT] = (REMOTE_CHECKSUM_LEN / 4) as u8;
        put(&mut h, field::FLAGS, PRIVATE.to_be_bytes());
        put(&mut h, field::PRIVATE_FLAGS, REMOTE_CHECKSUM.to_be_bytes());
        put(&mut h, field::CHECKSUM_START, r.start.to_be_bytes());
        put(&mut h, field::CHECKSUM_FIELD, r.field.to_be_bytes());
    }
    h
}

/// IP protocol number of the payload and length of the header that `packet` begins with, whatever options it has.
/// `None` if it is cut off, a control message, or of another variant.
pub fn parse(packet: &[u8]) -> Option<(u8, usize)> {
    let header: &[u8; HEADER_LEN] = packet.first_chunk()?;
    let [first, protocol] = bytes(header, field::VARIANT);
    let len = HEADER_LEN + usize::from(first & OPTIONS_LEN) * 4;
    (first & NOT_DATA == 0 && packet.len() >= len).then_some((protocol, len))
}

/// What the receiver is to complete, if the header that `packet` begins with has that option and no other.
pub fn remote_checksum(packet: &[u8]) -> Option<RemoteChecksum> {
    let header: &[u8; HEADER_LEN + REMOTE_CHECKSUM_LEN] = packet.first_chunk()?;
    let remote = RemoteChecksum {
        start: be16(header, field::CHECKSUM_START),
        field: be16(header, field::CHECKSUM_FIELD),
    };
    let [_, protocol, ..] = *header;
    (*header == emit(protocol, Some(remote))).then_some(remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let plain = emit(4, None);
        assert_eq!(plain[..4], [0, 4, 0, 0]);
        assert_eq!(parse(&plain[..4]), Some((4, 4)));
        assert_eq!(remote_checksum(&plain), None);
        let start_and_field = RemoteChecksum {
            start: 20,
            field: 36,
        };
        let remote = emit(41, Some(start_and_field));
        assert_eq!(remote, [2, 41, 0, 1, 0x80, 0, 0, 0, 0, 20, 0, 36]);
        assert_eq!(parse(&remote), Some((41, 12)));
        assert_eq!(remote_checksum(&remote), Some(start_and_field));
        assert_eq!(remote_checksum(&remote[..11]), None);
    }

    #[test]
    fn other_kinds_are_not_read() {
        for first in [0x20, 0x40, 0x80, 0xe0] {
            assert_eq!(parse(&[first, 4, 0, 0]), None, "{first:02x}");
        }
        assert_eq!(parse(&[1, 4, 0, 0, 0, 0, 0]), None);
        assert_eq!(parse(&[0, 4, 0]), None);
    }
}
