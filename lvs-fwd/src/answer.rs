//! Answers to packets that go no further: ICMP errors, TCP resets and SCTP aborts.
//!
//! An answer takes the place of the packet it is about, in the same frame, and goes back the way that came: the
//! Ethernet addresses change places. So it needs no route, no allocation, and no copy of what an ICMP error
//! quotes; the new headers lie in the frame's headroom. Who must not be answered is told by RFC 1812 section
//! 4.3.2.7 and RFC 4443 section 2.4(e): no ICMP error, no later fragment, nothing sent to or from a group.
//!
//! How many answers a second there may be is for the caller to bound.

use lvs_core::{Chunk, Family, Ip, Kind, Protocol, TcpFlags};

use crate::checksum;
use crate::frame::{Frame, Offload};
use crate::head::be16;
use crate::parse::IpPacket;
use crate::route::Mac;
use crate::wire::ether::{self, Ether, ethertype};
use crate::wire::sctp::{self, Sctp, chunk};
use crate::wire::tcp::{self, Tcp};
use crate::wire::{icmp, ipv4, ipv6};

/// The TTL or hop limit of answers (RFC 1700's default).
pub const TTL: u8 = 64;

/// The longest ICMP datagram about an IPv4 packet (RFC 1812 section 4.3.2.3).
const V4_MAX_LEN: usize = 576;
/// The longest ICMP datagram about an IPv6 packet: the least MTU (RFC 4443 section 2.4(c)).
const V6_MAX_LEN: usize = 1280;

/// Precedence "internetwork control", which routers give their errors (RFC 1812 section 4.3.2.5).
const V4_ERROR_TOS: u8 = 0xc0;

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what a balancer has to say")]
pub enum IcmpAnswer {
    /// Nobody serves the port: IPv4 type 3 code 3, IPv6 type 1 code 4.
    PortUnreachable,
    /// The TTL or hop limit ran out: IPv4 type 11, IPv6 type 3, code 0.
    TimeExceeded,
    /// The packet is too big: IPv4 type 3 code 4, IPv6 type 2.
    TooBig {
        /// The longest IP packet that would do, in bytes.
        mtu: u32,
    },
}

impl IcmpAnswer {
    fn header(self, family: Family) -> [u8; icmp::HEADER_LEN] {
        use icmp::*;
        match (family, self) {
            (Family::V4, Self::PortUnreachable) => {
                emit(V4_UNREACHABLE, V4_PORT_UNREACHABLE, [0; 4])
            }
            (Family::V4, Self::TimeExceeded) => emit(V4_TIME_EXCEEDED, 0, [0; 4]),
            (Family::V4, Self::TooBig { mtu }) => {
                let mtu = mtu.min(u32::from(u16::MAX)); // the upper half is unused (RFC 1191)
                emit(V4_UNREACHABLE, V4_FRAGMENTATION_NEEDED, mtu.to_be_bytes())
            }
            (Family::V6, Self::PortUnreachable) => {
                emit(V6_UNREACHABLE, V6_PORT_UNREACHABLE, [0; 4])
            }
            (Family::V6, Self::TimeExceeded) => emit(V6_TIME_EXCEEDED, 0, [0; 4]),
            (Family::V6, Self::TooBig { mtu }) => emit(V6_TOO_BIG, 0, mtu.to_be_bytes()),
        }
    }
}

