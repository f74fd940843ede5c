//! A datagram, and perhaps an answer to it.
//!
//! Silence says nothing over UDP: a server that takes the datagram and one that lost it look the same. So unless an
//! answer is required, only an ICMP error fails, which the driver learns from its socket.
//!
//! Memory: none of the peer's.

use std::sync::Arc;

use super::shown::shown;
use super::{Failure, Passed, Probe, Progress, Reason, Verdict};
use crate::check;

/// One run of `UDP_CHECK`.
#[derive(Clone, Debug)]
pub struct Udp {
    check: Arc<check::Udp>,
}

impl Udp {
    /// Of this check.
    pub fn new(check: Arc<check::Udp>) -> Self {
        Self { check }
    }

    /// Whether an answer is one that is looked for.
    fn judge(&self, answer: &[u8]) -> Verdict {
        let check = &self.check;
        if check.reply.is_empty() {
            return Ok(Passed::Plainly);
        }
        let (least, most) = check.length;
        if !(least.into()..=most.into()).contains(&answer.len()) {
            let detail = format!("{} bytes, not {least} to {most}", answer.len());
            return Err(Failure::new(Reason::Content, detail));
        }
        for (at, &(value, mask)) in check.reply.iter().enumerate() {
            // A byte of which nothing counts may be missing.
            let fits = match answer.get(at) {
                Some(byte) => byte & mask == value & mask,
                None => mask == 0,
            };
            if !fits {
                let detail = format!("answer {} differs at byte {at}", shown(answer));
                return Err(Failure::new(Reason::Content, detail));
            }
        }
        Ok(Passed::Plainly)
    }
}

impl Probe for Udp {
    fn opened(&mut self, out: &mut Vec<u8>) -> Progress {
        out.extend_from_slice(&self.check.payload);
        Progress::More
    }

    fn received(&mut self, answer: &[u8], _: &mut Vec<u8>) -> Progress {
        Progress::Done(self.judge(answer))
    }

    fn closed(&mut self) -> Verdict {
        Err(Reason::Closed.into())
    }

    fn expired(&mut self) -> Verdict {
        match self.check.reply_required {
            true => Err(Reason::AnswerTimeout.into()),
            false => Ok(Passed::Plainly),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(reply_required: bool, reply: &[(u8, u8)], length: (u16, u16)) -> Udp {
        Udp::new(Arc::new(check::Udp {
            payload: b"hello".to_vec(),
            reply_required,
            reply: reply.to_vec(),
            length,
        }))
    }

    fn answer(probe: &mut Udp, bytes: &[u8]) -> Verdict {
        match probe.received(bytes, &mut Vec::new()) {
            Progress::Done(verdict) => verdict,
            Progress::More => panic!("an answer is judged at once"),
        }
    }

    #[test]
    fn silence() {
        let mut out = Vec::new();
        let mut quiet = probe(false, &[], (0, 255));
        assert_eq!(quiet.opened(&mut out), Progress::More);
        assert_eq!(out, b"hello");
        assert_eq!(quiet.expired(), Ok(Passed::Plainly));
        let failure = probe(true, &[], (0, 255)).expired().unwrap_err();
        assert_eq!(failure.reason, Reason::AnswerTimeout);
    }

    #[test]
    fn any_answer_where_none_is_described() {
        let mut any = probe(true, &[], (4, 4));
        assert_eq!(answer(&mut any, b""), Ok(Passed::Plainly));
    }

    #[test]
    fn answers() {
        let reply = [(0x12, 0xff), (0x30, 0xf0), (0, 0)];
        for (bytes, fits) in [
            (&[0x12, 0x34, 0x56][..], true),
            (&[0x12, 0x3f, 0x00, 0x99], true),
            (&[0x12, 0x3f], true),
            (&[0x12], false),
            (&[], false),
            (&[0x13, 0x34, 0x56], false),
            (&[0x12, 0x44, 0x56], false),
            (&[0x12, 0x34, 0, 0, 0, 0], false),
        ] {
            let verdict = answer(&mut probe(false, &reply, (0, 5)), bytes);
            assert_eq!(verdict.is_ok(), fits, "{bytes:?}: {verdict:?}");
        }
        let failure = answer(&mut probe(true, &reply, (3, 5)), &[0x12, 0x34]).unwrap_err();
        assert_eq!(failure.to_string(), "unwanted content: 2 bytes, not 3 to 5");
        let failure = answer(&mut probe(true, &reply, (0, 5)), &[0x12, 0x44]).unwrap_err();
        let expected = r#"unwanted content: answer "\x12D" differs at byte 1"#;
        assert_eq!(failure.to_string(), expected);
    }
}
