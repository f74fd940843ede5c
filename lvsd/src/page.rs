//! A page of text for people.
//!
//! What does not fit into 80 columns goes on in the next line; words are never broken.

use std::fmt::Write as _;
use std::time::Duration;

use crate::arguments::printable;
use crate::span::short;

/// Columns.
pub(crate) const WIDTH: usize = 80;

/// Text in the making.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) text: String,
}

impl Page {
    /// A line that begins with `head`, its further lines below where `words` begin.
    pub(crate) fn line(&mut self, head: &str, words: &str) {
        let indent = head.chars().count();
        let mut column = indent;
        self.text.push_str(head);
        for (i, word) in printable(words).split(' ').enumerate() {
            let width = word.chars().count();
            if i > 0 && column + 1 + width > WIDTH {
                let _ = write!(self.text, "\n{:indent$}", ""); // writing to a string cannot fail
                column = indent;
            } else if i > 0 {
                self.text.push(' ');
                column += 1;
            }
            self.text.push_str(word);
            column += width;
        }
        self.text.push('\n');
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.text.push('\n');
    }
}

/// Of so many seconds: tenths of the first few.
pub(crate) fn span(seconds: f64) -> String {
    match seconds < 10.0 {
        true => format!("{seconds:.1}s"),
        false => Duration::try_from_secs_f64(seconds).map_or_else(|_| "long".to_owned(), short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_goes_on_below() {
        let mut page = Page::default();
        page.line("  head  ", &"word ".repeat(20));
        page.gap();
        let long = "x".repeat(90);
        page.line("> ", &format!("{long} y\x1b"));
        let words = "word word word word word word word word word word word word word word";
        let wanted = format!(
            "  head  {words}\n        word word word word word word \n\n> {long}\n  y\\u{{1b}}\n"
        );
        assert_eq!(page.text, wanted);
    }

    #[test]
    fn spans_of_any_size_are_shown() {
        for (seconds, text) in [
            (0.0, "0.0s"),
            (9.94, "9.9s"),
            (10.0, "10s"),
            (f64::INFINITY, "long"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
