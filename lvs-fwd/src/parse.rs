//! From a frame to what the director needs to know of it.
//!
//! The bytes come from anybody. So every length is checked against the bytes that are there before
//! anything is believed, nothing is read twice, and what comes out is a small value that names offsets
//! instead of borrowing: whoever rewrites the frame later need not parse it again. A frame that breaks a
//! rule is dropped with the reason; one that breaks none but is not for a balancer to handle is passed to
//! the host.
//!
//! Transport checksums are not verified: a director only changes them by difference, so that a wrong one
//! stays wrong and the receiver finds it (as IPVS does it). Those of ICMP errors are.

use lvs_core::Chunk;
use lvs_core::{DropReason, Endpoint, Family, Ip, Kind, PassReason, Protocol, Segment, TcpFlags};

use crate::checksum;
use crate::frame::Offload;
use crate::route::Mac;
pub use crate::wire::Fragment;
use crate::wire::ether::{self, Ether, ethertype};
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::{self, Ipv6, extension};
use crate::wire::tcp::Tcp;
use crate::wire::udp::{self, Udp};
use crate::wire::{arp, icmp, ndp};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the packet path handles every case"
)]
pub enum Parsed {
    /// A packet to ask the director about.
    Ip(IpPacket),
    /// An ARP request for an IPv4 address.
    Arp,
    /// What looks like a neighbour solicitation; only whoever answers it looks closer.
    NeighbourSolicitation,
    /// The host's own affair.
    Pass(PassReason),
}

/// A TCP or UDP packet, or an ICMP error about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct IpPacket {
    /// The summary for the director. A later fragment's ports are 0 until they are recalled
    /// ([`FragMemory`](crate::frag::FragMemory)).
    pub segment: Segment,
    /// Where its headers are.
    pub layout: Layout,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Which fragment it is, or `None` if it is whole.
    pub fragment: Option<Fragment>,
}

/// Where a packet's headers are, counted from the frame's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Layout {
    /// The family of the IP header.
    pub family: Family,
    /// Where the IP header begins.
    pub l3: u16,
    /// Where the transport header begins (in a later fragment: what there is of the payload).
    pub l4: u16,
    /// Length of the IP packet. There may be padding behind it in the frame.
    pub len: u32,
    /// Whether no router may fragment the packet; always so with IPv6.
    pub dont_fragment: bool,
    /// Of an ICMP error: where the packet it quotes is.
    pub inner: Option<Inner>,
}

impl Layout {
    /// Where the IP packet ends.
    pub const fn end(&self) -> usize {
        self.l3 as usize + self.len as usize
    }
}

/// Where the headers of the packet are that an ICMP error quotes, counted from the frame's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Inner {
    /// Where its IP header begins.
    pub l3: u16,
    /// Where its transport header begins.
    pub l4: u16,
    /// How many bytes there are from `l4` on: at least the ports.
    pub len: u16,
}

/// Summarises a frame that came in by an interface whose address is `own_mac`.
///
/// What is passed and not dropped: frames for other hosts, group frames (but for ARP and neighbour
/// solicitations), other EtherTypes (802.1Q tags among them: the port belongs on the VLAN's own
/// interface), other protocols, fragments of ICMP, ICMP errors about anything but TCP and UDP.
///
/// # Errors
///
/// Why the frame is to be dropped. IPv4 packets that ask for source routing count as
/// [`DropReason::Martian`]: no end host sends them, and the address they bear is not where they go.
#[inline]
pub fn parse(frame: &[u8], offload: Offload, own_mac: Mac) -> Result<Parsed, DropReason> {
    let (ether, packet) = Ether::new(frame).ok_or(DropReason::Truncated)?;
    if ether.src() == own_mac {
        return Err(DropReason::Looped);
    }
    let dst = ether.dst();
    if dst != own_mac && !dst.is_multicast() {
        return Ok(Parsed::Pass(PassReason::OtherHost));
    }
    match ether.ethertype() {
        ethertype::ARP => Ok(arp(packet)),
        ethertype::IPV4 | ethertype::IPV6 if dst.is_multicast() => Ok(group(frame)),
        ethertype::IPV4 => ipv4(packet, offload),
        ethertype::IPV6 => ipv6(packet, offload),
        _ => Ok(Parsed::Pass(PassReason::LinkLayer)),
    }
}

fn arp(packet: &[u8]) -> Parsed {
    match arp::Repr::parse(packet) {
        Some(p) if p.operation == arp::REQUEST => Parsed::Arp,
        _ => Parsed::Pass(PassReason::LinkLayer),
    }
}

