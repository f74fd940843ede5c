//! Replacing the addresses of an IP header.

use lvs_core::{DropReason, Family, Ip};

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
/// Returns what that changes in a checksum over the pseudo header.
///
/// # Errors
///
/// `Truncated` if the header is cut off, `Unsupported` if an address is of the other family. Nothing has
/// changed then.
#[inline(always)]
pub(super) fn replace(
    network: &mut [u8],
    family: Family,
    src: Option<&Ip>,
    dst: Option<&Ip>,
) -> Result<Delta, DropReason> {
    let mut delta = Delta::new();
    match family {
        Family::V4 => {
            let header: &mut [u8; ipv4::HEADER_LEN] =
                network.first_chunk_mut().ok_or(DropReason::Truncated)?;
            let (src, dst) = (v4(src)?, v4(dst)?);
            if let Some(new) = src {
                put_v4(header, ipv4::field::SRC, new, &mut delta);
            }
            if let Some(new) = dst {
                put_v4(header, ipv4::field::DST, new, &mut delta);
            }
            amend(header, delta);
        }
        Family::V6 => {
            let header: &mut [u8; ipv6::HEADER_LEN] =
                network.first_chunk_mut().ok_or(DropReason::Truncated)?;
            let (src, dst) = (v6(src)?, v6(dst)?);
            if let Some(new) = src {
                put_v6(header, ipv6::field::SRC, new, &mut delta);
            }
            if let Some(new) = dst {
                put_v6(header, ipv6::field::DST, new, &mut delta);
            }
        }
    }
    Ok(delta)
}

#[inline(always)]
fn v4(ip: Option<&Ip>) -> Result<Option<[u8; 4]>, DropReason> {
    match ip.map(|ip| ip.as_v4()) {
        Some(None) => Err(DropReason::Unsupported),
        Some(v4) => Ok(v4),
        None => Ok(None),
    }
}

#[inline(always)]
fn v6(ip: Option<&Ip>) -> Result<Option<&Ip>, DropReason> {
    match ip {
        Some(ip) if ip.is_v4() => Err(DropReason::Unsupported),
        other => Ok(other),
    }
}

#[inline(always)]
fn put_v4(header: &mut [u8; ipv4::HEADER_LEN], at: usize, new: [u8; 4], delta: &mut Delta) {
    if let Some(field) = header.get_mut(at..).and_then(|h| h.first_chunk_mut()) {
        delta.u32(u32::from_be_bytes(*field), u32::from_be_bytes(new));
        *field = new;
    }
}

#[inline(always)]
fn put_v6(header: &mut [u8; ipv6::HEADER_LEN], at: usize, new: &Ip, delta: &mut Delta) {
    if let Some(field) = header.get_mut(at..).and_then(|h| h.first_chunk_mut()) {
        delta.ip(Ip::v6(*field), *new);
        *field = *new.bytes();
    }
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
