//! Cutting aggregates into the packets they stand for.
//!
//! Senders and network cards hand over up to 64 KB as one TCP segment, or as one run of UDP datagrams, for the
//! kernel to cut at the last moment. Mostly it is sent on as it came. But the kernel cannot cut what lies in
//! an IPIP tunnel, so there it is done here: new headers for each segment, and a range of the received
//! frame as its payload, which is never copied.

use std::ops::Range;

use lvs_core::{DropReason, Family, Ip, Kind, Protocol};

use crate::checksum::{self, Sum};
use crate::frame::Offload;
use crate::head::{Head, be16, be32, put16, put32};
use crate::parse::{IpPacket, Layout};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::Ipv6;
use crate::wire::tcp::Tcp;
use crate::wire::{ipv4, ipv6, tcp, udp};

/// TCP flags (RFC 9293, RFC 3168) that not every segment of an aggregate carries.
const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// What the transport checksum of a cut segment is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksums {
    /// The pseudo header's sum; the kernel does the rest.
    Partial,
    /// All of it.
    Complete,
}

/// How an aggregate is made up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aggregate {
    protocol: Protocol,
    /// Length of the IP header, extension headers included.
    network_len: usize,
    /// Length of the transport header.
    transport_len: usize,
    /// Payload bytes of each segment but the last.
    segment_size: usize,
    /// Whether the datagrams carry no checksum (UDP over IPv4 only).
    unsummed: bool,
}

impl Aggregate {
    /// Looks at an aggregate whose transport header and payload are `transport`.
    ///
    /// # Errors
    ///
    /// `BadLength` if no segments come of it; `Unsupported` if it is not one of TCP segments or UDP datagrams
    /// right behind the IP header.
    #[cold]
    pub(crate) fn of(
        packet: &IpPacket,
        offload: Offload,
        transport: &[u8],
    ) -> Result<Self, DropReason> {
        let layout = &packet.layout;
        let protocol = packet.segment.protocol;
        let transport_len = match (offload.gso_type & !Offload::GSO_ECN, layout.family) {
            (Offload::GSO_TCPV4, Family::V4) | (Offload::GSO_TCPV6, Family::V6)
                if protocol == Protocol::TCP =>
            {
                Tcp::new(transport)?.header_len()
            }
            (Offload::GSO_UDP_L4, _) if protocol == Protocol::UDP => udp::HEADER_LEN,
            _ => return Err(DropReason::Unsupported),
        };
        let is_whole = packet.fragment.is_none() && packet.segment.kind == Kind::Packet;
        let sums_elsewhere = offload.needs_csum() && offload.csum_start != layout.l4;
        let network_len = usize::from(layout.l4).saturating_sub(usize::from(layout.l3));
        if !is_whole || sums_elsewhere || network_len + transport_len > Head::MAX_INNER {
            return Err(DropReason::Unsupported);
        }
        if offload.gso_size == 0 || transport.len() < transport_len {
            return Err(DropReason::BadLength);
        }
        let unsummed = protocol == Protocol::UDP
            && layout.family == Family::V4
            && be16(transport, udp::field::CHECKSUM) == Some(0);
        Ok(Self {
            protocol,
            network_len,
            transport_len,
            segment_size: usize::from(offload.gso_size),
            unsummed,
        })
    }

    /// Length of IP and transport header together.
    pub(crate) const fn headers_len(&self) -> usize {
        self.network_len + self.transport_len
    }

    /// Length of the longest IP packet that comes of it.
    pub(crate) fn longest(&self, layout: &Layout) -> usize {
        (layout.len as usize).min(self.headers_len() + self.segment_size)
    }

    /// Whether it may be cut anew in segments of another size: so with a byte stream, not with datagrams.
    pub(crate) fn is_stream(&self) -> bool {
        self.protocol == Protocol::TCP
    }

    /// The same aggregate, to be cut in segments of `size`.
    pub(crate) const fn resized(self, size: u16) -> Self {
        Self {
            segment_size: size as usize,
            ..self
        }
    }

    /// Where in a transport header its checksum is.
    pub(crate) const fn checksum_offset(&self) -> usize {
        checksum_offset(self.protocol)
    }

    /// Whether segments cut with [`Checksums::Partial`] need the kernel to finish their checksum.
    pub(crate) const fn needs_csum(&self, checksums: Checksums) -> bool {
        matches!(checksums, Checksums::Partial) && !self.unsummed
    }

