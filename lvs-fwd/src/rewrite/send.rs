//! From a rewritten frame to outputs.

use std::ops::Range;

use lvs_core::Family;

use super::fit::Fit;
use super::tunnel::Outer;
use crate::checksum;
use crate::frame::{Frame, Offload, Outputs, PortId};
use crate::head::Head;
use crate::parse::Layout;
use crate::route::NextHop;
use crate::segmentation::{Aggregate, Checksums};
use crate::split::Oversized;
use crate::wire::ether::{self, ethertype};

/// Sends a packet from where it lies, the Ethernet header right in front of its IP header. What lies behind
/// the packet (padding) is left out.
#[inline(always)]
pub(super) fn in_place(
    index: usize,
    layout: &Layout,
    mut offload: Offload,
    fit: Fit,
    port: PortId,
    outputs: &mut Outputs,
) {
    let start = usize::from(layout.l3).saturating_sub(ether::HEADER_LEN);
    if let Fit::Resized(size) = fit {
        offload.gso_size = size;
    }
    if start > 0 {
        offload = moved(offload, start, 0);
    }
    outputs.push(port, offload, &[], index, start..layout.end());
}

/// The way of packets that get new headers.
pub(super) struct Departure<'a> {
    pub(super) hop: &'a NextHop,
    /// The tunnel's headers, if there is a tunnel.
    pub(super) outer: Option<Outer>,
    pub(super) index: usize,
    pub(super) outputs: &'a mut Outputs,
    pub(super) next_id: &'a mut u32,
}

impl Departure<'_> {
    /// Sends the packet: in a tunnel if there is one, in segments if it is an aggregate, in fragments if it
    /// does not fit otherwise.
    pub(super) fn send(
        mut self,
        frame: &mut Frame,
        layout: &Layout,
        offload: Offload,
        aggregate: Option<Aggregate>,
        fit: Fit,
    ) {
        match aggregate {
            Some(aggregate) => self.segments(frame.bytes(), layout, aggregate, fit),
            None => self.packet(frame, layout, offload, fit),
        }
    }

    fn packet(&mut self, frame: &mut Frame, layout: &Layout, mut offload: Offload, fit: Fit) {
        if fit == Fit::Fragments && offload.needs_csum() && !self.leaves_inner_partial() {
            let sent = frame.bytes_mut().get_mut(..layout.end());
            if let Some(summed) = sent.and_then(|b| b.get_mut(offload.csum_start.into()..)) {
                checksum::complete(summed, offload.csum_offset.into());
            }
            offload = Offload::default();
        }
        let (l3, l4) = (usize::from(layout.l3), usize::from(layout.l4));
        let mut head = self.head(layout.family, layout.len as usize);
        let body = if self.outer.is_some() {
            l3
        } else {
            // The header to be repeated in each fragment.
            head.push(frame.bytes().get(l3..l4).unwrap_or(&[]));
            l4
        };
        let mut offload = moved(offload, body, head.bytes().len());
        let body = body..layout.end();
        if let Some(outer) = &self.outer {
            let inner = frame.bytes().get(body.clone()).unwrap_or(&[]);
            outer.seal(&mut head, inner, &mut offload, fit == Fit::Fragments);
        }
        self.dispatch(&head, body, layout.family, offload);
    }

    fn segments(&mut self, frame: &[u8], layout: &Layout, aggregate: Aggregate, fit: Fit) {
        let aggregate = match fit {
            Fit::Resized(size) => aggregate.resized(size),
            Fit::Whole | Fit::Fragments => aggregate,
        };
        let checksums = match fit {
            Fit::Fragments if !self.leaves_inner_partial() => Checksums::Complete,
            Fit::Fragments | Fit::Whole | Fit::Resized(_) => Checksums::Partial,
        };
        let network_len = usize::from(layout.l4) - usize::from(layout.l3);
        aggregate.cut(frame, layout, checksums, |headers, body| {
            let mut head = self.head(layout.family, headers.len() + body.len());
            let mut offload = Offload::default();
            if aggregate.needs_csum(checksums) {
                offload.flags = Offload::NEEDS_CSUM;
                offload.csum_start = (head.bytes().len() + network_len) as u16;
                offload.csum_offset = aggregate.checksum_offset() as u16;
            }
            head.push(headers);
            if let Some(outer) = &self.outer {
                let body = frame.get(body.clone()).unwrap_or(&[]);
                outer.seal(&mut head, body, &mut offload, fit == Fit::Fragments);
            }
            self.dispatch(&head, body, layout.family, offload);
        });
    }

    fn leaves_inner_partial(&self) -> bool {
        let outer = self.outer.as_ref();
        outer.is_some_and(Outer::leaves_inner_partial)
    }

    /// Ethernet header and, in a tunnel, the outer headers around `inner_len` bytes.
    fn head(&mut self, family: Family, inner_len: usize) -> Head {
        let mut head = Head::new();
        match &self.outer {
            Some(outer) => {
                head.push(&link_header(self.hop, outer.family()));
                outer.push(&mut head, inner_len, self.next_id);
            }
            None => head.push(&link_header(self.hop, family)),
        }
        head
    }

    fn dispatch(&mut self, head: &Head, body: Range<usize>, family: Family, offload: Offload) {
        let len = head.bytes().len() - ether::HEADER_LEN + body.len();
        let mtu = self.hop.mtu as usize;
        let port = self.hop.port;
        if len <= mtu {
            self.outputs
                .push(port, offload, head.bytes(), self.index, body);
            return;
        }
        let family = self.outer.as_ref().map_or(family, Outer::family);
        let id = *self.next_id;
        if family == Family::V6 {
            *self.next_id = id.wrapping_add(1);
        }
        Oversized {
            family,
            head: head.bytes(),
            frame: self.index,
            body,
            mtu,
            id,
        }
        .send(port, self.outputs);
    }
}

#[inline(always)]
pub(super) fn link_header(hop: &NextHop, family: Family) -> [u8; ether::HEADER_LEN] {
    let ethertype = match family {
        Family::V4 => ethertype::IPV4,
        Family::V6 => ethertype::IPV6,
    };
    ether::emit(hop.dst_mac, hop.src_mac, ethertype)
}

/// The offload state of a packet whose part from `from` on (in the received frame) is sent behind a head of
/// `head_len` bytes. Whether the checksum was verified is left standing there: nobody reads it on the way out.
fn moved(mut offload: Offload, from: usize, head_len: usize) -> Offload {
    let place = |at: u16| (usize::from(at) + head_len).saturating_sub(from) as u16;
    if offload.needs_csum() {
        offload.csum_start = place(offload.csum_start);
    }
    if offload.is_aggregate() {
        offload.hdr_len = place(offload.hdr_len);
    }
    offload
}
