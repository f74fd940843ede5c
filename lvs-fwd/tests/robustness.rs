//! Frames from people who mean no good, in bursts of any mix: nothing panics, every frame is counted once, and
//! nothing comes out that another parser (etherparse) finds malformed.

#[path = "journey/lab.rs"]
mod lab;

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv6FragmentHeader, NetSlice, PacketBuilder, SlicedPacket,
    TransportSlice,
};
use lvs_core::{Endpoint, Family, Method, Protocol};
use lvs_fwd::frame::{BURST, Offload};
use lvs_fwd::route::Mac;
use proptest::prelude::*;
use proptest::sample::Index;

use lab::{
    FAMILIES, GATEWAY_MAC, LAN, LAN_MAC, Lab, METHODS, Packet, SERVER_MAC, WAN, WAN_MAC, client,
    ends, every_service, links, local, own, raw, server, vip, with_servers,
};

/// A frame and the port it comes in by.
type Arriving = (usize, Bytes);

#[derive(Clone)]
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// Frames as honest hosts send them.
fn honest() -> Vec<Arriving> {
    let mut frames = Vec::new();
    for (family, protocol) in every_service() {
        let opening = Packet::opening(family, protocol);
        let later = Packet::new(protocol, client(family), vip(family));
        let odd = Packet {
            payload: vec![7; 33],
            dont_fragment: false,
            id: 77,
            ..later.clone()
        };
        let long = Packet {
            payload: vec![9; 1400],
            ..odd.clone()
        };
        for p in [&opening, &later, &odd, &long] {
            frames.push((WAN, Bytes(p.sent_by_client())));
        }
        let lip = Endpoint::new(local(family), 1024);
        for (src, dst) in [
            (server(family), client(family)),
            (server(family), lip),
            (vip(family), client(family)),
        ] {
            let reply = Packet::new(protocol, src, dst);
            frames.push((LAN, Bytes(reply.sent_by_server())));
            let quote = Packet::new(protocol, dst, src).ip_packet();
            frames.push((LAN, Bytes(icmp_error(SERVER_MAC, LAN_MAC, &reply, &quote))));
        }
        let quote = later.reply().ip_packet();
        frames.push((WAN, Bytes(icmp_error(GATEWAY_MAC, WAN_MAC, &later, &quote))));
        for (offset, more) in [(0, true), (8, true), (16, false)] {
            frames.push((WAN, Bytes(fragment(&odd, offset, more))));
        }
    }
    for target in [vip(Family::V4).ip, own(Family::V4, WAN)] {
        let mut arp = [[0xff; 6], GATEWAY_MAC.0].concat();
        arp.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        arp.extend(GATEWAY_MAC.0);
        arp.extend([192, 0, 2, 254, 0, 0, 0, 0, 0, 0]);
        arp.extend(target.as_v4().unwrap());
        frames.push((WAN, Bytes(arp)));
    }
    frames
}

fn icmp_error(from: Mac, to: Mac, carrier: &Packet, quote: &[u8]) -> Vec<u8> {
    let b = PacketBuilder::ethernet2(from.0, to.0).ip(carrier.ip_headers());
    let mut frame = Vec::new();
    match carrier.src.ip.family() {
        Family::V4 => b.icmpv4_raw(3, 4, [0, 0, 5, 0]).write(&mut frame, quote),
        Family::V6 => b.icmpv6_raw(2, 0, [0, 0, 5, 0]).write(&mut frame, quote),
    }
    .unwrap();
    frame
}

/// Eight bytes of the packet's transport, or all from the offset on.
fn fragment(packet: &Packet, offset: usize, more: bool) -> Vec<u8> {
    let transport = packet.transport();
    let end = if more { offset + 8 } else { transport.len() };
    let units = IpFragOffset::try_new((offset / 8) as u16).unwrap();
    let headers = match packet.ip_headers() {
        IpHeaders::Ipv4(mut h, e) => {
            (h.fragment_offset, h.more_fragments) = (units, more);
            IpHeaders::Ipv4(h, e)
        }
        IpHeaders::Ipv6(h, mut e) => {
            let next = IpNumber(packet.protocol.0);
            e.fragment = Some(Ipv6FragmentHeader::new(next, units, more, 5));
            IpHeaders::Ipv6(h, e)
        }
    };
    let payload = &transport[offset..end];
    raw(GATEWAY_MAC, WAN_MAC, headers, packet.protocol.0, payload)
}

