//! Payload: shown to protocol helpers behind the director's decision, and to persistence engines before it.

use lvs_core::{Forward, Kind, Protocol};

use super::{Item, Pipeline};
use crate::frame::Burst;
use crate::helper::{Mended, mend};
use crate::wire::udp;

impl Pipeline {
    /// Sends a packet of a helped connection on, as the helper changed it.
    #[cold]
    pub(super) fn help(&mut self, number: u8, forward: &Forward, item: Item<'_>) {
        let segment = &item.packet.segment;
        // One that goes no further has been heard by nobody.
        let is_looked_at = segment.kind != Kind::LaterFragment && item.packet.ttl > 1;
        let Some(helper) = self.helpers.get(number).filter(|_| is_looked_at) else {
            return self.forward(forward, item);
        };
        let mended = self.worker.assist(item.now, segment, |conn| {
            mend(helper, conn, item.frame, item.packet)
        });
        match mended {
            None | Some(Mended::Same) => self.forward(forward, item),
            Some(Mended::Dropped(reason)) => self.counters.count_drop(reason),
            Some(Mended::Changed(packet, original)) => {
                let mut changed = Item {
                    packet: &packet,
                    frame: &mut *item.frame,
                    outputs: &mut *item.outputs,
                    ..item
                };
                if let Some(answer) = self.attempt(forward, &mut changed) {
                    // Its sender must recognise what is quoted.
                    original.restore(item.frame);
                    self.refuse(answer, item);
                }
            }
        }
    }

    /// Gives UDP packets their tags, if a service asks for any.
    pub(super) fn tag(&mut self, burst: &Burst) {
        if !self.worker.config().wants_tags() {
            return;
        }
        for ((index, packet), segment) in self.packets.iter_mut().zip(&mut self.segments) {
            if segment.protocol != Protocol::UDP || segment.kind != Kind::Packet {
                continue;
            }
            let message = usize::from(packet.layout.l4) + udp::HEADER_LEN..packet.layout.end();
            let frame = burst.frames().get(*index);
            if let Some(message) = frame.and_then(|f| f.bytes().get(message)) {
                segment.tag = self.call_ids.tag(message);
                packet.segment.tag = segment.tag;
            }
        }
    }
}
