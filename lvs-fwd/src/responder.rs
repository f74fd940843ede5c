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

#[cfg(test)]
mod tests {
    use lvs_core::Family;

    use super::*;
    use crate::wire::samples::{OWN, PEER, checksums_ok, frame, unhex, vip};

    fn ours(ip: Ip) -> bool {
        ip == vip(Family::V4) || ip == vip(Family::V6)
    }

    fn request() -> arp::Repr {
        arp::Repr {
            operation: arp::REQUEST,
            sender_mac: PEER,
            sender_ip: [192, 0, 2, 10],
            target_mac: Mac::default(),
            target_ip: [198, 51, 100, 1],
        }
    }

    fn arp_answer(request: &arp::Repr) -> Option<Vec<u8>> {
        let mut bytes = arp_frame(PEER, request).to_vec();
        bytes[..6].copy_from_slice(&Mac::BROADCAST.0);
        bytes.resize(60, 0);
        let mut f = frame(&bytes);
        let port = f.port;
        if answer_arp(&mut f, OWN, ours) {
            assert_eq!(f.port, port);
            Some(f.bytes().to_vec())
        } else {
            assert_eq!(f.bytes(), bytes, "left alone");
            None
        }
    }

    #[test]
    fn an_arp_request_is_answered_byte_for_byte() {
        let want = unhex(
            "020000000002 020000000001 0806  0001 0800 06 04 0002
             020000000001 c6336401  020000000002 c000020a",
        );
        assert_eq!(arp_answer(&request()), Some(want));
    }

    #[test]
    fn a_probe_is_answered() {
        let probe = arp::Repr {
            sender_ip: [0; 4],
            ..request()
        };
        let answer = arp_answer(&probe).unwrap();
        let reply = arp::Repr::parse(&answer[14..]).unwrap();
        assert_eq!(reply.sender_ip, [198, 51, 100, 1]);
        assert_eq!((reply.target_ip, reply.target_mac), ([0; 4], PEER));
    }

    #[test]
    fn other_arp_is_left_alone() {
        let vip = [198, 51, 100, 1];
        let group = Mac([1, 0, 0, 0, 0, 1]);
        for (what, r) in [
            (
                "for another",
                arp::Repr {
                    target_ip: [198, 51, 100, 2],
                    ..request()
                },
            ),
            (
                "a reply",
                arp::Repr {
                    operation: arp::REPLY,
                    ..request()
                },
            ),
            (
                "another's announcement of ours",
                arp::Repr {
                    sender_ip: vip,
                    ..request()
                },
            ),
            (
                "sender MAC a group",
                arp::Repr {
                    sender_mac: group,
                    ..request()
                },
            ),
            (
                "sender MAC zero",
                arp::Repr {
                    sender_mac: Mac::default(),
                    ..request()
                },
            ),
            (
                "sender multicast",
                arp::Repr {
                    sender_ip: [224, 0, 0, 1],
                    ..request()
                },
            ),
            (
                "sender loopback",
                arp::Repr {
                    sender_ip: [127, 0, 0, 1],
                    ..request()
                },
            ),
            (
                "sender in 0/8",
                arp::Repr {
                    sender_ip: [0, 0, 0, 1],
                    ..request()
                },
            ),
        ] {
            assert_eq!(arp_answer(&r), None, "{what}");
        }
        let mut short = frame(&arp_frame(OWN, &request())[..41]);
        assert!(!answer_arp(&mut short, OWN, ours));
    }

    #[test]
    fn announcements_byte_for_byte() {
        let arp = unhex(
            "ffffffffffff 020000000001 0806  0001 0800 06 04 0001
             020000000001 c6336401  000000000000 c6336401",
        );
        assert_eq!(gratuitous_arp(OWN, [198, 51, 100, 1]).to_vec(), arp);
        let na = unhex(
            "333300000001 020000000001 86dd  60000000 0020 3a ff
             20010db8000100000000000000000001 ff020000000000000000000000000001
             88 00 f928 20000000 20010db8000100000000000000000001 02 01 020000000001",
        );
        let sent = unsolicited_na(OWN, *vip(Family::V6).bytes());
        assert_eq!(sent.to_vec(), na);
        assert!(checksums_ok(&sent));
    }

    #[test]
    fn solicitations_go_to_the_last_three_bytes() {
        let ip: Ip = "2001:db8::12:3456:789a".parse().unwrap();
        assert_eq!(
            solicited_node_mac(*ip.bytes()),
            Mac([0x33, 0x33, 0xff, 0x56, 0x78, 0x9a])
        );
    }

    /// From 2001:db8::10 for 2001:db8:1::1, with the source link-layer address.
    fn solicitation() -> Vec<u8> {
        unhex(
            "3333ff000001 020000000002 86dd  60000000 0020 3a ff
             20010db8000000000000000000000010 ff0200000000000000000001ff000001
             87 00 1c18 00000000 20010db8000100000000000000000001 01 01 020000000002",
        )
    }

