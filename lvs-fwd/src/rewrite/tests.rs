//! What a rewritten packet must be, whatever the method.
//!
//! Frames are built and judged by etherparse, parsed as on an interface, and what is sent is looked at as the
//! receiver would see it: partial checksums completed, aggregates cut, tunnels unwrapped, fragments put together.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use lvs_core::Encapsulation;
use lvs_core::dest::GueChecksum;
use lvs_core::{Endpoint, Family, Kind, Protocol};

use super::*;
use crate::checksum;
use crate::frame::{Outputs, PortId};
use crate::io::mem::MemFrame;
use crate::parse::{Parsed, parse};
use crate::route::Mac;
use crate::wire::samples::{self, BOTH, OWN, PEER, client, l4, unhex, vip};

mod fragments;
mod golden;
mod icmp;
mod kernel;
mod nat;
mod refusals;
mod sctp;
mod tunnel;

const NEXT: Mac = Mac([2, 0, 0, 0, 0, 9]);
const NONE: Offload = Offload {
    flags: 0,
    gso_type: 0,
    hdr_len: 0,
    gso_size: 0,
    csum_start: 0,
    csum_offset: 0,
};
const ROUTE: Rewrite = Rewrite::Route {
    next_hop: Ip::v4([10, 0, 0, 5]),
};

fn ep(s: &str) -> Endpoint {
    s.parse().unwrap()
}

fn nat(src: Option<&str>, dst: Option<&str>) -> Rewrite {
    Rewrite::Nat {
        src: src.map(ep),
        dst: dst.map(ep),
    }
}

fn tunnel(remote: &str) -> Rewrite {
    Rewrite::Tunnel {
        remote: remote.parse().unwrap(),
        encapsulation: Encapsulation::Ipip,
    }
}

/// Every kind of tunnel there is, and how many bytes each puts between the IP headers (8 more with an option).
const ENCAPSULATIONS: [(Encapsulation, usize); 6] = [
    (Encapsulation::Ipip, 0),
    (Encapsulation::Gre { checksum: false }, 4),
    (Encapsulation::Gre { checksum: true }, 8),
    (gue(GueChecksum::None), 12),
    (gue(GueChecksum::Full), 12),
    (gue(GueChecksum::Remote), 12),
];

const fn gue(checksum: GueChecksum) -> Encapsulation {
    let port = 6080;
    Encapsulation::Gue { port, checksum }
}

/// Every tunnel that leads to a server of this family, and its overhead.
fn tunnels(outer: Family) -> impl Iterator<Item = (Rewrite, usize)> {
    let remote = server(outer);
    ENCAPSULATIONS.into_iter().map(move |(encapsulation, len)| {
        let rewrite = Rewrite::Tunnel {
            remote,
            encapsulation,
        };
        (rewrite, len + if outer == Family::V4 { 20 } else { 40 })
    })
}

/// Whether the receiver is to complete the inner checksum of a packet that has a partial one.
fn is_remote(rewrite: &Rewrite) -> bool {
    matches!(rewrite, Rewrite::Tunnel { encapsulation, .. } if *encapsulation == gue(GueChecksum::Remote))
}

/// The real server that addresses are translated to, and where tunnels end.
fn server(family: Family) -> Ip {
    match family {
        Family::V4 => Ip::v4([10, 0, 0, 5]),
        Family::V6 => "fd00::5".parse().unwrap(),
    }
}

/// An Ethernet header as received, in front of an IP packet.
fn ethernet(packet: &[u8]) -> Vec<u8> {
    let kind = if packet[0] >> 4 == 4 {
        [8, 0]
    } else {
        [0x86, 0xdd]
    };
    [&OWN.0[..], &PEER.0, &kind, packet].concat()
}

/// A received frame and the way it is to take.
struct Case {
    frame: Frame,
    packet: IpPacket,
    mtu: u32,
    pmtu_disc: bool,
    /// Where tunnels begin.
    sources: [Ip; 2],
}

