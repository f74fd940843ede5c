//! Parameters: their definitions, and their values where they are used.

use std::path::Path;
use std::rc::Rc;

use super::super::super::diagnostic::Diagnostic;
use super::super::super::place::Span;
use super::super::line::{LONGEST, continues};
use super::super::parameter::{self, Definition, Form, Random};
use super::super::text::{is_blank, trim};
use super::{Frame, Line, MOST_SUBSTITUTED, MOST_USES, Reader, balance};

/// A definition whose value goes on.
pub(super) struct Pending {
    name: String,
    lines: Vec<String>,
    at: Span,
}

impl Pending {
    /// Adds a line, unless it is empty. Returns whether there is another one.
    fn add(&mut self, text: &str) -> bool {
        let text = text.get(trim(text, 0..text.len())).unwrap_or_default();
        let before = continues(text);
        let line = before.unwrap_or(text);
        if !line.is_empty() {
            self.lines.push(line.to_owned());
        }
        before.is_some()
    }
}

/// How far the parameters of a line have been put in.
pub(super) enum Substituted {
    /// Its beginning has become another.
    AtStart,
    /// Up to here: a brace, or the end.
    Up(usize),
}

/// What looks like a use, and what is around it.
struct Use {
    name: String,
    arguments: Option<String>,
    form: Form,
    span: Span,
    quoted: bool,
    /// In mid-word.
    inside: bool,
    /// Nothing follows on the line.
    last: bool,
}

