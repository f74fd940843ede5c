//! The lines of a configuration: read, and cut into statements and braces.
//!
//! Problem: between a file and what it says are comments, quotes, includes, conditions, parameters and repetitions, each with
//! rules of its own and without error messages worth the name.
//!
//! Rule: [`read`] does all that, in keepalived's order, and hands over a flat list of statements and braces, each word
//! of which knows its place. It knows no keywords, but for those that change how the rest is read.

use std::path::Path;

use super::diagnostic::Diagnostic;
use super::host::Host;
use super::place::{Files, Span};

mod condition;
mod include;
mod line;
mod parameter;
mod pattern;
mod reader;
mod repeat;
mod statement;
mod text;
mod words;

pub use statement::Statement;
pub use words::{CommandError, split_command};

/// What a configuration is read with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What lines beginning with `@` are compared with.
    pub config_id: String,
    /// Which includes must find something. keepalived's `-e` is [`IncludeCheck::ALL`].
    pub include_check: IncludeCheck,
}

/// Which includes must find something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IncludeCheck {
    /// A match must be a readable file.
    pub read: bool,
    /// A name must match.
    pub matching: bool,
    /// A pattern with wildcards must match something.
    pub wildcard: bool,
    /// Each alternative in braces must match something.
    pub brace: bool,
}

impl IncludeCheck {
    /// All of it.
    pub const ALL: Self = Self {
        read: true,
        matching: true,
        wildcard: true,
        brace: true,
    };
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The files, as they were opened.
    pub files: Files,
    /// What they say, in order.
    pub items: Vec<Item>,
    /// What is wrong so far.
    pub diagnostics: Vec<Diagnostic>,
}

/// A part of a configuration.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the language has these three")]
pub enum Item {
    /// A line without its braces.
    Statement(Statement),
    /// `{`
    Open(Span),
    /// `}`
    Close(Span),
}

/// Reads a file and what it includes.
///
/// What is wrong is said in [`Source::diagnostics`], and reading goes on as keepalived's would.
pub fn read(path: &Path, options: &Options, host: &dyn Host) -> Source {
    reader::read(path, options, host)
}

#[cfg(test)]
mod tests;
