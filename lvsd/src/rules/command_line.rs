//! ipvsadm's command line: which words are options, and which are their values.
//!
//! The first word is the command, all others are options in any order. Short ones may be bundled (`-At`) and
//! have their value glued on (`-w3`); long ones take it as the next word or after `=`, and are never
//! abbreviated.

use std::iter::Peekable;

use super::options::{Meaning, OPTIONS, Opt, Spelling, Takes, VERBS, Verb};
use super::problem::{Problem, quoted};
use super::words::Word;

/// A line, understood word by word.
#[derive(Debug)]
pub(super) struct CommandLine<'a> {
    pub(super) verb: Verb,
    /// Where the command stands.
    pub(super) at: Word<'a>,
    /// The words that belong to the command itself and not to an option.
    pub(super) values: Vec<Word<'a>>,
    pub(super) options: Vec<Given<'a>>,
}

/// Help on the form of a line.
pub(super) const FORM: &str = "lines are `-A SERVICE [options]`, `-a SERVICE -r SERVER [options]`, `--mark MARK [options]`, \
                    `--set TCP TCPFIN UDP` and `net.ipv4.vs.NAME = VALUE`";

/// What a rule file is made of.
const ADDS: &str = "a rule file adds services with `-A` and servers with `-a`";

/// An option that a line has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    pub(super) meaning: Meaning,
    /// Where it stands, without its value.
    pub(super) at: Word<'a>,
    /// Its value: empty if the option has none.
    pub(super) value: Word<'a>,
    /// Whether something is wrong with it. It does not count then, but neither is it missing.
    pub(super) is_refused: bool,
    has_value: bool,
    option: &'static Opt,
}

impl Given<'_> {
    /// The option as messages call it: as it is written, but never without its dash.
    pub(super) fn name(&self) -> String {
        match self.option.short {
            Some(short) if !self.at.text.starts_with("--") => format!("`-{short}`"),
            _ => format!("`--{}`", self.option.long),
        }
    }

    /// Whether it has a value, be it an empty one.
    pub(super) fn is_valued(&self) -> bool {
        self.has_value
    }

    /// Whether this option goes with a command.
    pub(super) fn goes_with(&self, verb: Verb) -> bool {
        self.option.verbs.contains(&verb)
    }

    /// Whether both are one and the same option.
    pub(super) fn is_same_option(&self, other: &Self) -> bool {
        self.option.long == other.option.long
    }
}

impl<'a> CommandLine<'a> {
    /// Reads the words of a line. `None` if there is no command in it that could be carried out.
    pub(super) fn read(words: &[Word<'a>], problems: &mut Vec<Problem>) -> Option<Self> {
        let (&first, words) = words.split_first()?;
        let (at, spelling, rest) = match find_verb(first) {
            Ok(found) => found,
            Err(problem) => {
                problems.push(problem);
                return None;
            }
        };
        let verb = spelling.verb;
        let refusal = match verb {
            Verb::AddService | Verb::AddServer | Verb::Set | Verb::Mark | Verb::ClearMarks => None,
            Verb::StartDaemon | Verb::StopDaemon => Some("is not supported yet"),
            _ => Some("has no place in a rule file"),
        };
        if let Some(refusal) = refusal {
            let message = format!("{} {refusal}", quoted(at.text));
            problems.push(Problem::at(at, message, ADDS));
            return None;
        }
        let mut reader = Reader {
            wanted: match verb {
                Verb::Set => 3,
                Verb::Mark => 1,
                _ => 0,
            },
            words: words.iter().copied().peekable(),
            values: Vec::new(),
            options: Vec::new(),
            problems,
        };
        match rest {
            Rest::Bundle(letters) => reader.shorts(letters, 0),
            Rest::Value(value) => reader.value(value),
        }
        reader.rest();
        let (values, options) = (reader.values, reader.options);
        let mut line = Self {
            verb,
            at,
            values,
            options,
        };
        line.check(problems);
        Some(line)
    }

    /// The option with such a meaning: the first that is not refused, or else the first that is.
    pub(super) fn find(&self, is: impl Fn(Meaning) -> bool) -> Option<&Given<'a>> {
        let options = self.options.iter().filter(|o| is(o.meaning));
        options.min_by_key(|o| o.is_refused)
    }

