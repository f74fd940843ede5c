//! `include` and its relatives.
//!
//! | keyword | an error when |
//! |---|---|
//! | `include` | nothing but what [`IncludeCheck`] says |
//! | `includer` | a match cannot be read |
//! | `includem` | the same, or a name matches nothing |
//! | `includew` | the same, or a pattern matches nothing |
//! | `includeb` | a match cannot be read, or an alternative in braces matches nothing |
//! | `includea` | any of these |

use std::path::{Path, PathBuf};

use super::super::host::Host;
use super::IncludeCheck;
use super::pattern;
use super::text::is_blank;

/// An include line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Include {
    /// What it checks on its own account.
    pub(super) check: IncludeCheck,
    /// Where its pattern begins.
    pub(super) pattern: usize,
}

/// Reads an include line; `None` if it is something else.
pub(super) fn include(line: &str) -> Option<Include> {
    let rest = line.strip_prefix("include")?;
    let only = |read, matching, wildcard, brace| IncludeCheck {
        read,
        matching,
        wildcard,
        brace,
    };
    let (letters, check) = match rest.bytes().next() {
        Some(b'r') => (1, only(true, false, false, false)),
        Some(b'm') => (1, only(true, true, false, false)),
        Some(b'w') => (1, only(true, true, true, false)),
        Some(b'b') => (1, only(true, false, false, true)),
        Some(b'a') => (1, IncludeCheck::ALL),
        _ => (0, IncludeCheck::default()),
    };
    let tail = rest.get(letters..)?;
    let blanks = tail.bytes().take_while(|b| is_blank(*b)).count();
    (blanks > 0 || tail.is_empty()).then_some(Include {
        check,
        pattern: "include".len() + letters + blanks,
    })
}

impl IncludeCheck {
    /// All that one of the two checks.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            read: self.read || other.read,
            matching: self.matching || other.matching,
            wildcard: self.wildcard || other.wildcard,
            brace: self.brace || other.brace,
        }
    }

    /// As an `include_check` line with these words changes it: words alone are all that is checked, words with `+` and `-` come in
    /// addition or are taken away; no words are all of them. Unknown words change nothing.
    #[must_use]
    pub fn changed<'a>(self, words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words = words.into_iter().peekable();
        let mut check = match words.peek() {
            None => return Self::ALL,
            Some(word) if word.starts_with(['+', '-']) => self,
            Some(_) => Self::default(),
        };
        for word in words {
            let on = !word.starts_with('-');
            match word.trim_start_matches(['+', '-']) {
                "read" | "readable" => check.read = on,
                "match" => check.matching = on,
                "wildcard_match" => check.wildcard = on,
                "brace_match" => check.brace = on,
                _ => {}
            }
        }
        check
    }
}

/// What a pattern has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) paths: Vec<PathBuf>,
    /// Alternatives that match nothing.
    pub(super) missing: Vec<String>,
    /// Of how many.
    pub(super) alternatives: usize,
}

/// Looks for what matches a pattern; `None` if it has too many alternatives.
pub(super) fn find(folder: &Path, pattern: &str, host: &dyn Host) -> Option<Found> {
    let mut found = Found::default();
    for alternative in pattern::alternatives(pattern)? {
        let paths = pattern::matches(folder, &alternative, host);
        if paths.is_empty() {
            found.missing.push(alternative);
        }
        found.paths.extend(paths);
        found.alternatives += 1;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let read = |line| include(line).map(|i: Include| (i.check, &line[i.pattern..]));
        assert_eq!(read("include a b"), Some((IncludeCheck::default(), "a b")));
        assert_eq!(
            read("includea\t*.conf"),
            Some((IncludeCheck::ALL, "*.conf"))
        );
        assert_eq!(read("include"), Some((IncludeCheck::default(), "")));
        let only_brace = IncludeCheck {
            read: true,
            brace: true,
            ..IncludeCheck::default()
        };
        assert_eq!(read("includeb {a,b}"), Some((only_brace, "{a,b}")));
        for none in [
            "include_check",
            "includes a",
            "includex a",
            "includemm a",
            "inc a",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn checks_change() {
        let none = IncludeCheck::default();
        let read = IncludeCheck { read: true, ..none };
        assert_eq!(none.changed([]), IncludeCheck::ALL);
        assert_eq!(IncludeCheck::ALL.changed(["read"]), read);
        let both = IncludeCheck {
            matching: true,
            ..read
        };
        assert_eq!(read.changed(["+match"]), both);
        assert_eq!(both.changed(["-match", "+rubbish"]), read);
        let rest = IncludeCheck {
            read: false,
            ..IncludeCheck::ALL
        };
        assert_eq!(
            none.changed(["match", "wildcard_match", "brace_match"]),
            rest
        );
        assert_eq!(rest.or(read), IncludeCheck::ALL);
    }
}
