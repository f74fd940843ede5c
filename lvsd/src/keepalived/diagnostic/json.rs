//! Diagnostics for machines.

use serde::Serialize;

use super::{Diagnostic, Severity};
use crate::keepalived::place::{Files, Span};

/// What is wrong with a configuration, as `lvsd check --json` says it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The files that were read, in the order in which they were opened.
    pub files: Vec<String>,
    /// How many errors there are.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
    /// All of them, in the order of files and lines.
    pub diagnostics: Vec<Entry>,
}

/// One diagnostic.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// `error` or `warning`.
    pub severity: &'static str,
    /// The kind, by a name that does not change.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// A few words at that place.
    pub label: String,
    /// Other places that matter.
    pub also: Vec<Also>,
    /// What to write instead, or to do.
    pub help: Option<String>,
    /// Whether keepalived goes on in spite of it.
    pub tolerated: bool,
}

/// A place.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: u32,
    /// The first character, counted from 1.
    pub column: usize,
    /// The character behind the last.
    pub end_column: usize,
}

/// Another place.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Also {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// A few words about it.
    pub label: String,
}

impl Report {
    /// Of these diagnostics.
    pub fn new(diagnostics: &[Diagnostic], files: &Files) -> Self {
        let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error);
        let errors = errors.count();
        Self {
            files: files.iter().map(|f| f.path.display().to_string()).collect(),
            errors,
            warnings: diagnostics.len() - errors,
            diagnostics: diagnostics.iter().map(|d| entry(d, files)).collect(),
        }
    }
}

fn entry(diagnostic: &Diagnostic, files: &Files) -> Entry {
    let also = diagnostic.also.iter().map(|(span, label)| Also {
        place: place(*span, files),
        label: label.clone(),
    });
    Entry {
        severity: diagnostic.severity.name(),
        code: diagnostic.code,
        message: diagnostic.message.clone(),
        place: place(diagnostic.span, files),
        label: diagnostic.label.clone(),
        also: also.collect(),
        help: diagnostic.help.clone(),
        tolerated: diagnostic.tolerated,
    }
}

fn place(span: Span, files: &Files) -> Place {
    let file = files.get(span.file);
    let line = file.map_or("", |f| f.line(span.line));
    let column = |byte: u32| {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        1 + line.char_indices().take_while(|(i, _)| *i < byte).count()
    };
    Place {
        file: file.map_or_else(String::new, |f| f.path.display().to_string()),
        line: span.line,
        column: column(span.start),
        end_column: column(span.end),
    }
}
