//! What holds for every probe, whatever its peer says.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::check::{self, HttpVersion, Kind, Page, Pattern, Target};
use crate::digest::Digest;

fn http(change: impl FnOnce(&mut Page)) -> Kind {
    let mut page = Page {
        path: "/".to_owned(),
        host: None,
        digest: None,
        status: Vec::new(),
        pattern: None,
    };
    change(&mut page);
    Kind::Http(check::Http {
        pages: vec![page],
        version: HttpVersion::V1_1,
        tls: None,
        fast_recovery: false,
    })
}

fn pattern(expected: bool) -> Option<Pattern> {
    cfg!(feature = "regex").then(|| Pattern {
        expression: "el+o".to_owned(),
        expected,
        caseless: false,
        dotall: false,
        multiline: false,
        extended: false,
        ungreedy: false,
        from: 0,
        to: Some(1000),
    })
}

/// All kinds of probes of streams.
fn streams() -> Vec<Kind> {
    let helo = "lvs.example".to_owned();
    let mut kinds = vec![
        Kind::Tcp,
        http(|_| {}),
        http(|page| page.digest = Some(Digest::of(b"hello").0)),
        http(|page| page.pattern = pattern(true)),
        http(|page| page.pattern = pattern(false)),
        Kind::Smtp { helo },
    ];
    if cfg!(feature = "tls") {
        let Kind::Http(mut secret) = http(|_| {}) else {
            panic!("a page");
        };
        secret.tls = Some(check::Tls::default());
        kinds.push(Kind::Http(secret));
    }
    kinds
}

/// And of those of datagrams.
fn datagrams() -> Vec<Kind> {
    let name = "example.com".to_owned();
    let udp = check::Udp {
        payload: b"?".to_vec(),
        reply_required: true,
        reply: vec![(0x12, 0xff), (0x30, 0xf0)],
        length: (2, 255),
    };
    vec![Kind::Dns { record: 6, name }, Kind::Udp(udp), Kind::Ping]
}

fn probe(kind: &Kind) -> Box<dyn Probe> {
    let target = Target::new("192.0.2.1:80".parse().unwrap());
    let plan = Plans::default().plan(kind, &target).unwrap();
    plan.probe(0, 7)
}

/// Real answers, and openings of some.
const SAID: [&[u8]; 12] = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\n\r\nhello",
    b"HTTP/1.1 404 Not Found\r\n\r\n",
    b"220-hello\r\n220 there\r\n250 ok\r\n221 bye\r\n",
    b"220 hello\r\n550 go away\r\n",
    b"\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"\x00\x07\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00",
    b"\x00\x07\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00",
    b"\x12\x34",
];

/// Anything, mostly something like a real answer.
fn said() -> impl Strategy<Value = Vec<u8>> {
    let damaged =
        (0..SAID.len(), vec((any::<usize>(), any::<u8>()), 0..4)).prop_map(|(number, changes)| {
            let mut bytes = SAID[number].to_vec();
            for (at, to) in changes {
                let at = at % bytes.len();
                bytes[at] = to;
            }
            bytes
        });
    prop_oneof![
        3 => damaged,
        1 => vec(any::<u8>(), 0..200),
        1 => vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b' '), b'0'..b'z'], 0..200),
    ]
}

/// What comes of this being said in these pieces, behind which the peer closes or time is over.
fn verdict(kind: &Kind, pieces: &[&[u8]], closes: bool) -> Verdict {
    let mut probe = probe(kind);
    let mut out = Vec::new();
    if let Progress::Done(verdict) = probe.opened(&mut out) {
        return verdict;
    }
    for bytes in pieces {
        let progress = probe.received(bytes, &mut out);
        assert!(out.len() < 4096, "too much is said");
        if let Progress::Done(verdict) = progress {
            return verdict;
        }
    }
    match closes {
        true => probe.closed(),
        false => probe.expired(),
    }
}

/// A failure is shown in one line that does no harm.
fn is_fit_to_be_shown(verdict: &Verdict) -> bool {
    verdict.as_ref().err().is_none_or(|failure| {
        failure.detail.len() < 600 && !failure.to_string().contains(char::is_control)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn streams_may_be_cut_anywhere(
        kind in proptest::sample::select(streams()),
        said in said(),
        cuts in vec(any::<usize>(), 0..5),
        closes: bool,
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (said.len() + 1)).collect();
        cuts.extend([0, said.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &said[ends[0]..ends[1]]).collect();
        let reason = |verdict: Verdict| {
            prop_assert!(is_fit_to_be_shown(&verdict), "{:?}", verdict);
            Ok(verdict.map_err(|failure| failure.reason))
        };
        let whole = reason(verdict(&kind, &[&said], closes))?;
        prop_assert_eq!(reason(verdict(&kind, &pieces, closes))?, whole);
    }

    #[test]
    fn any_datagrams(
        kind in proptest::sample::select(datagrams()),
        said in vec(said(), 0..4),
        closes: bool,
    ) {
        let pieces: Vec<&[u8]> = said.iter().map(|bytes| &**bytes).collect();
        let verdict = verdict(&kind, &pieces, closes);
        prop_assert!(is_fit_to_be_shown(&verdict), "{:?}", verdict);
    }
}
