//! Dialogues with a mail server (RFC 5321): [`Greeting`] sees whether it greets, [`Submission`] hands it a mail.

mod reply;
mod submission;

pub use submission::{BadMail, Mail, Submission};

use super::shown::shown;
use super::{Failure, Passed, Probe, Progress, Reason, Verdict};
use reply::{Replies, Reply};

/// One run of `SMTP_CHECK`: greeted with 220, says `HELO` and must hear 250, then takes its leave. What the server says
/// to that does not matter, nor whether it says anything before it closes.
///
/// Memory: less than 2 KiB of the server's replies.
#[derive(Clone, Debug)]
pub struct Greeting {
    helo: String,
    replies: Replies,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Greeting,
    Helo,
    Quit,
}

impl Greeting {
    /// With what the server is told our name is.
    ///
    /// # Errors
    ///
    /// The name has control characters.
    pub fn new(helo: &str) -> Result<Self, Failure> {
        if helo.chars().any(char::is_control) {
            let detail = format!("no name to greet with: {}", shown(helo.as_bytes()));
            return Err(Failure::new(Reason::Local, detail));
        }
        Ok(Self {
            helo: helo.to_owned(),
            replies: Replies::default(),
            step: Step::Greeting,
        })
    }

    fn proceed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<Progress, Failure> {
        while let Some(reply) = self.replies.next(&mut bytes)? {
            self.step = match self.step {
                Step::Greeting => {
                    wanted(&reply, 220, "greeting")?;
                    out.extend_from_slice(format!("HELO {}\r\n", self.helo).as_bytes());
                    Step::Helo
                }
                Step::Helo => {
                    wanted(&reply, 250, "HELO")?;
                    out.extend_from_slice(b"QUIT\r\n");
                    Step::Quit
                }
                Step::Quit => return Ok(Progress::Done(Ok(Passed::Plainly))),
            };
        }
        Ok(Progress::More)
    }
}

impl Probe for Greeting {
    fn opened(&mut self, _: &mut Vec<u8>) -> Progress {
        Progress::More
    }

    fn received(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Progress {
        self.proceed(bytes, out)
            .unwrap_or_else(|failure| Progress::Done(Err(failure)))
    }

    fn closed(&mut self) -> Verdict {
        match self.step {
            Step::Quit => Ok(Passed::Plainly),
            step => Err(Failure::new(Reason::Closed, missing(step, &self.replies))),
        }
    }

    fn expired(&mut self) -> Verdict {
        let detail = missing(self.step, &self.replies);
        Err(Failure::new(Reason::AnswerTimeout, detail))
    }
}

/// Whether a reply has the code that is wanted in answer to `what`.
fn wanted(reply: &Reply, code: u16, what: &str) -> Result<(), Failure> {
    match reply.code == code {
        true => Ok(()),
        false => {
            let detail = format!("{what}: {}, not {code}", reply.shown());
            Err(Failure::new(Reason::Status, detail))
        }
    }
}

fn missing(step: Step, replies: &Replies) -> &'static str {
    match (step, replies.is_empty()) {
        (Step::Greeting, true) => "no greeting",
        (Step::Greeting, false) => "in the greeting",
        (Step::Helo, true) => "no reply to HELO",
        (Step::Helo, false) => "in the reply to HELO",
        (Step::Quit, _) => "no reply to QUIT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said and what comes of it, when the server says these one after another.
    fn talk(server: &[&[u8]]) -> (String, Progress) {
        let mut probe = Greeting::new("lvs.example").unwrap();
        let mut out = Vec::new();
        let mut progress = probe.opened(&mut out);
        for said in server {
            assert_eq!(progress, Progress::More);
            progress = probe.received(said, &mut out);
        }
        if progress == Progress::More {
            progress = Progress::Done(probe.closed());
        }
        (String::from_utf8(out).unwrap(), progress)
    }

    fn failed(reason: Reason, detail: &str) -> Progress {
        Progress::Done(Err(Failure::new(reason, detail)))
    }

    #[test]
    fn greeted() {
        let passed = Progress::Done(Ok(Passed::Plainly));
        let said = "HELO lvs.example\r\nQUIT\r\n".to_owned();
        let whole = [
            &b"220 mail.example ESMTP\r\n"[..],
            b"250 mail.example\r\n",
            b"221 bye\r\n",
        ];
        assert_eq!(talk(&whole), (said.clone(), passed.clone()));
        assert_eq!(talk(&whole[..2]), (said.clone(), passed.clone()));
        let several = [
            &b"220-mail.example ESMTP\r\n220"[..],
            b" we do not take spam\r\n",
            b"250-mail.example\r\n250 hello\r\n",
            b"500 what?\r\n",
        ];
        assert_eq!(talk(&several), (said, passed));
    }

    #[test]
    fn turned_away() {
        for (server, reason, detail) in [
            (
                &[&b"554 go away\r\n"[..]][..],
                Reason::Status,
                r#"greeting: 554 "go away", not 220"#,
            ),
            (
                &[b"220 hi\r\n", b"421\r\n"],
                Reason::Status,
                "HELO: 421, not 250",
            ),
            (&[], Reason::Closed, "no greeting"),
            (&[b"220 hi"], Reason::Closed, "in the greeting"),
            (&[b"220 hi\r\n"], Reason::Closed, "no reply to HELO"),
            (
                &[b"220 hi\r\n", b"250-"],
                Reason::Closed,
                "in the reply to HELO",
            ),
            (
                &[b"HTTP/1.1 400 Bad Request\r\n"],
                Reason::Malformed,
                r#""HTTP/1.1 400 Bad Request""#,
            ),
        ] {
            assert_eq!(talk(server).1, failed(reason, detail));
        }
    }

    #[test]
    fn silence_at_any_step() {
        let mut probe = Greeting::new("x").unwrap();
        let mut out = Vec::new();
        let late = |probe: &mut Greeting| probe.expired().unwrap_err().to_string();
        assert_eq!(late(&mut probe), "no complete answer in time: no greeting");
        probe.received(b"220\n", &mut out);
        assert_eq!(
            late(&mut probe),
            "no complete answer in time: no reply to HELO"
        );
        probe.received(b"250\n", &mut out);
        assert_eq!(
            late(&mut probe),
            "no complete answer in time: no reply to QUIT"
        );
    }

    #[test]
    fn a_name_is_one_line() {
        let failure = Greeting::new("x\r\nMAIL FROM:<>").unwrap_err();
        assert_eq!(failure.reason, Reason::Local);
    }
}
