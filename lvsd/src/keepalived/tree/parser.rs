//! Lines and braces to nodes.

use super::super::diagnostic::Diagnostic;
use super::super::keywords::{Body, Form, Keyword, Kind, WHOLE, syntax};
use super::super::place::{Files, Span, Word};
use super::super::source::{Item, Source, Statement};
use super::braces::{Braces, span};
use super::line::Reader;
use super::{Line, Node, fate, together, unknown};

/// Makes a tree of what was read: the whole file as a block ([`WHOLE`]), and what is wrong with it, but for what reading found.
pub fn parse(source: &Source) -> (Node, Vec<Diagnostic>) {
    let mut parser = Parser {
        items: &source.items,
        at: 0,
        files: &source.files,
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

struct Parser<'a> {
    items: &'a [Item],
    at: usize,
    files: &'a Files,
    braces: Braces,
    /// The blocks around the present line, without the file as a whole.
    open: Vec<Opened>,
    diagnostics: Vec<Diagnostic>,
}

/// A block that is open.
#[derive(Clone, Copy)]
struct Opened {
    keyword: &'static Keyword,
    head: Span,
    indent: usize,
    /// What stands where the closing brace should; empty: nothing.
    closer: &'static str,
}

/// Brackets that are taken for braces.
const BRACKETS: [(&str, &str); 3] = [("(", ")"), ("[", "]"), ("\u{ff5b}", "\u{ff5d}")];

/// What a closing brace does.
enum Closing {
    /// It closes the present block.
    This,
    /// It closes a block around it: the present one's own is missing.
    Outer,
    /// It is too many.
    Nothing,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Item> {
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
        let line = self.arguments(keyword, statement);
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
        let mut reader = Reader {
            name: keyword.name,
            item: false,
            syntax: syntax(keyword.name, form),
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

    /// What a block's braces hold.
    fn body(&mut self, node: &mut Node, closer: &'static str) {
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

    /// Deals with a closing brace; whether the present block ends.
    fn closes(&mut self, at: Span, block: &mut Node) -> bool {
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
        if self.braces.missing + self.braces.surplus == 0 || !self.braces.leads(at, self.files) {
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
    fn ends_before(&mut self, word: &Word) -> bool {
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
    fn goes_on_with_last(&mut self, block: &mut Node, word: &Word) -> bool {
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
    fn unclosed_at_end(&mut self, block: &Node) {
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

    fn unknown(&mut self, block: &mut Node, word: &Word) {
        self.at += 1;
        let (diagnostic, meant) = unknown::unknown(block, word);
        self.diagnostics.push(diagnostic);
        block.left_out.push(meant.unwrap_or(""));
        if matches!(self.peek(), Some(Item::Open(_))) {
            self.skip(block.keyword, word.span);
        }
    }

    fn unexpected_block(&mut self, keyword: &'static Keyword, at: Span) {
        let message = format!("`{}` is no block", keyword.name);
        self.diagnostics.push(
            Diagnostic::error("unexpected-block", at, message)
                .label("everything up to its closing brace is ignored")
                .tolerated(),
        );
        self.skip(keyword, at);
    }

    /// An opening brace without a keyword before it.
    fn stray(&mut self, at: Span, block: &'static Keyword) {
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
    fn without_block(&mut self, node: &mut Node, statement: &Statement) {
        let last = statement.text().rsplit(char::is_whitespace).next();
        let bracket = BRACKETS.iter().find(|(open, _)| last == Some(*open));
        let brace = matches!(last, Some("\"{\"" | "'{'"));
        let message = format!("`{}` wants a block", node.keyword.name);
        let wrong = Diagnostic::error("missing-block", node.line.span, message);
        let help = match (bracket, node.keyword.body) {
            (Some((open, _)), _) => format!("write `{{` instead of `{open}`"),
            _ if brace => "write the brace without quotes".to_owned(),
            (None, Body::Block(_)) => {
                format!("write `{} {{ }}` if it has nothing to say", node.head.text)
            }
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
    fn closes_oddly(&mut self, word: &Word) -> bool {
        let closes = self
            .open
            .last()
            .is_some_and(|b| !b.closer.is_empty() && b.closer == word.text);
        if closes {
            self.at += 1;
        }
        closes
    }

    fn empty(&mut self, node: &Node) {
        let message = format!("`{}` is empty", node.head.text);
        let wrong = Diagnostic::warning("empty-block", node.line.span, message);
        self.diagnostics
            .push(wrong.help("leave it out, or put something between its braces"));
    }

    /// Skips from an opening brace to the closing one that belongs to it. If closing braces are missing, a line that is not
    /// indented and belongs to the block around ends it too.
    fn skip(&mut self, around: &'static Keyword, head: Span) {
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

/// Whether lines with this are cut as a shell does.
fn quoted(kind: &Kind) -> bool {
    matches!(kind, Kind::Command { .. } | Kind::Quoted)
}
