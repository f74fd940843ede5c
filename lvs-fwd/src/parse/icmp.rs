//! ICMP errors, which belong to the connection of the packet they quote.
//!
//! Fragmented ones of IPv4 are followed if the first fragment holds the headers of the packet it quotes (IPVS puts
//! them together first); only their checksum cannot be verified. No honest sender fragments those of IPv6, and
//! they are dropped, as IPVS does.

use lvs_core::{
    Chunk, DropReason, Endpoint, Family, Kind, PassReason, Protocol, Segment, TcpFlags,
};

use super::{
    Inner, IpPacket, Layout, Network, Parsed, TransportHead, check_fragment, cut_header, packet,
};
use crate::checksum;
use crate::frame::Offload;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::{ether, icmp};

/// Reads an ICMP message.
#[cold]
#[inline(never)]
pub(super) fn error(net: Network<'_>, offload: Offload) -> Result<Parsed, DropReason> {
    let other = Ok(Parsed::Pass(PassReason::OtherProtocol));
    let (family, fragment) = (net.layout.family, net.fragment);
    if let Some(later) = fragment.filter(|f| !f.is_first()) {
        if family == Family::V6 {
            return other;
        }
        check_fragment(&net, later)?;
        let head = TransportHead::default();
        return Ok(packet(&net, head, Kind::LaterFragment, fragment));
    }
    let (header, quoted) = net
        .payload
        .split_first_chunk::<{ icmp::HEADER_LEN }>()
        .ok_or(DropReason::Truncated)?;
    let icmp_type = header[icmp::field::TYPE];
    let no_extensions = usize::from(net.layout.l4) == ether::HEADER_LEN + ipv6::HEADER_LEN;
    if family == Family::V6 && icmp_type == icmp::V6_NEIGHBOUR_SOLICITATION && no_extensions {
        return Ok(Parsed::NeighbourSolicitation);
    }
    if !icmp::is_error(family, icmp_type) {
        return other;
    }
    if let Some(first) = fragment {
        if family == Family::V6 {
            return Err(DropReason::BadFragment);
        }
        check_fragment(&net, first)?;
    }
    let at = usize::from(net.layout.l4) + icmp::HEADER_LEN;
    let quote = match (quote(family, quoted, at), fragment) {
        (Err(reason), Some(_)) => return Err(cut_header(reason)),
        // What quotes too little to be of a connection is for whom it is addressed to (IPVS).
        (quote, _) => quote.ok().flatten(),
    };
    let Some(quote) = quote else {
        return other;
    };
    if !offload.needs_csum() && fragment.is_none() && !icmp_checksum_ok(&net) {
        return Err(DropReason::BadChecksum);
    }
    Ok(Parsed::Ip(IpPacket {
        segment: Segment {
            src: quote.dst,
            dst: quote.src,
            len: net.layout.len,
            protocol: quote.protocol,
            flags: TcpFlags::default(),
            kind: Kind::IcmpError,
            chunk: Chunk::Data,
            mark: 0,
            tag: 0,
        },
        layout: Layout {
            inner: Some(quote.inner),
            ..net.layout
        },
        ttl: net.ttl,
        fragment,
    }))
}

fn icmp_checksum_ok(net: &Network<'_>) -> bool {
    let mut sum = match net.layout.family {
        Family::V4 => checksum::Sum::new(),
        Family::V6 => {
            checksum::pseudo_header(net.src, net.dst, net.protocol.0, net.payload.len() as u32)
        }
    };
    sum.add_bytes(net.payload);
    sum.finish() == 0
}

/// The packet that an ICMP error is about.
struct Quote {
    src: Endpoint,
    dst: Endpoint,
    protocol: Protocol,
    inner: Inner,
}

/// Reads the quoted packet, which begins `at` bytes into the frame. `None` if it can belong to no
/// connection of ours: another protocol, a later fragment, headers not followed.
fn quote(family: Family, bytes: &[u8], at: usize) -> Result<Option<Quote>, DropReason> {
    let (src, dst, protocol, fragment, header_len) = match family {
        Family::V4 => {
            let h = Ipv4::new(bytes)?;
            let (src, dst) = (h.src(), h.dst());
            (src, dst, h.protocol(), h.fragment(), h.header_len())
        }
        Family::V6 => {
            let (h, rest) = Ipv6::new(bytes)?;
            let (src, dst) = (h.src(), h.dst());
            if src.is_v4() || dst.is_v4() {
                return Err(DropReason::Martian);
            }
            match ipv6::extensions(rest, h.next_header()) {
                Ok(e) => (src, dst, e.protocol, e.fragment, ipv6::HEADER_LEN + e.len),
                Err(DropReason::BadExtension) => return Ok(None),
                Err(reason) => return Err(reason),
            }
        }
    };
    if fragment.is_some_and(|f| !f.is_first()) {
        return Ok(None);
    }
    let transport = bytes.get(header_len..).ok_or(DropReason::Truncated)?;
    // Whoever has ports begins with them.
    let [a, b, c, d] = match protocol {
        p if p.is_balanced() => *transport.first_chunk().ok_or(DropReason::Truncated)?,
        Protocol::AH | Protocol::ESP => [0; 4],
        _ => return Ok(None),
    };
    Ok(Some(Quote {
        src: Endpoint::new(src, u16::from_be_bytes([a, b])),
        dst: Endpoint::new(dst, u16::from_be_bytes([c, d])),
        protocol,
        inner: Inner {
            l3: at as u16,
            l4: (at + header_len) as u16,
            len: transport.len().min(usize::from(u16::MAX)) as u16,
        },
    }))
}
