//! From a frame to what the director needs to know of it.
//!
//! The bytes come from anybody. So every length is checked against the bytes that are there before
//! anything is believed, nothing is read twice, and what comes out is a small value that names offsets
//! instead of borrowing: whoever rewrites the frame later need not parse it again. A frame that breaks a
//! rule is dropped with the reason; one that breaks none but is not for a balancer to handle is passed to
//! the host.
//!
//! Transport checksums are not verified: a director only changes them by difference, so that a wrong one
//! stays wrong and the receiver finds it (as IPVS does it; SCTP's, which it computes afresh, excepted). Those of
//! ICMP errors are, unless they are in fragments.
//!
//! AH and ESP have no ports, and no state; they follow their endpoints' ISAKMP exchange, which is for the
//! director to find. Over IPv4 both are transport protocols. In IPv6 AH is one more extension header to be walked
//! over, as IPVS does: what is judged is the packet behind it.

use lvs_core::{
    Chunk, DropReason, Endpoint, Family, Ip, Kind, PassReason, Protocol, Segment, TcpFlags,
};

mod icmp;

use crate::frame::Offload;
use crate::route::Mac;
pub use crate::wire::Fragment;
use crate::wire::ether::{self, Ether, ethertype};
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::{self, Ipv6, extension};
use crate::wire::sctp::Sctp;
use crate::wire::tcp::Tcp;
use crate::wire::udp::{self, Udp};
use crate::wire::{arp, ndp};

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

/// A packet of a protocol that is balanced or follows one that is (TCP, UDP, SCTP, AH, ESP), or an ICMP error
/// about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct IpPacket {
    /// The summary for the director. A later fragment's ports are 0 until they are recalled, and that of an ICMP
    /// error has the error's own addresses and protocol until then ([`FragMemory`](crate::frag::FragMemory)).
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

    /// Source and destination in the IP header of the frame it was made from, or `None` if it is of another one.
    pub fn addresses(&self, frame: &[u8]) -> Option<(Ip, Ip)> {
        let header = frame.get(usize::from(self.l3)..)?;
        Some(match self.family {
            Family::V4 => {
                let at = |at| header.get(at..)?.first_chunk().copied().map(Ip::v4);
                (at(ipv4::field::SRC)?, at(ipv4::field::DST)?)
            }
            Family::V6 => {
                let at = |at| header.get(at..)?.first_chunk().copied().map(Ip::v6);
                (at(ipv6::field::SRC)?, at(ipv6::field::DST)?)
            }
        })
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
    /// How many bytes there are from `l4` on: at least the ports, of a protocol that has any.
    pub len: u16,
}

/// Summarises a frame that came in by an interface whose address is `own_mac`.
///
/// What is passed and not dropped: frames for other hosts, group frames (but for ARP and neighbour
/// solicitations), other EtherTypes (802.1Q tags among them: the port belongs on the VLAN's own
/// interface), other protocols, ICMP that is no error, ICMP errors about other protocols.
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

/// Refuses addresses that no packet on a link has: RFC 1812 section 5.3.7, RFC 4291 section 2.5. A packet whose source is
/// its destination (the "land" attack) has no business there, whatever its ports.
///
/// # Errors
///
/// [`DropReason::Martian`] or [`DropReason::Looped`].
#[inline(always)]
pub fn check_addresses(src: Ip, dst: Ip) -> Result<(), DropReason> {
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
    let is_common = matches!(net.protocol, Protocol::TCP | Protocol::UDP);
    if !is_common || net.fragment.is_some() {
        return rarer(net, offload);
    }
    let head = head(&net, false)?;
    Ok(packet(&net, head, Kind::Packet, None))
}

#[cold]
#[inline(never)]
fn rarer(net: Network<'_>, offload: Offload) -> Result<Parsed, DropReason> {
    match (net.protocol, net.layout.family) {
        (Protocol::ICMP, Family::V4) | (Protocol::ICMPV6, Family::V6) => icmp::error(net, offload),
        (Protocol::TCP | Protocol::UDP | Protocol::SCTP | Protocol::AH | Protocol::ESP, _) => {
            match net.fragment {
                None => Ok(packet(&net, any_head(&net, false)?, Kind::Packet, None)),
                Some(fragment) => fragmented(net, fragment),
            }
        }
        _ => Ok(Parsed::Pass(PassReason::OtherProtocol)),
    }
}