/// Turns the frame, as it came and was parsed, into an ICMP error about its packet, sent by `from`. It
/// quotes as much of the packet as the RFCs allow. Returns false and leaves the frame alone if the packet must
/// not be answered, `from` is of the other family, or the frame lacks headroom.
pub fn icmp_error(frame: &mut Frame, packet: &IpPacket, from: Ip, answer: IcmpAnswer) -> bool {
    let layout = packet.layout;
    let (max_len, ip_len, protocol) = match layout.family {
        Family::V4 => (V4_MAX_LEN, ipv4::HEADER_LEN, Protocol::ICMP),
        Family::V6 => (V6_MAX_LEN, ipv6::HEADER_LEN, Protocol::ICMPV6),
    };
    let quoted = (layout.len as usize).min(max_len - ip_len - icmp::HEADER_LEN);
    let start = usize::from(layout.l3);
    let Some(macs) = swapped_macs(frame.bytes(), packet) else {
        return false;
    };
    if from.family() != layout.family || start + quoted > frame.bytes().len() {
        return false;
    }
    let to = packet.segment.src.ip;
    let message_len = icmp::HEADER_LEN + quoted;
    // As Linux: errors may be fragmented, so they need an identification. That of the packet will do; its sender has
    // taken care that it is not used twice.
    let id = be16(frame.bytes(), start + ipv4::field::ID).filter(|_| from.is_v4());
    let mut head = Head::new(macs, from, to, protocol, message_len as u16, id);
    let l4 = head.bytes().len();
    let mut message = answer.header(layout.family);
    let mut sum = match layout.family {
        Family::V4 => checksum::Sum::new(),
        Family::V6 => checksum::pseudo_header(from, to, protocol.0, message_len as u32),
    };
    sum.add_bytes(&message);
    sum.add_bytes(&frame.bytes()[start..start + quoted]);
    message[icmp::field::CHECKSUM..][..2].copy_from_slice(&sum.finish().to_be_bytes());
    head.push(&message);

    let head_len = l4 + message.len();
    if !frame.move_start(start as isize - head_len as isize) {
        return false;
    }
    frame.set_len(head_len + quoted);
    frame.bytes_mut()[..head_len].copy_from_slice(head.bytes());
    frame.offload = Offload::default();
    true
}

/// Turns the frame, as it came and was parsed, into what a host answers that knows nothing of its connection: a
/// TCP [reset](tcp_reset) or an SCTP [abort](sctp_abort). Returns false and leaves the frame alone if neither is due.
pub fn reset(frame: &mut Frame, packet: &IpPacket) -> bool {
    match packet.segment.protocol {
        Protocol::SCTP => sctp_abort(frame, packet),
        _ => tcp_reset(frame, packet),
    }
}

/// Turns the frame, as it came and was parsed, into the answer to a packet "out of the blue" (RFC 9260 section 8.4):
/// an ABORT, or for a SHUTDOWN ACK a SHUTDOWN COMPLETE. Returns false and leaves the frame alone if there is no SCTP
/// packet, it is a fragment, must not be answered, or is of a kind that is to be ignored.
pub fn sctp_abort(frame: &mut Frame, packet: &IpPacket) -> bool {
    /// Flag T of both chunks: the tag is the one that came, since our own is not known.
    const REFLECTED: u8 = 1;
    let segment = packet.segment;
    if segment.protocol != Protocol::SCTP || packet.fragment.is_some() {
        return false;
    }
    let sctp = frame
        .bytes()
        .get(usize::from(packet.layout.l4)..packet.layout.end());
    let Some(sctp) = sctp.and_then(Sctp::new) else {
        return false;
    };
    let (tag, flags, chunk) = match segment.chunk {
        Chunk::Abort | Chunk::ShutdownComplete | Chunk::CookieAck | Chunk::Error => return false,
        Chunk::ShutdownAck => (sctp.tag(), REFLECTED, chunk::SHUTDOWN_COMPLETE),
        // Its sender's tag is the first thing in it.
        Chunk::Init => match sctp.first_value().first_chunk() {
            Some(tag) => (u32::from_be_bytes(*tag), 0, chunk::ABORT),
            None => return false,
        },
        _ => (sctp.tag(), REFLECTED, chunk::ABORT),
    };
    let Some(macs) = swapped_macs(frame.bytes(), packet) else {
        return false;
    };
    let answer = sctp::Repr {
        src_port: segment.dst.port,
        dst_port: segment.src.port,
        tag,
        chunk,
        flags,
    };
    let answer = answer.emit();
    let (from, to) = (segment.dst.ip, segment.src.ip);
    let mut head = Head::new(macs, from, to, Protocol::SCTP, answer.len() as u16, None);
    head.push(&answer);
    frame.fill(head.bytes(), Offload::default(), frame.port)
}

