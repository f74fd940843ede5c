//! Text that knows where it comes from.
//!
//! Problem: what counts is a line with its comment gone, its parameters put in and its repetitions made; what people
//! want to be shown is the line they wrote.
//!
//! Rule: a text is made of pieces. A piece is either copied byte by byte from a line, or stands as a whole for a part
//! of it.

use std::ops::Range;

use super::super::place::Span;

/// A text and where its bytes come from.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    text: String,
    /// The first piece, beside the others so that a plain line needs no second allocation.
    first: Piece,
    more: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    /// Where it begins in the text.
    at: usize,
    span: Span,
    /// Byte by byte; otherwise each byte stands for the whole span.
    copied: bool,
}

impl Text {
    /// A part of a line as it is written.
    pub(super) fn copied(text: &str, span: Span) -> Self {
        Self {
            text: text.to_owned(),
            first: Piece {
                at: 0,
                span,
                copied: true,
            },
            more: Vec::new(),
        }
    }

    /// A text that stands for a part of a line.
    pub(super) fn standing_for(text: &str, span: Span) -> Self {
        let mut made = Self::default();
        made.push_standing_for(text, span);
        made
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// A part of it. `range` must lie on characters' boundaries; what is outside counts as empty.
    pub(super) fn slice(&self, range: Range<usize>) -> Self {
        let mut part = Self::default();
        part.push(self, range);
        part
    }

    /// Appends a part of another.
    pub(super) fn push(&mut self, other: &Self, range: Range<usize>) {
        let Some(text) = other.text.get(range.clone()) else {
            return;
        };
        let mut next = other.more.partition_point(|p| p.at <= range.start);
        let mut piece = other.piece_before(next);
        let mut from = range.start;
        while from < range.end {
            let following = other.more.get(next);
            let to = following.map_or(range.end, |p| p.at.min(range.end));
            let span = if piece.copied {
                advanced(piece.span, from - piece.at, to - from)
            } else {
                piece.span
            };
            self.add_piece(self.text.len() + from - range.start, span, piece.copied);
            from = to;
            piece = following.unwrap_or(piece);
            next += 1;
        }
        self.text.push_str(text);
    }

    /// Appends a text that stands for a part of a line.
    pub(super) fn push_standing_for(&mut self, text: &str, span: Span) {
        if !text.is_empty() {
            self.add_piece(self.text.len(), span, false);
            self.text.push_str(text);
        }
    }

    fn add_piece(&mut self, at: usize, span: Span, copied: bool) {
        let piece = Piece { at, span, copied };
        if at == 0 {
            self.first = piece;
        } else {
            self.more.push(piece);
        }
    }

    /// The piece before one of the others.
    fn piece_before(&self, more: usize) -> &Piece {
        let before = more.checked_sub(1).and_then(|i| self.more.get(i));
        before.unwrap_or(&self.first)
    }

    /// Where a part of it comes from; the place behind the last byte if `range` begins there.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        let first = self.byte(range.start);
        if range.end <= range.start + 1 {
            return first;
        }
        first.to(self.byte(range.end - 1))
    }

    /// Where all of it comes from.
    pub(super) fn whole(&self) -> Span {
        self.span(0..self.text.len())
    }

    fn byte(&self, at: usize) -> Span {
        let piece = self.piece_before(self.more.partition_point(|p| p.at <= at));
        if piece.copied {
            let len = usize::from(at < self.text.len());
            advanced(piece.span, at - piece.at, len)
        } else {
            piece.span
        }
    }
}

/// The part of a span that begins `by` bytes later and is `len` bytes long.
fn advanced(span: Span, by: usize, len: usize) -> Span {
    let start = span
        .start
        .saturating_add(u32::try_from(by).unwrap_or(u32::MAX));
    let start = start.min(span.end);
    let end = start.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
    Span {
        start,
        end: end.min(span.end),
        ..span
    }
}

/// What C's `isspace` takes for a blank.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// A range without the blanks at both ends.
pub(super) fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let bytes = text.as_bytes();
    let Range { mut start, mut end } = range;
    while start < end && bytes.get(start).copied().is_some_and(is_blank) {
        start += 1;
    }
    while start < end && bytes.get(end - 1).copied().is_some_and(is_blank) {
        end -= 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: u32, end: u32) -> Span {
        Span {
            line: 7,
            start,
            end,
            ..Span::default()
        }
    }

    #[test]
    fn parts_keep_their_places() {
        let line = Text::copied("  ip $A port", at(0, 12));
        let mut made = line.slice(2..5);
        made.push_standing_for("1.2.3.4", at(5, 7));
        made.push(&line, 7..12);
        assert_eq!(made.as_str(), "ip 1.2.3.4 port");
        assert_eq!(made.span(0..2), at(2, 4));
        assert_eq!(made.span(5..6), at(5, 7), "the whole use");
        assert_eq!(made.span(3..10), at(5, 7));
        assert_eq!(made.span(3..4), at(5, 7));
        assert_eq!(made.span(11..15), at(8, 12));
        assert_eq!(made.whole(), at(2, 12));
        assert_eq!(made.span(15..15), at(12, 12));
        let again = made.slice(1..12);
        assert_eq!(again.as_str(), "p 1.2.3.4 p");
        assert_eq!(again.span(2..9), at(5, 7));
        assert_eq!(again.span(10..11), at(8, 9));
    }

    #[test]
    fn outside_is_empty() {
        let line = Text::copied("abc", at(0, 3));
        assert!(line.slice(2..9).is_empty());
        assert_eq!(Text::default().whole(), Span::default());
        assert_eq!(trim(" \t ", 0..3), 3..3);
        assert_eq!(trim(" a b\r\n", 0..6), 1..4);
    }
}
