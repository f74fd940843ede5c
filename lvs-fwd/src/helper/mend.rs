//! Carries out what a helper wants: changes the payload, and all that follows from it.
//!
//! The packet is still as it came, its addresses not yet translated. Checksums are kept in the state they are in (see
//! [`crate::checksum`]). Complete ones are verified beforehand, as IPVS does for connections with a helper: what a helper
//! hears must be what was said, and a new checksum must not make wrong data right. An aggregate keeps its segment size:
//! whoever cuts it cuts the payload as it is now.

use lvs_core::{Assist, Direction, DropReason, Family, Kind, Protocol, Shift, TcpFlags};

use super::sequence::{self, Overlap};
use super::{Edit, Helper};
use crate::checksum::{self, Delta, Sum};
use crate::frame::{Frame, Offload};
use crate::head::{be16, be32, put16, put32};
use crate::parse::{IpPacket, Layout};
use crate::wire::tcp::{self, Tcp};
use crate::wire::{icmp, ipv4, ipv6, udp};

/// What became of a packet that was shown to a helper.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "taken apart where it is made; a box would be an allocation a packet"
)]
pub(crate) enum Mended {
    /// Nothing changed.
    Same,
    /// The frame is another now, and so is its parsed form. Of the first the headers are kept.
    Changed(IpPacket, Original),
    /// It must not go on.
    Dropped(DropReason),
}

/// Shows a packet to a helper and carries out what it wants. A dropped packet has changed nothing.
pub(crate) fn mend(
    helper: &dyn Helper,
    conn: &mut Assist,
    frame: &mut Frame,
    packet: &IpPacket,
) -> Mended {
    let kept = conn.clone();
    let result = match (packet.segment.kind, packet.segment.protocol) {
        (Kind::Packet, Protocol::TCP) => segment(helper, conn, frame, packet),
        (Kind::Packet, Protocol::UDP) => datagram(helper, conn, frame, packet),
        (Kind::IcmpError, Protocol::TCP) => Ok(error(conn, frame, packet)),
        _ => Ok(None),
    };
    match result {
        Ok(None) => Mended::Same,
        Ok(Some((packet, original))) => Mended::Changed(packet, original),
        Err(reason) => {
            *conn = kept;
            Mended::Dropped(reason)
        }
    }
}

/// An ICMP error quotes a segment as its receiver would have counted it. Its sender believes an error only about what it
/// has sent and not yet seen acknowledged (RFC 5927 section 4.1).
fn error(conn: &mut Assist, frame: &mut Frame, packet: &IpPacket) -> Option<(IpPacket, Original)> {
    let layout = &packet.layout;
    let (_, quoted) = shifts(conn);
    if sequence::is_unused(quoted) {
        return None;
    }
    let original = Original::of(frame, layout);
    let at = usize::from(layout.inner?.l4) + tcp::field::SEQ;
    let sent = frame.bytes_mut().get_mut(..layout.end())?;
    let seq = be32(sent, at)?;
    let told = sequence::back(quoted, seq);
    put32(sent, at, told);
    // An IPv6 error may come with a partial checksum, which has none of this in it.
    let place = usize::from(layout.l4) + icmp::field::CHECKSUM;
    if !frame.offload.needs_csum() {
        let mut delta = Delta::new();
        delta.u32(seq, told);
        let field = be16(frame.bytes(), place)?;
        put16(frame.bytes_mut(), place, delta.apply_full(field));
    }
    Some((*packet, original))
}

type Outcome = Result<Option<(IpPacket, Original)>, DropReason>;

fn datagram(
    helper: &dyn Helper,
    conn: &mut Assist,
    frame: &mut Frame,
    packet: &IpPacket,
) -> Outcome {
    if packet.fragment.is_some() || frame.offload.is_aggregate() {
        return Ok(None);
    }
    let transport = transport(frame, &packet.layout)?;
    if be16(transport, udp::field::LEN).map(usize::from) != Some(transport.len()) {
        return Ok(None); // bytes behind the datagram, which nobody reads
    }
    verify(transport, frame.offload, packet)?;
    let payload = transport.get(udp::HEADER_LEN..).unwrap_or(&[]);
    let edit = helper.look(conn, payload, false);
    let Some(edit) = edit.filter(|e| payload.get(e.range.clone()).is_some()) else {
        return Ok(None);
    };
    let original = Original::of(frame, &packet.layout);
    let packet = replace(frame, packet, udp::HEADER_LEN, &Change::of(edit))?;
    Ok(Some((packet, original)))
}