/// What is done to an honest frame.
#[derive(Clone, Debug)]
enum Mutation {
    /// A byte of the headers becomes another.
    Header(Index, u8),
    /// A bit anywhere is flipped.
    Flip(Index, u8),
    Truncate(Index),
    /// Bytes are put behind.
    Extend(Vec<u8>),
    /// Bytes (options, extension headers, anything) are put behind the IP header, whose lengths follow.
    Insert {
        next: u8,
        bytes: Vec<u8>,
    },
    /// Another address, maybe one that may not be.
    Address {
        source: bool,
        bytes: [u8; 4],
    },
    /// From or to whom the frame goes.
    Ethernet(Index, Mac),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let macs = prop::sample::select(vec![
        WAN_MAC,
        LAN_MAC,
        Mac::BROADCAST,
        SERVER_MAC,
        Mac([0x33, 0x33, 0, 0, 0, 1]),
    ]);
    let addresses = prop::sample::select(vec![
        [0, 0, 0, 0],
        [127, 0, 0, 1],
        [224, 0, 0, 1],
        [255, 255, 255, 255],
        [198, 51, 100, 80],
        [10, 0, 0, 11],
        [10, 0, 0, 200],
        [192, 0, 2, 1],
    ]);
    let next = prop::sample::select(vec![0u8, 43, 44, 50, 51, 59, 60, 6, 17, 58, 132]);
    let any_index = any::<Index>;
    prop_oneof![
        4 => (any_index(), any::<u8>()).prop_map(|(i, b)| Mutation::Header(i, b)),
        2 => (any_index(), 0..8u8).prop_map(|(i, b)| Mutation::Flip(i, b)),
        2 => any_index().prop_map(Mutation::Truncate),
        1 => prop::collection::vec(any::<u8>(), 1..80).prop_map(Mutation::Extend),
        2 => (next, prop::collection::vec(0..9u8, 1..6)).prop_map(|(next, words)| {
            let bytes = words.into_iter().flat_map(|w| [w, 0, 1, w, 1, 1, 0, 0]).collect();
            Mutation::Insert { next, bytes }
        }),
        1 => (any::<bool>(), addresses)
            .prop_map(|(source, bytes)| Mutation::Address { source, bytes }),
        1 => (any_index(), macs).prop_map(|(i, m)| Mutation::Ethernet(i, m)),
    ]
}

fn apply(frame: &mut Vec<u8>, mutation: &Mutation) {
    if frame.len() < 60 {
        return;
    }
    let is_v4 = frame[14] >> 4 == 4;
    match mutation {
        Mutation::Header(i, b) => {
            let i = 12 + i.index(62.min(frame.len() - 12));
            frame[i] = *b;
        }
        Mutation::Flip(i, bit) => {
            let i = i.index(frame.len());
            frame[i] ^= 1 << bit;
        }
        Mutation::Truncate(i) => frame.truncate(i.index(frame.len())),
        Mutation::Extend(bytes) => frame.extend(bytes),
        Mutation::Insert { next, bytes } if is_v4 => {
            let _ = next;
            frame.splice(34..34, bytes[..bytes.len().min(40)].iter().copied());
            let added = bytes.len().min(40);
            frame[14] = 0x45 + (added / 4) as u8;
            let len = u16::from_be_bytes([frame[16], frame[17]]).wrapping_add(added as u16);
            frame[16..18].copy_from_slice(&len.to_be_bytes());
        }
        Mutation::Insert { next, bytes } => {
            let mut bytes = bytes.clone();
            bytes[0] = frame[20];
            bytes[1] = (bytes.len() / 8 - 1) as u8;
            frame[20] = *next;
            let len = u16::from_be_bytes([frame[18], frame[19]]).wrapping_add(bytes.len() as u16);
            frame[18..20].copy_from_slice(&len.to_be_bytes());
            frame.splice(54..54, bytes);
        }
        Mutation::Address { source, bytes } => {
            let at = match (is_v4, source) {
                (true, true) => 26,
                (true, false) => 30,
                (false, true) => 34,
                (false, false) => 50,
            };
            frame[at..at + 4].copy_from_slice(bytes);
        }
        Mutation::Ethernet(i, mac) => {
            let at = i.index(2) * 6;
            frame[at..at + 6].copy_from_slice(&mac.0);
        }
    }
}