    /// The option with this meaning, if there is one to count on.
    pub(super) fn option(&self, meaning: Meaning) -> Option<&Given<'a>> {
        self.find(|m| m == meaning).filter(|o| !o.is_refused)
    }

    /// The value of the option with this meaning, if there is one to count on.
    pub(super) fn value(&self, meaning: Meaning) -> Option<Word<'a>> {
        Some(self.option(meaning)?.value)
    }

    /// Refuses the options that do not belong to the command or were given before.
    fn check(&mut self, problems: &mut Vec<Problem>) {
        let mut accepted: Vec<Given<'_>> = Vec::new();
        for option in self.options.iter_mut().filter(|o| !o.is_refused) {
            match refusal(option, self.verb, &accepted) {
                None => accepted.push(*option),
                Some((message, help)) => {
                    option.is_refused = true;
                    problems.push(Problem::at(option.at, message, help));
                }
            }
        }
    }
}

/// Why an option can't stand in a line of this command, after those accepted before; and help.
fn refusal(option: &Given<'_>, verb: Verb, accepted: &[Given<'_>]) -> Option<(String, String)> {
    if !option.goes_with(verb) {
        let help = if matches!(option.meaning, Meaning::Elsewhere | Meaning::Sync(_)) {
            "a rule file has no use for it"
        } else if option.goes_with(Verb::AddServer) {
            "it is a server's: put it on an `-a` line"
        } else if option.goes_with(Verb::AddService) {
            "it is the service's: put it on the `-A` line"
        } else {
            "it tells which packets get a mark: put it on a `--mark` line"
        };
        let message = format!("{} does not go with `{}`", option.name(), verb.usual());
        return Some((message, help.to_owned()));
    }
    let before = accepted.iter().find(|before| excludes(option, before))?;
    Some(repeated(option, before))
}

/// Whether a line may not have both.
fn excludes(one: &Given<'_>, other: &Given<'_>) -> bool {
    match (one.meaning, other.meaning) {
        (Meaning::LocalAddress, Meaning::LocalAddress) => false,
        _ => one.is_same_option(other) || what(one).is_some_and(|w| Some(w) == what(other)),
    }
}

/// What options are of which a line has one at most.
fn what(option: &Given<'_>) -> Option<&'static str> {
    match option.meaning {
        Meaning::Method(_) => Some("forwarding method"),
        Meaning::Service(_) | Meaning::MarkService => Some("service"),
        Meaning::TunnelChecksum(_) => Some("way of checksums"),
        _ => None,
    }
}

fn repeated(option: &Given<'_>, before: &Given<'_>) -> (String, String) {
    let (name, first) = (option.name(), before.name());
    if option.is_same_option(before) {
        let message = format!("{name} is given more than once");
        return (message, "take one of them out".to_owned());
    }
    let what = what(option).unwrap_or_default();
    let message = format!("{name} is a second {what} after {first}");
    (message, "one of them a line".to_owned())
}

/// Takes options off the words of one line.
struct Reader<'a, 'p, I: Iterator<Item = Word<'a>>> {
    /// How many words the command itself takes.
    wanted: usize,
    words: Peekable<I>,
    values: Vec<Word<'a>>,
    options: Vec<Given<'a>>,
    problems: &'p mut Vec<Problem>,
}

impl<'a, I: Iterator<Item = Word<'a>>> Reader<'a, '_, I> {
    fn rest(&mut self) {
        let mut is_over = false;
        while let Some(word) = self.words.next() {
            match word.text {
                "--" if !is_over => is_over = true,
                text if !is_over && text.starts_with("--") => self.long(word),
                text if !is_over && text.len() > 1 && text.starts_with('-') => self.shorts(word, 1),
                _ => self.value(word),
            }
        }
    }

    fn value(&mut self, word: Word<'a>) {
        if self.values.len() < self.wanted {
            self.values.push(word);
        } else {
            let message = format!("unexpected argument {}", quoted(word.text));
            self.refuse(word, message, FORM);
        }
    }

    fn long(&mut self, word: Word<'a>) {
        let (at, glued) = match word.split_once('=') {
            Some((at, value)) => (at, Some(value)),
            None => (word, None),
        };
        let name = at.text.strip_prefix("--").unwrap_or_default();
        let Some(option) = OPTIONS.iter().find(|o| o.long == name) else {
            let is_command = VERBS.iter().any(|v| v.long == name);
            return self.unknown(at, at.text, is_command);
        };
        if let (Takes::Nothing, Some(value)) = (&option.takes, glued) {
            let message = format!("{} takes no value", quoted(at.text));
            self.refuse(value, message, format!("write just {}", quoted(at.text)));
            return;
        }
        self.give(option, at, glued);
    }

