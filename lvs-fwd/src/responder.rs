//! Answers to "who has this address?" for addresses that no interface of the host holds, and the
//! announcements of them.
//!
//! A virtual address need not be on an interface: then the host's stack knows nothing of it, and ARP
//! (RFC 826, RFC 5227) and neighbour discovery (RFC 4861) are answered here. An answer takes the place of the
//! question in its frame, to be sent out by the port it came from.
//!
//! Nothing is answered to who claims, as the sender, an address of ours: that is another director taking
//! over, or a conflict, which to settle is the control plane's work.

use lvs_core::{Ip, Protocol};

use crate::checksum;
use crate::frame::{Frame, Offload};
use crate::route::Mac;
use crate::wire::ether::{self, Ether, ethertype};
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::{arp, icmp, ndp};

/// Length of a frame that holds an ARP packet, without padding.
pub const ARP_FRAME_LEN: usize = ether::HEADER_LEN + arp::PACKET_LEN;
/// Length of a frame that holds a neighbour advertisement.
pub const NA_FRAME_LEN: usize = ether::HEADER_LEN + ipv6::HEADER_LEN + ndp::ADVERTISEMENT_LEN;

/// Turns an ARP request for an address of `ours` into the reply. Returns false and leaves the frame alone if
/// it is not that, or must not be answered. A probe (sender 0.0.0.0) for an address of ours is answered, so
/// that its sender gives the address up (RFC 5227 section 2.1.1).
pub fn answer_arp(frame: &mut Frame, own_mac: Mac, ours: impl Fn(Ip) -> bool) -> bool {
    let Some(reply) = arp_reply(frame.bytes(), own_mac, ours) else {
        return false;
    };
    frame.fill(&reply, Offload::default(), frame.port)
}

fn arp_reply(frame: &[u8], own_mac: Mac, ours: impl Fn(Ip) -> bool) -> Option<[u8; ARP_FRAME_LEN]> {
    let (ether, packet) = Ether::new(frame)?;
    let request = arp::Repr::parse(packet)?;
    let sender = Ip::v4(request.sender_ip);
    let is_probe = request.sender_ip == [0; 4];
    let bad_sender = request.sender_mac.is_multicast()
        || request.sender_mac == Mac::default()
        || !is_probe && (sender.is_multicast() || sender.is_loopback() || sender.is_unspecified());
    if ether.ethertype() != ethertype::ARP
        || request.operation != arp::REQUEST
        || bad_sender
        || ours(sender)
        || !ours(Ip::v4(request.target_ip))
    {
        return None;
    }
    let reply = arp::Repr {
        operation: arp::REPLY,
        sender_mac: own_mac,
        sender_ip: request.target_ip,
        target_mac: request.sender_mac,
        target_ip: request.sender_ip,
    };
    Some(arp_frame(request.sender_mac, &reply))
}

/// Turns a neighbour solicitation for an address of `ours` into the advertisement, with the override flag
/// (RFC 4861 section 7.2.4). Returns false and leaves the frame alone if it is not that, not valid (section
/// 7.1.1), or must not be answered. A solicitation from `::` (duplicate address detection) is answered to
/// all nodes.
pub fn answer_ndp(frame: &mut Frame, own_mac: Mac, ours: impl Fn(Ip) -> bool) -> bool {
    let checked = frame.offload.needs_csum();
    let Some(reply) = advertisement(frame.bytes(), checked, own_mac, ours) else {
        return false;
    };
    frame.fill(&reply, Offload::default(), frame.port)
}

fn advertisement(
    frame: &[u8],
    checksum_checked: bool,
    own_mac: Mac,
    ours: impl Fn(Ip) -> bool,
) -> Option<[u8; NA_FRAME_LEN]> {
    let (ether, packet) = Ether::new(frame)?;
    let (header, rest) = Ipv6::new(packet).ok()?;
    if ether.ethertype() != ethertype::IPV6
        || header.next_header() != Protocol::ICMPV6.0
        || header.hop_limit() != ndp::HOP_LIMIT
    {
        return None;
    }
    let message = rest.get(..header.payload_len())?;
    let (src, dst) = (header.src(), header.dst());
    if !checksum_checked && icmpv6_checksum(src, dst, message) != 0 {
        return None;
    }
    let solicitation = ndp::Solicitation::parse(message)?;
    let target = solicitation.target;
    // An IPv4-mapped target would name another address of ours, and no multicast address is anybody's.
    if target.is_v4() || target.is_multicast() || ours(src) || !ours(target) {
        return None;
    }
    let solicitor = solicitor(ether.src(), src, solicitation.source_mac)?;
    let to_group = dst == Ip::v6(ndp::solicited_node(*target.bytes()));
    if !to_group && (dst != target || solicitor.is_none()) {
        return None;
    }
    let (dst_mac, dst, flags) = match solicitor {
        Some((mac, ip)) => (mac, ip, ndp::SOLICITED | ndp::OVERRIDE),
        None => (ndp::ALL_NODES_MAC, ndp::ALL_NODES, ndp::OVERRIDE),
    };
    Some(na_frame(dst_mac, dst, flags, *target.bytes(), own_mac))
}

