//! `-R`: commands from a file, all at once.
//!
//! Problem: ipvsadm carries out a file line by line. If one is wrong, half of the file is done; and whoever clears the
//! table first, as `ipvsadm-restore` must, serves nobody until the last line is read.
//!
//! Rule: everything that is wrong with the file is shown, and nothing is done; or all of it is done in one change, in which
//! what is cleared and added again was never gone. With `--compat` it is done as ipvsadm does it.

use std::collections::HashSet;
use std::io::{self, Read as _};

use lvs_core::ServiceKey;

use super::front::{Failure, Front};
use crate::control::client::{Client, ClientError};
use crate::control::message::{LONGEST_REQUEST, Refusal};
use crate::exit::{REFUSED, WRONG};
use crate::rules::{self, Command, CommandError, Problem, ScriptLine, parse_command, parse_script};

/// What standard input is called.
pub(super) const STDIN: &str = "standard input";

/// Carries out the commands in standard input, all or none.
pub(super) fn all(front: &mut Front<'_>) -> Result<(), Failure> {
    let source = read(front)?;
    let lines = parse(&source, STDIN, front)?;
    let mut client = front.client()?;
    apply(&mut client, &[], &lines, false, &source, STDIN)
}

/// Makes the commands in standard input the table, all or none.
pub(super) fn table(front: &mut Front<'_>) -> Result<(), Failure> {
    let source = read(front)?;
    let lines = parse(&source, STDIN, front)?;
    let mut client = front.client()?;
    let first = clearing(&lines);
    apply(&mut client, &first, &lines, false, &source, STDIN)
}

/// What goes before commands that are to be the table. Rules for marks are cleared only if there are others: files that
/// ipvsadm has saved have none, as it leaves them to netfilter.
pub(super) fn clearing(lines: &[ScriptLine<'_>]) -> Vec<Command> {
    let is_mark = |line: &ScriptLine<'_>| matches!(line.command, Command::Mark(_));
    let marks = lines.iter().any(is_mark).then_some(Command::ClearMarks);
    [Command::Flush].into_iter().chain(marks).collect()
}

/// What stands between words.
const BLANKS: [char; 3] = [' ', '\t', '\r'];

/// Carries out the commands in standard input one after the other, as ipvsadm 1.31 does: what the kernel or the option
/// parser refuses is said and left out; a line that is wrong otherwise ends it all, as do `-h`, `-v` and a listing that
/// fails. The exit status is the last line's.
pub(super) fn line_by_line(front: &mut Front<'_>) -> Result<(), Failure> {
    // ipvsadm does not begin without a kernel.
    front.client()?;
    let source = read(front)?;
    let mut exit = 0;
    for line in source.split_inclusive('\n') {
        // In search of the next word it comes upon the end, and forgets those before.
        if (line.strip_suffix(BLANKS)).is_some_and(|rest| rest.ends_with(BLANKS)) {
            break;
        }
        let line = line.strip_suffix('\n').unwrap_or(line);
        // To the C library a line ends there.
        let line = line.split('\0').next().unwrap_or_default();
        let words: Vec<&str> = line.split(BLANKS).collect();
        let words = words
            .into_iter()
            .filter(|w| !w.is_empty() && *w != "ipvsadm");
        let words: Vec<&str> = words.collect();
        if words.is_empty() {
            continue;
        }
        let (status, goes_on) = match parse_command(&words, front.names) {
            Ok(Command::Restore { .. }) => {
                return Err(front.wrong(&CommandError::no_command()));
            }
            Ok(Command::Help | Command::Version) => (front.command(&words), false),
            Ok(Command::List(_) | Command::Save { .. }) => {
                let status = front.command(&words);
                (status, status == 0)
            }
            Ok(Command::Setting { .. }) => (front.command(&words), false),
            Ok(_) => (front.command(&words), true),
            // Exit status 2, or the hint: the line makes no sense. Else an option is none.
            Err(e) => (front.command(&words), e.exit != WRONG && !e.hint),
        };
        exit = status;
        if !goes_on {
            break;
        }
    }
    match exit {
        0 => Ok(()),
        exit => Err(Failure::IsSaid(exit)),
    }
}

/// All of standard input.
pub(super) fn read(front: &mut Front<'_>) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let most = LONGEST_REQUEST as u64;
    let read = (&mut *front.input).take(most + 1).read_to_end(&mut bytes);
    text(read.map(|_| bytes), STDIN)
}

/// A file's bytes as text, if they could be read and are not too many.
pub(super) fn text(bytes: io::Result<Vec<u8>>, file: &str) -> Result<String, Failure> {
    let file = file.escape_debug();
    match bytes {
        Ok(bytes) if bytes.len() > LONGEST_REQUEST => {
            let message = format!(
                "{file}: longer than {} MiB, more than can be done at once",
                LONGEST_REQUEST >> 20
            );
            Err(Failure::Said(WRONG, message))
        }
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(e) => Err(Failure::Said(WRONG, format!("{file}: {e}"))),
    }
}

/// The file's commands, or all that is wrong with them.
pub(super) fn parse<'s>(
    source: &'s str,
    file: &str,
    front: &Front<'_>,
) -> Result<Vec<ScriptLine<'s>>, Failure> {
    parse_script(source, front.names)
        .map_err(|problems| Failure::Said(WRONG, shown(&problems, &[], file, source)))
}

