//! Hands one mail to a server: plain SMTP, as alerts need it.
//!
//! ```text
//! 220 → EHLO 250 (or HELO 250) → MAIL 250 → RCPT 250 or 251, each → DATA 354 → the mail 250 → QUIT
//! ```
//!
//! A server that knows no `EHLO` (a 5xx reply) is greeted with `HELO`. A recipient that is refused does not keep the mail
//! from the others; when all are, there is no mail. Once the server has answered the mail with 250 it is delivered,
//! whatever becomes of the leave-taking.

use std::fmt;

use super::reply::{Replies, Reply};
use super::wanted;
use crate::probe::shown::shown;
use crate::probe::{Failure, Passed, Probe, Progress, Reason, Verdict};

/// A mail and whom it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// What the server is told our name is.
    pub helo: String,
    /// The sender's address, without angle brackets; empty: nobody, so that nothing bounces.
    pub from: String,
    /// The recipients' addresses, without angle brackets; at least one.
    pub to: Vec<String>,
    /// Header, blank line, body. Lines may end in LF or CRLF.
    pub message: String,
}

/// The delivery of one mail, as a probe that is passed once the server has taken it.
///
/// Memory: the mail twice, and less than 2 KiB of the server's replies, plus 200 bytes a refused recipient.
#[derive(Clone, Debug)]
pub struct Submission {
    mail: Mail,
    replies: Replies,
    step: Step,
    accepted: usize,
    refused: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Greeting,
    Ehlo,
    Helo,
    From,
    /// The recipient with this number has been named.
    To(usize),
    Data,
    Message,
    Quit,
}

impl Submission {
    /// Of this mail.
    ///
    /// # Errors
    ///
    /// The mail cannot be written in the protocol.
    pub fn new(mail: Mail) -> Result<Self, BadMail> {
        let is_word =
            |s: &str| s.chars().all(|c| !c.is_control() && c != ' ') && !s.contains(['<', '>']);
        if !is_word(&mail.helo) || mail.helo.is_empty() {
            return Err(BadMail::Helo(mail.helo));
        }
        if !is_word(&mail.from) {
            return Err(BadMail::Address(mail.from));
        }
        if let Some(wrong) = mail.to.iter().find(|to| !is_word(to) || to.is_empty()) {
            return Err(BadMail::Address(wrong.clone()));
        }
        if mail.to.is_empty() {
            return Err(BadMail::NoRecipient);
        }
        Ok(Self {
            mail,
            replies: Replies::default(),
            step: Step::Greeting,
            accepted: 0,
            refused: Vec::new(),
        })
    }

    /// The recipients that the server has refused so far, each with what it said.
    pub fn refused(&self) -> &[String] {
        &self.refused
    }

    fn proceed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<Progress, Failure> {
        while let Some(reply) = self.replies.next(&mut bytes)? {
            if self.step == Step::Quit {
                return Ok(Progress::Done(Ok(Passed::Plainly)));
            }
            self.step = self.answered(&reply, out)?;
        }
        Ok(Progress::More)
    }

    /// What follows a reply.
    fn answered(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Result<Step, Failure> {
        let mail = &self.mail;
        match self.step {
            Step::Greeting => {
                wanted(reply, 220, "greeting")?;
                say(out, format_args!("EHLO {}", mail.helo));
                Ok(Step::Ehlo)
            }
            Step::Ehlo if (500..600).contains(&reply.code) => {
                say(out, format_args!("HELO {}", mail.helo));
                Ok(Step::Helo)
            }
            Step::Ehlo | Step::Helo => {
                wanted(reply, 250, "HELO")?;
                say(out, format_args!("MAIL FROM:<{}>", mail.from));
                Ok(Step::From)
            }
            Step::From => {
                wanted(reply, 250, "MAIL")?;
                self.name_recipient(0, out)
            }
            Step::To(number) => {
                match (reply.code, mail.to.get(number)) {
                    (250 | 251, _) => self.accepted += 1,
                    // It is closing down.
                    (421, _) => wanted(reply, 250, "RCPT")?,
                    (_, Some(to)) => self.refused.push(format!("<{to}>: {}", reply.shown())),
                    (_, None) => {}
                }
                self.name_recipient(number + 1, out)
            }
            Step::Data => {
                wanted(reply, 354, "DATA")?;
                write_message(&mail.message, out);
                Ok(Step::Message)
            }
            Step::Message => {
                wanted(reply, 250, "the mail")?;
                say(out, format_args!("QUIT"));
                Ok(Step::Quit)
            }
            Step::Quit => Ok(Step::Quit),
        }
    }

    /// Names the recipient with this number, or goes on to the mail if that was the last.
    fn name_recipient(&self, number: usize, out: &mut Vec<u8>) -> Result<Step, Failure> {
        if let Some(to) = self.mail.to.get(number) {
            say(out, format_args!("RCPT TO:<{to}>"));
            return Ok(Step::To(number));
        }
        if self.accepted == 0 {
            let detail = format!("no recipient is taken: {}", self.refused.join(", "));
            return Err(Failure::new(Reason::Status, detail));
        }
        say(out, format_args!("DATA"));
        Ok(Step::Data)
    }

    fn missing(&self) -> &'static str {
        match self.step {
            Step::Greeting => "no greeting",
            Step::Ehlo => "no reply to EHLO",
            Step::Helo => "no reply to HELO",
            Step::From => "no reply to MAIL",
            Step::To(_) => "no reply to RCPT",
            Step::Data => "no reply to DATA",
            Step::Message => "no reply to the mail",
            Step::Quit => "no reply to QUIT",
        }
    }

