//! ICMP for IPv4 (RFC 792) and IPv6 (RFC 4443): the two differ in numbers and in the checksum, not in
//! shape.

use lvs_core::Family;

use super::put;

/// Length of the header: type, code, checksum and four bytes whose meaning the type tells.
pub const HEADER_LEN: usize = 8;

/// Offsets.
pub mod field {
    /// Type, 8 bits.
    pub const TYPE: usize = 0;
    /// Code, 8 bits.
    pub const CODE: usize = 1;
    /// Checksum, 16 bits.
    pub const CHECKSUM: usize = 2;
    /// Four bytes whose meaning the type tells.
    pub const REST: usize = 4;
}

/// ICMP for IPv4: destination unreachable.
pub const V4_UNREACHABLE: u8 = 3;
/// ICMP for IPv4: source quench (deprecated by RFC 6633, still translated).
pub const V4_SOURCE_QUENCH: u8 = 4;
/// ICMP for IPv4: time exceeded.
pub const V4_TIME_EXCEEDED: u8 = 11;
/// Code of [`V4_UNREACHABLE`]: no such port.
pub const V4_PORT_UNREACHABLE: u8 = 3;
/// Code of [`V4_UNREACHABLE`]: too big for the next hop, and not to be fragmented (RFC 1191).
pub const V4_FRAGMENTATION_NEEDED: u8 = 4;

/// ICMPv6: destination unreachable.
pub const V6_UNREACHABLE: u8 = 1;
/// ICMPv6: packet too big.
pub const V6_TOO_BIG: u8 = 2;
/// ICMPv6: time exceeded.
pub const V6_TIME_EXCEEDED: u8 = 3;
/// Code of [`V6_UNREACHABLE`]: no such port.
pub const V6_PORT_UNREACHABLE: u8 = 4;
/// ICMPv6: neighbour solicitation (RFC 4861).
pub const V6_NEIGHBOUR_SOLICITATION: u8 = 135;
/// ICMPv6: neighbour advertisement (RFC 4861).
pub const V6_NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// Whether a message of this type quotes a packet and is followed along its connection: of IPv4 the types
/// that IPVS follows (not redirect, nor parameter problem), of IPv6 every error.
pub fn is_error(family: Family, icmp_type: u8) -> bool {
    match family {
        Family::V4 => matches!(
            icmp_type,
            V4_UNREACHABLE | V4_SOURCE_QUENCH | V4_TIME_EXCEEDED
        ),
        Family::V6 => icmp_type < 128,
    }
}

/// Writes a header. The checksum is left zero.
pub fn emit(icmp_type: u8, code: u8, rest: [u8; 4]) -> [u8; HEADER_LEN] {
    let mut h = [icmp_type, code, 0, 0, 0, 0, 0, 0];
    put(&mut h, field::REST, rest);
    h
}