/// Makes an IPv4 header's checksum right, so that damage elsewhere is looked at.
fn mend(frame: &mut [u8]) {
    let Some(first) = frame.get(14).filter(|b| *b >> 4 == 4) else {
        return;
    };
    let len = usize::from(first & 0xf) * 4;
    if len < 20 || frame.len() < 14 + len {
        return;
    }
    frame[24..26].fill(0);
    let checksum = !sum(&frame[14..14 + len]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

/// The one's complement sum of whole words.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks_exact(2);
    words.fold(0u32, |s, w| {
        let s = s + (u32::from(w[0]) << 8 | u32::from(w[1]));
        (s & 0xffff) + (s >> 16)
    }) as u16
}

fn hostile() -> impl Strategy<Value = Arriving> {
    let honest = prop::sample::select(honest());
    let mutated = (
        honest.clone(),
        prop::collection::vec(mutation(), 1..4),
        prop::bool::weighted(0.8),
    )
        .prop_map(|((port, Bytes(mut frame)), mutations, mended)| {
            for m in &mutations {
                apply(&mut frame, m);
            }
            if mended {
                mend(&mut frame);
            }
            (port, Bytes(frame))
        });
    let noise =
        (0..2usize, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(port, mut f)| {
            // Addressed to us, or it would not be looked at.
            for (to, from) in f.iter_mut().zip([WAN_MAC.0, LAN_MAC.0][port]) {
                *to = from;
            }
            (port, Bytes(f))
        });
    prop_oneof![3 => honest, 6 => mutated, 1 => noise]
}

/// Whether every checksum of a frame is right; `None` if it cannot be said (no parser, a fragment, another
/// protocol, none at all).
fn checksums_right(frame: &[u8]) -> Option<bool> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let transport = sliced.transport?;
    match sliced.net? {
        NetSlice::Ipv4(ip) => {
            let (src, dst) = (ip.header().source(), ip.header().destination());
            match transport {
                TransportSlice::Tcp(t) => Some(t.calc_checksum_ipv4(src, dst) == Ok(t.checksum())),
                TransportSlice::Udp(u) => {
                    let right = u.to_header().calc_checksum_ipv4_raw(src, dst, u.payload());
                    Some(u.checksum() == 0 || right == Ok(u.checksum()))
                }
                TransportSlice::Icmpv4(i) => {
                    Some(i.checksum() == i.icmp_type().calc_checksum(i.payload()))
                }
                TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => None,
            }
        }
        NetSlice::Ipv6(ip) => {
            let (src, dst) = (ip.header().source(), ip.header().destination());
            match transport {
                TransportSlice::Tcp(t) => Some(t.calc_checksum_ipv6(src, dst) == Ok(t.checksum())),
                TransportSlice::Udp(u) => {
                    let right = u.to_header().calc_checksum_ipv6_raw(src, dst, u.payload());
                    Some(right == Ok(u.checksum()))
                }
                TransportSlice::Icmpv6(i) => Some(i.is_checksum_valid(src, dst)),
                TransportSlice::Icmpv4(_) | TransportSlice::Igmp(_) => None,
            }
        }
        NetSlice::Arp(_) => None,
    }
}

/// Takes a tunnel's header off, unless it is that of a fragment.
fn inside(frame: &[u8]) -> Option<Vec<u8>> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let (number, payload) = match &sliced.net? {
        NetSlice::Ipv4(ip) if !ip.is_payload_fragmented() => {
            (ip.payload().ip_number.0, ip.payload().payload)
        }
        NetSlice::Ipv6(ip) if !ip.is_payload_fragmented() => {
            (ip.payload().ip_number.0, ip.payload().payload)
        }
        _ => return None,
    };
    let ethertype = match number {
        4 => [8, 0],
        41 => [0x86, 0xdd],
        _ => return None,
    };
    Some([&frame[..12], &ethertype, payload].concat())
}

