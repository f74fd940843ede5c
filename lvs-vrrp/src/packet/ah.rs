//! The authentication header of IPsec (RFC 4302) around version 2 over IPv4, as keepalived makes it.
//!
//! ```text
//! 112 | 4 | 0 0 | SPI: the sender's address | sequence number | first 12 bytes of HMAC-MD5
//! ```
//!
//! The sum is over the IP header, this one and the message, with zeros for what may change on the way: type of service,
//! fragment, checksum, the sum itself, and the TTL for unicast, which routers may forward.

use std::net::Ipv4Addr;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::checksum::VRRP;
use super::layout::IPV4;

/// The length of the header.
pub(super) const LENGTH: usize = 24;
/// The length of the sum.
const ICV: usize = 12;
/// In words of 4 bytes, less 2 (RFC 4302 section 2.2).
const PAYLOAD_LENGTH: u8 = 4;

/// A header before its sum.
pub(super) fn header(source: Ipv4Addr, sequence: u32) -> [u8; LENGTH] {
    let mut header = [0; LENGTH];
    header[0] = VRRP;
    header[1] = PAYLOAD_LENGTH;
    header[4..8].copy_from_slice(&source.octets());
    header[8..12].copy_from_slice(&sequence.to_be_bytes());
    header
}

/// Whether a header is of this kind and stands before VRRP.
pub(super) const fn is_ours(header: &[u8; LENGTH]) -> bool {
    header[0] == VRRP && header[1] == PAYLOAD_LENGTH
}

/// The security parameter index.
pub(super) const fn spi(header: &[u8; LENGTH]) -> u32 {
    u32::from_be_bytes([header[4], header[5], header[6], header[7]])
}

/// The sequence number.
pub(super) const fn sequence(header: &[u8; LENGTH]) -> u32 {
    u32::from_be_bytes([header[8], header[9], header[10], header[11]])
}

/// Whether `a` comes after `b`: the numbers begin anew after the last (RFC 1982).
pub(super) const fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}

/// Puts the sum into a header. `ip` has no options.
pub(super) fn sign(
    key: &[u8; 8],
    ip: &[u8; IPV4],
    header: &mut [u8; LENGTH],
    message: &[u8],
    unicast: bool,
) {
    let sum = sum(key, ip, header, message, unicast)
        .finalize()
        .into_bytes();
    header[LENGTH - ICV..].copy_from_slice(&sum[..ICV]);
}

/// Whether the sum in a header is right. `ip` may have options.
pub(super) fn verify(
    key: &[u8; 8],
    ip: &[u8],
    header: &[u8; LENGTH],
    message: &[u8],
    unicast: bool,
) -> bool {
    sum(key, ip, header, message, unicast)
        .verify_truncated_left(&header[LENGTH - ICV..])
        .is_ok()
}

fn sum(
    key: &[u8; 8],
    ip: &[u8],
    header: &[u8; LENGTH],
    message: &[u8],
    unicast: bool,
) -> Hmac<Md5> {
    let mut ip = ip.to_vec();
    for (at, byte) in ip.iter_mut().enumerate() {
        if matches!(at, 1 | 6 | 7 | 10 | 11) || at == 8 && unicast {
            *byte = 0;
        }
    }
    let mut sum = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
    sum.update(&ip);
    sum.update(&header[..LENGTH - ICV]);
    sum.update(&[0; ICV]);
    sum.update(message);
    sum
}
