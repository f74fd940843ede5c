//! Files: the first one, and those that are included.

use std::path::{Path, PathBuf};

use super::super::super::diagnostic::Diagnostic;
use super::super::super::place::{FileId, Span};
use super::super::include::{self, Include};
use super::super::line::LONGEST;
use super::super::pattern;
use super::super::text::trim;
use super::{DEEPEST, Frame, Line, MOST_BYTES, MOST_FILES, Reader, Substituted};

/// The beginning of a file.
pub(super) fn beginning(file: FileId) -> Span {
    Span {
        file,
        line: 1,
        ..Span::default()
    }
}

/// Why a file is not read.
struct Refused {
    code: &'static str,
    message: String,
    help: Option<&'static str>,
}

impl Refused {
    fn new(code: &'static str, message: String) -> Self {
        Self {
            code,
            message,
            help: None,
        }
    }

    fn at(self, span: Span) -> Diagnostic {
        let diagnostic = Diagnostic::error(self.code, span, self.message);
        match self.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }
}

impl Reader<'_> {
    /// Opens the file asked for.
    pub(super) fn main_file(&mut self, path: &Path) {
        let refused = match self.look(path) {
            Ok(()) => self.open(path).err(),
            Err(refused) if refused.code == EXECUTABLE => {
                let opened = self.open(path);
                if opened.is_ok() {
                    // As far as it can be read, all of it is checked.
                    self.complain(refused.at(beginning(FileId(0))).tolerated());
                }
                opened.err()
            }
            Err(refused) => Some(refused),
        };
        if let Some(refused) = refused {
            let file = self.source.files.add(path.to_owned(), String::new());
            self.complain(refused.at(beginning(file)));
        }
    }

    /// Looks for the files of an include line.
    pub(super) fn include(&mut self, mut line: Line, found: &Include, direct: bool) {
        if line.text.len() > LONGEST {
            return;
        }
        let keyword = line.span(KEYWORD.len());
        let start = line.from + found.pattern;
        line.from = start;
        while let Substituted::AtStart = self.substitute(&mut line, false) {}
        let text = line.text.as_str();
        let range = trim(text, start..text.len());
        let pattern = text.get(range.clone()).unwrap_or_default().to_owned();
        if pattern.is_empty() {
            let message = "an include without a file";
            let help = "write a file's name or a pattern behind it";
            return self.complain(
                Diagnostic::error("include-without-file", keyword, message)
                    .help(help)
                    .tolerated(),
            );
        }
        let span = line.text.span(range);
        if !direct {
            let message = "this include is not the first word of its line";
            self.complain(
                Diagnostic::warning("include-not-first", keyword, message)
                    .label("not every version of keepalived takes it for one")
                    .help("put it on a line of its own; conditions can stand in the included file"),
            );
        }
        let check = self.check.or(found.check);
        let Some(matched) = include::find(&self.folder(), &pattern, self.host) else {
            let message = "the braces have too many alternatives";
            return self.complain(Diagnostic::error("too-much", span, message));
        };
        let wild = pattern::is_wild(&pattern);
        let partly = !matched.paths.is_empty();
        let strict = match (partly, wild) {
            (true, _) => check.brace,
            (false, true) => check.wildcard || (check.brace && matched.alternatives > 1),
            (false, false) => check.matching || (check.brace && matched.alternatives > 1),
        };
        if !matched.missing.is_empty() {
            let message = match matched.alternatives {
                1 => format!("nothing matches `{pattern}`"),
                _ => format!("nothing matches `{}`", matched.missing.join("`, `")),
            };
            let code = "include-matches-nothing";
            let diagnostic = match (strict, partly || wild) {
                (true, _) => Diagnostic::error(code, span, message),
                (false, false) => Diagnostic::error(code, span, message).tolerated(),
                (false, true) => Diagnostic::warning(code, span, message),
            };
            self.complain(match advice(&pattern) {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            });
        }
        self.frames.push(Frame::Include {
            paths: matched.paths.into_iter(),
            strict: check.read,
            span,
        });
    }

    /// Opens the next of the files that the include on top has found.
    pub(super) fn next_file(&mut self) {
        let Some(Frame::Include {
            paths,
            strict,
            span,
        }) = self.frames.last_mut()
        else {
            return;
        };
        let (strict, span) = (*strict, *span);
        let Some(path) = paths.next() else {
            self.frames.pop();
            return;
        };
        let opened = self.look(&path).and_then(|()| {
            if self.spent.files > MOST_FILES || self.spent.bytes > MOST_BYTES {
                return Err(Refused::new(
                    TOO_MUCH,
                    "too many files are included".to_owned(),
                ));
            }
            self.open(&path)
        });
        if let Err(refused) = opened {
            let passes = !strict && refused.code != TOO_MUCH && refused.code != LOOP;
            let stop = refused.code == TOO_MUCH;
            let diagnostic = refused.at(span).label("not read");
            self.complain(if passes {
                diagnostic.tolerated()
            } else {
                diagnostic
            });
            if stop {
                self.frames.clear();
            }
        }
    }

    /// Whether a path leads to a file that keepalived would read.
    fn look(&self, path: &Path) -> Result<(), Refused> {
        let name = path.display();
        let stat = self
            .host
            .stat(path)
            .map_err(|e| Refused::new("missing-file", format!("{name} cannot be opened: {e}")))?;
        if stat.folder {
            return Err(Refused::new("not-a-file", format!("{name} is a folder")));
        }
        if !stat.file {
            let message = format!("{name} is no regular file");
            return Err(Refused::new("not-a-file", message));
        }
        if stat.mode & 0o111 != 0 {
            return Err(Refused {
                help: Some("keepalived skips files that can be executed: `chmod -x`"),
                ..Refused::new(EXECUTABLE, format!("{name} is executable"))
            });
        }
        Ok(())
    }

    /// Reads a file, so that its lines come next.
    fn open(&mut self, path: &Path) -> Result<(), Refused> {
        let name = path.display();
        let canonical = self
            .host
            .canonical(path)
            .unwrap_or_else(|_| path.to_owned());
        let mut depth = 0;
        for frame in &self.frames {
            if let Frame::File {
                canonical: open, ..
            } = frame
            {
                depth += 1;
                if *open == canonical {
                    return Err(Refused::new(LOOP, format!("{name} includes itself")));
                }
            }
        }
        if depth >= DEEPEST {
            let message = format!("more than {DEEPEST} files include each other");
            return Err(Refused::new(TOO_MUCH, message));
        }
        let bytes = self
            .host
            .read(path, MOST_BYTES.saturating_sub(self.spent.bytes))
            .map_err(|e| Refused::new("unreadable-file", format!("{name} cannot be read: {e}")))?;
        self.spent.files += 1;
        self.spent.bytes = self.spent.bytes.saturating_add(bytes.len());
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Err(Refused {
                help: Some("save it in UTF-8"),
                ..Refused::new("not-utf-8", format!("{name} is in UTF-16"))
            });
        }
        let (marked, text) = match bytes.strip_prefix("\u{feff}".as_bytes()) {
            Some(rest) => (true, String::from_utf8_lossy(rest)),
            None => (false, String::from_utf8_lossy(&bytes)),
        };
        let odd_ends = text.contains('\r') && !text.contains('\n');
        let file = self.source.files.add(path.to_owned(), text.into_owned());
        if marked {
            let message = "the file begins with a byte order mark";
            self.complain(
                Diagnostic::error("byte-order-mark", beginning(file), message)
                    .label("keepalived takes it for a part of the first word")
                    .help("save the file without it")
                    .tolerated(),
            );
        }
        if odd_ends {
            let message = "the file's lines end with carriage returns alone";
            self.complain(
                Diagnostic::error("line-ends", beginning(file), message)
                    .label("so all of it is one line")
                    .tolerated(),
            );
        }
        self.frames.push(Frame::File {
            file,
            canonical,
            folder: path.parent().map(Path::to_owned).unwrap_or_default(),
            at: 0,
            line: 0,
            check: self.check,
        });
        Ok(())
    }

    /// What relative names are relative to.
    pub(super) fn folder(&self) -> PathBuf {
        let folder = self.frames.iter().rev().find_map(|frame| match frame {
            Frame::File { folder, .. } => Some(folder.clone()),
            _ => None,
        });
        folder.unwrap_or_default()
    }
}

const KEYWORD: &str = "include";
const EXECUTABLE: &str = "executable-file";
const LOOP: &str = "include-loop";
const TOO_MUCH: &str = "too-much";

/// What may be wrong with a pattern that matches nothing.
fn advice(pattern: &str) -> Option<&'static str> {
    if super::balance(pattern) != 0 {
        Some("an include takes the rest of its line, braces as well")
    } else if pattern.contains(['"', '\'']) {
        Some("quotes are taken for a part of the name")
    } else if pattern.contains(' ') {
        Some("an include takes one name or pattern; blanks are a part of it")
    } else {
        None
    }
}