    /// Letters of a bundle, from the byte `next` on.
    fn shorts(&mut self, word: Word<'a>, next: usize) {
        let mut rest = word.tail(next);
        while let Some(letter) = rest.text.chars().next() {
            let mut at = rest.head(letter.len_utf8());
            rest = rest.tail(letter.len_utf8());
            if next == 1 && at.column == word.column + 1 {
                // The first letter is shown with its dash.
                at = word.head(1 + letter.len_utf8());
            }
            let Some(option) = OPTIONS.iter().find(|o| o.short == Some(letter)) else {
                let is_command = VERBS.iter().any(|v| v.short == Some(letter));
                return self.unknown(at, &format!("-{letter}"), is_command);
            };
            if matches!(option.takes, Takes::Nothing) {
                self.give(option, at, None);
                continue;
            }
            let glued = rest.strip_prefix("=").unwrap_or(rest);
            return self.give(option, at, (!rest.text.is_empty()).then_some(glued));
        }
    }

    fn give(&mut self, option: &'static Opt, at: Word<'a>, glued: Option<Word<'a>>) {
        let value = glued.or_else(|| match option.takes {
            Takes::Nothing => None,
            Takes::Value => self.words.next_if(|word| !is_option(*word)),
            Takes::ValueOrNot => self.words.next_if(|word| !word.text.starts_with('-')),
        });
        let is_refused = value.is_none() && matches!(option.takes, Takes::Value);
        let given = Given {
            meaning: option.meaning,
            at,
            has_value: value.is_some(),
            value: value.unwrap_or_else(|| at.tail(at.text.len())),
            is_refused,
            option,
        };
        if is_refused {
            let message = format!("{} needs a value", given.name());
            self.refuse(at, message, "write it as the next word");
        }
        self.options.push(given);
    }

    fn unknown(&mut self, at: Word<'a>, name: &str, is_command: bool) {
        let name = quoted(name);
        if is_command {
            let message = format!("the command {name} does not stand first");
            self.refuse(at, message, "one command a line, as its first word");
        } else {
            let message = format!("unknown option {name}");
            self.refuse(at, message, FORM);
        }
    }

    fn refuse(&mut self, at: Word<'a>, message: String, help: impl Into<String>) {
        self.problems.push(Problem::at(at, message, help));
    }
}

/// Whether a word that could be a value is rather the next option. No value begins with a dash but a
/// negative number, which is then refused as a number.
fn is_option(word: Word<'_>) -> bool {
    match word.text.strip_prefix('-').map(|rest| rest.chars().next()) {
        Some(Some('-')) => true,
        Some(letter @ Some(_)) => {
            OPTIONS.iter().any(|o| o.short == letter) || VERBS.iter().any(|v| v.short == letter)
        }
        _ => false,
    }
}

/// What is left of a line's first word behind the command.
enum Rest<'a> {
    /// Letters of options.
    Bundle(Word<'a>),
    /// A value after `=`.
    Value(Word<'a>),
}

/// The command in a line's first word: its place, itself, and what follows it there.
fn find_verb(first: Word<'_>) -> Result<(Word<'_>, &'static Spelling, Rest<'_>), Problem> {
    if let Some(long) = first.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let at = first.head(2 + name.text.len());
        let Some(spelling) = VERBS.iter().find(|v| v.long == name.text) else {
            return Err(no_verb(at, OPTIONS.iter().any(|o| o.long == name.text)));
        };
        return match (spelling.verb, value) {
            (_, None) => Ok((at, spelling, Rest::Bundle(first.tail(first.text.len())))),
            (Verb::Mark, Some(value)) => Ok((at, spelling, Rest::Value(value))),
            (_, Some(value)) => {
                let message = format!("{} takes no value", quoted(at.text));
                let help = format!("write just {}", quoted(at.text));
                Err(Problem::at(value, message, help))
            }
        };
    }
    let letter = first.strip_prefix("-").and_then(|w| w.text.chars().next());
    let Some(letter) = letter else {
        return Err(no_verb(first, false));
    };
    let at = first.head(1 + letter.len_utf8());
    match VERBS.iter().find(|v| v.short == Some(letter)) {
        Some(spelling) => Ok((at, spelling, Rest::Bundle(first.tail(at.text.len())))),
        None => {
            let is_option = OPTIONS.iter().any(|o| o.short == Some(letter));
            Err(no_verb(at, is_option))
        }
    }
}

