//! Sequence numbers of a stream from which bytes were taken, or to which some were added.
//!
//! ```text
//!  sender counts   ······since┐            ┌since+len ······
//!                             │ replaced   │
//!  receiver counts ····+before┘            └since+len+delta ·
//! ```
//!
//! Sequence numbers up to `since` move by `before`, those after it by `delta`; acknowledgements and SACK blocks of the
//! other side move back. So IPVS does it. What it leaves open is what the range itself asks for, since its bytes have no
//! counterparts: it is all or nothing. An acknowledgement within it is one of its start, and a segment that begins or
//! ends within it does not pass (see [`overlap`]). As the sender never learns of a part, it always sends the whole again.
//!
//! Only the last change is remembered: a sender must have been acknowledged one before it makes the next, as is so
//! where each is the answer to a command.

use lvs_core::Shift;

/// Whether `a` comes after `b`, as sequence numbers go round (RFC 9293 section 3.4).
fn is_after(a: u32, b: u32) -> bool {
    distance(b, a) > 0
}

fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// Whether nothing was ever replaced.
pub(super) fn is_unused(shift: &Shift) -> bool {
    *shift == Shift::default()
}

/// A sequence number as the receiver counts.
pub(super) fn forth(shift: &Shift, seq: u32) -> u32 {
    seq.wrapping_add_signed(match is_after(seq, shift.since) {
        true => shift.delta,
        false => shift.before,
    })
}

/// An acknowledgement by the receiver as the sender counts.
pub(super) fn back(shift: &Shift, ack: u32) -> u32 {
    resolve(shift, ack, shift.since)
}

/// A block of bytes that the receiver has got, as the sender counts: the range replaced is in it only if it is so whole.
pub(super) fn block_back(shift: &Shift, [from, to]: [u32; 2]) -> [u32; 2] {
    let end = shift.since.wrapping_add(shift.len.into());
    let (from, to) = (resolve(shift, from, end), back(shift, to));
    match is_after(to, from) {
        true => [from, to],
        false => [from, from], // holds nothing, and so says nothing
    }
}

/// As the sender counts; `within` stands for what lies within the range.
fn resolve(shift: &Shift, number: u32, within: u32) -> u32 {
    let before = number.wrapping_sub(shift.before.cast_unsigned());
    let into = distance(shift.since, before);
    let new_len = i32::from(shift.len).saturating_add(shift.delta.wrapping_sub(shift.before));
    match into {
        ..=0 => before,
        n if n < new_len => within,
        _ => number.wrapping_sub(shift.delta.cast_unsigned()),
    }
}

/// How a segment lies to the range that was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overlap {
    /// Beside it.
    None,
    /// All of it begins at this byte of the payload.
    Whole(usize),
    /// It begins at this byte, and goes on in another segment.
    Head(usize),
    /// It began in another segment.
    Tail,
}

/// How a segment of `len` bytes from `seq` on lies to the range that was replaced.
pub(super) fn overlap(shift: &Shift, seq: u32, len: usize) -> Overlap {
    let start = i64::from(distance(seq, shift.since));
    let (end, len) = (start + i64::from(shift.len), len as i64);
    if shift.len == 0 || end <= 0 || start >= len {
        return Overlap::None;
    }
    match usize::try_from(start) {
        Err(_) => Overlap::Tail,
        Ok(at) if end > len => Overlap::Head(at),
        Ok(at) => Overlap::Whole(at),
    }
}

/// Whether a change at `seq` would come after the last.
pub(super) fn is_new(shift: &Shift, seq: u32) -> bool {
    is_unused(shift) || is_after(seq, shift.since)
}