impl Case {
    fn of(bytes: &[u8], offload: Offload) -> Self {
        let mut frame = Frame::default();
        assert!(frame.fill(bytes, offload, PortId(3)));
        let packet = match parse(bytes, offload, OWN) {
            Ok(Parsed::Ip(packet)) => packet,
            other => panic!("{other:?} of {bytes:02x?}"),
        };
        Self {
            frame,
            packet,
            mtu: 1500,
            pmtu_disc: true,
            sources: ["10.0.0.254", "fd00::fe"].map(|s| s.parse().unwrap()),
        }
    }

    fn mtu(self, mtu: u32) -> Self {
        Self { mtu, ..self }
    }

    /// What is sent, in order, after checks that hold for all that is sent.
    fn emit(&mut self, rewrite: Rewrite) -> Result<Vec<MemFrame>, Refusal> {
        let source = match rewrite {
            Rewrite::Tunnel { remote, .. } if remote.is_v4() => self.sources[0],
            _ => self.sources[1],
        };
        let egress = Egress {
            hop: NextHop {
                port: PortId(4),
                src_mac: OWN,
                dst_mac: NEXT,
                mtu: self.mtu,
            },
            source: Some(source),
        };
        let mut out = Outputs::default();
        let mut rewriter = Rewriter::new(0x77);
        rewriter.set_pmtu_disc(self.pmtu_disc);
        rewriter.emit(
            &rewrite,
            &egress,
            0,
            &mut self.frame,
            &self.packet,
            &mut out,
        )?;
        let frames = std::slice::from_ref(&self.frame);
        let sent: Vec<_> = out
            .for_port(PortId(4), frames)
            .map(|p| MemFrame {
                bytes: p.to_vec(),
                offload: p.offload,
            })
            .collect();
        assert_eq!(sent.len(), out.len(), "sent by another port");
        for s in &sent {
            let longest = if s.offload.is_aggregate() {
                65535
            } else {
                self.mtu as usize
            };
            assert!(s.bytes.len() - 14 <= longest, "longer than the MTU");
            assert_eq!(s.bytes[..12], [NEXT.0, OWN.0].concat());
        }
        Ok(sent)
    }

    /// The one frame that is sent.
    fn emit_one(&mut self, rewrite: Rewrite) -> MemFrame {
        let mut sent = self.emit(rewrite).unwrap();
        assert_eq!(sent.len(), 1);
        sent.pop().unwrap()
    }
}

/// The frame as the kernel or the network card would finish it.
fn finished(frame: &MemFrame) -> Vec<u8> {
    let mut bytes = frame.bytes.clone();
    if frame.offload.needs_csum() {
        let from = usize::from(frame.offload.csum_start);
        assert!(checksum::complete(
            &mut bytes[from..],
            frame.offload.csum_offset.into()
        ));
    }
    bytes
}

/// Makes a frame's transport checksum partial, as a sending kernel would leave it.
fn made_partial(mut frame: Vec<u8>, protocol: Protocol) -> (Vec<u8>, Offload) {
    let family = if frame[14] >> 4 == 4 {
        Family::V4
    } else {
        Family::V6
    };
    let at = l4(family);
    let len = (frame.len() - at) as u32;
    let sum = checksum::pseudo_header(client(family), vip(family), protocol.0, len).fold();
    let offset = if protocol == Protocol::TCP { 16 } else { 6 };
    frame[at + offset..][..2].copy_from_slice(&sum.to_be_bytes());
    let offload = Offload {
        flags: Offload::NEEDS_CSUM,
        csum_start: at as u16,
        csum_offset: offset as u16,
        ..NONE
    };
    (frame, offload)
}

/// Makes an aggregate of `gso_size` of a frame.
fn made_aggregate(frame: Vec<u8>, protocol: Protocol, gso_size: u16) -> (Vec<u8>, Offload) {
    let is_v4 = frame[14] >> 4 == 4;
    let (frame, offload) = made_partial(frame, protocol);
    let gso_type = match (protocol, is_v4) {
        (Protocol::TCP, true) => Offload::GSO_TCPV4,
        (Protocol::TCP, false) => Offload::GSO_TCPV6,
        _ => Offload::GSO_UDP_L4,
    };
    let hdr_len = offload.csum_start + if protocol == Protocol::TCP { 20 } else { 8 };
    (
        frame,
        Offload {
            gso_type,
            gso_size,
            hdr_len,
            ..offload
        },
    )
}

