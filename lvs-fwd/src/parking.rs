//! Packets whose next hop is being resolved.
//!
//! The first packet to a server must not be lost because the kernel has not asked for its Ethernet address
//! yet. A few packets wait for each next hop (as few as Linux's own neighbour queue holds), not for long, and
//! not many in all.

use std::time::Duration;

use lvs_core::{Direction, Ip, Rewrite, Time};

use crate::frame::{Frame, Offload, PortId};
use crate::parse::IpPacket;

/// The most packets that wait for one next hop.
const PER_HOP: usize = 3;
/// The most packets that wait in all.
const IN_ALL: usize = 64;
/// How long one waits.
const PATIENCE: Duration = Duration::from_secs(3);

/// A packet with its decision.
#[derive(Debug)]
pub(crate) struct Parked {
    bytes: Vec<u8>,
    offload: Offload,
    port: PortId,
    since: Time,
    pub(crate) to: Ip,
    pub(crate) packet: IpPacket,
    pub(crate) rewrite: Rewrite,
    pub(crate) direction: Direction,
}

impl Parked {
    pub(crate) fn restore(&self, frame: &mut Frame) -> bool {
        frame.fill(&self.bytes, self.offload, self.port)
    }

    pub(crate) fn is_stale(&self, now: Time) -> bool {
        now.since(self.since) >= PATIENCE
    }
}

#[derive(Debug, Default)]
pub(crate) struct Parking(Vec<Parked>);

impl Parking {
    /// Keeps a copy of the packet. Returns false if it may not wait.
    pub(crate) fn park(
        &mut self,
        frame: &Frame,
        packet: &IpPacket,
        rewrite: Rewrite,
        direction: Direction,
        to: Ip,
        now: Time,
    ) -> bool {
        let same = self.0.iter().filter(|p| p.to == to).count();
        if same >= PER_HOP || self.0.len() >= IN_ALL {
            return false;
        }
        self.0.push(Parked {
            bytes: frame.bytes().to_vec(),
            offload: frame.offload,
            port: frame.port,
            since: now,
            to,
            packet: *packet,
            rewrite,
            direction,
        });
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Vec<Parked> {
        std::mem::take(&mut self.0)
    }

    /// Puts back what must wait on.
    pub(crate) fn put_back(&mut self, parked: Parked) {
        self.0.push(parked);
    }
}
