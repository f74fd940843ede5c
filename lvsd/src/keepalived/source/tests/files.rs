//! Several files, and none.

use super::super::super::place::FileId;
use super::*;

fn host(files: &[(&str, &str)]) -> FakeHost {
    files
        .iter()
        .fold(FakeHost::default(), |host, (path, text)| {
            host.with_file(path, text)
        })
}

#[track_caller]
fn reads(host: &FakeHost, wrong: &[&str], expected: &str) {
    let source = read_on(host);
    assert_eq!(complaints(&source), wrong);
    assert_eq!(shown(&source), expected);
}

#[test]
fn files_that_say_nothing() {
    for (host, code) in [
        (host(&[]), "missing-file"),
        (host(&[("/etc/k/k.conf", "")]), "empty-file~"),
        (host(&[("/etc/k/k.conf", "# a\n\n")]), "empty-file~"),
        (host(&[("/etc/k/k.conf", "@other a")]), "empty-file~"),
        (
            FakeHost::default().with_folder("/etc/k/k.conf"),
            "not-a-file",
        ),
        (
            FakeHost::default().with_unreadable("/etc/k/k.conf"),
            "unreadable-file",
        ),
        (
            FakeHost::default().with_file("/etc/k/k.conf", b"\xff\xfea\0"),
            "not-utf-8",
        ),
    ] {
        let source = read_on(&host);
        assert_eq!(complaints(&source), [format!("{code} 1:")]);
        assert!(source.items.is_empty());
        let first = source.files.iter().next().unwrap();
        assert_eq!(first.path.to_str(), Some("/etc/k/k.conf"));
    }
    let executable = host(&[("/etc/k/k.conf", "a")]).with_mode("/etc/k/k.conf", 0o755, 0, 0);
    reads(&executable, &["executable-file~ 1:"], "a");
}

#[test]
fn included_files_come_where_they_are_included() {
    let files = host(&[
        (
            "/etc/k/k.conf",
            "a\ninclude d/*.conf # all\nb { include e.conf\n}\n",
        ),
        ("/etc/k/d/2.conf", "two {\n"),
        ("/etc/k/d/1.conf", "one\ninclude sub/x\n"),
        ("/etc/k/d/.3.conf", "hidden"),
        ("/etc/k/d/sub/x", "x ${_PWD}"),
        ("/etc/k/e.conf", "e"),
    ]);
    let source = read_on(&files);
    assert_eq!(shown(&source), "a; one; x /etc/k/d/sub; two; {; b; {; e; }");
    assert_eq!(complaints(&source), ["include-not-first? 3:include"]);
    let Item::Statement(x) = &source.items[2] else {
        panic!("no statement")
    };
    let file = source.files.get(x.span().file).unwrap();
    assert_eq!(
        (file.path.to_str(), x.span().line),
        (Some("/etc/k/d/sub/x"), 1)
    );
    assert_eq!(source.files.iter().count(), 5);
}

#[test]
fn what_an_include_takes() {
    let files = |line: &str| {
        host(&[
            ("/etc/k/k.conf", line),
            ("/etc/k/a", "a"),
            ("/etc/k/b", "b"),
        ])
    };
    for (line, wrong, expected) in [
        ("include /etc/k/a", &[] as &[&str], "a"),
        ("include {b,a}", &[], "b; a"),
        ("include [ab]", &[], "a; b"),
        ("$D=a\ninclude $D", &[], "a"),
        ("$D=/etc/k\ninclude ${D}/?", &[], "a; b"),
        ("@main include a", &["include-not-first? 1:include"], "a"),
        ("@other include a", &["empty-file~ 1:"], ""),
        ("$I=include a\n$I", &["include-not-first? 2:$I"], "a"),
        ("includea a", &[], "a"),
        ("includes a", &[], "includes a"),
        ("x\ninclude", &["include-without-file~ 2:include"], "x"),
        (
            "x\ninclude \"a\"",
            &["include-matches-nothing~ 2:\"a\""],
            "x",
        ),
        (
            "x { include a }",
            &[
                "include-not-first? 1:include",
                "include-matches-nothing~ 1:a }",
            ],
            "x; {",
        ),
        ("x\ninclude a b", &["include-matches-nothing~ 2:a b"], "x"),
    ] {
        let source = read_on(&files(line));
        assert_eq!(
            (complaints(&source), shown(&source)),
            (
                wrong.iter().map(|w| (*w).to_owned()).collect(),
                expected.to_owned()
            ),
            "{line}"
        );
    }
}