fn segment(
    helper: &dyn Helper,
    conn: &mut Assist,
    frame: &mut Frame,
    packet: &IpPacket,
) -> Outcome {
    let transport = transport(frame, &packet.layout)?;
    let header = Tcp::new(transport)?;
    verify(transport, frame.offload, packet)?;
    let (seq, header_len) = (header.seq(), header.header_len());
    let payload = transport.get(header_len..).unwrap_or(&[]);
    let (shift, _) = shifts(conn);
    let change = match sequence::overlap(shift, seq, payload.len()) {
        _ if payload.is_empty() => None,
        Overlap::None if packet.fragment.is_some() => None,
        Overlap::None => first(helper, conn, frame.offload, seq, payload),
        _ if packet.fragment.is_some() => return Err(DropReason::Unsupported),
        Overlap::Whole(at) => Some(again(helper, conn, payload, at)?),
        Overlap::Head(at) => Some(Change::cut(payload, at)?),
        Overlap::Tail => return Err(DropReason::Unsupported),
    };
    let (own, other) = shifts(conn);
    if change.is_none() && sequence::is_unused(own) && sequence::is_unused(other) {
        return Ok(None);
    }
    let (own, other) = (*own, *other);
    let original = Original::of(frame, &packet.layout);
    let mended = match change {
        Some(change) => replace(frame, packet, header_len, &change)?,
        None => *packet,
    };
    renumber(frame, &mended.layout, &own, &other);
    Ok(Some((mended, original)))
}

/// What is to be done to a payload.
struct Change {
    edit: Edit,
    /// The rest is only put off, and a FIN with it.
    is_cut: bool,
}

impl Change {
    fn of(edit: Edit) -> Self {
        let is_cut = false;
        Self { edit, is_cut }
    }

    /// Cuts off what comes from byte `at` on. The sender will send it again.
    fn cut(payload: &[u8], at: usize) -> Result<Self, DropReason> {
        if at == 0 {
            return Err(DropReason::Unsupported);
        }
        let edit = Edit {
            range: at..payload.len(),
            with: Vec::new(),
        };
        let is_cut = true;
        Ok(Self { edit, is_cut })
    }
}

/// Refuses a packet whose checksum, if it has a complete one, is wrong.
fn verify(transport: &[u8], offload: Offload, packet: &IpPacket) -> Result<(), DropReason> {
    let segment = &packet.segment;
    let known = offload.needs_csum()
        || offload.is_aggregate()
        || offload.flags & Offload::DATA_VALID != 0
        || packet.fragment.is_some();
    let is_unsummed =
        segment.protocol == Protocol::UDP && be16(transport, udp::field::CHECKSUM) == Some(0);
    match known || is_unsummed || sum_of(transport, packet) == 0 {
        true => Ok(()),
        false => Err(DropReason::BadChecksum),
    }
}

/// The checksum over transport header and payload.
fn sum_of(transport: &[u8], packet: &IpPacket) -> u16 {
    let segment = &packet.segment;
    let len = transport.len() as u32;
    let (src, dst) = (segment.src.ip, segment.dst.ip);
    let mut sum = checksum::pseudo_header(src, dst, segment.protocol.0, len);
    sum.add_bytes(transport);
    sum.finish()
}

/// The shifts of what this packet's sender sends, and of what it receives.
fn shifts(conn: &mut Assist) -> (&mut Shift, &mut Shift) {
    match conn.direction {
        Direction::In => (&mut conn.shift_in, &mut conn.shift_out),
        Direction::Out => (&mut conn.shift_out, &mut conn.shift_in),
    }
}

