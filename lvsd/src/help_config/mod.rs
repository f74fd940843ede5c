//! `lvsd help-config`: what can be written into a keepalived.conf, and what comes of it.
//!
//! Everything it prints is made from the tables by which files are read ([`crate::keepalived::keywords`]).
//!
//! | module | holds |
//! |---|---|
//! | `overview` | the tree of blocks and keywords |
//! | `page` | one keyword, in all blocks that have it |
//! | `coverage` | what lvsd does about which keyword |
//! | `json` | the same for machines |
//! | `text` | lines of a certain width |

mod coverage;
mod json;
mod overview;
mod page;
mod text;

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::arguments::{Arguments, printable, say, understood};
use crate::exit;
use crate::keepalived::keywords::{WHOLE, akin, alike, everywhere};

const NAME: &str = "help-config";

const USAGE: &str = "\
Usage: lvsd help-config [OPTION]... [KEYWORD]

Says what can be written into a file in keepalived's format: all blocks and their keywords, or everything about one
keyword: where it stands, what follows it, what it means, what holds without it, old names, where lvsd differs.

Options:
  --coverage  what lvsd does about the keywords: which are carried out, which are only checked so far, and which have
              no effect, and why
  --json      as JSON (see docs/json.md)
  -h, --help  this text

Exit status: 0; 1 there is no such keyword; 2 the command line is wrong.
";

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    keyword: Option<String>,
    coverage: bool,
    json: bool,
}

/// Runs `lvsd help-config` with the arguments behind that word, and returns its exit status (see the usage).
pub fn run(args: &[String]) -> ExitCode {
    let options = match understood(NAME, USAGE, parse(args)) {
        Ok(options) => options,
        Err(status) => return status,
    };
    let shown = match (&options.keyword, options.json) {
        (None, true) => Some(json::all(options.coverage)),
        (None, false) if options.coverage => Some(coverage::coverage()),
        (None, false) => Some(overview::overview()),
        (Some(name), true) => json::keyword(name),
        (Some(name), false) => page::page(name),
    };
    let Some(shown) = shown else {
        let name = options.keyword.unwrap_or_default();
        let nearest = nearest(&name).map(|near| format!("; did you mean {near:?}?"));
        let message = format!(
            "there is no keyword {name:?}{}",
            nearest.unwrap_or_default()
        );
        say(NAME, &printable(&message));
        return ExitCode::from(exit::FAILED);
    };
    // Whoever closed our output does not want to read on.
    let _ = io::stdout().write_all(shown.as_bytes());
    ExitCode::SUCCESS
}

fn parse(args: &[String]) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut args = Arguments::new(args);
    while let Some(name) = args.next_name() {
        match name {
            "-h" | "--help" => return Ok(None),
            "--coverage" => options.coverage = args.flag()?,
            "--json" => options.json = args.flag()?,
            // No keyword begins with a hyphen, but one option in a file does.
            name if name.starts_with('-') && name != "-nodad" => return Err(args.unknown()),
            _ if options.keyword.is_some() => return Err("one KEYWORD at a time".to_owned()),
            _ => options.keyword = Some(args.whole().to_owned()),
        }
    }
    match options.coverage && options.keyword.is_some() {
        true => Err("--coverage is about all keywords".to_owned()),
        false => Ok(Some(options)),
    }
}

/// All names that have a page, for completion, each with the beginning of what it says.
pub(crate) fn names() -> Vec<(&'static str, &'static str)> {
    let mut names: Vec<_> = everywhere()
        .iter()
        .map(|p| (p.keyword.name, p.keyword.about))
        .collect();
    names.sort_unstable_by_key(|(name, _)| *name);
    names.dedup_by_key(|(name, _)| *name);
    names
}

fn nearest(name: &str) -> Option<&'static str> {
    let names = || {
        everywhere()
            .iter()
            .map(|p| p.keyword.name)
            .chain([WHOLE.name])
    };
    alike(name, names()).or_else(|| akin(name, names()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Option<Options>, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn arguments_are_understood() {
        assert_eq!(parsed(""), Ok(Some(Options::default())));
        let weight = parsed("weight --json").unwrap().unwrap();
        assert_eq!(
            (weight.keyword.as_deref(), weight.json),
            (Some("weight"), true)
        );
        assert!(parsed("--coverage").unwrap().unwrap().coverage);
        assert_eq!(parsed("weight --help"), Ok(None));
        for (line, word) in [
            ("--frob", "--frob"),
            ("a b", "one KEYWORD"),
            ("--coverage weight", "all keywords"),
            ("--json=1", "no value"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    #[test]
    fn slips_are_mended() {
        assert_eq!(nearest("wieght"), Some("weight"));
        assert_eq!(nearest("frobnicate"), None);
    }

    #[test]
    fn names_are_there_once_and_sorted() {
        let names = names();
        assert!(names.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(names.iter().any(|(name, _)| *name == "lvsd_rise"));
    }
}