    /// The server has nothing more to say, or no more time to.
    fn ended(&self, reason: Reason) -> Verdict {
        match self.step {
            Step::Quit => Ok(Passed::Plainly),
            _ => Err(Failure::new(reason, self.missing())),
        }
    }
}

impl Probe for Submission {
    fn opened(&mut self, _: &mut Vec<u8>) -> Progress {
        Progress::More
    }

    fn received(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Progress {
        self.proceed(bytes, out).unwrap_or_else(|failure| {
            say(out, format_args!("QUIT"));
            Progress::Done(Err(failure))
        })
    }

    fn closed(&mut self) -> Verdict {
        self.ended(Reason::Closed)
    }

    fn expired(&mut self) -> Verdict {
        self.ended(Reason::AnswerTimeout)
    }
}

/// One command line.
fn say(out: &mut Vec<u8>, line: fmt::Arguments<'_>) {
    out.extend_from_slice(line.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A mail as it follows `DATA`: lines end in CRLF, those that begin with a dot get another (RFC 5321, section 4.5.2), and a
/// lone dot ends it.
fn write_message(message: &str, out: &mut Vec<u8>) {
    for line in message.lines() {
        if line.starts_with('.') {
            out.push(b'.');
        }
        // A lone CR would be a line end to some servers.
        out.extend(line.bytes().filter(|&byte| byte != b'\r'));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
}

/// Why a mail cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadMail {
    /// Nobody is to get it.
    NoRecipient,
    /// This is no address: it has blanks, control characters or angle brackets, or is an empty recipient.
    Address(String),
    /// This is no name to greet with.
    Helo(String),
}

impl fmt::Display for BadMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecipient => f.write_str("the mail has no recipient"),
            Self::Address(text) => write!(f, "no mail address: {}", shown(text.as_bytes())),
            Self::Helo(text) => write!(f, "no name to greet with: {}", shown(text.as_bytes())),
        }
    }
}

