//! Mails to servers that behave as they are told to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::super::tests::{log, logged, until};
use super::*;
use crate::keepalived::model::{At, MailServer};
use crate::keepalived::place::Span;

/// What a server does with a connection.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// It takes mails, but none to this recipient.
    Takes { but: &'static str },
    /// It says this instead of greeting.
    Says(&'static str),
    /// It says nothing, and stays.
    Hangs,
    /// It says one byte every few milliseconds.
    Drips,
}

const TAKES: Manner = Manner::Takes { but: "nobody" };

/// A server that behaves in these manners, one for each connection; the last for all further ones.
struct Server {
    addr: SocketAddr,
    /// What it was told and took: commands, and mails as they came.
    got: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(manners: &[Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let (taken, manners) = (got.clone(), manners.to_vec());
        thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let manner = manners[i.min(manners.len() - 1)];
                let taken = taken.clone();
                thread::spawn(move || serve(manner, &stream.unwrap(), &taken));
            }
        });
        Self { addr, got }
    }

    fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }

    /// The mails' subjects.
    fn subjects(&self) -> Vec<String> {
        let got = self.got();
        let lines = got.iter().flat_map(|g| g.lines());
        lines
            .filter_map(|l| l.strip_prefix("Subject: "))
            .map(str::to_owned)
            .collect()
    }

    fn global(&self) -> Global {
        let at = |text: &str| At::new(text.to_owned(), Span::default());
        Global {
            smtp_server: Some(At::new(MailServer::Address(self.addr), Span::default())),
            mail_to: vec![at("a@example.com"), at("B <b@example.com>")],
            mail_from: Some(at("lb@example.com")),
            router_id: Some("LB".to_owned()),
            smtp_helo: Some("helo.example".to_owned()),
            smtp_timeout: Some(1),
            ..Global::default()
        }
    }

    fn logged(&self) -> Vec<String> {
        logged(&self.addr.to_string())
    }
}

fn serve(manner: Manner, mut stream: &TcpStream, got: &Mutex<Vec<String>>) {
    let but = match manner {
        Manner::Takes { but } => but,
        Manner::Says(what) => return stream.write_all(what.as_bytes()).unwrap(),
        Manner::Hangs => loop {
            thread::park();
        },
        Manner::Drips => {
            while stream.write_all(b"2").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
            return;
        }
    };
    let take = |what: &str| got.lock().unwrap().push(what.to_owned());
    let mut lines = BufReader::new(stream);
    let mut say = |what: &str| stream.write_all(format!("{what}\r\n").as_bytes()).unwrap();
    say("220 mail.example");
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap_or(0) > 0 {
        take(&line);
        match line.split([' ', ':', '\r']).next().unwrap() {
            "EHLO" => say("250-mail.example\r\n250 8BITMIME"),
            "RCPT" if line.contains(but) => say("550 not here"),
            "DATA" => {
                say("354 go on");
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") && lines.read_line(&mut mail).unwrap() > 0 {}
                take(&mail);
                say("250 taken");
            }
            "QUIT" => return say("221 bye"),
            _ => say("250 fine"),
        }
        line.clear();
    }
}

fn mail(subject: &str) -> Mail {
    Mail {
        subject: subject.to_owned(),
        body: "=> so <=\n.\n..and more".to_owned(),
    }
}

#[test]
fn a_mail_arrives() {
    let server = Server::new(&[TAKES]);
    let mailer = Mailer::start(&server.global(), log).unwrap();
    mailer.send(mail("VS - UP"));
    until("it arrives", || server.got().len() == 7);
    let got = server.got();
    let commands = [
        "EHLO helo.example",
        "MAIL FROM:<lb@example.com>",
        "RCPT TO:<a@example.com>",
        "RCPT TO:<b@example.com>",
        "DATA",
    ];
    for (got, wanted) in got.iter().zip(commands) {
        assert_eq!(got.trim_end(), wanted);
    }
    let (head, body) = got[5].split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "=> so <=\r\n..\r\n...and more\r\n.\r\n");
    for wanted in [
        "From: lb@example.com",
        "Subject: [LB] VS - UP",
        "X-Mailer: lvsd",
        "To: a@example.com,",
        " B <b@example.com>",
    ] {
        assert!(head.split("\r\n").any(|l| l == wanted), "{head}");
    }
    assert_eq!(server.logged(), [""; 0]);
}

