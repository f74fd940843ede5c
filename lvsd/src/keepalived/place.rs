//! Places in configuration files.

use std::path::PathBuf;

/// One of the files of a configuration: an index into [`Files`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A part of one physical line.
///
/// What came of a parameter or a repetition is placed where it was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Which file.
    pub file: FileId,
    /// The line, counted from 1.
    pub line: u32,
    /// The first byte, counted from 0 at the beginning of the line.
    pub start: u32,
    /// The byte behind the last; greater than `start`, but at the end of a line.
    pub end: u32,
}

impl Span {
    /// From the beginning of this to the end of `other`, if that is on the same line; otherwise this.
    pub fn to(self, other: Self) -> Self {
        if (self.file, self.line) == (other.file, other.line) {
            Self {
                end: self.end.max(other.end),
                ..self
            }
        } else {
            self
        }
    }
}

/// A word of a statement, as it counts: quotes gone, parameters put in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Word {
    /// The text.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// The files of a configuration, in the order in which they were opened. The first is the one asked for.
#[derive(Clone, Debug, Default)]
pub struct Files {
    files: Vec<File>,
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub struct File {
    /// As it is to be shown.
    pub path: PathBuf,
    /// Its text; what was not UTF-8 is replaced.
    pub text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl File {
    /// A line, counted from 1, without its end; empty if there are not so many.
    pub fn line(&self, number: u32) -> &str {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(start) = number.checked_sub(1).and_then(|i| self.lines.get(i)) else {
            return "";
        };
        let end = self.lines.get(number).copied();
        let line = self.text.get(*start..end.unwrap_or(self.text.len()));
        line.unwrap_or_default().trim_end_matches(['\n', '\r'])
    }
}

impl Files {
    /// Adds a file.
    pub fn add(&mut self, path: PathBuf, text: String) -> FileId {
        let id = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        let starts = text.match_indices('\n').map(|(end, _)| end + 1);
        let lines = [0].into_iter().chain(starts).collect();
        self.files.push(File { path, text, lines });
        FileId(id)
    }

    /// One of them.
    pub fn get(&self, id: FileId) -> Option<&File> {
        self.files.get(usize::try_from(id.0).ok()?)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }
}
