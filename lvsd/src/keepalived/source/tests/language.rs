//! One file alone.

use super::*;

#[test]
fn statements_and_braces() {
    says("foo bar { baz 1 } qux 2", "foo bar; {; baz 1; }; qux 2");
    says("a\n{\n\tb\n}\n", "a; {; b; }");
    says("a{b}{}", "a; {; b; }; {; }");
    says("a \"b { c\" { d", "a \"b { c\"; {; d");
    says("a 'b { c' d", "a 'b; {; c' d");
    says(" \u{b}a \r\n\n\x0c\n", "a");
    says("a \"x\\\" { \" {", "a \"x\\\" { \"; {");
}

#[test]
fn comments() {
    says("# one\n! two\n  # three\na", "a");
    says("a 1 # { b\nb!c\nc #\"\n", "a 1; b; c");
    says(r#"a "b # ! c" ! d"#, r#"a "b # ! c""#);
    says(r"k\#1 2#3", "k#1 2");
    says(r"k\!1", "k!1");
    says(r#"a "b\#c""#, r#"a "b\#c""#);
    wrong(r"a \\# b", r"stray-backslash~ 1:\", r"a \\");
    says("# a comment \\\nb", "b");
}

#[test]
fn quotes_that_are_not_closed_are_found_with_the_words() {
    let source = source("a \"b c\nd");
    assert!(source.diagnostics.is_empty());
    let Item::Statement(statement) = &source.items[0] else {
        panic!("no statement")
    };
    for error in [
        statement.words().unwrap_err(),
        statement.quoted_words().unwrap_err(),
    ] {
        assert_eq!(error.code, "unclosed-quote");
        assert_eq!(
            (error.span.start, error.span.end, error.tolerated),
            (2, 6, true)
        );
    }
    assert_eq!(statement.first().unwrap().text, "a");
}

#[test]
fn conditions() {
    for (line, expected) in [
        ("@main a", "a"),
        ("@backup a", ""),
        ("@^main a", ""),
        ("@^backup a", "a"),
        ("@main", ""),
        ("@main {", "{"),
        ("@other a { b }", ""),
        ("@^other{ a }", "a; }"),
        ("a { @main b", "a; {; b"),
        ("a { @other b }", "a; {"),
        ("  @main\ta", "a"),
    ] {
        says(
            &format!("x\n{line}"),
            format!("x; {expected}").trim_end_matches("; "),
        );
    }
    says("@main $P=240\n@other $P=9\na ${P}", "a 240");
    says(
        "$IF_MAIN=@main\n$IF_OTHER=@other\n$IF_MAIN a\n$IF_OTHER b\n",
        "a",
    );
    says("$IF=@main\n@main ${IF} a", "a");
    wrong("x\n@main @main a", "second-condition~ 2:@", "x");
    wrong("@ a\nb", "empty-condition? 1:@", "b");
}

#[test]
fn parameters() {
    says(
        "$A=1.${B}\n$B=2\nx ${A}.3\n$B=9\nx ${A}.3",
        "x 1.2.3; x 1.9.3",
    );
    says("$A=x\na$A,b $A)d $A", "ax,b x)d x");
    says("  $Y=  spaced  \nc\"${Y}\"z", "c\"spaced\"z");
    says("$E=\nc${E}7 ${E}", "c7");
    says(
        "$A={ b 1 }\na $A\nc ${A} d",
        "a; {; b 1; }; c; {; b 1; }; d",
    );
    says("a { $Y=5\n b $Y\n}", "a; {; b 5; }");
    says("$D=$X=5\n$D\na $X", "a 5");
    says("$Q=\"a b\"\nx $Q", "x \"a b\"");
    says("price$ $1 a$ $", "price$ $1 a$ $");
    says("x ${_HASH}a ${_BANG}", "x #a !");
    says("x ${_INSTANCE} ${_PWD}/y", "x main /etc/k/y");
}

#[test]
fn parameters_gone_wrong() {
    wrong("x ${NOPE}", "undefined-parameter~ 1:${NOPE}", "x ${NOPE}");
    wrong("x $NOPE y", "undefined-parameter~ 1:$NOPE", "x $NOPE y");
    wrong("$X =2", "undefined-parameter~ 1:$X", "$X =2");
    wrong(
        "auth_pass a$b",
        "undefined-parameter? 1:$b",
        "auth_pass a$b",
    );
    wrong(
        "s \"echo $HOME x\"",
        "undefined-parameter? 1:$HOME",
        "s \"echo $HOME x\"",
    );
    wrong("$A=1\nx $A.3", "glued-parameter? 2:$A", "x $A.3");
    wrong("x ${A", "unclosed-parameter~ 1:${A", "x ${A");
    wrong("$_X=1\nx", "reserved-parameter? 1:$_X", "x");
    wrong("a { $Y=5 }\n}", "brace-in-value? 1:$Y", "a; {; }");
    wrong("$A=$A\nx $A", "endless-parameter 2:$A", "x $A");
    wrong("$A=$A\nx { $A }", "endless-parameter 2:$A", "x; {; $A }");
    let y = "y".repeat(600);
    wrong(
        &format!("$A={y}\nx ${{A}} ${{A}} z"),
        "line-too-long~ 2:${A}",
        &format!("x {y} ${{A}} z"),
    );
    wrong("x ${_ENV NONE}", "undefined-variable~ 1:${_ENV NONE}", "x");
    wrong("x ${_ENV}", "undefined-parameter~ 1:${_ENV}", "x ${_ENV}");
    wrong(
        "$A=1\nx ${A b}",
        "undefined-parameter~ 2:${A b}",
        "x ${A b}",
    );
    wrong(
        "x ${_RANDOM 9 8}",
        "invalid-random~ 1:${_RANDOM 9 8}",
        "x 9",
    );
    wrong("$A=b \\\n", "unfinished-value~ 1:$A", "");
    wrong("a \\\nb", "stray-backslash~ 1:\\", "a \\; b");
}

#[test]
fn random_numbers_follow_the_seed() {
    let text = "global_defs {\n random_seed 7\n}\nx ${_RANDOM 1 1000000} ${_RANDOM}";
    let once = shown(&source(text));
    assert_eq!(once, shown(&source(text)));
    assert_ne!(
        once.replace('7', "8"),
        shown(&source(&text.replace('7', "8")))
    );
    says("x ${_RANDOM 5 5}", "x 5");
}

#[test]
fn values_of_several_lines() {
    let m = "$M= \\\n one 1 \\\n two { 2 } \\ \n three 3\n";
    says(&format!("{m}a $M\nb"), "a one 1; two; {; 2; }; three 3; b");
    says(
        &format!("{m}a {{ ${{M}}\n}}"),
        "a; {; one 1; two; {; 2; }; three 3; }",
    );
    says(
        &format!("{m}$I=inner \\\n $M\n$I"),
        "inner; one 1; two; {; 2; }; three 3",
    );
    says(
        "$Q=1 \\\n # comment \\\n @main 2 \\ # comment\n @other 3 \\\n 4\n$Q\nb",
        "1; 2; 4; b",
    );
    says("$P=p\\\n\nb $P c", "b p c");
    says("$Z=z \\\n $W=ww \\\n w$W\n$Z", "z; www");
    says("$K=a \\\n ~SEQ(n,1,2) k${n} \\\n z\n$K", "a; k1; k2; z");
    wrong(&format!("{m}a $M b"), "several-lines~ 5:$M", "a $M b");
    wrong(
        &format!("{m}a {{ ${{M}} }}"),
        "several-lines~ 5:${M}",
        "a; {; ${M}; }",
    );
}

#[test]
fn repetitions() {
    says("~SEQ(X,0,3) n${X}", "n0; n1; n2; n3");
    says("~SEQ(X,3,1) n$X", "n3; n2; n1");
    says("~SEQx(X,0x90,0x10,0xc0) ${X}", "90; a0; b0; c0");
    says("~LST({a,b},{1,2},{3}) ${a}-${b}", "1-2; 3-");
    says("~SEQ(a,1,2) ~SEQ(b,1,2) w${a}${b}", "w11; w12; w21; w22");
    says("~SEQ(b,1,2) ~LST(a,1,2) l${a}${b}", "l11; l21; l12; l22");
    says("~SEQ(b,1,2) ~SEQ(a,1,$b) u${a}-${b}", "u1-1; u1-2; u2-2");
    says("~SEQ(n,1,2) u${n} { v${n} }", "u1; {; v1; }; u2; {; v2; }");
    says(
        "$MAX=2\n~SEQ(n,1,${MAX}) r$n\n~SEQ(n,1,$MAX) s$n",
        "r1; r2; s1; s2",
    );
    says("$T=v$n\n~SEQ(n,1,2) $T", "v1; v2");
    says("$S=~SEQ(n,1,2) s$n\n$S", "s1; s2");
    says(
        "$M=m \\\n ${n}x\n~SEQ(n,1,2) t${n} $M",
        "t1 m; 1x; t2 m; 2x",
    );
    says("~SEQ(n,1,2) @main w$n", "w1; w2");
    says("~SEQ(n,1,2) $V=x\ny${V}", "yx");
}

#[test]
fn repetitions_gone_wrong() {
    wrong(
        "~SEQ(n,1,0,7) m$n\nx",
        "invalid-repetition~ 1:~SEQ(n,1,0,7)",
        "x",
    );
    wrong("~SEQ(n,1,2 m\nx", "invalid-repetition~ 1:~SEQ(n,1,2", "x");
    wrong(
        "~seq(n,1,2) B$n\nx",
        "invalid-repetition~ 1:~seq(n,1,2)",
        "x",
    );
    wrong(
        "~LST({a,b},{1,2,3}) c\nx",
        "invalid-repetition~ 1:~LST({a,b},{1,2,3})",
        "x",
    );
    wrong("~SEQ(n,1,2) \nx", "empty-repetition~ 1:~SEQ(n,1,2)", "x");
    wrong(
        "x ~SEQ(n,1,2) y",
        "misplaced-repetition~ 1:~SEQ",
        "x ~SEQ(n,1,2) y",
    );
    wrong(
        "~SEQ(n,1,2) s$n {",
        "unbalanced-repetition~ 1:s$n {",
        "s1; {",
    );
    wrong(
        "~SEQ(a,1,2) ~SEQ(b,1,2) s${a}$b {\nt $b\n}",
        "unbalanced-repetition~ 1:s${a}$b {",
        "s11; {; t 1; }",
    );
    wrong(
        "s {\n~LST(a,x,y) }",
        "unbalanced-repetition~ 2:}",
        "s; {; }",
    );
    wrong(
        "~SEQ(n,1,2) x\na $n",
        "leftover-variable? 2:$n",
        "x; x; a 2",
    );
    wrong(
        "$n=5\n~SEQ(n,1,2) x",
        "replaced-parameter? 2:~SEQ(n,1,2)",
        "x; x",
    );
    wrong(
        "~SEQ(n,1,2) ~SEQ(n,1,1) x",
        "replaced-parameter? 1:~SEQ(n,1,1)",
        "x; x",
    );
    says("~alice", "~alice");
}

#[test]
fn what_explodes_ends() {
    wrong(
        "~SEQ(n,1,1000000000) x\nb",
        "too-much 1:~SEQ(n,1,1000000000)",
        "b",
    );
    let nested = source("~SEQ(a,1,2000) ~SEQ(b,1,2000) @other x\ny");
    assert_eq!(complaints(&nested), ["too-much 1:~SEQ(b,1,2000)"]);
    wrong("$M=a \\\n $M\n$M\nb", "endless-parameter 3:$M", "a; $M; b");
    let doubling: String = (0..40)
        .map(|i| format!("$A{}=${{A{i}}}${{A{i}}}\n", i + 1))
        .collect();
    let doubled = source(&format!("$A0=\n{doubling}x ${{A40}}"));
    assert_eq!(complaints(&doubled), ["endless-parameter 42:${A40}"]);
    let lines: String = (0..30)
        .map(|i| format!("$A{}=a \\\n ~SEQ(n{i},1,2) $A{i}\n", i + 1))
        .collect();
    let doubled = source(&format!("$A0=b\n{lines}$A30"));
    assert_eq!(complaints(&doubled), ["too-much 62:$A30"]);
    let braces = source(&format!("~SEQ(n,1,900000) {}", "{}".repeat(400)));
    assert_eq!(complaints(&braces).len(), 1);
}

#[test]
fn words_know_their_places() {
    let source = source("$IP=10.0.0.1\n  real_server ${IP} \"a b\" { weight 1 # c\n");
    let Item::Statement(statement) = &source.items[0] else {
        panic!("no statement")
    };
    let words = statement.words().unwrap();
    let places: Vec<_> = words
        .iter()
        .map(|w| (w.text.as_str(), w.span.start, w.span.end))
        .collect();
    assert_eq!(
        places,
        [
            ("real_server", 2, 13),
            ("10.0.0.1", 14, 19),
            ("a b", 20, 25)
        ]
    );
    let first = super::source("\"a b\"c").items;
    let Some(Item::Statement(quoted)) = first.first() else {
        panic!("no statement")
    };
    let first = quoted.first().unwrap();
    assert_eq!(
        (first.text.as_str(), first.span.start, first.span.end),
        ("a b", 0, 5)
    );
    let Item::Open(open) = source.items[1] else {
        panic!("no brace")
    };
    assert_eq!((open.line, open.start, open.end), (2, 26, 27));
    let Item::Statement(weight) = &source.items[2] else {
        panic!("no statement")
    };
    assert_eq!((weight.span().start, weight.span().end), (28, 36));
}

#[test]
fn lines_that_are_no_text() {
    let x = "x".repeat(1023);
    says(&x, &x);
    wrong(
        &format!("{x}y z"),
        "line-too-long~ 1:y z",
        &format!("{x}y z"),
    );
    wrong(&format!("a #{x}"), "line-too-long? 1:xxx", "a");
    wrong(
        &format!("{}ü", &x[1..]),
        "line-too-long~ 1:",
        &format!("{}ü", &x[1..]),
    );
    wrong("a\0b", "zero-byte~ 1:\0", "a\0b");
    wrong("a\u{3000}b", "odd-character? 1:\u{3000}", "a\u{3000}b");
    wrong("a “b”", "odd-character? 1:“", "a “b”");
    says("# \u{3000}\na \"\u{a0}\"", "a \"\u{a0}\"");
    wrong("\u{feff}a", "byte-order-mark~ 1:", "a");
    wrong("a\rb", "line-ends~ 1:", "a\rb");
    let host = FakeHost::default().with_file("/etc/k/k.conf", b"a \xff\n# \xff\n");
    assert_eq!(complaints(&read_on(&host)), ["not-utf-8~ 1:\u{fffd}"]);
}

/// What took quadratic time would take minutes here.
#[test]
fn long_lines_take_no_longer_than_short_ones() {
    for piece in [
        "{",
        "}",
        "a",
        "a{",
        "\\#",
        "\"",
        "$A ",
        "${A}",
        "{$A=1",
        "@main ",
        "{@main a",
        "~SEQ(",
        "{~SEQ(a,1,2) ",
        "{~",
        "~SEQ",
        "\\",
        "ü",
        "\u{3000}",
        "' ",
        "a ",
    ] {
        let long = source(&piece.repeat(100_000));
        for item in &long.items {
            if let Item::Statement(statement) = item {
                drop((
                    statement.words(),
                    statement.quoted_words(),
                    split_command(statement.text()),
                ));
            }
        }
        assert!(!long.diagnostics.is_empty());
    }
    for line in [
        "a {",
        "}",
        "$A=b",
        "a $A",
        "include none*",
        "@main a",
        "~LST(a,b) c",
        "# d",
        "\"",
        "$A=b \\",
    ] {
        source(&format!("{line}\n").repeat(10_000));
    }
}
