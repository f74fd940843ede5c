//! Configuration files are written by people, and by programs that people wrote.

use lvsd::keepalived::host::FakeHost;
use lvsd::keepalived::place::Span;
use lvsd::keepalived::source::{self, Item, Options, Source, Statement};
use lvsd::keepalived::tree;

/// Reads a configuration, and makes a tree of it. Behind each line `%% NAME` begins another file, which the first may include.
pub fn config(input: &[u8]) {
    let mut host = FakeHost::default().with_environment("NAME", "value");
    let (mut name, mut content) = ("keepalived.conf".to_owned(), Vec::new());
    for line in input.split_inclusive(|b| *b == b'\n') {
        if let Some(next) = line.strip_prefix(b"%% ") {
            host = host.with_file(format!("/k/{name}"), &content);
            name = String::from_utf8_lossy(next.trim_ascii()).into_owned();
            content.clear();
        } else {
            content.extend_from_slice(line);
        }
    }
    let host = host.with_file(format!("/k/{name}"), &content);
    let options = Options {
        config_id: "main".to_owned(),
        ..Options::default()
    };
    let source = source::read("/k/keepalived.conf".as_ref(), &options, &host);
    assert!(!source.items.is_empty() || !source.diagnostics.is_empty());
    for item in &source.items {
        match item {
            Item::Open(span) | Item::Close(span) => is_there(&source, *span),
            Item::Statement(statement) => look(&source, statement),
        }
    }
    let (_, of_tree) = tree::parse(&source);
    for diagnostic in source.diagnostics.iter().chain(&of_tree) {
        is_there(&source, diagnostic.span);
        for (span, _) in &diagnostic.also {
            is_there(&source, *span);
        }
    }
}

fn look(source: &Source, statement: &Statement) {
    is_there(source, statement.span());
    assert!(statement.first().is_some());
    for words in [statement.words(), statement.quoted_words()] {
        match words {
            Ok(words) => words.iter().for_each(|word| is_there(source, word.span)),
            Err(diagnostic) => is_there(source, diagnostic.span),
        }
    }
    // Refused or not: it must not panic.
    drop(source::split_command(statement.text()));
}

/// A place lies within its line.
fn is_there(source: &Source, span: Span) {
    let place = source.files.get(span.file).and_then(|file| {
        let line = file.text.split('\n').nth(span.line as usize - 1)?;
        line.get(span.start as usize..span.end as usize)
    });
    assert!(place.is_some(), "{span:?} is nowhere");
}
