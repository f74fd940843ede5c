//! What is wrong with a configuration.

mod json;
#[cfg(test)]
mod tests;
mod text;

pub use json::{Also, Entry, Place, Report};
pub use text::render;

use super::place::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but hardly as meant, or no longer for long.
    Warning,
    /// The configuration is refused.
    Error,
}

impl Severity {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Which kind of thing, by a name that does not change: a few words in kebab case, such as `unknown-keyword`.
    pub code: &'static str,
    /// What is wrong, in one line, with the word in question.
    pub message: String,
    /// Where.
    pub span: Span,
    /// A few words at that place; may be empty.
    pub label: String,
    /// Other places that matter, each with a few words (`first defined here`).
    pub also: Vec<(Span, String)>,
    /// What to write instead, or to do.
    pub help: Option<String>,
    /// Whether keepalived itself goes on in spite of it, so that `--keepalived-compat` makes a warning of the error.
    pub tolerated: bool,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            span,
            label: String::new(),
            also: Vec::new(),
            help: None,
            tolerated: false,
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, message)
        }
    }

    /// With words at the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With another place.
    #[must_use]
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// keepalived itself logs this at most, and goes on.
    #[must_use]
    pub fn tolerated(mut self) -> Self {
        self.tolerated = true;
        self
    }
}
