use super::*;
use crate::check::Pattern;

fn page() -> Page {
    Page {
        path: "/".to_owned(),
        host: None,
        digest: None,
        status: Vec::new(),
        pattern: None,
    }
}

fn get(page: &Page) -> Get {
    let pattern = page.pattern.as_ref();
    let pattern = pattern.map(|pattern| Arc::new(Matcher::new(pattern).unwrap()));
    let addr = "192.0.2.1:80".parse().unwrap();
    let recipe = Recipe::new(page, HttpVersion::V1_0, addr, pattern).unwrap();
    Get::new(Arc::new(recipe))
}

/// What comes of an answer, given in pieces of this size, behind which the peer closes.
fn answered(page: &Page, answer: &[u8], piece: usize) -> Verdict {
    let mut probe = get(page);
    let mut out = Vec::new();
    assert_eq!(probe.opened(&mut out), Progress::More);
    assert!(out.starts_with(b"GET / HTTP/1.0\r\n"));
    for bytes in answer.chunks(piece) {
        if let Progress::Done(verdict) = probe.received(bytes, &mut out) {
            return verdict;
        }
    }
    probe.closed()
}

/// However it is cut, the same comes of it.
fn verdict(page: &Page, answer: &[u8]) -> Verdict {
    let whole = answered(page, answer, answer.len().max(1));
    for piece in [1, 2, 3, 7] {
        let reason = |verdict: &Verdict| verdict.clone().map_err(|failure| failure.reason);
        let cut = answered(page, answer, piece);
        assert_eq!(reason(&cut), reason(&whole), "in pieces of {piece}");
    }
    whole
}

fn reason(page: &Page, answer: &[u8]) -> Option<Reason> {
    verdict(page, answer).err().map(|failure| failure.reason)
}

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn conversations() {
    for (answer, expected) in [
        (HELLO, None),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil it closes", None),
        (b"HTTP/1.0 200\r\n\r\n", None),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", None),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            None,
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            None,
        ),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", Some(Reason::Status)),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", Some(Reason::Status)),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Some(Reason::Status)),
        (b"", Some(Reason::Closed)),
        (b"HTTP/1.1 200 OK\r\n", Some(Reason::Closed)),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
            Some(Reason::Closed),
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            Some(Reason::Closed),
        ),
        (b"hello", Some(Reason::Malformed)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello",
            Some(Reason::Malformed),
        ),
    ] {
        let found = reason(&page(), answer);
        assert_eq!(found, expected, "{}", answer.escape_ascii());
    }
}

#[test]
fn status_ranges() {
    let page = Page {
        status: vec![(200, 299), (404, 404)],
        ..page()
    };
    for (status, good) in [
        (199, false),
        (200, true),
        (299, true),
        (300, false),
        (404, true),
        (405, false),
    ] {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        let verdict = verdict(&page, answer.as_bytes());
        // 199 is an interim answer, behind which nothing comes.
        assert_eq!(verdict.is_ok(), good, "{status}");
    }
    let failure = verdict(&page, b"HTTP/1.1 500 X\r\n\r\n").unwrap_err();
    assert_eq!(failure.to_string(), "unwanted status: 500");
}

#[test]
fn digests() {
    let hello = Digest::from_hex("5d41402abc4b2a76b9719d911017c592").unwrap();
    let page = Page {
        digest: Some(hello.0),
        ..page()
    };
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n";
    for answer in [HELLO, chunked, b"HTTP/1.1 200 OK\n\nhello"] {
        assert_eq!(reason(&page, answer), None, "{}", answer.escape_ascii());
    }
    let failure = verdict(&page, b"HTTP/1.1 200 OK\n\nHello").unwrap_err();
    let expected = "other content: digest 8b1a9953c4611296a827abf8c47804d7, not 5d41402abc4b2a76b9719d911017c592";
    assert_eq!(failure.to_string(), expected);
    // The status is looked at first.
    let wrong = b"HTTP/1.1 500 OK\n\nHello";
    assert_eq!(reason(&page, wrong), Some(Reason::Status));
}

