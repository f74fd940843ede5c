//! The reader: from files to statements.
//!
//! A logical line is a physical line without its comment, what stands behind a brace, a further line of a parameter's value, or a
//! round of a repetition. Each goes the same way: condition, definition, repetition, include, parameters, braces. What
//! a line calls for comes before the next line, so the sources of lines are a stack.
//!
//! | bound | for |
//! |---|---|
//! | [`MOST_LINES`] | lines that come of values and repetitions |
//! | [`MOST_ITEMS`] | what is read in all |
//! | [`MOST_SUBSTITUTED`], [`MOST_USES`] | bytes moved for parameters; parameters put into one line |
//! | [`DEEPEST`], [`MOST_FILES`], [`MOST_BYTES`] | files inside each other; files opened; what is in them |

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::vec;

use super::super::diagnostic::Diagnostic;
use super::super::host::Host;
use super::super::place::{FileId, Span};
use super::condition::condition;
use super::include::include;
use super::line::physical;
use super::parameter::{self, Definition, Definitions, Random};
use super::repeat::{self, Repetition};
use super::text::{Text, trim};
use super::{IncludeCheck, Item, Options, Source, Statement};
use values::{Pending, Substituted};

mod files;
mod rounds;
mod values;

/// Lines that come of values and repetitions.
const MOST_LINES: u64 = 1_000_000;
/// Statements and braces.
const MOST_ITEMS: usize = 2_000_000;
/// Bytes moved to put parameters into lines.
const MOST_SUBSTITUTED: usize = 1 << 30;
/// Parameters put into one line, one after the other.
const MOST_USES: usize = 500;
/// Files inside each other.
const DEEPEST: usize = 32;
/// Files opened, one after the other.
const MOST_FILES: usize = 10_000;
/// Bytes in all of them: a hundred thousand servers. What is made of them takes many times as much, in a director that has
/// connections to keep.
const MOST_BYTES: usize = 16 << 20;

/// Reads a file and what it includes.
pub(super) fn read(path: &Path, options: &Options, host: &dyn Host) -> Source {
    let mut reader = Reader {
        host,
        options,
        source: Source::default(),
        frames: Vec::new(),
        definitions: Definitions::new(),
        pending: None,
        check: options.include_check,
        random: None,
        settings: Settings::default(),
        spent: Spent::default(),
        said: HashSet::new(),
    };
    reader.main_file(path);
    while let Some(line) = reader.next() {
        reader.line(line);
    }
    reader.finish()
}

struct Reader<'a> {
    host: &'a dyn Host,
    options: &'a Options,
    source: Source,
    frames: Vec<Frame>,
    definitions: Definitions,
    /// A definition whose value goes on with the next line.
    pending: Option<Pending>,
    check: IncludeCheck,
    random: Option<Random>,
    settings: Settings,
    spent: Spent,
    /// What has been said, and where: a repetition says it once.
    said: HashSet<(&'static str, Span)>,
}

/// Where lines come from.
enum Frame {
    File {
        file: FileId,
        /// Where it really is, to notice that it includes itself.
        canonical: PathBuf,
        /// What relative names in it are relative to.
        folder: PathBuf,
        at: usize,
        line: u32,
        /// What is checked in the file that includes it.
        check: IncludeCheck,
    },
    /// What an include has found and is still to be read.
    Include {
        paths: vec::IntoIter<PathBuf>,
        strict: bool,
        span: Span,
    },
    /// What stands behind a statement or brace.
    Rest { text: Text, from: usize },
    /// A parameter's value, from its second line on.
    Value {
        definition: Rc<Definition>,
        next: usize,
        used: Span,
    },
    Repeat {
        repetition: Repetition,
        rest: Text,
        head: Span,
        /// Only its first round is read, since it leaves blocks open.
        cut: bool,
    },
}

struct Line {
    text: Text,
    /// What is before that has been dealt with.
    from: usize,
    /// It is a physical line.
    physical: bool,
    /// Its comment ends with a backslash.
    continued: bool,
    /// How many parameters have been put in.
    uses: usize,
}

impl Line {
    fn new(text: Text) -> Self {
        Self {
            text,
            from: 0,
            physical: false,
            continued: false,
            uses: 0,
        }
    }

    /// What is still to be dealt with.
    fn rest(&self) -> &str {
        self.text.as_str().get(self.from..).unwrap_or_default()
    }

