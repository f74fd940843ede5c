//! Statements: lines as they count.

use super::super::diagnostic::Diagnostic;
use super::super::place::{Span, Word};
use super::text::{Text, is_blank};
use super::words::{self, Cut, Unclosed};

/// A line, or the part of it up to a brace, as it counts: comment and outer blanks gone, parameters put in. Never empty.
#[derive(Clone, Debug)]
pub struct Statement {
    text: Text,
}

impl Statement {
    pub(super) fn new(text: Text) -> Self {
        Self { text }
    }

    /// Cut at blanks, with `"…"` as a word of its own: how most lines are read.
    ///
    /// # Errors
    ///
    /// A quote is not closed.
    #[expect(clippy::result_large_err, reason = "rare, and handed on at once")]
    pub fn words(&self) -> Result<Vec<Word>, Diagnostic> {
        self.cut(words::plain(self.text()))
    }

    /// Cut as a shell does, with `"…"` and `'…'` also in mid-word, but backslashes left as they are: how lines with commands and
    /// regular expressions are read. Commands go on to [`split_command`](super::split_command).
    ///
    /// # Errors
    ///
    /// A quote is not closed.
    #[expect(clippy::result_large_err, reason = "rare, and handed on at once")]
    pub fn quoted_words(&self) -> Result<Vec<Word>, Diagnostic> {
        self.cut(words::shell(self.text()))
    }

    #[expect(clippy::result_large_err, reason = "rare, and handed on at once")]
    fn cut(&self, cut: Result<Vec<Cut>, Unclosed>) -> Result<Vec<Word>, Diagnostic> {
        match cut {
            Ok(words) => Ok(words
                .into_iter()
                .map(|(text, range)| Word {
                    text,
                    span: self.text.span(range),
                })
                .collect()),
            Err(Unclosed(at)) => {
                let span = self.text.span(at..self.text.len());
                Err(
                    Diagnostic::error("unclosed-quote", span, "this quote is not closed")
                        .label("keepalived loses this")
                        .help("a quote must be closed on its own line")
                        .tolerated(),
                )
            }
        }
    }

    /// The first word, which never fails: of a quote that is not closed it is the rest.
    pub fn first(&self) -> Option<Word> {
        let text = self.text();
        let (word, range) = match text.strip_prefix('"') {
            Some(quoted) => match quoted.find('"') {
                Some(len) => (quoted.get(..len)?, 0..len + 2),
                None => (quoted, 0..text.len()),
            },
            None => {
                let end = text
                    .bytes()
                    .position(|b| is_blank(b) || b == b'"')
                    .unwrap_or(text.len());
                (text.get(..end)?, 0..end)
            }
        };
        (!text.is_empty()).then(|| Word {
            text: word.to_owned(),
            span: self.text.span(range),
        })
    }

    /// All of it.
    pub fn text(&self) -> &str {
        self.text.as_str()
    }

    /// Where it stands.
    pub fn span(&self) -> Span {
        self.text.whole()
    }
}
