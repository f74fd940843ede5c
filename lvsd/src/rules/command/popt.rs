//! A command's words, taken apart as ipvsadm's option parser does it.
//!
//! It differs from how a rule file is read in what is an error, when, and what is then said: a value may begin with a dash,
//! an unknown option is named as the whole word, and a command that is not the first option is an invalid one. Words that are no
//! options are left over wherever they stand.

use std::ops::Range;

use super::super::options::{OPTIONS, Opt, Takes, VERBS, Verb};
use super::CommandError;

/// What stands next in a command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    /// An option.
    Option(Given<'a>),
    /// A word that belongs to no option, and its place.
    Word(&'a str, usize),
}

/// An option as it is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    pub(super) option: &'static Opt,
    /// Its value, if it has one.
    pub(super) value: Option<&'a str>,
    /// The place of the word it stands in.
    pub(super) at: usize,
    /// That of the word its value stands in; without a value its own.
    pub(super) value_at: usize,
}

/// Reads words one by one.
#[derive(Debug)]
pub(super) struct Items<'a> {
    words: &'a [&'a str],
    /// The places of words before the command that have not been read yet.
    before: Range<usize>,
    /// The place of the next word behind the command.
    next: usize,
    /// What is left of a bundle of short options, in the word before the next.
    bundle: &'a str,
    is_over: bool,
}

/// The command of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) verb: Verb,
    /// The value of a command that takes one, empty for others.
    pub(super) value: &'a str,
    /// The place of its value.
    pub(super) value_at: usize,
}

/// What an option's letter or name stands for.
enum Found {
    Verb(Verb),
    Option(&'static Opt),
}

impl Found {
    fn takes(&self) -> Takes {
        match self {
            Self::Verb(verb) => verb.takes(),
            Self::Option(option) => option.takes,
        }
    }
}

/// The command of a line and the rest of it.
///
/// # Errors
///
/// Its first option is no command.
pub(super) fn read<'a>(words: &'a [&'a str]) -> Result<(Head<'a>, Items<'a>), CommandError> {
    let at = words.iter().position(|word| is_option(word));
    let at = at.unwrap_or(words.len());
    let mut items = Items {
        words,
        before: 0..at,
        next: at + 1,
        bundle: "",
        is_over: false,
    };
    let head = words.get(at).and_then(|first| items.head(first, at));
    Ok((head.ok_or_else(CommandError::no_command)?, items))
}

impl<'a> Items<'a> {
    /// The command in the first option.
    fn head(&mut self, first: &'a str, at: usize) -> Option<Head<'a>> {
        let (found, glued) = match first.strip_prefix("--") {
            Some(name) => {
                let (name, glued) = split_value(name);
                (find(|_, long| long == name)?, glued)
            }
            None => {
                let mut letters = first.strip_prefix('-')?.chars();
                let letter = letters.next()?;
                self.bundle = letters.as_str();
                if self.bundle.starts_with('=') {
                    return None;
                }
                (find(|short, _| short == Some(letter))?, None)
            }
        };
        let Found::Verb(verb) = found else {
            return None;
        };
        let (value, value_at) = match (verb.takes(), glued) {
            (Takes::Nothing, None) => ("", at),
            (Takes::Nothing, Some(_)) => return None,
            (_, Some(value)) => (value, at),
            (_, None) => (self.word()?, at + 1),
        };
        Some(Head {
            verb,
            value,
            value_at,
        })
    }

    /// The next option or word.
    pub(super) fn next(&mut self) -> Result<Option<Item<'a>>, CommandError> {
        if let Some(at) = self.before.next() {
            return Ok(self.words.get(at).map(|word| Item::Word(word, at)));
        }
        let mut letters = self.bundle.chars();
        if let Some(letter) = letters.next() {
            let at = self.next.saturating_sub(1);
            return self.short(letter, letters.as_str(), at).map(Some);
        }
        let at = self.next;
        let Some(word) = self.word() else {
            return Ok(None);
        };
        if self.is_over || !is_option(word) {
            return Ok(Some(Item::Word(word, at)));
        }
        match word.strip_prefix("--") {
            Some("") => {
                self.is_over = true;
                self.next()
            }
            Some(name) => self.long(name, at).map(Some),
            None => {
                self.bundle = word.get(1..).unwrap_or_default();
                self.next()
            }
        }
    }

    fn short(&mut self, letter: char, rest: &'a str, at: usize) -> Result<Item<'a>, CommandError> {
        let found = find(|short, _| short == Some(letter));
        match found.as_ref().map(Found::takes) {
            Some(Takes::Nothing) if !rest.starts_with('=') => {
                self.bundle = rest;
                self.found(found, None, at)
            }
            _ => {
                self.bundle = "";
                let glued = rest.strip_prefix('=').unwrap_or(rest);
                self.found(found, (!rest.is_empty()).then_some(glued), at)
            }
        }
    }

    fn long(&mut self, name: &'a str, at: usize) -> Result<Item<'a>, CommandError> {
        let (name, glued) = split_value(name);
        self.found(find(|_, long| long == name), glued, at)
    }

    /// What was found in a word, with the value that is glued on there or else comes next.
    fn found(
        &mut self,
        found: Option<Found>,
        glued: Option<&'a str>,
        at: usize,
    ) -> Result<Item<'a>, CommandError> {
        let Some(found) = found else {
            return Err(self.unread(at, "unknown option"));
        };
        let next = self.next;
        let (value, value_at) = match (found.takes(), glued) {
            (Takes::Nothing, Some(_)) => {
                return Err(self.unread(at, "option does not take an argument"));
            }
            (_, Some(value)) => (Some(value), at),
            (Takes::Nothing, None) => (None, at),
            (Takes::Value, None) => match self.word() {
                Some(word) => (Some(word), next),
                None => return Err(self.unread(at, "missing argument")),
            },
            (Takes::ValueOrNot, None) => match self.words.get(next) {
                Some(word) if !word.starts_with('-') => (self.word(), next),
                _ => (None, at),
            },
        };
        match found {
            Found::Option(option) => Ok(Item::Option(Given {
                option,
                value,
                at,
                value_at,
            })),
            // Only the first option is a command. ipvsadm names the word it read last.
            Found::Verb(_) => {
                let word = self.words.get(value_at).copied().unwrap_or_default();
                Err(CommandError::usage(format!("invalid option `{word}'")).at(at))
            }
        }
    }

    fn word(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    /// A refusal of the option parser.
    fn unread(&self, at: usize, why: &str) -> CommandError {
        let word = self.words.get(at).copied().unwrap_or_default();
        CommandError::new(255, format!("{word}: {why}")).at(at)
    }
}

fn is_option(word: &str) -> bool {
    word.len() >= 2 && word.starts_with('-')
}

fn split_value(name: &str) -> (&str, Option<&str>) {
    match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    }
}

/// The command or option of such a letter and name.
fn find(is: impl Fn(Option<char>, &str) -> bool) -> Option<Found> {
    let verb = VERBS.iter().find(|v| is(v.short, v.long));
    let option = || OPTIONS.iter().find(|o| is(o.short, o.long));
    match verb {
        Some(spelling) => Some(Found::Verb(spelling.verb)),
        None => option().map(Found::Option),
    }
}
