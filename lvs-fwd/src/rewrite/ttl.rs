//! The TTL of forwarded packets (RFC 1812 section 5.3.1, RFC 8200 section 3).

use lvs_core::Family;

use super::address;
use crate::checksum::Delta;
use crate::wire::{ipv4, ipv6};

/// Lowers TTL or hop limit by one; the caller has seen that it is above 1.
#[inline(always)]
pub(super) fn decrement(network: &mut [u8], family: Family) {
    match family {
        Family::V4 => {
            let Some(header) = network.first_chunk_mut::<{ ipv4::HEADER_LEN }>() else {
                return;
            };
            // It shares its 16-bit word with the protocol number.
            let word = [header[ipv4::field::TTL], header[ipv4::field::PROTOCOL]];
            let old = u16::from_be_bytes(word);
            let new = old.wrapping_sub(0x0100);
            header[ipv4::field::TTL] = new.to_be_bytes()[0];
            let mut delta = Delta::new();
            delta.u16(old, new);
            address::amend(header, delta);
        }
        Family::V6 => {
            if let Some(limit) = network.get_mut(ipv6::field::HOP_LIMIT) {
                *limit = limit.wrapping_sub(1);
            }
        }
    }
}