/// A packet as etherparse sees it, all of its checksums found right (a UDP checksum of 0 over IPv4 counts).
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    src: Endpoint,
    dst: Endpoint,
    ttl: u8,
    payload: Vec<u8>,
}

fn seen(frame: &[u8]) -> Seen {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let transport = sliced.transport.unwrap();
    let (src, dst, ttl): (Ip, Ip, u8) = match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(net) => {
            let h = net.header();
            assert_eq!(h.header_checksum(), h.to_header().calc_header_checksum());
            assert_eq!(usize::from(h.total_len()) + 14, frame.len());
            (h.source_addr().into(), h.destination_addr().into(), h.ttl())
        }
        NetSlice::Ipv6(net) => {
            let h = net.header();
            assert_eq!(usize::from(h.payload_length()) + 54, frame.len());
            (
                h.source_addr().into(),
                h.destination_addr().into(),
                h.hop_limit(),
            )
        }
        other => panic!("unexpected {other:?}"),
    };
    let (ports, payload, found, right) = match &transport {
        TransportSlice::Tcp(t) => {
            let right = match sliced.net.unwrap() {
                NetSlice::Ipv4(n) => {
                    t.calc_checksum_ipv4(n.header().source(), n.header().destination())
                }
                NetSlice::Ipv6(n) => {
                    t.calc_checksum_ipv6(n.header().source(), n.header().destination())
                }
                other => panic!("unexpected {other:?}"),
            };
            let ports = (t.source_port(), t.destination_port());
            (ports, t.payload(), t.checksum(), right.unwrap())
        }
        TransportSlice::Udp(u) => {
            assert_eq!(usize::from(u.length()), u.payload().len() + 8);
            let (h, payload) = (u.to_header(), u.payload());
            let right = match sliced.net.unwrap() {
                NetSlice::Ipv4(_) if u.checksum() == 0 => 0,
                NetSlice::Ipv4(n) => h
                    .calc_checksum_ipv4(&n.header().to_header(), payload)
                    .unwrap(),
                NetSlice::Ipv6(n) => h
                    .calc_checksum_ipv6(&n.header().to_header(), payload)
                    .unwrap(),
                other => panic!("unexpected {other:?}"),
            };
            (
                (u.source_port(), u.destination_port()),
                payload,
                u.checksum(),
                right,
            )
        }
        other => panic!("unexpected {other:?}"),
    };
    // Zero has two forms, and any receiver takes either.
    let same = (found, right) == (0xffff, 0) || found == right;
    assert!(
        same,
        "wrong transport checksum: {found:04x} for {right:04x}"
    );
    Seen {
        src: Endpoint::new(src, ports.0),
        dst: Endpoint::new(dst, ports.1),
        ttl,
        payload: payload.to_vec(),
    }
}

/// Puts fragments of one packet together; the headers are those of the first.
fn reassembled(fragments: &[MemFrame]) -> Vec<u8> {
    let mut whole: Vec<u8> = Vec::new();
    let mut payload_start = 0;
    let mut id = None;
    for (i, f) in fragments.iter().enumerate() {
        let f = &f.bytes;
        let is_v4 = f[14] >> 4 == 4;
        let (header_len, field, this_id) = if is_v4 {
            assert_eq!(checksum::of(&f[14..14 + usize::from(f[14] & 15) * 4]), 0);
            assert_eq!(
                usize::from(u16::from_be_bytes([f[16], f[17]])) + 14,
                f.len()
            );
            let field = u16::from_be_bytes([f[20], f[21]]);
            assert_eq!(field & 0x4000, 0, "DF on a fragment");
            let (offset, more) = ((field & 0x1fff) * 8, field & 0x2000 != 0);
            (
                usize::from(f[14] & 15) * 4,
                (offset, more),
                f[18..20].to_vec(),
            )
        } else {
            assert_eq!(f[20], 44, "no Fragment header");
            assert_eq!(
                usize::from(u16::from_be_bytes([f[18], f[19]])) + 54,
                f.len()
            );
            let field = u16::from_be_bytes([f[56], f[57]]);
            (48, (field & !7, field & 1 != 0), f[58..62].to_vec())
        };
        assert_eq!(*id.get_or_insert_with(|| this_id.clone()), this_id);
        if i == 0 {
            whole = f[..14 + header_len].to_vec();
            payload_start = whole.len();
        }
        let (offset, more) = field;
        assert_eq!(usize::from(offset), whole.len() - payload_start, "a gap");
        assert_eq!(more, i + 1 < fragments.len());
        whole.extend(&f[14 + header_len..]);
    }
    if whole[14] >> 4 == 4 {
        let len = (whole.len() - 14) as u16;
        whole[16..18].copy_from_slice(&len.to_be_bytes());
        whole[20] &= !0x3f;
        whole[21] = 0;
        samples::fix_v4(&mut whole);
    } else {
        whole[20] = whole[54];
        whole.drain(54..62);
        let len = (whole.len() - 54) as u16;
        whole[18..20].copy_from_slice(&len.to_be_bytes());
    }
    whole
}

