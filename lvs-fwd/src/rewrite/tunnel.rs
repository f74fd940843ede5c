//! The header that a tunnel puts around a packet: IP in IP (RFC 2003, RFC 2473, RFC 4213), either family in
//! either.
//!
//! Fields are chosen as IPVS chooses them: TTL, DSCP and, of an IPv4 packet, DF are the inner packet's; ECN
//! too, but that a "congestion experienced" stays inside and ECT(0) takes its place.

use lvs_core::{DropReason, Family, Ip, Protocol};

use crate::head::{Head, be16};
use crate::parse::IpPacket;
use crate::wire::{ipv4, ipv6};

/// IPv4 as a payload.
const IPV4_INSIDE: Protocol = Protocol(4);
/// IPv6 as a payload.
const IPV6_INSIDE: Protocol = Protocol(41);

const ECN_MASK: u8 = 3;
const ECN_ECT0: u8 = 2;
const ECN_CE: u8 = 3;

/// The outer header, but for length and identification.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outer {
    addresses: Addresses,
    protocol: Protocol,
    traffic_class: u8,
    ttl: u8,
    dont_fragment: bool,
}

#[derive(Clone, Copy, Debug)]
enum Addresses {
    V4 { src: [u8; 4], dst: [u8; 4] },
    V6 { src: [u8; 16], dst: [u8; 16] },
}

impl Outer {
    /// A header from `source` to `remote` around `packet`, whose IP header is still as it came.
    ///
    /// # Errors
    ///
    /// `Unsupported` if there is no source of the remote's family.
    pub(super) fn new(
        remote: Ip,
        source: Option<Ip>,
        network: &[u8],
        packet: &IpPacket,
    ) -> Result<Self, DropReason> {
        let source = source.ok_or(DropReason::Unsupported)?;
        let addresses = match (source.as_v4(), remote.as_v4()) {
            (Some(src), Some(dst)) => Addresses::V4 { src, dst },
            (None, None) => Addresses::V6 {
                src: *source.bytes(),
                dst: *remote.bytes(),
            },
            _ => return Err(DropReason::Unsupported),
        };
        let layout = &packet.layout;
        let first = be16(network, 0).unwrap_or(0);
        let (protocol, class) = match layout.family {
            Family::V4 => (IPV4_INSIDE, first),
            Family::V6 => (IPV6_INSIDE, first >> 4),
        };
        Ok(Self {
            addresses,
            protocol,
            traffic_class: outer_class(class as u8),
            ttl: packet.ttl.saturating_sub(1),
            dont_fragment: layout.family == Family::V4 && layout.dont_fragment,
        })
    }

    pub(super) const fn family(&self) -> Family {
        match self.addresses {
            Addresses::V4 { .. } => Family::V4,
            Addresses::V6 { .. } => Family::V6,
        }
    }

    /// How many bytes it takes.
    pub(super) const fn len(&self) -> usize {
        super::address::header_len(self.family())
    }

    /// Appends the header of a packet with `payload_len` bytes inside. `next_id` gives the identification
    /// and moves on, where one matters (RFC 6864: not with DF).
    pub(super) fn push(&self, head: &mut Head, payload_len: usize, next_id: &mut u32) {
        match self.addresses {
            Addresses::V4 { src, dst } => {
                let id = if self.dont_fragment { 0 } else { *next_id };
                if !self.dont_fragment {
                    *next_id = next_id.wrapping_add(1);
                }
                let header = ipv4::Repr {
                    tos: self.traffic_class,
                    payload_len: payload_len as u16,
                    id: id as u16,
                    dont_fragment: self.dont_fragment,
                    ttl: self.ttl,
                    protocol: self.protocol,
                    src,
                    dst,
                };
                head.push(&header.emit());
            }
            Addresses::V6 { src, dst } => {
                let header = ipv6::Repr {
                    traffic_class: self.traffic_class,
                    payload_len: payload_len as u16,
                    protocol: self.protocol,
                    hop_limit: self.ttl,
                    src,
                    dst,
                };
                head.push(&header.emit());
            }
        }
    }
}

const fn outer_class(inner: u8) -> u8 {
    if inner & ECN_MASK == ECN_CE {
        inner & !ECN_MASK | ECN_ECT0
    } else {
        inner
    }
}
