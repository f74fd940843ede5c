//! A server that sends a stream again and again in ever other segments, a client that puts it together, and a network
//! between them that loses what it likes: the client gets the stream whole, and the server is never told of a byte
//! that the client does not have.

use std::collections::BTreeMap;
use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Both ends, and what lies between them.
struct Story {
    family: Family,
    conn: Assist,
    /// The first byte's sequence number, to both.
    first: u32,
    /// What the server sends: something, the answer, something.
    stream: Vec<u8>,
    /// Where in it the answer is, up to the last byte that is replaced.
    answer: Range<usize>,
    /// How many bytes the server has been told have arrived.
    acked: usize,
    /// What the client is to get.
    expected: Vec<u8>,
    /// What it has got, by place.
    got: BTreeMap<usize, u8>,
}

#[derive(Clone, Debug)]
enum Step {
    /// A segment from here on, of this length; whether it arrives.
    Send(Index, usize, bool),
    /// An acknowledgement of so much of what the client has, and a block of what it has; whether it arrives.
    Acknowledge(Index, [Index; 2], bool),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        (index(), 0..120usize, any::<bool>()).prop_map(|(a, n, b)| Step::Send(a, n, b)),
        (index(), [index(), index()], any::<bool>())
            .prop_map(|(a, b, c)| Step::Acknowledge(a, b, c)),
    ]
}

impl Story {
    fn new(family: Family, before: usize, after: usize, first: u32) -> Self {
        let (said, heard) = answer(family);
        let letters = |from: u8, len| (0..len).map(move |i| from + (i % 26) as u8);
        let whole = |line: &[u8]| -> Vec<u8> {
            let head = letters(b'a', before).chain(line.iter().copied());
            head.chain(letters(b'A', after)).collect()
        };
        let replaced = said.iter().position(|c| *c == b')').unwrap();
        Self {
            family,
            conn: conn(family),
            first,
            stream: whole(said),
            answer: before..before + replaced,
            acked: 0,
            expected: whole(heard),
            got: BTreeMap::new(),
        }
    }

    fn number(&self, at: usize) -> u32 {
        self.first.wrapping_add(at as u32)
    }

    fn place(&self, number: u32) -> usize {
        number.wrapping_sub(self.first) as usize
    }

    fn send(&mut self, from: usize, len: usize, arrives: bool) {
        let to = from.saturating_add(len).min(self.stream.len());
        let header = header(self.number(from), 2000);
        let frame = frame_of(self.family, header, &self.stream[from..to]);
        let passed = pass(&mut self.conn, Direction::Out, &frame, Offload::default());
        let (Ok((frame, _)), true) = (passed, arrives) else {
            return;
        };
        let seen = Seen::of(&frame);
        let from = self.place(seen.seq);
        for (at, byte) in (from..).zip(&seen.payload) {
            assert_eq!(self.expected.get(at), Some(byte), "byte {at}");
            self.got.insert(at, *byte);
        }
    }

    /// How much the client has without a gap.
    fn next(&self) -> usize {
        (0..).take_while(|at| self.got.contains_key(at)).count()
    }

    fn acknowledge(&mut self, upto: usize, block: Range<usize>, arrives: bool) {
        let mut header = header(2000, self.number(upto));
        let mut options = vec![1, 1, 5, 10];
        for at in [block.start, block.end] {
            options.extend(self.number(at).to_be_bytes());
        }
        header.set_options_raw(&options).unwrap();
        let frame = frame_of(self.family, header, b"");
        let seen = sent(&mut self.conn, Direction::In, &frame);
        let acked = self.place(seen.ack);
        let [from, to] = seen.blocks[0].map(|n| self.place(n));
        for at in (0..acked).chain(from..to) {
            for counterpart in self.counterpart(at) {
                let has = self.got.contains_key(&counterpart);
                assert!(has, "told of {at}, whose {counterpart} is missing");
            }
        }
        if arrives {
            self.acked = self.acked.max(acked);
        }
    }

    /// What of the client's stream a byte of the server's has become.
    fn counterpart(&self, at: usize) -> Range<usize> {
        let Range { start, end } = self.answer;
        let moved = |at: usize| at + self.expected.len() - self.stream.len();
        match at {
            _ if at < start => at..at + 1,
            _ if at < end => start..moved(end),
            _ => moved(at)..moved(at + 1),
        }
    }

    fn acknowledge_all(&mut self) {
        let next = self.next();
        self.acknowledge(next, next..next, true);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Send(from, len, arrives) => {
                self.send(from.index(self.stream.len()), len, arrives);
            }
            Step::Acknowledge(upto, [from, len], arrives) => {
                let got: Vec<usize> = self.got.keys().copied().collect();
                if got.is_empty() {
                    return;
                }
                let from = got[from.index(got.len())];
                let run = (from..).take_while(|at| self.got.contains_key(at)).count();
                let to = from + 1 + len.index(run);
                let upto = upto.index(self.next() + 1);
                self.acknowledge(upto, from..to, arrives);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arrives_whole(
        is_v4: bool, [before, after] in [0..80usize, 0..80], first: u32, more in 0..30usize, arrives: bool,
        steps in prop::collection::vec(step(), 0..60), sizes in prop::collection::vec(1..100usize, 60),
    ) {
        let family = if is_v4 { Family::V4 } else { Family::V6 };
        let mut story = Story::new(family, before, after, first);
        // The helper must have seen the answer once at the start of a segment.
        story.send(before, story.answer.len() + 1 + more, arrives);
        steps.into_iter().for_each(|step| story.take(step));
        // From now on nothing is lost, and the server sends what it has not been told of.
        for size in sizes {
            story.send(story.acked, size, true);
            story.acknowledge_all();
        }
        story.send(story.acked, usize::MAX, true);
        story.acknowledge_all();
        prop_assert_eq!(story.acked, story.stream.len());
        prop_assert_eq!(story.got.len(), story.expected.len());
        prop_assert_eq!(story.conn.expected.len(), 1);
    }
}
