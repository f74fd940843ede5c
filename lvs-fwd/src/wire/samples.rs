//! Frames for tests, built and judged by other hands: etherparse's.

use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6Extensions, Ipv6FragmentHeader, Ipv6Header,
    NetSlice, PacketBuilder, SlicedPacket, TcpHeader, TransportSlice,
};
use lvs_core::{Family, Ip, Protocol};

use super::Fragment;
use crate::frame::{Frame, Offload, PortId};
use crate::route::Mac;

pub(crate) const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub(crate) const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);
pub(crate) const BOTH: [Family; 2] = [Family::V4, Family::V6];

const CLIENT4: [u8; 4] = [192, 0, 2, 10];
const VIP4: [u8; 4] = [198, 51, 100, 1];
const CLIENT6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
const VIP6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

pub(crate) fn client(family: Family) -> Ip {
    match family {
        Family::V4 => Ip::v4(CLIENT4),
        Family::V6 => Ip::v6(CLIENT6),
    }
}

pub(crate) fn vip(family: Family) -> Ip {
    match family {
        Family::V4 => Ip::v4(VIP4),
        Family::V6 => Ip::v6(VIP6),
    }
}

/// Where the transport header is in frames without options or extension headers.
pub(crate) fn l4(family: Family) -> usize {
    match family {
        Family::V4 => 34,
        Family::V6 => 54,
    }
}

pub(crate) fn v4_header() -> Ipv4Header {
    Ipv4Header {
        time_to_live: 64,
        source: CLIENT4,
        destination: VIP4,
        ..Ipv4Header::default()
    }
}

pub(crate) fn v6_header() -> Ipv6Header {
    Ipv6Header {
        hop_limit: 64,
        source: CLIENT6,
        destination: VIP6,
        ..Ipv6Header::default()
    }
}

fn ip(family: Family) -> IpHeaders {
    match family {
        Family::V4 => IpHeaders::Ipv4(v4_header(), Default::default()),
        Family::V6 => IpHeaders::Ipv6(v6_header(), Default::default()),
    }
}

/// A TCP header with the given flags, from port 40000 to port 80.
pub(crate) fn tcp_header(flags: u8) -> TcpHeader {
    let mut h = TcpHeader::new(40000, 80, 1000, 65535);
    h.acknowledgment_number = 2000;
    let has = |bit: u8| flags & bit != 0;
    (h.fin, h.syn, h.rst, h.psh) = (has(1), has(2), has(4), has(8));
    (h.ack, h.urg, h.ece, h.cwr) = (has(0x10), has(0x20), has(0x40), has(0x80));
    h
}

/// A TCP segment from the client's port 40000 to the virtual address's port 80.
pub(crate) fn tcp(family: Family, flags: u8, payload: &[u8]) -> Vec<u8> {
    tcp_with(ip(family), tcp_header(flags), payload)
}