impl Reader<'_> {
    /// Takes a line for a definition, whose `$NAME=` is `len` bytes long.
    pub(super) fn define(&mut self, line: &Line, name: String, len: usize) {
        let at = line.span(len - 1);
        if name.starts_with('_') {
            let message = format!("names that begin with `_`, as `{name}`, are keepalived's own");
            self.complain(Diagnostic::warning("reserved-parameter", at, message));
        }
        let value = line.rest().get(len..).unwrap_or_default();
        let mut pending = Pending {
            name,
            lines: Vec::new(),
            at,
        };
        if pending.add(value) || line.continued {
            self.pending = Some(pending);
            return;
        }
        if balance(value) < 0 {
            let message = "a value takes the rest of its line, braces as well";
            self.complain(
                Diagnostic::warning("brace-in-value", at, message)
                    .label("more braces are closed than opened in its value")
                    .help("put the brace on a line of its own"),
            );
        }
        self.finish_value(pending);
    }

    /// Takes a line for a further one of the value that goes on.
    pub(super) fn further_value(&mut self, line: &Line) {
        let Some(mut pending) = self.pending.take() else {
            return;
        };
        if pending.add(line.rest()) || line.continued {
            self.pending = Some(pending);
        } else {
            self.finish_value(pending);
        }
    }

    /// Ends with its file a value that goes on.
    pub(super) fn finish_definition(&mut self) {
        if let Some(pending) = self.pending.take() {
            let message = format!("the value of `{}` ends with the file", pending.name);
            self.complain(
                Diagnostic::error("unfinished-value", pending.at, message)
                    .help("the last line of a value must not end with `\\`")
                    .tolerated(),
            );
            self.finish_value(pending);
        }
    }

    fn finish_value(&mut self, pending: Pending) {
        let mut lines = pending.lines;
        if lines.is_empty() {
            lines.push(String::new());
        }
        let definition = Definition {
            lines,
            at: pending.at,
            counter: false,
            lasting: false,
        };
        self.definitions.insert(pending.name, Rc::new(definition));
    }

    /// Puts parameters into what is to be dealt with of a line, up to the first brace outside of quotes if braces count. A value
    /// may begin with a use or have braces itself.
    pub(super) fn substitute(&mut self, line: &mut Line, braces: bool) -> Substituted {
        // A longer one has been complained about.
        let replaces = line.text.len() <= LONGEST;
        let (mut at, mut quoted) = (line.from, false);
        while let Some(&byte) = line.text.as_str().as_bytes().get(at) {
            match byte {
                b'"' => quoted = !quoted,
                // It keeps a quote from counting, as in a comment's case.
                b'\\' => at += 1,
                b'{' | b'}' if braces && !quoted => return Substituted::Up(at),
                b'$' if replaces => match self.put_in(line, at, quoted) {
                    Put::Value if at == line.from => return Substituted::AtStart,
                    Put::Value => continue,
                    Put::Nothing(len) => {
                        at += len;
                        continue;
                    }
                    Put::End => return Substituted::Up(line.text.len()),
                },
                _ => {}
            }
            at += 1;
        }
        Substituted::Up(line.text.len())
    }

    /// Puts in the parameter at `at`, where a dollar sign is.
    fn put_in(&mut self, line: &mut Line, at: usize, quoted: bool) -> Put {
        let text = &line.text;
        let rest = text.as_str().get(at..).unwrap_or_default();
        let Some(found) = parameter::usage(rest) else {
            return Put::Nothing(1);
        };
        let len = found.len;
        let before = at
            .checked_sub(1)
            .and_then(|i| text.as_str().as_bytes().get(i));
        let used = Use {
            name: found.name.to_owned(),
            arguments: found.arguments.map(str::to_owned),
            form: found.form,
            span: text.span(at..at + len),
            quoted,
            inside: at > line.from && before.is_some_and(|b| !is_blank(*b)),
            last: trim(rest, len..rest.len()).is_empty(),
        };
        if matches!(used.form, Form::Glued | Form::Open) {
            self.no_use(&used);
            return Put::Nothing(len);
        }
        let Some((value, further)) = self.value(&used) else {
            return Put::Nothing(len);
        };
        line.uses += 1;
        self.spent.substituted = self.spent.substituted.saturating_add(line.text.len());
        if line.uses > MOST_USES {
            self.endless(&used);
            return Put::End;
        }
        if self.spent.substituted > MOST_SUBSTITUTED {
            self.give_up(used.span, "too many parameters are used");
            return Put::End;
        }
        if line.text.len() - len + value.len() > LONGEST {
            let message = format!(
                "with the value of `{}` the line has more than {LONGEST} bytes",
                used.name
            );
            self.complain(
                Diagnostic::error("line-too-long", used.span, message)
                    .label("the name is left as it is")
                    .tolerated(),
            );
            return Put::Nothing(len);
        }
        let mut made = line.text.slice(0..at);
        made.push_standing_for(&value, used.span);
        made.push(&line.text, at + len..line.text.len());
        line.text = made;
        if let Some(definition) = further {
            self.frames.push(Frame::Value {
                definition,
                next: 1,
                used: used.span,
            });
        }
        Put::Value
    }

    /// The value to put in, and the definition if it has further lines.
    fn value(&mut self, used: &Use) -> Option<(String, Option<Rc<Definition>>)> {
        let Some(definition) = self.definitions.get(&used.name) else {
            return Some((self.predefined(used)?, None));
        };
        let definition = Rc::clone(definition);
        if let Some(arguments) = &used.arguments {
            let message = format!("`{}` takes no arguments", used.name);
            self.complain(
                Diagnostic::error("undefined-parameter", used.span, message)
                    .label(format!("left as it is because of `{}`", arguments.trim()))
                    .tolerated(),
            );
            return None;
        }
        if definition.counter && !definition.lasting && !self.counts(&used.name) {
            let message = format!("`{}` belongs to a repetition that is over", used.name);
            self.complain(
                Diagnostic::warning("leftover-variable", used.span, message)
                    .label("keeps its last value")
                    .also(definition.at, "repeated here"),
            );
        }
        let first = definition.lines.first().cloned().unwrap_or_default();
        if definition.lines.len() < 2 {
            return Some((first, None));
        }
        if !used.last {
            let message = format!(
                "`{}` has several lines, so nothing can follow it",
                used.name
            );
            self.complain(
                Diagnostic::error("several-lines", used.span, message)
                    .label("left as it is")
                    .also(definition.at, "defined here")
                    .help("put what follows, be it a brace, on the next line")
                    .tolerated(),
            );
            return None;
        }
        let is_this = |frame: &Frame| matches!(frame, Frame::Value { definition: d, .. } if Rc::ptr_eq(d, &definition));
        if self.frames.iter().any(is_this) {
            self.endless(used);
            return None;
        }
        Some((first, Some(definition)))
    }

    fn endless(&mut self, used: &Use) {
        let message = format!("`{}` leads to parameters without end", used.name);
        self.complain(
            Diagnostic::error("endless-parameter", used.span, message)
                .label("its value contains itself"),
        );
    }

    /// Whether a repetition with this variable is going on.
    pub(super) fn counts(&self, name: &str) -> bool {
        self.frames.iter().any(|frame| match frame {
            Frame::Repeat { repetition, .. } => repetition.names().iter().any(|n| n == name),
            _ => false,
        })
    }

    /// The value of what keepalived itself defines.
    fn predefined(&mut self, used: &Use) -> Option<String> {
        let arguments = used.arguments.as_deref().map(str::trim);
        match (used.name.as_str(), arguments) {
            ("_HASH", None) => Some("#".to_owned()),
            ("_BANG", None) => Some("!".to_owned()),
            ("_INSTANCE", None) => Some(self.options.config_id.clone()),
            ("_PWD", None) => {
                let folder = self.folder();
                let here = if folder.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    &folder
                };
                let full = self.host.canonical(here).unwrap_or(folder);
                Some(full.to_string_lossy().into_owned())
            }
            ("_ENV", Some(name)) if !name.is_empty() => {
                let value = self.host.environment(name);
                if value.is_none() {
                    let message = format!("the environment has no `{name}`");
                    self.complain(
                        Diagnostic::error("undefined-variable", used.span, message)
                            .label("replaced by nothing")
                            .tolerated(),
                    );
                }
                Some(value.unwrap_or_default())
            }
            ("_RANDOM", arguments) => {
                let (min, max) = parameter::random_range(arguments).unwrap_or_else(|(why, min)| {
                    self.complain(
                        Diagnostic::error("invalid-random", used.span, why)
                            .label(format!("{min} is used"))
                            .help("write `${_RANDOM MIN MAX}`")
                            .tolerated(),
                    );
                    (min, min)
                });
                let host = self.host;
                let random = self.random.get_or_insert_with(|| Random(host.random()));
                Some(random.number(min, max).to_string())
            }
            _ => {
                self.undefined(used);
                None
            }
        }
    }

    fn undefined(&mut self, used: &Use) {
        let message = format!("the parameter `{}` is not defined", used.name);
        // A script may mean a shell's variable, and passwords may have a dollar sign anywhere.
        let likely = !used.quoted && (used.form == Form::Braced || !used.inside);
        let diagnostic = if likely {
            Diagnostic::error("undefined-parameter", used.span, message).tolerated()
        } else {
            Diagnostic::warning("undefined-parameter", used.span, message)
        };
        self.complain(
            diagnostic
                .label("left as it is")
                .help("a parameter must be defined before it is used: `$NAME=value`"),
        );
    }

    /// Complains about what was probably meant to be a use.
    fn no_use(&mut self, used: &Use) {
        let name = &used.name;
        let known = self.definitions.contains_key(name);
        if used.form == Form::Open {
            if !used.quoted {
                let message = format!("`}}` is missing behind `${{{name}`");
                self.complain(
                    Diagnostic::error("unclosed-parameter", used.span, message)
                        .label("left as it is")
                        .tolerated(),
                );
            }
        } else if known {
            let message = format!("`${name}` is not replaced here");
            self.complain(
                Diagnostic::warning("glued-parameter", used.span, message)
                    .label("only a blank, `,` or `)` may follow")
                    .help(format!("write `${{{name}}}`")),
            );
        } else if !used.quoted && !used.inside {
            self.undefined(used);
        }
    }
}

/// What has become of a use.
enum Put {
    /// Its value stands in its place.
    Value,
    /// It stays; so long it is.
    Nothing(usize),
    /// The rest of the line is not looked at.
    End,
}