#[test]
fn measuring() {
    let addr = "192.0.2.1:80".parse().unwrap();
    let recipe = Recipe::new(&page(), HttpVersion::V1_0, addr, None).unwrap();
    let mut probe = Get::new(Arc::new(recipe.measuring()));
    let answer = b"HTTP/1.1 500 X\r\nContent-Length: 5\r\n\r\nhello";
    let progress = probe.received(answer, &mut Vec::new());
    assert_eq!(progress, Progress::Done(Ok(Passed::Plainly)));
    let expected = Outcome {
        status: 500,
        length: 5,
        digest: Some(Digest::of(b"hello")),
    };
    assert_eq!(*probe.outcome(), expected);
}

#[test]
#[cfg(feature = "regex")]
fn patterns() {
    let wanting = |expression: &str, expected| Page {
        pattern: Some(Pattern {
            expression: expression.to_owned(),
            expected,
            caseless: false,
            dotall: true,
            multiline: false,
            extended: false,
            ungreedy: false,
            from: 0,
            to: None,
        }),
        ..page()
    };
    let answer = b"HTTP/1.1 200 OK\r\nServer: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n";
    assert_eq!(reason(&wanting("hello$", true), answer), None);
    // The header is searched too, that of an interim answer is not.
    assert_eq!(reason(&wanting("Server: x.*hello", true), answer), None);
    let interim = [&b"HTTP/1.1 100 Continue\r\n\r\n"[..], answer].concat();
    assert_eq!(reason(&wanting("Continue", false), &interim), None);
    let failed = Some(Reason::Content);
    assert_eq!(reason(&wanting("hello", false), answer), failed);
    assert_eq!(reason(&wanting("goodbye", true), answer), failed);

    let long = [
        &b"HTTP/1.1 200 OK\n\n"[..],
        &vec![b'x'; 2 * MAX_SEARCHED],
        b"end",
    ]
    .concat();
    let whole = |page: &Page| answered(page, &long, 1 << 16).map_err(|failure| failure.reason);
    assert_eq!(whole(&wanting("end", true)), Err(Reason::TooLong));
    assert_eq!(whole(&wanting("xx", true)), Ok(Passed::Plainly));
}

#[test]
#[cfg(not(feature = "regex"))]
fn no_patterns_in_this_build() {
    let pattern = Pattern {
        expression: "x".to_owned(),
        expected: true,
        caseless: false,
        dotall: false,
        multiline: false,
        extended: false,
        ungreedy: false,
        from: 0,
        to: None,
    };
    assert!(Matcher::new(&pattern).unwrap_err().contains("feature"));
}

/// Answers without an end are given up, and little of them is kept.
#[test]
fn endless_answers() {
    let chunked = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
    for (begin, more) in [
        (&b""[..], &b"\r\n"[..]),
        (b"HTTP/1.1 200 OK\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999\r\n\r\n",
            b"x",
        ),
        (chunked, b"0"),
        (chunked, b"1;"),
        (chunked, b"1\r\nx\r\n"),
    ] {
        let mut probe = get(&page());
        let mut out = Vec::new();
        let block = more.repeat(30_000 / more.len());
        let mut progress = probe.received(begin, &mut out);
        let mut fed = 0;
        while progress == Progress::More {
            assert!(fed < 8 * MAX_BODY, "{}", more.escape_ascii());
            fed += block.len() as u64;
            progress = probe.received(&block, &mut out);
            assert!(probe.heads.bytes().len() <= 64 << 10);
            assert_eq!(probe.searched.capacity(), 0);
        }
        let Progress::Done(Err(failure)) = progress else {
            panic!("{progress:?}");
        };
        assert_eq!(failure.reason, Reason::TooLong, "{}", more.escape_ascii());
    }
}

#[test]
fn silence_and_slowness_are_told_apart() {
    let mut probe = get(&page());
    let late = |probe: &mut Get| probe.expired().unwrap_err().detail;
    assert_eq!(late(&mut probe), "nothing of an answer");
    probe.received(b"HTTP/1.1 200", &mut Vec::new());
    assert_eq!(late(&mut probe), r#"an unfinished header: "HTTP/1.1 200""#);
    probe.received(b"\r\n\r\nhello", &mut Vec::new());
    assert_eq!(late(&mut probe), "only 5 bytes of the body");
}
