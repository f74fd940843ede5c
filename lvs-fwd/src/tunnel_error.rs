//! ICMP errors about our own tunnel packets.
//!
//! If a tunnel packet does not arrive, its sender is told, and that is the director; the client, whose packet was
//! inside, would learn nothing. So the error is turned into one about the client's packet and sent on to it, in the
//! name of the virtual address (IPVS). Here is only what the bytes say; whether to believe them is for whoever knows
//! the connections.
//!
//! As in IPVS, only of IPv4 in IPv4: types 3, 4 and 11, with as much of the inner packet as names its connection.

use lvs_core::{Encapsulation, Endpoint, Family, Ip, Kind, Protocol, Segment};

use crate::answer;
use crate::checksum;
use crate::frame::{Frame, Offload};
use crate::head::be16;
use crate::wire::ether::{self, Ether, ethertype};
use crate::wire::icmp;
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::udp::{self, Udp};
use crate::wire::{gre, gue};

const IPIP: Protocol = Protocol(4);
const GRE: Protocol = Protocol(47);

/// The longest ICMP datagram (RFC 1812 section 4.3.2.3).
const MAX_LEN: usize = 576;
/// Precedence "internetwork control" (RFC 1812 section 4.3.2.5).
const TOS: u8 = 0xc0;
const HEAD_LEN: usize = ether::HEADER_LEN + ipv4::HEADER_LEN + icmp::HEADER_LEN;

/// An error about a tunnel packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TunnelError {
    /// Who is told: the sender of the tunnel packet.
    pub(crate) to: Ip,
    /// Where the tunnel packet was going.
    pub(crate) remote: Ip,
    through: Through,
    icmp_type: u8,
    code: u8,
    /// The MTU told, if that is what the error is about; 0 from very old routers.
    pub(crate) mtu: Option<u16>,
    /// How much longer the tunnel packet was than the inner one.
    overhead: u32,
    /// The inner packet.
    pub(crate) inner: Segment,
    /// Whether it was not to be fragmented.
    pub(crate) dont_fragment: bool,
    /// Where in the frame it begins.
    at: usize,
    /// How many bytes of it are quoted.
    len: usize,
    /// Identification of the error itself.
    id: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Through {
    Ipip,
    Gre,
    /// To this port.
    Gue(u16),
}

impl TunnelError {
    /// Reads a frame, checksums included. `None` if it is anything else.
    #[cold]
    pub(crate) fn read(frame: &[u8], offload: Offload) -> Option<Self> {
        let (ether, packet) = Ether::new(frame)?;
        if ether.ethertype() != ethertype::IPV4 {
            return None;
        }
        let outer = Ipv4::new(packet).ok()?;
        let packet = packet.get(..outer.total_len())?;
        if outer.protocol() != Protocol::ICMP || outer.fragment().is_some() || !outer.checksum_ok()
        {
            return None;
        }
        let message = packet.get(outer.header_len()..)?;
        let (header, quoted) = message.split_first_chunk::<{ icmp::HEADER_LEN }>()?;
        let (icmp_type, code) = (header[icmp::field::TYPE], header[icmp::field::CODE]);
        if !icmp::is_error(Family::V4, icmp_type) {
            return None;
        }
        let quoted = without_extensions(icmp_type, header, quoted);

        let sent = Ipv4::new(quoted).ok()?;
        if sent.fragment().is_some_and(|f| !f.is_first()) {
            return None;
        }
        let (through, shim_len) = shim(sent.protocol(), quoted.get(sent.header_len()..)?)?;
        let overhead = sent.header_len() + shim_len;
        let bytes = quoted.get(overhead..)?;
        let inner = Ipv4::new(bytes).ok()?;
        let [a, b, c, d] = *bytes.get(inner.header_len()..)?.first_chunk()?;
        let is_later = inner.fragment().is_some_and(|f| !f.is_first());
        if is_later || !inner.protocol().is_balanced() {
            return None;
        }
        if !offload.needs_csum() && checksum::of(message) != 0 {
            return None;
        }
        let is_too_big = (icmp_type, code) == (icmp::V4_UNREACHABLE, icmp::V4_FRAGMENTATION_NEEDED);
        let headers = outer.header_len() + icmp::HEADER_LEN + overhead;
        Some(Self {
            to: outer.dst(),
            remote: sent.dst(),
            through,
            icmp_type,
            code,
            // In the lower half of the four bytes (RFC 1191 section 4).
            mtu: is_too_big.then(|| be16(header, icmp::field::REST + 2).unwrap_or(0)),
            overhead: overhead as u32,
            inner: Segment {
                kind: Kind::IcmpError,
                len: bytes.len() as u32,
                ..Segment::new(
                    inner.protocol(),
                    Endpoint::new(inner.src(), u16::from_be_bytes([a, b])),
                    Endpoint::new(inner.dst(), u16::from_be_bytes([c, d])),
                )
            },
            dont_fragment: inner.dont_fragment(),
            at: ether::HEADER_LEN + headers,
            len: bytes.len(),
            id: be16(packet, ipv4::field::ID)?,
        })
        .filter(|e| sent.src() == e.to)
    }

