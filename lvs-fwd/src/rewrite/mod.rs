//! Carrying out a verdict: the frame is rewritten and described as one or more outputs.
//!
//! There is one entry, [`Rewriter::emit`], and one promise: a packet that is refused is untouched, so that the
//! caller can still quote it in an ICMP error. So everything that can go wrong is looked at first (TTL,
//! MTU, whether the headers are where the layout says); then the frame is changed, and nothing can fail any
//! more. NAT and direct routing work in place; a tunnel puts new headers in front of a range of the frame; only
//! what the kernel cannot send as it is gets cut up (modules `segmentation` and `split`), and even then no
//! payload is copied.
//!
//! The rules are those of IPVS: TTL falls by one whatever the method; aggregates are judged by the length of
//! their segments; IPv4 packets without DF are fragmented where need be.

mod address;
mod fit;
mod icmp;
mod nat;
mod sctp;
mod send;
mod shim;
mod ttl;
mod tunnel;

use lvs_core::{DropReason, Encapsulation, Ip, Protocol, Rewrite};

use crate::frame::{Frame, Offload, Outputs};
use crate::parse::{IpPacket, Layout};
use crate::route::NextHop;
use crate::segmentation::{Aggregate, Checksums};
use crate::wire::ether;
use crate::wire::gue::RemoteChecksum;

use fit::{Around, Fit};
use send::Departure;
use shim::Shim;
use tunnel::Outer;

/// The way a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Egress {
    /// Port, Ethernet addresses and MTU.
    pub hop: NextHop,
    /// The address tunnel packets are sent from, of the family of the tunnel's far end
    /// ([`Topology::source_for`](crate::route::Topology::source_for)). Nothing else needs it.
    pub source: Option<Ip>,
}

/// Why a packet was not sent. It is untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the packet path handles every case"
)]
pub enum Refusal {
    /// The TTL or hop limit ran out; to be answered with ICMP time exceeded.
    TtlExceeded,
    /// The packet is too big for the way on and not to be fragmented; to be answered with ICMP too big.
    TooBig {
        /// The longest IP packet that would do, a tunnel's header deducted.
        mtu: u32,
    },
    /// To be dropped in silence.
    Drop(DropReason),
}

impl Refusal {
    /// The counter it goes to.
    pub const fn reason(self) -> DropReason {
        match self {
            Self::TtlExceeded => DropReason::TtlExceeded,
            Self::TooBig { .. } => DropReason::TooBig,
            Self::Drop(reason) => reason,
        }
    }
}

impl From<DropReason> for Refusal {
    fn from(reason: DropReason) -> Self {
        Self::Drop(reason)
    }
}

/// Carries out rewrites. It remembers only which identification the next packet of its own gets, so
/// every worker has one, and one setting.
#[derive(Clone, Debug)]
pub struct Rewriter {
    next_id: u32,
    pmtu_disc: bool,
}

impl Rewriter {
    /// `seed` is where identifications begin. Give workers seeds far from each other: two fragmented
    /// tunnel packets to the same server must not share an identification while they travel (RFC 6864).
    pub const fn new(seed: u32) -> Self {
        Self {
            next_id: seed,
            pmtu_disc: true,
        }
    }

    /// Whether tunnels keep to the path MTU, as they do at first: whether they check IPv4 packets' size and copy DF
    /// ([`lvs_core::Sysctls::pmtu_disc`]).
    pub fn set_pmtu_disc(&mut self, on: bool) {
        self.pmtu_disc = on;
    }

    /// Rewrites `frame`, the `index`th of its burst, whose parsed form is `packet`, and adds what is to be
    /// sent by `egress` to `outputs`.
    ///
    /// # Errors
    ///
    /// Why it was not sent; `frame` (but for an SCTP checksum that was left to be filled in), `outputs` and `self`
    /// are then as they were. `Drop(Unsupported)` means
    /// a tunnel without a source address or with an MTU below the least there is, an address of the other
    /// family, another protocol than those the parser knows, an SCTP fragment whose port would change, or an
    /// aggregate of unknown kind; `Drop(Truncated)` and
    /// `Drop(BadLength)` that packet or offload state do not belong to the frame.
    #[inline]
    pub fn emit(
        &mut self,
        rewrite: &Rewrite,
        egress: &Egress,
        index: usize,
        frame: &mut Frame,
        packet: &IpPacket,
        outputs: &mut Outputs,
    ) -> Result<(), Refusal> {
        if packet.ttl <= 1 {
            return Err(Refusal::TtlExceeded);
        }
        let layout = &packet.layout;
        if packet.segment.protocol == Protocol::SCTP && frame.offload.needs_csum() {
            sctp::complete(frame, packet)?;
        }
        let mut offload = frame.offload;
        check_offload(offload, layout)?;
        if let Rewrite::Tunnel {
            remote,
            encapsulation,
        } = *rewrite
        {
            let end = (remote, encapsulation);
            return self.tunnel(end, egress, index, frame, packet, outputs);
        }
        let mut parts = Parts::of(frame.bytes_mut(), layout)?;
        let aggregate = match offload.is_aggregate() {
            true => Some(Aggregate::of(packet, offload, parts.transport)?),
            false => None,
        };
        let fit = fit::judge(layout, aggregate.as_ref(), None, egress.hop.mtu)?;
        if let Rewrite::Nat { src, dst } = rewrite {
            nat::apply(&mut parts, packet, &mut offload, src.as_ref(), dst.as_ref())?;
        }
        ttl::decrement(parts.network, layout.family);
        if fit == Fit::Fragments {
            self.depart(None, egress, index, outputs)
                .send(frame, layout, offload, aggregate, fit);
        } else {
            *parts.link = send::link_header(&egress.hop, layout.family);
            send::in_place(index, layout, offload, fit, egress.hop.port, outputs);
        }
        Ok(())
    }

