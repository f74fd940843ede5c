//! NAT of SCTP packets, and the checksum that comes with it.
//!
//! SCTP's checksum is a CRC of the packet without any address. So only a change of port touches it, and it is
//! computed afresh then, as IPVS does. That needs the whole packet: a first fragment whose ports would change is
//! refused. (SCTP finds out the path's MTU and cuts its chunks itself, so that one hardly ever sees fragments.)
//!
//! A sender that leaves the CRC to its network card says so in the same words as with an internet checksum, and
//! the card or kernel at the other end would take them for one. So it is filled in here, whatever becomes of the
//! packet.

use lvs_core::{DropReason, Endpoint, Kind};

use super::nat::replace_ports;
use super::{Parts, address};
use crate::frame::{Frame, Offload};
use crate::parse::IpPacket;
use crate::wire::sctp;

/// Replaces source and destination where one is given.
///
/// # Errors
///
/// `Unsupported` if an address is of the other family or a fragment's port changes, `Truncated` if headers are cut
/// off. Nothing has changed then.
#[cold]
pub(super) fn apply(
    parts: &mut Parts<'_>,
    packet: &IpPacket,
    src: Option<&Endpoint>,
    dst: Option<&Endpoint>,
) -> Result<(), DropReason> {
    let segment = &packet.segment;
    let moves = |old: &Endpoint, new: Option<&Endpoint>| new.is_some_and(|n| n.port != old.port);
    let moves = moves(&segment.src, src) || moves(&segment.dst, dst);
    if moves && packet.fragment.is_some() {
        return Err(DropReason::Unsupported);
    }
    let header: &mut [u8; sctp::HEADER_LEN] = parts
        .transport
        .first_chunk_mut()
        .ok_or(DropReason::Truncated)?;
    let (src_ip, dst_ip) = (src.map(|e| &e.ip), dst.map(|e| &e.ip));
    address::replace(parts.network, packet.layout.family, src_ip, dst_ip)?;
    if moves {
        replace_ports(header, src, dst);
        sctp::fill_checksum(parts.transport);
    }
    Ok(())
}

/// Fills in a checksum that the sender left to its network card; the frame is then one like any other.
///
/// # Errors
///
/// `Unsupported` if it is that of something inside the packet, or of a fragment: the outer one cannot be known.
#[cold]
pub(super) fn complete(frame: &mut Frame, packet: &IpPacket) -> Result<(), DropReason> {
    let offload = frame.offload;
    if packet.segment.kind != Kind::Packet {
        return Ok(());
    }
    let layout = &packet.layout;
    let is_own = offload.csum_start == layout.l4
        && usize::from(offload.csum_offset) == sctp::field::CHECKSUM;
    if !is_own || packet.fragment.is_some() || offload.is_aggregate() {
        return Err(DropReason::Unsupported);
    }
    let sctp = frame
        .bytes_mut()
        .get_mut(usize::from(layout.l4)..layout.end());
    if !sctp.is_some_and(sctp::fill_checksum) {
        return Err(DropReason::Truncated);
    }
    frame.offload.flags &= !Offload::NEEDS_CSUM;
    (frame.offload.csum_start, frame.offload.csum_offset) = (0, 0);
    Ok(())
}
