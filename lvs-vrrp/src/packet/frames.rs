//! The Ethernet frames by which a master tells hosts and switches where its addresses are.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::checksum::Sum;

const BROADCAST: [u8; 6] = [0xff; 6];
/// Where frames to [`ALL_NODES`] go (RFC 2464 section 7).
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMPV6: u8 = 58;
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

/// A gratuitous ARP request: `ip` is at `mac` (RFC 5227 section 3). Its target's MAC is the broadcast one, as in keepalived's.
pub fn gratuitous_arp(mac: [u8; 6], ip: Ipv4Addr) -> [u8; 42] {
    let mut frame = Frame::<42>::new();
    frame.add(&BROADCAST);
    frame.add(&mac);
    frame.add(&[0x08, 0x06]);
    // Ethernet, IPv4, the lengths of their addresses, request.
    frame.add(&[0, 1, 0x08, 0x00, 6, 4, 0, 1]);
    frame.add(&mac);
    frame.add(&ip.octets());
    frame.add(&BROADCAST);
    frame.add(&ip.octets());
    frame.bytes
}

/// An unsolicited neighbour advertisement: `ip` is at `mac`, whatever hosts believe (RFC 4861 section 4.4, RFC 9568 section
/// 6.4.1). `router`: the sender forwards packets.
pub fn unsolicited_na(mac: [u8; 6], ip: Ipv6Addr, router: bool) -> [u8; 86] {
    let mut icmp = Frame::<32>::new();
    icmp.add(&[136, 0, 0, 0]);
    icmp.add(&[OVERRIDE | if router { ROUTER } else { 0 }, 0, 0, 0]);
    icmp.add(&ip.octets());
    icmp.add(&[TARGET_LINK_LAYER_ADDRESS, 1]);
    icmp.add(&mac);
    let sum = Sum::pseudo_v6(ip, ALL_NODES, ICMPV6, icmp.bytes.len()).add(&icmp.bytes);
    icmp.bytes[2..4].copy_from_slice(&sum.finish().to_be_bytes());

    let mut frame = Frame::<86>::new();
    frame.add(&ALL_NODES_MAC);
    frame.add(&mac);
    frame.add(&[0x86, 0xdd]);
    frame.add(&[0x60, 0, 0, 0]);
    frame.add(&[0, icmp.bytes.len() as u8, ICMPV6, u8::MAX]);
    frame.add(&ip.octets());
    frame.add(&ALL_NODES.octets());
    frame.add(&icmp.bytes);
    frame.bytes
}

/// Bytes that are filled from the front.
struct Frame<const N: usize> {
    bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Frame<N> {
    const fn new() -> Self {
        Self {
            bytes: [0; N],
            filled: 0,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.bytes[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn computed_by_hand() {
        let frame = gratuitous_arp([0, 0, 0x5e, 0, 1, 0x33], Ipv4Addr::new(192, 168, 80, 200));
        assert_eq!(
            hex(&frame),
            "ffffffffffff00005e000133080600010800060400010000\
             5e000133c0a850c8ffffffffffffc0a850c8"
        );
        let ip = "2001:db8::1".parse().unwrap();
        let frame = unsolicited_na([0, 0, 0x5e, 0, 2, 7], ip, false);
        assert_eq!(
            hex(&frame),
            "33330000000100005e00020786dd6000000000203aff20010db8000000000000000000000001\
             ff02000000000000000000000000000188009b242000000020010db8000000000000000000000001\
             020100005e000207"
        );
    }

    /// As tcpdump saw it between two namespaces.
    #[test]
    fn keepalived_sends_the_same() {
        let mac = [0xee, 0xb6, 0x09, 0xc2, 0x4c, 0x7a];
        assert_eq!(
            hex(&gratuitous_arp(mac, Ipv4Addr::new(192, 168, 80, 201))),
            "ffffffffffffeeb609c24c7a08060001080006040001eeb609c24c7ac0a850c9ffffffffffffc0a850c9"
        );
        assert_eq!(
            hex(&unsolicited_na(mac, "fe80::1".parse().unwrap(), false)),
            "333300000001eeb609c24c7a86dd6000000000203afffe800000000000000000000000000001\
             ff020000000000000000000000000001880014a920000000fe800000000000000000000000000001\
             0201eeb609c24c7a"
        );
    }

    #[test]
    fn a_router_says_so() {
        let ip = "2001:db8::1".parse().unwrap();
        let frame = unsolicited_na([0, 0, 0x5e, 0, 2, 7], ip, true);
        assert_eq!(frame[58], ROUTER | OVERRIDE);
        // The checksum is less by the flag.
        assert_eq!(u16::from_be_bytes([frame[56], frame[57]]), 0x9b24 - 0x8000);
    }
}