/// Has the daemon carry out `first` and then the lines, or only say whether it would.
pub(super) fn apply(
    client: &mut Client,
    first: &[Command],
    lines: &[ScriptLine<'_>],
    rehearse: bool,
    source: &str,
    file: &str,
) -> Result<(), Failure> {
    let commands = first.iter().chain(lines.iter().map(|line| &line.command));
    let applied = client.apply(commands.map(Command::words).collect(), rehearse);
    let exit = |e: &ClientError| match e {
        ClientError::TooLong => WRONG,
        _ => REFUSED,
    };
    let Err(refusals) = applied.map_err(|e| Failure::Said(exit(&e), e.to_string()))? else {
        return Ok(());
    };
    let (problems, others) = placed(&refusals, first.len(), lines);
    Err(Failure::Said(
        REFUSED,
        shown(&problems, &others, file, source),
    ))
}

/// What the daemon refuses: lines, and what is the matter with the whole. What is wrong with a server only because its
/// service is refused is left out.
fn placed(
    refusals: &[Refusal],
    first: usize,
    lines: &[ScriptLine<'_>],
) -> (Vec<Problem>, Vec<String>) {
    let (mut problems, mut others) = (Vec::new(), Vec::new());
    let mut missing: HashSet<ServiceKey> = HashSet::new();
    for refusal in refusals {
        let place = refusal.command.and_then(|place| place.checked_sub(first));
        let Some(line) = place.and_then(|place| lines.get(place)) else {
            others.push(refusal.message.clone());
            continue;
        };
        match &line.command {
            Command::AddService(rule) => {
                let option = refusal.word.and_then(|place| line.option_at(place));
                if option != Some("service-address") {
                    missing.insert(rule.key);
                }
            }
            Command::AddServer(key, _) if missing.contains(key) => continue,
            _ => {}
        }
        problems.push(line.problem(&refusal.message, refusal.word));
    }
    (problems, others)
}

/// Everything that is wrong, for a terminal.
fn shown(problems: &[Problem], others: &[String], file: &str, source: &str) -> String {
    let mut text = rules::render(problems, file, source);
    for message in others {
        let gap = if text.is_empty() { "" } else { "\n" };
        text += &format!("{gap}error: {}\n --> {file}\n", message.escape_debug());
    }
    let errors = match problems.len() + others.len() {
        1 => "1 error".to_owned(),
        n => format!("{n} errors"),
    };
    text + &format!("\n{errors}: nothing has been changed")
}

#[cfg(test)]
pub(super) mod tests;
