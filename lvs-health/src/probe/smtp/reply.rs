//! Reads the replies of a mail server (RFC 5321, section 4.2).
//!
//! A reply is one line or several: all but the last have a hyphen behind their code. Every line bears the same code.
//! Lines may end in LF alone. RFC 5321 grants a line 512 bytes; this reader takes 1000, and 100 lines a reply.
//!
//! Memory: one line, and as much of the reply's text as is shown to people.

use crate::probe::shown::shown;
use crate::probe::{Failure, Reason};

const MAX_LINE: usize = 1000;
const MAX_LINES: usize = 100;

/// A whole reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// Three digits.
    pub(super) code: u16,
    /// Its first line, without code and line end.
    pub(super) text: Vec<u8>,
}

impl Reply {
    /// The code, and what was said, for people.
    pub(super) fn shown(&self) -> String {
        match &self.text[..] {
            [] => self.code.to_string(),
            text => format!("{} {}", self.code, shown(text)),
        }
    }
}

/// Puts a stream together to replies.
#[derive(Clone, Debug, Default)]
pub(super) struct Replies {
    /// The line that has begun.
    line: Vec<u8>,
    /// The reply that has begun, and how many lines it has so far.
    reply: Option<(Reply, usize)>,
}

impl Replies {
    /// Takes from the front of `bytes` what belongs to the next reply; `None`: it is not complete yet.
    ///
    /// # Errors
    ///
    /// What comes is no reply, or has no end.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Reply>, Failure> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            if byte != b'\n' {
                if self.line.len() == MAX_LINE {
                    let detail = format!("a line of more than {MAX_LINE} bytes");
                    return Err(Failure::new(Reason::TooLong, detail));
                }
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if let Some(reply) = self.line(line.strip_suffix(b"\r").unwrap_or(&line))? {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// Whether nothing of a reply has come yet.
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty() && self.reply.is_none()
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, Failure> {
        let malformed = || Failure::new(Reason::Malformed, shown(line));
        let (code, rest) = line.split_first_chunk::<3>().ok_or_else(malformed)?;
        if !code.iter().all(u8::is_ascii_digit) {
            return Err(malformed());
        }
        let code = code
            .iter()
            .fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
        let (more, text) = match rest {
            [] => (false, rest),
            [b' ', text @ ..] => (false, text),
            [b'-', text @ ..] => (true, text),
            _ => return Err(malformed()),
        };
        let (reply, lines) = self.reply.get_or_insert_with(|| {
            let text = text.to_vec();
            (Reply { code, text }, 0)
        });
        *lines += 1;
        if reply.code != code {
            return Err(malformed());
        }
        if *lines > MAX_LINES {
            let detail = format!("a reply of more than {MAX_LINES} lines");
            return Err(Failure::new(Reason::TooLong, detail));
        }
        match more {
            true => Ok(None),
            false => Ok(self.reply.take().map(|(reply, _)| reply)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> Result<Vec<(u16, String)>, Failure> {
        let (mut replies, mut found) = (Replies::default(), Vec::new());
        while let Some(reply) = replies.next(&mut bytes)? {
            found.push((reply.code, String::from_utf8(reply.text).unwrap()));
        }
        assert!(bytes.is_empty());
        Ok(found)
    }

    #[test]
    fn replies() {
        let reply = |code, text: &str| (code, text.to_owned());
        for (bytes, found) in [
            (
                &b"220 mail.example ready\r\n"[..],
                vec![reply(220, "mail.example ready")],
            ),
            (b"220\r\n", vec![reply(220, "")]),
            (b"220 \n250 ok\n", vec![reply(220, ""), reply(250, "ok")]),
            (
                b"250-one\r\n250-two\r\n250 three\r\n",
                vec![reply(250, "one")],
            ),
            (b"250-one\r\n250\r\n", vec![reply(250, "one")]),
            (b"250-one\r\n250-two\r\n", vec![]),
            (b"250 not yet", vec![]),
        ] {
            assert_eq!(read(bytes).unwrap(), found);
        }
    }

    #[test]
    fn no_replies() {
        for bytes in [
            &b"\r\n"[..],
            b"22\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"2200 x\r\n",
            b"220_x\r\n",
            b"+20 x\r\n",
            b"250-one\r\n220 two\r\n",
        ] {
            let failure = read(bytes).unwrap_err();
            assert_eq!(failure.reason, Reason::Malformed, "{bytes:?}");
        }
        let failure = read(b"\x1b[2J\n").unwrap_err();
        assert_eq!(failure.to_string(), r#"malformed answer: "\x1b[2J""#);
    }

    #[test]
    fn limits() {
        let line = |len: usize| [&b"220 "[..], &vec![b'x'; len - 4], b"\n"].concat();
        assert!(read(&line(MAX_LINE)).is_ok());
        let reason = |bytes: &[u8]| read(bytes).map_err(|failure| failure.reason);
        assert_eq!(reason(&line(MAX_LINE + 1)), Err(Reason::TooLong));
        let lines = |n: usize| [b"250-x\r\n".repeat(n - 1), b"250 x\r\n".to_vec()].concat();
        assert!(read(&lines(MAX_LINES)).is_ok());
        assert_eq!(reason(&lines(MAX_LINES + 1)), Err(Reason::TooLong));
    }
}
