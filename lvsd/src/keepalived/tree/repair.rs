//! Braces that are missing, too many, or in the wrong place: what is said, and how reading goes on.

use super::super::diagnostic::Diagnostic;
use super::super::keywords::{Body, Keyword, WHOLE, syntax};
use super::super::place::{Span, Word};
use super::super::source::{Item, Statement};
use super::Node;
use super::braces::span;
use super::parser::Parser;

/// Brackets that are taken for braces.
pub(super) const BRACKETS: [(&str, &str); 3] = [("(", ")"), ("[", "]"), ("\u{ff5b}", "\u{ff5d}")];

/// What a closing brace does.
enum Closing {
    /// It closes the present block.
    This,
    /// It closes a block around it: the present one's own is missing.
    Outer,
    /// It is too many.
    Nothing,
}

impl Parser<'_> {
    /// Deals with a closing brace; whether the present block ends.
    pub(super) fn closes(&mut self, at: Span, block: &mut Node) -> bool {
        match self.closing(at) {
            Closing::This => {
                self.at += 1;
                block.end = Some(at);
                true
            }
            Closing::Outer => {
                self.unclosed(
                    at,
                    "this brace closes a block around it, to go by the indentation",
                );
                true
            }
            Closing::Nothing => {
                self.at += 1;
                self.braces.surplus = self.braces.surplus.saturating_sub(1);
                self.surplus(at, None);
                false
            }
        }
    }

    fn closing(&self, at: Span) -> Closing {
        let Some((this, around)) = self.open.split_last() else {
            return Closing::Nothing;
        };
        if self.braces.missing + self.braces.surplus == 0 || !self.braces.leads(at) {
            return Closing::This;
        }
        let indent = self.braces.indent(at);
        let fits_outer = around.iter().any(|b| b.indent == indent);
        if self.braces.missing > 0 && indent < this.indent && fits_outer {
            Closing::Outer
        } else if self.braces.surplus > 0 && indent > this.indent {
            Closing::Nothing
        } else {
            Closing::This
        }
    }

    /// Whether a closing brace is missing before this keyword, which belongs to a block around the present one. Says so.
    pub(super) fn ends_before(&mut self, word: &Word) -> bool {
        let Some(this) = self.open.last() else {
            return false;
        };
        if self.braces.missing == 0 || self.braces.indent(word.span) > this.indent {
            return false;
        }
        // Inwards to outwards: the blocks around this one, and the file as a whole.
        let around = self.open.iter().rev().skip(1).map(|b| b.keyword);
        let mut around = around.chain([&WHOLE]).take(self.braces.missing);
        let belongs = around.any(|k| k.child(&word.text).is_some());
        if belongs {
            self.unclosed(word.span, "this belongs to a block around it");
        }
        belongs
    }

    /// Whether the brace that closed the block before this keyword was too many. Says so, and reads on in that block.
    pub(super) fn goes_on_with_last(&mut self, block: &mut Node, word: &Word) -> bool {
        let belongs = |last: &Node| last.end.is_some() && last.keyword.child(&word.text).is_some();
        if self.braces.surplus == 0 || !block.body.last().is_some_and(belongs) {
            return false;
        }
        let Some(mut last) = block.body.pop() else {
            return false;
        };
        self.braces.surplus -= 1;
        if let Some(end) = last.end.take() {
            self.surplus(end, Some(word.span));
        }
        self.body(&mut last, "");
        block.body.push(last);
        true
    }

    fn unclosed(&mut self, next: Span, why: &str) {
        self.braces.missing = self.braces.missing.saturating_sub(1);
        let Some(this) = self.open.last() else {
            return;
        };
        let message = format!("`{}` is not closed", this.keyword.name);
        self.diagnostics.push(
            Diagnostic::error("unclosed-block", this.head, message)
                .label("opened here")
                .also(next, why)
                .help("write `}` before that line")
                .tolerated(),
        );
    }

    /// The file is at its end. Says which blocks are open, once.
    pub(super) fn unclosed_at_end(&mut self, block: &Node) {
        if self.braces.missing == 0 {
            return;
        }
        let Some((this, around)) = self.open.split_last() else {
            return;
        };
        self.braces.missing = 0;
        let message = format!("`{}` is not closed when the file ends", block.keyword.name);
        let mut diagnostic = Diagnostic::error("unclosed-block", this.head, message)
            .label("opened here")
            .help(match around.len() {
                0 => "a `}` is missing".to_owned(),
                more => format!("{} closing braces are missing", more + 1),
            });
        for outer in around.iter().rev() {
            diagnostic = diagnostic.also(outer.head, "nor is this");
        }
        self.diagnostics.push(diagnostic.tolerated());
    }

    fn surplus(&mut self, at: Span, goes_on: Option<Span>) {
        let mut diagnostic = Diagnostic::error("surplus-brace", at, "this brace closes nothing")
            .label("one too many")
            .tolerated();
        if let Some(next) = goes_on {
            diagnostic.message = "this brace comes too early".to_owned();
            diagnostic = diagnostic.also(next, "this still belongs to the block");
        }
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn unexpected_block(&mut self, keyword: &'static Keyword, at: Span) {
        let message = format!("`{}` is no block", keyword.name);
        self.diagnostics.push(
            Diagnostic::error("unexpected-block", at, message)
                .label("everything up to its closing brace is ignored")
                .help(format!(
                    "written as `{}`",
                    syntax(keyword.name, &keyword.form)
                ))
                .tolerated(),
        );
        self.skip(keyword, at);
    }

    /// An opening brace without a keyword before it.
    pub(super) fn stray(&mut self, at: Span, block: &'static Keyword) {
        self.diagnostics.push(
            Diagnostic::error(
                "unexpected-block",
                at,
                "no keyword stands before this brace",
            )
            .label("everything up to its closing brace is ignored")
            .tolerated(),
        );
        self.skip(block, at);
    }

    /// A block without its opening brace. What looks like its body is read all the same.
    pub(super) fn without_block(&mut self, node: &mut Node, statement: &Statement) {
        let last = statement.text().rsplit(char::is_whitespace).next();
        let bracket = BRACKETS.iter().find(|(open, _)| last == Some(*open));
        let brace = matches!(last, Some("\"{\"" | "'{'"));
        let message = format!("`{}` wants a block", node.keyword.name);
        let wrong = Diagnostic::error("missing-block", node.line.span, message);
        let name = node.head.text.as_str();
        let words = statement
            .text()
            .strip_prefix(name)
            .unwrap_or_default()
            .trim();
        let help = match (bracket, node.keyword.body) {
            (Some((open, _)), _) => format!("write `{{` instead of `{open}`"),
            _ if brace => "write the brace without quotes".to_owned(),
            (None, Body::Lines(_) | Body::List(_))
                if takes_only_a_block(node.keyword) && !words.is_empty() =>
            {
                format!("write `{name} {{`, `{words}` and `}}` on three lines")
            }
            (None, Body::Block(_)) if takes_only_a_block(node.keyword) && !words.is_empty() => {
                "write what it holds between `{` and `}`, one keyword a line".to_owned()
            }
            (None, Body::Block(_)) => format!("write `{name} {{ }}` if it has nothing to say"),
            _ => "its items stand between `{` and `}`, one a line".to_owned(),
        };
        self.diagnostics
            .push(wrong.label("no `{` follows").help(help).tolerated());
        if let Some((_, close)) = bracket {
            self.body(node, close);
        } else if self.braces.surplus > 0 && self.is_in(node.keyword) {
            self.braces.surplus -= 1;
            self.body(node, "");
        } else {
            node.unread = true;
        }
    }

    /// Whether the next line belongs into a block.
    fn is_in(&self, block: &'static Keyword) -> bool {
        let Some(Item::Statement(statement)) = self.peek() else {
            return false;
        };
        let word = statement.first();
        let knows = |k: &'static Keyword| word.as_ref().is_some_and(|w| k.child(&w.text).is_some());
        match block.body {
            Body::Block(_) => knows(block),
            _ => !knows(self.open.last().map_or(&WHOLE, |b| b.keyword)),
        }
    }

    /// Whether a line closes a block that was opened by some other bracket.
    pub(super) fn closes_oddly(&mut self, word: &Word) -> bool {
        let closes = self
            .open
            .last()
            .is_some_and(|b| !b.closer.is_empty() && b.closer == word.text);
        if closes {
            self.at += 1;
        }
        closes
    }

    pub(super) fn empty(&mut self, node: &Node) {
        let message = format!("`{}` is empty", node.head.text);
        let wrong = Diagnostic::warning("empty-block", node.line.span, message);
        self.diagnostics
            .push(wrong.help("leave it out, or put something between its braces"));
    }

    /// Skips from an opening brace to the closing one that belongs to it. If closing braces are missing, a line that is not
    /// indented and belongs to the block around ends it too.
    pub(super) fn skip(&mut self, around: &'static Keyword, head: Span) {
        let indent = self.braces.indent(head);
        let mut depth = 0_usize;
        while let Some(item) = self.peek() {
            match item {
                Item::Open(_) => depth += 1,
                Item::Close(_) => depth = depth.saturating_sub(1),
                Item::Statement(statement) => {
                    let word = statement.first();
                    let known = word.is_some_and(|w| around.child(&w.text).is_some());
                    if self.braces.missing > 0 && known && self.braces.indent(span(item)) <= indent
                    {
                        self.braces.missing -= 1;
                        self.diagnostics.push(
                            Diagnostic::error("unclosed-block", head, "this block is not closed")
                                .label("opened here")
                                .also(span(item), "this belongs to the block around it")
                                .tolerated(),
                        );
                        return;
                    }
                }
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

/// Whether nothing stands between a keyword and its brace.
pub(super) fn takes_only_a_block(keyword: &Keyword) -> bool {
    !matches!(keyword.body, Body::None) && keyword.form.params.is_empty()
}
