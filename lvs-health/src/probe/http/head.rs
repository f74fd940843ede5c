//! The head of an answer: status line and fields (RFC 9112, sections 4 and 5), and how long the body is (section 6.3).
//!
//! Read as kindly as browsers do: lines may end in LF alone, the status may lack its text, lines that are no fields are
//! skipped. A length that is none, or two different ones, cannot be read kindly.

use crate::probe::shown::{first_line, shown};
use crate::probe::{Failure, Reason};

/// How much of heads a whole answer may have, interim ones and blank lines before them included.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 256;

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) framing: Framing,
}

impl Head {
    /// Whether the real answer is still to come. After 101 there is none: another protocol follows.
    pub(super) fn is_interim(self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is none.
    NoBody,
    /// It has this many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
    /// The peer closes.
    UntilClose,
}

/// Collects heads.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads {
    /// The head so far.
    bytes: Vec<u8>,
    /// How many bytes are gone: of interim heads and blank lines.
    before: usize,
}

impl Heads {
    /// Takes from the front of `bytes` what belongs to the head; `None`: it is not complete yet.
    ///
    /// # Errors
    ///
    /// What comes is no head, or has no end.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Head>, Failure> {
        if self.bytes.is_empty() {
            self.skip_blank_lines(bytes);
        }
        let searched = self.bytes.len();
        let room = MAX_HEAD - self.before - searched;
        self.bytes
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.see_http()?;
        let Some(end) = end_of_head(&self.bytes, searched) else {
            if bytes.len() >= room {
                let detail = format!("a header of more than {} KiB", MAX_HEAD / 1024);
                return Err(Failure::new(Reason::TooLong, detail));
            }
            *bytes = &[];
            return Ok(None);
        };
        self.bytes.truncate(end);
        *bytes = bytes.get(end - searched..).unwrap_or_default();
        parse(&self.bytes).map(Some)
    }

    /// Forgets an interim head.
    pub(super) fn forget(&mut self) {
        self.before += self.bytes.len();
        self.bytes.clear();
    }

    /// What has come of the head.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The last head.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// RFC 9112, section 2.2, has servers do this; some clients do it as well.
    fn skip_blank_lines(&mut self, bytes: &mut &[u8]) {
        while let Some((b'\r' | b'\n', rest)) = bytes.split_first() {
            if self.before == MAX_HEAD {
                return;
            }
            self.before += 1;
            *bytes = rest;
        }
    }

    /// A peer that speaks something else is found out at its first bytes.
    fn see_http(&self) -> Result<(), Failure> {
        let wanted = b"HTTP/".iter();
        match self
            .bytes
            .iter()
            .zip(wanted)
            .all(|(got, wanted)| got == wanted)
        {
            true => Ok(()),
            false => Err(malformed("not HTTP", &self.bytes)),
        }
    }
}

/// Where the blank line ends that ends the head. No further than `searched` it has been looked for in vain.
fn end_of_head(bytes: &[u8], searched: usize) -> Option<usize> {
    let unseen = bytes.get(searched..)?;
    let newlines = unseen.iter().enumerate().filter(|(_, b)| **b == b'\n');
    newlines.map(|(at, _)| searched + at + 1).find(|&end| {
        let head = bytes.get(..end).unwrap_or_default();
        head.ends_with(b"\n\n") || head.ends_with(b"\n\r\n")
    })
}

fn parse(bytes: &[u8]) -> Result<Head, Failure> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let parsed = httparse::ParserConfig::default()
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true)
        .parse_response(&mut response, bytes);
    match parsed {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(malformed("header", bytes)),
        Err(httparse::Error::TooManyHeaders) => {
            let detail = format!("more than {MAX_FIELDS} header fields");
            return Err(Failure::new(Reason::TooLong, detail));
        }
        Err(e) => return Err(malformed(&e.to_string(), bytes)),
    }
    let Some(status) = response.code else {
        return Err(malformed("no status", bytes));
    };
    let framing = framing(status, response.headers)?;
    Ok(Head { status, framing })
}

fn malformed(what: &str, bytes: &[u8]) -> Failure {
    let detail = format!("{what}: {}", shown(first_line(bytes)));
    Failure::new(Reason::Malformed, detail)
}

