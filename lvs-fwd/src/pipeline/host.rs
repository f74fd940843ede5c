//! What is left to the host.
//!
//! The host has a copy of every packet that is not hidden from it, and treats it as if we were not there. What has been
//! hidden must be given back; but for a segment of no connection to an address that the host does not hold: with that
//! it could do nothing, or would forward it, and so it is answered in its place.
//!
//! A real server may be the host itself (IPVS: local node). Packets for it go to the host as they came. It takes them
//! if the virtual address is one of its own, and answers the client by itself.

use lvs_core::{Config, DropReason, Forward, Ip, Kind, PassReason, Rewrite, ServiceKey};

use super::{Item, Pipeline};
use crate::classify::Classifier;
use crate::frame::{Frame, Outputs};
use crate::parse::IpPacket;

/// Whether an address is ours to answer for: that of a service, or one that some rule for a service's mark makes
/// virtual.
pub(super) fn owns(config: &Config, classifier: &Classifier, ip: Ip) -> bool {
    let family = ip.family();
    let has_service = |mark: &u32| {
        let mark = *mark;
        config.service(&ServiceKey::Mark { family, mark }).is_some()
    };
    config.owns(&ip) || classifier.marks_of(&ip).iter().any(has_service)
}

impl Pipeline {
    /// Leaves a packet to the host.
    pub(super) fn pass(&mut self, reason: PassReason, item: Item<'_>) {
        self.counters.count_pass(reason);
        let to = item.packet.segment.dst.ip;
        let answer = reason == PassReason::NoConnection;
        let in_its_place = answer
            && !item.topology.is_local(to)
            && owns(self.worker.config(), self.classifier.load(), to);
        let Item {
            index,
            frame,
            packet,
            outputs,
            ..
        } = item;
        if !in_its_place && self.give_back_if_hidden(packet, index, frame, outputs) {
            return;
        }
        if answer {
            self.reset(Item {
                index,
                frame,
                packet,
                outputs,
                ..item
            });
        }
    }

    /// Leaves a packet of a connection to a real server that is the host itself to the host. What the host would not take
    /// goes nowhere, nor what would have to be rewritten: nobody could translate the replies.
    pub(super) fn deliver(&mut self, forward: &Forward, item: &mut Item<'_>) {
        let is_as_it_came = !matches!(forward.rewrite, Rewrite::Nat { .. });
        if is_as_it_came && item.topology.is_local(item.packet.segment.dst.ip) {
            self.counters.count_forward(forward.direction);
            self.give_back_if_hidden(item.packet, item.index, item.frame, item.outputs);
        } else {
            self.counters.count_drop(DropReason::Unsupported);
        }
    }

    /// Gives a frame back to the host if it does not have it. Returns whether it got it now.
    pub(super) fn give_back_if_hidden(
        &mut self,
        packet: &IpPacket,
        index: usize,
        frame: &Frame,
        outputs: &mut Outputs,
    ) -> bool {
        let segment = &packet.segment;
        let is_later = segment.kind == Kind::LaterFragment;
        let hidden = self.hidden.load().hides(segment, is_later, frame.port);
        if hidden {
            self.counters.given_back.add(1);
            outputs.give_back(index, frame);
        }
        hidden
    }
}