/// What the director wants to know of a transport header.
#[derive(Clone, Copy, Default)]
struct TransportHead {
    src_port: u16,
    dst_port: u16,
    flags: TcpFlags,
    chunk: Chunk,
}

#[inline(always)]
fn packet(
    net: &Network<'_>,
    head: TransportHead,
    kind: Kind,
    fragment: Option<Fragment>,
) -> Parsed {
    Parsed::Ip(IpPacket {
        segment: Segment {
            src: Endpoint::new(net.src, head.src_port),
            dst: Endpoint::new(net.dst, head.dst_port),
            len: net.layout.len,
            protocol: net.protocol,
            flags: head.flags,
            kind,
            chunk: head.chunk,
            mark: 0,
            tag: 0,
        },
        layout: net.layout,
        ttl: net.ttl,
        fragment,
    })
}

/// Of TCP and UDP.
#[inline(always)]
fn head(net: &Network<'_>, is_fragment: bool) -> Result<TransportHead, DropReason> {
    if net.protocol == Protocol::TCP {
        let tcp = Tcp::new(net.payload)?;
        return Ok(TransportHead {
            src_port: tcp.src_port(),
            dst_port: tcp.dst_port(),
            flags: tcp.flags(),
            ..TransportHead::default()
        });
    }
    let udp = Udp::new(net.payload).ok_or(DropReason::Truncated)?;
    let len = udp.datagram_len();
    if len < udp::HEADER_LEN || len > net.payload.len() && !is_fragment {
        return Err(DropReason::BadLength);
    }
    Ok(TransportHead {
        src_port: udp.src_port(),
        dst_port: udp.dst_port(),
        ..TransportHead::default()
    })
}

/// Of SCTP, AH and ESP.
fn rare_head(net: &Network<'_>) -> Result<TransportHead, DropReason> {
    if net.protocol != Protocol::SCTP {
        return Ok(TransportHead::default());
    }
    let sctp = Sctp::new(net.payload).ok_or(DropReason::Truncated)?;
    Ok(TransportHead {
        src_port: sctp.src_port(),
        dst_port: sctp.dst_port(),
        chunk: sctp.chunk(),
        ..TransportHead::default()
    })
}

fn any_head(net: &Network<'_>, is_fragment: bool) -> Result<TransportHead, DropReason> {
    match net.protocol {
        Protocol::TCP | Protocol::UDP => head(net, is_fragment),
        _ => rare_head(net),
    }
}

fn fragmented(net: Network<'_>, fragment: Fragment) -> Result<Parsed, DropReason> {
    if fragment.is_atomic() {
        return Ok(packet(&net, any_head(&net, false)?, Kind::Packet, None));
    }
    check_fragment(&net, fragment)?;
    if !fragment.is_first() {
        let head = TransportHead::default();
        return Ok(packet(&net, head, Kind::LaterFragment, Some(fragment)));
    }
    let head = any_head(&net, true).map_err(cut_header)?;
    Ok(packet(&net, head, Kind::Packet, Some(fragment)))
}

/// A first fragment that cuts the header is made to get past filters (RFC 1858).
fn cut_header(reason: DropReason) -> DropReason {
    match reason {
        DropReason::Truncated => DropReason::BadFragment,
        other => other,
    }
}

fn check_fragment(net: &Network<'_>, fragment: Fragment) -> Result<(), DropReason> {
    let len = net.payload.len();
    // IPv4 counts its header in the length of the whole packet, which has 16 bits.
    let header_len = match net.layout.family {
        Family::V4 => usize::from(net.layout.l4 - net.layout.l3),
        Family::V6 => 0,
    };
    let end = header_len + usize::from(fragment.offset) + len;
    // All but the last must end on an eighth byte. The last might as well not be there if it is empty.
    let bad_len = len == 0 || fragment.more && !len.is_multiple_of(8);
    // Would overwrite the header that the first told us of: TCP's flags (RFC 1858 section 4.1, RFC 3128), SCTP's
    // chunk.
    let has_long_header = matches!(net.protocol, Protocol::TCP | Protocol::SCTP);
    let overlaps_header = has_long_header && fragment.offset == 8;
    match bad_len || overlaps_header || end > usize::from(u16::MAX) {
        true => Err(DropReason::BadFragment),
        false => Ok(()),
    }
}

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;
