//! ARP for IPv4 over Ethernet (RFC 826).

use super::{be16, bytes, put};
use crate::route::Mac;

/// Length of a packet.
pub const PACKET_LEN: usize = 28;

/// Offsets.
mod field {
    pub(super) const HARDWARE: usize = 0;
    pub(super) const OPERATION: usize = 6;
    pub(super) const SENDER_MAC: usize = 8;
    pub(super) const SENDER_IP: usize = 14;
    pub(super) const TARGET_MAC: usize = 18;
    pub(super) const TARGET_IP: usize = 24;
}

/// Hardware type Ethernet, protocol type IPv4, and the lengths of their addresses.
const IPV4_OVER_ETHERNET: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// Asks for a hardware address.
pub const REQUEST: u16 = 1;
/// Tells a hardware address.
pub const REPLY: u16 = 2;

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the wire format is fixed")]
pub struct Repr {
    /// [`REQUEST`], [`REPLY`].
    pub operation: u16,
    /// The sender's hardware address.
    pub sender_mac: Mac,
    /// The sender's address; 0.0.0.0 in a probe (RFC 5227).
    pub sender_ip: [u8; 4],
    /// The target's hardware address; meaningless in a request.
    pub target_mac: Mac,
    /// The target's address.
    pub target_ip: [u8; 4],
}

impl Repr {
    /// Reads a packet; `None` if it is too short or not about IPv4 over Ethernet.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let p: &[u8; PACKET_LEN] = packet.first_chunk()?;
        (bytes(p, field::HARDWARE) == IPV4_OVER_ETHERNET).then(|| Self {
            operation: be16(p, field::OPERATION),
            sender_mac: Mac(bytes(p, field::SENDER_MAC)),
            sender_ip: bytes(p, field::SENDER_IP),
            target_mac: Mac(bytes(p, field::TARGET_MAC)),
            target_ip: bytes(p, field::TARGET_IP),
        })
    }

    /// Writes the packet.
    pub fn emit(&self) -> [u8; PACKET_LEN] {
        let mut p = [0; PACKET_LEN];
        put(&mut p, field::HARDWARE, IPV4_OVER_ETHERNET);
        put(&mut p, field::OPERATION, self.operation.to_be_bytes());
        put(&mut p, field::SENDER_MAC, self.sender_mac.0);
        put(&mut p, field::SENDER_IP, self.sender_ip);
        put(&mut p, field::TARGET_MAC, self.target_mac.0);
        put(&mut p, field::TARGET_IP, self.target_ip);
        p
    }
}
