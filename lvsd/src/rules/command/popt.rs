//! A command's words, taken apart as ipvsadm's option parser does it.
//!
//! It differs from how a rule file is read in what is an error, when, and what is then said: a value may begin with a dash,
//! an unknown option is named as the whole word, and a command anywhere but in front is an invalid option.

use super::super::options::{OPTIONS, Opt, Takes, VERBS, Verb};
use super::CommandError;

/// What stands next in a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    /// An option with its value, if it has one.
    Option(&'static Opt, Option<&'a str>),
    /// A word that belongs to no option.
    Word(&'a str),
}

/// Reads words one by one.
#[derive(Debug)]
pub(super) struct Items<'a> {
    words: std::slice::Iter<'a, &'a str>,
    /// What is left of a bundle of short options, and the word it is from.
    bundle: (&'a str, &'a str),
    is_over: bool,
}

/// What an option's letter or name stands for.
enum Found {
    Verb(Verb),
    Option(&'static Opt),
}

/// The command of a line and the rest of it.
///
/// # Errors
///
/// The line does not begin with a command.
pub(super) fn read<'a>(words: &'a [&'a str]) -> Result<(Verb, Items<'a>), CommandError> {
    let hint = || CommandError {
        exit: 255,
        message: "Try `ipvsadm -h' or 'ipvsadm --help' for more information.".to_owned(),
    };
    let (first, rest) = words.split_first().ok_or_else(hint)?;
    let mut items = Items {
        words: rest.iter(),
        bundle: ("", ""),
        is_over: false,
    };
    let found = match first.strip_prefix("--") {
        Some(name) => find(|_, long| long == name),
        None => {
            let letters = first.strip_prefix('-').unwrap_or_default();
            let mut rest = letters.chars();
            let letter = rest.next();
            items.bundle = (rest.as_str(), first);
            find(|short, _| short.is_some() && short == letter)
        }
    };
    match found {
        Some(Found::Verb(verb)) if verb != Verb::Mark => Ok((verb, items)),
        _ => Err(hint()),
    }
}

impl<'a> Items<'a> {
    /// The next option or word.
    pub(super) fn next(&mut self) -> Result<Option<Item<'a>>, CommandError> {
        let (rest, word) = self.bundle;
        let mut letters = rest.chars();
        if let Some(letter) = letters.next() {
            return self.short(letter, letters.as_str(), word).map(Some);
        }
        let Some(&word) = self.words.next() else {
            return Ok(None);
        };
        if self.is_over || word.len() < 2 || !word.starts_with('-') {
            return Ok(Some(Item::Word(word)));
        }
        match word.strip_prefix("--") {
            Some("") => {
                self.is_over = true;
                self.next()
            }
            Some(name) => self.long(name, word).map(Some),
            None => {
                self.bundle = (word.get(1..).unwrap_or_default(), word);
                self.next()
            }
        }
    }

    fn short(
        &mut self,
        letter: char,
        rest: &'a str,
        word: &'a str,
    ) -> Result<Item<'a>, CommandError> {
        match find(|short, _| short == Some(letter)) {
            Some(Found::Option(option)) if option.takes == Takes::Nothing => {
                self.bundle = (rest, word);
                Ok(Item::Option(option, None))
            }
            Some(Found::Option(option)) => {
                self.bundle = ("", "");
                let glued = rest.strip_prefix('=').unwrap_or(rest);
                self.valued(option, (!rest.is_empty()).then_some(glued), word)
            }
            Some(Found::Verb(_)) => Err(usage(format!("invalid option `{word}'"))),
            None => Err(unread(word, "unknown option")),
        }
    }

    fn long(&mut self, name: &'a str, word: &'a str) -> Result<Item<'a>, CommandError> {
        let (name, glued) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        match find(|_, long| long == name) {
            Some(Found::Option(option)) => {
                if option.takes == Takes::Nothing && glued.is_some() {
                    return Err(unread(word, "option does not take an argument"));
                }
                self.valued(option, glued, word)
            }
            Some(Found::Verb(_)) => Err(usage(format!("invalid option `{word}'"))),
            None => Err(unread(word, "unknown option")),
        }
    }

    fn valued(
        &mut self,
        option: &'static Opt,
        glued: Option<&'a str>,
        word: &'a str,
    ) -> Result<Item<'a>, CommandError> {
        let value = match (option.takes, glued) {
            (_, Some(value)) => Some(value),
            (Takes::Nothing, None) => None,
            (Takes::Value, None) => {
                let next = self.words.next().copied();
                Some(next.ok_or_else(|| unread(word, "missing argument"))?)
            }
            (Takes::ValueOrNot, None) => {
                let next = self.words.as_slice().first();
                let value = next.filter(|next| !next.starts_with('-'));
                value.and_then(|_| self.words.next().copied())
            }
        };
        Ok(Item::Option(option, value))
    }
}

/// The command or option of such a letter and name. Options that ipvsadm does not have are none here, but for FullNAT's.
fn find(is: impl Fn(Option<char>, &str) -> bool) -> Option<Found> {
    let verb = VERBS
        .iter()
        .find(|v| v.verb != Verb::Mark && is(v.short, v.long));
    let option = || {
        OPTIONS
            .iter()
            .find(|o| o.verbs != [Verb::Mark] && is(o.short, o.long))
    };
    match verb {
        Some(spelling) => Some(Found::Verb(spelling.verb)),
        None => option().map(Found::Option),
    }
}

/// A refusal of ipvsadm itself.
pub(super) fn usage(message: impl Into<String>) -> CommandError {
    CommandError {
        exit: 2,
        message: message.into(),
    }
}

/// A refusal of its option parser.
fn unread(word: &str, why: &str) -> CommandError {
    CommandError {
        exit: 255,
        message: format!("{word}: {why}"),
    }
}
