//! ICMP errors about our own tunnel packets: believed, remembered, and relayed to the client.
//!
//! Anybody can send such an error. It is believed only if it is addressed to the host, which sent the tunnel packet, and
//! quotes a packet of a connection that leads through just that tunnel. (IPVS asks for the same.)

use lvs_core::{Direction, DropReason, Forward, Rewrite, Time};

use super::{Item, Pipeline};
use crate::frame::{Frame, Outputs};
use crate::parse::{Parsed, parse};
use crate::route::{Resolution, Topology};
use crate::tunnel_error::TunnelError;

impl Pipeline {
    /// Sees to a frame that was found to be none of ours. Returns whether it was one after all, and has been relayed or
    /// counted otherwise; if not, the frame is as it was.
    #[cold]
    pub(super) fn relay_tunnel_error(
        &mut self,
        now: Time,
        topology: &Topology,
        index: usize,
        frame: &mut Frame,
        outputs: &mut Outputs,
    ) -> bool {
        let Some(error) = TunnelError::read(frame.bytes(), frame.offload) else {
            return false;
        };
        let (remote, client) = (error.remote, error.inner.src.ip);
        let is_ours = topology.is_local(error.to)
            && (self.worker.tunnel_of(&error.inner))
                .is_some_and(|(to, by)| to == remote && error.is_through(by));
        if !is_ours {
            return false;
        }
        let mut path_mtu = 0;
        if let Some(told) = error.mtu {
            self.path_mtus.learn(now, remote, told.into());
            // A client that lets its packets be fragmented need not know: ours are now.
            if !error.dont_fragment {
                return false;
            }
            let link = match self.hops.resolve(&remote) {
                Resolution::Ready(hop) => hop.mtu,
                _ => u32::MAX,
            };
            path_mtu = self.known_mtus.limit(now, &remote, link);
        }
        let Some(interface) = topology.interface(frame.port) else {
            return false;
        };
        if !self.icmp_limit.take(now) {
            self.counters.answers_limited.add(1);
            return false;
        }
        if !error.relay(frame, path_mtu) {
            return false;
        }
        let own_mac = topology.own_mac(interface, frame.bytes());
        let packet = match parse(frame.bytes(), frame.offload, own_mac) {
            Ok(Parsed::Ip(packet)) => packet,
            other => {
                let reason = other.err().unwrap_or(DropReason::Unsupported);
                self.counters.count_drop(reason);
                return true;
            }
        };
        let forward = Forward {
            direction: Direction::Out,
            rewrite: Rewrite::Route { next_hop: client },
            helper: None,
        };
        let packet = &packet;
        self.forward(
            &forward,
            Item {
                now,
                topology,
                index,
                frame,
                packet,
                outputs,
            },
        );
        true
    }
}
