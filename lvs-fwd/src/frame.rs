//! Frames, bursts of them, and what is to be sent.
//!
//! A received frame lies in a buffer of its own with room in front, so that a tunnel header or an ICMP
//! error can be put before it without moving it. What goes out is described, not copied: an [`Output`] is
//! a few header bytes (possibly none) followed by a range of a received frame. One aggregate of 64 KB
//! can so leave as forty-five tunnelled segments whose payload is never copied.

use std::ops::Range;

/// Which port (interface) a frame came from or goes to; counts from 0 in the order ports were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub u16);

/// The checksum and segmentation state that travels with a frame: Linux's `virtio_net_hdr`, in native
/// byte order. All zero for an ordinary frame with complete checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the kernel's layout")]
pub struct Offload {
    /// [`Self::NEEDS_CSUM`], [`Self::DATA_VALID`].
    pub flags: u8,
    /// [`Self::GSO_NONE`] and its like, possibly with [`Self::GSO_ECN`].
    pub gso_type: u8,
    /// Length of all headers of an aggregate; a hint.
    pub hdr_len: u16,
    /// Payload bytes in each segment of an aggregate.
    pub gso_size: u16,
    /// Where summing begins, from the frame's start, if [`Self::NEEDS_CSUM`].
    pub csum_start: u16,
    /// Where the sum is put, from `csum_start`.
    pub csum_offset: u16,
}

impl Offload {
    /// The transport checksum holds only the pseudo header's sum, not complemented (a partial checksum).
    pub const NEEDS_CSUM: u8 = 1;
    /// The checksum has been verified.
    pub const DATA_VALID: u8 = 2;
    /// No aggregate.
    pub const GSO_NONE: u8 = 0;
    /// TCP over IPv4.
    pub const GSO_TCPV4: u8 = 1;
    /// TCP over IPv6.
    pub const GSO_TCPV6: u8 = 4;
    /// UDP datagrams of one flow (`UDP_SEGMENT`).
    pub const GSO_UDP_L4: u8 = 5;
    /// May be set beside a TCP type: the first segment carries CWR.
    pub const GSO_ECN: u8 = 0x80;

    /// Whether the transport checksum is partial.
    pub const fn needs_csum(&self) -> bool {
        self.flags & Self::NEEDS_CSUM != 0
    }

    /// Whether the frame is an aggregate that the kernel or the network card cuts up.
    pub const fn is_aggregate(&self) -> bool {
        self.gso_type & !Self::GSO_ECN != Self::GSO_NONE
    }
}

/// Room kept in front of a received frame.
pub const HEADROOM: usize = 128;
/// The largest frame: 64 KB of IP packet, Ethernet, a VLAN tag, and a little.
pub const MAX_FRAME: usize = 65_536 + 128;
/// The most packets handled together.
pub const BURST: usize = 32;

/// A frame in a buffer of its own.
#[derive(Debug)]
pub struct Frame {
    buf: Box<[u8]>,
    start: usize,
    end: usize,
    /// Checksum and segmentation state.
    pub offload: Offload,
    /// The port it came from.
    pub port: PortId,
}

impl Default for Frame {
    fn default() -> Self {
        Self {
            buf: vec![0; HEADROOM + MAX_FRAME].into_boxed_slice(),
            start: HEADROOM,
            end: HEADROOM,
            offload: Offload::default(),
            port: PortId(0),
        }
    }
}

impl Frame {
    /// The frame, Ethernet header first.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// The frame, to be rewritten in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buf[self.start..self.end]
    }

    /// Empties the frame and gives its whole buffer (behind the headroom) to receive into; say
    /// [`Self::set_len`] afterwards.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        self.start = HEADROOM;
        self.end = HEADROOM;
        &mut self.buf[HEADROOM..]
    }

    /// How many bytes there are from the frame's start on; more than there is room for is cut off.
    pub fn set_len(&mut self, len: usize) {
        self.end = (self.start + len).min(self.buf.len());
    }

    /// Replaces the content. Returns false, leaving the frame empty, if it is too long.
    pub fn fill(&mut self, bytes: &[u8], offload: Offload, port: PortId) -> bool {
        self.offload = offload;
        self.port = port;
        match self.receive_buffer().get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.set_len(bytes.len());
                true
            }
            None => false,
        }
    }

    /// Puts `with` in the place of a range of the frame; what follows moves. Returns false and changes nothing if there is
    /// no such range, or no room.
    pub(crate) fn splice(&mut self, range: Range<usize>, with: &[u8]) -> bool {
        let len = self.end - self.start;
        let new_len = (len + with.len()).checked_sub(range.len());
        let Some(new_len) = new_len.filter(|n| self.start + n <= self.buf.len()) else {
            return false;
        };
        if range.start > range.end || range.end > len {
            return false;
        }
        let at = self.start + range.start;
        let behind = self.start + range.end..self.end;
        self.buf.copy_within(behind, at + with.len());
        self.buf[at..at + with.len()].copy_from_slice(with);
        self.end = self.start + new_len;
        true
    }

    /// Moves the frame's start `by` bytes (forward if positive, into the headroom if negative). Returns
    /// false and changes nothing if there is no such room.
    pub fn move_start(&mut self, by: isize) -> bool {
        match self.start.checked_add_signed(by) {
            Some(s) if s <= self.end => {
                self.start = s;
                true
            }
            _ => false,
        }
    }
}

