//! What is wrong with a file, and how it is shown: the place, the line itself, what to write instead.

use std::fmt::Write as _;

use super::words::Word;

/// One thing that is wrong with a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// The first offending character's place in the line, counted from 1 in characters.
    pub column: usize,
    /// How many characters offend; 0 if something should stand there that does not.
    pub length: usize,
    /// What is wrong, one line without control characters.
    pub message: String,
    /// What to write instead, one line without control characters; empty if the message says all there is to say.
    pub help: String,
}

impl Problem {
    pub(super) fn at(word: Word<'_>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            line: word.line,
            column: word.column,
            length: word.length(),
            message: message.into(),
            help: help.into(),
        }
    }
}

/// The problems as text for a terminal, in the manner of rustc: each with its place in `file`, its line of
/// `source` (what was parsed) and the offending characters underlined.
///
/// Control characters, and others that could deceive a reader, are shown escaped.
pub fn render(problems: &[Problem], file: &str, source: &str) -> String {
    let lines: Vec<&str> = source.lines().collect();
    let file = escaped(file, usize::MAX);
    let mut text = String::new();
    for problem in problems {
        let line = lines.get(problem.line.wrapping_sub(1)).copied();
        let excerpt = Excerpt::of(line.unwrap_or_default(), problem);
        let number = problem.line.to_string();
        let gutter = " ".repeat(number.len());
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing to a string can't fail.
        let _ = write!(
            text,
            "error: {message}\n\
             {gutter}--> {file}:{number}:{column}\n\
             {gutter} |\n\
             {number} | {shown}\n\
             {gutter} | {blanks}{carets}\n",
            message = problem.message,
            column = problem.column,
            shown = excerpt.shown,
            blanks = " ".repeat(excerpt.before),
            carets = "^".repeat(excerpt.marked.max(1)),
        );
        if !problem.help.is_empty() {
            let _ = write!(text, "{gutter} |\n{gutter} = help: {}\n", problem.help);
        }
    }
    text
}

/// A word of the file in a message: in backquotes, escaped, and cut if it is long.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", escaped(text, 60))
}

/// Text from outside in a message: escaped, and cut to `longest` characters.
pub(super) fn escaped(text: &str, longest: usize) -> String {
    let mut escaped: String = text.chars().take(longest).map(visible).collect();
    if text.chars().nth(longest).is_some() {
        escaped.push('…');
    }
    escaped
}

/// A line as it is shown: escaped, and only the part around the problem if it is very long.
struct Excerpt {
    shown: String,
    /// Characters shown before the offending ones.
    before: usize,
    /// Offending characters shown.
    marked: usize,
}

impl Excerpt {
    const WIDEST: usize = 160;
    const CONTEXT: usize = 40;

    fn of(line: &str, problem: &Problem) -> Self {
        let start = problem.column.saturating_sub(1);
        let end = start.saturating_add(problem.length);
        let is_long = line.chars().nth(Self::WIDEST).is_some();
        let skipped = if is_long {
            start.saturating_sub(Self::CONTEXT)
        } else {
            0
        };
        let mut excerpt = Self {
            shown: String::new(),
            before: 0,
            marked: 0,
        };
        if skipped > 0 {
            excerpt.shown.push('…');
            excerpt.before += 1;
        }
        let part = line.chars().enumerate().skip(skipped);
        for (place, c) in part.take(Self::WIDEST) {
            let c = match c {
                '\t' => "    ".to_owned(),
                c => visible(c),
            };
            if place < start {
                excerpt.before += c.chars().count();
            } else if place < end {
                excerpt.marked += c.chars().count();
            }
            excerpt.shown.push_str(&c);
        }
        if line.chars().nth(skipped + Self::WIDEST).is_some() {
            excerpt.shown.push('…');
        }
        excerpt
    }
}

/// A character as itself if it can be seen, else escaped.
fn visible(c: char) -> String {
    match c {
        '\\' | '\'' | '"' => c.to_string(),
        c => c.escape_debug().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: usize, column: usize, length: usize) -> Problem {
        Problem {
            line,
            column,
            length,
            message: "what is wrong".to_owned(),
            help: "what to do".to_owned(),
        }
    }

    #[test]
    fn looks_like_rustc() {
        let source = "one\n".repeat(9) + "-A -t \"x\"\n";
        let problems = [problem(10, 7, 3), problem(2, 4, 0)];
        assert_eq!(
            render(&problems, "my/file", &source),
            "\
error: what is wrong
  --> my/file:10:7
   |
10 | -A -t \"x\"
   |       ^^^
   |
   = help: what to do

error: what is wrong
 --> my/file:2:4
  |
2 | one
  |    ^
  |
  = help: what to do
"
        );
    }

    #[test]
    fn what_cannot_be_seen_is_escaped_and_the_carets_still_fit() {
        let source = "\ta\u{1b}[2J\u{202e}b é";
        let shown = render(&[problem(1, 3, 5)], "f\n\u{7}", source);
        assert!(shown.contains(" --> f\\n\\u{7}:1:3\n"), "{shown}");
        assert!(
            shown.contains("1 |     a\\u{1b}[2J\\u{202e}b é\n"),
            "{shown}"
        );
        assert!(shown.contains("\n  |      ^^^^^^^^^^^^^^^^^\n"), "{shown}");
    }

    #[test]
    fn of_a_long_line_only_the_neighbourhood_is_shown() {
        let source = "x".repeat(1000) + "HERE" + &"y".repeat(1000);
        let shown = render(&[problem(1, 1001, 4)], "f", &source);
        let line = format!("1 | …{}HERE{}…\n", "x".repeat(40), "y".repeat(116));
        assert!(shown.contains(&line), "{shown}");
        assert!(
            shown.contains(&format!("  | {}^^^^\n", " ".repeat(41))),
            "{shown}"
        );
    }

    #[test]
    fn a_place_outside_the_file_does_no_harm() {
        for (line, column, length) in [(0, 0, 0), (9, 9, 9), (1, usize::MAX, usize::MAX)] {
            render(&[problem(line, column, length)], "f", "abc");
        }
    }

    #[test]
    fn words_are_quoted_whole_unless_long() {
        assert_eq!(quoted("a\u{0}'b'"), "`a\\0'b'`");
        assert_eq!(quoted(&"é".repeat(60)), format!("`{}`", "é".repeat(60)));
        assert_eq!(quoted(&"é".repeat(61)), format!("`{}…`", "é".repeat(60)));
    }
}
