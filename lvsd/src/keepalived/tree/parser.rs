//! Lines and braces to nodes.

use super::super::diagnostic::Diagnostic;
use super::super::keywords::{Body, Effect, Form, Keyword, Kind, WHOLE, syntax};
use super::super::place::{Span, Word};
use super::super::source::{Item, Source, Statement};
use super::braces::Braces;
use super::line::Reader;
use super::repair::{BRACKETS, takes_only_a_block};
use super::{Line, Node, fate, together, unknown};

/// Makes a tree of what was read: the whole file as a block ([`WHOLE`]), and what is wrong with it, but for what reading found.
pub fn parse(source: &Source) -> (Node, Vec<Diagnostic>) {
    let mut parser = Parser {
        items: &source.items,
        at: 0,
        braces: Braces::of(source),
        open: Vec::new(),
        diagnostics: Vec::new(),
    };
    let mut root = node(
        &WHOLE,
        Word {
            text: WHOLE.name.to_owned(),
            span: Span::default(),
        },
    );
    parser.keywords(&mut root);
    fate::check_order(&root, &mut parser.diagnostics);
    fate::say_effects(&root, &mut parser.diagnostics);
    (root, parser.diagnostics)
}

pub(super) struct Parser<'a> {
    items: &'a [Item],
    pub(super) at: usize,
    pub(super) braces: Braces,
    /// The blocks around the present line, without the file as a whole.
    pub(super) open: Vec<Opened>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// With more than so many diagnostics, it is no longer guessed what was meant: the file is of another kind, and guessing takes time.
const GUESSES: usize = 500;

