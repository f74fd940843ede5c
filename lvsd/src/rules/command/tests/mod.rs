//! What ipvsadm 1.31 does with its arguments, and what it says. The tables are text: an arrow stands between a command and what
//! comes of it, `''` is an empty word.

mod meanings;
mod options;
mod round_trip;
mod values;
mod words;

use super::super::testing::Village;
use super::*;

fn read(line: &str) -> Result<Command, CommandError> {
    let words = line.split(' ').filter(|w| !w.is_empty());
    let words: Vec<&str> = words.map(|w| if w == "''" { "" } else { w }).collect();
    parse_command(&words, &Village)
}

/// The command that means the same and says everything.
fn meaning(line: &str) -> String {
    let command = read(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    command.words().join(" ")
}

/// `EXIT MESSAGE`.
fn refusal(line: &str) -> String {
    match read(line) {
        Err(e) => format!("{} {}", e.exit, e.message),
        Ok(command) => panic!("{line}: {command:?}"),
    }
}

/// The rows of a table.
fn rows(table: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = table.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| line.split_once("=>").expect(line))
        .map(|(line, want)| (line.trim(), want.trim()))
}

fn assert_refusals(table: &str) {
    for (line, want) in rows(table) {
        assert_eq!(refusal(line).trim_end(), want, "{line}");
    }
}

fn assert_meanings(table: &str) {
    for (line, want) in rows(table) {
        assert_eq!(meaning(line), want, "{line}");
    }
}