    /// Where its next bytes come from.
    fn span(&self, len: usize) -> Span {
        self.text.span(self.from..self.from + len)
    }
}

/// How much has been used of what is bounded.
#[derive(Default)]
struct Spent {
    lines: u64,
    substituted: usize,
    files: usize,
    bytes: usize,
}

/// Where in the blocks the reader is, as far as that changes how it reads on.
#[derive(Default)]
struct Settings {
    depth: usize,
    /// The block begun by the last statement, or to be begun, is `global_defs`.
    global: bool,
}

impl Reader<'_> {
    fn complain(&mut self, diagnostic: Diagnostic) {
        if self.said.insert((diagnostic.code, diagnostic.span)) {
            self.source.diagnostics.push(diagnostic);
        }
    }

    /// Complains, and stops reading.
    fn give_up(&mut self, span: Span, what: &str) {
        let message = format!("{what}: the rest is not read");
        self.complain(Diagnostic::error("too-much", span, message));
        self.frames.clear();
        self.pending = None;
    }

    fn finish(mut self) -> Source {
        self.finish_definition();
        if self.source.items.is_empty() && self.source.diagnostics.is_empty() {
            let span = files::beginning(FileId(0));
            let message = "the file says nothing";
            let help = format!(
                "keepalived would run without doing anything. Lines beginning with `@` count if `{}` follows",
                self.options.config_id
            );
            self.complain(
                Diagnostic::error("empty-file", span, message)
                    .help(help)
                    .tolerated(),
            );
        }
        self.source
    }

    /// The next line to be looked at.
    fn next(&mut self) -> Option<Line> {
        loop {
            let line = match self.frames.last_mut()? {
                Frame::File { .. } => self.next_physical(),
                Frame::Include { .. } => {
                    self.next_file();
                    continue;
                }
                Frame::Rest { text, from } => {
                    let line = Line {
                        from: *from,
                        ..Line::new(std::mem::take(text))
                    };
                    self.frames.pop();
                    return Some(line);
                }
                Frame::Value {
                    definition,
                    next,
                    used,
                } => {
                    let line = definition.lines.get(*next);
                    *next += 1;
                    line.map(|line| Line::new(Text::standing_for(line, *used)))
                }
                Frame::Repeat { .. } => self.next_round(),
            };
            match line {
                Some(line) if line.physical => return Some(line),
                Some(line) if self.spent.lines < MOST_LINES => {
                    self.spent.lines += 1;
                    return Some(line);
                }
                Some(line) => {
                    let what =
                        format!("more than {MOST_LINES} lines come of parameters and repetitions");
                    self.give_up(line.text.whole(), &what);
                }
                None => {
                    if let Some(Frame::File { check, .. }) = self.frames.pop() {
                        self.check = check;
                        self.finish_definition();
                    }
                }
            }
        }
    }

    /// The next line of the file on top.
    fn next_physical(&mut self) -> Option<Line> {
        let Some(Frame::File { file, at, line, .. }) = self.frames.last_mut() else {
            return None;
        };
        let rest = self.source.files.get(*file)?.text.get(*at..)?;
        let text = rest.split_inclusive('\n').next()?;
        *at += text.len();
        *line += 1;
        let text = text.trim_end_matches(['\r', '\n']);
        let mut complaints = Vec::new();
        let found = physical(*file, *line, text, &mut |d| complaints.push(d));
        complaints.into_iter().for_each(|d| self.complain(d));
        Some(Line {
            physical: true,
            continued: found.continued,
            ..Line::new(found.text)
        })
    }

    /// Does what a line says.
    fn line(&mut self, mut line: Line) {
        if self.pending.is_some() {
            return self.further_value(&line);
        }
        let mut conditional = false;
        let mut direct = line.physical;
        loop {
            let all = line.text.as_str();
            line.from = trim(all, line.from..all.len()).start;
            let rest = all.get(line.from..).unwrap_or_default();
            match rest.bytes().next() {
                None => return,
                Some(b'@') if !conditional => {
                    let Some(found) = condition(rest, &self.options.config_id) else {
                        return;
                    };
                    let span = line.span(found.len);
                    if found.id.is_empty() {
                        self.complain(
                            Diagnostic::warning(
                                "empty-condition",
                                span,
                                "a condition without a name",
                            )
                            .help("write it as `@ID` or `@^ID`, without a blank"),
                        );
                    }
                    if !found.holds {
                        return;
                    }
                    line.from += found.len;
                    conditional = true;
                    direct = false;
                    continue;
                }
                Some(b'@') => {
                    let span = line.span(1);
                    self.complain(
                        Diagnostic::error(
                            "second-condition",
                            span,
                            "a line has only one condition",
                        )
                        .label("keepalived takes this for a keyword")
                        .help("set a parameter on conditional lines, and use it here")
                        .tolerated(),
                    );
                    return;
                }
                Some(b'$') => {
                    if let Some(found) = parameter::defines(rest) {
                        let (name, len) = (found.name.to_owned(), found.len);
                        return self.define(&line, name, len);
                    }
                }
                Some(b'~') => {
                    if self.repetition(&line) {
                        return;
                    }
                }
                Some(b'i') => {
                    if let Some(found) = include(rest) {
                        return self.include(line, &found, direct);
                    }
                }
                Some(brace @ (b'{' | b'}')) => {
                    self.brace(brace == b'{', line.span(1));
                    let from = line.from + 1;
                    return self.frames.push(Frame::Rest {
                        text: line.text,
                        from,
                    });
                }
                Some(_) => {}
            }
            match self.substitute(&mut line, true) {
                Substituted::AtStart => {
                    direct = false;
                    conditional = false;
                }
                Substituted::Up(to) => return self.statement(line, to),
            }
        }
    }

    /// What stands before the next brace, or the end of the line.
    fn statement(&mut self, line: Line, to: usize) {
        let Line { text, from, .. } = line;
        let range = trim(text.as_str(), from..to);
        let words = text.as_str().get(range.clone()).unwrap_or_default();
        if words.contains('~')
            && let Some(at) = repeat::misplaced(words)
        {
            let span = text.span(range.start + at.start..range.start + at.end);
            self.complain(
                Diagnostic::error("misplaced-repetition", span, "a repetition in mid-line")
                    .label("taken as it is")
                    .help("a repetition must be the first thing on its line")
                    .tolerated(),
            );
        }
        if words.ends_with('\\') && to == text.len() {
            let span = text.span(range.end - 1..range.end);
            self.complain(
                Diagnostic::error(
                    "stray-backslash",
                    span,
                    "lines do not continue on the next one",
                )
                .label("keepalived takes this for a part of the line")
                .help("only the value of a parameter may go on: `$NAME=first line \\`")
                .tolerated(),
            );
        }
        self.setting(words);
        let whole = range == (0..text.len());
        if whole {
            self.item(Item::Statement(Statement::new(text)), Span::default());
            return;
        }
        if !range.is_empty() {
            let span = text.span(range.clone());
            self.item(Item::Statement(Statement::new(text.slice(range))), span);
        }
        if to < text.len() {
            self.frames.push(Frame::Rest { text, from: to });
        }
    }

    fn brace(&mut self, open: bool, span: Span) {
        if open {
            self.settings.depth += 1;
            self.item(Item::Open(span), span);
        } else {
            self.settings.depth = self.settings.depth.saturating_sub(1);
            self.item(Item::Close(span), span);
        }
    }

    fn item(&mut self, item: Item, span: Span) {
        self.source.items.push(item);
        if self.source.items.len() >= MOST_ITEMS {
            self.give_up(span, &format!("more than {MOST_ITEMS} statements"));
        }
    }

    /// Obeys the keywords that change how the rest is read.
    fn setting(&mut self, words: &str) {
        let mut words = words.split_ascii_whitespace();
        let first = words.next();
        match (self.settings.depth, first) {
            (0, Some(first)) => self.settings.global = first == "global_defs",
            (1, Some("include_check")) if self.settings.global => {
                self.check = self.check.changed(words);
            }
            (1, Some("random_seed")) if self.settings.global => {
                if let Some(seed) = words.next().and_then(|w| w.parse().ok()) {
                    self.random = Some(Random(seed));
                }
            }
            _ => {}
        }
    }
}

/// How many more braces are opened than closed, outside of quotes.
fn balance(text: &str) -> i64 {
    let (mut balance, mut quoted) = (0, false);
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'{' if !quoted => balance += 1,
            b'}' if !quoted => balance -= 1,
            _ => {}
        }
    }
    balance
}
