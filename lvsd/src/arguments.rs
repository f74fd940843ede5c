//! Arguments of our own commands. (Those of ipvsadm are read by [`crate::rules`], in its manner.)
//!
//! Problem: each command has a few options, and people expect them to be written the same way everywhere.
//!
//! Rule: a value is the argument behind its option, or follows a long option's `=`. An option that can have one value only
//! is given once. Help is wanted from the first `-h` or `--help` on. What is wrong is said on standard error.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::slice;
use std::str::FromStr;

use crate::exit;

/// Arguments, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Arguments<'a> {
    rest: slice::Iter<'a, String>,
    whole: &'a str,
    name: &'a str,
    glued: Option<&'a str>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(args: &'a [String]) -> Self {
        Self {
            rest: args.iter(),
            whole: "",
            name: "",
            glued: None,
        }
    }

    /// The next argument, without a value that is glued to it.
    pub(crate) fn next_name(&mut self) -> Option<&'a str> {
        self.whole = self.rest.next()?;
        (self.name, self.glued) = match self.whole.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value)),
            _ => (self.whole, None),
        };
        Some(self.name)
    }

    /// The present argument as it was given.
    pub(crate) fn whole(&self) -> &'a str {
        self.whole
    }

    /// The present option's value.
    pub(crate) fn value(&mut self) -> Result<&'a str, String> {
        let value = self.glued.or_else(|| Some(self.rest.next()?));
        value.ok_or_else(|| format!("{} wants a value", self.name))
    }

    /// The present option's value, which is a number.
    pub(crate) fn number<T>(&mut self, range: RangeInclusive<T>) -> Result<T, String>
    where
        T: FromStr + PartialOrd + Display,
    {
        let number = self.value()?.parse().ok().filter(|n| range.contains(n));
        number.ok_or_else(|| {
            let (from, to) = range.into_inner();
            format!("{} wants a number from {from} to {to}", self.name)
        })
    }

    /// That the present option is given; it has no value.
    pub(crate) fn flag(&self) -> Result<bool, String> {
        match self.glued {
            None => Ok(true),
            Some(_) => Err(format!("{} takes no value", self.name)),
        }
    }

    /// That there is no such option as the present one.
    pub(crate) fn unknown(&self) -> String {
        format!("{:?} is not known", self.whole)
    }
}

/// Sets an option that is given once.
pub(crate) fn once<T>(option: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is given twice")),
    }
}

/// What is asked for; or the exit status, once help is shown (for `None`) or it is said what is wrong.
pub(crate) fn understood<T>(
    command: &str,
    usage: &str,
    read: Result<Option<T>, String>,
) -> Result<T, ExitCode> {
    match read {
        Ok(Some(options)) => Ok(options),
        Ok(None) => {
            // Whoever closed our output does not want to read on.
            let _ = io::stdout().write_all(usage.as_bytes());
            Err(ExitCode::SUCCESS)
        }
        Err(message) => {
            let message = printable(&message);
            say(command, &format!("{message}\nSee `lvsd {command} --help`."));
            Err(ExitCode::from(exit::WRONG))
        }
    }
}

/// Says something on standard error.
pub(crate) fn say(command: &str, message: &str) {
    // Nobody is left to be told if that fails.
    let _ = writeln!(io::stderr(), "lvsd {command}: {message}");
}

/// `1 server`, `2 servers`.
pub(crate) fn counted(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// Without what could be more to a terminal than text.
pub(crate) fn printable(text: &str) -> String {
    let each = text.chars().map(|c| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn values_are_glued_or_behind() {
        let words = words("--a=1=2 --b 3 -c=4 x=5 --d= --e");
        let mut args = Arguments::new(&words);
        for (name, whole, value) in [
            ("--a", "--a=1=2", Ok("1=2")),
            ("--b", "--b", Ok("3")),
            ("-c=4", "-c=4", Ok("x=5")),
            ("--d", "--d=", Ok("")),
            ("--e", "--e", Err("--e wants a value".to_owned())),
        ] {
            assert_eq!(args.next_name(), Some(name));
            assert_eq!((args.whole(), args.value()), (whole, value));
        }
        assert_eq!(args.next_name(), None);
    }

    #[test]
    fn flags_have_no_values_and_numbers_ranges() {
        let words = words("--a --a= --n 3 --n=4 --n x --frob=1");
        let mut args = Arguments::new(&words);
        let mut next = || {
            args.next_name();
            args.clone()
        };
        assert_eq!(next().flag(), Ok(true));
        assert_eq!(next().flag(), Err("--a takes no value".to_owned()));
        assert_eq!(next().number(1..=3), Ok(3));
        next();
        let outside = Err("--n wants a number from 1 to 3".to_owned());
        assert_eq!(next().number(1..=3), outside);
        assert_eq!(next().number(1..=3), outside);
        next();
        assert_eq!(next().unknown(), "\"--frob=1\" is not known");
    }

    #[test]
    fn what_is_given_twice_is_refused() {
        let mut option = None;
        assert_eq!(once(&mut option, "--a", 1), Ok(()));
        assert_eq!(
            once(&mut option, "--a", 1),
            Err("--a is given twice".to_owned())
        );
    }

    #[test]
    fn nothing_reaches_a_terminal_but_text() {
        assert_eq!(
            printable("a\x1b[2Jb\u{9b}c\u{e9}\n"),
            "a\\u{1b}[2Jb\\u{9b}c\u{e9}\\n"
        );
    }
}