impl std::error::Error for BadMail {}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            helo: "lvs.example".to_owned(),
            from: "lvs@example.com".to_owned(),
            to: vec!["a@example.com".to_owned(), "b@example.com".to_owned()],
            message: "Subject: down\n\nserver 1\r\n.\n..x\nend".to_owned(),
        }
    }

    const SENT: &str = "Subject: down\r\n\r\nserver 1\r\n..\r\n...x\r\nend\r\n.\r\n";

    /// Says these lines one after another; what is said in answer to each, and the end.
    fn talk(probe: &mut Submission, server: &[&str]) -> (Vec<String>, Progress) {
        let mut said = Vec::new();
        let mut progress = probe.opened(&mut Vec::new());
        for line in server {
            assert_eq!(progress, Progress::More, "before {line}");
            let mut out = Vec::new();
            progress = probe.received(format!("{line}\r\n").as_bytes(), &mut out);
            said.push(String::from_utf8(out).unwrap());
        }
        (said, progress)
    }

    #[test]
    fn delivered() {
        let mut probe = Submission::new(mail()).unwrap();
        let server = [
            "220 hi",
            "250-mail.example\r\n250-SIZE\r\n250 8BITMIME",
            "250 sender ok",
            "250 ok",
            "251 forwarded",
            "354 go on",
            "250 queued",
            "221 bye",
        ];
        let (said, progress) = talk(&mut probe, &server);
        let expected = [
            "EHLO lvs.example\r\n",
            "MAIL FROM:<lvs@example.com>\r\n",
            "RCPT TO:<a@example.com>\r\n",
            "RCPT TO:<b@example.com>\r\n",
            "DATA\r\n",
            SENT,
            "QUIT\r\n",
            "",
        ];
        assert_eq!(said, expected);
        assert_eq!(progress, Progress::Done(Ok(Passed::Plainly)));
        assert!(probe.refused().is_empty());
        // Without its last words just the same.
        for end in [Submission::closed, Submission::expired] {
            let mut probe = Submission::new(mail()).unwrap();
            talk(&mut probe, &server[..7]);
            assert_eq!(end(&mut probe), Ok(Passed::Plainly));
        }
    }

    #[test]
    fn an_old_server_and_a_refused_recipient() {
        let mut probe = Submission::new(mail()).unwrap();
        let server = [
            "220 hi",
            "502 what?",
            "250 ok",
            "250 ok",
            "550 no such user",
            "250 ok",
            "354",
            "250",
        ];
        let (said, progress) = talk(&mut probe, &server);
        assert_eq!(said[1], "HELO lvs.example\r\n");
        assert_eq!(said[7], "QUIT\r\n");
        assert_eq!(progress, Progress::More);
        let refused = [r#"<a@example.com>: 550 "no such user""#];
        assert_eq!(probe.refused(), refused);
    }

    #[test]
    fn turned_away_at_each_step() {
        for (server, text) in [
            (&["554 no"][..], r#"greeting: 554 "no", not 220"#),
            (&["220", "421 later"], r#"HELO: 421 "later", not 250"#),
            (&["220", "500", "500"], "HELO: 500, not 250"),
            (&["220", "250", "550"], "MAIL: 550, not 250"),
            (&["220", "250", "250", "421"], "RCPT: 421, not 250"),
            (
                &["220", "250", "250", "550", "551 else"],
                r#"no recipient is taken: <a@example.com>: 550, <b@example.com>: 551 "else""#,
            ),
            (
                &["220", "250", "250", "250", "250", "250"],
                "DATA: 250, not 354",
            ),
            (
                &["220", "250", "250", "250", "250", "354", "552 full"],
                r#"the mail: 552 "full", not 250"#,
            ),
        ] {
            let mut probe = Submission::new(mail()).unwrap();
            let (said, progress) = talk(&mut probe, server);
            let failure = Failure::new(Reason::Status, text);
            assert_eq!(progress, Progress::Done(Err(failure)));
            assert_eq!(said.last().map(|s| &**s), Some("QUIT\r\n"));
        }
        let mut probe = Submission::new(mail()).unwrap();
        talk(&mut probe, &["220", "250", "250"]);
        let failure = probe.closed().unwrap_err();
        assert_eq!(failure, Failure::new(Reason::Closed, "no reply to RCPT"));
        let failure = probe.expired().unwrap_err();
        assert_eq!(failure.reason, Reason::AnswerTimeout);
    }

    #[test]
    fn nothing_is_smuggled() {
        for (from, to) in [
            ("a b@example.com", "c@example.com"),
            ("a@example.com>\r\nRCPT TO:<x@example.com", "c@example.com"),
            ("a@example.com", "<c@example.com>"),
            ("a@example.com", ""),
        ] {
            let mail = Mail {
                from: from.to_owned(),
                to: vec![to.to_owned()],
                ..mail()
            };
            assert!(matches!(Submission::new(mail), Err(BadMail::Address(_))));
        }
        let nobody = Mail {
            to: Vec::new(),
            ..mail()
        };
        assert_eq!(Submission::new(nobody).unwrap_err(), BadMail::NoRecipient);
        let helo = Mail {
            helo: "a\nb".to_owned(),
            ..mail()
        };
        assert!(matches!(Submission::new(helo), Err(BadMail::Helo(_))));
        let mut out = Vec::new();
        write_message("a\r.\r\nb\r\r\n", &mut out);
        assert_eq!(out, b"a.\r\nb\r\n.\r\n");
    }
}