fn no_verb(at: Word<'_>, is_option: bool) -> Problem {
    let name = quoted(at.text);
    let message = if is_option {
        format!("the line begins with the option {name}")
    } else if at.text.starts_with('-') {
        format!("unknown command {name}")
    } else {
        format!("expected a command, found {name}")
    };
    Problem::at(at, message, FORM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::words;

    /// The line's options as `NAME=VALUE`, or the first problem as `COLUMN+LENGTH MESSAGE`.
    fn read(line: &str) -> Result<Vec<String>, String> {
        let mut problems = Vec::new();
        let read = CommandLine::read(&words::split(1, line), &mut problems);
        if let Some(p) = problems.first() {
            return Err(format!("{}+{} {}", p.column, p.length, p.message));
        }
        let options = read.expect("a command without problems").options;
        let shown = |o: &Given<'_>| format!("{}={}", o.option.long, o.value.text);
        Ok(options.iter().map(shown).collect())
    }

    #[test]
    fn all_ways_to_write_an_option_are_one() {
        for line in [
            "-a -t x -w 3 -m",
            "-at x -w3 -m",
            "-atx -w=3 -m",
            "--add-server --tcp-service=x --weight=3 --masquerading",
            "--add-server --tcp-service x --weight 3 -m --",
        ] {
            let options = ["tcp-service=x", "weight=3", "masquerading="];
            assert_eq!(read(line).unwrap(), options, "{line}");
        }
        assert_eq!(read("-amtx").unwrap(), ["masquerading=", "tcp-service=x"]);
        assert_eq!(
            read("-A -p -s rr").unwrap(),
            ["persistent=", "scheduler=rr"]
        );
        assert_eq!(
            read("-A -p 60 -s=").unwrap(),
            ["persistent=60", "scheduler="]
        );
        assert_eq!(read("-a -w -1").unwrap(), ["weight=-1"]);
    }

    #[test]
    fn what_is_no_option_is_refused_in_its_place() {
        for (line, problem) in [
            ("add", "1+3 expected a command, found `add`"),
            ("-", "1+1 unknown command `-`"),
            ("-t x -A", "1+2 the line begins with the option `-t`"),
            (
                "--weight=3",
                "1+8 the line begins with the option `--weight`",
            ),
            ("-Q", "1+2 unknown command `-Q`"),
            ("--add", "1+5 unknown command `--add`"),
            ("--add-service=x", "15+1 `--add-service` takes no value"),
            ("-E -t x", "1+2 `-E` has no place in a rule file"),
            (
                "--start-daemon master",
                "1+14 `--start-daemon` is not supported yet",
            ),
            ("-Ln", "1+2 `-L` has no place in a rule file"),
            ("-A -q", "4+2 unknown option `-q`"),
            ("-Aqt", "3+1 unknown option `-q`"),
            ("-A --sched rr", "4+7 unknown option `--sched`"),
            ("-A ---scheduler", "4+12 unknown option `---scheduler`"),
            ("-At", "3+1 `-t` needs a value"),
            ("-A-t x", "3+1 unknown option `--`"),
            ("-A -D", "4+2 the command `-D` does not stand first"),
            ("-AE", "3+1 the command `-E` does not stand first"),
            ("-a -gé", "6+1 unknown option `-é`"),
            ("-a --ipip=x", "11+1 `--ipip` takes no value"),
            ("-A -s", "4+2 `-s` needs a value"),
            ("-A -s -t x", "4+2 `-s` needs a value"),
            ("-A -s --tcp-service x", "4+2 `-s` needs a value"),
            ("-A x", "4+1 unexpected argument `x`"),
            ("-A - x", "4+1 unexpected argument `-`"),
            ("-A -- -t", "7+2 unexpected argument `-t`"),
        ] {
            assert_eq!(read(line).unwrap_err(), problem, "{line}");
        }
    }
}
