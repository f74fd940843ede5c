//! What to think of braces that do not match.
//!
//! Problem: a brace too few or too many shifts everything behind it by a level, and a parser that takes braces at their word then
//! complains of a hundred keywords in the wrong place.
//!
//! Rule: if the file has as many braces of one kind as of the other, they are right. If not, indentation is believed where it
//! contradicts them, as often as braces are wanting.

use std::collections::HashMap;

use super::super::place::{FileId, Files, Span};
use super::super::source::{Item, Source};

/// How the braces stand.
pub(super) struct Braces {
    /// Closing braces that are wanting.
    pub(super) missing: usize,
    /// Closing braces that are too many.
    pub(super) surplus: usize,
    indents: HashMap<FileId, Vec<Indent>>,
}

/// What a line begins with.
#[derive(Clone, Copy, Default)]
struct Indent {
    /// How many columns of blanks; tabs reach to the next eighth.
    columns: usize,
    /// How many bytes that is.
    bytes: usize,
}

impl Braces {
    pub(super) fn of(source: &Source) -> Self {
        let (mut opened, mut closed) = (0_usize, 0_usize);
        for item in &source.items {
            match item {
                Item::Open(_) => opened += 1,
                Item::Close(_) => closed += 1,
                Item::Statement(_) => {}
            }
        }
        let mut braces = Self {
            missing: opened.saturating_sub(closed),
            surplus: closed.saturating_sub(opened),
            indents: HashMap::new(),
        };
        if opened != closed {
            braces.measure(&source.files, &source.items);
        }
        braces
    }

    fn measure(&mut self, files: &Files, items: &[Item]) {
        for item in items {
            let file = span(item).file;
            self.indents.entry(file).or_insert_with(|| {
                let text = files.get(file).map_or("", |f| f.text.as_str());
                text.lines().map(indent).collect()
            });
        }
    }

    /// How far the line of this place is indented.
    pub(super) fn indent(&self, at: Span) -> usize {
        self.line(at).columns
    }

    /// Whether nothing stands before it on its line.
    pub(super) fn leads(&self, at: Span) -> bool {
        usize::try_from(at.start).is_ok_and(|start| start <= self.line(at).bytes)
    }

    fn line(&self, at: Span) -> Indent {
        let number = usize::try_from(at.line)
            .unwrap_or(usize::MAX)
            .checked_sub(1);
        let lines = self.indents.get(&at.file);
        let found = lines.and_then(|lines| lines.get(number?));
        found.copied().unwrap_or_default()
    }
}

/// The place of an item.
pub(super) fn span(item: &Item) -> Span {
    match item {
        Item::Statement(statement) => statement.span(),
        Item::Open(span) | Item::Close(span) => *span,
    }
}

fn indent(line: &str) -> Indent {
    let mut indent = Indent::default();
    for byte in line.bytes() {
        indent.columns = match byte {
            b' ' => indent.columns + 1,
            b'\t' => (indent.columns / 8 + 1) * 8,
            _ => break,
        };
        indent.bytes += 1;
    }
    indent
}