pub(crate) fn tcp_with(ip: IpHeaders, header: TcpHeader, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(PEER.0, OWN.0)
        .ip(ip)
        .tcp_header(header)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

/// A UDP datagram from the client's port 5000 to the virtual address's port 53.
pub(crate) fn udp(family: Family, payload: &[u8]) -> Vec<u8> {
    udp_with(ip(family), 5000, 53, payload)
}

pub(crate) fn udp_with(ip: IpHeaders, src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(PEER.0, OWN.0)
        .ip(ip)
        .udp(src, dst)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

/// An IP packet of any protocol.
pub(crate) fn raw(family: Family, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    raw_with(ip(family), protocol, payload)
}

pub(crate) fn raw_with(ip: IpHeaders, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(PEER.0, OWN.0)
        .ip(ip)
        .write(&mut frame, IpNumber(protocol.0), payload)
        .unwrap();
    frame
}

/// A fragment of a packet of any protocol.
pub(crate) fn fragment(
    family: Family,
    protocol: Protocol,
    fragment: Fragment,
    payload: &[u8],
) -> Vec<u8> {
    let offset = IpFragOffset::try_new(fragment.offset / 8).unwrap();
    let headers = match family {
        Family::V4 => IpHeaders::Ipv4(
            Ipv4Header {
                identification: fragment.id as u16,
                fragment_offset: offset,
                more_fragments: fragment.more,
                dont_fragment: false,
                ..v4_header()
            },
            Default::default(),
        ),
        Family::V6 => IpHeaders::Ipv6(
            v6_header(),
            Ipv6Extensions {
                fragment: Some(Ipv6FragmentHeader::new(
                    IpNumber(0),
                    offset,
                    fragment.more,
                    fragment.id,
                )),
                ..Default::default()
            },
        ),
    };
    raw_with(headers, protocol, payload)
}

/// An ICMP error from the client about `quoted`, with a right checksum.
pub(crate) fn icmp_error(family: Family, icmp_type: u8, code: u8, quoted: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let b = PacketBuilder::ethernet2(PEER.0, OWN.0).ip(ip(family));
    match family {
        Family::V4 => b
            .icmpv4_raw(icmp_type, code, [0; 4])
            .write(&mut frame, quoted),
        Family::V6 => b
            .icmpv6_raw(icmp_type, code, [0; 4])
            .write(&mut frame, quoted),
    }
    .unwrap();
    frame
}

/// The IP packet that an ICMP error to the virtual address quotes: what that sent from `port` to the
/// client's port 40000.
pub(crate) fn quoted(family: Family, protocol: Protocol, port: u16) -> Vec<u8> {
    let headers = match family {
        Family::V4 => IpHeaders::Ipv4(
            Ipv4Header {
                source: VIP4,
                destination: CLIENT4,
                ..v4_header()
            },
            Default::default(),
        ),
        Family::V6 => IpHeaders::Ipv6(
            Ipv6Header {
                source: VIP6,
                destination: CLIENT6,
                ..v6_header()
            },
            Default::default(),
        ),
    };
    let frame = match protocol {
        Protocol::TCP => {
            let mut header = tcp_header(0x10);
            (header.source_port, header.destination_port) = (port, 40000);
            tcp_with(headers, header, b"quoted")
        }
        Protocol::UDP => udp_with(headers, port, 40000, b"quoted"),
        other => raw_with(headers, other, b"quoted"),
    };
    frame[14..].to_vec()
}

/// Makes the IPv4 header's checksum right again.
pub(crate) fn fix_v4(frame: &mut [u8]) {
    let len = usize::from(frame[14] & 0xf) * 4;
    frame[24..26].fill(0);
    let checksum = crate::checksum::of(&frame[14..14 + len]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

pub(crate) fn frame(bytes: &[u8]) -> Frame {
    let mut frame = Frame::default();
    assert!(frame.fill(bytes, Offload::default(), PortId(3)));
    frame
}

/// Whether every checksum in the frame is right, as etherparse computes them.
pub(crate) fn checksums_ok(frame: &[u8]) -> bool {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    match (sliced.net.unwrap(), sliced.transport.unwrap()) {
        (NetSlice::Ipv4(net), transport) => {
            let h = net.header();
            let (src, dst) = (h.source(), h.destination());
            h.header_checksum() == h.to_header().calc_header_checksum()
                && match transport {
                    TransportSlice::Icmpv4(i) => {
                        i.checksum() == i.icmp_type().calc_checksum(i.payload())
                    }
                    TransportSlice::Tcp(t) => t.calc_checksum_ipv4(src, dst) == Ok(t.checksum()),
                    other => panic!("unexpected {other:?}"),
                }
        }
        (NetSlice::Ipv6(net), transport) => {
            let (src, dst) = (net.header().source(), net.header().destination());
            match transport {
                TransportSlice::Icmpv6(i) => i.is_checksum_valid(src, dst),
                TransportSlice::Tcp(t) => t.calc_checksum_ipv6(src, dst) == Ok(t.checksum()),
                other => panic!("unexpected {other:?}"),
            }
        }
        (other, _) => panic!("unexpected {other:?}"),
    }
}

/// Bytes written in hexadecimal, white space ignored.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    assert_eq!(digits.len() % 2, 0);
    digits.chunks(2).map(|d| (d[0] << 4 | d[1]) as u8).collect()
}
