//! One line's words to arguments and options.

use super::super::diagnostic::{Diagnostic, Severity};
use super::super::keywords::{Fault, Form, Kind, Need, Opt, Param, Value, akin, alike};
use super::super::model::{At, Command};
use super::super::place::{Span, Word};
use super::super::source::split_command;
use super::{Arg, Given, Line, as_user};

/// Reads the words of a line.
pub(super) struct Reader<'a> {
    /// What the line belongs to, for messages: a keyword, or the block that it stands in.
    pub(super) name: &'a str,
    /// The line is an item in a block, not what follows a keyword.
    pub(super) item: bool,
    /// How such a line is written, for messages.
    pub(super) syntax: String,
    /// Nothing of it is carried out, and there is a default: a number out of range costs nobody anything, and keepalived goes on as well.
    pub(super) idle: bool,
    /// What holds without the line; empty: nothing.
    pub(super) default: &'static str,
    /// What is wrong.
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// The line; `None` if something of it is wrong so that it does not count.
    pub(super) fn read(&mut self, form: &'static Form, words: &[Word], span: Span) -> Option<Line> {
        let mut words = Words { words, at: 0 };
        let mut line = Line {
            form,
            args: Vec::new(),
            options: Vec::new(),
            span,
        };
        let mut sound = true;
        let mut params = form.params;
        while let Some(word) = words.peek() {
            // Behind options, a word that may be anything is an option that does not exist.
            let named = !line.options.is_empty();
            let may_be = |p: &&Param| p.need == Need::May && matches!(p.kind, Kind::Text);
            let pending = params.first().filter(|p| !(named && may_be(p)));
            if let Some(option) = option(form, pending, word) {
                words.next();
                let (args, good) = self.option(option, word, &mut words);
                sound &= good;
                self.check_repeated(&line, option, word);
                line.options.push(Given {
                    option,
                    args,
                    span: word.span,
                });
                continue;
            }
            let Some(param) = pending else {
                self.surplus(form, word, &mut words);
                continue;
            };
            if let Kind::Command { user } = param.kind {
                let arg = self.command(param, user, &mut words);
                sound &= arg.is_some();
                line.args.extend(arg);
                params = rest(params);
                continue;
            }
            match param.kind.read(&word.text) {
                Err(_) if param.need == Need::May && goes_on(rest(params), word) => {
                    params = rest(params);
                    continue;
                }
                read => {
                    words.next();
                    let arg = self.checked(param, word, read);
                    sound &= arg.is_some();
                    line.args.extend(arg);
                }
            }
            params = match param.need {
                Need::Must | Need::May => rest(params),
                Need::Some | Need::Many => params,
            };
        }
        if form.params.is_empty() && !form.options.is_empty() && line.options.is_empty() && sound {
            self.nothing_said(span);
            sound = false;
        }
        let missing = params.iter().find(|p| match p.need {
            Need::Must => true,
            Need::Some => !line.args.iter().any(|arg| arg.param.name == p.name),
            Need::May | Need::Many => false,
        });
        if let (Some(param), true) = (missing, sound) {
            self.missing(param, span);
            sound = false;
        }
        sound.then_some(line)
    }

    /// What follows an option.
    fn option(
        &mut self,
        option: &'static Opt,
        name: &Word,
        words: &mut Words<'_>,
    ) -> (Vec<Arg>, bool) {
        let (mut args, mut sound) = (Vec::new(), true);
        for param in option.params {
            let many = matches!(param.need, Need::Many | Need::Some);
            let mut read_one = false;
            loop {
                let read = words.peek().map(|word| (word, param.kind.read(&word.text)));
                match read {
                    Some((word, Ok(value))) => {
                        words.next();
                        args.push(Arg {
                            param,
                            value,
                            span: word.span,
                        });
                        read_one = true;
                    }
                    Some((word, Err(fault))) if param.need == Need::Must => {
                        words.next();
                        let arg = self.checked(param, word, Err(fault));
                        sound &= arg.is_some();
                        args.extend(arg);
                    }
                    None if param.need == Need::Must || param.need == Need::Some && !read_one => {
                        let message = format!("`{}` wants {}", option.name, param.kind.describe());
                        self.diagnostics.push(
                            Diagnostic::error("missing-argument", name.span, message)
                                .label(format!("{} is missing", param.name))
                                .tolerated(),
                        );
                        return (args, false);
                    }
                    _ => break,
                }
                if !many {
                    break;
                }
            }
        }
        (args, sound)
    }

    /// An argument, unless its word is wrong.
    fn checked(
        &mut self,
        param: &'static Param,
        word: &Word,
        read: Result<Value, Fault>,
    ) -> Option<Arg> {
        let value = match read {
            Ok(value) => Some(value),
            Err(fault) => {
                let message = format!("{} takes {}", self.whose(param), param.kind.describe());
                let mut diagnostic = Diagnostic::error(
                    fault.code,
                    word.span,
                    format!("{message}, not `{}`", word.text),
                );
                diagnostic.help = fault.help.or_else(|| punctuation(&word.text));
                if fault.code == "out-of-range" && word.text == "0" && !self.default.is_empty() {
                    let help = format!("leave the line out for the default: {}", self.default);
                    diagnostic.help.get_or_insert(help);
                }
                if self.idle && fault.code == "out-of-range" {
                    diagnostic.severity = Severity::Warning;
                    diagnostic.help = Some(
                        "keepalived does not take it either, and goes on: leave the line out"
                            .to_owned(),
                    );
                }
                self.diagnostics
                    .push(diagnostic.label(fault.label).tolerated());
                fault.usable.map(|value| *value)
            }
        };
        value.map(|value| Arg {
            param,
            value,
            span: word.span,
        })
    }

    fn whose(&self, param: &Param) -> String {
        match self.item {
            true => format!("{} of `{}`", param.name, self.name),
            false => format!("`{}`", self.name),
        }
    }

    /// A command and its user.
    fn command(&mut self, param: &'static Param, user: bool, words: &mut Words<'_>) -> Option<Arg> {
        let word = words.next()?;
        let argv = match split_command(&word.text) {
            Ok(argv) if !argv.is_empty() => argv,
            Ok(_) => {
                self.missing(param, word.span);
                return None;
            }
            Err(error) => {
                let message = format!(
                    "the command of `{}` cannot be cut into arguments",
                    self.name
                );
                let diagnostic = Diagnostic::error("bad-command", word.span, message);
                self.diagnostics
                    .push(diagnostic.label(error.to_string()).tolerated());
                return None;
            }
        };
        let user = match user {
            true => words.next().map(|user| {
                let group = words.next();
                as_user(&user.text, group.map(|g| g.text.as_str()))
            }),
            false => None,
        };
        let command = Command {
            argv,
            user,
            span: At::new((), word.span),
        };
        Some(Arg {
            param,
            value: Value::Command(command),
            span: word.span,
        })
    }

    fn check_repeated(&mut self, line: &Line, option: &'static Opt, word: &Word) {
        // Behind these, options may be theirs.
        let own = |given: &Given| matches!(given.option.name, "nexthop" | "encap");
        if line.options.iter().any(own) {
            return;
        }
        if let Some(before) = line.option(option.name) {
            let message = format!("`{}` is given twice", word.text);
            self.diagnostics.push(
                Diagnostic::warning("repeated-option", word.span, message)
                    .label("this one counts")
                    .also(before.span, "given here before"),
            );
        }
    }

    /// Words that nothing takes.
    fn surplus(&mut self, form: &Form, word: &Word, words: &mut Words<'_>) {
        words.next();
        let quoted = form
            .params
            .iter()
            .any(|p| matches!(p.kind, Kind::Command { .. }));
        if form.options.is_empty() || quoted {
            let last = words.drain().unwrap_or(word);
            let message = format!("`{}` takes no more than this", self.name);
            let help = match quoted {
                true => {
                    "put the command and its arguments in quotes: `\"COMMAND ARGUMENT\"`".to_owned()
                }
                false => format!("written as `{}`", self.syntax),
            };
            self.diagnostics.push(
                Diagnostic::warning("surplus-argument", word.span.to(last.span), message)
                    .label("ignored")
                    .help(help),
            );
            return;
        }
        // What follows belongs to the word, as far as one can know.
        let mut last = word;
        while let Some(next) = words.peek() {
            if form.options.iter().any(|o| o.is(&next.text)) {
                break;
            }
            last = next;
            words.next();
        }
        let message = format!("`{}` is no option of `{}`", word.text, self.name);
        let span = word.span.to(last.span);
        let mut diagnostic = Diagnostic::error("unknown-option", span, message);
        let names = || form.options.iter().map(|o| o.name);
        let near = alike(&word.text, names()).or_else(|| akin(&word.text, names()));
        let first = form.params.first();
        if let Some(near) = near {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if self.item && first.is_some_and(|p| p.kind.read(&word.text).is_ok()) {
            diagnostic = diagnostic.help("write each on a line of its own");
        }
        self.diagnostics
            .push(diagnostic.label("ignored").tolerated());
    }

    /// A line that should have some option and has none.
    fn nothing_said(&mut self, span: Span) {
        let message = format!("`{}` wants at least one of its options", self.name);
        self.diagnostics.push(
            Diagnostic::error("missing-argument", span, message)
                .help(format!("written as `{}`", self.syntax))
                .tolerated(),
        );
    }

    /// A word that should be there and is not.
    fn missing(&mut self, param: &Param, span: Span) {
        let at_end = Span {
            start: span.end,
            ..span
        };
        let message = format!("{} wants {}", self.whose(param), param.kind.describe());
        self.diagnostics.push(
            Diagnostic::error("missing-argument", at_end, message)
                .label(format!("{} is missing", param.name))
                .help(format!("written as `{}`", self.syntax)),
        );
    }
}

