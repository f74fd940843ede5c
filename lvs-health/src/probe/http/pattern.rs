//! What is looked for in an answer, made ready once for all runs.

use super::engine::{Engine, TooHard};
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
        let found = match self.engine.is_found(answer, self.from, self.to) {
            Ok(found) => found,
            Err(TooHard) => {
                let detail = "the search for the pattern takes too long in this answer";
                return Err(Failure::new(Reason::Content, detail));
            }
        };
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

    /// Whoever writes the page cannot keep us busy.
    #[test]
    fn hard_searches_are_given_up() {
        let mut random = 1u32;
        let answer: Vec<u8> = (0..MAX_SEARCHED)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b'a' + (random >> 31) as u8
            })
            .collect();
        for to in [None, Some(MAX_SEARCHED)] {
            let hard = Pattern {
                to,
                ..pattern("[ab]*a[ab]{500}z")
            };
            let matcher = Matcher::new(&hard).unwrap();
            // And again, with what the first search has left behind.
            for _ in 0..3 {
                let failure = matcher.judge(&answer, true).unwrap_err();
                assert!(failure.detail.contains("takes too long"), "{failure}");
            }
            let found = matcher.judge(format!("ba{}z", "ab".repeat(250)).as_bytes(), true);
            assert_eq!(found, Ok(()));
        }
    }

    #[test]
    fn expressions_that_are_none_or_too_much() {
        for (expression, why) in [
            ("(", "unclosed group"),
            (r"(a)\1", "backreferences are not supported"),
            ("(?=a)b", "look-around"),
            (r"\w{1000}{1000}", "exceeded limit"),
        ] {
            let text = Matcher::new(&pattern(expression)).unwrap_err();
            assert!(text.contains(why), "{expression}: {text}");
        }
    }
}
