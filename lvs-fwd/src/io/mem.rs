//! A port in memory: what one side feeds, the data plane receives; what that sends, the side looks at.
//!
//! For tests, benches and embedding. A [`Handle`] is the far end of the wire; it may be cloned and used from
//! any thread.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Port, Sent};
use crate::frame::{Burst, MAX_FRAME, Offload, Packet, PortId};

/// A frame outside any burst.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record")]
pub struct MemFrame {
    /// The frame, Ethernet header first.
    pub bytes: Vec<u8>,
    /// Checksum and segmentation state.
    pub offload: Offload,
}

/// A port whose network is a pair of queues.
#[derive(Debug)]
pub struct MemPort {
    id: PortId,
    wire: Handle,
}

/// The far end of a [`MemPort`]'s wire.
#[derive(Clone, Debug, Default)]
pub struct Handle(Arc<Mutex<Queues>>);

#[derive(Debug, Default)]
struct Queues {
    to_receive: VecDeque<MemFrame>,
    sent: VecDeque<MemFrame>,
    sent_count: u64,
    discards: bool,
}

impl MemPort {
    /// A port with nothing to receive, and the far end of its wire.
    pub fn new(id: PortId) -> (Self, Handle) {
        let wire = Handle::default();
        let port = Self {
            id,
            wire: wire.clone(),
        };
        (port, wire)
    }
}

impl Port for MemPort {
    fn id(&self) -> PortId {
        self.id
    }

    fn receive(&mut self, burst: &mut Burst) -> io::Result<usize> {
        let mut queues = self.wire.lock();
        let mut count = 0;
        while let Some(room) = burst.next_free() {
            let Some(frame) = queues.to_receive.pop_front() else {
                break;
            };
            if room.fill(&frame.bytes, frame.offload, self.id) {
                burst.commit();
                count += 1;
            }
        }
        Ok(count)
    }

    fn transmit(&mut self, packets: &mut dyn Iterator<Item = Packet<'_>>) -> Sent {
        let mut queues = self.wire.lock();
        let mut sent = 0;
        for packet in packets {
            sent += 1;
            if !queues.discards {
                queues.sent.push_back(MemFrame {
                    bytes: packet.to_vec(),
                    offload: packet.offload,
                });
            }
        }
        queues.sent_count += sent as u64;
        Sent { sent, failed: 0 }
    }
}

impl Handle {
    /// Puts a frame on the wire, to be received after those before it. Returns false if it is longer than
    /// [`MAX_FRAME`].
    pub fn feed(&self, bytes: &[u8], offload: Offload) -> bool {
        let fits = bytes.len() <= MAX_FRAME;
        if fits {
            self.lock().to_receive.push_back(MemFrame {
                bytes: bytes.to_vec(),
                offload,
            });
        }
        fits
    }

    /// How many frames are on the wire, not received yet.
    pub fn waiting(&self) -> usize {
        self.lock().to_receive.len()
    }

    /// Takes what was sent, in order.
    pub fn take_sent(&self) -> Vec<MemFrame> {
        self.lock().sent.drain(..).collect()
    }

    /// How many frames were ever sent.
    pub fn sent_count(&self) -> u64 {
        self.lock().sent_count
    }

    /// From now on sent frames are counted but not kept: for benches.
    pub fn discard_sent(&self) {
        self.lock().discards = true;
    }

    /// The queues stay good even if a thread panicked while it held them: no operation leaves them half done.
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{BURST, Outputs};

    const PARTIAL: Offload = Offload {
        flags: Offload::NEEDS_CSUM,
        gso_type: 0,
        hdr_len: 0,
        gso_size: 0,
        csum_start: 34,
        csum_offset: 16,
    };

    #[test]
    fn frames_pass_in_order_with_their_offload_state() {
        let (mut port, wire) = MemPort::new(PortId(7));
        for n in 0..BURST as u8 + 1 {
            assert!(wire.feed(&[n; 60], PARTIAL));
        }
        let mut burst = Burst::default();
        assert_eq!(port.receive(&mut burst).unwrap(), BURST);
        assert_eq!(wire.waiting(), 1);
        let mut out = Outputs::default();
        for (i, frame) in burst.frames().iter().enumerate() {
            assert_eq!((frame.port, frame.offload), (PortId(7), PARTIAL));
            out.push_frame(PortId(7), i, frame);
        }
        let sent = port.transmit(&mut out.for_port(PortId(7), burst.frames()));
        assert_eq!(
            sent,
            Sent {
                sent: BURST,
                failed: 0
            }
        );
        let taken = wire.take_sent();
        assert_eq!(taken.len(), BURST);
        for (n, frame) in taken.iter().enumerate() {
            assert_eq!(frame.bytes, [n as u8; 60]);
            assert_eq!(frame.offload, PARTIAL);
        }
        assert!(wire.take_sent().is_empty());

        burst.clear();
        assert_eq!(port.receive(&mut burst).unwrap(), 1);
        assert_eq!(port.receive(&mut burst).unwrap(), 0);
    }

    #[test]
    fn oversized_frames_are_refused_and_discarded_ones_counted() {
        let (mut port, wire) = MemPort::new(PortId(0));
        assert!(!wire.feed(&vec![0; MAX_FRAME + 1], Offload::default()));
        assert!(wire.feed(&vec![0; MAX_FRAME], Offload::default()));
        let mut burst = Burst::default();
        assert_eq!(port.receive(&mut burst).unwrap(), 1);
        wire.discard_sent();
        let mut out = Outputs::default();
        out.push_frame(PortId(0), 0, &burst.frames()[0]);
        port.transmit(&mut out.for_port(PortId(0), burst.frames()));
        assert_eq!(wire.sent_count(), 1);
        assert!(wire.take_sent().is_empty());
    }
}
