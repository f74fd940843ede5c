//! What health checks hear: a probe ends the same way however an answer is cut, and tells of it in one harmless line.

use std::sync::{Arc, LazyLock};

use lvs_health::check::{self, HttpVersion, Page, Pattern};
use lvs_health::probe::dns::{Dns, Name};
use lvs_health::probe::http::{Get, Matcher, Recipe};
use lvs_health::probe::ping::Ping;
use lvs_health::probe::smtp::{Greeting, Mail, Submission};
use lvs_health::probe::tls::{Library, Session};
use lvs_health::probe::udp::Udp;
use lvs_health::probe::{Probe, Progress};
use lvs_health::{Reason, Verdict};

/// What stands in the first byte of an input.
mod flag {
    /// Time is over before the peer closes.
    pub(super) const EXPIRES: u8 = 1;
    /// A page with this digest is wanted, or a mail is handed over.
    pub(super) const DIGEST: u8 = 2;
    /// A pattern is looked for ...
    pub(super) const PATTERN: u8 = 4;
    /// ... and must not be found ...
    pub(super) const UNWANTED: u8 = 8;
    /// ... or only in some place.
    pub(super) const PLACED: u8 = 16;
}

/// The answer of an HTTP server, behind flags ([`flag`]) and the length of the pieces that it comes in.
pub fn http(input: &[u8]) {
    let Some((&[flags, piece], answer)) = input.split_first_chunk() else {
        return;
    };
    let is = |flag: u8| flags & flag != 0;
    let page = Page {
        path: "/".to_owned(),
        host: None,
        digest: is(flag::DIGEST).then_some([7; 16]),
        status: vec![(200, 299), (500, 500)],
        pattern: None,
    };
    let number = usize::from(is(flag::UNWANTED)) + 2 * usize::from(is(flag::PLACED));
    let matcher = is(flag::PATTERN).then(|| Arc::clone(&MATCHERS[number]));
    let addr = ([192, 0, 2, 1], 80).into();
    let recipe = Recipe::new(&page, HttpVersion::V1_1, addr, matcher).expect("a page");
    let recipe = Arc::new(recipe);
    judge(|| Get::new(Arc::clone(&recipe)), flags, piece, answer);
}

/// Wanted and not, anywhere and in some place.
static MATCHERS: LazyLock<[Arc<Matcher>; 4]> = LazyLock::new(|| {
    [(true, false), (false, false), (true, true), (false, true)].map(|(expected, placed)| {
        let matcher = Matcher::new(&Pattern {
            expression: r"(?s)hel+o.*\d$".to_owned(),
            expected,
            caseless: true,
            dotall: false,
            multiline: true,
            extended: false,
            ungreedy: false,
            from: if placed { 30 } else { 0 },
            to: placed.then_some(50),
        });
        Arc::new(matcher.expect("an expression"))
    })
});

/// What a mail server says, behind flags and the length of the pieces. It is greeted, or handed a mail.
pub fn smtp(input: &[u8]) {
    let Some((&[flags, piece], said)) = input.split_first_chunk() else {
        return;
    };
    if flags & flag::DIGEST == 0 {
        let greeting = Greeting::new("lvs.example").expect("a name");
        judge(|| greeting.clone(), flags, piece, said);
        return;
    }
    let mail = Mail {
        helo: "lvs.example".to_owned(),
        from: "lvs@example.com".to_owned(),
        to: vec!["a@example.com".to_owned(), "b@example.com".to_owned()],
        message: "Subject: x\n\n.\nx\n".to_owned(),
    };
    let submission = Submission::new(mail).expect("a mail");
    judge(|| submission.clone(), flags, piece, said);
}

/// Datagrams, each behind its length, in answer to a question over DNS, a datagram, or a ping: which, says the first byte.
pub fn datagram(input: &[u8]) {
    let Some((&which, mut rest)) = input.split_first() else {
        return;
    };
    let mut probe: Box<dyn Probe> = match which & 3 {
        0 => Box::new(Dns::new(Name::new("example.com").expect("a name"), 6, 7)),
        1 => Box::new(Ping::new(false, 7)),
        2 => Box::new(Ping::new(true, 7)),
        _ => Box::new(Udp::new(Arc::new(check::Udp {
            payload: b"?".to_vec(),
            reply_required: which & 4 != 0,
            reply: vec![(0x12, 0xff), (0x30, 0xf0), (0, 0)],
            length: (2, 20),
        }))),
    };
    let mut out = Vec::new();
    assert_eq!(probe.opened(&mut out), Progress::More);
    out.clear();
    while let Some((&len, more)) = rest.split_first() {
        let (bytes, more) = more.split_at(usize::from(len).min(more.len()));
        rest = more;
        if let Progress::Done(verdict) = probe.received(bytes, &mut out) {
            fit_to_be_shown(&verdict);
            break;
        }
    }
    assert!(out.is_empty(), "a datagram is answered");
}

/// What a TLS server says, behind flags and the length of the pieces.
pub fn tls(input: &[u8]) {
    let Some((&[flags, piece], said)) = input.split_first_chunk() else {
        return;
    };
    let greeting = Greeting::new("lvs.example").expect("a name");
    // No server can answer a hello that it has not seen.
    let passed = judge(|| SESSION.wrap(greeting.clone()), flags, piece, said);
    assert!(!passed);
}

static SESSION: LazyLock<Session> = LazyLock::new(|| {
    let session = Library::default().session(&check::Tls::default(), [192, 0, 2, 1].into());
    session.expect("a session")
});

/// Whether it is passed: whole as in pieces.
fn judge<P: Probe>(probe: impl Fn() -> P, flags: u8, piece: u8, said: &[u8]) -> bool {
    let ended = |piece: usize| {
        let (mut probe, mut out) = (probe(), Vec::new());
        assert_eq!(probe.opened(&mut out), Progress::More);
        for bytes in said.chunks(piece) {
            let before = out.len();
            let progress = probe.received(bytes, &mut out);
            assert!(out.len() - before <= 1000 + bytes.len(), "too much is said");
            if let Progress::Done(verdict) = progress {
                return verdict;
            }
        }
        match flags & flag::EXPIRES {
            0 => probe.closed(),
            _ => probe.expired(),
        }
    };
    let reason = |verdict: &Verdict| -> Option<Reason> {
        fit_to_be_shown(verdict);
        verdict.as_ref().err().map(|failure| failure.reason)
    };
    let whole = ended(said.len().max(1));
    let cut = ended(usize::from(piece).max(1));
    assert_eq!(reason(&whole), reason(&cut), "{whole:?}, {cut:?}");
    whole.is_ok()
}

fn fit_to_be_shown(verdict: &Verdict) {
    if let Err(failure) = verdict {
        let text = failure.to_string();
        assert!(
            text.len() < 1200 && !text.contains(char::is_control),
            "{text}"
        );
    }
}
