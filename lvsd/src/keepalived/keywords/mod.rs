//! The tables of all keywords.
//!
//! Problem: a configuration language of six hundred keywords is a parser, a validator, a manual and a list of what is supported, and
//! four texts that say the same soon do not.
//!
//! Rule: there is one [`Keyword`] value for each keyword, and everything is made from it: what may stand behind it and what
//! it means, for [`super::tree`]; its page, for `lvsd help-config`; what becomes of it here, for warnings and the
//! coverage list. A block is a [`Table`] of keywords; [`ROOT`] is the whole file.
//!
//! | module | holds |
//! |---|---|
//! | `kind` | what a word can be: numbers with their ranges, times, addresses, … |
//! | `value` | a word, read as its kind |
//! | `number` | how keepalived reads numbers |
//! | `words` | how the parts of a table are written |
//! | `syntax` | how a keyword is written, for pages and messages |
//! | `find` | a keyword by its name, and names that look alike |
//! | the others | the tables, one block family a file |

mod addresses;
mod bfd;
mod checkers;
mod find;
mod global;
mod http;
mod interfaces;
mod kind;
mod number;
mod processes;
mod real_server;
mod root;
mod routes;
mod rules;
mod sync_group;
mod syntax;
mod track;
mod value;
mod virtual_server;
mod vrrp_global;
mod vrrp_instance;
mod words;

#[cfg(test)]
mod tests;

pub use find::{Place, akin, alike, everywhere, named};
pub use kind::Kind;
pub use root::{ROOT, WHOLE};
pub use syntax::{option as option_syntax, syntax};
pub use value::{Fault, Value};

/// A keyword.
#[derive(Clone, Copy, Debug)]
pub struct Keyword {
    /// How it is written.
    pub name: &'static str,
    /// Other names, as good.
    pub also: &'static [&'static str],
    /// Names that it had, which call for a warning.
    pub old: &'static [Old],
    /// What follows it.
    pub form: Form,
    /// What may follow it instead, each beginning with a word of its own.
    pub others: &'static [Form],
    /// What holds when it is not there, in words; empty: nothing.
    pub default: &'static str,
    /// What it means to say it again.
    pub repeat: Repeat,
    /// What its braces hold.
    pub body: Body,
    /// What lvsd does about it.
    pub effect: Effect,
    /// What it means, in a sentence or two.
    pub about: &'static str,
    /// Where keepalived and lvsd differ; empty: nowhere.
    pub differs: &'static str,
    /// A keyword of the same block that keepalived wants to have read before; empty: none.
    pub after: &'static str,
}

/// A name that a keyword had, or is often given.
#[derive(Clone, Copy, Debug)]
pub struct Old {
    /// The name.
    pub name: &'static str,
    /// What became of it, and whether it still means the same.
    pub note: &'static str,
}

/// What follows a keyword, or makes a line of a block: words in order, among which are options in any order.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// A word that stands first and tells this form from others; empty: none.
    pub lead: &'static str,
    /// The words in order.
    pub params: &'static [Param],
    /// Words that have a name.
    pub options: &'static [Opt],
    /// What it is, in a few words; may be empty.
    pub about: &'static str,
}

/// A word of a form.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// What it is called in its page, in capitals.
    pub name: &'static str,
    /// What it can be.
    pub kind: Kind,
    /// Whether it must be there.
    pub need: Need,
}

/// Whether a word must be there, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Once.
    Must,
    /// Once or not at all.
    May,
    /// Not at all or more often. It is the last.
    Many,
    /// Once or more often. It is the last.
    Some,
}

/// A word with a name among the others, and what follows it.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// How it is written.
    pub name: &'static str,
    /// Other names, as good.
    pub also: &'static [&'static str],
    /// What follows it.
    pub params: &'static [Param],
    /// What it means, in a few words.
    pub about: &'static str,
}

/// What a keyword's braces hold.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// It has none.
    None,
    /// Keywords.
    Block(&'static Table),
    /// A line for each item.
    Lines(&'static [Form]),
    /// An item for each word.
    List(Form),
}

/// The keywords of a block.
#[derive(Debug)]
pub struct Table {
    /// In parts, since blocks share some.
    pub parts: &'static [&'static [Keyword]],
}

/// What it means to say a keyword again in the same block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The last one counts.
    Last,
    /// The first one counts.
    First,
    /// Each counts.
    Each,
}

/// What lvsd does about a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What it says. A keyword of a block that waits or is without effect shares the block's fate.
    Works,
    /// It is only checked; it waits for what is named here.
    Later(&'static str),
    /// Nothing, for this reason: whoever uses it is warned.
    Nothing(&'static str),
    /// Nothing, and nobody misses it, for this reason.
    Harmless(&'static str),
    /// keepalived dropped it. This is what became of it: whoever uses it is told.
    Removed(&'static str),
}

impl Keyword {
    /// Its blocks' keywords; none if its braces hold something else.
    pub fn keywords(&self) -> impl Iterator<Item = &'static Self> + use<> {
        let parts = match self.body {
            Body::Block(table) => table.parts,
            _ => &[],
        };
        parts.iter().copied().flatten()
    }

    /// A keyword of its block by name, with what is to be said about that name if it is an old one.
    pub fn child(&self, name: &str) -> Option<(&'static Self, Option<&'static Old>)> {
        self.keywords().find_map(|k| Some((k, k.known_as(name)?)))
    }

    /// Whether it has this name; if it is an old one, what is to be said about that.
    fn known_as(&self, name: &str) -> Option<Option<&'static Old>> {
        if self.name == name || self.also.contains(&name) {
            return Some(None);
        }
        self.old.iter().find(|old| old.name == name).map(Some)
    }

    /// All its forms, the usual one first.
    pub fn forms(&self) -> impl Iterator<Item = &Form> {
        std::iter::once(&self.form).chain(self.others)
    }
}

impl Opt {
    /// Whether it has this name.
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.also.contains(&name)
    }
}
