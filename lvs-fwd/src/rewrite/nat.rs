//! NAT of packets in place, TCP and UDP first of all.
//!
//! | state of the transport checksum | what happens to it |
//! |---|---|
//! | complete | mended by the difference in addresses and ports |
//! | partial | mended by the difference in addresses; whoever completes it sums the ports |
//! | aggregate, not partial | becomes partial, the only form in which it can be sent |
//! | 0, UDP over IPv4 ("none") | computed afresh, as IPVS does; a fragment's stays 0 |
//! | 0, UDP over IPv6 | left alone: receivers discard it (RFC 8200 section 8.1) or allow it (RFC 6935) |
//!
//! Later fragments have only addresses to change: the checksum lies in the first, and takes their share too. So
//! have AH, whose own check fails afterwards, and ESP. SCTP has [a file of its own](super::sctp).

use lvs_core::{DropReason, Endpoint, Family, Ip, Kind, Protocol};

use super::{Parts, address, icmp, sctp};
use crate::checksum::{self, Delta};
use crate::frame::Offload;
use crate::head::{be16, put16};
use crate::parse::IpPacket;
use crate::segmentation::checksum_offset;
use crate::wire::{tcp, udp};

/// Replaces source and destination where one is given, of an ICMP error those of the quoted packet too.
///
/// # Errors
///
/// `Unsupported` if an address is of the other family or the protocol not known, `Truncated` if headers are cut
/// off. Nothing has changed then.
#[inline(always)]
pub(super) fn apply(
    parts: &mut Parts<'_>,
    packet: &IpPacket,
    offload: &mut Offload,
    src: Option<&Endpoint>,
    dst: Option<&Endpoint>,
) -> Result<(), DropReason> {
    match (packet.segment.kind, packet.segment.protocol) {
        (Kind::Packet, Protocol::TCP) => {
            transport::<{ tcp::HEADER_LEN }>(parts, packet, offload, src, dst)
        }
        (Kind::Packet, Protocol::UDP) => {
            transport::<{ udp::HEADER_LEN }>(parts, packet, offload, src, dst)
        }
        (Kind::Packet, Protocol::SCTP) => sctp::apply(parts, packet, src, dst),
        (Kind::LaterFragment, _) | (Kind::Packet, Protocol::AH | Protocol::ESP) => {
            addresses(parts, packet, src, dst)
        }
        (Kind::Packet, _) => Err(DropReason::Unsupported),
        (Kind::IcmpError, _) => icmp::apply(parts, packet, *offload, src, dst),
    }
}

#[cold]
fn addresses(
    parts: &mut Parts<'_>,
    packet: &IpPacket,
    src: Option<&Endpoint>,
    dst: Option<&Endpoint>,
) -> Result<(), DropReason> {
    let (src, dst) = (src.map(|e| &e.ip), dst.map(|e| &e.ip));
    address::replace(parts.network, packet.layout.family, src, dst).map(|_| ())
}

/// `LEN` is the length of the transport header: both begin with the ports and are told apart by it.
#[inline(always)]
fn transport<const LEN: usize>(
    parts: &mut Parts<'_>,
    packet: &IpPacket,
    offload: &mut Offload,
    src: Option<&Endpoint>,
    dst: Option<&Endpoint>,
) -> Result<(), DropReason> {
    let header: &mut [u8; LEN] = parts
        .transport
        .first_chunk_mut()
        .ok_or(DropReason::Truncated)?;
    let (src_ip, dst_ip) = (src.map(|e| &e.ip), dst.map(|e| &e.ip));
    let mut delta = address::replace(parts.network, packet.layout.family, src_ip, dst_ip)?;
    let ports = replace_ports(header, src, dst);

    let is_udp = LEN == udp::HEADER_LEN;
    let at = if is_udp {
        udp::field::CHECKSUM
    } else {
        tcp::field::CHECKSUM
    };
    let field = u16::from_be_bytes([header[at], header[at + 1]]);
    let sum = if offload.needs_csum() && offload.csum_start == packet.layout.l4 {
        delta.apply_partial(field)
    } else if offload.is_aggregate() || is_udp && field == 0 {
        let segment = &packet.segment;
        let src = src_ip.unwrap_or(&segment.src.ip);
        let dst = dst_ip.unwrap_or(&segment.dst.ip);
        *offload = afresh(parts.transport, packet, *offload, *src, *dst);
        return Ok(());
    } else {
        delta.append(ports);
        let sum = delta.apply_full(field);
        if is_udp { checksum::not_zero(sum) } else { sum }
    };
    header[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}

/// Replaces the ports that a transport header begins with.
#[inline(always)]
pub(super) fn replace_ports<const LEN: usize>(
    header: &mut [u8; LEN],
    src: Option<&Endpoint>,
    dst: Option<&Endpoint>,
) -> Delta {
    let mut delta = Delta::new();
    if let Some(new) = src {
        put_port(header, 0, new.port, &mut delta);
    }
    if let Some(new) = dst {
        put_port(header, 2, new.port, &mut delta);
    }
    delta
}

#[inline(always)]
fn put_port<const LEN: usize>(header: &mut [u8; LEN], at: usize, new: u16, delta: &mut Delta) {
    delta.u16(u16::from_be_bytes([header[at], header[at + 1]]), new);
    header[at..at + 2].copy_from_slice(&new.to_be_bytes());
}

/// Gives a packet whose ports are already replaced, and whose addresses are `src` and `dst`, a checksum that
/// does not depend on the one it had. Returns its new offload state.
#[cold]
fn afresh(
    transport: &mut [u8],
    packet: &IpPacket,
    mut offload: Offload,
    src: Ip,
    dst: Ip,
) -> Offload {
    let layout = &packet.layout;
    let protocol = packet.segment.protocol;
    let offset = checksum_offset(protocol);
    if offload.is_aggregate() {
        let len = transport.len() as u32;
        let sum = checksum::pseudo_header(src, dst, protocol.0, len).fold();
        put16(transport, offset, sum);
        offload.flags |= Offload::NEEDS_CSUM;
        offload.csum_start = layout.l4;
        offload.csum_offset = offset as u16;
        return offload;
    }
    // A partial checksum somewhere further inside is yet to be filled in, so nothing can be summed over it.
    let is_whole = packet.fragment.is_none() && !offload.needs_csum();
    if layout.family == Family::V6 || !is_whole {
        return offload;
    }
    let len = be16(transport, udp::field::LEN).unwrap_or(0);
    if let Some(datagram) = transport.get_mut(..usize::from(len)) {
        let mut sum = checksum::pseudo_header(src, dst, protocol.0, u32::from(len));
        sum.add_bytes(datagram);
        put16(datagram, offset, checksum::not_zero(sum.finish()));
    }
    offload
}
