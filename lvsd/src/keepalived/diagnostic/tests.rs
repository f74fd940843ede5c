use std::path::PathBuf;

use super::*;
use crate::keepalived::place::{FileId, Files};

fn span(line: u32, start: u32, end: u32) -> Span {
    Span {
        file: FileId(0),
        line,
        start,
        end,
    }
}

fn files(text: &str) -> Files {
    let mut files = Files::default();
    files.add(PathBuf::from("/etc/keepalived.conf"), text.to_owned());
    files
}

#[test]
fn it_looks_like_a_compiler() {
    let files = files("global_defs {\n\trouter_ip lb1\n}\n");
    let wrong = Diagnostic::error("unknown-keyword", span(2, 1, 10), "there is no `router_ip`")
        .label("not known here")
        .also(span(1, 0, 11), "in this block")
        .help("did you mean `router_id`?");
    assert_eq!(
        render(&[wrong], &files, false),
        "\
error[unknown-keyword]: there is no `router_ip`
 --> /etc/keepalived.conf:2:2
  |
2 |     router_ip lb1
  |     ^^^^^^^^^ not known here
  |
 ::: /etc/keepalived.conf:1:1
  |
1 | global_defs {
  | ----------- in this block
  |
  = help: did you mean `router_id`?

"
    );
}

#[test]
fn nothing_but_text_reaches_the_terminal() {
    let files = files("a\x1b[2Jb \u{e9}x\x07y\n");
    // The place of `x`, behind an escape sequence and an umlaut.
    let wrong = Diagnostic::warning("code", span(1, 9, 10), "m\x1b[1m").label("l\x07");
    let text = render(&[wrong], &files, false);
    let is_text = |c: char| !c.is_control() || c == '\n';
    assert!(text.chars().all(is_text), "{text:?}");
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.iter().position(|l| l.starts_with("1 |")).unwrap();
    let column = |line: &str, c| line.chars().position(|x| x == c);
    assert_eq!(
        column(lines[shown], 'x'),
        column(lines[shown + 1], '^'),
        "{text}"
    );
}

/// Whatever a place is, it is shown.
#[test]
fn places_beyond_the_file_do_no_harm() {
    let files = files("\u{20ac}uro");
    for (line, start, end) in [(0, 0, 0), (1, 1, 2), (1, 90, 99), (7, 0, 3), (1, 3, 0)] {
        let wrong = Diagnostic::error("code", span(line, start, end), "wrong");
        assert!(render(&[wrong], &files, true).contains("wrong"));
    }
    let nowhere = Span {
        file: FileId(9),
        ..span(1, 0, 1)
    };
    let wrong = Diagnostic::error("code", nowhere, "wrong");
    assert!(render(&[wrong], &files, false).contains("wrong"));
}

#[test]
fn columns_for_machines_count_characters() {
    let files = files("\u{e9}\u{e9} bad\n");
    let wrong = [
        Diagnostic::error("a-code", span(1, 5, 8), "bad").tolerated(),
        Diagnostic::warning("b-code", span(1, 0, 4), "odd").also(span(1, 5, 8), "here"),
    ];
    let report = Report::new(&wrong, &files);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((report.errors, report.warnings), (1, 1));
    let first = &json["diagnostics"][0];
    assert_eq!(
        (&first["column"], &first["end_column"], &first["line"]),
        (&4.into(), &7.into(), &1.into())
    );
    assert_eq!(first["tolerated"], true);
    assert_eq!(json["diagnostics"][1]["also"][0]["column"], 4);
    assert_eq!(json["diagnostics"][1]["severity"], "warning");
}
