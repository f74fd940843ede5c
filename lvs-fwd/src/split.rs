//! Fragmentation of outgoing packets (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! A packet to be cut is given as its headers and a range of a received frame. Each fragment gets headers of
//! its own and a part of that range: the payload is never copied. IPv4 packets may be cut by any router, and
//! a fragment may be cut again; IPv6 packets only by their sender, which we are of tunnel packets alone. The
//! transport checksum must be complete beforehand.

use std::ops::Range;

use lvs_core::Family;

use crate::checksum;
use crate::frame::{Offload, Outputs, PortId};
use crate::head::{Head, be16, put16};
use crate::wire::ipv4::{DONT_FRAGMENT, MORE_FRAGMENTS};
use crate::wire::ipv6::extension;
use crate::wire::{ether, ipv4, ipv6};

/// The least MTU of IPv4 (RFC 791): the longest header and eight bytes.
pub(crate) const MIN_MTU: usize = 68;

/// Length of IPv6's Fragment header.
const FRAGMENT_HEADER_LEN: usize = 8;

/// A packet longer than the way on takes.
#[derive(Clone, Debug)]
pub(crate) struct Oversized<'a> {
    /// The family of the header to be repeated.
    pub(crate) family: Family,
    /// An Ethernet header, the IP header, and possibly more headers that only the first fragment carries.
    pub(crate) head: &'a [u8],
    /// Which received frame the rest comes from.
    pub(crate) frame: usize,
    /// The rest, a range of that frame.
    pub(crate) body: Range<usize>,
    /// The longest IP packet to send: at least [`MIN_MTU`], of IPv6 at least 1280.
    pub(crate) mtu: usize,
    /// IPv6: the identification its fragments get. IPv4 headers carry theirs already.
    pub(crate) id: u32,
}

impl Oversized<'_> {
    /// Sends the packet in fragments.
    pub(crate) fn send(&self, port: PortId, outputs: &mut Outputs) {
        let push = |head: &Head, body| {
            outputs.push(port, Offload::default(), head.bytes(), self.frame, body);
        };
        // An unfinished header (which callers do not give) has no fragments.
        let _ = match self.family {
            Family::V4 => self.ipv4(push),
            Family::V6 => self.ipv6(push),
        };
    }

    fn ipv4(&self, mut push: impl FnMut(&Head, Range<usize>)) -> Option<()> {
        let (link, packet) = self.head.split_at_checked(ether::HEADER_LEN)?;
        let header_len = usize::from(*packet.first()? & 0xf) * 4;
        let (header, extra) = packet.split_at_checked(header_len)?;
        let flags = be16(header, ipv4::field::FRAGMENT)?;
        let is_last = flags & MORE_FRAGMENTS == 0;
        let base = flags & !(MORE_FRAGMENTS | DONT_FRAGMENT);

        let mut later = Head::new();
        repeated(header, &mut later);
        let mut repeat = header;
        let mut parts = Parts::new(extra, self.body.clone());
        while let Some(part) = parts.next(self.mtu.saturating_sub(repeat.len())) {
            let more = if is_last && part.is_last {
                0
            } else {
                MORE_FRAGMENTS
            };
            let mut head = Head::new();
            head.push(link);
            head.push(repeat);
            let h = head.bytes_mut().get_mut(ether::HEADER_LEN..)?;
            let total_len = (repeat.len() + part.len) as u16;
            put16(h, ipv4::field::TOTAL_LEN, total_len);
            put16(
                h,
                ipv4::field::FRAGMENT,
                base.wrapping_add((part.offset / 8) as u16) | more,
            );
            put16(h, ipv4::field::CHECKSUM, 0);
            let sum = checksum::of(h);
            put16(h, ipv4::field::CHECKSUM, sum);
            head.push(part.extra);
            push(&head, part.body);
            repeat = later.bytes();
        }
        Some(())
    }

    fn ipv6(&self, mut push: impl FnMut(&Head, Range<usize>)) -> Option<()> {
        let (link, packet) = self.head.split_at_checked(ether::HEADER_LEN)?;
        let (header, extra) = packet.split_at_checked(ipv6::HEADER_LEN)?;
        let next_header = *header.get(ipv6::field::NEXT_HEADER)?;
        let room = self
            .mtu
            .saturating_sub(ipv6::HEADER_LEN + FRAGMENT_HEADER_LEN);
        let mut parts = Parts::new(extra, self.body.clone());
        while let Some(part) = parts.next(room) {
            let mut head = Head::new();
            head.push(link);
            head.push(header);
            let h = head.bytes_mut().get_mut(ether::HEADER_LEN..)?;
            let len = (FRAGMENT_HEADER_LEN + part.len) as u16;
            put16(h, ipv6::field::PAYLOAD_LEN, len);
            *h.get_mut(ipv6::field::NEXT_HEADER)? = extension::FRAGMENT;
            let [a, b] = (part.offset as u16 | u16::from(!part.is_last)).to_be_bytes();
            let [c, d, e, f] = self.id.to_be_bytes();
            head.push(&[next_header, 0, a, b, c, d, e, f]);
            head.push(part.extra);
            push(&head, part.body);
        }
        Some(())
    }
}

/// The IPv4 header of later fragments: only the options whose "copied" flag is set, padded with the end of
/// options to whole words.
fn repeated(header: &[u8], out: &mut Head) {
    let (fixed, mut options) = header.split_at(header.len().min(ipv4::HEADER_LEN));
    out.push(fixed);
    while let [kind, ref rest @ ..] = *options {
        let len = match (kind, rest) {
            (0, _) => break,
            (1, _) => 1,
            (_, &[len, ..]) => usize::from(len).max(2),
            (_, []) => break,
        };
        let Some((option, rest)) = options.split_at_checked(len) else {
            break;
        };
        if kind & 0x80 != 0 {
            out.push(option);
        }
        options = rest;
    }
    while !out.bytes().len().is_multiple_of(4) {
        out.push(&[0]);
    }
    let words = (out.bytes().len() / 4) as u8;
    if let Some(first) = out.bytes_mut().first_mut() {
        *first = 0x40 | words;
    }
}

/// What a fragment holds.
struct Part<'a> {
    /// Where in the packet's payload it begins.
    offset: usize,
    len: usize,
    is_last: bool,
    extra: &'a [u8],
    body: Range<usize>,
}

/// A payload, `extra` followed by `body`, cut in parts.
struct Parts<'a> {
    extra: &'a [u8],
    body: Range<usize>,
    offset: usize,
}

impl<'a> Parts<'a> {
    fn new(extra: &'a [u8], body: Range<usize>) -> Self {
        Self {
            extra,
            body,
            offset: 0,
        }
    }

    /// The next part, of at most `room` bytes, and of a multiple of eight unless it is the last.
    fn next(&mut self, room: usize) -> Option<Part<'a>> {
        let left = self.extra.len() + self.body.len();
        if left == 0 {
            return None;
        }
        let len = if left <= room {
            left
        } else {
            (room & !7).max(8).min(left)
        };
        let (extra, rest) = self.extra.split_at(len.min(self.extra.len()));
        let middle = self.body.start + (len - extra.len()).min(self.body.len());
        let part = Part {
            offset: self.offset,
            len,
            is_last: len == left,
            extra,
            body: self.body.start..middle,
        };
        self.extra = rest;
        self.body.start = middle;
        self.offset += len;
        Some(part)
    }
}