/// Turns the frame, as it came and was parsed, into the reset that answers its TCP segment (RFC 9293 section
/// 3.10.7.1). Returns false and leaves the frame alone if there is no segment, it is a reset itself, a
/// fragment, or must not be answered.
pub fn tcp_reset(frame: &mut Frame, packet: &IpPacket) -> bool {
    let segment = packet.segment;
    if segment.protocol != Protocol::TCP
        || segment.flags.has(TcpFlags::RST)
        || packet.fragment.is_some()
    {
        return false;
    }
    let (Some(macs), Some(reset)) = (
        swapped_macs(frame.bytes(), packet),
        reset_of(frame.bytes(), packet),
    ) else {
        return false;
    };
    let (from, to) = (segment.dst.ip, segment.src.ip);
    let mut header = reset.emit();
    let mut sum = checksum::pseudo_header(from, to, Protocol::TCP.0, header.len() as u32);
    sum.add_bytes(&header);
    header[tcp::field::CHECKSUM..][..2].copy_from_slice(&sum.finish().to_be_bytes());
    let mut head = Head::new(macs, from, to, Protocol::TCP, header.len() as u16, None);
    head.push(&header);
    frame.fill(head.bytes(), Offload::default(), frame.port)
}

fn reset_of(frame: &[u8], packet: &IpPacket) -> Option<tcp::Repr> {
    let segment = frame.get(usize::from(packet.layout.l4)..packet.layout.end())?;
    let tcp = Tcp::new(segment).ok()?;
    let flags = tcp.flags();
    let (seq, ack, flags) = if flags.has(TcpFlags::ACK) {
        (tcp.ack(), 0, TcpFlags::RST)
    } else {
        // SYN and FIN take a sequence number each.
        let len = segment.len() - tcp.header_len()
            + usize::from(flags.has(TcpFlags::SYN))
            + usize::from(flags.has(TcpFlags::FIN));
        let ack = tcp.seq().wrapping_add(len as u32);
        (0, ack, TcpFlags::RST.with(TcpFlags::ACK))
    };
    Some(tcp::Repr {
        src_port: tcp.dst_port(),
        dst_port: tcp.src_port(),
        seq,
        ack,
        flags,
    })
}

/// The Ethernet addresses of the answer, destination first, if the packet may be answered at all.
fn swapped_macs(frame: &[u8], packet: &IpPacket) -> Option<(Mac, Mac)> {
    let (ether, _) = Ether::new(frame)?;
    let (src, dst) = (packet.segment.src.ip, packet.segment.dst.ip);
    let group = ether.dst().is_multicast()
        || ether.src().is_multicast()
        || dst.is_multicast()
        || src.is_multicast();
    let nobody = src.is_unspecified() || src.is_loopback();
    (packet.segment.kind == Kind::Packet && !group && !nobody).then_some((ether.src(), ether.dst()))
}

const MAX_HEAD: usize = ether::HEADER_LEN + ipv6::HEADER_LEN + tcp::HEADER_LEN;

/// The headers of an answer.
struct Head {
    bytes: [u8; MAX_HEAD],
    len: usize,
}

impl Head {
    /// Ethernet and IP. An IPv4 packet without identification is not to be fragmented (RFC 6864).
    fn new(
        (dst_mac, src_mac): (Mac, Mac),
        src: Ip,
        dst: Ip,
        protocol: Protocol,
        payload_len: u16,
        id: Option<u16>,
    ) -> Self {
        let mut head = Self {
            bytes: [0; MAX_HEAD],
            len: 0,
        };
        if let (Some(src), Some(dst)) = (src.as_v4(), dst.as_v4()) {
            head.push(&ether::emit(dst_mac, src_mac, ethertype::IPV4));
            let ip = ipv4::Repr {
                tos: if protocol == Protocol::ICMP {
                    V4_ERROR_TOS
                } else {
                    0
                },
                payload_len,
                id: id.unwrap_or(0),
                dont_fragment: id.is_none(),
                ttl: TTL,
                protocol,
                src,
                dst,
            };
            head.push(&ip.emit());
        } else {
            head.push(&ether::emit(dst_mac, src_mac, ethertype::IPV6));
            let ip = ipv6::Repr {
                traffic_class: 0,
                payload_len,
                protocol,
                hop_limit: TTL,
                src: *src.bytes(),
                dst: *dst.bytes(),
            };
            head.push(&ip.emit());
        }
        head
    }

    /// Adds bytes, which are bounded by what the largest answer needs.
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests;