/// A block that is open.
#[derive(Clone, Copy)]
pub(super) struct Opened {
    pub(super) keyword: &'static Keyword,
    pub(super) head: Span,
    pub(super) indent: usize,
    /// What stands where the closing brace should; empty: nothing.
    pub(super) closer: &'static str,
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> Option<&'a Item> {
        self.items.get(self.at)
    }

    /// Reads keywords up to the end of the block.
    fn keywords(&mut self, block: &mut Node) {
        while let Some(item) = self.peek() {
            match item {
                Item::Close(at) => {
                    if self.closes(*at, block) {
                        return;
                    }
                }
                Item::Open(at) => self.stray(*at, block.keyword),
                Item::Statement(statement) => {
                    let Some(word) = statement.first() else {
                        self.at += 1;
                        continue;
                    };
                    match block.keyword.child(&word.text) {
                        Some((keyword, old)) => {
                            self.at += 1;
                            let noted = old.map(|old| fate::old_name(&word, old));
                            self.diagnostics.extend(noted);
                            self.keyword(block, keyword, word, statement);
                        }
                        None if self.closes_oddly(&word) || self.ends_before(&word) => return,
                        None if self.goes_on_with_last(block, &word) => {}
                        None => self.unknown(block, &word),
                    }
                }
            }
        }
        self.unclosed_at_end(block);
    }

    /// Reads the rest of a keyword: its line, and what its braces hold.
    fn keyword(
        &mut self,
        block: &mut Node,
        keyword: &'static Keyword,
        head: Word,
        statement: &Statement,
    ) {
        let mut node = node(keyword, head);
        let line = match self.peek() {
            // There is enough to say about the braces.
            Some(Item::Open(_)) if matches!(keyword.body, Body::None) && is_alone(statement) => {
                None
            }
            Some(Item::Open(_)) => self.arguments(keyword, statement),
            _ if takes_only_a_block(keyword) => Some(node.line.clone()),
            _ => self.arguments(keyword, statement),
        };
        let sound = line.is_some();
        node.line = line.unwrap_or(node.line);
        node.line.span = statement.span();
        match (keyword.body, self.peek()) {
            (Body::None, Some(Item::Open(at))) => self.unexpected_block(keyword, *at),
            (Body::None, _) => {}
            (_, Some(Item::Open(_))) => {
                self.at += 1;
                self.body(&mut node, "");
            }
            _ => self.without_block(&mut node, statement),
        }
        match sound {
            true => fate::enter(block, node, &mut self.diagnostics),
            false => block.left_out.push(keyword.name),
        }
    }

    /// What follows a keyword on its line.
    fn arguments(&mut self, keyword: &'static Keyword, statement: &Statement) -> Option<Line> {
        let as_shell = keyword.form.params.iter().any(|p| quoted(&p.kind));
        let words = match as_shell {
            true => statement.quoted_words(),
            false => statement.words(),
        };
        let words = match words {
            Ok(words) => words,
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                return None;
            }
        };
        let mut words = words.get(1..).unwrap_or_default();
        if let (Some((last, rest)), false) =
            (words.split_last(), matches!(keyword.body, Body::None))
        {
            // Reported as what it is, once the brace is missed.
            if last.text == "{" || BRACKETS.iter().any(|(open, _)| *open == last.text) {
                words = rest;
            }
        }
        if let Some(sign) = words
            .first()
            .filter(|w| matches!(w.text.as_str(), "=" | ":"))
        {
            let message = format!("no `{}` stands behind a keyword", sign.text);
            self.diagnostics.push(
                Diagnostic::error("bad-value", sign.span, message)
                    .help("leave it out")
                    .tolerated(),
            );
            return None;
        }
        let (form, words) = choose(&keyword.form, keyword.others, words);
        let idle = self.is_idle(keyword);
        let mut reader = Reader {
            name: keyword.name,
            item: false,
            syntax: syntax(keyword.name, form),
            idle,
            default: match keyword.default {
                "needed" => "",
                default => default,
            },
            diagnostics: &mut self.diagnostics,
        };
        let line = reader.read(form, words, statement.span())?;
        match together::check(&line) {
            Some(wrong) => {
                self.diagnostics.push(wrong);
                None
            }
            None => Some(line),
        }
    }

    /// Whether a keyword is not carried out and can be done without.
    fn is_idle(&self, keyword: &Keyword) -> bool {
        let mut around = self.open.iter().map(|block| block.keyword.effect);
        let idle = |effect| effect != Effect::Works;
        let dispensable = !matches!(keyword.default, "" | "needed");
        dispensable && (idle(keyword.effect) || around.any(idle))
    }

    /// What a block's braces hold.
    pub(super) fn body(&mut self, node: &mut Node, closer: &'static str) {
        self.open.push(Opened {
            closer,
            keyword: node.keyword,
            head: node.line.span,
            indent: self.braces.indent(node.head.span),
        });
        match node.keyword.body {
            Body::None => {}
            Body::Block(_) => {
                self.keywords(node);
                fate::check_order(node, &mut self.diagnostics);
            }
            Body::Lines(_) | Body::List(_) => {
                self.items(node);
                // What has a name may be needed by it: the build knows.
                let named = !node.keyword.form.params.is_empty();
                if node.items.is_empty() && !node.damaged && !named {
                    self.empty(node);
                }
            }
        }
        self.open.pop();
    }

    /// Reads lines that are no keywords up to the end of the block.
    fn items(&mut self, block: &mut Node) {
        while let Some(item) = self.peek() {
            match item {
                Item::Close(at) => {
                    if self.closes(*at, block) {
                        return;
                    }
                }
                Item::Open(at) => self.stray(*at, block.keyword),
                Item::Statement(statement) => {
                    let ends = |w: Word| self.closes_oddly(&w) || self.ends_before(&w);
                    if statement.first().is_some_and(ends) {
                        return;
                    }
                    self.at += 1;
                    let before = block.items.len();
                    self.item(block, statement);
                    block.damaged |= block.items.len() == before;
                }
            }
        }
        self.unclosed_at_end(block);
    }

    /// A line of a block of lines, or of words.
    fn item(&mut self, block: &mut Node, statement: &Statement) {
        let words = match statement.words() {
            Ok(words) => words,
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                return;
            }
        };
        let name = block.keyword.name;
        match &block.keyword.body {
            Body::Lines([usual, others @ ..]) => {
                let (form, words) = choose(usual, others, &words);
                let mut reader = Reader {
                    name,
                    item: true,
                    syntax: syntax("", form),
                    idle: false,
                    default: "",
                    diagnostics: &mut self.diagnostics,
                };
                block
                    .items
                    .extend(reader.read(form, words, statement.span()));
            }
            Body::List(form) => {
                for word in &words {
                    let mut reader = Reader {
                        name,
                        item: true,
                        syntax: syntax("", form),
                        idle: false,
                        default: "",
                        diagnostics: &mut self.diagnostics,
                    };
                    let word = std::slice::from_ref(word);
                    let span = word.first().map(|w| w.span).unwrap_or_default();
                    block.items.extend(reader.read(form, word, span));
                }
            }
            _ => {}
        }
    }

    fn unknown(&mut self, block: &mut Node, word: &Word) {
        self.at += 1;
        let (diagnostic, meant) = unknown::unknown(block, word, self.diagnostics.len() < GUESSES);
        self.diagnostics.push(diagnostic);
        block.left_out.push(meant.unwrap_or(""));
        if matches!(self.peek(), Some(Item::Open(_))) {
            self.skip(block.keyword, word.span);
        }
    }
}

/// A keyword about which nothing is known yet.
fn node(keyword: &'static Keyword, head: Word) -> Node {
    let line = Line {
        form: &keyword.form,
        args: Vec::new(),
        options: Vec::new(),
        span: head.span,
    };
    Node {
        keyword,
        head,
        line,
        body: Vec::new(),
        items: Vec::new(),
        end: None,
        left_out: Vec::new(),
        damaged: false,
        unread: false,
    }
}

/// The form that the first word calls for, and the words without it.
fn choose<'w>(
    usual: &'static Form,
    others: &'static [Form],
    words: &'w [Word],
) -> (&'static Form, &'w [Word]) {
    match words.split_first() {
        Some((first, rest)) => match others.iter().find(|f| f.lead == first.text) {
            Some(form) => (form, rest),
            None => {
                let fits = |f: &&Form| {
                    let kind = f.params.first().map(|p| p.kind);
                    f.lead.is_empty() && kind.is_some_and(|k| k.read(&first.text).is_ok())
                };
                match fits(&usual) {
                    true => (usual, words),
                    false => (others.iter().find(fits).unwrap_or(usual), words),
                }
            }
        },
        None => (usual, words),
    }
}

/// Whether a line has nothing but its keyword.
fn is_alone(statement: &Statement) -> bool {
    !statement.text().contains(char::is_whitespace)
}

/// Whether lines with this are cut as a shell does.
fn quoted(kind: &Kind) -> bool {
    matches!(kind, Kind::Command { .. } | Kind::Quoted)
}
