//! Blocks of keywords with their arguments.
//!
//! Problem: whoever makes a configuration from a file wants values, not words; and whoever wrote the file wants to hear of everything
//! that is wrong with it at once, but of each thing once.
//!
//! Rule: [`parse`] reads the lines by the tables of [`super::keywords`]. What is in the tree has been checked: arguments are there, and
//! of the kinds and within the ranges that the tables say. A line that is wrong is reported and left out; that it was there can be
//! asked ([`Node::tried`]), so that nobody reports it as missing. A keyword that is given twice is in the tree as often as it counts.
//!
//! | module | holds |
//! |---|---|
//! | `parser` | lines and braces to nodes |
//! | `repair` | how reading goes on then |
//! | `line` | one line's words to arguments and options |
//! | `together` | options that do not go together |
//! | `braces` | what to think of braces that do not match |
//! | `unknown` | what to say about keywords that are none |
//! | `fate` | keywords without effect, old names, repetitions, order |

mod braces;
mod fate;
mod line;
mod parser;
mod repair;
mod together;
mod unknown;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::Duration;

pub use parser::parse;

use super::keywords::{Form, Keyword, Opt, Param, Value};
use super::model::{Command, User};
use super::place::{Span, Word};

/// A keyword with what follows it and what its braces hold. It has its [`Line`]'s methods.
#[derive(Clone, Debug)]
pub struct Node {
    /// The keyword.
    pub keyword: &'static Keyword,
    /// As it is written.
    pub head: Word,
    /// What follows it on its line.
    pub line: Line,
    /// The keywords in its braces.
    pub body: Vec<Self>,
    /// The lines, or words, in its braces, if those are no keywords.
    pub items: Vec<Line>,
    /// Its closing brace.
    pub end: Option<Span>,
    /// Keywords that are in its braces, but wrong. Of one that does not exist, the one that was probably meant.
    left_out: Vec<&'static str>,
    /// Some line in its braces is left out, or they are missing.
    damaged: bool,
    /// Its braces are missing.
    unread: bool,
}

/// What follows a keyword, or a line of a block of lines.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which of its forms it has.
    pub form: &'static Form,
    /// The words in order.
    pub args: Vec<Arg>,
    /// Those with a name, in the order in which they are written.
    pub options: Vec<Given>,
    /// All of it, the keyword included.
    pub span: Span,
}

/// An argument.
#[derive(Clone, Debug)]
pub struct Arg {
    /// Which.
    pub param: &'static Param,
    /// What it says.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
}

/// An option.
#[derive(Clone, Debug)]
pub struct Given {
    /// Which.
    pub option: &'static Opt,
    /// What follows it.
    pub args: Vec<Arg>,
    /// Its name's place.
    pub span: Span,
}

impl Node {
    /// The keyword of this name in its braces; which is the name in the table, not another one. There is at most one, unless the table says that each counts: then, the last.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.body.iter().rev().find(|node| node.is(name))
    }

    /// All keywords of this name in its braces.
    pub fn children<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Self> {
        self.body.iter().filter(move |node| node.is(name))
    }

    /// Whether its keyword has this name (not: is written so).
    pub fn is(&self, name: &str) -> bool {
        self.keyword.name == name
    }

    /// Whether its braces hold a keyword of this name, or something wrong that was to be one. Also if they are missing.
    pub fn tried(&self, name: &str) -> bool {
        self.unread || self.child(name).is_some() || self.left_out.contains(&name)
    }

    /// Whether something in its braces is left out, because it is wrong or unknown.
    pub fn is_damaged(&self) -> bool {
        self.damaged || self.unread || !self.left_out.is_empty()
    }

    /// Whether a flag is set in its braces: `name` alone, or with a word for true.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.child(name).map(|node| node.bool())
    }
}

impl std::ops::Deref for Node {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.line
    }
}

impl Line {
    /// The argument of this name; the first, if there are several.
    pub fn arg(&self, name: &str) -> Option<&Arg> {
        self.args.iter().find(|arg| arg.param.name == name)
    }