    /// Whether the tunnel packet was one of this kind.
    pub(crate) fn is_through(&self, encapsulation: Encapsulation) -> bool {
        match (encapsulation, self.through) {
            (Encapsulation::Ipip, Through::Ipip) | (Encapsulation::Gre { .. }, Through::Gre) => {
                true
            }
            (Encapsulation::Gue { port, .. }, Through::Gue(to)) => port == to,
            _ => false,
        }
    }

    /// Makes the frame, from which this was read, an error about the inner packet, from the inner packet's destination
    /// to its source. `path_mtu` is the MTU of the tunnel's path, to be told less the tunnel's headers if the error is
    /// about that. The Ethernet header stays as it came. Returns false, the frame left alone, if it is another one.
    pub(crate) fn relay(&self, frame: &mut Frame, path_mtu: u32) -> bool {
        let (Some(src), Some(dst)) = (self.inner.dst.ip.as_v4(), self.inner.src.ip.as_v4()) else {
            return false;
        };
        let len = self.len.min(MAX_LEN - ipv4::HEADER_LEN - icmp::HEADER_LEN);
        let quoted = frame.bytes().get(self.at..self.at + len);
        let (Some(quoted), Some(start)) = (quoted, self.at.checked_sub(HEAD_LEN)) else {
            return false;
        };
        let told = match self.mtu {
            Some(_) => path_mtu
                .saturating_sub(self.overhead)
                .min(u32::from(u16::MAX)),
            None => 0,
        };
        let mut message = icmp::emit(self.icmp_type, self.code, told.to_be_bytes());
        let mut sum = checksum::Sum::new();
        sum.add_bytes(&message);
        sum.add_bytes(quoted);
        message[icmp::field::CHECKSUM..][..2].copy_from_slice(&sum.finish().to_be_bytes());
        let header = ipv4::Repr {
            tos: TOS,
            payload_len: (message.len() + len) as u16,
            id: self.id,
            dont_fragment: false,
            ttl: answer::TTL + 1, // from here it is forwarded
            protocol: Protocol::ICMP,
            src,
            dst,
        };
        let Some(link) = frame
            .bytes()
            .first_chunk::<{ ether::HEADER_LEN }>()
            .copied()
        else {
            return false;
        };
        let mut head = [0; HEAD_LEN];
        let (link_part, rest) = head.split_at_mut(ether::HEADER_LEN);
        let (ip_part, icmp_part) = rest.split_at_mut(ipv4::HEADER_LEN);
        link_part.copy_from_slice(&link);
        ip_part.copy_from_slice(&header.emit());
        icmp_part.copy_from_slice(&message);
        if !frame.move_start(start as isize) {
            return false;
        }
        frame.set_len(HEAD_LEN + len);
        match frame.bytes_mut().get_mut(..HEAD_LEN) {
            Some(room) => room.copy_from_slice(&head),
            None => return false,
        }
        frame.offload = Offload::default();
        true
    }
}

/// What is quoted, without what may follow it (RFC 4884): then the header tells its length, in words.
fn without_extensions<'a>(
    icmp_type: u8,
    header: &[u8; icmp::HEADER_LEN],
    quoted: &'a [u8],
) -> &'a [u8] {
    let words = match icmp_type {
        icmp::V4_UNREACHABLE | icmp::V4_TIME_EXCEEDED => header[icmp::field::REST + 1],
        _ => 0,
    };
    match usize::from(words) * 4 {
        0 => quoted,
        len => quoted.get(..len).unwrap_or(quoted),
    }
}

/// What stands between the two IP headers, and its length. `None` if that is no tunnel of IPv4.
fn shim(protocol: Protocol, bytes: &[u8]) -> Option<(Through, usize)> {
    match protocol {
        IPIP => Some((Through::Ipip, 0)),
        GRE => {
            let (inside, len) = gre::parse(bytes)?;
            (inside == ethertype::IPV4).then_some((Through::Gre, len))
        }
        Protocol::UDP => {
            let port = Udp::new(bytes)?.dst_port();
            let (inside, len) = gue::parse(bytes.get(udp::HEADER_LEN..)?)?;
            let is_ours = Protocol(inside) == IPIP;
            is_ours.then_some((Through::Gue(port), udp::HEADER_LEN + len))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