/// What other languages write.
fn punctuation(word: &str) -> Option<String> {
    let rest = word
        .strip_suffix([';', ','])
        .filter(|rest| !rest.is_empty())?;
    Some(format!("write `{rest}`"))
}

/// The option that a word names. A word that must come next and may be anything takes precedence.
fn option(form: &'static Form, pending: Option<&Param>, word: &Word) -> Option<&'static Opt> {
    let anything = pending.is_some_and(|p| {
        p.need == Need::Must && matches!(p.kind, Kind::Text | Kind::Word { .. } | Kind::Host)
    });
    let mut options = form.options.iter();
    options.find(|o| !anything && o.is(&word.text))
}

/// Whether a word that does not fit where it may stand belongs to what comes behind.
fn goes_on(params: &[Param], word: &Word) -> bool {
    let mut params = params.iter();
    params.any(|p| p.need == Need::Must || p.kind.read(&word.text).is_ok())
}

fn rest(params: &'static [Param]) -> &'static [Param] {
    params.get(1..).unwrap_or_default()
}

/// Words yet to be read.
struct Words<'a> {
    words: &'a [Word],
    at: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a Word> {
        self.words.get(self.at)
    }

    fn next(&mut self) -> Option<&'a Word> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    /// The last of those that are left.
    fn drain(&mut self) -> Option<&'a Word> {
        let left = self.words.get(self.at..).unwrap_or_default();
        self.at = self.words.len();
        left.last()
    }
}
