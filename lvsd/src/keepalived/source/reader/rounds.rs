//! Repetitions, round by round.

use std::rc::Rc;

use super::super::super::diagnostic::Diagnostic;
use super::super::line::LONGEST;
use super::super::parameter::Definition;
use super::super::repeat::{self, Kind, Repetition};
use super::super::text::{Text, trim};
use super::{Frame, Line, MOST_LINES, Reader, Substituted, balance};

impl Reader<'_> {
    /// Begins the repetition that a line begins with. Returns whether there is one, right or wrong.
    pub(super) fn repetition(&mut self, line: &Line) -> bool {
        let Some(head) = repeat::head(line.rest()) else {
            return false;
        };
        let head = match head {
            Ok(head) => head,
            Err(why) => {
                let len = line
                    .rest()
                    .find(char::is_whitespace)
                    .unwrap_or_else(|| line.rest().len());
                self.invalid(line, len, why.to_owned());
                return true;
            }
        };
        if line.text.len() > LONGEST {
            return true;
        }
        let len = head.inside.end + 1;
        let span = line.span(len);
        let inside = line.from + head.inside.start..line.from + head.inside.end;
        let mut inside = Line::new(line.text.slice(inside));
        if head.kind != Kind::List {
            while let Substituted::AtStart = self.substitute(&mut inside, false) {}
        }
        let mut repetition = match Repetition::parse(head.kind, inside.text.as_str()) {
            Ok(repetition) => repetition,
            Err(why) => {
                self.invalid(line, len, why);
                return true;
            }
        };
        let text = line.text.as_str();
        let rest = line.text.slice(trim(text, line.from + len..text.len()));
        if rest.is_empty() {
            let message = "nothing is repeated";
            self.complain(
                Diagnostic::error("empty-repetition", span, message)
                    .help("what is repeated stands on the same line; several lines make a parameter's value")
                    .tolerated(),
            );
            return true;
        }
        let balance = balance(rest.as_str());
        if balance != 0 {
            self.unbalanced(&rest, balance);
            // As often as the braces elsewhere have a match for it.
            repetition.once();
        }
        if repetition.count() > MOST_LINES - self.spent.lines {
            let message = format!(
                "{} repetitions: no more than {MOST_LINES} lines may come of parameters and repetitions",
                repetition.count()
            );
            self.complain(Diagnostic::error("too-much", span, message));
            return true;
        }
        for name in repetition.names() {
            let counts = self.counts(name);
            let replaced = self.definitions.get(name);
            if let Some(replaced) = replaced.filter(|d| !d.counter || counts) {
                let message = format!("this replaces the parameter `{name}`");
                let diagnostic = Diagnostic::warning("replaced-parameter", span, message)
                    .also(replaced.at, "defined here")
                    .help("use another name");
                self.complain(diagnostic);
            }
        }
        self.frames.push(Frame::Repeat {
            repetition,
            rest,
            head: span,
            cut: balance != 0,
        });
        true
    }

    /// A repetition that opens or closes blocks that it leaves so. Of one within another, the inner one is to blame.
    fn unbalanced(&mut self, rest: &Text, balance: i64) {
        if repeat::head(rest.as_str()).is_some() {
            return;
        }
        let (message, help) = match balance {
            1.. => (
                "each repetition opens a block that it does not close",
                "a repetition takes this one line only: write the whole block on it, or make the block a parameter's \
                 value (`$BLOCK= \\`, its lines with ` \\` at their ends) and write `~SEQ(…) $BLOCK`",
            ),
            _ => (
                "each repetition closes a block that it has not opened",
                "a repetition takes this one line only: put the brace on a line of its own",
            ),
        };
        self.complain(
            Diagnostic::error("unbalanced-repetition", rest.whole(), message)
                .label("this is repeated")
                .help(help)
                .tolerated(),
        );
    }

    fn invalid(&mut self, line: &Line, len: usize, why: String) {
        self.complain(
            Diagnostic::error("invalid-repetition", line.span(len), why)
                .label("the line is left out")
                .help("`~SEQ(NAME, [START, [STEP,]] END) …` or `~LST(NAME, VALUE, …) …`")
                .tolerated(),
        );
    }

    /// The next round of the repetition on top.
    pub(super) fn next_round(&mut self) -> Option<Line> {
        let Some(Frame::Repeat {
            repetition,
            rest,
            head,
            cut,
        }) = self.frames.last_mut()
        else {
            return None;
        };
        let values = repetition.advance()?;
        for (name, value) in repetition.names().iter().zip(values) {
            let definition = Definition {
                lines: vec![value],
                at: *head,
                counter: true,
                lasting: *cut,
            };
            self.definitions.insert(name.clone(), Rc::new(definition));
        }
        Some(Line::new(rest.clone()))
    }
}