fn well_formed(frame: &[u8]) -> Result<(), TestCaseError> {
    let sliced = SlicedPacket::from_ethernet(frame);
    let sliced =
        sliced.map_err(|e| TestCaseError::fail(format!("malformed: {e}: {frame:02x?}")))?;
    if let Some(NetSlice::Ipv4(ip)) = &sliced.net {
        // Over the bytes: etherparse's header values do not hold the reserved flag.
        prop_assert_eq!(sum(ip.header().slice()), 0xffff, "{:02x?}", frame);
        prop_assert!(!ip.header().source_addr().is_loopback());
    }
    match inside(frame) {
        Some(inner) => well_formed(&inner),
        None => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hostile_frames_are_counted_and_nothing_malformed_comes_out(
        method in prop::sample::select(METHODS.to_vec()),
        frames in prop::collection::vec(hostile(), 1..60),
        burst in 1..=BURST,
    ) {
        let mut one_by_one = Lab::new(method);
        let mut in_bursts = Lab::new(method);
        let mut sent = Vec::new();
        for (port, Bytes(frame)) in &frames {
            let before = one_by_one.counts();
            let out = one_by_one.send(*port, frame);
            let after = one_by_one.counts();
            let held = after.held > before.held;
            if held || after.held == 0 {
                let ended = ends(&after) - ends(&before);
                prop_assert_eq!(ended, u64::from(!held), "{:02x?}", frame);
            }
            for (_, out) in &out {
                well_formed(out)?;
                if checksums_right(frame) == Some(true) {
                    let inner = inside(out);
                    let judged = checksums_right(inner.as_ref().unwrap_or(out));
                    prop_assert_ne!(judged, Some(false), "{:02x?} became {:02x?}", frame, out);
                }
            }
            sent.extend(out);
        }
        let mut sent_in_bursts = Vec::new();
        for chunk in frames.chunks(burst) {
            let chunk: Vec<_> = chunk.iter().map(|(p, f)| (*p, f.0.clone(), Offload::default())).collect();
            sent_in_bursts.extend(in_bursts.send_burst(&chunk).into_iter().map(|(p, f)| (p, f.bytes)));
        }
        // A burst's answers to ARP come first, and ports are emptied one after the other.
        sent.sort();
        sent_in_bursts.sort();
        prop_assert_eq!(sent, sent_in_bursts, "a burst is treated as its frames one by one");
        one_by_one.settle();
        in_bursts.settle();
        prop_assert_eq!(ends(&one_by_one.counts()), frames.len() as u64);
        prop_assert_eq!(one_by_one.counts(), in_bursts.counts());
    }

    /// The kernel vouches for the offload state, but it may belong to a frame that we see otherwise.
    #[test]
    fn any_offload_state_is_survived(
        method in prop::sample::select(METHODS.to_vec()),
        frames in prop::collection::vec((hostile(), offload()), 1..BURST),
        mtu in prop::sample::select(vec![68, 500, 1280, 1500, 65_535]),
    ) {
        let mut lab = Lab::with_topology(method, with_servers(links(mtu)));
        let frames: Vec<_> = frames.into_iter().map(|((p, f), o)| (p, f.0, o)).collect();
        let sent = lab.send_burst(&frames);
        lab.settle();
        prop_assert_eq!(ends(&lab.counts()), frames.len() as u64);
        for (_, f) in sent {
            let o = f.offload;
            if o.needs_csum() {
                let end = usize::from(o.csum_start) + usize::from(o.csum_offset) + 2;
                prop_assert!(end <= f.bytes.len() && o.csum_start >= 14, "{:?} {:02x?}", o, f.bytes);
            }
            prop_assert!(!o.is_aggregate() || o.gso_size > 0);
            well_formed(&f.bytes)?;
        }
    }
}

fn offload() -> impl Strategy<Value = Offload> {
    let place = prop::sample::select(vec![0u16, 14, 34, 54, 62, 500, u16::MAX]);
    let offset = prop::sample::select(vec![6u16, 16, 2, 0, u16::MAX]);
    let size = prop::sample::select(vec![0u16, 1, 8, 100, 1400, u16::MAX]);
    let kind = prop::sample::select(vec![0u8, 1, 3, 4, 5, 0x81, 0x84, 0x7f]);
    (0..4u8, kind, place.clone(), size, place, offset).prop_map(
        |(flags, gso_type, hdr_len, gso_size, csum_start, csum_offset)| Offload {
            flags,
            gso_type,
            hdr_len,
            gso_size,
            csum_start,
            csum_offset,
        },
    )
}

/// What the properties rest on: honest frames are forwarded, and the judge accepts them.
#[test]
fn the_judge_accepts_honest_frames() {
    let mut forwarded = 0;
    for (port, Bytes(frame)) in honest() {
        assert_ne!(checksums_right(&frame), Some(false), "{frame:02x?}");
        well_formed(&frame).unwrap();
        let mut lab = Lab::new(Method::Nat);
        for family in FAMILIES {
            lab.send(
                WAN,
                &Packet::opening(family, Protocol::TCP).sent_by_client(),
            );
            lab.send(
                WAN,
                &Packet::opening(family, Protocol::UDP).sent_by_client(),
            );
        }
        forwarded += lab.send(port, &frame).len();
    }
    assert!(forwarded > 30, "{forwarded}");
}
