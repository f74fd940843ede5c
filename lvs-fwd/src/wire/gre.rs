//! GRE (RFC 2784) of version 0, with or without a checksum, and with none of what RFC 2890 adds.

use super::{be16, bytes, put};

/// Length of the header without a checksum.
pub const HEADER_LEN: usize = 4;
/// Length of the checksum and what is reserved behind it.
pub const CHECKSUM_LEN: usize = 4;

/// Offsets.
pub mod field {
    /// Flags and version, 16 bits.
    pub const FLAGS: usize = 0;
    /// EtherType of the payload, 16 bits.
    pub const PROTOCOL: usize = 2;
    /// Checksum over header and payload, 16 bits, if the flags say that there is one.
    pub const CHECKSUM: usize = 4;
}

/// In the flags: there is a checksum.
pub const CHECKSUM_PRESENT: u16 = 0x8000;

/// Writes a header, the checksum left zero; of it only the first [`HEADER_LEN`] bytes if there is to be none.
pub fn emit(protocol: u16, checksum: bool) -> [u8; HEADER_LEN + CHECKSUM_LEN] {
    let mut h = [0; HEADER_LEN + CHECKSUM_LEN];
    let flags = if checksum { CHECKSUM_PRESENT } else { 0 };
    put(&mut h, field::FLAGS, flags.to_be_bytes());
    put(&mut h, field::PROTOCOL, protocol.to_be_bytes());
    h
}

/// EtherType of the payload and length of the header that `packet` begins with. `None` if it is cut off, or has
/// another version or anything but a checksum in it.
pub fn parse(packet: &[u8]) -> Option<(u16, usize)> {
    let header: &[u8; HEADER_LEN] = packet.first_chunk()?;
    let len = match u16::from_be_bytes(bytes(header, field::FLAGS)) {
        0 => HEADER_LEN,
        CHECKSUM_PRESENT => HEADER_LEN + CHECKSUM_LEN,
        _ => return None,
    };
    (packet.len() >= len).then(|| (be16(header, field::PROTOCOL), len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ether::ethertype;

    #[test]
    fn what_is_written_can_be_read() {
        let plain = emit(ethertype::IPV4, false);
        assert_eq!(plain[..4], [0, 0, 8, 0]);
        assert_eq!(parse(&plain[..4]), Some((ethertype::IPV4, 4)));
        let summed = emit(ethertype::IPV6, true);
        assert_eq!(summed, [0x80, 0, 0x86, 0xdd, 0, 0, 0, 0]);
        assert_eq!(parse(&summed), Some((ethertype::IPV6, 8)));
    }

    #[test]
    fn other_kinds_are_not_read() {
        for flags in [0x0001, 0x2000, 0x1000, 0x4000, 0xa000, 0x8001, 0x0100] {
            let mut header = emit(ethertype::IPV4, true);
            header[..2].copy_from_slice(&u16::to_be_bytes(flags));
            assert_eq!(parse(&header), None, "{flags:04x}");
        }
        assert_eq!(parse(&[0, 0, 8]), None);
        assert_eq!(parse(&emit(ethertype::IPV4, true)[..7]), None);
    }
}
