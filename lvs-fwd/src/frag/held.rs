//! Later fragments whose first has not come yet.
//!
//! Networks overtake by milliseconds, so nothing is held for long. Anybody can send later fragments without ever a
//! first; they push out the oldest, and what all of them may take is bounded in number and in bytes.

use std::collections::VecDeque;
use std::time::Duration;

use lvs_core::Time;

use super::FragmentKey;
use crate::frame::{Frame, Offload, PortId};
use crate::parse::IpPacket;

/// The most fragments held: a dozen packets of 64 KB that come last fragment first.
const MOST: usize = 512;
/// The most bytes held.
const MOST_BYTES: usize = 1 << 20;
/// How long one is held.
const PATIENCE: Duration = Duration::from_secs(2);

/// A later fragment that came before its first.
#[derive(Debug)]
pub(crate) struct Early {
    key: FragmentKey,
    pub(crate) packet: IpPacket,
    bytes: Vec<u8>,
    offload: Offload,
    port: PortId,
    since: Time,
}

impl Early {
    /// A copy of the fragment in `frame`.
    pub(crate) fn new(key: FragmentKey, packet: IpPacket, frame: &Frame, now: Time) -> Self {
        Self {
            key,
            packet,
            bytes: frame.bytes().to_vec(),
            offload: frame.offload,
            port: frame.port,
            since: now,
        }
    }

    /// Makes `frame` what it was. Returns false if it is too long for it.
    pub(crate) fn restore(&self, frame: &mut Frame) -> bool {
        frame.fill(&self.bytes, self.offload, self.port)
    }
}

/// What is held, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Held {
    queue: VecDeque<Early>,
    bytes: usize,
}

impl Held {
    /// Returns how many were given up.
    pub(super) fn hold(&mut self, early: Early, now: Time) -> usize {
        let mut given_up = self.expire(now);
        self.bytes += early.bytes.len();
        self.queue.push_back(early);
        while self.queue.len() > MOST || self.bytes > MOST_BYTES {
            self.drop_oldest();
            given_up += 1;
        }
        given_up
    }

    pub(super) fn take(&mut self, key: &FragmentKey) -> Vec<Early> {
        if !self.queue.iter().any(|e| e.key == *key) {
            return Vec::new();
        }
        let (taken, kept): (Vec<_>, Vec<_>) = self.queue.drain(..).partition(|e| e.key == *key);
        self.queue = kept.into();
        self.bytes -= taken.iter().map(|e| e.bytes.len()).sum::<usize>();
        taken
    }

    /// Returns how many were given up.
    pub(super) fn expire(&mut self, now: Time) -> usize {
        let mut given_up = 0;
        while self
            .queue
            .front()
            .is_some_and(|e| now.since(e.since) >= PATIENCE)
        {
            self.drop_oldest();
            given_up += 1;
        }
        given_up
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.queue.pop_front() {
            self.bytes -= oldest.bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use lvs_core::{Family, Protocol};
    use proptest::prelude::*;

    use super::*;
    use crate::parse::{Fragment, Parsed, parse};
    use crate::wire::samples::{self, OWN};

    /// A later fragment of packet `id` with `len` bytes in it; `nth` tells it from others.
    fn early(id: u32, len: usize, nth: usize, now: Time) -> Early {
        let piece = Fragment {
            id,
            offset: 8 + 8 * (nth % 500) as u16,
            more: false,
        };
        let frame = samples::frame(&samples::fragment(
            Family::V4,
            Protocol::UDP,
            piece,
            &vec![0; len],
        ));
        let Ok(Parsed::Ip(packet)) = parse(frame.bytes(), frame.offload, OWN) else {
            panic!("not parsed");
        };
        let key = FragmentKey::of(&packet, frame.bytes()).unwrap();
        Early::new(key, packet, &frame, now)
    }

    #[derive(Clone, Debug)]
    enum Op {
        Hold { id: u32, len: usize },
        Take { id: u32 },
        Wait { millis: u64 },
        Flood { count: usize },
    }

    fn op() -> impl Strategy<Value = Op> {
        let len = prop_oneof![Just(8usize), Just(1480), Just(60_000)];
        prop_oneof![
            8 => (0..4u32, len).prop_map(|(id, len)| Op::Hold { id, len }),
            3 => (0..4u32).prop_map(|id| Op::Take { id }),
            2 => (0..3000u64).prop_map(|millis| Op::Wait { millis }),
            1 => (1..400usize).prop_map(|count| Op::Flood { count }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The model: a plain list of what came; each is taken, given up, or still there.
        #[test]
        fn what_is_held_is_bounded_and_comes_out_in_order(ops in prop::collection::vec(op(), 0..60)) {
            let mut held = Held::default();
            let mut model: VecDeque<(u32, usize, usize, u64)> = VecDeque::new();
            let (mut now, mut nth) = (0, 0);
            for op in ops {
                let at = Time::from_millis(now);
                let arriving = match op {
                    Op::Hold { id, len } => vec![(id, len)],
                    Op::Flood { count } => vec![(99, 1480); count],
                    Op::Wait { millis } => { now += millis; vec![] }
                    Op::Take { id } => {
                        let (want, rest): (Vec<_>, Vec<_>) = model.drain(..).partition(|e| e.0 == id);
                        model = rest.into();
                        let got: Vec<u16> = held.take(&early(id, 8, 0, at).key).iter()
                            .map(|e| e.packet.fragment.unwrap().offset).collect();
                        let want: Vec<u16> = want.iter().map(|e| 8 + 8 * (e.2 % 500) as u16).collect();
                        prop_assert_eq!(got, want);
                        vec![]
                    }
                };
                for (id, len) in arriving {
                    nth += 1;
                    let given_up = held.hold(early(id, len, nth, at), at);
                    model.push_back((id, len + 34, nth, now));
                    let mut want = 0;
                    while model.len() > 512
                        || model.iter().map(|e| e.1).sum::<usize>() > 1_048_576
                        || now - model[0].3 >= 2000
                    {
                        model.pop_front();
                        want += 1;
                    }
                    prop_assert_eq!(given_up, want);
                }
                prop_assert_eq!(held.queue.len(), model.len());
                prop_assert_eq!(held.bytes, model.iter().map(|e| e.1).sum::<usize>());
            }
        }
    }

    #[test]
    fn nothing_is_held_for_long() {
        let mut held = Held::default();
        let at = Time::from_millis;
        held.hold(early(1, 100, 0, at(0)), at(0));
        held.hold(early(2, 100, 0, at(500)), at(500));
        assert_eq!(held.expire(at(1999)), 0);
        assert_eq!(held.expire(at(2000)), 1);
        assert_eq!(held.take(&early(1, 8, 0, at(0)).key).len(), 0);
        assert_eq!(held.take(&early(2, 8, 0, at(0)).key).len(), 1);
        assert_eq!((held.bytes, held.expire(at(9000))), (0, 0));
    }

    #[test]
    fn a_restored_frame_is_what_it_was() {
        let before = early(7, 100, 3, Time::default());
        let mut frame = Frame::default();
        assert!(before.restore(&mut frame));
        assert_eq!(frame.bytes(), before.bytes);
        assert_eq!(frame.port, PortId(3));
    }
}