/// Whom to answer: the link-layer address (the frame's own if the message does not tell it) and the address,
/// or `Some(None)` if the solicitor has none yet. `None` if it may not be what it is.
fn solicitor(frame_src: Mac, src: Ip, told: Option<Mac>) -> Option<Option<(Mac, [u8; 16])>> {
    if src.is_unspecified() {
        return told.is_none().then_some(None);
    }
    let mac = told.unwrap_or(frame_src);
    let bad = src.is_v4() || src.is_multicast() || src.is_loopback() || mac.is_multicast();
    (!bad).then_some(Some((mac, *src.bytes())))
}

/// A frame that tells all hosts of the link that `ip` is at `mac`: an ARP announcement (RFC 5227 section 3).
pub fn gratuitous_arp(mac: Mac, ip: [u8; 4]) -> [u8; ARP_FRAME_LEN] {
    let announcement = arp::Repr {
        operation: arp::REQUEST,
        sender_mac: mac,
        sender_ip: ip,
        target_mac: Mac::default(),
        target_ip: ip,
    };
    arp_frame(Mac::BROADCAST, &announcement)
}

/// A frame that tells all nodes of the link that `ip` is at `mac`: an unsolicited neighbour advertisement
/// that overrides what they know (RFC 4861 section 7.2.6).
pub fn unsolicited_na(mac: Mac, ip: [u8; 16]) -> [u8; NA_FRAME_LEN] {
    na_frame(ndp::ALL_NODES_MAC, ndp::ALL_NODES, ndp::OVERRIDE, ip, mac)
}

/// The Ethernet address that solicitations for `ip` are sent to (RFC 2464 section 7): who answers for `ip` must
/// receive it.
pub const fn solicited_node_mac(ip: [u8; 16]) -> Mac {
    let [.., a, b, c] = ip;
    Mac([0x33, 0x33, 0xff, a, b, c])
}

fn arp_frame(dst: Mac, packet: &arp::Repr) -> [u8; ARP_FRAME_LEN] {
    let mut frame = [0; ARP_FRAME_LEN];
    let (header, rest) = frame.split_at_mut(ether::HEADER_LEN);
    header.copy_from_slice(&ether::emit(dst, packet.sender_mac, ethertype::ARP));
    rest.copy_from_slice(&packet.emit());
    frame
}

fn na_frame(
    dst_mac: Mac,
    dst: [u8; 16],
    flags: u8,
    target: [u8; 16],
    mac: Mac,
) -> [u8; NA_FRAME_LEN] {
    let header = ipv6::Repr {
        traffic_class: 0,
        payload_len: ndp::ADVERTISEMENT_LEN as u16,
        protocol: Protocol::ICMPV6,
        hop_limit: ndp::HOP_LIMIT,
        src: target,
        dst,
    };
    let mut message = ndp::advertisement(flags, target, mac);
    let checksum = icmpv6_checksum(Ip::v6(target), Ip::v6(dst), &message);
    message[icmp::field::CHECKSUM..][..2].copy_from_slice(&checksum.to_be_bytes());

    let mut frame = [0; NA_FRAME_LEN];
    let (link, rest) = frame.split_at_mut(ether::HEADER_LEN);
    let (network, rest) = rest.split_at_mut(ipv6::HEADER_LEN);
    link.copy_from_slice(&ether::emit(dst_mac, mac, ethertype::IPV6));
    network.copy_from_slice(&header.emit());
    rest.copy_from_slice(&message);
    frame
}

/// Of a message with a right checksum, 0.
fn icmpv6_checksum(src: Ip, dst: Ip, message: &[u8]) -> u16 {
    let mut sum = checksum::pseudo_header(src, dst, Protocol::ICMPV6.0, message.len() as u32);
    sum.add_bytes(message);
    sum.finish()
}