    /// All arguments of this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arg> {
        self.args.iter().filter(move |arg| arg.param.name == name)
    }

    /// The option of this name, by its first name in the table; the last, if it is given several times.
    pub fn option(&self, name: &str) -> Option<&Given> {
        self.options.iter().rev().find(|o| o.option.name == name)
    }

    /// The word that tells its form from others; empty: the usual form.
    pub fn lead(&self) -> &'static str {
        self.form.lead
    }

    /// The first argument that is a number.
    pub fn int(&self) -> Option<i64> {
        self.args.iter().find_map(Arg::int)
    }

    /// The first argument that is a time.
    pub fn time(&self) -> Option<Duration> {
        self.args.iter().find_map(Arg::time)
    }

    /// Its truth; true if nothing is said about it.
    pub fn bool(&self) -> bool {
        let said = self.args.iter().find_map(|arg| match arg.value {
            Value::Bool(value) => Some(value),
            _ => None,
        });
        said.unwrap_or(true)
    }

    /// The first argument that is an address.
    pub fn addr(&self) -> Option<IpAddr> {
        self.args.iter().find_map(Arg::addr)
    }

    /// The first argument that is a word, or one of several words.
    pub fn text(&self) -> Option<&str> {
        self.args.iter().find_map(Arg::text)
    }

    /// The first argument that is a command.
    pub fn command(&self) -> Option<&Command> {
        self.args.iter().find_map(Arg::command)
    }

    /// The arguments `USER` and `GROUP`.
    pub fn user(&self) -> Option<User> {
        let user = self.arg("USER")?.text()?;
        Some(as_user(user, self.arg("GROUP").and_then(Arg::text)))
    }

    /// The bytes of all arguments that are bytes, and the bits of them that count.
    pub fn bytes(&self) -> Vec<(u8, u8)> {
        let mut all = Vec::new();
        for arg in &self.args {
            if let Value::Bytes(bytes) = &arg.value {
                all.extend_from_slice(bytes);
            }
        }
        all
    }

    /// All arguments that are ranges of numbers.
    pub fn ranges(&self) -> impl Iterator<Item = (i64, i64)> {
        self.args.iter().filter_map(|arg| match arg.value {
            Value::Range(first, last) => Some((first, last)),
            _ => None,
        })
    }
}

impl Arg {
    /// The number.
    pub fn int(&self) -> Option<i64> {
        match self.value {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The time.
    pub fn time(&self) -> Option<Duration> {
        match self.value {
            Value::Time(value) => Some(value),
            _ => None,
        }
    }

    /// The address.
    pub fn addr(&self) -> Option<IpAddr> {
        match self.value {
            Value::Addr(value) => Some(value),
            _ => None,
        }
    }

    /// The word.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The command.
    pub fn command(&self) -> Option<&Command> {
        match &self.value {
            Value::Command(command) => Some(command),
            _ => None,
        }
    }
}

impl Given {
    /// The argument of this name.
    pub fn arg(&self, name: &str) -> Option<&Arg> {
        self.args.iter().find(|arg| arg.param.name == name)
    }

    /// The first argument that is a number.
    pub fn int(&self) -> Option<i64> {
        self.args.iter().find_map(Arg::int)
    }

    /// The first argument that is an address.
    pub fn addr(&self) -> Option<IpAddr> {
        self.args.iter().find_map(Arg::addr)
    }

    /// The first argument that is a word, or one of several words.
    pub fn text(&self) -> Option<&str> {
        self.args.iter().find_map(Arg::text)
    }
}

/// A user and perhaps a group, as they are written: a `:` before the group means all of the user's groups too.
fn as_user(user: &str, group: Option<&str>) -> User {
    let (supplementary, group) = match group.map(|g| (g.strip_prefix(':'), g)) {
        Some((Some(rest), _)) => (true, Some(rest)),
        Some((None, group)) => (false, Some(group)),
        None => (false, None),
    };
    User {
        user: user.to_owned(),
        group: group.filter(|g| !g.is_empty()).map(str::to_owned),
        supplementary,
    }
}
