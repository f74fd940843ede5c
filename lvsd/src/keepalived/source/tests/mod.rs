//! Whole files: what they say, and what is wrong with them.
//!
//! Unless something else is said, keepalived 2.2.7 understands the same files in the same way.

use super::super::diagnostic::Severity;
use super::super::host::FakeHost;
use super::*;

mod files;
mod language;
mod properties;

/// Reads one file with the configuration's ID `main`.
fn source(text: &str) -> Source {
    read_on(&FakeHost::default().with_file("/etc/k/k.conf", text))
}

/// Reads `/etc/k/k.conf`.
fn read_on(host: &FakeHost) -> Source {
    let options = Options {
        config_id: "main".to_owned(),
        ..Options::default()
    };
    read("/etc/k/k.conf".as_ref(), &options, host)
}

/// What was read, with one blank between statements and braces.
fn shown(source: &Source) -> String {
    let items: Vec<&str> = source
        .items
        .iter()
        .map(|item| match item {
            Item::Statement(statement) => statement.text(),
            Item::Open(_) => "{",
            Item::Close(_) => "}",
        })
        .collect();
    items.join("; ")
}

/// What is wrong: code, `?` of a warning, `~` of what keepalived tolerates, and the text it is about.
fn complaints(source: &Source) -> Vec<String> {
    source
        .diagnostics
        .iter()
        .map(|d| {
            let sign = match (d.severity, d.tolerated) {
                (Severity::Warning, _) => "?",
                (Severity::Error, true) => "~",
                (Severity::Error, false) => "",
            };
            let text = &source.files.get(d.span.file).unwrap().text;
            let line = text
                .lines()
                .nth(d.span.line as usize - 1)
                .unwrap_or_default();
            let at = &line[d.span.start as usize..d.span.end as usize];
            format!("{}{sign} {}:{at}", d.code, d.span.line)
        })
        .collect()
}

/// A file that is read without complaints.
#[track_caller]
fn says(text: &str, expected: &str) {
    let source = source(text);
    assert_eq!(complaints(&source), [""; 0], "{text}");
    assert_eq!(shown(&source), expected, "{text}");
}

/// A file about which one complaint is made.
#[track_caller]
fn wrong(text: &str, complaint: &str, expected: &str) {
    let source = source(text);
    assert_eq!(complaints(&source), [complaint], "{text}");
    assert_eq!(shown(&source), expected, "{text}");
}
