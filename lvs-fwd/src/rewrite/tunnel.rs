//! The headers that a tunnel puts around a packet: an IP header (RFC 2003, RFC 2473, RFC 4213), and behind it whatever
//! the encapsulation has (module `shim`); either family in either.
//!
//! Fields are chosen as IPVS chooses them: TTL, DSCP and, of an IPv4 packet while paths are discovered, DF are the inner
//! packet's; ECN too, but that a "congestion experienced" stays inside and ECT(0) takes its place.

use lvs_core::{DropReason, Family, Ip, Protocol};

use super::shim::Shim;
use crate::checksum::{self, Sum};
use crate::frame::Offload;
use crate::head::{Head, be16};
use crate::parse::IpPacket;
use crate::wire::{ether, ipv4, ipv6};

const ECN_MASK: u8 = 3;
const ECN_ECT0: u8 = 2;
const ECN_CE: u8 = 3;

/// The outer headers, but for lengths, identification and checksums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outer {
    addresses: Addresses,
    shim: Shim,
    inner: Family,
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
    /// Headers from `source` to `remote` around `packet`, whose IP header is still as it came. With `discover`, DF is
    /// copied.
    ///
    /// # Errors
    ///
    /// `Unsupported` if there is no source of the remote's family.
    pub(super) fn new(
        remote: Ip,
        source: Option<Ip>,
        shim: Shim,
        network: &[u8],
        packet: &IpPacket,
        discover: bool,
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
        let class = match layout.family {
            Family::V4 => first,
            Family::V6 => first >> 4,
        };
        Ok(Self {
            addresses,
            shim,
            inner: layout.family,
            traffic_class: outer_class(class as u8),
            ttl: packet.ttl.saturating_sub(1),
            dont_fragment: discover && layout.family == Family::V4 && layout.dont_fragment,
        })
    }

    pub(super) const fn family(&self) -> Family {
        match self.addresses {
            Addresses::V4 { .. } => Family::V4,
            Addresses::V6 { .. } => Family::V6,
        }
    }

    /// How many bytes they take.
    pub(super) const fn len(&self) -> usize {
        super::address::header_len(self.family()) + self.shim.len()
    }

    /// Whether the inner checksum is to stay partial, for the receiver to complete.
    pub(super) const fn leaves_inner_partial(&self) -> bool {
        self.shim.leaves_inner_partial()
    }

    /// Appends the headers of a packet with `inner_len` bytes inside. `next_id` gives the identification
    /// and moves on, where one matters (RFC 6864: not with DF).
    pub(super) fn push(&self, head: &mut Head, inner_len: usize, next_id: &mut u32) {
        let protocol = self.shim.protocol(self.inner);
        let payload_len = self.shim.len() + inner_len;
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
                    protocol,
                    src,
                    dst,
                };
                head.push(&header.emit());
            }
            Addresses::V6 { src, dst } => {
                let header = ipv6::Repr {
                    traffic_class: self.traffic_class,
                    payload_len: payload_len as u16,
                    protocol,
                    hop_limit: self.ttl,
                    src,
                    dst,
                };
                head.push(&header.emit());
            }
        }
        self.shim.push(head, self.inner, inner_len);
    }

    /// Fills in the checksum behind the outer IP header, if there is one: `head`, which these headers begin, and `body`
    /// are the whole frame, and `offload` its state. With `complete`, the kernel is left nothing to fill in.
    pub(super) fn seal(&self, head: &mut Head, body: &[u8], offload: &mut Offload, complete: bool) {
        let at = ether::HEADER_LEN + super::address::header_len(self.family());
        let len = (head.bytes().len() + body.len()).saturating_sub(at);
        let head = head.bytes_mut();
        self.shim.seal(
            at,
            head,
            body,
            || self.pseudo_header(len),
            offload,
            complete,
        );
    }

    /// The sum of UDP's pseudo header.
    fn pseudo_header(&self, len: usize) -> Sum {
        let (src, dst) = match self.addresses {
            Addresses::V4 { src, dst } => (Ip::v4(src), Ip::v4(dst)),
            Addresses::V6 { src, dst } => (Ip::v6(src), Ip::v6(dst)),
        };
        checksum::pseudo_header(src, dst, Protocol::UDP.0, len as u32)
    }
}

const fn outer_class(inner: u8) -> u8 {
    if inner & ECN_MASK == ECN_CE {
        inner & !ECN_MASK | ECN_ECT0
    } else {
        inner
    }
}