fn framing(status: u16, fields: &[httparse::Header<'_>]) -> Result<Framing, Failure> {
    if matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::NoBody);
    }
    // All the values of a field, in order; a field may come several times, with several values each.
    let values = |name: &'static str| {
        fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .flat_map(|field| field.value.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
    };
    if let Some(coding) = values("transfer-encoding").next_back() {
        return Ok(match coding.eq_ignore_ascii_case(b"chunked") {
            true => Framing::Chunked,
            false => Framing::UntilClose,
        });
    }
    let mut lengths = values("content-length");
    let Some(length) = lengths.next() else {
        return Ok(Framing::UntilClose);
    };
    let wrong = || {
        let detail = format!("length of the body: {}", shown(length));
        Failure::new(Reason::Malformed, detail)
    };
    if length.is_empty() || lengths.any(|another| another != length) {
        return Err(wrong());
    }
    let length = length.iter().try_fold(0u64, |n, digit| match digit {
        b'0'..=b'9' => Ok(n.saturating_mul(10).saturating_add(u64::from(digit - b'0'))),
        _ => Err(wrong()),
    });
    length.map(Framing::Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> Result<Option<(Head, usize)>, Failure> {
        let head = Heads::default().next(&mut bytes)?;
        Ok(head.map(|head| (head, bytes.len())))
    }

    fn head(fields: &str) -> Result<Head, Failure> {
        let bytes = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        Ok(read(bytes.as_bytes())?.expect("a whole head").0)
    }

    #[test]
    fn status_lines() {
        for (line, status) in [
            ("HTTP/1.1 200 OK\r\n", 200),
            ("HTTP/1.0 404 Not Found\n", 404),
            // Neither text nor blank: keepalived reads 0.
            ("HTTP/1.1 200\r\n", 200),
            ("HTTP/1.1 503 \r\n", 503),
            ("HTTP/1.1  200  OK\r\n", 200),
            ("\r\n\n\r\nHTTP/1.1 301 Elsewhere\r\n", 301),
            ("HTTP/1.1 600 \u{e4}\r\n", 600),
        ] {
            let found = read(format!("{line}A: b\r\n\r\nrest").as_bytes()).unwrap();
            let (head, rest) = found.expect("a whole head");
            assert_eq!((head.status, rest), (status, 4), "{line}");
        }
        for line in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "220 mail.example ESMTP\r\n",
            "HTTP/2 200\r\n",
            "HTTP/1.1\r\n",
            "HTTP/1.1 2000 OK\r\n",
            "HTTP/1.1 20 OK\r\n",
            "HTTP/1.1 abc OK\r\n",
            "<html>",
            "\x15\x03\x01\x00\x02\x02\x46",
        ] {
            let failure = read(format!("{line}\r\n").as_bytes()).unwrap_err();
            assert_eq!(failure.reason, Reason::Malformed, "{line}");
        }
    }

    #[test]
    fn ends_of_heads() {
        for (bytes, rest) in [
            ("HTTP/1.1 200 OK\r\n\r\nbody", Some(4)),
            ("HTTP/1.1 200 OK\n\nbody", Some(4)),
            ("HTTP/1.1 200 OK\r\nA: b\n\r\n", Some(0)),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", None),
            ("HTTP/1.1 200 OK\r\n\r", None),
            ("HT", None),
            ("", None),
        ] {
            let found = read(bytes.as_bytes()).unwrap();
            assert_eq!(found.map(|(_, rest)| rest), rest, "{bytes:?}");
        }
    }

    #[test]
    fn framings() {
        for (fields, framing) in [
            ("", Framing::UntilClose),
            ("Content-Length: 5\r\n", Framing::Length(5)),
            ("CONTENT-LENGTH :5 \r\n", Framing::Length(5)),
            (
                "content-length: 5, 5\r\nContent-Length: 5\r\n",
                Framing::Length(5),
            ),
            (
                "Content-Length: 99999999999999999999999\r\n",
                Framing::Length(u64::MAX),
            ),
            ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
            (
                "transfer-encoding: gzip, CHUNKED\r\nContent-Length: 7\r\n",
                Framing::Chunked,
            ),
            (
                "Transfer-Encoding: gzip\r\nContent-Length: 7\r\n",
                Framing::UntilClose,
            ),
            (
                "X: folded\r\n so\r\nContent-Length: 5\r\n",
                Framing::Length(5),
            ),
            (
                "no field at all\r\nContent-Length: 5\r\n",
                Framing::Length(5),
            ),
        ] {
            assert_eq!(head(fields).unwrap().framing, framing, "{fields}");
        }
        for fields in ["5, 6", "+5", "-1", "0x5", "5 5", "", "five"] {
            let fields = format!("Content-Length: {fields}\r\n");
            let failure = head(&fields).unwrap_err();
            assert_eq!(failure.reason, Reason::Malformed, "{fields}");
        }
        for status in [101, 204, 304] {
            let bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n");
            let (head, _) = read(bytes.as_bytes()).unwrap().expect("a whole head");
            assert_eq!(head.framing, Framing::NoBody);
        }
    }

    #[test]
    fn limits() {
        let reason = |bytes: &[u8]| read(bytes).map_err(|failure| failure.reason);
        let line = "HTTP/1.1 200 OK\r\n";
        let padded = |len: usize| {
            let field = "x".repeat(len - line.len() - "X: \r\n\r\n".len());
            format!("{line}X: {field}\r\n\r\n").into_bytes()
        };
        assert!(read(&padded(MAX_HEAD)).unwrap().is_some());
        assert_eq!(reason(&padded(MAX_HEAD + 1)), Err(Reason::TooLong));
        assert_eq!(reason(&padded(MAX_HEAD)[..MAX_HEAD - 1]), Ok(None));
        let mut unfinished = padded(MAX_HEAD + 4);
        unfinished.truncate(MAX_HEAD);
        assert_eq!(reason(&unfinished), Err(Reason::TooLong));
        let blank = b"\r\n".repeat(MAX_HEAD);
        assert_eq!(reason(&blank), Err(Reason::TooLong));
        let many = format!("{line}{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        assert_eq!(reason(many.as_bytes()), Err(Reason::TooLong));
    }
}
