//! Reads files line by line.

use std::path::Path;

use super::super::diagnostic::Diagnostic;
use super::super::host::Host;
use super::super::place::{FileId, Span};
use super::text::{Text, trim};
use super::{Item, Options, Source, Statement};

/// See [`super::read`].
pub(super) fn read(path: &Path, _options: &Options, host: &dyn Host) -> Source {
    let mut source = Source::default();
    let bytes = match host.read(path) {
        Ok(bytes) => bytes,
        Err(e) => {
            let file = source.files.add(path.to_owned(), String::new());
            let span = Span {
                file,
                line: 1,
                ..Span::default()
            };
            let message = format!("{} cannot be read: {e}", path.display());
            source
                .diagnostics
                .push(Diagnostic::error("missing-file", span, message));
            return source;
        }
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let file = source.files.add(path.to_owned(), text.clone());
    for (number, line) in (1..).zip(text.lines()) {
        physical_line(&mut source.items, file, number, line);
    }
    source
}

fn physical_line(items: &mut Vec<Item>, file: FileId, line: u32, text: &str) {
    let span = Span {
        file,
        line,
        start: 0,
        end: u32::try_from(text.len()).unwrap_or(u32::MAX),
    };
    let text = uncommented(&Text::copied(text, span));
    let mut start = 0;
    let mut quoted = false;
    let statement = |items: &mut Vec<Item>, start, end| {
        let range = trim(text.as_str(), start..end);
        if !range.is_empty() {
            items.push(Item::Statement(Statement::new(text.slice(range))));
        }
    };
    for (at, byte) in text.as_str().bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'{' | b'}' if !quoted => {
                statement(items, start, at);
                let span = text.span(at..at + 1);
                items.push(if byte == b'{' {
                    Item::Open(span)
                } else {
                    Item::Close(span)
                });
                start = at + 1;
            }
            _ => {}
        }
    }
    statement(items, start, text.len());
}

/// Without the comment, and without the backslashes that keep `#` and `!` from beginning one.
fn uncommented(text: &Text) -> Text {
    let bytes = text.as_str().as_bytes();
    let mut made = Text::default();
    let (mut start, mut at, mut quoted) = (0, 0, false);
    while let Some(&byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'"', _) => quoted = !quoted,
            (b'\\', Some(b'#' | b'!')) if !quoted => {
                made.push(text, start..at);
                at += 1;
                start = at;
            }
            (b'#' | b'!', _) if !quoted => break,
            _ => {}
        }
        at += 1;
    }
    made.push(text, start..at);
    made
}
