//! What is parsed, and what is parsed again after NAT.

use lvs_core::{Endpoint, Family, Ip, Kind, Protocol, Rewrite};
use lvs_fwd::frame::{Frame, Offload, Outputs, PortId};
use lvs_fwd::parse::{IpPacket, Parsed, parse};
use lvs_fwd::rewrite::{Egress, Rewriter};
use lvs_fwd::route::{Mac, NextHop};

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const NEXT: Mac = Mac([2, 0, 0, 0, 0, 9]);

/// What stands before a frame in the input.
mod flag {
    /// A virtio header comes first.
    pub(super) const OFFLOAD: u8 = 1;
    /// The frame is addressed to us and its IPv4 checksum right, whatever it says.
    pub(super) const MENDED: u8 = 2;
}

/// Parses a frame, and if it is a packet of a flow translates it and parses what is sent: that must be the same
/// packet of the flow it was translated to. The first byte has flags; with [`flag::OFFLOAD`] the ten bytes
/// of a virtio header follow; the rest is the frame.
pub fn segment(input: &[u8]) {
    let Some((&flags, mut bytes)) = input.split_first() else {
        return;
    };
    let mut offload = Offload::default();
    if flags & flag::OFFLOAD != 0
        && let Some((header, frame)) = bytes.split_first_chunk::<10>()
    {
        offload = super::offload(header);
        bytes = frame;
    }
    let mut bytes = bytes.to_vec();
    if flags & flag::MENDED != 0 {
        mend(&mut bytes);
    }
    let Ok(Parsed::Ip(packet)) = parse(&bytes, offload, OWN) else {
        return;
    };
    judge(&packet, &bytes);
    for rewrite in rewrites(packet.layout.family) {
        let Some((sent, offload)) = rewritten(&bytes, offload, &packet, &rewrite) else {
            continue;
        };
        let is_sctp =
            (packet.segment.protocol, packet.segment.kind) == (Protocol::SCTP, Kind::Packet);
        assert!(
            !is_sctp || !offload.needs_csum(),
            "nobody would fill in the CRC"
        );
        let after = match parse(&sent, offload, OWN) {
            Ok(Parsed::Ip(after)) => after,
            other => panic!("{other:?} after {rewrite:?}"),
        };
        judge(&after, &sent);
        compare(&packet, &after, &rewrite);
    }
}

/// Makes a frame one that is looked at.
fn mend(frame: &mut [u8]) {
    for (to, from) in frame.iter_mut().zip(OWN.0) {
        *to = from;
    }
    if let Some(header) = frame.get_mut(14..)
        && let Some(len) = header.first().map(|b| usize::from(b & 15) * 4)
        && let Some(header) = header.get_mut(..len)
        && len >= 20
    {
        header[10..12].fill(0);
        let checksum = lvs_fwd::checksum::of(header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// What must hold of every packet that was let through.
fn judge(p: &IpPacket, frame: &[u8]) {
    let (layout, segment) = (p.layout, p.segment);
    let (l3, l4) = (usize::from(layout.l3), usize::from(layout.l4));
    let header_len = match layout.family {
        Family::V4 => 20,
        Family::V6 => 40,
    };
    assert_eq!((l3, segment.len), (14, layout.len));
    assert!(l4 >= l3 + header_len && l4 <= layout.end() && layout.end() <= frame.len());
    assert!(layout.len <= 65_575);
    for end in [segment.src, segment.dst] {
        assert_eq!(end.ip.family(), layout.family);
        assert!(segment.protocol.is_balanced() || end.port == 0);
    }
    let (src, dst) = layout.addresses(frame).expect("the header is there");
    assert!(!src.is_loopback() && !src.is_multicast() && src != dst);
    if segment.kind != Kind::IcmpError {
        assert_eq!((segment.src.ip, segment.dst.ip), (src, dst));
    }
    assert_eq!(layout.inner.is_some(), segment.kind == Kind::IcmpError);
    if let Some(inner) = layout.inner {
        assert!(inner.l3 >= layout.l4 + 8 && inner.l4 >= inner.l3 + header_len as u16);
        assert!(usize::from(inner.l4) + usize::from(inner.len) <= layout.end());
        assert!(inner.len >= 4 || !segment.protocol.is_balanced());
    }
    let is_later = p.fragment.is_some_and(|f| !f.is_first());
    assert_eq!(segment.kind == Kind::LaterFragment, is_later);
    if let Some(f) = p.fragment {
        assert!(!f.is_atomic() && f.offset.is_multiple_of(8));
        assert!(usize::from(f.offset) + layout.end() - l4 <= 65_535);
    }
}

/// FullNAT, the two halves of NAT, a port that stays, and direct routing.
fn rewrites(family: Family) -> [Rewrite; 5] {
    let (src, dst): (Ip, Ip) = match family {
        Family::V4 => (Ip::v4([10, 9, 0, 1]), Ip::v4([10, 0, 0, 5])),
        Family::V6 => {
            let mut ip = [0; 16];
            (ip[0], ip[15]) = (0xfd, 1);
            let src = Ip::v6(ip);
            ip[15] = 5;
            (src, Ip::v6(ip))
        }
    };
    let (src, dst) = (Endpoint::new(src, 61_000), Endpoint::new(dst, 8080));
    let nat = |src, dst| Rewrite::Nat { src, dst };
    [
        nat(Some(src), Some(dst)),
        nat(None, Some(dst)),
        nat(Some(src), None),
        nat(None, Some(Endpoint::new(dst.ip, 80))),
        Rewrite::Route { next_hop: dst.ip },
    ]
}

/// What is sent, as we would receive it; `None` if it is refused.
fn rewritten(
    bytes: &[u8],
    offload: Offload,
    packet: &IpPacket,
    rewrite: &Rewrite,
) -> Option<(Vec<u8>, Offload)> {
    let mut frame = Frame::default();
    if !frame.fill(bytes, offload, PortId(0)) {
        return None;
    }
    let egress = Egress {
        hop: NextHop {
            port: PortId(1),
            src_mac: NEXT,
            dst_mac: OWN,
            mtu: 65_600,
        },
        source: None,
    };
    let mut outputs = Outputs::default();
    let mut rewriter = Rewriter::new(0);
    let result = rewriter.emit(rewrite, &egress, 0, &mut frame, packet, &mut outputs);
    if result.is_err() {
        assert!(outputs.is_empty());
        return None;
    }
    assert_eq!(outputs.len(), 1);
    let frames = std::slice::from_ref(&frame);
    let sent = outputs.for_port(PortId(1), frames).next()?;
    Some((sent.to_vec(), sent.offload))
}

/// The packet must be what it was, but for what was to change.
fn compare(before: &IpPacket, after: &IpPacket, rewrite: &Rewrite) {
    let (src, dst) = match *rewrite {
        Rewrite::Nat { src, dst } => (src, dst),
        _ => (None, None),
    };
    let has_ports =
        before.segment.protocol.is_balanced() && before.segment.kind != Kind::LaterFragment;
    let expected = |old: Endpoint, new: Option<Endpoint>| match new {
        Some(new) if has_ports => new,
        Some(new) => Endpoint::new(new.ip, old.port),
        None => old,
    };
    let mut segment = before.segment;
    segment.src = expected(segment.src, src);
    segment.dst = expected(segment.dst, dst);
    assert_eq!(after.segment, segment, "{rewrite:?}");
    assert_eq!(after.layout, before.layout);
    assert_eq!(after.ttl + 1, before.ttl);
    assert_eq!(after.fragment, before.fragment);
}