/// Shows new payload to the helper: of an aggregate that of each segment, until one is to be changed.
fn first(
    helper: &dyn Helper,
    conn: &mut Assist,
    offload: Offload,
    seq: u32,
    payload: &[u8],
) -> Option<Change> {
    let size = match offload.is_aggregate() {
        true => usize::from(offload.gso_size).max(1),
        false => payload.len(),
    };
    for (at, part) in (0..).step_by(size).zip(payload.chunks(size)) {
        let kept = (conn.shift_in, conn.shift_out);
        let since = seq.wrapping_add(at as u32);
        if !sequence::is_new(shifts(conn).0, since) {
            continue; // old, and long looked at
        }
        let edit = helper.look(conn, part, false);
        (conn.shift_in, conn.shift_out) = kept;
        let Some(edit) = edit.filter(|e| part.get(e.range.clone()).is_some()) else {
            continue;
        };
        let (len, new_len) = (edit.range.end, edit.range.start + edit.with.len());
        if let (Ok(len), Ok(new_len)) = (u16::try_from(len), u16::try_from(new_len)) {
            sequence::record(shifts(conn).0, since, len, new_len);
            return Some(Change::of(shifted(edit, at)));
        }
    }
    None
}

/// Payload in which what was replaced is sent once more, from byte `at` on. If the helper no longer knows it, only what
/// comes before it may pass.
fn again(
    helper: &dyn Helper,
    conn: &mut Assist,
    payload: &[u8],
    at: usize,
) -> Result<Change, DropReason> {
    let (shift, _) = shifts(conn);
    let len = usize::from(shift.len);
    let new_len = len as i64 + i64::from(shift.delta) - i64::from(shift.before);
    let kept = conn.clone();
    let edit = helper.look(conn, payload.get(at..).unwrap_or(&[]), true);
    *conn = kept;
    let is_same = |e: &Edit| e.range.end == len && (e.range.start + e.with.len()) as i64 == new_len;
    match edit.filter(is_same) {
        Some(edit) => Ok(Change::of(shifted(edit, at))),
        None => Change::cut(payload, at),
    }
}

fn shifted(edit: Edit, by: usize) -> Edit {
    Edit {
        range: edit.range.start + by..edit.range.end + by,
        ..edit
    }
}

fn transport<'a>(frame: &'a Frame, layout: &Layout) -> Result<&'a [u8], DropReason> {
    let range = usize::from(layout.l4)..layout.end();
    frame.bytes().get(range).ok_or(DropReason::Truncated)
}

/// Changes the payload, which begins `header_len` bytes into the transport header, and mends lengths and checksums.
fn replace(
    frame: &mut Frame,
    packet: &IpPacket,
    header_len: usize,
    change: &Change,
) -> Result<IpPacket, DropReason> {
    let Change { edit, is_cut } = change;
    let mut packet = *packet;
    let layout = &mut packet.layout;
    let (l3, l4) = (usize::from(layout.l3), usize::from(layout.l4));
    let offload = frame.offload;
    let is_partial = offload.needs_csum() && offload.csum_start == layout.l4;
    let old_len = layout.end() - l4;
    let new_len = old_len - edit.range.len() + edit.with.len();
    let network_len = l4 - l3;
    let most = match layout.family {
        Family::V4 => usize::from(u16::MAX) - network_len,
        Family::V6 => usize::from(u16::MAX) + ipv6::HEADER_LEN - network_len,
    };
    if new_len > most || offload.needs_csum() && !is_partial {
        return Err(DropReason::Unsupported);
    }
    let at = l4 + header_len;
    if !frame.splice(at + edit.range.start..at + edit.range.end, &edit.with) {
        return Err(DropReason::Unsupported);
    }
    layout.len = (network_len + new_len) as u32;
    packet.segment.len = layout.len;
    let sent = frame.bytes_mut().get_mut(l3..);
    let Some((network, transport)) = sent.and_then(|p| p.split_at_mut_checked(network_len)) else {
        return Err(DropReason::Truncated);
    };
    set_len(network, layout);
    let protocol = packet.segment.protocol;
    if protocol == Protocol::UDP {
        put16(transport, udp::field::LEN, new_len as u16);
    } else if *is_cut && let Some(flags) = transport.get_mut(tcp::field::FLAGS) {
        *flags &= !TcpFlags::FIN.0;
        packet.segment.flags = TcpFlags(*flags);
    }
    let place = checksum_place(protocol);
    let field = be16(transport, place).unwrap_or(0);
    if is_partial {
        let mut delta = Delta::new();
        delta.u16(old_len as u16, new_len as u16);
        put16(transport, place, delta.apply_partial(field));
    } else if !offload.is_aggregate() && (protocol == Protocol::TCP || field != 0) {
        put16(transport, place, 0);
        let sum = sum_of(transport, &packet);
        put16(transport, place, checksum::not_zero(sum));
    }
    Ok(packet)
}