/// Up to [`BURST`] received frames.
#[derive(Debug)]
pub struct Burst {
    frames: Vec<Frame>,
    len: usize,
}

impl Default for Burst {
    fn default() -> Self {
        Self {
            frames: (0..BURST).map(|_| Frame::default()).collect(),
            len: 0,
        }
    }
}

impl Burst {
    /// Forgets all frames; their buffers stay.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Whether no further frame fits.
    pub fn is_full(&self) -> bool {
        self.len == self.frames.len()
    }

    /// The next free frame for a port to fill, or `None` if the burst is full. It counts only once
    /// [`Self::commit`] is called.
    pub fn next_free(&mut self) -> Option<&mut Frame> {
        self.frames.get_mut(self.len)
    }

    /// Takes the frame that [`Self::next_free`] gave into the burst.
    pub fn commit(&mut self) {
        self.len = (self.len + 1).min(self.frames.len());
    }

    /// The received frames.
    pub fn frames(&self) -> &[Frame] {
        &self.frames[..self.len]
    }

    /// The received frames, to be rewritten.
    pub fn frames_mut(&mut self) -> &mut [Frame] {
        &mut self.frames[..self.len]
    }
}

/// One frame to send: header bytes kept in [`Outputs`], then a range of a received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The port to send it on.
    pub port: PortId,
    /// Checksum and segmentation state, counted from the start of the head.
    pub offload: Offload,
    /// The header bytes, a range of the heads' store.
    head: Range<u32>,
    /// Which received frame the rest comes from.
    frame: u16,
    /// The rest, a range of that frame's [`Frame::bytes`].
    body: Range<u32>,
    /// Whether it is for the host's own stack, as if it had just come in by the port.
    to_host: bool,
}

/// What a burst turned into, in order.
#[derive(Debug, Default)]
pub struct Outputs {
    heads: Vec<u8>,
    list: Vec<Output>,
}

/// A frame to send, as a port sees it: `head` followed by `body`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "every port must handle all of it"
)]
pub struct Packet<'a> {
    /// Checksum and segmentation state.
    pub offload: Offload,
    /// Newly written headers, often empty.
    pub head: &'a [u8],
    /// A range of a received frame, possibly empty.
    pub body: &'a [u8],
}

impl Packet<'_> {
    /// The packet in one piece, for ports that keep it.
    pub fn to_vec(&self) -> Vec<u8> {
        [self.head, self.body].concat()
    }
}