/// An IP packet in a group frame, which balancing has nothing to do with.
fn group(frame: &[u8]) -> Parsed {
    let is_ipv6 = Ether::new(frame).is_some_and(|(e, _)| e.ethertype() == ethertype::IPV6);
    if is_ipv6 && ndp::is_solicitation(frame) {
        Parsed::NeighbourSolicitation
    } else {
        Parsed::Pass(PassReason::NotOurs)
    }
}

/// What the network layer says of a packet. All functions that an ordinary packet passes are inlined into
/// one, so that this stays in registers; what is rare is kept out of it.
struct Network<'a> {
    src: Ip,
    dst: Ip,
    protocol: Protocol,
    layout: Layout,
    ttl: u8,
    /// Also an atomic one.
    fragment: Option<Fragment>,
    /// The transport header and what follows it.
    payload: &'a [u8],
}

#[inline(always)]
fn ipv4(packet: &[u8], offload: Offload) -> Result<Parsed, DropReason> {
    let header = Ipv4::new(packet)?;
    let header_len = header.header_len();
    let packet = packet
        .get(..header.total_len())
        .ok_or(DropReason::BadLength)?;
    let payload = packet.get(header_len..).ok_or(DropReason::BadLength)?;
    if !header.checksum_ok() {
        return Err(DropReason::BadChecksum);
    }
    if header_len > ipv4::HEADER_LEN && header.is_source_routed()? {
        return Err(DropReason::Martian);
    }
    let (src, dst) = (header.src(), header.dst());
    check_addresses(src, dst)?;
    let network = Network {
        src,
        dst,
        protocol: header.protocol(),
        layout: Layout {
            family: Family::V4,
            l3: ether::HEADER_LEN as u16,
            l4: (ether::HEADER_LEN + header_len) as u16,
            len: packet.len() as u32,
            dont_fragment: header.dont_fragment(),
            inner: None,
        },
        ttl: header.ttl(),
        fragment: header.fragment(),
        payload,
    };
    transport(network, offload)
}

#[inline(always)]
fn ipv6(packet: &[u8], offload: Offload) -> Result<Parsed, DropReason> {
    let (header, rest) = Ipv6::new(packet)?;
    let payload_len = header.payload_len();
    let is_jumbogram = header.next_header() == extension::HOP_BY_HOP || offload.is_aggregate();
    if payload_len == 0 && is_jumbogram {
        return Err(DropReason::BadLength);
    }
    let payload = rest.get(..payload_len).ok_or(DropReason::BadLength)?;
    let (src, dst) = (header.src(), header.dst());
    if src.is_v4() || dst.is_v4() {
        return Err(DropReason::Martian);
    }
    check_addresses(src, dst)?;
    let extensions = ipv6::extensions(payload, header.next_header())?;
    let payload = payload.get(extensions.len..).ok_or(DropReason::Truncated)?;
    let network = Network {
        src,
        dst,
        protocol: extensions.protocol,
        layout: Layout {
            family: Family::V6,
            l3: ether::HEADER_LEN as u16,
            l4: (ether::HEADER_LEN + ipv6::HEADER_LEN + extensions.len) as u16,
            len: (ipv6::HEADER_LEN + payload_len) as u32,
            dont_fragment: true,
            inner: None,
        },
        ttl: header.hop_limit(),
        fragment: extensions.fragment,
        payload,
    };
    transport(network, offload)
}

/// RFC 1812 section 5.3.7, RFC 4291 section 2.5. A packet whose source is its destination (the "land"
/// attack) has no business on a link, whatever its ports.
#[inline(always)]
fn check_addresses(src: Ip, dst: Ip) -> Result<(), DropReason> {
    if src.is_multicast() || src.is_loopback() || src.is_unspecified() {
        return Err(DropReason::Martian);
    }
    if dst.is_loopback() || dst.is_unspecified() {
        return Err(DropReason::Martian);
    }
    if src == dst {
        return Err(DropReason::Looped);
    }
    Ok(())
}

#[inline(always)]
fn transport(net: Network<'_>, offload: Offload) -> Result<Parsed, DropReason> {
    match (net.protocol, net.layout.family) {
        (Protocol::TCP | Protocol::UDP, _) => match net.fragment {
            None => {
                let ports = ports(&net, false)?;
                Ok(packet(&net, ports, Kind::Packet, None))
            }
            Some(fragment) => fragmented(net, fragment),
        },
        (Protocol::ICMP, Family::V4) | (Protocol::ICMPV6, Family::V6) => icmp(net, offload),
        _ => Ok(Parsed::Pass(PassReason::OtherProtocol)),
    }
}