/// What a tunnel packet carries, behind an Ethernet header of its own, as a real server would take it out: every
/// checksum on the way is verified, and one that is the receiver's to complete is completed.
fn unwrapped(frame: &[u8]) -> Vec<u8> {
    let (ip_len, protocol) = match frame[14] >> 4 {
        4 => (20, frame[23]),
        _ => (40, frame[20]),
    };
    let payload = &frame[14 + ip_len..];
    let (inner, told) = match protocol {
        47 => ungre(payload),
        17 => ungue(&frame[14..14 + ip_len], payload),
        _ => (payload.to_vec(), protocol),
    };
    assert_eq!(told, if inner[0] >> 4 == 4 { 4 } else { 41 });
    ethernet(&inner)
}

/// One's complement sum of 16-bit words, all ones if the checksum in it is right.
fn words_sum(bytes: &[u8]) -> u32 {
    let word = |w: &[u8]| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0));
    let sum: u32 = bytes.chunks(2).map(word).sum();
    std::iter::successors(Some(sum), |s| Some((s >> 16) + (s & 0xffff)))
        .find(|s| s >> 16 == 0)
        .unwrap()
}

fn ungre(packet: &[u8]) -> (Vec<u8>, u8) {
    let told = match packet[2..4] {
        [8, 0] => 4,
        [0x86, 0xdd] => 41,
        _ => panic!("GRE of {:02x?}", &packet[..4]),
    };
    match packet[..2] {
        [0, 0] => (packet[4..].to_vec(), told),
        [0x80, 0] => {
            assert_eq!(words_sum(packet), 0xffff, "wrong GRE checksum");
            assert_eq!(packet[6..8], [0, 0]);
            (packet[8..].to_vec(), told)
        }
        _ => panic!("GRE of {:02x?}", &packet[..4]),
    }
}

fn ungue(network: &[u8], datagram: &[u8]) -> (Vec<u8>, u8) {
    let addresses = if network.len() == 20 {
        &network[12..]
    } else {
        &network[8..]
    };
    let len = datagram.len() as u16;
    assert_eq!(datagram[4..6], len.to_be_bytes());
    assert!((0x8000..60_000 + 1000).contains(&u16::from_be_bytes([datagram[0], datagram[1]])));
    if datagram[6..8] != [0, 0] {
        let pseudo = [addresses, &[0, 17], &len.to_be_bytes(), datagram].concat();
        assert_eq!(words_sum(&pseudo), 0xffff, "wrong UDP checksum");
    }
    let (gue, told) = (&datagram[8..], datagram[9]);
    match gue[..4] {
        [0, _, 0, 0] => (gue[4..].to_vec(), told),
        [2, _, 0, 1] => {
            assert_ne!(datagram[6..8], [0, 0], "nobody would look at the option");
            assert_eq!(gue[4..8], [0x80, 0, 0, 0]);
            let at = |i: usize| usize::from(u16::from_be_bytes([gue[i], gue[i + 1]]));
            let (start, field) = (at(8), at(10));
            let mut inner = gue[12..].to_vec();
            assert!(checksum::complete(&mut inner[start..], field - start));
            (inner, told)
        }
        _ => panic!("GUE of {:02x?}", &gue[..4]),
    }
}