/// The error is keepalived's too if the check is asked for.
#[test]
fn what_includes_check() {
    let files = |line: &str| {
        host(&[("/etc/k/k.conf", line), ("/etc/k/a", "a")])
            .with_mode("/etc/k/run", 0o755, 0, 0)
            .with_unreadable("/etc/k/secret")
            .with_folder("/etc/k/dir")
    };
    for (line, wrong) in [
        ("include none", "include-matches-nothing~"),
        ("includer none", "include-matches-nothing~"),
        ("includem none", "include-matches-nothing"),
        ("include none*", "include-matches-nothing?"),
        ("includem none*", "include-matches-nothing?"),
        ("includew none*", "include-matches-nothing"),
        ("include {a,none}", "include-matches-nothing?"),
        ("includew {a,none}", "include-matches-nothing?"),
        ("includeb {a,none}", "include-matches-nothing"),
        ("includea {no,none}", "include-matches-nothing"),
        ("include run", "executable-file~"),
        ("includer run", "executable-file"),
        ("include secret", "unreadable-file~"),
        ("includea secret", "unreadable-file"),
        ("include dir", "not-a-file~"),
        ("includeb dir", "not-a-file"),
        (
            "include {a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}",
            "too-much",
        ),
        (
            "global_defs {\n include_check match\n}\ninclude none",
            "include-matches-nothing",
        ),
        (
            "global_defs {\n include_check +match -match\n}\ninclude none",
            "include-matches-nothing~",
        ),
        (
            "global_defs {\n include_check\n}\ninclude none*",
            "include-matches-nothing",
        ),
        (
            "x {\n include_check\n}\ninclude none*",
            "include-matches-nothing?",
        ),
    ] {
        let found = complaints(&read_on(&files(&format!("x\n{line}"))));
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert_eq!(found[0].split(' ').next(), Some(wrong), "{line}");
    }
    let options = Options {
        include_check: IncludeCheck::ALL,
        ..Options::default()
    };
    let strict = read(
        "/etc/k/k.conf".as_ref(),
        &options,
        &files("x\ninclude none*"),
    );
    assert_eq!(complaints(&strict), ["include-matches-nothing 2:none*"]);
}

#[test]
fn a_check_ends_with_the_file_that_set_it() {
    let files = host(&[
        ("/etc/k/k.conf", "include a\ninclude none"),
        ("/etc/k/a", "global_defs {\ninclude_check\n}\ninclude none"),
    ]);
    let source = read_on(&files);
    let errors = source
        .diagnostics
        .iter()
        .map(|d| (d.span.file, d.tolerated));
    assert!(errors.eq([(FileId(1), false), (FileId(0), true)]));
}

#[test]
fn includes_that_do_not_end() {
    let itself = host(&[("/etc/k/k.conf", "a\ninclude k.conf\nb")]);
    reads(&itself, &["include-loop 2:k.conf"], "a; b");
    let linked = host(&[("/etc/k/k.conf", "a\ninclude l")]).with_link("/etc/k/l", "k.conf");
    reads(&linked, &["include-loop 2:l"], "a");
    let deep = (0..50).fold(host(&[("/etc/k/k.conf", "include 0")]), |host, i| {
        host.with_file(format!("/etc/k/{i}"), format!("x\ninclude {}", i + 1))
    });
    let source = read_on(&deep);
    assert_eq!(source.diagnostics[0].code, "too-much");
    assert_eq!(source.items.len(), 31);
    // Each file is included ten times by the one before: 10^20 files.
    let wide = (0..20).fold(host(&[("/etc/k/k.conf", "include 0")]), |host, i| {
        host.with_file(
            format!("/etc/k/{i}"),
            format!("include {}\n", i + 1).repeat(10),
        )
    });
    let source = read_on(&wide.with_file("/etc/k/20", "x"));
    assert_eq!(source.diagnostics.len(), 1);
    assert_eq!(source.diagnostics[0].code, "too-much");
}
