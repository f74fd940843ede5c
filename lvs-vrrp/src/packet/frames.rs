//! The Ethernet frames by which a master tells hosts and switches where its addresses are.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::checksum::Sum;

const BROADCAST: [u8; 6] = [0xff; 6];
/// Where frames to [`ALL_NODES`] go (RFC 2464 section 7).
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMPV6: u8 = 58;

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
    const OVERRIDE: u8 = 0x20;
    const ROUTER: u8 = 0x80;
    const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
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