    fn tunnel(
        &mut self,
        (remote, encapsulation): (Ip, Encapsulation),
        egress: &Egress,
        index: usize,
        frame: &mut Frame,
        packet: &IpPacket,
        outputs: &mut Outputs,
    ) -> Result<(), Refusal> {
        let layout = &packet.layout;
        let offload = frame.offload;
        let parts = Parts::of(frame.bytes_mut(), layout)?;
        let aggregate = match offload.is_aggregate() {
            true => Some(Aggregate::of(packet, offload, parts.transport)?),
            false => None,
        };
        let partial = partial_checksum(layout, offload, aggregate.as_ref());
        let shim = Shim::new(encapsulation, packet, partial)?;
        let discover = self.pmtu_disc;
        let (source, network) = (egress.source, &*parts.network);
        let outer = Outer::new(remote, source, shim, network, packet, discover)?;
        let around = Around {
            family: outer.family(),
            overhead: outer.len(),
            discover,
        };
        let fit = fit::judge(layout, aggregate.as_ref(), Some(&around), egress.hop.mtu)?;
        ttl::decrement(parts.network, layout.family);
        self.depart(Some(outer), egress, index, outputs)
            .send(frame, layout, offload, aggregate, fit);
        Ok(())
    }

    fn depart<'a>(
        &'a mut self,
        outer: Option<Outer>,
        egress: &'a Egress,
        index: usize,
        outputs: &'a mut Outputs,
    ) -> Departure<'a> {
        Departure {
            hop: &egress.hop,
            outer,
            index,
            outputs,
            next_id: &mut self.next_id,
        }
    }
}

/// Where a packet's checksum is, from its IP header, if it is partial; an aggregate's segments' is if they have any.
fn partial_checksum(
    layout: &Layout,
    offload: Offload,
    aggregate: Option<&Aggregate>,
) -> Option<RemoteChecksum> {
    let (start, offset) = match aggregate {
        Some(a) if a.needs_csum(Checksums::Partial) => (layout.l4, a.checksum_offset() as u16),
        None if offload.needs_csum() => (offload.csum_start, offload.csum_offset),
        _ => return None,
    };
    let start = start.checked_sub(layout.l3)?;
    let field = start.checked_add(offset)?;
    Some(RemoteChecksum { start, field })
}

/// A partial checksum must be one of the transport header or of something inside: its place is shifted, or it is
/// completed, later on, and that must not change the IP header.
fn check_offload(offload: Offload, layout: &Layout) -> Result<(), DropReason> {
    let start = usize::from(offload.csum_start);
    let end = start + usize::from(offload.csum_offset) + 2;
    if offload.needs_csum() && (start < usize::from(layout.l4) || end > layout.end()) {
        return Err(DropReason::BadLength);
    }
    Ok(())
}

/// A packet cut where its headers begin.
struct Parts<'a> {
    /// Room for the Ethernet header, right in front of the IP header.
    link: &'a mut [u8; ether::HEADER_LEN],
    /// The IP header with options or extension headers; at least the fixed header.
    network: &'a mut [u8],
    /// Transport header and payload.
    transport: &'a mut [u8],
}

impl<'a> Parts<'a> {
    #[inline(always)]
    fn of(frame: &'a mut [u8], layout: &Layout) -> Result<Self, DropReason> {
        let (l3, l4) = (usize::from(layout.l3), usize::from(layout.l4));
        let Some(start) = l3.checked_sub(ether::HEADER_LEN) else {
            return Err(DropReason::Truncated);
        };
        if l4 < l3 + address::header_len(layout.family) {
            return Err(DropReason::Truncated);
        }
        let packet = frame.get_mut(start..layout.end());
        let Some((link, packet)) = packet.and_then(|p| p.split_first_chunk_mut()) else {
            return Err(DropReason::Truncated);
        };
        let Some((network, transport)) = packet.split_at_mut_checked(l4 - l3) else {
            return Err(DropReason::Truncated);
        };
        Ok(Self {
            link,
            network,
            transport,
        })
    }
}

#[cfg(test)]
mod tests;
