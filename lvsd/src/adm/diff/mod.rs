//! `lvsd adm diff FILE`: what would change if the file were restored.
//!
//! Problem: whoever restores a file over a running table wants to know before whom it will hit.
//!
//! Rule: the file is read and rehearsed as `ipvsadm-restore` would restore it, so that what that would refuse is refused
//! here. Then it is carried out on a director of our own, and its table compared with the running one. The order of
//! servers, which can decide between equal ones, is not compared.
//!
//! | module | holds |
//! |---|---|
//! | `configured` | the same for a keepalived.conf |
//! | [`compare`] | two tables, what is different and which connections feel it |
//! | `text` | that for people |

pub mod compare;
mod configured;
#[cfg(test)]
mod tests;
mod text;

use std::fs::File;
use std::io::Read as _;
use std::time::Duration;

use lvs_core::{Director, Settings, Sysctls};

use super::execute::{self, Fault};
use super::front::{Failure, Front, table};
use super::{json, restore};
use crate::control::message::LONGEST_REQUEST;
use crate::control::table::Table;
use crate::rules::{Command, MarkRule, SystemNames, parse_command};
use compare::Difference;

const USAGE: &str = "\
Usage: lvsd adm diff [--json] FILE
       lvsd adm diff [--json] --config FILE

Shows what would change if FILE (`-': standard input) were restored by ipvsadm-restore, and which connections that
would touch. Nothing is changed.

With --config FILE is a keepalived.conf, as if the running daemon took it for the one it has: services made by hand
are left alone, servers that are down are taken to stay down.

Lines begin with `+' for what would be added, `-' for what would be removed, and `~' for what would be another. With
--json all of it as one object (see docs/json.md).

Exit status: 0 nothing would change, 1 something would, 2 trouble.
";

/// Exit status: something is different.
const DIFFERENT: u8 = 1;

/// Exit status: it cannot be said.
const TROUBLE: u8 = 2;

impl Front<'_> {
    /// Carries out the command, given without the word `diff`, and returns the exit status.
    pub(super) fn diff(&mut self, words: &[&str]) -> u8 {
        self.done(|front| match front.compare(words) {
            Err(Failure::Said(_, message)) => Err(Failure::Said(TROUBLE, message)),
            other => other,
        })
    }

    fn compare(&mut self, words: &[&str]) -> Result<(), Failure> {
        let is_json = |word: &&str| *word == "--json";
        let rest: Vec<&str> = words.iter().copied().filter(|w| !is_json(w)).collect();
        if let ["--config", file] = rest[..] {
            return match configured::compare(self, file, words.iter().any(is_json))? {
                true => Err(Failure::IsSaid(DIFFERENT)),
                false => Ok(()),
            };
        }
        let (file, as_json) = match words {
            ["-h" | "--help"] => return Ok(self.out.write_all(USAGE.as_bytes())?),
            ["--json", file] | [file, "--json"] => (*file, true),
            [file] if !file.starts_with("--") => (*file, false),
            _ => return Err(Failure::Said(TROUBLE, USAGE.trim_end().to_owned())),
        };
        let (source, file) = match file {
            "-" => (restore::read(self)?, restore::STDIN),
            path => (read(path)?, path),
        };
        let lines = restore::parse(&source, file, self)?;
        let mut client = self.client()?;
        let first = restore::clearing(&lines);
        restore::apply(&mut client, &first, &lines, true, &source, file)?;
        let before = table(&mut client)?;
        let commands = first.iter().chain(lines.iter().map(|line| &line.command));
        let after = restored(&before, commands).map_err(|_| {
            let message = "the table changes all the time: try again".to_owned();
            Failure::Said(TROUBLE, message)
        })?;
        let difference = Difference::between(&before, &after);
        match as_json {
            true => json::write(self.out, &difference)?,
            false => text::write(self.out, &difference, &before, &after)?,
        }
        match difference.different {
            true => Err(Failure::IsSaid(DIFFERENT)),
            false => Ok(()),
        }
    }
}

fn read(path: &str) -> Result<String, Failure> {
    let most = LONGEST_REQUEST as u64;
    let bytes = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    restore::text(bytes, path)
}

/// The table after everything has been cleared and the commands have been carried out.
pub(super) fn restored<'c>(
    before: &Table,
    commands: impl IntoIterator<Item = &'c Command>,
) -> Result<Table, Fault> {
    let settings = settings_of(before);
    let mut marks: Vec<MarkRule> = before.marks.iter().filter_map(|line| mark(line)).collect();
    let director = Director::new(&settings);
    director.edit(|draft| {
        let mut commands = commands.into_iter();
        commands.try_for_each(|command| execute::change(draft, &mut marks, command))
    })?;
    Ok(Table::of(&director, &marks))
}

/// Settings of a director that has a table's timeouts and settings.
fn settings_of(table: &Table) -> Settings {
    let mut settings = Settings::default();
    let t = &table.timeouts;
    settings
        .timeouts
        .set(seconds(t.tcp), seconds(t.tcp_fin), seconds(t.udp));
    for (name, value) in &table.settings {
        // What only a newer daemon knows is not in the file either.
        let _ = Sysctls::set(&mut settings.sysctls, name, value);
    }
    settings
}

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// A rule for marks as the table has it.
fn mark(line: &str) -> Option<MarkRule> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match parse_command(&words, &SystemNames::default()) {
        Ok(Command::Mark(rule)) => Some(rule),
        _ => None,
    }
}
