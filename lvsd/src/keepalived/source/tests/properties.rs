//! What holds for all files.

use proptest::prelude::*;

use super::*;

/// Pieces of which files are made: everything that means something.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "{", "}", "\"", "'", "\\", "#", "!", "$", "${", "$A", "${A}", "$A=", "$B=", "$B", "${B}", "@main ", "@^main ", "@",
            "~SEQ(A,1,3)", "~SEQx(A,9,11) ", "~LST({A,B},{1,2},{3})", "~LST(", "include b", "include *", "\\\n", "\n", "\n", "\n",
            "\r\n", " ", "\t", "${_RANDOM 1 3}", "${_PWD}", "global_defs {\n", "include_check\n", "\0", "\u{3000}", "ü", ")",
        ]).prop_map(str::to_owned),
        2 => "[a-z0-9 ]{1,8}",
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn check(source: &Source) {
    let inside = |span: Span| {
        let Some(file) = source.files.get(span.file) else {
            panic!("{span:?} is in no file");
        };
        let line = file.text.split('\n').nth(span.line as usize - 1).unwrap();
        let place = line.get(span.start as usize..span.end as usize);
        assert!(place.is_some(), "{span:?} is not within {line:?}");
    };
    for item in &source.items {
        match item {
            Item::Open(span) | Item::Close(span) => inside(*span),
            Item::Statement(statement) => {
                inside(statement.span());
                assert!(!statement.text().trim_ascii().is_empty());
                assert!(statement.first().is_some());
                for words in [statement.words(), statement.quoted_words()] {
                    match words {
                        Ok(words) => words.iter().for_each(|w| inside(w.span)),
                        Err(error) => inside(error.span),
                    }
                }
                drop(split_command(statement.text()));
            }
        }
    }
    for diagnostic in &source.diagnostics {
        inside(diagnostic.span);
        diagnostic.also.iter().for_each(|(span, _)| inside(*span));
        assert!(!diagnostic.message.is_empty() && !diagnostic.code.is_empty());
    }
    assert!(!source.items.is_empty() || !source.diagnostics.is_empty());
}

proptest! {
    #[test]
    fn nothing_panics_and_all_places_exist(main in pieces(), other in pieces()) {
        let host = FakeHost::default().with_file("/etc/k/k.conf", main).with_file("/etc/k/b", other);
        check(&read_on(&host));
    }

    #[test]
    fn bytes_are_no_worse(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&read_on(&FakeHost::default().with_file("/etc/k/k.conf", bytes)));
    }

    /// Without anything special, words are what is between blanks, and each stands where its place says.
    #[test]
    fn plain_words_are_what_is_between_blanks(line in "[a-zA-Z0-9./:_ \t-]{1,80}") {
        let source = source(&line);
        let found: Vec<_> = source.items.iter().flat_map(|item| match item {
            Item::Statement(statement) => [statement.words().unwrap(), statement.quoted_words().unwrap()],
            _ => [Vec::new(), Vec::new()],
        }).collect();
        for words in &found {
            for word in words {
                prop_assert_eq!(&line[word.span.start as usize..word.span.end as usize], &word.text);
            }
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        for found in found {
            let texts: Vec<String> = found.into_iter().map(|w| w.text).collect();
            prop_assert_eq!(&texts, &words);
        }
    }

    /// A configuration made of parameters says the same as with its values written out.
    #[test]
    fn parameters_say_what_their_values_say(words in prop::collection::vec("[a-z0-9.]{1,6}", 1..20)) {
        let defined: String = words.iter().enumerate().map(|(i, w)| format!("$P{i}={w}\n")).collect();
        let used: String = (0..words.len()).map(|i| format!("x${{P{i}}} $P{i}\n")).collect();
        let written: String = words.iter().map(|w| format!("x{w} {w}\n")).collect();
        prop_assert_eq!(shown(&source(&format!("{defined}{used}"))), shown(&source(&written)));
    }
}
