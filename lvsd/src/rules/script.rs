//! Files of commands, a line each, as `ipvsadm -R` reads them.
//!
//! Problem: ipvsadm carries out one line after the other and stops in the midst if one is wrong.
//!
//! Rule: a file is read as a whole, and everything that is wrong with it is found and shown in its place, before anything
//! is done.

use super::command::{option_at, place_of, start_of};
use super::command_line::FORM;
use super::names::Remembered;
use super::problem::{Problem, escaped, quoted};
use super::table::Table;
use super::words::{self, Word};
use super::{Command, CommandError, Names, parse_command};

/// A command, and where in the file it stands.
#[derive(Debug)]
pub struct ScriptLine<'a> {
    /// The command.
    pub command: Command,
    words: Vec<Word<'a>>,
}

/// Reads a file of commands. As in rule files, the word `ipvsadm` means nothing wherever it stands, and empty lines and
/// comments are allowed; so are lines `net.ipv4.vs.NAME = VALUE`. Commands that only show something are none here.
///
/// # Errors
///
/// Everything that is wrong with the lines, each by itself, in their order; never empty.
pub fn parse_script<'a>(
    source: &'a str,
    names: &dyn Names,
) -> Result<Vec<ScriptLine<'a>>, Vec<Problem>> {
    let names = Remembered::new(names);
    let (mut lines, mut problems) = (Vec::new(), Vec::new());
    for (number, text) in (1..).zip(source.lines()) {
        let mut words = words::split(number, text);
        words.retain(|word| word.text != "ipvsadm");
        if words.is_empty() {
            continue;
        }
        match parse_command(&texts(&words), &names) {
            Ok(command) if command.is_change() => lines.push(ScriptLine { command, words }),
            Ok(_) => problems.push(no_change(&words)),
            Err(e) => problems.extend(mistakes(words, e, &names)),
        }
    }
    if problems.is_empty() {
        return Ok(lines);
    }
    // Whoever carries the lines out will not get to see them, and could not say it.
    problems.extend(lines.iter().filter_map(|line| line.unknown_name(&names)));
    problems.sort_by_key(|p| (p.line, p.column));
    Err(problems)
}

/// What the kernel says of such a name.
const NOT_FOUND: &str = "Scheduler or persistence engine not found";

impl ScriptLine<'_> {
    /// What is wrong with this line. `place` is the offending word's in the command as [`Command::words`] has it.
    pub fn problem(&self, message: &str, place: Option<usize>) -> Problem {
        let option = place.and_then(|place| self.option_at(place));
        let here = option.and_then(|name| place_of(&texts(&self.words), name));
        match here.and_then(|place| self.words.get(place)) {
            Some(word) => Problem::at(*word, escaped(message, usize::MAX), ""),
            None => whole(&self.words, message),
        }
    }

    /// A scheduler or an engine that there is not.
    fn unknown_name(&self, names: &dyn Names) -> Option<Problem> {
        let (Command::AddService(rule) | Command::EditService(rule)) = &self.command else {
            return None;
        };
        let option = match &rule.unknown_engine {
            Some(_) => "pe",
            None if !names.has_scheduler(&rule.scheduler) => "scheduler",
            None => return None,
        };
        let word = self.words.get(place_of(&texts(&self.words), option)?)?;
        Some(Problem::at(*word, NOT_FOUND, ""))
    }

    /// ipvsadm's name for the option that this word of the command belongs to, as [`Command::words`] has it.
    pub fn option_at(&self, place: usize) -> Option<&'static str> {
        let words = self.command.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        option_at(&words, place)
    }
}

impl Command {
    /// Whether it changes something, and does not only show something.
    fn is_change(&self) -> bool {
        !matches!(
            self,
            Self::List(_) | Self::Save { .. } | Self::Restore { .. } | Self::Help | Self::Version
        )
    }
}

fn texts<'a>(words: &[Word<'a>]) -> Vec<&'a str> {
    words.iter().map(|word| word.text).collect()
}

