//! SIP's Call-ID, by which the persistence engine `sip` knows calls.
//!
//! All messages of a call carry the same Call-ID (RFC 3261 section 8.1.1.4), whoever sends them. So a UDP service with
//! the engine keeps a call on one server. Here the Call-ID is found and hashed; the director sees only the hash
//! ([`Segment::tag`](lvs_core::Segment)).
//!
//! What counts as one, as in IPVS: a header `Call-ID` or `i`, whatever the case, not in the message's first line; a
//! value `word` or `word@word` (RFC 3261 section 25.1) of at most 255 bytes that ends with its line. The first such header
//! decides. Lines may end with CR, LF or both; one that begins with a blank continues the one before.

use ahash::RandomState;

/// The longest Call-ID (IPVS: the longest data of a persistence engine).
const LONGEST: usize = 255;

/// Turns Call-IDs into tags, by a keyed hash: nobody outside can aim two calls at one tag.
#[derive(Clone, Debug)]
pub struct CallIds(RandomState);

impl CallIds {
    /// All workers need the same key; take it from the system's randomness.
    pub fn new([a, b, c, d]: [u64; 4]) -> Self {
        Self(RandomState::with_seeds(a, b, c, d))
    }

    /// The tag of a message, 0 if it has no Call-ID.
    pub fn tag(&self, message: &[u8]) -> u64 {
        call_id(message).map_or(0, |id| self.0.hash_one(id).max(1))
    }
}

/// The Call-ID of a message.
pub fn call_id(message: &[u8]) -> Option<&[u8]> {
    let mut rest = message;
    loop {
        rest = next_line(rest)?;
        if let Some(value) = value(rest) {
            let id = value.get(..id_len(value)?)?;
            let ends = matches!(value.get(id.len()), Some(b'\r' | b'\n'));
            return (ends && id.len() <= LONGEST).then_some(id);
        }
    }
}

/// What follows the next line end.
fn next_line(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|c| matches!(c, b'\r' | b'\n'))?;
    match text.get(end..)? {
        [b'\r', b'\n', next @ ..] | [_, next @ ..] => Some(next),
        [] => None,
    }
}

/// What follows the colon, if a line is the header wanted.
fn value(line: &[u8]) -> Option<&[u8]> {
    let rest = match line.split_at_checked(7) {
        Some((name, rest)) if name.eq_ignore_ascii_case(b"call-id") => rest,
        _ => match line {
            [b'i' | b'I', rest @ ..] => rest,
            _ => return None,
        },
    };
    match skip_blanks(rest) {
        [b':', value @ ..] => Some(skip_blanks(value)),
        _ => None,
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let len = text
        .iter()
        .take_while(|c| matches!(c, b' ' | b'\t'))
        .count();
    text.get(len..).unwrap_or(&[])
}

/// The length of `word` or `word@word`.
fn id_len(text: &[u8]) -> Option<usize> {
    let word = |text: &[u8]| text.iter().take_while(|c| is_of_word(**c)).count();
    let local = word(text);
    let host = match text.get(local..) {
        Some([b'@', host @ ..]) => match word(host) {
            0 => return None,
            n => n + 1,
        },
        _ => 0,
    };
    (local > 0).then_some(local + host)
}

fn is_of_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || b"-.!%*_+`'~()<>:\\\"/[]?{}".contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(message: &str) -> Option<&str> {
        call_id(message.as_bytes()).map(|id| std::str::from_utf8(id).unwrap())
    }

    #[test]
    fn a_call_id_of_either_name() {
        let invite = "INVITE sip:bob@example.com SIP/2.0\r\n\
                      Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bK776asdhds\r\n\
                      Max-Forwards: 70\r\n\
                      Call-ID: a84b4c76e66710@pc33.example.com\r\n\
                      CSeq: 314159 INVITE\r\n\r\n";
        assert_eq!(found(invite), Some("a84b4c76e66710@pc33.example.com"));
        for (header, id) in [
            ("Call-ID: f81d4fae\r\n", "f81d4fae"),
            ("CALL-id:f81d4fae\r\n", "f81d4fae"),
            ("call-id \t: \t f81d4fae\n", "f81d4fae"),
            ("i: a@b\r", "a@b"),
            ("I:a@b\r\n", "a@b"),
            (
                "i:-.!%*_+`'~()<>:\\\"/[]?{}@x\r\n",
                "-.!%*_+`'~()<>:\\\"/[]?{}@x",
            ),
        ] {
            for end in ["\r\n", "\n", "\r"] {
                let message = format!("OPTIONS x{end}{header}");
                assert_eq!(found(&message), Some(id), "{message:?}");
            }
        }
    }

    #[test]
    fn what_is_no_call_id() {
        for message in [
            "",
            "Call-ID: a@b\r\n",
            "REGISTER\r\nCall-ID: a@b",
            "REGISTER\r\nCall-ID: a@b \r\n",
            "REGISTER\r\nCall-ID: a@\r\n",
            "REGISTER\r\nCall-ID: @b\r\n",
            "REGISTER\r\nCall-ID:\r\n",
            "REGISTER\r\nCall-ID a@b\r\n",
            "REGISTER\r\nCall-IDs: a@b\r\n",
            "REGISTER\r\n Call-ID: a@b\r\n",
            "REGISTER\r\nids: a@b\r\n",
            "REGISTER\r\nX-Call-ID: a@b\r\n",
        ] {
            assert_eq!(found(message), None, "{message:?}");
        }
    }

    #[test]
    fn the_first_header_decides() {
        assert_eq!(found("X\r\ni: a@b\r\nCall-ID: c@d\r\n"), Some("a@b"));
        assert_eq!(found("X\r\nids: no\r\nCall-ID: c@d\r\n"), Some("c@d"));
        assert_eq!(found("X\r\nCall-ID: a,b\r\nCall-ID: c@d\r\n"), None);
    }

    #[test]
    fn at_most_255_bytes() {
        let message = |len| format!("X\r\ni: {}\r\n", "x".repeat(len));
        assert_eq!(found(&message(255)).map(str::len), Some(255));
        assert_eq!(found(&message(256)), None);
    }

    #[test]
    fn tags_tell_calls_apart_and_depend_on_the_key() {
        let tag = |key, message: &str| CallIds::new([key; 4]).tag(message.as_bytes());
        let (a, b) = ("X\r\nCall-ID: a@b\r\n", "X\r\nCall-ID: a@c\r\n");
        assert_eq!(tag(1, a), tag(1, "ACK y\ni: a@b\n"));
        assert_ne!(tag(1, a), tag(1, b));
        assert_ne!(tag(1, a), tag(2, a));
        assert_ne!(tag(1, a), 0);
        assert_eq!(tag(1, "no message"), 0);
    }
}