    /// The same from nobody: duplicate address detection.
    fn dad() -> Vec<u8> {
        unhex(
            "3333ff000001 020000000002 86dd  60000000 0018 3a ff
             00000000000000000000000000000000 ff0200000000000000000001ff000001
             87 00 4cec 00000000 20010db8000100000000000000000001",
        )
    }

    fn ndp_answer(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut f = frame(bytes);
        if answer_ndp(&mut f, OWN, ours) {
            assert!(checksums_ok(f.bytes()));
            Some(f.bytes().to_vec())
        } else {
            assert_eq!(f.bytes(), bytes, "left alone");
            None
        }
    }

    /// Makes the ICMPv6 checksum right again.
    fn fix(frame: &mut [u8]) {
        let ip = |at: usize| Ip::v6(frame[at..at + 16].try_into().unwrap());
        let (src, dst) = (ip(22), ip(38));
        frame[56..58].fill(0);
        let checksum = icmpv6_checksum(src, dst, &frame[54..]);
        frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    }

    #[test]
    fn a_solicitation_is_answered_byte_for_byte() {
        let want = unhex(
            "020000000002 020000000001 86dd  60000000 0020 3a ff
             20010db8000100000000000000000001 20010db8000000000000000000000010
             88 00 8a63 60000000 20010db8000100000000000000000001 02 01 020000000001",
        );
        assert_eq!(ndp_answer(&solicitation()), Some(want.clone()));

        let mut unicast = solicitation();
        unicast[..6].copy_from_slice(&OWN.0);
        unicast[38..54].copy_from_slice(vip(Family::V6).bytes());
        unicast.truncate(78);
        unicast[19] = 24;
        fix(&mut unicast);
        assert_eq!(
            ndp_answer(&unicast),
            Some(want),
            "to our address, without the option"
        );
    }

    #[test]
    fn duplicate_address_detection_is_answered_to_all_nodes() {
        let want = unsolicited_na(OWN, *vip(Family::V6).bytes());
        assert_eq!(ndp_answer(&dad()), Some(want.to_vec()));
    }

    #[test]
    fn a_partial_checksum_is_not_judged() {
        let mut bytes = solicitation();
        bytes[56] ^= 1;
        let mut f = frame(&bytes);
        f.offload.flags = Offload::NEEDS_CSUM;
        assert!(answer_ndp(&mut f, OWN, ours));
        assert_eq!(f.offload, Offload::default());
    }

    #[test]
    fn invalid_solicitations_are_left_alone() {
        let group = *Ip::v6(ndp::ALL_NODES).bytes();
        type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
        let broken: [(&str, Change<'_>); 13] = [
            ("hop limit", &|f| f[21] = 254),
            ("code", &|f| f[55] = 1),
            ("an advertisement", &|f| f[54] = 136),
            ("next header", &|f| f[20] = 17),
            ("target not ours", &|f| f[77] = 9),
            ("to another group", &|f| f[53] = 9),
            ("to all nodes", &|f| f[38..54].copy_from_slice(&group)),
            ("from a group", &|f| f[22..38].copy_from_slice(&group)),
            ("from our address", &|f| {
                f[22..38].copy_from_slice(vip(Family::V6).bytes())
            }),
            ("from nobody with an option", &|f| f[22..38].fill(0)),
            ("option of length 0", &|f| f[79] = 0),
            ("option too long", &|f| f[79] = 2),
            ("solicitor's MAC a group", &|f| f[80] = 3),
        ];
        for (what, change) in broken {
            let mut f = solicitation();
            change(&mut f);
            fix(&mut f);
            assert_eq!(ndp_answer(&f), None, "{what}");
        }
        for target in [group, *vip(Family::V4).bytes()] {
            let mut f = solicitation();
            f[38..54].copy_from_slice(&ndp::solicited_node(target));
            f[62..78].copy_from_slice(&target);
            fix(&mut f);
            let all_but_solicitors = |ip: Ip| ip.bytes()[..15] != f[22..37];
            assert!(
                !answer_ndp(&mut frame(&f), OWN, all_but_solicitors),
                "{target:?}"
            );
        }
        let mut bad_sum = solicitation();
        bad_sum[57] ^= 1;
        assert_eq!(ndp_answer(&bad_sum), None);
        let mut dad_unicast = dad();
        dad_unicast[38..54].copy_from_slice(vip(Family::V6).bytes());
        fix(&mut dad_unicast);
        assert_eq!(ndp_answer(&dad_unicast), None);
        for len in 0..solicitation().len() {
            assert_eq!(ndp_answer(&solicitation()[..len]), None, "{len} bytes");
        }
    }
}