fn no_change(words: &[Word<'_>]) -> Problem {
    let first = words.first().copied().unwrap_or_default();
    let message =
        "this command changes nothing, and so has no place among those that are done at once";
    let help = "take it out, or let `-R --compat` do the lines one by one";
    Problem::at(first, message, help)
}

/// All that is wrong with a line which is refused for `e`: what is wrong is taken out, to see what is wrong with the rest.
fn mistakes(mut words: Vec<Word<'_>>, mut e: CommandError, names: &dyn Names) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_command = words.first().is_some_and(|w| w.text.starts_with('-'));
    loop {
        problems.push(explained(&words, &e, names));
        // The command itself is needed to understand the others.
        let Some(place) = e.word.filter(|place| is_command && *place > 0 && !e.hint) else {
            break;
        };
        let option = start_of(&texts(&words), place);
        if option == 0 || place >= words.len() {
            break;
        }
        words.drain(option..=place);
        match parse_command(&texts(&words), names) {
            // What is missing now may be what was taken out.
            Err(next) if next.word.is_some() && !next.message.starts_with("-6") => e = next,
            _ => break,
        }
    }
    problems
}

/// What is wrong with a line that is refused as ipvsadm refuses it. If the reader of rule files has more to say about the
/// offending word, it is heard.
fn explained(words: &[Word<'_>], e: &CommandError, names: &dyn Names) -> Problem {
    let Some(word) = e.word.and_then(|place| words.get(place)).copied() else {
        let end = words
            .last()
            .map(|w| w.tail(w.text.len()))
            .unwrap_or_default();
        return Problem::at(end, escaped(&e.message, usize::MAX), "");
    };
    if e.hint {
        let message = format!("expected a command instead of {}", quoted(word.text));
        let help =
            "a line begins with a command like `-A`, `-a` or `--set`; comments begin with `#`";
        return Problem::at(word, message, help);
    }
    let mut strict = Table::new(names);
    strict.line(words);
    let is_here = |p: &Problem| (word.column..word.column + word.length()).contains(&p.column);
    let mut better = strict.problems.into_iter().find(is_here);
    // Rule files know fewer commands.
    if let Some(problem) = better.as_mut().filter(|p| p.help == FORM) {
        problem.help.clear();
    }
    better.unwrap_or_else(|| Problem::at(word, escaped(&e.message, usize::MAX), ""))
}

/// What is wrong with a line as a whole.
fn whole(words: &[Word<'_>], message: &str) -> Problem {
    let first = words.first().copied().unwrap_or_default();
    let last = words.last().copied().unwrap_or_default();
    let mut problem = Problem::at(first, escaped(message, usize::MAX), "");
    problem.length = (last.column + last.length()).saturating_sub(first.column);
    problem
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{Village, almost_rules};
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_found() {
        let source = "-a -t 10.0.0.1:80 -r 10.0.0.5:99999 -m -w x\n\
                      -A -t 10.0.0.3:80 -s nosuch\n\
                      -A -f 0 -s rr -p x stray\n\
                      -A -u 10.0.0.3:80 --pe nosuch -p\n\
                      -A -t 10.0.0.4:80\n\
                      -A -x -1 -t 10.0.0.4:80 --frob\n";
        let problems = parse_script(source, &Village).unwrap_err();
        let places: Vec<_> = problems.iter().map(|p| (p.line, p.column)).collect();
        let expected = [
            (1, 31),
            (1, 43),
            (2, 22),
            (3, 7),
            (3, 18),
            (3, 20),
            (4, 24),
            (6, 7),
            (6, 25),
        ];
        assert_eq!(places, expected, "{problems:#?}");
    }

    proptest! {
        /// Whatever the file: what is wrong stands where the problem says, and what is right is what `parse_command` makes
        /// of the line.
        #[test]
        fn every_line_is_a_command_or_a_problem_in_its_place(
            source in prop_oneof![almost_rules(), "([-a-zA-Z0-9=:#. \t\n]|\\PC){0,80}"],
        ) {
            let lines: Vec<&str> = source.lines().collect();
            match parse_script(&source, &Village) {
                Ok(script) => for line in script {
                    let words = texts(&line.words);
                    prop_assert_eq!(parse_command(&words, &Village), Ok(line.command.clone()));
                    let said = line.command.words();
                    for place in 0..=said.len() {
                        let problem = line.problem("wrong", Some(place));
                        let text = lines[problem.line - 1].chars().skip(problem.column - 1);
                        prop_assert!(text.count() >= problem.length && problem.length > 0);
                    }
                },
                Err(problems) => {
                    prop_assert!(!problems.is_empty());
                    prop_assert!(problems.is_sorted_by_key(|p| p.line));
                    for problem in problems {
                        let length = lines[problem.line - 1].chars().count();
                        prop_assert!(problem.column + problem.length <= length + 1, "{:?}", problem);
                        prop_assert!(!problem.message.chars().any(char::is_control));
                    }
                }
            }
        }
    }
}
