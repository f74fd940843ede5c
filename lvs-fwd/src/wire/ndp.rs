//! Neighbour solicitation and advertisement (RFC 4861 sections 4.3, 4.4, 4.6.1).

use lvs_core::{Ip, Protocol};

use super::{bytes, ether, icmp, ipv6, put};
use crate::route::Mac;

/// The hop limit that proves a message came from this link.
pub const HOP_LIMIT: u8 = 255;

/// Length of an advertisement with its one option.
pub const ADVERTISEMENT_LEN: usize = 32;

/// In the flags of an advertisement: it answers a solicitation.
pub const SOLICITED: u8 = 0x40;
/// In the flags of an advertisement: it replaces what the neighbour knew.
pub const OVERRIDE: u8 = 0x20;

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// All nodes of the link, `ff02::1`.
pub const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// The Ethernet address of [`ALL_NODES`] (RFC 2464 section 7).
pub const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

/// The multicast address that solicitations for `ip` go to (RFC 4291 section 2.7.1).
pub const fn solicited_node(ip: [u8; 16]) -> [u8; 16] {
    let [.., a, b, c] = ip;
    [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]
}

/// Whether the frame is an IPv6 packet that holds a neighbour solicitation and no extension header. A
/// mere look; [`Solicitation::parse`] judges the message.
pub fn is_solicitation(frame: &[u8]) -> bool {
    const NEXT_HEADER: usize = ether::HEADER_LEN + ipv6::field::NEXT_HEADER;
    const TYPE: usize = ether::HEADER_LEN + ipv6::HEADER_LEN + icmp::field::TYPE;
    frame.get(NEXT_HEADER) == Some(&Protocol::ICMPV6.0)
        && frame.get(TYPE) == Some(&icmp::V6_NEIGHBOUR_SOLICITATION)
}

/// A neighbour solicitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the wire format is fixed")]
pub struct Solicitation {
    /// The address whose link-layer address is asked for.
    pub target: Ip,
    /// The solicitor's own link-layer address, if it tells it.
    pub source_mac: Option<Mac>,
}

impl Solicitation {
    /// Reads an ICMPv6 message. `None` if it is no solicitation with code 0, too short, or has an option
    /// whose length cannot be (RFC 4861 section 7.1.1). The checksum is the caller's to verify.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (header, mut options) = message.split_first_chunk::<24>()?;
        if header[icmp::field::TYPE] != icmp::V6_NEIGHBOUR_SOLICITATION
            || header[icmp::field::CODE] != 0
        {
            return None;
        }
        let mut source_mac = None;
        while let [kind, len, value @ ..] = options {
            // Counted in units of eight bytes, type and length included.
            let len = (usize::from(*len) * 8).checked_sub(2)?;
            let value = value.get(..len)?;
            if *kind == SOURCE_LINK_LAYER {
                source_mac = value.first_chunk().copied().map(Mac);
            }
            options = options.get(len + 2..)?;
        }
        options.is_empty().then(|| Self {
            target: Ip::v6(bytes(header, icmp::HEADER_LEN)),
            source_mac,
        })
    }
}

/// Writes an advertisement: `target` is at `mac`. The checksum is left zero.
pub fn advertisement(flags: u8, target: [u8; 16], mac: Mac) -> [u8; ADVERTISEMENT_LEN] {
    let mut m = [0; ADVERTISEMENT_LEN];
    let header = icmp::emit(icmp::V6_NEIGHBOUR_ADVERTISEMENT, 0, [flags, 0, 0, 0]);
    put(&mut m, 0, header);
    put(&mut m, 8, target);
    put(&mut m, 24, [TARGET_LINK_LAYER, 1]);
    put(&mut m, 26, mac.0);
    m
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_fill_the_message_exactly() {
        let mut message = vec![0; 24];
        message[0] = icmp::V6_NEIGHBOUR_SOLICITATION;
        let source_mac = |m: &[u8]| Solicitation::parse(m).map(|s| s.source_mac);
        assert_eq!(source_mac(&message), Some(None));
        message.extend([14, 1, 9, 9, 9, 9, 9, 9]); // a nonce, to be skipped
        message.extend([SOURCE_LINK_LAYER, 1, 2, 0, 0, 0, 0, 7]);
        let mac = Mac([2, 0, 0, 0, 0, 7]);
        assert_eq!(source_mac(&message), Some(Some(mac)));
        for extra in 1..8 {
            message.push(SOURCE_LINK_LAYER);
            assert_eq!(source_mac(&message), None, "{extra} bytes more");
        }
    }
}
