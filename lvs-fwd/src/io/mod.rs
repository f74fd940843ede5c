//! Ports: where frames come from and go to.

pub mod bpf;
pub mod mem;
pub mod namespace;
pub mod nft;
pub mod packet;
pub mod pcap;
pub mod tun;

#[cfg(feature = "netlink")]
pub mod netlink;

use std::io;

use crate::frame::{Burst, Packet, PortId};

/// How many frames a port took, and how many the network refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct Sent {
    /// Handed to the network.
    pub sent: usize,
    /// Refused (too long, queue full, interface down).
    pub failed: usize,
}

/// One interface of the data plane.
pub trait Port {
    /// Which one it is.
    fn id(&self) -> PortId;

    /// Adds what has arrived to the burst, until that is full or nothing is left. Never waits. Returns
    /// how many frames were added.
    fn receive(&mut self, burst: &mut Burst) -> io::Result<usize>;

    /// Sends every packet, in order. One that the network refuses does not hold up the rest.
    fn transmit(&mut self, packets: &mut dyn Iterator<Item = Packet<'_>>) -> Sent;
}