impl Outputs {
    /// Forgets everything; the store stays.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.list.clear();
    }

    /// Number of frames to send.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sends `head` followed by `body`, a range of the `frame`th frame of the burst.
    #[inline(always)]
    pub fn push(
        &mut self,
        port: PortId,
        offload: Offload,
        head: &[u8],
        frame: usize,
        body: Range<usize>,
    ) {
        let at = self.heads.len() as u32;
        self.heads.extend_from_slice(head);
        self.list.push(Output {
            port,
            offload,
            head: at..self.heads.len() as u32,
            frame: frame as u16,
            body: body.start as u32..body.end as u32,
            to_host: false,
        });
    }

    /// Sends the `index`th frame of the burst as it is.
    #[inline]
    pub fn push_frame(&mut self, port: PortId, index: usize, frame: &Frame) {
        self.push(port, frame.offload, &[], index, 0..frame.bytes().len());
    }

    /// Gives the `index`th frame of the burst, which was hidden from the host, back to it: as it came, by the port it
    /// came by.
    pub fn give_back(&mut self, index: usize, frame: &Frame) {
        self.push_frame(frame.port, index, frame);
        if let Some(output) = self.list.last_mut() {
            output.to_host = true;
        }
    }

    /// Takes over what `others` sends, by a copy: its `frames` are not of this burst.
    pub fn adopt(&mut self, others: &Self, frames: &[Frame]) {
        for (output, packet) in others.list.iter().zip(others.packets(frames, |_| true)) {
            let at = self.heads.len() as u32;
            self.heads.extend_from_slice(packet.head);
            self.heads.extend_from_slice(packet.body);
            self.list.push(Output {
                head: at..self.heads.len() as u32,
                frame: 0,
                body: 0..0,
                ..output.clone()
            });
        }
    }

    /// What goes out by `port`, in order. `frames` are those of the burst that was processed.
    pub fn for_port<'a>(
        &'a self,
        port: PortId,
        frames: &'a [Frame],
    ) -> impl Iterator<Item = Packet<'a>> + 'a {
        self.packets(frames, move |o| o.port == port && !o.to_host)
    }

    /// What the host gets back on `port`, likewise.
    pub fn for_host<'a>(
        &'a self,
        port: PortId,
        frames: &'a [Frame],
    ) -> impl Iterator<Item = Packet<'a>> + 'a {
        self.packets(frames, move |o| o.port == port && o.to_host)
    }

    fn packets<'a>(
        &'a self,
        frames: &'a [Frame],
        which: impl Fn(&Output) -> bool + 'a,
    ) -> impl Iterator<Item = Packet<'a>> + 'a {
        self.list
            .iter()
            .filter(move |o| which(o))
            .map(move |o| Packet {
                offload: o.offload,
                head: self
                    .heads
                    .get(o.head.start as usize..o.head.end as usize)
                    .unwrap_or(&[]),
                body: frames
                    .get(usize::from(o.frame))
                    .and_then(|f| f.bytes().get(o.body.start as usize..o.body.end as usize))
                    .unwrap_or(&[]),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_its_head_and_a_range_of_a_frame() {
        let mut burst = Burst::default();
        assert!(
            burst
                .next_free()
                .unwrap()
                .fill(b"abcdef", Offload::default(), PortId(0))
        );
        burst.commit();
        let mut out = Outputs::default();
        out.push(PortId(1), Offload::default(), b"XY", 0, 2..4);
        out.push_frame(PortId(0), 0, &burst.frames()[0]);
        out.give_back(0, &burst.frames()[0]);
        let back: Vec<_> = out.for_host(PortId(0), burst.frames()).collect();
        assert_eq!(
            back.iter().map(Packet::to_vec).collect::<Vec<_>>(),
            [b"abcdef"]
        );
        assert_eq!(out.for_host(PortId(1), burst.frames()).count(), 0);
        let sent = |p| {
            out.for_port(PortId(p), burst.frames())
                .map(|p| p.to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(sent(1), [b"XYcd".to_vec()]);
        assert_eq!(sent(0), [b"abcdef".to_vec()]);
    }

    #[test]
    fn an_adopted_output_needs_no_frame() {
        let mut frame = Frame::default();
        frame.fill(b"abcdef", Offload::default(), PortId(0));
        let mut theirs = Outputs::default();
        theirs.push(PortId(1), Offload::default(), b"XY", 0, 2..4);
        theirs.push_frame(PortId(0), 0, &frame);
        let mut ours = Outputs::default();
        ours.push(PortId(1), Offload::default(), b"first", 0, 0..0);
        ours.adopt(&theirs, std::slice::from_ref(&frame));
        let sent = |p| {
            ours.for_port(PortId(p), &[])
                .map(|p| p.to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(sent(1), [b"first".to_vec(), b"XYcd".to_vec()]);
        assert_eq!(sent(0), [b"abcdef".to_vec()]);
    }

    #[test]
    fn a_range_is_replaced() {
        let mut f = Frame::default();
        f.fill(b"abcdef", Offload::default(), PortId(0));
        assert!(f.splice(1..3, b"XYZ"));
        assert_eq!(f.bytes(), b"aXYZdef");
        assert!(f.splice(4..7, b""));
        assert_eq!(f.bytes(), b"aXYZ");
        assert!(f.splice(4..4, b"!"));
        assert_eq!(f.bytes(), b"aXYZ!");
        assert!(!f.splice(4..6, b""));
        assert!(!f.splice(0..0, &vec![0; MAX_FRAME]));
        assert_eq!(f.bytes(), b"aXYZ!");
    }

    #[test]
    fn the_start_moves_only_within_the_buffer() {
        let mut f = Frame::default();
        f.fill(b"abc", Offload::default(), PortId(0));
        assert!(f.move_start(-(HEADROOM as isize)));
        assert_eq!(f.bytes().len(), HEADROOM + 3);
        assert!(!f.move_start(-1));
        assert!(f.move_start(HEADROOM as isize + 3));
        assert!(!f.move_start(1));
    }

    #[test]
    fn a_frame_too_long_is_refused_and_a_full_burst_says_so() {
        let mut burst = Burst::default();
        assert!(!burst.next_free().unwrap().fill(
            &vec![0; MAX_FRAME + 1],
            Offload::default(),
            PortId(0)
        ));
        for _ in 0..BURST {
            assert!(burst.next_free().is_some());
            burst.commit();
        }
        assert!(burst.is_full() && burst.next_free().is_none());
    }
}
