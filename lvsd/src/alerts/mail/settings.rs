//! Who gets mails, from whom, and who takes them.

use std::time::Duration;

use lvs_health::probe::smtp::{self, Submission};

use super::super::sys;
use super::super::visible::one_line;
use crate::keepalived::host::Host;
use crate::keepalived::model::{Global, MailServer};

/// How long connecting may take if nothing is configured, in seconds.
const TIMEOUT: u32 = 30;

/// Everything about mails but what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Who takes them.
    pub(super) server: MailServer,
    /// Who sends them.
    pub(super) from: Address,
    /// Who gets them; at least one.
    pub(super) to: Vec<Address>,
    /// What the server is told our name is.
    pub(super) helo: String,
    /// Our name in subjects.
    pub(super) name: String,
    /// The host's name.
    pub(super) host: String,
    /// How long connecting, and each answer, may take.
    pub(super) timeout: Duration,
}

/// A mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// As it is written, for people; one line.
    pub(super) shown: String,
    /// What the server is told.
    pub(super) address: String,
}

impl Settings {
    /// What a configuration says; `None` if it does not ask for mails, or what there is to say about it is too wrong.
    /// What is wrong is logged.
    pub(super) fn new(global: &Global, host: &dyn Host, log: fn(&str)) -> Option<Self> {
        let server = global.smtp_server.as_ref()?.value.clone();
        let known = |written: &str| match Address::new(written) {
            Ok(address) => Some(address),
            Err(why) => {
                log(&format!("mails: {why}"));
                None
            }
        };
        let to: Vec<Address> = global.mail_to.iter().filter_map(|to| known(to)).collect();
        if to.is_empty() {
            return None;
        }
        let name = host.name();
        let from = global.mail_from.as_ref().map(|from| from.value.clone());
        let from = from.unwrap_or_else(|| {
            let user = sys::user_name(sys::ourselves().0);
            let user = user.map_or_else(|| "lvsd".into(), |u| u.to_string_lossy().into_owned());
            format!("{user}@{name}")
        });
        Some(Self {
            server,
            from: known(&from)?,
            to,
            helo: global.smtp_helo.clone().unwrap_or_else(|| name.clone()),
            name: global.router_id.clone().unwrap_or_else(|| name.clone()),
            host: name,
            timeout: Duration::from_secs(global.smtp_timeout.unwrap_or(TIMEOUT).max(1).into()),
        })
    }

    /// The server, for people.
    pub(super) fn shown(&self) -> String {
        match &self.server {
            MailServer::Address(addr) => addr.to_string(),
            MailServer::Name(name, port) => format!("{}:{port}", one_line(name)),
        }
    }

    /// The dialogue that hands over a mail with this text.
    pub(super) fn submission(&self, message: String) -> Result<Submission, smtp::BadMail> {
        Submission::new(smtp::Mail {
            helo: self.helo.clone(),
            from: self.from.address.clone(),
            to: self.to.iter().map(|to| to.address.clone()).collect(),
            message,
        })
    }
}

impl Address {
    /// As it is written, with or without a name before angle brackets.
    pub(super) fn new(written: &str) -> Result<Self, smtp::BadMail> {
        let written = written.trim();
        let bracketed = written.strip_suffix('>').and_then(|w| w.rsplit_once('<'));
        let address = bracketed.map_or(written, |(_, address)| address);
        // Only what the protocol takes is one.
        Submission::new(smtp::Mail {
            helo: "localhost".to_owned(),
            from: String::new(),
            to: vec![address.to_owned()],
            message: String::new(),
        })?;
        Ok(Self {
            shown: one_line(written),
            address: address.to_owned(),
        })
    }
}

#[cfg(test)]
impl Settings {
    pub(super) fn for_tests() -> Self {
        let address = Address::new("a@example.com").unwrap();
        Self {
            server: MailServer::Address(([127, 0, 0, 1], 25).into()),
            from: address.clone(),
            to: vec![address],
            helo: "lb1".to_owned(),
            name: "lb1".to_owned(),
            host: "lb1".to_owned(),
            timeout: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keepalived::host::FakeHost;
    use crate::keepalived::model::At;
    use crate::keepalived::place::Span;

    #[test]
    fn addresses() {
        for (written, address) in [
            ("a@example.com", "a@example.com"),
            (" a@example.com ", "a@example.com"),
            ("A <B> <a@example.com>", "a@example.com"),
            ("<a@example.com>", "a@example.com"),
        ] {
            assert_eq!(Address::new(written).unwrap().address, address);
        }
        for wrong in ["", "A a@example.com", "<>", "a@b>", "<a@b> x", "a\n@b"] {
            assert!(Address::new(wrong).is_err(), "{wrong:?}");
        }
        let shown = Address::new("A\r\nBcc: x <a@b>").unwrap().shown;
        assert_eq!(shown, "A | Bcc: x <a@b>");
    }

    #[test]
    fn what_is_asked_for() {
        let host = FakeHost::default();
        let mut global = Global::default();
        let settings = |global: &Global| Settings::new(global, &host, |_| {});
        assert_eq!(settings(&global), None);
        let server = MailServer::Name("mail.example".to_owned(), 25);
        global.smtp_server = Some(At::new(server.clone(), Span::default()));
        assert_eq!(settings(&global), None);
        let at = |text: &str| At::new(text.to_owned(), Span::default());
        global.mail_to = vec![at("no address")];
        assert_eq!(settings(&global), None);
        global.mail_to.push(at("x@example.com"));
        let found = settings(&global).unwrap();
        assert_eq!(found.server, server);
        assert_eq!(found.to, [Address::new("x@example.com").unwrap()]);
        assert!(found.from.address.ends_with("@lb1.example"), "{found:?}");
        assert_eq!((&*found.helo, &*found.name), ("lb1.example", "lb1.example"));
        assert_eq!(found.timeout, Duration::from_secs(30));
        global.mail_from = Some(at("LB <lb@example.com>"));
        global.smtp_helo = Some("helo".to_owned());
        global.router_id = Some("LB".to_owned());
        global.smtp_timeout = Some(0);
        let found = settings(&global).unwrap();
        assert_eq!(found.from.address, "lb@example.com");
        assert_eq!((&*found.helo, &*found.name), ("helo", "LB"));
        assert_eq!(found.timeout, Duration::from_secs(1));
    }
}
