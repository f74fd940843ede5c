//! What is looked for in an answer, made ready once for all runs.
//!
//! The engine takes time in proportion to what it searches, whatever expression and answer are: no page can stop it.

use crate::check::Pattern;
use crate::probe::{Failure, Reason};

/// How much of an answer is searched.
pub(super) const MAX_SEARCHED: usize = 1 << 20;

/// A pattern that is ready to be used.
#[derive(Debug)]
pub struct Matcher {
    engine: Engine,
    expected: bool,
    from: usize,
    to: Option<usize>,
}

impl Matcher {
    /// Makes a pattern ready.
    ///
    /// Bytes that are no UTF-8 match too, and case and classes are those of ASCII, as with PCRE; only an expression that needs
    /// Unicode gets it.
    ///
    /// # Errors
    ///
    /// What is wrong with the expression, in several lines; or that this build has no patterns.
    pub fn new(pattern: &Pattern) -> Result<Self, String> {
        Ok(Self {
            engine: Engine::new(pattern)?,
            expected: pattern.expected,
            from: pattern.from,
            to: pattern.to,
        })
    }

    /// Searches an answer, of which there was more if it is not the `whole`.
    pub(super) fn judge(&self, answer: &[u8], whole: bool) -> Result<(), Failure> {
        let found = self.engine.is_found(answer, self.from, self.to);
        // A match that may not begin beyond what is there cannot be hidden there.
        let whole = whole || self.to.is_some_and(|to| to < answer.len());
        let detail = match (found, self.expected) {
            (true, true) => return Ok(()),
            (true, false) => "the pattern is in the answer",
            (false, _) if !whole => {
                let detail = format!("the pattern is not in its first {} KiB", MAX_SEARCHED >> 10);
                return Err(Failure::new(Reason::TooLong, detail));
            }
            (false, true) => "the pattern is not in the answer",
            (false, false) => return Ok(()),
        };
        Err(Failure::new(Reason::Content, detail))
    }
}

#[cfg(feature = "regex")]
#[derive(Debug)]
struct Engine(regex::bytes::Regex);

#[cfg(feature = "regex")]
impl Engine {
    /// How much an expression and the search for it may take, in bytes.
    const MAX_SIZE: usize = 1 << 20;

    fn new(pattern: &Pattern) -> Result<Self, String> {
        let mut builder = regex::bytes::RegexBuilder::new(&pattern.expression);
        builder
            .case_insensitive(pattern.caseless)
            .dot_matches_new_line(pattern.dotall)
            .multi_line(pattern.multiline)
            .ignore_whitespace(pattern.extended)
            .swap_greed(pattern.ungreedy)
            .size_limit(Self::MAX_SIZE)
            .dfa_size_limit(Self::MAX_SIZE);
        let plain = builder.unicode(false).build();
        plain
            .or_else(|_| builder.unicode(true).build())
            .map(Self)
            .map_err(|e| e.to_string())
    }

    fn is_found(&self, answer: &[u8], from: usize, to: Option<usize>) -> bool {
        match to {
            _ if from > answer.len() => false,
            None => self.0.is_match_at(answer, from),
            Some(to) => {
                let first = self.0.find_at(answer, from);
                first.is_some_and(|found| found.start() <= to)
            }
        }
    }
}

/// There is none.
#[cfg(not(feature = "regex"))]
#[derive(Debug)]
enum Engine {}

#[cfg(not(feature = "regex"))]
impl Engine {
    fn new(_: &Pattern) -> Result<Self, String> {
        Err("this build has no patterns (feature `regex`)".to_owned())
    }

    fn is_found(&self, _: &[u8], _: usize, _: Option<usize>) -> bool {
        match *self {}
    }
}

#[cfg(all(test, feature = "regex"))]
mod tests {
    use super::*;

    fn pattern(expression: &str) -> Pattern {
        Pattern {
            expression: expression.to_owned(),
            expected: true,
            caseless: false,
            dotall: false,
            multiline: false,
            extended: false,
            ungreedy: false,
            from: 0,
            to: None,
        }
    }

    fn judge(pattern: &Pattern, answer: &str) -> Result<(), Failure> {
        Matcher::new(pattern)
            .unwrap()
            .judge(answer.as_bytes(), true)
    }

    #[test]
    fn options() {
        let plain = pattern;
        let with = |expression: &str, change: fn(&mut Pattern)| {
            let mut pattern = pattern(expression);
            change(&mut pattern);
            pattern
        };
        for (pattern, answer, found) in [
            (plain("b+c"), "abbc", true),
            (plain("B+c"), "abbc", false),
            (with("B+c", |p| p.caseless = true), "abbc", true),
            (plain("a.c"), "a\nc", false),
            (with("a.c", |p| p.dotall = true), "a\nc", true),
            (plain("^b$"), "a\nb\nc", false),
            (with("^b$", |p| p.multiline = true), "a\nb\nc", true),
            (plain("a b # c"), "ab", false),
            (with("a b # c", |p| p.extended = true), "ab", true),
            (plain(r"\pL\d"), "\u{e4}1", true),
            (plain("[\u{e4}]"), "\u{e4}", true),
            (plain("\u{e4}"), "\u{e4}", true),
        ] {
            assert_eq!(judge(&pattern, answer).is_ok(), found, "{pattern:?}");
            let unwanted = Pattern {
                expected: false,
                ..pattern
            };
            assert_eq!(judge(&unwanted, answer).is_ok(), !found, "{unwanted:?}");
        }
        let latin1 = Matcher::new(&pattern("gr.n")).unwrap();
        assert_eq!(latin1.judge(b"gr\xfcn", true), Ok(()));
    }

    #[test]
    fn offsets() {
        for (from, to, found) in [
            (0, None, true),
            (3, None, true),
            (4, None, false),
            (100, None, false),
            (0, Some(3), true),
            (0, Some(2), false),
            (3, Some(3), true),
        ] {
            let pattern = Pattern {
                from,
                to,
                ..pattern("x")
            };
            assert_eq!(judge(&pattern, "012x45").is_ok(), found, "{from} {to:?}");
        }
    }

    #[test]
    fn what_is_beyond_the_search_is_not_guessed() {
        let reason = |pattern: &Pattern, answer: &[u8]| {
            let verdict = Matcher::new(pattern).unwrap().judge(answer, false);
            verdict.map_err(|failure| failure.reason)
        };
        let wanted = pattern("x");
        assert_eq!(reason(&wanted, b"abc"), Err(Reason::TooLong));
        assert_eq!(reason(&wanted, b"abx"), Ok(()));
        let unwanted = Pattern {
            expected: false,
            ..pattern("x")
        };
        assert_eq!(reason(&unwanted, b"abc"), Err(Reason::TooLong));
        assert_eq!(reason(&unwanted, b"abx"), Err(Reason::Content));
        let early = Pattern {
            to: Some(1),
            ..pattern("x")
        };
        assert_eq!(reason(&early, b"abc"), Err(Reason::Content));
    }

    #[test]
    fn expressions_that_are_none_or_too_much() {
        for expression in ["(", r"(a)\1", "(?=a)b", r"\w{1000}{1000}"] {
            assert!(Matcher::new(&pattern(expression)).is_err(), "{expression}");
        }
    }
}