/// Remembers that `len` bytes from `seq` on have become `new_len`.
pub(super) fn record(shift: &mut Shift, seq: u32, len: u16, new_len: u16) {
    let by = i32::from(new_len) - i32::from(len);
    *shift = Shift {
        since: seq,
        before: shift.delta,
        delta: shift.delta.wrapping_add(by),
        len,
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The trace's: 45 bytes from 1000 on have become 43.
    fn shorter() -> Shift {
        let mut shift = Shift::default();
        record(&mut shift, 1000, 45, 43);
        shift
    }

    #[test]
    fn numbers_move_behind_the_change() {
        let s = shorter();
        assert_eq!((s.since, s.before, s.delta, s.len), (1000, 0, -2, 45));
        let forth = [(999, 999), (1000, 1000), (1045, 1043), (1050, 1048)];
        for (sent, got) in forth {
            assert_eq!(super::forth(&s, sent), got);
        }
        let back = [(999, 999), (1000, 1000), (1043, 1045), (1048, 1050)];
        for (acked, told) in back {
            assert_eq!(super::back(&s, acked), told);
        }
    }

    #[test]
    fn changes_add_up() {
        let mut s = shorter();
        assert!(!is_new(&s, 1000) && is_new(&s, 1001));
        record(&mut s, 2000, 10, 15);
        assert_eq!((s.since, s.before, s.delta), (2000, -2, 3));
        assert_eq!((forth(&s, 2000), forth(&s, 2010)), (1998, 2013));
        assert_eq!((back(&s, 1998), back(&s, 2013)), (2000, 2010));
    }

    #[test]
    fn a_part_of_the_range_is_never_acknowledged() {
        for new_len in [1, 43, 45, 60] {
            let mut s = Shift::default();
            record(&mut s, 1000, 45, new_len);
            for into in 1..u32::from(new_len) {
                assert_eq!(back(&s, 1000 + into), 1000);
            }
            let end = 1000 + u32::from(new_len);
            assert_eq!(back(&s, end), 1045);
            assert_eq!(block_back(&s, [900, 1001.min(end - 1)]), [900, 1000]);
            assert_eq!(block_back(&s, [1000, end]), [1000, 1045]);
            assert_eq!(block_back(&s, [end, end + 9]), [1045, 1054]);
        }
        let s = shorter();
        assert_eq!(block_back(&s, [1001, 1060]), [1045, 1062]);
        assert_eq!(block_back(&s, [1001, 1020]), [1045, 1045], "nothing");
    }

    /// What a peer has told of a connection has no length.
    #[test]
    fn without_a_length_the_numbers_of_ipvs_hold() {
        for delta in [-2, 5] {
            let s = Shift {
                since: 1000,
                delta,
                ..Shift::default()
            };
            assert_eq!(back(&s, forth(&s, 1040)), 1040);
            assert_eq!(back(&s, 1000), 1000);
            assert_eq!(overlap(&s, 990, 100), Overlap::None);
        }
    }

    #[test]
    fn how_a_segment_lies_to_the_range() {
        let s = shorter();
        for (seq, len, expected) in [
            (900, 100, Overlap::None),
            (900, 101, Overlap::Head(100)),
            (1000, 44, Overlap::Head(0)),
            (1000, 45, Overlap::Whole(0)),
            (990, 100, Overlap::Whole(10)),
            (1001, 100, Overlap::Tail),
            (1044, 1, Overlap::Tail),
            (1045, 10, Overlap::None),
            (1010, 0, Overlap::Tail),
            (1000, 0, Overlap::None),
        ] {
            assert_eq!(overlap(&s, seq, len), expected, "{seq} {len}");
        }
        assert_eq!(overlap(&Shift::default(), 0, 10), Overlap::None);
    }

    proptest! {
        #[test]
        fn there_and_back_outside_the_range(
            since: u32, before in -100i32..100, by in -20i32..50, len in 20u16..200, far in -1000i32..1000,
        ) {
            let s = Shift { since, before, delta: before + by, len };
            let seq = since.wrapping_add_signed(far);
            if far <= 0 || far >= i32::from(len) {
                prop_assert_eq!(back(&s, forth(&s, seq)), seq);
            }
        }
    }
}