const fn checksum_place(protocol: Protocol) -> usize {
    match protocol {
        Protocol::UDP => udp::field::CHECKSUM,
        _ => tcp::field::CHECKSUM,
    }
}

/// Writes the packet's length into its IP header.
fn set_len(network: &mut [u8], layout: &Layout) {
    match layout.family {
        Family::V4 => {
            put16(network, ipv4::field::TOTAL_LEN, layout.len as u16);
            put16(network, ipv4::field::CHECKSUM, 0);
            let sum = checksum::of(network);
            put16(network, ipv4::field::CHECKSUM, sum);
        }
        Family::V6 => {
            let len = layout.len as usize - ipv6::HEADER_LEN;
            put16(network, ipv6::field::PAYLOAD_LEN, len as u16);
        }
    }
}

/// Moves sequence number, acknowledgement and SACK blocks.
fn renumber(frame: &mut Frame, layout: &Layout, own: &Shift, other: &Shift) {
    let offload = frame.offload;
    let is_partial = offload.needs_csum() && offload.csum_start == layout.l4;
    let range = usize::from(layout.l4)..layout.end();
    let Some(transport) = frame.bytes_mut().get_mut(range) else {
        return;
    };
    let Ok(view) = Tcp::new(transport) else {
        return;
    };
    let (seq, ack, flags) = (view.seq(), view.ack(), view.flags());
    let header_len = view.header_len();
    let Some(header) = transport.get_mut(..header_len) else {
        return;
    };
    let before = sum(header);
    put32(header, tcp::field::SEQ, sequence::forth(own, seq));
    if flags.has(TcpFlags::ACK) && !sequence::is_unused(other) {
        put32(header, tcp::field::ACK, sequence::back(other, ack));
        selective(header, other);
    }
    let after = sum(header);
    if !is_partial && !offload.is_aggregate() {
        let mut delta = Delta::new();
        delta.u16(before, after);
        let field = be16(header, tcp::field::CHECKSUM).unwrap_or(0);
        put16(header, tcp::field::CHECKSUM, delta.apply_full(field));
    }
}

fn sum(header: &[u8]) -> u16 {
    let mut sum = Sum::new();
    sum.add_bytes(header);
    sum.fold()
}

/// Moves the SACK blocks (RFC 2018) among the options.
fn selective(header: &mut [u8], other: &Shift) {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const SACK: u8 = 5;
    let mut at = tcp::HEADER_LEN;
    while let Some(&kind) = header.get(at) {
        let len = match (kind, header.get(at + 1)) {
            (NOTHING, _) => 1,
            (END, _) | (_, None | Some(0 | 1)) => return,
            (_, Some(&len)) => usize::from(len),
        };
        if kind == SACK && at + len <= header.len() {
            for block in (at + 2..at + len).step_by(8) {
                if let (Some(from), Some(to)) = (be32(header, block), be32(header, block + 4))
                    && block + 8 <= at + len
                {
                    let [from, to] = sequence::block_back(other, [from, to]);
                    put32(header, block, from);
                    put32(header, block + 4, to);
                }
            }
        }
        at += len;
    }
}

/// The most bytes of headers: with more extension headers than that an error quotes what it finds.
const KEPT: usize = 256;

/// A packet's headers as they came, for the ICMP error that quotes it if it goes no further.
#[derive(Debug)]
pub(crate) struct Original {
    headers: [u8; KEPT],
    l3: usize,
    len: usize,
    frame_len: usize,
}

impl Original {
    fn of(frame: &Frame, layout: &Layout) -> Self {
        let l3 = usize::from(layout.l3);
        let bytes = frame.bytes();
        let kept = bytes.get(l3..).unwrap_or(&[]);
        let len = kept.len().min(KEPT);
        let mut headers = [0; KEPT];
        for (to, from) in headers.iter_mut().zip(kept) {
            *to = *from;
        }
        Self {
            headers,
            l3,
            len,
            frame_len: bytes.len(),
        }
    }

    /// Puts the headers back, and the length.
    pub(crate) fn restore(&self, frame: &mut Frame) {
        frame.set_len(self.frame_len);
        let room = frame.bytes_mut().get_mut(self.l3..self.l3 + self.len);
        if let (Some(room), Some(kept)) = (room, self.headers.get(..self.len)) {
            room.copy_from_slice(kept);
        }
    }
}

#[cfg(test)]
mod tests;
