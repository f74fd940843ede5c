//! Adverts and announcements in a capture, read by hand: the parser under test shall not judge itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::capture::Packet;

/// What is to be captured of what a host sends: VRRP with and without an authentication header, ARP, ICMPv6.
pub const FILTER: &str =
    "outbound and (arp or icmp6 or ip proto 112 or ip proto 51 or ip6 proto 112)";

const VRRP: u8 = 112;
const AH: u8 = 51;

/// An advert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    /// When it was seen, since 1970.
    pub at: Duration,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// 2 or 3.
    pub version: u8,
    /// VRID.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
}

impl Advert {
    /// Reads one; `None` if it is something else.
    pub fn of(packet: &Packet) -> Option<Self> {
        let frame = &packet.frame;
        let (src, dst, ttl, message) = match frame.get(12..14)? {
            [0x08, 0x00] => {
                let address = |at| Some(IpAddr::V4(Ipv4Addr::from(bytes::<4>(frame, at)?)));
                let payload = 14 + usize::from(frame.get(14)? & 15) * 4;
                let message = match *frame.get(23)? {
                    VRRP => payload,
                    AH => payload + (usize::from(*frame.get(payload + 1)?) + 2) * 4,
                    _ => return None,
                };
                (address(26)?, address(30)?, *frame.get(22)?, message)
            }
            [0x86, 0xdd] if *frame.get(20)? == VRRP => {
                let address = |at| Some(IpAddr::V6(Ipv6Addr::from(bytes::<16>(frame, at)?)));
                (address(22)?, address(38)?, *frame.get(21)?, 54)
            }
            _ => return None,
        };
        let [kind, vrid, priority] = bytes(frame, message)?;
        Some(Self {
            at: packet.at,
            src,
            dst,
            ttl,
            version: kind >> 4,
            vrid,
            priority,
        })
    }
}

/// Somebody says unasked that an address is his: a gratuitous ARP or an unsolicited neighbour advertisement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// When it was seen, since 1970.
    pub at: Duration,
    /// The address.
    pub ip: IpAddr,
    /// Whose it is.
    pub mac: [u8; 6],
}

impl Claim {
    /// Reads one; `None` if it is something else.
    pub fn of(packet: &Packet) -> Option<Self> {
        const ADVERTISEMENT: u8 = 136;
        const TARGET_LINK_ADDRESS: [u8; 2] = [2, 1];
        let frame = &packet.frame;
        let (ip, mac) = match frame.get(12..14)? {
            [0x08, 0x06] => {
                let [sender, target] = [bytes::<4>(frame, 28)?, bytes::<4>(frame, 38)?];
                if sender != target {
                    return None;
                }
                (Ipv4Addr::from(sender).into(), bytes(frame, 22)?)
            }
            [0x86, 0xdd] if *frame.get(54)? == ADVERTISEMENT => {
                let solicited = frame.get(58)? & 0x40 != 0;
                if solicited || bytes(frame, 78)? != TARGET_LINK_ADDRESS {
                    return None;
                }
                let target = Ipv6Addr::from(bytes::<16>(frame, 62)?);
                (target.into(), bytes(frame, 80)?)
            }
            _ => return None,
        };
        Some(Self {
            at: packet.at,
            ip,
            mac,
        })
    }
}

fn bytes<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..at + N)?.try_into().ok()
}
