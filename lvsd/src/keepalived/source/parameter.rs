//! Parameters: `$NAME=VALUE`, and `$NAME` or `${NAME}` where the value is to be.
//!
//! A value is looked up, and its own parameters with it, where it is used, not where it is defined. `$NAME` is a use only before a
//! blank, `,`, `)` or the end of the line; anything else stays as it is.

use std::collections::HashMap;
use std::rc::Rc;

use super::super::place::Span;
use super::text::is_blank;

/// A value, and where it was given.
#[derive(Debug)]
pub(super) struct Definition {
    /// The value's lines, without those that are empty, but never none.
    pub(super) lines: Vec<String>,
    /// Where it was defined.
    pub(super) at: Span,
    /// A repetition's variable.
    pub(super) counter: bool,
    /// That of a repetition which was to take the lines behind it as well.
    pub(super) lasting: bool,
}

/// The definitions in force.
pub(super) type Definitions = HashMap<String, Rc<Definition>>;

/// The beginning of a definition, `$NAME=`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Defines<'a> {
    pub(super) name: &'a str,
    /// How long it is.
    pub(super) len: usize,
}

/// Reads the definition that a line begins with.
pub(super) fn defines(line: &str) -> Option<Defines<'_>> {
    let rest = line.strip_prefix('$')?;
    let name = name(rest)?;
    let len = name.len() + 2;
    rest.get(name.len()..)?
        .starts_with('=')
        .then_some(Defines { name, len })
}

/// A use, or what looks like one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Use<'a> {
    pub(super) name: &'a str,
    /// What stands behind the name in braces.
    pub(super) arguments: Option<&'a str>,
    /// How long it is.
    pub(super) len: usize,
    pub(super) form: Form,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `${NAME}`
    Braced,
    /// `$NAME`, with what must follow.
    Bare,
    /// `$NAME`, but something else follows: no use.
    Glued,
    /// `${NAME` without the closing brace: no use.
    Open,
}

/// Reads the use that a text begins with; `None` if its dollar sign is followed by no name.
pub(super) fn usage(text: &str) -> Option<Use<'_>> {
    let rest = text.strip_prefix('$')?;
    if let Some(braced) = rest.strip_prefix('{') {
        let name = name(braced)?;
        let tail = braced.get(name.len()..)?;
        let inside = |form, arguments, len| {
            Some(Use {
                name,
                arguments,
                len,
                form,
            })
        };
        if tail.starts_with('}') {
            return inside(Form::Braced, None, name.len() + 3);
        }
        return match tail.find('}') {
            Some(end) if tail.bytes().next().is_some_and(is_blank) => {
                inside(Form::Braced, tail.get(..end), name.len() + end + 3)
            }
            _ => inside(Form::Open, None, name.len() + 2),
        };
    }
    let name = name(rest)?;
    let next = rest.as_bytes().get(name.len());
    let ends = next.is_none_or(|b| is_blank(*b) || matches!(b, b',' | b')'));
    Some(Use {
        name,
        arguments: None,
        len: name.len() + 1,
        form: if ends { Form::Bare } else { Form::Glued },
    })
}

/// The name that a text begins with.
pub(super) fn name(text: &str) -> Option<&str> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_alphabetic() || first == b'_') {
        return None;
    }
    let end = text
        .bytes()
        .position(|b| !(b.is_ascii_alphanumeric() || b == b'_'))
        .unwrap_or(text.len());
    text.get(..end)
}

/// The range that `${_RANDOM MIN MAX}` asks for.
///
/// # Errors
///
/// What is wrong, and the number that is used instead.
pub(super) fn random_range(arguments: Option<&str>) -> Result<(u64, u64), (String, u64)> {
    let mut range = [0, 32767];
    let mut words = arguments.unwrap_or_default().split_ascii_whitespace();
    for (bound, word) in range.iter_mut().zip(&mut words) {
        *bound = word
            .parse()
            .map_err(|_| (format!("{word} is not a number"), 0))?;
    }
    let [min, max] = range;
    if words.next().is_some() {
        return Err(("there are more than two numbers".to_owned(), min));
    }
    if min > max {
        return Err((format!("there is no number from {min} to {max}"), min));
    }
    Ok((min, max))
}

/// Random numbers of a seed: splitmix64.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number from `min` to `max`.
    pub(super) fn number(&mut self, min: u64, max: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        match (max - min).checked_add(1) {
            Some(count) => min + z % count,
            None => z,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions() {
        for (line, name, value) in [
            ("$A=1", "A", "1"),
            ("$_a9= x", "_a9", " x"),
            ("$A==", "A", "="),
            ("$A=", "A", ""),
        ] {
            let found = defines(line).unwrap();
            assert_eq!((found.name, &line[found.len..]), (name, value));
        }
        for none in ["$A =1", "$ A=1", "$1A=1", "A=1", "$=1", "${A}=1", "$A.b=1"] {
            assert_eq!(defines(none), None, "{none}");
        }
    }

    #[test]
    fn uses() {
        for (text, name, form, rest) in [
            ("$A", "A", Form::Bare, ""),
            ("$A b", "A", Form::Bare, " b"),
            ("$A,b", "A", Form::Bare, ",b"),
            ("$A)", "A", Form::Bare, ")"),
            ("$A.3", "A", Form::Glued, ".3"),
            ("$A$B", "A", Form::Glued, "$B"),
            ("${A}.3", "A", Form::Braced, ".3"),
            ("${A b} c", "A", Form::Braced, " c"),
            ("${A", "A", Form::Open, ""),
            ("${A.b}", "A", Form::Open, ".b}"),
        ] {
            let found = usage(text).unwrap();
            assert_eq!(
                (found.name, found.form, &text[found.len..]),
                (name, form, rest),
                "{text}"
            );
        }
        assert_eq!(usage("${_ENV HOME}").unwrap().arguments, Some(" HOME"));
        for none in ["$", "$1", "$ A", "${}", "${1}", "A"] {
            assert_eq!(usage(none), None, "{none}");
        }
    }

    #[test]
    fn random_numbers_stay_in_their_range() {
        assert_eq!(random_range(None), Ok((0, 32767)));
        assert_eq!(random_range(Some(" 40000")).unwrap_err().1, 40000);
        assert_eq!(random_range(Some(" 5 9 ")), Ok((5, 9)));
        assert_eq!(random_range(Some(" 9 5")).unwrap_err().1, 9);
        assert!(random_range(Some(" 1 2 3")).is_err() && random_range(Some(" x")).is_err());
        let mut random = Random(1);
        let mut seen = [false; 3];
        for _ in 0..100 {
            seen[usize::try_from(random.number(7, 9) - 7).unwrap()] = true;
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(random.number(5, 5), 5);
        random.number(0, u64::MAX);
    }
}
