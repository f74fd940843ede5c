//! Physical lines: what of them counts.
//!
//! From `#` or `!` on, outside of `"…"`, a line is a comment. A backslash before one of them makes it an ordinary
//! character and disappears; before a quote it keeps that from counting as one. A comment that ends with a backslash still
//! continues a parameter's value.

use super::super::diagnostic::Diagnostic;
use super::super::place::{FileId, Span};
use super::text::{Text, is_blank, trim};

/// How many bytes of a line keepalived reads.
pub(super) const LONGEST: usize = 1023;

/// A physical line, as far as it counts.
#[derive(Debug)]
pub(super) struct Physical {
    /// Without comment and blanks at both ends.
    pub(super) text: Text,
    /// Its comment ends with a backslash.
    pub(super) continued: bool,
}

/// Reads a line.
pub(super) fn physical(
    file: FileId,
    number: u32,
    line: &str,
    complain: &mut dyn FnMut(Diagnostic),
) -> Physical {
    let place = |start: usize, end: usize| Span {
        file,
        line: number,
        start: u32::try_from(start).unwrap_or(u32::MAX),
        end: u32::try_from(end).unwrap_or(u32::MAX),
    };
    let whole = trim(line, 0..line.len());
    let (end, escapes) = comment(line, whole.clone());
    let counts = trim(line, whole.start..end);
    let continued = end < whole.end && line.as_bytes().get(whole.end - 1) == Some(&b'\\');
    if line.len() > LONGEST {
        let boundary = |at: &usize| line.is_char_boundary(*at);
        let read = (LONGEST..line.len()).find(boundary).unwrap_or(line.len());
        complain(too_long(place(read, line.len()), counts.end > LONGEST));
    }
    if let Some(at) = line.find('\0') {
        complain(
            Diagnostic::error("zero-byte", place(at, at + 1), "a zero byte in this line")
                .label("keepalived ignores the rest, or the line")
                .help("is this a text file?")
                .tolerated(),
        );
    }
    let counted = line.get(counts.clone()).unwrap_or_default();
    if !counted.is_ascii() {
        odd_characters(
            counted,
            &|at, len| place(counts.start + at, counts.start + at + len),
            complain,
        );
    }
    let copied = Text::copied(counted, place(counts.start, counts.end));
    let text = if escapes { unescaped(&copied) } else { copied };
    Physical { text, continued }
}

/// Where the comment begins, or else the end; and whether something before it is escaped.
fn comment(line: &str, range: std::ops::Range<usize>) -> (usize, bool) {
    let bytes = line.as_bytes();
    let (mut at, mut quoted, mut escapes) = (range.start, false, false);
    while let Some(&byte) = bytes.get(at).filter(|_| at < range.end) {
        match byte {
            b'"' => quoted = !quoted,
            b'#' | b'!' if !quoted => return (at, escapes),
            b'\\' => {
                escapes |= !quoted && matches!(bytes.get(at + 1), Some(b'#' | b'!'));
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    (range.end, escapes)
}

/// Without the backslashes that keep `#` and `!` from beginning a comment.
fn unescaped(text: &Text) -> Text {
    let bytes = text.as_str().as_bytes();
    let mut made = Text::default();
    let (mut start, mut at, mut quoted) = (0, 0, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' => {
                if !quoted && matches!(bytes.get(at + 1), Some(b'#' | b'!')) {
                    made.push(text, start..at);
                    start = at + 1;
                }
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    made.push(text, start..text.len());
    made
}

fn too_long(span: Span, counts: bool) -> Diagnostic {
    let message = format!("a line of more than {LONGEST} bytes");
    if counts {
        Diagnostic::error("line-too-long", span, message)
            .label("keepalived ignores this, or takes it for another line")
            .tolerated()
    } else {
        Diagnostic::warning("line-too-long", span, message).label(
            "some versions of keepalived take this for another line, although it is a comment",
        )
    }
}

/// Complains about characters that look like what they are not, as web pages and word processors make them.
fn odd_characters(
    text: &str,
    place: &dyn Fn(usize, usize) -> Span,
    complain: &mut dyn FnMut(Diagnostic),
) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        let what = match c {
            '"' => {
                quoted = !quoted;
                continue;
            }
            '\u{fffd}' => {
                complain(
                    Diagnostic::error("not-utf-8", place(at, c.len_utf8()), "this is not UTF-8")
                        .label("replaced")
                        .help("save the file in UTF-8")
                        .tolerated(),
                );
                return;
            }
            _ if quoted => continue,
            '\u{a0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200f}'
            | '\u{202f}'
            | '\u{205f}'
            | '\u{2060}'
            | '\u{3000}'
            | '\u{feff}' => "a blank",
            '\u{201c}'..='\u{201f}' | '\u{ff02}' | '\u{ab}' | '\u{bb}' => "a quote",
            '\u{ff5b}' | '\u{ff5d}' => "a brace",
            '\u{ff03}' | '\u{ff01}' => "the beginning of a comment",
            _ => continue,
        };
        let message = format!("U+{:04X} looks like {what}, but is not", u32::from(c));
        complain(
            Diagnostic::warning("odd-character", place(at, c.len_utf8()), message)
                .label("a part of the word, as a letter would be"),
        );
        return;
    }
}

/// Whether a text ends with a backslash that continues it; then also its part before that.
pub(super) fn continues(text: &str) -> Option<&str> {
    let before = text.strip_suffix('\\')?;
    Some(before.trim_end_matches(|c: char| c.is_ascii() && is_blank(c as u8)))
}
