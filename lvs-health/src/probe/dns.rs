//! A question over UDP (RFC 1035), and whether it is answered without an error.
//!
//! What the answer says is of no interest: that there is one with code 0 is enough. Datagrams that are no answer to this
//! very question (another id, no answer at all) are left alone, as they may be late ones or somebody's guesses.
//!
//! Memory: none of the peer's.

use std::fmt;

use super::{Failure, Passed, Probe, Progress, Reason, Verdict};

/// One run of `DNS_CHECK`.
#[derive(Clone, Debug)]
pub struct Dns {
    id: u16,
    record: u16,
    name: Name,
}

impl Dns {
    /// Asks for records of a type, by its number, of class IN.
    pub fn new(name: Name, record: u16, id: u16) -> Self {
        Self { id, record, name }
    }
}

impl Probe for Dns {
    fn opened(&mut self, out: &mut Vec<u8>) -> Progress {
        let mut put = |number: u16| out.extend_from_slice(&number.to_be_bytes());
        put(self.id);
        put(RECURSION_DESIRED);
        // One question; no answers, authorities, additional records.
        [1, 0, 0, 0].into_iter().for_each(&mut put);
        out.extend_from_slice(&self.name.wire);
        let mut put = |number: u16| out.extend_from_slice(&number.to_be_bytes());
        put(self.record);
        put(CLASS_IN);
        Progress::More
    }

    fn received(&mut self, datagram: &[u8], _: &mut Vec<u8>) -> Progress {
        let Some(&[id_high, id_low, flags_high, flags_low, ..]) =
            datagram.first_chunk::<HEADER_LEN>()
        else {
            return Progress::More;
        };
        let flags = u16::from_be_bytes([flags_high, flags_low]);
        if u16::from_be_bytes([id_high, id_low]) != self.id || flags & RESPONSE == 0 {
            return Progress::More;
        }
        Progress::Done(match flags & RCODE {
            0 => Ok(Passed::Plainly),
            code => Err(Failure::new(Reason::Status, code_text(code))),
        })
    }

    fn closed(&mut self) -> Verdict {
        Err(Reason::Closed.into())
    }

    fn expired(&mut self) -> Verdict {
        Err(Reason::AnswerTimeout.into())
    }
}

const HEADER_LEN: usize = 12;
const RESPONSE: u16 = 0x8000;
const RECURSION_DESIRED: u16 = 0x0100;
const RCODE: u16 = 0x000f;
const CLASS_IN: u16 = 1;

/// As IANA's registry of DNS parameters names them.
fn code_text(code: u16) -> String {
    let name = match code {
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        _ => return format!("code {code}"),
    };
    format!("code {code} ({name})")
}

/// A domain name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// As it goes into a message.
    wire: Vec<u8>,
}

impl Name {
    /// Reads a name: labels of 1 to 63 visible ASCII characters, with dots between them, 253 characters at most. A dot at its end
    /// changes nothing; `.` and nothing at all are the root. There are no escapes.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        let relative = text.strip_suffix('.').unwrap_or(text);
        if !relative.is_empty() {
            for label in relative.split('.') {
                let len = match label.len() {
                    0 => return Err(BadName::EmptyLabel),
                    len @ ..=63 => len as u8,
                    _ => return Err(BadName::LongLabel(label.to_owned())),
                };
                if let Some(wrong) = label.chars().find(|c| !c.is_ascii_graphic() || *c == '\\') {
                    return Err(BadName::Character(wrong));
                }
                wire.push(len);
                wire.extend_from_slice(label.as_bytes());
            }
        }
        wire.push(0);
        match wire.len() {
            ..=255 => Ok(Self { wire }),
            _ => Err(BadName::Long(relative.len())),
        }
    }
}

/// Why something is no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadName {
    /// Two dots in a row, or one at the beginning.
    EmptyLabel,
    /// More than 63 characters between two dots.
    LongLabel(String),
    /// More than 253 characters: this many.
    Long(usize),
    /// One that is not visible ASCII, or a backslash.
    Character(char),
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyLabel => f.write_str("a domain name has something between its dots"),
            Self::LongLabel(label) => {
                let len = label.len();
                write!(
                    f,
                    "at most 63 characters may stand between two dots of a domain name, not {len}"
                )
            }
            Self::Long(len) => write!(f, "a domain name has at most 253 characters, not {len}"),
            Self::Character(c) if c.is_ascii() => {
                write!(f, "a domain name cannot hold '{}'", c.escape_default())
            }
            Self::Character(c) => write!(
                f,
                "a domain name cannot hold '{}'; write international names in their xn-- form",
                c.escape_debug()
            ),
        }
    }
}

impl std::error::Error for BadName {}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(name: &str) -> Dns {
        Dns::new(Name::new(name).unwrap(), 6, 0xabcd)
    }

    fn question(name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(probe(name).opened(&mut out), Progress::More);
        out
    }

    #[test]
    fn questions() {
        let header = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00";
        for root in ["", "."] {
            assert_eq!(question(root), [&header[..], b"\0\0\x06\0\x01"].concat());
        }
        let name = b"\x03www\x07example\x03com\0\0\x06\0\x01";
        for text in ["www.example.com", "www.example.com."] {
            assert_eq!(question(text), [&header[..], name].concat());
        }
    }

    #[test]
    fn answers() {
        let ours = |flags: [u8; 2]| [&[0xab, 0xcd][..], &flags, &[0; 8]].concat();
        let passed = Progress::Done(Ok(Passed::Plainly));
        let failed = |detail| Progress::Done(Err(Failure::new(Reason::Status, detail)));
        for (datagram, progress) in [
            (ours([0x81, 0x80]), passed.clone()),
            // Cut off, and no recursion there: answered all the same.
            (ours([0x83, 0x00]), passed),
            (ours([0x81, 0x83]), failed("code 3 (NXDOMAIN)")),
            (ours([0x81, 0x85]), failed("code 5 (REFUSED)")),
            (ours([0x81, 0x8f]), failed("code 15")),
            (ours([0x01, 0x00]), Progress::More),
            (ours([0x81, 0x80])[..11].to_vec(), Progress::More),
            (Vec::new(), Progress::More),
            (
                [&[0xab, 0xcc, 0x81, 0x80][..], &[0; 8]].concat(),
                Progress::More,
            ),
        ] {
            let mut probe = probe("example.com");
            assert_eq!(probe.received(&datagram, &mut Vec::new()), progress);
        }
        let silence = probe("").expired().unwrap_err();
        assert_eq!(silence.reason, Reason::AnswerTimeout);
    }

    #[test]
    fn names() {
        let label = |len: usize| "x".repeat(len);
        let long = [label(63), label(63), label(63), label(61)].join(".");
        assert_eq!(long.len(), 253);
        for good in [
            "a",
            "_dmarc.example.org",
            &label(63),
            &long,
            "xn--bcher-kva.de",
        ] {
            assert!(Name::new(good).is_ok(), "{good}");
            assert_eq!(Name::new(good), Name::new(&format!("{good}.")));
        }
        for (bad, why) in [
            ("..", BadName::EmptyLabel),
            (".example.com", BadName::EmptyLabel),
            ("example..com", BadName::EmptyLabel),
            (&label(64), BadName::LongLabel(label(64))),
            (&format!("{long}x"), BadName::Long(254)),
            ("a b", BadName::Character(' ')),
            ("a\\.b", BadName::Character('\\')),
            ("bücher.de", BadName::Character('ü')),
        ] {
            assert_eq!(Name::new(bad), Err(why.clone()), "{bad}");
            assert!(!why.to_string().is_empty());
        }
    }
}
