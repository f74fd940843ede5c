//! Diagnostics as text for people, in the manner of rustc.

use std::fmt::Write as _;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Severity};
use crate::arguments::printable;
use crate::keepalived::place::{Files, Span};

/// Nobody reads more.
const MOST_SHOWN: usize = 1000;

/// The diagnostics as text: each with its place, its line with the word in question underlined, and what to write instead.
/// Nothing in it is more to a terminal than text, but for colours if they are wanted.
pub fn render(diagnostics: &[Diagnostic], files: &Files, colours: bool) -> String {
    let renderer = match colours {
        true => Renderer::styled(),
        false => Renderer::plain(),
    };
    let mut text = String::new();
    for diagnostic in diagnostics.iter().take(MOST_SHOWN) {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{}\n", report(diagnostic, files, &renderer));
    }
    if let Some(more @ 1..) = diagnostics.len().checked_sub(MOST_SHOWN) {
        let _ = writeln!(text, "and {more} more\n");
    }
    text
}

fn report(diagnostic: &Diagnostic, files: &Files, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(printable(&diagnostic.message))
        .id(diagnostic.code);
    let mut group = Group::with_title(title);
    // Places on one line share its excerpt; the renderer joins lines of one source only.
    let mut rest: Vec<(Span, &str, bool)> = vec![(diagnostic.span, &diagnostic.label, true)];
    let also = diagnostic.also.iter();
    rest.extend(also.map(|(span, label)| (*span, label.as_str(), false)));
    while let Some(&(first, _, _)) = rest.first() {
        let line = (first.file, first.line);
        let (here, others): (Vec<_>, _) = rest
            .into_iter()
            .partition(|(s, _, _)| (s.file, s.line) == line);
        rest = others;
        if let Some(snippet) = excerpt(&here, files) {
            group = group.element(snippet);
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(printable(help)));
    }
    renderer.render(&[group])
}

/// The line that these places are on, unless there is none: of a file that could not be read, only the name is shown.
fn excerpt<'a>(
    places: &[(Span, &'a str, bool)],
    files: &Files,
) -> Option<Snippet<'a, Annotation<'a>>> {
    let (first, _, _) = places.first()?;
    let file = files.get(first.file)?;
    let number = usize::try_from(first.line).ok()?.max(1);
    let shown = Shown::of(file.line(first.line));
    let mut snippet = Snippet::source(shown.text.clone())
        .line_start(number)
        .path(printable(&file.path.display().to_string()));
    for (span, label, primary) in places {
        let kind = match primary {
            true => AnnotationKind::Primary,
            false => AnnotationKind::Context,
        };
        let start = shown.place(span.start);
        let annotation = kind.span(start..shown.place(span.end).max(start));
        snippet = snippet.annotation(match label {
            &"" => annotation,
            label => annotation.label(printable(label)),
        });
    }
    Some(snippet)
}

/// A line with everything that a terminal could take for more than text escaped.
struct Shown {
    text: String,
    /// Where each byte of the line has gone, where that is not where it was.
    moved: Vec<(usize, usize)>,
}

impl Shown {
    fn of(line: &str) -> Self {
        let mut shown = Self {
            text: String::new(),
            moved: Vec::new(),
        };
        for (place, c) in line.char_indices() {
            match c {
                '\t' => shown.text.push('\t'), // the renderer knows it
                c if c.is_control() => {
                    shown.text.extend(c.escape_default());
                    shown.moved.push((place + c.len_utf8(), shown.text.len()));
                }
                c => shown.text.push(c),
            }
        }
        shown
    }

    /// Where this byte of the line is now, on a character's border and within the line.
    fn place(&self, byte: u32) -> usize {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        let known = self.moved.partition_point(|(from, _)| *from <= byte);
        let (from, to) = match known.checked_sub(1) {
            Some(i) => self.moved[i],
            None => (0, 0),
        };
        let mut place = (to + byte.saturating_sub(from)).min(self.text.len());
        while !self.text.is_char_boundary(place) {
            place -= 1;
        }
        place
    }
}
