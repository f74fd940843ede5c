//! Replacing the addresses of an IP header.

use lvs_core::{Family, Ip};

use crate::checksum::Delta;
use crate::wire::{ipv4, ipv6};

/// Length of the header without options and extension headers.
pub(super) const fn header_len(family: Family) -> usize {
    match family {
        Family::V4 => ipv4::HEADER_LEN,
        Family::V6 => ipv6::HEADER_LEN,
    }
}

/// Replaces the addresses in the IP header that `network` begins with, and mends IPv4's header checksum.
/// Returns what that changes in a checksum over the pseudo header; or `None`, and nothing has changed, if
/// the header is cut off. Addresses of the other family are left out.
#[inline]
pub(super) fn replace(
    network: &mut [u8],
    family: Family,
    src: Option<Ip>,
    dst: Option<Ip>,
) -> Option<Delta> {
    let mut delta = Delta::new();
    match family {
        Family::V4 => {
            let header: &mut [u8; ipv4::HEADER_LEN] = network.first_chunk_mut()?;
            for (at, new) in [(ipv4::field::SRC, src), (ipv4::field::DST, dst)] {
                let field = header.get_mut(at..).and_then(|h| h.first_chunk_mut());
                if let (Some(new), Some(field)) = (new.and_then(|ip| ip.as_v4()), field) {
                    delta.u32(u32::from_be_bytes(*field), u32::from_be_bytes(new));
                    *field = new;
                }
            }
            amend(header, delta);
        }
        Family::V6 => {
            let header: &mut [u8; ipv6::HEADER_LEN] = network.first_chunk_mut()?;
            for (at, new) in [(ipv6::field::SRC, src), (ipv6::field::DST, dst)] {
                let field = header.get_mut(at..).and_then(|h| h.first_chunk_mut());
                if let (Some(new), Some(field)) = (new.filter(|ip| !ip.is_v4()), field) {
                    delta.ip(Ip::v6(*field), new);
                    *field = *new.bytes();
                }
            }
        }
    }
    Some(delta)
}

/// Mends the checksum of an IPv4 header after a change.
#[inline]
pub(super) fn amend(header: &mut [u8; ipv4::HEADER_LEN], delta: Delta) {
    let checksum = u16::from_be_bytes([
        header[ipv4::field::CHECKSUM],
        header[ipv4::field::CHECKSUM + 1],
    ]);
    let mended = delta.apply_full(checksum).to_be_bytes();
    header[ipv4::field::CHECKSUM..][..2].copy_from_slice(&mended);
}
