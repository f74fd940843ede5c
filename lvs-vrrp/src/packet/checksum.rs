//! The checksum of the Internet protocols (RFC 1071).

use std::net::{Ipv4Addr, Ipv6Addr};

/// The protocol number of VRRP.
pub(super) const VRRP: u8 = 112;

/// A sum that is not complete.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// The pseudo-header of IPv4 before `length` bytes of VRRP.
    pub(super) fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, length: usize) -> Self {
        Self::default()
            .add(&src.octets())
            .add(&dst.octets())
            .number(u64::from(VRRP))
            .number(length as u64)
    }

    /// The pseudo-header of IPv6 before `length` bytes of a protocol.
    pub(super) fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, length: usize) -> Self {
        Self::default()
            .add(&src.octets())
            .add(&dst.octets())
            .number(u64::from(protocol))
            .number(length as u64)
    }

    /// With some bytes, which begin at an even place; an odd last one counts as if a zero followed.
    pub(super) fn add(self, bytes: &[u8]) -> Self {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let sum: u64 = pairs
            .iter()
            .map(|p| u64::from(u16::from_be_bytes(*p)))
            .sum();
        let last = rest.first().map_or(0, |b| u64::from(*b) << 8);
        Self(self.0 + sum + last)
    }

    fn number(self, number: u64) -> Self {
        Self(self.0 + number)
    }

    /// What goes into a packet whose checksum was added as zero. It is zero if what was added has its checksum in it, and that
    /// is right.
    pub(super) fn finish(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1071 section 3.
    #[test]
    fn example_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().add(&bytes).finish(), !0xddf2);
    }

    #[test]
    fn an_odd_byte_stands_before_a_zero() {
        let odd = Sum::default().add(&[1, 2, 3]).finish();
        assert_eq!(odd, Sum::default().add(&[1, 2, 3, 0]).finish());
        assert_eq!(odd, !0x0402);
    }
}