#[test]
fn a_burst_is_summed_up_at_the_end() {
    let server = Server::new(&[TAKES]);
    let mut mailer = Mailer::start(&server.global(), log).unwrap();
    for i in 0..30 {
        mailer.send(mail(&i.to_string()));
    }
    mailer.stop();
    mailer.wait();
    let mut wanted: Vec<String> = (0..20).map(|i| format!("[LB] {i}")).collect();
    wanted.push("[LB] 10 more events".to_owned());
    assert_eq!(server.subjects(), wanted);
    let last = server
        .got()
        .into_iter()
        .rev()
        .find(|g| g.contains("more events"));
    assert!(last.unwrap().contains(" 29 => so <= . ..and more\r\n.\r\n"));
    assert_eq!(server.logged(), [""; 0]);
}

#[test]
fn it_is_tried_again() {
    let server = Server::new(&[Manner::Says("421 later\r\n"), TAKES]);
    let mut mailer = Mailer::start(&server.global(), log).unwrap();
    mailer.send(mail("one"));
    let failed = format!(
        "mail \"one\" could not be sent by {}: unwanted status: greeting: 421 \"later\", not 220; it is tried again in 10 s",
        server.addr
    );
    until("it fails", || server.logged() == [failed.clone()]);
    mailer.send(mail("two"));
    mailer.stop(); // which waits for nothing
    mailer.wait();
    assert_eq!(server.subjects(), ["[LB] one", "[LB] two"]);
    assert_eq!(server.logged(), [failed]);
}

#[test]
fn servers_that_take_nothing() {
    for (manner, why) in [
        (Manner::Hangs, "no complete answer in time: no greeting"),
        (Manner::Drips, "no complete answer in time: no greeting"),
        (Manner::Says(""), "closed too early: no greeting"),
        (Manner::Says("hello\r\n"), "malformed answer: \"hello\""),
    ] {
        let server = Server::new(&[manner]);
        let mut mailer = Mailer::start(&server.global(), log).unwrap();
        mailer.send(mail("x"));
        let addr = server.addr;
        let line = format!("mail \"x\" could not be sent by {addr}: {why}");
        until(why, || {
            server.logged() == [format!("{line}; it is tried again in 10 s")]
        });
        mailer.stop();
        mailer.wait();
        assert_eq!(server.logged()[1..], [format!("{line}; it is given up")]);
    }
}

#[test]
fn nobody_listens() {
    let addr = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = Server {
        addr,
        got: Arc::default(),
    };
    let mailer = Mailer::start(&server.global(), log).unwrap();
    mailer.send(mail("x"));
    until("it is refused", || server.logged().len() == 1);
    let said = server.logged().remove(0);
    let wanted = format!("could not be sent by {addr}: Connection refused");
    assert!(said.contains(&wanted), "{said}");
}

#[test]
fn a_recipient_that_is_refused() {
    let server = Server::new(&[Manner::Takes { but: "b@" }]);
    let mailer = Mailer::start(&server.global(), log).unwrap();
    mailer.send(mail("x"));
    let addr = server.addr;
    let said =
        format!("mail server {addr} does not take mails to <b@example.com>: 550 \"not here\"");
    until("it is said", || server.logged() == [said.clone()]);
    assert_eq!(server.subjects(), ["[LB] x"]);
}

#[test]
fn what_waits_goes_where_the_new_configuration_says() {
    let (old, new) = (
        Server::new(&[Manner::Says("554 no\r\n")]),
        Server::new(&[TAKES]),
    );
    let mailer = Mailer::start(&old.global(), log).unwrap();
    mailer.send(mail("one"));
    until("it is not taken", || old.logged().len() == 1);
    mailer.configure(&old.global());
    let mut global = new.global();
    // Looked up; the other address that the name may have refuses.
    let by_name = MailServer::Name("localhost".to_owned(), new.addr.port());
    global.smtp_server = Some(At::new(by_name, Span::default()));
    global.router_id = Some("NEW".to_owned());
    mailer.configure(&global);
    until("it is taken", || new.subjects() == ["[NEW] one"]);
    assert_eq!(
        old.logged().len(),
        1,
        "the same server was not tried at once"
    );
}

#[test]
fn without_mails() {
    let server = Server::new(&[Manner::Hangs]);
    let mut mailer = Mailer::start(&server.global(), log).unwrap();
    mailer.send(mail("one"));
    mailer.send(mail("two"));
    until("the first fails", || server.logged().len() == 1);
    mailer.configure(&Global::default());
    mailer.send(mail("three"));
    mailer.stop();
    mailer.wait();
    assert_eq!(server.logged().len(), 1);
    let said = "2 mails are not sent, since the configuration has none any more";
    assert_eq!(logged(said).len(), 1);
}
