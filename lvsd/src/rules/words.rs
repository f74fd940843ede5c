//! Words of a line, each knowing where it stands, so that every problem can be shown in its place.

/// A word, or a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// What is written there.
    pub(super) text: &'a str,
    /// The line, counted from 1.
    pub(super) line: usize,
    /// The first character's place in the line, counted from 1 in characters.
    pub(super) column: usize,
}

impl<'a> Word<'a> {
    /// The number of characters.
    pub(super) fn length(self) -> usize {
        self.text.chars().count()
    }

    /// The words to the left and to the right of the first `separator`.
    pub(super) fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let at = self.text.find(separator)?;
        Some((self.head(at), self.tail(at + separator.len_utf8())))
    }

    /// What remains when `prefix` is taken off.
    pub(super) fn strip_prefix(self, prefix: &str) -> Option<Self> {
        let rest = self.text.strip_prefix(prefix)?;
        Some(self.tail(self.text.len() - rest.len()))
    }

    /// The first `bytes` bytes; the whole word if that is not the place of a character.
    pub(super) fn head(self, bytes: usize) -> Self {
        let text = self.text.get(..bytes).unwrap_or(self.text);
        Self { text, ..self }
    }

    /// What follows the first `bytes` bytes; nothing if that is not the place of a character.
    pub(super) fn tail(self, bytes: usize) -> Self {
        let text = self.text.get(bytes..).unwrap_or("");
        let column = self.column + self.head(bytes).length();
        Self {
            text,
            column,
            ..self
        }
    }
}

/// The words of a line, split at blanks, tabs and carriage returns. There is no quoting. A word that
/// begins with `#` starts a comment.
pub(super) fn split(line: usize, text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = Word {
        text,
        line,
        column: 1,
    };
    loop {
        let blanks = rest.text.len() - rest.text.trim_start_matches(is_separator).len();
        rest = rest.tail(blanks);
        if rest.text.is_empty() || rest.text.starts_with('#') {
            return words;
        }
        let end = rest.text.find(is_separator).unwrap_or(rest.text.len());
        words.push(rest.head(end));
        rest = rest.tail(end);
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str) -> Vec<(&str, usize)> {
        let words = split(1, text).into_iter();
        words.map(|w| (w.text, w.column)).collect()
    }

    #[test]
    fn words_know_their_columns() {
        assert_eq!(columns("-A  -t\tx\r"), [("-A", 1), ("-t", 5), ("x", 8)]);
        assert_eq!(columns("  é ü"), [("é", 3), ("ü", 5)]);
        assert_eq!(columns(" \t "), []);
    }

    #[test]
    fn a_comment_ends_the_line_but_only_where_a_word_begins() {
        assert_eq!(columns("# all of it"), []);
        assert_eq!(columns("a b#c #d e"), [("a", 1), ("b#c", 3)]);
    }

    #[test]
    fn parts_know_theirs_too() {
        let word = Word {
            text: "é=ü",
            line: 3,
            column: 5,
        };
        let (left, right) = word.split_once('=').unwrap();
        assert_eq!((left.text, left.column, left.length()), ("é", 5, 1));
        assert_eq!((right.text, right.column, right.line), ("ü", 7, 3));
        assert_eq!(word.strip_prefix("é=").unwrap(), right);
        assert_eq!(word.tail(99).text, "");
    }
}