    /// Cuts the aggregate in `frame`. `each` is called for every segment in order, with its headers from the
    /// IP header on and the range of `frame` that is its payload.
    pub(crate) fn cut(
        &self,
        frame: &[u8],
        layout: &Layout,
        checksums: Checksums,
        mut each: impl FnMut(&[u8], Range<usize>),
    ) {
        let start = usize::from(layout.l3);
        let payload = start + self.headers_len()..layout.end();
        let Some(original) = frame.get(start..payload.start) else {
            return;
        };
        let mut at = payload.start;
        let mut index = 0;
        loop {
            let end = (at + self.segment_size).min(payload.end);
            let position = Position {
                index,
                skipped: at - payload.start,
                is_last: end >= payload.end,
            };
            let body = frame.get(at..end).unwrap_or(&[]);
            let mut head = Head::new();
            head.push(original);
            self.amend(head.bytes_mut(), layout.family, position, body, checksums);
            each(head.bytes(), at..end);
            if position.is_last {
                return;
            }
            at = end;
            index += 1;
        }
    }

    /// Turns the aggregate's headers into those of one segment.
    fn amend(
        &self,
        headers: &mut [u8],
        family: Family,
        position: Position,
        body: &[u8],
        checksums: Checksums,
    ) {
        let transport_total = self.transport_len + body.len();
        let Some((network, transport)) = headers.split_at_mut_checked(self.network_len) else {
            return;
        };
        match family {
            Family::V4 => {
                let id = be16(network, ipv4::field::ID).unwrap_or(0);
                put16(
                    network,
                    ipv4::field::ID,
                    id.wrapping_add(position.index as u16),
                );
                let total_len = (self.network_len + transport_total) as u16;
                put16(network, ipv4::field::TOTAL_LEN, total_len);
                put16(network, ipv4::field::CHECKSUM, 0);
                let sum = checksum::of(network);
                put16(network, ipv4::field::CHECKSUM, sum);
            }
            Family::V6 => {
                let payload_len = self.network_len - ipv6::HEADER_LEN + transport_total;
                put16(network, ipv6::field::PAYLOAD_LEN, payload_len as u16);
            }
        }
        if self.protocol == Protocol::TCP {
            let seq = be32(transport, tcp::field::SEQ).unwrap_or(0);
            put32(
                transport,
                tcp::field::SEQ,
                seq.wrapping_add(position.skipped as u32),
            );
            if let Some(flags) = transport.get_mut(tcp::field::FLAGS) {
                *flags &= position.flags();
            }
        } else {
            put16(transport, udp::field::LEN, transport_total as u16);
        }
        let (false, Ok((src, dst))) = (self.unsummed, addresses(network, family)) else {
            return;
        };
        let pseudo = checksum::pseudo_header(src, dst, self.protocol.0, transport_total as u32);
        let sum = match checksums {
            Checksums::Partial => pseudo.fold(),
            Checksums::Complete => self.complete(pseudo, transport, body),
        };
        put16(transport, self.checksum_offset(), sum);
    }

    fn complete(&self, mut sum: Sum, transport: &mut [u8], body: &[u8]) -> u16 {
        put16(transport, self.checksum_offset(), 0);
        sum.add_bytes(transport); // of even length
        sum.add_bytes(body);
        checksum::not_zero(sum.finish())
    }
}

/// Where in a TCP or UDP header the checksum is.
pub(crate) const fn checksum_offset(protocol: Protocol) -> usize {
    if protocol.0 == Protocol::TCP.0 {
        tcp::field::CHECKSUM
    } else {
        udp::field::CHECKSUM
    }
}

/// Which segment of an aggregate it is.
#[derive(Clone, Copy)]
struct Position {
    index: usize,
    /// Payload bytes in front of it.
    skipped: usize,
    is_last: bool,
}

impl Position {
    /// The TCP flags it may have: the end of data belongs to the last, "window reduced" to the first (it
    /// would else be answered for each).
    const fn flags(self) -> u8 {
        let end = if self.is_last { 0 } else { FIN | PSH };
        let start = if self.index == 0 { 0 } else { CWR };
        !(end | start)
    }
}

/// The addresses in an IP header.
fn addresses(network: &[u8], family: Family) -> Result<(Ip, Ip), DropReason> {
    match family {
        Family::V4 => Ipv4::new(network).map(|h| (h.src(), h.dst())),
        Family::V6 => Ipv6::new(network).map(|(h, _)| (h.src(), h.dst())),
    }
}