/// Source and destination port, and the flags of TCP.
type Ports = (u16, u16, TcpFlags);

#[inline(always)]
fn packet(net: &Network<'_>, ports: Ports, kind: Kind, fragment: Option<Fragment>) -> Parsed {
    let (src_port, dst_port, flags) = ports;
    Parsed::Ip(IpPacket {
        segment: Segment {
            src: Endpoint::new(net.src, src_port),
            dst: Endpoint::new(net.dst, dst_port),
            len: net.layout.len,
            protocol: net.protocol,
            flags,
            kind,
            chunk: Chunk::Data,
            mark: 0,
            tag: 0,
        },
        layout: net.layout,
        ttl: net.ttl,
        fragment,
    })
}

#[inline(always)]
fn ports(net: &Network<'_>, is_fragment: bool) -> Result<Ports, DropReason> {
    if net.protocol == Protocol::TCP {
        let tcp = Tcp::new(net.payload)?;
        return Ok((tcp.src_port(), tcp.dst_port(), tcp.flags()));
    }
    let udp = Udp::new(net.payload).ok_or(DropReason::Truncated)?;
    let len = udp.datagram_len();
    if len < udp::HEADER_LEN || len > net.payload.len() && !is_fragment {
        return Err(DropReason::BadLength);
    }
    Ok((udp.src_port(), udp.dst_port(), TcpFlags::default()))
}

#[cold]
#[inline(never)]
fn fragmented(net: Network<'_>, fragment: Fragment) -> Result<Parsed, DropReason> {
    if fragment.is_atomic() {
        let ports = ports(&net, false)?;
        return Ok(packet(&net, ports, Kind::Packet, None));
    }
    let len = net.payload.len();
    // IPv4 counts its header in the length of the whole packet, which has 16 bits.
    let header_len = match net.layout.family {
        Family::V4 => usize::from(net.layout.l4 - net.layout.l3),
        Family::V6 => 0,
    };
    let end = header_len + usize::from(fragment.offset) + len;
    // All but the last must end on an eighth byte. The last might as well not be there if it is empty.
    let bad_len = len == 0 || fragment.more && !len.is_multiple_of(8);
    // Would overwrite the TCP header of the first (RFC 1858 section 4.1, RFC 3128).
    let overlaps_header = net.protocol == Protocol::TCP && fragment.offset == 8;
    if bad_len || overlaps_header || end > usize::from(u16::MAX) {
        return Err(DropReason::BadFragment);
    }
    if !fragment.is_first() {
        let ports = Ports::default();
        return Ok(packet(&net, ports, Kind::LaterFragment, Some(fragment)));
    }
    let ports = ports(&net, true).map_err(|reason| match reason {
        // A first fragment that cuts the header is made to get past filters (RFC 1858).
        DropReason::Truncated => DropReason::BadFragment,
        other => other,
    })?;
    Ok(packet(&net, ports, Kind::Packet, Some(fragment)))
}

#[cold]
#[inline(never)]
fn icmp(net: Network<'_>, offload: Offload) -> Result<Parsed, DropReason> {
    let other = Ok(Parsed::Pass(PassReason::OtherProtocol));
    if net.fragment.is_some() {
        return other;
    }
    let (header, quoted) = net
        .payload
        .split_first_chunk::<{ icmp::HEADER_LEN }>()
        .ok_or(DropReason::Truncated)?;
    let icmp_type = header[icmp::field::TYPE];
    let no_extensions = usize::from(net.layout.l4) == ether::HEADER_LEN + ipv6::HEADER_LEN;
    if net.layout.family == Family::V6
        && icmp_type == icmp::V6_NEIGHBOUR_SOLICITATION
        && no_extensions
    {
        return Ok(Parsed::NeighbourSolicitation);
    }
    if !icmp::is_error(net.layout.family, icmp_type) {
        return other;
    }
    let at = usize::from(net.layout.l4) + icmp::HEADER_LEN;
    let Some(quote) = quote(net.layout.family, quoted, at)? else {
        return other;
    };
    if !offload.needs_csum() && !icmp_checksum_ok(&net) {
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
        fragment: None,
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
    let is_later = fragment.is_some_and(|f| !f.is_first());
    if is_later || protocol != Protocol::TCP && protocol != Protocol::UDP {
        return Ok(None);
    }
    let transport = bytes.get(header_len..).ok_or(DropReason::Truncated)?;
    // Both protocols begin with their ports.
    let [a, b, c, d] = *transport.first_chunk().ok_or(DropReason::Truncated)?;
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

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
